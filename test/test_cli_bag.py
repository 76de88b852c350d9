# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc bag`: bags made of images."""

from __future__ import annotations

from command_line import call
from gsc_ros.sources import open_source
import numpy as np
import pytest
from source_picture import write_pictures


@pytest.mark.parametrize('name', ['out', 'drive.bag'])
def test_a_folder_becomes_a_bag_with_its_times(tmp_path, capsys, name):
    write_pictures(tmp_path / 'in', ['1.png', '2.png'])
    (tmp_path / 'in' / 'timestamps.txt').write_text('1317042145.5\n1317042146.5\n')
    bag = tmp_path / name
    outcome = call(capsys, 'bag', 'from-images', tmp_path / 'in', bag, '--json')
    assert outcome.status == 0
    assert outcome.json == {'bag': str(bag), 'images': 2, 'calibrated': False, 'skipped': 0}
    frames = list(open_source(bag, topic='/front/image_raw'))
    assert [frame.stamp_ns for frame in frames] == [1317042145_500_000_000, 1317042146_500_000_000]
    assert all(np.array_equal(frame.image, image.image)
               for frame, image in zip(frames, open_source(tmp_path / 'in')))


def test_the_terrain_becomes_a_calibrated_bag_of_a_chosen_camera(tmp_path, capsys):
    outcome = call(capsys, 'bag', 'from-images', 'terrain', tmp_path / 'out', '--count', 2,
                   '--camera', 'mast/left', '--frame-id', 'eye', '--seed', 5)
    assert outcome.status == 0 and '2 images with calibration' in outcome.err
    frame = next(iter(open_source(tmp_path / 'out', topic='/mast/left/image_raw')))
    assert frame.frame_id == 'eye' and frame.calibration.k[0] > 0


def test_images_can_be_compressed_without_loss(tmp_path, capsys):
    write_pictures(tmp_path / 'in', ['1.png', '2.png'])
    call(capsys, 'bag', 'from-images', tmp_path / 'in', tmp_path / 'out', '--compressed', 'png')
    source = open_source(tmp_path / 'out', topic='/front/image_raw/compressed')
    assert all(np.array_equal(frame.image, image.image)
               for frame, image in zip(source, open_source(tmp_path / 'in')))


def test_an_existing_bag_and_a_missing_input_are_bad_data(tmp_path, capsys):
    write_pictures(tmp_path / 'in', ['1.png'])
    assert call(capsys, 'bag', 'from-images', tmp_path / 'no', tmp_path / 'out').status == 1
    assert not (tmp_path / 'out').exists()
    for status, error in ((0, '1 images'), (1, 'exists already')):
        outcome = call(capsys, 'bag', 'from-images', tmp_path / 'in', tmp_path / 'out')
        assert outcome.status == status and error in outcome.err


@pytest.mark.parametrize('option', [('--camera', 'a b'), ('--count', '0'), ('--seed', '-1')])
def test_bad_options_are_usage_errors(tmp_path, capsys, option):
    outcome = call(capsys, 'bag', 'from-images', 'terrain', tmp_path / 'out', *option)
    assert outcome.status == 2 and not (tmp_path / 'out').exists()
