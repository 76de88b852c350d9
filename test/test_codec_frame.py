# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames: from image to packet and back, at any size, within any limit, after any cut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
import os
import subprocess
import sys

from codec_image import picture
import cv2
from gsc_ros.codec import packet as wire
from gsc_ros.codec.error import (
    CodecError,
    MissingReferenceError,
    PacketError,
    ProfileMismatchError,
)
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.selection import Selection
from hypothesis import example, given
from hypothesis import settings as limits
from hypothesis import strategies as st
import numpy as np
import pytest
from shared_data import shared_data

IMAGE = picture(200, 320)
PROFILE = load_profile('tiny')
ENCODER = FrameEncoder(PROFILE)
DECODER = FrameDecoder(PROFILE)


def error(image: np.ndarray, payload: bytes) -> float:
    """Return the mean square error of a packet's picture."""
    return float(np.square(DECODER.decode(payload).image.astype(float) - image).mean())


@pytest.mark.parametrize('size', [
    (16, 16), (17, 95), (64, 64), (200, 321), (375, 1242), (16, 8192), (8192, 16)])
def test_an_image_of_any_size_comes_back_in_its_size(size):
    image = picture(*size)
    frame = ENCODER.encode(image, EncoderSettings(channels=8, caption='Grüße'))
    found = DECODER.decode(frame.payload)
    assert found.image.shape == image.shape
    assert found.confidence.shape == size
    assert (found.caption, found.mode, found.profile) == ('Grüße', 'structure', 'tiny')
    assert found.channels == frame.channels == tuple(range(len(frame.channels)))
    assert found.sections == frame.sections
    assert sum(frame.sections.values()) == len(frame.payload)
    assert (frame.width, frame.height) == (size[1], size[0])
    assert frame.encode_ms > 0 and found.decode_ms > 0


def test_a_caption_is_sent_once_and_then_named_by_its_id():
    first = ENCODER.encode(IMAGE, EncoderSettings(channels=2, caption='a wall', caption_id=255))
    again = ENCODER.encode(IMAGE, EncoderSettings(
        channels=2, caption_id=255, caption_reference=True))
    found = [DECODER.decode(frame.payload) for frame in (first, again)]
    assert [(item.caption, item.caption_id, item.caption_reference) for item in found] == [
        ('a wall', 255, False), ('', 255, True)]
    assert again.sections['text'] == 1
    assert DECODER.decode(ENCODER.encode(IMAGE).payload).caption_id is None


def test_a_packet_that_refers_to_another_is_refused_without_it():
    packet = wire.parse(ENCODER.encode(IMAGE).payload)
    with pytest.raises(MissingReferenceError, match='00ff'):
        DECODER.decode(wire.serialize(replace(packet, stream_reference=0xFF)))


def test_a_reconstruction_resembles_its_image():
    flat = float(np.square(IMAGE - IMAGE.mean(axis=(0, 1))).mean())
    assert error(IMAGE, ENCODER.encode(IMAGE, EncoderSettings(channels=320)).payload) < 0.7 * flat


@pytest.mark.parametrize('selection', list(Selection))
def test_every_cut_holds_exactly_the_first_layers(selection):
    frame = ENCODER.encode(IMAGE, EncoderSettings(
        channels=40, selection=selection, caption='text', seed=7))
    whole = DECODER.decode_symbols(wire.parse(frame.payload))
    assert frame.layer_ends[-1] == len(frame.payload)
    assert all(a < b for a, b in zip(frame.layer_ends, frame.layer_ends[1:]))
    for layers, end in enumerate(frame.layer_ends, 1):
        short = wire.cut(frame.payload, layers, frame.layer_ends)
        assert len(short) == end
        packet = wire.parse(short)
        assert packet.channels == frame.channels[:len(packet.channels)]
        assert (DECODER.decode_symbols(packet) == whole[:len(packet.channels)]).all()
        assert DECODER.decode(short).layers == layers
        # What has been cut may be cut again.
        again = wire.cut(short, 1, frame.layer_ends[:layers])
        assert again == wire.cut(frame.payload, 1, frame.layer_ends)


def test_an_ordinary_frame_spends_12_bytes_beside_its_symbols():
    sections = ENCODER.encode(IMAGE, EncoderSettings()).sections
    assert sections['header'] == 12
    assert sections['text'] == sections['channel_set'] == sections['regions'] == 0


def test_selected_channels_are_named_in_the_packet():
    frame = ENCODER.encode(IMAGE, EncoderSettings(channels=2, selection=Selection.SSIM))
    assert len(frame.channels) == 2
    packet = wire.parse(frame.payload)
    assert packet.channels == frame.channels
    assert frame.sections['channel_set'] == packet.explicit * wire.channel_set_bytes(2)


@pytest.mark.parametrize('selection', list(Selection))
def test_a_channel_without_a_symbol_is_not_sent(selection):
    frame = ENCODER.encode(IMAGE, EncoderSettings(channels=320, selection=selection))
    packet = wire.parse(frame.payload)
    audible = DECODER.decode_symbols(packet).any(axis=(1, 2))
    assert audible.all() if packet.explicit else audible[-1]


@limits(max_examples=15, deadline=None)
@given(st.integers(0, 1500), st.sampled_from(list(Selection)), st.sampled_from([1, 32, 320]))
def test_a_limit_is_never_exceeded(limit, selection, channels):
    settings = EncoderSettings(max_bytes=limit, selection=selection, channels=channels)
    try:
        frame = ENCODER.encode(IMAGE, settings)
    except CodecError:
        coarsest = int(np.argmin(PROFILE.gains.mean(axis=1)))
        smallest = ENCODER.encode(IMAGE, EncoderSettings(
            channels=channels, selection=selection, quantizer=coarsest))
        assert smallest.layer_ends[0] > limit
        return
    assert len(frame.payload) <= limit
    assert frame.layer_ends[-1] == len(frame.payload)
    assert DECODER.decode(frame.payload).channels == frame.channels


def test_a_larger_limit_is_used():
    sizes = []
    errors = []
    largest = len(ENCODER.encode(IMAGE, EncoderSettings(
        channels=320, quantizer=PROFILE.manifest.quantizers - 1)).payload)
    for limit in (largest // 4, largest // 2, largest):
        frame = ENCODER.encode(IMAGE, EncoderSettings(max_bytes=limit, channels=320))
        sizes.append(len(frame.payload))
        errors.append(error(IMAGE, frame.payload))
    assert sizes == sorted(sizes)
    assert errors[0] > errors[2]


def test_a_limit_that_holds_not_even_one_channel_is_an_error():
    with pytest.raises(CodecError, match='not even one channel'):
        ENCODER.encode(IMAGE, EncoderSettings(max_bytes=13))


@pytest.mark.parametrize('change', [
    {'channels': 0}, {'channels': 321}, {'quantizer': 16}, {'quantizer': -1}, {'seed': 256},
    {'caption': 'x' * 5000}, {'caption_id': 256, 'caption': 'x'},
    {'caption_reference': True, 'caption': 'x'}])
def test_a_setting_out_of_range_is_an_error(change):
    with pytest.raises(CodecError):
        ENCODER.encode(IMAGE, replace(EncoderSettings(), **change))


def test_a_damaged_packet_is_a_packet_error():
    payload = ENCODER.encode(IMAGE, EncoderSettings(channels=4)).payload
    for damaged in (b'', payload[:-1], payload[:20], bytes([payload[0] ^ 1]) + payload[1:]):
        with pytest.raises(PacketError):
            DECODER.decode(damaged)


def test_a_packet_of_another_profile_is_refused_and_not_decoded():
    packet = wire.parse(ENCODER.encode(IMAGE).payload)
    other = replace(packet, profile_hash=packet.profile_hash ^ 1)
    with pytest.raises(ProfileMismatchError, match='tiny'):
        DECODER.decode(wire.serialize(other))


def test_a_quantizer_the_profile_lacks_is_refused():
    few = copy(PROFILE)
    few.manifest = replace(PROFILE.manifest, quantizers=2)
    packet = wire.parse(ENCODER.encode(IMAGE, EncoderSettings(quantizer=2)).payload)
    with pytest.raises(PacketError, match='quantizer 2'):
        FrameDecoder(few).decode(wire.serialize(packet))


def test_a_picture_larger_than_the_decoder_allows_is_refused():
    packet = wire.parse(ENCODER.encode(IMAGE).payload)
    modest = FrameDecoder(PROFILE, max_pixels=200 * 320)
    assert modest.decode(wire.serialize(packet)).image.shape == (200, 320, 3)
    with pytest.raises(PacketError, match='8192x8192'):
        modest.decode(wire.serialize(replace(packet, width=8192, height=8192)))


@limits(max_examples=30, deadline=None)
@given(st.text(min_size=1, max_size=200))
@example('\0\x1b[2J\x7f\u202e\r\n')
def test_any_text_comes_through_whatever_it_does_to_a_terminal(caption):
    frame = ENCODER.encode(IMAGE[:32, :32], EncoderSettings(channels=1, caption=caption))
    assert DECODER.decode(frame.payload).caption == caption


@limits(max_examples=15, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([(0,), (2, 9, 300), tuple(range(32))]))
def test_a_stream_of_noise_with_a_right_checksum_harms_nobody(stream, channels):
    packet = wire.Packet(
        profile_hash=PROFILE.short_hash, width=90, height=70, channels=channels, quantizer=0,
        stream=stream)
    try:
        assert DECODER.decode(wire.serialize(packet)).image.shape == (70, 90, 3)
    except PacketError:
        pass


def test_a_flat_image_costs_little_and_may_be_cut():
    frame = ENCODER.encode(np.full((64, 64, 3), 128, np.uint8), EncoderSettings(channels=320))
    assert len(frame.payload) < 40
    assert all(a < b for a, b in zip(frame.layer_ends, frame.layer_ends[1:]))
    for layers in range(1, len(frame.layer_ends) + 1):
        DECODER.decode(wire.cut(frame.payload, layers, frame.layer_ends))


@pytest.mark.parametrize('threads', [1, 3])
def test_another_process_with_other_threads_and_another_cpu_reads_the_same_symbols(
        tmp_path, threads):
    frame = ENCODER.encode(IMAGE, EncoderSettings(channels=320))
    (tmp_path / 'frame.gsc').write_bytes(frame.payload)
    code = (
        'import sys, hashlib; from pathlib import Path\n'
        'from gsc_ros.codec import packet, profile, frame\n'
        'decoder = frame.FrameDecoder(profile.load_profile("tiny"), threads=int(sys.argv[2]))\n'
        'data = packet.parse(Path(sys.argv[1]).read_bytes())\n'
        'sys.stdout.buffer.write(decoder.decode_symbols(data).tobytes())\n')
    # What a machine without vector instructions of its own would do, as far as that can be asked.
    other = {
        'OMP_NUM_THREADS': str(threads), 'OPENBLAS_NUM_THREADS': str(threads),
        'ATEN_CPU_CAPABILITY': 'default', 'NPY_DISABLE_CPU_FEATURES': 'AVX2 FMA3',
        'OPENBLAS_CORETYPE': 'Prescott', 'PYTHONPATH': os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, '-c', code, tmp_path / 'frame.gsc', str(threads)], capture_output=True,
        check=True, env=os.environ | other)
    assert done.stdout == DECODER.decode_symbols(wire.parse(frame.payload)).tobytes()


@pytest.mark.skipif(shared_data() is None, reason='the shared data are not here')
@pytest.mark.parametrize('pattern', ['kodak/*', 'kitti/*/*_drive_*_sync/image_02/data/*'])
def test_real_pictures_come_back_with_the_symbols_that_were_sent(pattern):
    paths = sorted(shared_data().glob(pattern))
    assert paths
    for path in paths[::max(1, len(paths) // 4)]:
        image = cv2.imread(str(path))[:, :, ::-1]
        frame = ENCODER.encode(np.ascontiguousarray(image), EncoderSettings(channels=320))
        assert DECODER.decode(frame.payload).image.shape == image.shape
        packet = wire.parse(frame.payload)
        again = PROFILE.context.encode(
            DECODER.decode_symbols(packet), packet.channels, packet.quantizer,
            packet.layer_counts)
        assert again.stream == packet.stream.rstrip(b'\0')


def test_a_worker_thread_may_use_what_another_thread_made():
    with ThreadPoolExecutor(max_workers=2) as pool:
        frames = list(pool.map(ENCODER.encode, [IMAGE]))
        found = list(pool.map(FrameDecoder(PROFILE).decode, [frames[0].payload]))
    assert frames[0].payload == ENCODER.encode(IMAGE).payload
    assert (found[0].image == DECODER.decode(frames[0].payload).image).all()
