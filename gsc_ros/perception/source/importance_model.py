# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The importance network as files: a folder with `importance.onnx` and `manifest.json`.

The graph takes `image`, float32 [1, 3, h, w] RGB in 0..1, h and w multiples of 32, and answers for
every cell of `stride` pixels with

- `score`, float32 [1, 1, h / stride, w / stride]: how much perception looks there, 0..1;
- `box`, float32 [1, 4, h / stride, w / stride]: left, top, right and bottom of the thing whose
  middle is there, pixels of `image`.
"""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
import json
import math
from pathlib import Path

from gsc_ros.perception.source.source import SourceError
import numpy as np
import onnxruntime

FORMAT = 1
GRAPH_FILE = 'importance.onnx'
MANIFEST_FILE = 'manifest.json'
#: Sides of what the graph takes are multiples of this.
PITCH = 32
_MOST_MANIFEST = 1_000_000


@dataclass(frozen=True)
class ImportanceManifest:
    """
    What an importance network says about itself.

    :param pixels: area of the picture that it was trained to look at; larger ones are reduced.
    :param stride: pixels of that picture by cell.
    :param threshold: certainty from which there is a thing, 0..1, see `importance`.
    """

    pixels: int
    stride: int
    threshold: float


class ImportanceModel:
    """
    The network, verified and opened.

    :param folder: its folder; None is the one that comes with the package.
    :param threads: CPU threads for one picture.
    :raises SourceError: it is missing or damaged.
    """

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        folder = folder or _shipped()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            with (folder / MANIFEST_FILE).open('rb') as file:
                text = file.read(_MOST_MANIFEST)
            graph = (folder / GRAPH_FILE).read_bytes()
        except OSError as error:
            raise SourceError(f'cannot read {error.filename}: {error.strerror}') from error
        self.manifest = _parse(text, hashlib.sha256(graph).hexdigest(), folder)
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=['CPUExecutionProvider'])
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise SourceError(f'{folder / GRAPH_FILE}: {error}'.split('\n')[0]) from error

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Look at a picture.

        :param picture: uint8 [h, w, 3] RGB, h and w multiples of `PITCH`.
        :return: score, float32 [h / stride, w / stride], and box, float32 [h / stride, w / stride,
            4], see this module.
        :raises SourceError: the graph fails or answers something else.
        """
        height, width = picture.shape[:2]
        planes = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / 255
        try:
            score, box = self._session.run(['score', 'box'], {'image': planes})
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise SourceError(f'the importance network: {error}'.split('\n')[0]) from error
        rows, columns = height // self.manifest.stride, width // self.manifest.stride
        if score.shape != (1, 1, rows, columns) or box.shape != (1, 4, rows, columns):
            raise SourceError(f'the importance network answers {list(score.shape)} and '
                              f'{list(box.shape)} to {width} x {height}')
        return score[0, 0], box[0].transpose(1, 2, 0)


def working_size(width: int, height: int, pixels: int) -> tuple[int, int]:
    """
    Return width and height at which the network looks at a picture.

    At most about `pixels` in its proportions, each side the nearest multiple of `PITCH`: the time
    it takes does not depend on the camera. Small pictures are not enlarged.
    """
    factor = min(1.0, math.sqrt(pixels / (width * height)))
    return (max(PITCH, round(width * factor / PITCH) * PITCH),
            max(PITCH, round(height * factor / PITCH) * PITCH))


def _shipped() -> Path:
    """Return the folder of the network that comes with the package."""
    # Not resolved: a symlink install links single files, and the links lie beside each other.
    return Path(__file__).parent.parent.parent / 'profiles' / 'perception' / 'importance'


def _parse(text: bytes, digest: str, folder: Path) -> ImportanceManifest:
    """Return the manifest, all of its values checked."""
    path = folder / MANIFEST_FILE
    try:
        fields = json.loads(text)
        version, named = fields['format'], fields['files'][GRAPH_FILE]
        pixels, stride, threshold = (fields[key] for key in ('pixels', 'stride', 'threshold'))
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise SourceError(f'{path} describes no importance network: {error}') from error
    if version != FORMAT:
        raise SourceError(f'{path} has format {version}, not {FORMAT}')
    if named != digest:
        raise SourceError(f'{folder / GRAPH_FILE} is not the file its manifest describes')
    if not (type(pixels) is int and PITCH ** 2 <= pixels <= 1 << 24):
        raise SourceError(f'{path}: pixels must be an integer from {PITCH ** 2} to {1 << 24}')
    if not (type(stride) is int and 1 <= stride <= PITCH and PITCH % stride == 0):
        raise SourceError(f'{path}: stride must divide {PITCH}')
    if not (type(threshold) in (int, float) and 0 < threshold < 1):
        raise SourceError(f'{path}: threshold must be within 0 to 1')
    return ImportanceManifest(pixels, stride, float(threshold))
