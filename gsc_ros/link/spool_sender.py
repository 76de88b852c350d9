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
from dataclasses import dataclass
from enum import Enum

from gsc_ros.link.announcement import CameraAnnounce
from gsc_ros.link.endpoint import Delivery, Endpoint, ReceivedControl
from gsc_ros.link.message import BulkRank, FrameMessage
from gsc_ros.link.spool_error import SpoolDamagedError, SpoolError
from gsc_ros.link.spool_incoming import WINDOW
from gsc_ros.link.spool_message import (
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
from gsc_ros.link.spool_outgoing import OutgoingStore
from gsc_ros.link.spool_store import SpoolCamera, SpoolFrame

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

# Messages that wait in the endpoint at a time, so that it is never idle for want of one.
_QUEUED = 4
_RETRY_NS = 100 * NS_PER_MS
# A frame counts as lost once so many acknowledgements have told of later ones but not of it; until
# then the link's own repair may bring it.
_OVERTAKEN = 2
# So many time-outs in a row and the ends greet anew.
_MAX_DOUBLINGS = 4


class SpoolPhase(Enum):
    """What the sender knows of the far end; the picture in the module's docstring."""

    SILENT = 'silent'
    GREETING = 'greeting'
    FLOWING = 'flowing'


@dataclass(frozen=True)
class SpoolConfig:
    """
    Times of both ends of a spool.

    :param commit_ns: what has come waits so long at most until it is made durable, in one
        transaction.
    :param greeting_ns: time between two greetings that are not answered.
    :param patience_ns: least time after which a frame that is not acknowledged is sent again.
    :param acknowledge_ns: least time between two acknowledgements.
    :param rest_ns: after the disk has refused it is left alone for so long.
    """

    commit_ns: int = 50 * NS_PER_MS
    greeting_ns: int = 2 * NS_PER_S
    patience_ns: int = 6 * NS_PER_S
    acknowledge_ns: int = 2 * NS_PER_S
    rest_ns: int = NS_PER_S


@dataclass(frozen=True)
class SpoolSenderStatistics:
    """
    A snapshot; counts are of this process.

    :param phase: what is known of the far end.
    :param frames: frames on disk, of which `in_flight` are on their way.
    :param bytes: what they take, as the quota counts.
    :param appended: frames taken in.
    :param settled: frames that the far end has, durably.
    :param evicted: frames given up, which the far end is told.
    :param too_large: those of them that no bulk message can hold at this MTU.
    :param resent: frames sent again.
    :param invalid: frames that were not well formed, and messages that were not understood.
    :param failures: how often the disk refused.
    :param replaced: how often a damaged file was set aside.
    :param trouble: what the last such failure was; None while all is well.
    """

    phase: SpoolPhase
    frames: int
    in_flight: int
    bytes: int
    appended: int
    settled: int
    evicted: int
    too_large: int
    resent: int
    invalid: int
    failures: int
    replaced: int
    trouble: str | None


@dataclass
class _Flight:
    """A frame on its way: `first` is where the gap before it begins that it tells of."""

    first: int
    camera: int
    sent_ns: int | None = None
    order: int = 0
    overtaken: int = 0


class SpoolSender:
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
        self.endpoint = endpoint
        self.store = store
        self._config = config or SpoolConfig()
        self._now_ns = now_ns
        self._phase = SpoolPhase.SILENT
        self._announced: dict[int, CameraAnnounce] = {}
        self._deliveries: list[Delivery] = []
        self._flight: dict[int, _Flight] = {}
        self._needed = 1
        self._further: frozenset[int] = frozenset()
        # Cameras that were told: when the description left, None while it is queued.
        self._told: dict[int, int | None] = {}
        self._order = self._queued = self._doublings = 0
        self._resent_below = 0
        self._delay_ns = 0
        self._greeted_ns: int | None = None
        self._gap: tuple[int, int] | None = None
        self._gap_ns = self._rest_until_ns = self._committed_ns = now_ns
        self._too_large = self._resent = self._invalid = self._failures = 0
        self._replaced = int(store.aside is not None)
        self._trouble: str | None = None

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
            self._phase, self.store.frames, len(self._flight), self.store.bytes, counter.appended,
            counter.settled, counter.evicted, self._too_large, self._resent, self._invalid,
            self._failures + counter.failures, self._replaced, self._trouble)

    def __getattr__(self, name: str) -> object:
        """Do as the endpoint does in all that is not said here."""
        return getattr(self.endpoint, name)

    # Failures

    def _guard(self, action: Callable[[], bool | None]) -> bool:
        """Do what may meet a disk that fails; the link goes on without it."""
        try:
            return bool(action())
        except SpoolDamagedError as error:
            self._note_failure(error)
            try:
                self.store.replace()
            except SpoolError as second:
                self._note_failure(second)
            else:
                self._replaced += 1
                self._greet()
        except SpoolError as error:
            self._note_failure(error)
        return False

    def _note_failure(self, error: SpoolError) -> None:
        self._trouble = str(error)
        self._failures += 1
        self._rest_until_ns = self._now_ns + self._config.rest_ns

    # Sending

    def _commit(self) -> None:
        due_ns = max(self._rest_until_ns, self._committed_ns + self._config.commit_ns)
        if not self.store.dirty or self._now_ns < due_ns:
            return
        self._committed_ns = self._now_ns
        self.store.pinned = frozenset(self._flight)
        self.store.commit()
        self._trouble = None

    def _send(self) -> bool:
        """Send what is due; return whether the endpoint has got something."""
        if not self.endpoint.connected(self._now_ns):
            self._phase = SpoolPhase.SILENT
            return False
        if self._phase is SpoolPhase.SILENT:
            self._greet()
        if self._phase is SpoolPhase.GREETING:
            return self._send_greeting()
        self._give_up_waiting()
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
        """Hand the endpoint frames until it has enough."""
        if self._queued >= _QUEUED:
            return False
        handed = False
        numbers = self.store.numbers(self._needed, 2 * WINDOW)
        for number in numbers:
            if self._queued >= _QUEUED or number >= numbers[0] + WINDOW:
                break
            if number in self._flight or number in self._further:
                continue
            frame = self.store.read(number)
            if frame is None:
                continue
            if not self._tell_camera(frame.camera_key, frame.camera):
                break
            fits = self._hand(frame)
            if fits is None:
                break
            handed |= fits
        return handed

    def _hand(self, frame: SpoolFrame) -> bool | None:
        """Hand over a frame; return whether it can be sent at all, None: not now."""
        number = frame.number
        absent = self.store.absent_before(number, self._needed)
        flight = _Flight(number - absent, frame.camera_key)

        def note_sent() -> None:
            self._queued -= 1
            self._order += 1
            flight.order, flight.sent_ns = self._order, self._now_ns

        def note_dropped() -> None:
            self._queued -= 1
            if self._flight.get(number) is flight:
                del self._flight[number]

        message = Frame.of(frame, self._tag, absent).pack()
        try:
            if not self._offer(message, note_sent, note_dropped):
                return None
        except ValueError:
            self._too_large += 1
            self.store.evict(number)
            return False
        self._flight[number] = flight
        self._resent += number < self._resent_below
        self._resent_below = max(self._resent_below, number + 1)
        return True

    def _tell_camera(self, key: int, about: SpoolCamera) -> bool:
        """Hand over a camera's description unless it is known; return False: not now."""
        if key in self._told or self.store.is_known(key):
            return True

        def note_sent() -> None:
            self._queued -= 1
            self._told[key] = self._now_ns

        def note_dropped() -> None:
            self._queued -= 1
            self._told.pop(key, None)

        if not self._offer(Camera(self._tag, key, about).pack(), note_sent, note_dropped):
            return False
        self._told[key] = None
        return True

    def _offer(self, data: bytes, note_sent: Callable[[], None],
               note_dropped: Callable[[], None]) -> bool:
        taken = self.endpoint.offer_bulk(
            data, BulkRank.BACKGROUND, self._now_ns, on_sent=note_sent, on_dropped=note_dropped)
        self._queued += taken
        return taken

    def _tell_gap(self) -> bool:
        """Say that the frame that the far end needs next is gone, if no frame is to say so."""
        first = next(iter(self.store.numbers(self._needed, 1)), self.store.next_number)
        if first <= self._needed:
            return False
        flight = self._flight.get(first)
        if flight is not None and flight.first <= self._needed:
            return False
        if first < self.store.next_number and flight is None and first not in self._further:
            return False
        gap = first, first - self._needed
        if gap == self._gap and self._now_ns - self._gap_ns < self._patience_ns:
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
        greeted = self._phase is SpoolPhase.GREETING
        arrived = [number for number in self._flight
                   if number < message.next or number in message.further]
        newest = 0
        for number in arrived:
            flight = self._flight.pop(number)
            self.store.settle_camera(flight.camera)
            newest = max(newest, flight.order)
            if flight.sent_ns is not None:
                sample = self._now_ns - flight.sent_ns
                self._delay_ns = max(sample, (7 * self._delay_ns + sample) // 8)
        if arrived or message.next > self._needed:
            self._doublings = 0
        self._needed, self._further = message.next, message.further
        self.store.settle(message.next, set(message.further))
        if greeted:
            # What had left before the greeting would be in this answer.
            self._forget(lambda flight: flight.sent_ns is not None
                         and flight.sent_ns <= self._greeted_ns)
            self._told.clear()
            self._phase = SpoolPhase.FLOWING
        for flight in self._flight.values():
            flight.overtaken += 0 < flight.order < newest
        old_ns = self._now_ns - self._least_patience_ns
        self._forget(lambda flight: flight.overtaken >= _OVERTAKEN or (
            flight.overtaken > 0 and flight.sent_ns <= old_ns))
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
            self._tell_camera(key, about)

    def _forget(self, lost: Callable[[_Flight], bool]) -> None:
        """Let frames be sent again."""
        for number in [number for number, flight in self._flight.items() if lost(flight)]:
            del self._flight[number]

    def _give_up_waiting(self) -> None:
        """Send the oldest frame again when nothing was said of it for too long."""
        oldest = self._oldest()
        if oldest is None or self._now_ns < self._flight[oldest].sent_ns + self._patience_ns:
            return
        del self._flight[oldest]
        self._doublings = min(self._doublings + 1, _MAX_DOUBLINGS)
        if self._doublings == _MAX_DOUBLINGS:
            self._greet()

    # Times

    @property
    def _tag(self) -> bytes:
        return self.store.id[:TAG_BYTES]

    @property
    def _least_patience_ns(self) -> int:
        return max(self._config.patience_ns, 2 * self._delay_ns)

    @property
    def _patience_ns(self) -> int:
        return self._least_patience_ns << self._doublings

    def _oldest(self) -> int | None:
        """Return the frame that has been on its way for longest."""
        sent = [(flight.sent_ns, number) for number, flight in self._flight.items()
                if flight.sent_ns is not None]
        return min(sent)[1] if sent else None

    def _next_duty_ns(self) -> int:
        """Return when there is something to commit or to send again."""
        now_ns = self._now_ns
        duties = [now_ns + self._config.greeting_ns]
        if self.store.dirty:
            duties.append(max(self._rest_until_ns, self._committed_ns + self._config.commit_ns))
        if self._phase is SpoolPhase.GREETING and self._greeted_ns is not None:
            duties.append(self._greeted_ns + self._config.greeting_ns)
        if self._phase is SpoolPhase.FLOWING:
            oldest = self._oldest()
            if oldest is not None:
                duties.append(self._flight[oldest].sent_ns + self._patience_ns)
            if self._queued < _QUEUED:
                duties.append(now_ns + _RETRY_NS)
        return min(duties)
