# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Structure and generated pictures of the same frames, with their figures beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import json
import math
from pathlib import Path

import cv2
from demo_recording import HEIGHT, make_departures, make_recording, WIDTH
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.demo import picture
from gsc_ros.demo.bag import write_bag
from gsc_ros.demo.comparison import compare, Pair
from gsc_ros.demo.recording import FrameRecord, Recording
from gsc_ros.demo.report import write_report
from gsc_ros.demo.score import score_frames
from gsc_ros.demo.setting import DemoSettings
from gsc_ros.demo.summary import Ending, summarise, Summary
from gsc_ros.link.audit import verify_budget
from gsc_ros.sources import open_source
import numpy as np
import pytest

PROFILE = load_profile('tiny')


def generated_of(frame: FrameRecord, recording: Recording, flicker: float = 0.5) -> FrameRecord:
    """Return a record of a sharper picture than the frame's, half a second later."""
    image = recording.store.get(frame.image)
    sharp = cv2.addWeighted(image, 1.8, cv2.GaussianBlur(image, (0, 0), 2), -0.8, 0)
    return replace(
        frame, received_ns=frame.received_ns + 500_000_000, image=recording.store.add(sharp),
        confidence=recording.store.add(np.full((HEIGHT, WIDTH), 120, np.uint8)), mode='generate',
        generator='sharpener', generate_ms=480.0, flicker=flicker, not_generated=3)


@pytest.fixture(name='auto')
def fixture_auto(tmp_path: Path) -> Recording:
    """Return nine frames, of which every other one was generated, too."""
    recording = make_recording(tmp_path)
    recording.generated = [
        generated_of(frame, recording, math.nan if not number else 0.5)
        for number, frame in enumerate(recording.frames[::2])]
    return recording


@pytest.fixture(name='generate')
def fixture_generate(tmp_path: Path) -> Recording:
    """Return frames that came generated but for the first, and their packets but for the last."""
    recording = make_recording(tmp_path, sources=4, lost=())
    encoder = FrameEncoder(PROFILE)
    for number, source in enumerate(recording.sources[:-1]):
        recording.packets[source.stamp_ns] = encoder.encode(
            recording.store.get(source.image), EncoderSettings(channels=8)).payload
        if number:
            recording.frames[number] = generated_of(recording.frames[number], recording)
    recording.frames[-1] = generated_of(recording.frames[-1], recording)
    return recording


def pairs_of(recording: Recording) -> list[Pair]:
    return compare(recording, score_frames(recording, lambda: None), 'tiny', lambda: None)


def summary_of(recording: Recording, pairs: Sequence[Pair], mode: str) -> Summary:
    settings = DemoSettings('terrain', Path('out'), mode=mode, command='gsc demo')
    audit = verify_budget(make_departures(recording), 20_000, 4_000)
    return summarise(settings, recording, score_frames(recording, lambda: None), audit,
                     Ending.INPUT, {'video': 'v.webm'}, pairs)


def test_in_auto_each_generated_picture_stands_beside_the_one_that_was_shown(auto):
    pairs = pairs_of(auto)
    assert len(pairs) == 5
    for pair, frame in zip(pairs, auto.frames[::2]):
        assert pair.structure.frame == frame
        assert pair.generated.frame.stamp_ns == frame.stamp_ns
        assert pair.generated.frame.mode == 'generate'


def test_in_generate_the_structure_picture_is_made_of_the_packet(generate):
    pairs = pairs_of(generate)
    assert [pair.generated.frame for pair in pairs] == generate.frames[1:3]
    for pair in pairs:
        result = FrameDecoder(PROFILE).decode(generate.packets[pair.structure.frame.stamp_ns])
        np.testing.assert_array_equal(
            generate.store.get(pair.structure.frame.image), result.image)
        assert (pair.structure.frame.mode, pair.structure.frame.generator) == ('structure', '')
        assert math.isfinite(pair.structure.psnr_db)


def test_the_figures_of_the_modes_are_over_the_same_frames(auto):
    summary = summary_of(auto, pairs_of(auto), 'auto')
    structure, generated = summary.modes['structure'], summary.modes['generate']
    assert (structure.frames, generated.frames) == (9, 5)
    assert structure.compared == generated.compared == 5
    assert generated.fps == pytest.approx(4 / 0.909, abs=1e-3)
    assert generated.psnr_db.mean > structure.psnr_db.mean  # sharper, as the originals are
    assert generated.spectrum_db.mean != structure.spectrum_db.mean
    assert generated.latency_ms.minimum == structure.latency_ms.minimum + 500
    assert (generated.flicker.mean, generated.generate_ms.median) == (0.5, 480)
    assert structure.flicker.mean is None and structure.generate_ms.mean is None
    assert (summary.generator, summary.frames_not_generated) == ('sharpener', 3)
    assert json.loads(summary.to_json())['modes']['generate']['psnr_db']['mean'] > 15


def test_pictures_that_were_never_shown_have_no_pace(generate):
    structure = summary_of(generate, pairs_of(generate), 'generate').modes['structure']
    assert (structure.frames, structure.compared) == (1, 2)


def test_a_run_without_a_generator_has_no_modes_to_compare(tmp_path):
    recording = make_recording(tmp_path)
    assert pairs_of(recording) == []
    assert summary_of(recording, [], 'auto').modes == {}


def test_a_run_is_complete_when_the_newest_packet_has_been_generated(auto, generate):
    assert auto.newest_is_generated('auto')  # nothing has come
    auto.packets = {frame.stamp_ns: b'' for frame in auto.frames}
    assert auto.newest_is_generated('auto')
    auto.generated.pop()
    assert not auto.newest_is_generated('auto')
    assert generate.newest_is_generated('generate')


def test_the_page_shows_original_structure_and_generated_beside_each_other(tmp_path, auto):
    pairs = pairs_of(auto)
    shown = [picture.load_pair(pair, auto.store) for pair in pairs[:2]]
    write_report(tmp_path / 'report.html', summary_of(auto, pairs, 'auto'), auto,
                 score_frames(auto, lambda: None), make_departures(auto), shown, None)
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    assert text.count('<img') == 8
    for word in ('<b>original</b>', '<b>structure</b>', '<b>generated</b>', '<b>confidence</b>',
                 'Structure and generated', 'sharpener', 'sharpener, 480 ms', '+0.50',
                 'Passed over for newer frames by the generator'):
        assert word in text, word
    assert 'NaN' not in text


@pytest.mark.parametrize('size', ((375, 1242), (480, 640), (97, 161)))
def test_the_video_has_all_three_and_even_sides(tmp_path, auto, size):
    pair = pairs_of(auto)[0]
    plane = auto.store.add(np.zeros(size, np.uint8))
    image = auto.store.add(np.zeros((*size, 3), np.uint8))
    pair = Pair(*(replace(scored, frame=replace(scored.frame, image=image, confidence=plane))
                  for scored in (pair.structure, pair.generated)))
    drawn = picture.side_by_side(picture.load_pair(pair, auto.store), 960, 'caption')
    assert drawn.shape[0] % 2 == 0
    assert drawn.shape[1] == 960


def test_the_contact_sheet_has_a_column_more(auto):
    pairs = pairs_of(auto)
    wide = picture.contact_sheet([picture.load_pair(pairs[0], auto.store)], 'title', 300)
    narrow = picture.contact_sheet(
        [picture.load_views(pairs[0].structure, auto.store)], 'title', 300)
    assert wide.shape[1] - narrow.shape[1] == 300 + picture.GAP
    assert wide.shape[0] == narrow.shape[0]


def test_the_bag_keeps_generated_pictures_on_topics_of_their_own(tmp_path, auto):
    write_bag(tmp_path / 'bag', 'front', auto, lambda: None)
    for topic, frames in (('image', auto.frames), ('generated/image', auto.generated)):
        source = open_source(tmp_path / 'bag', topic=f'/reconstructed/front/{topic}')
        for read, frame in zip(source, frames, strict=True):
            assert read.stamp_ns == frame.stamp_ns
            np.testing.assert_array_equal(read.image, auto.store.get(frame.image))
