# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The nodes of the demo as child processes: started with parameters, watched, always stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import ctypes
from dataclasses import dataclass
import json
import os
from pathlib import Path
import random
import signal
import socket
import subprocess
import sys
import time

from gsc_ros.demo.error import DemoError

# Seconds that a child gets to end by itself after each signal.
GRACE_S = 4.0
LOG_TAIL_LINES = 12
# Domains whose ports lie below those that Linux hands out for outgoing connections.
DOMAINS = range(1, 101)
_PR_SET_PDEATHSIG = 1

ParameterValue = bool | int | float | str | list[str]


@dataclass(frozen=True)
class Child:
    """One running node."""

    name: str
    process: subprocess.Popen
    log: Path

    @property
    def running(self) -> bool:
        """Return whether the process is alive."""
        return self.process.poll() is None


class Graph:
    """
    Child processes that end with this object, even if the parent is killed.

    Use as a context manager.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        """
        Prepare to start nodes.

        :param directory: gets `<node>.yaml` (its parameters) and `<node>.log` (what it says).
        :param environment: of the children, beside their parent's.
        """
        self.directory = directory
        self._environment = {**os.environ, **environment, 'PYTHONUNBUFFERED': '1',
                             'ROS_LOG_DIR': str(directory / 'ros'),
                             'RCUTILS_COLORIZED_OUTPUT': '0'}
        self._children: dict[str, Child] = {}

    def __enter__(self) -> Graph:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every child."""
        self.stop()

    def start(self, name: str, parameters: Mapping[str, ParameterValue]) -> Child:
        """
        Start `gsc_ros.nodes.<name>`.

        :param parameters: its ROS parameters; dots in a name nest.
        :raises OSError: when its files cannot be written.
        """
        file = self.directory / f'{name}.yaml'
        file.write_text(parameter_file(parameters))
        log = self.directory / f'{name}.log'
        command = [sys.executable, '-m', f'gsc_ros.nodes.{name}',
                   '--ros-args', '--params-file', str(file)]
        with log.open('wb') as stream:
            # A session of its own: Ctrl-C is for the parent, which then stops the children in
            # order.
            process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_follow_parent())
        child = Child(name, process, log)
        self._children[name] = child
        return child

    def check(self, may_end: frozenset[str] = frozenset()) -> None:
        """
        Look whether all children are well.

        :param may_end: those that may have ended, with exit status 0.
        :raises DemoError: when another one has ended, or one of these has failed.
        """
        for child in self._children.values():
            status = child.process.poll()
            if status is None or (status == 0 and child.name in may_end):
                continue
            how = f'was killed by signal {-status}' if status < 0 else f'ended with status {status}'
            raise DemoError(
                f'the {child.name} node {how}; the end of {child.log}:\n{log_tail(child.log)}')

    def running(self, name: str) -> bool:
        """Return whether a child that was started is alive."""
        return self._children[name].running

    def end(self, name: str) -> None:
        """Stop one child; how it ends does not matter any more."""
        _stop([self._children.pop(name)])

    def stop(self) -> None:
        """Stop every child."""
        _stop(list(self._children.values()))


def _stop(children: list[Child]) -> None:
    """Interrupt, then terminate, then kill what still runs."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        alive = [child for child in children if child.running]
        for child in alive:
            child.process.send_signal(number)
        deadline = time.monotonic() + GRACE_S
        for child in alive:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue


def parameter_file(parameters: Mapping[str, ParameterValue]) -> str:
    """Return a ROS parameter file for whichever node reads it; JSON, which is YAML too."""
    tree: dict = {}
    for name, value in parameters.items():
        *groups, leaf = name.split('.')
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[leaf] = value
    return json.dumps({'/**': {'ros__parameters': tree}}, indent=2) + '\n'


def log_tail(log: Path) -> str:
    """Return the last lines of a log, indented."""
    try:
        lines = log.read_text(errors='replace').splitlines()
    except OSError as error:
        return f'    ({error.strerror})'
    return '\n'.join(f'    {line}' for line in lines[-LOG_TAIL_LINES:]) or '    (it is empty)'


def free_domain_id() -> int:
    """
    Return a ROS domain in which nobody seems to be on this machine.

    :raises DemoError: when all are taken.
    """
    candidates = list(DOMAINS)
    random.shuffle(candidates)
    for domain in candidates:
        # The port on which a domain's first participant hears others of its kind (RTPS 9.6.1.1).
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('0.0.0.0', 7400 + 250 * domain + 10))
            except OSError:
                continue
            return domain
    raise DemoError('no free ROS domain: every one of 1..100 is in use on this machine')


def middleware_profile() -> Path | None:
    """Return the Fast DDS profile that gives images room, or None when it cannot be found."""
    places = [Path(__file__).parents[2] / 'config']
    try:
        from ament_index_python.packages import get_package_share_directory, PackageNotFoundError
    except ModuleNotFoundError:
        pass
    else:
        try:
            places.insert(0, Path(get_package_share_directory('gsc_ros'), 'config'))
        except PackageNotFoundError:
            pass
    return next((place / 'fastdds.xml' for place in places if (place / 'fastdds.xml').is_file()),
                None)


def environment(domain_id: int) -> dict[str, str]:
    """Return the variables that keep the graph to this machine and to itself."""
    variables = {'ROS_DOMAIN_ID': str(domain_id), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    profile = middleware_profile()
    # Fast DDS 2 (Jazzy) reads the first of these, Fast DDS 3 (Kilted) the second.
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        if profile is not None and name not in os.environ:
            variables[name] = str(profile)
    return variables


def _follow_parent() -> Callable[[], None] | None:
    """Return what a child does before it runs, so that it ends when its parent is killed."""
    if not sys.platform.startswith('linux'):
        return None
    # Loaded here: after the fork it is too late to do more than one system call.
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
