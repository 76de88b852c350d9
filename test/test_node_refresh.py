# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The request for a frame that stands alone, as bytes of the link."""

from __future__ import annotations

from gsc_ros.nodes.refresh import RefreshRequest
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
