# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames for the tests of the spool: what is in one follows from which it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.spool.outgoing import OutgoingStore
from gsc_ros.link.spool.store import SpoolCamera

STAMP_NS = 1_750_000_000_123_456_789
PACKET_BYTES = 200


def make_camera(camera_id: int = 0, priority: int = 0, calibration: bytes = b'cal') -> SpoolCamera:
    """Return a camera whose first frame is number 0."""
    announce = CameraAnnounce(
        camera_id, f'camera{camera_id}', f'camera{camera_id}_optical', priority, calibration)
    return SpoolCamera(announce, 7, 0, STAMP_NS)


def make_packet(sequence: int, size: int = PACKET_BYTES) -> bytes:
    """Return bytes that tell which frame they are of."""
    return (sequence.to_bytes(4, 'big') * (size // 4 + 1))[:size]


def make_stamp_ns(sequence: int) -> int:
    """Return an odd stamp."""
    return STAMP_NS + sequence * 100_000_007


def append(store: OutgoingStore, sequence: int, camera: SpoolCamera | None = None,
           size: int = PACKET_BYTES) -> None:
    """Append a frame."""
    store.append(camera or make_camera(), sequence, make_stamp_ns(sequence), 12.5,
                 make_packet(sequence, size))


def fill(store: OutgoingStore, count: int, first: int = 0) -> None:
    """Append frames and commit them."""
    for sequence in range(first, first + count):
        append(store, sequence)
    store.commit()


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Make a folder in memory, where there is one, for tests in which the disk plays no part."""
    memory = Path('/dev/shm')
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)
