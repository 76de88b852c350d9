# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The bars of the key regions, read off what `gsc bench` wrote.

Equal accuracy is read off envelopes, as `gsc_ros.evaluation.equal_quality` does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gsc_ros.evaluation.curve import envelope, Knot, quality_at

MOST_ADDED_MS = 60.0
MOST_SIMILARITY_LOST = 0.02
MOST_FALL = 0.1
LEAST_GAIN = 2.0

Content = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    """
    A bar.

    :param name: of what.
    :param must: what is asked for.
    :param found: what was measured.
    :param holds: whether that is enough.
    """

    name: str
    must: str
    found: str
    holds: bool


def ways(content: Content, codec: str) -> list[str]:
    """Return a codec of ours, and the one that its detector judges, as far as they were run."""
    run = {point['codec'] for point in content['points']}
    return [name for name in (codec, f'{codec}-agreement') if name in run]


def half_the_bytes(content: Content, name: str, codec: str, share: float = 0.5) -> Bar:
    """Compare frames that stand alone with the best peer still."""
    return Bar(name, f'F1 of the best peer still at {share:g} of its bytes, at two points',
               *_equal(content, codec, share, 2, None))


def as_x265(content: Content, name: str, codec: str, share: float, points: int) -> Bar:
    """Compare with x265 veryslow."""
    where = 'at two points' if points > 1 else 'at one point'
    return Bar(name, f'F1 of x265 veryslow at {share:g} of its bits, {where}',
               *_equal(content, codec, share, points, 'x265'))


def similar_whole(content: Content, name: str, codec: str) -> Bar:
    """Compare the whole frame's MS-SSIM with that of the same bytes without regions."""
    gains = {row['rate']: row['ms_ssim'] for row in content['region_costs']
             if row['codec'] == codec and row['ms_ssim'] is not None}
    must = f'MS-SSIM at most {MOST_SIMILARITY_LOST:g} below the same bytes without regions'
    found = ', '.join(f'{_bytes(content, rate):.0f} B {gain:+.3f}' for rate, gain in gains.items())
    return Bar(name, must, found or 'not measured',
               bool(gains) and min(gains.values()) >= -MOST_SIMILARITY_LOST)


def time_added(content: Content, name: str, codec: str) -> Bar:
    """Look at the time that regions and their search add to an encoding."""
    added = [row['encode_ms'] for row in content['region_costs'] if row['codec'] == codec]
    must = f'at most {MOST_ADDED_MS:g} ms added to the encoding of a frame'
    if not added:
        return Bar(name, must, 'not measured', False)
    looked = content['regions']['milliseconds']
    middle = sorted(added)[len(added) // 2]
    return Bar(name, must, f'{middle:.0f} ms (median of rates; {min(added):.0f} to '
               f'{max(added):.0f}), of which {looked:.0f} ms search by '
               f'{content["regions"]["source"]}', middle <= MOST_ADDED_MS)


def fall_under_loss(whole: Content, lossy: Content, codec: str) -> Bar:
    """
    Compare F1 over a link that loses packets with F1 over one that does not.

    :param whole: of a run without losses, at the same rate.
    :param codec: one of ours.
    """
    must = f'F1 falls by at most {100 * MOST_FALL:g} %'
    falls = {}
    for name in (codec, 'x265-low-delay'):
        best = [max((point['f1'] or 0.0 for point in run['points'] if point['codec'] == name and (
            point['kbps'] or 0) <= 1.1 * run['at_rates'][0]['rate']), default=0.0)
            for run in (whole, lossy)]
        if best[0]:
            falls[name] = (*best, 1 - best[1] / best[0])
    found = '; '.join(f'{name} {before:.2f} to {after:.2f} ({-100 * fall:+.0f} %)'
                      for name, (before, after, fall) in falls.items())
    ours = falls.get(codec)
    share = lossy['link']['loss']
    return Bar(f'slow drive, {codec}, {100 * share:g} % lost', must, found or 'nothing found',
               ours is not None and ours[2] <= MOST_FALL)


def at_budget(video: Content, alone: Content, size: int, judged: bool) -> Bar:
    """
    Compare at one frame a second and a fixed number of bytes.

    :param video: frames coded from the ones before.
    :param alone: frames that stand alone.
    :param size: bytes of a frame.
    :param judged: whether of ours those count that a detector judges, or the others.
    """
    best: dict[str, float] = {}
    for content in (video, alone):
        for codec in content['codecs']:
            reached = quality_at(_f1(content, codec['name'], 'bytes'), size)
            if reached is not None:
                best[codec['name']] = max(best.get(codec['name'], 0.0), reached)
    ours = {name: f1 for name, f1 in best.items() if name.startswith('gsc') and 'regions' in name
            and name.endswith('agreement') == judged}
    peers = {name: f1 for name, f1 in best.items() if not name.startswith('gsc')}
    name = 'one frame a second' + (', agreement' if judged else '')
    must = f'F1 at {size} bytes a frame at least {LEAST_GAIN:g} times that of any peer'
    if not ours or not peers:
        return Bar(name, must, 'not measured', False)
    one, rival = max(ours, key=ours.get), max(peers, key=peers.get)
    return Bar(name, must, f'{one} {ours[one]:.2f}, best peer {rival} {peers[rival]:.2f}',
               ours[one] > 0 and ours[one] >= LEAST_GAIN * peers[rival])


def _equal(content: Content, codec: str, share: float, points: int,
           peer: str | None) -> tuple[str, bool]:
    """Return what was found at equal F1, and whether enough levels hold."""
    ratios = {}
    for row in content['equal_f1']:
        name = peer or row['best']
        if row['codec'] == codec and row['rate'] is not None and name in row['peers']:
            ratios[row['f1']] = (row['rate'] / row['peers'][name], name)
    found = ', '.join(f'F1 {level:g}: {ratio:.2f} of {name}'
                      for level, (ratio, name) in ratios.items())
    best = max((_f1_reached(content, codec)), default=0.0)
    holding = sum(ratio <= share for ratio, _ in ratios.values())
    return found or f'no F1 that both reach; ours gets to {best:.2f}', holding >= points


def _f1_reached(content: Content, codec: str) -> Sequence[float]:
    return [quality for _, quality in _f1(content, codec, 'bytes')]


def _f1(content: Content, codec: str, field: str) -> list[Knot]:
    return envelope((point[field], point['f1']) for point in content['points']
                    if point['codec'] == codec and point['f1'] is not None)


def _bytes(content: Content, bpp: float) -> float:
    return bpp * content['width'] * content['height'] / 8
