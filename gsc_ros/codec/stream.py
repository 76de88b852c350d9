# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What both ends remember of a stream: the symbols of frames, by the packets that carried them.

The encoder codes a frame with the symbols of the one before as context and names the packet they
were in. The decoder keeps the symbols of the last packets. When the one that is named is not among
them, the packet is refused, so a lost frame is never decoded into garbage.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gsc_ros.codec import packet as wire
from gsc_ros.codec.context import PreviousSymbols
from gsc_ros.codec.error import MissingReferenceError
import numpy as np

# A decoder serves some cameras; frames may be lost after they were decoded elsewhere.
KEPT_FRAMES = 8
KEPT_BYTES = 16 << 20


@dataclass(frozen=True)
class Remembered:
    """
    A frame that another one may refer to.

    :param reference: checksum of its packet.
    :param width: image width in pixels.
    :param height: image height in pixels.
    :param symbols: its symbols.
    """

    reference: int
    width: int
    height: int
    symbols: PreviousSymbols

    @classmethod
    def of(cls, payload: bytes, packet: wire.Packet, symbols: np.ndarray) -> Remembered:
        """Return what to remember of a packet and its symbols, int16 ``[n, h, w]``."""
        return cls(wire.checksum(payload), packet.width, packet.height,
                   PreviousSymbols(symbols, packet.channels, packet.quantizer))


class StreamMemory:
    """The last frames of a decoder: at most 8, and at most 16 MB."""

    def __init__(self) -> None:
        self._frames: OrderedDict[tuple[int, int, int], PreviousSymbols] = OrderedDict()

    def find(self, packet: wire.Packet) -> PreviousSymbols | None:
        """
        Return the symbols that a packet refers to; None when it stands alone.

        :raises MissingReferenceError: when they are not here.
        """
        if packet.stream_reference is None:
            return None
        found = self._frames.get((packet.stream_reference, packet.width, packet.height))
        if found is None:
            raise MissingReferenceError(
                f'the packet refers to packet {packet.stream_reference:04x}, which is not here')
        return found

    def keep(self, frame: Remembered) -> None:
        """Remember a frame, and forget the oldest ones."""
        key = (frame.reference, frame.width, frame.height)
        self._frames.pop(key, None)
        self._frames[key] = frame.symbols
        while len(self._frames) > KEPT_FRAMES or self._bytes() > KEPT_BYTES:
            self._frames.popitem(last=False)

    def _bytes(self) -> int:
        return sum(previous.symbols.nbytes for previous in self._frames.values())
