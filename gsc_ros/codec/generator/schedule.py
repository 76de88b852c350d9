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

import numpy as np


@dataclass(frozen=True)
class Schedule:
    """
    How sigma falls from 1 to 0.

    :param shift: factor that moves the steps towards the noise, > 0; 1 for even steps.
    :param dynamic: take the shift from the number of tokens instead, as FLUX.1-dev does.
    :param base_shift: logarithm of the dynamic shift at `base_tokens`.
    :param max_shift: logarithm of the dynamic shift at `max_tokens`.
    :param base_tokens: number of image tokens.
    :param max_tokens: number of image tokens.
    """

    shift: float = 1.0
    dynamic: bool = False
    base_shift: float = 0.5
    max_shift: float = 1.15
    base_tokens: int = 256
    max_tokens: int = 4096

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
        """Return the shift for a picture of ``tokens`` tokens."""
        if not self.dynamic:
            return self.shift
        slope = (self.max_shift - self.base_shift) / (self.max_tokens - self.base_tokens)
        return math.exp(self.base_shift + slope * (tokens - self.base_tokens))

    def sigmas(self, steps: int, tokens: int, strength: float = 1.0) -> np.ndarray:
        """
        Return the noise levels, from the first to 0.

        :param steps: steps of the whole path, >= 1.
        :param tokens: image tokens of the picture.
        :param strength: share of the path to run, over 0 to 1: the first steps are left out, and
            at least one is run.
        :return: float32 ``[steps run + 1]``, falling, the last one 0.
        """
        even = np.linspace(1, 1 / steps, steps)
        factor = self.factor(tokens)
        # The same curve for both kinds of shift: exp(mu) / (exp(mu) + 1 / sigma - 1).
        levels = factor * even / (1 + (factor - 1) * even)
        run = min(max(round(steps * strength), 1), steps)
        return np.append(levels[steps - run:], 0).astype(np.float32)
