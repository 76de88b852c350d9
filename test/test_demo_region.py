# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects and key regions in the report of a run."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

from demo_recording import HEIGHT, make_departures, make_recording, REGION, WIDTH
from gsc_ros.demo import picture
from gsc_ros.demo.recording import Recording
from gsc_ros.demo.region_section import region_section
from gsc_ros.demo.report import write_report
from gsc_ros.demo.score import score_frames
from gsc_ros.demo.setting import default_sources, DemoSettings
from gsc_ros.demo.statistic import statistic
from gsc_ros.demo.summary import Ending, summarise, Summary
from gsc_ros.link.audit import verify_budget
import pytest

SETTINGS = DemoSettings(
    'terrain', Path('out'), regions=('importance', 'detector:net.onnx'), command='gsc demo')


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return make_recording(tmp_path, regions=True)


def summary_of(recording: Recording, settings: DemoSettings = SETTINGS) -> Summary:
    return summarise(settings, recording, score_frames(recording, lambda: None),
                     verify_budget(make_departures(recording), 20_000, 4_000), Ending.INPUT, {})


def test_figures_tell_regions_from_the_rest_of_the_picture(recording: Recording):
    figures = summary_of(recording).regions
    left, top, right, bottom = REGION
    assert figures.sources == ('importance', 'detector')
    assert figures.frames == 9
    assert (figures.regions.mean, figures.region_bytes.mean) == (1, 50)
    assert (figures.objects.mean, figures.object_bytes.mean, figures.classes) == (1, 6, {'car': 9})
    assert figures.share.mean == pytest.approx(
        (right - left) * (bottom - top) / (WIDTH * HEIGHT))
    assert (figures.confidence_inside.mean, figures.confidence_outside.mean) == (240, 200)
    assert figures.psnr_outside_db.mean < 50
    assert figures.psnr_inside_db.mean is None, 'there is no error in the regions'


def test_a_run_whose_sources_found_nothing_has_figures_all_the_same(tmp_path: Path):
    figures = summary_of(make_recording(tmp_path)).regions
    assert (figures.frames, figures.regions.mean, figures.psnr_inside_db.mean) == (0, 0, None)


def test_a_run_without_sources_has_none(recording: Recording):
    summary = summary_of(recording, replace(SETTINGS, regions=()))
    assert summary.regions is None
    assert json.loads(summary.to_json())['regions'] is None


def test_the_page_shows_boxes_and_confidence(tmp_path: Path, recording: Recording):
    frames = score_frames(recording, lambda: None)
    departures = make_departures(recording)
    shown = [picture.load_views(frames[0], recording.store)]
    write_report(tmp_path / 'report.html', summary_of(recording), recording, frames, departures,
                 shown, None)
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    assert '<h2>Objects and regions</h2>' in text
    assert '1 regions, 50 bytes; objects 6 bytes' in text
    assert '9 × car' in text
    assert text.count('<figure>') == 4
    # Two beside each other, large enough to read what is written at a box.
    assert '<div class="views pairs"><figure>' in text


@pytest.mark.parametrize(('share', 'said'), [(0.3, False), (0.5, True)])
def test_the_page_says_when_regions_are_much_of_the_picture(
        recording: Recording, share: float, said: bool):
    figures = replace(summary_of(recording).regions, share=statistic([share]))
    assert ('are much of the picture' in region_section(figures)) is said


def test_the_contact_sheet_has_a_column_more(tmp_path: Path, recording: Recording):
    def width(of: Recording) -> int:
        frames = score_frames(of, lambda: None)[:2]
        return picture.contact_sheet(
            [picture.load_views(scored, of.store) for scored in frames], 'title').shape[1]
    (tmp_path / 'other').mkdir()
    assert width(recording) > width(make_recording(tmp_path / 'other')) + 500


def test_the_detector_of_the_shared_data_is_a_source_where_it_is(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('GSC_SHARED_DATA', str(tmp_path))
    assert default_sources() == ('importance',)
    (tmp_path / 'nets').mkdir()
    detector = tmp_path / 'nets' / 'fastestdet_coco.onnx'
    detector.touch()
    assert default_sources() == (f'detector:{detector}',)
