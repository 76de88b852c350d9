# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Install the part of gsc_ros that needs no ROS, and the command ``gsc``.

With ROS 2, colcon builds the same modules together with messages and nodes: see CMakeLists.txt.
"""

from pathlib import Path
import re
import xml.etree.ElementTree

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """Return the lines of ``requirements/<name>.txt`` that name a package."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    names = [re.sub(r'(^|\s)#.*', '', line).strip() for line in lines]
    return [line for line in names if line]


package = xml.etree.ElementTree.parse(ROOT / 'package.xml').getroot()

setup(
    name=package.findtext('name'),
    version=package.findtext('version'),
    description='Camera pictures over links of a few kbit/s, for ROS 2',
    long_description=' '.join(package.findtext('description').split()),
    license='Apache-2.0',
    author=package.findtext('author'),
    author_email=package.find('maintainer').get('email'),
    python_requires='>=3.10',
    packages=find_packages(include=['gsc_ros', 'gsc_ros.*']),
    package_data={'gsc_ros': ['py.typed', 'profiles/*/*', 'profiles/generator/*/*',
                              'profiles/perception/*/*', 'evaluation/run/*.yaml']},
    install_requires=requirements('base'),
    extras_require={
        name: requirements(name) for name in ('caption', 'eval', 'flux', 'ray', 'train')},
    entry_points={'console_scripts': ['gsc = gsc_ros.cli.main:main']},
)
