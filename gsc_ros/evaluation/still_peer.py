# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The still image codecs to compare with, each at its slowest useful preset.

Bytes are those of the whole file for JPEG, WebP and AVIF. JPEG 2000, JPEG XL, AV1 and HEVC are bare
code streams, without the boxes of a file: at these rates a container would double them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
import io

from gsc_ros.evaluation import ffmpeg
from gsc_ros.evaluation.resampling import Picture
import numpy as np
import PIL
from PIL import features, Image

# Every AV1 stream of one picture begins with this unit, which says nothing: not counted.
_AV1_TEMPORAL_DELIMITER = b'\x12\x00'


class PeerError(Exception):
    """A codec could not code a picture; the message says why, in one line."""


@dataclass(frozen=True)
class StillPeer:
    """
    A codec.

    :param name: its word on the command line.
    :param title: its name in the report.
    :param settings: how it is called, for the report.
    :param qualities: values of its quality control, fewest bytes first.
    :param encode: from uint8 [H, W, 3] RGB and a quality to bytes.
    :param decode: from bytes, width and height to uint8 [H, W, 3] RGB.
    :param size: bytes that are counted.
    :param version: of the program or library behind it.
    :param missing: returns why it cannot be used here, or None.
    """

    name: str
    title: str
    settings: str
    qualities: tuple[float, ...]
    encode: Callable[[Picture, float], bytes]
    decode: Callable[[bytes, int, int], Picture]
    size: Callable[[bytes], int]
    version: Callable[[], str]
    missing: Callable[[], str | None]


def _pillow_encode(kind: str, options: Callable[[Picture, float], dict], image: Picture,
                   quality: float) -> bytes:
    out = io.BytesIO()
    try:
        Image.fromarray(image).save(out, kind, **options(image, quality))
    except (OSError, ValueError) as error:
        raise PeerError(f'{kind}: {error}') from error
    return out.getvalue()


def _pillow_decode(stream: bytes, width: int, height: int) -> Picture:
    try:
        with Image.open(io.BytesIO(stream)) as image:
            return np.asarray(image.convert('RGB'))
    except (OSError, ValueError) as error:
        raise PeerError(str(error)) from error


def _pillow(name: str, title: str, settings: str, kind: str, feature: str,
            qualities: tuple[float, ...],
            options: Callable[[Picture, float], dict]) -> StillPeer:
    def missing() -> str | None:
        return None if features.check(feature) else f'Pillow was built without {title}'
    return StillPeer(name, title, settings, qualities, partial(_pillow_encode, kind, options),
                     _pillow_decode, len, lambda: f'Pillow {PIL.__version__}', missing)


def _ffmpeg_missing(encoder: str) -> str | None:
    try:
        return None if encoder in ffmpeg.encoders() else f'this ffmpeg has no {encoder}'
    except ffmpeg.FFmpegError as error:
        return str(error)


def _ffmpeg_version() -> str:
    return ffmpeg.version()


def _ffmpeg(name: str, title: str, settings: str, encoder: str, kind: tuple[str, str],
            qualities: tuple[float, ...], options: Callable[[float], Sequence[str]],
            size: Callable[[bytes], int] = len) -> StillPeer:
    muxer, demuxer = kind

    def encode(image: Picture, quality: float) -> bytes:
        words = ('-c:v', encoder, *options(quality), '-frames:v', '1', '-f', muxer, 'pipe:1')
        try:
            return ffmpeg.encode(image[None], 1, words)
        except ffmpeg.FFmpegError as error:
            raise PeerError(str(error)) from error

    def decode(stream: bytes, width: int, height: int) -> Picture:
        try:
            return ffmpeg.decode(stream, demuxer, width, height)[0]
        except ffmpeg.FFmpegError as error:
            raise PeerError(str(error)) from error

    return StillPeer(name, title, settings, qualities, encode, decode, size, _ffmpeg_version,
                     partial(_ffmpeg_missing, encoder))


def _resolutions(image: Picture) -> int:
    """Return how many times wavelets can halve the image, plus one; at most the usual six."""
    return max(1, min(6, int(np.log2(min(image.shape[:2])))))


def _without_delimiter(stream: bytes) -> int:
    return len(stream.removeprefix(_AV1_TEMPORAL_DELIMITER))


STILL_PEERS = (
    _pillow('jpeg', 'JPEG', 'libjpeg-turbo, progressive, optimised tables, 4:2:0; whole file',
            'JPEG', 'jpg', (1, 2, 4, 7, 11, 17, 26, 40, 60), lambda image, quality: {
                'quality': int(quality), 'optimize': True, 'progressive': True,
                'subsampling': '4:2:0'}),
    _pillow('webp', 'WebP', 'libwebp, method 6; whole file',
            'WEBP', 'webp', (0, 4, 9, 16, 25, 36, 50, 65, 80), lambda image, quality: {
                'quality': quality, 'method': 6}),
    _pillow('jpeg2000', 'JPEG 2000',
            'OpenJPEG, 9/7 wavelet; code stream without JP2 boxes or remark', 'JPEG2000',
            'jpg_2000', (480, 320, 210, 140, 95, 64, 42, 28, 18),
            lambda image, quality: {
                'irreversible': True, 'quality_mode': 'rates', 'quality_layers': [quality],
                'no_jp2': True, 'num_resolutions': _resolutions(image),
                'comment': ' '}),  # else OpenJPEG names itself in 32 bytes more
    _ffmpeg('jpegxl', 'JPEG XL', 'libjxl, effort 9; code stream without boxes', 'libjxl',
            ('image2pipe', 'jpegxl_pipe'), (15, 12, 9, 7, 5, 3.5, 2.5, 1.5),
            lambda quality: ('-distance', f'{quality:g}', '-effort', '9')),
    _pillow('avif', 'AVIF', 'libaom, speed 0, 4:2:0; whole file',
            'AVIF', 'avif', (0, 6, 13, 21, 30, 40, 52, 65), lambda image, quality: {
                'quality': int(quality), 'speed': 0, 'subsampling': '4:2:0'}),
    _ffmpeg('av1', 'AV1 still', 'libaom, cpu-used 0, still picture, 4:2:0; bare OBUs, as if AVIF '
            'needed no boxes', 'libaom-av1', ('obu', 'obu'),
            (63, 59, 55, 51, 47, 42, 37, 31, 25),
            lambda quality: ('-pix_fmt', 'yuv420p', '-still-picture', '1', '-cpu-used', '0',
                             '-crf', f'{quality:g}'), _without_delimiter),
    _ffmpeg('hevc', 'HEVC still', 'x265, preset veryslow, tune psnr, 4:2:0; bare NAL units, as if '
            'HEIF needed no boxes', 'libx265', ('hevc', 'hevc'),
            (51, 48, 45, 42, 39, 36, 32, 28, 24),
            lambda quality: ('-pix_fmt', 'yuv420p', '-preset', 'veryslow', '-tune', 'psnr', '-crf',
                             f'{quality:g}', '-x265-params',
                             'log-level=error:info=0:keyint=1:pools=none:frame-threads=1')),
)
