# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One look of a network at a picture, which may fail in ways of its own."""

from __future__ import annotations

from gsc_ros.perception.network.network import (
    Detected,
    DetectionNetwork,
    NetworkError,
    SegmentationNetwork,
)
from gsc_ros.perception.source.source import Picture, SourceError
import numpy as np
import numpy.typing as npt


def look(network: DetectionNetwork | SegmentationNetwork,
         picture: Picture) -> Detected | npt.NDArray[np.int32]:
    """
    Return what a network says of a picture.

    :param picture: uint8 [H, W, 3] RGB.
    :raises SourceError: it fails. Networks of other packages, and files whose graphs fit no
        picture, do so with any error.
    """
    try:
        return network(picture)
    except NetworkError as error:
        raise SourceError(str(error)) from error
    except Exception as error:
        raise SourceError(f'{network.name}: {error!r}') from error
