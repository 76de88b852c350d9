# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Foretell what a link carries: frame period, size, latency and overhead, without running it.

Three regimes follow from what the cameras offer, compared with the budget less the scheduler's
margin and what repairs take:

             when                                period      bytes           latency
    WHOLE    all layers of all frames fit        1 / fps     all layers      t
    SHED     first layers fit at the frame rate  1 / fps     what fits       1.1 t
    DROPPED  not even they do: newest wins       K t         first layers    t + 1 / (2 fps)

t is the time that a frame is on the air, K the number of cameras; the delay of the channel comes
on top of the latency. A frame that is begun at once waits for nothing; under shedding the steps of
the layers keep a queue of about a tenth of a frame; a frame that takes the place of another is half
a camera interval old when its turn comes. `target_fps` stands in for the frame rate where it is
lower, but for that age.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gsc_ros.link.datagram.framer import FrameFramer
from gsc_ros.link.datagram.framing import Announcement, CameraAnnounce, FrameHeader, MAX_PARTS
from gsc_ros.link.repair.fec import MAX_COVERED, parity_overhead
from gsc_ros.link.repair.redundancy import (
    count_repeats,
    parities_needed,
    RepairConfig,
    RepairMode,
    repeat_failure,
)

NS_PER_S = 1_000_000_000
# What the scheduler does not hand out.
_MARGIN = 0.02
_QUEUE = 0.1
_SHORT_HEAD_BYTES = 1
# Repair reckons with the most that it has measured lately: so much more than the mean.
_LOSS_RECKONED = 1.25
_MOST_LOSS = 0.35
_ROUNDS = 6


class Regime(Enum):
    """What the budget does to the frames."""

    WHOLE = 'whole'
    SHED = 'layers shed'
    DROPPED = 'frames dropped'


@dataclass(frozen=True)
class PlanRequest:
    """
    What is asked.

    :param rate_bps: budget in bit/s, >= 1.
    :param cameras: how many, all alike and evenly shifted, >= 1.
    :param fps: frames that each offers per second, > 0.
    :param whole_bytes: a packet with all its layers; None: as large as the link can carry.
    :param least_bytes: a packet with the layers that are never shed.
    :param mtu: largest datagram in bytes.
    :param tag_bytes: of each record.
    :param overhead_bytes: what the transport adds to each datagram.
    :param target_fps: frame rate that shedding aims at; 0: the one offered.
    :param delay_s: one way.
    :param loss: probability that a datagram is lost, 0 to below 1.
    :param repair: how losses are made up for.
    :param useful_s: age after which a repair comes too late.
    :raises ValueError: when a value is out of range.
    """

    rate_bps: int
    cameras: int
    fps: float
    whole_bytes: int | None = None
    least_bytes: int = 40
    mtu: int = 256
    tag_bytes: int = 8
    overhead_bytes: int = 0
    target_fps: float = 0.0
    delay_s: float = 0.0
    loss: float = 0.0
    repair: RepairMode = RepairMode.AUTO
    useful_s: float = 2.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.rate_bps < 1 or self.cameras < 1 or self.fps <= 0:
            raise ValueError('rate, number of cameras and frame rate must be positive')
        if self.least_bytes < 1 or (
                self.whole_bytes is not None and self.whole_bytes < self.least_bytes):
            raise ValueError('the whole packet must not be smaller than its first layers')
        if not 0.0 <= self.loss < 1.0:
            raise ValueError(f'nothing arrives with a loss of {self.loss:g}: it must be below 1')


@dataclass(frozen=True)
class LinkPlan:
    """
    What is foretold.

    :param regime: what the budget does to the frames.
    :param frame_period_s: between two frames of a camera that are sent.
    :param frame_bytes: of a packet as it is sent.
    :param wire_bytes: the same with all headers, tags and overhead.
    :param datagrams: that it takes.
    :param latency_s: median, from the offer of a frame to its delivery.
    :param used_share: part of the budget that frames and their repairs take, 0..1.
    :param payload_share: part of the budget that packets are, 0..1.
    :param repair_share: part of the budget that parity or repeats take, 0..1.
    :param arriving_share: frames of those sent of which all datagrams arrive without repair.
    """

    regime: Regime
    frame_period_s: float
    frame_bytes: int
    wire_bytes: float
    datagrams: int
    latency_s: float
    used_share: float
    payload_share: float
    repair_share: float
    arriving_share: float


class _SteadyWire:
    """Records as they are between two ends that know each other."""

    next_counter = 0

    def __init__(
        self, mtu: int, record_bytes: int, reserve_bytes: int, overhead_bytes: int,
    ) -> None:
        self._room = mtu - record_bytes - reserve_bytes
        self._beside = record_bytes + overhead_bytes

    def room(self, strong: bool, now_ns: int) -> int:
        return self._room

    def bits(self, size: int, now_ns: int) -> int:
        return 8 * (size + self._beside)


def plan(request: PlanRequest) -> LinkPlan:
    """
    Return what a link will do.

    :raises ValueError: when the first layers need more datagrams than a frame may have.
    """
    # What repairs take depends on the frames, and these on what repairs leave.
    planned = _plan(request, 0.0, 0)
    for _ in range(_ROUNDS if request.loss and request.repair is not RepairMode.NONE else 0):
        planned = _plan(request, *_repairs(request, planned))
    return planned


def _plan(request: PlanRequest, repair: float, reserve_bytes: int) -> LinkPlan:
    """
    Return what a link will do whose repairs are known.

    :param repair: bits of parity and repeats per bit of a frame.
    :param reserve_bytes: that are left free in datagrams, for a parity over them to fit.
    """
    size = _sizer(request, reserve_bytes)
    parts, least_bits = size(request.least_bytes)
    if parts > MAX_PARTS:
        raise ValueError(f'{request.least_bytes} bytes need more than {MAX_PARTS} datagrams')
    rate = request.rate_bps / (1.0 + repair)
    fps = min(request.fps, request.target_fps or request.fps)
    share_bits = int(rate * (1.0 - _MARGIN) / request.cameras / fps)
    allowed = _largest(size, share_bits)
    regime, frame_bytes = Regime.SHED, allowed
    if least_bits > share_bits:
        regime, frame_bytes = Regime.DROPPED, request.least_bytes
    elif request.whole_bytes is not None and request.whole_bytes <= allowed:
        regime, frame_bytes = Regime.WHOLE, request.whole_bytes
    parts, bits = size(frame_bytes)
    air_s = bits / rate
    # Frames that fit into less than their share come as often as they are offered.
    shortest_s = max(1.0 / request.fps, request.cameras * air_s)
    period_s = 1.0 / fps if regime is Regime.SHED else shortest_s
    age_s = 0.5 / request.fps if period_s > 1.0 / request.fps else 0.0
    queue = _QUEUE if regime is Regime.SHED else 0.0
    bits_per_s = request.cameras / period_s * bits
    return LinkPlan(
        regime=regime, frame_period_s=period_s, frame_bytes=frame_bytes, wire_bytes=bits / 8,
        datagrams=parts, latency_s=(1.0 + queue) * air_s + age_s + request.delay_s,
        used_share=bits_per_s * (1.0 + repair) / request.rate_bps,
        payload_share=8 * frame_bytes * request.cameras / period_s / request.rate_bps,
        repair_share=bits_per_s * repair / request.rate_bps,
        arriving_share=(1.0 - request.loss) ** parts)


def _repairs(request: PlanRequest, planned: LinkPlan) -> tuple[float, int]:
    """Return bits of parity and repeats per bit of a frame, and bytes left free for parity."""
    config = RepairConfig(mode=request.repair, useful_ns=round(request.useful_s * NS_PER_S))
    datagram_s = 8 * planned.wire_bytes / planned.datagrams / request.rate_bps
    round_trip_s = 2 * request.delay_s + datagram_s
    window_s = request.useful_s - round_trip_s / 2 - 2 * datagram_s
    repeats = 0
    if config.repeats:
        repeats = count_repeats(
            config.useful_ns, round(round_trip_s * NS_PER_S), round(datagram_s * NS_PER_S),
            config.reorder_ns, round(datagram_s * NS_PER_S))
    parity, reserve_bytes = 0.0, 0
    if config.parity and window_s > 0:
        per_s = request.cameras * planned.datagrams / planned.frame_period_s
        sources = max(1, min(MAX_COVERED, round(per_s * window_s)))
        loss = min(_MOST_LOSS, request.loss * _LOSS_RECKONED)
        needed = parities_needed(
            loss, 1.0 / (1.0 - loss), sources, 1,
            min(0.5, config.target / repeat_failure(loss) ** repeats))
        if needed:
            # Each covers all of the window, and leaves when the oldest is due for one.
            parity = (needed + 0.5) / sources
            reserve_bytes = parity_overhead(round(sources * (1.0 + parity)))
    repeated = request.loss / (1.0 - request.loss) if repeats else 0.0
    # Shares are of the budget, of which frames take what repairs leave.
    return (min(parity, config.fec_share / (1.0 - config.fec_share))
            + min(repeated, config.nack_share / (1.0 - config.nack_share))), reserve_bytes


def _sizer(request: PlanRequest, reserve_bytes: int) -> Callable[[int], tuple[int, int]]:
    """Return what says of a packet how many datagrams and bits on the wire it takes."""
    wire = _SteadyWire(
        request.mtu, request.tag_bytes + _SHORT_HEAD_BYTES, reserve_bytes, request.overhead_bytes)
    framer = FrameFramer(wire)
    header, announcement = FrameHeader(0, 0, 0), Announcement(CameraAnnounce(0, 'camera'), 0, 0, 0)
    return lambda length: framer.plan(header, announcement, length, 0)


def _largest(size: Callable[[int], tuple[int, int]], bits: int) -> int:
    """Return how long a packet may be to take no more than so many bits; 0: none may."""
    low, high = 0, bits // 8
    while low < high:
        middle = (low + high + 1) // 2
        parts, taken = size(middle)
        if parts <= MAX_PARTS and taken <= bits:
            low = middle
        else:
            high = middle - 1
    return low
