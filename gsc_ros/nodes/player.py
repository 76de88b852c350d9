# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Publishes a recording, or the built-in terrain, as a camera.

    any source ──> <camera>/image_raw, <camera>/camera_info (and /clock)

Frames leave at the pace of their stamps. The next frame is read before the wait for its time, so
that reading costs no punctuality. The node ends after the last frame unless it loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import sys
import time

from gsc_ros.nodes.conversion import to_message
from gsc_ros.nodes.parameter import parameter, ParameterTable, topic_refusal
from gsc_ros.sources import Calibration, open_source, SourceError, SourceFrame
from gsc_ros.sources.frame import NS_PER_S
import rclpy
from rclpy.duration import Duration
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

CLOCK_PERIOD_S = 0.02
LOG_PERIOD_S = 5.0
# A subscriber that we know of may need this long to know of us.
ACQUAINTANCE_S = 0.5
# How long reliable subscribers have to confirm the last frame.
FAREWELL_S = 0.5


@dataclass(frozen=True)
class PlayerParameters:
    """Parameters of the player."""

    input: str = parameter(
        'terrain', 'KITTI drive, folder of images, video or rosbag2, or the built-in terrain.',
        read_only=True)
    camera: str = parameter(
        'front', 'Prefix of the topics.', read_only=True, constraint='a relative topic',
        check=topic_refusal)
    fps: float = parameter(
        0.0, 'Frames per second; 0 plays at the recorded rate.', minimum=0, maximum=1000,
        read_only=True)
    loop: bool = parameter(False, 'Start again at the end.', read_only=True)
    count: int = parameter(
        0, 'Frames to publish, loops included; 0 is all.', minimum=0, maximum=2 ** 31 - 1,
        read_only=True)
    seed: int = parameter(
        0, 'Seed of the built-in terrain.', minimum=0, maximum=2 ** 31 - 1, read_only=True)
    width: int = parameter(
        640, 'Width of the built-in terrain in pixels.', minimum=16, maximum=8192, read_only=True)
    height: int = parameter(
        384, 'Height of the built-in terrain in pixels.', minimum=16, maximum=8192, read_only=True)
    topic: str = parameter(
        '', 'Image topic to read from a bag; empty takes its only one.', read_only=True)
    stamp: str = parameter(
        'now', 'Stamps: the time of publishing, or as recorded (publish_clock implies that).',
        choices=('now', 'recorded'), read_only=True)
    publish_clock: bool = parameter(
        False, 'Publish the time of the recording on /clock, for use_sim_time.', read_only=True)
    frame_id: str = parameter('', 'Instead of the recorded frame_id.', read_only=True)
    wait_for_subscribers: int = parameter(
        0, 'Start when so many take the images, so that none of them misses one.', minimum=0,
        maximum=1000, read_only=True)


class Player(Node):
    """Plays one source; :meth:`play` returns when it is done."""

    def __init__(self, overrides: Sequence[Parameter] = ()) -> None:
        """
        Open the source and advertise the topics.

        :param overrides: parameters; those of the command line go before them.
        :raises SourceError: the input cannot be opened.
        """
        super().__init__('player', parameter_overrides=list(overrides))
        # All parameters are fixed at start: there is nothing to reconfigure or to follow.
        table = ParameterTable(self, lambda: False, lambda: None)
        table.declare(PlayerParameters)
        self.settings = settings = table.read(PlayerParameters)
        self._source = open_source(
            settings.input, topic=settings.topic or None, fps=settings.fps or None,
            seed=settings.seed, size=(settings.width, settings.height))
        overriding = QoSOverridingOptions.with_default_policies()
        self._images = self.create_publisher(
            Image, f'{settings.camera}/image_raw', qos_profile_sensor_data,
            qos_overriding_options=overriding)
        self._infos = self.create_publisher(
            CameraInfo, f'{settings.camera}/camera_info', qos_profile_sensor_data,
            qos_overriding_options=overriding)
        self._clock_out = (self.create_publisher(Clock, '/clock', QoSProfile(depth=10))
                           if settings.publish_clock else None)
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self)
        self._published = 0

    def play(self) -> None:
        """
        Publish all frames, each at its time.

        :raises SourceError: the input turns out to be damaged.
        :raises ExternalShutdownException: a signal ended the process's context.
        """
        settings = self.settings
        self.get_logger().info(
            f'{self._source.name}: {len(self._source)} frames at {self._source.fps:.3g} fps as '
            f'{self._images.topic_name}')
        if settings.wait_for_subscribers:
            self.get_logger().info(f'waiting for {settings.wait_for_subscribers} subscribers')
            while self._images.get_subscription_count() < settings.wait_for_subscribers:
                self._spinner.spin_once(timeout_sec=0.05)
            self._serve(time.monotonic_ns() + round(ACQUAINTANCE_S * NS_PER_S))
        period_ns = round(NS_PER_S / self._source.fps)
        while self._play_once(period_ns) and settings.loop and not self._complete():
            self.get_logger().info(f'{self._published} frames published, again from the start')
        if self._source.skipped:
            self.get_logger().warning(f'{self._source.skipped} frames could not be read')
        self._images.wait_for_all_acked(Duration(seconds=FAREWELL_S))
        self.get_logger().info(f'done: {self._published} frames published')

    def _play_once(self, period_ns: int) -> int:
        """Publish the source from its start to its end; return the number of frames."""
        played = 0
        due_ns = time.monotonic_ns()
        last_stamp_ns: int | None = None
        for frame in self._frames():
            if last_stamp_ns is not None:
                due_ns += frame.stamp_ns - last_stamp_ns
            # Who is late does not hurry after: a burst would be a camera that does not exist.
            due_ns = max(due_ns, time.monotonic_ns())
            self._wait(due_ns, frame.stamp_ns)
            self._publish(frame)
            last_stamp_ns = frame.stamp_ns
            played += 1
        if last_stamp_ns is not None:
            self._wait(due_ns + period_ns, last_stamp_ns + period_ns)
        return played

    def _frames(self) -> Iterator[SourceFrame]:
        """Yield the frames of one loop, no more than are wanted in all."""
        for frame in self._source:
            yield frame
            if self._complete():
                return

    def _complete(self) -> bool:
        return 0 < self.settings.count <= self._published

    def _wait(self, due_ns: int, stamp_ns: int) -> None:
        """Serve the node until `due_ns`, monotonic, which is `stamp_ns` of the recording."""
        if self._clock_out is not None:
            tick_ns = round(CLOCK_PERIOD_S * NS_PER_S)
            while (left_ns := due_ns - time.monotonic_ns()) > 0:
                self._publish_clock(max(0, stamp_ns - left_ns))
                self._serve(min(due_ns, time.monotonic_ns() + tick_ns))
        self._serve(due_ns)

    def _serve(self, until_ns: int) -> None:
        """
        Run the node's services until a time of the monotonic clock.

        :raises ExternalShutdownException: a signal ended the process's context.
        """
        while (left_ns := until_ns - time.monotonic_ns()) > 0:
            self._spinner.spin_once(timeout_sec=left_ns / NS_PER_S)
        if not self.context.ok():
            raise ExternalShutdownException

    def _publish(self, frame: SourceFrame) -> None:
        settings = self.settings
        if settings.publish_clock:
            self._publish_clock(frame.stamp_ns)
        if settings.publish_clock or settings.stamp == 'recorded':
            stamp = Time(nanoseconds=frame.stamp_ns).to_msg()
        else:
            stamp = self.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id=settings.frame_id or frame.frame_id)
        if frame.calibration is not None:
            self._infos.publish(to_camera_info(frame.calibration, header))
        self._images.publish(to_message(frame.image, header))
        self._published += 1
        total = settings.count or ('' if settings.loop else len(self._source))
        self.get_logger().info(
            f'frame {self._published}' + (f' of {total}' if total else ''),
            throttle_duration_sec=LOG_PERIOD_S)

    def _publish_clock(self, stamp_ns: int) -> None:
        self._clock_out.publish(Clock(clock=Time(nanoseconds=stamp_ns).to_msg()))


def to_camera_info(calibration: Calibration, header: Header) -> CameraInfo:
    """Return the calibration as a message."""
    return CameraInfo(
        header=header, width=calibration.width, height=calibration.height,
        distortion_model=calibration.distortion_model, d=calibration.d, k=calibration.k,
        r=calibration.r, p=calibration.p)


def play(overrides: Sequence[Parameter] = (), args: Sequence[str] | None = None) -> int:
    """
    Play as a process, until the end of the input or a signal.

    :param overrides: parameters; those of the command line go before them.
    :param args: command line with ROS arguments; None takes that of the process.
    :return: exit status: 0, or 1 when the parameters or the input are bad.
    """
    rclpy.init(args=args)
    try:
        Player(overrides).play()
    except (SourceError, InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f'player: {error}', file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0


def main() -> int:
    """Run the node as a process."""
    return play()


if __name__ == '__main__':
    sys.exit(main())
