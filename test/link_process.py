# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The two ends of a link as two processes that are killed at random moments.

Run as a program it is one end: ``link_process.py rover|ground SETTINGS``, with the settings of
`EndSettings` as JSON. The ground prints a line for every frame: the time at which the rover offered
it, the time at which it came, and whether it is as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
import json
import os
from pathlib import Path
import random
import secrets
import subprocess
import sys
import threading
import time

from gsc_ros.link.audit import Departure
from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.delivery import ReceivedFrame
from gsc_ros.link.endpoint import Endpoint
from gsc_ros.link.endpoint_config import EndpointConfig
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.schedule.message import FrameMessage
from gsc_ros.link.transports import Transport
from gsc_ros.link.transports.serial_line import SerialTransport
from gsc_ros.link.transports.udp import UdpTransport
from gsc_ros.link.wait import Waiter

S = 1_000_000_000
FRAME_NS = S // 10
ENDS = (40, 90, 180)
# Longer than anything here should take on a machine that is busy with other things, too.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class EndSettings:
    """What one process is told."""

    key_file: str
    trace: str
    rate_bps: int
    mtu: int = 128
    suite: str = 'AES_CCM'
    bind: str = ''
    peers: list[str] = field(default_factory=list)
    learn_peer: bool = False
    port: str = ''
    baud: int = 0

    def transport(self) -> Transport:
        """Open what the settings describe."""
        if self.port:
            return SerialTransport(self.port, self.baud, self.mtu)
        return UdpTransport(self.bind, self.peers, self.mtu, self.learn_peer)


@dataclass(frozen=True)
class KillReport:
    """
    What came of it.

    :param killed: which end was killed, each time.
    :param recovery_s: from the start of the new process until a frame arrived that had been
        offered since.
    :param frames: how many frames arrived in all.
    :param damaged: how many of them were not as they had been.
    """

    killed: list[str]
    recovery_s: list[float]
    frames: int
    damaged: int


def payload_of(stamp_ns: int, layers: int) -> bytes:
    """Return bytes that can be told from those of all other frames."""
    return random.Random(stamp_ns).randbytes(ENDS[layers - 1])


class End:
    """A process that is one end; it can be killed and started again."""

    def __init__(self, role: str, settings: EndSettings, line: Callable[[str], None]) -> None:
        self.role = role
        self._line = line
        self._command = [
            sys.executable, __file__, role, json.dumps(asdict(settings))]
        self.start()

    def start(self) -> None:
        """Start the process."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, args=(self.process,))
        self._reader.start()

    def kill(self) -> None:
        """End the process in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()

    def _read(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            if line.endswith('\n'):
                self._line(line)


def kill_at_random(
    rover: EndSettings, ground: EndSettings, count: int, seed: int, longest_s: float = 0.5,
) -> KillReport:
    """
    Kill either end so many times, each time at a random moment, and wait for the recovery.

    :param longest_s: most time between a recovery and the next kill.
    :raises TimeoutError: when frames do not flow again within `PATIENCE_S`, or a process has ended
        by itself.
    """
    draw = random.Random(seed)
    arrived = threading.Condition()
    stamps: list[int] = []
    damaged = 0

    def take(line: str) -> None:
        nonlocal damaged
        stamp_ns, _, whole = map(int, line.split())
        with arrived:
            stamps.append(stamp_ns)
            damaged += not whole
            arrived.notify_all()

    def wait_for_frame(since_ns: int) -> float:
        with arrived:
            if not arrived.wait_for(
                    lambda: any(stamp >= since_ns for stamp in stamps[-20:]), PATIENCE_S):
                ended = [end.role for end in ends if end.process.poll() is not None]
                raise TimeoutError(f'no frame after {PATIENCE_S} s; ended: {ended}')
        return (time.monotonic_ns() - since_ns) / S

    ends = [End('rover', rover, take), End('ground', ground, take)]
    killed, recovery = [], []
    try:
        wait_for_frame(time.monotonic_ns())
        for _ in range(count):
            time.sleep(draw.uniform(0.0, longest_s))
            end = draw.choice(ends)
            end.kill()
            killed.append(end.role)
            since_ns = time.monotonic_ns()
            end.start()
            recovery.append(wait_for_frame(since_ns))
    finally:
        for end in ends:
            end.kill()
    return KillReport(killed, recovery, len(stamps), damaged)


def run_end(role: str, settings: EndSettings) -> None:
    """Be one end, until killed."""
    # Without a buffer of its own: what has been written is in the file, whenever the end comes.
    trace = os.open(settings.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(departure: Departure) -> None:
        os.write(trace, f'{departure.time_ns},{departure.bits},{departure.kind}\n'.encode())

    suite = Suite[settings.suite]
    keys = None if suite is Suite.NONE else KeyRing.load(settings.key_file)
    config = EndpointConfig(
        settings.rate_bps, record=RecordConfig(Direction[role.upper()], suite, keys))
    transport = settings.transport()
    waiter = Waiter()
    end = Endpoint(config, transport, time.monotonic_ns(), note)
    session, sequence = secrets.randbelow(1 << 16), 0
    frame_ns = time.monotonic_ns()
    if role == 'rover':
        end.announce(CameraAnnounce(0, 'front', 'front_optical', calibration=b'c' * 100))
    while True:
        now_ns = time.monotonic_ns()
        if role == 'rover' and now_ns >= frame_ns:
            end.offer_frame(FrameMessage(
                0, 0, sequence, session, now_ns, ENDS,
                lambda layers, stamp_ns=now_ns: payload_of(stamp_ns, layers)), now_ns)
            sequence, frame_ns = sequence + 1, now_ns + FRAME_NS
        wake_ns = end.poll(now_ns)
        for delivery in end.take_deliveries():
            if isinstance(delivery, ReceivedFrame):
                stamp_ns, data = delivery.stamp_ns, delivery.payload
                whole = len(data) in ENDS and (
                    data == payload_of(stamp_ns, ENDS.index(len(data)) + 1))
                print(stamp_ns, now_ns, int(whole), flush=True)
        waiter.wait([transport], min(wake_ns, frame_ns) if role == 'rover' else wake_ns)


def make_keys(folder: Path) -> str:
    """Return the path of a new file of keys."""
    path = folder / 'link.key'
    KeyRing.random().save(path, new=True)
    return str(path)


if __name__ == '__main__':
    run_end(sys.argv[1], EndSettings(**json.loads(sys.argv[2])))
