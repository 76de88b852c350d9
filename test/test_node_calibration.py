# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration on its way over the link."""

from __future__ import annotations

import math
import zlib

from gsc_ros.nodes import calibration
from gsc_ros.nodes.calibration import CalibrationError
from hypothesis import given, strategies
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

DOUBLES = strategies.floats(allow_nan=False, width=64)


def rectified_camera() -> CameraInfo:
    return CameraInfo(
        width=1242, height=375, distortion_model='plumb_bob', d=[-0.36, 0.19, 1.3e-3, 5e-4, -0.06],
        k=[721.5377, 0.0, 609.5593, 0.0, 721.5377, 172.854, 0.0, 0.0, 1.0],
        r=[0.9998817, 0.0151, -0.0028, -0.0151, 0.99988, -9.3e-4, 0.0028, 9.7e-4, 0.99999],
        p=[721.5377, 0.0, 609.5593, 44.85728, 0.0, 721.5377, 172.854, 0.2163791,
           0.0, 0.0, 1.0, 0.002745884])


@given(
    strategies.lists(DOUBLES, max_size=calibration.MAX_DISTORTION),
    strategies.lists(DOUBLES, min_size=30, max_size=30),
    strategies.lists(strategies.integers(0, 2 ** 32 - 1), min_size=8, max_size=8),
    strategies.sampled_from(['', 'plumb_bob', 'equidistant', 'rational_polynomial']),
    strategies.booleans())
def test_every_number_survives_exactly(distortion, reals, integers, model, rectify):
    info = CameraInfo(
        distortion_model=model, d=distortion, k=reals[:9], r=reals[9:18], p=reals[18:],
        width=integers[0], height=integers[1], binning_x=integers[2], binning_y=integers[3],
        roi=RegionOfInterest(
            x_offset=integers[4], y_offset=integers[5], width=integers[6], height=integers[7],
            do_rectify=rectify))
    assert calibration.same(calibration.unpack(calibration.pack(info)), info)


def test_numbers_that_are_not_finite_survive():
    info = rectified_camera()
    info.d = [math.nan, math.inf, -math.inf, -0.0]
    received = calibration.unpack(calibration.pack(info))
    assert [str(number) for number in received.d] == ['nan', 'inf', '-inf', '-0.0']


def test_ordinary_calibration_costs_less_than_two_hundred_bytes():
    assert len(calibration.pack(rectified_camera())) < 200


@given(strategies.binary(max_size=300))
def test_any_bytes_give_a_calibration_or_an_error(data: bytes):
    try:
        calibration.unpack(data)
    except CalibrationError:
        pass


@given(strategies.data())
def test_damaged_calibration_gives_a_calibration_or_an_error(data):
    packed = bytearray(calibration.pack(rectified_camera()))
    for _ in range(data.draw(strategies.integers(1, 4))):
        packed[data.draw(strategies.integers(0, len(packed) - 1))] ^= data.draw(
            strategies.integers(1, 255))
    try:
        calibration.unpack(bytes(packed))
    except CalibrationError:
        pass


def test_truncated_calibration_is_an_error():
    packed = calibration.pack(rectified_camera())
    for length in range(len(packed)):
        with pytest.raises(CalibrationError):
            calibration.unpack(packed[:length])


def test_bytes_that_inflate_without_end_are_refused():
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflater.compress(b'1 ' * 10 ** 6) + deflater.flush()
    with pytest.raises(CalibrationError):
        calibration.unpack(bomb)


@pytest.mark.parametrize('change', [
    {'d': [0.0] * (calibration.MAX_DISTORTION + 1)},
    {'distortion_model': 'two words'},
    {'distortion_model': 'x' * 65},
])
def test_calibration_that_nobody_could_read_is_refused(change):
    info = rectified_camera()
    for field, value in change.items():
        setattr(info, field, value)
    with pytest.raises(CalibrationError):
        calibration.pack(info)


def test_own_size_changes_nothing():
    info = rectified_camera()
    assert calibration.same(calibration.scale(info, 1242, 375), info)


def test_k_and_p_follow_the_size_while_d_and_r_stay():
    info = rectified_camera()
    scaled = calibration.scale(info, 621, 125)
    assert (scaled.width, scaled.height) == (621, 125)
    factors = np.diag([1 / 2, 1 / 3, 1])
    assert scaled.k == pytest.approx((factors @ info.k.reshape(3, 3)).ravel())
    assert scaled.p == pytest.approx((factors @ info.p.reshape(3, 4)).ravel())
    assert list(scaled.d) == list(info.d) and list(scaled.r) == list(info.r)


def test_crop_and_binning_of_the_source_are_folded_in():
    info = rectified_camera()
    info.roi = RegionOfInterest(x_offset=100, y_offset=40, width=800, height=300)
    info.binning_x = info.binning_y = 2
    scaled = calibration.scale(info, 200, 75)  # the source publishes 400 x 150
    assert (scaled.binning_x, scaled.binning_y, scaled.roi.width) == (0, 0, 0)
    assert scaled.k[0] == pytest.approx(721.5377 / 4)
    assert scaled.k[2] == pytest.approx((609.5593 - 100) / 4)
    assert scaled.k[5] == pytest.approx((172.854 - 40) / 4)
    assert scaled.p[2] == pytest.approx((609.5593 - 100) / 4)
    assert scaled.p[3] == pytest.approx(44.85728 / 4)


def test_camera_without_calibration_keeps_its_zeros():
    scaled = calibration.scale(
        CameraInfo(width=640, height=480, roi=RegionOfInterest(x_offset=3)), 320, 240)
    assert (scaled.width, scaled.height) == (320, 240)
    assert not scaled.k.any() and not scaled.p.any()


def test_scaling_leaves_the_original_alone():
    info = rectified_camera()
    calibration.scale(info, 621, 188)
    assert calibration.same(info, rectified_camera())


def test_stamp_does_not_make_a_calibration_new():
    first, second = rectified_camera(), rectified_camera()
    second.header.stamp.sec = 5
    assert calibration.same(first, second)
    second.header.frame_id = 'left'
    assert not calibration.same(first, second)
