# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Numbers of classes, as the list of objects carries them.

0..79 are COCO's classes, whichever network has found them and whatever order it has. Classes that
COCO does not have follow from 80 in the order of the network; the ground names them by a list of
its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from gsc_ros.perception.network.label import class_map, COCO

MAX_CLASS_ID = 255


def class_ids(classes: Sequence[str]) -> list[int | None]:
    """Return the number of each class of a network; None for those that find no number."""
    ids: list[int | None] = []
    further = len(COCO)
    for known in class_map(classes, COCO):
        if known >= 0:
            ids.append(int(known))
            continue
        ids.append(further if further <= MAX_CLASS_ID else None)
        further += 1
    return ids


def class_name(class_id: int | None, further: Sequence[str] = ()) -> str:
    """
    Return the name of a class.

    :param further: names of the classes from 80 on.
    :return: '' for None, `class N` for a number without a name.
    """
    if class_id is None:
        return ''
    names = (*COCO, *further)
    return names[class_id] if class_id < len(names) else f'class {class_id}'
