# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters `generator.*` of the receiver: names, defaults, descriptions, ranges."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gsc_ros.codec.generator.generator import GenerationSettings
from gsc_ros.nodes.parameter import parameter


class Backend(Enum):
    """Where the generator runs."""

    LOCAL = 'local'
    RAY = 'ray'


def _guidance_refusal(value: float) -> str | None:
    return 'less than none' if -1.0 < value < 0.0 else None


@dataclass(frozen=True)
class GeneratorParameters:
    """What generates, and how."""

    profile: str = parameter('tiny', 'Name or directory of the generator profile.')
    backend: str = parameter(
        'local', 'Where the generator runs: in this process, or on the machines of a Ray cluster.',
        choices=tuple(backend.value for backend in Backend))
    ray_address: str = parameter(
        '', 'With backend ray: address of the cluster, as auto, host:6379 or ray://host:10001; '
        'empty starts one on this machine.')
    ray_actors: int = parameter(
        0, 'With backend ray: processes that generate; 0 is one for each GPU, or what the cores '
        'have room for.', minimum=0, maximum=256)
    device: str = parameter(
        '', 'Device of a generator in torch, as cuda:0 or cpu; empty takes a GPU if there is one.')
    threads: int = parameter(1, 'CPU threads of the generator.', minimum=1, maximum=64)
    max_batch: int = parameter(
        4, 'Frames of different cameras that are generated at once, at most.', minimum=1,
        maximum=64)
    steps: int = parameter(
        0, 'Steps of the sampler; 0 is the default of the profile.', minimum=0, maximum=1000,
        live=True)
    guidance: float = parameter(
        -1.0, 'Guidance scale, for models that have one; -1 is the default of the profile.',
        minimum=-1, maximum=100, live=True, check=_guidance_refusal)
    seed: int = parameter(
        -1, 'Seed of the noise, for all frames; -1 is the one that each packet carries, which a '
        'sender keeps.', minimum=-1, maximum=255, live=True)
    start_previous: bool = parameter(
        False, 'Start from the picture of the camera that was generated before, moved along with '
        'the scene, and not from noise alone: steadier, but what was once invented stays for '
        'longer.', live=True)
    strength: float = parameter(
        0.8, 'With start_previous: share of the path from noise to picture that is run; less keeps '
        'more of the picture before.', minimum=0.05, maximum=1, live=True)

    def settings(self) -> GenerationSettings:
        """Return how the generator is to be run."""
        return GenerationSettings(
            steps=self.steps or None,
            guidance=None if self.guidance < 0 else self.guidance,
            strength=self.strength if self.start_previous else 1.0)
