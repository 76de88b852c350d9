# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Records: every datagram carries a counter and a tag, and is opened at most once.

::

    short  1 byte                                            sealed body, tag
    long   11..18 bytes: key id, epoch, whole counter, echo  sealed body, tag

An end draws an epoch at random when it starts. The far end's epoch is *confirmed* once a record of
it has echoed ours: it has been sealed since we started, so nothing recorded earlier gets in. Until
then its bodies are not handed on. An end is *sure* once the far end has said that it has
confirmed us; then records are short. No message is sent for this: long records carry bodies, too.
`docs/security.md` says what this protects.
"""

from __future__ import annotations

from dataclasses import dataclass
import secrets

from gsc_ros.link.record.cipher import Direction, EPOCH_BYTES, make_cipher, Suite
from gsc_ros.link.record.head import (
    COUNTERS,
    ECHO_BYTES,
    is_long,
    long_bytes,
    LongHead,
    MAX_LONG_BYTES,
    SHORT_COUNTERS,
    short_head,
    Stage,
)
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.peer_epoch import PeerEpoch, PeerTable

NS_PER_S = 1_000_000_000

MAX_DATAGRAM_BYTES = 1500

# A short counter is first taken for one from so far behind the highest seen up to 95 ahead of it.
_SHORT_BEHIND = 32
# Also an end that is sure sends a long record now and then, as the far end cannot tell which short
# counter is meant once more than 222 records in a row are lost.
_SHORT_RUN = 128
_LONG_PERIOD_NS = NS_PER_S
# A body of one byte is a heartbeat: nothing but an answer.
_ANSWER_BYTES = 1


@dataclass(frozen=True)
class RecordConfig:
    """
    Configure the records of one end.

    :param direction: which end this is.
    :param suite: how records are protected; the same at both ends.
    :param keys: pre-shared keys; None only with `Suite.NONE`.
    :param two_way: False on a link without a way back, at both ends: nothing is echoed, and what
        arrives is taken without confirmation.
    :param unsure_ns: after so much silence of the far end, every second has a long record.
    :param epoch: `EPOCH_BYTES` to begin with; None, the default, draws them at random, which
        alone is safe.
    :param counters: records in an epoch, 1..2^32, after which the end draws another one.
    :raises ValueError: when a value is out of range or the keys are missing.
    """

    direction: Direction
    suite: Suite = Suite.NONE
    keys: KeyRing | None = None
    two_way: bool = True
    unsure_ns: int = 3 * NS_PER_S
    epoch: bytes | None = None
    counters: int = COUNTERS

    def __post_init__(self) -> None:
        """Check the ranges."""
        if (self.keys is None) != (self.suite is Suite.NONE):
            raise ValueError(f'suite {self.suite.name} and keys do not fit together')
        if self.epoch is not None and len(self.epoch) != EPOCH_BYTES:
            raise ValueError(f'an epoch has {EPOCH_BYTES} bytes, got {len(self.epoch)}')
        if self.unsure_ns < 1:
            raise ValueError(f'unsure_ns must be >= 1, got {self.unsure_ns}')
        if not 1 <= self.counters <= COUNTERS:
            raise ValueError(f'counters must be within 1..2^32, got {self.counters}')


@dataclass(frozen=True)
class Opened:
    """
    A record that is authentic and new.

    :param counter: uint32, as its sender counted in its epoch; from 0.
    :param body: what was sealed.
    :param restarted: the first of an epoch that took the place of another: the far end has
        restarted, and its counters begin anew.
    """

    counter: int
    body: bytes
    restarted: bool


@dataclass
class RecordCounter:
    """
    Count what was not handed on, and why.

    :param malformed: no record: too short, too long, or of another version.
    :param unknown_key: of a key id that we do not have.
    :param forged: the tag is not right: noise, another key, our own direction, lost counters.
    :param replayed: authentic, but seen before, or too old to tell.
    :param unconfirmed: authentic, of an epoch that has not echoed ours; or short while no epoch
        is confirmed.
    :param peer_restarts: how often one confirmed epoch took the place of another.
    """

    malformed: int = 0
    unknown_key: int = 0
    forged: int = 0
    replayed: int = 0
    unconfirmed: int = 0
    peer_restarts: int = 0


class RecordLayer:
    """
    Seal what one end sends, and open what it receives.

    :param config: keys and direction.
    :param mtu: largest datagram in bytes.
    :param now_ns: the time on the monotonic clock that every later call uses.
    :raises ValueError: when a long record does not fit into the MTU.
    """

    def __init__(self, config: RecordConfig, mtu: int, now_ns: int) -> None:
        """Begin a new epoch."""
        self._config = config
        self._tag_bytes = config.suite.tag_bytes
        least = MAX_LONG_BYTES + 1 + self._tag_bytes
        if not least <= mtu <= MAX_DATAGRAM_BYTES:
            raise ValueError(f'mtu must be within {least}..{MAX_DATAGRAM_BYTES} bytes with '
                             f'{config.suite.name}, got {mtu}')
        self._mtu = mtu
        self._keys = config.keys
        # Without keys there is nothing that a confirmation could protect.
        self._trusting = not config.two_way or config.suite is Suite.NONE
        self._peers = PeerTable()
        self._heard_ns = now_ns
        self.counter = RecordCounter()
        self._earlier: bytes | None = None
        self._begin_epoch(config.epoch or secrets.token_bytes(EPOCH_BYTES))

    @property
    def epoch(self) -> bytes:
        """Return this end's epoch; `next_counter` counts in it, from 0."""
        return self._epoch

    @property
    def next_counter(self) -> int:
        """Return the counter that the next `seal` will use."""
        return self._next

    @property
    def confirmed(self) -> bool:
        """Return whether there is an epoch of the far end whose bodies are handed on."""
        return self._peers.current is not None

    @property
    def accepted(self) -> bool:
        """Return whether the far end has said that it hands on what this end sends."""
        return self._sure

    @property
    def owes_answer(self) -> bool:
        """Return whether the far end waits for an echo, which the next long record brings."""
        return self._peers.owes_answer

    def room(self, now_ns: int) -> int:
        """Return the most bytes of body that fit into a datagram of the form that is due now."""
        is_long = self._is_long_due(_ANSWER_BYTES + 1, now_ns)
        return self._mtu - self._head_bytes(is_long) - self._tag_bytes

    def sealed_size(self, body_bytes: int, now_ns: int) -> int:
        """Return the bytes of the datagram that `seal` would now make of so much body."""
        return body_bytes + self._overhead(body_bytes, now_ns)

    def set_keys(self, keys: KeyRing) -> None:
        """
        Change the keys while the link is in use; nothing is lost that the far end has a key for.

        :raises ValueError: when the suite has no keys.
        """
        if self._keys is None:
            raise ValueError(f'suite {self._config.suite.name} has no keys')
        before, self._keys = self._keys, keys
        gone = {number for number, secret in before.secrets.items()
                if keys.secrets.get(number) != secret}
        self._peers.drop_keys(gone)
        if gone or keys.active != before.active:
            self._renew_epoch()
        if gone:
            # With the peers their replay windows are gone: nothing that echoed us may come back.
            self._earlier = None

    def seal(self, body: bytes, now_ns: int) -> bytes:
        """
        Return the datagram of a body.

        A long record that is due but too large for the MTU goes out short, and stays due.

        :param body: at least one byte, at most `room`, or what fits a short record.
        :raises ValueError: when it does not fit.
        """
        if not body or self.sealed_size(len(body), now_ns) > self._mtu:
            raise ValueError(f'a body has 1..{self.room(now_ns)} bytes, got {len(body)}')
        if self._is_long(len(body), now_ns):
            head = self._long_head(now_ns)
            self._long_ns, self._long_counter = now_ns, self._next
        else:
            head = short_head(self._next)
        datagram = head + self._cipher.seal(self._next, head, body)
        self._next += 1
        if self._next == self._config.counters:
            self._renew_epoch()
        return datagram

    def open(self, datagram: bytes, now_ns: int) -> Opened | None:
        """
        Return what a datagram holds, or None, counted, when it is not authentic and new.

        Nothing is kept and nothing but head and counter is read before the tag is verified.
        Never raises, whatever the bytes are.
        """
        if not 1 + self._tag_bytes < len(datagram) <= MAX_DATAGRAM_BYTES:
            self.counter.malformed += 1
            return None
        if is_long(datagram):
            return self._open_long(datagram, now_ns)
        return self._open_short(datagram, now_ns)

    def _open_short(self, datagram: bytes, now_ns: int) -> Opened | None:
        peer = self._peers.current
        if peer is None:
            self.counter.unconfirmed += 1
            return None
        lowest = peer.window.highest - _SHORT_BEHIND
        nearest = lowest + (datagram[0] - lowest) % SHORT_COUNTERS
        for counter in (nearest, nearest + SHORT_COUNTERS):
            if 0 <= counter < COUNTERS:
                body = peer.cipher.open(counter, datagram[:1], datagram[1:])
                if body is not None:
                    return self._accept(peer, counter, body, now_ns)
        self.counter.forged += 1
        return None

    def _open_long(self, datagram: bytes, now_ns: int) -> Opened | None:
        parsed = LongHead.parse(datagram)
        if parsed is None or len(datagram) <= parsed[1] + self._tag_bytes:
            self.counter.malformed += 1
            return None
        head, body_at = parsed
        peer = self._peers.find(head.name) or self._stranger(head.name)
        if peer is None:
            self.counter.unknown_key += 1
            return None
        body = peer.cipher.open(head.counter, datagram[:body_at], datagram[body_at:])
        if body is None:
            self.counter.forged += 1
            return None
        if peer.window.seen(head.counter):
            self.counter.replayed += 1
            return None
        if self._config.two_way and head.stage is not Stage.SURE and not (
                self._echoes_another(peer, head)):
            self._peers.wait(peer)
        restarted = came_back = False
        if peer is not self._peers.current:
            if not (self._trusting or self._is_echo(head.echo)):
                peer.window.mark(head.counter)
                self._peers.keep_pending(peer)
                self.counter.unconfirmed += 1
                return None
            came_back = self._peers.is_confirmed(peer)
            restarted = self._confirm(peer, head.counter)
        if came_back:
            # A late record of an epoch that has ended, as a rule: ask, and the live one answers.
            self._peers.wait(peer)
        elif head.stage >= Stage.CONFIRMED:
            self._sure = head.echo == self._epoch[:ECHO_BYTES]
        return self._accept(peer, head.counter, body, now_ns, restarted)

    def _accept(
        self, peer: PeerEpoch, counter: int, body: bytes, now_ns: int, restarted: bool = False,
    ) -> Opened | None:
        if peer.window.seen(counter):
            self.counter.replayed += 1
            return None
        peer.window.mark(counter)
        self._heard_ns = now_ns
        self.counter.peer_restarts += restarted
        return Opened(counter, body, restarted)

    def _is_echo(self, echo: bytes) -> bool:
        """Return whether what a record echoes has been drawn by this process, and lately."""
        return any(epoch is not None and echo == epoch[:ECHO_BYTES]
                   for epoch in (self._epoch, self._earlier))

    def _echoes_another(self, peer: PeerEpoch, head: LongHead) -> bool:
        """Return whether the live far end answers what is not ours: that asks nothing of us."""
        return peer is self._peers.current and head.stage is Stage.ECHO and (
            not self._is_echo(head.echo))

    def _stranger(self, name: bytes) -> PeerEpoch | None:
        """Return an epoch that has not been heard yet, which is not kept."""
        secret = None
        if self._keys is not None:
            secret = self._keys.secrets.get(name[0])
        if secret is None and (self._keys is not None or name[0]):
            return None
        direction = self._config.direction.reverse
        return PeerEpoch(name, make_cipher(self._config.suite, secret, direction, name[1:]))

    def _confirm(self, peer: PeerEpoch, counter: int) -> bool:
        """Hand on what this epoch sends from now on; return whether there was another before."""
        # What it sealed before this record may have been recorded before we started.
        restarted = self._peers.confirm(peer, 0 if self._trusting else counter)
        self._sure = False
        if self._peers.is_full and self._trusting:
            self._peers.drop_oldest()
        elif self._peers.is_full:
            # What is forgotten must not come back: it has echoed our epoch, not the next one.
            self._renew_epoch()
            self._earlier = None
            self._peers.drop_all_but_current()
        return restarted

    def _renew_epoch(self) -> None:
        """Draw another epoch; what echoes this one is still confirmed, as it may be on its way."""
        self._earlier = self._epoch
        self._begin_epoch(secrets.token_bytes(EPOCH_BYTES))

    def _begin_epoch(self, epoch: bytes) -> None:
        config = self._config
        self._key_id = self._keys.active if self._keys else 0
        secret = self._keys.secrets[self._key_id] if self._keys else None
        self._epoch = epoch
        self._cipher = make_cipher(config.suite, secret, config.direction, epoch)
        self._next = 0
        self._sure = False
        self._long_ns: int | None = None
        self._long_counter = 0

    def _is_long(self, body_bytes: int, now_ns: int) -> bool:
        fits = self._long_bytes() + body_bytes + self._tag_bytes <= self._mtu
        return fits and self._is_long_due(body_bytes, now_ns)

    def _is_long_due(self, body_bytes: int, now_ns: int) -> bool:
        if self._long_ns is None or self._peers.current_waits:
            return True
        # Strangers may be recordings: while the live far end is content, they get heartbeats only.
        if self._peers.owes_answer and (not self._sure or body_bytes <= _ANSWER_BYTES):
            return True
        if self._next - self._long_counter >= _SHORT_RUN:
            return True
        if self._config.two_way:
            if not self._sure:
                return True
            if now_ns - self._heard_ns <= self._config.unsure_ns:
                return False
        return now_ns - self._long_ns >= _LONG_PERIOD_NS

    def _overhead(self, body_bytes: int, now_ns: int) -> int:
        return self._head_bytes(self._is_long(body_bytes, now_ns)) + self._tag_bytes

    def _head_bytes(self, is_long: bool) -> int:
        return self._long_bytes() if is_long else 1

    def _long_bytes(self) -> int:
        return long_bytes(self._next, self._echoed() is not None)

    def _echoed(self) -> PeerEpoch | None:
        """Return the epoch that the next long record echoes: first those who wait for it."""
        if not self._config.two_way:
            return None
        return self._peers.to_echo()

    def _long_head(self, now_ns: int) -> bytes:
        peer = self._echoed()
        name = bytes([self._key_id]) + self._epoch
        if peer is None:
            return LongHead(Stage.HELLO, name, self._next).pack()
        self._peers.answered(peer)
        silent = now_ns - self._heard_ns > self._config.unsure_ns
        if peer is not self._peers.current:
            stage = Stage.ECHO
        else:
            stage = Stage.SURE if self._sure and not silent else Stage.CONFIRMED
        return LongHead(stage, name, self._next, peer.echo).pack()
