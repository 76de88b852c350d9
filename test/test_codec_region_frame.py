# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Key regions within a frame: finer where perception looks, within a limit of bytes."""

from __future__ import annotations

from codec_image import picture
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.packet import cut, parse
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.setting import RegionSettings
from gsc_ros.codec.region.trial import SHARES
import numpy as np
import pytest
from region_profile import region_profile

IMAGE = picture(160, 256, seed=3)
BOX = (60.0, 70.0, 150.0, 130.0)
WANTED = (KeyRegion(BOX, source='zones'),)


@pytest.fixture(scope='module')
def codec(tmp_path_factory):
    """Return an encoder and a decoder of a profile with a region model."""
    profile = region_profile(tmp_path_factory.mktemp('profile'))
    return FrameEncoder(profile), FrameDecoder(profile)


def limited(max_bytes=None, **regions):
    """Return settings that choose among all channels."""
    return EncoderSettings(channels=320, max_bytes=max_bytes, regions=RegionSettings(**regions))


def error(image, box=BOX):
    """Return the mean squared error in a box."""
    left, top, right, bottom = map(int, box)
    part = np.s_[top:bottom, left:right]
    return np.square(image[part].astype(float) - IMAGE[part]).mean()


@pytest.mark.parametrize('max_bytes', [350, 600, 1200])
def test_within_the_same_bytes_a_region_is_finer(codec, max_bytes):
    encoder, decoder = codec
    plain = decoder.decode(encoder.encode(IMAGE, limited(max_bytes)).payload)
    frame = encoder.encode(IMAGE, limited(max_bytes), WANTED)
    assert len(frame.payload) <= max_bytes and frame.regions
    assert sum(frame.sections.values()) == len(frame.payload) and frame.sections['regions']
    assert error(decoder.decode(frame.payload).image) < 0.8 * error(plain.image)


def test_a_packet_is_cut_after_each_region_and_each_layer(codec):
    encoder, decoder = codec
    wanted = [KeyRegion((20, 20, 80, 80)), KeyRegion((150, 60, 240, 130))]
    frame = encoder.encode(IMAGE, limited(900), wanted)
    ends = frame.layer_ends
    assert len(frame.regions) == 2 and list(ends) == sorted(set(ends))
    whole = decoder.decode(frame.payload)
    assert whole.layers == len(ends)
    for layers, end in enumerate(ends, 1):
        packet = cut(frame.payload, layers, ends)
        assert len(packet) == end
        found = decoder.decode(packet)
        assert len(found.regions) == max(layers - len(ends) + 2, 0) and found.layers == layers
        assert found.regions == whole.regions[:len(found.regions)]


def test_what_is_gained_is_what_was_promised(codec):
    encoder, decoder = codec
    bare = encoder.encode(IMAGE, limited(base_share=0.5, max_bytes=1200), WANTED)
    base = decoder.decode(cut(bare.payload, len(bare.layer_ends) - 1, bare.layer_ends))
    (sent,) = bare.regions
    whole = decoder.decode(bare.payload)
    squares = [np.square(one.image.astype(float) - IMAGE).sum() for one in (base, whole)]
    # The gain counts the box many times; the transform of the test loses a little at the borders.
    assert sent.gain > squares[0] - squares[1] > 0.8 * sent.gain / WANTED[0].weight


def test_a_region_says_where_it_lies_and_raises_the_confidence(codec):
    encoder, decoder = codec
    frame = encoder.encode(IMAGE, limited(800), WANTED)
    base = decoder.decode(encoder.encode(IMAGE, limited(300)).payload)
    found = decoder.decode(frame.payload)
    (placed,), (sent,) = found.regions, frame.regions
    assert (placed.box, placed.scale, placed.level) == (sent.box, sent.scale, sent.level)
    assert not placed.tracked and placed.channels
    left, top, right, bottom = placed.box
    assert (found.region_mask[top:bottom, left:right] == 255).all()
    assert (found.region_mask[:, -1] == 0).all() and base.region_mask is None
    inside = np.s_[top:bottom, left:right]
    assert found.confidence[inside].mean() > base.confidence[inside].mean()


def test_the_base_is_untouched_where_no_region_is(codec):
    encoder, decoder = codec
    frame = encoder.encode(IMAGE, limited(900), WANTED)
    base = decoder.decode(cut(frame.payload, len(frame.layer_ends) - 1, frame.layer_ends))
    whole = decoder.decode(frame.payload)
    assert np.array_equal(base.image[whole.region_mask == 0], whole.image[whole.region_mask == 0])


def test_the_weightier_region_gets_more(codec):
    encoder, _ = codec
    boxes = (20, 60, 90, 130), (150, 60, 220, 130)

    def share(weights):
        wanted = [KeyRegion(box, weight) for box, weight in zip(boxes, weights)]
        taken = dict.fromkeys(boxes, 0)
        for region in encoder.encode(IMAGE, limited(600), wanted).regions:
            taken[boxes[0] if region.box[0] < 120 else boxes[1]] += region.bytes
        return taken[boxes[0]] / max(sum(taken.values()), 1)

    assert share((32, 2)) > share((2, 32))


def test_a_dearer_bit_buys_less(codec):
    encoder, _ = codec
    sizes = [encoder.encode(IMAGE, limited(beta=beta), WANTED).sections['regions']
             for beta in (1e3, 3e4, 1e6, 1e12)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[2] and not sizes[-1]
    assert encoder.encode(IMAGE, limited(alpha=30, beta=3e4), WANTED).sections['regions'] == (
        sizes[0])


def test_a_finer_level_costs_more_without_a_limit(codec):
    encoder, _ = codec
    sizes = [encoder.encode(IMAGE, limited(level=level), WANTED).sections['regions']
             for level in (7, 11, 15)]
    assert 0 < sizes[0] < sizes[1] < sizes[2]


def test_the_choice_is_explained(codec):
    encoder, _ = codec
    frame = encoder.encode(IMAGE, limited(700), WANTED)
    chosen = [offer for offer in frame.allocation if offer.chosen]
    assert len(frame.allocation) > len(chosen) == len(frame.regions)
    worth = [offer.gain_per_bit for offer in frame.allocation]
    assert worth == sorted(worth, reverse=True) and all(value > 0 for value in worth)


def test_the_list_of_objects_crosses(codec):
    encoder, decoder = codec
    seen = [KeyRegion(BOX, class_id=2, score=0.9), KeyRegion((10, 10, 60, 60), class_id=7)]
    frame = encoder.encode(IMAGE, limited(600), seen)
    assert frame.sections['objects'] <= 12
    found = decoder.decode(frame.payload).objects
    assert [one.class_id for one in found] == [2, 7]
    assert np.allclose(found[0].box, np.array(BOX) / (256, 160, 256, 160), atol=0.03)
    assert not encoder.encode(IMAGE, limited(600, objects=False), seen).sections['objects']
    assert not decoder.read(encoder.encode(IMAGE, limited(600), WANTED).payload).objects


def test_a_profile_without_a_region_model_sends_the_list_alone():
    profile = load_profile('tiny')
    if profile.has_regions:
        pytest.skip('the profile has a region model')
    frame = FrameEncoder(profile).encode(IMAGE, limited(400), [KeyRegion(BOX, class_id=1)])
    assert frame.regions == () and frame.sections['objects'] == 6


def test_no_region_is_like_no_regions(codec):
    encoder, _ = codec
    plain = encoder.encode(IMAGE, limited(400)).payload
    beyond = KeyRegion((300, 20, 400, 90))
    for wanted, settings in (((), {}), ((beyond,), {}), (WANTED, {'most': 0})):
        assert encoder.encode(IMAGE, limited(400, **settings), wanted).payload == plain
    assert not parse(plain).region_count


def test_too_little_room_leaves_the_base_alone(codec):
    encoder, decoder = codec
    frame = encoder.encode(IMAGE, limited(40), WANTED)
    assert len(frame.payload) <= 40
    assert decoder.decode(frame.payload).image.shape == IMAGE.shape


@pytest.mark.parametrize('change', [
    {'alpha': 0}, {'beta': -1}, {'most': 33}, {'base_share': 0}, {'level': 16}, {'thrift': 0}])
def test_a_setting_out_of_range_is_refused(codec, change):
    with pytest.raises(CodecError):
        codec[0].encode(IMAGE, limited(400, **change), WANTED)


def test_of_several_shares_of_the_base_the_one_with_the_least_error_is_taken(codec):
    encoder, decoder = codec
    weights = np.ones(IMAGE.shape[:2])
    weights[62:138, 52:158] = WANTED[0].weight

    def left(share):
        frame = encoder.encode(IMAGE, limited(500, base_share=share), WANTED)
        assert len(frame.payload) <= 500
        found = decoder.decode(frame.payload).image
        return (np.square(found.astype(float) - IMAGE).sum(axis=2) * weights).sum()

    assert left(None) == min(left(share) for share in SHARES)


def test_a_judge_decides_between_whole_allocations(codec):
    encoder, decoder = codec
    seen = []

    def without_regions(picture):
        seen.append(picture)
        return -error(picture, (0, 0, 50, 160))

    frame = encoder.encode(IMAGE, limited(500), WANTED, without_regions)
    found = decoder.decode(frame.payload).image
    assert len(seen) > 4 and any(np.array_equal(found, picture) for picture in seen)
    assert error(found, (0, 0, 50, 160)) == min(error(one, (0, 0, 50, 160)) for one in seen)
    dear = limited(500, beta=1e3)
    sizes = [len(encoder.encode(IMAGE, dear, WANTED, judge).payload)
             for judge in (lambda _: 1.0, lambda picture: -1e9 * error(picture))]
    assert sizes[0] < sizes[1]
