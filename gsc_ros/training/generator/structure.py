# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the receiver will know of an image: y_sel, drawn as senders send it, and the list of objects.

::

    image ─analysis─> y [320, h, w] ─quantizer, selection─> y_sel [320, h, w] ─synthesis─> picture
          ─averaged to the grid of y─> thumbnail ──────┘
      ─detector, if there is one─> objects
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.codec.profile import Profile
from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.codec.selection import most_similar, Selection
from gsc_ros.codec.structure import Analysis, dequantize, quantize, Synthesis
from gsc_ros.training.generator.found import Finder
import numpy as np

PAPER_COUNTS = (1, 2, 4, 8, 16)
"""Numbers of channels C that the paper trains a model for, each."""


@dataclass(frozen=True)
class StructureSettings:
    """
    How the structure of a training image is sent.

    :param counts: numbers of channels, one of which is drawn each time. Empty: any number of
        1..320, small ones oftener (log-uniform).
    :param selection: which channels: those most similar to the image, as in the paper, or the
        first ones.
    :param quantizers: first and last quantizer to draw from; None for the profile's default.
    :param drop_objects: share of the images that are sent without the list of objects.
    """

    counts: tuple[int, ...] = (4,)
    selection: Selection = Selection.SSIM
    quantizers: tuple[int, int] | None = None
    drop_objects: float = 0.3

    def __post_init__(self) -> None:
        """Raise ValueError when a value is out of its range."""
        if any(not 1 <= count <= LATENT_CHANNELS for count in self.counts):
            raise ValueError(f'channels must be in 1..{LATENT_CHANNELS}')
        if self.selection is Selection.RATE_DISTORTION:
            raise ValueError('channels are selected by ssim or in order for training')
        if self.quantizers and not 0 <= self.quantizers[0] <= self.quantizers[1]:
            raise ValueError('need 0 <= first quantizer <= last')
        if not 0 <= self.drop_objects <= 1:
            raise ValueError('drop_objects is in 0..1')

    @property
    def label(self) -> str:
        """What the control file says of its channels: ``4``, ``random`` or ``any``."""
        if not self.counts:
            return 'any'
        return str(self.counts[0]) if len(self.counts) == 1 else 'random'


@dataclass(frozen=True)
class Measured:
    """
    What the encoder sees of an image.

    :param latent: y before quantisation, float32 [320, h, w].
    :param thumbnail: the image averaged to the grid of y, float32 [h, w, 3] RGB in [0, 1]: all
        that the similarity of channels needs.
    :param objects: what the detector finds.
    """

    latent: np.ndarray
    thumbnail: np.ndarray
    objects: tuple[ObjectBox, ...] = ()


@dataclass(frozen=True)
class Sent:
    """
    What the decoder gets.

    :param latent: y_sel dequantised, float32 [320, h, w]; 0 where nothing was sent.
    :param symbols: int16 [len(channels), h, w].
    :param channels: the channels sent, ascending.
    :param quantizer: index of the quantizer.
    :param level: the same in 0..1, coarsest to finest.
    :param objects: the list of objects; empty where it was not sent.
    """

    latent: np.ndarray
    symbols: np.ndarray
    channels: tuple[int, ...]
    quantizer: int
    level: float
    objects: tuple[ObjectBox, ...] = ()


class StructureSource:
    """Encodes images and draws what is sent of them; everything random is given."""

    def __init__(
            self, profile: Profile, settings: StructureSettings, threads: int = 1,
            find: Finder | None = None) -> None:
        """
        Open the graphs of a profile.

        :param find: finds the objects of an image; None for no lists.

        :raises ValueError: when the profile has fewer quantizers than the settings draw from.
        """
        self.profile, self.settings, self.find = profile, settings, find
        last = profile.manifest.quantizers - 1
        if settings.quantizers and settings.quantizers[1] > last:
            raise ValueError(f'profile {profile.name} has quantizers 0..{last}')
        self._analysis = Analysis(profile, threads)
        self._synthesis = Synthesis(profile, threads)
        self._ranks: dict[tuple[str, int], np.ndarray] = {}

    def measure(self, image: np.ndarray) -> Measured:
        """Encode an image uint8 [H, W, 3] without quantisation."""
        work = self._analysis.reduce(image)
        latent = self._analysis.transform(work)
        size = (latent.shape[2], latent.shape[1])
        return Measured(latent, cv2.resize(work, size, interpolation=cv2.INTER_AREA),
                        self.find(image) if self.find else ())

    def send(
            self, measured: Measured, generator: np.random.Generator, key: str = '') -> Sent:
        """
        Draw quantizer, channels and whether there is a list of objects; return what arrives.

        :param key: names the image, whose channels are then ranked only once.
        """
        manifest = self.profile.manifest
        quantizer = manifest.default_quantizer
        if self.settings.quantizers:
            first, last = self.settings.quantizers
            quantizer = int(generator.integers(first, last + 1))
        counts: Sequence[int] = self.settings.counts
        if counts:
            count = int(counts[generator.integers(len(counts))])
        else:
            count = int(np.exp(generator.uniform(0, np.log(LATENT_CHANNELS + 1))))
        gains = self.profile.gains[quantizer]
        if self.settings.selection is Selection.SSIM:
            channels = tuple(sorted(int(c) for c in self._rank(measured, quantizer, key)[:count]))
        else:
            channels = tuple(range(count))
        chosen = list(channels)
        symbols = quantize(measured.latent[chosen], gains[chosen], manifest.symbol_max)
        latent = np.zeros_like(measured.latent)
        latent[chosen] = dequantize(symbols, gains[chosen])
        level = quantizer / max(manifest.quantizers - 1, 1)
        sent = Sent(latent, symbols, channels, quantizer, level)
        if self.find is None or generator.random() < self.settings.drop_objects:
            return sent
        return replace(sent, objects=measured.objects)

    def _rank(self, measured: Measured, quantizer: int, key: str) -> np.ndarray:
        """Return the channels, the most similar to the image first, uint16 [320]."""
        if (key, quantizer) in self._ranks:
            return self._ranks[key, quantizer]
        # As the encoder ranks them: quantised.
        symbols = quantize(
            measured.latent, self.profile.gains[quantizer], self.profile.manifest.symbol_max)
        rank = np.array(
            most_similar(LATENT_CHANNELS, symbols, measured.thumbnail), np.uint16)
        if key:
            self._ranks[key, quantizer] = rank
        return rank

    def scale(self, measured: Iterable[Measured]) -> np.ndarray:
        """
        Return factors that bring the channels to about one size, float32 [320].

        One over the root mean square, or over the smallest number that a channel can have but 0
        where that is larger: a channel that is mostly silent is not to shout when it is not.
        """
        manifest, quantizer = self.profile.manifest, self.profile.manifest.default_quantizer
        gains = self.profile.gains[quantizer]
        squares = [np.square(dequantize(quantize(one.latent, gains, manifest.symbol_max), gains))
                   .mean(axis=(1, 2)) for one in measured]
        size = np.sqrt(np.mean(squares, axis=0))
        return (1 / np.maximum(size, 1 / gains)).astype(np.float32)

    def picture(self, sent: Sent) -> np.ndarray:
        """Return what the structure decoder makes of it, uint8 [H, W, 3] of the camera's size."""
        pitch = self.profile.pitch
        height, width = (side * pitch for side in sent.latent.shape[1:])
        return self._synthesis.render(
            sent.symbols, sent.channels, sent.quantizer, height, width).image
