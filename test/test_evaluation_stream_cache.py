# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What peers made of pictures is made once, and never taken for what was made otherwise."""

from dataclasses import replace

from codec_image import picture
from gsc_ros.evaluation.still_peer import PeerError, STILL_PEERS
from gsc_ros.evaluation.store import Store
from gsc_ros.evaluation.stream_cache import digest, StreamCache
from gsc_ros.evaluation.video_peer import KeyFrames, VIDEO_PEERS
import numpy as np
import pytest

IMAGE = picture(48, 64)
WEBP = next(peer for peer in STILL_PEERS if peer.name == 'webp')


@pytest.fixture
def calls():
    """Return what was coded, in order."""
    return []


@pytest.fixture
def peer(calls):
    """Return a codec that counts."""
    def encode(image, quality):
        calls.append(quality)
        return bytes([len(calls)])
    return replace(WEBP, encode=encode)


def test_the_same_picture_is_coded_once_also_by_the_next_run(peer, calls, tmp_path):
    first = StreamCache(Store(tmp_path)).still(peer, IMAGE, 10)
    second = StreamCache(Store(tmp_path)).still(peer, IMAGE.copy(), 10)
    assert first == second and first.data == b'\1'
    assert calls == [10]


def test_other_pixels_another_shape_or_another_way_is_another_stream(peer, calls, tmp_path):
    streams = StreamCache(Store(tmp_path))
    brighter = IMAGE.copy()
    brighter[0, 0, 0] ^= 1
    found = {streams.still(one, image, quality).data for one, image, quality in (
        (peer, IMAGE, 10), (peer, brighter, 10), (peer, IMAGE.reshape(64, 48, 3), 10),
        (peer, IMAGE, 11), (replace(peer, name='other'), IMAGE, 10),
        (replace(peer, settings='slower'), IMAGE, 10),
        (replace(peer, version=lambda: 'newer'), IMAGE, 10))}
    assert len(found) == len(calls) == 7


def test_a_failure_is_not_remembered(peer, tmp_path):
    streams = StreamCache(Store(tmp_path))

    def refuse(*_):
        raise PeerError('no')
    with pytest.raises(PeerError):
        streams.still(replace(peer, encode=refuse), IMAGE, 10)
    assert streams.still(peer, IMAGE, 10).data == b'\1'


def test_what_was_cut_off_on_disk_is_made_again(peer, calls, tmp_path):
    streams = StreamCache(Store(tmp_path))
    streams.still(peer, IMAGE, 10)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:20])
    assert streams.still(peer, IMAGE, 10).data == b'\2'


def test_a_video_is_remembered_with_its_rate_and_its_key_frames(calls, tmp_path):
    class Counting:
        """A codec for video that counts."""

        name = 'counting'
        options = staticmethod(VIDEO_PEERS[0].options)

        @staticmethod
        def version():
            return '1'

        @staticmethod
        def encode(frames, fps, kbps, keys):
            calls.append(kbps)
            return bytes([len(calls)])

    streams = StreamCache(Store(tmp_path))
    frames = np.stack([IMAGE, IMAGE])
    ways = ((10.0, 20.0, KeyFrames()), (10.0, 30.0, KeyFrames()), (5.0, 20.0, KeyFrames()),
            (10.0, 20.0, KeyFrames(3, set())), (10.0, 20.0, KeyFrames(3, {1})))
    for _ in range(2):
        found = [streams.video(Counting, frames, *way).data for way in ways]
    assert len(set(found)) == len(calls) == len(ways)


def test_pixels_are_named_by_value_and_shape():
    assert digest(IMAGE) == digest(IMAGE.copy())
    assert digest(IMAGE) != digest(IMAGE[:, ::-1])
    assert digest(IMAGE) != digest(IMAGE.reshape(64, 48, 3))
