# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc bench` on small pictures: the report, what is missing, going on after a stop, bad input."""

from html.parser import HTMLParser
import json
import os

from codec_image import picture
from command_line import call
import cv2
from gsc_ros.evaluation import ffmpeg
from gsc_ros.evaluation.content import as_json
from gsc_ros.evaluation.page import page
from gsc_ros.evaluation.peer_run import PeerRun
from gsc_ros.evaluation.plan import Codec, Comparison, Outcome, Plan, Point
from gsc_ros.evaluation.still_peer import PeerError, STILL_PEERS
from gsc_ros.evaluation.verdict import best_within
import numpy as np
import pytest

RATES = '0.05,0.2'


@pytest.fixture
def pictures(tmp_path):
    """Return a folder of four pictures of 192 x 168."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f'{index}.png'), np.roll(picture(168, 192), 3 * index, axis=1))
    return folder


def bench(capsys, pictures, output, *words):
    """Run `gsc bench` without the slowest metric."""
    return call(capsys, 'bench', pictures, '-o', output, '--no-vsi', '--threads', 1, *words)


def stills(capsys, pictures, output, *words):
    """Compare two pictures with JPEG and WebP at half size."""
    return bench(capsys, pictures, output, '--frames', 2, '--rates', RATES, '--downscales', '2',
                 '--peers', 'jpeg,webp', *words)


class Page(HTMLParser):
    """Collects the elements, and where they point."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ('src', 'href')]


def test_the_name_of_the_input_need_not_be_unicode(capsys, pictures, tmp_path):
    odd = pictures.rename(tmp_path / os.fsdecode(b'odd\xff'))
    outcome = bench(
        capsys, odd, tmp_path / 'out', '--frames', 1, '--rates', '0.2', '--peers', 'none')
    assert outcome.status == 0, outcome.err
    assert 'odd\\udcff' in (tmp_path / 'out' / 'report.html').read_text()


def test_a_report_has_figures_plots_and_pictures(capsys, pictures, tmp_path):
    outcome = stills(capsys, pictures, tmp_path / 'out', '--json')
    assert outcome.status == 0
    content = json.loads((tmp_path / 'out' / 'bench.json').read_text())
    assert content == outcome.json
    assert (content['frames'], content['width'], content['height']) == (2, 192, 168)
    assert {codec['name'] for codec in content['codecs']} == {'gsc', 'jpeg', 'webp'}
    webp = [point for point in content['points'] if point['codec'] == 'webp']
    assert all(point['bpp'] == pytest.approx(8 * point['bytes'] / (192 * 168)) for point in webp)
    assert webp[-1]['psnr'] > webp[0]['psnr'] and webp[-1]['bytes'] > webp[0]['bytes']
    assert {row['peer'] for row in content['bd_rate_percent']} == {'jpeg', 'webp'}
    assert (tmp_path / 'out' / 'ms_ssim.svg').read_bytes().startswith(b'<?xml')
    shown = Page((tmp_path / 'out' / 'report.html').read_text())
    assert shown.tags.count('figure') == 2 * 4  # original and three codecs at each rate
    assert all(address.startswith('data:image/') for address in shown.addresses)


def test_ours_keeps_to_a_rate_in_every_packet(capsys, pictures, tmp_path):
    content = bench(capsys, pictures, tmp_path / 'out', '--peers', 'none', '--rates', '0.01,0.3',
                    '--json').json
    limited = {point['setting']: point for point in content['points']
               if point['setting'].startswith('at most')}
    assert limited['at most 0.01 bpp']['bpp'] <= 0.01
    assert limited['at most 0.3 bpp']['bpp'] <= 0.3
    assert all(point['codec'] == 'gsc' for point in content['points'])


def test_figures_of_a_still_are_those_of_its_file(capsys, pictures, tmp_path):
    content = stills(capsys, pictures, tmp_path / 'out', '--json').json
    jpeg = next(peer for peer in STILL_PEERS if peer.name == 'jpeg')
    from gsc_ros.evaluation.metric import ms_ssim, psnr
    from gsc_ros.evaluation.resampling import reduced, resized
    expected = []
    for index in (0, 3):
        image = cv2.imread(str(pictures / f'{index}.png'))[..., ::-1].copy()
        stream = jpeg.encode(reduced(image, 2), 7)
        shown = resized(jpeg.decode(stream, 96, 84), 192, 168)
        expected.append((len(stream), psnr(image, shown), ms_ssim(image, shown)))
    (point,) = [point for point in content['points']
                if (point['codec'], point['setting']) == ('jpeg', 'quality 7')]
    assert [point['bytes'], point['psnr'], point['ms_ssim']] == pytest.approx(
        np.mean(expected, axis=0).tolist())


def test_a_second_run_takes_the_peers_from_the_first(capsys, pictures, tmp_path, monkeypatch):
    first = stills(capsys, pictures, tmp_path / 'out', '--json').json

    def refuse(*_):
        raise PeerError('was asked again')
    monkeypatch.setattr(PeerRun, '_still_coded', refuse)
    second = stills(capsys, pictures, tmp_path / 'again', '--cache', tmp_path / 'out' / 'cache',
                    '--json').json
    peers = [[point for point in content['points'] if point['codec'] != 'gsc']
             for content in (first, second)]
    assert peers[0] == peers[1]
    # Other pictures are another matter.
    third = stills(capsys, pictures, tmp_path / 'out', '--size', '176x168', '--json').json
    assert {point['failure'] for point in third['points'] if point['codec'] == 'jpeg'} == {
        'was asked again'}


def test_a_peer_that_fails_is_a_row_with_its_reason(capsys, pictures, tmp_path, monkeypatch):
    def refuse(*_):
        raise PeerError('no <luck>')
    monkeypatch.setattr(PeerRun, '_still_coded', refuse)
    outcome = stills(capsys, pictures, tmp_path / 'out')
    assert outcome.status == 0
    assert 'failed: jpeg, quality 1, 1/2: no <luck>' in ' '.join(outcome.err.split())
    text = (tmp_path / 'out' / 'report.html').read_text()
    assert 'failed: no &lt;luck&gt;' in text


def test_peers_that_are_not_installed_are_listed_as_missing(
        capsys, pictures, tmp_path, monkeypatch):
    def absent():
        raise ffmpeg.FFmpegError('no ffmpeg here')
    monkeypatch.setattr(ffmpeg, 'encoders', absent)
    outcome = bench(capsys, pictures, tmp_path / 'out', '--frames', 1, '--rates', RATES,
                    '--peers', 'jpeg,hevc', '--downscales', '4')
    assert outcome.status == 0
    assert 'missing: HEVC still: no ffmpeg here' in ' '.join(outcome.err.split())
    content = json.loads((tmp_path / 'out' / 'bench.json').read_text())
    assert {codec['name']: codec['missing'] for codec in content['codecs']} == {
        'gsc': '', 'jpeg': '', 'hevc': 'no ffmpeg here'}
    assert not [point for point in content['points'] if point['codec'] == 'hevc']
    assert 'missing: no ffmpeg here' in (tmp_path / 'out' / 'report.html').read_text()


@pytest.mark.parametrize('mode', (
    ('--stream',), ('--loss', '0.2', '--trials', '2', '--mtu', '200')), ids=lambda mode: mode[0])
def test_video_is_compared_at_its_real_rate(capsys, pictures, tmp_path, mode):
    outcome = bench(capsys, pictures, tmp_path / 'out', *mode, '--peers', 'x264-low-delay',
                    '--rates', '20,80', '--downscales', '2', '--json')
    assert outcome.status == 0
    content = outcome.json
    assert content['rate_unit'] == 'kbit/s'
    points = [point for point in content['points'] if not point['failure']]
    assert {'gsc'} <= {point['codec'] for point in points}
    for point in points:
        assert point['kbps'] == pytest.approx(point['bytes'] * 8 * content['fps'] / 1000)
        assert (point['arrived'] is None) == (mode == ('--stream',))
        if point['setting'].startswith('frames of at most'):
            assert point['kbps'] <= float(point['setting'].split()[4])


def test_without_loss_everything_is_decodable(capsys, pictures, tmp_path):
    content = bench(capsys, pictures, tmp_path / 'out', '--loss', 0, '--trials', 1, '--rates', '40',
                    '--peers', 'x264-low-delay', '--downscales', '2', '--json').json
    shares = {(point['arrived'], point['decodable']) for point in content['points']
              if not point['failure']}
    assert shares == {(1, 1)}


@pytest.mark.parametrize('words, message', [
    (('--peers', 'jpeg,betamax'), 'betamax'),
    (('--peers', 'x265'), 'x265'),
    (('--rates', '0'), 'not in'),
    (('--rates', 'fast'), 'not a number'),
    (('--size', '1216'), 'not a size'),
    (('--loss', '0.1', '--stream'), 'not allowed'),
])
def test_a_call_that_makes_no_sense_is_refused(capsys, pictures, tmp_path, words, message):
    outcome = bench(capsys, pictures, tmp_path / 'out', *words)
    assert outcome.status == 2
    assert message in outcome.err
    assert 'Traceback' not in outcome.err


def test_bad_input_is_one_line(capsys, pictures, tmp_path):
    outcome = bench(capsys, tmp_path / 'absent', tmp_path / 'out')
    assert outcome.status == 1 and 'absent' in outcome.err
    outcome = bench(capsys, pictures, tmp_path / 'out', '--detector', pictures / '0.png')
    assert outcome.status == 1 and '0.png' in outcome.err
    outcome = bench(capsys, pictures, tmp_path / 'out', '--profile', tmp_path, '--peers', 'none')
    assert outcome.status == 1 and 'Traceback' not in outcome.err
    cv2.imwrite(str(pictures / '4.png'), picture(40, 60))
    outcome = bench(capsys, pictures, tmp_path / 'out', '--stream', '--peers', 'none')
    assert outcome.status == 1 and 'one size' in outcome.err
    cv2.imwrite(str(pictures / '4.png'), picture(16, 60))
    outcome = bench(capsys, pictures, tmp_path / 'out', '--frames', 5)
    assert outcome.status == 1 and 'less than' in outcome.err


def test_a_report_that_cannot_be_written_is_one_line(capsys, pictures, tmp_path):
    (tmp_path / 'out').write_text('in the way')
    outcome = bench(capsys, pictures, tmp_path / 'out', '--peers', 'none')
    assert outcome.status == 1
    assert len(outcome.err.strip().splitlines()) == 1


def outcomes(*points):
    """Return a comparison of one of ours and one peer with these points."""
    codecs = (Codec('gsc', 'gsc', '', own=True), Codec('jpeg', '<b>$JPEG', 'x & y'))
    return Comparison(codecs, tuple(Outcome(point) for point in points))


def plan(**changes):
    """Return the plan of a comparison of one gray picture."""
    return Plan(images=[np.zeros((40, 48, 3), np.uint8)], fps=10.0, mode='stills',
                rates=(0.1, 0.2), downscales=(1.0,), **changes)


def test_names_are_escaped():
    compared = outcomes(Point('jpeg', '<script>', bpp=0.1, psnr=20.0))
    run = {'input': '<i>', 'command': 'gsc bench <i>', 'versions': {'<u>': '<u>'}}
    shown = Page(page(compared, plan(), run, {}))
    assert not {'i', 'u', 'script', 'b'} & set(shown.tags) - {'b'}
    assert '<b>$' not in page(compared, plan(), run, {})


def test_figures_that_are_not_there_are_null_in_json():
    compared = outcomes(Point('gsc', 'x', bpp=0.1, psnr=20.0, ssim=0.5),
                        Point('gsc', 'y', failure='no'))
    content = json.loads(json.dumps(as_json(compared, plan(), {}), allow_nan=False))
    assert [point['psnr'] for point in content['points']] == [20.0, None]
    assert [row['psnr'] for row in content['at_rates']] == [20.0, 20.0]
    assert content['bd_rate_percent'] == []


def test_the_picture_shown_is_the_best_within_the_rate_or_the_smallest():
    compared = outcomes(*(Point('gsc', name, bpp=bpp, psnr=20.0, ms_ssim=quality) for
                          name, bpp, quality in (('a', 0.1, 0.8), ('b', 0.19, 0.9),
                                                 ('c', 0.18, 0.7), ('d', 0.3, 0.95))))
    setting = {rate: best_within(compared.outcomes, 'gsc', 'stills', rate).point.setting
               for rate in (0.05, 0.1, 0.2, 9)}
    assert setting == {0.05: 'a', 0.1: 'a', 0.2: 'b', 9: 'd'}
    assert best_within(compared.outcomes, 'jpeg', 'stills', 1) is None
