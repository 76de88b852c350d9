# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video files."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
from gsc_ros.sources import open_source, SourceError
import pytest
from shared_data import shared_data
from source_picture import HEIGHT, picture, WIDTH


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Make a video of six frames at 5 frames per second, with a codec that OpenCV brings."""
    path = tmp_path / 'video.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5.0, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(6):
        writer.write(cv2.cvtColor(picture(40 * number), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def test_a_video_plays_at_its_own_rate_as_often_as_wanted(video):
    source = open_source(video)
    assert len(source) == 6 and source.fps == pytest.approx(5)
    for _ in range(2):
        frames = list(source)
        assert [frame.stamp_ns for frame in frames] == [n * 200_000_000 for n in range(6)]
        assert all(abs(int(frame.image[5, 5, 0]) - 40 * number) < 12
                   for number, frame in enumerate(frames))


def test_a_chosen_rate_stamps_a_video(video):
    assert [frame.stamp_ns for frame in open_source(video, fps=10)][1] == 100_000_000


def test_a_file_that_is_no_video_is_refused_by_name(tmp_path):
    path = tmp_path / 'video.mp4'
    path.write_bytes(b'no video at all' * 100)
    with pytest.raises(SourceError, match=r'video\.mp4'):
        open_source(path)


def test_a_video_whose_name_opencv_cannot_take_is_refused(tmp_path):
    path = tmp_path / os.fsdecode(b'\xff.mp4')
    path.write_bytes(b'no video at all' * 100)
    with pytest.raises(SourceError, match='rename the video'):
        open_source(path)


def test_a_video_has_no_topic(video):
    with pytest.raises(SourceError, match='is not a bag'):
        open_source(video, topic='/front/image_raw')


def test_the_shared_video_opens():
    path = shared_data('sequences', 'highway.mp4')
    if path is None:
        pytest.skip('the shared recordings are not here')
    source = open_source(path)
    assert source.fps == pytest.approx(25) and len(source) == 221
    assert next(iter(source)).image.shape == (540, 960, 3)
