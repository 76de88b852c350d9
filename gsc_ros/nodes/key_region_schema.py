# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters `regions.*` of the sender: who says where perception looks, and the cost."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import Enum

from gsc_ros.codec.region.setting import RegionSettings
from gsc_ros.nodes.parameter import parameter, topic_refusal
from gsc_ros.perception.source.source import SourceError
from gsc_ros.perception.source.zones import parse_zones

# How a list says that it is empty: ROS cannot tell the type of one without entries.
NONE = 'none'


class SourceName(Enum):
    """Who may say where perception looks."""

    IMPORTANCE = 'importance'
    DETECTOR = 'detector'
    TOPIC = 'topic'
    ZONES = 'zones'
    REQUEST = 'request'


_NAMES = tuple(name.value for name in SourceName)


def _sources_refusal(names: list[str] | None) -> str | None:
    unknown = [name for name in names or [] if name and name not in (*_NAMES, NONE)]
    if unknown:
        return f'{unknown[0]!r} is not one of {", ".join((*_NAMES, NONE))}'
    return f'{NONE!r} stands alone' if names and NONE in names and len(names) > 1 else None


def _zones_refusal(zones: str) -> str | None:
    try:
        if zones:
            parse_zones(zones)
    except SourceError as error:
        return str(error)
    return None


def _topic_refusal(topic: str) -> str | None:
    return topic_refusal(topic) if topic else None


def _period_refusal(value: float) -> str | None:
    return 'less than none' if -1.0 < value < 0.0 else None


def _share_refusal(value: float) -> str | None:
    return 'neither -1 nor above 0' if -1.0 < value <= 0.0 else None


@dataclass(frozen=True)
class RegionParameters:
    """Key regions; they hold for every camera that has none of its own."""

    sources: tuple[str, ...] = parameter(
        ('request',), 'Who says where perception looks, several at once: importance (a network '
        'that comes with the package), detector, topic (the perception of the robot), zones, '
        'request (the boxes that an operator asks for), or none.', check=_sources_refusal,
        constraint=f'of: {", ".join((*_NAMES, NONE))}')
    detector: str = parameter(
        '', 'With the source detector: an .onnx or .tflite file, or a local directory of a '
        'detector or segmenter of transformers.')
    detector_labels: str = parameter(
        '', 'File with the names of the classes of the detector, one a line; empty takes those '
        'that come with it.')
    detector_score: float = parameter(
        -1.0, 'Objects of a lower score are left out; -1 is the threshold of the detector.',
        minimum=-1, maximum=1)
    zones: str = parameter(
        '', 'With the source zones: boxes as left,top,right,bottom or left,top,right,bottom,'
        'importance, in shares of the picture, with semicolons between them.',
        check=_zones_refusal)
    topic: str = parameter(
        'regions', 'With the source topic, below the name of the camera: <topic>/detections '
        '(vision_msgs/Detection2DArray, or gsc_ros/DetectedObjectArray where vision_msgs is not '
        'installed) and <topic>/roi (sensor_msgs/RegionOfInterest).', check=_topic_refusal,
        constraint='a relative topic')
    topic_keep_s: float = parameter(
        1.0, 'Seconds for which a message of the topic holds unless a newer one comes.',
        minimum=0.01, maximum=3600)
    period_s: float = parameter(
        0.0, 'Seconds between two pictures that importance and detector look at; in between their '
        'last answer holds; 0 is every picture.', minimum=0, maximum=3600)
    threads: int = parameter(
        1, 'CPU threads of importance and detector.', minimum=1, maximum=64)
    max: int = parameter(
        16, 'Regions of a frame, at most; 0 sends none, but the objects.', minimum=0, maximum=32,
        live=True)
    objects: bool = parameter(
        True, 'Send the list of objects: class, score and box, six bytes for each.', live=True)
    level: int = parameter(
        -1, 'How finely regions are quantized where neither beta nor max_bytes says it, 0 the '
        'coarsest; -1 is the default of the profile.', minimum=-1, maximum=15, live=True)
    alpha: float = parameter(
        1.0, 'Worth of what a region gains; see docs/key_regions.md.', minimum=1e-9, maximum=1e9,
        live=True)
    beta: float = parameter(
        0.0, 'Price of a bit; with max_bytes the least price.', minimum=0, maximum=1e9, live=True)
    base_share: float = parameter(
        RegionSettings.base_share, 'Share of max_bytes that is kept for the rest of the frame; -1 '
        'tries several, which takes as many times as long.', minimum=-1, maximum=1, live=True,
        check=_share_refusal, constraint='-1, or above 0')
    agreement: bool = parameter(
        False, 'With the source detector: of several ways to share a packet send the one in whose '
        'picture the detector finds most of what it has found in the original, which takes several '
        'times as long; alpha is the worth of that, from nothing to all.', live=True)

    def settings(self) -> RegionSettings:
        """Return what the encoder is told."""
        return RegionSettings(
            objects=self.objects, alpha=self.alpha, beta=self.beta, most=self.max,
            level=None if self.level < 0 else self.level,
            base_share=None if self.base_share < 0 else self.base_share)

    @property
    def names(self) -> tuple[SourceName, ...]:
        """The sources, each once, in the order given."""
        return tuple(dict.fromkeys(
            SourceName(name) for name in self.sources or () if name and name != NONE))


@dataclass(frozen=True)
class CameraRegionParameters:
    """Parameters `<camera>.regions.*`; -1, and nothing, take the node-wide value."""

    sources: tuple[str, ...] = parameter(
        ('',), 'Who says where perception looks; none for nobody.', check=_sources_refusal,
        constraint=f'of: {", ".join((*_NAMES, NONE))}')
    zones: str = parameter('', 'Boxes, with the source zones.', check=_zones_refusal)
    topic: str = parameter(
        '', 'Topics of the perception of the robot, below the name of the camera.',
        check=_topic_refusal, constraint='a relative topic')
    period_s: float = parameter(
        -1.0, 'Seconds between two pictures that importance and detector look at.', minimum=-1,
        maximum=3600, check=_period_refusal)
    max: int = parameter(-1, 'Regions of a frame, at most.', minimum=-1, maximum=32, live=True)

    def over(self, shared: RegionParameters) -> RegionParameters:
        """Return the node-wide parameters with these over them."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(shared, **{
            name: value for name, value in own.items() if value not in (-1, '', ('',), ())})
