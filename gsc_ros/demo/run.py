# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One demo run: start the graph, record until the input has come through, report.

    player ──> sender ──> bridge ══ link ══ bridge ──> receiver      four child processes
       └───────────────────────┬──────────────────────────┘
                            recorder                              a node of this process
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
import os
import signal
import time
from types import FrameType

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.opening import find_generator
from gsc_ros.demo import graph
from gsc_ros.demo.display import Display
from gsc_ros.demo.error import DemoError
from gsc_ros.demo.graph import Graph, ParameterValue
from gsc_ros.demo.output import Outputs, write_outputs
from gsc_ros.demo.recorder import Recorder
from gsc_ros.demo.recording import ImageStore, Recording
from gsc_ros.demo.setting import DemoSettings, Pace, pace
from gsc_ros.demo.summary import Ending, Summary
from gsc_ros.sources import open_source, SourceError
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

# Seconds that the nodes get to find each other.
CONNECT_S = 25.0
# The same, when a generator has to be opened: large ones take minutes.
OPEN_S = 600.0
# Seconds without news after which what is still under way counts as lost; the time that a frame
# takes on the link is added. The link status comes once per second and should be seen once more.
QUIET_S = 1.6
# The same, while the newest frame is still being generated.
GENERATING_S = 30.0
# The longest that a run lasts after the last original, in times on the link beside the quiet.
DRAIN_FRAMES = 4
SPIN_S = 0.05
# With key regions a frame has so many times the bytes, and the time: few have no room for any.
_REGION_BYTES = 3


def run_demo(settings: DemoSettings, display: Display) -> Summary:
    """
    Run the graph and write everything into the output folder.

    :raises DemoError: when the input is bad, a node fails, or no frame comes through.
    :raises OSError: when the output cannot be written, for example because the disk is full.
    """
    outputs = Outputs(settings.output.resolve())
    replay = _plan(settings)
    outputs.prepare()
    store = ImageStore(outputs.directory)
    try:
        recording = Recording(store)
        ending = _record(settings, outputs, recording, display, replay)
        return write_outputs(settings, outputs, recording, ending, display)
    finally:
        store.close()


@dataclass(frozen=True)
class _Replay:
    """
    What the player is to do.

    :param fps: frames per second.
    :param count: number of frames.
    :param ending: why it will end there.
    :param pace: how much of the link each frame gets.
    """

    fps: float
    count: int
    ending: Ending
    pace: Pace


def _plan(settings: DemoSettings) -> _Replay:
    """Look into the input, so that a bad one is known before anything is started."""
    try:
        source = open_source(settings.input, topic=settings.topic, fps=settings.fps)
        height, width = next(iter(source)).image.shape[:2]
        if settings.generates:
            find_generator(settings.generator)
    except (SourceError, GeneratorError) as error:
        raise DemoError(str(error)) from error
    fps = settings.fps or source.fps
    limits = [math.ceil(settings.seconds * fps), settings.frames or len(source)]
    count = min(len(source), *limits)
    return _Replay(fps, count, Ending.INPUT if count == len(source) else Ending.LIMIT,
                   pace(settings.link_bps, fps, width, height))


def _record(settings: DemoSettings, outputs: Outputs, recording: Recording, display: Display,
            replay: _Replay) -> Ending:
    """Run the graph until the input has come through; return why it ended."""
    domain_id = graph.free_domain_id() if settings.domain_id is None else settings.domain_id
    environment = graph.environment(domain_id)
    os.environ.update(environment)  # for the recorder, which is a participant like the others
    display.say(f'replaying {settings.input} over {settings.link_bps / 1000:g} kbit/s; to look in: '
                + ' '.join(f'{name}={value}' for name, value in environment.items()))
    context = Context()
    rclpy.init(args=[], context=context)
    executor = SingleThreadedExecutor(context=context)
    try:
        recorder = Recorder(settings.camera, recording, context, bool(settings.regions))
        executor.add_node(recorder)
        with _Interruption() as interruption, Graph(outputs.directory / 'graph',
                                                    environment) as children:
            for name, parameters in _parameters(settings, outputs, replay).items():
                children.start(name, parameters)
            _connect(settings, recorder, executor, children, interruption)
            children.start('player', _player_parameters(settings, replay))
            ending = _follow(settings, recorder, recording, executor, children, interruption,
                             display, replay)
            children.check(may_end=frozenset({'player'}))
        recorder.destroy_node()
        return ending
    finally:
        executor.shutdown()
        context.try_shutdown()


def _parameters(settings: DemoSettings, outputs: Outputs,
                replay: _Replay) -> dict[str, dict[str, ParameterValue]]:
    """Return the parameters of the nodes behind the camera, in the order in which they start."""
    cameras: dict[str, ParameterValue] = {'cameras': [settings.camera]}
    slower = _REGION_BYTES if settings.regions else 1
    fps = replay.pace.fps / slower
    sender = {**cameras, 'profile': settings.profile, 'max_fps': fps,
              'caption': settings.caption}
    coding = {name: getattr(settings, name) for name in ('channels', 'quantizer', 'max_bytes')}
    chosen = {name: value for name, value in coding.items() if value is not None}
    sender.update(chosen or {'max_bytes': replay.pace.packet_bytes * slower})
    bridge = {**cameras, 'link_bps': settings.link_bps, 'target_fps': fps,
              'trace_file': str(outputs.trace), 'sim.delay_ms': settings.delay_ms,
              'sim.loss': settings.loss}
    if settings.burst_bits is not None:
        bridge['burst_bits'] = settings.burst_bits
    receiver = {**cameras, 'profile': settings.profile, 'mode': settings.mode}
    if settings.regions:
        sender |= _source_parameters(settings.regions)
        receiver['overlay'] = True
    if settings.generates:
        receiver |= {'generator.profile': settings.generator,
                     'generator.steps': settings.steps or 0}
    return {'receiver': receiver, 'bridge': bridge, 'sender': sender}


def _source_parameters(sources: Sequence[str]) -> dict[str, ParameterValue]:
    """Return the parameters of the sender for sources as they are written."""
    words = {kind: rest for kind, _, rest in (source.partition(':') for source in sources)}
    return {'regions.sources': list(words)} | {
        f'regions.{kind}': rest for kind, rest in words.items() if rest}


def _player_parameters(settings: DemoSettings, replay: _Replay) -> dict[str, ParameterValue]:
    # Cameras are best effort; here the recorder must see every original, or it cannot compare.
    reliable = f'qos_overrides./{settings.camera}/image_raw.publisher'
    return {'input': settings.input, 'topic': settings.topic or '', 'camera': settings.camera,
            'fps': settings.fps or 0.0, 'count': replay.count,
            'wait_for_subscribers': 2,  # the sender and the recorder
            f'{reliable}.reliability': 'reliable', f'{reliable}.depth': 10}


def _connect(settings: DemoSettings, recorder: Recorder, executor: SingleThreadedExecutor,
             children: Graph, interruption: _Interruption) -> None:
    """
    Wait until every node listens to the one before it, so that no frame is lost at the start.

    And until the generator is open, where one is to be used.
    """
    deadline = time.monotonic() + (OPEN_S if settings.generates else CONNECT_S)
    while not (recorder.graph_is_connected()
               and (recorder.generator_is_ready() or not settings.generates)):
        executor.spin_once(SPIN_S)
        children.check()
        interruption.check()
        trouble = recorder.trouble()
        if trouble or time.monotonic() > deadline:
            raise DemoError('the nodes did not get ready: ' + (
                trouble or f'they did not find each other in time; see the logs in '
                f'{children.directory}'))


def _follow(settings: DemoSettings, recorder: Recorder, recording: Recording,
            executor: SingleThreadedExecutor, children: Graph, interruption: _Interruption,
            display: Display, replay: _Replay) -> Ending:
    """Record until the input has ended and come through, or the time is up, or Ctrl-C."""
    # The player may take a while to open its input, and may not keep up with the rate.
    deadline = time.monotonic() + replay.count / replay.fps + CONNECT_S
    on_link_s = settings.delay_ms / 1000 + 1 / replay.pace.fps
    drained_by = math.inf
    ending = replay.ending
    with display.replaying(replay.count) as show:
        while not interruption.requested:
            executor.spin_once(SPIN_S)
            children.check(may_end=frozenset({'player'}))
            show(recording)
            now = time.monotonic()
            if drained_by == math.inf and (now > deadline or not children.running('player')):
                ending = replay.ending if now <= deadline else Ending.TIME
                children.end('player')
                drained_by = now + QUIET_S + DRAIN_FRAMES * on_link_s + (
                    GENERATING_S if settings.generates else 0.0)
            generating = settings.generates and not recording.newest_is_generated(settings.mode)
            patience_s = (GENERATING_S if generating else QUIET_S) + on_link_s
            quiet_s = now - recorder.last_activity_s
            if drained_by < math.inf and (now > drained_by or quiet_s > patience_s):
                return ending
    return Ending.INTERRUPT


class _Interruption:
    """Turns the first Ctrl-C (or SIGTERM) into a wish, so that the run ends in order."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> _Interruption:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt when an end is wished for."""
        if self.requested:
            raise KeyboardInterrupt

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.check()  # the second time: at once
        self.requested = True
