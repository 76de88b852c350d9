# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of key regions: what each says, what it refuses, and several at once."""

from __future__ import annotations

from pathlib import Path
import threading
import time

from gsc_ros.codec.region.region import FULL_WEIGHT, KeyRegion
from gsc_ros.perception.network.label import COCO
from gsc_ros.perception.network.network import Detected, NetworkError, Task
from gsc_ros.perception.source.agreement import AgreementJudge
from gsc_ros.perception.source.class_id import class_ids, class_name
from gsc_ros.perception.source.detector import DetectorSource
from gsc_ros.perception.source.held import Held
from gsc_ros.perception.source.merge import merge, Merged
from gsc_ros.perception.source.opening import open_source, open_sources
from gsc_ros.perception.source.source import SourceError
from gsc_ros.perception.source.told import Told
from gsc_ros.perception.source.zones import parse_zones
from gsc_ros.sources.sequence import read_image
import numpy as np
import pytest
from shared_data import kitti_drive, shared_data

IMAGE = np.zeros((100, 200, 3), np.uint8)
S = 10 ** 9


class Finder:
    """A detector that answers as it is told."""

    task, name, identity, min_score = Task.DETECTION, 'finder', 'finder', 0.1

    def __init__(self, *found, classes=('person', 'rover', 'car')):
        self.classes = classes
        self._found = found

    def __call__(self, image):
        boxes, kinds, scores = zip(*self._found) if self._found else ((), (), ())
        return Detected(np.array(boxes, np.float32).reshape(-1, 4), np.array(kinds, np.int64),
                        np.array(scores, np.float32))


class Labeller:
    """A segmenter that answers with a class map."""

    task, name, identity = Task.SEGMENTATION, 'labeller', 'labeller'
    classes = ('background', 'aeroplane', 'person')

    def __init__(self, labels):
        self._labels = labels

    def __call__(self, image):
        return self._labels


class Broken:
    """A source that cannot answer."""

    name = 'broken'

    def find(self, image, stamp_ns):
        raise SourceError('no picture today')


class Counting:
    """A source that counts how often it is asked."""

    name = 'counting'

    def __init__(self):
        self.asked = 0

    def find(self, image, stamp_ns):
        self.asked += 1
        return [KeyRegion((0, 0, self.asked, 10), source=self.name)]


def test_classes_have_cocos_numbers_whatever_the_networks_order():
    assert class_ids(COCO) == list(range(80))
    assert class_ids(('car', 'rover', 'Aeroplane', 'rock')) == [2, 80, 4, 81]
    assert class_ids([f'part {number}' for number in range(200)])[175:177] == [255, None]


def test_a_number_of_a_class_has_a_name():
    assert [class_name(0), class_name(79), class_name(None)] == ['person', 'toothbrush', '']
    assert [class_name(80), class_name(80, ['rover'])] == ['class 80', 'rover']


def test_a_detectors_boxes_weigh_as_much_as_they_are_certain():
    source = DetectorSource(Finder(((10, 20, 60, 90), 2, 0.8), ((-5, 0, 300, 50), 1, 0.5)))
    car, rover = source.find(IMAGE, 0)
    assert car.box == (10, 20, 60, 90) and car.class_id == 2 and car.source == 'detector'
    assert car.weight == pytest.approx(0.8 * FULL_WEIGHT) and car.score == pytest.approx(0.8)
    assert rover.box == (0, 0, 200, 50) and rover.class_id == 80


def test_a_detectors_empty_boxes_are_left_out_and_the_most_certain_kept():
    found = [((10, 10, 10, 40), 0, 0.9), ((250, 10, 300, 40), 0, 0.9)]
    found += [((index, 0, index + 9, 9), 0, 0.8 - index / 100) for index in range(9)]
    assert len(DetectorSource(Finder(*found), most=4).find(IMAGE, 0)) == 4
    assert DetectorSource(Finder(*found[:2])).find(IMAGE, 0) == []
    assert DetectorSource(Finder()).find(IMAGE, 0) == []


def test_a_segmenters_patches_are_regions_but_neither_background_nor_specks():
    labels = np.zeros((100, 200), np.int32)
    labels[10:40, 20:60] = 2
    labels[50:90, 100:180] = 1
    labels[95, 5] = 2
    plane, person = DetectorSource(Labeller(labels)).find(IMAGE, 0)
    assert plane.box == (100, 50, 180, 90) and plane.class_id == 4
    assert person.box == (20, 10, 60, 40) and person.class_id == 0 and person.score is None


def test_a_network_for_depth_is_no_source():
    network = Finder()
    network.task = Task.DEPTH
    with pytest.raises(SourceError, match='depth'):
        DetectorSource(network)


def test_what_a_network_cannot_do_is_a_sources_error():
    def fail(image):
        raise NetworkError('out of memory')

    network = type('Failing', (Finder,), {'__call__': lambda self, image: fail(image)})()
    with pytest.raises(SourceError, match='out of memory'):
        DetectorSource(network).find(IMAGE, 0)


class Brightness(Finder):
    """Finds one object on the bright side of a picture; counts how often it looks."""

    looks = 0

    def __call__(self, image):
        self.looks += 1
        left = image[:, :100].mean() > image[:, 100:].mean()
        self._found = [((0, 0, 50, 50) if left else (100, 0, 150, 50), 0, 0.9)] if (
            image.any()) else []
        return super().__call__(image)


def test_a_judge_says_how_much_of_the_frame_a_detector_still_sees():
    network = Brightness()
    left, right = IMAGE.copy(), IMAGE.copy()
    left[:, :100], right[:, 100:] = 200, 200
    judge = AgreementJudge(network, left)
    assert (judge(left // 2), judge(right), judge(IMAGE)) == (1, 0, 0)
    assert AgreementJudge(network, IMAGE)(IMAGE) == 1, 'nothing is seen in either'


def test_a_source_that_found_something_need_not_look_again_to_judge():
    network, image = Brightness(), IMAGE + 1
    source = DetectorSource(network)
    source.find(image, 0)
    assert source.judge(image)(image) == 1 and network.looks == 2
    source.judge(image.copy())
    assert network.looks == 3, 'another frame'


def test_a_segmenter_is_no_judge():
    labels = np.zeros((100, 200), np.int32)
    with pytest.raises(SourceError, match='segmentation'):
        DetectorSource(Labeller(labels)).judge(IMAGE)


def test_zones_are_shares_of_any_picture_and_rank_by_importance():
    strip, gripper = parse_zones('0,0.4,1,0.6,0.25; 0.5,0.5,0.75,1').find(IMAGE, 0)[::-1]
    assert strip.box == (0, 40, 200, 60) and strip.weight == FULL_WEIGHT / 4
    assert gripper.box == (100, 50, 150, 100) and gripper.weight == FULL_WEIGHT
    assert gripper.source == 'zones'


@pytest.mark.parametrize('text', [
    '', '0,0,1', '0,0,1,nan', '0.5,0,0.5,1', '0,0,1.5,1', '0,0,1,1,0', '0,0,1,1,2', 'a,b,c,d',
    ';'.join(['0,0,1,1'] * 17)])
def test_bad_zones_are_refused(text: str):
    with pytest.raises(SourceError, match='zone'):
        parse_zones(text)


def test_what_was_told_is_scaled_to_the_picture_and_cut_at_its_edge():
    told = Told('topic', ttl_s=1)
    told.tell([KeyRegion((100, 100, 500, 300), class_id=0)], 400, 200, 5 * S)
    (region,) = told.find(IMAGE, 5 * S)
    assert region.box == (50, 50, 200, 100)
    assert region.source == 'topic' and region.class_id == 0


def test_what_was_told_is_forgotten_either_way_of_the_clock():
    told = Told('topic', ttl_s=1)
    told.tell([KeyRegion((0, 0, 9, 9))], 200, 100, 10 * S)
    assert len(told.find(IMAGE, 11 * S)) == len(told.find(IMAGE, 9 * S)) == 1
    assert told.find(IMAGE, 12 * S) == told.find(IMAGE, 2 * S) == []
    told.clear()
    assert told.find(IMAGE, 10 * S) == []


def test_a_topic_replaces_and_a_request_adds():
    topic, request = Told('topic', 1), Told('request', 1, replaces=False)
    for told in (topic, request):
        told.tell([KeyRegion((0, 0, 9, 9))], 200, 100, 0)
        told.tell([KeyRegion((50, 50, 90, 90))], 200, 100, S // 2, ttl_s=3)
    assert [region.box[0] for region in topic.find(IMAGE, S // 2)] == [50]
    assert [region.box[0] for region in request.find(IMAGE, S // 2)] == [50, 0]
    assert [region.box[0] for region in request.find(IMAGE, 2 * S)] == [50]
    topic.tell([], 200, 100, S)
    assert topic.find(IMAGE, S) == []


def test_a_flood_of_requests_is_bounded():
    told = Told('request', 1000, replaces=False, most=3)
    for index in range(100):
        told.tell([KeyRegion((index, 0, index + 5, 9))] * 5, 200, 100, 0)
    assert [region.box[0] for region in told.find(IMAGE, 0)] == [99, 99, 99]


def test_told_by_threads_while_asked():
    told = Told('request', 10, replaces=False)

    def talk():
        for _ in range(200):
            told.tell([KeyRegion((0, 0, 9, 9))], 200, 100, 0)

    threads = [threading.Thread(target=talk) for _ in range(4)]
    for thread in threads:
        thread.start()
    answers = [len(told.find(IMAGE, 0)) for _ in range(200)]
    for thread in threads:
        thread.join()
    assert max(answers) <= 16 and len(told.find(IMAGE, 0)) == 16


@pytest.mark.parametrize('ttl_s', [0, -1, float('nan')])
def test_a_time_to_live_is_positive(ttl_s: float):
    with pytest.raises(SourceError):
        Told('topic', ttl_s)
    with pytest.raises(SourceError):
        Told('topic', 1).tell([], 200, 100, 0, ttl_s)


def test_a_slow_source_is_asked_once_a_period():
    slow = Counting()
    held = Held(slow, period_s=0.5)
    stamps = [0, S // 10, S // 5, S // 2, 3 * S // 5]
    assert [held.find(IMAGE, stamp)[0].box[2] for stamp in stamps] == [1, 1, 1, 2, 2]
    assert held.find(IMAGE, 0)[0].box[2] == 3, 'the clock went back'
    assert held.find(IMAGE[:50], 0)[0].box[2] == 4, 'another picture'


def test_a_slow_source_that_fails_is_not_asked_again_at_once():
    held = Held(Broken(), 1)
    with pytest.raises(SourceError):
        held.find(IMAGE, 0)
    assert held.find(IMAGE, S // 2) == []


def test_boxes_of_one_thing_become_one_with_the_class_that_one_source_knows():
    seen = KeyRegion((10, 10, 50, 50), 20, 'importance')
    known = KeyRegion((12, 10, 50, 52), 15, 'detector', 2, 0.5)
    (region,) = merge([seen, known])
    assert region.class_id == 2 and region.box == known.box and region.weight == 20


def test_things_of_two_classes_stay_two_and_a_zone_swallows_no_object():
    rider = KeyRegion((10, 10, 50, 50), 20, 'detector', 0, 0.9)
    bicycle = KeyRegion((10, 12, 50, 52), 18, 'detector', 1, 0.8)
    zone = KeyRegion((0, 0, 200, 60), 32, 'zones')
    inside = KeyRegion((60, 10, 80, 30), 5, 'importance')
    merged = merge([inside, bicycle, zone, rider])
    assert merged == [zone, rider, bicycle]


def test_sources_are_ranked_together_and_bounded():
    class Many:
        name = 'many'

        def find(self, image, stamp_ns):
            return [KeyRegion((9 * index, 0, 9 * index + 8, 9), 1 + index) for index in range(20)]

    found = Merged([Many(), parse_zones('0,0.5,1,1,0.5')], most=6).find(IMAGE, 0)
    assert [region.weight for region in found] == [20, 19, 18, 17, 16, 16]


@pytest.mark.parametrize('failure', [IndexError('80'), TypeError('None'), MemoryError('room')])
def test_a_source_that_fails_in_a_way_of_its_own_is_named_too(failure: Exception):
    class Odd:
        name = 'odd'

        def find(self, image, stamp_ns):
            raise failure

    merged = Merged([Odd(), parse_zones('0,0,1,1')])
    assert [region.source for region in merged.find(IMAGE, 0)] == ['zones']
    assert merged.failures == {'odd': 1} and merged.error == f'odd: {failure!r}'


def test_what_was_told_of_the_end_of_the_world_is_cut_at_the_edge():
    told = Told('topic', 1)
    told.tell([KeyRegion((-1e308, 5, 1e308, 1e308)), KeyRegion((1, 1, 9, 9))], 20, 10, 0)
    assert [region.box for region in told.find(IMAGE, 0)] == [
        (0, 50, 200, 100), (10, 10, 90, 90)]


@pytest.mark.parametrize('kind', [-1, 3, 10 ** 6])
def test_a_class_that_a_network_has_no_name_for_is_none(kind: int):
    region, = DetectorSource(Finder(((10, 10, 30, 40), kind, 0.8))).find(IMAGE, 0)
    assert region.class_id is None and region.weight == pytest.approx(0.8 * FULL_WEIGHT)


def test_a_flood_of_boxes_does_not_hold_up_a_frame():
    flood = [KeyRegion((13 * (at % 60), 13 * (at // 60), 13 * (at % 60) + 12, 13 * (at // 60) + 12),
                       1 + at % 7) for at in range(2000)]
    start = time.monotonic()
    merged = merge([*flood, KeyRegion(flood[6].box, 0.5, 'topic', 2, 0.1)], 32)
    assert time.monotonic() - start < 2
    assert [region.weight for region in merged] == [7] * 32
    assert [region.class_id for region in merged] == [2] + [None] * 31, 'the lightest names one'


def test_a_source_that_fails_is_counted_and_the_others_still_speak():
    merged = Merged([Broken(), parse_zones('0,0,1,1')])
    for _ in range(3):
        assert len(merged.find(IMAGE, 0)) == 1
    assert merged.failures == {'broken': 3} and 'no picture today' in merged.error


@pytest.mark.parametrize('failure', [RuntimeError('Gather'), IndexError('0'), NetworkError('no')])
def test_a_network_that_fails_in_any_way_is_a_source_that_fails(failure: Exception):
    class Failing(Finder):
        def __call__(self, image):
            if image.any():
                raise failure
            return super().__call__(image)

    source = DetectorSource(Failing())
    source.find(IMAGE, 0)
    with pytest.raises(SourceError, match=str(failure)):
        source.find(IMAGE + 1, 0)
    with pytest.raises(SourceError, match=str(failure)):
        source.judge(IMAGE)(IMAGE + 1)


@pytest.mark.parametrize('words', [
    'importanse', 'importance:', 'detector', 'detector:', 'zones', 'zones:', '',
    'detector:/nowhere/x.onnx', 'zones:1,2,3,4', 'detector:' + 5000 * 'x'])
def test_words_that_are_no_source_are_refused(words: str):
    with pytest.raises(SourceError):
        open_source(words)


def test_a_directory_that_is_no_detector_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match='config.json'):
        open_source(f'detector:{tmp_path}')
    for text in ('[', '[]', '{}', '{"architectures": 3}',
                 '{"architectures": ["DepthAnythingForDepthEstimation"]}'):
        (tmp_path / 'config.json').write_text(text)
        with pytest.raises(SourceError):
            open_source(f'detector:{tmp_path}')


@pytest.mark.skipif(shared_data('nets') is None or kitti_drive() is None, reason='no shared data')
def test_a_detector_from_a_file_sees_the_cars_of_a_drive():
    source = open_sources([f'detector:{shared_data("nets/fastestdet_coco.onnx")}'])
    image = read_image(sorted((kitti_drive() / 'image_02' / 'data').iterdir())[0])
    regions = source.find(image, 0)
    assert class_name(regions[0].class_id) == 'car'
    assert all(one.weight >= other.weight for one, other in zip(regions, regions[1:]))
