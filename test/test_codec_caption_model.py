# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A captioner in process: a tiny Qwen2.5-VL of random weights, saved and loaded like a real one."""

from __future__ import annotations

import json
from pathlib import Path
import shutil
import threading
import time

from codec_image import picture
from gsc_ros.codec.caption.captioner import CaptionerName, CaptionerSettings, Quantization
from gsc_ros.codec.caption.opening import open_captioner
from gsc_ros.codec.error import CaptionError
import pytest

pytest.importorskip('transformers', reason='the extra [caption] is not installed')

from tiny_vision_language import make

IMAGE = picture(120, 200)


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp('model'))


def describe(model: Path, image=IMAGE, **settings) -> str:
    return open_captioner(
        CaptionerName.QWEN, CaptionerSettings(model=str(model), **settings)).describe(image)


def test_a_model_from_a_directory_describes_a_picture_the_same_way_every_time(model):
    captioner = open_captioner(CaptionerName.QWEN, CaptionerSettings(model=str(model)))
    first = captioner.describe(IMAGE)
    assert first and first.isprintable()
    assert captioner.describe(picture(60, 90, seed=3)) != first
    assert captioner.describe(IMAGE) == first == describe(model)


def test_tokens_and_characters_are_limited(model):
    assert len(describe(model, max_tokens=2)) < len(describe(model, max_tokens=40))
    assert len(describe(model, max_characters=5)) <= 5


def test_the_prompt_reaches_the_model(model):
    assert describe(model, prompt='the sky') != describe(model, prompt='a rock of sand')


def test_the_size_of_the_picture_is_bounded(model, monkeypatch):
    from transformers import Qwen2VLImageProcessor
    seen = []
    original = Qwen2VLImageProcessor.preprocess

    def preprocess(self, images, *arguments, **options):
        image = images
        while isinstance(image, list):
            image = image[0]
        seen.append(image.size)
        return original(self, images, *arguments, **options)

    monkeypatch.setattr(Qwen2VLImageProcessor, 'preprocess', preprocess)
    for height, width in ((1000, 1600), (20, 30), (100, 120)):
        describe(model, picture(height, width), min_pixels=5_000, max_pixels=20_000, max_tokens=1)
    sizes = [width * height for width, height in seen]
    assert 15_000 < sizes[0] <= 20_000 and 5_000 <= sizes[1] < 8_000 and sizes[2] == 12_000


@pytest.mark.parametrize('quantization', [Quantization.EIGHT_BIT, Quantization.FOUR_BIT])
def test_weights_that_need_bitsandbytes_say_so(model, monkeypatch, quantization):
    from gsc_ros.codec.caption import vision_language
    find = vision_language.find_spec
    monkeypatch.setattr(vision_language, 'find_spec',
                        lambda name: None if name == 'bitsandbytes' else find(name))
    with pytest.raises(CaptionError, match='needs bitsandbytes: pip install bitsandbytes'):
        open_captioner(CaptionerName.QWEN, CaptionerSettings(
            model=str(model), quantization=quantization))


def test_a_model_that_is_damaged_is_an_error(model, tmp_path):
    broken = tmp_path / 'broken'
    shutil.copytree(model, broken)
    weights = broken / 'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CaptionError, match='broken: SafetensorError'):
        describe(broken)


def test_a_model_of_another_kind_is_an_error(model, tmp_path):
    other = tmp_path / 'other'
    shutil.copytree(model, other)
    (other / 'config.json').write_text(json.dumps({'model_type': 'bert'}))
    with pytest.raises(CaptionError, match='other: ValueError'):
        describe(other)


def test_weights_that_are_a_pickle_are_refused(model, tmp_path):
    import torch
    pickled = tmp_path / 'pickled'
    shutil.copytree(model, pickled)
    (pickled / 'model.safetensors').unlink()
    torch.save({}, pickled / 'pytorch_model.bin')
    with pytest.raises(CaptionError, match='safetensors'):
        describe(pickled)


def test_closing_stops_a_long_answer(model):
    captioner = open_captioner(
        CaptionerName.QWEN, CaptionerSettings(model=str(model), max_tokens=1900))
    threading.Timer(1.0, captioner.close).start()
    start = time.monotonic()
    with pytest.raises(CaptionError, match='closed'):
        captioner.describe(IMAGE)
    assert time.monotonic() - start < 30.0
