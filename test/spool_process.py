# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A rover with a spool and a ground with one as two processes that are killed at random moments.

Run as a program it is one end: ``spool_process.py rover|ground SETTINGS``, with `SpoolEnd` as JSON.
The rover notes every frame that is durable, the ground every frame that it was handed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
from random import Random
import socket
import subprocess
import sys
import time

from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.delivery import ReceivedFrame
from gsc_ros.link.endpoint import Endpoint
from gsc_ros.link.endpoint_config import EndpointConfig
from gsc_ros.link.record.cipher import Direction
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.schedule.message import FrameMessage
from gsc_ros.link.spool.error import SpoolError
from gsc_ros.link.spool.incoming import IncomingStore
from gsc_ros.link.spool.outgoing import OutgoingStore
from gsc_ros.link.spool.reader import SpoolReader
from gsc_ros.link.spool.receiver import SpoolReceiver
from gsc_ros.link.spool.sender import SpoolSender
from gsc_ros.link.spool.store import SpoolFrame
from gsc_ros.link.transports.udp import UdpTransport
from gsc_ros.link.wait import Waiter
from spool_frames import make_packet, make_stamp_ns

MS = 1_000_000
# Longer than anything here should take on a machine that is busy with other things, too.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class SpoolEnd:
    """
    What one process is told.

    :param folder: for the files of both.
    :param bind: its address; the far end has `peer`.
    :param quota: of the rover's spool.
    :param frame_ms: from one frame to the next, two cameras by turns.
    :param origin_ns: a moment before the first process; frames are numbered by the ms since.
    """

    folder: str
    bind: str
    peer: str
    quota: int
    frame_ms: int
    origin_ns: int


@dataclass(frozen=True)
class SpoolKillReport:
    """
    What came of it.

    :param killed: which end was killed, each time.
    :param durable: sequences that the rover noted as being on disk.
    :param handed: sequences that the ground was handed.
    :param stored: what is in the ground's spool, by number.
    :param numbers: how many numbers the rover's spool has given.
    :param evicted: how many frames the ground was told are given up.
    """

    killed: list[str]
    durable: list[int]
    handed: list[int]
    stored: list[SpoolFrame]
    numbers: int
    evicted: int


def kill_spools(folder: Path, count: int, seed: int, quota: int = 1 << 26,
                frame_ms: int = 5) -> SpoolKillReport:
    """
    Kill each end so many times, at random moments, then let the rover's spool run empty.

    :raises TimeoutError: it does not within `PATIENCE_S`, or a process has ended by itself.
    """
    draw = Random(seed)
    addresses = [f'127.0.0.1:{port}' for port in _free_ports(2)]
    origin_ns = time.monotonic_ns()
    ends = {
        role: SpoolEnd(str(folder), bind, peer, quota, frame_ms, origin_ns)
        for role, bind, peer in (('rover', *addresses), ('ground', *addresses[::-1]))}
    processes = {role: _start(role, end) for role, end in ends.items()}
    killed = ['rover', 'ground'] * count
    draw.shuffle(killed)
    try:
        _wait_until(lambda: _read(folder / 'ground.log'), processes)
        for role in killed:
            time.sleep(draw.uniform(0.05, 1.5))
            processes[role].kill()
            processes[role].wait()
            processes[role] = _start(role, ends[role])
        (folder / 'stop').touch()
        _wait_until(lambda: _is_drained(folder), processes)
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    with SpoolReader(folder / 'ground.spool') as ground, (
            SpoolReader(folder / 'rover.spool')) as rover:
        return SpoolKillReport(
            killed, _read(folder / 'rover.log'), _read(folder / 'ground.log'),
            list(ground), rover.next - 1, ground.evicted)


def run_end(role: str, settings: SpoolEnd) -> None:
    """Be one end, until killed."""
    folder = Path(settings.folder)
    # Without a buffer of its own: what has been written is in the file, whenever the end comes.
    log = os.open(folder / f'{role}.log', os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    transport = UdpTransport(settings.bind, [settings.peer], 512)
    endpoint = Endpoint(
        EndpointConfig(2_000_000, record=RecordConfig(Direction[role.upper()]),
                       heartbeat_period_ns=200 * MS, silence_ns=1000 * MS),
        transport, time.monotonic_ns())
    waiter = Waiter()
    if role == 'rover':
        store = OutgoingStore(folder / 'rover.spool', settings.quota)
        end = SpoolSender(endpoint, store, time.monotonic_ns())
        for number in range(2):
            end.announce(CameraAnnounce(number, f'camera{number}', priority=number))
    else:
        store = IncomingStore(folder / 'ground.spool', 1 << 30)
        end = SpoolReceiver(endpoint, store, time.monotonic_ns())
    waiting: list[int] = []
    due_ns = time.monotonic_ns()
    while True:
        now_ns = time.monotonic_ns()
        if role == 'rover' and now_ns >= due_ns and not (folder / 'stop').exists():
            sequence = (now_ns - settings.origin_ns) // MS
            end.offer_frame(_frame(sequence), now_ns)
            waiting.append(sequence)
            due_ns = now_ns + settings.frame_ms * MS
        wake_ns = end.poll(now_ns)
        if waiting and not store.pending:
            os.write(log, ''.join(f'{sequence}\n' for sequence in waiting).encode())
            waiting.clear()
        for delivery in end.take_deliveries():
            if isinstance(delivery, ReceivedFrame):
                os.write(log, f'{delivery.sequence}\n'.encode())
        waiter.wait([transport], min(wake_ns, max(due_ns, now_ns + MS))
                    if role == 'rover' else wake_ns)


def _frame(sequence: int) -> FrameMessage:
    packet = make_packet(sequence, 100 + sequence % 900)
    return FrameMessage(sequence % 2, sequence % 2, sequence, 5, make_stamp_ns(sequence),
                        (len(packet),), lambda _: packet)


def _start(role: str, settings: SpoolEnd) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, __file__, role, json.dumps(asdict(settings))])


def _wait_until(done: object, processes: dict[str, subprocess.Popen]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not done():
        ended = [role for role, process in processes.items() if process.poll() is not None]
        if ended or time.monotonic() > end_s:
            raise TimeoutError(f'not done after {PATIENCE_S} s; ended by themselves: {ended}')
        time.sleep(0.1)


def _is_drained(folder: Path) -> bool:
    """Return whether the ground knows of every number of the rover."""
    try:
        with SpoolReader(folder / 'ground.spool') as ground, (
                SpoolReader(folder / 'rover.spool')) as rover:
            return len(rover) == 0 and (rover.id, rover.next) in [
                (peer.id, peer.next) for peer in ground.peers]
    except SpoolError:
        return False


def _read(path: Path) -> list[int]:
    """Return the whole lines of a log."""
    if not path.exists():
        return []
    return [int(line) for line in path.read_text().splitlines(keepends=True)
            if line.endswith('\n')]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for one in sockets:
        one.bind(('127.0.0.1', 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == '__main__':
    run_end(sys.argv[1], SpoolEnd(**json.loads(sys.argv[2])))
