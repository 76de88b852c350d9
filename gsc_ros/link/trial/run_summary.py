# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run of the link comes to: what got through, when, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import math

from gsc_ros.link.audit import BudgetAudit, Departure
from gsc_ros.link.trial.simulation import Fate, FrameOutcome, LinkRun

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Percentiles:
    """Nearest-rank percentiles of times in seconds; None where there is nothing to rank."""

    p50: float | None
    p90: float | None
    p99: float | None
    maximum: float | None

    @classmethod
    def of(cls, times_ns: Iterable[int]) -> Percentiles:
        """Rank times in nanoseconds."""
        ranked = sorted(times_ns)
        if not ranked:
            return cls(None, None, None, None)
        return cls(*(ranked[max(0, math.ceil(share * len(ranked)) - 1)] / NS_PER_S
                     for share in (0.5, 0.9, 0.99, 1.0)))


@dataclass(frozen=True)
class CameraSummary:
    """
    What became of a camera's frames.

    :param camera: its name.
    :param offered: frames; each was delivered, dropped, lost, or waited when the run ended.
    :param delivered: frames that were handed on.
    :param dropped: given up by the rover: superseded, expired, or not well formed.
    :param lost: begun and never handed on.
    :param waiting: neither begun nor given up.
    :param decodable_share: delivered of those begun, 0..1; None when none was.
    :param frame_period_s: mean time between delivered frames; None when there were less than two.
    :param latency_s: from the offer to the delivery.
    :param mean_bytes: of the delivered packets.
    :param mean_layers: of the delivered packets.
    :param offered_bytes: mean of the packets offered, whole.
    """

    camera: str
    offered: int
    delivered: int
    dropped: int
    lost: int
    waiting: int
    decodable_share: float | None
    frame_period_s: float | None
    latency_s: Percentiles
    mean_bytes: float | None
    mean_layers: float | None
    offered_bytes: float | None


@dataclass(frozen=True)
class DirectionSummary:
    """
    What one end sent.

    :param budget_bps: its budget.
    :param burst_bits: its burst.
    :param datagrams: how many left.
    :param bytes: on the wire, whatever the transport adds included.
    :param bytes_by_kind: the same by what they were for.
    :param used_share: of what the budget allowed while frames were offered, 0..1.
    :param budget_holds: whether no window exceeds the budget.
    :param spare_bits: what the tightest window has left; negative when it exceeds the budget.
    :param tightest_window_s: where that window begins and ends.
    """

    budget_bps: int
    burst_bits: int
    datagrams: int
    bytes: int
    bytes_by_kind: dict[str, int]
    used_share: float
    budget_holds: bool
    spare_bits: float
    tightest_window_s: tuple[float, float]


@dataclass(frozen=True)
class RunSummary:
    """
    A run; shares are of what the budget allowed while frames were offered.

    :param seconds: for how long frames were offered.
    :param cameras: one entry each.
    :param payload_share: bits of packets delivered in that time, 0..1.
    :param decodable_share: frames delivered of those begun, all cameras; None when none was.
    :param parity_share: bits of parity, 0..1.
    :param repeat_share: bits of repeats, 0..1.
    :param loss: share of datagrams lost as the rover measured it at the end, 0..1; None when
        unknown.
    :param round_trip_s: as the rover measured it at the end; None when unknown.
    :param control_latency_s: of control messages.
    :param forward: what the rover sent.
    :param backward: what the ground sent.
    """

    seconds: float
    cameras: tuple[CameraSummary, ...]
    payload_share: float
    decodable_share: float | None
    parity_share: float
    repeat_share: float
    loss: float | None
    round_trip_s: float | None
    control_latency_s: Percentiles
    forward: DirectionSummary
    backward: DirectionSummary


def summarize(run: LinkRun) -> RunSummary:
    """Return what a run comes to, after `LinkRun.run`."""
    until_ns = run.offered_until_ns
    seconds = until_ns / NS_PER_S
    rover = run.measured
    ground = run.ground.statistics(run.now_ns)
    forward_audit, backward_audit = run.audits()
    forward = _direction(run.trace, forward_audit, rover.budget_bps, rover.burst_bits, until_ns)
    allowed_bytes = max(1.0, rover.budget_bps * seconds / 8)
    return RunSummary(
        seconds=seconds,
        cameras=tuple(
            _camera(feed.name, [one for one in run.outcomes if one.camera == number])
            for number, feed in enumerate(run.feeds)),
        payload_share=sum(
            one.delivered_bytes for one in run.outcomes
            if one.fate is Fate.DELIVERED and one.delivered_ns <= until_ns) / allowed_bytes,
        decodable_share=decodable_share(run.outcomes),
        # As `repair.RepairMessage.kind` calls what it adds to the link.
        parity_share=_share(run, 'fec', allowed_bytes),
        repeat_share=_share(run, 'repeat', allowed_bytes),
        loss=_known(rover.loss),
        round_trip_s=_known(rover.round_trip),
        control_latency_s=Percentiles.of(run.controls_ns),
        forward=forward,
        backward=_direction(
            run.back_trace, backward_audit, ground.budget_bps, ground.burst_bits, until_ns))


def decodable_share(outcomes: Sequence[FrameOutcome]) -> float | None:
    """Return the share of begun frames that were delivered, 0..1; None when none was begun."""
    begun = [one for one in outcomes if one.begun_ns is not None]
    delivered = sum(one.fate is Fate.DELIVERED for one in begun)
    return delivered / len(begun) if begun else None


def _share(run: LinkRun, kind: str, allowed_bytes: float) -> float:
    return sum(departure.bits for departure in run.trace if departure.kind == kind
               and departure.time_ns <= run.offered_until_ns) / 8 / allowed_bytes


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _camera(name: str, outcomes: Sequence[FrameOutcome]) -> CameraSummary:
    fates = Counter(one.fate for one in outcomes)
    delivered = sorted(
        (one for one in outcomes if one.fate is Fate.DELIVERED), key=lambda one: one.delivered_ns)
    gaps = len(delivered) - 1
    # A begun frame that the rover gave up has been dropped, but cost the link all the same.
    return CameraSummary(
        camera=name, offered=len(outcomes), delivered=len(delivered),
        dropped=fates[Fate.DROPPED], lost=fates[Fate.SENT], waiting=fates[Fate.WAITING],
        decodable_share=decodable_share(outcomes),
        frame_period_s=(delivered[-1].delivered_ns - delivered[0].delivered_ns) / gaps / NS_PER_S
        if gaps > 0 else None,
        latency_s=Percentiles.of(one.delivered_ns - one.offered_ns for one in delivered),
        mean_bytes=_mean([one.delivered_bytes for one in delivered]),
        mean_layers=_mean([one.layers for one in delivered]),
        offered_bytes=_mean([one.offered_bytes for one in outcomes]))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _direction(
    trace: Sequence[Departure], audit: BudgetAudit, budget_bps: int, burst_bits: int,
    until_ns: int,
) -> DirectionSummary:
    bits: Counter[str] = Counter()
    for departure in trace:
        bits[departure.kind] += departure.bits
    used = sum(departure.bits for departure in trace if departure.time_ns <= until_ns)
    return DirectionSummary(
        budget_bps=budget_bps, burst_bits=burst_bits, datagrams=len(trace),
        bytes=sum(bits.values()) // 8,
        bytes_by_kind={kind: size // 8 for kind, size in sorted(bits.items())},
        used_share=used * NS_PER_S / max(1, budget_bps * until_ns),
        budget_holds=audit.holds, spare_bits=-audit.excess_nanobits / NS_PER_S,
        tightest_window_s=(audit.window_start_ns / NS_PER_S, audit.window_end_ns / NS_PER_S))
