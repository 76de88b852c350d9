# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Which values the options of methods and tasks take.

A run is checked against these when it is read: nobody wants to hear of a slip in its last part
after hours of work on the others. What depends on files and weights shows when they are opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
from typing import Any

from gsc_ros.codec.packet import LATENT_CHANNELS
from gsc_ros.codec.selection import Selection
from gsc_ros.evaluation.bound.information import MEASURES
from gsc_ros.evaluation.run.caption import CODERS
from gsc_ros.evaluation.run.method import RunError
from gsc_ros.evaluation.still_peer import STILL_PEERS
from gsc_ros.evaluation.task.depth import ALIGNMENTS
from gsc_ros.evaluation.task.image import METRICS

#: Returns what was expected instead of a value; None when it is one.
Rule = Callable[[Any], str | None]


def whole(low: int, high: int | None = None) -> Rule:
    """Return the rule of whole numbers within bounds."""
    def rule(value: Any) -> str | None:
        if (isinstance(value, int) and not isinstance(value, bool) and value >= low
                and (high is None or value <= high)):
            return None
        return f'expected a whole number{_range(low, high)}'
    return rule


def number(low: float, high: float | None = None, above: bool = False) -> Rule:
    """Return the rule of finite numbers within bounds; `above` leaves out the lower one."""
    def rule(value: Any) -> str | None:
        if (isinstance(value, (int, float)) and not isinstance(value, bool)
                and math.isfinite(value) and (value > low if above else value >= low)
                and (high is None or value <= high)):
            return None
        return f'expected a number {f"above {low:g}" if above else _range(low, high).strip()}'
    return rule


def one_of(words: Sequence[str]) -> Rule:
    """Return the rule of a few words."""
    return lambda value: None if value in words else f'there are {", ".join(words)}'


def text(value: Any) -> str | None:
    """Return what was expected unless a value is text."""
    return None if isinstance(value, str) else 'expected text'


def flag(value: Any) -> str | None:
    """Return what was expected unless a value is true or false."""
    return None if isinstance(value, bool) else 'expected true or false'


def _words_of(words: Sequence[str]) -> Rule:
    def rule(value: Any) -> str | None:
        if isinstance(value, str) and all(word in words for word in value.split()):
            return None
        return f'expected words with spaces between them, of {", ".join(words)}'
    return rule


def _downscales(value: Any) -> str | None:
    try:
        factors = [float(word) for word in str(value).split()]
    except ValueError:
        factors = []
    if factors and all(math.isfinite(factor) and factor >= 1 for factor in factors):
        return None
    return 'expected numbers from 1 on with spaces between them'


def _range(low: float, high: float | None) -> str:
    return f' from {low:g} on' if high is None else f' from {low:g} to {high:g}'


#: By name of the option, whichever method or task has it.
RULES: dict[str, Rule] = {
    # gsc, generate, text
    'channels': whole(1, LATENT_CHANNELS),
    'selection': one_of([one.value for one in Selection]),
    'quantizer': whole(0),
    'max_bpp': number(0, above=True),
    'profile': text,
    'caption': text,
    'caption_length': whole(0),
    'caption_coder': one_of(CODERS),
    'loss': number(0, 1),
    'mtu': whole(1, 65535),
    'loss_seed': whole(0),
    'generator': text,
    'steps': whole(1, 1000),
    'guidance': number(0, 100),
    'use_text': flag,
    'use_structure': flag,
    'seed': whole(0, 255),
    # peer, external, known
    'codec': one_of([peer.name for peer in STILL_PEERS]),
    'bpp': number(0, above=True),
    'downscales': _downscales,
    'name': text,
    'folder': text,
    'factor': number(0, above=True),
    'every': whole(1),
    # depth, segmentation, detection
    'network': text,
    'model': text,
    'names': text,
    'device': text,
    'threads': whole(1, 256),
    'alignment': one_of(tuple(ALIGNMENTS)),
    'region': one_of(('garg',)),
    'score': number(0, 1),
    'min_score': number(0, 1),
    # images, bound
    'weights': text,
    'download': flag,
    'without': _words_of((*METRICS, 'fid')),
    'measure': one_of(tuple(MEASURES)),
    'alpha': number(0, above=True),
    'beta': number(0, above=True),
}


def check(name: str, value: Any, rule: Rule) -> None:
    """
    Refuse a value that is none.

    :raises RunError: naming the option, the value and what was expected.
    """
    if (expected := rule(value)) is not None:
        raise RunError(f'{name} {value!r:.60}: {expected}')


def check_option(name: str, value: Any, default: Any) -> None:
    """
    Refuse a value that an option does not take; None stands for a default that is None.

    :raises RunError: naming the option, the value and what was expected.
    """
    if value is not None or default is not None:
        check(name, value, RULES[name])
