# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a run of the link: latency, size and rate over time, as one SVG file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gsc_ros.demo.plot import chart, HEIGHT, Limit, Series, WIDTH
from gsc_ros.link.trial.simulation import Fate, FrameOutcome, LinkRun

NS_PER_S = 1_000_000_000
COLOURS = ('#2463eb', '#e07b1a', '#17854a', '#8a4fd0', '#c92f2f', '#0f8b99')
_TITLE, _KEY = 26, 18
_STYLE = (
    'svg { background: #ffffff; } text { font: 11px system-ui, sans-serif; fill: #5b6472; }'
    '.title { font-size: 13px; font-weight: 600; fill: #1c2430; } .grid { stroke: #e3e6eb; }'
    '.axis { stroke: #5b6472; } line.limit { stroke: #c92f2f; stroke-dasharray: 5 4; }'
    'text.limit { fill: #c92f2f; }')


def plot(run: LinkRun) -> str:
    """Return the file's content."""
    names = [feed.name for feed in run.feeds]
    of_camera = [[one for one in run.outcomes if one.camera == number]
                 for number in range(len(names))]
    time = 'offered at, s'
    charts = [
        ('Latency of delivered frames', chart(
            [Series(_offered(_delivered(one)), [
                (frame.delivered_ns - frame.offered_ns) / NS_PER_S for frame in _delivered(one)],
                kind='dots', colour=_colour(number))
             for number, one in enumerate(of_camera)], time, 's')),
        ('Bytes of delivered packets', chart(
            [Series(_offered(_delivered(one)), [
                frame.delivered_bytes for frame in _delivered(one)],
                kind='dots', colour=_colour(number))
             for number, one in enumerate(of_camera)], time, 'bytes')),
        ('Frames that were begun and lost', chart(
            [Series(*_per_second(frame.offered_ns for frame in one if frame.fate is Fate.SENT),
                    kind='steps', colour=_colour(number))
             for number, one in enumerate(of_camera)], time, 'frames a second')),
        ('Rate on the link', _rate_chart(run)),
    ]
    height = _KEY + len(charts) * (HEIGHT + _TITLE) + 8
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}"><style>{_STYLE}</style>', _key(names)]
    for place, (title, drawn) in enumerate(charts):
        y = _KEY + place * (HEIGHT + _TITLE) + _TITLE
        parts.append(f'<text class="title" x="8" y="{y - 6}">{title}</text>')
        parts.append(_placed(drawn, y))
    return ''.join(parts) + '</svg>\n'


def _placed(drawn: str, y: int) -> str:
    """Return a chart at its place; one without data comes as a paragraph, which SVG has not."""
    if not drawn.startswith('<svg '):
        return f'<text x="{WIDTH // 2}" y="{y + HEIGHT // 2}" text-anchor="middle">none</text>'
    return drawn.replace('<svg ', f'<svg x="0" y="{y}" width="{WIDTH}" height="{HEIGHT}" ', 1)


def _rate_chart(run: LinkRun) -> str:
    bits: Counter[int] = Counter()
    for departure in run.trace:
        bits[departure.time_ns // NS_PER_S] += departure.bits
    seconds = range(1 + run.now_ns // NS_PER_S)
    budget = run.rover.statistics(run.now_ns).budget_bps
    return chart([Series(seconds, [bits[second] for second in seconds], kind='steps',
                         colour='#5b6472')],
                 'time, s', 'bits in each second', Limit(budget, 'budget'))


def _per_second(times_ns: Iterable[int]) -> tuple[Sequence[int], list[int]]:
    counts = Counter(time_ns // NS_PER_S for time_ns in times_ns)
    seconds = range(1 + max(counts, default=-1))
    return seconds, [counts[second] for second in seconds]


def _delivered(outcomes: Sequence[FrameOutcome]) -> list[FrameOutcome]:
    return [one for one in outcomes if one.fate is Fate.DELIVERED]


def _offered(outcomes: Sequence[FrameOutcome]) -> list[float]:
    return [one.offered_ns / NS_PER_S for one in outcomes]


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _key(names: Sequence[str]) -> str:
    step = max(60, WIDTH // max(1, len(names)))
    return ''.join(
        f'<circle cx="{12 + number * step}" cy="10" r="4" fill="{_colour(number)}"/>'
        f'<text x="{20 + number * step}" y="14">{name}</text>'
        for number, name in enumerate(names))
