# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A small world for system tests: real nodes as processes, and a probe that watches them.

Nothing here sleeps in the hope that something has happened: tests wait for conditions, with a
patience that a busy machine needs.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from gsc_ros.msg import GscFrame, GscStatus, LinkStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
from rcl_interfaces.srv import GetParameters, SetParameters
import rclpy
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 60.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

Value = TypeVar('Value')


def free_domain() -> int:
    """Return a ROS domain in which nobody on this machine can be found."""
    start = os.getpid() % 100
    for offset in range(100):
        domain = 1 + (start + offset) % 100
        # The port on which a domain's first participant hears others of its kind (RTPS 9.6.1.1).
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7400 + 250 * domain + 10))
            except OSError:
                continue
            return domain
    raise RuntimeError('every ROS domain is in use')


def wait_for(what: str, get: Callable[[], Value], patience_s: float = PATIENCE_S) -> Value:
    """Return the first true value of `get`; fail the test when there is none in time."""
    end = time.monotonic() + patience_s
    while not (value := get()):
        if time.monotonic() > end:
            raise AssertionError(f'in {patience_s:.0f} s there was no {what}')
        time.sleep(0.01)
    return value


class NodeProcess:
    """One of the real nodes in a process of its own."""

    def __init__(self, name: str, log: Path, domain: int, node_name: str | None = None,
                 remap: Mapping[str, str] | None = None, **parameters: Any) -> None:
        """
        Start ``gsc_ros.nodes.<name>``.

        :param log: file that gets stdout and stderr.
        :param node_name: name on the graph if it shall be another one.
        :param remap: topics that get another name.
        :param parameters: ROS parameters; a double underscore stands for a dot.
        """
        self.name = name
        self.log = log
        arguments = ['-r', f'__node:={node_name}'] if node_name else []
        for topic, other in (remap or {}).items():
            arguments += ['-r', f'{topic}:={other}']
        for key, value in parameters.items():
            arguments += ['-p', f'{key.replace("__", ".")}:={_yaml(value)}']
        environment = os.environ | {
            'ROS_DOMAIN_ID': str(domain), 'PYTHONUNBUFFERED': '1',
            'PYTHONPATH': os.pathsep.join([str(REPOSITORY), os.environ.get('PYTHONPATH', '')])}
        self.started = time.monotonic()
        with log.open('ab') as output:
            self._process = subprocess.Popen(
                [sys.executable, '-m', f'gsc_ros.nodes.{name}', '--ros-args', *arguments],
                stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=REPOSITORY)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """All that the process has printed."""
        return self.log.read_text(errors='replace')

    def resident_mb(self) -> float:
        """Return the resident memory in MB, the middleware's shared segments included."""
        fields = dict(line.split(':', 1) for line in
                      Path(f'/proc/{self._process.pid}/status').read_text().splitlines())
        return int(fields['VmRSS'].split()[0]) / 1024

    def cpu_s(self) -> float:
        """Return the CPU time that the process has used, in seconds."""
        fields = Path(f'/proc/{self._process.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def wait(self) -> int:
        """Wait until the process has ended by itself; return its exit status."""
        return self._process.wait(PATIENCE_S)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit status; a process that does not end is killed."""
        if self.alive:
            self._process.send_signal(number)
        try:
            return self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f'[{", ".join(map(_yaml, value))}]'
    return f"'{value}'" if isinstance(value, str) else str(value)


class Probe:
    """A node in the test's process that publishes cameras and records what comes back."""

    def __init__(self, domain: int) -> None:
        """Join the domain and start to listen."""
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context, domain_id=domain)
        self.node = Node('probe', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._lock = threading.Lock()
        self._messages: dict[str, list[Any]] = defaultdict(list)
        self._publishers: dict[str, Publisher] = {}
        self._clients: dict[str, Client] = {}
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self.listen(DiagnosticArray, '/diagnostics')
        self.listen(LinkStatus, 'link_status')

    def close(self) -> None:
        """Leave the domain."""
        self._executor.shutdown()
        self._thread.join(PATIENCE_S)
        self.node.destroy_node()
        self._context.try_shutdown()

    def listen(self, message: type, topic: str, qos: QoSProfile | int = 50) -> None:
        """Record every message of a topic."""
        def take(received: object) -> None:
            with self._lock:
                self._messages[topic].append(received)
        self.node.create_subscription(message, topic, take, qos)

    def listen_to_camera(self, camera: str) -> None:
        """Record all that the receiver publishes of a camera."""
        prefix = f'reconstructed/{camera}'
        for message, topic in ((Image, 'image'), (Image, 'confidence'), (CameraInfo, 'camera_info'),
                               (GscStatus, 'status')):
            self.listen(message, f'{prefix}/{topic}')

    def received(self, topic: str) -> list[Any]:
        """Return what has been recorded of a topic."""
        with self._lock:
            return list(self._messages[topic])

    def wait_for_messages(self, topic: str, count: int = 1) -> list[Any]:
        """Wait for at least `count` messages of a topic; return all that there are."""
        wait_for(f'{count} messages on {topic}', lambda: len(self.received(topic)) >= count)
        return self.received(topic)

    def forget(self) -> None:
        """Drop what has been recorded, so that what is found later is new."""
        with self._lock:
            self._messages.clear()

    def publisher(self, message: type, topic: str, qos: QoSProfile | int = 5) -> Publisher:
        """Return the publisher of a topic, made on first use."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(message, topic, qos)
        return self._publishers[topic]

    def publish(self, topic: str, message: Any) -> None:
        """Publish once on a topic."""
        self.publisher(type(message), topic).publish(message)

    def report(self, part: str) -> dict[str, str] | None:
        """Return level, message and values of the newest diagnostic report of a part."""
        for array_message in reversed(self.received('/diagnostics')):
            for status in array_message.status:
                if status.name == part:
                    values = {item.key: item.value for item in status.values}
                    return values | {'message': status.message}
        return None

    def wait_for_report(self, part: str, cause: str) -> dict[str, str]:
        """Wait until a report's message contains `cause`."""
        def find() -> dict[str, str] | None:
            report = self.report(part)
            return report if report is not None and cause in report['message'] else None
        return wait_for(f'report {cause!r} of {part!r}', find)

    def state(self, node: str) -> str | None:
        """Return the lifecycle state of a node, None while it does not answer."""
        answer = self._call(GetState, f'{node}/get_state', GetState.Request(), 2.0)
        return None if answer is None else answer.current_state.label

    def wait_until_active(self, *nodes: str) -> None:
        """Wait until the nodes are active."""
        for node in nodes:
            wait_for(f'active {node}', lambda node=node: self.state(node) == 'active')

    def change_state(self, node: str, transition: int) -> bool:
        """Ask a node for a lifecycle transition; return whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        answer = self._call(ChangeState, f'{node}/change_state', request, PATIENCE_S)
        return answer is not None and answer.success

    def set_parameter(self, node: str, name: str, value: object) -> tuple[bool, str]:
        """Set a parameter; return whether it was accepted, and the reason if not."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        answer = self._call(SetParameters, f'{node}/set_parameters', request, PATIENCE_S)
        assert answer is not None, f'{node} does not answer'
        return answer.results[0].successful, answer.results[0].reason

    def get_parameter(self, node: str, name: str) -> Any:
        """Return the value of a parameter."""
        request = GetParameters.Request(names=[name])
        answer = self._call(GetParameters, f'{node}/get_parameters', request, PATIENCE_S)
        assert answer is not None, f'{node} does not answer'
        return parameter_value_to_python(answer.values[0])

    def _call(self, service: type, name: str, request: object, patience_s: float) -> Any:
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service, name)
        client = self._clients[name]
        end = time.monotonic() + patience_s
        while not client.service_is_ready():
            if time.monotonic() > end:
                return None
            time.sleep(0.01)
        future = client.call_async(request)
        while not future.done() and time.monotonic() < end:
            time.sleep(0.005)
        return future.result() if future.done() else None

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass


class Camera:
    """Publishes a moving picture and its calibration at a steady rate, from a thread."""

    def __init__(self, probe: Probe, name: str, fps: float = 10.0, width: int = 320,
                 height: int = 192) -> None:
        """Prepare the camera; `start` or `shoot` make it publish."""
        self.probe = probe
        self.name = name
        self.fps = fps
        self.width = width
        self.height = height
        self.encoding = 'rgb8'
        self.frame_id = f'{name}_optical'
        self.sent: list[tuple[int, int]] = []
        self.stamp: Callable[[], int] = time.time_ns
        self._count = 0
        self._running = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Camera:
        """Start to publish."""
        self._running.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._running.clear()
        assert self._thread is not None
        self._thread.join(PATIENCE_S)

    def shoot(self, encoding: str | None = None) -> tuple[int, int]:
        """Publish one image and its calibration; return the stamp."""
        encoding = encoding or self.encoding
        self._count += 1
        pixels = self.paint(self._count, encoding)
        data = array('B')
        data.frombytes(pixels.tobytes())
        image = Image(height=self.height, width=self.width, encoding=encoding, data=data,
                      step=pixels.nbytes // self.height)
        # The stamp comes last: a frame's age must not contain the painting of the picture.
        header = Header(frame_id=self.frame_id)
        header.stamp.sec, header.stamp.nanosec = divmod(self.stamp(), 10 ** 9)
        image.header = header
        self.probe.publish(f'{self.name}/image_raw', image)
        self.probe.publish(f'{self.name}/camera_info', calibration(header, self.width, self.height))
        stamp = (header.stamp.sec, header.stamp.nanosec)
        self.sent.append(stamp)
        return stamp

    def paint(self, count: int, encoding: str) -> np.ndarray:
        """Return the bytes of the picture number `count`, the first being 1."""
        return picture(self.width, self.height, count, encoding)

    def _run(self) -> None:
        due = time.monotonic()
        while self._running.is_set():
            self.shoot()
            due = max(due + 1 / self.fps, time.monotonic() - 1.0)
            time.sleep(max(0.0, due - time.monotonic()))


def picture(width: int, height: int, count: int, encoding: str = 'rgb8') -> np.ndarray:
    """Return a textured picture that moves with `count`, as bytes of an encoding."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    shade = 128 + 60 * np.sin((x + 3 * count) / 17) + 50 * np.cos((y - count) / 11)
    gray = np.clip(shade, 0, 255).astype(np.uint8)
    if encoding == 'mono8':
        return gray
    if encoding == '16UC1':
        return gray.astype(np.uint16) * 10
    colours = np.dstack([gray, np.roll(gray, 20, 1), 255 - gray])
    return colours if encoding == 'rgb8' else np.ascontiguousarray(colours[:, :, ::-1])


def calibration(header: Header, width: int, height: int) -> CameraInfo:
    """Return the calibration of a plausible camera of this size."""
    focal, cx, cy = 0.6 * width, width / 2 - 3.25, height / 2 + 1.5
    return CameraInfo(
        header=header, width=width, height=height, distortion_model='plumb_bob',
        d=[-0.3, 0.1, 1e-3, -5e-4, 0.0], k=[focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, cx, -0.54 * focal, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0])


def stamp_of(message: Any) -> tuple[int, int]:
    """Return the header stamp of a message as (sec, nanosec)."""
    return message.header.stamp.sec, message.header.stamp.nanosec


def clock(seconds: float) -> Clock:
    """Return a /clock message."""
    message = Clock()
    message.clock.sec, message.clock.nanosec = divmod(round(seconds * 1e9), 10 ** 9)
    return message


def garbage_frames(camera: str, seed: int) -> list[GscFrame]:
    """Return frames that are wrong each in its own way."""
    noise = np.random.default_rng(seed)
    blob = array('B', noise.integers(0, 256, 300, dtype=np.uint8).tobytes())
    return [
        GscFrame(camera=camera),
        GscFrame(camera=camera, payload=blob, layer_ends=[300]),
        GscFrame(camera=camera, payload=blob, layer_ends=[200, 100, 300]),
        GscFrame(camera=camera, payload=blob, layer_ends=[100, 4000000000]),
        GscFrame(camera=camera, payload=blob, layer_ends=[0, 300]),
        GscFrame(camera='somebody', payload=blob, layer_ends=[300], camera_id=255),
        GscFrame(camera=camera, payload=array('B', bytes(200_000)), layer_ends=[200_000]),
    ]
