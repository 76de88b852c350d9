# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is loaded once in a process, however many methods use it."""

from __future__ import annotations

from collections.abc import Callable
import copy
from functools import lru_cache

from gsc_ros.codec.error import CodecError
from gsc_ros.codec.frame import FrameDecoder, FrameEncoder
from gsc_ros.codec.generator.generator import Generator
from gsc_ros.codec.generator.manifest import structure_hash
from gsc_ros.codec.generator.opening import find_generator, open_generator
from gsc_ros.codec.profile import load_profile, MANIFEST_FILE, Profile
from gsc_ros.evaluation.dataset.dataset import Sample
from gsc_ros.evaluation.run.digest import digest_of_file
from gsc_ros.evaluation.run.method import MethodUnavailable

# Samples that a method may look back on; see `MethodSpec` option `loss`.
KEPT_SAMPLES = 8


class Models:
    """
    Codecs and generators by name, and the samples of a part by number.

    :param threads: of each graph.
    :param device: of torch models, as in `NetworkSettings`.
    """

    def __init__(self, threads: int = 1, device: str = 'auto') -> None:
        self.threads = threads
        self.device = device
        self.profile = lru_cache(None)(self._profile)
        self.encoder = lru_cache(None)(self._encoder)
        self.decoder = lru_cache(None)(self._decoder)
        self.generator = lru_cache(None)(self._generator)

    def over(self, read: Callable[[int], Sample]) -> Models:
        """Return the same models with `sample`, which reads and remembers samples by number."""
        other = copy.copy(self)
        other.sample = lru_cache(KEPT_SAMPLES)(read)
        return other

    @staticmethod
    def sample(index: int) -> Sample:
        """Refuse: the models are over no samples yet."""
        raise LookupError(f'no sample {index}')

    def _profile(self, name: str) -> Profile:
        try:
            return load_profile(name)
        except CodecError as error:
            raise MethodUnavailable(str(error)) from error

    def _encoder(self, name: str) -> FrameEncoder:
        return FrameEncoder(self.profile(name), self.threads)

    def _decoder(self, name: str) -> FrameDecoder:
        return FrameDecoder(self.profile(name), self.threads)

    def _generator(self, name: str, profile: str) -> Generator:
        try:
            return open_generator(
                name, threads=self.threads, device='' if self.device == 'auto' else self.device,
                structure_hash=structure_hash(self.profile(profile)))
        except (CodecError, OSError) as error:
            raise MethodUnavailable(str(error)) from error

    def generator_identity(self, name: str) -> str:
        """
        Return what stands for the weights of a generator: its manifest has their hashes.

        :raises MethodUnavailable: it is not here.
        """
        try:
            return digest_of_file(find_generator(name) / MANIFEST_FILE)
        except (CodecError, OSError) as error:
            raise MethodUnavailable(str(error)) from error
