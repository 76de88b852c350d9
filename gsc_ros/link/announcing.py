# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
When cameras are announced to the far end.

=========  =================================================  =====================
state      meaning                                            leaves it
=========  =================================================  =====================
SILENT     nothing to say, or no frame to say it for          a frame that needs it
DUE        frames of the camera wait for an announcement,     queued
           which pauses after the one before
QUEUED     it waits for its turn, or leaves                   its last datagram left
KNOWN      it has left; frames may leave                      change, request, time
=========  =================================================  =====================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gsc_ros.link.datagram.framer import FrameFramer
from gsc_ros.link.datagram.framing import Announcement, CameraAnnounce
from gsc_ros.link.schedule.message import CameraState, FrameMessage, QueuedMessage, Rank
from gsc_ros.link.schedule.scheduler import Scheduler

NS_PER_S = 1_000_000_000
# How long repairing an announcement is worth while; without it no frame can be used.
_USEFUL_NS = 20 * NS_PER_S


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

    @property
    def urgent(self) -> bool:
        """Return whether its frames are of no use before it is announced."""
        return self.sent != self.current or self.wanted


class Announcer:
    """
    Announce each camera before its first frame, and again when that is needed.

    :param scheduler: queues the announcements and holds the frames that wait for them.
    :param framer: makes their bodies.
    :param share: of the budget, for announcements that leave at once.
    :param period_ns: how often cameras in use are announced again when the far end is not heard.
    """

    def __init__(
        self, scheduler: Scheduler, framer: FrameFramer, share: float, period_ns: int,
    ) -> None:
        """Start with no camera known."""
        self._scheduler = scheduler
        self._framer = framer
        self._share = share
        self._period_ns = period_ns
        self._cameras: dict[int, _Camera] = {}

    def knows(self, camera_id: int) -> bool:
        """Return whether a camera has been announced to this end."""
        return camera_id in self._cameras

    def current(self, camera_id: int) -> Announcement:
        """Return the announcement that frames of a camera are coded against."""
        return self._cameras[camera_id].current

    def announce(self, camera: CameraAnnounce) -> None:
        """Say what camera a number stands for, from its next frame on."""
        known = self._cameras.get(camera.camera_id)
        if known is None:
            self._cameras[camera.camera_id] = _Camera(camera)
        else:
            known.announce = camera

    def prepare(self, message: FrameMessage) -> bool:
        """
        See to it that the frame's announcement leaves before it.

        :returns: False when the frame must go: it needs another announcement than the one that
            leaves, or has left and whose frame waits for its turn. If every frame could take the
            place of that one, all that would ever leave is announcements. The far end may have
            lost that announcement, though: then the newer one leaves in its place.
        """
        camera = self._cameras[message.camera_id]
        camera.used = True
        current = camera.current
        if current is not None and current.session == message.session and (
                current.camera == camera.announce):
            return True
        state = self._scheduler.state(message.camera_id)
        waits = state in (CameraState.WAITING, CameraState.BOTH)
        if camera.queued or (waits and camera.sent == current and not camera.wanted):
            return False
        if current is not None and current.session == message.session:
            base = current.base_sequence, current.base_stamp_ns
        else:
            base = message.sequence, message.stamp_ns
        camera.current = Announcement(camera.announce, message.session, *base)
        self._scheduler.hold(message.camera_id, True)
        return True

    def want(self, camera_ids: Iterable[int], settled_ns: int) -> None:
        """
        Take a request of the far end.

        :param settled_ns: what has left later may still be on its way.
        """
        for camera_id in camera_ids:
            camera = self._cameras.get(camera_id)
            if camera and not camera.queued and camera.sent_ns <= settled_ns:
                camera.used = True
                self._want(camera)

    def forgotten(self) -> None:
        """
        Announce every camera again with its next frame: the far end has restarted.

        Nobody is spared by a pause now: no camera has frames that the far end can use.
        """
        for camera in self._cameras.values():
            camera.urgent_due_ns = 0
            camera.used |= self._scheduler.state(camera.announce.camera_id) is not CameraState.EMPTY
            self._want(camera)

    def set_rate(self, before_bps: int, rate_bps: int, now_ns: int) -> None:
        """Change the pauses between announcements, which are bits at the reserved share."""
        for camera in self._cameras.values():
            left_ns = max(0, camera.urgent_due_ns - now_ns)
            camera.urgent_due_ns = now_ns + left_ns * before_bps // rate_bps

    def queue_due(self, rate_bps: int, connected: bool, now_ns: int) -> None:
        """Queue the announcements that are due."""
        for camera in self._cameras.values():
            if camera.current is not None and not camera.queued and camera.used:
                self._queue(camera, rate_bps, connected, now_ns)

    def next_ns(self, now_ns: int) -> int | None:
        """Return when the next announcement that frames need is due, or None."""
        return min((
            now_ns if self._fits_gap(camera, now_ns) else camera.urgent_due_ns
            for camera in self._cameras.values()
            if camera.current is not None and camera.used and not camera.queued and (
                camera.urgent)), default=None)

    def _fits_gap(self, camera: _Camera, now_ns: int) -> bool:
        """Return whether announcing a camera now costs no other camera anything."""
        return self._scheduler.has_gap(now_ns) and self._scheduler.has_gap(
            now_ns, self._framer.cut_announcement(camera.current).total_bits(now_ns))

    def _want(self, camera: _Camera) -> None:
        camera.wanted = True
        if camera.current is not None:
            # What leaves before the announcement is lost on the far end.
            self._scheduler.hold(camera.announce.camera_id, True)

    def _queue(self, camera: _Camera, rate_bps: int, connected: bool, now_ns: int) -> None:
        urgent = camera.urgent
        due = now_ns - camera.sent_ns >= self._period_ns and not connected
        if not (urgent or due) or (urgent and now_ns < camera.urgent_due_ns and not (
                self._fits_gap(camera, now_ns))):
            return
        announcement = camera.current
        cut = self._framer.cut_announcement(announcement)
        bits = cut.total_bits(now_ns)

        def note_sent(sent_ns: int) -> None:
            camera.queued = camera.wanted = camera.used = False
            camera.sent, camera.sent_ns = announcement, sent_ns
            self._scheduler.hold(announcement.camera.camera_id, False)

        def note_dropped() -> None:
            camera.queued = False

        camera.queued = self._scheduler.offer_message(QueuedMessage(
            'announcement', Rank.URGENT if urgent else Rank.SLOW, cut, note_sent, note_dropped,
            useful_ns=now_ns + _USEFUL_NS))
        if camera.queued and urgent:
            # Cameras that change all the time take no more than the share of control messages,
            # all of them together.
            pausing = sum(other.urgent_due_ns > now_ns for other in self._cameras.values())
            pause_ns = int((1 + pausing) * bits * NS_PER_S / (rate_bps * self._share))
            camera.urgent_due_ns = now_ns + pause_ns
