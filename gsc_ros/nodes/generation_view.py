# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The generated pictures of a receiver: how they come about, and where they are shown.

    mode generate    reconstructed/<camera>/image                generated, when the generator works
    mode auto        reconstructed/<camera>/image                structure, at once
                     reconstructed/<camera>/generated/image      generated, when it is ready

In either mode the structure pictures go on when there is no generator, or when it fails. Key
regions stay as they were measured: the rest is generated around them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import math
import threading

from gsc_ros.codec.frame import FrameDecoder
from gsc_ros.codec.generator.composition import keep_regions
from gsc_ros.codec.generator.confidence import generated_confidence
from gsc_ros.codec.generator.flicker import FlickerMeter
from gsc_ros.codec.generator.generator import Condition, Generator
from gsc_ros.codec.generator.opening import open_generator
from gsc_ros.codec.generator.ray_backend import open_ray_generator
from gsc_ros.msg import GscStatus
from gsc_ros.nodes.diagnostic import Level, Report
from gsc_ros.nodes.generation import Generated, Generation, GenerationCounters, Work
from gsc_ros.nodes.generator_schema import Backend, GeneratorParameters
from gsc_ros.nodes.lifecycle import LOG_PERIOD_S, ManagedNode
from gsc_ros.nodes.receiver_output import Decoded, structure_view, View
from gsc_ros.nodes.schema import Mode
import numpy as np

# The structure pictures are shown at once, though two cores are less than all would like: the
# generator's thread gets a third of what the decoder's gets.
NICENESS = 5
# Share of the newest value in the mean flicker that diagnostics show.
_NEWEST_SHARE = 0.1


@dataclass
class _Camera:
    """What is remembered of a camera from one generated picture to the next."""

    meter: FlickerMeter = field(default_factory=FlickerMeter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    flicker: float = math.nan

    def start(self, structure: np.ndarray) -> np.ndarray | None:
        """Return the picture that was generated before, as it would be now; None for none."""
        with self.lock:
            return self.meter.moved_to(structure)

    def take(self, structure: np.ndarray, generated: np.ndarray) -> float:
        """Remember a picture; return its flicker, and keep the mean."""
        with self.lock:
            flicker = self.meter.measure(structure, generated)
        if math.isnan(self.flicker):
            self.flicker = flicker
        elif not math.isnan(flicker):
            self.flicker += _NEWEST_SHARE * (flicker - self.flicker)
        return flicker


class GenerationView:
    """Has frames generated and says what is to be shown of each."""

    def __init__(self, node: ManagedNode, decoder: FrameDecoder, structure_hash: str,
                 counters: Mapping[str, GenerationCounters],
                 show: Callable[[str, Decoded, View], None]) -> None:
        """
        Prepare; nothing is generated before :meth:`start`.

        :param decoder: that of the frames; a branch of it makes the conditions.
        :param structure_hash: `codec.generator.manifest.structure_hash` of its profile.
        :param counters: of each camera, counted up here.
        :param show: publishes a picture of a camera's frame; called on any thread.
        """
        self._node = node
        self._decoder = decoder.branch()
        self._show = show
        self._counters = counters
        self._cameras: dict[str, _Camera] = {}
        self._reported_failures = 0
        settings = node.settings.generator
        self._at_once = Mode(node.settings.mode) is Mode.AUTO
        self._generation: Generation[Decoded] = Generation(
            Work(open=lambda: _open(settings, structure_hash), condition=self._condition,
                 settings=lambda: node.settings.generator.settings(), show=self._generated,
                 give_up=self._given_up, log=self._log),
            counters, settings.max_batch, niceness=NICENESS if self._at_once else 0)

    def start(self) -> None:
        """Open the generator, on its own thread, and take frames."""
        self._cameras = {name: _Camera() for name in self._counters}
        self._reported_failures = 0
        self._generation.start()

    def stop(self) -> None:
        """Drop what waits and what is being generated."""
        self._generation.stop()

    def close(self) -> None:
        """Release the generator."""
        self._generation.close()

    def take(self, name: str, decoded: Decoded) -> None:
        """Show a frame as it is, have it generated, or both; on the decoder's thread."""
        if self._at_once:
            self._show(name, decoded, structure_view(decoded.result))
        if not self._generation.submit(name, decoded) and not self._at_once:
            self._show(name, decoded, structure_view(decoded.result))

    def diagnose(self) -> Report:
        """Return what the generator does, or why it does not."""
        generation, settings = self._generation, self._node.settings.generator
        failures = sum(counters.generator_failed for counters in self._counters.values())
        values = {
            'generator': generation.name, 'backend': settings.backend,
            'generate_ms': generation.generate_ms, 'mean_batch': generation.mean_batch,
            'failed': failures} | generation.backend_counts
        level, message = Level.OK, 'generating' if generation.pictures else 'waiting for a frame'
        if not generation.name:
            failure = generation.failure
            level, message = (Level.WARN, 'opening the generator') if failure is None else (
                Level.ERROR, failure)
        elif generation.failure is not None or failures > self._reported_failures:
            level, message = Level.ERROR, generation.failure or 'the generator failed'
        self._reported_failures = failures
        return Report('generator', level, message, values)

    def values(self, name: str) -> Mapping[str, object]:
        """Return what a camera's report says of its generated pictures."""
        camera = self._cameras.get(name)
        return vars(self._counters[name]) | {
            'flicker': math.nan if camera is None else camera.flicker}

    def _condition(self, name: str, decoded: Decoded) -> Condition:
        settings, result = self._node.settings.generator, decoded.result
        return self._decoder.condition(
            result, decoded.caption.text, None if settings.seed < 0 else settings.seed,
            self._cameras[name].start(result.image) if settings.start_previous else None)

    def _generated(self, name: str, decoded: Decoded, generated: Generated) -> None:
        result = decoded.result
        image = keep_regions(result.image, result.region_mask, generated.image)
        self._show(name, decoded, View(
            image, generated_confidence(result.image, result.confidence, image),
            GscStatus.MODE_GENERATE, generated.generator, generated.generate_ms,
            self._cameras[name].take(result.image, image)))

    def _given_up(self, name: str, decoded: Decoded) -> None:
        if not self._at_once:
            self._show(name, decoded, structure_view(decoded.result))

    def _log(self, reason: str) -> None:
        self._node.get_logger().error(
            f'{reason}; the structure pictures go on', throttle_duration_sec=LOG_PERIOD_S)


def _open(settings: GeneratorParameters, structure_hash: str) -> Generator:
    """Return the generator that the parameters ask for, which may take its time."""
    options = {'threads': settings.threads, 'device': settings.device,
               'structure_hash': structure_hash}
    if Backend(settings.backend) is Backend.LOCAL:
        return open_generator(settings.profile, **options)
    return open_ray_generator(
        settings.profile, address=settings.ray_address, actors=settings.ray_actors, **options)
