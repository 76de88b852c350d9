# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `gsc bench` works on: pictures, the network that judges them, and where perception looks."""

from __future__ import annotations

import argparse
from itertools import islice

from gsc_ros.cli.error import DataError, UsageError
from gsc_ros.evaluation.region_source import find, Found
from gsc_ros.evaluation.resampling import centre
from gsc_ros.perception.network.network import (
    DetectionNetwork,
    NetworkError,
    NetworkSettings,
    Task,
)
from gsc_ros.perception.network.opening import open_network
from gsc_ros.perception.source.detector import DetectorSource
from gsc_ros.perception.source.opening import open_sources
from gsc_ros.perception.source.source import SourceError as RegionSourceError
from gsc_ros.sources.frame import SourceError
from gsc_ros.sources.opening import open_source
import numpy as np

# Codecs and metrics alike fail on less.
MIN_SIDE = 32
_NO_JUDGE = '--agreement needs --regions detector:FILE'


def open_judge(arguments: argparse.Namespace) -> DetectionNetwork | None:
    """
    Open the network whose detections are compared, if one is named.

    :raises DataError: it is no detector that is known.
    """
    if arguments.detector is None:
        return None
    try:
        return open_network('onnx-detector', NetworkSettings(
            str(arguments.detector), arguments.names, 'cpu', min_score=arguments.min_score),
            Task.DETECTION)
    except NetworkError as error:
        raise DataError(str(error)) from error


def key_regions(arguments: argparse.Namespace, images: list[np.ndarray],
                fps: float) -> Found | None:
    """
    Return where perception looks in the pictures, if a source is named.

    :param images: uint8 [H, W, 3] RGB.
    :param fps: frames per second.
    :raises DataError: a source cannot be opened, or fails.
    :raises UsageError: agreement is asked for, but no source is a detector.
    """
    if not arguments.regions:
        if arguments.agreement:
            raise UsageError(_NO_JUDGE)
        return None
    try:
        source = open_sources(arguments.regions, arguments.threads, arguments.min_score,
                              names=arguments.names)
    except RegionSourceError as error:
        raise DataError(str(error)) from error
    judges = [each.judge for each in source.sources if isinstance(each, DetectorSource)]
    if arguments.agreement and not judges:
        raise UsageError(_NO_JUDGE)
    try:
        if arguments.agreement:
            judges[0](images[0])
    except RegionSourceError as error:
        raise DataError(str(error)) from error
    found = find(', '.join(arguments.regions), source, images, fps,
                 judges[0] if judges else None)
    if source.failures:
        raise DataError(source.error)
    return found


def pictures(arguments: argparse.Namespace, still: bool,
             count: int) -> tuple[list[np.ndarray], float]:
    """
    Return the frames to code, uint8 [H, W, 3] RGB, and the frame rate.

    :param still: whether each is coded alone, so that they are spread over the input.
    :param count: how many, unless the arguments say so.
    :raises DataError: there are none, or they are too small, or of a video not of one size.
    """
    try:
        source = open_source(arguments.input, topic=arguments.topic, fps=arguments.fps)
        count = arguments.frames or count
        if still:
            wanted = set(np.linspace(0, len(source) - 1, min(count, len(source))).round())
            frames = [frame.image for index, frame in enumerate(source) if index in wanted]
        else:
            frames = [frame.image for frame in
                      islice(source, 0, count * arguments.every, arguments.every)]
    except SourceError as error:
        raise DataError(str(error)) from error
    colour = [np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
              for image in frames]
    if arguments.size:
        colour = [centre(image, *arguments.size) for image in colour]
    if not colour:
        raise DataError(f'{arguments.input}: no frame of it can be read')
    if min(side for image in colour for side in image.shape[:2]) < MIN_SIDE:
        raise DataError(f'{arguments.input}: has frames of less than {MIN_SIDE} pixels a side')
    if not still and len({image.shape for image in colour}) > 1:
        raise DataError(f'{arguments.input}: frames of a video must have one size')
    return colour, source.fps if still else source.fps / arguments.every
