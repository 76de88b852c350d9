# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc eval` on small pictures: what it writes and prints, the standard run in small, bad input."""

from __future__ import annotations

import csv
import json

from caption_endpoint import complete, serving
from codec_image import picture
from command_line import call
import cv2
from gsc_ros.cli.eval_argument import REPORT_FILE
from gsc_ros.evaluation.run.spec import read_run
import numpy as np
import pytest
import yaml


def write_pictures(folder, count, height=168, width=192):
    """Write pictures into a folder, and return it."""
    folder.mkdir(parents=True)
    for index in range(count):
        image = np.roll(picture(height, width), 5 * index, axis=1)
        cv2.imwrite(str(folder / f'{index:010d}.png'), image)
    return folder


@pytest.fixture
def pictures(tmp_path):
    """Return a folder of two pictures of 192 x 168."""
    return write_pictures(tmp_path / 'pictures', 2)


@pytest.fixture
def data(tmp_path):
    """Return a folder laid out as the project's data, but for the networks."""
    drive = tmp_path / 'data' / 'kitti' / '2011_09_26' / '2011_09_26_drive_0001_sync'
    write_pictures(drive / 'image_02' / 'data', 2)
    depth = drive / 'proj_depth' / 'groundtruth' / 'image_02'
    depth.mkdir(parents=True)
    metres = np.random.default_rng(0).integers(5 * 256, 70 * 256, (168, 192)).astype(np.uint16)
    for index in range(2):
        cv2.imwrite(str(depth / f'{index:010d}.png'), metres)
    kodak = write_pictures(tmp_path / 'data' / 'kodak', 2)
    for index, path in enumerate(sorted(kodak.iterdir()), 1):
        path.rename(kodak / f'kodim{index:02d}.png')
    return tmp_path / 'data'


def test_pictures_are_evaluated_and_the_results_written(capsys, pictures, tmp_path):
    out = tmp_path / 'out'
    words = ('eval', 'images', pictures, '-o', out, '--channels', '1,8', '--without',
             'vsi,lpips,dists,fid', '--peers', 'webp', '--rates', '0.2')
    outcome = call(capsys, *words, '--json')
    assert outcome.status == 0, outcome.err
    assert outcome.json == json.loads((out / 'results.json').read_text())
    table = outcome.json['tables']['pictures-images']
    assert [row['title'] for row in table['rows']] == [
        'original', 'gsc structure, C = 1', 'gsc structure, C = 8', 'WebP, at most 0.2 bpp']
    assert [column['name'] for column in table['columns']][:3] == ['bytes', 'bpp', 'psnr']
    assert 'psnr' in (out / 'report.html').read_text().lower()
    assert (out / 'report.pdf').read_bytes().startswith(b'%PDF')
    (file,) = (out / 'tables').glob('*.csv')
    assert len(list(csv.reader(file.open()))) == 5
    again = call(capsys, *words)
    assert '0 measured, 8 known from before' in again.err
    assert 'gsc structure, C = 8' in again.out
    repeated = call(capsys, 'eval', 'report', '--config', out / 'run.yaml', '-o', out)
    assert '0 measured, 8 known from before' in repeated.err


def in_small(run):
    """Return the standard run with less of everything: the same parts of the program do it."""
    kept = ('known-depth', 'kitti', 'selection', 'caption-coder', 'loss')
    run['parts'] = [part for part in run['parts'] if part['name'] in kept]
    for part in run['parts']:
        part['tasks'] = [{'images': {'without': 'vsi lpips dists fid'}}
                         if task == 'images' or 'images' in task else task
                         for task in part['tasks']]
        methods = []
        for entry in part['methods']:
            ((kind, options),) = ({entry: {}} if isinstance(entry, str) else entry).items()
            options = {name: value[:2] if isinstance(value, list) else value
                       for name, value in options.items()}
            if kind == 'peer':
                options |= {'codec': 'webp', 'bpp': 0.2, 'downscales': '1 2'}
            if kind not in ('generate', 'text'):
                methods.append({kind: options})
        part['methods'] = methods
    return run


def test_the_standard_run_does_all_in_one(capsys, data, tmp_path):
    config = tmp_path / 'run.yaml'
    config.write_text(yaml.safe_dump(in_small(yaml.safe_load(REPORT_FILE.read_text()))))
    outcome = call(capsys, 'eval', 'report', data, '--config', config, '-o', tmp_path / 'out',
                   '--frames', 2, '--processes', 1, '--json')
    assert outcome.status == 0, outcome.err
    tables = outcome.json['tables']
    known = {row['title']: row['values'] for row in tables['known-depth-depth']['rows']}
    assert known['true depth']['abs_rel'] == 0 and known['true depth']['delta1'] == 1
    assert known['true depth x 0.9']['abs_rel'] == pytest.approx(0.1)
    assert any(row['published'] for row in tables['known-depth-depth']['rows'])
    for name in ('kitti-images', 'kitti-bound', 'selection', 'caption-coder', 'loss'):
        assert any(row['group'] == 'ours' for row in tables[name]['rows']), name
    assert any(row['group'] == 'peer' for row in tables['kitti-images']['rows'])
    assert set(outcome.json['bounds']) == {'kitti-bound'}
    # The networks are not in this folder, which is said.
    missing = {entry['what']: entry['reason'] for entry in outcome.json['missing']}
    assert 'fastestdet_coco.onnx' in missing['kitti: detection']
    assert 'deeplabv3' in missing['kitti: segmentation']
    assert (tmp_path / 'out' / 'report.html').stat().st_size > 10_000


def test_the_standard_run_is_the_one_without_a_config(data):
    parts = {part.name: part for part in read_run(REPORT_FILE, str(data)).parts}
    assert {method.kind for method in parts['kodak'].methods} == {
        'original', 'text', 'gsc', 'generate', 'peer'}
    assert {task.kind for task in parts['kitti'].tasks} == {
        'images', 'detection', 'segmentation', 'bound'}
    assert {'channels', 'selection', 'caption-coder', 'loss'} <= set(parts)
    assert parts['loss'].data.pick == 'first', 'lost pictures leave the one before'


def test_an_ablation_goes_over_values(capsys, pictures, tmp_path):
    outcome = call(capsys, 'eval', 'ablation', pictures, '-o', tmp_path / 'out', '--over',
                   'selection', '--values', 'ordered,ssim', '--channels', 4, '--json')
    assert outcome.status == 0, outcome.err
    table = outcome.json['tables']['selection']
    assert table['axis'] == 'selection'
    assert [row['parameter']['selection'] for row in table['rows']] == ['ordered', 'ssim']
    assert {row['parameter']['channels'] for row in table['rows']} == {4}


def test_lost_pictures_are_those_of_frames_that_follow_each_other(capsys, pictures, tmp_path):
    words = ('eval', 'images', pictures, '-o', tmp_path / 'out', '--channels', '4', '--loss', 0.5,
             '--without', 'vsi,lpips,dists,fid', '--frames', 1)
    outcome = call(capsys, *words, '--json')
    assert outcome.status == 0, outcome.err
    assert outcome.json['tables']['pictures-images']['data'].endswith(', the first ones')
    assert 'pick: first' in call(capsys, *words, '--pick', 'spread').err


def test_the_bound_is_studied(capsys, pictures, tmp_path):
    outcome = call(capsys, 'eval', 'bound', pictures, '-o', tmp_path / 'out', '--channels', '4',
                   '--measure', 'gradient', '--json')
    assert outcome.status == 0, outcome.err
    bound = outcome.json['bounds']['pictures-bound']
    assert bound['measure'] == 'gradient' and bound['images'] == 2


def test_captions_are_written_once_for_each_picture(capsys, pictures, tmp_path):
    with serving(complete('Boxes on a field.')) as endpoint:
        words = ('eval', 'captions', pictures, '-o', tmp_path / 'captions.txt', '--captioner',
                 'openai', '--caption-url', endpoint.url, '--caption-model', 'any')
        assert call(capsys, *words, '--frames', 1).status == 0
        assert call(capsys, *words).status == 0
        assert len(endpoint.requests) == 2
    lines = (tmp_path / 'captions.txt').read_text().splitlines()
    assert [line.partition('\t')[0] for line in lines] == ['0000000000', '0000000001']
    assert {line.partition('\t')[2] for line in lines} == {'Boxes on a field.'}


@pytest.mark.parametrize(('words', 'status', 'message'), [
    (('images',), 2, 'needs a folder'),
    (('images', 'nowhere'), 1, 'no such file'),
    (('images', 'PICTURES', '--layout', 'cityscapes'), 1, 'leftImg8bit'),
    (('images', 'PICTURES', '--peers', 'bpg'), 1, "codec 'bpg'"),
    (('images', 'PICTURES', '--external', 'x'), 2, 'NAME=DIR'),
    (('images', 'PICTURES', '--external', 'x=nowhere'), 1, 'real byte counts are expected'),
    (('images', 'PICTURES', '--channels', '0'), 2, 'not in 1..320'),
    (('detection', 'PICTURES', '--network', 'none-such'), 1, "'none-such' is no network"),
    (('ablation', 'PICTURES', '--over', 'colour'), 2, "no ablation over 'colour'"),
    (('ablation', 'PICTURES', '--values', '1,2'), 2, 'those of one option'),
    (('report', 'PICTURES', '--config', 'nowhere.yaml'), 1, 'nowhere.yaml')])
def test_bad_input_is_said(capsys, pictures, tmp_path, words, status, message):
    words = [str(pictures) if word == 'PICTURES' else word for word in words]
    outcome = call(capsys, 'eval', *words, '-o', tmp_path / 'out')
    assert outcome.status == status
    assert message in outcome.err
    assert 'Traceback' not in outcome.err


def test_a_run_that_is_no_yaml_is_said_with_its_file(capsys, tmp_path):
    config = tmp_path / 'run.yaml'
    for content, message in (('parts: [', 'not YAML'), ('- a', 'expected `key: value`'),
                             ('parts: [{name: x, data: {folder: $DATA}, tasks: [images], '
                              'methods: [original]}]', 'no folder was given')):
        config.write_text(content)
        outcome = call(capsys, 'eval', 'report', '--config', config, '-o', tmp_path / 'out')
        assert outcome.status == 1
        assert 'run.yaml' in outcome.err and message in outcome.err
