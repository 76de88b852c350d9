# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a lossy link takes from a stream, on streams made by hand and on a real one."""

from functools import cache

from codec_image import picture
from gsc_ros.evaluation.packet_loss import (
    access_units,
    decode_damaged,
    held,
    intact,
    LossyLink,
    packets,
    requests,
    transmit,
)
from gsc_ros.evaluation.video_peer import KeyFrames, VIDEO_PEERS
import numpy as np
import pytest

PEERS = [peer for peer in VIDEO_PEERS if peer.name in ('x264-low-delay', 'x265-low-delay')]
SETS, KEY, DELTA = b'\x67\x00\x01', b'\x65\x88\x84', b'\x41\x9a\x02'  # H.264, first slices


def h264(*units):
    """Return units as a stream."""
    return b''.join(b'\0\0\0\1' + unit for unit in units)


@cache
def video():
    """Return 14 frames that move, uint8 [14, 64, 96, 3]."""
    scene = picture(64, 96)
    return np.stack([np.roll(scene, 2 * index, axis=1) for index in range(14)])


class Unlucky(LossyLink):
    """Loses the whole of frames 3 and 9 and nothing else."""

    def loses(self, frame, packet):
        return frame in (3, 9)


def test_small_units_share_a_packet_and_large_ones_are_cut():
    assert packets([40, 50, 20, 250, 10], 100) == [[0, 1], [2], [3], [3], [3], [4]]
    assert packets([], 100) == []
    assert packets([100, 0], 100) == [[0, 1]]


def test_a_unit_needs_all_of_its_packets():
    class SecondLost(LossyLink):
        def loses(self, frame, packet):
            return packet == 1
    assert SecondLost(0.5, mtu=100).carries(0, [250, 10]) == [False, True]
    assert SecondLost(0.5, mtu=100).carries(0, [90]) == [True]


def test_losses_are_as_frequent_as_told_and_the_same_each_time():
    link = LossyLink(0.05, seed=3)
    lost = [link.loses(frame, packet) for frame in range(4000) for packet in range(2)]
    assert 0.04 < np.mean(lost) < 0.06
    assert lost == [link.loses(frame, packet) for frame in range(4000) for packet in range(2)]
    assert lost != [LossyLink(0.05, seed=4).loses(frame, packet)
                    for frame in range(4000) for packet in range(2)]
    assert not any(LossyLink(0).loses(frame, 0) for frame in range(100))


def test_units_are_gathered_by_frame():
    later_slice = b'\x41\x1a\x02'
    frames = access_units(h264(SETS, KEY, DELTA, later_slice, SETS, KEY), 'h264')
    assert [len(units) for units in frames] == [2, 2, 2]
    assert [[unit.is_key for unit in units] for units in frames] == [
        [False, True], [False, False], [False, True]]
    assert frames[0][0].is_parameters
    assert frames[0][1].data == KEY


def test_bytes_that_are_no_stream_hold_no_frame():
    assert access_units(b'', 'h264') == []
    assert access_units(b'\0\0\1\x65', 'hevc') == []


def test_a_frame_is_intact_from_a_key_frame_on_without_a_gap():
    whole = [True, True, False, True, True, True]
    keys = [True, False, False, False, True, False]
    assert intact(whole, keys) == [True, True, False, False, True, True]
    assert intact([False, True], [True, False]) == [False, False]


def test_a_loss_is_reported_once_and_again_when_its_answer_is_lost():
    good = [True, False, False, False, True, True, False, False, False, False, False, True]
    assert requests(good, 3) == {4, 9}
    assert requests([True, False, False, False, False, False], 2) == {3, 5}
    assert requests([True, True, False], 2) == set()


def test_the_last_picture_is_held():
    blank, one = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    shown = held({1: one}, 3, blank)
    assert [frame.max() for frame in shown] == [0, 1, 1]


@pytest.fixture(params=PEERS, ids=lambda peer: peer.name)
def peer(request):
    """Return a low-delay codec."""
    if request.param.missing():
        pytest.skip(request.param.missing())
    return request.param


def test_a_stream_that_lost_nothing_decodes_as_it_is(peer):
    frames = video()
    sent = transmit(lambda keys: peer.encode(frames, 10, 40, KeyFrames(forced=keys)), peer.kind, 10,
                    LossyLink(0))
    assert sent.good == [True] * len(frames)
    shown = decode_damaged(sent.frames, peer.kind, 96, 64)
    assert sorted(shown) == list(range(len(frames)))
    plain = peer.decode(sent.stream, 96, 64)
    assert all(np.array_equal(shown[index], plain[index]) for index in shown)


def test_a_loss_breaks_what_follows_until_the_key_frame_that_was_asked_for(peer):
    frames = video()
    link = Unlucky(0.1, rtt_s=0.2)
    sent = transmit(lambda keys: peer.encode(frames, 10, 40, KeyFrames(forced=keys)), peer.kind, 10,
                    link)
    assert link.answer_delay(10) == 3
    assert [number for number, good in enumerate(sent.good) if not good] == [3, 4, 5, 9, 10, 11]
    assert [number for number, whole in enumerate(sent.whole) if not whole] == [3, 9]
    shown = decode_damaged(sent.frames, peer.kind, 96, 64)
    assert 3 not in shown and 9 not in shown
    # After the key frame, pictures are those that were sent.
    plain = peer.decode(sent.stream, 96, 64)
    assert np.array_equal(shown[7], plain[7])


def test_nothing_that_arrives_is_nothing_to_see(peer):
    assert decode_damaged([b'', b''], peer.kind, 96, 64) == {}
