# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of a node as one frozen dataclass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from gsc_ros.nodes import schema
from gsc_ros.nodes.parameter import (
    camera_list,
    group,
    parameter,
    ParameterSpec,
    ParameterTable,
)
import pytest
import rclpy
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

SCHEMAS = (schema.SenderParameters, schema.SenderCameraParameters, schema.SimParameters,
           schema.BridgeParameters, schema.ReceiverParameters)


@dataclass(frozen=True)
class Inner:
    delay_ms: float = parameter(1.0, 'Delay.', minimum=0, maximum=10)


@dataclass(frozen=True)
class Example:
    cameras: tuple[str, ...] = camera_list('Cameras.')
    rate: int = parameter(5, 'Rate.', minimum=1, maximum=9, live=True)
    colour: str = parameter('red', 'Colour.', choices=('red', 'blue'), live=True)
    size: int = parameter(3, 'Size.', minimum=0, maximum=9)
    sim: Inner = group(Inner)


class Bench:
    """A node, its table, and how often it was told of changes."""

    def __init__(self, *overrides: Parameter) -> None:
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context)
        self.node = Node('example', context=self.context, parameter_overrides=list(overrides))
        self.may_reconfigure = False
        self.changes = 0
        self.table = ParameterTable(self.node, lambda: self.may_reconfigure, self._count)

    def _count(self) -> None:
        self.changes += 1

    def set(self, name: str, value: object) -> tuple[bool, str]:
        result = self.node.set_parameters([Parameter(name, value=value)])[0]
        return result.successful, result.reason

    def close(self) -> None:
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.table.declare(Example)
    bench.changes = 0
    yield bench
    bench.close()


def test_defaults_come_back_as_the_schema(bench: Bench):
    assert bench.table.read(Example) == Example()


def test_overrides_reach_nested_schemas():
    bench = Bench(Parameter('sim.delay_ms', value=2.5), Parameter('cameras', value=['a', 'b']))
    bench.table.declare(Example)
    assert bench.table.read(Example) == Example(cameras=('a', 'b'), sim=Inner(delay_ms=2.5))
    bench.close()


def test_live_parameter_changes_and_the_node_is_told(bench: Bench):
    assert bench.set('rate', 7)[0]
    assert bench.table.read(Example).rate == 7
    assert bench.changes == 1


@pytest.mark.parametrize('name, value, reason', [
    ('rate', 10, 'Max: 9'),
    ('rate', 'fast', 'type'),
    ('colour', 'green', "not one of 'red', 'blue'"),
    ('size', 4, 'clean it up first'),
    ('cameras', ['left'], 'read-only'),
])
def test_bad_value_is_refused_with_a_reason(bench: Bench, name: str, value: object, reason: str):
    accepted, said = bench.set(name, value)
    assert not accepted
    assert reason in said
    assert bench.table.read(Example) == Example()
    assert bench.changes == 0


def test_structure_may_change_while_the_node_is_unconfigured(bench: Bench):
    bench.may_reconfigure = True
    assert bench.set('size', 4)[0]
    assert bench.table.read(Example).size == 4


def test_no_camera_is_refused_in_words():
    # What rclpy makes of `cameras:=[]` on the command line.
    spec: ParameterSpec = fields(Example)[0].metadata['spec']
    assert 'not 0' in spec.refusal(None)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_number_that_is_not_finite_is_refused(value: float):
    spec: ParameterSpec = fields(Inner)[0].metadata['spec']
    assert 'finite' in spec.refusal(value)


@pytest.mark.parametrize('cameras', [[], ['a', 'a'], ['a/b'], ['9lives'], ['ä'], ['x'] * 257])
def test_camera_names_that_make_no_topics_are_refused(cameras: list[str]):
    value = Parameter('cameras', Parameter.Type.STRING_ARRAY, cameras)
    bench = Bench(value)
    # rclpy takes an empty list for one of bytes, and calls that a wrong type.
    with pytest.raises((InvalidParameterValueException, InvalidParameterTypeException)):
        bench.table.declare(Example)
    bench.close()


def test_override_of_another_type_is_refused():
    bench = Bench(Parameter('rate', value='fast'))
    with pytest.raises(InvalidParameterTypeException):
        bench.table.declare(Example)
    bench.close()


def test_foreign_parameters_are_none_of_the_tables_business(bench: Bench):
    bench.node.declare_parameter('foreign', 1)
    assert bench.set('foreign', 2)[0]
    assert bench.changes == 0


def test_what_is_set_and_not_there_is_named():
    bench = Bench(Parameter('rtae', value=7), Parameter('rate', value=7),
                  Parameter('sim.delay', value=1.0), Parameter('use_sim_time', value=True))
    bench.table.declare(Example)
    assert bench.table.strangers() == ['rtae', 'sim.delay']
    bench.close()


@pytest.mark.parametrize('checked', SCHEMAS)
def test_every_parameter_of_the_nodes_is_described_and_bounded(checked: type):
    for field in fields(checked):
        if 'group' in field.metadata:
            continue
        spec: ParameterSpec = field.metadata['spec']
        assert spec.description.endswith('.'), field.name
        assert spec.refusal(list(spec.default) if isinstance(spec.default, tuple)
                            else spec.default) is None, field.name
        if isinstance(spec.default, (int, float)) and not isinstance(spec.default, bool):
            assert spec.minimum <= spec.default <= spec.maximum, field.name


@pytest.mark.parametrize('checked', SCHEMAS[:2])
def test_caption_too_long_for_a_packet_is_refused(checked: type):
    spec: ParameterSpec = next(
        field.metadata['spec'] for field in fields(checked) if field.name == 'caption')
    assert spec.refusal('x' * 4094) is None
    assert '4095' in spec.refusal('x' * 4095)
    assert spec.refusal('\u65e5' * 1400) is not None  # three bytes each


@pytest.mark.parametrize('value, accepted', [(-1.0, True), (0.0, True), (-0.5, False)])
def test_rate_of_a_camera_is_its_own_or_that_of_the_node(value: float, accepted: bool):
    spec: ParameterSpec = next(
        field.metadata['spec'] for field in fields(schema.SenderCameraParameters)
        if field.name == 'max_fps')
    assert (spec.refusal(value) is None) is accepted


def test_node_may_refuse_what_does_not_suit_it_now():
    bench = Bench()
    table = ParameterTable(
        bench.node, lambda: True, lambda: None,
        lambda name, value: f'not {value} now' if name == 'rate' and value == 7 else None)
    table.declare(Example)
    assert bench.set('rate', 7) == (False, 'rate: not 7 now')
    assert bench.set('rate', 8)[0]
    bench.close()
