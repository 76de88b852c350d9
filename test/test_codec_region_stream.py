# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Key regions in a stream: followed for next to nothing, renewed when it is worth it."""

from __future__ import annotations

from codec_image import picture
import cv2
from gsc_ros.codec.error import MissingReferenceError
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.setting import RegionSettings
import numpy as np
import pytest
from region_profile import region_profile

HEIGHT, WIDTH = 160, 320
SETTINGS = EncoderSettings(
    channels=320, max_bytes=700, stream=True, regions=RegionSettings(base_share=0.5))
GROUND = picture(HEIGHT, WIDTH, seed=1)
THING = np.random.default_rng(5).integers(0, 256, (8, 10, 3), np.uint8)


@pytest.fixture(scope='module')
def profile(tmp_path_factory):
    """Return a profile with a region model."""
    return region_profile(tmp_path_factory.mktemp('profile'))


def scene(left=100, top=60, factor=1.0):
    """Return a frame with a thing of many edges in it, and the box of that."""
    size = round(80 * factor), round(64 * factor)
    image = GROUND.copy()
    thing = cv2.resize(THING, size, interpolation=cv2.INTER_CUBIC)
    image[top:top + size[1], left:left + size[0]] = thing
    return image, (left, top, left + size[0], top + size[1])


def sent(encoder, frame, settings=SETTINGS, **known):
    """Encode a frame in which a source has found the thing."""
    image, box = frame
    return encoder.encode(image, settings, [KeyRegion(box, source='topic', **known)])


def error(image, frame):
    """Return the mean squared error on the thing."""
    truth, (left, top, right, bottom) = frame
    part = np.s_[top:bottom, left:right]
    return np.square(image[part].astype(float) - truth[part]).mean()


def test_what_stays_as_it_is_costs_four_bytes_at_most(profile):
    encoder, decoder = FrameEncoder(profile), FrameDecoder(profile)
    frame = scene()
    generous = EncoderSettings(
        channels=320, max_bytes=3000, stream=True, regions=RegionSettings(level=6))
    first = decoder.decode(sent(encoder, frame, generous).payload)
    for _ in range(3):
        encoded = sent(encoder, frame, generous)
        picture = decoder.decode(encoded.payload).image
    (region,) = encoded.regions
    assert region.tracked and region.bytes <= 4
    assert error(picture, frame) < 1.1 * error(first.image, frame)


@pytest.mark.parametrize('step', [(6, 0, 1.0), (-5, 3, 1.0), (2, 1, 1.04), (0, 0, 0.97)])
def test_what_moves_and_grows_is_shown_where_it_is(profile, step):
    encoder, decoder = FrameEncoder(profile), FrameDecoder(profile)
    dear = EncoderSettings(
        channels=320, max_bytes=2000, stream=True, regions=RegionSettings(level=10))
    frames = [scene(100 + k * step[0], 50 + k * step[1], step[2] ** k) for k in range(4)]
    pictures = []
    for number, frame in enumerate(frames):
        encoded = sent(encoder, frame, dear)
        pictures.append(decoder.decode(encoded.payload))
        if number:
            assert encoded.regions[0].tracked
            left, top, right, bottom = pictures[-1].regions[0].box
            assert abs(left + right - frame[1][0] - frame[1][2]) < 30
    # Nothing would be further off than what was left where it was.
    assert error(pictures[-1].image, frames[-1]) < 0.6 * error(pictures[0].image, frames[-1])


def test_both_ends_keep_the_same(profile):
    encoder, decoder = FrameEncoder(profile), FrameDecoder(profile)
    for number in range(3):
        payload = sent(encoder, scene(100 + 5 * number)).payload
        decoder.decode(payload)
    ours = [known.track for known in encoder._followed]
    (theirs,) = (read.scene.tracks for read in [FrameDecoder.read(decoder, payload)])
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs):
        assert (one.place, one.velocity, one.left, one.top) == (
            other.place, other.velocity, other.left, other.top)
        # The encoder has the base in windows only, which see a little less.
        assert np.abs(one.picture.astype(int) - other.picture).mean() < 2


def test_a_stream_gets_better_while_nothing_moves(profile):
    encoder, decoder = FrameEncoder(profile), FrameDecoder(profile)
    frame = scene()
    tight = EncoderSettings(channels=320, max_bytes=400, stream=True)
    errors = [error(decoder.decode(sent(encoder, frame, tight).payload).image, frame)
              for _ in range(6)]
    assert errors[-1] < 0.7 * errors[0]


def test_every_frame_keeps_to_the_limit(profile):
    encoder = FrameEncoder(profile)
    for number in range(4):
        encoded = sent(encoder, scene(90 + 7 * number), class_id=3, score=0.8)
        assert len(encoded.payload) <= SETTINGS.max_bytes
        assert encoded.layer_ends == (len(encoded.payload),)


def test_followed_packets_give_the_same_picture_as_decoded_ones(profile):
    encoder = FrameEncoder(profile)
    payloads = [sent(encoder, scene(100 + 4 * number)).payload for number in range(4)]
    whole, last = FrameDecoder(profile), FrameDecoder(profile)
    pictures = [whole.decode(payload) for payload in payloads]
    for payload in payloads[:-1]:
        last.follow(payload)
    found = last.decode(payloads[-1])
    assert found.regions == pictures[-1].regions
    assert np.abs(found.image.astype(int) - pictures[-1].image).mean() < 0.5


def test_a_picture_may_be_made_later_than_the_next_one_is_read(profile):
    encoder, decoder = FrameEncoder(profile), FrameDecoder(profile)
    payloads = [sent(encoder, scene(100 + 4 * number)).payload for number in range(3)]
    in_turn = [FrameDecoder.decode(decoder, payload).image for payload in payloads]
    other = FrameDecoder(profile)
    reads = [other.read(payload) for payload in payloads]
    later = [other.render(read).image for read in reversed(reads)][::-1]
    for one, two in zip(in_turn, later):
        assert np.abs(one.astype(int) - two).mean() < 0.5


def test_a_lost_packet_is_missed_and_a_refresh_begins_anew(profile):
    encoder, decoder = FrameEncoder(profile), FrameDecoder(profile)
    sent(encoder, scene())
    with pytest.raises(MissingReferenceError):
        decoder.decode(sent(encoder, scene(104)).payload)
    encoder.refresh()
    frame = scene(108)
    encoded = sent(encoder, frame)
    assert encoded.stream_reference is None and not encoded.regions[0].tracked
    assert decoder.decode(encoded.payload).regions


def test_what_no_source_names_any_more_is_shown_for_a_while_and_dropped(profile):
    encoder = FrameEncoder(profile)
    image, box = scene()
    sent(encoder, (image, box))
    counts = [len(encoder.encode(image, SETTINGS).regions) for _ in range(13)]
    assert counts[0] == 1 and counts[-1] == 0


def test_what_has_gone_is_not_shown(profile):
    encoder = FrameEncoder(profile)
    sent(encoder, scene())
    assert not encoder.encode(GROUND, SETTINGS).regions


def test_cameras_keep_their_regions_apart(profile):
    one = FrameEncoder(profile)
    other = one.branch()
    sent(one, scene())
    assert not sent(other, scene()).regions[0].tracked
    assert sent(one, scene()).regions[0].tracked
