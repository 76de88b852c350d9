# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each layer and each region of a packet is worth: the error it takes away, by its bits."""

from __future__ import annotations

from pathlib import Path

from gsc_ros.cli.error import DataError
from gsc_ros.cli.packet_layer import packet_ends
from gsc_ros.cli.picture import read_image
from gsc_ros.codec.frame import FrameDecoder
from gsc_ros.codec.packet import cut, parse
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.region.region import FULL_WEIGHT
import numpy as np


def measure_gains(payload: bytes, profile_name: str, original: Path) -> list[dict]:
    """
    Return what each layer adds to the picture, in the order of the packet.

    Squared errors are sums over all pixels and colours of the frame, in 8-bit values. The gain for
    a bit is that of the error by which an encoder chooses: one in a region of the packet counts
    ``FULL_WEIGHT`` times. The first layer stands for all that comes before it and has no gain.

    :raises CodecError: when the packet is damaged or refers to another, or the profile is missing
        or another one.
    :raises DataError: when the original cannot be read or is of another size.
    """
    packet, image = parse(payload), read_image(original)
    if image.shape[:2] != (packet.height, packet.width):
        raise DataError(f'{original} has {image.shape[1]} x {image.shape[0]} pixels, the packet '
                        f'{packet.width} x {packet.height}')
    ends = packet_ends(payload, profile_name)
    decoder = FrameDecoder(load_profile(profile_name))
    weight = np.ones(image.shape[:2])
    for region in decoder.decode(payload).regions:
        left, top, right, bottom = region.box
        weight[top:bottom, left:right] = FULL_WEIGHT
    gains, before, start = [], None, 0
    for layer, end in enumerate(ends, 1):
        frame = decoder.decode(cut(payload, layer, ends))
        error = (image.astype(np.float64) - frame.image) ** 2
        weighted = float((error.sum(axis=2) * weight).sum())
        gain = {
            'channels': len(frame.channels), 'regions': len(frame.regions), 'bytes': end - start,
            'squared_error': float(error.sum()), 'weighted_error': weighted,
            'gain_per_bit': None if before is None else (before - weighted) / (8 * (end - start))}
        if frame.regions:
            gain['box'] = list(frame.regions[-1].box)
        gains.append(gain)
        before, start = weighted, end
    return gains
