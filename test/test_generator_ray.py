# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A generator on a local Ray of two CPU actors; Ray takes seconds to start, so all share it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.generator import Condition, DEFAULT_SETTINGS
from gsc_ros.codec.generator.opening import open_generator
from gsc_ros.codec.generator.ray_backend import Patience, RayGenerator
import numpy as np
import pytest

HERE = str(Path(__file__).resolve().parent)


class Slow:
    """Paints each picture in the grey of its seed; what its caption says happens on the way."""

    name = 'slow'
    identity = 'slow-1'
    steps = 4

    def generate(self, conditions, settings=DEFAULT_SETTINGS):
        """Return the pictures; `wait:FILE` says so in a file, and waits for FILE.go."""
        pictures = []
        for condition in conditions:
            word, _, value = condition.text.partition(':')
            if word == 'wait':
                Path(value).write_text(str(os.getpid()))
                read_when_there(Path(value + '.go'))
            elif word == 'die':
                os.kill(os.getpid(), signal.SIGKILL)
            elif word == 'refuse':
                raise GeneratorError('no such picture')
            elif word == 'break':
                raise RuntimeError('out of memory')
            picture = np.full(condition.structure.shape, condition.seed, np.uint8)
            picture[0, 0] = np.frombuffer(os.getpid().to_bytes(3, 'little'), np.uint8)
            pictures.append(picture)
        return pictures

    def close(self):
        """Do nothing."""


def read_when_there(path):
    """Return what a file says once it says something."""
    deadline = time.monotonic() + 240
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < deadline, f'{path.name} does not come'
        time.sleep(0.02)
    return path.read_text()


def refuse():
    """Open no generator."""
    raise GeneratorError('there is no generator here')


CONDITION = Condition(
    '', np.zeros((320, 1, 2), np.float32), (0, 1), np.zeros((16, 32, 3), np.uint8), 0.5, 7)


def process(picture):
    """Return the process that made a picture."""
    return int.from_bytes(picture[0, 0].tobytes(), 'little')


@pytest.fixture(scope='module')
def generator():
    """Return a generator of two actors on a Ray of its own."""
    os.environ['PYTHONPATH'] = os.pathsep.join([HERE, os.environ.get('PYTHONPATH', '')])
    pytest.importorskip('ray')
    # On a thread that ends, as the receiver does: Ray must outlive it.
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(lambda: RayGenerator(
            Slow, actors=2, patience=Patience(open_s=300, free_s=240, again_s=0))).result()
    yield opened
    opened.close()


def counts(generator):
    """Return actors lost, batches retried and dropped."""
    counter = generator.counter
    return np.array([
        counter.actors_lost, counter.batches_retried, counter.batches_dropped])


def test_a_batch_comes_back_in_order_each_picture_in_its_own_size(generator):
    other = replace(CONDITION, seed=9, structure=np.zeros((8, 8, 3), np.uint8))
    pictures = generator.generate([CONDITION, other])
    assert [picture.shape for picture in pictures] == [(16, 32, 3), (8, 8, 3)]
    assert [picture[4, 4, 0] for picture in pictures] == [7, 9]
    assert (generator.name, generator.identity, generator.steps, generator.concurrency) == (
        'slow', 'slow-1', 4, 2)


def test_as_many_calls_as_there_are_actors_run_at_once(generator, tmp_path):
    files = [tmp_path / 'first', tmp_path / 'second']
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(generator.generate, [replace(CONDITION, text=f'wait:{file}')])
                 for file in files]
        processes = {read_when_there(file) for file in files}
        for file, call in zip(files, calls):
            file.with_suffix('.go').write_text('now')
            call.result()
    assert len(processes) == 2


def test_what_an_actor_refuses_is_an_error_and_the_actor_lives_on(generator):
    before = counts(generator)
    with pytest.raises(GeneratorError, match='^no such picture$'):
        generator.generate([replace(CONDITION, text='refuse')])
    with pytest.raises(GeneratorError, match='^RuntimeError: out of memory$'):
        generator.generate([replace(CONDITION, text='break')])
    assert generator.generate([CONDITION])
    assert (counts(generator) == before).all()


def test_an_actor_that_cannot_open_its_generator_says_why(generator):
    with pytest.raises(GeneratorError, match='^there is no generator here$'):
        RayGenerator(refuse, actors=1, threads=0)
    # The cluster, which is another's, goes on.
    assert generator.generate([CONDITION])


def test_the_embedded_generator_makes_the_same_picture_there_as_here(generator):
    draw = np.random.default_rng(0)
    condition = Condition(
        'a street', draw.standard_normal((320, 2, 2), np.float32), tuple(range(320)),
        draw.integers(0, 256, (64, 64, 3), np.uint8), 0.5, 3)
    here, there = open_generator('tiny'), RayGenerator(
        partial(open_generator, 'tiny'), actors=1, threads=0)
    assert (there.name, there.identity) == (here.name, here.identity)
    assert (there.generate([condition])[0] == here.generate([condition])[0]).all()
    there.close()


def test_an_actor_that_is_killed_in_the_middle_loses_nothing_and_is_replaced(generator, tmp_path):
    before = counts(generator)
    with ThreadPoolExecutor(1) as pool:
        file = tmp_path / 'process'
        call = pool.submit(generator.generate, [replace(CONDITION, text=f'wait:{file}')])
        killed = int(read_when_there(file))
        os.kill(killed, signal.SIGKILL)
        file.with_suffix('.go').write_text('now')
        assert process(call.result()[0]) != killed
    assert list(counts(generator) - before) == [1, 1, 0]
    # While one is busy another answers: its successor.
    file = tmp_path / 'busy'
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(generator.generate, [replace(CONDITION, text=f'wait:{file}')])
        busy = int(read_when_there(file))
        answers = process(generator.generate([CONDITION])[0])
        file.with_suffix('.go').write_text('now')
        call.result()
    assert killed not in (busy, answers) and busy != answers


def test_a_batch_that_every_actor_dies_of_is_dropped(generator):
    before = counts(generator)
    with pytest.raises(GeneratorError, match='two actors in turn were lost'):
        generator.generate([replace(CONDITION, text='die')])
    assert list(counts(generator) - before) == [2, 1, 1]


def test_a_ray_that_was_started_here_ends_with_the_generator(generator):
    import ray

    generator.close()
    assert not ray.is_initialized()
    with pytest.raises(GeneratorError, match='closed'):
        generator.generate([CONDITION])


def test_without_ray_the_error_says_what_to_install():
    code = (
        'import sys; sys.modules["ray"] = None\n'
        'from gsc_ros.codec.error import GeneratorError\n'
        'from gsc_ros.codec.generator.ray_backend import open_ray_generator\n'
        'try:\n    open_ray_generator()\nexcept GeneratorError as error:\n    print(error)\n')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "generation on a cluster needs ray: pip install 'gsc_ros[ray]'"
