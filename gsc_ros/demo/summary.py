# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: what `summary.json` holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from importlib import metadata
import json
import os
import platform

import cv2
from gsc_ros.demo.comparison import Pair
from gsc_ros.demo.recording import FrameRecord, Recording
from gsc_ros.demo.region import region_figures, RegionFigures
from gsc_ros.demo.score import ScoredFrame
from gsc_ros.demo.setting import DemoSettings
from gsc_ros.demo.statistic import Statistic, statistic
from gsc_ros.link.audit import BudgetAudit
import numpy as np


class Ending(Enum):
    """Why a run ended."""

    INPUT = 'the input ended'
    LIMIT = 'the limit of frames or seconds was reached'
    TIME = 'the player did not keep up, and the time was up'
    INTERRUPT = 'interrupted'


@dataclass(frozen=True)
class ModeFigures:
    """
    What one way to make the pictures gave, over the frames that were made in both.

    `frames` is how many pictures of the mode arrived in all, and `fps` how many a second, from the
    first to the last. `spectrum_db` is the distance from the original's power spectrum (see
    evaluation.spectrum), `flicker` in gray levels (see codec.generator.flicker).
    """

    frames: int
    fps: float
    compared: int
    psnr_db: Statistic
    ms_ssim: Statistic
    spectrum_db: Statistic
    latency_ms: Statistic
    generate_ms: Statistic
    flicker: Statistic


@dataclass(frozen=True)
class Summary:
    """
    One run in figures. Units are in the names; bytes on the link include every header.

    `frames_in` are the originals seen on the image topic, `frames_coded` those that the sender
    coded, `frames_sent` those of them that the bridge did not drop, `frames_received` the
    reconstructions that arrived, and `frames_not_generated` those of the others that the generator
    passed over for newer ones. `latency_ms` is from the
    original's stamp to the arrival of the reconstruction. `compression` is raw RGB bytes over
    packet bytes. `budget_headroom_bits` is what the tightest of all windows had left. `modes` is
    empty unless frames were generated, `regions` null unless there were sources of regions.
    """

    input: str
    camera: str
    profile: str
    mode: str
    ending: str
    width: int
    height: int
    frames_in: int
    frames_coded: int
    frames_sent: int
    frames_received: int
    frames_not_generated: int
    frames_matched: int
    dropped: dict[str, int]
    layers_shed: int
    seconds: float
    fps_in: float
    fps_received: float
    budget_bps: int
    burst_bits: int
    budget_holds: bool
    budget_headroom_bits: float | None
    link_bytes: int
    link_datagrams: int
    link_bps: float
    packet_bytes: int
    sections: dict[str, int]
    compression: float | None
    frame_bytes: Statistic
    bpp: Statistic
    latency_ms: Statistic
    encode_ms: Statistic
    decode_ms: Statistic
    psnr_db: Statistic
    ms_ssim: Statistic
    spectrum_db: Statistic
    generator: str
    modes: dict[str, ModeFigures]
    regions: RegionFigures | None
    loss: float
    delay_ms: float
    command: str
    versions: dict[str, str]
    files: dict[str, str]

    def to_json(self) -> str:
        """Return a JSON object; what nobody knows is null."""
        return json.dumps(asdict(self), indent=2, allow_nan=False)


def summarise(settings: DemoSettings, recording: Recording, frames: Sequence[ScoredFrame],
              audit: BudgetAudit, ending: Ending, files: dict[str, str],
              pairs: Sequence[Pair] = ()) -> Summary:
    """
    Count and average.

    :param frames: the scored reconstructions, ordered by stamp.
    :param audit: verdict on the bridge's trace of departures.
    :param files: what the run left, by kind.
    :param pairs: the frames that were made in both ways, ordered by stamp.
    """
    link = recording.link
    records = [scored.frame for scored in frames]
    stamps = [source.stamp_ns for source in recording.sources]
    span_s = (max(stamps) - min(stamps)) / 1e9 if len(stamps) > 1 else 0.0
    # A replay of n frames lasts n periods, though only n - 1 of them lie between the stamps.
    seconds = span_s * len(stamps) / (len(stamps) - 1) if span_s else 0.0
    packet_bytes = sum(record.sections.total for record in records)
    raw_bytes = sum(3 * record.pixels for record in records)
    shape = records[-1].image.shape if records else (0, 0)
    return Summary(
        input=settings.input, camera=settings.camera,
        profile=records[-1].profile if records else settings.profile,
        mode=settings.mode, ending=ending.value,
        width=shape[1], height=shape[0], frames_in=len(recording.sources),
        frames_coded=len(recording.coded_bytes),
        frames_sent=len(recording.coded_bytes) - sum(link.dropped.values()),
        frames_received=len(records),
        frames_not_generated=max(
            (frame.not_generated for frame in (*recording.frames, *recording.generated)),
            default=0),
        frames_matched=sum(scored.source is not None for scored in frames),
        dropped=dict(link.dropped), layers_shed=link.layers_shed, seconds=round(seconds, 3),
        fps_in=_ratio(len(stamps), seconds), fps_received=_ratio(len(records), seconds),
        budget_bps=link.budget_bps or settings.link_bps, burst_bits=link.burst_bits,
        budget_holds=audit.holds,
        budget_headroom_bits=-audit.excess_nanobits / 1e9 if audit.departures else None,
        link_bytes=audit.bits // 8, link_datagrams=audit.departures,
        link_bps=_ratio(audit.bits, seconds), packet_bytes=packet_bytes,
        sections=_section_totals(frames),
        compression=raw_bytes / packet_bytes if packet_bytes else None,
        frame_bytes=statistic(record.sections.total for record in records),
        bpp=statistic(record.bpp for record in records),
        latency_ms=statistic(record.latency_ms for record in records),
        encode_ms=statistic(record.encode_ms for record in records),
        decode_ms=statistic(record.decode_ms for record in records),
        psnr_db=statistic(scored.psnr_db for scored in frames),
        ms_ssim=statistic(scored.ms_ssim for scored in frames),
        spectrum_db=statistic(scored.spectrum_db for scored in frames),
        generator=pairs[-1].generated.frame.generator if pairs else '',
        modes=_modes(recording, pairs),
        regions=region_figures(
            [source.partition(':')[0] for source in settings.regions], recording, frames),
        loss=settings.loss, delay_ms=settings.delay_ms, command=settings.command,
        versions=versions(), files=files)


def versions() -> dict[str, str]:
    """Return what ran, by name."""
    found = {'python': platform.python_version(), 'platform': platform.platform(),
             'numpy': np.__version__, 'opencv': cv2.__version__}
    for package in ('gsc_ros', 'onnxruntime', 'constriction', 'rosbags'):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    found['ros'] = os.environ.get('ROS_DISTRO') or _wheel_distribution()
    return found


def _wheel_distribution() -> str:
    """Return the ROS distribution of the rclpy wheel, for example `jazzy 7.1.9 (wheels)`."""
    for distribution in metadata.distributions():
        name = distribution.metadata['Name'] or ''
        # Not `ros-rclpy`, which is there for the names of other packages' dependencies.
        if name.startswith('ros-') and name.endswith('-rclpy') and name.count('-') == 2:
            return f'{name.split("-")[1]}, rclpy {distribution.version} (wheels)'
    return 'unknown'


def _modes(recording: Recording, pairs: Sequence[Pair]) -> dict[str, ModeFigures]:
    """Return the figures of each mode, by its name."""
    if not pairs:
        return {}
    pictures = [*recording.frames, *recording.generated]
    return {mode: _mode([frame for frame in pictures if frame.mode == mode], scored)
            for mode, scored in (('structure', [pair.structure for pair in pairs]),
                                 ('generate', [pair.generated for pair in pairs]))}


def _mode(arrived: Sequence[FrameRecord], scored: Sequence[ScoredFrame]) -> ModeFigures:
    times_ns = sorted(frame.received_ns for frame in arrived)
    span_s = (times_ns[-1] - times_ns[0]) / 1e9 if times_ns else 0.0
    # Where the structure pictures were not shown, there is nothing that arrived.
    shown = [one.frame for one in scored] if arrived else []
    return ModeFigures(
        frames=len(arrived), fps=_ratio(len(arrived) - 1, span_s), compared=len(scored),
        psnr_db=statistic(one.psnr_db for one in scored),
        ms_ssim=statistic(one.ms_ssim for one in scored),
        spectrum_db=statistic(one.spectrum_db for one in scored),
        latency_ms=statistic(frame.latency_ms for frame in shown),
        generate_ms=statistic(one.frame.generate_ms for one in scored),
        flicker=statistic(one.frame.flicker for one in scored))


def _ratio(count: float, seconds: float) -> float:
    return round(count / seconds, 3) if seconds else 0.0


def _section_totals(frames: Sequence[ScoredFrame]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for scored in frames:
        for name, size in asdict(scored.frame.sections).items():
            totals[name] = totals.get(name, 0) + size
    return totals
