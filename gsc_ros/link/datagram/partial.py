# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What has come of a frame or an announcement that is not whole yet."""

from __future__ import annotations

from dataclasses import dataclass, field

from gsc_ros.link.datagram.framing import FLAG_LAST, Part


@dataclass
class Partial:
    """
    The bodies that have come, by their index.

    :param updated_ns: when the last of them came.
    :param flags: of the first one.
    :param last: index of the last one, once it has come.
    :param cost: what keeping them takes.
    :param counters: of the records that brought them: they increase with the index.
    """

    updated_ns: int
    bodies: dict[int, bytes] = field(default_factory=dict)
    flags: int = 0
    last: int | None = None
    cost: int = 0
    counters: dict[int, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Return whether nothing is missing."""
        return self.last is not None and len(self.bodies) == self.last + 1

    def beginning(self) -> bytes:
        """Return what has come without a gap."""
        parts = []
        while (part := self.bodies.get(len(parts))) is not None:
            parts.append(part)
        return b''.join(parts)

    def contradictions(self, part: Part, counter: int) -> list[int]:
        """Return the counters of those bodies that cannot be of what this part is of."""
        index, ends = part.index, bool(part.flags & FLAG_LAST)
        if self.last is None and index > max(self.counters) and (
                counter > max(self.counters.values())):
            return []
        return [other for place, other in self.counters.items()
                if other == counter or (other > counter) != (place > index)
                or place == index or (place > index and ends)
                or (place < index and place == self.last)]
