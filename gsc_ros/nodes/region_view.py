# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The regions of a receiver: answers of the rover in, images with the place of their box out.

    <prefix>/<camera>/gsc/region ──> queue ──> region thread: decode ──>
        reconstructed/<camera>/region/image, reconstructed/<camera>/region/camera_info
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gsc_ros.codec.error import PacketError
from gsc_ros.codec.frame import FrameDecoder
from gsc_ros.msg import GscRegion
from gsc_ros.nodes import calibration, conversion, memory
from gsc_ros.nodes.lifecycle import LOG_PERIOD_S, ManagedNode
from gsc_ros.nodes.qos import ground_qos, image_qos
from gsc_ros.nodes.region import Box, box_defect, packet_defect
from gsc_ros.nodes.region_coding import decode
from gsc_ros.nodes.worker import Worker
from rclpy.publisher import Publisher
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image

# Answers that wait for the decoder, at most.
QUEUE_DEPTH = 4
_STOP_S = 1.0


@dataclass
class _Camera:
    images: Publisher
    calibrations: Publisher
    subscription: Subscription
    published: int = 0
    undecodable: int = 0
    replaced: int = 0


class RegionView:
    """Decodes regions on a thread of its own, so that frames need not wait."""

    def __init__(self, node: ManagedNode, decoder: FrameDecoder,
                 calibration_of: Callable[[str], CameraInfo | None]) -> None:
        """
        Advertise the regions of the cameras and subscribe to the answers.

        :param decoder: that of the frames, with which the regions share the graph.
        :param calibration_of: returns what is known of a camera's calibration.
        """
        self._node = node
        self._decoder = decoder.branch()
        self._calibration_of = calibration_of
        self._active = False
        self._worker: Worker[GscRegion] = Worker(
            'regions', self._show, self._failed, QUEUE_DEPTH)
        self._cameras = {name: self._advertise(name) for name in node.settings.cameras}

    def start(self) -> None:
        """Let answers be shown."""
        self._active = True
        self._worker.start()

    def stop(self) -> None:
        """Ignore answers."""
        self._active = False
        self._worker.stop(_STOP_S)

    def close(self) -> None:
        """Release the topics."""
        for camera in self._cameras.values():
            self._node.destroy_subscription(camera.subscription)
            for publisher in (camera.images, camera.calibrations):
                self._node.destroy_lifecycle_publisher(publisher)
        self._cameras.clear()

    def values(self, name: str) -> Mapping[str, object]:
        """Return the counters of a camera."""
        camera = self._cameras[name]
        return {'regions': camera.published, 'regions_undecodable': camera.undecodable,
                'regions_replaced': camera.replaced}

    def _advertise(self, name: str) -> _Camera:
        images, calibrations = (
            self._node.create_lifecycle_publisher(
                message, f'reconstructed/{name}/region/{topic}', image_qos(),
                qos_overriding_options=QoSOverridingOptions.with_default_policies())
            for message, topic in ((Image, 'image'), (CameraInfo, 'camera_info')))
        return _Camera(images, calibrations, self._node.create_subscription(
            GscRegion, f'{self._node.settings.input_prefix}/{name}/gsc/region',
            lambda region: self._take(name, region), ground_qos()))

    def _take(self, name: str, region: GscRegion) -> None:
        if self._active:
            self._cameras[name].replaced += self._worker.submit(name, region)

    def _show(self, name: str, region: GscRegion) -> None:
        """Decode and publish one region, on the region thread."""
        box = Box(region.x, region.y, region.width, region.height)
        payload = bytes(region.payload)
        defect = box_defect(box, region.image_width, region.image_height) or packet_defect(
            payload, box, self._node.settings.max_pixels)
        if region.camera != name or region.refusal or defect is not None:
            raise PacketError(defect or 'it is no answer for this camera')
        image = decode(self._decoder, payload, box)
        info = region_info(
            self._calibration_of(name), box, region.image_width, region.image_height)
        info.header = region.header
        camera = self._cameras[name]
        camera.published += 1
        camera.calibrations.publish(info)
        camera.images.publish(conversion.to_message(image, region.header))
        # A box may take much more than a frame does, and is rare.
        memory.release_freed()

    def _failed(self, name: str, error: Exception) -> None:
        if not self._node.context.ok():  # the process ends
            return
        self._cameras[name].undecodable += 1
        self._node.get_logger().error(
            f'{name}: undecodable region: {error}', throttle_duration_sec=LOG_PERIOD_S)


def region_info(info: CameraInfo | None, box: Box, image_width: int,
                image_height: int) -> CameraInfo:
    """
    Return the calibration of a box: that of the whole image, with the box as region of interest.

    :param info: calibration of the image's source; None gives one that is uncalibrated.
    :param box: in pixels of the image.
    """
    whole = calibration.scale(
        CameraInfo() if info is None else info, image_width, image_height)
    # A source that crops and bins counts its region of interest in pixels of the sensor.
    binning_x, binning_y = max(whole.binning_x, 1), max(whole.binning_y, 1)
    whole.roi.x_offset += box.x * binning_x
    whole.roi.y_offset += box.y * binning_y
    whole.roi.width, whole.roi.height = box.width * binning_x, box.height * binning_y
    whole.roi.do_rectify = True
    return whole
