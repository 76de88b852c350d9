# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The ground's spool: what has arrived, for each sender's spool in the order of its numbers.

::

    arrive, pass_over ──> staged ──commit──> held, until all before it is here or known to be gone
                                                └──take──> handed on: in order, once

Of each spool it knows `next`, the first number that it still needs, and `handed`, the first that
it has not handed on. One transaction stores what came and moves `next`; only after it the far end
is told. Another one moves `handed`, and only after it the frames are handed on. It need not wait
for the disk: after a kill the system still knows it, and after a restart of the system what lies
between the two numbers, which is little, counts as handed on and is in the store only.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
import sqlite3

from gsc_ros.link.spool.error import SpoolError
from gsc_ros.link.spool.room import make_room
from gsc_ros.link.spool.store import (
    add_camera,
    open_spool,
    read_cameras,
    read_frames,
    Role,
    ROW_BYTES,
    set_aside,
    SpoolCamera,
    SpoolFrame,
)

# Numbers beyond `next` that are stored: as far as acknowledgements reach.
WINDOW = 96
# Spools that are remembered: a rover takes a new one when its file was lost or put back.
_MAX_PEERS = 64


@dataclass
class IncomingCounter:
    """
    What has happened since the store was opened.

    :param stored: frames that arrived for the first time.
    :param duplicates: frames that had arrived or been given up before.
    :param handed: frames handed on.
    :param evicted: frames that the far end reported as given up.
    :param abandoned: frames that will not come, because a new spool took the place of theirs.
    :param discarded: frames that were handed on and then deleted to keep to the quota.
    :param failures: commits that the disk refused.
    """

    stored: int = 0
    duplicates: int = 0
    handed: int = 0
    evicted: int = 0
    abandoned: int = 0
    discarded: int = 0
    failures: int = 0


@dataclass
class _Peer:
    """One sender's spool: where it stands durably, and what has come since."""

    key: int
    id: bytes
    next: int
    handed: int
    held: set[int] = field(default_factory=set)
    staged: dict[int, tuple] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)


class IncomingStore:
    """
    What has arrived from spools. Not for several threads at once.

    A file that is damaged is renamed, and a new one made; `aside` is then its new name, else None.

    :param path: the database; made when it does not exist.
    :param quota_bytes: what frames may take, `ROW_BYTES` for each and their packets, >= 1; beyond
        it those that were handed on first are deleted.
    :raises SpoolError: of the kind that says why the file cannot be used.
    :raises ValueError: the quota is out of range.
    """

    def __init__(self, path: Path, quota_bytes: int) -> None:
        """Open the spool."""
        if quota_bytes < 1:
            raise ValueError(f'quota_bytes must be >= 1, got {quota_bytes}')
        self._quota = quota_bytes
        self.counter = IncomingCounter()
        self._open(path)

    def _open(self, path: Path) -> None:
        self._file, self.aside = open_spool(path, Role.INCOMING)
        self._peers: dict[bytes, _Peer] = {}
        self._dirty = False
        connection = self._file.connection
        boot = _boot_id()
        with self._file.transaction():
            self._bytes, before = connection.execute('SELECT bytes, boot FROM spool').fetchone()
            if not boot or boot != before:
                connection.execute('UPDATE peer SET handed = next')
                connection.execute('UPDATE spool SET boot = ?', (boot,))
            for key, identity, after, handed in connection.execute(
                    'SELECT key, id, next, handed FROM peer'):
                held = {number for number, in connection.execute(
                    'SELECT number FROM frame WHERE peer = ? AND number >= ?', (key, after))}
                self._peers[identity] = _Peer(key, identity, after, handed, held)

    @property
    def path(self) -> Path:
        """Return the database's path."""
        return self._file.path

    @property
    def bytes(self) -> int:
        """Return what the frames take, as the quota counts."""
        return self._bytes

    @property
    def dirty(self) -> bool:
        """Return whether `commit` has something to do."""
        return self._dirty

    def close(self) -> None:
        """Let go of the file; what was not committed will be sent again."""
        self._file.close()

    def replace(self) -> None:
        """
        Go on with a new file, because this one turned out to be damaged; `aside` names the old one.

        :raises SpoolError: the file cannot be renamed, or no new one be made.
        """
        with suppress(SpoolError):
            self._file.close()
        aside = set_aside(self.path)
        self._open(self.path)
        self.aside = aside

    def identify(self, tag: bytes) -> bytes | None:
        """Return the identity of the spool met last whose identity begins so, or None."""
        found = [identity for identity in self._peers if identity.startswith(tag)]
        return found[-1] if found else None

    def next_number(self, identity: bytes) -> int | None:
        """Return the first number still needed of a spool, durably so; None: never met."""
        peer = self._peers.get(identity)
        return None if peer is None else peer.next

    def held(self, identity: bytes) -> frozenset[int]:
        """Return the numbers beyond the first needed one that are stored, durably so."""
        return frozenset(self._peers[identity].held)

    def meet(self, identity: bytes, floor: int) -> None:
        """
        Make a spool the one that frames come from.

        If it is new, all below `floor` counts as settled before our time. What other spools have
        left unfinished is released: nobody can fill their gaps any more.

        :raises SpoolError: as `commit`.
        """
        ended: dict[bytes, _Peer] = {}
        abandoned = 0
        forgotten = self._to_forget(identity)
        with self._file.transaction() as connection:
            gone = [self._forget(connection, peer) for peer in forgotten]
            for peer in self._peers.values():
                if peer.id == identity or not peer.held or peer in forgotten:
                    continue
                end = max(peer.held) + 1
                lost = end - peer.next - len(peer.held)
                connection.execute('UPDATE peer SET next = ?, abandoned = abandoned + ? '
                                   'WHERE key = ?', (end, lost, peer.key))
                ended[peer.id] = _Peer(peer.key, peer.id, end, peer.handed)
                abandoned += lost
            if identity not in self._peers:
                key = connection.execute(
                    'INSERT INTO peer (id, next, handed, evicted, abandoned) VALUES (?,?,?,0,0)',
                    (identity, floor, floor)).lastrowid
                ended[identity] = _Peer(key, identity, floor, floor)
        self._peers |= ended
        for peer in forgotten:
            del self._peers[peer.id]
        self._peers[identity] = self._peers.pop(identity)
        self._bytes -= sum(size for _, size in gone)
        self.counter.abandoned += abandoned
        self.counter.discarded += sum(frames for frames, _ in gone)

    def _to_forget(self, identity: bytes) -> list[_Peer]:
        """Return the spools that must go when one is met: if possible empty ones, the oldest."""
        excess = len(self._peers.keys() | {identity}) - _MAX_PEERS
        if excess <= 0:
            return []
        settled = [peer for peer in self._peers.values() if peer.id != identity
                   and peer.handed == peer.next and not peer.held]
        with self._file.errors():
            used = {key for key, in self._file.connection.execute(
                'SELECT key FROM peer WHERE EXISTS (SELECT 1 FROM frame WHERE peer = peer.key)')}
        return sorted(settled, key=lambda peer: peer.key in used)[:excess]

    @staticmethod
    def _forget(connection: sqlite3.Connection, peer: _Peer) -> tuple[int, int]:
        """Delete a spool and what has come from it; return how many frames, and their bytes."""
        frames, size = connection.execute(
            'SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM frame WHERE peer = ?',
            (peer.key,)).fetchone()
        for table, column in (('frame', 'peer'), ('camera', 'peer'), ('peer', 'key')):
            connection.execute(f'DELETE FROM {table} WHERE {column} = ?', (peer.key,))
        connection.execute('UPDATE spool SET bytes = bytes - ?', (size,))
        return frames, size

    def take(self) -> list[SpoolFrame]:
        """
        Return what is to be handed on, in order; it has been noted as handed on.

        :raises SpoolError: as `commit`; nothing has been noted then.
        """
        peers = [peer for peer in self._peers.values() if peer.handed < peer.next]
        if not peers:
            return []
        frames: list[SpoolFrame] = []
        with self._file.transaction(durable=False) as connection:
            for peer in peers:
                frames += read_frames(
                    connection, 'WHERE frame.peer = ? AND frame.number >= ? AND frame.number < ? '
                    'ORDER BY frame.number', (peer.key, peer.handed, peer.next))
                connection.execute(
                    'UPDATE peer SET handed = next WHERE key = ?', (peer.key,))
        for peer in peers:
            peer.handed = peer.next
        self.counter.handed += len(frames)
        return frames

    def camera(self, identity: bytes, number: int) -> SpoolCamera | None:
        """Return what a spool's camera is, or None when it is not known."""
        with self._file.errors():
            found = read_cameras(
                self._file.connection, 'WHERE peer = ? AND number = ?',
                (self._peers[identity].key, number))
        return found[0][1] if found else None

    def add_camera(self, identity: bytes, number: int, about: SpoolCamera) -> None:
        """
        Store a spool's camera, if it is not known.

        :raises SpoolError: as `commit`.
        """
        if self.camera(identity, number) is None:
            with self._file.transaction() as connection:
                add_camera(connection, about, self._peers[identity].key, number)

    def arrive(
        self, identity: bytes, number: int, camera: int, sequence: int, stamp_ns: int,
        encode_ms: float, packet: bytes,
    ) -> bool:
        """
        Take in a frame of a known camera; it is durable after the next `commit`.

        :returns: False when it had arrived before, or is beyond what can be stored.
        """
        peer = self._peers[identity]
        if number < peer.next or number in peer.held or number in peer.staged:
            self.counter.duplicates += 1
            return False
        if number >= self._reach(peer) + WINDOW:
            return False
        peer.staged[number] = (camera, sequence, stamp_ns, encode_ms, packet)
        self._dirty = True
        return True

    def pass_over(self, identity: bytes, start: int, end: int) -> None:
        """Note that the numbers start..end-1 will not come, but for those that are here."""
        peer = self._peers[identity]
        start = max(start, peer.next)
        if start < end and (start, end) not in peer.gaps and len(peer.gaps) < 2 * WINDOW:
            peer.gaps.append((start, end))
            self._dirty = True

    @staticmethod
    def _reach(peer: _Peer) -> int:
        """Return the first number that would still be needed once what is staged is stored."""
        return _advance(peer.next, peer.held | peer.staged.keys(), peer.gaps)[0]

    def commit(self) -> str | None:
        """
        Make durable what has arrived, in one transaction, and keep to the quota.

        :returns: what is to be said of the disk, although it has been done; or None.
        :raises SpoolDiskError: nothing has changed on disk; what had come will have to come again.
        :raises SpoolDamagedError: the file is damaged.
        """
        if not self.dirty:
            return None
        try:
            return make_room(self._commit, self._quota, self._bytes, self._note_full)
        finally:
            self._dirty = False
            for peer in self._peers.values():
                peer.staged.clear()

    def _note_full(self) -> None:
        self.counter.failures += 1

    def _commit(self, quota: int) -> None:
        after: list[tuple[_Peer, int, set[int], list]] = []
        stored = gone = 0
        with self._file.transaction() as connection:
            coming = sum(len(packet) + ROW_BYTES for peer in self._peers.values()
                         for *_, packet in peer.staged.values())
            freed, touched = self._discard(connection, self._bytes + coming - quota)
            total = self._bytes + coming - sum(freed)
            for peer in self._peers.values():
                if not peer.staged and not peer.gaps:
                    continue
                for number, row in peer.staged.items():
                    _insert(connection, peer.key, number, *row)
                have = peer.held | peer.staged.keys()
                reached, evicted = _advance(peer.next, have, peer.gaps)
                connection.execute('UPDATE peer SET next = ?, evicted = evicted + ? WHERE key = ?',
                                   (reached, evicted, peer.key))
                stored, gone = stored + len(peer.staged), gone + evicted
                after.append((peer, reached, {number for number in have if number >= reached},
                              [gap for gap in peer.gaps if gap[1] > reached]))
            _forget_unused(connection, touched)
            connection.execute('UPDATE spool SET bytes = ?', (total,))
        self._bytes = total
        for peer, reached, held, gaps in after:
            peer.next, peer.held, peer.gaps = reached, held, gaps
        self.counter.stored += stored
        self.counter.evicted += gone
        self.counter.discarded += len(freed)

    @staticmethod
    def _discard(connection: sqlite3.Connection, excess: int) -> tuple[list[int], set[int]]:
        """Delete the frames handed on first; return the bytes of each, and their cameras."""
        freed: list[int] = []
        cameras: set[int] = set()
        if excess <= 0:
            return freed, cameras
        rows = connection.execute(
            'SELECT frame.key, frame.bytes, frame.camera FROM frame JOIN peer ON peer.key = '
            'frame.peer WHERE frame.number < peer.handed ORDER BY frame.key')
        keys = []
        for key, size, camera in rows:
            if excess <= 0:
                break
            excess -= size
            keys.append((key,))
            freed.append(size)
            cameras.add(camera)
        connection.executemany('DELETE FROM frame WHERE key = ?', keys)
        return freed, cameras


def _forget_unused(connection: sqlite3.Connection, cameras: set[int]) -> None:
    """Delete cameras without frames; the far end tells them again when it is asked."""
    connection.executemany(
        'DELETE FROM camera WHERE key = ? AND NOT EXISTS '
        '(SELECT 1 FROM frame WHERE camera = ?)', [(key, key) for key in cameras])


def _advance(first: int, have: set[int], gaps: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the first number that is neither here nor in a gap, and how many gaps it passed."""
    evicted = 0
    while True:
        if first in have:
            first += 1
            continue
        end = max((end for start, end in gaps if start <= first < end), default=None)
        if end is None:
            return first, evicted
        stop = min((number for number in have if first < number < end), default=end)
        evicted += stop - first
        first = stop


def _insert(
    connection: sqlite3.Connection, peer: int, number: int, camera: int, sequence: int,
    stamp_ns: int, encode_ms: float, packet: bytes,
) -> None:
    connection.execute(
        'INSERT INTO frame (peer, number, camera, priority, sequence, stamp_ns, encode_ms, bytes, '
        'packet) SELECT ?,?,key,priority,?,?,?,?,? FROM camera WHERE peer = ? AND number = ?',
        (peer, number, sequence, stamp_ns, encode_ms, len(packet) + ROW_BYTES, packet, peer,
         camera))


def _boot_id() -> str:
    """Return what is another after each start of the system; empty when that is not known."""
    try:
        return Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    except OSError:
        return ''
