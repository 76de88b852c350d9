# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Still codecs with crops over a thumbnail: which boxes they code, what counts, what is seen."""

from dataclasses import replace
import random

from codec_image import picture
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.evaluation.packet_loss import access_units
from gsc_ros.evaluation.region_peer import (
    av1_crop_size,
    BOX_BYTES,
    Crops,
    FEATHER,
    GRID,
    hevc_crop_size,
    REGION_PEERS,
    RegionPeer,
    united,
)
from gsc_ros.evaluation.region_source import find
from gsc_ros.evaluation.resampling import reduced
from gsc_ros.evaluation.still_peer import STILL_PEERS
from gsc_ros.evaluation.store import Store
from gsc_ros.evaluation.stream_cache import StreamCache
import numpy as np
import pytest

WIDTH, HEIGHT = 320, 192
STILL = {peer.name: peer for peer in STILL_PEERS}
# WebP stands for the slow ones: what is around the codec is the same.
PEER = RegionPeer('webp-regions', 'WebP thumbnail and crops', STILL['webp'], (10,), (), len)


def region(*box):
    """Return a key region."""
    return KeyRegion(tuple(float(side) for side in box))


@pytest.fixture
def streams(tmp_path):
    """Return encoders that remember nothing yet."""
    return StreamCache(Store(tmp_path))


def coded(streams, boxes, quality=60, downscale=1, most=16):
    """Return a picture, and what the peer makes of it."""
    image = picture(HEIGHT, WIDTH)
    return image, PEER.code(streams, image, reduced(image, 4), 10, boxes,
                            Crops(quality, downscale, most))


def test_boxes_lie_on_the_grid_within_the_picture_and_hold_their_region():
    boxes = PEER.boxes([region(100, 60, 140, 90), region(-20, 150, 30, 230)], WIDTH, HEIGHT)
    assert boxes[0] == (80, 48, 160, 96)
    left, top, right, bottom = boxes[1]
    assert (left, bottom) == (0, HEIGHT) and top <= 138 and right >= 37
    for box in boxes:
        assert all(side % GRID == 0 for side in box)


def test_a_region_beside_the_picture_is_no_box():
    assert PEER.boxes([region(400, 10, 500, 60)], WIDTH, HEIGHT) == ()
    assert PEER.boxes([], WIDTH, HEIGHT) == ()


def test_boxes_that_overlap_become_one_at_the_place_of_the_more_important():
    far, near = (0, 0, 16, 16), (200, 100, 232, 132)
    assert united([near, far, (216, 116, 264, 148)]) == ((200, 100, 264, 148), far)
    # The one that holds the first two meets the third as well.
    assert united([(0, 0, 10, 10), (20, 0, 30, 10), (8, 0, 22, 10)]) == ((0, 0, 30, 10),)


def test_boxes_that_touch_stay_two():
    assert united([(0, 0, 16, 16), (16, 0, 32, 16)]) == ((0, 0, 16, 16), (16, 0, 32, 16))


def test_whatever_the_boxes_none_overlap_in_the_end_and_nothing_is_left_out():
    chance = random.Random(1)
    for _ in range(200):
        boxes = []
        for _ in range(chance.randint(1, 12)):
            left, top = chance.randrange(0, 60), chance.randrange(0, 60)
            boxes.append((left, top, left + chance.randint(1, 20), top + chance.randint(1, 20)))
        result = united(boxes)
        for one, other in ((a, b) for a in result for b in result if a is not b):
            assert one[2] <= other[0] or other[2] <= one[0] or (
                one[3] <= other[1] or other[3] <= one[1])
        for box in boxes:
            assert any(one[0] <= box[0] and one[1] <= box[1] and one[2] >= box[2]
                       and one[3] >= box[3] for one in result)


def test_crops_are_seen_where_they_are_and_cost_their_bytes(streams):
    image, without = coded(streams, ())
    box = (96, 64, 192, 128)
    _, one = coded(streams, (box,))
    left, top, right, bottom = box
    inside = (slice(top + FEATHER, bottom - FEATHER), slice(left + FEATHER, right - FEATHER))
    error = [np.abs(image[inside].astype(int) - shown.picture[inside]).mean()
             for shown in (without, one)]
    assert error[1] < 0.7 * error[0]
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[top:bottom, left:right] = False
    assert np.array_equal(one.picture[outside], without.picture[outside])
    crop = streams.still(PEER.still, image[top:bottom, left:right], 60)
    assert one.size == without.size + len(crop.data) + BOX_BYTES
    assert (without.regions, one.regions) == (0, 1)


def test_a_crop_fades_inside_the_picture_and_not_at_its_edge(streams):
    _, without = coded(streams, ())
    _, one = coded(streams, ((0, 0, 96, 64),))
    difference = np.abs(one.picture.astype(int) - without.picture).sum(axis=2)
    assert difference[:8, :8].mean() > 4 * difference[63, :96].mean()
    assert difference[:64, 95].mean() < difference[:64, 88 - FEATHER].mean()


def test_no_more_crops_are_sent_than_asked_for_the_first_ones_first(streams):
    boxes = ((0, 0, 64, 64), (128, 64, 192, 128), (224, 96, 288, 160))
    _, two = coded(streams, boxes, most=2)
    _, first = coded(streams, boxes[:2])
    assert two.regions == 2
    assert np.array_equal(two.picture, first.picture)


def test_a_smaller_crop_costs_less(streams):
    box = ((96, 32, 224, 160),)
    assert coded(streams, box, downscale=2)[1].size < coded(streams, box)[1].size


def test_what_was_coded_before_is_not_coded_again(streams):
    _, first = coded(streams, ((96, 64, 192, 128),))

    def refuse(*_):
        raise AssertionError('coded again')
    peer = replace(PEER, still=replace(PEER.still, encode=refuse))
    image = picture(HEIGHT, WIDTH)
    again = peer.code(streams, image, reduced(image, 4), 10, ((96, 64, 192, 128),),
                      Crops(60, 1, 16))
    assert again.size == first.size and again.encode_ms == first.encode_ms
    assert np.array_equal(again.picture, first.picture)


@pytest.mark.parametrize('name, crop_size', [('av1', av1_crop_size), ('hevc', hevc_crop_size)])
def test_headers_of_crops_are_not_counted(name, crop_size):
    peer = STILL[name]
    if peer.missing():
        pytest.skip(peer.missing())
    small, large = (peer.encode(picture(side, side), peer.qualities[4]) for side in (32, 96))
    headers = [peer.size(stream) - crop_size(stream) for stream in (small, large)]
    assert all(5 < header < 120 for header in headers)
    assert abs(headers[0] - headers[1]) <= 8  # of the size alone
    assert crop_size(small) < crop_size(large)


def test_the_bytes_of_hevc_are_those_of_its_slices():
    peer = STILL['hevc']
    if peer.missing():
        pytest.skip(peer.missing())
    stream = peer.encode(picture(64, 64), 40)
    (units,) = access_units(stream, 'hevc')
    slices = [unit for unit in units if unit.is_slice]
    assert hevc_crop_size(stream) == sum(4 + len(unit.data) for unit in slices)


def test_peers_as_key_regions_have_names_of_their_own_and_ways_that_differ():
    assert not {peer.name for peer in REGION_PEERS} & set(STILL)
    for peer in REGION_PEERS:
        assert len({crops.words for crops in peer.crops}) == len(peer.crops) > 1
        assert peer.settings.startswith(peer.still.settings)


class Source:
    """Finds the first pixels of a picture, and remembers when it was asked."""

    name = 'corner'

    def __init__(self):
        self.stamps = []

    def find(self, image, stamp_ns):
        self.stamps.append(stamp_ns)
        return [region(0, 0, image[0, 0, 0] + 1, 8)]


def test_each_picture_is_looked_at_once_at_its_time():
    images = [np.full((16, 16, 3), value, np.uint8) for value in (3, 7, 9)]
    source = Source()
    found = find('corner', source, images, 4.0)
    assert source.stamps[-3:] == [0, 250_000_000, 500_000_000]
    assert [each[0].box[2] for each in found.regions] == [4, 8, 10]
    assert len(found.milliseconds) == 3 and min(found.milliseconds) >= 0


def test_results_differ_in_name_where_boxes_do():
    images = [np.full((16, 16, 3), value, np.uint8) for value in (3, 7)]
    one, same = (find('corner', Source(), images, 4.0).identity for _ in range(2))
    assert one == same
    assert one != find('corner', Source(), images[::-1], 4.0).identity
