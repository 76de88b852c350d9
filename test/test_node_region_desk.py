# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The regions of a sender, and their calibration on the ground, without a ROS graph."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
import threading

from codec_image import picture
import cv2
from gsc_ros.codec.frame import FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.msg import GscRegion, RegionRequest
from gsc_ros.nodes import stamp
from gsc_ros.nodes.region import Box, Outcome
from gsc_ros.nodes.region_coding import decode
from gsc_ros.nodes.region_desk import RegionDesk
from gsc_ros.nodes.region_view import region_info
from gsc_ros.nodes.schema import SenderParameters
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

PATIENCE_S = 60.0


class Bench:
    """A desk that is at work, and what it has answered."""

    def __init__(self, **settings: object) -> None:
        self.settings = SenderParameters(cameras=('front', 'left'), **settings)
        self.answers: list[GscRegion] = []
        self.log: list[str] = []
        self.condition = threading.Condition()
        profile = load_profile('tiny')
        self.desk = RegionDesk(
            profile, FrameEncoder(profile), lambda: self.settings, self.log.append)
        self.desk.start()

    def keep(self, image: np.ndarray, stamp_s: int = 1, camera: str = 'front') -> None:
        message = Image(
            height=image.shape[0], width=image.shape[1], encoding='rgb8',
            step=3 * image.shape[1], data=array('B', image.tobytes()))
        message.header.stamp.sec, message.header.frame_id = stamp_s, f'{camera}_optical'
        self.desk.keep(camera, message)

    def ask(self, camera: str = 'front', stamp_ns: int = 0, **fields: int) -> None:
        request = RegionRequest(camera=camera, **({
            'x': 10, 'y': 20, 'width': 40, 'height': 30, 'quality': 100, 'number': 7,
            'max_bytes': 2000} | fields))
        request.header.stamp = stamp.from_ns(stamp_ns)
        self.desk.ask(camera, request, self._take)

    def wait(self, count: int = 1) -> list[GscRegion]:
        with self.condition:
            assert self.condition.wait_for(lambda: len(self.answers) >= count, PATIENCE_S)
        return self.answers

    def _take(self, answer: GscRegion) -> None:
        with self.condition:
            self.answers.append(answer)
            self.condition.notify_all()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.desk.stop()


def test_an_answer_has_stamp_and_frame_of_its_original_and_fits(bench: Bench):
    for second in (1, 2, 3):
        bench.keep(picture(120, 160, second), second)
    bench.ask(stamp_ns=2 * stamp.NANOSECONDS)
    answer = bench.wait()[0]
    assert (answer.header.stamp.sec, answer.header.frame_id) == (2, 'front_optical')
    assert (answer.camera, answer.number, answer.refusal) == ('front', 7, GscRegion.NONE)
    assert (answer.x, answer.y, answer.width, answer.height) == (10, 20, 40, 30)
    assert (answer.image_width, answer.image_height) == (160, 120)
    assert len(answer.payload) <= 2000
    shown = decode(FrameDecoder(load_profile('tiny')), bytes(answer.payload), Box(10, 20, 40, 30))
    crop = picture(120, 160, 2)[20:50, 10:50]
    assert np.mean(np.square(np.subtract(shown, crop, dtype=np.float32))) < 300
    values = bench.desk.values('front')
    assert (values['regions_asked'], values['regions_answered'], values['originals']) == (1, 1, 3)


def test_a_compressed_original_is_read(bench: Bench):
    data = cv2.imencode('.png', picture(120, 160)[:, :, ::-1])[1].tobytes()
    bench.desk.keep('front', CompressedImage(format='png', data=array('B', data)))
    bench.ask()
    assert (bench.wait()[0].image_width, bench.answers[0].refusal) == (160, GscRegion.NONE)


@pytest.mark.parametrize('outcome, fields', [
    (Outcome.OUTSIDE, {'x': 160}), (Outcome.OUTSIDE, {'width': 0}),
    (Outcome.TOO_OLD, {'stamp_ns': 10 ** 12}), (Outcome.NO_ROOM, {'max_bytes': 12}),
    (Outcome.NO_ROOM, {'max_bytes': 0}), (Outcome.NO_IMAGE, {'camera': 'left'})])
def test_what_cannot_be_coded_is_refused_with_the_reason(
        bench: Bench, outcome: Outcome, fields: dict[str, int]):
    bench.keep(picture(120, 160))
    bench.ask(**fields)
    answer = bench.wait()[0]
    assert (answer.refusal, answer.number, len(answer.payload)) == (outcome, 7, 0)
    assert outcome.text in bench.log[0]


def damaged(bench: Bench) -> None:
    bench.desk.keep('front', CompressedImage(format='jpeg', data=array('B', b'\xff\xd8 nothing')))


def depth(bench: Bench) -> None:
    bench.desk.keep('front', Image(
        width=64, height=64, encoding='16UC1', step=128, data=array('B', bytes(8192))))


@pytest.mark.parametrize('spoil', [damaged, depth])
def test_an_original_that_is_no_picture_is_refused_and_the_desk_goes_on(
        bench: Bench, spoil: Callable[[Bench], None]):
    spoil(bench)
    bench.ask()
    assert bench.wait()[0].refusal == Outcome.FAILED
    bench.keep(picture(120, 160))
    bench.ask()
    assert bench.wait(2)[1].refusal == GscRegion.NONE


def test_of_many_requests_of_a_camera_all_are_answered_and_the_newest_with_a_region(bench: Bench):
    bench.keep(picture(120, 160))
    for number in range(20):
        bench.ask(number=number)
    answers = {answer.number: answer for answer in bench.wait(20)}
    assert answers[19].refusal == GscRegion.NONE
    refused = [answer for answer in answers.values() if answer.refusal]
    assert len(refused) >= 17
    assert {answer.refusal for answer in refused} == {int(Outcome.SUPERSEDED)}


def test_the_cameras_share_the_memory_and_may_be_turned_off():
    bench = Bench(region_ring_mb=1)
    for second in range(1, 30):
        bench.keep(picture(120, 160), second)
    assert 0.4 < bench.desk.values('front')['originals_mb'] <= 0.5
    bench.settings = replace(bench.settings, region_ring_s=0.0)
    bench.keep(picture(120, 160), 30)
    assert bench.desk.values('front')['originals'] == 0
    bench.desk.stop()


def test_a_desk_that_has_stopped_keeps_nothing_and_may_start_again(bench: Bench):
    bench.keep(picture(120, 160))
    bench.desk.stop()
    bench.desk.start()
    bench.ask()
    assert bench.wait()[0].refusal == Outcome.NO_IMAGE


def calibrated(**fields: int) -> CameraInfo:
    return CameraInfo(**({'width': 640, 'height': 480} | fields), k=[
        400.0, 0.0, 320.0, 0.0, 400.0, 240.0, 0.0, 0.0, 1.0])


def test_the_box_is_the_region_of_interest_of_the_whole_images_calibration():
    info = region_info(calibrated(), Box(100, 50, 32, 16), 640, 480)
    roi = info.roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == (100, 50, 32, 16)
    assert roi.do_rectify
    assert (info.width, info.height, info.k[0], info.k[2]) == (640, 480, 400.0, 320.0)


def test_the_box_of_a_source_that_crops_and_bins_is_in_pixels_of_the_sensor():
    source = calibrated(binning_x=2, binning_y=2)
    source.roi.x_offset, source.roi.y_offset = 64, 32
    source.roi.width, source.roi.height = 400, 200
    info = region_info(source, Box(10, 20, 32, 16), 200, 100)
    roi = info.roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == (84, 72, 64, 32)
    assert (info.binning_x, info.width, info.k[0]) == (2, 640, 400.0)
    assert source.roi.x_offset == 64


def test_a_calibration_of_another_size_is_scaled_to_the_image():
    info = region_info(calibrated(), Box(10, 20, 32, 16), 320, 240)
    assert (info.width, info.height, info.k[0], info.roi.x_offset) == (320, 240, 200.0, 10)


def test_without_a_calibration_the_box_still_has_its_place():
    info = region_info(None, Box(10, 20, 32, 16), 320, 240)
    assert (info.width, info.height, info.k[0], info.roi.x_offset) == (320, 240, 0.0, 10)
