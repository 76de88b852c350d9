# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the report of a comparison says of detections and of key regions."""

from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.evaluation.content import as_json
from gsc_ros.evaluation.page import page
from gsc_ros.evaluation.plan import Codec, Comparison, Outcome, Plan, Point
from gsc_ros.evaluation.region_source import Found
import numpy as np

WIDTH, HEIGHT = 200, 100
RUN = {'input': 'drive', 'command': 'gsc bench drive', 'versions': {}, 'detector': 'judge.onnx',
       'min_score': 0.5}
FOUND = Found('zones:<b>', ((KeyRegion((0.0, 0.0, 9.0, 9.0)), KeyRegion((1.0, 1.0, 9.0, 9.0))),),
              (4.0,))


def plan(**changes):
    """Return a plan for one picture."""
    return Plan([np.zeros((HEIGHT, WIDTH, 3), np.uint8)], 10.0,
                **{'mode': 'stills', 'rates': (0.4, 0.8), 'downscales': (1.0,), **changes})


def comparison(*points, regions=True):
    """Return a comparison of ours, ours with regions, and a peer."""
    codecs = [Codec('gsc', 'gsc', 'ours', own=True), Codec('av1', 'AV1', 'theirs')]
    if regions:
        codecs.insert(1, Codec('gsc-regions', 'gsc regions', 'ours', own=True))
    return Comparison(tuple(codecs), tuple(map(Outcome, points)))


def point(codec, rate, f1, **figures):
    """Return a point of a limited packet."""
    return Point(codec, f'at most {rate:g} bpp', bpp=rate, kbps=rate, psnr=20.0, ssim=0.5, f1=f1,
                 encode_ms=9.0, **figures)


WITH_F1 = (point('gsc', 0.4, 0.1), point('gsc', 0.8, 0.3), point('gsc-regions', 0.4, 0.3),
           point('gsc-regions', 0.8, 0.7), point('av1', 0.4, 0.05), point('av1', 0.8, 0.3))


def test_what_detections_cost_is_told_in_bytes_of_a_frame_beside_the_best_peer():
    shown = page(comparison(*WITH_F1), plan(regions=FOUND), RUN, {})
    assert 'What detections cost' in shown
    # 0.4 bit per pixel of 200 x 100 are 1000 bytes, 0.8 twice as many.
    row = shown[shown.index('<th>gsc regions</th>'):]
    row = row[row.index('<td>0.3</td>'):].partition('</tr>')[0]
    assert row == '<td>0.3</td><td>1,000</td><td>2,000, AV1</td><td>0.50</td>'


def test_rates_of_video_are_told_in_kbit_per_second():
    shown = page(comparison(*WITH_F1), plan(mode='stream'), RUN, {})
    row = shown[shown.index('<th>gsc regions</th>'):]
    row = row[row.index('<td>0.3</td>'):].partition('</tr>')[0]
    assert row == '<td>0.3</td><td>0.4</td><td>0.8, AV1</td><td>0.50</td>'
    assert 'Kbit/s at which' in shown


def test_without_a_detector_nothing_is_said_of_detections():
    points = [Point(one.codec, one.setting, bpp=one.bpp, kbps=one.bpp, psnr=20.0, ssim=0.5)
              for one in WITH_F1]
    assert 'What detections cost' not in page(comparison(*points), plan(), RUN, {})


def test_what_regions_change_stands_beside_the_same_limit():
    shown = page(comparison(*WITH_F1), plan(regions=FOUND), RUN, {})
    table = shown[shown.index('What key regions change'):].partition('</table>')[0]
    assert '<td>gsc regions at 0.4 bit per pixel</td><td>+0.200</td><td>–</td>' in table
    assert '<td>gsc regions at 0.8 bit per pixel</td><td>+0.400</td><td>–</td>' in table


def test_without_regions_nothing_is_said_of_them():
    points = [one for one in WITH_F1 if one.codec != 'gsc-regions']
    shown = page(comparison(*points, regions=False), plan(), RUN, {})
    assert 'key regions' not in shown.lower()


def test_where_the_regions_come_from_is_told_and_escaped():
    shown = page(comparison(*WITH_F1), plan(regions=FOUND), RUN, {})
    assert 'zones:&lt;b&gt;' in shown and 'zones:<b>' not in shown
    assert '2.0 a frame' in shown


def test_json_holds_the_same():
    content = as_json(comparison(*WITH_F1), plan(regions=FOUND), dict(RUN))
    assert content['regions'] == {
        'source': 'zones:<b>', 'objects': False, 'count': 2.0, 'milliseconds': 4.0}
    row = next(row for row in content['equal_f1']
               if (row['codec'], row['f1']) == ('gsc-regions', 0.3))
    assert (row['rate'], row['best'], row['ratio']) == (0.4, 'av1', 0.5)
    assert [one['f1'] for one in content['region_costs']] == [
        0.3 - 0.1, 0.7 - 0.3]
    assert as_json(comparison(*WITH_F1), plan(), dict(RUN))['regions'] is None
