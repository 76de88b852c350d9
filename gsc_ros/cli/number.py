# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers on the command line that must lie within bounds."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar('Number', int, float)


def bounded(kind: type[Number], low: float, high: float) -> Callable[[str], Number]:
    """Return a converter of words to numbers of low..high, for argparse."""
    def number(word: str) -> Number:
        try:
            value = kind(word)
        except ValueError:
            raise argparse.ArgumentTypeError(f'{word!r} is not a number') from None
        if not low <= value <= high:  # neither is NaN
            raise argparse.ArgumentTypeError(f'{word} is not in {low}..{high}')
        return value
    return number
