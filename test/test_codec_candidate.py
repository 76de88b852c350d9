# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Candidates: what carries no symbol is not sent, and sizes are known before packets are made."""

from __future__ import annotations

from gsc_ros.codec import packet as wire
from gsc_ros.codec.candidate import LatentCoder
from gsc_ros.codec.profile import load_profile
import numpy as np
import pytest

PROFILE = load_profile('tiny')
HEAD = wire.Packet(
    profile_hash=PROFILE.short_hash, width=200, height=150, channels=(0,), quantizer=0,
    text=b'text', caption_id=1)


def coder_of(audible: tuple[int, ...]) -> LatentCoder:
    """Return the coder of a frame in which only these channels carry symbols."""
    latent = np.zeros((320, 5, 7), np.float32)
    latent[list(audible), 2, 3] = 3 / PROFILE.gains[0][list(audible)]
    return LatentCoder(PROFILE, latent)


@pytest.mark.parametrize(('wanted', 'audible', 'sent'), [
    (range(8), (0, 3), (0, 1, 2, 3)), (range(8), (9,), (0,)), (range(320), (), (0,)),
    ((2, 3, 9), (3, 9), (3, 9)), ((2, 3, 9), (), (2,)), ((0, 1, 5), (0, 1), (0, 1)),
    ((0, 5), (5, 6), (5,))])
def test_what_carries_no_symbol_is_left_out_but_for_one_channel(wanted, audible, sent):
    candidate = coder_of(audible).code(wanted, 0)
    assert candidate.channels == sent
    found = PROFILE.context.decode(candidate.stream, sent, 0, 5, 7)
    assert (found == candidate.symbols).all()
    assert set(np.flatnonzero(found.any(axis=(1, 2)))) == {
        slot for slot, channel in enumerate(sent) if channel in audible}


def test_sizes_are_those_of_the_packets():
    candidate = coder_of((1, 4, 100)).code((1, 4, 100), 0)
    payload = wire.serialize(candidate.packet(HEAD))
    ends = candidate.packet_ends(HEAD)
    assert len(payload) == candidate.size(HEAD) == ends[-1]
    for layers, end in enumerate(ends, 1):
        assert len(wire.cut(payload, layers, ends)) == end


def test_a_higher_threshold_leaves_fewer_and_smaller_symbols():
    latent = np.random.default_rng(0).normal(0, 1.5, (320, 9, 9)).astype(np.float32)
    latent /= PROFILE.gains[0][:, None, None]
    coder = LatentCoder(PROFILE, latent)
    nearest, fewer = (coder.quantize((0, 1), 0, threshold)[1] for threshold in (0.5, 0.8))
    assert (np.abs(fewer) <= np.abs(nearest)).all()
    assert np.count_nonzero(fewer) < np.count_nonzero(nearest)
