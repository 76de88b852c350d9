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
from gsc_ros.demo.comparison import compare, Pair
from gsc_ros.demo.display import Display
from gsc_ros.demo.error import DemoError
from gsc_ros.demo.recording import FrameRecord, ImageStore, Recording
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
    pairs: list[Pair] = []
    if settings.generates:
        with display.working('comparing', len(frames)) as advance:
            pairs = compare(recording, frames, settings.profile, advance)
    shown = _Shown(frames, pairs, recording.store)
    with display.working('writing the video', len(shown.records)) as advance:
        video = write_video(outputs.video, _video_frames(shown, advance),
                            _real_rate(shown.records))
    with display.working('writing the bag', len(frames) + len(recording.generated)) as advance:
        write_bag(outputs.bag, settings.camera, recording, advance)
    _write_sheet(outputs.sheet, settings, shown)
    summary = summarise(
        settings, recording, frames, audit, ending, _files(outputs, video), pairs)
    outputs.summary.write_text(summary.to_json() + '\n')
    write_report(outputs.report, summary, recording, frames, departures,
                 shown.some(REPORT_ROWS), video)
    return summary


class _Shown:
    """The frames that pictures are shown of: those made in both ways, if there are any."""

    def __init__(self, frames: Sequence[ScoredFrame], pairs: Sequence[Pair],
                 store: ImageStore) -> None:
        self._items = pairs or frames
        self._store = store
        self.records = [pair.generated.frame for pair in pairs] or [
            scored.frame for scored in frames]

    def views(self, index: int) -> picture.Views:
        """Read the pictures of a frame."""
        item = self._items[index]
        load = picture.load_pair if isinstance(item, Pair) else picture.load_views
        return load(item, self._store)

    def some(self, count: int) -> list[picture.Views]:
        """Read the pictures of up to so many frames, spread over the run."""
        return [self.views(index) for index in picture.spread(len(self._items), count)]


def _silence(recording: Recording, outputs: Outputs) -> str:
    """Return what is known about why no reconstruction arrived."""
    records = recording.errors or recording.diagnostics
    words = '; '.join(f'{record.name}: {record.message}' for record in records.values())
    return (f'{len(recording.sources)} originals were seen, but no reconstruction arrived '
            f'({words or "no node said anything"}). The logs are in {outputs.directory / "graph"}')


def _real_rate(frames: Sequence[FrameRecord]) -> float:
    """Return the frames per second at which a video of them takes as long as they took."""
    span_ns = frames[-1].stamp_ns - frames[0].stamp_ns
    return max(0.2, (len(frames) - 1) * 1e9 / span_ns) if span_ns else 1.0


def _video_frames(shown: _Shown, advance: Callable[[], None]) -> Iterator[picture.Image]:
    """Yield drawings of the frames; those of another size than the first one are left out."""
    first = shown.records[0]
    for index, frame in enumerate(shown.records):
        advance()
        if frame.image.shape == first.image.shape:
            yield picture.side_by_side(
                shown.views(index), VIDEO_WIDTH,
                f'{(frame.stamp_ns - first.stamp_ns) / 1e9:.1f} s, '
                f'{frame.latency_ms:.0f} ms after the original')


def _write_sheet(path: Path, settings: DemoSettings, shown: _Shown) -> None:
    name = Path(settings.input).name or settings.input
    sheet = picture.contact_sheet(
        shown.some(SHEET_ROWS),
        f'{name}, {settings.link_bps / 1000:g} kbit/s, {len(shown.records)} frames')
    _, content = cv2.imencode('.png', cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    path.write_bytes(content.tobytes())


def _files(outputs: Outputs, video: Video) -> dict[str, str]:
    return {'report': outputs.report.name, 'figures': outputs.summary.name,
            'video': video.path.name, 'contact sheet': outputs.sheet.name,
            'rosbag2 bag of the reconstructions': outputs.bag.name,
            'parameters, logs and trace of the nodes': 'graph'}
