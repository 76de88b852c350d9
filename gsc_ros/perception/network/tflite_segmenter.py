# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Segmentation networks in TensorFlow Lite's format, run by LiteRT.

DeepLab's own convention is followed: the picture is scaled to fit into the network's frame in its
proportions, at the upper left, and the rest is the gray that the network was trained to ignore.
"""

from __future__ import annotations

import hashlib
from typing import Any

import cv2
from gsc_ros.perception.network.label import PASCAL_VOC, read_names
from gsc_ros.perception.network.network import NetworkError, NetworkSettings, Picture, Task
from gsc_ros.perception.network.onnx_model import model_file
import numpy as np
import numpy.typing as npt

NAME = 'deeplab'
PADDING = 128


class TfliteSegmenter:
    """
    A segmenter whose input is [1, h, w, 3] and whose output is classes or scores by pixel.

    uint8 inputs take pixels as they are, float32 ones take them in -1..1. The classes are those of
    Pascal VOC where the settings name no others.

    :raises NetworkError: the file is no such network, or the package is missing.
    """

    task = Task.SEGMENTATION

    def __init__(self, settings: NetworkSettings) -> None:
        path = model_file(settings, NAME, "a segmenter in TensorFlow Lite's format (.tflite)")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError as error:
            raise NetworkError(f"{NAME} needs {error.name}, which is not installed; try: "
                               "pip install 'gsc_ros[eval]'") from error
        try:
            content = path.read_bytes()
            self._interpreter: Any = Interpreter(
                model_content=content, num_threads=settings.threads)
            self._interpreter.allocate_tensors()
        except OSError as error:
            raise NetworkError(f'{path}: {error.strerror}') from error
        except (ValueError, RuntimeError) as error:
            raise NetworkError(f'{path}: not a network of TensorFlow Lite: {error}'.split('\n')[0]
                               ) from error
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        given = tuple(self._input['shape'])
        answered = tuple(self._output['shape'])
        if len(given) != 4 or given[0] != 1 or given[3] != 3 or self._input['dtype'] not in (
                np.uint8, np.float32) or answered[:3] != given[:3]:
            raise NetworkError(f'{path}: turns {list(given)} {np.dtype(self._input["dtype"])} into '
                               f'{list(answered)}, not [1, h, w, 3] into [1, h, w] or '
                               '[1, h, w, classes]')
        self.name = path.stem
        self.identity = hashlib.sha256(content).hexdigest()
        self.classes = PASCAL_VOC if settings.names is None else read_names(settings.names)
        if len(answered) == 4 and answered[3] != len(self.classes):
            raise NetworkError(f'{path}: has {answered[3]} classes, but there are '
                               f'{len(self.classes)} names')

    def __call__(self, image: Picture) -> npt.NDArray[np.int32]:
        """Return the class of each pixel; see SegmentationNetwork."""
        height, width = image.shape[:2]
        rows, columns = (int(side) for side in self._input['shape'][1:3])
        scale = min(rows / height, columns / width)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        canvas = np.full((rows, columns, 3), PADDING, np.uint8)
        canvas[:inner[1], :inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
        pixels = canvas if self._input['dtype'] == np.uint8 else (
            canvas.astype(np.float32) / 127.5 - 1)
        self._interpreter.set_tensor(self._input['index'], pixels[None])
        self._interpreter.invoke()
        answer = self._interpreter.get_tensor(self._output['index'])[0]
        labels = answer if answer.ndim == 2 else answer.argmax(axis=-1)
        small = np.ascontiguousarray(labels[:inner[1], :inner[0]]).astype(np.int32)
        if not 0 <= small.min() <= small.max() < len(self.classes):
            raise NetworkError(f'{self.name}: found class {small.max()}, but there are names for '
                               f'{len(self.classes)}')
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
