# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check a trace of departures against the budget, in every window of any length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import csv
from dataclasses import dataclass
from pathlib import Path

NS_PER_S = 1_000_000_000
TRACE_HEADER = ('time_ns', 'bits', 'kind')


@dataclass(frozen=True)
class Departure:
    """
    One datagram that left.

    :param time_ns: monotonic time of departure.
    :param bits: its size on the wire, transport overhead included.
    :param kind: what it was: frame, announcement, heartbeat, receipt, control, region, background,
        fec, repeat or nack.
    """

    time_ns: int
    bits: int
    kind: str


@dataclass(frozen=True)
class BudgetStep:
    """The budget that holds from ``time_ns`` on."""

    time_ns: int
    rate_bps: int
    burst_bits: int


@dataclass(frozen=True)
class BudgetAudit:
    """
    The verdict on a trace.

    :param departures: how many datagrams were examined.
    :param bits: their total size.
    :param span_ns: time from the first to the last departure.
    :param excess_nanobits: the most by which any window exceeds ``rate * window + burst``, in
        1e-9 bit; negative when every window has room left.
    :param window_start_ns: where the tightest window begins.
    :param window_end_ns: where the tightest window ends.
    """

    departures: int
    bits: int
    span_ns: int
    excess_nanobits: int
    window_start_ns: int
    window_end_ns: int

    @property
    def holds(self) -> bool:
        """Return whether no window exceeds the budget."""
        return self.excess_nanobits <= 0


def verify_budget(
    departures: Iterable[Departure],
    rate_bps: int,
    burst_bits: int,
    changes: Sequence[BudgetStep] = (),
) -> BudgetAudit:
    """
    Audit a trace: in every closed window, bits <= rate * window + burst.

    One pass suffices. The backlog ``W = max(0, W - rate * dt) + bits`` of a queue drained at the
    budget equals, after each departure, the largest excess over ``rate * window`` of all windows
    that end there (Lindley's recursion); the budget holds when it never passes the burst. After a
    change of burst the backlog moves with it, because credit is not created by a larger bucket.

    :param departures: the trace, in order of time; a step back in time counts as no time.
    :param rate_bps: budget in bit/s at the beginning.
    :param burst_bits: burst in bits at the beginning.
    :param changes: live changes of the budget, in order of time.
    """
    pending = list(changes)
    start = end = last = first = 0
    backlog = backlog_start = 0
    count = total = 0
    excess = -burst_bits * NS_PER_S
    for departure in departures:
        if count == 0:
            first = last = departure.time_ns
        now = max(last, departure.time_ns)
        while pending and pending[0].time_ns <= now:
            step = pending.pop(0)
            moment = max(last, step.time_ns)
            backlog = max(0, backlog - rate_bps * (moment - last))
            if count:
                backlog = max(0, backlog + (step.burst_bits - burst_bits) * NS_PER_S)
            rate_bps, burst_bits, last = step.rate_bps, step.burst_bits, moment
        backlog -= rate_bps * (now - last)
        if backlog <= 0:
            backlog, backlog_start = 0, now
        backlog += departure.bits * NS_PER_S
        count, total, last = count + 1, total + departure.bits, now
        if count == 1 or backlog - burst_bits * NS_PER_S > excess:
            excess, start, end = backlog - burst_bits * NS_PER_S, backlog_start, now
    return BudgetAudit(count, total, last - first, excess, start, end)


def write_trace(path: Path, departures: Iterable[Departure]) -> None:
    """Write a trace as CSV with the columns `TRACE_HEADER`."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(TRACE_HEADER)
        writer.writerows((d.time_ns, d.bits, d.kind) for d in departures)


def read_trace(path: Path) -> list[Departure]:
    """
    Read a CSV trace, as `write_trace` or the bridge's ``trace_file`` leaves it.

    A last line without its newline is left out: its writer may have been killed in the middle.

    :raises ValueError: when another line is not ``time_ns,bits,kind``.
    """
    lines = path.read_text().splitlines(keepends=True)
    whole = [line.rstrip('\r\n') for line in lines if line.endswith('\n')]
    trace = []
    for number, row in enumerate(csv.reader(whole), start=1):
        if tuple(row) == TRACE_HEADER:
            continue
        if len(row) != len(TRACE_HEADER):
            raise ValueError(f'{path}:{number}: expected {",".join(TRACE_HEADER)}')
        try:
            trace.append(Departure(int(row[0]), int(row[1]), row[2]))
        except ValueError as error:
            raise ValueError(f'{path}:{number}: {error}') from error
    return trace
