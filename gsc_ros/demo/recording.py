# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a run left behind: pictures on disk, figures in memory. No ROS.

Pictures go to a scratch file without a name, so that a run of minutes does not fill the memory and
nothing is left behind, however the run ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
import math
import os
from pathlib import Path
import tempfile
import threading

from gsc_ros.sources.frame import Calibration
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class StoredImage:
    """Where a picture lies in the store."""

    offset: int
    shape: tuple[int, ...]


class ImageStore:
    """Pictures in a scratch file; writing and reading may happen in different threads."""

    def __init__(self, directory: Path) -> None:
        """
        Open the scratch file.

        :param directory: where the space is; the file has no name there.
        :raises OSError: when the directory cannot be written.
        """
        self._file = tempfile.TemporaryFile(dir=directory)
        self._end = 0
        self._lock = threading.Lock()

    def add(self, image: Image) -> StoredImage:
        """
        Append a picture.

        :param image: uint8, any shape.
        :raises OSError: when the disk is full.
        """
        data = memoryview(np.ascontiguousarray(image)).cast('B')
        with self._lock:
            offset, self._end = self._end, self._end + len(data)
        written = 0
        while written < len(data):
            written += os.pwrite(self._file.fileno(), data[written:], offset + written)
        return StoredImage(offset, image.shape)

    def get(self, stored: StoredImage) -> Image:
        """Return the picture as it was added, uint8."""
        size = int(np.prod(stored.shape))
        data = os.pread(self._file.fileno(), size, stored.offset)
        return np.frombuffer(data, np.uint8).reshape(stored.shape)

    def close(self) -> None:
        """Give the space back."""
        self._file.close()


@dataclass(frozen=True)
class SourceRecord:
    """One original as it was published: its stamp and its picture, uint8 [H, W, 3] RGB."""

    stamp_ns: int
    image: StoredImage


@dataclass(frozen=True)
class SectionBytes:
    """Bytes of one received packet, by section."""

    header: int = 0
    text: int = 0
    channel_set: int = 0
    objects: int = 0
    structure: int = 0
    regions: int = 0

    @property
    def total(self) -> int:
        """Return the length of the packet in bytes."""
        return (self.header + self.text + self.channel_set + self.objects + self.structure
                + self.regions)


@dataclass(frozen=True)
class RegionRecord:
    """A key region of a reconstruction: left, top, right, bottom in pixels, and how it came."""

    box: tuple[int, int, int, int]
    scale: int
    level: int
    tracked: bool


@dataclass(frozen=True)
class FrameRecord:
    """
    One reconstruction as it arrived.

    Times are in milliseconds of wall time; `latency_ms` runs from the source's stamp until the
    picture was in the recorder's hands. Figures that nobody knows are NaN. `generator` is empty for
    a picture that was not generated; `flicker` is in gray levels, see codec.generator.flicker.
    `not_generated` counts the frames so far that the generator passed over for newer ones.
    `overlay` is the picture with objects and regions drawn into it, in a run that has them.
    """

    stamp_ns: int
    received_ns: int
    frame_id: str
    sequence: int
    image: StoredImage
    confidence: StoredImage
    sections: SectionBytes
    layers_received: int
    channels: int
    mode: str
    profile: str
    caption: str
    encode_ms: float
    decode_ms: float
    generator: str = ''
    generate_ms: float = math.nan
    flicker: float = math.nan
    not_generated: int = 0
    regions: tuple[RegionRecord, ...] = ()
    overlay: StoredImage | None = None

    @property
    def latency_ms(self) -> float:
        """Return the time from the stamp to the arrival."""
        return (self.received_ns - self.stamp_ns) / 1e6

    @property
    def pixels(self) -> int:
        """Return the number of pixels of the picture."""
        return self.image.shape[0] * self.image.shape[1]

    @property
    def bpp(self) -> float:
        """Return the bits of the packet per pixel of the picture."""
        return 8 * self.sections.total / self.pixels


@dataclass(frozen=True)
class LinkRecord:
    """The bridge's own count of what the link did, the last that it published."""

    budget_bps: int = 0
    burst_bits: int = 0
    used_bps: float = 0.0
    layers_shed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DiagnosticRecord:
    """The last word of one node on /diagnostics."""

    name: str
    level: int
    message: str


@dataclass
class Recording:
    """All that the recorder has seen, in the order of arrival."""

    store: ImageStore
    sources: list[SourceRecord] = field(default_factory=list)
    coded_bytes: list[int] = field(default_factory=list)  # of the sender's packets
    frames: list[FrameRecord] = field(default_factory=list)
    generated: list[FrameRecord] = field(default_factory=list)  # beside those, in mode auto
    objects: dict[int, tuple[str, ...]] = field(default_factory=dict)  # their classes, by stamp
    packets: dict[int, bytes] = field(default_factory=dict)  # that the receiver got, by stamp
    calibrations: dict[int, Calibration] = field(default_factory=dict)  # by stamp
    link: LinkRecord = field(default_factory=LinkRecord)
    # By name: the last word, and the last that was an error.
    diagnostics: dict[str, DiagnosticRecord] = field(default_factory=dict)
    errors: dict[str, DiagnosticRecord] = field(default_factory=dict)

    def newest_is_generated(self, mode: str) -> bool:
        """Return whether the picture of the newest packet has come, in a mode with a generator."""
        pictures = self.generated if mode == 'auto' else self.frames
        newest_ns = max(self.packets, default=None)
        return newest_ns is None or any(frame.stamp_ns == newest_ns for frame in pictures)
