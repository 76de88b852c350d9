# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of a report, read from the files of a run, with predictions drawn over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
from gsc_ros.evaluation.report.content import Cell, Picture, ReportError
from gsc_ros.evaluation.report.overlay import boxed, depth_colours, depth_range, tinted
import numpy as np
import numpy.typing as npt

#: Wider pictures are made smaller: the report is one file.
MAX_WIDTH = 800

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Panel:
    """
    One cell of the grid.

    :param images: the picture, uint8 [h, w, 3] RGB, and the predictions drawn over it, if any.
    """

    title: str
    note: str
    caption: str
    group: str
    images: tuple[Image, ...]


def panels(picture: Picture, folder: Path) -> Iterator[Panel]:
    """
    Return the cells of a picture, the original first.

    :param folder: what the files of the cells are relative to.
    :raises ReportError: a file is missing or damaged.
    """
    span = None
    for cell in picture.cells:
        whole = _image(folder / cell.file)
        # Drawn after it is made smaller, so that lines and names stay legible.
        image = _smaller(whole)
        size = image.shape[1], image.shape[0]
        drawn = [image]
        if cell.depth:
            depth = _depth(folder / cell.depth)
            # The first with depth is the original: all methods have its colours.
            span = span or depth_range(depth, cell.metres)
            drawn.append(cv2.resize(depth_colours(depth, span, cell.metres), size,
                                    interpolation=cv2.INTER_AREA))
        if cell.labels:
            drawn.append(tinted(image, _labels(folder / cell.labels, size), cell.class_names))
        if cell.boxes is not None:
            drawn.append(boxed(image, cell.boxes, size[0] / whole.shape[1]))
        yield Panel(cell.title, _cost(cell), cell.caption, cell.group, tuple(drawn))


def _cost(cell: Cell) -> str:
    parts = []
    if cell.bytes is not None:
        parts.append(f'{cell.bytes:,.0f} bytes')
    if cell.bpp is not None:
        parts.append(f'{cell.bpp:.4f} bpp')
    return ', '.join(parts)


def _image(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ReportError(f'{path}: missing, or not an image')
    return np.ascontiguousarray(image[..., ::-1])


def _depth(path: Path) -> npt.NDArray[np.floating]:
    try:
        depth = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ReportError(f'{path}: missing, or not a depth map: {error}') from error
    if depth.ndim != 2 or not depth.size:
        raise ReportError(f'{path}: has the shape {list(depth.shape)}, not [H, W]')
    return depth


def _labels(path: Path, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    labels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if labels is None:
        raise ReportError(f'{path}: missing, or not an image of labels')
    return cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)


def _smaller(image: Image) -> Image:
    height, width = image.shape[:2]
    if width <= MAX_WIDTH:
        return image
    return cv2.resize(image, (MAX_WIDTH, round(height * MAX_WIDTH / width)),
                      interpolation=cv2.INTER_AREA)
