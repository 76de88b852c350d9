# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tasks that a network does: depth, classes of pixels, objects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from gsc_ros.evaluation.dataset.dataset import BoxTruth, DepthTruth, LabelTruth, Sample
from gsc_ros.evaluation.run.method import MethodError, Reconstructed, RunError, Scalar
from gsc_ros.evaluation.run.task import Column, KEPT, Row, TaskSpec
from gsc_ros.evaluation.task import depth, detection, segmentation
from gsc_ros.perception.network import agreement as counting
from gsc_ros.perception.network.fastestdet import Detections
from gsc_ros.perception.network.label import class_map
from gsc_ros.perception.network.network import (
    AnyNetwork,
    Detected,
    NetworkError,
    NetworkSettings,
    Task,
)
from gsc_ros.perception.network.opening import open_network
import numpy as np


class _NetworkTask:
    """What the tasks with a network share."""

    task: Task
    options: dict[str, Scalar] = {
        'network': None, 'model': None, 'names': None, 'device': None, 'threads': 1}

    def __init__(self, spec: TaskSpec, classes: Sequence[str], device: str) -> None:
        self.spec = spec
        self.missing: dict[str, str] = {}
        self._options = self.options | dict(spec.options)
        self._classes = tuple(classes)
        self._device = device
        self._network: AnyNetwork | None = None
        self._of_original = lru_cache(KEPT)(self._on_original)
        self._sample: Sample | None = None

    @property
    def network(self) -> Any:
        """Return the network, opened with the first call."""
        if self._network is None:
            if self._options['network'] is None:
                raise MethodError(f'no {self.task.value} network was named')
            names, device = self._options['names'], self._options['device']
            self._network = _open_network(str(self._options['network']), NetworkSettings(
                model=self._options['model'], names=None if names is None else Path(str(names)),
                device=self._device if device is None else str(device),
                threads=int(self._options['threads']), min_score=self._min_score()), self.task)
        return self._network

    def _min_score(self) -> float | None:
        return None

    def identity(self) -> dict[str, Any]:
        """Return the network's weights and the options; see `RunTask`."""
        # Where it runs does not change what it says.
        options = {name: value for name, value in self.spec.options
                   if name not in ('device', 'threads', 'model', 'names')}
        network = '' if self._options['network'] is None else self.network.identity
        # Names that were given are no part of the weights, and decide what is right.
        named = {} if self._options['names'] is None else {'names': list(self.network.classes)}
        return {'task': self.spec.kind, **options, 'network': network,
                'classes': list(self._classes), **named}

    def reference(self, sample: Sample) -> Any:
        """Return what the network says of the original."""
        self._sample = sample
        return self._of_original(sample.name, id(sample))

    def _on_original(self, name: str, identity: int) -> Any:
        del name, identity  # the key
        return self.network(self._sample.image)


class DepthTask(_NetworkTask):
    """Depth: errors against the truth in metres, or against the depth of the original."""

    task = Task.DEPTH
    options = {**_NetworkTask.options, 'alignment': None, 'region': None}
    columns = (
        Column('delta1', 'δ1', '', 'higher'), Column('delta2', 'δ2', '', 'higher'),
        Column('delta3', 'δ3', '', 'higher'), Column('abs_rel', 'AbsRel', '', 'lower'),
        Column('rmse', 'RMSE', 'm', 'lower'), Column('rmse_log', 'RMSE log', '', 'lower'))

    def __init__(self, spec: TaskSpec, classes: Sequence[str], device: str) -> None:
        super().__init__(spec, classes, device)
        if self._options['alignment'] not in (None, *depth.ALIGNMENTS):
            raise RunError(f'alignment {self._options["alignment"]!r}: there are '
                           f'{", ".join(depth.ALIGNMENTS)}')
        if self._options['region'] not in (None, 'garg'):
            raise RunError(f'region {self._options["region"]!r}: there is garg')

    def note(self, truth: type | None) -> str:
        """Return how depth was aligned; see `RunTask`."""
        if truth is not DepthTruth:
            return ('Against the depth that the network sees in the original; RMSE in units of the '
                    "original's median depth.")
        alignment = self._options['alignment'] or 'least-squares'
        return (f'Mean over pictures. Depth of a network: {depth.ALIGNMENTS[str(alignment)]}; '
                'depth in metres that needs no network is taken as it is.')

    def measure(self, sample: Sample, result: Reconstructed) -> Row | None:
        """Return the errors of one depth map; see `RunTask`."""
        if isinstance(sample.truth, DepthTruth):
            region = None
            if self._options['region'] == 'garg':
                region = depth.garg_region(*sample.image.shape[:2])
            if result.depth is not None:
                return depth.measure(sample.truth, result.depth, 'metres', 'none', region)
            alignment = self._options['alignment'] or 'least-squares'
            return depth.measure(
                sample.truth, self.network(result.image), self.network.kind, alignment, region)
        if result.depth is not None:
            raise MethodError('depth that is known needs a data set that knows it')
        return depth.measure_agreement(
            self.reference(sample), self.network(result.image), self.network.kind)

    def join(self, rows: Sequence[Row]) -> dict[str, float | None]:
        """Return the means; see `RunTask`."""
        return depth.join(rows)

    def overlay(self, result: Reconstructed) -> dict[str, Any]:
        """Return the depth map; see `RunTask`."""
        if result.depth is not None:
            return {'depth': result.depth.astype(np.float16)}
        if self._options['network'] is None:
            return {}
        return {'depth': np.asarray(self.network(result.image), np.float16)}


class SegmentationTask(_NetworkTask):
    """Classes of pixels, on those of the data set, or as in the original."""

    task = Task.SEGMENTATION
    columns = (
        Column('pixel_accuracy', 'pixel acc.', '', 'higher'),
        Column('mean_accuracy', 'mean acc.', '', 'higher'), Column('miou', 'mIoU', '', 'higher'))

    def note(self, truth: type | None) -> str:
        """Return which classes count; see `RunTask`."""
        if truth is LabelTruth:
            return 'One confusion matrix over all pictures, on the classes of the data set.'
        return ("Agreement with the labels of the original, on the network's classes; one "
                'confusion matrix over all pictures.')

    def measure(self, sample: Sample, result: Reconstructed) -> Row | None:
        """Return the confusion matrix of one picture; see `RunTask`."""
        labels = self.network(result.image)
        if isinstance(sample.truth, LabelTruth):
            labels = class_map(self.network.classes, self._classes)[labels]
            matrix = segmentation.measure(sample.truth.labels, labels, len(self._classes))
        else:
            matrix = segmentation.measure(
                self.reference(sample), labels, len(self.network.classes))
        return {'matrix': matrix.tolist()} if matrix.any() else None

    def join(self, rows: Sequence[Row]) -> dict[str, float | None]:
        """Return the figures of the sum; see `RunTask`."""
        return segmentation.join(row['matrix'] for row in rows)

    def overlay(self, result: Reconstructed) -> dict[str, Any]:
        """Return the labels; see `RunTask`."""
        return {'labels': np.asarray(self.network(result.image), np.uint8),
                'class_names': list(self.network.classes)}


class DetectionTask(_NetworkTask):
    """Objects, as in the data set or as in the original."""

    task = Task.DETECTION
    options = {**_NetworkTask.options, 'min_score': 0.001, 'score': 0.5}
    columns = (
        Column('precision', 'precision', '', 'higher'), Column('recall', 'recall', '', 'higher'),
        Column('map50', 'mAP50', '', 'higher'), Column('map50_95', 'mAP50-95', '', 'higher'),
        Column('f1', 'F1', '', 'higher'))

    def note(self, truth: type | None) -> str:
        """Return what is taken for true; see `RunTask`."""
        what = ('Against the annotations' if truth is BoxTruth else
                f'Against what the network finds on the original with a score of '
                f'{self._options["score"]:g} or more')
        return (f'{what}. Precision and recall at the score of the best F1, mean over classes; F1: '
                f'at the score {self._options["score"]:g}, counted over all classes.')

    def _min_score(self) -> float | None:
        return float(self._options['min_score'])

    def identity(self) -> dict[str, Any]:
        """Return the network's weights and the options; see `RunTask`."""
        if (reason := detection.missing()) is not None:
            raise NetworkError(reason)
        return super().identity()

    def measure(self, sample: Sample, result: Reconstructed) -> Row | None:
        """Return the objects of one picture, and those that are true; see `RunTask`."""
        found = self.network(result.image)
        detection.check(found)
        if isinstance(sample.truth, BoxTruth):
            truth, classes = sample.truth, self._classes
            found = Detected(found.boxes, class_map(self.network.classes, classes)[found.classes],
                             found.scores)
        else:
            classes = self.network.classes
            reference = self.reference(sample)
            detection.check(reference)
            truth = detection.as_truth(reference, 0, float(self._options['score']))
        sure = found.scores >= float(self._options['score'])
        real = ~truth.crowd
        counts = counting.agreement(
            Detections(truth.boxes[real], truth.classes[real], np.ones(real.sum())),
            Detections(found.boxes[sure], found.classes[sure], found.scores[sure]))
        return {
            'classes': len(classes),
            'counts': [counts.both, counts.original, counts.reconstruction],
            'truth': {'boxes': _rounded(truth.boxes), 'classes': truth.classes.tolist(),
                      'crowd': truth.crowd.tolist(), 'areas': _rounded(truth.areas)},
            'found': {'boxes': _rounded(found.boxes), 'classes': found.classes.tolist(),
                      'scores': found.scores.tolist()}}

    def join(self, rows: Sequence[Row]) -> dict[str, float | None]:
        """Return the figures over all objects; see `RunTask`."""
        truths = [BoxTruth(_boxes(row['truth']['boxes']),
                           np.array(row['truth']['classes'], np.int64),
                           np.array(row['truth']['crowd'], np.bool_),
                           np.array(row['truth']['areas'], np.float32), number)
                  for number, row in enumerate(rows)]
        found = [Detected(_boxes(row['found']['boxes']),
                          np.array(row['found']['classes'], np.int64),
                          np.array(row['found']['scores'], np.float32)) for row in rows]
        figures = detection.join(truths, found, rows[0]['classes'])
        total = sum((counting.Agreement(*row['counts']) for row in rows), counting.Agreement())
        return {column.name: figures.get(column.name) for column in self.columns} | {
            'f1': total.f1}

    def overlay(self, result: Reconstructed) -> dict[str, Any]:
        """Return the objects; see `RunTask`."""
        found = self.network(result.image)
        return {'boxes': [
            {'box': _rounded(box), 'name': self.network.classes[kind], 'score': round(score, 3)}
            for box, kind, score in zip(found.boxes, found.classes, found.scores.tolist())
            if score >= float(self._options['score'])]}


@lru_cache(8)
def _open_network(name: str, settings: NetworkSettings, task: Task) -> AnyNetwork:
    """Open a network once in a process, whatever many parts ask for it."""
    return open_network(name, settings, task)


def _rounded(values: np.ndarray) -> list[Any]:
    """Return pixels to a hundredth, which is finer than any box is."""
    return np.round(values.astype(np.float64), 2).tolist()


def _boxes(values: Sequence[Sequence[float]]) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 4)
