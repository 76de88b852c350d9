# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ablations: a part of a run for each option, which takes one value after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gsc_ros.codec.selection import Selection
from gsc_ros.evaluation.run.caption import CODERS
from gsc_ros.evaluation.run.method import RunError, Scalar
import yaml


@dataclass(frozen=True)
class Axis:
    """
    An option to go over.

    :param title: of the table.
    :param values: the usual ones.
    :param kind: of the method that has it.
    :param consecutive: whether the pictures must follow each other.
    """

    title: str
    values: tuple[Scalar, ...]
    kind: str = 'gsc'
    consecutive: bool = False


AXES: dict[str, Axis] = {
    'channels': Axis('Number of channels', (1, 2, 4, 8, 16, 32, 64)),
    'selection': Axis('Which channels are sent', tuple(one.value for one in Selection)),
    'quantizer': Axis('Quantizer', (0, 4, 8, 12, 15)),
    'caption_length': Axis('Length of captions', (0, 40, 80, 160, 340), 'generate'),
    'caption_coder': Axis('Coder of captions', CODERS),
    'steps': Axis('Steps of the generator', (1, 2, 4, 8), 'generate'),
    'guidance': Axis('Guidance of the generator', (1.0, 2.0, 3.5, 5.0), 'generate'),
    'use_text': Axis('With and without text', (True, False), 'generate'),
    'use_structure': Axis('With and without structure', (True, False), 'generate'),
    'loss': Axis('Lost packets', (0.0, 0.05, 0.1, 0.2, 0.4), consecutive=True),
}


def ablation_parts(data: Mapping[str, Any], over: Sequence[str],
                   values: Sequence[str] | None, methods: Mapping[str, Mapping[str, Any]],
                   tasks: Sequence[Any]) -> list[dict[str, Any]]:
    """
    Return the parts of a run in YAML.

    :param data: as in YAML.
    :param over: names of AXES.
    :param values: of the only one of them; None for the usual ones.
    :param methods: the other options by kind of method.
    :param tasks: as in YAML.
    :raises RunError: an option is unknown, or the values could be of several.
    """
    if values and len(over) != 1:
        raise RunError('values are those of one option, and several are gone over')
    parts = []
    for name in over:
        axis = AXES.get(name)
        if axis is None:
            raise RunError(f'no ablation over {name!r}; there are: {", ".join(AXES)}')
        chosen = [yaml.safe_load(value) for value in values] if values else list(axis.values)
        parts.append({
            'name': name, 'title': axis.title, 'axis': name,
            'data': dict(data) | ({'pick': 'first'} if axis.consecutive else {}),
            'tasks': list(tasks),
            'methods': [{axis.kind: dict(methods[axis.kind]) | {name: chosen}}]})
    return parts
