# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where perception looks in the images of a sender, without a ROS graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
import time

from codec_image import picture
from gsc_ros.codec.frame import EncoderSettings, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.region.region import FULL_WEIGHT, KeyRegion
from gsc_ros.codec.region.setting import RegionSettings
from gsc_ros.msg import DetectedObject, DetectedObjectArray, RegionRequest
from gsc_ros.nodes import key_region_watch, stamp
from gsc_ros.nodes.diagnostic import Level
from gsc_ros.nodes.key_region_schema import CameraRegionParameters, RegionParameters, SourceName
from gsc_ros.nodes.key_region_watch import KeyRegionWatch
from gsc_ros.nodes.schema import SenderCameraParameters
from gsc_ros.nodes.sender_camera import Camera
from gsc_ros.perception.source.source import RegionSource, SourceError
import numpy as np
import pytest
from sensor_msgs.msg import RegionOfInterest

IMAGE = picture(96, 160)
# Twice as wide and high as the picture that is coded.
SIZE = (320, 192)
SECOND = stamp.NANOSECONDS


class Looker:
    """A source that looks at pictures: one box, or a failure."""

    name = 'importance'

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None

    def find(self, image: np.ndarray, stamp_ns: int) -> list[KeyRegion]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return [KeyRegion((0.0, 0.0, 32.0, 32.0), FULL_WEIGHT / 4, self.name)]


class Bench:
    """A watch over one camera or two, and what it has logged."""

    def __init__(self, *sources: str, cameras: tuple[str, ...] = ('front',),
                 **parameters: object) -> None:
        self.log: list[str] = []
        shared = RegionParameters(sources=sources, **parameters)
        self.watch = KeyRegionWatch(dict.fromkeys(cameras, shared), self.log.append)

    def look(self, at_s: float = 0.0, camera: str = 'front') -> list[KeyRegion]:
        return self.watch.look(camera, IMAGE, SIZE, 1000 * SECOND + round(at_s * SECOND))

    def request(self, ttl_s: int = 0, **box: int) -> None:
        request = RegionRequest(**({'x': 100, 'y': 60, 'width': 80, 'height': 40} | box))
        request.ttl.sec = ttl_s
        self.watch.ask('front', request)

    def detect(self, at_s: float, *boxes: tuple[float, float]) -> None:
        message = DetectedObjectArray(objects=[
            DetectedObject(class_id=2, score=0.5, x=x, y=y, width=40.0, height=20.0)
            for x, y in boxes])
        message.header.stamp = stamp.from_ns(1000 * SECOND + round(at_s * SECOND))
        self.watch.take_detections('front', message)


@pytest.fixture
def looker(monkeypatch: pytest.MonkeyPatch) -> Looker:
    looker = Looker()
    opened: list[str] = []

    def open_source(words: str, *_: object, **__: object) -> RegionSource:
        opened.append(words)
        assert len(opened) == 1, 'opened once for all cameras'
        return looker
    monkeypatch.setattr(key_region_watch, 'open_source', open_source)
    return looker


def test_the_box_of_an_operator_is_a_key_region_until_its_time_is_over():
    bench = Bench('request')
    assert bench.look() == []
    bench.request(ttl_s=5)
    region, = bench.look(4.9)
    assert (region.source, region.weight) == ('request', FULL_WEIGHT)
    assert region.box == (50.0, 30.0, 90.0, 50.0), 'scaled to the picture that is coded'
    assert bench.look(5.1) == []


def test_two_boxes_of_an_operator_hold_beside_each_other():
    bench = Bench('request')
    bench.look()
    bench.request()
    bench.request(x=0, y=0)
    assert len(bench.look(30.0)) == 2
    assert bench.look(61.0) == []


def test_a_request_that_is_none_is_left_to_who_refuses_it():
    bench = Bench('request')
    bench.look()
    bench.request(width=0)
    assert bench.look() == []


def test_detections_of_the_robot_hold_until_the_next_ones():
    bench = Bench('topic', topic_keep_s=2.0)
    bench.look()
    bench.detect(0.0, (0.0, 0.0), (200.0, 100.0))
    assert len(bench.look(1.0)) == 2
    bench.detect(1.5, (200.0, 100.0))
    region, = bench.look(2.5)
    assert (region.source, region.class_id, region.score) == ('topic', 2, 0.5)
    assert region.box == (100.0, 50.0, 120.0, 60.0)
    assert bench.look(4.0) == []


def test_a_region_of_interest_holds_beside_detections():
    bench = Bench('topic')
    bench.look()
    bench.detect(0.0, (0.0, 0.0))
    bench.watch.take_roi('front', RegionOfInterest(x_offset=200, y_offset=100, width=40, height=40))
    assert {region.class_id for region in bench.look()} == {2, None}
    assert bench.watch.values('front')['key_region_messages'] == 2


def test_what_is_said_before_the_first_image_has_no_place_in_it():
    bench = Bench('topic', 'request')
    bench.detect(0.0, (0.0, 0.0))
    bench.request()
    assert bench.look() == []


def test_what_nobody_listens_to_does_no_harm():
    bench = Bench('zones', zones='0,0,1,0.5')
    bench.look()
    bench.request()
    region, = bench.look()
    assert (region.source, region.box) == ('zones', (0.0, 0.0, 160.0, 48.0))


def test_a_watch_that_was_stopped_has_forgotten_what_was_said():
    bench = Bench('request')
    bench.look()
    bench.request()
    bench.watch.stop()
    assert bench.look() == []


def test_cameras_share_the_detector(looker: Looker):
    bench = Bench('detector', cameras=('front', 'left'), detector='a.onnx')
    assert bench.look() and bench.look(camera='left')
    assert looker.asked == 2


def test_what_looks_at_pictures_may_be_asked_now_and_then(looker: Looker):
    bench = Bench('importance', period_s=1.0)
    assert all(bench.look(at_s) for at_s in (0.0, 0.4, 0.8, 1.2))
    assert looker.asked == 2


@pytest.mark.parametrize('failure', [SourceError('it is blind'), ZeroDivisionError('it is blind')])
def test_a_source_that_fails_is_counted_and_reported_and_the_frames_go_on(
        looker: Looker, failure: Exception):
    bench = Bench('importance')
    looker.failure = failure
    assert bench.look() == []
    assert bench.watch.values('front')['key_region_failures'] == 1
    assert 'it is blind' in bench.watch.take_trouble('front')
    assert bench.watch.take_trouble('front') is None
    assert 'it is blind' in bench.log[0]
    looker.failure = None
    assert bench.look()


def test_a_source_that_fails_leaves_the_regions_of_the_others(looker: Looker):
    bench = Bench('importance', 'zones', zones='0,0,0.5,0.5')
    looker.failure = SourceError('it is blind')
    assert [region.source for region in bench.look()] == ['zones']


@pytest.mark.parametrize(('sources', 'parameters', 'reason'), [
    (('detector',), {}, 'names no file'),
    (('detector',), {'detector': 'missing.onnx'}, 'missing.onnx'),
    (('zones',), {}, 'regions.zones')])
def test_a_source_that_cannot_be_opened_says_why(
        sources: tuple[str, ...], parameters: dict[str, str], reason: str, tmp_path: Path):
    with pytest.raises(SourceError, match=reason):
        Bench(*sources, **parameters)


class Agreeing(Looker):
    """A detector that finds the same in bright pictures, or fails."""

    def judge(self, image: np.ndarray) -> Callable[[np.ndarray], float]:
        def agreement(picture: np.ndarray) -> float:
            if self.failure is not None:
                raise self.failure
            return picture.mean() / 255
        return agreement


def test_the_detector_judges_pictures_and_one_that_fails_finds_all_alike(
        monkeypatch: pytest.MonkeyPatch):
    detector = Agreeing()
    monkeypatch.setattr(key_region_watch, 'open_source', lambda *_, **__: detector)
    bench = Bench('detector', detector='a.onnx')
    judge = bench.watch.judge('front', IMAGE)
    dark, bright = np.zeros_like(IMAGE), np.full_like(IMAGE, 255)
    assert judge(dark) < judge(bright)
    detector.failure = SourceError('it is blind')
    assert judge(dark) == judge(bright)
    assert bench.watch.values('front')['key_region_failures'] == 2


def test_without_a_detector_nobody_judges():
    assert Bench('zones', zones='0,0,1,1').watch.judge('front', IMAGE) is None


def test_the_encoder_is_told_what_the_parameters_say():
    settings = RegionParameters(max=3, level=-1, base_share=-1.0, objects=False).settings()
    assert (settings.most, settings.level, settings.base_share) == (3, None, None)
    assert not settings.objects
    assert RegionParameters().settings() == RegionSettings()


@pytest.mark.parametrize(('share', 'said'), [
    (-1.0, True), (1e-9, True), (1.0, True), (0.0, False), (-0.5, False)])
def test_a_share_that_the_encoder_would_refuse_is_no_parameter(share: float, said: bool):
    spec = next(field for field in fields(RegionParameters) if field.name == 'base_share')
    assert (spec.metadata['spec'].refusal(share) is None) is said


@pytest.mark.parametrize(('names', 'fine'), [
    (['none'], True), (['importance', 'zones'], True), (['importance', 'none'], False)])
def test_none_is_no_source_beside_others(names: list[str], fine: bool):
    for parameters in (RegionParameters, CameraRegionParameters):
        spec = next(field for field in fields(parameters) if field.name == 'sources')
        assert (spec.metadata['spec'].refusal(names) is None) is fine


def test_a_failure_of_the_coding_of_regions_is_reported_as_one_of_a_source():
    bench = Bench('request')
    bench.watch.report('front', 'no room')
    assert bench.watch.values('front')['key_region_failures'] == 1
    assert 'no room' in bench.watch.take_trouble('front') and 'no room' in bench.log[0]


def test_objects_for_which_a_packet_has_no_room_are_counted_and_told():
    regions = [KeyRegion((5.0 * at, 5.0, 5.0 * at + 20, 40.0), 1 + at, 'topic', 2, 0.5)
               for at in range(20)]
    encoder = FrameEncoder(load_profile('tiny'))
    camera = Camera('front', 0, SenderCameraParameters(), None, None, None,
                    subscriptions=[None], last_image_s=time.monotonic())
    camera.count(encoder.encode(IMAGE, EncoderSettings(), regions), regions)
    assert (camera.counters.objects, camera.counters.objects_left_out) == (20, 0)
    assert camera.cause() == (Level.OK, 'coding')
    camera.count(encoder.encode(IMAGE, EncoderSettings(max_bytes=150), regions), regions)
    counters = camera.counters
    assert 20 < counters.objects < 40 and counters.objects + counters.objects_left_out == 40
    assert camera.cause() == (Level.OK, 'coding, with objects left out: max_bytes')
    camera.reported = replace(counters)
    assert camera.cause() == (Level.OK, 'coding')


def test_a_camera_may_have_sources_of_its_own_or_none():
    shared = RegionParameters(sources=('importance', 'importance', 'topic'), max=7)
    assert CameraRegionParameters().over(shared) == shared
    assert shared.names == (SourceName.IMPORTANCE, SourceName.TOPIC)
    own = CameraRegionParameters(sources=('none',), max=0).over(shared)
    assert (own.names, own.max, own.topic) == ((), 0, shared.topic)
