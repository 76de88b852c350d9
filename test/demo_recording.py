# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording as a run leaves it, made without a graph."""

from __future__ import annotations

from pathlib import Path

import cv2
from gsc_ros.demo.recording import (
    FrameRecord,
    ImageStore,
    LinkRecord,
    Recording,
    SectionBytes,
    SourceRecord,
)
from gsc_ros.link.audit import Departure
import numpy as np

START_NS = 1_790_000_000_123_456_789
PERIOD_NS = 100_000_000
HEIGHT, WIDTH = 180, 320


def make_recording(directory: Path, sources: int = 10, lost: tuple[int, ...] = (3,)) -> Recording:
    """
    Return a recording of a 10 Hz camera over a 20 kbit/s link.

    :param lost: numbers of the frames that did not arrive.
    """
    recording = Recording(ImageStore(directory))
    generator = np.random.default_rng(0)
    for number in range(sources):
        coarse = generator.integers(0, 256, (6, 9, 3), np.uint8)
        original = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        stamp_ns = START_NS + number * PERIOD_NS
        recording.sources.append(SourceRecord(stamp_ns, recording.store.add(original)))
        if number in lost:
            continue
        recording.frames.append(FrameRecord(
            stamp_ns=stamp_ns, received_ns=stamp_ns + (100 + number) * 1_000_000,
            frame_id='camera', sequence=number,
            image=recording.store.add(cv2.GaussianBlur(original, (0, 0), 4)),
            confidence=recording.store.add(np.full((HEIGHT, WIDTH), 200, np.uint8)),
            sections=SectionBytes(header=12, structure=188 + number), layers_received=5,
            channels=12, mode='structure', profile='tiny', caption='', encode_ms=20.0,
            decode_ms=30.0))
    recording.coded_bytes = [200] * (sources - 1)
    recording.link = LinkRecord(
        budget_bps=20_000, burst_bits=4_000, dropped={'superseded': 1, 'expired': 0})
    return recording


def make_departures(recording: Recording, bits: int = 1_700) -> list[Departure]:
    """Return a trace of one datagram per original."""
    return [Departure(number * PERIOD_NS, bits, 'frame')
            for number in range(len(recording.sources))]
