# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Records: every datagram carries a counter and a tag, and is opened at most once.

::

    short  0ccccccc                                              sealed body, tag
    long   1vvvssnn key id 1, epoch 8, counter 1..4, [echo 4]    sealed body, tag

    c counter, lowest 7 bits   v version   n counter bytes - 1
    s stage: 0 HELLO without echo, 1 ECHO, 2 CONFIRMED, 3 SURE

An end draws an epoch at random when it starts. The far end's epoch is *confirmed* once a record of
it has echoed ours: it has been sealed since we started, so nothing recorded earlier gets in. Until
then its bodies are not handed on. An end is *sure* once the far end has said that it has
confirmed us; then records are short. No message is sent for this: long records carry bodies, too.
`docs/security.md` says what this protects.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum
import secrets

from gsc_ros.link.cipher import Cipher, Direction, EPOCH_BYTES, make_cipher, Suite
from gsc_ros.link.replay_window import ReplayWindow
from gsc_ros.link.security import KeyRing

NS_PER_S = 1_000_000_000

VERSION = 1
MAX_DATAGRAM_BYTES = 1500
COUNTERS = 1 << 32

_LONG = 0x80
_NAME = slice(1, 2 + EPOCH_BYTES)  # key id and epoch, which name a sender's process
_COUNTER_AT = 2 + EPOCH_BYTES
_ECHO_BYTES = 4
_MAX_LONG_BYTES = _COUNTER_AT + 4 + _ECHO_BYTES

# A short counter is taken for the one of these that is nearest to the highest seen.
_SHORT_COUNTERS = 128
_SHORT_BEHIND = 32
# Also an end that is sure sends a long record now and then, as short counters are lost track of
# when more than these in a row are lost.
_SHORT_RUN = 128
_LONG_PERIOD_NS = NS_PER_S

_MAX_PENDING = 4
_MAX_CONFIRMED = 64


class Stage(IntEnum):
    """What the sender of a long record knows; from ECHO on it carries an echo."""

    HELLO = 0
    ECHO = 1
    CONFIRMED = 2
    SURE = 3


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


class _Peer:
    """What is known of one epoch of the far end."""

    def __init__(self, name: bytes, cipher: Cipher) -> None:
        self.name = name
        self.cipher = cipher
        self.window = ReplayWindow()

    @property
    def echo(self) -> bytes:
        return self.name[1:1 + _ECHO_BYTES]


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
        least = _MAX_LONG_BYTES + 1 + self._tag_bytes
        if not least <= mtu <= MAX_DATAGRAM_BYTES:
            raise ValueError(f'mtu must be within {least}..{MAX_DATAGRAM_BYTES} bytes with '
                             f'{config.suite.name}, got {mtu}')
        self._mtu = mtu
        self._keys = config.keys
        # Without keys there is nothing that a confirmation could protect.
        self._trusting = not config.two_way or config.suite is Suite.NONE
        self._pending: OrderedDict[bytes, _Peer] = OrderedDict()
        self._known: OrderedDict[bytes, _Peer] = OrderedDict()
        self._waiting: OrderedDict[bytes, _Peer] = OrderedDict()
        self._current: _Peer | None = None
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
        return self._current is not None

    @property
    def accepted(self) -> bool:
        """Return whether the far end has said that it hands on what this end sends."""
        return self._sure

    @property
    def owes_answer(self) -> bool:
        """Return whether the far end waits for an echo, which the next long record brings."""
        return bool(self._waiting)

    def room(self, now_ns: int) -> int:
        """Return the most bytes of body that fit into a datagram of the form that is due now."""
        return self._mtu - self._overhead(1, now_ns)

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
        for peers in (self._known, self._pending, self._waiting):
            for name in [name for name in peers if name[0] in gone]:
                del peers[name]
        if self._current is not None and self._current.name[0] in gone:
            self._current = None
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
            head = bytes([self._next % _SHORT_COUNTERS])
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
        if datagram[0] & _LONG:
            return self._open_long(datagram, now_ns)
        return self._open_short(datagram, now_ns)

    def _open_short(self, datagram: bytes, now_ns: int) -> Opened | None:
        peer = self._current
        if peer is None:
            self.counter.unconfirmed += 1
            return None
        lowest = peer.window.highest - _SHORT_BEHIND
        nearest = lowest + (datagram[0] - lowest) % _SHORT_COUNTERS
        for counter in (nearest, nearest + _SHORT_COUNTERS):
            if 0 <= counter < COUNTERS:
                body = peer.cipher.open(counter, datagram[:1], datagram[1:])
                if body is not None:
                    return self._accept(peer, counter, body, now_ns)
        self.counter.forged += 1
        return None

    def _open_long(self, datagram: bytes, now_ns: int) -> Opened | None:
        stage = Stage(datagram[0] >> 2 & 3)
        echo_at = _COUNTER_AT + (datagram[0] & 3) + 1
        body_at = echo_at + (_ECHO_BYTES if stage else 0)
        if datagram[0] >> 4 & 7 != VERSION or len(datagram) <= body_at + self._tag_bytes:
            self.counter.malformed += 1
            return None
        name = datagram[_NAME]
        peer = self._known.get(name) or self._pending.get(name) or self._stranger(name)
        if peer is None:
            self.counter.unknown_key += 1
            return None
        counter = int.from_bytes(datagram[_COUNTER_AT:echo_at], 'big')
        body = peer.cipher.open(counter, datagram[:body_at], datagram[body_at:])
        if body is None:
            self.counter.forged += 1
            return None
        if peer.window.seen(counter):
            self.counter.replayed += 1
            return None
        echo = datagram[echo_at:body_at]
        echoes_us = echo == self._epoch[:_ECHO_BYTES]
        is_recent = echoes_us or (
            self._earlier is not None and echo == self._earlier[:_ECHO_BYTES])
        if self._config.two_way and stage is not Stage.SURE:
            self._waiting[name] = peer
        if not (peer is self._current or self._trusting or is_recent):
            self._keep_pending(peer, counter)
            return None
        restarted = self._confirm(peer, counter)
        if stage >= Stage.CONFIRMED:
            self._sure = echoes_us
        opened = self._accept(peer, counter, body, now_ns, restarted)
        if len(self._known) > _MAX_CONFIRMED:
            self._forget_old()
        return opened

    def _accept(
        self, peer: _Peer, counter: int, body: bytes, now_ns: int, restarted: bool = False,
    ) -> Opened | None:
        if peer.window.seen(counter):
            self.counter.replayed += 1
            return None
        peer.window.mark(counter)
        self._heard_ns = now_ns
        self.counter.peer_restarts += restarted
        return Opened(counter, body, restarted)

    def _stranger(self, name: bytes) -> _Peer | None:
        """Return an epoch that has not been heard yet, which is not kept."""
        secret = None
        if self._keys is not None:
            secret = self._keys.secrets.get(name[0])
        if secret is None and (self._keys is not None or name[0]):
            return None
        direction = self._config.direction.reverse
        return _Peer(name, make_cipher(self._config.suite, secret, direction, name[1:]))

    def _keep_pending(self, peer: _Peer, counter: int) -> None:
        """Remember an epoch to echo it. Recorded ones come here, too: few are kept."""
        self.counter.unconfirmed += 1
        peer.window.mark(counter)
        if peer.name in self._known:
            return
        self._pending[peer.name] = peer
        self._pending.move_to_end(peer.name)
        if len(self._pending) > _MAX_PENDING:
            name, _ = self._pending.popitem(last=False)
            self._waiting.pop(name, None)

    def _confirm(self, peer: _Peer, counter: int) -> bool:
        """Make an epoch the far end's present one; return whether it had another before."""
        if peer is self._current:
            return False
        if peer.name not in self._known:
            self._pending.pop(peer.name, None)
            self._known[peer.name] = peer
            # What it sealed before this record may have been recorded before we started.
            peer.window = ReplayWindow(0 if self._trusting else counter)
        restarted = self._current is not None
        self._known.move_to_end(peer.name)
        self._current = peer
        self._sure = False
        return restarted

    def _forget_old(self) -> None:
        """Bound the confirmed epochs, none of which could be told from a new one otherwise."""
        if self._trusting:
            self._waiting.pop(self._known.popitem(last=False)[0], None)
            return
        # What echoed our epoch so far cannot be confirmed in a new one.
        self._renew_epoch()
        self._earlier = None
        current = self._current
        self._known = OrderedDict({current.name: current})
        self._waiting = OrderedDict({current.name: current})

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
        return fits and self._is_long_due(now_ns)

    def _is_long_due(self, now_ns: int) -> bool:
        if self._long_ns is None or self._waiting:
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
        head = self._long_bytes() if self._is_long(body_bytes, now_ns) else 1
        return head + self._tag_bytes

    def _long_bytes(self) -> int:
        echo = _ECHO_BYTES if self._echoed() else 0
        return _COUNTER_AT + _counter_bytes(self._next) + echo

    def _echoed(self) -> _Peer | None:
        """Return the epoch that the next long record echoes: first those who wait for it."""
        if not self._config.two_way:
            return None
        if self._waiting:
            return next(iter(self._waiting.values()))
        if self._current is None and self._pending:
            return next(reversed(self._pending.values()))
        return self._current

    def _long_head(self, now_ns: int) -> bytes:
        peer = self._echoed()
        if peer is None:
            stage, echo = Stage.HELLO, b''
        else:
            self._waiting.pop(peer.name, None)
            silent = now_ns - self._heard_ns > self._config.unsure_ns
            if peer is not self._current:
                stage = Stage.ECHO
            else:
                stage = Stage.SURE if self._sure and not silent else Stage.CONFIRMED
            echo = peer.echo
        size = _counter_bytes(self._next)
        head = _LONG | VERSION << 4 | stage << 2 | size - 1
        return b''.join((
            bytes([head, self._key_id]), self._epoch, self._next.to_bytes(size, 'big'), echo))


def _counter_bytes(counter: int) -> int:
    return max(1, (counter.bit_length() + 7) // 8)
