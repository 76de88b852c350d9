# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that keeps both ends of an in-process link going."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time

from gsc_ros.link.endpoint import Delivery, Endpoint
from gsc_ros.link.scheduler import FrameMessage
from gsc_ros.link.statistic import LinkStatistics

# After an endpoint has raised, it is left alone for this long.
_REST_S = 0.1


class LinkPump:
    """
    Polls two endpoints on the steady clock exactly when they ask for it.

    Endpoints have no locks of their own: everything that touches them goes through `use`.
    """

    def __init__(self, rover: Endpoint, ground: Endpoint, deliver: Callable[[Delivery], None],
                 fail: Callable[[Exception], None]) -> None:
        """
        Prepare the pump; nothing moves before :meth:`start`.

        :param deliver: called on the pump's thread with what has reached either end: the requests
            of the ground at the rover, all else at the ground.
        :param fail: called on the pump's thread with what an endpoint or `deliver` raised.
        """
        self._rover = rover
        self._ground = ground
        self._deliver = deliver
        self._fail = fail
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; a pump that runs is left alone."""
        with self._condition:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name='link', daemon=True)
                self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Stop the thread; what is on its way stays where it is."""
        with self._condition:
            thread, self._thread = self._thread, None
            self._condition.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def use(self, action: Callable[[Endpoint, int], object]) -> None:
        """Call `action` with the rover's end and the time, then let the link react to it."""
        with self._condition:
            action(self._rover, time.monotonic_ns())
            self._condition.notify_all()

    def offer(self, message: FrameMessage) -> bool:
        """Offer a frame to the rover's end; return False when it was dropped at once."""
        with self._condition:
            taken = self._rover.offer_frame(message, time.monotonic_ns())
            self._condition.notify_all()
            return taken

    def request(self, data: bytes) -> bool:
        """Send a request of the ground to the rover; return False when too many wait."""
        with self._condition:
            taken = self._ground.offer_control(data, time.monotonic_ns())
            self._condition.notify_all()
            return taken

    def statistics(self) -> tuple[LinkStatistics, LinkStatistics]:
        """Return what the rover's end and the ground's end have counted."""
        with self._condition:
            now_ns = time.monotonic_ns()
            return self._rover.statistics(now_ns), self._ground.statistics(now_ns)

    def _run(self) -> None:
        mine = threading.current_thread()
        while True:
            with self._condition:
                if self._thread is not mine:
                    return
                deliveries, wait_s = self._poll()
                if not deliveries:
                    self._condition.wait(wait_s)
                    continue
            # Without the lock: publishing must not hold up the frames that are offered meanwhile.
            for delivery in deliveries:
                try:
                    self._deliver(delivery)
                except Exception as error:  # noqa: BLE001 - one bad delivery must not stop the link
                    self._fail(error)

    def _poll(self) -> tuple[list[Delivery], float]:
        now_ns = time.monotonic_ns()
        try:
            # Each end learns from its transport when the other's datagrams arrive, so the rover's
            # end must look once more after the ground's has sent.
            wake_ns = min(end.poll(now_ns) for end in (self._rover, self._ground, self._rover))
            deliveries = self._rover.take_deliveries() + self._ground.take_deliveries()
            return deliveries, (wake_ns - now_ns) / 1e9
        except Exception as error:  # noqa: BLE001 - the link must outlive a defect in it
            self._fail(error)
            return [], _REST_S
