# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames may go over the link."""

from __future__ import annotations

from array import array

from gsc_ros.codec import packet
from gsc_ros.msg import GscFrame
from gsc_ros.nodes.admission import frame_defect, MAX_PAYLOAD_BYTES, size_defect
import pytest


def frame(**changes: object) -> GscFrame:
    payload = packet.serialize(packet.Packet(
        profile_hash=1, width=64, height=48, channels=(0,), quantizer=0, seed=0, text=b'',
        stream=b'\x01\x02\x03'))
    fields = {'camera': 'front', 'payload': array('B', payload), 'layer_ends': [len(payload)]}
    return GscFrame(**fields | changes)


def test_whole_packet_may_pass():
    assert frame_defect(frame(), 'front') is None


@pytest.mark.parametrize('change, reason', [
    ({'camera': 'left'}, 'left'),
    ({'payload': array('B')}, '0 bytes'),
    ({'payload': array('B', bytes(MAX_PAYLOAD_BYTES + 1))}, f'{MAX_PAYLOAD_BYTES + 1} bytes'),
    ({'layer_ends': []}, 'layer_ends'),
    ({'layer_ends': [0, 15]}, 'layer_ends'),
    ({'layer_ends': [14]}, 'layer_ends'),
    ({'layer_ends': [15, 15]}, 'layer_ends'),
    ({'layer_ends': [14, 13, 15]}, 'layer_ends'),
    ({'layer_ends': [15, 2 ** 32 - 1]}, 'layer_ends'),
    ({'payload': array('B', bytes(15))}, ''),
])
def test_anything_else_is_refused_with_a_reason(change: dict[str, object], reason: str):
    defect = frame_defect(frame(**change), 'front')
    assert defect is not None
    assert reason in defect


def test_damaged_packet_is_refused():
    damaged = frame()
    damaged.payload[-1] ^= 1
    assert frame_defect(damaged, 'front') is not None


def test_foreign_camera_name_is_not_repeated_in_full():
    assert len(frame_defect(frame(camera='x' * 10_000), 'front')) < 200


def announcing(width: int, height: int) -> bytes:
    return packet.serialize(packet.Packet(
        profile_hash=1, width=width, height=height, channels=(0,), quantizer=0))


def test_small_packet_of_a_huge_picture_is_refused_with_a_reason():
    assert '8192 x 8192' in size_defect(announcing(8192, 8192), 8_000_000)
    assert size_defect(announcing(8192, 8192), 8192 ** 2) is None


def test_narrow_picture_must_not_become_huge_by_its_output_width():
    assert size_defect(announcing(16, 8192), 8_000_000) is None
    assert '1600 x 819200' in size_defect(announcing(16, 8192), 8_000_000, 1600)
