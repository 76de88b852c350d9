# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments that name a captioner which looks at pictures: of `encode`, `eval` and `train`."""

from __future__ import annotations

import argparse

from gsc_ros.codec.caption.captioner import CaptionerName, CaptionerSettings

DEFAULTS = CaptionerSettings()


def add_captioner_arguments(parser: argparse.ArgumentParser, who: str,
                            default: CaptionerName | None = CaptionerName.QWEN) -> None:
    """
    Add `--captioner` and where it is.

    :param who: help of `--captioner`.
    :param default: None when there need not be one.
    """
    parser.add_argument('--captioner', default=default and default.value,
                        choices=[name.value for name in CaptionerName if name.looks], help=who)
    parser.add_argument('--caption-model', default='', metavar='MODEL',
                        help='directory of the model, or its name at the endpoint')
    parser.add_argument('--caption-url', default=DEFAULTS.url, metavar='URL',
                        help='where the endpoint has its /chat/completions (%(default)s)')


def add_prompt_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--caption-prompt`."""
    parser.add_argument('--caption-prompt', default=DEFAULTS.prompt, metavar='TEXT',
                        help='what the model is told')
