# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc bench --snr` on small pictures: the report, what is missing or does not fit, bad input."""

import json

from codec_image import picture
from command_line import call
import cv2
import numpy as np
import pytest
from tiny_detector import write_mean_colour


@pytest.fixture
def pictures(tmp_path):
    """Return a folder of two pictures of 192 x 168."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(2):
        cv2.imwrite(str(folder / f'{index}.png'), np.roll(picture(168, 192), 9 * index, axis=1))
    return folder


def bench(capsys, pictures, output, *words):
    """Run `gsc bench --snr` without the slowest metric."""
    return call(capsys, 'bench', pictures, '-o', output, '--no-vsi', '--threads', 1, '--workers', 1,
                '--trials', 2, *words)


def test_a_report_has_figures_plots_and_pictures(capsys, pictures, tmp_path):
    outcome = bench(capsys, pictures, tmp_path / 'out', '--snr', '12,0', '--uses', '3600,24000',
                    '--json')
    assert outcome.status == 0, outcome.err
    content = json.loads((tmp_path / 'out' / 'bench.json').read_text())
    assert content == outcome.json
    assert content['mode'] == 'snr' and content['snr_db'] == [0, 12]
    assert [one['capacity'] for one in content['operating_points']] == [147, 1161]
    assert [codec['name'] for codec in content['codecs']] == ['gsc', 'gsc-layers', 'jpeg', 'webp']
    assert content['metrics'] == ['psnr', 'ssim']
    psnr = {(point['codec'], point['operating_point'], point['snr_db']): point['psnr']
            for point in content['points']}
    assert psnr['gsc', 0, 0] == psnr['webp', 1, 0] < psnr['gsc', 0, 12] < psnr['gsc', 1, 12]
    assert ('jpeg', 0, 12) not in psnr and ('jpeg', 1, 12) in psnr
    for name in ('psnr', 'ssim', 'whole'):
        assert (tmp_path / 'out' / f'snr_{name}.svg').read_bytes().startswith(b'<?xml')
    assert 'JPEG: does not fit' in (tmp_path / 'out' / 'snr_psnr.svg').read_text()
    shown = (tmp_path / 'out' / 'report.html').read_text()
    assert 'does not fit:' in shown and shown.count('<figure>') > 8
    assert 'href' not in shown and 'src="http' not in shown


def test_what_is_missing_and_what_does_not_fit_is_said(capsys, pictures, tmp_path):
    outcome = bench(capsys, pictures, tmp_path / 'out', '--snr', '9', '--uses', '3600',
                    '--weights', tmp_path)
    assert outcome.status == 0, outcome.err
    told = ' '.join(outcome.err.split())
    assert 'does not fit 147 bytes: JPEG' in told
    assert 'missing: LPIPS' in told and 'lpips_weights.pt' in told
    assert 'missing' in json.loads((tmp_path / 'out' / 'bench.json').read_text())[
        'versions']['LPIPS']


def test_a_detector_says_how_far_it_sees_the_same(capsys, pictures, tmp_path):
    outcome = bench(capsys, pictures, tmp_path / 'out', '--snr', '0,20', '--peers', 'none',
                    '--detector', write_mean_colour(tmp_path / 'colours.onnx'), '--min-score', 0.2,
                    '--json')
    assert outcome.status == 0, outcome.err
    f1 = {(point['codec'], point['snr_db']): point['f1'] for point in outcome.json['points']}
    assert 0 <= f1['gsc', 0] <= f1['gsc', 20] <= 1
    assert f1['gsc', 20] > 0
    assert (tmp_path / 'out' / 'snr_f1.svg').exists()


@pytest.mark.parametrize('words, message', [
    (('--snr', '5', '--stream'), 'not allowed'),
    (('--snr', 'loud'), 'not a number'),
    (('--snr', '5', '--peers', 'x265'), 'x265'),
    (('--snr', '5', '--uses', '500'), 'hold no frame'),
    (('--snr', '5', '--uses', '900000'), 'more than 126'),
    (('--snr', '5', '--mtu', '2000'), 'mtu'),
    (('--snr', '5', '--code-rates', '0'), 'not in'),
    (('--snr', '5', '--modulation', 'am'), 'invalid choice'),
])
def test_a_call_that_makes_no_sense_is_refused(capsys, pictures, tmp_path, words, message):
    outcome = bench(capsys, pictures, tmp_path / 'out', *words)
    assert outcome.status == 2
    assert message in outcome.err
    assert 'Traceback' not in outcome.err


def test_ratios_below_zero_are_possible(capsys, pictures, tmp_path):
    outcome = bench(capsys, pictures, tmp_path / 'out', '--snr=-3,20', '--peers', 'none',
                    '--cache', tmp_path / 'kept', '--json')
    assert outcome.status == 0, outcome.err
    assert {point['snr_db'] for point in outcome.json['points']} == {-3, 20}
    assert {point['codec'] for point in outcome.json['points']} == {'gsc', 'gsc-layers'}
    # What is kept elsewhere leaves the folder of the report to be made.
    assert [path.name for path in (tmp_path / 'out').iterdir() if path.is_dir()] == []
    assert list((tmp_path / 'kept').iterdir())


def test_pictures_of_several_sizes_are_refused(capsys, pictures, tmp_path):
    cv2.imwrite(str(pictures / '9.png'), picture(64, 64))
    outcome = bench(capsys, pictures, tmp_path / 'out', '--snr', '5')
    assert outcome.status == 1
    assert 'one size' in outcome.err
