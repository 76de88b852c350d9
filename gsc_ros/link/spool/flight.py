# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Which frames of a spool are on their way, and when one of them counts as lost.

::

    begin ──> queued in the endpoint ──left──> in the air ──acknowledge──> arrived
                      └──dropped──> gone          └── overtaken, or waited for too long ──> gone

What is gone is sent again, because it is still in the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# A frame counts as lost once so many acknowledgements have told of later ones but not of it; until
# then the link's own repair may bring it.
_OVERTAKEN = 2
# The patience doubles with each frame that was waited for in vain, so often at most.
_MAX_DOUBLINGS = 4


@dataclass
class Flight:
    """
    A frame on its way.

    :param first: where the gap before it begins that it tells of.
    :param camera: key of its camera.
    :param sent_ns: when it left; None while it is queued.
    :param order: it was the how-manyth to leave.
    :param overtaken: how many acknowledgements told of later ones.
    """

    first: int
    camera: int
    sent_ns: int | None = None
    order: int = 0
    overtaken: int = 0


class Flights:
    """
    Frames on their way, by number.

    :param patience_ns: least time after which a frame is not waited for any more.
    """

    def __init__(self, patience_ns: int) -> None:
        """Begin with none."""
        self._least_ns = patience_ns
        self._flights: dict[int, Flight] = {}
        self._order = 0
        self._doublings = 0
        self._delay_ns = 0

    def __len__(self) -> int:
        """Return how many are on their way."""
        return len(self._flights)

    def __iter__(self) -> Iterator[int]:
        """Yield their numbers."""
        return iter(self._flights)

    def __contains__(self, number: int) -> bool:
        """Return whether a number is on its way."""
        return number in self._flights

    @property
    def patience_ns(self) -> int:
        """Return after which time a frame is not waited for any more."""
        return self._calm_patience_ns << self._doublings

    @property
    def _calm_patience_ns(self) -> int:
        return max(self._least_ns, 2 * self._delay_ns)

    @property
    def due_ns(self) -> int | None:
        """Return when `give_up` has something to do, or None."""
        sent = [flight.sent_ns for flight in self._flights.values() if flight.sent_ns is not None]
        return min(sent) + self.patience_ns if sent else None

    @property
    def exhausted(self) -> bool:
        """Return whether frames have been waited for in vain many times in a row."""
        return self._doublings == _MAX_DOUBLINGS

    def begin(self, number: int, first: int, camera: int) -> Flight:
        """Note that a frame waits in the endpoint."""
        flight = self._flights[number] = Flight(first, camera)
        return flight

    def tells_of(self, number: int, first: int) -> bool:
        """Return whether a frame is on its way that tells of a gap from `first` on."""
        flight = self._flights.get(number)
        return flight is not None and flight.first <= first

    def left(self, flight: Flight, now_ns: int) -> None:
        """Note that the whole of a frame has left."""
        self._order += 1
        flight.order, flight.sent_ns = self._order, now_ns

    def dropped(self, number: int, flight: Flight) -> None:
        """Note that a frame will not leave."""
        if self._flights.get(number) is flight:
            del self._flights[number]

    def acknowledge(self, below: int, further: frozenset[int], now_ns: int) -> set[int]:
        """
        Take in what has arrived, and forget what has been lost meanwhile.

        :param below: all numbers less than this have.
        :param further: and these.
        :returns: the cameras of those that have arrived.
        """
        newest, cameras = 0, set()
        for number in [number for number in self._flights
                       if number < below or number in further]:
            flight = self._flights.pop(number)
            cameras.add(flight.camera)
            newest = max(newest, flight.order)
            self._doublings = 0
            if flight.sent_ns is not None:
                sample = now_ns - flight.sent_ns
                self._delay_ns = max(sample, (7 * self._delay_ns + sample) // 8)
        old_ns = now_ns - self._calm_patience_ns
        for number, flight in list(self._flights.items()):
            flight.overtaken += 0 < flight.order < newest
            if flight.overtaken >= _OVERTAKEN or (
                    flight.overtaken > 0 and flight.sent_ns <= old_ns):
                del self._flights[number]
        return cameras

    def forget_until(self, time_ns: int) -> None:
        """Forget all that left until a time: the far end does not have it."""
        self._flights = {
            number: flight for number, flight in self._flights.items()
            if flight.sent_ns is None or flight.sent_ns > time_ns}

    def give_up(self, now_ns: int) -> bool:
        """Forget the frame that left first, if it has been waited for too long."""
        due_ns = self.due_ns
        if due_ns is None or now_ns < due_ns:
            return False
        oldest = min((flight.sent_ns, number) for number, flight in self._flights.items()
                     if flight.sent_ns is not None)[1]
        del self._flights[oldest]
        self._doublings = min(self._doublings + 1, _MAX_DOUBLINGS)
        return True
