# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of an evaluation on small pictures: rows, tables, what is kept, what is missing."""

from __future__ import annotations

import json
import math
from pathlib import Path
import subprocess
import sys
import time

from codec_image import picture
import cv2
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.packet import parse
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.selection import Selection
from gsc_ros.evaluation.dataset.dataset import DatasetError
from gsc_ros.evaluation.metric import psnr
from gsc_ros.evaluation.run.cache import RowCache
from gsc_ros.evaluation.run.caption import CODERS, describe, section_bytes
from gsc_ros.evaluation.run.method import MethodSpec, RunError
from gsc_ros.evaluation.run.opening import KINDS, TASKS
from gsc_ros.evaluation.run.option import check_option
from gsc_ros.evaluation.run.process import Rank
from gsc_ros.evaluation.run.run import evaluate, jobs_of
from gsc_ros.evaluation.run.spec import parse_run, read_run
from gsc_ros.evaluation.run.work import open_data
import numpy as np
import pytest
import yaml

CONFIG = Path(__file__).resolve().parent.parent / 'config' / 'eval'
CAPTION = 'A dusty road with a red car on the left and low hills behind it.'
QUICK = {'images': {'without': 'vsi lpips dists fid'}}


@pytest.fixture
def pictures(tmp_path):
    """Return a folder of three pictures of 192 x 168."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(3):
        image = np.roll(picture(168, 192), 5 * index, axis=1)
        cv2.imwrite(str(folder / f'{index}.png'), np.ascontiguousarray(image[..., ::-1]))
    return folder


@pytest.fixture
def network(tmp_path, monkeypatch):
    """Install a package with a segmentation network: three classes of brightness."""
    site = tmp_path / 'site'
    (site / 'shades-1.0.dist-info').mkdir(parents=True)
    (site / 'shades-1.0.dist-info' / 'METADATA').write_text('Name: shades\nVersion: 1.0\n')
    (site / 'shades-1.0.dist-info' / 'entry_points.txt').write_text(
        '[gsc_ros.networks]\nshades = shades:Shades\n')
    (site / 'shades.py').write_text("""
from gsc_ros.perception.network.label import read_names
from gsc_ros.perception.network.network import Task
import numpy as np


class Shades:
    task = Task.SEGMENTATION
    name = identity = 'shades'
    classes = ('dark', 'gray', 'light')

    def __init__(self, settings):
        if settings.names is not None:
            self.classes = read_names(settings.names)

    def __call__(self, image):
        return (image.mean(axis=2) // 86).astype(np.int32)
""")
    monkeypatch.syspath_prepend(site)
    yield 'shades'
    sys.modules.pop('shades', None)


def run(folder, output, methods, tasks=(QUICK,), report=lambda *_: None, **more):
    """Evaluate one part, over a folder."""
    data = {'folder': str(folder), **more.pop('data', {})}
    processes = more.pop('processes', 1)
    return evaluate(parse_run({'processes': processes, 'parts': [
        {'name': 'part', 'data': data, 'tasks': list(tasks), 'methods': methods, **more}]}),
        output, report)


def rows(outcome, table='part-images'):
    """Return the values of a table's rows by title."""
    return {row['title']: row['values'] for row in outcome.tables[table]['rows']}


def depth_set(root, metres):
    """Write a drive of KITTI with depth."""
    drive = root / '2011_09_26_drive_0001_sync'
    for index, depth in enumerate(metres):
        for path, content in (('image_02/data', picture(*depth.shape)),
                              ('proj_depth/groundtruth/image_02',
                               np.round(depth * 256).astype(np.uint16))):
            (drive / path).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(drive / path / f'{index:010d}.png'), content)
    return root


@pytest.mark.parametrize(('factor', 'every', 'delta1', 'share'), [
    (1.0, 1, 1.0, 0.0), (0.9, 1, 1.0, 1.0), (0.75, 1, 0.0, 1.0), (0.75, 2, 0.5, 0.5)])
def test_depth_with_known_errors_gives_the_errors(tmp_path, factor, every, delta1, share):
    depth = np.zeros((64, 96), np.float32)
    depth[::2] = np.random.default_rng(1).integers(4, 300, depth[::2].shape) / 4
    outcome = run(depth_set(tmp_path / 'kitti', [depth, depth[:, ::-1]]), tmp_path / 'out',
                  [{'known': {'factor': factor, 'every': every}}], ['depth'])
    (values,) = rows(outcome, 'part-depth').values()
    true = depth[depth > 0].astype(np.float64)
    assert values['delta1'] == pytest.approx(delta1, abs=1e-9)
    assert values['delta2'] == values['delta3'] == 1
    assert values['abs_rel'] == pytest.approx(share * abs(factor - 1), abs=1e-6)
    assert values['rmse_log'] == pytest.approx(math.sqrt(share) * abs(math.log(factor)), abs=1e-6)
    if every == 1:
        assert values['rmse'] == pytest.approx(
            abs(factor - 1) * math.sqrt((true ** 2).mean()), abs=1e-4)


def test_the_bytes_of_a_row_are_those_of_the_packets(pictures, tmp_path):
    outcome = run(pictures, tmp_path / 'out', [
        {'gsc': {'channels': [2, 8], 'caption': f'text:{CAPTION}'}}])
    encoder = FrameEncoder(load_profile('tiny'))
    images = [open_data(parse_run({'parts': [{
        'name': 'x', 'data': {'folder': str(pictures)}, 'tasks': ['images'],
        'methods': ['original']}]}).parts[0].data).read(index).image for index in range(3)]
    for row in outcome.tables['part-images']['rows']:
        settings = EncoderSettings(channels=row['parameter']['channels'],
                                   selection=Selection.SSIM, caption=CAPTION)
        packets = [encoder.encode(image, settings).payload for image in images]
        values = row['values']
        assert values['bytes'] == pytest.approx(np.mean([len(packet) for packet in packets]))
        assert values['bytes'] == pytest.approx(sum(
            values[name] for name in values if name.endswith('_bytes')))
        shown = [FrameDecoder(load_profile('tiny')).decode(packet).image for packet in packets]
        assert values['psnr'] == pytest.approx(np.mean(
            [psnr(image, one) for image, one in zip(images, shown)]))
        assert values['text_bytes'] == parse(packets[0]).section_sizes()['text']


def test_only_what_has_changed_is_measured_again(pictures, tmp_path):
    out = tmp_path / 'out'
    first = run(pictures, out, [{'gsc': {'channels': [1, 4]}}])
    assert (first.measured, first.known) == (6, 0)
    again = run(pictures, out, [{'gsc': {'channels': [1, 4]}}])
    assert (again.measured, again.known) == (0, 6)
    assert again.tables == first.tables
    more = run(pictures, out, [{'gsc': {'channels': [1, 4, 8]}}])
    assert (more.measured, more.known) == (3, 6)
    cv2.imwrite(str(pictures / '2.png'), picture(168, 192, seed=7))
    assert run(pictures, out, [{'gsc': {'channels': [1, 4, 8]}}]).measured == 3


def test_a_stopped_run_goes_on_where_it_was(pictures, tmp_path):
    def stop(done, total, what):
        if done == 2:
            raise KeyboardInterrupt

    methods = [{'gsc': {'channels': [1, 4]}}]
    with pytest.raises(KeyboardInterrupt):
        run(pictures, tmp_path / 'out', methods, report=stop)
    file = tmp_path / 'out' / 'cache' / 'rows-0.jsonl'
    assert len(file.read_text().splitlines()) == 4
    with file.open('a') as lines:
        lines.write('{"key": "cut off when the mach')
    outcome = run(pictures, tmp_path / 'out', methods)
    assert (outcome.measured, outcome.known) == (2, 4)
    assert run(pictures, tmp_path / 'out', methods).measured == 0


def test_one_run_at_a_time_writes_to_a_folder(tmp_path):
    cache = RowCache(tmp_path)
    with pytest.raises(RunError, match='another run'):
        RowCache(tmp_path)
    RowCache(tmp_path, writer=1).close()
    cache.close()
    RowCache(tmp_path).close()


def test_workers_give_what_one_process_gives(pictures, tmp_path, network):
    methods = ['original', {'gsc': {'channels': [1, 4]}},
               {'peer': {'codec': 'webp', 'bpp': 0.2, 'downscales': '1 2'}}]
    tasks = [QUICK, {'segmentation': {'network': network}}]
    alone = run(pictures, tmp_path / 'one', methods, tasks)
    together = run(pictures, tmp_path / 'two', methods, tasks, processes=2)
    assert together.tables == alone.tables
    assert together.measured == alone.measured == 24


def test_workers_end_with_a_process_that_is_killed():
    code = """
from concurrent.futures import ProcessPoolExecutor
import multiprocessing, os, time
from gsc_ros.evaluation.run.process import _begin
from gsc_ros.evaluation.run.spec import RunSpec
context = multiprocessing.get_context('spawn')
pool = ProcessPoolExecutor(1, context, _begin, (
    RunSpec('', ()), None, frozenset(), ('cpu',), context.Value('i', 0)))
print(pool.submit(os.getpid).result(), flush=True)
pool.submit(time.sleep, 100)
time.sleep(100)
"""
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
    with process:
        worker = Path('/proc', process.stdout.readline().strip(), 'stat')
        assert worker.is_file()
        process.kill()
    limit = time.monotonic() + 20
    while alive(worker):
        assert time.monotonic() < limit, 'the worker outlives its parent'
        time.sleep(0.05)


def alive(stat):
    """Return whether a process runs; one that nobody has asked after is a zombie."""
    try:
        return stat.read_text().rpartition(') ')[2][0] not in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_without_labels_a_network_is_compared_with_itself(pictures, tmp_path, network):
    outcome = run(pictures, tmp_path / 'out', ['original', {'gsc': {'channels': 8}}],
                  [{'segmentation': {'network': network}}], gallery=1)
    table = outcome.tables['part-segmentation']
    assert table['reference'] == 'prediction on the original'
    original, ours = (row['values'] for row in table['rows'])
    assert original['miou'] == original['pixel_accuracy'] == 1
    assert 0 < ours['miou'] < ours['pixel_accuracy'] < 1
    (shown,) = outcome.pictures
    assert [cell['group'] for cell in shown['cells']] == ['reference', 'ours']
    labels = cv2.imread(str(tmp_path / 'out' / shown['cells'][1]['labels']), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (168, 192) and labels.max() < 3
    assert shown['cells'][1]['class_names'] == ['dark', 'gray', 'light']


def test_a_peer_keeps_its_budget(pictures, tmp_path):
    outcome = run(pictures, tmp_path / 'out', [
        {'peer': {'codec': ['webp', 'jpeg'], 'bpp': [0.1, 0.4], 'downscales': '1 2 4'}}])
    values = rows(outcome)
    assert values['WebP, at most 0.1 bpp']['bpp'] <= 0.1
    assert values['WebP, at most 0.1 bpp']['psnr'] < values['WebP, at most 0.4 bpp']['psnr']
    assert 'JPEG, at most 0.1 bpp' not in values  # its header alone is larger
    assert 'does not get down to 0.1 bpp' in outcome.failures[0]['reason']
    assert len(outcome.failures) == 3


def external(tmp_path, pictures, table):
    """Write reconstructions of another codec: the pictures, a little brighter."""
    folder = tmp_path / 'external'
    folder.mkdir()
    for path in pictures.glob('*.png'):
        cv2.imwrite(str(folder / path.name), cv2.add(cv2.imread(str(path)), (4, 4, 4, 0)))
    (folder / 'bytes.csv').write_text(table)
    return folder


def test_other_codecs_come_from_a_folder_with_their_real_bytes(pictures, tmp_path):
    # As a spreadsheet writes it, and with the suffix of a camera.
    folder = external(tmp_path, pictures, '\ufeffname, bytes\n0,100\n1.png, 140\n2,120\n')
    (folder / '2.png').rename(folder / '2.PNG')
    outcome = run(pictures, tmp_path / 'out', [
        {'external': {'name': 'PerCo313', 'folder': str(folder)}}])
    (row,) = outcome.tables['part-images']['rows']
    assert (row['title'], row['group'], row['images']) == ('PerCo313', 'external', 3)
    assert row['values']['bytes'] == 120
    assert row['values']['bpp'] == pytest.approx(8 * 120 / (168 * 192))
    assert 35 < row['values']['psnr'] < 37.5


def test_pictures_that_do_not_fit_are_said_and_left_out(pictures, tmp_path):
    folder = external(tmp_path, pictures, 'name,bytes\n0,100\n1,140\n')
    cv2.imwrite(str(folder / '1.png'), picture(64, 64))
    outcome = run(pictures, tmp_path / 'out', [
        {'external': {'name': 'other', 'folder': str(folder)}}])
    reasons = [one['reason'] for one in outcome.failures]
    assert 'is 64x64, the sample 192x168' in reasons[0]
    assert 'has no line for 2' in reasons[1]
    table = outcome.tables['part-images']
    assert (table['rows'][0]['images'], table['images']) == (1, 3)


@pytest.mark.parametrize(('table', 'message'), [
    ('', 'must name the columns'), ('name,size\n0,1\n', 'must name the columns'),
    ('name,bytes\n0,many\n', "line 2: 'many' is no number of bytes"),
    ('name,bytes\n0,0\n', 'no number of bytes'),
    ('name,bytes\n0,1.5\n', 'no number of bytes'), ('name,bytes\n0,5\n0.png,5\n', 'second time')])
def test_a_malformed_table_of_bytes_is_refused(pictures, tmp_path, table, message):
    folder = external(tmp_path, pictures, table)
    with pytest.raises(RunError, match=message):
        run(pictures, tmp_path / 'out', [{'external': {'name': 'x', 'folder': str(folder)}}])


def test_coders_of_captions_differ_in_the_text_alone(pictures, tmp_path):
    outcome = run(pictures, tmp_path / 'out', [
        {'gsc': {'caption': f'text:{CAPTION}', 'caption_coder': list(CODERS)}}],
        axis='caption_coder')
    values = {row['parameter']['caption_coder']: row['values']
              for row in outcome.tables['part']['rows']}
    assert values['utf-8']['text_bytes'] == 2 + len(CAPTION)
    assert values['ours']['text_bytes'] < min(
        values[name]['text_bytes'] for name in CODERS if name != 'ours') / 2
    for name in CODERS:
        assert values[name]['psnr'] == values['ours']['psnr']
        assert values[name]['bytes'] - values[name]['text_bytes'] == pytest.approx(
            values['ours']['bytes'] - values['ours']['text_bytes'])
    assert section_bytes('', 'utf-8') == 0


def test_captions_come_from_lines_of_a_file_and_are_cut_at_words(pictures, tmp_path):
    lines = tmp_path / 'captions.txt'
    lines.write_text('0\tA road.\n1\tA long road between two fields.\n')
    methods = [{'gsc': {'caption': str(lines), 'caption_length': 12}}]
    outcome = run(pictures, tmp_path / 'out', methods, gallery=2)
    assert [shown['cells'][0]['caption'] for shown in outcome.pictures] == ['A road.']
    assert 'has no line for 2' in outcome.failures[0]['reason']
    lines.write_text('A road.\nA field.\n')
    with pytest.raises(RunError, match='one line for all'):
        run(pictures, tmp_path / 'out', methods)
    assert describe(np.full((32, 32, 3), (20, 30, 200), np.uint8)) == (
        "A dim picture of a robot's camera, blue above and blue below.")


def test_a_lost_picture_is_the_last_that_came(pictures, tmp_path):
    methods = [{'gsc': {'channels': 16, 'loss': [0.0, 0.5, 1.0]}}]
    outcome = run(pictures, tmp_path / 'out', methods, axis='loss')
    values = {row['parameter']['loss']: row['values'] for row in outcome.tables['part']['rows']}
    assert values[0.0]['bytes'] == values[1.0]['bytes'], 'a lost packet was sent, too'
    assert values[0.0]['psnr'] > values[0.5]['psnr'] > values[1.0]['psnr']
    gray = [psnr(cv2.imread(str(path)), np.full((168, 192, 3), 128, np.uint8))
            for path in sorted(pictures.glob('*.png'))]
    assert values[1.0]['psnr'] == pytest.approx(np.mean(gray))


def test_a_generated_picture_costs_its_packet_and_the_caption_alone_less(pictures, tmp_path):
    given = {'caption': f'text:{CAPTION}', 'channels': 8}
    outcome = run(pictures, tmp_path / 'out', [
        {'gsc': given}, {'generate': given | {'steps': 1}},
        {'text': {'caption': given['caption'], 'steps': 1}}], data={'frames': 1}, gallery=1)
    structure, generated, text = (row['values'] for row in outcome.tables['part-images']['rows'])
    assert generated['bytes'] == structure['bytes']
    assert text['bytes'] == structure['header_bytes'] + structure['text_bytes']
    files = [cell['file'] for cell in outcome.pictures[0]['cells']]
    shown = [(tmp_path / 'out' / file).read_bytes() for file in files]
    assert len(set(shown)) == 3, 'each is a picture of its own'


def test_what_is_not_here_is_said_and_the_rest_goes_on(pictures, tmp_path):
    outcome = run(pictures, tmp_path / 'out', [
        {'gsc': {'channels': 1}}, {'generate': {'generator': 'no-such-generator'}}],
        [QUICK, {'detection': {'network': 'fastestdet', 'model': str(tmp_path / 'none.onnx')}}])
    assert list(rows(outcome)) == ['gsc structure, C = 1']
    assert "no generator 'no-such-generator'" in outcome.missing[
        'generate-generator=no-such-generator']
    assert 'none.onnx' in outcome.missing['part: detection']
    assert outcome.tables['part-detection']['rows'] == []
    assert 'LPIPS' not in outcome.missing, 'it was not asked for'
    empty = {'weights': str(tmp_path), 'without': 'vsi dists fid'}
    asked = run(pictures, tmp_path / 'out', ['original'], [{'images': empty}])
    assert 'lpips_weights.pt' in asked.missing['LPIPS']
    assert not any(column['name'] == 'lpips' for column in asked.tables['part-images']['columns'])


def test_published_rows_stand_in_the_table_of_their_task_and_are_marked(pictures, tmp_path):
    outcome = run(pictures, tmp_path / 'out', ['original'], [QUICK, 'bound'], published='kodak')
    (row,) = [row for row in outcome.tables['part-images']['rows'] if row['published']]
    assert row['group'] == 'published' and 'section 4.2' in row['source']
    assert not any(row['published'] for row in outcome.tables['part-bound']['rows'])


def test_the_bound_stands_beside_measured_rates(pictures, tmp_path):
    outcome = run(pictures, tmp_path / 'out', ['original', {'gsc': {'channels': [1, 16]}}],
                  ['bound'])
    bound = outcome.bounds['part-bound']
    assert [point['title'] for point in bound['points']] == [
        'original', 'gsc structure, C = 1', 'gsc structure, C = 16']
    original, few, many = bound['points']
    assert original['kept'] == 1 and few['kept'] < many['kept'] < 1
    assert all(point['bound_bpp'] < point['bpp'] for point in bound['points'])
    assert json.dumps(bound)


@pytest.mark.parametrize(('change', 'message'), [
    ({'metods': []}, "no key 'metods'"), ({'methods': ['gcs']}, "no method 'gcs'"),
    ({'methods': [{'gsc': {'chanels': 1}}]}, "no option 'chanels'"),
    ({'methods': [{'peer': {'codec': 'bpg'}}]}, "codec 'bpg'"),
    ({'methods': [{'gsc': {'selection': 'best'}}]}, "selection 'best'"),
    ({'methods': [{'gsc': {'caption_coder': 'brotli'}}]}, "caption_coder 'brotli'"),
    ({'tasks': ['deth']}, "no task 'deth'"), ({'tasks': ['images', 'images']}, 'one of each'),
    ({'tasks': [{'depth': {'alignment': 'best'}}]}, "alignment 'best'"),
    ({'tasks': {}}, '`tasks` is missing'), ({'data': {'folder': 'x', 'pick': 'any'}}, 'pick'),
    ({'data': {'folder': 'x', 'frames': 0}}, 'frames'), ({'name': 'a/b'}, 'a name has'),
    ({'published': 'imagenet'}, "published 'imagenet'"), ({'published': ['kodak']}, 'published'),
    ({'methods': [{'gsc': {'channels': []}}]}, 'gsc: an option has an empty list'),
    ({'data': {'folder': 'x', 'frames': 2}, 'methods': [{'gsc': {'loss': [0.0, 0.1]}}]},
     'loss: .* `pick: first`'),
    ({'gallery': -5}, 'gallery -5'), ({'axis': 'foo'}, "axis 'foo': there are bpp"),
    ({'title': ['a']}, 'expected text'), ({'data': {'folder': 5}}, 'folder 5'),
    ({'data': {'folder': 'x', 'frames': True}}, 'frames True'),
    ({'data': {'folder': 'x', 'layout': 5}}, 'layout 5: there are kitti-depth')])
def test_a_run_that_makes_no_sense_is_refused(pictures, tmp_path, change, message):
    part = {'name': 'part', 'data': {'folder': str(pictures)}, 'tasks': [QUICK],
            'methods': ['original']} | change
    with pytest.raises(RunError, match=message):
        evaluate(parse_run({'parts': [part]}), tmp_path / 'out', lambda *_: None)


@pytest.mark.parametrize(('method', 'option', 'value'), [
    ('gsc', 'channels', 'four'), ('gsc', 'channels', None), ('gsc', 'channels', {'a': 1}),
    ('gsc', 'channels', 2.7), ('gsc', 'channels', True), ('gsc', 'channels', 321),
    ('gsc', 'quantizer', 'x'), ('gsc', 'max_bpp', -1), ('gsc', 'loss', 2), ('gsc', 'mtu', 0),
    ('gsc', 'loss_seed', 'x'), ('gsc', 'caption', 5), ('gsc', 'caption_length', -3),
    ('generate', 'steps', 0), ('generate', 'guidance', 'x'), ('generate', 'seed', 256),
    ('generate', 'use_text', 'no'), ('peer', 'bpp', None), ('peer', 'bpp', math.nan),
    ('peer', 'downscales', '0'), ('peer', 'downscales', ''), ('known', 'factor', 0),
    ('external', 'folder', 5)])
def test_values_that_an_option_does_not_take_are_refused_when_a_run_is_read(method, option, value):
    part = {'name': 'p', 'data': {'folder': 'x'}, 'tasks': ['images'],
            'methods': ['original', {method: {option: value}}]}
    with pytest.raises(RunError, match=f'^part p: {option} .*: expected '):
        parse_run({'parts': [part]})


@pytest.mark.parametrize(('task', 'option', 'value'), [
    ('detection', 'threads', 'x'), ('detection', 'min_score', 2), ('detection', 'score', 'x'),
    ('depth', 'network', 5), ('images', 'weights', 5), ('images', 'without', ['vsi']),
    ('images', 'without', 'vsi foo'), ('bound', 'alpha', -1), ('bound', 'beta', 'x')])
def test_tasks_are_checked_likewise(task, option, value):
    part = {'name': 'p', 'data': {'folder': 'x'}, 'tasks': [{task: {option: value}}],
            'methods': ['original']}
    with pytest.raises(RunError, match=f'^part p: {option} .*: expected '):
        parse_run({'parts': [part]})


def test_every_option_has_a_rule_that_its_default_keeps():
    for options in (*KINDS.values(), *(task.options for task in TASKS.values())):
        for name, default in options.items():
            check_option(name, default, default)


@pytest.mark.parametrize(('change', 'message'), [
    ({'parts': None}, 'parts: there is none'), ({'processes': True}, 'processes True')])
def test_a_run_of_nothing_or_by_nobody_is_refused(change, message):
    part = {'name': 'p', 'data': {'folder': 'x'}, 'tasks': ['images'], 'methods': ['original']}
    with pytest.raises(RunError, match=message):
        parse_run({'parts': [part]} | change)


def test_a_picture_that_cannot_be_judged_is_said_and_the_others_are(pictures, tmp_path):
    cv2.imwrite(str(pictures / '3.png'), picture(8, 8))
    cv2.imwrite(str(pictures / '4.png'), np.full((168, 192, 3), 9, np.uint8))
    outcome = run(pictures, tmp_path / 'out', ['original'], ['bound', QUICK])
    assert {(one['image'], one['reason'].partition(':')[0]) for one in outcome.failures} == {
        ('3', 'images'), ('4', 'bound')}
    assert 'too small' in outcome.failures[0]['reason']
    assert [outcome.tables[f'part-{name}']['rows'][0]['images']
            for name in ('bound', 'images')] == [4, 4]


def test_detection_without_pycocotools_is_missing_before_anything_is_measured(
        pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pycocotools', None)
    outcome = run(pictures, tmp_path / 'out', ['original'], [
        {'detection': {'network': 'fastestdet', 'model': 'none.onnx'}}, QUICK])
    assert 'needs pycocotools' in outcome.missing['part: detection']
    assert list(rows(outcome)) == ['original']


@pytest.mark.parametrize('tasks', [['depth', QUICK], [QUICK, 'depth']])
def test_a_task_that_a_method_does_not_fit_leaves_the_others_to_it(tmp_path, tasks):
    data = depth_set(tmp_path / 'kitti', [np.full((168, 192), 20, np.float32)])
    outcome = run(data, tmp_path / 'out', ['original', {'known': {'factor': 0.9}}], tasks)
    assert list(rows(outcome, 'part-depth')) == ['true depth x 0.9']
    assert list(rows(outcome)) == ['original']
    assert sorted(one['reason'] for one in outcome.failures) == [
        'depth: no depth network was named', 'images: depth that is known is no picture']


def test_a_method_that_fails_on_a_picture_does_not_end_the_run(pictures, tmp_path):
    # With loss the packets are made before anything is known of the row.
    outcome = run(pictures, tmp_path / 'out', [
        'original', {'gsc': {'max_bpp': 0.0001, 'loss': [0.0, 0.5]}}])
    assert list(rows(outcome)) == ['original']
    assert len(outcome.failures) == 6
    assert all('not even one channel' in one['reason'] for one in outcome.failures)


def test_other_names_of_classes_are_measured_again(pictures, tmp_path, network):
    def named(*words):
        file = tmp_path / '-'.join(words)
        file.write_text('\n'.join(words))
        return run(pictures, tmp_path / 'out', ['original'],
                   [{'segmentation': {'network': network, 'names': str(file)}}]).measured

    assert named('dark', 'gray', 'light') == 3
    assert named('dark', 'gray', 'light') == 0
    assert named('light', 'gray', 'dark') == 3


def test_pictures_to_look_at_that_a_power_cut_took_are_made_again(pictures, tmp_path):
    def shown():
        outcome = run(pictures, tmp_path / 'out', ['original'], gallery=1)
        return tmp_path / 'out' / outcome.pictures[0]['cells'][0]['file']

    whole = shown().read_bytes()
    shown().unlink()
    assert shown().read_bytes() == whole
    shown().write_bytes(whole[:100])
    assert shown().read_bytes() == whole


def test_rows_of_another_form_are_measured_again(pictures, tmp_path):
    first = run(pictures, tmp_path / 'out', ['original'])
    file = tmp_path / 'out' / 'cache' / 'rows-0.jsonl'
    key = json.loads(file.read_text().splitlines()[0])['key']
    file.write_text(json.dumps({'key': key, 'row': {'psnr': 1}}) + '\n')
    again = run(pictures, tmp_path / 'out', ['original'])
    assert (again.measured, again.tables) == (3, first.tables)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DatasetError, match='no such file'):
        run(tmp_path / 'nowhere', tmp_path / 'out', ['original'])


def test_every_job_is_done_by_one_rank(pictures):
    spec = parse_run({'parts': [{
        'name': 'part', 'data': {'folder': str(pictures)}, 'tasks': ['images'],
        'methods': ['original', {'gsc': {'channels': [1, 2]}}, {'generate': {'steps': [1, 2]}}]}]})
    jobs = jobs_of(spec, [open_data(spec.parts[0].data)])
    assert len(jobs) == 12, 'what is generated is a job of its own, to be kept at once'
    shares = [job for number in range(3) for job in Rank(number, 3).share(jobs)]
    assert sorted(shares, key=jobs.index) == jobs


def test_ranks_share_the_work_and_the_first_puts_it_together(pictures, tmp_path):
    methods = [{'gsc': {'channels': [1, 4]}}]
    spec = parse_run({'parts': [{'name': 'part', 'data': {'folder': str(pictures)},
                                 'tasks': [QUICK], 'methods': methods}]})
    helper = evaluate(spec, tmp_path / 'out', lambda *_: None, Rank(1, 2, 'cpu'))
    assert helper is None
    outcome = evaluate(spec, tmp_path / 'out', lambda *_: None, Rank(0, 2, 'cpu'))
    assert outcome.tables == run(pictures, tmp_path / 'alone', methods).tables
    assert (tmp_path / 'out' / 'cache' / 'rows-1.jsonl').read_text()


def test_the_names_of_methods_are_fit_for_files_and_differ():
    one = MethodSpec.of('external', {'name': 'a/b', 'folder': '/some/where'})
    other = MethodSpec.of('external', {'name': 'a_b', 'folder': '/some/where'})
    assert one.name != other.name
    assert '/' not in one.name and len(
        MethodSpec.of('gsc', {'caption': 'text:' + 'word ' * 90}).name) < 100


@pytest.mark.parametrize('path', sorted(CONFIG.glob('*.yaml')), ids=lambda path: path.stem)
def test_the_examples_can_be_read(path):
    spec = read_run(path, 'DATA')
    assert spec.parts and all(part.methods for part in spec.parts)
    assert yaml.safe_dump(spec.source)
