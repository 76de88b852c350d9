# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One end of a link: frames in on one side, datagrams out on the other, and back.

Use::

    rover_side, ground_side = connect(ChannelConfig(rate_bps=2400), ChannelConfig(), mtu=128)
    rover = Endpoint(EndpointConfig(rate_bps=2400), rover_side, now_ns)
    ground = Endpoint(EndpointConfig(rate_bps=1200), ground_side, now_ns)
    rover.announce(CameraAnnounce(0, 'front', 'front_optical'))
    rover.offer_frame(FrameMessage(...), now_ns)
    wake_ns = min(rover.poll(now_ns), ground.poll(now_ns))
    for delivery in ground.take_deliveries():
        ...

An endpoint has no thread and no clock. Whoever owns it calls `poll` after every offer, when the
transport has something, and at the latest at the time that the last `poll` returned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
import math

from gsc_ros.link.audit import Departure
from gsc_ros.link.framing import (
    Announcement,
    CameraAnnounce,
    Control,
    CONTROL_OVERHEAD_BYTES,
    FrameFramer,
    FrameHeader,
    FramingError,
    Heartbeat,
    Kind,
    MAX_FRAGMENTS,
    MAX_WANTED,
    name_datagram,
    parse,
    Part,
    Receipt,
)
from gsc_ros.link.reassembly import FrameArrival, Reassembler, ReassemblyLimits
from gsc_ros.link.scheduler import (
    CameraPolicy,
    CameraState,
    ControlMessage,
    ControlRank,
    DropReason,
    FrameMessage,
    Scheduler,
    SchedulerConfig,
)
from gsc_ros.link.shaper import TokenBucket
from gsc_ros.link.statistic import LinkStatistics, PathMeter, UsageMeter
from gsc_ros.link.transports import Transport

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

# When something is due but cannot be queued or sent yet, look again after this.
_RETRY_NS = 5 * NS_PER_MS
_SETTLE_NS = NS_PER_S
_MAX_DELIVERIES = 4096


@dataclass(frozen=True)
class EndpointConfig:
    """
    Configure one end of a link.

    :param rate_bps: hard budget of what this end sends, in bit/s, >= 1; everything counts.
    :param burst_bits: most bits that may leave at once, at least one full datagram with the
        transport's overhead; 0 chooses two of them, or one and 50 ms of the rate if that is more.
    :param session: uint16 drawn at random whenever the process starts.
    :param scheduler: bounds and shares of the queues.
    :param reassembly: bounds on memory for what arrives.
    :param policy: for cameras that have none of their own.
    :param expiry_ns: a frame that has not begun to leave by then is dropped; 0: never.
    :param announce_period_ns: cameras in use are announced again this often while the far end is
        not heard; one that is heard asks for what it lacks.
    :param heartbeat_period_ns: after so much silence of this end it sends a heartbeat.
    :param receipt_period_ns: least time between two receipts from this end.
    :param silence_ns: the far end counts as connected for so long after it was heard.
    :raises ValueError: when a value is out of range.
    """

    rate_bps: int
    burst_bits: int = 0
    session: int = 0
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    reassembly: ReassemblyLimits = field(default_factory=ReassemblyLimits)
    policy: CameraPolicy = field(default_factory=CameraPolicy)
    expiry_ns: int = 5 * NS_PER_S
    announce_period_ns: int = 60 * NS_PER_S
    heartbeat_period_ns: int = 2 * NS_PER_S
    receipt_period_ns: int = NS_PER_S
    silence_ns: int = 6 * NS_PER_S

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.rate_bps < 1:
            raise ValueError(f'rate_bps must be >= 1, got {self.rate_bps}')
        if self.burst_bits < 0 or self.expiry_ns < 0:
            raise ValueError('burst_bits and expiry_ns must be >= 0')
        if not 0 <= self.session < 1 << 16:
            raise ValueError(f'session must be within 0..65535, got {self.session}')
        for name in ('announce_period_ns', 'heartbeat_period_ns', 'receipt_period_ns',
                     'silence_ns'):
            if getattr(self, name) < NS_PER_MS:
                raise ValueError(f'{name} must be >= 1 ms')


@dataclass(frozen=True)
class ReceivedFrame:
    """
    A frame as it came over the link.

    :param camera: name of the camera.
    :param camera_id: its number on this link, 0..255.
    :param frame_id: tf frame of its images.
    :param priority: 0 (most urgent) .. 255.
    :param session: the sender's session.
    :param sequence: uint32, as the sender counted.
    :param stamp_ns: the source stamp, exact.
    :param encode_ms: within 3.2 %; NaN when unknown.
    :param payload: the packet, perhaps with fewer layers than the sender made.
    :param received_ns: when its last datagram was taken in.
    """

    camera: str
    camera_id: int
    frame_id: str
    priority: int
    session: int
    sequence: int
    stamp_ns: int
    encode_ms: float
    payload: bytes
    received_ns: int


@dataclass(frozen=True)
class ReceivedCalibration:
    """
    What was announced about a camera, once when it is new and whenever it changes.

    :param camera: name of the camera.
    :param camera_id: its number on this link, 0..255.
    :param frame_id: tf frame of its images.
    :param calibration: the bytes that were announced; may be empty.
    """

    camera: str
    camera_id: int
    frame_id: str
    calibration: bytes


@dataclass(frozen=True)
class ReceivedControl:
    """A message of the control class, as `Endpoint.offer_control` got it at the far end."""

    data: bytes


Delivery = ReceivedFrame | ReceivedCalibration | ReceivedControl


@dataclass
class _Camera:
    """What this end has announced, or must announce, about a camera."""

    announce: CameraAnnounce
    current: Announcement | None = None
    sent: Announcement | None = None
    sent_ns: int = 0
    urgent_due_ns: int = 0
    queued: bool = False
    wanted: bool = False
    used: bool = False


class _CameraPacketizer:
    """Cuts a frame against the current announcement of its camera."""

    def __init__(self, framer: FrameFramer, cameras: dict[int, _Camera]) -> None:
        self._framer = framer
        self._cameras = cameras

    @property
    def max_datagrams(self) -> int:
        return MAX_FRAGMENTS

    def sizes(self, message: FrameMessage, length: int) -> list[int]:
        header, announcement = self._describe(message)
        return self._framer.sizes(header, announcement, length)

    def cut(self, message: FrameMessage, payload: bytes) -> list[bytes]:
        header, announcement = self._describe(message)
        return self._framer.cut_frame(header, announcement, payload)

    def _describe(self, message: FrameMessage) -> tuple[FrameHeader, Announcement]:
        header = FrameHeader(
            message.camera_id, message.sequence, message.stamp_ns, message.encode_ms)
        return header, self._cameras[message.camera_id].current


class Endpoint:
    """
    One end of a link; see the module's docstring for its use.

    :param config: budget, periods and bounds.
    :param transport: carries the datagrams.
    :param now_ns: the time on the monotonic clock that every later call uses.
    :param trace: called with every datagram that leaves.
    :raises ValueError: when the burst is smaller than one full datagram.
    """

    def __init__(
        self,
        config: EndpointConfig,
        transport: Transport,
        now_ns: int,
        trace: Callable[[Departure], None] | None = None,
    ) -> None:
        """Begin with an empty bucket and nothing announced."""
        self._config = config
        self._transport = transport
        self._trace = trace
        self._now_ns = now_ns
        self._overhead_bits = transport.overhead_bits
        self._datagram_bits = 8 * transport.mtu + transport.overhead_bits
        self._framer = FrameFramer(transport.mtu, transport.overhead_bits)
        self._bucket = TokenBucket(
            config.rate_bps, self._burst(config.rate_bps, config.burst_bits), now_ns)
        self._cameras: dict[int, _Camera] = {}
        self._policies: dict[int, CameraPolicy] = {}
        self._scheduler = Scheduler(
            config.scheduler, _CameraPacketizer(self._framer, self._cameras), config.rate_bps,
            self._datagram_bits, now_ns)
        self._reassembler = Reassembler(config.reassembly)
        self._deliveries: deque[Delivery] = deque(maxlen=_MAX_DELIVERIES)
        self._usage = UsageMeter()
        self._path = PathMeter()
        self._pending: set[Kind] = set()
        self._heartbeats = self._controls = 0
        self._departed_ns: int | None = None
        self._receipt_ns: int | None = None
        self._owes_receipt = False
        self._newest: tuple[int, int, int] | None = None
        self._heard_ns: int | None = None
        self._peer_session: int | None = None
        self._sent_datagrams = self._sent_bits = 0
        self._received_datagrams = self._received_bits = 0
        self._received_frames = self._malformed = self._peer_restarts = 0

    @property
    def session(self) -> int:
        """Return this end's session."""
        return self._config.session

    def set_rate(self, rate_bps: int, now_ns: int, burst_bits: int = 0) -> None:
        """
        Change the budget live; the bound holds over the change (see `TokenBucket.set_rate`).

        :param rate_bps: new budget in bit/s, >= 1.
        :param burst_bits: new burst; 0 chooses it as at the beginning.
        :raises ValueError: when a value is out of range.
        """
        now_ns = self._advance(now_ns)
        if burst_bits < 0:
            raise ValueError(f'burst_bits must be >= 0, got {burst_bits}')
        before_bps = self._bucket.rate_bps
        self._bucket.set_rate(rate_bps, self._burst(rate_bps, burst_bits), now_ns)
        for camera in self._cameras.values():
            # The pauses between announcements are bits at the reserved share.
            left_ns = max(0, camera.urgent_due_ns - now_ns)
            camera.urgent_due_ns = now_ns + left_ns * before_bps // rate_bps
        self._scheduler.set_rate(rate_bps, now_ns)

    def set_policy(self, camera_id: int, policy: CameraPolicy) -> None:
        """Change how a camera's frames are treated, from its next frame on."""
        self._policies[camera_id] = policy
        self._scheduler.set_policy(camera_id, policy)

    def announce(self, camera: CameraAnnounce) -> None:
        """
        Say, or say again with changes, what camera a number stands for.

        It crosses the link when the next frame is offered; frames wait for it.

        :raises ValueError: when the announcement is not well formed.
        """
        defect = camera.defect()
        if defect:
            raise ValueError(defect)
        known = self._cameras.get(camera.camera_id)
        if known is None:
            self._cameras[camera.camera_id] = _Camera(camera)
            policy = self._policies.get(camera.camera_id, self._config.policy)
            self._scheduler.set_policy(camera.camera_id, policy)
        else:
            known.announce = camera

    def offer_frame(self, message: FrameMessage, now_ns: int) -> bool:
        """
        Offer a frame; it waits for its turn, and a newer one of its camera takes its place.

        :returns: False when it was dropped at once: not well formed, of a camera that has not been
            announced, or too large. The statistics say which. Never raises for bad content.
        """
        now_ns = self._advance(now_ns)
        camera = self._cameras.get(message.camera_id)
        if camera is None or message.defect():
            self._scheduler.counter.dropped[DropReason.INVALID] += 1
            return False
        camera.used = True
        if not self._describes(camera, message):
            if self._is_committed(camera):
                self._scheduler.counter.dropped[DropReason.SUPERSEDED] += 1
                return False
            self._begin_announcement(camera, message)
        if message.deadline_ns is None and self._config.expiry_ns:
            message = replace(message, deadline_ns=now_ns + self._config.expiry_ns)
        return self._scheduler.offer(message, now_ns)

    def offer_control(self, data: bytes, now_ns: int) -> bool:
        """
        Offer a message of the control class; the far end delivers it as `ReceivedControl`.

        :param data: at most MTU - 5 bytes.
        :returns: False when the queue is full.
        :raises ValueError: when it does not fit into one datagram.
        """
        self._advance(now_ns)
        if len(data) + CONTROL_OVERHEAD_BYTES > self._transport.mtu:
            raise ValueError(
                f'a control message has at most {self._transport.mtu - CONTROL_OVERHEAD_BYTES} '
                f'bytes, got {len(data)}')
        self._controls += 1
        datagram = Control(self._controls & 0xFFFF, data).pack()
        return self._scheduler.offer_control(ControlMessage(
            'control', ControlRank.PROMPT, (self._size(datagram),), lambda _, __: datagram))

    def poll(self, now_ns: int) -> int:
        """
        Take in what has arrived, send what may leave, and return when to call again.

        :returns: the time of the next deadline, later than `now_ns`.
        """
        now_ns = self._advance(now_ns)
        for datagram in self._transport.receive(now_ns):
            self._receive(datagram, now_ns)
        self._reassembler.expire(now_ns)
        self._queue_due(now_ns)
        wake_ns = min(self._send_due(now_ns), self._next_duty_ns(now_ns))
        arrival_ns = self._transport.next_arrival_ns()
        if arrival_ns is not None:
            wake_ns = min(wake_ns, arrival_ns)
        return max(wake_ns, now_ns + 1)

    def take_deliveries(self) -> list[Delivery]:
        """Return what has come from the far end since the last call, in order."""
        deliveries = list(self._deliveries)
        self._deliveries.clear()
        return deliveries

    def statistics(self, now_ns: int) -> LinkStatistics:
        """Return a snapshot of all counts and measurements."""
        now_ns = self._advance(now_ns)
        scheduled, assembled = self._scheduler.counter, self._reassembler.counter
        window = self._usage.window_ns / NS_PER_S
        used_bps = self._usage.bits(now_ns) / window
        messages, bits = self._scheduler.queued()
        round_trip_ns = self._path.round_trip_ns
        heard = self._heard_ns is not None
        heard_age = (now_ns - self._heard_ns) / NS_PER_S if heard else math.nan
        return LinkStatistics(
            connected=self._connected(now_ns),
            budget_bps=self._bucket.rate_bps,
            burst_bits=self._bucket.burst_bits,
            used_bps=used_bps,
            utilisation=used_bps / self._bucket.rate_bps,
            window=window,
            queued_messages=messages,
            queued_bits=bits,
            sent_messages=scheduled.sent_messages,
            sent_datagrams=self._sent_datagrams,
            sent_bits=self._sent_bits,
            delivered_messages=0,
            dropped_superseded=scheduled.dropped[DropReason.SUPERSEDED],
            dropped_expired=scheduled.dropped[DropReason.EXPIRED],
            dropped_too_large=scheduled.dropped[DropReason.TOO_LARGE],
            dropped_invalid=scheduled.dropped[DropReason.INVALID],
            dropped_queue_full=scheduled.dropped[DropReason.QUEUE_FULL],
            layers_shed=scheduled.layers_shed,
            loss=self._path.loss(now_ns),
            round_trip=math.nan if round_trip_ns is None else round_trip_ns / NS_PER_S,
            sent_frames=scheduled.sent_frames,
            sent_payload_bits=scheduled.sent_payload_bits,
            frames_shed=scheduled.frames_shed,
            received_datagrams=self._received_datagrams,
            received_bits=self._received_bits,
            received_frames=self._received_frames,
            duplicates=assembled.duplicates,
            incomplete=assembled.incomplete,
            unannounced=assembled.unannounced,
            malformed=self._malformed + assembled.malformed,
            peer_restarts=self._peer_restarts,
            heard_age=heard_age,
        )

    # Time and size

    def _advance(self, now_ns: int) -> int:
        """Return the time, which stands still while the caller's clock is behind."""
        self._now_ns = max(self._now_ns, now_ns)
        return self._now_ns

    def _connected(self, now_ns: int) -> bool:
        return self._heard_ns is not None and (
            now_ns - self._heard_ns <= self._config.silence_ns)

    def _burst(self, rate_bps: int, burst_bits: int) -> int:
        if burst_bits == 0:
            return self._datagram_bits + max(self._datagram_bits, rate_bps // 20)
        if burst_bits < self._datagram_bits:
            raise ValueError(
                f'burst_bits must hold one full datagram of {self._datagram_bits} bits, '
                f'got {burst_bits}')
        return burst_bits

    def _size(self, datagram: bytes) -> int:
        return 8 * len(datagram) + self._overhead_bits

    # Sending

    @staticmethod
    def _describes(camera: _Camera, message: FrameMessage) -> bool:
        current = camera.current
        return current is not None and current.session == message.session and (
            current.camera == camera.announce)

    def _is_committed(self, camera: _Camera) -> bool:
        """
        Return whether an announcement leaves, or has left and its frame waits for its turn.

        A frame that needs another one must not take the place of that frame: if every frame does,
        all that would ever leave is announcements.
        """
        state = self._scheduler.state(camera.announce.camera_id)
        waits = state in (CameraState.WAITING, CameraState.BOTH)
        return camera.queued or (waits and camera.sent == camera.current)

    def _begin_announcement(self, camera: _Camera, message: FrameMessage) -> None:
        known = camera.current
        if known is not None and known.session == message.session:
            base = known.base_sequence, known.base_stamp_ns
        else:
            base = message.sequence, message.stamp_ns
        camera.current = Announcement(camera.announce, message.session, *base)
        self._scheduler.hold(camera.announce.camera_id, True)

    def _queue_due(self, now_ns: int) -> None:
        for camera in self._cameras.values():
            self._queue_announcement(camera, now_ns)
        if self._receipt_due_ns() is not None and self._receipt_due_ns() <= now_ns:
            self._queue_receipt()
        if self._heartbeat_due_ns() <= now_ns and not self._pending:
            self._queue_heartbeat()

    def _queue_announcement(self, camera: _Camera, now_ns: int) -> None:
        if camera.current is None or camera.queued or not camera.used:
            return
        changed = camera.sent != camera.current
        age_ns = now_ns - camera.sent_ns
        due = age_ns >= self._config.announce_period_ns and not self._connected(now_ns)
        if not (changed or camera.wanted or due):
            return
        urgent = changed or camera.wanted
        if urgent and now_ns < camera.urgent_due_ns:
            return
        announcement = camera.current
        datagrams = self._framer.cut_announcement(
            announcement.camera.camera_id, announcement.pack())

        def note_sent(sent_ns: int) -> None:
            camera.queued = camera.wanted = camera.used = False
            camera.sent, camera.sent_ns = announcement, sent_ns
            self._scheduler.hold(announcement.camera.camera_id, False)

        sizes = tuple(map(self._size, datagrams))
        camera.queued = self._scheduler.offer_control(ControlMessage(
            'announcement', ControlRank.URGENT if urgent else ControlRank.BACKGROUND, sizes,
            lambda index, _: datagrams[index], note_sent))
        if camera.queued and urgent:
            # Cameras that change all the time take no more than the share of control messages,
            # all of them together.
            pausing = sum(other.urgent_due_ns > now_ns for other in self._cameras.values())
            share_bps = self._bucket.rate_bps * self._config.scheduler.control_share
            pause_ns = int((1 + pausing) * sum(sizes) * NS_PER_S / share_bps)
            camera.urgent_due_ns = now_ns + pause_ns

    def _queue_receipt(self) -> None:
        wanted = self._reassembler.take_wanted(MAX_WANTED)

        def build(_: int, sent_ns: int) -> bytes:
            name, received, arrived_ns = self._newest
            held_ms = min(0xFFFF, (sent_ns - arrived_ns) // NS_PER_MS)
            return Receipt(self._config.session, received, name, held_ms, wanted).pack()

        size = 8 * Receipt(0, 0, 0, 0, wanted).size + self._overhead_bits

        def note_sent(sent_ns: int) -> None:
            self._pending.discard(Kind.RECEIPT)
            self._receipt_ns = sent_ns
            self._owes_receipt = False

        if self._scheduler.offer_control(
                ControlMessage('receipt', ControlRank.PROMPT, (size,), build, note_sent)):
            self._pending.add(Kind.RECEIPT)

    def _queue_heartbeat(self) -> None:
        self._heartbeats += 1
        datagram = Heartbeat(self._config.session, self._heartbeats & 0xFFFF).pack()

        def note_sent(_: int) -> None:
            self._pending.discard(Kind.HEARTBEAT)

        if self._scheduler.offer_control(ControlMessage(
                'heartbeat', ControlRank.PROMPT, (self._size(datagram),),
                lambda _, __: datagram, note_sent)):
            self._pending.add(Kind.HEARTBEAT)

    def _send_due(self, now_ns: int) -> int:
        """Send while budget and transport allow it; return when they next may."""
        while True:
            candidate = self._scheduler.select(now_ns, self._bucket.credit_bits(now_ns))
            if candidate is None:
                wait_ns = self._scheduler.background_wait_ns(now_ns)
                return now_ns + (wait_ns or self._config.heartbeat_period_ns)
            wait_ns = self._bucket.wait_ns(candidate.bits, now_ns)
            if wait_ns:
                return now_ns + wait_ns
            ready_ns = self._transport.ready_ns(now_ns)
            if ready_ns > now_ns:
                return ready_ns
            datagram = self._scheduler.open(candidate, now_ns)
            if datagram is None:
                continue
            if not self._transport.send(datagram, now_ns):
                return now_ns + _RETRY_NS
            self._bucket.admit(candidate.bits, now_ns)
            self._scheduler.sent(candidate, now_ns)
            self._note_departure(datagram, candidate.bits, candidate.kind, now_ns)

    def _note_departure(self, datagram: bytes, bits: int, kind: str, now_ns: int) -> None:
        named = kind in ('frame', 'heartbeat')
        self._path.sent(name_datagram(datagram) if named else None, now_ns)
        self._usage.add(bits, now_ns)
        self._sent_datagrams += 1
        self._sent_bits += bits
        self._departed_ns = now_ns
        if self._trace:
            self._trace(Departure(now_ns, bits, kind))

    def _next_duty_ns(self, now_ns: int) -> int:
        """Return when a heartbeat, a receipt or a changed announcement is due next."""
        duties = [self._heartbeat_due_ns()]
        if self._receipt_due_ns() is not None:
            duties.append(self._receipt_due_ns())
        duties += [
            camera.urgent_due_ns for camera in self._cameras.values()
            if camera.used and not camera.queued and camera.sent != camera.current]
        # What is due already waits for its turn in a queue, or for room in it.
        return max(min(duties), now_ns + _RETRY_NS)

    def _heartbeat_due_ns(self) -> int:
        if self._departed_ns is None:
            return self._now_ns
        return self._departed_ns + self._config.heartbeat_period_ns

    def _receipt_due_ns(self) -> int | None:
        if not self._owes_receipt or self._newest is None or Kind.RECEIPT in self._pending:
            return None
        if self._receipt_ns is None:
            return self._now_ns
        return self._receipt_ns + self._config.receipt_period_ns

    # Receiving

    def _receive(self, datagram: bytes, now_ns: int) -> None:
        try:
            message = parse(datagram)
        except FramingError:
            self._malformed += 1
            return
        self._heard_ns = now_ns
        self._received_datagrams += 1
        self._received_bits += self._size(datagram)
        if isinstance(message, Receipt):
            self._take_receipt(message, now_ns)
            return
        self._owes_receipt = True
        if isinstance(message, Heartbeat):
            self._name_newest(datagram, now_ns)
            self._note_peer(message.session)
        elif isinstance(message, Control):
            self._deliveries.append(ReceivedControl(message.data))
        elif isinstance(message, Part):
            if message.kind is not Kind.ANNOUNCEMENT:
                self._name_newest(datagram, now_ns)
            self._take_part(message, now_ns)

    def _name_newest(self, datagram: bytes, now_ns: int) -> None:
        received = self._received_datagrams & 0xFFFFFFFF
        self._newest = (name_datagram(datagram), received, now_ns)

    def _note_peer(self, session: int) -> None:
        if self._peer_session is not None and session != self._peer_session:
            self._peer_restarts += 1
            # The far end has forgotten what it was told.
            for camera in self._cameras.values():
                camera.wanted = camera.used = True
        self._peer_session = session

    def _take_receipt(self, receipt: Receipt, now_ns: int) -> None:
        self._note_peer(receipt.session)
        self._path.receipt(
            receipt.session, receipt.name, receipt.received, receipt.held_ms * NS_PER_MS, now_ns)
        # An announcement that is on its way must first have had the time to arrive.
        settled_ns = now_ns - max(_SETTLE_NS, 2 * (self._path.round_trip_ns or 0))
        for camera_id in receipt.wanted:
            camera = self._cameras.get(camera_id)
            if camera and not camera.queued and camera.sent_ns <= settled_ns:
                camera.wanted = camera.used = True

    def _take_part(self, part: Part, now_ns: int) -> None:
        arrival = self._reassembler.accept(part, now_ns)
        if isinstance(arrival, Announcement):
            self._take_announcement(arrival)
        elif isinstance(arrival, FrameArrival):
            camera, header = arrival.announcement.camera, arrival.header
            self._received_frames += 1
            self._deliveries.append(ReceivedFrame(
                camera.name, camera.camera_id, camera.frame_id, camera.priority,
                arrival.announcement.session, header.sequence, header.stamp_ns, header.encode_ms,
                arrival.payload, now_ns))

    def _take_announcement(self, announcement: Announcement) -> None:
        camera = announcement.camera
        self._deliveries.append(ReceivedCalibration(
            camera.name, camera.camera_id, camera.frame_id, camera.calibration))
