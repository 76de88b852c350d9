# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects as messages, with vision_msgs and without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import math
from pathlib import Path
import sys
from types import ModuleType
from typing import Any

from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.codec.region.region import FULL_WEIGHT
from gsc_ros.msg import DetectedObject, DetectedObjectArray
from gsc_ros.nodes import detection
from gsc_ros.perception.network.network import NetworkError
import pytest
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

CAR = ObjectBox(2, 0.8125, (0.25, 0.5, 0.5, 1.0))
ROBOT = ObjectBox(80, 0.5, (0.0, 0.0, 0.5, 0.25))


@dataclass
class Point:
    x: float = 0.0
    y: float = 0.0


@dataclass
class Pose:
    position: Point = field(default_factory=Point)
    theta: float = 0.0


@dataclass
class Bounds:
    center: Pose = field(default_factory=Pose)
    size_x: float = 0.0
    size_y: float = 0.0


@dataclass
class Hypothesis:
    class_id: str = ''
    score: float = 0.0


@dataclass
class ObjectHypothesisWithPose:
    hypothesis: Hypothesis = field(default_factory=Hypothesis)


@dataclass
class Detection2D:
    header: Header = field(default_factory=Header)
    id: str = ''
    results: list[ObjectHypothesisWithPose] = field(default_factory=list)
    bbox: Bounds = field(default_factory=Bounds)


@dataclass
class Detection2DArray:
    header: Header = field(default_factory=Header)
    detections: list[Detection2D] = field(default_factory=list)


@pytest.fixture
def vision_msgs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install messages with the fields of vision_msgs 4."""
    package, messages = ModuleType('vision_msgs'), ModuleType('vision_msgs.msg')
    package.msg = messages
    for kind in (Detection2D, Detection2DArray, ObjectHypothesisWithPose):
        setattr(messages, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, 'vision_msgs', package)
    monkeypatch.setitem(sys.modules, 'vision_msgs.msg', messages)
    detection.message_type.cache_clear()
    yield
    detection.message_type.cache_clear()


@pytest.fixture
def no_vision_msgs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide a package that is installed."""
    monkeypatch.setitem(sys.modules, 'vision_msgs', None)
    detection.message_type.cache_clear()
    yield
    detection.message_type.cache_clear()


def header() -> Header:
    header = Header(frame_id='front_optical')
    header.stamp.sec, header.stamp.nanosec = 7, 5
    return header


def detected(class_id: str = 'car', score: float = 0.5, **box: float) -> Detection2D:
    size = {'x': 100.0, 'y': 60.0, 'size_x': 40.0, 'size_y': 20.0, 'theta': 0.0} | box
    return Detection2D(
        results=[ObjectHypothesisWithPose(Hypothesis('person', score / 2)),
                 ObjectHypothesisWithPose(Hypothesis(class_id, score))],
        bbox=Bounds(Pose(Point(size['x'], size['y']), size['theta']), size['size_x'],
                    size['size_y']))


def sent(*objects: ObjectBox, names: tuple[str, ...] = ()) -> Any:
    return detection.to_message(objects, 400, 200, header(), 12, names)


@pytest.mark.usefixtures('no_vision_msgs')
def test_without_vision_msgs_objects_are_a_message_of_our_own_in_pixels_of_the_picture():
    message = sent(CAR, ROBOT, names=('robot',))
    assert isinstance(message, detection.message_type())
    assert isinstance(message, DetectedObjectArray)
    assert message.header == header()
    assert message.source == DetectedObjectArray.MEASURED_ON_ROVER
    car, robot = message.objects
    assert (car.x, car.y, car.width, car.height) == (100.0, 100.0, 100.0, 100.0)
    assert (car.class_id, car.class_name, car.score) == (2, 'car', 0.8125)
    assert (robot.class_id, robot.class_name) == (80, 'robot')


@pytest.mark.usefixtures('vision_msgs')
def test_with_vision_msgs_objects_are_detections_that_say_where_they_were_measured():
    message = sent(CAR, ROBOT)
    assert isinstance(message, Detection2DArray)
    assert detection.message_type() is Detection2DArray
    car, robot = message.detections
    assert car.header == message.header == header()
    assert (car.id, robot.id) == ('rover/12/0', 'rover/12/1')
    assert car.bbox == Bounds(Pose(Point(150.0, 150.0)), 100.0, 100.0)
    assert car.results == [ObjectHypothesisWithPose(Hypothesis('car', 0.8125))]
    assert robot.results[0].hypothesis.class_id == 'class 80'


@pytest.mark.usefixtures('vision_msgs')
def test_detections_of_the_robot_are_key_regions_with_their_most_certain_class():
    region, = detection.from_message(Detection2DArray(detections=[detected()]))
    assert region.box == (80.0, 50.0, 120.0, 70.0)
    assert (region.class_id, region.score, region.weight) == (2, 0.5, FULL_WEIGHT / 2)


@pytest.mark.usefixtures('vision_msgs')
@pytest.mark.parametrize(('word', 'number'), [
    ('car', 2), ('Traffic Light', 9), ('17', 17), ('255', 255), ('256', None), ('ghost', None),
    ('', None)])
def test_a_class_is_a_number_or_a_name_of_coco(word: str, number: int | None):
    region, = detection.from_message(Detection2DArray(detections=[detected(word)]))
    assert region.class_id == number


@pytest.mark.usefixtures('vision_msgs')
def test_a_turned_box_counts_with_the_upright_one_around_it():
    turned = detected(theta=math.pi / 2)
    region, = detection.from_message(Detection2DArray(detections=[turned]))
    assert region.box == pytest.approx((90.0, 40.0, 110.0, 80.0))


@pytest.mark.usefixtures('vision_msgs')
def test_a_detection_without_a_hypothesis_is_a_box():
    bare = detected()
    bare.results = []
    region, = detection.from_message(Detection2DArray(detections=[bare]))
    assert (region.class_id, region.score, region.weight) == (None, None, FULL_WEIGHT)


@pytest.mark.usefixtures('vision_msgs')
@pytest.mark.parametrize('box', [
    {'size_x': 0.0}, {'size_y': math.nan}, {'x': math.inf}, {'theta': math.nan}])
def test_boxes_that_are_none_are_left_out(box: dict[str, float]):
    message = Detection2DArray(detections=[detected(**box), detected()])
    assert len(detection.from_message(message)) == 1


def test_of_very_many_boxes_the_most_certain_ones_count():
    objects = [DetectedObject(class_id=1, score=1.0 / (1 + index), width=9.0, height=9.0)
               for index in reversed(range(32))]
    regions = detection.from_message(DetectedObjectArray(objects=objects))
    assert [region.score for region in regions] == pytest.approx(
        [1 / (1 + index) for index in range(32)])


def test_what_is_not_certain_at_all_goes_last():
    objects = [DetectedObject(class_id=number, score=score, width=9.0, height=9.0)
               for number, score in enumerate([0.0, 0.9, -2.0, 0.1])]
    regions = detection.from_message(DetectedObjectArray(objects=objects))
    assert [region.class_id for region in regions] == [1, 3, 0, 2]


@pytest.mark.parametrize('score', [0.0, -3.0, math.nan, 7.0])
def test_a_score_that_is_none_does_no_harm(score: float):
    objects = [DetectedObject(score=score, width=9.0, height=9.0)]
    for region in detection.from_message(DetectedObjectArray(objects=objects)):
        assert 0 <= region.score <= 1
        assert region.weight > 0


def test_a_region_of_interest_is_a_box_without_a_class():
    region, = detection.from_region_of_interest(
        RegionOfInterest(x_offset=10, y_offset=20, width=30, height=40))
    assert region.box == (10.0, 20.0, 40.0, 60.0)
    assert (region.class_id, region.weight) == (None, FULL_WEIGHT)


def test_a_region_of_interest_without_a_size_stands_for_no_box():
    assert detection.from_region_of_interest(RegionOfInterest(x_offset=10)) == []


def test_names_of_further_classes_come_from_a_file(tmp_path: Path):
    file = tmp_path / 'names.txt'
    file.write_text('robot\nbucket\n')
    assert detection.further_names(str(file)) == ('robot', 'bucket')
    assert detection.further_names('') == ()
    with pytest.raises(NetworkError, match='cannot be read'):
        detection.further_names(str(tmp_path / 'missing.txt'))
