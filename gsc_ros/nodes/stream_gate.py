# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Which frames of a camera's stream are worth the link, and when the stream must begin anew.

A frame that refers to one that never left can be decoded by nobody, so it must cost no bit of the
link. The rover's end knows: a frame refers to the one before it, and names it by its checksum.

    BROKEN ──stands alone──> WAITING ──begins to leave──> LEFT ──refers to it──> WAITING
       ^  ^                    │  └── stands alone: WAITING, the old frame is superseded
       │  └─dropped by the link┘
       └── BROKEN asks the sender for a frame that stands alone: at once, then once per second
"""

from __future__ import annotations

from dataclasses import dataclass
import threading

from gsc_ros.codec.packet import checksum, Packet
from gsc_ros.nodes.sequence import MODULUS

# A request may meet a frame that is being coded, or a sender that is not there yet.
ASK_AGAIN_S = 1.0


@dataclass(frozen=True)
class StreamFrame:
    """
    What the gate knows of a frame.

    :param reference: checksum by which the next frame may refer to it; None where the link may
        cut the frame, and so change it.
    :param chained: whether later frames are likely to refer to it: it refers to another itself,
        or the one before did.
    """

    session: int
    sequence: int
    reference: int | None
    chained: bool


class StreamGate:
    """The stream of one camera on its way into the link; any thread may use it."""

    def __init__(self) -> None:
        """Begin before the first frame."""
        self._lock = threading.Lock()
        self._newest: StreamFrame | None = None
        self._left = False
        self._alone: StreamFrame | None = None  # the newest that stood alone
        self._broken = False
        self._referred = False  # the last frame did
        self._asked_s: float | None = None
        self.refused = 0
        self.refreshes = 0

    @property
    def broken(self) -> bool:
        """Whether only a frame that stands alone can go on with the stream."""
        return self._broken

    def admit(self, session: int, sequence: int, packet: Packet, payload: bytes,
              cuttable: bool) -> StreamFrame | None:
        """
        Return the frame that may be offered to the link, or None when nobody could decode it.

        :param packet: the parsed payload.
        :param cuttable: whether the link may shed layers of the frame.
        """
        refers = packet.stream_reference is not None
        with self._lock:
            frame = StreamFrame(
                session, sequence, None if cuttable else checksum(payload),
                not cuttable and (refers or self._referred))
            self._referred = refers
            if not refers:
                self._alone, self._broken, self._asked_s = frame, False, None
            elif not self._follows(frame, packet.stream_reference):
                self.refused += 1
                self._broken = True
                return None
            self._newest, self._left = frame, False
            return frame

    def leaves(self, frame: StreamFrame) -> None:
        """Note that a frame begins to leave."""
        with self._lock:
            if frame is self._newest:
                self._left = True

    def dropped(self, frame: StreamFrame) -> None:
        """Note that the link has given a frame up, before or while it left."""
        with self._lock:
            # One that a frame which stands alone has pushed out is missed by nobody.
            if frame is self._newest and frame.reference is not None:
                self._newest = None
                self._broken = True

    def complain(self, session: int, sequence: int) -> None:
        """
        Note that the far side could not decode a frame.

        What it says of a frame before the newest that stands alone is settled by that one, however
        long the complaint has been under way.
        """
        with self._lock:
            alone = self._alone
            if alone is None or alone.session != session:
                return
            if 0 < (sequence - alone.sequence) % MODULUS < MODULUS // 2:
                self._newest = None
                self._broken = True

    def ask(self, now_s: float) -> bool:
        """Return whether to ask the sender now for a frame that stands alone."""
        with self._lock:
            if not self._broken or (
                    self._asked_s is not None and now_s - self._asked_s < ASK_AGAIN_S):
                return False
            self._asked_s = now_s
            self.refreshes += 1
            return True

    def _follows(self, frame: StreamFrame, reference: int) -> bool:
        before = self._newest
        return before is not None and self._left and not self._broken and (
            before.session, (before.sequence + 1) % MODULUS, before.reference) == (
            frame.session, frame.sequence, reference)
