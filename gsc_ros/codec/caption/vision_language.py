# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A captioner in this process: Qwen2.5-VL, or any other image-text-to-text model of transformers.

torch and transformers are imported with the first picture, and nowhere else on the way of a frame.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
import threading
from typing import Any

from gsc_ros.codec.caption.captioner import CaptionerSettings, Quantization
from gsc_ros.codec.caption.line import one_line
from gsc_ros.codec.caption.thumbnail import fit_pixels
from gsc_ros.codec.error import CaptionError
import numpy as np


class VisionLanguageCaptioner:
    """
    Asks a model from a local directory; nothing is downloaded, and no code of the model's is run.

    The most likely word is always taken, so the same picture gets the same caption.
    """

    def __init__(self, settings: CaptionerSettings):
        """
        Check what can be checked without the model.

        :raises CaptionError: when there is no such directory, or a package is missing.
        """
        self._settings = settings
        self._closing = threading.Event()
        self._model: Any = None
        self._processor: Any = None
        if not (Path(settings.model) / 'config.json').is_file():
            raise CaptionError(f'there is no model in {settings.model!r}: no config.json')
        needed = ['torch', 'torchvision', 'transformers']
        if settings.quantization is not Quantization.NONE:
            needed += ['bitsandbytes', 'accelerate']
        missing = [name for name in needed if find_spec(name) is None]
        if missing:
            raise CaptionError(
                f'the captioner needs {" and ".join(missing)}: pip install {" ".join(missing)}')

    def describe(self, image: np.ndarray) -> str:
        """Return what the model says of the image; see Captioner."""
        settings = self._settings
        try:
            if self._model is None:
                self._load()
            words = self._generate(
                fit_pixels(image, settings.min_pixels, settings.max_pixels))
        # A model's own code may raise anything: on bad files, too little memory, a lost GPU.
        except Exception as error:
            raise CaptionError(
                f'{settings.model}: {type(error).__name__}: {str(error)[:300]}') from error
        if self._closing.is_set():
            raise CaptionError('the captioner is closed')
        return one_line(words, settings.max_characters)

    def close(self) -> None:
        """Let the model stop after the word it is at."""
        self._closing.set()

    def _load(self) -> None:
        import torch
        import transformers

        transformers.utils.logging.disable_progress_bar()
        settings = self._settings
        device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        options: dict[str, Any] = {'dtype': 'auto' if device.type == 'cuda' else torch.float32}
        if settings.quantization is not Quantization.NONE:
            options['quantization_config'] = transformers.BitsAndBytesConfig(
                load_in_8bit=settings.quantization is Quantization.EIGHT_BIT,
                load_in_4bit=settings.quantization is Quantization.FOUR_BIT)
            options['device_map'] = {'': device}
        self._processor = transformers.AutoProcessor.from_pretrained(
            settings.model, local_files_only=True)
        model = transformers.AutoModelForImageTextToText.from_pretrained(
            settings.model, local_files_only=True, use_safetensors=True, **options)
        # One that is quantized has been put in its place already.
        self._model = (model if 'device_map' in options else model.to(device)).eval()

    def _generate(self, image: np.ndarray) -> str:
        from PIL import Image
        import torch

        question = [{'role': 'user', 'content': [
            {'type': 'image', 'image': Image.fromarray(image)},
            {'type': 'text', 'text': self._settings.prompt}]}]
        inputs = self._processor.apply_chat_template(
            question, add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors='pt').to(self._model.device)
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs, max_new_tokens=self._settings.max_tokens, do_sample=False, num_beams=1,
                temperature=None, top_p=None, top_k=None, stopping_criteria=[self._stop])
        answer = tokens[:, inputs['input_ids'].shape[1]:]
        return self._processor.batch_decode(answer, skip_special_tokens=True)[0]

    def _stop(self, tokens: Any, scores: Any, **_: Any) -> Any:
        """Tell the model, after each word, whether to stop: a bool for each of its answers."""
        return tokens.new_full((len(tokens),), self._closing.is_set(), dtype=bool)
