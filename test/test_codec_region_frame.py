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
from gsc_ros.codec.region.transform import RegionTransform
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


@pytest.mark.parametrize('max_bytes', [450, 600, 1200])
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
    # What was taken is told as it was sent: its bytes, and its box within the picture.
    assert sum(offer.bytes for offer in chosen) == sum(region.bytes for region in frame.regions)
    assert [offer.box for offer in chosen] == [region.box for region in frame.regions]
    corner = encoder.encode(IMAGE[:150, :250], limited(700), [KeyRegion((190, 90, 250, 150))])
    assert all(0 <= left < right <= 250 and 0 <= top < bottom <= 150
               for left, top, right, bottom in (offer.box for offer in corner.allocation))


@pytest.mark.parametrize('share', [0.4, None])
def test_an_explanation_has_the_base_too(codec, share):
    encoder, decoder = codec
    frame = encoder.encode(IMAGE, limited(500, base_share=share, explain=True), WANTED)
    base = [offer for offer in frame.allocation if offer.part == 'base']
    (taken,) = (offer for offer in base if offer.chosen)
    assert taken.level == frame.quantizer and len({offer.level for offer in base}) > 2
    assert taken.bytes + sum(frame.sections[name] for name in ('regions',)) == pytest.approx(
        len(frame.payload), abs=3)
    by_bytes = sorted((offer for offer in base if not offer.chosen), key=lambda one: one.bytes)
    assert by_bytes[0].gain < by_bytes[-1].gain
    # About what the error of a gray picture is more than that of the base.
    found = decoder.decode(frame.payload).image if not frame.regions else decoder.decode(
        cut(frame.payload, len(frame.layer_ends) - len(frame.regions), frame.layer_ends)).image
    weights = np.ones((160, 256, 1))
    weights[62:138, 52:158] = WANTED[0].weight
    saved = (weights * (np.square(IMAGE - 127.5) - np.square(IMAGE - found.astype(float)))).sum()
    assert taken.gain == pytest.approx(saved, rel=0.25)


SMALL = [(edge, count, stream) for edge, count in ((64, 9), (96, 16), (160, 16))
         for stream in (False, True)]


@pytest.mark.parametrize(('edge', 'count', 'stream'), SMALL)
@pytest.mark.parametrize('max_bytes', [None, 500, 2000])
def test_many_regions_of_a_small_picture_are_kept_within_bounds(
        codec, edge, count, stream, max_bytes):
    encoder, decoder = (one.branch() for one in codec)
    image, side = IMAGE[:edge, :edge], round(count ** 0.5)
    wanted = [KeyRegion(((x + 0.35) * edge / side, (y + 0.35) * edge / side,
                         (x + 0.65) * edge / side, (y + 0.65) * edge / side))
              for x in range(side) for y in range(side)]
    settings = EncoderSettings(channels=320, max_bytes=max_bytes, stream=stream)
    for _ in range(4 if stream else 1):
        frame = encoder.encode(image, settings, wanted)
        assert frame.regions and not frame.region_failure
        assert len(decoder.decode(frame.payload).regions) == len(frame.regions)


@pytest.mark.parametrize('part', ['analyse', 'synthesise'])
def test_a_failure_in_regions_costs_no_frame(codec, monkeypatch, part):
    encoder, decoder = (one.branch() for one in codec)
    settings = EncoderSettings(channels=320, max_bytes=500, stream=True)
    decoder.decode(encoder.encode(IMAGE, settings, WANTED).payload)

    def broken(*_):
        raise RuntimeError('out of memory')

    with monkeypatch.context() as patched:
        patched.setattr(RegionTransform, part, broken)
        for _ in range(2):
            bare = encoder.encode(IMAGE[::-1].copy(), settings, WANTED)
            assert not bare.regions and 'out of memory' in bare.region_failure
            decoder.decode(bare.payload)
    again = encoder.encode(IMAGE, settings, WANTED)
    assert again.regions and not again.region_failure
    assert decoder.decode(again.payload).regions


@pytest.mark.parametrize('count', [17, 32])
@pytest.mark.parametrize('max_bytes', [60, 120, 195])
def test_the_list_of_objects_is_shortened_to_what_fits(codec, count, max_bytes):
    encoder, decoder = codec
    crowd = [KeyRegion((5 + 7 * k, 5, 12 + 7 * k, 100), 1.0 + k, class_id=k)
             for k in range(count)]
    frame = encoder.encode(IMAGE, limited(max_bytes), crowd)
    found = decoder.decode(frame.payload).objects
    assert 0 < len(found) < count and len(frame.payload) <= max_bytes
    assert [one.class_id for one in found] == [count - 1 - k for k in range(len(found))]
    least = next(size for size in range(8, 60) if _fits(encoder, size))
    assert encoder.encode(IMAGE, limited(least), crowd).sections['objects'] == 0


def _fits(encoder, max_bytes):
    """Return whether a base fits."""
    try:
        return bool(encoder.encode(IMAGE, limited(max_bytes)))
    except CodecError:
        return False


@pytest.mark.parametrize('bad', [
    {'box': (100.0, 50.0, np.nextafter(100.0, 200), 120.0)}, {'box': (0.0, 50.0, 5e-324, 120.0)},
    {'weight': 5e-324}, {'weight': 1e-200}])
def test_a_degenerate_region_is_left_out(codec, bad):
    encoder, decoder = codec
    odd = KeyRegion(**({'box': (10.0, 10.0, 50.0, 50.0), 'class_id': 1} | bad))
    frame = encoder.encode(IMAGE, limited(600), [odd, *WANTED])
    plain = encoder.encode(IMAGE, limited(600, objects=False), WANTED)
    assert [region.source for region in frame.regions] == ['zones']
    if 'box' in bad:
        assert frame.payload == plain.payload


@pytest.mark.parametrize('weight', [1e30, 1e200, 1e308])
def test_whatever_the_weight_the_packet_is_used(codec, weight):
    encoder, _ = codec
    frame = encoder.encode(IMAGE, limited(600), [KeyRegion(BOX, weight)])
    assert frame.regions and len(frame.payload) > 540


def test_what_regions_leave_the_base_gets(codec):
    encoder, _ = codec
    flat = IMAGE.copy()
    flat[40:100, 40:120] = 128
    frame = encoder.encode(flat, limited(400), [KeyRegion((60, 60, 100, 80))])
    plain = encoder.encode(flat, limited(400))
    assert len(frame.payload) > 0.9 * len(plain.payload)


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
