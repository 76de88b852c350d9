# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make a captioner by its name."""

from __future__ import annotations

from dataclasses import replace

from gsc_ros.codec.caption.captioner import (
    Captioner,
    CaptionerName,
    CaptionerSettings,
    FixedCaptioner,
)
from gsc_ros.codec.caption.endpoint import EndpointCaptioner
from gsc_ros.codec.caption.vision_language import VisionLanguageCaptioner


def open_captioner(name: CaptionerName, settings: CaptionerSettings) -> Captioner:
    """
    Return a captioner; models are loaded and endpoints reached with the first picture.

    :raises CaptionError: when the settings cannot work, or software is missing.
    """
    if name is CaptionerName.NONE:
        return FixedCaptioner(replace(settings, text=''))
    if name is CaptionerName.FIXED:
        return FixedCaptioner(settings)
    if name is CaptionerName.QWEN:
        return VisionLanguageCaptioner(settings)
    return EndpointCaptioner(settings)
