# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The captions of a sender: made on a thread of their own, sent as each frame's schedule says.

    encoder's thread ──picture, when one is due──> newest wins ──> captioner's thread: describe
            ^──── what a frame says ──── schedule <──── caption ──────────┘

The encoder never waits: a caption goes with whatever frame comes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
import secrets
import time

from gsc_ros.codec.caption.captioner import (
    Captioner,
    CaptionerName,
    CaptionerSettings,
    Quantization,
)
from gsc_ros.codec.caption.line import one_line
from gsc_ros.codec.caption.opening import open_captioner
from gsc_ros.codec.caption.schedule import (
    CAPTION_IDS,
    CaptionSchedule,
    CaptionTrigger,
)
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.frame import EncodedFrame, EncoderSettings, FrameEncoder
from gsc_ros.codec.region.region import KeyRegion
from gsc_ros.codec.region.trial import Judge
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.schema import SenderParameters
from gsc_ros.nodes.worker import Worker
import numpy as np

# A captioner that is closed needs little time to stop; the encoder wants its share of the patience
# that a process is given to end.
_STOP_S = 1.0


@dataclass
class CaptionCounters:
    """What became of the pictures that a caption was asked for."""

    asked: int = 0
    made: int = 0
    failed: int = 0
    replaced: int = 0  # a newer picture came before the captioner had time
    without_room: int = 0  # frames sent without their caption, which did not fit


class _Camera:
    """The captions of one camera, and what makes its frames."""

    def __init__(self, encoder: FrameEncoder) -> None:
        self.encoder = encoder
        self.trigger = CaptionTrigger()
        self.schedule = CaptionSchedule(secrets.randbelow(CAPTION_IDS))


class Captioning:
    """Encodes the frames of a sender's cameras with their captions."""

    def __init__(self, encoder: FrameEncoder, settings: SenderParameters,
                 log: Callable[[str], None]) -> None:
        """
        Open the captioner that the settings name.

        :param encoder: makes the frames, each camera's with a branch of it; used on the thread that
            calls :meth:`encode`.
        :param log: called on the captioner's thread with each failure of it.
        :raises CaptionError: when the captioner cannot be used.
        """
        self._name = CaptionerName(settings.captioner)
        self._log = log
        self._cameras = {name: _Camera(encoder.branch()) for name in settings.cameras}
        self._captioner: Captioner | None = None
        self._captioner_settings = CaptionerSettings(
            model=settings.caption_model, prompt=settings.caption_prompt,
            max_characters=settings.caption_max_characters,
            max_tokens=settings.caption_max_tokens, min_pixels=settings.caption_min_pixels,
            max_pixels=max(settings.caption_max_pixels, settings.caption_min_pixels),
            quantization=Quantization(settings.caption_quantization), url=settings.caption_url,
            timeout_s=settings.caption_timeout_s)
        self._worker: Worker[np.ndarray] = Worker('captioner', self._describe, self._failed)
        self.counters = CaptionCounters()
        self._failure: str | None = None
        self._open()

    def start(self) -> None:
        """Let the captioner work."""
        if self._captioner is None:
            self._open()
        for camera in self._cameras.values():
            camera.trigger = CaptionTrigger()
        self._worker.start()

    def stop(self) -> None:
        """Break off the caption that is being made; the model is released."""
        if self._captioner is not None:
            self._captioner.close()
        self._captioner = None
        self._worker.stop(_STOP_S)

    def refresh(self, name: str) -> None:
        """Let the next frame of a camera stand alone; on the thread that encodes."""
        self._cameras[name].encoder.refresh()

    def encode(self, name: str, image: np.ndarray, coding: SenderParameters,
               settings: EncoderSettings, key_regions: Sequence[KeyRegion] = (),
               judge: Judge | None = None) -> EncodedFrame:
        """
        Encode a picture of a camera with what it shall say of its caption.

        When only without the text the frame can be made as small as it must be, the text stays out.

        :param image: uint8 ``[H, W, 3]`` RGB, which nobody changes afterwards.
        :param coding: the parameters as they are for this camera.
        :param settings: everything else about the frame.
        :param key_regions: where perception looks in it.
        :param judge: says how well a picture serves, as FrameEncoder.encode asks it.
        :raises CodecError: as FrameEncoder.encode does.
        """
        now_s, camera = time.monotonic(), self._cameras[name]
        schedule = camera.schedule
        self._ask(name, image, coding, now_s)
        use = schedule.plan(now_s, coding.caption_refresh_interval_s)
        try:
            encoded = camera.encoder.encode(image, replace(
                settings, caption=use.text, caption_id=use.caption_id,
                caption_reference=use.reference), key_regions, judge)
        except CodecError:
            if not use.text:
                raise
            encoded = camera.encoder.encode(image, settings, key_regions, judge)
            self.counters.without_room += 1
            schedule.refused(use, now_s)
        else:
            schedule.sent(use, now_s)
        return encoded

    def diagnose(self) -> Iterable[Report]:
        """Yield a report when there is a captioner that may fail."""
        if self._name.looks:
            failure, counters = self._failure, self.counters
            message = failure or ('describing' if counters.made else 'waiting for a caption')
            yield Report('captioner', Level.WARN if failure else Level.OK, message, vars(counters))

    def _open(self) -> None:
        if self._name.looks:
            self._captioner = open_captioner(self._name, self._captioner_settings)

    def _ask(self, name: str, image: np.ndarray, coding: SenderParameters, now_s: float) -> None:
        """Ask for a caption of the picture if one is due."""
        camera = self._cameras[name]
        if self._name is CaptionerName.FIXED:
            camera.schedule.offer(one_line(coding.caption, coding.caption_max_characters))
        elif self._name.looks and camera.trigger.due(
                image, now_s, coding.caption_interval_s, coding.caption_scene_threshold):
            self.counters.asked += 1
            self.counters.replaced += self._worker.submit(name, image)

    def _describe(self, name: str, image: np.ndarray) -> None:
        captioner = self._captioner
        if captioner is None:  # stopped
            return
        self._cameras[name].schedule.offer(captioner.describe(image))
        self.counters.made += 1
        self._failure = None

    def _failed(self, name: str, error: Exception) -> None:
        self.counters.failed += 1
        self._cameras[name].trigger.failed()
        self._failure = f'no caption: {error}'
        self._log(f'{name}: {self._failure}')
