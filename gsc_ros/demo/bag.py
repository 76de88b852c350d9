# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The reconstructions of a run as a bag, with the topics on which they were published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gsc_ros.demo.recording import Recording
from gsc_ros.sources.bag_writer import BagWriter


def write_bag(path: Path, camera: str, recording: Recording,
              advance: Callable[[], None]) -> None:
    """
    Write image, confidence and, where it came, camera_info of every reconstruction.

    Pictures that were generated beside the others go to the topics that they came on.

    :param path: folder to make.
    :param camera: name of the camera in the topics.
    :param advance: called after each frame.
    :raises SourceError: when the folder cannot be made.
    :raises OSError: when it cannot be written.
    """
    topics = f'/reconstructed/{camera}'
    pictures = [(frame, topics) for frame in recording.frames]
    pictures += [(frame, f'{topics}/generated') for frame in recording.generated]
    with BagWriter(path) as bag:
        for frame, topic in sorted(pictures, key=lambda item: (item[0].stamp_ns, item[1])):
            stamp_ns, frame_id = frame.stamp_ns, frame.frame_id
            calibration = recording.calibrations.get(stamp_ns)
            if calibration is not None:
                bag.write_camera_info(f'{topic}/camera_info', calibration, stamp_ns, frame_id)
            bag.write_image(f'{topic}/image', recording.store.get(frame.image), stamp_ns, frame_id)
            bag.write_image(f'{topic}/confidence', recording.store.get(frame.confidence),
                            stamp_ns, frame_id)
            advance()
