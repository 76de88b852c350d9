# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The epochs of the far end that an end has heard: which is the present one, which wait."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
import random

from gsc_ros.link.record.cipher import Cipher
from gsc_ros.link.record.head import ECHO_BYTES
from gsc_ros.link.record.replay_window import ReplayWindow

# Recordings of old sessions come here, too: so many are kept, of 1 kB each, that those of a few
# dozen sessions count once, and so few wait for an echo that the live one is among them.
_MAX_PENDING = 128
_MAX_WAITING = 4
MAX_CONFIRMED = 64


class PeerEpoch:
    """
    What is known of one epoch of the far end.

    :param name: its key id and epoch, as a long record begins.
    :param cipher: opens its records.
    """

    def __init__(self, name: bytes, cipher: Cipher) -> None:
        """Begin with nothing seen."""
        self.name = name
        self.cipher = cipher
        self.window = ReplayWindow()

    @property
    def key_id(self) -> int:
        """Return the id of the key that it is sealed with."""
        return self.name[0]

    @property
    def echo(self) -> bytes:
        """Return what a long record echoes of it."""
        return self.name[1:1 + ECHO_BYTES]


class PeerTable:
    """
    The epochs of the far end, in bounded memory.

    Confirmed epochs keep their replay windows after another has taken their place, so that nothing
    of them gets in twice.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.current: PeerEpoch | None = None
        self._confirmed: OrderedDict[bytes, PeerEpoch] = OrderedDict()
        self._pending: OrderedDict[bytes, PeerEpoch] = OrderedDict()
        self._waiting: OrderedDict[bytes, PeerEpoch] = OrderedDict()

    @property
    def is_full(self) -> bool:
        """Return whether there are more confirmed epochs than may be kept."""
        return len(self._confirmed) > MAX_CONFIRMED

    @property
    def owes_answer(self) -> bool:
        """Return whether an epoch waits to be echoed."""
        return bool(self._waiting)

    @property
    def current_waits(self) -> bool:
        """Return whether the present epoch waits to be echoed, which no recording can feign."""
        return self.current is not None and self.current.name in self._waiting

    def find(self, name: bytes) -> PeerEpoch | None:
        """Return an epoch that is kept."""
        return self._confirmed.get(name) or self._pending.get(name)

    def is_confirmed(self, peer: PeerEpoch) -> bool:
        """Return whether an epoch is or was the present one."""
        return peer.name in self._confirmed

    def wait(self, peer: PeerEpoch) -> None:
        """
        Note that an epoch waits to be echoed; those who wait are served in turn.

        Where too many wait, one of them goes by chance: no rhythm of recordings hits always the
        live one.
        """
        self._waiting[peer.name] = peer
        if len(self._waiting) > _MAX_WAITING:
            self._waiting.pop(random.choice([
                name for name, other in self._waiting.items()
                if other is not peer and other is not self.current]))

    def answered(self, peer: PeerEpoch) -> None:
        """Note that an epoch has been echoed."""
        self._waiting.pop(peer.name, None)

    def to_echo(self) -> PeerEpoch | None:
        """Return the epoch to echo next: the present one if it waits, else another that does."""
        if self.current_waits:
            return self.current
        if self._waiting:
            return next(iter(self._waiting.values()))
        if self.current is None and self._pending:
            return next(reversed(self._pending.values()))
        return self.current

    def keep_pending(self, peer: PeerEpoch) -> None:
        """Keep an epoch that is authentic, but may be a recording."""
        if peer.name in self._confirmed:
            return
        self._pending[peer.name] = peer
        self._pending.move_to_end(peer.name)
        if len(self._pending) > _MAX_PENDING:
            _, oldest = self._pending.popitem(last=False)
            self.answered(oldest)

    def confirm(self, peer: PeerEpoch, floor: int) -> bool:
        """
        Make an epoch the present one.

        :param floor: when it was not confirmed before, counters below are never taken.
        :returns: whether there was another before.
        """
        if peer.name not in self._confirmed:
            self._pending.pop(peer.name, None)
            self._confirmed[peer.name] = peer
            peer.window = ReplayWindow(floor)
        restarted = self.current is not None
        self._confirmed.move_to_end(peer.name)
        self.current = peer
        return restarted

    def drop_oldest(self) -> None:
        """Forget the epoch that was confirmed longest ago."""
        _, oldest = self._confirmed.popitem(last=False)
        self.answered(oldest)

    def drop_all_but_current(self) -> None:
        """Forget every other epoch, confirmed or not."""
        current = self.current
        for peers in (self._confirmed, self._pending, self._waiting):
            for name in [name for name in peers if current is None or name != current.name]:
                del peers[name]

    def drop_keys(self, gone: Collection[int]) -> None:
        """Forget the epochs that are sealed with certain keys."""
        for peers in (self._confirmed, self._pending, self._waiting):
            for name in [name for name, peer in peers.items() if peer.key_id in gone]:
                del peers[name]
        if self.current is not None and self.current.key_id in gone:
            self.current = None
