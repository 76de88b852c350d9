# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Child processes of the demo: started with parameters, watched, always stopped."""

from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

from gsc_ros.demo.error import DemoError
from gsc_ros.demo.graph import environment, free_domain_id, Graph, parameter_file
import pytest
import yaml


@pytest.fixture(name='node')
def fixture_node(tmp_path, monkeypatch):
    """Return a function that lets every node be a given program."""
    def be(program):
        package = tmp_path / 'stub' / 'gsc_ros' / 'nodes'
        package.mkdir(parents=True)
        for folder in (package.parent, package):
            (folder / '__init__.py').touch()
        (package / 'stub.py').write_text(program)
        # Python looks for modules in the working directory first.
        monkeypatch.chdir(tmp_path / 'stub')
        return tmp_path
    return be


def wait_for(condition, seconds=20.0):
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, 'it took too long'
        time.sleep(0.02)


def alive(pid):
    """Return whether a process runs (a zombie does not)."""
    try:
        return ') Z ' not in Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return False


def test_parameters_are_yaml_for_any_node():
    text = parameter_file({'cameras': ['front'], 'sim.loss': 0.0, 'sim.delay_ms': 5.0,
                           'link_bps': 20000, 'caption': 'yes', 'autostart': True})
    (values,) = yaml.safe_load(text).values()
    assert values['ros__parameters'] == {
        'cameras': ['front'], 'sim': {'loss': 0.0, 'delay_ms': 5.0}, 'link_bps': 20000,
        'caption': 'yes', 'autostart': True}
    assert '0.0' in text  # a whole number in place of a real one would be refused


def test_a_node_that_dies_is_told_with_the_end_of_its_log(node):
    directory = node('import sys; print("no profile"); sys.exit(3)')
    with Graph(directory, {}) as graph:
        graph.start('stub', {})
        with pytest.raises(DemoError, match='the stub node ended with status 3') as told:
            wait_for(lambda: graph.check() is not None)
    assert 'no profile' in str(told.value)
    assert 'stub.log' in str(told.value)


def test_a_node_that_is_killed_is_told(node):
    directory = node('import os, signal; os.kill(os.getpid(), signal.SIGKILL)')
    with Graph(directory, {}) as graph:
        graph.start('stub', {})
        with pytest.raises(DemoError, match='killed by signal 9'):
            wait_for(lambda: graph.check() is not None)


def test_a_node_that_may_end_must_end_well(node):
    directory = node('pass')
    with Graph(directory, {}) as graph:
        child = graph.start('stub', {})
        child.process.wait(20)
        graph.check(may_end=frozenset({'stub'}))
        with pytest.raises(DemoError, match='ended with status 0'):
            graph.check()


def test_nodes_are_stopped_in_the_end(node):
    directory = node('import time; time.sleep(600)')
    with Graph(directory, {}) as graph:
        child = graph.start('stub', {})
        assert graph.running('stub')
    assert not child.running


def test_a_node_that_ignores_the_end_is_killed(node, monkeypatch):
    monkeypatch.setattr('gsc_ros.demo.graph.GRACE_S', 0.3)
    directory = node('import signal, time\n'
                     'for number in (signal.SIGINT, signal.SIGTERM):\n'
                     '    signal.signal(number, signal.SIG_IGN)\n'
                     'print("deaf", flush=True)\n'
                     'time.sleep(600)')
    with Graph(directory, {}) as graph:
        child = graph.start('stub', {})
        wait_for(lambda: 'deaf' in child.log.read_text())
    assert child.process.returncode == -signal.SIGKILL


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='needs prctl')
def test_nodes_end_even_when_the_demo_is_killed(node):
    directory = node('import os, time; print(os.getpid(), flush=True); time.sleep(600)')
    repository = Path(__file__).resolve().parent.parent
    program = (f'import sys, time; sys.path.insert(0, {str(repository)!r})\n'
               'from pathlib import Path\n'
               'from gsc_ros.demo.graph import Graph\n'
               f'Graph(Path({str(directory)!r}), {{}}).start("stub", {{}})\n'
               'time.sleep(600)')
    parent = subprocess.Popen([sys.executable, '-c', program])
    log = directory / 'stub.log'
    wait_for(lambda: log.is_file() and log.read_text().strip())
    pid = int(log.read_text())
    assert alive(pid)
    parent.kill()
    parent.wait()
    wait_for(lambda: not alive(pid))


def test_a_domain_in_use_is_not_chosen(monkeypatch):
    monkeypatch.setattr('gsc_ros.demo.graph.DOMAINS', range(97, 99))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(('0.0.0.0', 7400 + 250 * 97 + 10))
        assert {free_domain_id() for _ in range(8)} == {98}


def test_the_graph_keeps_to_this_machine():
    variables = environment(42)
    assert variables['ROS_DOMAIN_ID'] == '42'
    assert variables['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
