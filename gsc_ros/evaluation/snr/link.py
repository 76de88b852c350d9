# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One frame over a noisy channel: the link's datagrams and parity, at a fixed code rate.

::

    packet ─> bodies, k at most ──┬─> parity over them ─> n records ─> bits ─> noise
                                  └──────────────────────────^                  │
    packet, or its base <─ bodies <─ parity brings back <─ records whose checksum is right

All of it is the link's own: bodies (`datagram`), the erasure code (`repair.fec`), records with a
checksum (`record`, suite `NONE`) and the bits' way over the air (`channel.noise`). What the link
chooses by measurement is fixed here, so that every codec has the same of it: n datagrams of at
most `mtu` bytes, of which k carry the packet. Datagrams that a small packet leaves free hold
parity.

A packet may come with a *base*, a shorter packet that decodes alone. Its bodies then lie first and
part of the parities cover them alone: unequal protection at the same cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsc_ros.link.channel.noise import BitNoise, Modulation
from gsc_ros.link.datagram.announcement import Announcement, CameraAnnounce
from gsc_ros.link.datagram.cutting import FIRST_BYTES, LONG_BYTES, SHORT_BYTES
from gsc_ros.link.datagram.framer import FrameFramer
from gsc_ros.link.datagram.framing import (
    FLAG_LAST,
    FrameHeader,
    FramingError,
    Heartbeat,
    Kind,
    parse,
    Part,
    SHORT_DISTANCES,
)
from gsc_ros.link.datagram.reassembly import Reassembler, ReassemblyLimits
from gsc_ros.link.record.cipher import Direction, EPOCH_BYTES, Suite
from gsc_ros.link.record.layer import Opened, RecordConfig, RecordLayer
from gsc_ros.link.repair.fec import (
    encode_parity,
    ErasureDecoder,
    MAX_COVERED,
    Parity,
    parity_overhead,
    ParityError,
)

BITS_PER_USE = {Modulation.BPSK: 1, Modulation.QPSK: 2, Modulation.QAM16: 4}
# The first record says which session it is of; after as many more another one would.
MAX_DATAGRAMS = 126
# What part of the bodies a base may fill, and what part of the parities is for it alone.
BASE_BODIES = 1 / 3
BASE_PARITIES = 1 / 2

_ANNOUNCEMENT = Announcement(CameraAnnounce(0, ''), 0, 0, 0)
_HEADER = FrameHeader(0, 0, 0, 0.0)
# Hash, stamp and the time of encoding; of a split frame the length of the base besides.
_HEADER_BYTES = 9
_BASE_LENGTH_BYTES = 2
_RECORD_BYTES = 1 + Suite.NONE.tag_bytes


class CapacityError(ValueError):
    """A link holds no frame, or not this one; the message says why."""


@dataclass(frozen=True)
class Sent:
    """
    A frame on its way.

    :param packet: all of it.
    :param base: the packet that is protected better; empty for none.
    :param datagrams: records, in the order of sending.
    """

    packet: bytes
    base: bytes
    datagrams: tuple[bytes, ...]


class NoisyLink:
    """
    Sends frames, each in the same number of channel uses.

    :param uses: symbols for a frame, everything included.
    :param modulation: how bits become symbols.
    :param code_rate: part of the datagrams that carry the packet, 0..1; the others carry parity.
    :param mtu: the largest datagram in bytes.
    :raises CapacityError: so many symbols hold no frame, or too many datagrams.
    """

    def __init__(self, uses: int, modulation: Modulation, code_rate: float, mtu: int) -> None:
        try:
            rover = _records(Direction.ROVER, mtu)
        except ValueError as error:
            raise CapacityError(str(error)) from error
        size = uses * BITS_PER_USE[modulation] // 8
        self.modulation = modulation
        self.datagrams = size // mtu
        self.data = int(self.datagrams * code_rate)
        self._mtu = mtu
        self._room = mtu - _RECORD_BYTES - parity_overhead(max(1, self.data))
        what = f'{uses} symbols of {modulation.value}'
        if self.datagrams > MAX_DATAGRAMS:
            raise CapacityError(
                f'{what} are more than {MAX_DATAGRAMS} datagrams of {mtu} bytes')
        if not self.data or self._room <= FIRST_BYTES + _HEADER_BYTES + _BASE_LENGTH_BYTES:
            raise CapacityError(
                f'{what} hold no frame in datagrams of {mtu} bytes at code rate {code_rate:g}')
        self._hello = rover.seal(Heartbeat().pack(), 0)

    @property
    def capacity(self) -> int:
        """Return the bytes of the largest packet without a base."""
        return self._packet_bytes(self.data)

    def base_capacity(self, size: int) -> int:
        """
        Return the bytes of the largest base; 0 where there is no room for one.

        :param size: bytes of the packet that it is the base of.
        """
        needed = next((bodies for bodies in range(1, self.data)
                       if self._packet_bytes(bodies) >= size), self.data)
        bodies = round(needed * BASE_BODIES)
        return self._packet_bytes(bodies) - _BASE_LENGTH_BYTES if bodies else 0

    def uses(self, sent: Sent) -> float:
        """Return the symbols of a frame."""
        return 8 * sum(map(len, sent.datagrams)) / BITS_PER_USE[self.modulation]

    def send(self, packet: bytes, base: bytes = b'') -> Sent:
        """
        Return a frame as datagrams, the parities last.

        :param packet: what is sent, at least one byte.
        :param base: a packet of its first layers.
        :raises CapacityError: when it does not fit, or the base is none of this packet.
        """
        record = _records(Direction.ROVER, self._mtu)
        record.seal(Heartbeat().pack(), 0)
        cut = FrameFramer(_Wire(record, self._room)).cut(
            _HEADER, _ANNOUNCEMENT, packet, base or None)
        bodies: dict[int, bytes] = {}
        strong: list[int] = []
        datagrams = []
        while cut.left:
            counter = record.next_counter
            if cut.strong:
                strong.append(counter)
            bodies[counter] = cut.take(0)
            datagrams.append(record.seal(bodies[counter], 0))
            cut.advance()
        if len(bodies) > self.data:
            raise CapacityError(f'a packet of {len(packet)} bytes takes {len(bodies)} datagrams '
                                f'of {self.data}')
        if base and len(strong) == len(bodies):
            raise CapacityError(f'{len(base)} bytes are no base of these {len(packet)}')
        for row, covered in enumerate(_coverage(
                list(bodies), strong if base else [], self.datagrams - len(bodies))):
            parity = encode_parity(Kind.PARITY, row, record.next_counter,
                                   {counter: bodies[counter] for counter in covered})
            datagrams.append(record.seal(parity, 0))
        return Sent(packet, base, tuple(datagrams))

    def damaged(self, sent: Sent, snr_db: float, seed: int) -> list[bytes]:
        """
        Return the datagrams as they come off the air.

        The noise is that of the seed, whatever is sent; a higher ratio makes it smaller.

        :param snr_db: Es/N0 in dB.
        """
        noise = BitNoise(self.modulation, snr_db, seed)
        return [noise.damage(datagram) for datagram in sent.datagrams]

    def receive(self, datagrams: Sequence[bytes]) -> bytes | None:
        """Return the packet that came through, or its base; None for neither."""
        record = _records(Direction.GROUND, self._mtu)
        record.open(self._hello, 0)
        reassembler = Reassembler(ReassemblyLimits(), partial_ns=1)
        reassembler.accept(Part(Kind.ANNOUNCEMENT, 0, _ANNOUNCEMENT.hash, 0, FLAG_LAST,
                                _ANNOUNCEMENT.pack()), 0, 0)
        decoder = ErasureDecoder(max_equations=MAX_DATAGRAMS)
        arrivals = []
        for datagram in datagrams:
            opened = record.open(datagram, 0)
            for counter, part in () if opened is None else _parts(opened, decoder):
                arrivals += reassembler.accept(part, counter, 0)
        arrivals += reassembler.expire(1)
        return arrivals[0].payload if arrivals else None

    def _packet_bytes(self, bodies: int) -> int:
        """Return how long a packet is that fills so many bodies."""
        short = min(bodies, SHORT_DISTANCES) - 1
        long = max(0, bodies - SHORT_DISTANCES)
        heads = FIRST_BYTES + _HEADER_BYTES + SHORT_BYTES * short + LONG_BYTES * long
        return bodies * self._room - heads


@dataclass(frozen=True)
class _Wire:
    """The `cutting.Wire` of a frame: room is left for the parity over its bodies."""

    record: RecordLayer
    body_bytes: int

    @property
    def next_counter(self) -> int:
        return self.record.next_counter

    def room(self, strong: bool, now_ns: int) -> int:
        return self.body_bytes

    def bits(self, size: int, now_ns: int) -> int:
        return 8 * self.record.sealed_size(size, now_ns)


def _records(direction: Direction, mtu: int) -> RecordLayer:
    return RecordLayer(RecordConfig(direction, two_way=False, epoch=bytes(EPOCH_BYTES)), mtu, 0)


def _parts(opened: Opened, decoder: ErasureDecoder) -> list[tuple[int, Part]]:
    """Return the parts of the frame that a record brings or brings back, by their counters."""
    try:
        if isinstance(parse(opened.body), Part):
            found = [(opened.counter, opened.body), *decoder.body(opened.counter, opened.body)]
        else:
            found = decoder.parity(Parity.parse(opened.counter, opened.body))
        parts = [(counter, parse(body)) for counter, body in found]
    except (FramingError, ParityError):  # damaged, and the checksum right by chance
        return []
    return [(counter, part) for counter, part in parts if isinstance(part, Part)]


def _coverage(bodies: list[int], strong: list[int], parities: int) -> list[list[int]]:
    """Return for each parity the counters of the bodies that it covers."""
    alone = round(parities * BASE_PARITIES) if strong else 0
    return _in_turn(strong, alone) + _in_turn(bodies, parities - alone)


def _in_turn(bodies: list[int], parities: int) -> list[list[int]]:
    """Return as many sets of bodies; what is too much for one parity is spread over several."""
    groups = -(-len(bodies) // MAX_COVERED)
    return [bodies[number % groups::groups] for number in range(parities)]
