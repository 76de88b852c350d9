# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page, the pictures and the video of a run."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
import re

import cv2
from demo_recording import HEIGHT, make_departures, make_recording, WIDTH
from gsc_ros.demo import picture
from gsc_ros.demo.bag import write_bag
from gsc_ros.demo.plot import chart, Limit, Series
from gsc_ros.demo.report import write_report
from gsc_ros.demo.score import score_frames
from gsc_ros.demo.setting import DemoSettings
from gsc_ros.demo.summary import Ending, summarise
from gsc_ros.demo.video import write_video
from gsc_ros.link.audit import verify_budget
import numpy as np
import pytest

VOID_ELEMENTS = {'meta', 'img', 'br', 'link', 'input'}


class _Balance(HTMLParser):
    """Collects the elements of a page, and checks that each one is closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.addresses = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.addresses += [value for name, value in attributes if name in ('src', 'href')]
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(name='recording')
def fixture_recording(tmp_path):
    """Return a recording of ten frames, one of them lost."""
    return make_recording(tmp_path)


@pytest.fixture(name='frames')
def fixture_frames(recording):
    """Return its scored frames."""
    return score_frames(recording, lambda: None)


def page(tmp_path, recording, frames, video=None, **changes):
    """Write the report and return its text and its elements."""
    settings = replace(DemoSettings('terrain', tmp_path, command='gsc demo'), **changes)
    departures = make_departures(recording)
    summary = summarise(settings, recording, frames, verify_budget(departures, 20_000, 4_000),
                        Ending.INPUT, {'video': 'side_by_side.webm'})
    shown = [picture.load_views(frames[0], recording.store)] if frames else []
    write_report(tmp_path / 'report.html', summary, recording, frames, departures, shown, video)
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    elements = _Balance()
    elements.feed(text)
    assert elements.open == []
    return text, elements


def test_the_page_holds_figures_pictures_and_charts(tmp_path, recording, frames):
    text, elements = page(tmp_path, recording, frames)
    assert '9 of 10' in text
    assert 'held in every window' in text
    assert f'{3 * WIDTH * HEIGHT:,} bytes raw' in text
    assert elements.seen.count('svg') == 6
    assert elements.seen.count('img') == 3
    assert 'NaN' not in text and 'nan' not in re.sub('base64,[^"]*', '', text)


def test_the_page_needs_no_network(tmp_path, recording, frames):
    text, elements = page(tmp_path, recording, frames)
    assert not [address for address in elements.addresses if '//' in address[:12]]
    assert '@import' not in text and 'url(' not in text


def test_names_from_outside_are_escaped(tmp_path, recording, frames):
    text, elements = page(tmp_path, recording, frames, input='<script>alert(1)</script>')
    assert 'script' not in elements.seen
    assert '&lt;script&gt;' in text


def test_a_page_about_nothing_is_still_a_page(tmp_path):
    recording = make_recording(tmp_path, lost=tuple(range(10)))
    text, _ = page(tmp_path, recording, [])
    assert 'No frame arrived' in text
    assert '0 of 10' in text


def test_the_video_is_embedded_and_plays(tmp_path, recording, frames):
    drawn = [picture.side_by_side(picture.load_views(scored, recording.store), 640, 'x')
             for scored in frames]
    video = write_video(tmp_path / 'side_by_side', drawn, 10.0)
    reader = cv2.VideoCapture(str(video.path))
    assert int(reader.get(cv2.CAP_PROP_FRAME_COUNT)) == len(frames)
    ok, first = reader.read()
    assert ok
    assert cv2.PSNR(first, cv2.cvtColor(drawn[0], cv2.COLOR_RGB2BGR)) > 25
    text, elements = page(tmp_path, recording, frames, video)
    assert 'video' in elements.seen
    assert (f'data:{video.media_type}' in text) == video.plays_in_browsers


def test_a_video_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OSError, match='video'):
        write_video(tmp_path / 'gone' / 'video', [np.zeros((32, 32, 3), np.uint8)], 10.0)


@pytest.mark.parametrize('size', ((375, 1242), (480, 640), (97, 161), (640, 360)))
def test_the_video_frame_has_even_sides_for_every_camera(tmp_path, size):
    recording = make_recording(tmp_path, sources=1, lost=())
    frame = recording.frames[0]
    shown = replace(frame, image=recording.store.add(np.zeros((*size, 3), np.uint8)),
                    confidence=recording.store.add(np.zeros(size, np.uint8)))
    recording.frames[:] = [shown]
    scored = score_frames(recording, lambda: None)[0]  # the original has another size: no score
    drawn = picture.side_by_side(picture.load_views(scored, recording.store), 960, 'caption')
    assert drawn.shape[0] % 2 == 0
    assert drawn.shape[1] == 960


def test_the_contact_sheet_has_a_row_per_frame(recording, frames):
    shown = [picture.load_views(scored, recording.store) for scored in frames]
    heights = [picture.contact_sheet(shown[:count], 'title', 300).shape[0]
               for count in (1, 2, 3)]
    assert heights[2] - heights[1] == heights[1] - heights[0] > 300 * HEIGHT // WIDTH


def test_pictures_are_spread_over_the_run():
    assert picture.spread(78, 4) == [0, 26, 51, 77]
    assert picture.spread(2, 6) == [0, 1]
    assert picture.spread(1, 6) == [0]


def test_the_bag_holds_every_reconstruction_with_its_stamp(tmp_path, recording):
    from gsc_ros.sources import open_source
    write_bag(tmp_path / 'bag', 'front', recording, lambda: None)
    source = open_source(tmp_path / 'bag', topic='/reconstructed/front/image')
    for read, frame in zip(source, recording.frames, strict=True):
        assert (read.stamp_ns, read.frame_id) == (frame.stamp_ns, 'camera')
        np.testing.assert_array_equal(read.image, recording.store.get(frame.image))


def test_a_chart_keeps_within_its_frame():
    svg = chart([Series([0, 1, 2], [5.0, float('nan'), 1e6], 'a', 'dots'),
                 Series([0, 1, 2], [1, 2, 3], 'b', 'bars'),
                 Series([0, 1, 2], [1, 2, 3], 'c', 'steps')], 'x <s>', 'y', Limit(2e6, 'limit'))
    assert svg.count('<circle') == 2
    assert 'x &lt;s&gt;' in svg
    for number in re.findall(r'(?:cx|cy|x1|x2|y1|y2)="(-?[\d.]+)"', svg):
        assert 0 <= float(number) <= 560


def test_bars_cover_no_numbers_of_an_axis():
    svg = chart([Series([0, 1, 5, 2000], [1, 2, 3, 4], 'a'),
                 Series([0, 900, 2000], [3, 2, 1], 'b', 'bars')], 'x', 'y')
    bars = re.findall(r'<rect x="(-?[\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    axis = float(re.search(r'class="axis" x1="([\d.]+)"', svg)[1])
    end = float(re.search(r'class="axis" x1="[\d.]+" x2="([\d.]+)"', svg)[1])
    assert len(bars) == 3
    for left, width in bars:
        assert axis <= float(left) and float(left) + float(width) <= end


@pytest.mark.parametrize('values', ([], [float('nan')], [3.0], [0.0, 0.0], [-1e-9, 1e9]))
def test_a_chart_of_odd_values_is_drawn(values):
    assert chart([Series(list(range(len(values))), values)], 'x', 'y')


def test_the_store_gives_back_what_it_got(tmp_path):
    from gsc_ros.demo.recording import ImageStore
    store = ImageStore(tmp_path)
    pictures = [np.random.default_rng(seed).integers(0, 256, (7 + seed, 5, 3), np.uint8)
                for seed in range(5)]
    stored = [store.add(one[:, ::-1]) for one in pictures]
    for one, place in zip(pictures, stored):
        np.testing.assert_array_equal(store.get(place), one[:, ::-1])
    assert list(Path(tmp_path).iterdir()) == []  # nothing stays behind, however the run ends
    store.close()
