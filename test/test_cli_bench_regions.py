# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc bench --regions` on small pictures: ours with regions beside ours without, in every mode."""

import json

from codec_image import picture
from command_line import call
import cv2
from gsc_ros.evaluation import comparison
from gsc_ros.evaluation.region_peer import Crops, RegionPeer
from gsc_ros.evaluation.still_peer import STILL_PEERS
import numpy as np
import pytest
from region_profile import region_profile

ZONE = 'zones:0.3,0.3,0.7,0.8'
WEBP = next(peer for peer in STILL_PEERS if peer.name == 'webp')


@pytest.fixture(scope='module')
def profile(tmp_path_factory):
    """Return the folder of a profile that has a region model."""
    folder = tmp_path_factory.mktemp('profile')
    region_profile(folder)
    return folder


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """Return a folder of two pictures of 192 x 168."""
    folder = tmp_path_factory.mktemp('pictures')
    for index in range(2):
        cv2.imwrite(str(folder / f'{index}.png'), np.roll(picture(168, 192), 3 * index, axis=1))
    return folder


def bench(capsys, pictures, output, profile, *words):
    """Run `gsc bench` with a zone, without the slowest metric."""
    return call(capsys, 'bench', pictures, '-o', output, '--no-vsi', '--threads', 1, '--workers', 1,
                '--regions', ZONE, '--profile', profile, *words)


def points(content, codec):
    """Return the points of a codec that have figures."""
    found = [point for point in content['points'] if point['codec'] == codec]
    assert found and not [point['failure'] for point in found if point.get('failure')]
    return found


def test_stills_are_coded_with_regions_within_the_same_bytes(capsys, pictures, profile, tmp_path):
    outcome = bench(capsys, pictures, tmp_path / 'out', profile, '--peers', 'none', '--rates',
                    '0.1,0.4', '--frames', 1, '--json')
    assert outcome.status == 0, outcome.err
    content = json.loads((tmp_path / 'out' / 'bench.json').read_text())
    assert content['regions']['source'] == ZONE and content['regions']['count'] == 1
    with_regions = points(content, 'gsc-regions')
    assert [point['regions'] for point in with_regions] == [1, 1]
    assert all(point['bpp'] <= rate for point, rate in zip(with_regions, (0.1, 0.4)))
    assert all(point['regions'] is None for point in points(content, 'gsc'))
    assert [row['rate'] for row in content['region_costs']] == [0.1, 0.4]
    shown = (tmp_path / 'out' / 'report.html').read_text()
    assert 'What key regions change' in shown and ZONE in shown


def test_a_peer_codes_the_same_regions(capsys, pictures, profile, tmp_path, monkeypatch):
    peer = RegionPeer('webp-regions', 'WebP thumbnail and crops', WEBP, (10,),
                      (Crops(10, 1, 3), Crops(50, 1, 3)), len)
    monkeypatch.setattr(comparison, 'REGION_PEERS', (peer,))
    content = bench(capsys, pictures, tmp_path / 'out', profile, '--peers', 'webp-regions',
                    '--rates', '0.4', '--frames', 1, '--json').json
    found = points(content, 'webp-regions')
    assert len(found) > 1
    assert all(point['regions'] == 1 for point in found)
    assert {row['peer'] for row in content['bd_rate_percent']} == {'webp-regions'}


@pytest.mark.parametrize('mode', (
    ('--stream',), ('--loss', '0.2', '--trials', '2', '--mtu', '200')), ids=lambda mode: mode[0])
def test_streams_have_regions_too(capsys, pictures, profile, tmp_path, mode):
    outcome = bench(capsys, pictures, tmp_path / 'out', profile, *mode, '--peers', 'none',
                    '--rates', '40', '--json')
    assert outcome.status == 0, outcome.err
    for codec in ('gsc-regions', 'gsc-stream-regions'):
        for point in points(outcome.json, codec):
            assert point['kbps'] <= 40
            assert point['regions'] > 0
            assert (point['decodable'] is None) == (mode == ('--stream',))


def test_over_noise_regions_are_another_curve(capsys, pictures, profile, tmp_path):
    outcome = bench(capsys, pictures, tmp_path / 'out', profile, '--snr', '0,15', '--peers', 'none',
                    '--uses', '16000', '--trials', 1, '--json')
    assert outcome.status == 0, outcome.err
    psnr = {(point['codec'], point['snr_db']): point['psnr']
            for point in points(outcome.json, 'gsc') + points(outcome.json, 'gsc-regions')}
    assert psnr['gsc', 0] == psnr['gsc-regions', 0]
    assert psnr['gsc-regions', 15] not in (psnr['gsc', 15], psnr['gsc', 0])
    fits = {fit['codec']: fit for fit in outcome.json['fits']}
    assert fits['gsc-regions']['bytes'] <= fits['gsc-regions']['capacity']


@pytest.mark.parametrize('mode', ((), ('--snr', '15')), ids=('stills', 'snr'))
def test_a_profile_without_a_region_model_is_said_to_be_that(
        capsys, pictures, profile, tmp_path, monkeypatch, mode):
    manifest = json.loads((profile / 'manifest.json').read_text())
    for path in profile.iterdir():
        if not path.name.startswith('region_'):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    del manifest['regions']
    manifest['files'] = {name: digest for name, digest in manifest['files'].items()
                         if not name.startswith('region_')}
    (tmp_path / 'manifest.json').write_text(json.dumps(manifest))
    outcome = bench(capsys, pictures, tmp_path / 'out', tmp_path, *mode, '--peers', 'none',
                    '--frames', 1, '--json', *(() if mode else ('--rates', '0.2')))
    assert outcome.status == 0, outcome.err
    codecs = {codec['name']: codec['missing'] for codec in outcome.json['codecs']}
    assert codecs['gsc-regions'] == 'its profile has no model of key regions'
    assert codecs['gsc'] == ''


@pytest.mark.parametrize('source, message', [
    ('clairvoyance', 'no source of regions'), ('zones:1,1,0,0', 'zone 1,1,0,0'),
    ('detector:absent.onnx', 'absent.onnx')])
def test_a_source_that_cannot_be_opened_is_one_line(
        capsys, pictures, profile, tmp_path, source, message):
    outcome = call(capsys, 'bench', pictures, '-o', tmp_path / 'out', '--regions', source,
                   '--profile', profile, '--frames', 1)
    assert outcome.status in (1, 2)
    assert message in outcome.err
    assert 'Traceback' not in outcome.err
