# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tasks that need no network: distances between pictures, and the bound on the rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from gsc_ros.evaluation.bound import study
from gsc_ros.evaluation.bound.information import kept, MEASURES
from gsc_ros.evaluation.dataset.dataset import Sample
from gsc_ros.evaluation.run.method import MethodError, Reconstructed, RunError, Scalar
from gsc_ros.evaluation.run.task import Column, KEPT, Row, TaskSpec
from gsc_ros.evaluation.spectrum import MIN_SIDE, spectrum_distance
from gsc_ros.evaluation.task import image as picture
from gsc_ros.evaluation.task.weight import WeightFolder


class ImageTask:
    """The picture itself: how far it is from the original."""

    options: dict[str, Scalar] = {'weights': None, 'download': False, 'without': ''}
    columns = (
        Column('psnr', 'PSNR', 'dB', 'higher', 2), Column('ssim', 'SSIM', '', 'higher'),
        Column('ms_ssim', 'MS-SSIM', '', 'higher'), Column('vsi', 'VSI', '', 'higher', 4),
        Column('spectrum', 'spectrum', 'dB', 'lower', 2),
        Column('lpips', 'LPIPS', '', 'lower'), Column('dists', 'DISTS', '', 'lower'),
        Column('fid', 'FID', '', 'lower', 1))

    def __init__(self, spec: TaskSpec, classes: Sequence[str], device: str) -> None:
        del classes, device
        self.spec = spec
        self._options = self.options | dict(spec.options)
        folder = self._options['weights']
        weights = WeightFolder(
            None if folder is None else Path(str(folder)), bool(self._options['download']))
        self.metrics = picture.ImageMetrics(weights, str(self._options['without']).split())
        titles = {column.name: column.title for column in ImageTask.columns}
        self.missing = {titles[name]: why for name, why in self.metrics.missing.items()}
        wanted = {*self.metrics.names, 'spectrum', *(['fid'] if self.metrics.with_fid else [])}
        self.columns = tuple(column for column in ImageTask.columns if column.name in wanted)
        self._of_original = lru_cache(KEPT)(self._features)
        self._sample: Sample | None = None

    def note(self, truth: type | None) -> str:
        """Return over what the figures are; see `RunTask`."""
        del truth
        return ('Mean over pictures; PSNR over red, green and blue, SSIM and MS-SSIM per channel; '
                'spectrum: mean distance of the power at 12 frequencies.')

    def identity(self) -> dict[str, Any]:
        """Return which metrics are measured; see `RunTask`."""
        return {'task': self.spec.kind, 'metrics': list(self.metrics.names),
                'fid': self.metrics.with_fid, 'spectrum': True}

    def measure(self, sample: Sample, result: Reconstructed) -> Row | None:
        """Return the distances of one picture; see `RunTask`."""
        if result.depth is not None:
            raise MethodError('depth that is known is no picture')
        row: Row = dict(self.metrics.measure(sample.image, result.image))
        whole = min(sample.image.shape[:2]) >= MIN_SIDE
        row['spectrum'] = spectrum_distance(sample.image, result.image) if whole else None
        if self.metrics.with_fid:
            self._sample = sample
            row['features'] = [self._of_original(sample.name, id(sample)),
                               self.metrics.features(result.image).tolist()]
        return row

    def _features(self, name: str, identity: int) -> list[float]:
        del name, identity  # the key
        return self.metrics.features(self._sample.image).tolist()

    def join(self, rows: Sequence[Row]) -> dict[str, float | None]:
        """Return the means, and FID over all pictures; see `RunTask`."""
        figures = picture.join(rows)
        spectra = [row['spectrum'] for row in rows if row['spectrum'] is not None]
        figures['spectrum'] = sum(spectra) / len(spectra) if spectra else None
        if self.metrics.with_fid:
            figures['fid'] = picture.fid(*zip(*(row['features'] for row in rows)))
        return {column.name: figures[column.name] for column in self.columns}

    def overlay(self, result: Reconstructed) -> dict[str, Any]:
        """Return nothing: the picture is the answer."""
        return {}


class BoundTask:
    """The bound of section 3.4: what a picture's information allows at a rate, and what is kept."""

    options: dict[str, Scalar] = {
        'measure': 'energy', 'alpha': study.ALPHA, 'beta': study.BETA}
    columns = (
        Column('kept', 'information kept', '', 'higher'),
        Column('bound_bpp', 'least rate for it', 'bit/pixel', None, 4),
        Column('ratio', 'rate / least rate', '', 'lower', 1))

    def __init__(self, spec: TaskSpec, classes: Sequence[str], device: str) -> None:
        del classes, device
        self.spec = spec
        self.missing: dict[str, str] = {}
        self._options = self.options | dict(spec.options)
        if self._options['measure'] not in MEASURES:
            raise RunError(f'measure {self._options["measure"]!r}: there are {", ".join(MEASURES)}')
        self._of_original = lru_cache(KEPT)(self._described)
        self._sample: Sample | None = None

    def note(self, truth: type | None) -> str:
        """Return the measure of information; see `RunTask`."""
        del truth
        return f'Information: {MEASURES[str(self._options["measure"])]}; see docs/theory.md.'

    def identity(self) -> dict[str, Any]:
        """Return the measure; see `RunTask`."""
        return {'task': self.spec.kind, 'measure': self._options['measure'],
                'prices': study.PRICES.tolist()}

    def measure(self, sample: Sample, result: Reconstructed) -> Row | None:
        """Return the bound of one picture and what is kept of it; see `RunTask`."""
        self._sample = sample
        return {'bound': self._of_original(sample.name, id(sample)),
                'kept': kept(sample.image, result.image, str(self._options['measure'])),
                'bpp': 8 * result.bytes / (sample.image.shape[0] * sample.image.shape[1])}

    def _described(self, name: str, identity: int) -> dict[str, Any]:
        del name, identity  # the key
        return study.describe(self._sample.image, str(self._options['measure']))

    def study(self, rows: Sequence[Row], points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """
        Return the bound over all pictures, with measured points beside it.

        :param rows: those of one method.
        :param points: `bpp` and `kept` of each method.
        """
        return study.join([row['bound'] for row in rows], points, float(self._options['alpha']),
                          float(self._options['beta']), str(self._options['measure']))

    def join(self, rows: Sequence[Row]) -> dict[str, float | None]:
        """Return what is kept and the least rate for it; see `RunTask`."""
        means = {name: sum(row[name] for row in rows) / len(rows) for name in ('bpp', 'kept')}
        point = self.study(rows, [means])['points'][0]
        return {column.name: point[column.name] for column in self.columns}

    def overlay(self, result: Reconstructed) -> dict[str, Any]:
        """Return nothing: the picture is the answer."""
        return {}
