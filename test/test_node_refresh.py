# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The request for a frame that stands alone, as bytes of the link."""

from __future__ import annotations

from gsc_ros.nodes.refresh import ASK_PERIOD_S, ask_period_s, RefreshRequest, REQUEST_BITS
from hypothesis import given
from hypothesis.strategies import binary, integers


@given(integers(0, 255), integers(0, 2 ** 16 - 1), integers(0, 2 ** 32 - 1))
def test_a_request_survives_the_link(camera_id: int, session: int, sequence: int):
    request = RefreshRequest(camera_id, session, sequence)
    assert len(request.pack()) == 8
    assert RefreshRequest.parse(request.pack()) == request


@given(binary(max_size=20))
def test_any_bytes_are_a_request_or_none(data: bytes):
    request = RefreshRequest.parse(data)
    assert request is None or request.pack() == data


def test_requests_leave_most_of_a_thin_way_back_to_receipts():
    assert ask_period_s(1, 2000) == ASK_PERIOD_S
    assert REQUEST_BITS == 104
    assert ask_period_s(1, 52) == 8.0
    assert ask_period_s(2, 52) == 16.0
