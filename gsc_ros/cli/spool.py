# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Look into a spool, the file in which frames wait for a link or have come over one.

    gsc spool ls rover.spool                  what is there, camera by camera
    gsc spool ls rover.spool --frames         and frame by frame
    gsc spool export ground.spool drive/      the packets, a folder for each camera

The spool is only read, also while a bridge uses it. `gsc decode drive/front -o pictures` makes
pictures of what was exported.
"""

from __future__ import annotations

import argparse
import csv
from datetime import datetime, timezone
import json
from pathlib import Path
import re
import sys
from typing import TextIO

from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.link.spool.error import SpoolError
from gsc_ros.link.spool.reader import SpoolReader
from gsc_ros.link.spool.store import Role, SpoolFrame

INDEX_COLUMNS = ('file', 'number', 'camera', 'camera_id', 'frame_id', 'priority', 'session',
                 'sequence', 'stamp_ns', 'encode_ms', 'bytes')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc spool`."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    show = actions.add_parser('ls', help='Show what a spool holds')
    show.add_argument('--frames', action='store_true', help='list every frame')
    export = actions.add_parser(
        'export', help='Write the packets of a spool as files',
        description='Write OUT/CAMERA/NUMBER.gsc, with the stamps in OUT/CAMERA/timestamps.txt, '
        'all else that is known of the frames in OUT/index.csv and of the cameras in '
        'OUT/cameras.json.')
    for action in (show, export):
        action.add_argument('file', type=Path, metavar='FILE', help='the spool')
        action.add_argument('--json', action='store_true', help='print one JSON object on stdout')
    export.add_argument('output', type=Path, metavar='OUT', help='folder to make')
    export.add_argument('--camera', help='only the frames of this camera')


def run(arguments: argparse.Namespace) -> int:
    """
    Show or export a spool.

    :raises DataError: when it cannot be read or is damaged, or the output cannot be written.
    :raises UsageError: when the output exists.
    """
    try:
        with SpoolReader(arguments.file) as spool:
            if arguments.action == 'ls':
                _show(arguments, spool)
            else:
                _export(arguments, spool)
    except SpoolError as error:
        raise DataError(str(error)) from error
    return 0


def _show(arguments: argparse.Namespace, spool: SpoolReader) -> None:
    contents = spool.contents()
    if arguments.json:
        shown = {
            'spool': str(arguments.file), 'role': spool.role.value, 'id': spool.id.hex(),
            'evicted': spool.evicted,
            'frames': sum(content.frames for content in contents),
            'bytes': sum(content.bytes for content in contents),
            'peers': [{'id': peer.id.hex(), 'next': peer.next, 'evicted': peer.evicted,
                       'abandoned': peer.abandoned} for peer in spool.peers],
            'cameras': [{'camera': content.camera, 'frames': content.frames,
                         'bytes': content.bytes, 'first_ns': content.first_ns,
                         'last_ns': content.last_ns} for content in contents]}
        if spool.role is Role.OUTGOING:
            shown['next'] = spool.next
        else:
            shown['beyond_gaps'] = spool.beyond_gaps()
        if arguments.frames:
            shown['list'] = [_row(frame, None) for frame in spool]
        print(json.dumps(shown))
        return
    print(f'{_visible(str(arguments.file))}: {spool.role.value} spool {spool.id.hex()}')
    total = sum(content.frames for content in contents)
    verb = 'wait' if spool.role is Role.OUTGOING else 'arrived'
    print(f'  {total} frames {verb}, {sum(content.bytes for content in contents)} bytes, '
          f'{spool.evicted} given up')
    _tell_gaps(spool, sys.stdout)
    for content in contents:
        print(f'  {_visible(content.camera):<16} {content.frames:>8} frames {content.bytes:>10} '
              f'bytes  {_time(content.first_ns)} .. {_time(content.last_ns)}')
    if arguments.frames:
        for frame in spool:
            print(f'  {frame.number:>8}  {_visible(frame.camera.camera.name):<16} '
                  f'{frame.sequence:>10}  {_time(frame.stamp_ns)} {len(frame.packet):>8} bytes')


def _export(arguments: argparse.Namespace, spool: SpoolReader) -> None:
    output = arguments.output
    if output.exists():
        raise UsageError(f'{output}: exists already')
    cameras: dict[str, dict[int, dict]] = {}
    count = 0
    try:
        output.mkdir(parents=True)
        with (output / 'index.csv').open('w', newline='') as file:
            index = csv.DictWriter(file, INDEX_COLUMNS)
            index.writeheader()
            try:
                for frame in spool:
                    if arguments.camera not in (None, frame.camera.camera.name):
                        continue
                    count += 1
                    path = _write(output, frame, count)
                    index.writerow(_row(frame, path.relative_to(output)))
                    cameras.setdefault(path.parent.name, {})[frame.camera_key] = _about(frame)
            finally:
                # What could be read of a damaged spool is complete.
                (output / 'cameras.json').write_text(json.dumps(
                    {name: list(known.values()) for name, known in cameras.items()}, indent=2))
    except OSError as error:
        raise DataError(f'{output}: {error.strerror}') from error
    if arguments.json:
        print(json.dumps({'output': str(output), 'frames': count, 'cameras': sorted(cameras)}))
    else:
        print(f'{output}: {count} frames; cameras: {", ".join(sorted(cameras)) or "none"}',
              file=sys.stderr)
    _tell_gaps(spool, sys.stderr)


def _tell_gaps(spool: SpoolReader, stream: TextIO) -> None:
    """Say so when some of what arrived is not in order yet."""
    if spool.role is Role.INCOMING and (beyond := spool.beyond_gaps()):
        print(f'  {beyond} of them are beyond a gap: earlier frames are still to come',
              file=stream)


def _write(output: Path, frame: SpoolFrame, place: int) -> Path:
    folder = output / _folder(frame.camera.camera.name)
    folder.mkdir(exist_ok=True)
    path = folder / f'{place:08d}.gsc'
    path.write_bytes(frame.packet)
    with (folder / 'timestamps.txt').open('a') as stamps:
        stamps.write(f'{frame.stamp_ns}\n')
    return path


def _folder(camera: str) -> str:
    """Return a name for a camera's folder, whatever its own name has come over the link as."""
    return re.sub(r'[^\w-]', '_', camera)[:100] or '_'


def _about(frame: SpoolFrame) -> dict:
    """Return what is known of a frame's camera."""
    camera = frame.camera.camera
    return {'camera': camera.name, 'camera_id': camera.camera_id, 'frame_id': camera.frame_id,
            'priority': camera.priority, 'calibration': camera.calibration.hex()}


def _row(frame: SpoolFrame, path: Path | None) -> dict:
    """Return the row of a frame, with the columns of the index; without `file` if there is none."""
    camera = frame.camera.camera
    known = frame.encode_ms == frame.encode_ms
    row = {
        'number': frame.number, 'camera': camera.name, 'camera_id': camera.camera_id,
        'frame_id': camera.frame_id, 'priority': camera.priority,
        'session': frame.camera.session, 'sequence': frame.sequence, 'stamp_ns': frame.stamp_ns,
        'encode_ms': round(frame.encode_ms, 3) if known else None, 'bytes': len(frame.packet)}
    return row if path is None else {'file': str(path), **row}


def _time(stamp_ns: int) -> str:
    """Return a stamp as people read it."""
    seconds, rest_ns = divmod(stamp_ns, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return str(stamp_ns)
    return f'{moment:%Y-%m-%d %H:%M:%S}.{rest_ns // 1_000_000:03d}'


def _visible(words: str) -> str:
    """Escape what a terminal would obey rather than show: names have come over a link."""
    return ''.join(
        character if character.isprintable() else character.encode('unicode_escape').decode()
        for character in words)
