# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of single pictures against their originals, each pair measured once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from gsc_ros.evaluation import saliency
from gsc_ros.evaluation.metric import psnr, ssim
from gsc_ros.evaluation.resampling import Picture
from gsc_ros.evaluation.score import MAX_PSNR
from gsc_ros.evaluation.store import Store
from gsc_ros.evaluation.stream_cache import digest
from gsc_ros.perception.network.agreement import Agreement, agreement
from gsc_ros.perception.network.network import DetectionNetwork
import numpy as np

#: Metrics of a pair by name; `agreement` has the three counts of :class:`detection.Agreement`.
PairScore = dict[str, float | list[int]]
#: From reference and image, uint8 [H, W, 3] RGB, to a distance.
Distance = Callable[[Picture, Picture], float]


class PairScorer:
    """
    Scores pictures against originals; a pair that was scored before is taken from the store.

    :param originals: uint8 [H, W, 3] RGB, 11 pixels a side or more.
    :param store: where scores are kept.
    :param with_vsi: whether to compute VSI.
    :param lpips: the metric; None to leave it out.
    :param detector: for the agreement of detections; None to leave F1 out.
    """

    def __init__(self, originals: Sequence[Picture], store: Store, with_vsi: bool,
                 lpips: Distance | None = None,
                 detector: DetectionNetwork | None = None) -> None:
        self._originals = originals
        self._digests = [digest(image) for image in originals]
        self._store = store
        self._with_vsi = with_vsi
        self._lpips = lpips
        self._detector = detector
        self._turn = Lock()  # of the detector, which serves one thread at a time
        self._detections = [detector(image) for image in originals] if detector else []
        self._identity = (f'vsi={with_vsi} lpips={lpips is not None} '
                          f'detector={detector.identity if detector else None}')

    def score(self, pairs: Iterable[tuple[int, str]], pictures: dict[str, Picture], workers: int,
              report: Callable[[int, int], None]) -> dict[tuple[int, str], PairScore]:
        """
        Return the scores of pairs: number of the original, digest of the picture.

        :param pictures: by their digests.
        :param workers: pairs at a time.
        :param report: called with the pairs done and all there are.
        :raises OSError: the store cannot be written.
        """
        wanted = sorted(set(pairs))
        scores = {}
        with ThreadPoolExecutor(workers) as pool:
            made = pool.map(lambda pair: self._pair(pair[0], pair[1], pictures[pair[1]]), wanted)
            try:
                for pair, score in zip(wanted, made):
                    scores[pair] = score
                    report(len(scores), len(wanted))
            finally:
                pool.shutdown(cancel_futures=True)
        return scores

    def _pair(self, number: int, name: str, picture: Picture) -> PairScore:
        description = {'original': self._digests[number], 'picture': name,
                       'metrics': self._identity}
        score = self._store.get(description)
        if score is None:
            score = self._measured(number, picture)
            self._store.put(description, score)
        return score

    def _measured(self, number: int, picture: Picture) -> PairScore:
        original = self._originals[number]
        score: PairScore = {'psnr': min(psnr(original, picture), MAX_PSNR),
                            'ssim': ssim(original, picture)}
        if self._with_vsi:
            score['vsi'] = saliency.vsi(original, picture)
        if self._lpips:
            score['lpips'] = self._lpips(original, picture)
        if self._detector:
            with self._turn:
                seen = self._detector(picture)
            found = agreement(self._detections[number], seen)
            score['agreement'] = [found.both, found.original, found.reconstruction]
        return score


def mean(scores: Sequence[PairScore]) -> dict[str, float | None]:
    """Return the means of the metrics, and F1 over all counts; at least one score."""
    means: dict[str, float | None] = {
        name: float(np.mean([score[name] for score in scores]))
        for name in scores[0] if name != 'agreement'}
    if 'agreement' in scores[0]:
        total = sum((Agreement(*score['agreement']) for score in scores), Agreement())
        means['f1'] = total.f1
    return means
