# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a receiver shows of a frame that is generated, whatever the generator does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
import logging
import math
import threading
import time
from types import SimpleNamespace

from codec_image import picture
from gsc_ros.codec.caption.memory import CaptionState, CaptionView
from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.generator.confidence import generated_confidence
from gsc_ros.codec.generator.generator import Condition, GenerationSettings
from gsc_ros.codec.profile import load_profile
from gsc_ros.nodes import generation_view as module
from gsc_ros.nodes.diagnostic import Level
from gsc_ros.nodes.generation import GenerationCounters
from gsc_ros.nodes.generation_view import GenerationView
from gsc_ros.nodes.generator_schema import GeneratorParameters
from gsc_ros.nodes.receiver_output import Decoded, View
import numpy as np
import pytest

PATIENCE_S = 20.0
PROFILE = load_profile('tiny')
DECODER = FrameDecoder(PROFILE)
ENCODER = FrameEncoder(PROFILE)


def frame(seed: int = 0, height: int = 96, width: int = 128, caption: str = '') -> Decoded:
    """Return a decoded frame; `caption` is one that an earlier frame brought."""
    encoded = ENCODER.encode(picture(height, width, seed), EncoderSettings(channels=4, seed=7))
    return Decoded(SimpleNamespace(sequence=seed), DECODER.read(encoded.payload), CaptionView(
        CaptionState.AS_BEFORE, 3, caption), DECODER)


class Brightener:
    """Adds a little light to the structure picture, or fails when it is told to."""

    name = 'brightener'

    def __init__(self) -> None:
        self.seen: list[Condition] = []
        self.settings: list[GenerationSettings] = []
        self.fails = False
        self.go = threading.Event()
        self.go.set()

    def generate(self, conditions: Sequence[Condition],
                 settings: GenerationSettings) -> list[np.ndarray]:
        self.seen += conditions
        self.settings.append(settings)
        assert self.go.wait(PATIENCE_S)
        if self.fails:
            raise GeneratorError('out of memory')
        return [np.minimum(condition.structure, 235) + np.uint8(20) for condition in conditions]

    def close(self) -> None:
        pass


class Bench:
    def __init__(self, generator: Brightener | None, mode: str, **parameters: object) -> None:
        self.node = SimpleNamespace(
            settings=SimpleNamespace(mode=mode, generator=GeneratorParameters(**parameters)),
            get_logger=lambda: SimpleNamespace(
                error=lambda text, **_: logging.getLogger('test').error(text)))
        self.generator = generator
        self.counters = {'front': GenerationCounters()}
        self.shown: list[View] = []
        self.frames: list[Decoded] = []
        self.view = GenerationView(self.node, DECODER, '', self.counters, self.show)
        self.view.start()
        if generator is not None:
            self.wait(lambda: self.view.diagnose().values['generator'])

    def show(self, name: str, decoded: Decoded, view: View) -> None:
        assert name == 'front'
        self.frames.append(decoded)
        self.shown.append(view)

    def modes(self) -> list[str]:
        return [view.mode for view in self.shown]

    @staticmethod
    def wait(true: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end
            time.sleep(0.002)

    def take(self, decoded: Decoded, count: int) -> None:
        """Give a frame and wait until so many pictures were shown in all."""
        self.view.take('front', decoded)
        self.wait(lambda: len(self.shown) == count)


@pytest.fixture(name='make')
def fixture_make(monkeypatch) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(generator: Brightener | None, mode: str, **parameters: object) -> Bench:
        def opened(*words: object, **options: object) -> Brightener:
            if generator is None:
                raise GeneratorError('there is none')
            return generator
        monkeypatch.setattr(module, 'open_generator', opened)
        benches.append(Bench(generator, mode, **parameters))
        return benches[-1]
    yield make
    for bench in benches:
        if bench.generator is not None:
            bench.generator.go.set()
        bench.view.close()


def test_auto_shows_the_structure_at_once_and_the_generated_picture_when_it_is_ready(make):
    bench = make(Brightener(), 'auto')
    bench.generator.go.clear()
    decoded = frame()
    bench.take(decoded, 1)
    assert bench.modes() == ['structure']
    assert bench.shown[0].image is decoded.result.image
    bench.generator.go.set()
    bench.wait(lambda: len(bench.shown) == 2)
    assert bench.modes() == ['structure', 'generate']
    assert bench.frames == [decoded, decoded]  # of the same stamp


def test_generate_shows_the_generated_picture_alone_and_says_of_which_generator(make):
    bench = make(Brightener(), 'generate')
    decoded = frame()
    bench.take(decoded, 1)
    view, result = bench.shown[0], decoded.result
    assert (view.mode, view.generator) == ('generate', 'brightener')
    assert view.generate_ms > 0 and math.isnan(view.flicker)
    np.testing.assert_array_equal(
        view.confidence, generated_confidence(result.image, result.confidence, view.image))
    assert view.confidence.mean() < result.confidence.mean() - 50


def test_key_regions_are_shown_as_they_were_measured(make):
    bench = make(Brightener(), 'generate')
    decoded = frame()
    mask = np.zeros(decoded.result.confidence.shape, np.uint8)
    mask[32:80, 40:100] = 255
    decoded.__dict__['result'] = replace(decoded.result, region_mask=mask)
    bench.take(decoded, 1)
    view, result = bench.shown[0], decoded.result
    assert np.array_equal(view.image[mask > 0], result.image[mask > 0])
    assert not np.array_equal(view.image[mask == 0], result.image[mask == 0])
    assert (view.confidence[40:72, 48:92] == result.confidence[40:72, 48:92]).all()


@pytest.mark.parametrize('mode', ('generate', 'auto'))
def test_without_a_generator_the_structure_goes_on_and_the_report_says_why(make, mode):
    bench = make(None, mode)
    bench.wait(lambda: bench.view.diagnose().level is Level.ERROR)
    assert 'no generator: there is none' in bench.view.diagnose().message
    for count in (1, 2):
        bench.take(frame(count), count)
    assert bench.modes() == ['structure', 'structure']
    assert bench.counters['front'].not_generated == 2


@pytest.mark.parametrize('mode', ('generate', 'auto'))
def test_where_the_generator_fails_the_structure_goes_on_until_it_works_again(make, mode):
    bench = make(Brightener(), mode)
    bench.generator.fails = True
    bench.take(frame(0), 1)
    bench.wait(lambda: bench.counters['front'].generator_failed == 1)
    assert bench.modes() == ['structure']
    report = bench.view.diagnose()
    assert report.level is Level.ERROR and 'out of memory' in report.message
    bench.generator.fails = False
    bench.take(frame(1), 2 if mode == 'generate' else 3)
    assert bench.modes()[-1] == 'generate'
    assert bench.view.diagnose().level is Level.OK


def test_the_condition_is_that_of_the_packet_with_the_caption_of_an_earlier_frame(make):
    bench = make(Brightener(), 'generate', steps=5, guidance=2.0)
    decoded = frame(caption='a quarry')
    bench.take(decoded, 1)
    (condition,), result = bench.generator.seen, decoded.result
    assert (condition.text, condition.seed, condition.start) == ('a quarry', 7, None)
    assert condition.structure is result.image
    assert condition.latent.shape == (320, 3, 4)
    sent = list(condition.channels)
    assert sent == list(result.channels)
    assert condition.latent[sent].any() and not np.delete(condition.latent, sent, 0).any()
    assert 0 <= condition.level <= 1
    assert bench.generator.settings == [GenerationSettings(steps=5, guidance=2.0, strength=1.0)]


def test_parameters_hold_from_the_next_frame(make):
    bench = make(Brightener(), 'generate')
    bench.take(frame(0), 1)
    bench.node.settings.generator = replace(
        bench.node.settings.generator, seed=99, start_previous=True, strength=0.4)
    bench.take(frame(0), 2)
    condition = bench.generator.seen[-1]
    assert condition.seed == 99
    np.testing.assert_array_equal(condition.start, bench.shown[0].image)
    assert bench.generator.settings[-1].strength == 0.4


def test_a_picture_of_another_size_is_no_start(make):
    bench = make(Brightener(), 'generate', start_previous=True)
    bench.take(frame(0), 1)
    bench.take(frame(1, 64, 64), 2)
    assert bench.generator.seen[-1].start is None
    assert math.isnan(bench.shown[-1].flicker)


def test_flicker_is_what_the_generator_adds_to_the_change_of_the_structure(make):
    bench = make(Brightener(), 'generate')
    for count in (1, 2):
        bench.take(frame(0), count)
    assert bench.shown[-1].flicker == 0
    assert bench.view.values('front')['flicker'] == 0
    assert bench.view.values('front')['generated'] == 2


def test_the_structure_pictures_of_frames_that_are_not_generated_are_never_made(make):
    bench = make(Brightener(), 'generate')
    bench.generator.go.clear()
    bench.view.take('front', frame(0))
    bench.wait(lambda: bench.generator.seen)
    waiting = [frame(seed) for seed in (1, 2, 3)]
    for decoded in waiting:
        bench.view.take('front', decoded)
    bench.generator.go.set()
    bench.wait(lambda: len(bench.shown) == 2)
    assert ['result' in vars(decoded) for decoded in waiting] == [False, False, True]
