# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The video codecs to compare with: with look-ahead over the whole video, and with low delay.

Bytes are those of the bare bit stream, parameter sets included, remarks of the encoder about itself
not. All write one key frame, at the start: fewest bytes where nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
import tempfile

from gsc_ros.evaluation import ffmpeg
from gsc_ros.evaluation.still_peer import PeerError
import numpy as np

NEVER = 100_000


@dataclass(frozen=True)
class KeyFrames:
    """
    Where a stream can be entered.

    :param interval: frames from one key frame to the next.
    :param forced: frames that are key frames besides.
    """

    interval: int = NEVER
    forced: Collection[int] = ()


@dataclass(frozen=True)
class VideoPeer:
    """
    A codec.

    :param name: its word on the command line.
    :param title: its name in the report.
    :param settings: how it is called, for the report.
    :param encoder: ffmpeg's name of it.
    :param kind: ffmpeg's name of the bare bit stream.
    :param low_delay: whether every frame can leave before the next one is seen.
    :param options: from kbit/s, the key interval and the pass (1 or 2, or 0 for the only one) to
        ffmpeg's words.
    """

    name: str
    title: str
    settings: str
    encoder: str
    kind: str
    low_delay: bool
    options: Callable[[float, int, int], tuple[str, ...]]

    def missing(self) -> str | None:
        """Return why it cannot be used here, or None."""
        try:
            if self.encoder in ffmpeg.encoders():
                return None
            return f'this ffmpeg has no {self.encoder}'
        except ffmpeg.FFmpegError as error:
            return str(error)

    def version(self) -> str:
        """Return the version of the program behind it."""
        return ffmpeg.version()

    def encode(self, frames: np.ndarray, fps: float, kbps: float,
               keys: KeyFrames = KeyFrames()) -> bytes:
        """
        Encode a video.

        :param frames: uint8 [N, H, W, 3] RGB.
        :param kbps: kbit/s to aim at.
        :raises PeerError: ffmpeg cannot.
        """
        forced = '+'.join(f'eq(n,{frame})' for frame in sorted(keys.forced))
        force = ('-force_key_frames', f'expr:{forced}') if forced else ()
        stream = b''
        try:
            with tempfile.TemporaryDirectory() as folder:
                for number in (0,) if self.low_delay else (1, 2):
                    target = ('-f', 'null', '-') if number == 1 else ('-f', self.kind, 'pipe:1')
                    stream = ffmpeg.encode(frames, fps, (
                        '-c:v', self.encoder, '-pix_fmt', 'yuv420p', *force,
                        *self.options(kbps, keys.interval, number), *target), Path(folder))
        except ffmpeg.FFmpegError as error:
            raise PeerError(str(error)) from error
        return stream

    def decode(self, stream: bytes, width: int, height: int) -> np.ndarray:
        """
        Return the frames of a whole stream, uint8 [N, H, W, 3] RGB.

        :raises PeerError: ffmpeg cannot.
        """
        try:
            return ffmpeg.decode(stream, self.kind, width, height)
        except ffmpeg.FFmpegError as error:
            raise PeerError(str(error)) from error


def _x265(low_delay: bool) -> Callable[[float, int, int], tuple[str, ...]]:
    def options(kbps: float, interval: int, number: int) -> tuple[str, ...]:
        words = f'log-level=error:info=0:pools=none:frame-threads=1:keyint={interval}:min-keyint=1'
        if low_delay:
            # What tune zerolatency does; tunes of x265 exclude each other.
            words += (':bframes=0:b-adapt=0:rc-lookahead=0:lookahead-slices=0:scenecut=0:cutree=0')
        if number:
            words += f':pass={number}:stats=stats'
        return ('-preset', 'veryslow', '-tune', 'psnr', '-b:v', f'{kbps:g}k', '-forced-idr', '1',
                '-x265-params', words)
    return options


def _x264(low_delay: bool) -> Callable[[float, int, int], tuple[str, ...]]:
    def options(kbps: float, interval: int, number: int) -> tuple[str, ...]:
        passes = ('-pass', str(number), '-passlogfile', 'stats') if number else ()
        # NAL units of type 6 hold nothing but remarks here.
        return ('-preset', 'veryslow', '-tune', 'zerolatency,psnr' if low_delay else 'psnr',
                '-b:v', f'{kbps:g}k', '-g', str(interval), '-forced-idr', '1', *passes,
                '-bsf:v', 'filter_units=remove_types=6')
    return options


def _aom(low_delay: bool) -> Callable[[float, int, int], tuple[str, ...]]:
    def options(kbps: float, interval: int, number: int) -> tuple[str, ...]:
        passes = ('-pass', str(number), '-passlogfile', 'stats') if number else (
            '-lag-in-frames', '0')
        return ('-cpu-used', '2', '-b:v', f'{kbps:g}k', '-g', str(interval), *passes)
    return options


VIDEO_PEERS = (
    VideoPeer('x265', 'x265', 'preset veryslow, tune psnr, two passes', 'libx265', 'hevc', False,
              _x265(False)),
    VideoPeer('x264', 'x264', 'preset veryslow, tune psnr, two passes', 'libx264', 'h264', False,
              _x264(False)),
    VideoPeer('av1', 'AV1', 'libaom, cpu-used 2, two passes', 'libaom-av1', 'obu', False,
              _aom(False)),
    VideoPeer('x265-low-delay', 'x265 low delay',
              'preset veryslow, tune psnr, what tune zerolatency sets, one pass', 'libx265', 'hevc',
              True, _x265(True)),
    VideoPeer('x264-low-delay', 'x264 low delay',
              'preset veryslow, tunes zerolatency and psnr, one pass', 'libx264', 'h264', True,
              _x264(True)),
    VideoPeer('av1-low-delay', 'AV1 low delay', 'libaom, cpu-used 2, no look-ahead, one pass',
              'libaom-av1', 'obu', True, _aom(True)),
)
