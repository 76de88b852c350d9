# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Captions of frames that never left, for the frames that take their places.

A link that carries every tenth frame would else lose most captions: the text goes with one frame,
and the ones after it only refer to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import threading

from gsc_ros.codec import packet


@dataclass(frozen=True)
class OfferedFrame:
    """
    A frame as it is offered to the link.

    :param payload: the packet.
    :param ends: its lengths after each cut, as in GscFrame.
    :param caption: session, id and text of the caption that it carries; None for no text.
    """

    payload: bytes
    ends: tuple[int, ...]
    caption: tuple[int, int, bytes] | None


class CaptionKeeper:
    """Keeps the text of one camera's caption until a frame with it leaves."""

    def __init__(self) -> None:
        """Begin without a caption."""
        self._lock = threading.Lock()
        self._unsent: tuple[int, int, bytes] | None = None

    def complete(self, session: int, payload: bytes, ends: tuple[int, ...]) -> OfferedFrame:
        """
        Return a frame with the text that it refers to, when no frame with that text has left yet.

        A frame that must not be cut is left alone: others may refer to its very bytes.

        :param payload: a whole packet.
        """
        coded = packet.parse(payload)
        with self._lock:
            if coded.text:
                self._unsent = session, coded.caption_id, coded.text
                return OfferedFrame(payload, ends, self._unsent)
            if self._unsent is None or len(ends) == 1 or self._unsent[:2] != (
                    session, coded.caption_id):
                return OfferedFrame(payload, ends, None)
            caption = self._unsent
        longer = packet.serialize(replace(coded, text=caption[2]))
        growth = len(longer) - len(payload)
        return OfferedFrame(longer, tuple(end + growth for end in ends), caption)

    def leave(self, frame: OfferedFrame, layers: int) -> bytes:
        """
        Return what leaves of a frame now: its first layers.

        :raises PacketError: as packet.cut does.
        """
        data = packet.cut(frame.payload, layers, frame.ends)
        with self._lock:
            if frame.caption == self._unsent:
                self._unsent = None
        return data
