# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc bench --agreement`, and the list of objects, with a detector made by hand."""

import json

from codec_image import picture
from command_line import call
import cv2
import numpy as np
import pytest
from region_profile import region_profile
from tiny_detector import write_constant


@pytest.fixture(scope='module')
def setup(tmp_path_factory):
    """Return a folder of one picture of 192 x 168, a profile, and a detector of COCO's classes."""
    folder = tmp_path_factory.mktemp('setup')
    profile, pictures = folder / 'profile', folder / 'pictures'
    profile.mkdir()
    pictures.mkdir()
    region_profile(profile)
    cv2.imwrite(str(pictures / '0.png'), picture(168, 192))
    # One box for each of two cells: a person and a car, whatever the picture.
    answer = np.zeros((1, 84, 100), np.float32)
    answer[0, :4, 0] = 20, 30, 16, 20
    answer[0, 4, 0] = 0.9
    answer[0, :4, 1] = 45, 30, 20, 16
    answer[0, 6, 1] = 0.8
    detector = write_constant(folder / 'detector.onnx', {'output0': answer})
    return pictures, profile, detector


def bench(capsys, setup, output, *words):
    """Run `gsc bench` on the picture without peers."""
    pictures, profile, detector = setup
    return call(capsys, 'bench', pictures, '-o', output, '--no-vsi', '--threads', 1, '--peers',
                'none', '--profile', profile, '--detector', detector, '--rates', '0.3', *words)


def test_the_list_of_objects_is_all_that_the_detector_found(capsys, setup, tmp_path):
    content = bench(capsys, setup, tmp_path / 'out', '--regions', f'detector:{setup[2]}', '--ours',
                    'gsc', '--json').json
    told = content['object_list']
    assert told['f1'] == 1
    assert told['list_bytes'] == 12  # of two objects, 5 + 2 x 43 bits
    assert told['list_bytes'] < told['bytes'] < 150
    assert 'The list of objects alone' in (tmp_path / 'out' / 'report.html').read_text()


def test_without_classes_there_is_no_list(capsys, setup, tmp_path):
    content = bench(capsys, setup, tmp_path / 'out', '--regions', 'zones:0.2,0.2,0.8,0.8',
                    '--ours', 'gsc', '--json').json
    assert content['object_list'] is None


def test_a_detector_that_judges_has_a_row_of_its_own(capsys, setup, tmp_path):
    outcome = bench(capsys, setup, tmp_path / 'out', '--regions', f'detector:{setup[2]}',
                    '--agreement', '--ours', 'gsc-regions,gsc-regions-agreement', '--json')
    assert outcome.status == 0, outcome.err
    content = json.loads((tmp_path / 'out' / 'bench.json').read_text())
    points = {point['codec']: point for point in content['points']}
    assert set(points) == {'gsc-regions', 'gsc-regions-agreement'}
    assert all(point['bpp'] <= 0.3 and point['f1'] == 1 for point in points.values())


@pytest.mark.parametrize('words, message', [
    (('--regions', 'zones:0,0,1,1', '--agreement'), 'detector'),
    (('--agreement',), 'detector'),
    (('--ours', 'betamax'), 'betamax'),
])
def test_a_call_that_makes_no_sense_is_refused(capsys, setup, tmp_path, words, message):
    outcome = bench(capsys, setup, tmp_path / 'out', *words)
    assert outcome.status == 2
    assert message in outcome.err
