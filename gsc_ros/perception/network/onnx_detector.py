# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Detectors from ONNX files: YOLO, RT-DETR and what answers like them, and FastestDet.

Nothing of the networks' own software is used or needed, only the exported file.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from gsc_ros.perception.network import decoder
from gsc_ros.perception.network.decoder import Family
from gsc_ros.perception.network.fastestdet import FastestDet, takes_after_fastestdet
from gsc_ros.perception.network.label import COCO, read_names
from gsc_ros.perception.network.letterbox import letterbox, stretched
from gsc_ros.perception.network.network import (
    Detected,
    DetectionNetwork,
    NetworkError,
    NetworkSettings,
    Picture,
    Task,
)
from gsc_ros.perception.network.onnx_model import model_file, OnnxModel
import numpy as np
import numpy.typing as npt

NAME = 'onnx-detector'
MIN_SCORE = 0.25
#: Pixels of a side where the file leaves it open.
DEFAULT_SIDE = 640
_MOST_METADATA = 1_000_000


class OnnxDetector:
    """
    A detector of one of the families of `decoder`.

    It takes [1, 3, h, w], RGB in 0..1, float32 or float16; YOLO letterboxed, RT-DETR and DETR
    stretched. A second input for the size of the picture (int64 [1, 2]: width, height) is served.

    :param model: the network.
    :raises NetworkError: it takes or answers something else, or its classes have no names.
    """

    task = Task.DETECTION

    def __init__(self, model: OnnxModel, settings: NetworkSettings) -> None:
        self.name = model.path.stem
        self.min_score = MIN_SCORE if settings.min_score is None else settings.min_score
        self.identity = f'{model.digest} {self.min_score}'
        self._model = model
        self._image, self._size = _inputs(model)
        names = _names(model, settings)
        self._height, self._width = _frame_size(model, self._image)
        outputs = self._run(np.zeros((self._height, self._width, 3), np.uint8), 1, 1)
        shapes = {name: value.shape for name, value in outputs.items()}
        family = decoder.family_of(shapes, None if names is None else len(names))
        if family is None:
            answers = ', '.join(f'{name} {list(shape)}' for name, shape in shapes.items())
            known = f' for {len(names)} classes' if names is not None else ''
            raise NetworkError(f'{model.path}: answers with {answers}, which is none of the '
                               f'detectors that are known{known}; see docs/networks.md')
        self._family = family
        self.classes = _classes(model.path, names, decoder.class_count(family, shapes))

    def __call__(self, image: Picture) -> Detected:
        """Return the objects; see DetectionNetwork."""
        fit = letterbox if self._family.is_letterboxed else stretched
        canvas, frame = fit(image, self._width, self._height)
        outputs = self._run(canvas, image.shape[1], image.shape[0])
        answer = decoder.decode(self._family, outputs, self._width, self._height, self.min_score)
        if answer.classes.size and not 0 <= answer.classes.min() <= answer.classes.max() < len(
                self.classes):
            raise NetworkError(f'{self._model.path}: found class {answer.classes.max()}, but there '
                               f'are names for {len(self.classes)}')
        if self._family is Family.RT_DETR and self._size is not None:
            edge = np.array([image.shape[1], image.shape[0]] * 2)
            return decoder.detected(answer, np.clip(answer.boxes, 0, edge))
        return decoder.detected(answer, frame.to_picture(answer.boxes))

    def _run(self, canvas: Picture, width: int, height: int) -> dict[str, npt.NDArray]:
        kind = np.float16 if 'float16' in self._model.inputs[self._image].type else np.float32
        planes = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None]).astype(kind) / kind(255)
        feed = {self._image: planes}
        if self._size is not None:
            feed[self._size] = np.array([[width, height]], np.int64)
        try:
            values = self._model.session.run(None, feed)
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise NetworkError(f'{self._model.path}: {error}'.split('\n')[0]) from error
        return {name: np.asarray(value) for name, value in zip(self._model.outputs, values)}


def open_onnx_detector(settings: NetworkSettings) -> DetectionNetwork:
    """
    Open any detector that is an ONNX file.

    :raises NetworkError: there is none, or it is of no family that is known.
    """
    path = model_file(settings, NAME, 'a detector exported to ONNX (YOLO, RT-DETR, FastestDet ...)')
    model = OnnxModel(path, settings)
    if takes_after_fastestdet(model):
        return FastestDet(settings)
    return OnnxDetector(model, settings)


def _inputs(model: OnnxModel) -> tuple[str, str | None]:
    """Return the names of the inputs for the picture and for its size."""
    images = [name for name, value in model.inputs.items()
              if len(value.shape) == 4 and value.type in ('tensor(float)', 'tensor(float16)')
              and value.shape[1] == 3]
    sizes = [name for name, value in model.inputs.items()
             if len(value.shape) == 2 and value.type == 'tensor(int64)']
    if len(images) != 1 or len(images) + len(sizes) != len(model.inputs) or len(sizes) > 1:
        inputs = ', '.join(f'{value.name} {value.shape} {value.type}'
                           for value in model.inputs.values())
        raise NetworkError(f'{model.path}: takes {inputs}, not a picture [1, 3, h, w] of floats '
                           'and perhaps its size')
    return images[0], sizes[0] if sizes else None


def _frame_size(model: OnnxModel, image: str) -> tuple[int, int]:
    """Return height and width of the frame: of the input, else of the metadata, else 640."""
    shape = model.inputs[image].shape[2:]
    noted = _literal(model.metadata.get('imgsz', ''))
    if not (isinstance(noted, list) and len(noted) == 2 and all(
            isinstance(side, int) and 32 <= side <= 8192 for side in noted)):
        noted = [DEFAULT_SIDE, DEFAULT_SIDE]
    height, width = (side if isinstance(side, int) else other for side, other in zip(shape, noted))
    return height, width


def _names(model: OnnxModel, settings: NetworkSettings) -> tuple[str, ...] | None:
    if settings.names is not None:
        return read_names(settings.names)
    noted = _literal(model.metadata.get('names', ''))
    if isinstance(noted, Mapping) and set(noted) == set(range(len(noted))):
        noted = [noted[number] for number in range(len(noted))]
    if isinstance(noted, list) and noted:
        return tuple(str(name) for name in noted)
    return None


def _literal(text: str) -> object:
    """Return the value of metadata, which is written as a Python literal; None when it is none."""
    try:
        return ast.literal_eval(text) if len(text) <= _MOST_METADATA else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _classes(path: Path, names: tuple[str, ...] | None, count: int | None) -> tuple[str, ...]:
    if names is None and count in (None, len(COCO)):
        return COCO
    if names is None:
        raise NetworkError(f'{path}: has {count} classes without names: give a file with one name '
                           'a line')
    if count is not None and count != len(names):
        raise NetworkError(f'{path}: has {count} classes, but there are {len(names)} names')
    return names
