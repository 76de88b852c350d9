# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The ways in which one frame can be sent: a latent quantised, and its channels coded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gsc_ros.codec import packet as wire
from gsc_ros.codec.context import PreviousSymbols
from gsc_ros.codec.profile import Profile
from gsc_ros.codec.structure import quantize
import numpy as np

# Fraction of a symbol from which a magnitude is rounded up.
NEAREST = 0.5
# In a stream, a symbol of the frame before is repeated up to this distance: what changes is dear.
HYSTERESIS = 0.6


@dataclass(frozen=True)
class Candidate:
    """
    One way to send a frame.

    :param quantizer: index of the quantizer.
    :param channels: channels coded, ascending.
    :param symbols: int16 ``[len(channels), h, w]``.
    :param stream: their stream.
    :param ends: stream bytes needed after each layer; a single one when the frame must not be cut.
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
        whole = len(self.channels)
        counts = wire.layer_counts(whole) if len(self.ends) > 1 else (whole,)
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
    :param previous: the symbols of the frame before, as context; None for none.
    :param layered: whether the packet may be cut after each layer.
    """

    def __init__(
        self, profile: Profile, latent: np.ndarray, previous: PreviousSymbols | None = None,
        layered: bool = True,
    ):
        self.profile = profile
        self._latent = latent
        self._previous = previous
        self._layered = layered

    def symbols(self, quantizer: int) -> np.ndarray:
        """Return the nearest symbols of all channels, int16 ``[320, h, w]``."""
        return self._symbols(list(range(len(self._latent))), quantizer)

    @property
    def latent(self) -> np.ndarray:
        """What is coded, float32 ``[320, h, w]``."""
        return self._latent

    @property
    def follows(self) -> int | None:
        """Quantizer of the frame before; None for a frame that stands alone."""
        return None if self._previous is None else self._previous.quantizer

    def quantize(
        self, channels: Sequence[int], quantizer: int, threshold: float | None = None,
    ) -> tuple[tuple[int, ...], np.ndarray]:
        """
        Return the channels worth sending, and their symbols.

        What carries no symbol is left out: of the first channels the last ones, as the others need
        no index while nothing between them is missing; of any other set all such channels. One
        channel always stays.

        :param channels: ascending.
        :param quantizer: index of the quantizer.
        :param threshold: fraction from which a magnitude is rounded up; in a stream, how far a
            symbol of the frame before may be off and is repeated. The higher, the fewer bytes.
        :return: ascending channels ``[n]``, and int16 ``[n, h, w]``.
        """
        rows = list(channels)
        if self._previous is None:
            symbols = self._symbols(rows, quantizer, threshold or NEAREST)
        else:
            symbols = self._symbols(rows, quantizer)
            self._repeat(symbols, rows, quantizer, threshold or HYSTERESIS)
        audible = np.flatnonzero(symbols.any(axis=(1, 2)))
        if rows[-1] == len(rows) - 1:
            kept = np.arange(audible[-1] + 1 if len(audible) else 1)
        else:
            kept = audible if len(audible) else np.zeros(1, np.int64)
        return tuple(rows[index] for index in kept), symbols[kept]

    def code(
        self, channels: Sequence[int], quantizer: int, threshold: float | None = None,
    ) -> Candidate:
        """Quantise and code channels; see :meth:`quantize`."""
        kept, symbols = self.quantize(channels, quantizer, threshold)
        counts = wire.layer_counts(len(kept)) if self._layered else (len(kept),)
        coded = self.profile.context.encode(symbols, kept, quantizer, counts, self._previous)
        return Candidate(quantizer, kept, symbols, coded.stream, coded.ends)

    def bits(
        self, channels: tuple[int, ...], symbols: np.ndarray, quantizer: int,
    ) -> np.ndarray:
        """Return the information in each channel, float64 ``[len(channels)]``."""
        return self.profile.context.entropy(symbols, channels, quantizer, self._previous)

    def estimate(self, channels: Sequence[int], quantizer: int) -> float:
        """
        Return about how many bits channels take, but for a factor; much cheaper than coding them.

        Magnitudes are taken to be geometric, of the mean of their channel.
        """
        symbols = np.abs(self._symbols(list(channels), quantizer))
        mean = symbols.mean(axis=(1, 2)) + 1e-9
        entropy = (1 + mean) * np.log2(1 + mean) - mean * np.log2(mean)
        return float(entropy.sum() * symbols[0].size + np.count_nonzero(symbols)) + 1.0

    def _symbols(
        self, rows: list[int], quantizer: int, threshold: float = NEAREST,
    ) -> np.ndarray:
        return quantize(
            self._latent[rows], self.profile.gains[quantizer][rows],
            self.profile.manifest.symbol_max, threshold)

    def _repeat(
        self, symbols: np.ndarray, rows: list[int], quantizer: int, threshold: float,
    ) -> None:
        """Put the symbols of the frame before where they are nearly as good, in place."""
        before = np.zeros(symbols.shape, np.float32)
        known = {channel: slot for slot, channel in enumerate(self._previous.channels)}
        slots = [index for index, channel in enumerate(rows) if channel in known]
        gains = self.profile.gains
        ratio = (gains[quantizer] / gains[self._previous.quantizer])[[rows[i] for i in slots]]
        before[slots] = np.rint(
            self._previous.symbols[[known[rows[i]] for i in slots]] * ratio[:, None, None])
        limit = self.profile.manifest.symbol_max
        before = np.clip(before, -limit, limit)
        exact = self._latent[rows] * gains[quantizer][rows, None, None]
        np.copyto(symbols, before.astype(np.int16), where=np.abs(exact - before) < threshold)


def head_bytes(head: wire.Packet, channels: tuple[int, ...]) -> int:
    """Return the length of a packet of these channels without its stream."""
    return sum(replace(head, channels=channels, stream=b'').section_sizes().values())
