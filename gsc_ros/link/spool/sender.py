# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The rover's end of a link with a spool: frames go to disk first, and over the link in order.

::

    offer_frame ──> OutgoingStore ──> at most WINDOW on their way ──> Endpoint, as bulk messages
                          ^ settled                                       │
                          └──────────── acknowledgements <────────────────┘

What the two ends know of each other (`SpoolPhase`)::

    SILENT ──far end heard──> GREETING ──acknowledgement──> FLOWING
       ^                          │  ^                          │
       └────── not heard ─────────┘  └── it does not know us ───┤
       └─────────────────────────── not heard ──────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable

from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.endpoint import Delivery, Endpoint, ReceivedControl
from gsc_ros.link.schedule.message import BulkRank, FrameMessage
from gsc_ros.link.spool.end import SpoolEnd
from gsc_ros.link.spool.flight import Flights
from gsc_ros.link.spool.incoming import WINDOW
from gsc_ros.link.spool.message import (
    Acknowledgement,
    Camera,
    Frame,
    Gap,
    Greeting,
    is_spool_message,
    parse,
    SpoolMessageError,
    TAG_BYTES,
)
from gsc_ros.link.spool.outgoing import OutgoingStore
from gsc_ros.link.spool.status import SpoolConfig, SpoolPhase, SpoolSenderStatistics
from gsc_ros.link.spool.store import SpoolCamera, SpoolFrame

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

# Messages that wait in the endpoint at a time, so that it is never idle for want of one.
_QUEUED = 4
_RETRY_NS = 100 * NS_PER_MS


class SpoolSender(SpoolEnd):
    """
    An `Endpoint` whose frames wait on disk; it is called in the endpoint's place.

    A frame is durable at the latest `commit_ns` after it was offered, plus the time that the disk
    takes, if `poll` is called when it asks for it. Only what is durable leaves.

    :param endpoint: the rover's end of the link; nobody else polls it.
    :param store: the frames; closed by its owner.
    :param now_ns: the time on the endpoint's clock.
    :param config: times; None: the defaults.
    """

    def __init__(self, endpoint: Endpoint, store: OutgoingStore, now_ns: int,
                 config: SpoolConfig | None = None) -> None:
        """Begin with nothing known of the far end."""
        super().__init__(endpoint, store, now_ns, config)
        self._phase = SpoolPhase.SILENT
        self._announced: dict[int, CameraAnnounce] = {}
        self._flights = Flights(self._config.patience_ns)
        self._needed = 1
        self._further: frozenset[int] = frozenset()
        # Cameras that were told: when the description left, None while it is queued.
        self._told: dict[int, int | None] = {}
        self._queued = self._resent_below = 0
        self._refused = False
        self._greeted_ns: int | None = None
        self._gap: tuple[int, int] | None = None
        self._gap_ns = self._committed_ns = now_ns
        self._too_large = self._resent = 0

    def announce(self, camera: CameraAnnounce) -> None:
        """
        Say, or say again with changes, what camera a number stands for.

        :raises ValueError: when the announcement is not well formed.
        """
        defect = camera.defect()
        if defect:
            raise ValueError(defect)
        self._announced[camera.camera_id] = camera

    def offer_frame(self, message: FrameMessage, now_ns: int) -> bool:
        """
        Take in a frame, with all its layers; deadlines do not count.

        :returns: False when it is not well formed, or of a camera that has not been announced.
        """
        self._now_ns = now_ns = max(self._now_ns, now_ns)
        camera = self._announced.get(message.camera_id)
        packet = None
        if camera is not None and not message.defect():
            try:
                packet = message.render(len(message.ends))
            except ValueError:
                pass
        if not packet or len(packet) != message.ends[-1]:
            self._invalid += 1
            return False
        about = SpoolCamera(camera, message.session, message.sequence, message.stamp_ns)
        self.store.append(
            about, message.sequence, message.stamp_ns, message.encode_ms, packet)
        if self.store.crowded and now_ns >= self._rest_until_ns:
            self._guard(lambda: self._commit(at_once=True))
        if message.on_sent is not None:
            message.on_sent()
        return True

    def poll(self, now_ns: int) -> int:
        """
        Take in what has arrived, commit and send what may leave; return when to call again.

        :returns: the time of the next deadline, later than `now_ns`.
        """
        self._now_ns = now_ns = max(self._now_ns, now_ns)
        self._guard(self._commit)
        self._guard(self._send)
        wake_ns = self.endpoint.poll(now_ns)
        for delivery in self.endpoint.take_deliveries():
            if isinstance(delivery, ReceivedControl) and is_spool_message(delivery.data):
                self._guard(lambda data=delivery.data: self._take(data))
            else:
                self._deliveries.append(delivery)
        if self._guard(self._send):
            return now_ns + 1
        return max(now_ns + 1, min(wake_ns, self._next_duty_ns()))

    def take_deliveries(self) -> list[Delivery]:
        """Return what has come from the far end since the last call, but for the spool's own."""
        deliveries, self._deliveries = self._deliveries, []
        return deliveries

    def statistics_of_spool(self) -> SpoolSenderStatistics:
        """Return a snapshot of all counts."""
        counter = self.store.counter
        return SpoolSenderStatistics(
            self._phase, self.store.frames, len(self._flights), self.store.bytes, counter.appended,
            counter.settled, counter.evicted, self._too_large, self._resent, self._invalid,
            self._failures + counter.failures, self._replaced, self._trouble)

    def _store_replaced(self) -> None:
        self._greet()

    # Sending

    def _commit(self, at_once: bool = False) -> None:
        due_ns = max(self._rest_until_ns, self._committed_ns + self._config.commit_ns)
        if not self.store.dirty or (self._now_ns < due_ns and not at_once):
            return
        self._committed_ns = self._now_ns
        self.store.pinned = frozenset(self._flights)
        self._note_trouble(self.store.commit())

    def _send(self) -> bool:
        """Send what is due; return whether the endpoint has got something."""
        if not self.endpoint.connected(self._now_ns):
            self._phase = SpoolPhase.SILENT
            return False
        if self._phase is SpoolPhase.SILENT:
            self._greet()
        if self._phase is SpoolPhase.GREETING:
            return self._send_greeting()
        if self._flights.give_up(self._now_ns) and self._flights.exhausted:
            self._greet()
        return self._tell_gap() | self._fill()

    def _greet(self) -> None:
        self._phase = SpoolPhase.GREETING
        self._greeted_ns = None

    def _send_greeting(self) -> bool:
        if self._greeted_ns is not None and (
                self._now_ns - self._greeted_ns < self._config.greeting_ns):
            return False
        self._greeted_ns = self._now_ns
        return self.endpoint.offer_control(
            Greeting(self.store.id, self.store.floor).pack(), self._now_ns)

    def _fill(self) -> bool:
        """Hand the endpoint frames until it has enough; return whether it has got any."""
        self._refused = False
        if self._queued >= _QUEUED:
            return False
        queued = self._queued
        numbers = self.store.numbers(self._needed, 2 * WINDOW)
        for number in numbers:
            if self._queued >= _QUEUED or number >= numbers[0] + WINDOW or self._refused:
                break
            if number not in self._flights and number not in self._further:
                self._hand(self.store.read(number))
        return self._queued > queued

    def _hand(self, frame: SpoolFrame) -> None:
        """Hand over a frame, and before it what its camera is."""
        number = frame.number
        absent = self.store.absent_before(number, self._needed)
        message = Frame.of(frame, self._tag, absent).pack()
        description = Camera(self._tag, frame.camera_key, frame.camera).pack()
        if max(len(message), len(description)) > self.endpoint.max_bulk_bytes:
            self._too_large += 1
            self.store.evict(number)
            return
        self._tell_camera(frame.camera_key, description)
        if self._refused:
            return
        flight = self._flights.begin(number, number - absent, frame.camera_key)

        def note_sent() -> None:
            self._queued -= 1
            self._flights.left(flight, self._now_ns)

        def note_dropped() -> None:
            self._queued -= 1
            self._flights.dropped(number, flight)

        if not self._offer(message, note_sent, note_dropped):
            self._flights.dropped(number, flight)
            return
        self._resent += number < self._resent_below
        self._resent_below = max(self._resent_below, number + 1)

    def _tell_camera(self, key: int, description: bytes) -> None:
        """Hand over a camera's description, unless it is known."""
        if key in self._told or self.store.is_known(key):
            return

        def note_sent() -> None:
            self._queued -= 1
            self._told[key] = self._now_ns

        def note_dropped() -> None:
            self._queued -= 1
            self._told.pop(key, None)

        if self._offer(description, note_sent, note_dropped):
            self._told[key] = None

    def _offer(self, data: bytes, note_sent: Callable[[], None],
               note_dropped: Callable[[], None]) -> bool:
        taken = self.endpoint.offer_bulk(
            data, BulkRank.BACKGROUND, self._now_ns, on_sent=note_sent, on_dropped=note_dropped)
        self._queued += taken
        self._refused = not taken
        return taken

    def _tell_gap(self) -> bool:
        """Say that the frame that the far end needs next is gone, if no frame is to say so."""
        first = next(iter(self.store.numbers(self._needed, 1)), self.store.next_number)
        if first <= self._needed:
            return False
        if self._flights.tells_of(first, self._needed):
            return False
        will_be_told = first < self.store.next_number and not (
            first in self._flights or first in self._further)
        # What comes after a long gap is beyond the far end's reach until it knows of the gap.
        if will_be_told and first - self._needed < WINDOW // 2:
            return False
        gap = first, first - self._needed
        if gap == self._gap and self._now_ns - self._gap_ns < self._flights.patience_ns:
            return False
        self._gap, self._gap_ns = gap, self._now_ns
        return self.endpoint.offer_control(Gap(self._tag, *gap).pack(), self._now_ns)

    # What the far end says

    def _take(self, data: bytes) -> None:
        try:
            message = parse(data)
        except SpoolMessageError:
            self._invalid += 1
            return
        if not isinstance(message, Acknowledgement) or message.tag != self._tag:
            return
        if message.next > self.store.next_number:
            # It has seen numbers of this spool that this file does not know of.
            self.store.renew()
            self._greet()
        elif message.next == 0:
            if self._phase is SpoolPhase.FLOWING:
                self._greet()
        elif self._phase is SpoolPhase.GREETING or message.next >= self._needed:
            self._acknowledge(message)

    def _acknowledge(self, message: Acknowledgement) -> None:
        for camera in self._flights.acknowledge(message.next, message.further, self._now_ns):
            self.store.settle_camera(camera)
            self._told.pop(camera, None)
        self.store.settle(message.next, message.further - self._further)
        self._needed, self._further = message.next, message.further
        if self._phase is SpoolPhase.GREETING and self._greeted_ns is not None:
            # What had left before the greeting would be in this answer.
            self._flights.forget_until(self._greeted_ns)
            self._told.clear()
            self._phase = SpoolPhase.FLOWING
        if message.wanted:
            self._tell_wanted(message.wanted)

    def _tell_wanted(self, key: int) -> None:
        """Tell a camera again, unless it is on its way."""
        if key in self._told and (
                self._told[key] is None or self._now_ns - self._told[key] < NS_PER_S):
            return
        about = self.store.camera(key)
        if about is not None:
            self._told.pop(key, None)
            self.store.forget_camera(key)
            self._tell_camera(key, Camera(self._tag, key, about).pack())

    # Times

    @property
    def _tag(self) -> bytes:
        return self.store.id[:TAG_BYTES]

    def _next_duty_ns(self) -> int:
        """Return when there is something to commit or to send again."""
        now_ns = self._now_ns
        duties = [now_ns + self._config.greeting_ns]
        if self.store.dirty:
            duties.append(max(self._rest_until_ns, self._committed_ns + self._config.commit_ns))
        if self._phase is SpoolPhase.GREETING and self._greeted_ns is not None:
            duties.append(self._greeted_ns + self._config.greeting_ns)
        if self._phase is SpoolPhase.FLOWING:
            duties.append(self._flights.due_ns or now_ns + self._config.greeting_ns)
            if self._refused:
                duties.append(now_ns + _RETRY_NS)
        return min(duties)
