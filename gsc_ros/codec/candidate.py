# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The ways in which one frame can be sent: a latent quantised, and its channels coded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gsc_ros.codec import packet as wire
from gsc_ros.codec.profile import Profile
from gsc_ros.codec.structure import quantize
import numpy as np

# Fraction of a symbol from which a magnitude is rounded up.
NEAREST = 0.5


@dataclass(frozen=True)
class Candidate:
    """
    One way to send a frame.

    :param quantizer: index of the quantizer.
    :param channels: channels coded, ascending.
    :param symbols: int16 ``[len(channels), h, w]``.
    :param stream: their stream.
    :param ends: stream bytes needed after each layer.
    """

    quantizer: int
    channels: tuple[int, ...]
    symbols: np.ndarray
    stream: bytes
    ends: tuple[int, ...]

    def packet(self, head: wire.Packet) -> wire.Packet:
        """Return the packet of this candidate; all else is taken from ``head``."""
        # A layer that needs no byte gets one, so that the ends ascend; zeros follow a stream.
        return replace(
            head, channels=self.channels, quantizer=self.quantizer,
            stream=self.stream.ljust(self.ends[-1], b'\0'))

    def packet_ends(self, head: wire.Packet) -> tuple[int, ...]:
        """Return the length of the packet after each layer."""
        counts = wire.layer_counts(len(self.channels))
        return tuple(
            head_bytes(head, self.channels[:count]) + end
            for count, end in zip(counts, self.ends))

    def size(self, head: wire.Packet) -> int:
        """Return the length of the packet."""
        return head_bytes(head, self.channels) + self.ends[-1]


class LatentCoder:
    """
    Codes one latent in any way.

    :param profile: the profile.
    :param latent: float32 ``[320, h, w]``.
    """

    def __init__(self, profile: Profile, latent: np.ndarray):
        self.profile = profile
        self._latent = latent

    def symbols(self, quantizer: int) -> np.ndarray:
        """Return the symbols of all channels, int16 ``[320, h, w]``."""
        return quantize(
            self._latent, self.profile.gains[quantizer], self.profile.manifest.symbol_max)

    def quantize(
        self, channels: Sequence[int], quantizer: int, threshold: float = NEAREST,
    ) -> tuple[tuple[int, ...], np.ndarray]:
        """
        Return the channels worth sending, and their symbols.

        What carries no symbol is left out: of the first channels the last ones, as the others need
        no index while nothing between them is missing; of any other set all such channels. One
        channel always stays.

        :param channels: ascending.
        :param quantizer: index of the quantizer.
        :param threshold: fraction from which a magnitude is rounded up.
        :return: ascending channels ``[n]``, and int16 ``[n, h, w]``.
        """
        rows = list(channels)
        symbols = quantize(
            self._latent[rows], self.profile.gains[quantizer][rows],
            self.profile.manifest.symbol_max, threshold)
        audible = np.flatnonzero(symbols.any(axis=(1, 2)))
        if rows[-1] == len(rows) - 1:
            kept = np.arange(audible[-1] + 1 if len(audible) else 1)
        else:
            kept = audible if len(audible) else np.zeros(1, np.int64)
        return tuple(rows[index] for index in kept), symbols[kept]

    def code(
        self, channels: Sequence[int], quantizer: int, threshold: float = NEAREST,
    ) -> Candidate:
        """Quantise and code channels; see :meth:`quantize`."""
        kept, symbols = self.quantize(channels, quantizer, threshold)
        coded = self.profile.context.encode(
            symbols, kept, quantizer, wire.layer_counts(len(kept)))
        return Candidate(quantizer, kept, symbols, coded.stream, coded.ends)


def head_bytes(head: wire.Packet, channels: tuple[int, ...]) -> int:
    """Return the length of a packet of these channels without its stream."""
    return sum(replace(head, channels=channels, stream=b'').section_sizes().values())
