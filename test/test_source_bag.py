# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags, read and written."""

from __future__ import annotations

from pathlib import Path

import cv2
from gsc_ros.sources import Calibration, open_source, SourceError
from gsc_ros.sources.bag_writer import BagWriter
from hypothesis import given, HealthCheck, settings, strategies
import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from source_picture import HEIGHT, numbers, picture, WIDTH

CALIBRATION = Calibration(
    WIDTH, HEIGHT, 'plumb_bob', (-0.3, 0.1, 1e-3, -1e-4, 0.02),
    (700.5, 0.0, 24.25, 0.0, 701.5, 16.5, 0.0, 0.0, 1.0),
    (1.0, 0.01, 0.0, -0.01, 1.0, 0.0, 0.0, 0.0, 1.0),
    (650.5, 0.0, 24.0, -5.5, 0.0, 650.5, 16.0, 0.0, 0.0, 0.0, 1.0, 0.0))
START_NS = 1_700_000_000_123_456_789
TOPIC = '/front/image_raw'


def write_bag(path: Path, count: int = 3, *topics: str) -> Path:
    with BagWriter(path) as bag:
        for number in range(count):
            stamp_ns = START_NS + number * 100_000_000
            for topic in topics or (TOPIC,):
                bag.write_image(topic, picture(number), stamp_ns, 'optical')
            bag.write_camera_info('/front/camera_info', CALIBRATION, stamp_ns, 'optical')
    return path


@pytest.mark.parametrize('part', ['', 'bag.mcap'])
def test_what_is_written_is_read_back_exactly(tmp_path, part):
    source = open_source(write_bag(tmp_path / 'bag') / part)
    frames = list(source)
    assert numbers(frames) == [0, 1, 2] and len(source) == 3
    assert np.array_equal(frames[2].image, picture(2))
    assert [frame.stamp_ns for frame in frames] == [
        START_NS + number * 100_000_000 for number in range(3)]
    assert all(frame.frame_id == 'optical' and frame.calibration == CALIBRATION
               for frame in frames)
    assert source.fps == pytest.approx(10)


def test_the_metadata_is_what_ros2_bag_expects(tmp_path):
    with Reader(write_bag(tmp_path / 'bag')) as reader:
        assert reader.message_count == 6 and reader.start_time == START_NS
        types = {connection.topic: connection.msgtype for connection in reader.connections}
        assert all(connection.digest.startswith('RIHS01_') for connection in reader.connections)
    assert types == {TOPIC: 'sensor_msgs/msg/Image',
                     '/front/camera_info': 'sensor_msgs/msg/CameraInfo'}
    metadata = (tmp_path / 'bag' / 'metadata.yaml').read_text()
    assert 'storage_identifier: mcap' in metadata and 'version: 9' in metadata


def test_gray_stays_gray(tmp_path):
    gray = np.arange(WIDTH * HEIGHT, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write_image(TOPIC, gray, START_NS, '')
    frame = next(iter(open_source(tmp_path / 'bag')))
    assert np.array_equal(frame.image, gray) and frame.calibration is None


def test_compressed_images_are_read_with_the_calibration_beside_them(tmp_path):
    png = cv2.imencode('.png', cv2.cvtColor(picture(9), cv2.COLOR_RGB2BGR))[1].tobytes()
    with BagWriter(tmp_path / 'bag') as bag:
        # The calibration comes after the image that it belongs to.
        bag.write_compressed(f'{TOPIC}/compressed', png, 'png', START_NS, 'optical')
        bag.write_camera_info('/front/camera_info', CALIBRATION, START_NS + 1, 'optical')
    frame = next(iter(open_source(tmp_path / 'bag')))
    assert np.array_equal(frame.image, picture(9)) and frame.calibration == CALIBRATION


def test_a_bag_with_several_image_topics_asks_which(tmp_path):
    bag = write_bag(tmp_path / 'bag', 2, '/front/image_raw', '/rear/image_raw')
    with pytest.raises(SourceError, match='/front/image_raw, /rear/image_raw'):
        open_source(bag)
    with pytest.raises(SourceError, match=r"'/side'; image topics: /front/image_raw, /rear"):
        open_source(bag, topic='/side')
    frames = list(open_source(bag, topic='rear/image_raw'))
    assert len(frames) == 2 and frames[0].calibration is None


def test_a_bag_without_images_says_so(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write_camera_info('/front/camera_info', CALIBRATION, START_NS, '')
    with pytest.raises(SourceError, match='has no image topic'):
        open_source(tmp_path / 'bag')


def test_a_chosen_rate_spaces_the_stamps(tmp_path):
    stamps = [frame.stamp_ns for frame in open_source(write_bag(tmp_path / 'bag'), fps=4)]
    assert stamps == [START_NS + number * 250_000_000 for number in range(3)]


def write_sqlite3(path: Path, *messages: tuple[str, int, bytes]) -> Path:
    """Write images of an encoding with unset stamps, 100 ms apart, with padded rows."""
    types = get_typestore(Stores.ROS2_JAZZY)
    kind = 'sensor_msgs/msg/Image'
    header = types.types['std_msgs/msg/Header'](
        stamp=types.types['builtin_interfaces/msg/Time'](sec=0, nanosec=0), frame_id='optical')
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as bag:
        connection = bag.add_connection(TOPIC, kind, typestore=types)
        for number, (encoding, step, data) in enumerate(messages):
            message = types.types[kind](
                header=header, height=HEIGHT, width=WIDTH, encoding=encoding, is_bigendian=0,
                step=step, data=np.frombuffer(data, np.uint8))
            bag.write(connection, START_NS + number * 100_000_000,
                      types.serialize_cdr(message, kind))
    return path


@pytest.mark.parametrize('part', ['', 'bag.db3'])
def test_sqlite3_bags_with_padded_rows_and_unset_stamps_are_read(tmp_path, part):
    step = WIDTH * 3 + 7
    rows = np.hstack([picture(5)[..., ::-1].reshape(HEIGHT, -1), np.zeros((HEIGHT, 7), np.uint8)])
    bag = write_sqlite3(tmp_path / 'bag', ('bgr8', step, rows.tobytes()))
    frame = next(iter(open_source(bag / part)))
    assert np.array_equal(frame.image, picture(5)) and frame.stamp_ns == START_NS


def test_messages_that_are_no_pictures_are_skipped_and_counted(tmp_path, caplog):
    good = ('rgb8', WIDTH * 3, picture(1).tobytes())
    bag = write_sqlite3(tmp_path / 'bag', good, ('rgb8', WIDTH * 3, b'short'),
                        ('16UC1', WIDTH * 2, bytes(WIDTH * HEIGHT * 2)), good)
    source = open_source(bag)
    assert [frame.stamp_ns - START_NS for frame in source] == [0, 300_000_000]
    assert source.skipped == 2 and '16UC1 is depth' in caplog.text


def test_a_bag_of_depth_only_is_refused(tmp_path):
    bag = write_sqlite3(tmp_path / 'bag', ('16UC1', WIDTH * 2, bytes(WIDTH * HEIGHT * 2)))
    with pytest.raises(SourceError, match='none of 1 messages'):
        open_source(bag)


@given(place=strategies.integers(0, 10 ** 6), junk=strategies.binary(min_size=1, max_size=64),
       cut=strategies.booleans())
@settings(max_examples=30, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_bag_is_read_or_refused_by_name(tmp_path, place, junk, cut):
    if not (tmp_path / 'bag').exists():
        write_bag(tmp_path / 'bag')
    data = bytearray((tmp_path / 'bag' / 'bag.mcap').read_bytes())
    place %= len(data)
    data[place:] = data[place + len(junk):] if cut else junk + data[place + len(junk):]
    damaged = tmp_path / 'damaged.mcap'
    damaged.write_bytes(data)
    try:
        for frame in open_source(damaged):
            assert frame.image.shape[2] == 3
    except SourceError as error:
        assert 'damaged.mcap' in str(error)


def test_a_bag_is_never_overwritten(tmp_path):
    write_bag(tmp_path / 'bag')
    with pytest.raises(SourceError, match='exists already'):
        write_bag(tmp_path / 'bag')


def test_what_was_written_before_an_error_can_be_played(tmp_path):
    with pytest.raises(KeyError), BagWriter(tmp_path / 'bag') as bag:
        bag.write_image(TOPIC, picture(0), START_NS, '')
        raise KeyError
    assert len(list(open_source(tmp_path / 'bag'))) == 1
