# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the captions of a run come from, and what they would cost with other coders."""

from __future__ import annotations

from collections.abc import Callable
import lzma
from pathlib import Path
import zlib

import cv2
from gsc_ros.codec import text
from gsc_ros.codec.caption.line import one_line
from gsc_ros.codec.packet import MAX_TEXT_BYTES
from gsc_ros.evaluation.dataset.dataset import Sample
from gsc_ros.evaluation.run.method import MethodError, RunError
import numpy as np

NONE, TEMPLATE, TEXT_PREFIX = 'none', 'template', 'text:'
# A file of captions is read whole.
MAX_FILE_BYTES = 64 << 20

#: From a sample to its caption.
Captions = Callable[[Sample], str]


def open_captions(source: str) -> Captions:
    """
    Return what gives samples their captions.

    :param source: 'none'; 'template', a sentence about light and colours that needs no network;
        'text:...', the same words for all; or a text file, which has one line for all pictures, or
        a line `NAME<tab>CAPTION` for each.
    :raises RunError: the file cannot be read or is of another form.
    """
    if source == NONE:
        return lambda sample: ''
    if source == TEMPLATE:
        return lambda sample: describe(sample.image)
    if source.startswith(TEXT_PREFIX):
        words = source.removeprefix(TEXT_PREFIX)
        return lambda sample: words
    return _from_file(Path(source))


def _from_file(path: Path) -> Captions:
    try:
        with path.open('rb') as file:
            content = file.read(MAX_FILE_BYTES + 1)
        lines = [line for line in content.decode('utf-8').splitlines() if line.strip()]
    except OSError as error:
        raise RunError(f'{path}: {error.strerror}: captions are `none`, `template`, '
                       '`text:WORDS` or a file') from error
    except UnicodeDecodeError as error:
        raise RunError(f'{path}: not UTF-8 text: {error}') from error
    if len(content) > MAX_FILE_BYTES:
        raise RunError(f'{path}: larger than {MAX_FILE_BYTES} bytes')
    if len(lines) == 1 and '\t' not in lines[0]:
        return lambda sample: lines[0].strip()
    named = dict(line.split('\t', 1) for line in lines if '\t' in line)
    if not lines or len(named) != len(lines):
        raise RunError(f'{path}: a file of captions has one line for all pictures, or a line '
                       '`NAME<tab>CAPTION` for each, and no name twice')

    def caption(sample: Sample) -> str:
        try:
            return named[sample.name].strip()
        except KeyError:
            raise MethodError(f'{path}: has no line for {sample.name}') from None
    return caption


def shortened(caption: str, characters: int | None) -> str:
    """Return a caption as one line of at most so many characters, ending after a word."""
    if characters == 0:
        return ''
    return one_line(caption, MAX_TEXT_BYTES if characters is None else characters)


_LIGHT = ((60, 'dark'), (100, 'dim'), (160, 'evenly lit'), (256, 'bright'))
_HUES = ((15, 'red'), (35, 'yellow'), (85, 'green'), (100, 'turquoise'), (130, 'blue'),
         (165, 'purple'), (181, 'red'))


def describe(image: np.ndarray) -> str:
    """
    Return a sentence on the light and the colours of a picture, uint8 [H, W, 3] RGB.

    It is what can be said without a network that looks at pictures.
    """
    small = cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA)
    light = _at(_LIGHT, float(small.mean()))
    top, bottom = _colour(small[:8]), _colour(small[8:])
    return f"A {light} picture of a robot's camera, {top} above and {bottom} below."


def _colour(part: np.ndarray) -> str:
    """Return the name of the mean colour of a part of a picture, uint8 [h, w, 3] RGB."""
    mean = part.reshape(1, -1, 3).mean(axis=1, keepdims=True).astype(np.uint8)
    hue, saturation, value = cv2.cvtColor(mean, cv2.COLOR_RGB2HSV)[0, 0].tolist()
    if value < 40:
        return 'black'
    if saturation < 40:
        return 'white' if value > 200 else 'gray'
    return _at(_HUES, hue)


def _at(steps: tuple[tuple[int, str], ...], value: float) -> str:
    return next(word for limit, word in steps if value < limit)


def _deflate(caption: bytes) -> bytes:
    coder = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    return coder.compress(caption) + coder.flush()


def _zlib(caption: bytes) -> bytes:
    return zlib.compress(caption, 9)


def _lzma(caption: bytes) -> bytes:
    return lzma.compress(caption, lzma.FORMAT_RAW, filters=[
        {'id': lzma.FILTER_LZMA2, 'preset': 9 | lzma.PRESET_EXTREME}])


OURS = 'ours'
_OTHERS: dict[str, Callable[[bytes], bytes]] = {
    'utf-8': bytes, 'deflate': _deflate, 'zlib': _zlib, 'lzma': _lzma}
#: The coders of captions that there are: the one of packets, and what else could be done.
CODERS = (OURS, *_OTHERS)


def section_bytes(caption: str, coder: str) -> int:
    """
    Return the length of the text section of a packet: id, length and coded caption.

    :param coder: one of CODERS.
    :raises CodecError: the caption is too long, or no Unicode text.
    """
    body = text.compress(caption)
    if coder != OURS:
        body = _OTHERS[coder](caption.encode())
    if not caption:
        return 0
    return 1 + (1 if len(body) < 128 else 2) + len(body)
