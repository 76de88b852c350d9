# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The receiving side of caption reuse: which caption a frame means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gsc_ros.codec.caption.schedule import CAPTION_IDS

# Frame numbers wrap at this.
_SEQUENCES = 2 ** 32


class CaptionState(Enum):
    """What a receiver knows of the caption of a frame."""

    NONE = 'none'  # the frame has no caption
    RECEIVED = 'received'  # the frame brought its caption
    AS_BEFORE = 'as_before'  # the caption is known from an earlier frame
    MISSING = 'missing'  # the caption is one that has never arrived


@dataclass(frozen=True)
class CaptionView:
    """
    The caption of one frame, as far as it is known.

    :param text: empty unless it is known.
    :param caption_id: 0..255; None for no caption.
    """

    state: CaptionState
    caption_id: int | None = None
    text: str = ''


class CaptionMemory:
    """
    Remembers the newest caption of one camera.

    A sender never goes back to an earlier caption, so one is enough. Ids come again after 256
    captions; a sender begins at most one caption with a frame, so an id is trusted for as long as
    the number of frames since it was last heard cannot have brought it round.
    """

    def __init__(self) -> None:
        """Begin without a caption."""
        self._session: int | None = None
        self._sequence = 0
        self._caption_id = 0
        self._text = ''

    def take(
        self, session: int, sequence: int, caption_id: int | None, text: str,
    ) -> CaptionView:
        """
        Return the caption of a frame; frames come in the order of their numbers.

        :param session: of the sender, 0..65535; ids of another session mean other captions.
        :param sequence: the frame's number, 0..2^32-1.
        :param caption_id: as the packet has it; None for no caption.
        :param text: as the packet has it; empty when it has the id alone.
        """
        if caption_id is None:
            return CaptionView(CaptionState.NONE)
        if text:
            self._session, self._caption_id, self._text = session, caption_id, text
            self._sequence = sequence
            return CaptionView(CaptionState.RECEIVED, caption_id, text)
        age = (sequence - self._sequence) % _SEQUENCES
        if (session, caption_id) != (self._session, self._caption_id) or age >= CAPTION_IDS:
            self._session = None
            return CaptionView(CaptionState.MISSING, caption_id)
        self._sequence = sequence
        return CaptionView(CaptionState.AS_BEFORE, caption_id, self._text)
