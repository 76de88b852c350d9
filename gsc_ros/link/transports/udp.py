# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Datagrams over UDP, IPv4 or IPv6, to one peer or to several.

The socket is not connected: a peer may be dead, restart, or come back on another interface, and
nothing has to be made anew. Where datagrams come from proves nothing, as anybody can write any
source into them; so a peer is configured, or learned from a datagram whose tag is genuine::

    tag         source        what it gets
    false       any           nothing, ever
    genuine,    not the       nothing while the peer is heard; else one datagram, at most three
    perhaps     peer          times as large as its own, and at most one per second in all: the
    replayed                  answer by which it can prove to be fresh
    genuine,    any           everything: it is the peer from now on
    fresh
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import errno
import socket
import sys

from gsc_ros.link.transports import MIN_MTU
from gsc_ros.link.transports.address import Address, resolve, spell

NS_PER_S = 1_000_000_000

# Bytes of the headers of IP and UDP.
OVERHEAD = {socket.AF_INET: 28, socket.AF_INET6: 48}
_ETHERNET_MTU = 1500
# A call of `receive` takes no more, so that a flood cannot keep an endpoint from its duties.
_MAX_RECEIVED = 256
# After the system has refused a datagram for a reason that may pass, wait for so long.
_RETRY_NS = NS_PER_S // 10
# One who claims to be the peer may get this many times the bytes that it has sent, once, within
# this time, and nobody else for as long.
_ANSWER_FACTOR = 3
_ANSWER_NS = NS_PER_S
# A peer that was heard within this time has not moved and begun anew.
_HEARD_NS = 3 * NS_PER_S
_FULL = {errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM}
# linux/in.h and in6.h, not in `socket`: do not fragment, but say when a datagram is too large;
# bind to an address that no interface has yet.
_DO_NOT_FRAGMENT = {
    socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}
_ALWAYS = 2
_FREE_BIND = {
    socket.AF_INET: (socket.IPPROTO_IP, 15), socket.AF_INET6: (socket.IPPROTO_IPV6, 78)}


@dataclass
class UdpCounter:
    """
    What was not carried.

    :param foreign: datagrams from others than the peers.
    :param malformed: empty datagrams, and those over the MTU.
    :param full: copies that did not fit into the socket.
    :param refused: reports that nobody listens at a peer's port.
    :param unreachable: copies for which the system had no way.
    :param too_large: copies that the path does not take in one piece.
    :param moves: how often another peer was learned.
    """

    foreign: int = 0
    malformed: int = 0
    full: int = 0
    refused: int = 0
    unreachable: int = 0
    too_large: int = 0
    moves: int = 0


@dataclass(frozen=True)
class _Claim:
    """One who may be the peer."""

    source: Address
    size: int
    time_ns: int


class UdpTransport:
    """
    One end of a link over UDP.

    :param bind: local address and port, as ``0.0.0.0:5600`` or ``[::]:5600``; port 0: any. It
        decides between IPv4 and IPv6, for all peers.
    :param peers: address and port of each peer; names are looked up once. Each datagram goes to
        all of them, and the budget counts each copy. They are several ways to one far end, which
        takes in what comes first.
    :param mtu: largest datagram in bytes, 32..1472 with IPv4, 32..1452 with IPv6: no larger one
        crosses an Ethernet in one piece, and more pieces have more headers than are counted.
    :param learn_peer: take datagrams from anywhere; the peer is where the last fresh one came
        from. ``peers`` has none then, or the one to begin with.
    :param added_bytes: what the layers below IP add to each datagram, >= 0; it counts, too.
    :raises ValueError: when an address is malformed or of the wrong kind, the MTU is out of range,
        or there are no peers and none is to be learned.
    :raises OSError: when a name is unknown or the local port is taken. An address that no
        interface has yet is no error.
    """

    def __init__(
        self, bind: str, peers: Sequence[str], mtu: int, learn_peer: bool = False,
        added_bytes: int = 0,
    ) -> None:
        """Open the socket."""
        if not peers and not learn_peer:
            raise ValueError('peers must name one, or learn_peer be set')
        if len(peers) > 1 and learn_peer:
            raise ValueError('learn_peer goes with one peer at most')
        family, local = resolve(bind)
        most = _ETHERNET_MTU - OVERHEAD[family]
        if not MIN_MTU <= mtu <= most:
            raise ValueError(f'mtu must be within {MIN_MTU}..{most} bytes, got {mtu}')
        if added_bytes < 0:
            raise ValueError(f'added_bytes must be >= 0, got {added_bytes}')
        self._peers = [resolve(peer, family)[1] for peer in peers]
        if any(peer[1] == 0 for peer in self._peers):
            raise ValueError('the port of a peer must be within 1..65535')
        self._mtu = mtu
        self._copies = max(1, len(peers))
        self._overhead = OVERHEAD[family] + added_bytes
        self._learn = learn_peer
        self._arrived: list[tuple[Address, int]] = []
        self._claim: _Claim | None = None
        self._answer_ns: int | None = None
        self._heard_ns: int | None = None
        self._retry_ns: int | None = None
        self._now_ns = 0
        self._failure: str | None = None
        self._refused_size = 0
        self.counter = UdpCounter()
        self._socket: socket.socket | None = _open(family, local, self._copies)
        self._address = self._socket.getsockname()[:2]

    @property
    def mtu(self) -> int:
        """Return the largest datagram taken, in bytes."""
        return self._mtu

    @property
    def address(self) -> tuple[str, int]:
        """Return the local address and port."""
        return self._address

    @property
    def peers(self) -> list[str]:
        """Return the peers, as they could be configured."""
        return [spell(peer) for peer in self._peers]

    def wire_bits(self, size: int) -> int:
        """Return the bits of a datagram with its headers, to every peer."""
        return self._copies * 8 * (size + self._overhead)

    def ready_ns(self, now_ns: int) -> int:
        """Return the time from which the next datagram is taken."""
        if self._socket is None or not (self._peers or self._claimed(now_ns)):
            return now_ns + NS_PER_S
        ready_ns = now_ns if self._retry_ns is None else self._retry_ns
        if not self._peers:
            ready_ns = max(ready_ns, self._answer_due_ns(now_ns))
        return max(now_ns, ready_ns)

    def send(self, datagram: bytes, now_ns: int) -> bool:
        """
        Send a datagram to every peer, or as the answer to one who claims to be it.

        :returns: False when it has left to none and may later. One that the path never takes in one
            piece is lost.
        """
        if self._socket is None:
            return False
        claim = self._claimed(now_ns)
        if claim and now_ns >= self._answer_due_ns(now_ns) and (
                len(datagram) <= self._largest_answer(claim)):
            targets = [claim.source]
            self._claim, self._answer_ns = None, now_ns
        else:
            targets = self._peers
        self._failure = None
        gone = 0
        for target in targets:
            gone += self._send_to(target, datagram)
        self._retry_ns = now_ns + _RETRY_NS if self._failure and not gone else None
        return gone > 0

    def receive(self, now_ns: int) -> list[bytes]:
        """Return what has arrived from the peers, or from anywhere with ``learn_peer``."""
        self._now_ns = now_ns
        self._arrived.clear()
        datagrams = []
        for _ in range(_MAX_RECEIVED if self._socket else 0):
            try:
                data, source = self._socket.recvfrom(self._mtu + 1)
            except BlockingIOError:
                break
            except OSError:
                # It is about something that was sent before.
                self.counter.refused += 1
                continue
            if not (self._learn or source in self._peers):
                self.counter.foreign += 1
            elif not 1 <= len(data) <= self._mtu:
                self.counter.malformed += 1
            else:
                datagrams.append(data)
                self._arrived.append((source, len(data)))
        return datagrams

    def note_authentic(self, position: int, confirmed: bool) -> None:
        """Learn the peer from a datagram of the last `receive`; see the module's docstring."""
        if not self._learn:
            return
        source, size = self._arrived[position]
        if confirmed:
            self._heard_ns = self._now_ns
            if source not in self._peers:
                self._peers = [source]
                self._claim = None
                self.counter.moves += 1
        elif source not in self._peers and (
                self._heard_ns is None or self._now_ns - self._heard_ns > _HEARD_NS):
            self._claim = _Claim(source, size, self._now_ns)

    def next_arrival_ns(self) -> None:
        """Return None: nobody knows."""

    def fileno(self) -> int | None:
        """Return the socket's number; None once it is closed."""
        return self._socket.fileno() if self._socket else None

    @property
    def trouble(self) -> str | None:
        """Return why nothing, or not everything, can be sent."""
        if self._failure:
            return self._failure
        if self._refused_size:
            return (f'the path takes no datagram of {self._refused_size} bytes in one piece: '
                    'choose a smaller mtu')
        return None if self._peers else 'no peer has been heard'

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _claimed(self, now_ns: int) -> _Claim | None:
        if self._claim and now_ns - self._claim.time_ns > _ANSWER_NS:
            self._claim = None
        return self._claim

    def _answer_due_ns(self, now_ns: int) -> int:
        return now_ns if self._answer_ns is None else self._answer_ns + _ANSWER_NS

    def _largest_answer(self, claim: _Claim) -> int:
        return _ANSWER_FACTOR * (claim.size + self._overhead) - self._overhead

    def _send_to(self, target: Address, datagram: bytes) -> bool:
        """Send one copy; return whether it has left, or never will."""
        # What is reported first may be about an earlier datagram, and this one was not tried.
        for _ in range(2):
            try:
                self._socket.sendto(datagram, target)
            except OSError as error:
                failure = error
                if error.errno != errno.ECONNREFUSED:
                    break
                self.counter.refused += 1
            else:
                if len(datagram) >= self._refused_size:
                    self._refused_size = 0
                return True
        if failure.errno in _FULL:
            self.counter.full += 1
            return False
        if failure.errno == errno.EMSGSIZE:
            self.counter.too_large += 1
            self._refused_size = min(self._refused_size or self._mtu, len(datagram))
            return True
        if failure.errno != errno.ECONNREFUSED:
            self.counter.unreachable += 1
        self._failure = failure.strerror
        return False


def _open(family: int, local: Address, copies: int) -> socket.socket:
    """Return a socket that never blocks, bound to the local address."""
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        # Room for a few datagrams only: behind a slow interface they wait in the scheduler, where
        # newer ones can take their place.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096 * copies)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if sys.platform == 'linux':
            opened.setsockopt(*_DO_NOT_FRAGMENT[family], _ALWAYS)
            opened.setsockopt(*_FREE_BIND[family], 1)
        opened.bind(local)
    except OSError:
        opened.close()
        raise
    return opened
