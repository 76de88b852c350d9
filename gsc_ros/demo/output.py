# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that a run leaves in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
import shutil

import cv2
from gsc_ros.demo import picture
from gsc_ros.demo.bag import write_bag
from gsc_ros.demo.display import Display
from gsc_ros.demo.error import DemoError
from gsc_ros.demo.recording import ImageStore, Recording
from gsc_ros.demo.report import write_report
from gsc_ros.demo.score import score_frames, ScoredFrame
from gsc_ros.demo.setting import DemoSettings
from gsc_ros.demo.summary import Ending, summarise, Summary
from gsc_ros.demo.video import Video, write_video
from gsc_ros.link.audit import read_trace, verify_budget

SHEET_ROWS = 6
REPORT_ROWS = 4
VIDEO_WIDTH = 960


@dataclass(frozen=True)
class Outputs:
    """Where a run leaves what."""

    directory: Path

    @property
    def trace(self) -> Path:
        """Return the bridge's trace of departures."""
        return self.directory / 'graph' / 'departures.csv'

    @property
    def summary(self) -> Path:
        """Return the file of figures."""
        return self.directory / 'summary.json'

    @property
    def report(self) -> Path:
        """Return the page."""
        return self.directory / 'report.html'

    @property
    def sheet(self) -> Path:
        """Return the contact sheet."""
        return self.directory / 'contact_sheet.png'

    @property
    def bag(self) -> Path:
        """Return the folder of the reconstructed bag."""
        return self.directory / 'reconstructed'

    @property
    def video(self) -> Path:
        """Return the video, without the suffix that its format decides."""
        return self.directory / 'side_by_side'

    def prepare(self) -> None:
        """
        Make the folder, and remove what an earlier run left there under these names.

        :raises OSError: when that is not possible.
        """
        for path in (self.directory / 'graph', self.bag):
            if path.is_dir():
                shutil.rmtree(path)
        (self.directory / 'graph').mkdir(parents=True)
        for path in (self.summary, self.report, self.sheet, *self.directory.glob('side_by_side.*')):
            path.unlink(missing_ok=True)


def write_outputs(settings: DemoSettings, outputs: Outputs, recording: Recording, ending: Ending,
                  display: Display) -> Summary:
    """
    Score what was recorded and write every output.

    :raises OSError: when something cannot be written.
    :raises DemoError: when there is no frame to report on.
    """
    if not recording.frames:
        raise DemoError(_silence(recording, outputs))
    departures = read_trace(outputs.trace)
    audit = verify_budget(departures, recording.link.budget_bps or settings.link_bps,
                          recording.link.burst_bits)
    with display.working('scoring', len(recording.frames)) as advance:
        frames = score_frames(recording, advance)
    with display.working('writing the video', len(frames)) as advance:
        video = write_video(outputs.video, _video_frames(frames, recording, advance),
                            _real_rate(frames))
    with display.working('writing the bag', len(frames)) as advance:
        write_bag(outputs.bag, settings.camera, recording, advance)
    _write_sheet(outputs.sheet, settings, frames, recording.store)
    summary = summarise(settings, recording, frames, audit, ending, _files(outputs, video))
    outputs.summary.write_text(summary.to_json() + '\n')
    write_report(outputs.report, summary, recording, frames, departures,
                 _triples(frames, recording.store, REPORT_ROWS), video)
    return summary


def _silence(recording: Recording, outputs: Outputs) -> str:
    """Return what is known about why no reconstruction arrived."""
    records = recording.errors or recording.diagnostics
    words = '; '.join(f'{record.name}: {record.message}' for record in records.values())
    return (f'{len(recording.sources)} originals were seen, but no reconstruction arrived '
            f'({words or "no node said anything"}). The logs are in {outputs.directory / "graph"}')


def _triples(frames: Sequence[ScoredFrame], store: ImageStore, rows: int) -> list[picture.Triple]:
    return [picture.load_triple(frames[index], store)
            for index in picture.spread(len(frames), rows)]


def _real_rate(frames: Sequence[ScoredFrame]) -> float:
    """Return the frames per second at which a video of them takes as long as they took."""
    span_ns = frames[-1].frame.stamp_ns - frames[0].frame.stamp_ns
    return max(0.2, (len(frames) - 1) * 1e9 / span_ns) if span_ns else 1.0


def _video_frames(frames: Sequence[ScoredFrame], recording: Recording,
                  advance: Callable[[], None]) -> Iterator[picture.Image]:
    """Yield drawings of the frames; those of another size than the first one are left out."""
    first_ns = frames[0].frame.stamp_ns
    shape = frames[0].frame.image.shape
    for scored in frames:
        advance()
        if scored.frame.image.shape == shape:
            yield picture.side_by_side(
                picture.load_triple(scored, recording.store), VIDEO_WIDTH,
                f'{(scored.frame.stamp_ns - first_ns) / 1e9:.1f} s, '
                f'{scored.frame.latency_ms:.0f} ms after the original')


def _write_sheet(path: Path, settings: DemoSettings, frames: Sequence[ScoredFrame],
                 store: ImageStore) -> None:
    name = Path(settings.input).name or settings.input
    sheet = picture.contact_sheet(
        _triples(frames, store, SHEET_ROWS),
        f'{name}, {settings.link_bps / 1000:g} kbit/s, {len(frames)} frames')
    _, content = cv2.imencode('.png', cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    path.write_bytes(content.tobytes())


def _files(outputs: Outputs, video: Video) -> dict[str, str]:
    return {'report': outputs.report.name, 'figures': outputs.summary.name,
            'video': video.path.name, 'contact sheet': outputs.sheet.name,
            'rosbag2 bag of the reconstructions': outputs.bag.name,
            'parameters, logs and trace of the nodes': 'graph'}
