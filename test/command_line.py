# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures, packets and calls for the tests of the command line."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

import cv2
from gsc_ros.cli.main import main
import numpy as np

WIDTH, HEIGHT = 161, 97  # no multiples of anything


@dataclass(frozen=True)
class Outcome:
    """What a call left: its status, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the object on stdout, which must hold nothing else."""
        return json.loads(self.out)


def call(capsys: Any, *words: object) -> Outcome:
    """Run `gsc` in this process."""
    try:
        status = main([str(word) for word in words])
    except SystemExit as end:
        status = int(end.code)
    shown = capsys.readouterr()
    return Outcome(status, shown.out, shown.err)


def write_picture(path: Path, seed: int = 0) -> Path:
    """Write a picture of a few soft colours, WIDTH x HEIGHT pixels, which any codec can show."""
    coarse = np.random.default_rng(seed).integers(30, 226, (3, 4, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))
    return path
