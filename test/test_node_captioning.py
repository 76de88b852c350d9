# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Captions in a sender: the frames never wait for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import threading
import time
from typing import ClassVar

from codec_image import picture
from gsc_ros.codec.error import CaptionError, CodecError
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder, Reconstruction
from gsc_ros.codec.profile import load_profile
from gsc_ros.nodes import captioning as module
from gsc_ros.nodes.captioning import Captioning
from gsc_ros.nodes.diagnostic import Level
from gsc_ros.nodes.schema import SenderParameters
import numpy as np
import pytest

PATIENCE_S = 20.0
PROFILE = load_profile('tiny')
DECODER = FrameDecoder(PROFILE)
IMAGES = [picture(96, 128, seed) for seed in range(4)]
SETTINGS = SenderParameters(
    cameras=('front', 'left'), captioner='openai', caption_model='a-model',
    caption_interval_s=0.0)


class GatedCaptioner:
    """Describes a picture when it is let, in the words that it is given."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.answers: list[str | Exception] = []
        self.open = threading.Semaphore(0)
        self.seen: list[np.ndarray] = []

    def describe(self, image: np.ndarray) -> str:
        self.seen.append(image)
        self.entered.release()
        assert self.open.acquire(timeout=PATIENCE_S)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.answers.append(CaptionError('closed'))
        self.open.release()


class Bench:
    made: ClassVar[list[Bench]] = []

    def __init__(self, captioner: GatedCaptioner, settings: SenderParameters) -> None:
        self.made.append(self)
        self.captioner = captioner
        self.settings = settings
        self.log: list[str] = []
        self.captioning = Captioning(FrameEncoder(PROFILE), settings, self.log.append)
        self.captioning.start()

    def frame(self, image: np.ndarray, camera: str = 'front', **settings) -> Reconstruction:
        encoded = self.captioning.encode(
            camera, image, self.settings, EncoderSettings(channels=4, **settings))
        return DECODER.decode(encoded.payload)

    def say(self, answer: str | Exception) -> None:
        assert self.captioner.entered.acquire(timeout=PATIENCE_S)
        counters = self.captioning.counters
        done = counters.made + counters.failed
        self.captioner.answers.append(answer)
        self.captioner.open.release()
        end = time.monotonic() + PATIENCE_S
        while counters.made + counters.failed == done:
            assert time.monotonic() < end
            time.sleep(0.005)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    while Bench.made:
        Bench.made.pop().captioning.stop()


@pytest.fixture
def bench(monkeypatch) -> Bench:
    captioner = GatedCaptioner()
    monkeypatch.setattr(module, 'open_captioner', lambda name, settings: captioner)
    return Bench(captioner, SETTINGS)


def test_a_late_caption_goes_with_a_later_frame_and_is_named_from_then_on(bench: Bench):
    assert [bench.frame(IMAGES[0]).caption_id for _ in range(3)] == [None] * 3
    bench.say('a wall')
    full, named = bench.frame(IMAGES[0]), bench.frame(IMAGES[0])
    assert (full.caption, full.caption_reference) == ('a wall', False)
    assert (named.caption, named.caption_reference) == ('', True)
    assert named.caption_id == full.caption_id
    assert len(bench.captioner.seen) == 1


def test_only_the_newest_picture_waits_for_the_captioner(bench: Bench):
    for image in IMAGES:
        bench.frame(image)
    bench.say('the first')
    bench.say('the last')
    assert [next(number for number, image in enumerate(IMAGES) if image is seen)
            for seen in bench.captioner.seen] == [0, 3]
    assert bench.captioning.counters.replaced == 2


def test_cameras_have_captions_of_their_own(bench: Bench):
    bench.frame(IMAGES[0])
    bench.frame(IMAGES[1], 'left')
    bench.say('a wall')
    bench.say('a rock')
    assert bench.frame(IMAGES[0]).caption == 'a wall'
    assert bench.frame(IMAGES[1], 'left').caption == 'a rock'


@pytest.mark.parametrize('error', [CaptionError('no answer'), RuntimeError('a defect')])
def test_a_captioner_that_fails_is_counted_and_asked_again(bench: Bench, error: Exception):
    bench.frame(IMAGES[0])
    bench.say(error)
    report = next(iter(bench.captioning.diagnose()))
    assert (report.level, report.message) == (Level.WARN, f'no caption: {error}')
    assert bench.log == [f'front: no caption: {error}']
    bench.frame(IMAGES[0])
    bench.say('a wall')
    assert bench.frame(IMAGES[0]).caption == 'a wall'
    report = next(iter(bench.captioning.diagnose()))
    assert (report.level, report.message) == (Level.OK, 'describing')
    assert report.values == {
        'asked': 2, 'made': 1, 'failed': 1, 'replaced': 0, 'without_room': 0}


def test_stopping_breaks_off_a_caption(bench: Bench):
    bench.frame(IMAGES[0])
    assert bench.captioner.entered.acquire(timeout=PATIENCE_S)
    start = time.monotonic()
    bench.captioning.stop()
    assert time.monotonic() - start < 1.0
    assert bench.frame(IMAGES[1]).caption_id is None
    bench.captioning.start()
    bench.frame(IMAGES[1])
    bench.say('a wall')
    assert bench.frame(IMAGES[1]).caption == 'a wall'


def fixed(**settings) -> Bench:
    return Bench(GatedCaptioner(), replace(SETTINGS, captioner='fixed', **settings))


def test_a_fixed_caption_may_change_between_frames():
    bench = fixed(caption='a wall\n', caption_refresh_interval_s=3600.0)
    assert [bench.frame(IMAGES[0]).caption for _ in range(2)] == ['a wall', '']
    bench.settings = replace(bench.settings, caption='a rock')
    assert bench.frame(IMAGES[0]).caption == 'a rock'
    bench.settings = replace(bench.settings, caption='')
    assert bench.frame(IMAGES[0]).caption_id is None
    assert list(bench.captioning.diagnose()) == []


def test_a_refresh_of_zero_sends_the_text_with_every_frame():
    bench = fixed(caption='a wall', caption_refresh_interval_s=0.0)
    assert [bench.frame(IMAGES[0]).caption for _ in range(3)] == ['a wall'] * 3


def test_nobody_writes_no_caption():
    bench = Bench(GatedCaptioner(), replace(SETTINGS, captioner='none', caption='a wall'))
    assert bench.frame(IMAGES[0]).caption_id is None


def test_a_frame_too_small_for_its_caption_goes_without():
    noise = ''.join(map(chr, np.random.default_rng(0).integers(0x4E00, 0x9000, 200)))
    bench = fixed(caption=noise)
    frame = bench.frame(IMAGES[0], max_bytes=200)
    assert frame.caption_id is None
    assert bench.captioning.counters.without_room == 1
    with pytest.raises(CodecError):
        bench.frame(IMAGES[0], max_bytes=5)
    assert bench.captioning.counters.without_room == 1


def test_a_captioner_that_cannot_work_is_refused_with_the_reason(tmp_path):
    settings = replace(SETTINGS, captioner='qwen2.5-vl', caption_model=str(tmp_path))
    with pytest.raises(CaptionError, match='there is no model'):
        Captioning(FrameEncoder(PROFILE), settings, print)
