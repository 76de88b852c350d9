# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes an MCAP bag that `ros2 bag play` of ROS 2 Jazzy and newer takes, without ROS."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from gsc_ros.sources.frame import Calibration, NS_PER_S, SourceError
import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import get_typestore, Stores


class BagWriter:
    """
    A new bag; a context manager.

    Messages may be written in any order of topics; the time of recording is the stamp.

    :param path: the folder to make.
    :raises SourceError: it exists already or cannot be made (on entering).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._connections: dict[tuple[str, str], Connection] = {}
        self._writer: Writer | None = None

    def __enter__(self) -> BagWriter:
        """Make the folder."""
        if self._path.exists():
            raise SourceError(f'{self._path}: exists already')
        try:
            self._writer = Writer(self._path, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise SourceError(f'{self._path}: cannot be written: {error}') from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Complete the bag, also after an error: what was written can then be played."""
        self._writer.close()

    def write_image(self, topic: str, image: np.ndarray, stamp_ns: int, frame_id: str) -> None:
        """
        Write a `sensor_msgs/Image`, rgb8 or mono8.

        :param topic: absolute name.
        :param image: uint8 [H, W, 3] RGB, or uint8 [H, W].
        :param stamp_ns: nanoseconds, >= 0.
        :param frame_id: of the header.
        """
        height, width = image.shape[:2]
        rows = np.ascontiguousarray(image)
        self._write(topic, 'sensor_msgs/msg/Image', stamp_ns,
                    header=self._header(stamp_ns, frame_id), height=height, width=width,
                    encoding='rgb8' if image.ndim == 3 else 'mono8', is_bigendian=0,
                    step=rows.size // height, data=rows.reshape(-1))

    def write_compressed(self, topic: str, data: bytes, kind: str, stamp_ns: int,
                         frame_id: str) -> None:
        """
        Write a `sensor_msgs/CompressedImage`.

        :param topic: absolute name, by custom ending in `/compressed`.
        :param data: JPEG or PNG.
        :param kind: the message's format, 'jpeg' or 'png'.
        :param stamp_ns: nanoseconds, >= 0.
        :param frame_id: of the header.
        """
        self._write(topic, 'sensor_msgs/msg/CompressedImage', stamp_ns,
                    header=self._header(stamp_ns, frame_id), format=kind,
                    data=np.frombuffer(data, np.uint8))

    def write_camera_info(self, topic: str, calibration: Calibration, stamp_ns: int,
                          frame_id: str) -> None:
        """Write a `sensor_msgs/CameraInfo`; parameters as for :meth:`write_image`."""
        region = self._types.types['sensor_msgs/msg/RegionOfInterest']
        self._write(topic, 'sensor_msgs/msg/CameraInfo', stamp_ns,
                    header=self._header(stamp_ns, frame_id), height=calibration.height,
                    width=calibration.width, distortion_model=calibration.distortion_model,
                    d=np.array(calibration.d, np.float64), k=np.array(calibration.k, np.float64),
                    r=np.array(calibration.r, np.float64), p=np.array(calibration.p, np.float64),
                    binning_x=0, binning_y=0,
                    roi=region(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False))

    def _header(self, stamp_ns: int, frame_id: str) -> object:
        seconds, nanoseconds = divmod(stamp_ns, NS_PER_S)
        time = self._types.types['builtin_interfaces/msg/Time']
        return self._types.types['std_msgs/msg/Header'](
            stamp=time(sec=seconds, nanosec=nanoseconds), frame_id=frame_id)

    def _write(self, topic: str, kind: str, stamp_ns: int, **fields: object) -> None:
        connection = self._connections.get((topic, kind))
        if connection is None:
            connection = self._writer.add_connection(topic, kind, typestore=self._types)
            self._connections[topic, kind] = connection
        message = self._types.types[kind](**fields)
        self._writer.write(connection, stamp_ns, self._types.serialize_cdr(message, kind))
