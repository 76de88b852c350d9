# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of a run that are kept to look at, with what networks see in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import json
from pathlib import Path
from typing import Any

import cv2
from gsc_ros.evaluation.dataset.dataset import Sample
from gsc_ros.evaluation.run.method import MethodSpec, Reconstructed
from gsc_ros.evaluation.run.task import RunTask
import numpy as np

FOLDER = 'pictures'


# Of each of ours; of another codec one setting is shown, of what has no settings all there is.
OURS_SHOWN, PEERS_SHOWN = 3, 1


def shown_methods(methods: Sequence[MethodSpec]) -> frozenset[int]:
    """Return the numbers of the methods whose pictures are kept: too many are not looked at."""
    alike: dict[Any, list[int]] = {}
    for number, method in enumerate(methods):
        alike.setdefault((method.kind, method['codec'], method['name']), []).append(number)
    shown: set[int] = set()
    for (kind, codec, _), numbers in alike.items():
        count = PEERS_SHOWN if codec else OURS_SHOWN
        if kind == 'known' or len(numbers) <= count:
            shown.update(numbers)
        elif count == 1:
            shown.add(numbers[len(numbers) // 2])
        else:
            shown.update(numbers[index * (len(numbers) - 1) // (count - 1)]
                         for index in range(count))
    return frozenset(shown)


class Gallery:
    """
    The folder `pictures/PART/IMAGE/` of a run: for each method a PNG, and what goes over it.

    :param folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def chosen(count: int, wanted: int) -> list[int]:
        """Return the numbers of the pictures that are kept, from the middle of equal shares."""
        wanted = min(count, wanted)
        return [(2 * number + 1) * count // (2 * wanted) for number in range(wanted)]

    def cell(self, part: str, sample: Sample, method: str, key: str,
             result: Callable[[], Reconstructed], tasks: Sequence[RunTask]) -> dict[str, Any]:
        """
        Keep a reconstruction, unless it is there.

        :param key: stands for all that the cell is made of.
        :param result: makes the reconstruction.
        :return: JSON values: bytes, bpp, caption, and files relative to the run's folder.
        :raises OSError: it cannot be written.
        """
        place = Path(FOLDER, part, _word(sample.name))
        note = self._folder / place / f'{method}.json'
        try:
            kept = json.loads(note.read_text(encoding='utf-8'))
            if kept['key'] == key and kept['sizes'] == self._sizes(kept['cell']):
                return kept['cell']
        except (OSError, ValueError, KeyError, TypeError):  # not there, or cut off
            pass
        (self._folder / place).mkdir(parents=True, exist_ok=True)
        cell = self._made(place, method, sample, result(), tasks)
        note.write_text(json.dumps({'key': key, 'sizes': self._sizes(cell), 'cell': cell}),
                        encoding='utf-8')
        return cell

    def _sizes(self, cell: Mapping[str, Any]) -> list[int]:
        """Return the lengths of a cell's files: one that a power cut left short is made again."""
        return [(self._folder / cell[name]).stat().st_size for name in ('file', 'depth', 'labels')
                if cell[name] is not None]

    def _made(self, place: Path, method: str, sample: Sample, result: Reconstructed,
              tasks: Sequence[RunTask]) -> dict[str, Any]:
        height, width = sample.image.shape[:2]
        cell: dict[str, Any] = {
            'bytes': result.bytes, 'bpp': 8 * result.bytes / (height * width),
            'caption': result.caption, 'file': str(place / f'{method}.png'), 'depth': None,
            'labels': None, 'class_names': [], 'boxes': None}
        self._write(cell['file'], cv2.imencode(
            '.png', np.ascontiguousarray(result.image[..., ::-1]))[1].tobytes())
        for task in tasks:
            over = task.overlay(result)
            if 'depth' in over:
                cell['depth'] = str(place / f'{method}.depth.npy')
                np.save(self._folder / cell['depth'], over['depth'], allow_pickle=False)
            if 'labels' in over:
                cell['labels'] = str(place / f'{method}.labels.png')
                self._write(cell['labels'], cv2.imencode('.png', over['labels'])[1].tobytes())
                cell['class_names'] = over['class_names']
            if 'boxes' in over:
                cell['boxes'] = over['boxes']
        return cell

    def _write(self, file: str, content: bytes) -> None:
        (self._folder / file).write_bytes(content)


def _word(name: str) -> str:
    """Return a name as one part of a path."""
    return ''.join(letter if letter.isalnum() or letter in '-_.' else '_' for letter in name)
