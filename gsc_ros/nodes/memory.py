# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What glibc does with the memory that a node frees; elsewhere nothing happens.

Images and tensors come and go with every frame, and are kept for the next one. What opening a graph
needs in passing, several times what the open graph does, is given back.
"""

from __future__ import annotations

import ctypes

# mallopt parameters and values, see keep_freed.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MMAP_THRESHOLD_BYTES = 32 * 2 ** 20
_TRIM_THRESHOLD_BYTES = 64 * 2 ** 20


def keep_freed() -> None:
    """
    Make glibc reuse the megabyte-sized buffers of images and tensors.

    By default they are mapped and unmapped on every use, and the kernel's zeroing of pages costs
    more than the work on them. Fewer arenas keep the resident size small.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)
    mallopt(_M_ARENA_MAX, 2)


def release_freed() -> None:
    """
    Give what is free now back to the system; some ms.

    For after what happens seldom and needs much more memory than a frame.
    """
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return
    malloc_trim(0)
