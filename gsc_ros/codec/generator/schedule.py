# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The noise levels of the sampler, as FlowMatchEulerDiscreteScheduler of diffusers has them.

Sigma is 1 for noise and 0 for data: z = (1 - sigma) x + sigma noise. The paper's t, eq. (4), is
1 - sigma.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import Any

from gsc_ros.codec.error import GeneratorError
import numpy as np

# Of the logarithm of a dynamic shift as it is given, FLUX having 0.5 and 1.15, and extrapolated.
MAX_GIVEN_SHIFT, MAX_FOUND_SHIFT = 10.0, 20.0


@dataclass(frozen=True)
class Schedule:
    """
    How sigma falls from 1 to 0.

    :param shift: factor that moves the steps towards the noise, 0.001..1000; 1 for even steps.
    :param dynamic: take the shift from the number of tokens instead, as FLUX.1-dev does.
    :param base_shift: logarithm of the dynamic shift at `base_tokens`, -10..10.
    :param max_shift: logarithm of the dynamic shift at `max_tokens`, -10..10.
    :param base_tokens: number of image tokens, >= 1.
    :param max_tokens: number of image tokens, more than `base_tokens` where they are used.
    :raises ValueError: when a value is out of range.
    """

    shift: float = 1.0
    dynamic: bool = False
    base_shift: float = 0.5
    max_shift: float = 1.15
    base_tokens: int = 256
    max_tokens: int = 4096

    def __post_init__(self) -> None:
        """Check the values, alone and together."""
        if not 1e-3 <= self.shift <= 1e3:
            raise ValueError(f'a shift of {self.shift} is not in 0.001..1000')
        for given in (self.base_shift, self.max_shift):
            if not -MAX_GIVEN_SHIFT <= given <= MAX_GIVEN_SHIFT:
                raise ValueError(f'a dynamic shift of {given} is not in -10..10')
        if self.dynamic and not 1 <= self.base_tokens < self.max_tokens:
            raise ValueError(
                f'base_tokens and max_tokens must rise from 1: {self.base_tokens}, '
                f'{self.max_tokens}')

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Schedule:
        """Return what the `scheduler_config.json` of a diffusers pipeline says."""
        default = cls()
        return cls(
            shift=float(config.get('shift', default.shift)),
            dynamic=bool(config.get('use_dynamic_shifting', default.dynamic)),
            base_shift=float(config.get('base_shift', default.base_shift)),
            max_shift=float(config.get('max_shift', default.max_shift)),
            base_tokens=int(config.get('base_image_seq_len', default.base_tokens)),
            max_tokens=int(config.get('max_image_seq_len', default.max_tokens)))

    def factor(self, tokens: int) -> float:
        """
        Return the shift for a picture of ``tokens`` tokens.

        :raises GeneratorError: when the picture is too far from the sizes of a dynamic shift.
        """
        if not self.dynamic:
            return self.shift
        slope = (self.max_shift - self.base_shift) / (self.max_tokens - self.base_tokens)
        found = self.base_shift + slope * (tokens - self.base_tokens)
        if abs(found) > MAX_FOUND_SHIFT:
            raise GeneratorError(
                f'a picture of {tokens} tokens has a shift of e^{found:.0f} in a schedule for '
                f'{self.base_tokens} to {self.max_tokens}')
        return math.exp(found)

    def sigmas(self, steps: int, tokens: int, strength: float = 1.0) -> np.ndarray:
        """
        Return the noise levels, from the first to 0.

        :param steps: steps of the whole path, >= 1.
        :param tokens: image tokens of the picture.
        :param strength: share of the path to run, over 0 to 1: the first steps are left out, and
            at least one is run.
        :return: float32 ``[steps run + 1]``, falling, the last one 0.
        :raises GeneratorError: see :meth:`factor`.
        """
        even = np.linspace(1, 1 / steps, steps)
        factor = self.factor(tokens)
        # The same curve for both kinds of shift: exp(mu) / (exp(mu) + 1 / sigma - 1).
        levels = factor * even / (1 + (factor - 1) * even)
        run = min(max(round(steps * strength), 1), steps)
        return np.append(levels[steps - run:], 0).astype(np.float32)
