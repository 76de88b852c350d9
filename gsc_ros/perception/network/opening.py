# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From the name of a network to the network.

The networks of this package are listed here. Others come from entry points of the group
`gsc_ros.networks` of any installed package: a NetworkFactory each. An entry point may take the name
of one of ours, and is then used in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points, EntryPoint

from gsc_ros.perception.network.network import (
    AnyNetwork,
    NetworkError,
    NetworkFactory,
    NetworkSettings,
    Task,
)

GROUP = 'gsc_ros.networks'


@dataclass(frozen=True)
class Entry:
    """
    One network that can be opened.

    :param task: what it is asked; None of an entry point, which tells it when it is opened.
    :param factory: 'module:name' of its NetworkFactory.
    :param about: one line for users.
    """

    name: str
    task: Task | None
    factory: str
    about: str


_HERE = 'gsc_ros.perception.network'
_OURS = (
    Entry('depth-anything-v2', Task.DEPTH, f'{_HERE}.transformers_depth:depth_anything_v2',
          'Depth-Anything-V2 Large, or any depth network of transformers'),
    Entry('mask2former', Task.SEGMENTATION, f'{_HERE}.transformers_segmentation:mask2former',
          'Mask2Former Swin-L for Cityscapes, at the size of the picture'),
    Entry('segmentation', Task.SEGMENTATION, f'{_HERE}.transformers_segmentation:segmentation',
          'any segmentation network of transformers, as its own settings say'),
    Entry('deeplab', Task.SEGMENTATION, f'{_HERE}.tflite_segmenter:TfliteSegmenter',
          'DeepLab, or another segmenter in a .tflite file'),
    Entry('rt-detr', Task.DETECTION, f'{_HERE}.transformers_detection:rt_detr',
          'RT-DETR R101, or any detector of transformers'),
    Entry('onnx-detector', Task.DETECTION, f'{_HERE}.onnx_detector:open_onnx_detector',
          'YOLO, RT-DETR and others in an ONNX file'),
    Entry('fastestdet', Task.DETECTION, f'{_HERE}.fastestdet:FastestDet',
          'FastestDet in an ONNX file, a COCO detector of a megabyte'),
)


def networks(task: Task | None = None) -> list[Entry]:
    """
    Return the networks there are, ours first.

    :param task: those of a task alone, and the ones whose task is not known before they are opened.
    """
    found = {entry.name: entry for entry in _OURS}
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist is not None else point.module
        found[point.name] = Entry(point.name, None, point.value, f'from {package}')
    return [entry for entry in found.values() if task is None or entry.task in (task, None)]


def open_network(name: str, settings: NetworkSettings | None = None,
                 task: Task | None = None) -> AnyNetwork:
    """
    Open a network.

    :param name: one of `networks()`.
    :param settings: None is all defaults.
    :param task: what it must be for; None takes any.
    :raises NetworkError: there is no such network, it is for another task, or it cannot be opened:
        weights or packages are missing.
    """
    entry = next((entry for entry in networks() if entry.name == name), None)
    if entry is None:
        names = ', '.join(entry.name for entry in networks(task))
        raise NetworkError(f'{name!r} is no network; there are: {names}')
    if task is not None and entry.task not in (task, None):
        raise NetworkError(f'{name} is a network for {entry.task.value}, not for {task.value}')
    try:
        factory: NetworkFactory = EntryPoint(name, entry.factory, GROUP).load()
    except ModuleNotFoundError as error:
        raise NetworkError(f"{name} needs {error.name}, which is not installed; try: "
                           "pip install 'gsc_ros[eval]'") from error
    except (ImportError, AttributeError) as error:
        raise NetworkError(f'{name}: cannot be loaded from {entry.factory}: {error}') from error
    network = factory(settings or NetworkSettings())
    if task is not None and network.task is not task:
        raise NetworkError(f'{name} is a network for {network.task.value}, not for {task.value}')
    return network
