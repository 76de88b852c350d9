# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What both ends remember of a stream: symbols and regions of frames, by the packets they were in.

The encoder codes a frame with the symbols of the one before as context, continues its regions, and
names the packet they were in. The decoder keeps what the last packets held. When the one that is
named is not among them, the packet is refused, so a lost frame is never decoded into garbage.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gsc_ros.codec import packet as wire
from gsc_ros.codec.context import PreviousSymbols
from gsc_ros.codec.error import MissingReferenceError
from gsc_ros.codec.region.scene import Scene
import numpy as np

# A decoder serves some cameras; frames may be lost after they were decoded elsewhere.
KEPT_FRAMES = 8
KEPT_BYTES = 64 << 20


@dataclass(frozen=True)
class Remembered:
    """
    A frame that another one may refer to.

    :param reference: checksum of its packet.
    :param width: image width in pixels.
    :param height: image height in pixels.
    :param symbols: its symbols.
    :param scene: its regions; None for none, and at the encoder.
    """

    reference: int
    width: int
    height: int
    symbols: PreviousSymbols
    scene: Scene | None = None

    @classmethod
    def of(
        cls, payload: bytes, packet: wire.Packet, symbols: np.ndarray, scene: Scene | None = None,
    ) -> Remembered:
        """Return what to remember of a packet, its symbols, int16 ``[n, h, w]``, and its scene."""
        return cls(wire.checksum(payload), packet.width, packet.height,
                   PreviousSymbols(symbols, packet.channels, packet.quantizer), scene)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.symbols.symbols.nbytes + (0 if self.scene is None else self.scene.nbytes)


class StreamMemory:
    """The last frames of a decoder: at most 8, and at most 64 MB."""

    def __init__(self) -> None:
        self._frames: OrderedDict[tuple[int, int, int], Remembered] = OrderedDict()

    def find(self, packet: wire.Packet) -> Remembered | None:
        """
        Return the frame that a packet refers to; None when it stands alone.

        :raises MissingReferenceError: when it is not here.
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
        self._frames[key] = frame
        while len(self._frames) > KEPT_FRAMES or self._bytes() > KEPT_BYTES:
            self._frames.popitem(last=False)

    def _bytes(self) -> int:
        return sum(frame.nbytes for frame in self._frames.values())
