# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Errors raised by the codec; every one of them is a :class:`ValueError`."""


class CodecError(ValueError):
    """What was asked for cannot be done, or the data is bad."""


class PacketError(CodecError):
    """A packet is malformed, truncated, or fails its checksum."""


class ProfileError(CodecError):
    """A profile is missing, damaged, or newer than this software."""


class ProfileMismatchError(PacketError):
    """A packet was made with another profile than the one at hand."""


class MissingReferenceError(PacketError):
    """A packet refers to an earlier one that the decoder has not got; it needs a new start."""


class CaptionError(CodecError):
    """A captioner cannot be used, or has no caption for a picture."""


class GeneratorError(CodecError):
    """A generator cannot be opened, or cannot make a picture of what it was given."""
