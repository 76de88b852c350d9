# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that keeps the ends of a link going that live in this process: one, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import threading
import time

from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.endpoint import Delivery, Endpoint
from gsc_ros.link.schedule.message import BulkRank, FrameMessage
from gsc_ros.link.statistic import LinkStatistics
from gsc_ros.link.transports import Transport
from gsc_ros.link.wait import Waiter

# After an endpoint has raised, it is left alone for this long.
_REST_NS = 100_000_000


class SharedEnd:
    """
    One end of a link, as any thread may use it.

    Endpoints have no locks of their own: whoever holds one of these shares the lock of its pump,
    and the pump reacts at once to what was offered.
    """

    def __init__(self, end: Endpoint, lock: threading.RLock, wake: Callable[[], None]) -> None:
        """
        Wrap an endpoint.

        :param lock: of all ends in this process.
        :param wake: makes the pump look again.
        """
        self._end = end
        self._lock = lock
        self._wake = wake
        # Gets, on the pump's thread, what has reached this end; whoever owns the end sets it.
        self.deliver: Callable[[Delivery], None] = lambda delivery: None

    def announce(self, camera: CameraAnnounce) -> None:
        """
        Say what camera a number stands for.

        :raises ValueError: when the announcement is not well formed.
        """
        self.use(lambda end, _: end.announce(camera))

    def offer_frame(self, message: FrameMessage) -> bool:
        """Offer a frame; return False when it was dropped at once."""
        return self.use(lambda end, now_ns: end.offer_frame(message, now_ns))

    def offer_control(self, data: bytes) -> bool:
        """
        Offer a small message of the control class; return False when too many wait.

        :raises ValueError: when it does not fit into one datagram.
        """
        return self.use(lambda end, now_ns: end.offer_control(data, now_ns))

    def offer_bulk(self, data: bytes, rank: BulkRank, deadline_ns: int | None = None,
                   on_sent: Callable[[], None] | None = None,
                   on_dropped: Callable[[], None] | None = None) -> bool:
        """
        Offer a message of several datagrams; return False when too many wait.

        :raises ValueError: when it is empty or too large for the link.
        """
        return self.use(lambda end, now_ns: end.offer_bulk(
            data, rank, now_ns, deadline_ns, on_sent, on_dropped))

    @property
    def budget_bps(self) -> int:
        """What may leave this end, in bit/s."""
        return self.statistics().budget_bps

    def message_bits(self, data_bytes: int) -> int:
        """Return what a message of so many bytes takes on the wire."""
        with self._lock:
            return self._end.message_bits(data_bytes)

    def statistics(self) -> LinkStatistics:
        """Return what this end has counted and measured."""
        with self._lock:
            return self._end.statistics(time.monotonic_ns())

    def use(self, action: Callable[[Endpoint, int], object]) -> object:
        """Call `action` with the end and the time, let the link react, return what it returned."""
        with self._lock:
            result = action(self._end, time.monotonic_ns())
        self._wake()
        return result


class LinkPump:
    """Polls its ends on the steady clock when they ask for it, or when something has arrived."""

    def __init__(self, ends: Sequence[Endpoint], transports: Sequence[Transport],
                 fail: Callable[[Exception], None]) -> None:
        """
        Prepare the pump; nothing moves before :meth:`start`.

        :param ends: of a link whose both ends are here, the one that sends frames comes first.
        :param transports: whose files say when something has arrived.
        :param fail: called on the pump's thread with what an end, or one that takes its
            deliveries, raised.
        """
        self._polled = tuple(ends)
        self._transports = tuple(transports)
        self._fail = fail
        self._lock = threading.RLock()
        self._waiter = Waiter()
        self.ends = tuple(SharedEnd(end, self._lock, self._waiter.wake) for end in ends)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; a pump that runs is left alone."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name='link', daemon=True)
                self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Stop the thread; what is on its way stays where it is."""
        with self._lock:
            thread, self._thread = self._thread, None
        self._waiter.wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._waiter.close()

    def _run(self) -> None:
        mine = threading.current_thread()
        while True:
            with self._lock:
                if self._thread is not mine:
                    return
                deliveries, wake_ns = self._poll()
            # Without the lock: publishing must not hold up the frames that are offered meanwhile.
            for end, delivery in deliveries:
                try:
                    end.deliver(delivery)
                except Exception as error:  # noqa: BLE001 - one bad delivery must not stop the link
                    self._fail(error)
            if wake_ns is None:
                # What could not be polled may be readable still: do not listen to it.
                self._waiter.wait((), time.monotonic_ns() + _REST_NS)
            elif not deliveries:
                self._waiter.wait(self._transports, wake_ns)

    def _poll(self) -> tuple[list[tuple[SharedEnd, Delivery]], int | None]:
        """Return what has arrived where, and when to poll again: None after a failure."""
        now_ns = time.monotonic_ns()
        try:
            # Two ends in one process learn from their transports when the other's datagrams
            # arrive, so the first must look once more after the second has sent.
            order = (*self._polled, *self._polled[:-1])
            wake_ns = min(end.poll(now_ns) for end in order)
            deliveries = [(shared, delivery) for end, shared in zip(self._polled, self.ends)
                          for delivery in end.take_deliveries()]
            return deliveries, wake_ns
        except Exception as error:  # noqa: BLE001 - the link must outlive a defect in it
            self._fail(error)
            return [], None
