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
    RegionRecord,
    SectionBytes,
    SourceRecord,
)
from gsc_ros.link.audit import Departure
import numpy as np

START_NS = 1_790_000_000_123_456_789
PERIOD_NS = 100_000_000
HEIGHT, WIDTH = 180, 320


# Of a recording with regions: the box of one, in which the picture and the confidence are better.
REGION = (40, 20, 160, 100)


def make_recording(directory: Path, sources: int = 10, lost: tuple[int, ...] = (3,),
                   regions: bool = False) -> Recording:
    """
    Return a recording of a 10 Hz camera over a 20 kbit/s link.

    :param lost: numbers of the frames that did not arrive.
    :param regions: whether the frames have a key region and a car in it.
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
        image = cv2.GaussianBlur(original, (0, 0), 4)
        confidence = np.full((HEIGHT, WIDTH), 200, np.uint8)
        told = {}
        if regions:
            left, top, right, bottom = REGION
            image[top:bottom, left:right] = original[top:bottom, left:right]
            confidence[top:bottom, left:right] = 240
            recording.objects[stamp_ns] = ('car',)
            told = {'regions': (RegionRecord(REGION, 2, 5, False),),
                    'overlay': recording.store.add(255 - image)}
        recording.frames.append(FrameRecord(
            stamp_ns=stamp_ns, received_ns=stamp_ns + (100 + number) * 1_000_000,
            frame_id='camera', sequence=number,
            image=recording.store.add(image), confidence=recording.store.add(confidence),
            sections=SectionBytes(
                header=12, structure=188 + number, objects=6 * regions, regions=50 * regions),
            layers_received=5,
            channels=12, mode='structure', profile='tiny', caption='', encode_ms=20.0,
            decode_ms=30.0, **told))
    recording.coded_bytes = [200] * (sources - 1)
    recording.link = LinkRecord(
        budget_bps=20_000, burst_bits=4_000, dropped={'superseded': 1, 'expired': 0})
    return recording


def make_departures(recording: Recording, bits: int = 1_700) -> list[Departure]:
    """Return a trace of one datagram per original."""
    return [Departure(number * PERIOD_NS, bits, 'frame')
            for number in range(len(recording.sources))]
