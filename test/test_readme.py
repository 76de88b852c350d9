# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the README say what the nodes really declare."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from pathlib import Path
import re

from gsc_ros.nodes import schema
from gsc_ros.nodes.parameter import ParameterSpec

README = Path(__file__).resolve().parent.parent / 'README.md'
ROW = re.compile(r'\| `([\w.<>]+)` \| `(.*)` \| (live)? \| (.*) \|')


def declared(node: type, prefix: str = '') -> Iterator[tuple[str, ParameterSpec]]:
    """Yield the full name and the specification of every parameter of a schema."""
    for field in dataclasses.fields(node):
        if 'group' in field.metadata:
            yield from declared(field.metadata['group'], f'{prefix}{field.name}.')
        else:
            yield prefix + field.name, field.metadata['spec']


def row(name: str, spec: ParameterSpec) -> tuple[str, str, str, str]:
    """Return the row that the README must have for a parameter."""
    default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
    text = {True: 'true', False: 'false'}.get(default) if isinstance(default, bool) else None
    return name, text or repr(default), 'live' if spec.live else '', spec.description


def section(title: str) -> list[tuple[str, str, str, str]]:
    """Return the rows of the table under a heading of the README."""
    text = README.read_text().split(f'### {title}\n')[1].split('\n#')[0]
    return ROW.findall(text)


def check(title: str, expected: list[tuple[str, str, str, str]]) -> None:
    found = section(title)
    missing = '\n'.join('| `{}` | `{}` | {} | {} |'.format(*line) for line in expected)
    assert found == expected, f'the table of {title} should be:\n{missing}'


def test_the_readme_lists_the_parameters_of_the_sender() -> None:
    check('Sender', [row(*item) for item in (
        *declared(schema.SenderParameters),
        *declared(schema.SenderCameraParameters, '<camera>.'))])


def test_the_readme_lists_the_parameters_of_the_bridge() -> None:
    check('Bridge', [row(*item) for item in declared(schema.BridgeParameters)])


def test_the_readme_lists_the_parameters_of_the_receiver() -> None:
    check('Receiver', [row(*item) for item in declared(schema.ReceiverParameters)])
