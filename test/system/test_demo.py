# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc demo` runs the real graph, stops by itself, and leaves what it promises."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import cv2
from gsc_ros.evaluation.metric import psnr
from gsc_ros.link.audit import read_trace, verify_budget
from gsc_ros.sources import open_source
import numpy as np
import pytest

PATIENCE_S = 150
COMMAND = (sys.executable, '-m', 'gsc_ros.cli.main', 'demo')
SECONDS = 5
FPS = 4


@pytest.fixture(scope='module', autouse=True)
def world():
    """Stand in for the other tests' world: the demo makes one of its own."""


@pytest.fixture(autouse=True)
def fresh_memory():
    """Stand in for the other tests' probe."""


@dataclass(frozen=True)
class Run:
    """What a run left."""

    status: int
    summary: dict[str, Any]
    err: str
    output: Path


@pytest.fixture(name='run', scope='module')
def fixture_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a short run on the built-in source."""
    output = tmp_path_factory.mktemp('demo') / 'out'
    done = subprocess.run(
        [*COMMAND, '--input', 'terrain', '--output', output, '--seconds', str(SECONDS),
         '--fps', str(FPS), '--json'],
        capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return Run(done.returncode, json.loads(done.stdout), done.stderr, output)


def children_of(pid: int) -> set[int]:
    """Return the processes that a process has started."""
    found = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    return {int(child) for child in found}


def test_stdout_is_the_summary_and_nothing_else(run: Run) -> None:
    assert run.summary == json.loads((run.output / 'summary.json').read_text())
    assert 'report.html' in run.err


def test_every_original_is_seen_and_most_come_through(run: Run) -> None:
    assert run.summary['frames_in'] == SECONDS * FPS
    assert run.summary['ending'] == 'the limit of frames or seconds was reached'
    # A busy machine may code fewer than come, but what is coded arrives: nothing is lost here.
    assert run.summary['frames_coded'] >= SECONDS * FPS // 3
    assert run.summary['frames_received'] >= run.summary['frames_sent'] > 0
    assert run.summary['frames_matched'] == run.summary['frames_received']


def test_the_budget_holds_in_every_window(run: Run) -> None:
    trace = read_trace(run.output / 'graph' / 'departures.csv')
    assert verify_budget(trace, 20_000, run.summary['burst_bits']).holds
    assert run.summary['budget_holds']
    assert run.summary['link_bytes'] == sum(departure.bits for departure in trace) // 8
    assert run.summary['link_bytes'] > run.summary['packet_bytes']


def test_reconstructions_resemble_their_originals(run: Run) -> None:
    assert run.summary['psnr_db']['mean'] > 15
    assert run.summary['ms_ssim']['mean'] > 0.3
    first = next(iter(open_source('terrain'))).image
    pictures = [frame.image for frame in open_source(
        run.output / 'reconstructed', topic='/reconstructed/front/image')]
    noise = np.random.default_rng(0).integers(0, 256, first.shape, np.uint8)
    assert psnr(first, pictures[0]) > psnr(first, noise) + 3


def test_latency_is_that_of_a_thin_link_and_not_of_hours(run: Run) -> None:
    latency = run.summary['latency_ms']
    assert 0 < latency['minimum'] <= latency['median'] <= latency['p95'] < 20_000


def test_the_bag_has_calibrated_pictures(run: Run) -> None:
    source = open_source(run.output / 'reconstructed', topic='/reconstructed/front/image')
    frames = list(source)
    assert len(frames) == run.summary['frames_received']
    calibration = frames[-1].calibration  # crosses the link with the first frames, once
    assert calibration is not None
    assert (calibration.height, calibration.width) == frames[-1].image.shape[:2]


def test_the_pictures_and_the_page_can_be_opened(run: Run) -> None:
    assert cv2.imread(str(run.output / 'contact_sheet.png')).shape[1] > 1000
    video = cv2.VideoCapture(str(run.output / run.summary['files']['video']))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == run.summary['frames_received']
    text = (run.output / 'report.html').read_text()
    assert text.startswith('<!DOCTYPE html>')
    assert f'{run.summary["link_bytes"]:,}' in text


def test_a_run_that_generates_compares_both_modes_on_the_same_frames(tmp_path: Path) -> None:
    output = tmp_path / 'out'
    done = subprocess.run(
        [*COMMAND, '--input', 'terrain', '--output', output, '--seconds', '2', '--fps', '2',
         '--mode', 'generate', '--steps', '2', '--json'],
        capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    structure, generated = summary['modes']['structure'], summary['modes']['generate']
    assert (summary['mode'], summary['generator']) == ('generate', 'tiny')
    assert generated['frames'] == summary['frames_received'] > 0
    assert structure['compared'] == generated['compared'] == generated['frames']
    assert structure['psnr_db']['mean'] > 15
    assert generated['psnr_db']['mean'] > structure['psnr_db']['mean'] - 4
    assert generated['generate_ms']['minimum'] > 0
    text = (output / 'report.html').read_text()
    assert '<b>structure</b>' in text and '<b>generated</b>' in text
    assert 'generated by tiny' in done.stderr


def test_ctrl_c_ends_the_run_in_order_and_reports_what_there_was(tmp_path: Path) -> None:
    output = tmp_path / 'out'
    process = subprocess.Popen(
        [*COMMAND, '--input', 'terrain', '--output', output, '--fps', '4'],
        stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE_S
    trace = output / 'graph' / 'departures.csv'
    while not (trace.is_file() and trace.read_text().count('frame') > 4):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    nodes = children_of(process.pid)
    assert len(nodes) >= 4
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert 'Traceback' not in err
    assert json.loads((output / 'summary.json').read_text())['ending'] == 'interrupted'
    assert not [pid for pid in nodes if Path(f'/proc/{pid}').exists()]


def refused(*words: object) -> str:
    """Run the demo, which must refuse with status 1 and without a traceback."""
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True,
                          timeout=PATIENCE_S)
    assert done.returncode == 1, done.stderr
    assert 'Traceback' not in done.stderr
    assert done.stdout == ''
    return done.stderr


def test_an_input_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    assert 'gone' in refused('--input', tmp_path / 'gone', '--output', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_a_profile_that_is_not_there_is_told_with_the_node(tmp_path: Path) -> None:
    err = refused('--input', 'terrain', '--output', tmp_path / 'out', '--profile', 'huge')
    assert "there is no profile 'huge'" in err


def test_a_generator_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    err = refused('--input', 'terrain', '--output', tmp_path / 'out', '--mode', 'auto',
                  '--generator', 'huge')
    assert "there is no generator 'huge'" in err
    assert not (tmp_path / 'out').exists()


def test_an_output_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    err = refused('--input', 'terrain', '--output', tmp_path / 'file' / 'out')
    assert 'file' in err
