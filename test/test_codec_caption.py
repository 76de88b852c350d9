# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Captions: one line of text, asked for when the scene changes, sent once and then named."""

from __future__ import annotations

from codec_image import picture
from gsc_ros.codec.caption.captioner import CaptionerName, CaptionerSettings, Quantization
from gsc_ros.codec.caption.line import one_line
from gsc_ros.codec.caption.memory import CaptionMemory, CaptionState, CaptionView
from gsc_ros.codec.caption.opening import open_captioner
from gsc_ros.codec.caption.schedule import CaptionSchedule, CaptionTrigger, CaptionUse
from gsc_ros.codec.caption.thumbnail import fit_pixels
from gsc_ros.codec.error import CaptionError
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

IMAGE = picture(120, 200)
REFRESH_S = 30.0


@pytest.mark.parametrize('text, line', [
    ('a\nwall\t of  stone ', 'a wall of stone'),
    ('\x1b[31mred\x07\u202erock\u2028sand\0', '[31mredrock sand'),
    ('grün, 岩石, камень', 'grün, 岩石, камень'),
    ('\ud800 \ue000', ''),
    ('', '')])
def test_a_caption_is_one_line_of_printable_characters(text, line):
    assert one_line(text, 100) == line


@pytest.mark.parametrize('limit, line', [
    (100, 'a wall, a rock'), (14, 'a wall, a rock'), (13, 'a wall, a'), (7, 'a wall'),
    (6, 'a wall'), (5, 'a'), (1, 'a')])
def test_a_long_caption_ends_after_a_word(limit, line):
    assert one_line('a wall, a rock', limit) == line


def test_a_word_that_is_too_long_is_cut():
    assert one_line('x' * 50, 20) == 'x' * 20


@given(st.text(), st.integers(1, 50))
def test_any_text_becomes_a_line_within_the_limit(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit and line == line.strip()
    assert line == one_line(line, limit)
    assert all(letter.isprintable() for letter in line)


def test_nobody_says_nothing_and_a_fixed_caption_is_the_same_for_all():
    settings = CaptionerSettings(text='a rover\non sand', max_characters=9)
    assert open_captioner(CaptionerName.NONE, settings).describe(IMAGE) == ''
    assert open_captioner(CaptionerName.FIXED, settings).describe(IMAGE) == 'a rover'


def test_a_captioner_that_cannot_work_is_refused_at_once(tmp_path):
    with pytest.raises(CaptionError, match=r'no model in .*no config\.json'):
        open_captioner(CaptionerName.QWEN, CaptionerSettings(model=str(tmp_path)))
    with pytest.raises(CaptionError, match='name of a model'):
        open_captioner(CaptionerName.OPENAI, CaptionerSettings())


@pytest.mark.parametrize('quantization', [Quantization.EIGHT_BIT, Quantization.FOUR_BIT])
def test_software_that_is_missing_is_named(monkeypatch, tmp_path, quantization):
    (tmp_path / 'config.json').write_text('{}')
    monkeypatch.setattr('gsc_ros.codec.caption.vision_language.find_spec', lambda name: None)
    with pytest.raises(CaptionError, match='needs torch and .* bitsandbytes.*pip install torch'):
        open_captioner(CaptionerName.QWEN, CaptionerSettings(
            model=str(tmp_path), quantization=quantization))


@pytest.mark.parametrize('height, width', [(16, 16), (30, 1000), (480, 640), (2160, 3840)])
def test_a_picture_gets_a_number_of_pixels_within_bounds(height, width):
    fitted = fit_pixels(np.zeros((height, width, 3), np.uint8), 10_000, 100_000)
    assert 10_000 <= fitted.shape[0] * fitted.shape[1] <= 100_000 or (
        fitted.shape[:2] == (height, width) and 10_000 <= height * width <= 100_000)
    assert fitted.shape[1] / fitted.shape[0] == pytest.approx(width / height, rel=0.1)


def trigger_at(*moments: tuple[float, np.ndarray]) -> list[bool]:
    trigger = CaptionTrigger()
    return [trigger.due(image, now_s, 10.0, 0.06) for now_s, image in moments]


def test_a_caption_is_asked_for_when_the_scene_changes_but_not_too_often():
    other = picture(120, 200, seed=5)
    assert trigger_at((0.0, IMAGE), (20.0, IMAGE), (21.0, other), (25.0, IMAGE), (30.9, IMAGE),
                      (31.0, IMAGE)) == [True, False, True, False, False, True]


def test_light_and_noise_are_no_change_of_scene():
    noise = np.random.default_rng(0).normal(0, 12, IMAGE.shape)
    brighter = (IMAGE.astype(np.int16) + 25).clip(0, 255).astype(np.uint8)
    noisy = (IMAGE + noise).clip(0, 255).astype(np.uint8)
    assert trigger_at((0.0, IMAGE), (20.0, brighter), (40.0, noisy)) == [True, False, False]


def test_a_picture_of_another_size_is_compared_too():
    assert trigger_at((0.0, IMAGE), (20.0, np.repeat(np.repeat(IMAGE, 2, 0), 2, 1))) == [
        True, False]


def test_a_question_without_an_answer_is_asked_again_after_the_interval():
    trigger = CaptionTrigger()
    assert trigger.due(IMAGE, 0.0, 10.0, 0.06)
    trigger.failed()
    assert [trigger.due(IMAGE, now_s, 10.0, 0.06) for now_s in (9.0, 10.0, 20.0)] == [
        False, True, False]


def plan_and_send(schedule: CaptionSchedule, now_s: float) -> CaptionUse:
    use = schedule.plan(now_s, REFRESH_S)
    schedule.sent(use, now_s)
    return use


def test_a_caption_is_sent_once_then_named_and_sent_again_at_the_refresh():
    schedule = CaptionSchedule(255)
    assert plan_and_send(schedule, 0.0) == CaptionUse('', 0, False)
    schedule.offer('a wall')
    full, named = CaptionUse('a wall', 255, False), CaptionUse('', 255, True)
    assert [plan_and_send(schedule, now_s) for now_s in (1.0, 2.0, 30.9, 31.0, 32.0)] == [
        full, named, named, full, named]
    schedule.offer('a rock')
    assert plan_and_send(schedule, 33.0) == CaptionUse('a rock', 0, False)
    schedule.offer('')
    assert plan_and_send(schedule, 34.0) == CaptionUse('', 0, False)


def test_a_caption_that_did_not_leave_is_sent_with_the_next_frame():
    schedule = CaptionSchedule(7)
    schedule.offer('a wall')
    assert schedule.plan(0.0, REFRESH_S) == plan_and_send(schedule, 0.1)


def test_a_caption_without_room_is_left_out_until_the_refresh():
    schedule = CaptionSchedule(7)
    schedule.offer('a wall')
    schedule.refused(schedule.plan(0.0, REFRESH_S), 0.0)
    assert plan_and_send(schedule, 1.0) == CaptionUse('', 0, False)
    assert schedule.plan(30.0, REFRESH_S).text == 'a wall'
    schedule.offer('a rock')
    assert schedule.plan(2.0, REFRESH_S).text == 'a rock'


def test_a_receiver_knows_the_captions_that_it_got():
    memory = CaptionMemory()
    assert [memory.take(1, 0, None, ''), memory.take(1, 1, 5, 'a wall'), memory.take(1, 2, 5, ''),
            memory.take(1, 3, 6, ''), memory.take(1, 4, 6, 'a rock'),
            memory.take(1, 5, 6, '')] == [
        CaptionView(CaptionState.NONE),
        CaptionView(CaptionState.RECEIVED, 5, 'a wall'),
        CaptionView(CaptionState.AS_BEFORE, 5, 'a wall'),
        CaptionView(CaptionState.MISSING, 6),
        CaptionView(CaptionState.RECEIVED, 6, 'a rock'),
        CaptionView(CaptionState.AS_BEFORE, 6, 'a rock')]


def test_a_caption_of_another_session_is_another_caption():
    memory = CaptionMemory()
    memory.take(1, 0, 5, 'a wall')
    assert memory.take(2, 1, 5, '').state is CaptionState.MISSING


@pytest.mark.parametrize('gap, state', [
    (255, CaptionState.AS_BEFORE), (256, CaptionState.MISSING), (70_000, CaptionState.MISSING)])
def test_an_id_is_not_trusted_when_it_may_have_come_round(gap, state):
    memory = CaptionMemory()
    start = 2 ** 32 - 100
    memory.take(1, start, 5, 'a wall')
    assert memory.take(1, (start + gap) % 2 ** 32, 5, '').state is state


def test_schedule_and_memory_agree_over_a_lossy_link_of_many_captions():
    random = np.random.default_rng(3)
    schedule, memory = CaptionSchedule(200), CaptionMemory()
    known = 0
    for sequence in range(20_000):
        if random.random() < 0.3:
            schedule.offer(f'caption {random.integers(10 ** 6)}')
        use = schedule.plan(sequence / 10, REFRESH_S)
        schedule.sent(use, sequence / 10)
        # Outages of many captions among single losses.
        if sequence // 900 % 3 == 1 or random.random() < 0.5:
            continue
        wanted = schedule.plan(sequence / 10, 0.0).text
        caption_id = use.caption_id if use.text or use.reference else None
        view = memory.take(9, sequence, caption_id, use.text)
        assert view.text in ('', wanted)
        known += view.text != ''
    assert known > 3000
