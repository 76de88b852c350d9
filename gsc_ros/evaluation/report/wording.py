# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a report says in words, on a screen, on paper and in Markdown alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gsc_ros.evaluation.report.content import Table

_NAMES = {'command': 'Command', 'profile': 'Profile', 'machine': 'Machine', 'date': 'Date'}


def subtitle(content: Table) -> str:
    """Return what a table is of: data, network, and what it is compared with."""
    parts = [content.data]
    if content.network:
        parts.append(f'network: {content.network}')
    if content.reference:
        parts.append(f'compared with: {content.reference}')
    return '; '.join(part for part in parts if part)


def duration(seconds: float | None) -> str:
    """Return how long a run took, in minutes and seconds."""
    if seconds is None:
        return ''
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


def when(about: Mapping[str, Any]) -> str:
    """Return when a run was, how long it took and on what."""
    return ', '.join(part for part in (str(about.get('date', '')), duration(about.get('seconds')),
                                       str(about.get('machine', ''))) if part)


def about_lines(about: Mapping[str, Any]) -> list[list[str]]:
    """Return what is known of a run, as pairs of name and text."""
    lines = [[title, _flat(about[name])] for name, title in _NAMES.items() if about.get(name)]
    if about.get('seconds') is not None:
        lines.append(['Time', duration(about['seconds'])])
    if about.get('versions'):
        lines.append(['Versions', _flat(about['versions'])])
    return lines


def bound_text(bound: Mapping[str, Any]) -> str:
    """Return what a bound was computed from, and what came out."""
    written, best = bound['written'], bound['optimum']
    return (
        f'Information measure U: {bound["definition"]}. '
        f'Entropy of its distribution P (eq. 7): H = {bound["entropy"]:.2f} bits of at most '
        f'{bound["entropy_max"]:.2f}. Eq. (8) as written asks for R ≥ H, '
        f'{written["bpp_of_entropy"]:.2g} bit per pixel. With Gaussian details the least rate is '
        'the line; rates to its left are out of reach of that model, not of every codec '
        f'(docs/theory.md). At α = {bound["alpha"]:g} and β = {bound["beta"]:g} per bit its '
        f'optimum is {best["bpp"]:.4f} bit per pixel, where {100 * best["kept"]:.1f} % is kept.')


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ', '.join(f'{name} {one}' for name, one in value.items())
    return str(value)
