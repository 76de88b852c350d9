# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Arithmetic of the field GF(256), on single elements and on whole byte strings.

The field is that of most Reed-Solomon codes on bytes: polynomials over GF(2) modulo
x^8 + x^4 + x^3 + x^2 + 1 (0x11d). A byte string is multiplied by an element with one
`bytes.translate`, and added as one large integer, so 1500 bytes take a few microseconds without
any library.
"""

from __future__ import annotations

POLYNOMIAL = 0x11D


def _powers() -> tuple[list[int], list[int]]:
    """Return 2^i for i in 0..509, and the logarithm to base 2 of 1..255 (that of 0 is unused)."""
    power, log = [0] * 510, [0] * 256
    value = 1
    for exponent in range(255):
        power[exponent] = power[exponent + 255] = value
        log[value] = exponent
        value <<= 1
        if value & 0x100:
            value ^= POLYNOMIAL
    return power, log


_POWER, _LOG = _powers()


def multiply(a: int, b: int) -> int:
    """Return the product of two elements, 0..255."""
    return _POWER[_LOG[a] + _LOG[b]] if a and b else 0


def invert(a: int) -> int:
    """
    Return 1 / a.

    :raises ZeroDivisionError: when a is 0.
    """
    if not a:
        raise ZeroDivisionError('0 has no inverse')
    return _POWER[255 - _LOG[a]]


# Row a holds a * 0 .. a * 255: the translation table of a multiplication by a.
_TABLE = tuple(bytes(multiply(a, b) for b in range(256)) for a in range(256))


def scale(data: bytes, factor: int) -> bytes:
    """Return every byte of ``data`` times an element, 0..255."""
    return data if factor == 1 else data.translate(_TABLE[factor])


def add(a: bytes, b: bytes) -> bytes:
    """Return the sum of two byte strings; the shorter one counts as followed by zeros."""
    total = int.from_bytes(a, 'little') ^ int.from_bytes(b, 'little')
    return total.to_bytes(max(len(a), len(b)), 'little')
