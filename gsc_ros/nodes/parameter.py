# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters of a node as one frozen dataclass: name, default, range and description in one line.

A schema is a frozen dataclass whose fields are made by :func:`parameter` (a ROS parameter of that
name) or :func:`group` (a nested schema, whose names get a ``<field>.`` prefix).
:class:`ParameterTable` declares a schema on a node, refuses values that break it with a reason,
and gives back instances of the schema, so that a node never handles a parameter by its name.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import math
import re
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

CAMERA_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]{0,63}')
MAX_CAMERAS = 256

Schema = TypeVar('Schema')
# Returns why a value is refused, or None.
Check = Callable[[Any], 'str | None']


@dataclasses.dataclass(frozen=True)
class ParameterSpec:
    """What one parameter may hold. `live` parameters may change while the node runs."""

    default: Any
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    check: Check | None = None
    constraint: str = ''
    live: bool = False
    read_only: bool = False

    def refusal(self, value: Any) -> str | None:
        """Return why `value` is refused, or None; its type and range are checked by rclpy."""
        if isinstance(value, float) and not math.isfinite(value):
            return f'{value} is not a finite number'  # which rclpy's range would let pass
        if self.choices and value not in self.choices:
            return f'{value!r} is not one of {", ".join(map(repr, self.choices))}'
        return self.check(value) if self.check else None

    def descriptor(self) -> ParameterDescriptor:
        """Return the descriptor that `ros2 param describe` shows and rclpy enforces."""
        constraint = self.constraint
        if self.choices:
            constraint = 'one of: ' + ', '.join(choice or "''" for choice in self.choices)
        when = 'Changes at once.' if self.live else 'Read when the node is configured.'
        descriptor = ParameterDescriptor(
            description=f'{self.description} {"Fixed at start." if self.read_only else when}',
            additional_constraints=constraint, read_only=self.read_only)
        if self.minimum is not None and self.maximum is not None:
            if isinstance(self.default, float):
                descriptor.floating_point_range = [FloatingPointRange(
                    from_value=float(self.minimum), to_value=float(self.maximum))]
            else:
                descriptor.integer_range = [IntegerRange(
                    from_value=int(self.minimum), to_value=int(self.maximum))]
        return descriptor


def parameter(default: Any, description: str, **spec: Any) -> Any:
    """Return a dataclass field that is a ROS parameter; `spec` as in :class:`ParameterSpec`."""
    factory = (lambda: tuple(default)) if isinstance(default, tuple) else (lambda: default)
    return dataclasses.field(
        default_factory=factory,
        metadata={'spec': ParameterSpec(default, description, **spec)})


def group(schema: type[Schema]) -> Any:
    """Return a dataclass field that nests `schema` under the field's name and a dot."""
    return dataclasses.field(default_factory=schema, metadata={'group': schema})


def camera_list(description: str) -> Any:
    """Return the parameter `cameras`: distinct names that can stand in a topic."""
    return parameter(
        ('front',), description, read_only=True, check=_camera_list_refusal,
        constraint=f'1 to {MAX_CAMERAS} distinct names: letters, digits, underscores')


def _camera_list_refusal(names: list[str] | None) -> str | None:
    names = names or []  # rclpy makes nothing of an empty list on the command line
    if not 1 <= len(names) <= MAX_CAMERAS:
        return f'between 1 and {MAX_CAMERAS} cameras are needed, not {len(names)}'
    if len(set(names)) != len(names):
        return 'a camera is named twice'
    bad = [name for name in names if not CAMERA_NAME.fullmatch(name)]
    return f'{bad[0]!r} cannot be part of a topic name' if bad else None


def topic_refusal(name: str) -> str | None:
    """Return why `name` cannot be a topic prefix, or None."""
    words = name.removeprefix('/').split('/')
    return None if all(CAMERA_NAME.fullmatch(word) for word in words) else (
        f'{name!r} cannot begin a topic name')


class ParameterTable:
    """The declared parameters of one node, read back as instances of their schemas."""

    def __init__(self, node: Node, may_reconfigure: Callable[[], bool],
                 on_change: Callable[[], None],
                 refusal: Callable[[str, Any], str | None] = lambda name, value: None) -> None:
        """
        Watch the parameters of `node`.

        :param may_reconfigure: says whether parameters that are not live may change now.
        :param on_change: called on the executor thread after declared parameters have changed.
        :param refusal: returns why the node, as it is now, refuses a value, or None.
        """
        self._node = node
        self._may_reconfigure = may_reconfigure
        self._on_change = on_change
        self._refusal = refusal
        self._specs: dict[str, ParameterSpec] = {}
        self._declared: set[str] = set()
        node.add_on_set_parameters_callback(self._validate)
        node.add_post_set_parameters_callback(self._changed)

    def declare(self, schema: type, prefix: str = '') -> None:
        """
        Declare every parameter of `schema`, each name after `prefix`.

        :raises rclpy.exceptions.InvalidParameterValueException: an override breaks the schema.
        :raises rclpy.exceptions.InvalidParameterTypeException: an override has another type.
        """
        for field in dataclasses.fields(schema):
            name = prefix + field.name
            if 'group' in field.metadata:
                self.declare(field.metadata['group'], name + '.')
                continue
            spec: ParameterSpec = field.metadata['spec']
            self._specs[name] = spec
            default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
            self._node.declare_parameter(name, default, spec.descriptor())
            self._declared.add(name)

    def strangers(self) -> list[str]:
        """Return what the command line or a file sets and the node does not have."""
        # rclpy ignores them, and has no other way to ask for them.
        return sorted(name for name in self._node._parameter_overrides
                      if not (self._node.has_parameter(name) or name.startswith('qos_overrides.')))

    def read(self, schema: type[Schema], prefix: str = '') -> Schema:
        """Return the present values of a declared schema."""
        values: dict[str, Any] = {}
        for field in dataclasses.fields(schema):  # type: ignore[arg-type]
            name = prefix + field.name
            if 'group' in field.metadata:
                values[field.name] = self.read(field.metadata['group'], name + '.')
            else:
                value = self._node.get_parameter(name).value
                values[field.name] = tuple(value) if isinstance(value, list) else value
        return schema(**values)

    def _validate(self, changes: list[Parameter]) -> SetParametersResult:
        for change in changes:
            spec = self._specs.get(change.name)
            if spec is None:
                continue
            reason = spec.refusal(change.value) or self._refusal(change.name, change.value)
            if reason is None and change.name in self._declared and not (
                    spec.live or self._may_reconfigure()):
                reason = 'takes effect when the node is configured: clean it up first'
            if reason is not None:
                return SetParametersResult(successful=False, reason=f'{change.name}: {reason}')
        return SetParametersResult(successful=True)

    def _changed(self, changes: list[Parameter]) -> None:
        if any(change.name in self._declared for change in changes):
            self._on_change()
