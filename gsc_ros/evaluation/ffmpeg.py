# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The ffmpeg program: from PATH, else the one of the package imageio-ffmpeg.

It is called without a shell and with a time limit; what goes in and out are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
import shutil
import subprocess

import numpy as np

QUIET = ('-hide_banner', '-nostdin', '-loglevel', 'error', '-threads', '1')
# Chroma is subsampled on the way in and interpolated on the way out: do both well.
SCALER = ('-sws_flags', 'lanczos+accurate_rnd+full_chroma_int')
TIMEOUT_S = 1800.0


class FFmpegError(Exception):
    """The program is missing, failed or took too long; the message says which, in one line."""


@cache
def program() -> str:
    """
    Return the path of ffmpeg.

    :raises FFmpegError: there is none.
    """
    found = shutil.which('ffmpeg')
    if found:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
        return get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise FFmpegError('no ffmpeg in PATH, nor the package imageio-ffmpeg') from None


@cache
def version() -> str:
    """
    Return the first line of ``ffmpeg -version``, which names the build.

    :raises FFmpegError: there is no ffmpeg.
    """
    return run(('-version',)).decode(errors='replace').partition('\n')[0]


@cache
def encoders() -> frozenset[str]:
    """
    Return the names of the encoders that this ffmpeg has.

    :raises FFmpegError: there is no ffmpeg.
    """
    lines = run(('-hide_banner', '-encoders')).decode(errors='replace').splitlines()
    return frozenset(line.split()[1] for line in lines if len(line.split()) > 1)


def run(arguments: Sequence[str], data: bytes = b'', folder: Path | None = None,
        timeout_s: float = TIMEOUT_S) -> bytes:
    """
    Call ffmpeg and return what it wrote to its standard output.

    :param arguments: words after the program's name.
    :param data: its standard input.
    :param folder: where it runs.
    :raises FFmpegError: it is missing, failed, or took longer than ``timeout_s`` seconds.
    """
    try:
        done = subprocess.run([program(), *arguments], input=data, capture_output=True, cwd=folder,
                              timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise FFmpegError(f'ffmpeg took more than {timeout_s:g} s') from None
    except OSError as error:
        raise FFmpegError(f'ffmpeg cannot be run: {error.strerror}') from None
    if done.returncode:
        said = done.stderr.decode(errors='replace').split('\n')
        reason = next((line.strip() for line in said if line.strip()), 'no reason given')
        raise FFmpegError(f'ffmpeg failed: {reason[:300]}')
    return done.stdout


def encode(frames: np.ndarray, fps: float, arguments: Sequence[str],
           folder: Path | None = None) -> bytes:
    """
    Encode frames of equal size.

    :param frames: uint8 [N, H, W, 3] RGB.
    :param arguments: from ``-c:v`` to the output.
    :param folder: where it runs, for the files of two passes.
    :raises FFmpegError: as :func:`run`.
    """
    height, width = frames.shape[1:3]
    source = ('-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{width}x{height}', '-r', f'{fps:g}',
              '-i', 'pipe:0')
    return run((*QUIET, *source, *SCALER, '-threads', '1', *arguments), frames.tobytes(), folder)


def decode(stream: bytes, kind: str, width: int, height: int) -> np.ndarray:
    """
    Decode a bit stream.

    :param kind: name of ffmpeg's demuxer.
    :return: uint8 [N, H, W, 3] RGB.
    :raises FFmpegError: as :func:`run`, or the pictures are not of this size.
    """
    raw = run((*QUIET, '-f', kind, '-i', 'pipe:0', *SCALER, '-fps_mode', 'passthrough',
               '-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1'), stream)
    return as_frames(raw, width, height)


def as_frames(raw: bytes, width: int, height: int) -> np.ndarray:
    """
    Return raw video as an array, uint8 [N, H, W, 3] RGB.

    :raises FFmpegError: it is not a whole number of frames.
    """
    size = width * height * 3
    if not raw or len(raw) % size:
        raise FFmpegError(f'ffmpeg gave {len(raw)} bytes, not frames of {width} x {height}')
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
