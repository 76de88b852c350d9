# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc eval captions`: a line of text for each picture of a data set, written by a captioner."""

from __future__ import annotations

import argparse
from pathlib import Path

from gsc_ros.cli.captioner import add_captioner_arguments, add_prompt_argument, DEFAULTS
from gsc_ros.cli.error import DataError
from gsc_ros.cli.number import bounded
from gsc_ros.cli.progress import track
from gsc_ros.codec.caption.captioner import CaptionerName, CaptionerSettings
from gsc_ros.codec.caption.opening import open_captioner
from gsc_ros.codec.error import CaptionError
from gsc_ros.evaluation.dataset.dataset import DatasetError
from gsc_ros.evaluation.dataset.opening import LAYOUT_NAMES
from gsc_ros.evaluation.run.spec import DataSpec, FIRST, SPREAD
from gsc_ros.evaluation.run.work import open_data


def add_caption_parser(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsc eval captions`."""
    parser.add_argument('input', metavar='DATA', help='as of the other tasks')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='FILE',
                        help='lines NAME<tab>CAPTION, for --caption; what it has is not written '
                        'again')
    parser.add_argument('--layout', choices=LAYOUT_NAMES, help='of the data set (recognised)')
    parser.add_argument('--topic', metavar='NAME', help='image topic of a bag that has several')
    parser.add_argument('--frames', type=bounded(int, 1, 1_000_000), metavar='N',
                        help='pictures at most (all)')
    parser.add_argument('--pick', choices=(SPREAD, FIRST), default=SPREAD,
                        help='which, of more than --frames (%(default)s)')
    add_captioner_arguments(
        parser, 'a model in this process, or an OpenAI-compatible endpoint (%(default)s)')
    add_prompt_argument(parser)
    parser.add_argument('--max-characters', type=bounded(int, 1, 4000), metavar='N',
                        default=DEFAULTS.max_characters, help='of a caption (%(default)s)')


def write_captions(arguments: argparse.Namespace) -> int:
    """
    Write the captions that are not there yet.

    :raises DataError: pictures, captioner or file cannot be used.
    """
    try:
        dataset = open_data(DataSpec(arguments.input, arguments.layout, arguments.frames,
                                     arguments.pick, arguments.topic))
        written = _names(arguments.output)
        todo = [index for index, name in enumerate(dataset.names) if name not in written]
        captioner = open_captioner(CaptionerName(arguments.captioner), CaptionerSettings(
            model=arguments.caption_model, prompt=arguments.caption_prompt,
            url=arguments.caption_url, max_characters=arguments.max_characters))
        with arguments.output.open('a', encoding='utf-8') as file:
            for index in track(todo, 'captions'):
                sample = dataset.read(index)
                file.write(f'{sample.name}\t{captioner.describe(sample.image)}\n')
                file.flush()
        captioner.close()
    except (DatasetError, CaptionError) as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f'{arguments.output}: {error.strerror or error}') from error
    return 0


def _names(path: Path) -> set[str]:
    if not path.exists():
        return set()
    return {line.partition('\t')[0] for line in path.read_text(encoding='utf-8').splitlines()}
