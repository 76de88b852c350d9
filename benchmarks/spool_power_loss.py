# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Cut the power at random moments of a spool's life, and look for every frame that was promised.

    python benchmarks/spool_power_loss.py [--moments 200] [--seed 0] [--json]

A process that uses a spool is traced (needs `strace`). From the trace follows what may be on the
disk if the power fails at any moment: all that was synced, and of what was written since, nothing,
all, any part, also single sectors. Each such state is opened. Exit status 1 when one is damaged, or
lacks a frame whose commit had returned.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
import json
import os
from pathlib import Path
from random import Random
import re
import shutil
import subprocess
import sys
from tempfile import TemporaryDirectory

from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.spool.incoming import IncomingStore
from gsc_ros.link.spool.outgoing import OutgoingStore
from gsc_ros.link.spool.reader import SpoolReader
from gsc_ros.link.spool.store import SpoolCamera

QUOTA = 2_000_000
SECTOR = 512
FRAMES = 900
PACKET = 700
SPOOL = b'a rover.'
CALLS = 'openat,pwrite64,write,fsync,fdatasync,ftruncate,fallocate,unlink'
# What can be on the disk of the writes since the last sync.
OUTCOMES = ('none', 'all', 'some', 'torn')
_LINE = re.compile(r'\d+\s+(\w+)\((.*)\)\s+= (-?\d+)')
_WRITE = re.compile(r'(\d+)<([^>]*)>, "((?:\\x..)*)", \d+(?:, (\d+))?')


@dataclass(frozen=True)
class Event:
    """
    One thing that the traced process did.

    :param kind: write, truncate, remove or sync of a file, sync of the folder ('settle'), or a
        promise that numbers up to `place` are on disk.
    :param name: of the file, without the folder.
    :param place: offset, size or number.
    :param data: what was written.
    """

    kind: str
    name: str = ''
    place: int = 0
    data: bytes = b''


def make_packet(sequence: int) -> bytes:
    """Return the packet of a frame."""
    return Random(sequence).randbytes(PACKET)


def live(path: Path, role: str) -> None:
    """Use a spool, and say what is promised."""
    camera = SpoolCamera(CameraAnnounce(0, 'front'), 1, 0, 0)
    if role == 'rover':
        rover = OutgoingStore(path, QUOTA)
        for first in range(1, FRAMES, 3):
            for number in range(first, first + 3):
                rover.append(camera, number, number, 1.0, make_packet(number))
            if first % 30 == 1:
                rover.settle(max(1, first - 60))
            rover.commit()
            _promise(rover.next_number - 1)
        return
    ground = IncomingStore(path, QUOTA)
    ground.meet(SPOOL, 1)
    ground.add_camera(SPOOL, 1, camera)
    for first in range(1, FRAMES, 3):
        for number in (first + 2, first, first + 1):
            ground.arrive(SPOOL, number, 1, number, number, 1.0, make_packet(number))
        ground.commit()
        _promise(ground.next_number(SPOOL) - 1)
        ground.take()


def _promise(number: int) -> None:
    os.write(1, f'{number}\n'.encode())


def record(folder: Path, role: str) -> list[Event]:
    """
    Trace a process that uses a spool in a folder.

    :raises FileNotFoundError: there is no strace.
    :raises CalledProcessError: it may not trace here.
    """
    trace = folder / 'trace'
    subprocess.run(
        ['strace', '-f', '-y', '-xx', '-s', '100000', '-e', f'trace={CALLS}', '-o', trace,
         sys.executable, __file__, '--live', role, folder / 'spool'],
        check=True, capture_output=True)
    with trace.open() as lines:
        return [event for line in lines if (event := _parse(line, folder)) is not None]


def _parse(line: str, folder: Path) -> Event | None:
    match = _LINE.match(line)
    if match is None or int(match[3]) < 0:
        return None
    call, arguments = match[1], match[2]
    if call in ('pwrite64', 'write'):
        write = _WRITE.match(arguments)
        if write is None:
            return None
        if write[1] == '1':
            return Event('promise', place=int(_plain(write[3])))
        name = _name(write[2], folder)
        return name and Event('write', name, int(write[4] or 0), _plain(write[3]))
    if call == 'unlink':
        name = _name(arguments.strip('"'), folder)
        return name and Event('remove', name)
    if call == 'ftruncate':
        target, size = re.match(r'\d+<([^>]*)>, (\d+)', arguments).groups()
        name = _name(target, folder)
        return name and Event('truncate', name, int(size))
    if call == 'fallocate':
        target, start, size = re.match(r'\d+<([^>]*)>, 0, (\d+), (\d+)', arguments).groups()
        name = _name(target, folder)
        return name and Event('truncate', name, int(start) + int(size))
    if call in ('fsync', 'fdatasync'):
        target = re.match(r'\d+<([^>]*)>', arguments)[1]
        if os.fsdecode(_plain(target)) == str(folder):
            return Event('settle')
        name = _name(target, folder)
        return name and Event('sync', name)
    return None


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace('\\x', '')) if text.startswith('\\x') else text.encode()


def _name(path: str, folder: Path) -> str | None:
    """Return the name of a file of the spool that is of use after a loss of power, or None."""
    known = Path(os.fsdecode(_plain(path)))
    useless = known.name.endswith(('-shm', '.lock'))
    return known.name if known.parent == folder and not useless else None


def states(events: list[Event], moments: int, random: Random) -> Iterator[tuple[dict, int]]:
    """Yield what may be on the disk at random moments, and up to which number is promised."""
    chosen = set(random.sample(range(len(events)), min(moments, len(events))))
    durable: dict[str, bytearray] = {}
    waiting: list[Event] = []
    promised = 0
    for index, event in enumerate(events):
        if index in chosen:
            for outcome in OUTCOMES:
                content = deepcopy(durable)
                for change in waiting:
                    _apply(content, change, outcome, random)
                yield content, promised
        if event.kind == 'promise':
            promised = event.place
        elif event.kind in ('sync', 'settle'):
            # Only the folder's own sync makes it durable that a file is gone.
            done = [change for change in waiting if (
                change.kind == 'remove' if event.kind == 'settle'
                else change.kind != 'remove' and change.name == event.name)]
            for change in done:
                _apply(durable, change, 'all', random)
            waiting = [change for change in waiting if change not in done]
        else:
            waiting.append(event)


def _apply(content: dict[str, bytearray], change: Event, outcome: str, random: Random) -> None:
    if outcome == 'none' or (outcome in ('some', 'torn') and random.random() < 0.5):
        return
    data = change.data
    if outcome == 'torn':
        data = data[:random.randrange(len(data) + 1) // SECTOR * SECTOR]
    if change.kind == 'remove':
        content.pop(change.name, None)
        return
    file = content.setdefault(change.name, bytearray())
    if change.kind == 'truncate':
        del file[change.place:]
        file.extend(bytes(change.place - len(file)))
    else:
        file.extend(bytes(max(0, change.place + len(data) - len(file))))
        file[change.place:change.place + len(data)] = data


def defect(content: dict[str, bytearray], promised: int, role: str, folder: Path) -> str | None:
    """Write a state to a folder, open it, and return what is wrong with it."""
    for name, data in content.items():
        (folder / name).write_bytes(data)
    path = folder / 'spool'
    store = (OutgoingStore if role == 'rover' else IncomingStore)(path, QUOTA)
    try:
        if store.aside is not None:
            return 'damaged'
        reached = store.next_number if role == 'rover' else store.next_number(SPOOL) or 1
        first = store.floor if role == 'rover' else 1
    finally:
        store.close()
    if reached <= promised:
        return f'{promised} was promised, it ends before {reached}'
    with SpoolReader(path) as reader:
        frames = {frame.number: frame.packet for frame in reader}
    # The ground may hold numbers beyond the first that it needs, the rover none.
    if set(range(first, reached)) - frames.keys():
        return f'not all of {first}..{reached - 1} are there'
    if any(packet != make_packet(number) for number, packet in frames.items()):
        return 'a packet is another'
    return None


def cut_power(role: str, moments: int, seed: int) -> tuple[int, list[str]]:
    """
    Trace a spool and look at what may be left of it.

    :returns: how many states were opened, and what was wrong with them.
    """
    random, count, defects = Random(seed), 0, []
    memory = Path('/dev/shm')
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name).resolve()
        for content, promised in states(record(folder, role), moments, random):
            place = folder / 'state'
            place.mkdir()
            found = defect(content, promised, role, place)
            shutil.rmtree(place)
            count += 1
            if found is not None:
                defects.append(found)
    return count, defects


def main() -> int:
    """Cut the power of both ends."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--moments', type=int, default=200)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', action='store_true')
    parser.add_argument('--live', nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.live:
        live(Path(arguments.live[1]), arguments.live[0])
        return 0
    failed = 0
    for role in ('rover', 'ground'):
        count, defects = cut_power(role, arguments.moments, arguments.seed)
        failed += len(defects)
        if arguments.json:
            print(json.dumps({'role': role, 'states': count, 'defects': defects}))
        else:
            print(f'{role}: {count} states after a loss of power, {len(defects)} of them bad')
            print(''.join(f'  {text}\n' for text in defects[:10]), end='')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
