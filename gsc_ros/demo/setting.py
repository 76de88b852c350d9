# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a demo run is to do."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path


@dataclass(frozen=True)
class DemoSettings:
    """
    One run.

    :param input: what `open_source` takes: `terrain`, a KITTI drive, a folder, a video or a bag.
    :param topic: image topic of a bag that has several.
    :param output: folder for everything that the run leaves.
    :param link_bps: hard budget of the link, in bit/s, every header included.
    :param burst_bits: how many bits may leave at once; None for the bridge's default.
    :param loss: share of datagrams that the link loses, 0..1.
    :param delay_ms: one-way delay of the link in milliseconds.
    :param fps: frames per second to replay with; None for the recorded rate.
    :param seconds: longest time of replay.
    :param frames: most frames to replay; None for all.
    :param camera: name of the camera in the topics.
    :param mode: how the receiver reconstructs: structure, generate or auto.
    :param generator: name or folder of the generator, for the modes that use one.
    :param steps: steps of its sampler; None for its default.
    :param regions: who says where perception looks, as perception.source.opening writes it; empty
        for a run without key regions.
    :param caption: sent with the frames, for the generator; empty for none.
    :param profile: name or folder of the profile.
    :param channels: most latent channels per frame; None for the sender's default.
    :param quantizer: quantizer step; None for the profile's default.
    :param max_bytes: most bytes per packet; None, if neither channels nor quantizer are given,
        for what the link carries per frame.
    :param domain_id: ROS domain; None for a free one.
    :param command: the command line, for the report.
    """

    input: str
    output: Path
    topic: str | None = None
    link_bps: int = 20_000
    burst_bits: int | None = None
    loss: float = 0.0
    delay_ms: float = 0.0
    fps: float | None = None
    seconds: float = 60.0
    frames: int | None = None
    camera: str = 'front'
    mode: str = 'structure'
    generator: str = 'tiny'
    steps: int | None = None
    regions: tuple[str, ...] = ()
    caption: str = ''
    profile: str = 'tiny'
    channels: int | None = None
    quantizer: int | None = None
    max_bytes: int | None = None
    domain_id: int | None = None
    command: str = ''

    @property
    def generates(self) -> bool:
        """Return whether a generator is to be used."""
        return self.mode != 'structure'


@dataclass(frozen=True)
class Pace:
    """
    How much of the link each frame gets.

    :param fps: frames per second to encode.
    :param packet_bytes: size that no packet should pass.
    """

    fps: float
    packet_bytes: int


# A packet smaller than this many bytes, or bits per pixel, shows too little: better fewer frames.
LEAST_BYTES = 160
LEAST_BPP = 0.006
# What framing adds to a frame, in bytes, and the share of the link left to announcements,
# heartbeats and bad luck.
FRAME_OVERHEAD_BYTES = 14
RESERVE = 0.05


def pace(link_bps: int, fps: float, width: int, height: int) -> Pace:
    """
    Share a link among the frames of one camera: all of them, or as many as stay recognisable.

    :param link_bps: budget in bit/s.
    :param fps: frames per second that the camera delivers.
    :param width: pixels.
    :param height: pixels.
    """
    link_bytes = link_bps * (1 - RESERVE) / 8
    least = max(LEAST_BYTES, LEAST_BPP * width * height / 8) + FRAME_OVERHEAD_BYTES
    rate = min(fps, link_bytes / least)
    return Pace(rate, int(link_bytes / rate) - FRAME_OVERHEAD_BYTES)


# Of the shared data: a detector of COCO's classes.
DETECTOR = Path('nets', 'fastestdet_coco.onnx')


def shared_data() -> Path:
    """Return the folder of the shared data: $GSC_SHARED_DATA, or ../shared/data."""
    return Path(os.environ.get('GSC_SHARED_DATA') or Path('..', 'shared', 'data'))


def default_sources() -> tuple[str, ...]:
    """
    Return who says where perception looks: the detector of the shared data, else `importance`.

    Not both: what a detector has found needs no guess around it.
    """
    detector = shared_data() / DETECTOR
    return (f'detector:{detector.resolve()}',) if detector.is_file() else ('importance',)


def default_input() -> str:
    """
    Return the first KITTI drive of the shared data if that is there, else `terrain`.

    The data is looked for in $GSC_SHARED_DATA and in ../shared/data.
    """
    drives = sorted(path for path in shared_data().glob('kitti/*/*_drive_*_sync') if path.is_dir())
    return str(drives[0]) if drives else 'terrain'
