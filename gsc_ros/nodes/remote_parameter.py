# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters of the rover's nodes, set from the ground: the messages and the allow-list.

    parameter change  control, type 4: number 4, name text, type 1 (as in rcl_interfaces), then
                      bool 1, integer 8, double 8, or string (the rest, UTF-8)
    parameter answer  control, type 5: number 4, accepted 1, reason (the rest, UTF-8)

A name is that of a node, a dot, and that of the parameter. `parameter_exchange` says when what is
sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import struct

from gsc_ros.nodes.back_channel import MessageType, pack_text, take_text
from rcl_interfaces.msg import ParameterType, ParameterValue

# What a reason may take of a datagram.
MAX_REASON_BYTES = 120

_CHANGE = struct.Struct('>BI')
_ANSWER = struct.Struct('>BI?')
_SCALARS = {ParameterType.PARAMETER_BOOL: struct.Struct('>?'),
            ParameterType.PARAMETER_INTEGER: struct.Struct('>q'),
            ParameterType.PARAMETER_DOUBLE: struct.Struct('>d')}

Scalar = bool | int | float | str


@dataclass(frozen=True)
class ParameterChange:
    """
    A value that a parameter shall have.

    :param number: which change this is, uint32.
    :param name: node, dot, parameter.
    :param value: a scalar.
    """

    number: int
    name: str
    value: Scalar

    def pack(self) -> bytes:
        """
        Return its bytes.

        :raises ValueError: when the name is too long.
        """
        kind, value = _pack_value(self.value)
        return b''.join((
            _CHANGE.pack(MessageType.PARAMETER_CHANGE, self.number), pack_text(self.name),
            bytes([kind]), value))

    @classmethod
    def parse(cls, data: bytes) -> ParameterChange | None:
        """Return the change that a control message holds, None when it holds something else."""
        if len(data) < _CHANGE.size or data[0] != MessageType.PARAMETER_CHANGE:
            return None
        number = int.from_bytes(data[1:_CHANGE.size], 'big')
        try:
            name, end = take_text(data, _CHANGE.size)
            return cls(number, name, _parse_value(data[end:]))
        except ValueError:
            return None


@dataclass(frozen=True)
class ParameterAnswer:
    """
    What has become of a change.

    :param number: that of the change.
    :param accepted: whether the parameter has the value now.
    :param reason: why not; cut to what a datagram holds.
    """

    number: int
    accepted: bool
    reason: str = ''

    def pack(self, max_bytes: int = _ANSWER.size + MAX_REASON_BYTES) -> bytes:
        """
        Return its bytes.

        :param max_bytes: that they may be, >= 6; what the reason has beyond that is left out.
        """
        most = min(MAX_REASON_BYTES, max_bytes - _ANSWER.size)
        reason = self.reason.encode(errors='replace')[:most]
        return _ANSWER.pack(
            MessageType.PARAMETER_ANSWER, self.number, self.accepted
        ) + reason.decode(errors='ignore').encode()

    @classmethod
    def parse(cls, data: bytes) -> ParameterAnswer | None:
        """Return the answer that a control message holds, None when it holds something else."""
        if not _ANSWER.size <= len(data) <= _ANSWER.size + MAX_REASON_BYTES or (
                data[0] != MessageType.PARAMETER_ANSWER or data[5] > 1):
            return None
        _, number, accepted = _ANSWER.unpack_from(data)
        try:
            return cls(number, accepted, data[_ANSWER.size:].decode())
        except UnicodeDecodeError:
            return None


def allowed(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a pattern has the words of `name` between dots; a `*` stands for one word."""
    words = name.split('.')
    return len(words) >= 2 and any(
        len(wanted) == len(words) and all(
            want in ('*', word) for want, word in zip(wanted, words))
        for wanted in (pattern.split('.') for pattern in patterns))


def scalar(value: ParameterValue) -> Scalar | None:
    """Return what a parameter message holds; None for arrays and for nothing."""
    return {ParameterType.PARAMETER_BOOL: value.bool_value,
            ParameterType.PARAMETER_INTEGER: value.integer_value,
            ParameterType.PARAMETER_DOUBLE: value.double_value,
            ParameterType.PARAMETER_STRING: value.string_value}.get(value.type)


def message(value: Scalar) -> ParameterValue:
    """Return the parameter message of a scalar."""
    kind = _kind(value)
    field = {ParameterType.PARAMETER_BOOL: 'bool_value',
             ParameterType.PARAMETER_INTEGER: 'integer_value',
             ParameterType.PARAMETER_DOUBLE: 'double_value',
             ParameterType.PARAMETER_STRING: 'string_value'}[kind]
    return ParameterValue(type=kind, **{field: value})


def _kind(value: Scalar) -> int:
    if isinstance(value, bool):
        return ParameterType.PARAMETER_BOOL
    if isinstance(value, int):
        return ParameterType.PARAMETER_INTEGER
    return ParameterType.PARAMETER_DOUBLE if isinstance(value, float) else (
        ParameterType.PARAMETER_STRING)


def _pack_value(value: Scalar) -> tuple[int, bytes]:
    kind = _kind(value)
    return kind, value.encode() if isinstance(value, str) else _SCALARS[kind].pack(value)


def _parse_value(data: bytes) -> Scalar:
    """Return a value; raise a ValueError when the bytes are none."""
    if not data:
        raise ValueError('there is no value')
    kind, rest = data[0], data[1:]
    if kind == ParameterType.PARAMETER_STRING:
        return rest.decode()
    layout = _SCALARS.get(kind)
    if layout is None or len(rest) != layout.size or (
            kind == ParameterType.PARAMETER_BOOL and rest[0] > 1):
        raise ValueError('the value is malformed')
    return layout.unpack(rest)[0]
