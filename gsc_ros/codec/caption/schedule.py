# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The sending side of caption reuse: when a caption is asked for, and when its text is sent.

A caption is asked for when the scene has changed, and its text is sent when it is new and again
from time to time, for receivers that came late or lost it. In between a frame has its id alone.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from gsc_ros.codec.caption import thumbnail
import numpy as np

# Ids are one byte on the wire.
CAPTION_IDS = 256
# A change of the scene, see scene_change(), that asks for a new caption where nobody says better.
SCENE_THRESHOLD = 0.06
_SIDE = 16


def scene_change(before: np.ndarray, after: np.ndarray) -> float:
    """
    Return how different two pictures are, 0 (alike) to 1.

    It is the mean absolute difference of brightness on a grid of 16 x 16 cells, each picture's own
    mean taken off first: what has moved or come into view counts, a camera that adapts to the light
    does not.

    :param before: float32 ``[16, 16]`` from :func:`thumbnail.gray`; `after` too.
    """
    return float(np.abs((after - after.mean()) - (before - before.mean())).mean())


class CaptionTrigger:
    """Says when a camera's picture needs a new caption."""

    def __init__(self) -> None:
        """Begin before the first picture, which needs one."""
        self._described: np.ndarray | None = None
        self._asked_s = -math.inf

    def due(self, image: np.ndarray, now_s: float, interval_s: float, threshold: float) -> bool:
        """
        Return whether to ask for a caption of this picture now; it counts as asked for then.

        :param image: uint8 ``[H, W, 3]`` RGB.
        :param now_s: a steady clock.
        :param interval_s: seconds between two questions, at least.
        :param threshold: :func:`scene_change` since the last question, at least.
        """
        if now_s < self._asked_s + interval_s:
            return False
        after = thumbnail.gray(image, _SIDE)
        if self._described is not None and scene_change(self._described, after) < threshold:
            return False
        self._described, self._asked_s = after, now_s
        return True

    def failed(self) -> None:
        """Note that the question had no answer: ask again after the interval in any case."""
        self._described = None


@dataclass(frozen=True)
class CaptionUse:
    """
    What one frame says of its caption.

    :param text: the caption in full; empty for none, or with `reference`.
    :param caption_id: the caption's id, 0..255.
    :param reference: the frame has the id alone.
    """

    text: str
    caption_id: int
    reference: bool


class CaptionSchedule:
    """
    Decides what each frame of one camera says of its caption.

    `offer` may be called on any thread; `plan`, `sent` and `refused` belong to the encoder's.
    """

    def __init__(self, first_id: int) -> None:
        """
        Begin without a caption.

        :param first_id: id of the first one, 0..255. At random, a receiver that knew captions of
            an earlier run rarely takes one of them for this.
        """
        self._caption = ''
        self._sent_caption = ''
        self._sent_id = (first_id - 1) % CAPTION_IDS
        self._sent_s = 0.0
        self._refused = ''
        self._refused_s = -math.inf

    def offer(self, caption: str) -> None:
        """Let `caption`, one line of text or nothing, go with the frames from now on."""
        self._caption = caption

    def plan(self, now_s: float, refresh_s: float) -> CaptionUse:
        """
        Return what the next frame shall say.

        :param now_s: a steady clock.
        :param refresh_s: seconds after which the text is sent again; 0 sends it with every frame.
        """
        caption = self._caption
        if not caption or (
                caption == self._refused and now_s < self._refused_s + refresh_s):
            return CaptionUse('', 0, False)
        if caption != self._sent_caption:
            return CaptionUse(caption, (self._sent_id + 1) % CAPTION_IDS, False)
        if now_s >= self._sent_s + refresh_s:
            return CaptionUse(caption, self._sent_id, False)
        return CaptionUse('', self._sent_id, True)

    def sent(self, use: CaptionUse, now_s: float) -> None:
        """Note that a frame has been sent as planned."""
        if use.text:
            self._sent_caption, self._sent_id, self._sent_s = use.text, use.caption_id, now_s

    def refused(self, use: CaptionUse, now_s: float) -> None:
        """Note that the frame has no room for this text; it is tried again when a refresh is."""
        self._refused, self._refused_s = use.text, now_s
