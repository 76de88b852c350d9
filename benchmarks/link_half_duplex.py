# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what is lost where both ends share a channel that only one may use at a time.

Simulated time. Whoever sends while the other does destroys both datagrams. With a pause, an end
begins only after the channel was silent for so long, as `SerialTransport` does with ``pause_ns``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.endpoint import Endpoint, EndpointConfig, ReceivedFrame
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.schedule.message import FrameMessage

S = 1_000_000_000
MS = 1_000_000
MTU = 128
# Of a serial line: stuffing and delimiters.
FRAMING_BYTES = 3
# How long after the beginning of a datagram the other end hears it.
HEARD_NS = 2 * MS
FRAME_NS = S // 2
ENDS = (60, 120, 400)


@dataclass(frozen=True)
class Flight:
    """A datagram on the air."""

    begin_ns: int
    end_ns: int
    datagram: bytes


class SharedChannel:
    """One end of a channel that two share; `peer` must be set to the other."""

    mtu = MTU

    def __init__(self, air_bps: int, turn_ns: int, pause_ns: int) -> None:
        self._air_bps = air_bps
        self._turn_ns = turn_ns
        self._pause_ns = pause_ns
        self.peer: SharedChannel
        self.flights: list[Flight] = []
        self.landed = 0
        self.lost = 0

    def wire_bits(self, size: int) -> int:
        """Return the bits of a datagram."""
        return 8 * (size + FRAMING_BYTES)

    def ready_ns(self, now_ns: int) -> int:
        """Return when this end may begin."""
        own_ns = self.flights[-1].end_ns if self.flights else 0
        if not self._pause_ns:
            return max(now_ns, own_ns)
        heard = [flight.end_ns for flight in self.peer.flights
                 if flight.begin_ns + HEARD_NS <= now_ns]
        return max([now_ns, *(used_ns + self._pause_ns for used_ns in (own_ns, *heard) if used_ns)])

    def send(self, datagram: bytes, now_ns: int) -> bool:
        """Begin to send."""
        if self.ready_ns(now_ns) > now_ns:
            return False
        duration_ns = self.wire_bits(len(datagram)) * S // self._air_bps + self._turn_ns
        self.flights = [*self.flights[-50:], Flight(now_ns, now_ns + duration_ns, datagram)]
        return True

    def receive(self, now_ns: int) -> list[bytes]:
        """Return what has arrived undamaged."""
        arrived = []
        for flight in self.peer.flights:
            if self.landed < flight.end_ns <= now_ns:
                hit = any(own.begin_ns < flight.end_ns and flight.begin_ns < own.end_ns
                          for own in self.flights)
                self.lost += hit
                arrived += [] if hit else [flight.datagram]
        self.landed = now_ns
        return arrived

    def next_arrival_ns(self) -> int | None:
        """Return when the next datagram has arrived."""
        return min((flight.end_ns for flight in self.peer.flights if flight.end_ns > self.landed),
                   default=None)

    def note_authentic(self, position: int, confirmed: bool) -> None:
        """Do nothing."""


def measure(arguments: argparse.Namespace, rate_bps: int, pauses_ns: tuple[int, int]) -> str:
    """Return a row of the table."""
    near, far = (SharedChannel(arguments.air_bps, round(arguments.turn_ms * MS), pause_ns)
                 for pause_ns in pauses_ns)
    near.peer, far.peer = far, near
    keys = KeyRing.random()
    records = [RecordConfig(direction, Suite.AES_CCM, keys) for direction in Direction]
    rover = Endpoint(EndpointConfig(rate_bps, record=records[0]), near, 0)
    ground = Endpoint(EndpointConfig(rate_bps // 10, record=records[1]), far, 0)
    rover.announce(CameraAnnounce(0, 'front'))
    now_ns = frame_ns = offered = frames = 0
    while now_ns < arguments.seconds * S:
        if now_ns >= frame_ns:
            rover.offer_frame(FrameMessage(
                0, 0, offered, 1, now_ns, ENDS, lambda layers: bytes(ENDS[layers - 1])), now_ns)
            offered, frame_ns = offered + 1, frame_ns + FRAME_NS
        # The first end learns only afterwards that the second has begun to send.
        wake_ns = min(end.poll(now_ns) for end in (rover, ground, rover))
        frames += sum(isinstance(entry, ReceivedFrame) for entry in ground.take_deliveries())
        now_ns = min(wake_ns, frame_ns)
    sent, back = rover.statistics(now_ns), ground.statistics(now_ns)
    return (f'| {rate_bps} | {pauses_ns[0] // MS}, {pauses_ns[1] // MS} '
            f'| {far.lost / sent.sent_datagrams:.1%} | {near.lost / back.sent_datagrams:.1%} '
            f'| {frames / offered:.1%} |')


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--air-bps', type=int, default=9600, help='rate on the air')
    parser.add_argument('--turn-ms', type=float, default=20.0, help='what a datagram costs more')
    parser.add_argument('--seconds', type=int, default=600, help='simulated time')
    arguments = parser.parse_args()
    print('| budget bit/s | pauses ms | lost there | lost back | frames through |')
    print('|---|---|---|---|---|')
    for rate_bps in (2400, 4800, 7200):
        for pauses_ns in ((0, 0), (60 * MS, 10 * MS)):
            print(measure(arguments, rate_bps, pauses_ns))


if __name__ == '__main__':
    main()
