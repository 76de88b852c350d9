# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A channel that was recorded: rate and loss over time, from a CSV file.

The first line names the columns: ``time_s`` and one or both of ``rate_bps`` and ``loss``. A row
holds from its time to that of the next one; the first one also before, the last one for ever::

    time_s,rate_bps,loss
    0,9600,0.01
    12.5,0,0
    14,2400,0.2

A rate of 0 is a pause: what is being sent goes on when the rate comes back.
"""

from __future__ import annotations

from bisect import bisect_right
import csv
from dataclasses import dataclass
from pathlib import Path

NS_PER_S = 1_000_000_000
MAX_STEPS = 1_000_000
MAX_RATE_BPS = 10 ** 12


@dataclass(frozen=True)
class ChannelTrace:
    """
    Rate and loss over time.

    :param times_ns: when each step begins, ascending.
    :param rates_bps: bit/s of each step; empty when the trace has no rate.
    :param losses: probability 0..1 of each step; empty when the trace has none.
    :raises ValueError: when a value is out of range, or the last rate is 0.
    """

    times_ns: tuple[int, ...]
    rates_bps: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.times_ns or any(b <= a for a, b in zip(self.times_ns, self.times_ns[1:])):
            raise ValueError('a trace needs at least one row, and ascending times')
        for values in (self.rates_bps, self.losses):
            if values and len(values) != len(self.times_ns):
                raise ValueError('a trace needs as many values as times')
        if not all(0 <= rate <= MAX_RATE_BPS for rate in self.rates_bps):
            raise ValueError(f'rate_bps must be within 0..{MAX_RATE_BPS}')
        if not all(0.0 <= loss <= 1.0 for loss in self.losses):
            raise ValueError('loss must be within 0..1')
        if self.rates_bps and not self.rates_bps[-1]:
            raise ValueError('the last rate_bps must not be 0: nothing would ever pass again')

    def loss(self, time_ns: int) -> float:
        """Return the probability of loss at a time."""
        return self.losses[self._step(time_ns)] if self.losses else 0.0

    def finish_ns(self, begin_ns: int, bits: int) -> int:
        """Return when the last of so many bits has left that begin to leave at ``begin_ns``."""
        step, now_ns, left = self._step(begin_ns), begin_ns, bits * NS_PER_S
        while step + 1 < len(self.times_ns):
            carried = self.rates_bps[step] * (self.times_ns[step + 1] - now_ns)
            if carried >= left:
                break
            step, now_ns, left = step + 1, self.times_ns[step + 1], left - carried
        return now_ns if left <= 0 else now_ns + -(-left // self.rates_bps[step])

    def _step(self, time_ns: int) -> int:
        return max(0, bisect_right(self.times_ns, time_ns) - 1)


def read_channel_trace(path: Path) -> ChannelTrace:
    """
    Read a CSV file as the module's docstring describes.

    :raises ValueError: when it is not such a file; the message names the line.
    :raises OSError: when it cannot be read.
    """
    with path.open(newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        columns = set(reader.fieldnames or ())
        if 'time_s' not in columns or not columns & {'rate_bps', 'loss'} or (
                columns - {'time_s', 'rate_bps', 'loss'}):
            raise ValueError(
                f'{path}: the first line must be time_s and rate_bps or loss, separated by commas')
        times, rates, losses = [], [], []
        for row in reader:
            if len(times) == MAX_STEPS:
                raise ValueError(f'{path}: more than {MAX_STEPS} rows')
            try:
                times.append(round(float(row['time_s']) * NS_PER_S))
                if 'rate_bps' in columns:
                    rates.append(round(float(row['rate_bps'])))
                if 'loss' in columns:
                    losses.append(float(row['loss']))
            except (TypeError, ValueError, OverflowError):
                raise ValueError(
                    f'{path}:{reader.line_num}: not a row of numbers') from None
    try:
        return ChannelTrace(tuple(times), tuple(rates), tuple(losses))
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
