# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Print how much of what judges see lies in the regions of a source, against the picture they take.

    python benchmarks/importance_recall.py INPUT ... [--source importance] [--judge FILE ...]
        [--folder DIR] [--every N] [--count N] [--most N ...] [--json]

A judge is a detector (.onnx) or a segmenter (.tflite). A thing of which three quarters lie in
regions is found. Beside the source stands the middle of the picture, as large as its regions:
what one gets without looking.
"""

from __future__ import annotations

import argparse
from itertools import islice
import json
from pathlib import Path
import time

from gsc_ros.evaluation.region_recall import Recall, recall
from gsc_ros.perception.source.detector import DetectorSource
from gsc_ros.perception.source.importance import ImportanceSource
from gsc_ros.perception.source.opening import open_source
from gsc_ros.perception.source.source import RegionSource
from gsc_ros.sources.opening import open_source as open_frames
import numpy as np

Box = tuple[float, float, float, float]


def blind(share: float, width: int, height: int) -> list[Box]:
    """Return the middle of the picture, as large as that share of it, in its proportions."""
    side = share ** 0.5 / 2
    return [(width * (0.5 - side), height * (0.5 - side),
             width * (0.5 + side), height * (0.5 + side))]


def measure(path: str, source: RegionSource, judges: dict[str, DetectorSource],
            most: list[int], every: int, count: int) -> list[dict]:
    """Return one row for each judge and number of regions."""
    sums: dict[tuple[str, int], list[Recall]] = {}
    seconds, frames, before, kept = 0.0, 0, None, []
    for frame in islice(iter(open_frames(path)), 0, every * count, every):
        gray = frame.image.ndim == 2
        image = np.dstack([frame.image] * 3) if gray else frame.image
        height, width = image.shape[:2]
        began = time.process_time()
        regions = [region.box for region in source.find(image, frame.stamp_ns)]
        seconds += time.process_time() - began
        frames += 1
        if before:
            kept.append(np.mean([max(overlap(box, other) for other in before)
                                 for box in regions]) if regions else 0.0)
        before = regions
        for name, judge in judges.items():
            things = np.array([region.box for region in judge.find(image, frame.stamp_ns)],
                              np.float32).reshape(-1, 4)
            for number in most:
                ours = recall(regions[:number], things, width, height)
                theirs = recall(blind(ours.share, width, height), things, width, height)
                pair = sums.setdefault((name, number), [Recall(), Recall()])
                pair[:] = [pair[0] + ours, pair[1] + theirs]
    return [{
        'input': Path(path).name, 'judge': name, 'most': number, 'things': ours.things,
        'recall': round(ours.found / max(ours.things, 1), 3),
        'share': round(ours.share / ours.frames, 3),
        'recall_of_the_middle': round(theirs.found / max(theirs.things, 1), 3),
        'regions': round(ours.regions / ours.frames, 1),
        'steadiness': round(float(np.mean(kept)), 3) if kept else None,
        'ms': round(1000 * seconds / frames, 1),
    } for (name, number), (ours, theirs) in sums.items()]


def overlap(one: Box, other: Box) -> float:
    """Return intersection over union of two boxes."""
    sides = [max(0.0, min(one[2 + at], other[2 + at]) - max(one[at], other[at])) for at in (0, 1)]
    shared = sides[0] * sides[1]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def main() -> None:
    """Measure every input and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='anything gsc replay takes')
    parser.add_argument('--source', default='importance', help='as gsc encode --regions takes it')
    parser.add_argument('--folder', type=Path, help='importance network to measure')
    parser.add_argument('--threshold', type=float, help='of the importance network')
    parser.add_argument('--judge', nargs='+', required=True, metavar='FILE')
    parser.add_argument('--every', type=int, default=3)
    parser.add_argument('--count', type=int, default=40)
    parser.add_argument('--most', type=int, nargs='+', default=[4, 8, 16])
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    rows = []
    for path in args.inputs:
        judges = {Path(file).stem: open_source(f'detector:{file}') for file in args.judge}
        source = (ImportanceSource(args.folder, threshold=args.threshold)
                  if args.source == 'importance' else open_source(args.source))
        rows += measure(path, source, judges, args.most, args.every, args.count)
    if args.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print('  '.join(f'{name} {value}' for name, value in row.items()))


if __name__ == '__main__':
    main()
