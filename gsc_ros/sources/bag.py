# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of a rosbag2 (sqlite3 or MCAP), read without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import logging
from pathlib import Path

import cv2
from gsc_ros.sources.frame import Calibration, NS_PER_S, SourceError, SourceFrame
from gsc_ros.sources.pixel import PixelError, to_rgb
from gsc_ros.sources.timestamp import check_fps, DEFAULT_FPS
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import get_typestore, Stores

_log = logging.getLogger(__name__)

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'


class _Rosbag2Path(type(Path())):
    """A path that rosbags takes for a rosbag2 also where it ends in .bag, like those of ROS 1."""

    @property
    def suffix(self) -> str:
        """Return the end of the name from its last dot on, unless that is .bag."""
        return super().suffix.replace('.bag', '')


class BagSource:
    """
    One image topic of a bag, with the CameraInfo topic beside it.

    Stamps are those of the headers, or of the recording where headers have none. A message that
    holds no picture (depth, damaged data) is skipped, logged and counted.

    :param path: the bag's folder, or a .mcap or .db3 file.
    :param topic: of type Image or CompressedImage; None when the bag has only one.
    :param fps: frames per second, to space the stamps evenly; None takes the recorded ones.
    :raises SourceError: not a readable bag, no such topic, several to choose from (the message
        lists them), or no picture on the topic.
    """

    def __init__(self, path: Path, topic: str | None = None, fps: float | None = None) -> None:
        check_fps(fps)
        self.skipped = 0
        self._path = path
        self._chosen_fps = fps
        with self._open() as reader:
            connection = self._choose(reader.connections, topic)
            self._topic, self._type = connection.topic, connection.msgtype
            self._count = connection.msgcount
            duration = reader.duration / NS_PER_S
        self.name = f'{path} {self._topic}'
        recorded = (self._count - 1) / duration if self._count > 1 and duration > 0 else 0.0
        self.fps = fps or min(1000.0, recorded) or DEFAULT_FPS
        if next(iter(self), None) is None:
            raise SourceError(f'{path}: none of {self._count} messages on {self._topic} is a '
                              'picture; see the warnings')

    @property
    def topic(self) -> str:
        """Return the name of the image topic."""
        return self._topic

    def __len__(self) -> int:
        """Return the number of messages on the topic."""
        return self._count

    def __iter__(self) -> Iterator[SourceFrame]:
        """Read the images in the order of the recording."""
        self.skipped = 0
        calibration = self._first_calibration()
        start_ns: int | None = None
        with self._open() as reader:
            wanted = [connection for connection in reader.connections
                      if (connection.topic, connection.msgtype) in (
                          (self._topic, self._type), (_info_topic(self._topic), CAMERA_INFO))]
            index = 0
            for connection, recorded_ns, data in reader.messages(wanted):
                message = reader.deserialize(data, connection.msgtype)
                if connection.msgtype == CAMERA_INFO:
                    calibration = _calibration(message)
                    continue
                stamp = message.header.stamp
                stamp_ns = stamp.sec * NS_PER_S + stamp.nanosec or recorded_ns
                start_ns = stamp_ns if start_ns is None else start_ns
                if self._chosen_fps is not None:
                    stamp_ns = start_ns + round(index * NS_PER_S / self._chosen_fps)
                index += 1
                try:
                    image = _picture(message, self._type)
                except PixelError as error:
                    self.skipped += 1
                    _log.warning('skipped: %s: message %d on %s: %s', self._path, index,
                                 self._topic, error)
                    continue
                fits = calibration and (
                    calibration.height, calibration.width) == image.shape[:2]
                yield SourceFrame(image, stamp_ns, message.header.frame_id,
                                  calibration if fits else None)

    def _first_calibration(self) -> Calibration | None:
        """Return the first CameraInfo of the bag: an image may be recorded just before it."""
        with self._open() as reader:
            infos = [connection for connection in reader.connections
                     if connection.topic == _info_topic(self._topic)
                     and connection.msgtype == CAMERA_INFO]
            for connection, _, data in reader.messages(infos) if infos else ():
                return _calibration(reader.deserialize(data, connection.msgtype))
        return None

    @contextmanager
    def _open(self) -> Iterator[AnyReader]:
        types = get_typestore(Stores.ROS2_JAZZY)
        try:
            with AnyReader([_Rosbag2Path(self._path)], default_typestore=types) as reader:
                yield reader
        except SourceError:
            raise
        except Exception as error:  # damaged bags raise whatever their parsers meet
            reason = str(error) or type(error).__name__
            raise SourceError(f'{self._path}: cannot be read as a rosbag2: {reason}') from error

    def _choose(self, connections: list[Connection], topic: str | None) -> Connection:
        images = [connection for connection in connections
                  if connection.msgtype in (IMAGE, COMPRESSED_IMAGE)]
        names = ', '.join(sorted(connection.topic for connection in images)) or 'none'
        if topic is not None:
            images = [connection for connection in images
                      if connection.topic.strip('/') == topic.strip('/')]
            if not images:
                raise SourceError(
                    f'{self._path}: has no image topic {topic!r}; image topics: {names}')
        elif len(images) != 1:
            what = 'choose one of its image topics' if images else 'has no image topic'
            raise SourceError(f'{self._path}: {what}' + (f': {names}' if images else ''))
        return images[0]


def _info_topic(topic: str) -> str:
    """Return the CameraInfo topic beside an image topic, as image_transport names it."""
    base = topic.rsplit('/', 1)[0] if topic.endswith('/compressed') else topic
    return base.rsplit('/', 1)[0] + '/camera_info'


def _picture(message: object, kind: str) -> np.ndarray:
    if kind == COMPRESSED_IMAGE:
        return _decompress(message.format, message.data)
    image = to_rgb(message.data, message.width, message.height, message.step, message.encoding,
                   bool(message.is_bigendian))
    gray = message.encoding in ('mono8', 'mono16')
    return np.ascontiguousarray(image[..., 0]) if gray else image


def _decompress(kind: str, data: np.ndarray) -> np.ndarray:
    if 'compressedDepth' in kind:
        raise PixelError(f'unsupported encoding: {kind} is depth, not a picture')
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise PixelError(f'bad image: damaged {kind!r} data')
    if image.dtype != np.uint8:
        raise PixelError(f'unsupported encoding: {image.dtype} samples in {kind!r} may be depth')
    if image.ndim == 2:
        return image
    code = cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(image, code)


def _calibration(info: object) -> Calibration | None:
    """Return what a CameraInfo says; None when it is uncalibrated or not of the whole image."""
    if info.k[0] == 0.0 or max(info.binning_x, info.binning_y) > 1 or info.roi.width:
        return None
    return Calibration(
        info.width, info.height, info.distortion_model, *(
            tuple(float(number) for number in matrix)
            for matrix in (info.d, info.k, info.r, info.p)))
