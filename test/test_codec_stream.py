# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Streams: a frame leans on the one before, and never on one that the decoder has not got."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from codec_image import picture
from gsc_ros.codec import packet as wire
from gsc_ros.codec.context import PreviousSymbols
from gsc_ros.codec.error import CodecError, MissingReferenceError
from gsc_ros.codec.frame import EncodedFrame, EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.stream import KEPT_BYTES, KEPT_FRAMES, Remembered, StreamMemory
import numpy as np
import pytest

PROFILE = load_profile('tiny')
ENCODER = FrameEncoder(PROFILE)
STREAM = EncoderSettings(channels=320, stream=True)
WIDE = picture(160, 400)


def view(number: int, width: int = 256) -> np.ndarray:
    """Return what a camera sees that turns slowly, uint8 ``[160, width, 3]``."""
    return np.ascontiguousarray(WIDE[:, 2 * number:2 * number + width])


@pytest.fixture(name='encoder')
def fresh_encoder() -> FrameEncoder:
    """Return an encoder that has not made a packet yet."""
    return FrameEncoder(PROFILE)


@pytest.fixture(name='decoder')
def fresh_decoder() -> FrameDecoder:
    """Return a decoder that has not seen a packet yet."""
    return FrameDecoder(PROFILE)


def symbols(decoder: FrameDecoder, frame: EncodedFrame) -> np.ndarray:
    return decoder.decode_symbols(wire.parse(frame.payload))


def test_frames_refer_to_the_frame_before_and_cost_less(encoder, decoder):
    frames = [encoder.encode(view(number), STREAM) for number in range(5)]
    alone = [ENCODER.encode(view(number), replace(STREAM, stream=False)) for number in range(5)]
    assert frames[0].stream_reference is None
    for before, frame in zip(frames, frames[1:]):
        assert frame.stream_reference == wire.checksum(before.payload)
        assert frame.sections['header'] == 14
    for frame in frames:
        assert decoder.decode(frame.payload).channels == frame.channels
    assert sum(len(frame.payload) for frame in frames[1:]) < sum(
        len(frame.payload) for frame in alone[1:])


def test_a_frame_as_the_one_before_costs_next_to_nothing(encoder, decoder):
    first, second = (encoder.encode(view(0), STREAM) for _ in range(2))
    assert second.sections['structure'] <= 0.2 * first.sections['structure'] + 4
    pictures = [decoder.decode(frame.payload).image for frame in (first, second)]
    assert (pictures[0] == pictures[1]).all()


def test_after_a_lost_frame_nothing_is_decoded_until_one_stands_alone(encoder, decoder):
    frames = [encoder.encode(view(number), STREAM) for number in range(4)]
    decoder.decode(frames[0].payload)
    for frame in frames[2:]:
        with pytest.raises(MissingReferenceError):
            decoder.decode(frame.payload)
    encoder.refresh()
    again = encoder.encode(view(4), STREAM)
    assert again.stream_reference is None
    assert decoder.decode(again.payload).image.shape == (160, 256, 3)
    decoder.decode(encoder.encode(view(5), STREAM).payload)


def test_a_frame_that_comes_late_or_twice_is_decoded_as_before(encoder, decoder):
    frames = [encoder.encode(view(number), STREAM) for number in range(3)]
    once = [decoder.decode(frame.payload).image for frame in frames]
    for index in (1, 1, 2, 0):
        assert (decoder.decode(frames[index].payload).image == once[index]).all()


def test_branches_have_streams_of_their_own(encoder, decoder):
    encoders, decoders = (encoder, encoder.branch()), (decoder, decoder.branch())
    for number in range(3):
        frames = [other.encode(view(number + 2 * index), STREAM)
                  for index, other in enumerate(encoders)]
        assert [frame.stream_reference is None for frame in frames] == [number == 0] * 2
        for other, frame in zip(decoders, frames):
            other.decode(frame.payload)
    encoder.refresh()
    assert encoder.encode(view(3), STREAM).stream_reference is None
    frame = encoders[1].encode(view(3), STREAM)
    with pytest.raises(MissingReferenceError):
        decoder.decode(frame.payload)
    decoders[1].decode(frame.payload)


def test_a_packet_that_is_only_followed_may_be_referred_to(encoder, decoder):
    frames = [encoder.encode(view(number), STREAM) for number in range(3)]
    whole = FrameDecoder(PROFILE)
    wanted = [whole.decode(frame.payload).image for frame in frames]
    for frame in frames[:2]:
        decoder.follow(frame.payload)
    assert (decoder.decode(frames[2].payload).image == wanted[2]).all()
    with pytest.raises(MissingReferenceError):
        decoder.branch().follow(frames[2].payload)


def test_branches_work_at_the_same_time_on_threads_of_their_own(encoder, decoder):
    def run(coders: tuple[FrameEncoder, FrameDecoder]) -> list[tuple[bytes, bytes]]:
        mine, other = coders
        payloads = [mine.encode(view(number), STREAM).payload for number in range(6)]
        return [(payload, other.decode(payload).image.tobytes()) for payload in payloads]
    alone = run((encoder.branch(), decoder.branch()))
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(run, [(encoder.branch(), decoder.branch()) for _ in range(3)]):
            assert found == alone


def test_a_frame_stands_alone_at_an_interval_and_when_the_size_changes(encoder):
    settings = replace(STREAM, refresh_interval=3)
    alone = [encoder.encode(view(number), settings).stream_reference is None
             for number in range(7)]
    assert alone == [True, False, False, True, False, False, True]
    assert encoder.encode(view(0, 224), settings).stream_reference is None
    assert encoder.encode(view(0, 224), settings).stream_reference is not None
    with pytest.raises(CodecError, match='interval'):
        encoder.encode(view(0), replace(STREAM, refresh_interval=0))


def test_a_frame_that_stood_alone_may_be_referred_to(encoder, decoder):
    first = encoder.encode(view(0), replace(STREAM, stream=False))
    second = encoder.encode(view(1), STREAM)
    assert second.stream_reference == wire.checksum(first.payload)
    for frame in (first, second):
        decoder.decode(frame.payload)


def test_the_quantizer_may_change_within_a_stream(encoder, decoder):
    for number, quantizer in enumerate((1, 3, 0, PROFILE.manifest.quantizers - 1, 2)):
        frame = encoder.encode(view(number), replace(STREAM, quantizer=quantizer))
        found = decoder.decode(frame.payload)
        assert found.channels == frame.channels
    assert frame.stream_reference is not None


@pytest.mark.parametrize('limit', [120, 200, 400])
def test_a_limit_holds_within_a_stream(encoder, decoder, limit):
    for number in range(4):
        frame = encoder.encode(view(number), replace(STREAM, max_bytes=limit))
        assert len(frame.payload) <= limit
        decoder.decode(frame.payload)


def test_within_a_limit_a_stream_becomes_finer_while_little_changes(encoder, decoder):
    coarse = encoder.encode(view(0), replace(STREAM, quantizer=4))
    encoder.refresh()
    errors = []
    for _ in range(12):
        frame = encoder.encode(view(0), replace(STREAM, max_bytes=len(coarse.payload) + 8))
        assert len(frame.payload) <= len(coarse.payload) + 8
        found = decoder.decode(frame.payload).image.astype(float)
        errors.append(np.square(found - view(0)).mean())
    assert frame.quantizer > 4
    assert errors[-1] < errors[0]


def test_frames_of_a_stream_are_not_cut(encoder):
    for number in range(2):
        frame = encoder.encode(view(number), STREAM)
        assert frame.layer_ends == (len(frame.payload),)
        assert wire.cut(frame.payload, 1, frame.layer_ends) == frame.payload


def test_several_cameras_share_a_decoder(decoder):
    encoders = [FrameEncoder(PROFILE) for _ in range(3)]
    for number in range(3):
        for offset, encoder in enumerate(encoders):
            frame = encoder.encode(view(number + 20 * offset), STREAM)
            assert decoder.decode(frame.payload).channels == frame.channels


def test_a_reference_to_a_packet_of_another_size_is_not_used(encoder, decoder):
    first = encoder.encode(view(0), STREAM)
    decoder.decode(first.payload)
    other = wire.parse(ENCODER.encode(view(0, 224), STREAM).payload)
    with pytest.raises(MissingReferenceError):
        decoder.decode(wire.serialize(
            replace(other, stream_reference=wire.checksum(first.payload))))


def test_what_is_remembered_is_bounded():
    memory = StreamMemory()

    def frame(reference: int, cells: int) -> Remembered:
        return Remembered(reference, 64, 64, PreviousSymbols(
            np.zeros((1, 1, cells), np.int16), (0,), 0))

    def known(reference: int) -> bool:
        try:
            return memory.find(wire.Packet(
                profile_hash=0, width=64, height=64, channels=(0,), quantizer=0,
                stream_reference=reference)) is not None
        except MissingReferenceError:
            return False

    for reference in range(KEPT_FRAMES + 2):
        memory.keep(frame(reference, 4))
    assert [known(reference) for reference in range(KEPT_FRAMES + 2)] == (
        [False, False] + [True] * KEPT_FRAMES)
    memory.keep(frame(100, KEPT_BYTES // 2))
    assert known(100) and not known(KEPT_FRAMES + 1)
    memory.keep(frame(101, KEPT_BYTES))
    assert not known(100) and not known(101)
