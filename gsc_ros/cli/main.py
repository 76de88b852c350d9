# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Entry point of `gsc`: finds the verb's module and runs it.

A verb is a module of this package with two functions, `add_arguments(parser)` and
`run(arguments) -> int | None` (the exit status; None is 0). It is imported only when it is asked
for, so that `gsc --help` needs nothing installed and `gsc info` does not wait for torch.

Exit status: 0 fine, 1 the data is bad, 2 usage (or a missing optional dependency), 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
import importlib
import io
import os
import sys
from types import ModuleType

from gsc_ros.cli.error import CommandError, UsageError


@dataclass(frozen=True)
class Verb:
    """One word after `gsc`: its module, one line of help, and the extra that brings its needs."""

    name: str
    help: str
    extra: str | None = None

    @property
    def module(self) -> str:
        """Return the name of the module that holds the verb."""
        return f'gsc_ros.cli.{self.name}'


VERBS = (
    Verb('encode', 'Encode an image, or a folder of images, to .gsc packets'),
    Verb('decode', 'Decode .gsc packets to images'),
    Verb('info', 'Show what a .gsc packet holds, in bytes by section'),
    Verb('bag', 'Make a rosbag2 bag of images'),
    Verb('replay', 'Publish a drive, folder, video or bag as a camera on ROS 2'),
    Verb('demo', 'Run the whole ROS 2 graph on this machine and write a report'),
    Verb('keys', 'Make and change the pre-shared keys of a link'),
    Verb('bench', 'Compare with other codecs on your pictures, and write a report', extra='eval'),
    Verb('eval', 'Evaluate depth, segmentation, detection and pictures, as the papers do',
         extra='eval'),
    Verb('link', 'Run a thin link over a channel model, without ROS: what gets through, and when'),
    Verb('spool', 'Show and export what waits in a spool, or has come over a link with one'),
    Verb('plan', 'Foretell frame period, size and latency on a link'),
    Verb('profile', 'Show profiles, import a published one, and add a generator', extra='train'),
    Verb('train', 'Train a structure model and export it as a profile', extra='train'),
)


def _overview() -> str:
    width = max(len(verb.name) for verb in VERBS)
    return '\n'.join(f'  {verb.name:<{width}}  {verb.help}' for verb in VERBS)


def _top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='gsc',
        usage='gsc [-h] VERB ...',
        description='Camera images over links of kilobits per second.',
        epilog=f'verbs:\n{_overview()}\n\n`gsc VERB --help` describes a verb.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('verb', metavar='VERB', choices=[verb.name for verb in VERBS],
                        help='one of the verbs below')
    return parser


# Modules that come with ROS 2 rather than from a package index.
ROS_MODULES = frozenset({
    'ament_index_python', 'builtin_interfaces', 'diagnostic_msgs', 'rclpy', 'rosgraph_msgs',
    'sensor_msgs', 'std_msgs'})


def _load(verb: Verb) -> ModuleType:
    """
    Import the verb's module.

    :raises UsageError: in one line, when something that it needs is not installed.
    """
    try:
        return importlib.import_module(verb.module)
    except ModuleNotFoundError as error:
        missing = error.name or ''
        package = missing.split('.')[0]
        if package in ROS_MODULES or missing == 'gsc_ros.msg':
            raise UsageError(
                f'needs ROS 2 and the built gsc_ros messages (no module {missing}): source a ROS 2 '
                'and the built workspace, or use `make demo`') from error
        if package == 'gsc_ros':
            raise  # a defect of ours, not of the installation
        install = f'gsc_ros[{verb.extra}]' if verb.extra else 'gsc_ros'
        raise UsageError(f"needs {package}, which is not installed; try: pip install '{install}'"
                         ) from error


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run `gsc` with the given words (default: those of the process).

    :return: the exit status; usage errors leave through SystemExit(2), as argparse does.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _prepare_stdout()
    try:
        try:
            return _call(words)
        finally:
            # Here rather than when Python exits, where a full disk would be a traceback.
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our stdout went away (`gsc info ... | head`): not an error.
        _discard_stdout()
        return 0
    except OSError as error:
        _discard_stdout()
        print(f'gsc: error: {error}', file=sys.stderr)
        return 1


def _prepare_stdout() -> None:
    """Let printing fail neither for want of a stdout nor for a character that it cannot show."""
    if sys.stdout is None:  # closed by the caller (`gsc info ... >&-`)
        sys.stdout = sys.__stdout__ = open(os.devnull, 'w')
    # File names need not be Unicode, and captions are more than a terminal's encoding may have.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')


def _discard_stdout() -> None:
    """Send what is still buffered nowhere, else Python complains when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())


def _call(words: list[str]) -> int:
    name = _top_parser().parse_args(words[:1]).verb
    verb = next(verb for verb in VERBS if verb.name == name)
    try:
        return _run(verb, words[1:])
    except CommandError as error:
        print(f'gsc {verb.name}: error: {error}', file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print(f'gsc {verb.name}: interrupted', file=sys.stderr)
        return 130


def _run(verb: Verb, words: list[str]) -> int:
    module = _load(verb)
    parser = argparse.ArgumentParser(prog=f'gsc {verb.name}', description=module.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    module.add_arguments(parser)
    return module.run(parser.parse_args(words)) or 0


if __name__ == '__main__':
    sys.exit(main())
