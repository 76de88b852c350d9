# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the peers made of pictures, on disk.

A stream is kept by the pixels it was made from and the way it was made, so that another metric,
another detector, or another report of the same pictures costs no coding. The slowest presets take
seconds for a picture; decoding and scoring take milliseconds.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
import hashlib
from threading import Lock
import time
from typing import Any

from gsc_ros.evaluation.resampling import Picture
from gsc_ros.evaluation.still_peer import StillPeer
from gsc_ros.evaluation.store import Store
from gsc_ros.evaluation.video_peer import KeyFrames, VideoPeer
import numpy as np

#: Pictures that are kept in memory: crops of some ten kilobytes, of which each is shown many times.
MAX_PICTURES = 1024


@dataclass(frozen=True)
class Stream:
    """
    A coded picture or video.

    :param data: all of its bytes.
    :param encode_ms: milliseconds that it took when it was made.
    """

    data: bytes
    encode_ms: float


class StreamCache:
    """
    Encoders that remember. Threads may share it.

    :param store: where streams are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pictures: OrderedDict[tuple[str, bytes], tuple[Picture, float]] = OrderedDict()
        self._turn = Lock()

    def still(self, peer: StillPeer, image: Picture, quality: float) -> Stream:
        """
        Return an image as a peer codes it.

        :param image: uint8 [H, W, 3] RGB.
        :raises PeerError: the peer cannot.
        :raises OSError: the store cannot be written.
        """
        return self._remembered(
            {'pixels': digest(image), 'codec': peer.name, 'quality': quality,
             'how': peer.settings, 'version': peer.version()},
            lambda: peer.encode(image, quality))

    def picture(self, peer: StillPeer, stream: Stream, width: int,
                height: int) -> tuple[Picture, float]:
        """
        Return a picture that a peer decodes, and the milliseconds that it took; not to be changed.

        :param width: of the picture in pixels; ``height`` likewise.
        :raises PeerError: the peer cannot.
        """
        key = (peer.name, stream.data)
        with self._turn:
            if key in self._pictures:
                self._pictures.move_to_end(key)
                return self._pictures[key]
        start = time.perf_counter()
        picture = peer.decode(stream.data, width, height)
        decoded = (picture, (time.perf_counter() - start) * 1e3)
        with self._turn:
            self._pictures[key] = decoded
            while len(self._pictures) > MAX_PICTURES:
                self._pictures.popitem(last=False)
        return decoded

    def video(self, peer: VideoPeer, frames: np.ndarray, fps: float, kbps: float,
              keys: KeyFrames) -> Stream:
        """
        Return a video as a peer codes it.

        :param frames: uint8 [N, H, W, 3] RGB.
        :param kbps: kbit/s to aim at.
        :raises PeerError: the peer cannot.
        :raises OSError: the store cannot be written.
        """
        return self._remembered(
            {'pixels': digest(frames), 'codec': peer.name, 'fps': fps, 'kbps': kbps,
             'how': [list(peer.options(kbps, keys.interval, number)) for number in (0, 1, 2)],
             'keys': sorted(keys.forced), 'version': peer.version()},
            lambda: peer.encode(frames, fps, kbps, keys))

    def _remembered(self, description: dict[str, Any], encode: Callable[[], bytes]) -> Stream:
        kept = self._store.get(description)
        if kept is None:
            start = time.perf_counter()
            data = encode()
            kept = {'stream': base64.b64encode(data).decode(),
                    'encode_ms': (time.perf_counter() - start) * 1e3}
            self._store.put(description, kept)
        return Stream(base64.b64decode(kept['stream']), kept['encode_ms'])


def digest(pixels: np.ndarray) -> str:
    """Return what names an array, its shape included."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
