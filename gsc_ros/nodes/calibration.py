# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Camera calibration on its way over the link: packed, unpacked, scaled to another image size.

The packed form is deflated text: every number as the shortest decimal that reads back as the same
double. Calibrations are written by people and programs with few digits, so this is exact and about
half the size of the binary doubles.
"""

from __future__ import annotations

import copy
import zlib

from sensor_msgs.msg import CameraInfo

MAX_PACKED_BYTES = 4096
MAX_TEXT_BYTES = 8192
MAX_DISTORTION = 64
MAX_MODEL_LETTERS = 64

# Deflate's starting window: what nearly every calibration holds. Part of the wire format.
_DICTIONARY = (b'plumb_bob rational_polynomial equidistant - 1 0 0 0 1 0 0 0 1 '
               b'0 0 0 0 0 0 0 0 0 1 0 ')
_RAW_DEFLATE = -15
_INTEGERS = 9
_MATRICES = 9 + 9 + 12


class CalibrationError(ValueError):
    """The bytes are not a packed calibration, or the calibration cannot be packed."""


def pack(info: CameraInfo) -> bytes:
    """
    Return `info` without its header as at most `MAX_PACKED_BYTES` bytes.

    :raises CalibrationError: too many distortion coefficients, or a model name that is not a
        single printable ASCII word of at most `MAX_MODEL_LETTERS` letters.
    """
    model = info.distortion_model or '-'
    if len(model) > MAX_MODEL_LETTERS or not (model.isascii() and model.isprintable()) or (
            ' ' in model):
        raise CalibrationError(f'distortion model {model!r} is not a short ASCII word')
    if len(info.d) > MAX_DISTORTION:
        raise CalibrationError(f'{len(info.d)} distortion coefficients, at most {MAX_DISTORTION}')
    roi = info.roi
    words = [model]
    words += [str(number) for number in (
        info.width, info.height, info.binning_x, info.binning_y, roi.x_offset, roi.y_offset,
        roi.width, roi.height, int(roi.do_rectify))]
    words += [_shortest(number) for matrix in (info.k, info.r, info.p, info.d)
              for number in matrix]
    deflater = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE, 9, zlib.Z_DEFAULT_STRATEGY,
                                _DICTIONARY)
    packed = deflater.compress(' '.join(words).encode('ascii')) + deflater.flush()
    if len(packed) > MAX_PACKED_BYTES:
        raise CalibrationError(f'{len(packed)} bytes, at most {MAX_PACKED_BYTES}')
    return packed


def unpack(packed: bytes) -> CameraInfo:
    """
    Return the calibration that :func:`pack` packed, with an empty header.

    :raises CalibrationError: whatever else the bytes are.
    """
    if len(packed) > MAX_PACKED_BYTES:
        raise CalibrationError(f'{len(packed)} bytes, at most {MAX_PACKED_BYTES}')
    inflater = zlib.decompressobj(_RAW_DEFLATE, _DICTIONARY)
    try:
        text = inflater.decompress(packed, MAX_TEXT_BYTES)
        words = text.decode('ascii').split(' ')
        integers = [int(word) for word in words[1:1 + _INTEGERS]]
        reals = [float(word) for word in words[1 + _INTEGERS:]]
    except (zlib.error, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise CalibrationError(f'not a packed calibration: {error}') from None
    if not inflater.eof or inflater.unused_data:
        raise CalibrationError('not a packed calibration: its end is missing or not the end')
    if len(integers) != _INTEGERS or not 0 <= len(reals) - _MATRICES <= MAX_DISTORTION:
        raise CalibrationError(f'not a packed calibration: {len(words)} fields')
    if len(words[0]) > MAX_MODEL_LETTERS or not all(0 <= n < 2 ** 32 for n in integers):
        raise CalibrationError('not a packed calibration: a field is out of range')
    info = CameraInfo(
        distortion_model='' if words[0] == '-' else words[0], width=integers[0],
        height=integers[1], binning_x=integers[2], binning_y=integers[3],
        k=reals[:9], r=reals[9:18], p=reals[18:30], d=reals[30:])
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = integers[4:8]
    info.roi.do_rectify = bool(integers[8])
    return info


def scale(info: CameraInfo, width: int, height: int) -> CameraInfo:
    """
    Return the calibration of the same view published as `width` x `height` pixels.

    K and P are scaled, after the source's crop and binning are folded into them as
    image_geometry does; D and R do not depend on the size. At the source's own size the
    calibration is returned as it is.
    """
    scaled = copy.deepcopy(info)
    roi = info.roi
    binning_x, binning_y = max(info.binning_x, 1), max(info.binning_y, 1)
    source_width = (roi.width or info.width) // binning_x
    source_height = (roi.height or info.height) // binning_y
    if (source_width, source_height) == (width, height):
        return scaled
    scaled.width, scaled.height = width, height
    if source_width == 0 or source_height == 0:  # a driver without a calibration
        return scaled
    factor_x, factor_y = width / source_width, height / source_height
    # Row 0 of K (3 wide) and of P (4 wide) is in units of columns, row 1 in units of rows.
    for matrix, columns in ((scaled.k, 3), (scaled.p, 4)):
        if matrix[0] == 0.0:  # zeros mean uncalibrated: a shift must not make numbers of them
            continue
        matrix[2] -= roi.x_offset
        matrix[columns + 2] -= roi.y_offset
        matrix[:columns] *= factor_x / binning_x
        matrix[columns:2 * columns] *= factor_y / binning_y
    scaled.binning_x = scaled.binning_y = 0
    scaled.roi = type(roi)(do_rectify=roi.do_rectify)
    return scaled


def same(first: CameraInfo, second: CameraInfo) -> bool:
    """Return whether two calibrations agree in everything but the stamp."""
    return first.header.frame_id == second.header.frame_id and _content(first) == _content(second)


def _content(info: CameraInfo) -> tuple[object, ...]:
    roi = info.roi
    return (info.width, info.height, info.distortion_model, info.binning_x, info.binning_y,
            roi.x_offset, roi.y_offset, roi.width, roi.height, roi.do_rectify,
            # As bytes, so that a NaN equals itself.
            *(matrix.tobytes() for matrix in (info.d, info.k, info.r, info.p)))


def _shortest(number: float) -> str:
    return repr(float(number)).removesuffix('.0')
