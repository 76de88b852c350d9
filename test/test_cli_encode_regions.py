# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc encode --regions` by what it does: how a packet is shared, why, and what it warns of."""

from __future__ import annotations

import json

from codec_image import picture
from command_line import call
import cv2
import numpy as np
import pytest
from region_profile import region_profile
from tiny_detector import write_constant

BOXES = [{'box': [20, 20, 90, 80]}, {'box': [110, 60, 170, 140], 'weight': 8}]


@pytest.fixture(scope='module')
def setup(tmp_path_factory):
    """Return a folder with a picture of 192 x 168, a profile and a detector that finds two."""
    folder = tmp_path_factory.mktemp('setup')
    (folder / 'profile').mkdir()
    region_profile(folder / 'profile')
    cv2.imwrite(str(folder / 'a.png'), picture(168, 192))
    (folder / 'boxes.json').write_text(json.dumps(BOXES))
    answer = np.zeros((1, 84, 100), np.float32)
    answer[0, :4, 0] = 20, 30, 16, 20
    answer[0, 4, 0] = 0.9
    answer[0, :4, 1] = 45, 30, 20, 16
    answer[0, 6, 1] = 0.8
    write_constant(folder / 'detector.onnx', {'output0': answer})
    return folder


def encode(capsys, setup, *words, regions='boxes.json'):
    """Run `gsc encode` on the picture."""
    source = [] if regions is None else ['--regions', regions.format(setup)
                                         if '{' in regions else setup / regions]
    return call(capsys, 'encode', setup / 'a.png', '-o', setup / 'a.gsc', '--profile',
                setup / 'profile', '--max-bytes', 500, *source, '--json', *words)


def test_the_share_of_the_base_can_be_said(capsys, setup):
    sizes = [encode(capsys, setup, '--base-share', share).json['sections']['structure']
             for share in (0.2, 0.7)]
    assert sizes[0] < sizes[1] < 0.7 * 500


def test_the_share_of_the_base_can_be_found(capsys, setup):
    shown = encode(capsys, setup, '--base-share', 'auto').json
    base = [offer for offer in shown['allocation'] if offer['part'] == 'base']
    assert len(base) > 3 and sum(offer['chosen'] for offer in base) == 1


def test_the_choice_is_explained_for_base_and_regions(capsys, setup):
    shown = encode(capsys, setup).json
    chosen = [offer for offer in shown['allocation'] if offer['chosen']]
    assert sorted({offer['part'] for offer in chosen}) == ['base', 'region']
    taken = {offer['part']: 0 for offer in chosen}
    for offer in chosen:
        taken[offer['part']] += offer['bytes']
        assert offer['gain_per_bit'] == pytest.approx(offer['gain'] / (8 * offer['bytes']))
    assert taken['region'] == sum(region['bytes'] for region in shown['regions'])
    assert sum(taken.values()) == pytest.approx(shown['bytes'], abs=3)


def test_more_thrift_gives_up_symbols_for_a_finer_level(capsys, setup):
    levels = [np.mean([region['level'] for region in encode(
        capsys, setup, '--thrift', thrift).json['regions']]) for thrift in (0.001, 0.2)]
    assert levels[0] < levels[1]


def test_a_detector_decides_when_asked_to(capsys, setup):
    shown = encode(capsys, setup, '--agreement', '--beta', '0.01',
                   regions='detector:{}/detector.onnx').json
    # It finds the same whatever the picture, so that the cheapest way is the best one.
    plain = encode(capsys, setup, regions='detector:{}/detector.onnx').json
    assert shown['bytes'] < plain['bytes']
    assert shown['sections']['objects'] == plain['sections']['objects'] == 12


@pytest.mark.parametrize(('words', 'regions', 'told'), [
    (('--agreement',), 'boxes.json', 'needs --regions detector'),
    (('--alpha', '3', '--beta', '5'), None, '--alpha, --beta without --regions'),
    (('--base-share', 'auto'), None, '--base-share without --regions'),
    (('--base-share', '0'), 'boxes.json', '--base-share'),
    (('--base-share', 'half'), 'boxes.json', '--base-share')])
def test_what_says_nothing_is_a_usage_error(capsys, setup, words, regions, told):
    done = encode(capsys, setup, *words, regions=regions)
    assert (done.status, told in done.err) == (2, True)


def test_boxes_of_other_pictures_are_bad_data(capsys, setup):
    (setup / 'other.json').write_text(json.dumps({'b.png': BOXES}))
    done = encode(capsys, setup, regions='other.json')
    assert (done.status, 'none of the pictures: it names b.png' in done.err) == (1, True)


def test_boxes_outside_of_the_picture_are_warned_of(capsys, setup):
    (setup / 'far.json').write_text(json.dumps([*BOXES, {'box': [5000, 5000, 6000, 6000]}]))
    done = encode(capsys, setup, regions='far.json')
    assert done.status == 0 and '1 of 3 regions lie outside of its 192x168 pixels' in done.err
    assert len(done.json['regions']) == 2
