# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two packets in one: the base of a split frame, and what makes the whole packet of it."""

from __future__ import annotations

from gsc_ros.link.datagram.framing import FramingError

# A splice that replaces more bytes than this costs more than it is worth.
_MAX_SPLICE = 32


def splice(base: bytes, whole: bytes) -> bytes | None:
    """
    Return what makes ``whole`` of ``base``: offset 1, length 1, bytes, rest.

    The bytes replace as many of ``base`` from the offset on; the rest follows. None when the two
    differ too far in, or in too much.
    """
    if len(base) >= len(whole):
        return None
    different = [at for at, (one, other) in enumerate(zip(base, whole)) if one != other]
    first, end = (different[0], different[-1] + 1) if different else (0, 0)
    if first > 255 or end - first > _MAX_SPLICE:
        return None
    return b''.join((bytes([first, end - first]), whole[first:end], whole[len(base):]))


def unsplice(base: bytes, spliced: bytes) -> bytes:
    """
    Return the whole of which `splice` made ``spliced``.

    :raises FramingError: when the two do not fit each other.
    """
    if len(spliced) < 3:
        raise FramingError('splice is too short')
    first, length = spliced[0], spliced[1]
    if first + length > len(base) or len(spliced) < 3 + length:
        raise FramingError('splice does not fit')
    changed = spliced[2:2 + length]
    return b''.join((base[:first], changed, base[first + length:], spliced[2 + length:]))
