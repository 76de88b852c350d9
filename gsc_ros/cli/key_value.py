# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of the form KEY=VALUE."""

from __future__ import annotations

from gsc_ros.cli.error import UsageError


def key_values(entries: list[str]) -> dict[str, str]:
    """
    Return KEY=VALUE words as a dictionary.

    :raises UsageError: when a word has no ``=``.
    """
    wrong = [entry for entry in entries if '=' not in entry]
    if wrong:
        raise UsageError(f'{wrong[0]!r} is not of the form KEY=VALUE')
    return dict(entry.split('=', 1) for entry in entries)
