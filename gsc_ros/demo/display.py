# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run shows on stderr while it goes: a live line on a terminal, else a line now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import time

from gsc_ros.demo.recording import Recording
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# Seconds between lines where there is no terminal to draw on.
LINE_PERIOD_S = 2.0
RATE_WINDOW_NS = 2_000_000_000


class Display:
    """Phases of a run and their progress."""

    def __init__(self, console: Console) -> None:
        """
        Write to a console.

        :param console: on stderr, so that results on stdout stay clean.
        """
        self._console = console
        self._last_line_s = 0.0

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def replaying(self, total: int | None) -> Iterator[Callable[[Recording], None]]:
        """Show the frames; yields a function to call as often as one likes."""
        with self._progress() as progress:
            task = progress.add_task('replaying', total=total, detail='')

            def show(recording: Recording) -> None:
                progress.update(task, completed=len(recording.sources), detail=detail(recording))
                self._line(recording, total)
            yield show

    @contextmanager
    def working(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Show work after the replay; yields a function to call after each step."""
        with self._progress() as progress:
            task = progress.add_task(what, total=total, detail='')
            yield lambda: progress.advance(task)

    def _progress(self) -> Progress:
        return Progress(
            SpinnerColumn(), TextColumn('{task.description}'), BarColumn(20),
            TextColumn('{task.completed:.0f}/{task.total}'), TimeElapsedColumn(),
            TextColumn('{task.fields[detail]}'), console=self._console, transient=True,
            disable=not self._console.is_terminal)

    def _line(self, recording: Recording, total: int | None) -> None:
        now_s = time.monotonic()
        if self._console.is_terminal or now_s - self._last_line_s < LINE_PERIOD_S:
            return
        self._last_line_s = now_s
        self.say(f'frame {len(recording.sources)}/{total or "?"}: {detail(recording)}')


def detail(recording: Recording) -> str:
    """Return the present state in figures: bytes, kbit/s, bpp, fps and latency."""
    if not recording.frames:
        awaited = 'the first reconstruction' if recording.sources else 'the camera'
        return f'waiting for {awaited}'
    last = recording.frames[-1]
    recent = sum(frame.received_ns > last.received_ns - RATE_WINDOW_NS
                 for frame in recording.frames[-200:])
    return (f'{last.sections.total} B  {recording.link.used_bps / 1000:.1f} kbit/s  '
            f'{last.bpp:.4f} bpp  {recent / (RATE_WINDOW_NS / 1e9):.1f} fps  '
            f'{last.latency_ms:.0f} ms')
