# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The captions of `gsc encode`: a text for all images, or a captioner that looks at each."""

from __future__ import annotations

import argparse
from dataclasses import replace
import math

from gsc_ros.cli.captioner import add_captioner_arguments, add_prompt_argument
from gsc_ros.cli.error import DataError
from gsc_ros.codec.caption.captioner import Captioner, CaptionerName, CaptionerSettings
from gsc_ros.codec.caption.opening import open_captioner
from gsc_ros.codec.caption.schedule import CaptionSchedule, CaptionTrigger, SCENE_THRESHOLD
from gsc_ros.codec.error import CaptionError
from gsc_ros.codec.frame import EncoderSettings
import numpy as np


def add_caption_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--caption` and what it needs."""
    parser.add_argument('--caption', default='none', metavar='TEXT|auto|none',
                        help='text to send along, or `auto` to let a captioner write it '
                        '(%(default)s)')
    add_captioner_arguments(
        parser, 'who writes with --caption auto: a model in this process, or an '
        'OpenAI-compatible endpoint (%(default)s)')
    add_prompt_argument(parser)


class Captions:
    """Gives each image of a run its caption; the frames of a stream name one that was sent."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """
        Open the captioner if one is asked for.

        :raises DataError: when it cannot be used.
        """
        self.text = '' if arguments.caption in ('none', 'auto') else arguments.caption
        self._stream = arguments.stream
        self._schedule = CaptionSchedule(0)
        self._trigger = CaptionTrigger()
        self._captioner: Captioner | None = None
        if arguments.caption == 'auto':
            try:
                self._captioner = open_captioner(
                    CaptionerName(arguments.captioner), CaptionerSettings(
                        model=arguments.caption_model, prompt=arguments.caption_prompt,
                        url=arguments.caption_url))
            except CaptionError as error:
                raise DataError(str(error)) from error

    def settings(self, image: np.ndarray, settings: EncoderSettings) -> EncoderSettings:
        """
        Return the settings with the caption of this image, which `text` is from then on.

        :raises CaptionError: when the captioner has none.
        """
        if self._captioner is not None and (
                not self._stream or self._trigger.due(image, 0.0, 0.0, SCENE_THRESHOLD)):
            self.text = self._captioner.describe(image)
        if not self._stream:
            return replace(settings, caption=self.text)
        self._schedule.offer(self.text)
        use = self._schedule.plan(0.0, math.inf)
        self._schedule.sent(use, 0.0)
        return replace(settings, caption=use.text, caption_id=use.caption_id,
                       caption_reference=use.reference)
