# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Presets of links: parameter files of the bridge, as far as `gsc link` and `gsc plan` go."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
import os
from pathlib import Path
from typing import Any

import gsc_ros
from gsc_ros.cli.error import DataError
from gsc_ros.link.channel.loss import LossKind
from gsc_ros.link.channel.noise import Modulation
import yaml


@dataclass(frozen=True)
class Value:
    """
    A parameter of the bridge.

    :param default: what it is where nothing is said.
    :param low: the least number that it may be.
    :param high: the largest.
    :param choices: words that it may be; empty for any.
    """

    default: Any
    low: float = 0
    high: float = 10 ** 9
    choices: tuple[str, ...] = ()

    def defect(self, value: object) -> str | None:
        """Return what is wrong with a value, or None."""
        kind = type(self.default)
        if isinstance(value, bool) or not isinstance(value, kind):
            words = {float: 'a number with a point, as 900.0', int: 'a whole number', str: 'a text'}
            return f'must be {words[kind]}, got {value!r}'
        if kind is str:
            allowed = ', '.join(self.choices)
            return None if not allowed or value in self.choices else (
                f'must be one of {allowed}, got {value!r}')
        return None if self.low <= value <= self.high else (
            f'must be within {self.low}..{self.high}, got {value}')


BUDGET = Value(20_000, 10)
# The bridge's own parameters, and those under `sim`.
RULES = {
    'return_bps': Value(0), 'burst_bits': Value(0, high=2 ** 31 - 1), 'mtu': Value(256, 32, 1500),
    'target_fps': Value(0.0, high=1000), 'min_layers': Value(1, 1, 32),
    'deadline_s': Value(10.0, 0.01, 86_400), 'reorder_ms': Value(30.0, high=3_600_000),
    'useful_s': Value(2.0, 0.05, 86_400), 'repair_share': Value(0.3, high=0.5),
    'announce_period_s': Value(10.0, 0.1, 86_400)}
CHANNEL = {
    'rate_bps': Value(0), 'delay_ms': Value(0.0, high=3_600_000),
    'jitter_ms': Value(0.0, high=60_000), 'loss': Value(0.0, high=1),
    'loss_model': Value('bernoulli', choices=tuple(kind.value for kind in LossKind)),
    'burst_ms': Value(200.0, 1, 3_600_000), 'duplicate': Value(0.0, high=1),
    'reorder': Value(0.0, high=1), 'reorder_ms': Value(200.0, high=3_600_000),
    'outages': Value(''), 'trace': Value(''), 'snr_db': Value(100.0, -20, 100),
    'modulation': Value('bpsk', choices=tuple(kind.value for kind in Modulation)),
    'seed': Value(0, high=2 ** 31 - 1)}
# Those that mean nothing without ROS, or are options of another form.
NODE = frozenset({
    'cameras', 'autostart', 'role', 'overhead_bytes', 'output_prefix', 'trace_file', 'security',
    'key_file', 'repair', 'least_loss', 'one_way', 'remote_parameters', 'remote_timeout_s',
    'transport', 'udp', 'serial', 'spool'})


def preset_folder() -> Path:
    """
    Return config/links of the source tree or of the installed package.

    :raises DataError: when neither is there.
    """
    source = Path(gsc_ros.__file__).resolve().parent.parent / 'config' / 'links'
    prefixes = [word for word in os.environ.get('AMENT_PREFIX_PATH', '').split(':') if word]
    places = [source, *(Path(prefix, 'share', 'gsc_ros', 'config', 'links')
                        for prefix in prefixes)]
    for place in places:
        if place.is_dir():
            return place
    raise DataError('the presets (config/links) are not installed: give a path to one')


def read_preset(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Return the parameters of a preset: those of the bridge, and those under `sim`.

    :param name: of a file in config/links without its suffix, or the path of a file.
    :raises DataError: when there is none, or it is not a preset; names the file and the parameter.
    """
    path = Path(name) if name.endswith('.yaml') else preset_folder() / f'{name}.yaml'
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        (node,) = content.values()
        rules = dict(node['ros__parameters'])
        channel = dict(rules.pop('sim', {}))
    except FileNotFoundError as error:
        known = ', '.join(sorted(file.stem for file in path.parent.glob('*.yaml')))
        raise DataError(f'no preset {name!r}' + (f'; there are: {known}' if known else '')
                        ) from error
    except OSError as error:
        raise DataError(f'{path}: {error.strerror}') from error
    except (AttributeError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise DataError(f'{path}: not a preset of a link') from error
    _check(path, '', rules, {'link_bps': BUDGET, **RULES})
    _check(path, 'sim.', channel, CHANNEL)
    return rules, channel


def _check(path: Path, prefix: str, given: dict[str, Any], known: dict[str, Value]) -> None:
    for name, value in given.items():
        if name in known:
            if defect := known[name].defect(value):
                raise DataError(f'{path}: {prefix}{name} {defect}')
        elif prefix or name not in NODE:
            near = get_close_matches(str(name), known, 1)
            raise DataError(f'{path}: there is no parameter {prefix}{name}' + (
                f'; {prefix}{near[0]}?' if near else ''))
