# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run every bar of the key regions, and print what must be beside what was found.

    python benchmarks/region_bars.py --data ../shared/data -o out/regions [--only stills,loss]

Each group is one run of `gsc bench`, whose report stays in the output folder; regions.json and
index.html sum them up. Results of peers are kept below the output folder, so that the next run
measures ours alone. The first run takes hours: the peers use their slowest presets. Exit status 1
when a bar is missed.

The data folder holds `kitti/*/*` (a drive), `kitti_gray` (a moving camera), `sequences/highway.mp4`
and `nets/fastestdet_coco.onnx`; --detector names another judge.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from html import escape
import io
import json
from pathlib import Path
import sys
import time
from typing import Any

from gsc_ros.cli.main import main as gsc
from gsc_ros.evaluation.markup import document, table
from region_verdict import (
    as_x265,
    at_budget,
    Bar,
    fall_under_loss,
    half_the_bytes,
    similar_whole,
    time_added,
    ways,
)

# Bits per pixel of 1216 x 352; bytes of a frame besides.
STILL_BYTES = (300, 600, 900, 1300, 2000, 3000, 4500, 7000)
PIXELS = 1216 * 352
VIDEO_RATES = (6, 12, 25, 50, 100, 190)
LOSS_RATE = 20
# Below a half no bytes are set aside for the base, which would leave none for regions in frames of
# 140 bytes.
FEW_BYTES_SHARE, FEW_BYTES_RATES = 0.45, (11.2, 16)
SLOW_BYTES = 600
STILL_PEERS = 'av1,hevc,av1-regions,hevc-regions'
ALONE, STREAM = 'gsc-regions', 'gsc-stream-regions'
STILL_SCALES = '1,1.5,2,3,4'
VIDEO_SCALES = '1,1.5,2,3'


@dataclass(frozen=True)
class Setting:
    """
    What all groups share.

    :param data: the folder.
    :param output: where reports go.
    :param detector: the judge, and what finds the regions unless ``regions`` says otherwise.
    :param regions: sources of regions, in the words of the command line.
    :param options: further words for each `gsc bench`.
    """

    data: Path
    output: Path
    detector: Path
    regions: Sequence[str]
    options: Sequence[str]

    @property
    def drive(self) -> Path:
        """Return the folder of the first drive."""
        return next(iter(sorted((self.data / 'kitti').glob('*/*_sync'))))

    @property
    def gray(self) -> Path:
        """Return the folder of the moving camera."""
        return self.data / 'kitti_gray'

    @property
    def highway(self) -> Path:
        """Return the video."""
        return self.data / 'sequences' / 'highway.mp4'

    def bench(self, name: str, source: Path, *words: object) -> dict[str, Any]:
        """
        Run `gsc bench` and return its bench.json.

        :param name: of the report's folder.
        :raises SystemExit: it cannot run.
        """
        said = io.StringIO()
        with redirect_stdout(said):
            status = gsc([str(word) for word in (
                'bench', source, '-o', self.output / name, '--cache', self.output / 'cache',
                '--detector', self.detector, '--no-vsi', '--json',
                *(word for each in self.regions for word in ('--regions', each)),
                *words, *self.options)])
        if status:
            sys.exit(f'{name}: gsc bench ended with {status}')
        return json.loads(said.getvalue())


def stills(setting: Setting) -> list[Bar]:
    """Compare frames of the slow drive that stand alone, and see what regions cost besides."""
    found = setting.bench(
        'stills', setting.drive, '--peers', STILL_PEERS, '--downscales', STILL_SCALES, '--rates',
        _bpp(STILL_BYTES))
    bars = []
    for codec in ways(found, ALONE):
        bars += [half_the_bytes(found, f'slow drive, {codec}', codec),
                 similar_whole(found, f'slow drive, {codec}: whole frame', codec),
                 time_added(found, f'slow drive, {codec}', codec)]
    return bars


def stills_all(setting: Setting) -> list[Bar]:
    """Do the same with every frame of the drive."""
    found = setting.bench(
        'stills-all', setting.drive, '--frames', 1000, '--peers', STILL_PEERS, '--downscales',
        STILL_SCALES, '--rates', _bpp(STILL_BYTES))
    return [half_the_bytes(found, f'slow drive, all frames, {codec}', codec)
            for codec in ways(found, ALONE)]


def moving(setting: Setting) -> list[Bar]:
    """Compare frames that stand alone with video of a moving camera."""
    found = setting.bench(
        'moving', setting.gray, '--stream', '--peers', 'x265', '--downscales', VIDEO_SCALES,
        '--base-share', FEW_BYTES_SHARE, '--rates', _list((*FEW_BYTES_RATES, *VIDEO_RATES)),
        '--ours', f'gsc,{ALONE},{ALONE}-agreement')
    return [as_x265(found, f'moving camera, {codec}', codec, 0.25, 1)
            for codec in ways(found, ALONE)]


def stream(setting: Setting) -> list[Bar]:
    """Compare stream mode with video, on the slow drive and a highway."""
    bars = []
    for name, source in (('slow drive', setting.drive), ('highway', setting.highway)):
        found = setting.bench(
            f'stream-{source.stem}', source, '--stream', '--peers', 'x265,av1', '--downscales',
            VIDEO_SCALES, '--rates', _list(VIDEO_RATES), '--ours',
            f'gsc-stream,{STREAM},{STREAM}-agreement')
        bars += [as_x265(found, f'{name}, {codec}', codec, 0.7, 2)
                 for codec in ways(found, STREAM)]
    return bars


def loss(setting: Setting) -> list[Bar]:
    """Send the slow drive over a link that loses packets."""
    runs = [setting.bench(f'loss-{share:g}', setting.drive, '--loss', share, '--rates', LOSS_RATE,
                          '--peers', 'x265-low-delay', '--downscales', 3, '--trials', 3, '--ours',
                          f'{STREAM},{STREAM}-agreement')
            for share in (0, 0.05)]
    return [fall_under_loss(*runs, codec) for codec in ways(runs[0], STREAM)]


def slow(setting: Setting) -> list[Bar]:
    """Compare stills and videos of one frame a second over 4.8 kbit/s: 600 bytes a frame."""
    video = setting.bench(
        'slow-video', setting.drive, '--stream', '--every', 10, '--downscales', '1.5,2,3,4,6',
        '--rates', f'{SLOW_BYTES * 8 / 1000:g}', '--peers',
        'x265,av1,x265-low-delay,av1-low-delay')
    alone = setting.bench(
        'slow-stills', setting.drive, '--frames', 8, '--rates', _bpp((SLOW_BYTES,)), '--peers',
        f'webp,{STILL_PEERS}', '--downscales', '1.5,2,3,4,6,8')
    return [at_budget(video, alone, SLOW_BYTES, judged) for judged in (False, True)]


GROUPS: dict[str, Callable[[Setting], list[Bar]]] = {
    'stills': stills, 'stills-all': stills_all, 'moving': moving, 'stream': stream, 'loss': loss,
    'slow': slow}


def _bpp(sizes: Sequence[int]) -> str:
    return _list([size * 8 / PIXELS for size in sizes])


def _list(numbers: Sequence[float]) -> str:
    return ','.join(f'{number:.6g}' for number in numbers)


def _summary(bars: Sequence[Bar], reports: Sequence[Path]) -> str:
    """
    Return a page of all bars.

    :param reports: of the groups that ran, relative to the page.
    """
    rows = [[bar.name, bar.must, bar.found, 'holds' if bar.holds else 'MISSED'] for bar in bars]
    links = ''.join(f'<li><a href="{escape(report.as_posix())}">{escape(report.parent.name)}</a>'
                    '</li>' for report in reports)
    return document('Key regions: bars', (
        '<header><h1>Key regions</h1></header>',
        table('what', ['must', 'found', ''], rows, kind='words'), f'<ul>{links}</ul>'))


def main() -> int:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, default=Path('../shared/data'), metavar='DIR')
    parser.add_argument('-o', '--output', type=Path, default=Path('out/regions'), metavar='DIR')
    parser.add_argument('--detector', type=Path, metavar='FILE', help='the judge, as ONNX')
    parser.add_argument('--regions', action='append', metavar='SOURCE',
                        help='of all runs (the judge on the original)')
    parser.add_argument('--only', default='', metavar='LIST', help='of ' + ', '.join(GROUPS))
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    options, further = parser.parse_known_args()
    wanted = {word for word in options.only.split(',') if word}
    if wanted - GROUPS.keys():
        parser.error(f'no bars called {", ".join(sorted(wanted - GROUPS.keys()))}')
    detector = options.detector or options.data / 'nets' / 'fastestdet_coco.onnx'
    setting = Setting(options.data, options.output, detector,
                      options.regions or [f'detector:{detector}'], further)
    bars: list[Bar] = []
    for name, group in GROUPS.items():
        if wanted and name not in wanted:
            continue
        began = time.monotonic()
        bars += group(setting)
        print(f'{name}: {time.monotonic() - began:.0f} s', file=sys.stderr, flush=True)
    for bar in bars:
        print(f'{"holds" if bar.holds else "MISSED":6}  {bar.name:34}  {bar.must}\n{"":8}'
              f'{bar.found}', file=sys.stderr if options.json else sys.stdout)
    content = {'regions': list(setting.regions), 'detector': detector.name,
               'bars': [asdict(bar) for bar in bars]}
    (setting.output / 'regions.json').write_text(json.dumps(content, indent=1), encoding='utf-8')
    reports = sorted(report.relative_to(setting.output)
                     for report in setting.output.glob('*/report.html'))
    (setting.output / 'index.html').write_text(_summary(bars, reports), encoding='utf-8')
    if options.json:
        print(json.dumps(content))
    return 0 if all(bar.holds for bar in bars) else 1


if __name__ == '__main__':
    sys.exit(main())
