# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Objects and boxes as messages, both ways: what a frame tells, and what a robot's perception says.

They are vision_msgs/Detection2DArray where vision_msgs is installed, else DetectedObjectArray.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
import math
from pathlib import Path
from typing import Any

from gsc_ros.codec.error import CodecError
from gsc_ros.codec.region.object_list import ObjectBox
from gsc_ros.codec.region.region import FULL_WEIGHT, KeyRegion
from gsc_ros.msg import DetectedObject, DetectedObjectArray
from gsc_ros.perception.network.label import class_map, COCO, read_names
from gsc_ros.perception.source.class_id import class_name, MAX_CLASS_ID
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

# Of a message that names more boxes the most certain ones count.
MAX_DETECTIONS = 64
TOPIC = 'topic'
# Certainty, 0..1, with which a box is looked at of which a message says that it has none.
_LEAST_CERTAINTY = 1 / 256


@lru_cache(maxsize=1)
def message_type() -> type:
    """Return the type of messages about objects."""
    try:
        from vision_msgs.msg import Detection2DArray
    except ModuleNotFoundError:
        return DetectedObjectArray
    return Detection2DArray


def further_names(labels: str) -> tuple[str, ...]:
    """
    Return the names of the classes that COCO does not have, from number 80 on.

    :param labels: a file with one name a line; empty for none.
    :raises NetworkError: when the file holds no names.
    """
    return read_names(Path(labels)) if labels else ()


def to_message(objects: Sequence[ObjectBox], width: int, height: int, header: Header, sequence: int,
               names: Sequence[str] = ()) -> Any:
    """
    Return the objects that a frame tells of, marked as measured on the rover.

    A vision_msgs detection is marked by its id: ``rover/<sequence>/<index>``.

    :param width: of the picture as published, in whose pixels the boxes are given.
    :param header: stamp and frame_id of the source.
    :param sequence: number of the frame.
    :param names: of the classes that COCO does not have.
    """
    if message_type() is DetectedObjectArray:
        return DetectedObjectArray(
            header=header, source=DetectedObjectArray.MEASURED_ON_ROVER, objects=[
                DetectedObject(
                    class_id=one.class_id, class_name=class_name(one.class_id, names),
                    score=one.score, x=left, y=top, width=right - left, height=bottom - top)
                for one, (left, top, right, bottom) in _placed(objects, width, height)])
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose
    detections = []
    for index, (one, (left, top, right, bottom)) in enumerate(_placed(objects, width, height)):
        detection = Detection2D(header=header, id=f'rover/{sequence}/{index}')
        detection.bbox.center.position.x = (left + right) / 2
        detection.bbox.center.position.y = (top + bottom) / 2
        detection.bbox.size_x, detection.bbox.size_y = right - left, bottom - top
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id = class_name(one.class_id, names)
        result.hypothesis.score = float(one.score)
        detection.results = [result]
        detections.append(detection)
    return Detection2DArray(header=header, detections=detections)


def _placed(objects: Sequence[ObjectBox], width: int, height: int,
            ) -> list[tuple[ObjectBox, tuple[float, float, float, float]]]:
    """Return each object with its box in pixels."""
    return [(one, (one.box[0] * width, one.box[1] * height, one.box[2] * width,
                   one.box[3] * height)) for one in objects]


def from_message(message: Any) -> list[KeyRegion]:
    """
    Return what a robot's perception says it looks at; boxes that are none are left out.

    :param message: a message of :func:`message_type`; boxes in pixels of the camera's image. A box
        that is turned counts with the upright one around it. A class is a name of COCO or a number.
    """
    if isinstance(message, DetectedObjectArray):
        found = [_region((one.x, one.y, one.x + one.width, one.y + one.height), one.class_id,
                         one.score) for one in message.objects]
    else:
        found = [_from_detection(detection) for detection in message.detections]
    return sorted(filter(None, found), key=lambda region: -region.weight)[:MAX_DETECTIONS]


def from_region_of_interest(message: RegionOfInterest) -> list[KeyRegion]:
    """Return the box; none for one without a size, which stands for the whole image."""
    region = _region((message.x_offset, message.y_offset, message.x_offset + message.width,
                      message.y_offset + message.height), None, None)
    return [] if region is None else [region]


def _from_detection(detection: Any) -> KeyRegion | None:
    box, best = detection.bbox, None
    for result in detection.results:
        if best is None or result.hypothesis.score > best.score:
            best = result.hypothesis
    theta = box.center.theta
    across = abs(box.size_x * math.cos(theta)) + abs(box.size_y * math.sin(theta))
    down = abs(box.size_x * math.sin(theta)) + abs(box.size_y * math.cos(theta))
    x, y = box.center.position.x, box.center.position.y
    return _region((x - across / 2, y - down / 2, x + across / 2, y + down / 2),
                   None if best is None else _number_of(best.class_id),
                   None if best is None else best.score)


def _region(box: Iterable[float], class_id: int | None, score: float | None) -> KeyRegion | None:
    """Return a box as a key region; None when it is none."""
    if score is not None:
        score = min(max(float(score), 0.0), 1.0)
    certainty = 1.0 if score is None else max(score, _LEAST_CERTAINTY)
    try:
        return KeyRegion(
            tuple(map(float, box)), FULL_WEIGHT * certainty, TOPIC, class_id, score)
    except CodecError:
        return None


def _number_of(word: str) -> int | None:
    """Return the number of a class that a message calls by its number or name."""
    if word.isascii() and word.isdigit() and len(word) <= 3:
        number = int(word)
    else:
        number = int(class_map((word,), COCO)[0])
    return number if 0 <= number <= MAX_CLASS_ID else None
