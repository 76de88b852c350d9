# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Bit errors of a radio: modulation, white Gaussian noise, hard decision.

The signal-to-noise ratio is Es/N0: the energy of a symbol over the noise density, in dB. Bits are
Gray-coded. Each symbol has one dimension (BPSK) or two (QPSK, 16-QAM); in every dimension a level
is sent, noise of unit variance is added, and the nearest level is decided on. With half the
distance between levels ``a`` and Q the tail of the normal distribution, the bit error rates are

    BPSK    Q(a)                             a = sqrt(2 Es/N0)
    QPSK    Q(a)                             a = sqrt(Es/N0)
    16-QAM  (3 Q(a) + 2 Q(3a) - Q(5a)) / 4   a = sqrt(Es/N0 / 5)

The first two are Q(sqrt(2 Eb/N0)). Noise is drawn and decided on symbol by symbol, so that bits of
one 16-QAM symbol fail together as often as they do on the air.
"""

from __future__ import annotations

from enum import Enum
import math

import numpy as np


class Modulation(str, Enum):
    """How bits become symbols."""

    BPSK = 'bpsk'
    QPSK = 'qpsk'
    QAM16 = '16qam'


# Half the distance between levels is the root of Es/N0 times this.
_SPACING = {Modulation.BPSK: 2.0, Modulation.QPSK: 1.0, Modulation.QAM16: 0.2}


def bit_error_rate(modulation: Modulation, snr_db: float) -> float:
    """
    Return the exact probability 0..0.5 that a bit is wrong.

    :param snr_db: Es/N0 in dB; infinite for no noise.
    """
    a = _half_distance(modulation, snr_db)
    if modulation is Modulation.QAM16:
        return (3 * _tail(a) + 2 * _tail(3 * a) - _tail(5 * a)) / 4
    return _tail(a)


def _half_distance(modulation: Modulation, snr_db: float) -> float:
    return math.sqrt(_SPACING[modulation] * 10.0 ** (snr_db / 10.0))


def _tail(x: float) -> float:
    return 0.5 * math.erfc(x / math.sqrt(2.0))


class BitNoise:
    """
    Flips bits of datagrams as a receiver would.

    :param modulation: how bits become symbols.
    :param snr_db: Es/N0 in dB.
    :param seed: the same seed and datagrams give the same errors.
    """

    def __init__(self, modulation: Modulation, snr_db: float, seed: int) -> None:
        """Begin the noise."""
        self._two_bits = modulation is Modulation.QAM16
        self._half_distance = _half_distance(modulation, snr_db)
        self._silent = bit_error_rate(modulation, snr_db) == 0.0
        self._random = np.random.default_rng(seed)

    def damage(self, datagram: bytes) -> bytes:
        """Return what is received of a datagram: as many bytes, some of them wrong perhaps."""
        if self._silent:
            return datagram
        bits = np.unpackbits(np.frombuffer(datagram, np.uint8))
        received = self._two(bits) if self._two_bits else self._one(bits)
        return np.packbits(received).tobytes()

    def _one(self, bits: np.ndarray) -> np.ndarray:
        """Send one bit a dimension; uint8 0 or 1 ``[n]``."""
        return bits ^ (self._random.standard_normal(len(bits)) > self._half_distance)

    def _two(self, bits: np.ndarray) -> np.ndarray:
        """Send two bits a dimension as one of four levels; uint8 0 or 1 ``[n]``, n even."""
        sign, inner = bits[0::2], bits[1::2]
        level = (2.0 * sign - 1.0) * np.where(inner, 1.0, 3.0)
        heard = level * self._half_distance + self._random.standard_normal(len(level))
        received = np.empty_like(bits)
        received[0::2] = heard > 0
        received[1::2] = np.abs(heard) < 2 * self._half_distance
        return received
