# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The text of a caption leaves with the first frame that does."""

from __future__ import annotations

from dataclasses import replace

from codec_image import picture
from gsc_ros.codec import packet
from gsc_ros.codec.frame import EncodedFrame, EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.nodes.caption_keeper import CaptionKeeper, OfferedFrame
import pytest

SESSION = 7
PROFILE = load_profile('tiny')
ENCODER, DECODER = FrameEncoder(PROFILE), FrameDecoder(PROFILE)
IMAGE = picture(96, 128)


def coded(caption: str = '', caption_id: int = 5, **settings) -> EncodedFrame:
    return ENCODER.encode(IMAGE, EncoderSettings(
        channels=8, caption=caption, caption_id=caption_id, **settings))


def offer(keeper: CaptionKeeper, frame: EncodedFrame, session: int = SESSION) -> OfferedFrame:
    return keeper.complete(session, frame.payload, frame.layer_ends)


@pytest.fixture
def named() -> EncodedFrame:
    """Return a frame that has the id of a caption alone."""
    return coded(caption_reference=True)


def test_a_frame_gets_the_text_of_the_one_whose_place_it_takes(named):
    keeper = CaptionKeeper()
    offer(keeper, coded('a wall'))
    completed = offer(keeper, named)
    found = DECODER.decode(completed.payload)
    assert (found.caption, found.caption_id, found.caption_reference) == ('a wall', 5, False)
    assert (found.image == DECODER.decode(named.payload).image).all()
    for layers in range(1, len(named.layer_ends) + 1):
        data = keeper.leave(completed, layers)
        assert len(data) == completed.ends[layers - 1]
        assert DECODER.decode(data).caption == 'a wall'


def test_a_frame_is_left_as_it_is_once_the_text_has_left(named):
    keeper = CaptionKeeper()
    keeper.leave(offer(keeper, coded('a wall')), 1)
    assert offer(keeper, named) == OfferedFrame(named.payload, named.layer_ends, None)


def test_the_text_of_a_completed_frame_counts_as_sent_with_it(named):
    keeper = CaptionKeeper()
    offer(keeper, coded('a wall'))
    keeper.leave(offer(keeper, named), 1)
    assert offer(keeper, named).payload == named.payload


def test_a_newer_caption_is_not_taken_for_sent_when_an_older_one_leaves():
    keeper = CaptionKeeper()
    older = offer(keeper, coded('a wall'))
    offer(keeper, coded('a rock', caption_id=6))
    keeper.leave(older, 1)
    completed = offer(keeper, coded(caption_id=6, caption_reference=True))
    assert DECODER.decode(completed.payload).caption == 'a rock'


@pytest.mark.parametrize('settings, session', [
    ({'caption_id': 6, 'caption_reference': True}, SESSION),
    ({'caption_reference': True}, SESSION + 1), ({}, SESSION)])
def test_a_frame_with_another_caption_or_none_is_left_as_it_is(settings, session):
    keeper = CaptionKeeper()
    offer(keeper, coded('a wall'))
    frame = coded(**settings)
    assert offer(keeper, frame, session).payload == frame.payload


def test_a_frame_that_must_not_be_cut_is_left_as_it_is(named):
    keeper = CaptionKeeper()
    offer(keeper, coded('a wall'))
    whole = replace(named, layer_ends=named.layer_ends[-1:])
    assert offer(keeper, whole).payload == named.payload
    assert DECODER.decode(offer(keeper, named).payload).caption == 'a wall'


def test_a_keeper_adds_just_the_text(named):
    keeper = CaptionKeeper()
    offer(keeper, coded('a wall'))
    completed = offer(keeper, named)
    text = packet.parse(completed.payload).section_sizes()['text']
    assert len(completed.payload) - len(named.payload) == text - 1
