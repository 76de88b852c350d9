# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Make and change the pre-shared keys of a link.

    gsc keys new link.keys          a file with one key; copy it to the other machine
    gsc keys list link.keys         ids and fingerprints, never the keys
    gsc keys add link.keys          one more key, to be used later; copy the file again
    gsc keys activate link.keys 2   send with key 2, which both ends must have by now
    gsc keys remove link.keys 1     forget key 1, with which neither end may send any more

The last three, in this order, change the key while the link is in use: docs/security.md says how.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.cli.number import bounded
from gsc_ros.link.record.keys import KeyFileError, KeyRing, MAX_KEY_ID


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc keys`."""
    actions = parser.add_subparsers(dest='action', required=True)
    number = bounded(int, 1, MAX_KEY_ID)
    for name, text in (
            ('new', 'make a file with one key'),
            ('list', 'show ids and fingerprints'),
            ('add', 'add a key that is not used for sending yet'),
            ('activate', 'choose the key for sending'),
            ('remove', 'forget a key')):
        action = actions.add_parser(name, help=text)
        action.add_argument('file', type=Path, metavar='FILE', help='the key file')
        if name in ('new', 'add'):
            action.add_argument('--id', type=number, default=None, metavar='N',
                                help='id of the new key (the lowest that is free)')
        elif name != 'list':
            action.add_argument('id', type=number, metavar='ID', help='id of the key')
        action.add_argument('--json', action='store_true', help='print one JSON object on stdout')


def run(arguments: argparse.Namespace) -> int:
    """
    Make, show or change a key file, and show what it holds then.

    :raises DataError: when the file is bad, not private, or cannot be read or written.
    :raises UsageError: when it is there already, or an id cannot be used.
    """
    try:
        keys = _change(arguments)
    except KeyFileError as error:
        raise DataError(str(error)) from error
    except ValueError as error:
        raise UsageError(f'{arguments.file}: {error}') from error
    shown = [{'id': number, 'fingerprint': keys.fingerprint(number),
              'active': number == keys.active} for number in sorted(keys.secrets)]
    if arguments.json:
        print(json.dumps({'file': str(arguments.file), 'keys': shown}))
    else:
        for key in shown:
            print(f'{key["id"]:>3}  {key["fingerprint"]}{"  active" if key["active"] else ""}')
    return 0


def _change(arguments: argparse.Namespace) -> KeyRing:
    """Return the keys that the file holds afterwards."""
    if arguments.action == 'new':
        if arguments.file.exists():
            raise UsageError(f'{arguments.file} exists; `gsc keys add` adds a key to it')
        keys = KeyRing.random(arguments.id or 1)
        keys.save(arguments.file, new=True)
        return keys
    keys = KeyRing.load(arguments.file)
    if arguments.action == 'list':
        return keys
    change = {'add': keys.with_new_key, 'activate': keys.with_active, 'remove': keys.without}
    keys = change[arguments.action](arguments.id)
    keys.save(arguments.file)
    return keys
