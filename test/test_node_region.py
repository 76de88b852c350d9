# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A box of an image: where it lies, what it may cost, and how it is coded."""

from __future__ import annotations

from codec_image import picture
from gsc_ros.codec import packet
from gsc_ros.codec.error import PacketError
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.nodes.region import (
    Box,
    FACTORS,
    link_bytes,
    MAX_PACKET_BYTES,
    Outcome,
    packet_defect,
    packet_limit,
    RegionRefused,
    UNHURRIED_S,
)
from gsc_ros.nodes.region_coding import decode, RegionCoder
from hypothesis import given
from hypothesis.strategies import integers
import numpy as np
import pytest

NUMBER = integers(0, 70_000)


@pytest.fixture(scope='module')
def coder() -> RegionCoder:
    profile = load_profile('tiny')
    return RegionCoder(profile, FrameEncoder(profile))


@pytest.fixture(scope='module')
def decoder() -> FrameDecoder:
    return FrameDecoder(load_profile('tiny'))


def error(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.mean(np.square(np.subtract(first, second, dtype=np.float32))))


@given(NUMBER, NUMBER, integers(1, 70_000), integers(1, 70_000), integers(16, 8192),
       integers(16, 8192))
def test_a_box_is_clipped_to_the_image_and_can_be_coded(
        x: int, y: int, width: int, height: int, image_width: int, image_height: int):
    try:
        box = Box(x, y, width, height).within(image_width, image_height)
    except RegionRefused as refused:
        assert refused.outcome is Outcome.OUTSIDE
        assert x >= image_width or y >= image_height
        return
    assert box.width >= 16 and box.height >= 16
    assert box.x >= 0 and box.x + box.width <= image_width
    assert box.y >= 0 and box.y + box.height <= image_height
    # All of the asked for box that lies in the image is shown.
    assert box.x <= x and box.x + box.width >= min(x + width, image_width)
    assert box.y <= y and box.y + box.height >= min(y + height, image_height)


@pytest.mark.parametrize('asked, shown', [
    (Box(10, 20, 100, 50), Box(10, 20, 100, 50)),
    (Box(600, 470, 100, 50), Box(600, 464, 40, 16)),
    (Box(0, 0, 65535, 65535), Box(0, 0, 640, 480)),
    (Box(100, 100, 1, 4), Box(93, 94, 16, 16)),
    (Box(0, 0, 2, 2), Box(0, 0, 16, 16)),
    (Box(639, 479, 1, 1), Box(624, 464, 16, 16))])
def test_boxes_of_an_image_of_640_x_480(asked: Box, shown: Box):
    assert asked.within(640, 480) == shown


def test_quality_orders_the_bytes_and_the_link_bounds_them():
    box = Box(0, 0, 200, 100)
    limits = [packet_limit(box, quality, MAX_PACKET_BYTES) for quality in range(1, 101)]
    assert limits == sorted(limits)
    assert limits[-1] == MAX_PACKET_BYTES
    assert packet_limit(box, 100, 700) == packet_limit(box, 90, 700) == 700


def test_the_link_carries_in_time_what_it_is_given():
    room = link_bytes(4000, 0.9, 10)
    assert 8 * (room + 56) / 0.9 <= 4000 * 10
    assert room > 3000
    assert link_bytes(4000, 0.9, 20) > 2 * room - 56
    assert link_bytes(4000, 0.9, None) == link_bytes(4000, 0.9, UNHURRIED_S)
    assert link_bytes(1e9, 1.0, 1000) == MAX_PACKET_BYTES
    for seconds in (0, -5, 0.01):
        assert link_bytes(4000, 0.9, seconds) == 0


@pytest.mark.parametrize('max_bytes', [100, 400, 2000, 20_000])
def test_a_region_shows_more_than_the_frame_and_fits(
        coder: RegionCoder, decoder: FrameDecoder, max_bytes: int):
    image = picture(240, 320)
    asked = Box(100, 100, 80, 60)
    frame = decoder.decode(FrameEncoder(load_profile('tiny')).encode(image).payload).image
    crop = image[100:160, 100:180]
    coded = coder.code(image, asked, 100, max_bytes)
    assert coded.box == asked
    assert len(coded.payload) <= max_bytes
    shown = decode(decoder, coded.payload, coded.box)
    assert shown.shape == (60, 80, 3)
    assert error(shown, crop) < 0.8 * error(frame[100:160, 100:180], crop)
    assert error(shown, crop) == pytest.approx(coded.error, rel=0.01)


def test_more_bytes_and_more_quality_never_show_less(coder: RegionCoder):
    image, box = picture(240, 320), Box(100, 100, 80, 60)
    for series in ([coder.code(image, box, 100, limit) for limit in (100, 400, 2000, 20_000)],
                   [coder.code(image, box, quality, 20_000) for quality in (1, 30, 60, 90)]):
        errors = [coded.error for coded in series]
        assert errors == sorted(errors, reverse=True)
        assert errors[-1] < 0.75 * errors[0]


@pytest.mark.parametrize('box', [
    Box(0, 0, 16, 16), Box(3, 5, 17, 31), Box(0, 0, 333, 97), Box(0, 0, 333, 16),
    Box(320, 90, 3, 2)])
def test_a_region_of_any_size_has_the_size_of_its_box(
        coder: RegionCoder, decoder: FrameDecoder, box: Box):
    image = picture(97, 333)
    coded = coder.code(image, box, 50, 5000)
    assert coded.box == box.within(333, 97)
    assert decode(decoder, coded.payload, coded.box).shape == (
        coded.box.height, coded.box.width, 3)


def test_a_region_that_cannot_fit_is_refused(coder: RegionCoder):
    for max_bytes in (0, 10):
        with pytest.raises(RegionRefused) as refused:
            coder.code(picture(240, 320), Box(0, 0, 320, 240), 100, max_bytes)
        assert refused.value.outcome is Outcome.NO_ROOM


def test_a_box_outside_the_image_is_refused(coder: RegionCoder):
    with pytest.raises(RegionRefused) as refused:
        coder.code(picture(64, 64), Box(64, 0, 20, 20), 100, 1000)
    assert refused.value.outcome is Outcome.OUTSIDE


def test_packets_that_are_none_of_a_box_are_refused(decoder: FrameDecoder):
    payload = FrameEncoder(load_profile('tiny')).encode(
        picture(64, 96), EncoderSettings(channels=4)).payload
    for factor in FACTORS[:2]:
        assert packet_defect(payload, Box(9, 9, 96 // factor, 64 // factor)) is None
    for box in (Box(0, 0, 95, 64), Box(0, 0, 32, 21), Box(0, 0, 48, 64), Box(0, 0, 192, 128)):
        with pytest.raises(PacketError):
            decode(decoder, payload, box)
    assert 'max_pixels' in packet_defect(payload, Box(0, 0, 96, 64), 96 * 64 - 1)
    with pytest.raises(PacketError):
        packet_defect(payload[:-1], Box(0, 0, 96, 64))


def test_a_region_that_refers_to_a_frame_is_refused():
    encoder = FrameEncoder(load_profile('tiny'))
    settings = EncoderSettings(channels=4, stream=True)
    encoder.encode(picture(64, 96), settings)
    payload = encoder.encode(picture(64, 96, 1), settings).payload
    assert packet.parse(payload).stream_reference is not None
    assert 'another packet' in packet_defect(payload, Box(0, 0, 96, 64))
