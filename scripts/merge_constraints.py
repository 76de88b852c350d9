#!/usr/bin/env python3
# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Print a constraints file in which packages that are already installed keep their version.

Used with the virtual environment of a sourced ROS 2, which sees the distribution's packages: those
were built for each other, the others come in the versions that were given.
"""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path
import re
import sys


def canonical(name: str) -> str:
    """Return the name of a distribution as PEP 503 compares it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def merge(given: str, installed: dict[str, str]) -> list[str]:
    """
    Return the lines of a constraints file.

    :param given: text of a constraints file, one ``name==version ; marker`` a line
    :param installed: canonical name -> version of what is installed
    """
    lines = [f'{name}=={version}' for name, version in sorted(installed.items())]
    for line in given.splitlines():
        name = re.match(r'[\w.-]+', line)
        if name and canonical(name[0]) not in installed:
            lines.append(line)
    return lines


def main() -> int:
    """Merge the file that is named on the command line."""
    installed = {
        canonical(found.metadata['Name']): found.version
        for found in distributions() if found.metadata['Name'] and '+' not in found.version
    }
    print('\n'.join(merge(Path(sys.argv[1]).read_text(encoding='utf-8'), installed)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
