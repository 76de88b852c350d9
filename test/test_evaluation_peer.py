# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The peers code real pictures; what is not installed is said, what fails is one line."""

from codec_image import picture
from gsc_ros.evaluation import ffmpeg
from gsc_ros.evaluation.metric import psnr
from gsc_ros.evaluation.resampling import centre, reduced, resized
from gsc_ros.evaluation.still_peer import PeerError, STILL_PEERS
from gsc_ros.evaluation.video_peer import KeyFrames, VIDEO_PEERS
import numpy as np
import pytest


@pytest.fixture(params=STILL_PEERS, ids=lambda peer: peer.name)
def still(request):
    """Return a codec for stills that is installed."""
    if request.param.missing():
        pytest.skip(request.param.missing())
    return request.param


@pytest.fixture(params=VIDEO_PEERS, ids=lambda peer: peer.name)
def video(request):
    """Return a codec for video that is installed."""
    if request.param.missing():
        pytest.skip(request.param.missing())
    return request.param


@pytest.fixture
def no_ffmpeg(monkeypatch, tmp_path):
    """Hide ffmpeg, as where neither it nor the package is installed."""
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setenv('IMAGEIO_FFMPEG_EXE', str(tmp_path / 'absent'))
    monkeypatch.setitem(__import__('sys').modules, 'imageio_ffmpeg', None)
    for cached in (ffmpeg.program, ffmpeg.version, ffmpeg.encoders):
        cached.cache_clear()
    yield
    for cached in (ffmpeg.program, ffmpeg.version, ffmpeg.encoders):
        cached.cache_clear()


def test_more_quality_is_more_bytes_and_a_better_picture(still):
    image = picture(64, 96)
    low, high = (still.encode(image, quality) for quality in
                 (still.qualities[0], still.qualities[-1]))
    assert still.size(low) < still.size(high)
    scores = [psnr(image, still.decode(stream, 96, 64)) for stream in (low, high)]
    assert scores[0] < scores[1]
    assert scores[1] > 22


def test_a_damaged_still_is_an_error_of_one_line(still):
    with pytest.raises(PeerError) as caught:
        still.decode(b'not a picture', 96, 64)
    assert '\n' not in str(caught.value)


def test_video_comes_back_whole_and_better_with_more_rate(video):
    frames = np.stack([np.roll(picture(64, 96), 2 * index, axis=1) for index in range(12)])
    sizes, scores = [], []
    for kbps in (30, 200):
        stream = video.encode(frames, 10, kbps)
        shown = video.decode(stream, 96, 64)
        assert shown.shape == frames.shape
        sizes.append(len(stream))
        scores.append(np.mean([psnr(*pair) for pair in zip(frames, shown)]))
    assert min(scores) > 20
    if not video.low_delay:  # without look-ahead, twelve frames are too few to find the rate
        assert sizes[0] < sizes[1]
        assert scores[0] < scores[1]


def test_video_can_be_entered_at_forced_key_frames(video):
    if not video.low_delay or video.kind == 'obu':
        pytest.skip('only these are entered after a loss')
    from gsc_ros.evaluation.packet_loss import access_units
    frames = np.stack([np.roll(picture(64, 96), 2 * index, axis=1) for index in range(8)])
    stream = video.encode(frames, 10, 40, KeyFrames(forced={2, 5}))
    keys = [any(unit.is_key for unit in units) for units in access_units(stream, video.kind)]
    assert [number for number, key in enumerate(keys) if key] == [0, 2, 5]


def test_without_ffmpeg_its_codecs_are_missing_with_a_reason(no_ffmpeg):
    for peer in (*STILL_PEERS, *VIDEO_PEERS):
        if peer.name not in ('jpeg', 'webp', 'jpeg2000', 'avif'):
            assert 'no ffmpeg' in peer.missing()


def test_what_ffmpeg_says_is_kept_to_a_line():
    try:
        ffmpeg.program()
    except ffmpeg.FFmpegError as error:
        pytest.skip(str(error))
    with pytest.raises(ffmpeg.FFmpegError) as caught:
        ffmpeg.run((*ffmpeg.QUIET, '-i', 'absent.mp4', '-f', 'null', '-'))
    assert '\n' not in str(caught.value)
    assert 'No such file' in str(caught.value)
    endless = ('-f', 'lavfi', '-re', '-i', 'testsrc', '-f', 'null', '-')
    with pytest.raises(ffmpeg.FFmpegError, match='more than 0.5 s'):
        ffmpeg.run(endless, timeout_s=0.5)


def test_frames_of_another_size_are_refused():
    with pytest.raises(ffmpeg.FFmpegError, match='not frames of'):
        ffmpeg.as_frames(b'12345', 2, 2)


def test_a_crop_is_the_centre_and_never_larger_than_the_image():
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    assert np.array_equal(centre(image, 3, 1), image[2:3, 2:5])
    assert np.array_equal(centre(image, 100, 100), image)


@pytest.mark.parametrize('factor', (1, 1.5, 3, 8, 1000))
def test_reduced_pictures_have_even_sides_and_flat_ones_stay_flat(factor):
    flat = np.full((61, 97, 3), 77, np.uint8)
    small = reduced(flat, factor)
    assert not any(side % 2 for side in small.shape[:2])
    assert np.array_equal(resized(small, 97, 61), flat)
