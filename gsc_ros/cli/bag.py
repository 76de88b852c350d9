# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make rosbag2 bags."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import re
import sys

import cv2
from gsc_ros.cli.error import DataError
from gsc_ros.sources import open_source, Source, SourceError, SourceFrame
from gsc_ros.sources.bag_writer import BagWriter
import numpy as np


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions of `gsc bag`."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    from_images = actions.add_parser(
        'from-images', help='Write a drive, folder, video, bag or the built-in terrain as a bag',
        description='Write images and their calibration as an MCAP bag for `ros2 bag play`.')
    from_images.add_argument(
        'input', metavar='IN', help='KITTI drive, image folder, video, bag, or `terrain`')
    from_images.add_argument('output', metavar='OUT', type=Path, help='folder to make')
    from_images.add_argument('--camera', default='front', type=_camera,
                             help='topics are /CAMERA/image_raw and camera_info (%(default)s)')
    from_images.add_argument('--topic', help='image topic to read, where IN is a bag with several')
    from_images.add_argument('--fps', type=float, help='stamp at this rate, not as recorded')
    from_images.add_argument('--count', type=_positive, help='images, at most')
    from_images.add_argument('--seed', type=_not_negative, default=0,
                             help='of the built-in terrain (%(default)s)')
    from_images.add_argument('--frame-id', help='instead of the name that IN gives')
    from_images.add_argument('--compressed', choices=('jpeg', 'png'),
                             help='write /CAMERA/image_raw/compressed instead of raw images')
    from_images.add_argument('--json', action='store_true', help='print one JSON object')


def run(arguments: argparse.Namespace) -> int:
    """Write the bag; `from-images` is the only action."""
    try:
        source = open_source(arguments.input, topic=arguments.topic, fps=arguments.fps,
                             seed=arguments.seed)
        written, calibrated = _write(arguments, source)
    except SourceError as error:
        raise DataError(str(error)) from None
    except OSError as error:
        raise DataError(f'{arguments.output}: {error}') from None
    if arguments.json:
        print(json.dumps({'bag': str(arguments.output), 'images': written,
                          'calibrated': calibrated, 'skipped': source.skipped}))
    else:
        note = f', {source.skipped} skipped' if source.skipped else ''
        calibration = 'with' if calibrated else 'without'
        print(f'{arguments.output}: {written} images {calibration} calibration{note}',
              file=sys.stderr)
    return 0


def _camera(text: str) -> str:
    name = text.strip('/')
    if not re.fullmatch(r'[A-Za-z]\w*(/[A-Za-z]\w*)*', name, re.ASCII):
        raise argparse.ArgumentTypeError(f'{text!r} is no topic name')
    return name


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{value} is less than 1')
    return value


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f'{value} is negative')
    return value


def _write(arguments: argparse.Namespace, source: Source) -> tuple[int, bool]:
    """Return the number of images written and whether they are calibrated."""
    written, calibrated = 0, False
    with BagWriter(arguments.output) as bag:
        for frame in source:
            frame_id = arguments.frame_id or frame.frame_id
            topic = f'/{arguments.camera}/image_raw'
            if arguments.compressed:
                bag.write_compressed(f'{topic}/compressed', _compress(frame, arguments.compressed),
                                     arguments.compressed, frame.stamp_ns, frame_id)
            else:
                bag.write_image(topic, frame.image, frame.stamp_ns, frame_id)
            if frame.calibration:
                calibrated = True
                bag.write_camera_info(f'/{arguments.camera}/camera_info', frame.calibration,
                                      frame.stamp_ns, frame_id)
            written += 1
            if written == arguments.count:
                break
    return written, calibrated


def _compress(frame: SourceFrame, kind: str) -> bytes:
    image = frame.image
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(f'.{kind}', np.ascontiguousarray(image))
    if not encoded:
        raise DataError(f'an image of {image.shape[1]} x {image.shape[0]} cannot be made a {kind}')
    return data.tobytes()
