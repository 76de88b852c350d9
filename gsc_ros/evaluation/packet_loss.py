# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a link that loses packets leaves of a video stream.

A frame's NAL units go into packets as in RTP: small ones share a packet, large ones are cut, and a
unit arrives if all of its parts do. The first parameter sets are agreed on beforehand and cannot be
lost. Headers of packets are not counted, for nobody. Losses are independent, and depend on the
seed, the frame and the packet's number alone: a codec that sends other bytes meets the same luck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math
from pathlib import Path
import random
import re
import struct
import tempfile

from gsc_ros.evaluation import ffmpeg
import numpy as np

START_CODE = b'\0\0\0\1'
# Requests for key frames change what is sent and so what is lost; this settles after a few rounds.
MAX_ROUNDS = 16


@dataclass(frozen=True)
class LossyLink:
    """
    A link.

    :param loss: share of packets lost, 0..1.
    :param mtu: bytes of payload in a packet.
    :param rtt_s: seconds from a loss that shows until the sender knows.
    :param seed: of the losses.
    """

    loss: float
    mtu: int = 1200
    rtt_s: float = 0.5
    seed: int = 0

    def loses(self, frame: int, packet: int) -> bool:
        """Return whether a packet of a frame is lost."""
        return random.Random(f'{self.seed}:{frame}:{packet}').random() < self.loss

    def answer_delay(self, fps: float) -> int:
        """Return how many frames after a lost one the first is that can answer to its loss."""
        # A gap shows when the next frame comes.
        return 1 + math.ceil(self.rtt_s * fps)

    def carries(self, frame: int, sizes: Sequence[int]) -> list[bool]:
        """Return which units of these sizes in bytes arrive."""
        arrived = [True] * len(sizes)
        for number, units in enumerate(packets(sizes, self.mtu)):
            if self.loses(frame, number):
                for unit in units:
                    arrived[unit] = False
        return arrived


def packets(sizes: Sequence[int], mtu: int) -> list[list[int]]:
    """Return for each packet the numbers of the units of which it holds all or a part."""
    result: list[list[int]] = []
    room = 0
    for number, size in enumerate(sizes):
        if result and size <= room:
            result[-1].append(number)
            room -= size
            continue
        parts = max(1, -(-size // mtu))
        result += [[number] for _ in range(parts)]
        # What follows the last part of a cut unit starts a packet of its own.
        room = mtu - size if parts == 1 else 0
    return result


@dataclass(frozen=True)
class Unit:
    """A NAL unit without its start code, and what matters about it here."""

    data: bytes
    begins_frame: bool
    is_slice: bool
    is_key: bool
    is_parameters: bool


def _h264(data: bytes) -> Unit:
    kind = data[0] & 0x1f
    is_slice = kind in (1, 5)
    # The first bit of the slice header is 1 when the slice begins with block 0.
    return Unit(data, is_slice and bool(data[1] & 0x80), is_slice, kind == 5, kind in (7, 8))


def _hevc(data: bytes) -> Unit:
    kind = data[0] >> 1 & 0x3f
    is_slice = kind < 32
    return Unit(data, is_slice and bool(data[2] & 0x80), is_slice, 16 <= kind <= 21,
                32 <= kind <= 34)


_UNIT: dict[str, Callable[[bytes], Unit]] = {'h264': _h264, 'hevc': _hevc}


def access_units(stream: bytes, kind: str) -> list[list[Unit]]:
    """
    Return the NAL units of each frame, in the order of coding.

    :param stream: with start codes, as ffmpeg writes it.
    :param kind: 'h264' or 'hevc'.
    """
    frames: list[list[Unit]] = []
    ahead: list[Unit] = []  # units before a frame's first slice belong to it
    for data in re.split(rb'\x00{2,}\x01', stream):
        if len(data) < 3:
            continue
        unit = _UNIT[kind](data)
        if unit.begins_frame or not unit.is_slice:
            ahead.append(unit)
            if unit.begins_frame:
                frames.append(ahead)
                ahead = []
        elif frames:
            frames[-1].append(unit)
    return frames


def intact(whole: Sequence[bool], keys: Sequence[bool]) -> list[bool]:
    """
    Return which frames are as the encoder meant them.

    :param whole: whether all of a frame has arrived.
    :param keys: whether it needs no frame before it.
    """
    result: list[bool] = []
    for arrived, key in zip(whole, keys):
        result.append(arrived and (key or bool(result) and result[-1]))
    return result


def requests(good: Sequence[bool], delay: int) -> set[int]:
    """
    Return the frames that answer a report of loss.

    A report is sent at the first bad frame, and again when what answered it was bad, too.

    :param good: whether each frame could be shown.
    :param delay: frames from the bad one to its answer.
    """
    answers: set[int] = set()
    quiet_until = 0
    for frame, fine in enumerate(good):
        if not fine and frame >= quiet_until:
            quiet_until = frame + delay
            answers.add(quiet_until)
    return {frame for frame in answers if frame < len(good)}


@dataclass(frozen=True)
class Transmission:
    """
    A stream after the link.

    :param stream: what was sent, the whole of it.
    :param frames: of each frame, the bytes that arrived, with start codes; empty for nothing.
    :param whole: of each frame, whether all of it arrived.
    :param good: of each frame, whether it and all that it builds on arrived.
    """

    stream: bytes
    frames: list[bytes]
    whole: list[bool]
    good: list[bool]


def transmit(encode: Callable[[set[int]], bytes], kind: str, fps: float,
             link: LossyLink) -> Transmission:
    """
    Send a low-delay stream over the link; the sender answers reports of loss with key frames.

    :param encode: from the numbers of forced key frames to the stream.
    :param kind: 'h264' or 'hevc'.
    """
    keys: set[int] = set()
    for _ in range(MAX_ROUNDS):
        sent = _over(encode(keys), kind, link)
        wanted = requests(sent.good, link.answer_delay(fps))
        if wanted == keys:
            break
        keys = wanted
    return sent


def _over(stream: bytes, kind: str, link: LossyLink) -> Transmission:
    frames, whole, keys = [], [], []
    for number, units in enumerate(access_units(stream, kind)):
        # Out of band: the parameter sets of the first frame.
        sure = [number == 0 and unit.is_parameters for unit in units]
        sizes = [0 if safe else len(unit.data) for unit, safe in zip(units, sure)]
        arrived = [safe or came for safe, came in zip(sure, link.carries(number, sizes))]
        frames.append(b''.join(START_CODE + unit.data
                               for unit, came in zip(units, arrived) if came))
        # Later parameter sets repeat the first ones.
        whole.append(all(came for unit, came in zip(units, arrived) if unit.is_slice))
        keys.append(any(unit.is_key for unit in units))
    return Transmission(stream, frames, whole, intact(whole, keys))


def held(pictures: dict[int, np.ndarray], count: int, blank: np.ndarray) -> list[np.ndarray]:
    """Return what is seen at each of ``count`` frames: the last picture there was."""
    shown = []
    last = blank
    for frame in range(count):
        last = pictures.get(frame, last)
        shown.append(last)
    return shown


def decode_damaged(frames: Sequence[bytes], kind: str, width: int,
                   height: int) -> dict[int, np.ndarray]:
    """
    Decode what arrived, with all that ffmpeg does about what is missing.

    :param frames: of each frame, what arrived.
    :return: the pictures by number of the frame, uint8 [H, W, 3] RGB.
    :raises ffmpeg.FFmpegError: ffmpeg is missing or took too long.
    """
    # A raw stream has no clock: in IVF, each picture that comes out has the number of its frame.
    head = struct.pack('<4sHH4sHHIIII', b'DKIF', 0, 32, {'h264': b'H264', 'hevc': b'HEVC'}[kind],
                       width, height, 1, 1, len(frames), 0)
    body = b''.join(struct.pack('<IQ', len(data), number) + data
                    for number, data in enumerate(frames) if data)
    if not body:
        return {}
    each = ('-map', '0:v', '-fps_mode', 'passthrough')
    with tempfile.TemporaryDirectory() as folder:
        raw = ffmpeg.run((
            *ffmpeg.QUIET, '-flags', '+output_corrupt', '-c:v', kind, '-f', 'ivf', '-i', 'pipe:0',
            *ffmpeg.SCALER, *each, '-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1',
            *each, '-f', 'framecrc', 'stamps'), head + body, Path(folder))
        lines = Path(folder, 'stamps').read_text(encoding='utf-8').splitlines()
    stamps = [int(line.split(',')[2]) for line in lines if line and not line.startswith('#')]
    if not raw:
        return {}
    return dict(zip(stamps, ffmpeg.as_frames(raw, width, height)))
