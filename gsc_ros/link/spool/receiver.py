# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The ground's end of a link with a spool: frames go to disk first, then to their taker, in order.

::

    Endpoint ──> IncomingStore, one transaction ──> ReceivedFrame
       ^                    │
       └─ acknowledgement <─┘
"""

from __future__ import annotations

from collections import deque

from gsc_ros.link.endpoint import (
    Delivery,
    Endpoint,
    ReceivedBulk,
    ReceivedCalibration,
    ReceivedControl,
    ReceivedFrame,
)
from gsc_ros.link.spool.end import SpoolEnd
from gsc_ros.link.spool.incoming import IncomingStore, WINDOW
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
from gsc_ros.link.spool.status import SpoolConfig, SpoolReceiverStatistics

NS_PER_S = 1_000_000_000

# When the endpoint takes no acknowledgement, try again after this.
_RETRY_NS = NS_PER_S // 10

# Frames that wait in memory for the description of their camera.
_MAX_HOMELESS = 32
# Acknowledgements take no more than this part of the way back, and are so large about, with what
# is around them.
_ACKNOWLEDGE_PART = 4
_ACKNOWLEDGE_BITS = 8 * 50
# While frames are missing, what has arrived is told again after so many times the least pause.
_REPEAT = 2


class SpoolReceiver(SpoolEnd):
    """
    An `Endpoint` whose frames go through a store; it is called in the endpoint's place.

    What `take_deliveries` returns has been noted as handed on: a process that is killed before it
    has used it finds it in the store only.

    :param endpoint: the ground's end of the link; nobody else polls it.
    :param store: what has arrived; closed by its owner.
    :param now_ns: the time on the endpoint's clock.
    :param config: times; None: the defaults.
    """

    def __init__(self, endpoint: Endpoint, store: IncomingStore, now_ns: int,
                 config: SpoolConfig | None = None) -> None:
        """Begin with nothing heard of any spool."""
        super().__init__(endpoint, store, now_ns, config)
        self._homeless: deque[Frame] = deque(maxlen=_MAX_HOMELESS)
        self._shown: dict[int, int] = {}
        self._tag: bytes | None = None
        self._wanted = 0
        # Frames since the last acknowledgement; and whether it is due whatever the pause.
        self._unsaid = 0
        self._asked = False
        self._acknowledged_ns = self._committed_ns = now_ns
        self._retry_ns = now_ns

    def poll(self, now_ns: int) -> int:
        """
        Take in what has arrived, commit and acknowledge it; return when to call again.

        :returns: the time of the next deadline, later than `now_ns`.
        """
        self._now_ns = now_ns = max(self._now_ns, now_ns)
        wake_ns = self.endpoint.poll(now_ns)
        for delivery in self.endpoint.take_deliveries():
            if isinstance(delivery, (ReceivedBulk, ReceivedControl)) and (
                    is_spool_message(delivery.data)):
                self._guard(lambda data=delivery.data: self._take(data))
            else:
                self._deliveries.append(delivery)
        self._guard(self._commit)
        if self._guard(self._acknowledge):
            return now_ns + 1
        return max(now_ns + 1, min(wake_ns, self._next_duty_ns()))

    def take_deliveries(self) -> list[Delivery]:
        """Return what has come since the last call: frames in order, and the link's own."""
        self._guard(self._hand_on)
        deliveries, self._deliveries = self._deliveries, []
        return deliveries

    def statistics_of_spool(self) -> SpoolReceiverStatistics:
        """Return a snapshot of all counts."""
        counter = self.store.counter
        return SpoolReceiverStatistics(
            self.store.bytes, counter.stored, counter.duplicates, counter.handed,
            counter.evicted, counter.abandoned, counter.discarded, self._invalid,
            self._failures + counter.failures, self._replaced, self._trouble)

    # What arrives

    def _take(self, data: bytes) -> None:
        try:
            message = parse(data)
            if isinstance(message, Greeting):
                self._take_greeting(message)
            elif not isinstance(message, Acknowledgement):
                self._take_content(message)
        except SpoolMessageError:
            self._invalid += 1

    def _take_greeting(self, greeting: Greeting) -> None:
        self._commit(at_once=True)
        self.store.meet(greeting.identity, greeting.floor)
        self._tag = greeting.identity[:TAG_BYTES]
        self._asked = True

    def _take_content(self, message: Frame | Camera | Gap) -> None:
        identity = self.store.identify(message.tag)
        if identity is None:
            # Nothing can be done with it but to ask who it is.
            self._tag = message.tag
            self._unsaid += 1
            return
        self._tag = message.tag
        if isinstance(message, Frame):
            self._take_frame(identity, message)
        elif isinstance(message, Camera):
            self.store.add_camera(identity, message.key, message.about)
            self._wanted = 0
            homeless, self._homeless = self._homeless, deque(maxlen=_MAX_HOMELESS)
            for frame in homeless:
                self._take_frame(identity, frame)
        else:
            self.store.pass_over(identity, message.number - message.absent, message.number)
            self._unsaid += 1

    def _take_frame(self, identity: bytes, frame: Frame) -> None:
        self._unsaid += 1
        about = self.store.camera(identity, frame.camera)
        if about is None:
            self._wanted = frame.camera
            self._homeless.append(frame)
            return
        self.store.pass_over(identity, frame.number - frame.absent, frame.number)
        self.store.arrive(
            identity, frame.number, frame.camera, frame.sequence(about),
            frame.exact_stamp_ns(about), frame.encode_ms, frame.packet)

    def _commit(self, at_once: bool = False) -> None:
        due_ns = max(self._rest_until_ns, self._committed_ns + self._config.commit_ns)
        if self.store.dirty and (at_once or self._now_ns >= due_ns):
            self._committed_ns = self._now_ns
            self._note_trouble(self.store.commit())

    def _hand_on(self) -> None:
        for frame in self.store.take():
            camera = frame.camera.camera
            if self._shown.get(camera.camera_id) != frame.camera_key:
                self._shown[camera.camera_id] = frame.camera_key
                self._deliveries.append(ReceivedCalibration(
                    camera.name, camera.camera_id, camera.frame_id, camera.calibration))
            self._deliveries.append(ReceivedFrame(
                camera.name, camera.camera_id, camera.frame_id, camera.priority,
                frame.camera.session, frame.sequence, frame.stamp_ns, frame.encode_ms,
                frame.packet, self._now_ns))

    # Acknowledging

    def _acknowledge(self) -> bool:
        """Say what has arrived if it is time, and only what is durable."""
        if self._tag is None or self._now_ns < max(
                self._retry_ns, self._acknowledge_due_ns()):
            return False
        identity = self.store.identify(self._tag)
        if identity is None:
            message = Acknowledgement(self._tag, 0)
        else:
            message = Acknowledgement(
                self._tag, self.store.next_number(identity), self._wanted,
                self.store.held(identity))
        data = message.pack(self.endpoint.max_control_bytes)
        if not self.endpoint.offer_control(data, self._now_ns):
            self._retry_ns = self._now_ns + _RETRY_NS
            return False
        self._acknowledged_ns = self._now_ns
        self._unsaid, self._asked = 0, False
        return True

    def _acknowledge_due_ns(self) -> int:
        """Return when something is to be said; the far future when nothing is."""
        budget_bps = self.endpoint.statistics(self._now_ns).budget_bps
        pause_ns = _ACKNOWLEDGE_PART * _ACKNOWLEDGE_BITS * NS_PER_S // budget_bps
        if self._asked:
            return self._now_ns
        if self.store.dirty:
            # What is not durable cannot be told; it soon will be.
            return self._now_ns + self._config.commit_ns
        if self._unsaid >= WINDOW // 4:
            return self._acknowledged_ns + pause_ns
        pause_ns = max(pause_ns, self._config.acknowledge_ns)
        if self._unsaid:
            return self._acknowledged_ns + pause_ns
        missing = self._wanted or (
            (identity := self.store.identify(self._tag)) and self.store.held(identity))
        if missing and self.endpoint.connected(self._now_ns):
            return self._acknowledged_ns + _REPEAT * pause_ns
        return self._now_ns + 3600 * NS_PER_S

    def _next_duty_ns(self) -> int:
        duties = [self._now_ns + NS_PER_S]
        if self.store.dirty:
            duties.append(max(self._rest_until_ns, self._committed_ns + self._config.commit_ns))
        if self._tag is not None:
            duties.append(max(self._retry_ns, self._acknowledge_due_ns()))
        return min(duties)
