# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pictures of a run: original, reconstruction and confidence together, with what they cost.

All images here are RGB, uint8 [H, W, 3].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

import cv2
from gsc_ros.demo.comparison import Pair
from gsc_ros.demo.recording import FrameRecord, Image, ImageStore
from gsc_ros.demo.score import ScoredFrame
import numpy as np

BACKGROUND = (24, 26, 30)
FOREGROUND = (236, 238, 242)
MUTED = (150, 156, 166)
FONT = cv2.FONT_HERSHEY_DUPLEX
GAP = 14
# Pictures wider than this many times their height are stacked, others stand side by side.
WIDE = 1.9


@dataclass(frozen=True)
class Views:
    """
    What there is to show of one frame.

    :param original: None when no original with the reconstruction's stamp was seen.
    :param confidence: false colours, bright where the last of the pictures is trusted.
    :param generated: None when the frame was not made in both ways; `reconstruction` is the
        structure picture otherwise.
    :param overlay: the last of the pictures with objects and regions drawn into it; None in a run
        without.
    """

    scored: ScoredFrame
    original: Image | None
    reconstruction: Image
    confidence: Image
    scored_generated: ScoredFrame | None = None
    generated: Image | None = None
    overlay: Image | None = None

    @property
    def raw_bytes(self) -> int:
        """Return the bytes of the picture as 8-bit RGB."""
        return 3 * self.scored.frame.pixels

    @property
    def original_or_blank(self) -> Image:
        """Return the original in the reconstruction's size, or a dark picture in its place."""
        if self.original is None:
            return np.full_like(self.reconstruction, 40)
        height, width = self.reconstruction.shape[:2]
        if self.original.shape == self.reconstruction.shape:
            return self.original
        return cv2.resize(self.original, (width, height), interpolation=cv2.INTER_AREA)


def load_views(scored: ScoredFrame, store: ImageStore) -> Views:
    """Read the pictures of a frame."""
    frame = scored.frame
    original = store.get(scored.source.image) if scored.source else None
    return Views(scored, original, store.get(frame.image),
                 coloured_confidence(store.get(frame.confidence)), overlay=_overlay(frame, store))


def load_pair(pair: Pair, store: ImageStore) -> Views:
    """Read the pictures of a frame that was made in both ways."""
    frame = pair.generated.frame
    return replace(
        load_views(pair.structure, store), scored_generated=pair.generated,
        generated=store.get(frame.image), overlay=_overlay(frame, store),
        confidence=coloured_confidence(store.get(frame.confidence)))


def _overlay(frame: FrameRecord, store: ImageStore) -> Image | None:
    return None if frame.overlay is None else store.get(frame.overlay)


def coloured_confidence(confidence: Image) -> Image:
    """
    Return a confidence image in false colours.

    :param confidence: uint8 [H, W], 255 where the picture is surest.
    """
    return cv2.cvtColor(cv2.applyColorMap(confidence, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)


def cost(scored: ScoredFrame) -> str:
    """Return bytes, rate and quality of a reconstruction in words."""
    frame = scored.frame
    parts = [f'{frame.sections.total} bytes', f'{frame.bpp:.4f} bpp']
    if math.isfinite(scored.psnr_db):
        parts.append(f'{scored.psnr_db:.1f} dB')
    return ', '.join(parts)


def fit(image: Image, width: int) -> Image:
    """Scale a picture to a width, without moire when it shrinks."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    if (width, height) == (image.shape[1], image.shape[0]):
        return image
    shrinks = width < image.shape[1]
    return cv2.resize(image, (width, height),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def spread(count: int, wanted: int) -> list[int]:
    """Return up to `wanted` indices of 0..count-1, evenly spread, the ends among them."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(count, wanted))})


def quality(scored: ScoredFrame) -> str:
    """Return how a generated picture was made and how near it is to its original, in words."""
    parts = [scored.frame.generator, f'{scored.frame.generate_ms:.0f} ms']
    if math.isfinite(scored.psnr_db):
        parts.append(f'{scored.psnr_db:.1f} dB')
    return ', '.join(parts)


def region_cost(frame: FrameRecord) -> str:
    """Return how many regions a frame has, and what they and its objects take, in words."""
    sections = frame.sections
    return (f'{len(frame.regions)} regions, {sections.regions} bytes; objects '
            f'{sections.objects} bytes')


def contact_sheet(rows: Sequence[Views], title: str, cell_width: int = 600) -> Image:
    """
    Draw one row per frame: original, reconstruction, confidence, what each took underneath.

    Frames that were made in both ways have a column for either.

    :param rows: at least one; all of the same kind.
    :param title: a line on top.
    :param cell_width: width of a picture in pixels.
    """
    names = ['original', 'reconstruction', 'confidence (bright: sure)']
    if rows[0].generated is not None:
        names[1:2] = ['structure', 'generated']
    if rows[0].overlay is not None:
        names[-1:-1] = ['objects and regions']
    heads = _row([_text_cell(text, cell_width, 0.62, FOREGROUND) for text in names])
    banner = _label(title, heads.shape[1], 0.72, FOREGROUND, 50)
    return _padded(np.vstack([banner, heads, *(_sheet_row(views, cell_width) for views in rows)]))


def side_by_side(views: Views, width: int, caption: str) -> Image:
    """
    Draw original and reconstructions for the video; its size depends on the pictures' alone.

    Wide pictures are stacked, others stand in a row. Both sides of the drawing are even, as video
    codecs demand.

    :param width: width of the drawing in pixels, even.
    :param caption: a line underneath.
    """
    image, generated = views.reconstruction, views.generated
    stacked = image.shape[1] > WIDE * image.shape[0]
    count = 2 if generated is None else 3
    cell_width = width if stacked else (width - (count - 1) * GAP) // count
    name = 'reconstruction' if generated is None else 'structure'
    cells = [
        _cell(views.original_or_blank, f'original, {views.raw_bytes:,} bytes raw', cell_width),
        _cell(image, f'{name}, {cost(views.scored)}', cell_width)]
    if generated is not None:
        cells.append(_cell(
            generated, f'generated, {quality(views.scored_generated)}', cell_width))
    body = np.vstack(cells) if stacked else _row(cells)
    frame = np.vstack([body, _label(caption, body.shape[1], 0.5, MUTED, 30)])
    # A row of three cells may be a pixel or two narrower.
    return cv2.copyMakeBorder(frame, 0, frame.shape[0] % 2, 0, width - body.shape[1],
                              cv2.BORDER_CONSTANT, value=BACKGROUND)


def _sheet_row(views: Views, width: int) -> Image:
    frame = (views.scored_generated or views.scored).frame
    age = f'frame {frame.sequence}, {frame.latency_ms:.0f} ms after the original'
    cells = [_cell(views.original_or_blank, f'{views.raw_bytes:,} bytes raw', width),
             _cell(views.reconstruction, cost(views.scored), width)]
    if views.generated is not None:
        cells.append(_cell(views.generated, quality(views.scored_generated), width))
    if views.overlay is not None:
        cells.append(_cell(views.overlay, region_cost(frame), width))
    return _row([*cells, _cell(views.confidence, age, width)])


def _cell(image: Image, text: str, width: int) -> Image:
    return np.vstack([fit(image, width), _text_cell(text, width, 0.56, FOREGROUND)])


def _text_cell(text: str, width: int, scale: float, colour: tuple[int, int, int]) -> Image:
    return _label(text, width, scale, colour, round(52 * scale) + 6)


def _label(text: str, width: int, scale: float, colour: tuple[int, int, int],
           height: int) -> Image:
    """Draw a line of text on the background, made smaller when it would not fit."""
    strip = np.full((height, width, 3), BACKGROUND, np.uint8)
    (length, tall), _ = cv2.getTextSize(text, FONT, scale, 1)
    if length > width - 8:
        scale *= (width - 8) / length
        (length, tall), _ = cv2.getTextSize(text, FONT, scale, 1)
    cv2.putText(strip, _ascii(text), (4, (height + tall) // 2), FONT, scale, colour, 1,
                cv2.LINE_AA)
    return strip


def _ascii(text: str) -> str:
    """Return the text in the letters that the fonts of OpenCV know."""
    return text.encode('ascii', 'replace').decode()


def _row(cells: Sequence[Image]) -> Image:
    gap = np.full((cells[0].shape[0], GAP, 3), BACKGROUND, np.uint8)
    parts = [part for cell in cells for part in (gap, cell)][1:]
    return np.hstack(parts)


def _padded(image: Image) -> Image:
    return cv2.copyMakeBorder(image, GAP, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=BACKGROUND)
