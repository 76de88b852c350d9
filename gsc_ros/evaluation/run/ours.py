# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
This package's codec as a method: the structure picture, the generated one, and the caption alone.

Bytes are those of the packet that would go over the link, by section.

With loss, a packet goes over the link of `evaluation.packet_loss`: it is cut into datagrams of
`mtu` bytes, each is lost independently, and the frame is lost with any of them. There is neither
repair nor error correction, which `gsc link` has. What is seen is the last picture that arrived,
gray before the first; the samples of the run are its frames in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from gsc_ros.codec.error import CodecError
from gsc_ros.codec.frame import EncodedFrame, EncoderSettings
from gsc_ros.codec.generator.generator import GenerationSettings
from gsc_ros.codec.selection import Selection
from gsc_ros.evaluation.dataset.dataset import Sample
from gsc_ros.evaluation.packet_loss import LossyLink
from gsc_ros.evaluation.run.caption import (
    CODERS,
    NONE,
    open_captions,
    OURS,
    section_bytes,
    shortened,
    TEXT_PREFIX,
)
from gsc_ros.evaluation.run.digest import digest_of
from gsc_ros.evaluation.run.method import (
    Group,
    MethodError,
    MethodSpec,
    Reconstructed,
    RunError,
    Scalar,
)
from gsc_ros.evaluation.run.model import Models
import numpy as np

#: Options of `gsc`, and what they are when nothing is said.
STRUCTURE_OPTIONS: dict[str, Scalar] = {
    'channels': 4, 'selection': Selection.SSIM.value, 'quantizer': None, 'max_bpp': None,
    'profile': 'tiny', 'caption': NONE, 'caption_length': None, 'caption_coder': OURS,
    'loss': 0.0, 'mtu': 1200, 'loss_seed': 0}
#: Options of `generate` and `text` besides.
GENERATOR_OPTIONS: dict[str, Scalar] = {
    'generator': 'tiny', 'steps': None, 'guidance': None, 'use_text': True, 'use_structure': True,
    'seed': 0}
#: All options by kind.
KNOWN: dict[str, dict[str, Scalar]] = {
    'gsc': STRUCTURE_OPTIONS, 'generate': STRUCTURE_OPTIONS | GENERATOR_OPTIONS,
    'text': STRUCTURE_OPTIONS | GENERATOR_OPTIONS}
# Those that change the rate of a curve rather than begin another one.
_ALONG = ('channels', 'quantizer', 'max_bpp', 'caption_length', 'loss')
# A generated picture is seen at once by all tasks, which ask for it one after the other.
_KEPT = 4


class OwnMethod:
    """
    The codec with a set of options.

    :param spec: of kind 'gsc', 'generate' or 'text', see STRUCTURE_OPTIONS and GENERATOR_OPTIONS.
    :raises RunError: an option has no such value.
    :raises MethodUnavailable: profile or generator is not here.
    """

    group = Group.OURS

    def __init__(self, spec: MethodSpec, models: Models) -> None:
        self._options = KNOWN[spec.kind] | dict(spec.options)
        self._kind = spec.kind
        self._models = models
        options = self._options
        if options['caption_coder'] not in CODERS:
            raise RunError(f'caption_coder {options["caption_coder"]!r}: there are '
                           f'{", ".join(CODERS)}')
        self._captions = open_captions(str(options['caption']))
        self._settings = _encoder_settings(options)
        self._link = LossyLink(float(options['loss']), int(options['mtu']),
                               seed=int(options['loss_seed']))
        self._profile = models.profile(str(options['profile']))
        self._generates = spec.kind != 'gsc'
        # Its weights are loaded when a picture has to be generated.
        self._generator_identity = (
            models.generator_identity(str(options['generator'])) if self._generates else '')
        self.title = _title(spec, options)
        self.series = _series(spec)
        self._packet = lru_cache(_KEPT)(self._encoded)

    def identity(self, index: int, sample: Sample) -> dict[str, Any]:
        """Return the options, with content in the place of names; see `Method`."""
        result = dict(self._options) | {
            'kind': self._kind, 'profile': self._profile.content_hash.hex(),
            'caption': self._caption(sample)}
        if self._generates:
            result['generator'] = self._generator_identity
        if self._link.loss:
            shown = self._shown(index)
            result['shown'] = None if shown is None else digest_of(self._models.sample(shown))
        return result

    def reconstruct(self, index: int, sample: Sample) -> Reconstructed:
        """Code and decode one picture; see `Method`."""
        caption = self._caption(sample)
        try:
            frame = self._packet(index)
            sections = self._sections(frame.sections, caption)
            image = self._image(index, sample)
        except CodecError as error:
            raise MethodError(str(error)) from error
        return Reconstructed(image, sum(sections.values()), sections, caption)

    def _caption(self, sample: Sample) -> str:
        length = self._options['caption_length']
        return shortened(self._captions(sample), None if length is None else int(length))

    def _encoded(self, index: int) -> EncodedFrame:
        sample = self._models.sample(index)
        encoder = self._models.encoder(str(self._options['profile']))
        return encoder.encode(sample.image, self._settings(sample, self._caption(sample)))

    def _sections(self, sections: Mapping[str, int], caption: str) -> dict[str, int]:
        """Return the bytes by section that this method would send."""
        text = section_bytes(caption, str(self._options['caption_coder']))
        if self._kind == 'text':
            return {'header': sections['header'], 'text': text}
        return dict(sections) | {'text': text}

    def _shown(self, index: int) -> int | None:
        """Return the number of the frame that is seen instead of a lost one; None before all."""
        for number in range(index, -1, -1):
            if all(self._link.carries(number, [len(self._packet(number).payload)])):
                return number
        return None

    def _image(self, index: int, sample: Sample) -> np.ndarray:
        if not self._link.loss:
            return self._decoded(index)
        shown = self._shown(index)
        blank = np.full_like(sample.image, 128)
        if shown is None:
            return blank
        image = self._decoded(shown)
        return image if image.shape == blank.shape else blank

    def _decoded(self, index: int) -> np.ndarray:
        decoder = self._models.decoder(str(self._options['profile']))
        frame = decoder.decode(self._packet(index).payload)
        if not self._generates:
            return frame.image
        options = self._options
        settings = GenerationSettings(
            steps=options['steps'], guidance=options['guidance'],
            use_text=bool(options['use_text']),
            use_structure=bool(options['use_structure']) and self._kind == 'generate')
        condition = decoder.condition(frame, frame.caption)
        generator = self._models.generator(str(options['generator']), str(options['profile']))
        return generator.generate([condition], settings)[0]


def _encoder_settings(options: Mapping[str, Scalar]) -> Any:
    """
    Return what makes the settings of a sample and its caption.

    :raises RunError: there is no such selection.
    """
    try:
        selection = Selection(options['selection'])
    except ValueError:
        raise RunError(f'selection {options["selection"]!r}: there are '
                       + ', '.join(one.value for one in Selection)) from None
    bpp = options['max_bpp']

    def settings(sample: Sample, caption: str) -> EncoderSettings:
        height, width = sample.image.shape[:2]
        return EncoderSettings(
            channels=int(options['channels']), quantizer=options['quantizer'],
            selection=selection, caption=caption, seed=int(options.get('seed') or 0),
            max_bytes=None if bpp is None else int(float(bpp) * width * height / 8))
    return settings


_KIND_TITLES = {'gsc': 'gsc structure', 'generate': 'gsc generated', 'text': 'directly generated'}


def _title(spec: MethodSpec, options: Mapping[str, Scalar]) -> str:
    words = [_KIND_TITLES[spec.kind]]
    if spec.kind != 'text':
        words.append(f'C = {options["channels"]}')
    return ', '.join(words + _words(spec, ('channels',)))


def _series(spec: MethodSpec) -> str:
    return ', '.join([_KIND_TITLES[spec.kind], *_words(spec, _ALONG)])


def _words(spec: MethodSpec, without: Sequence[str]) -> list[str]:
    """Return the options that are not as usual, in words."""
    words = []
    for name, value in spec.options:
        if name in without or value == KNOWN[spec.kind][name]:
            continue
        if name == 'caption':
            value = ('of one wording' if str(value).startswith(TEXT_PREFIX)
                     else str(value).rpartition('/')[2])
        words.append(f'{name.replace("_", " ")} {value}')
    return words
