#!/usr/bin/env python3
# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Correct the include paths in the CMake files of the ROS 2 wheels.

The wheels' exported targets name directories of the machine that built them, and CMake refuses to
generate. This rewrites them, inside this interpreter's virtual environment only, to the
directories of this interpreter and of its numpy. Running it again changes nothing more, unless
numpy has moved.
"""

from __future__ import annotations

import os
from pathlib import Path
import re
import sys
import sysconfig

import numpy

# The directories as the wheels have them, and as an earlier run of this script may have left them.
_PYTHON_INCLUDE = re.compile(r'[^;"\s]*/include/python3\.\d+(?=[;"\s])')
_NUMPY_INCLUDE = re.compile(r'[^;"\s]*/numpy/_?core/include(?=[;"\s])')


def cure(prefix: Path) -> int:
    """
    Correct every export file under ``prefix``.

    :param prefix: root of the virtual environment
    :returns: number of files that were changed
    """
    changed = 0
    for path in sorted(prefix.glob('share/*/cmake/*rosidl_generator_py*.cmake')):
        before = path.read_text(encoding='utf-8')
        after = _PYTHON_INCLUDE.sub(lambda _: sysconfig.get_path('include'), before)
        after = _NUMPY_INCLUDE.sub(lambda _: numpy.get_include(), after)
        if after != before:
            # A new file in its place: an installer may have hard-linked the old one to its cache.
            copy = path.with_suffix('.cured')
            copy.write_text(after, encoding='utf-8')
            copy.replace(path)
            changed += 1
    return changed


def main() -> int:
    """Cure the virtual environment that runs this script."""
    if sys.prefix == sys.base_prefix:
        print('cure_wheels: run this with the python of a virtual environment', file=sys.stderr)
        return 2
    headers = Path(sysconfig.get_path('include')) / 'Python.h'
    if not os.path.exists(headers):
        version = f'{sys.version_info.major}.{sys.version_info.minor}'
        print(f'missing: {headers}; on Debian or Ubuntu: sudo apt install python{version}-dev',
              file=sys.stderr)
        return 1
    print(f'include paths corrected in {cure(Path(sys.prefix))} files')
    return 0


if __name__ == '__main__':
    sys.exit(main())
