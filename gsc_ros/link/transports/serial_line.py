# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Datagrams over a serial line: a radio modem, or a cable.

::

    datagram ──COBS──> 00 stuffed bytes 00 ──8N1──> line

The delimiter in front ends whatever noise a radio delivered before, the one behind lets the far end
have the datagram at once. A line has no addresses and its noise may look like anything, so nothing
but the tag of a datagram says that it is one.
"""

from __future__ import annotations

from dataclasses import dataclass
import errno
import os
import termios

from gsc_ros.link.transports import MAX_MTU, MIN_MTU
from gsc_ros.link.transports.cobs import CobsReader, DELIMITER, encode, encoded_size
import serial

NS_PER_S = 1_000_000_000

# Bits of a byte on the line: start, eight of data, no parity, stop.
LINE_BITS = 10
DATA_BITS = 8
DELIMITERS = 2
MIN_BAUD = 50

# A port that is not there is looked for this often.
_REOPEN_NS = NS_PER_S
# A line that takes nothing is tried again no sooner.
_RETRY_NS = NS_PER_S // 1000
# Where only one end may use the line at a time, the other may keep this one waiting for as many of
# the longest datagrams.
_PATIENCE = 8
_READ_BYTES = 4096
# A call of `receive` reads no more pieces, so that a flood cannot keep an endpoint from its duties.
_MAX_READS = 16


@dataclass(frozen=True)
class SerialCounter:
    """
    What has happened on the line.

    :param malformed: pieces between delimiters that nobody has encoded: noise.
    :param oversized: pieces that were longer than the largest datagram.
    :param openings: how often the port was opened.
    :param hangups: how often it went away.
    :param full: datagrams that had to wait as the line took nothing.
    """

    malformed: int = 0
    oversized: int = 0
    openings: int = 0
    hangups: int = 0
    full: int = 0


class SerialTransport:
    """
    One end of a serial line, 8N1.

    The port need not be there: it is opened as soon as it is, and again whenever it went away.
    The system's buffer never holds more than one datagram, so that what waits does so in the
    scheduler, where newer frames can take its place.

    :param port: path of the device; better one under ``/dev/serial/by-id``, which stays the same.
    :param baud: bits per second on the line, >= 50.
    :param mtu: largest datagram in bytes (32..1500).
    :param count_start_stop: a byte takes 10 bits of the budget, as on the line, not 8, as in a
        modem that sends on the bytes alone.
    :param flow_control: heed RTS and CTS, which modems use whose radio is slower than the line.
    :param added_bytes: what a modem adds to each datagram on the air, >= 0; it counts, too, with 8
        bits per byte.
    :param pause_ns: for a line that only one end may use at a time: begin only after it has been
        silent for so long, >= 0. The end with the shorter pause goes first, so give them different
        ones; 0: both may send at once.
    :raises ValueError: when a value is out of range.
    """

    def __init__(
        self, port: str, baud: int, mtu: int, count_start_stop: bool = True,
        flow_control: bool = False, added_bytes: int = 0, pause_ns: int = 0,
    ) -> None:
        """Open the port if it is there."""
        if baud < MIN_BAUD:
            raise ValueError(f'baud must be >= {MIN_BAUD}, got {baud}')
        if not MIN_MTU <= mtu <= MAX_MTU:
            raise ValueError(f'mtu must be within {MIN_MTU}..{MAX_MTU} bytes, got {mtu}')
        if added_bytes < 0 or pause_ns < 0:
            raise ValueError(
                f'added_bytes and pause_ns must be >= 0, got {added_bytes} and {pause_ns}')
        self._path = port
        self._baud = baud
        self._mtu = mtu
        self._byte_bits = LINE_BITS if count_start_stop else DATA_BITS
        self._added_bits = DATA_BITS * added_bytes
        self._pause_ns = pause_ns
        self._flow_control = flow_control
        self._reader = CobsReader(mtu)
        self._port: serial.Serial | None = None
        self._closed = False
        self._reopen_ns: int | None = None
        self._rest = b''
        self._busy_ns: int | None = None
        self._heard_ns: int | None = None
        self._held_ns: int | None = None
        self._trouble: str | None = None
        self._openings = self._hangups = self._full = 0
        self._open()

    @property
    def mtu(self) -> int:
        """Return the largest datagram taken, in bytes."""
        return self._mtu

    @property
    def counter(self) -> SerialCounter:
        """Return what has happened so far."""
        return SerialCounter(
            self._reader.malformed, self._reader.oversized, self._openings, self._hangups,
            self._full)

    def wire_bits(self, size: int) -> int:
        """Return the most bits of a datagram of ``size`` bytes, stuffed and delimited."""
        return self._byte_bits * (encoded_size(size) + DELIMITERS) + self._added_bits

    def ready_ns(self, now_ns: int) -> int:
        """Return the time from which the next datagram is taken: when the line is idle."""
        self._flush(now_ns)
        if not self._is_open(now_ns):
            return now_ns + NS_PER_S if self._closed else self._reopen_ns
        waiting = len(self._rest) + self._queued()
        if waiting:
            return now_ns + max(_RETRY_NS, self._duration_ns(waiting))
        ready_ns = now_ns if self._busy_ns is None else max(now_ns, self._busy_ns)
        return self._silent_ns(ready_ns, now_ns) if self._pause_ns else ready_ns

    def send(self, datagram: bytes, now_ns: int) -> bool:
        """Write a datagram to the line; False while it is not there or is not ready."""
        if self.ready_ns(now_ns) > now_ns:
            return False
        framed = DELIMITER + encode(datagram) + DELIMITER
        taken = self._write(framed, now_ns)
        if taken == 0:
            self._full += self._port is not None
            return False
        self._rest = framed[taken:] if self._port else b''
        self._busy_ns = now_ns + self._duration_ns(len(framed))
        self._held_ns = None
        return True

    def receive(self, now_ns: int) -> list[bytes]:
        """Return what has arrived whole."""
        self._flush(now_ns)
        datagrams = []
        for _ in range(_MAX_READS):
            if not self._is_open(now_ns):
                break
            try:
                data = os.read(self._port.fileno(), _READ_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                self._hang_up(os.strerror(error.errno), now_ns)
                break
            if not data:
                self._hang_up('the line was hung up', now_ns)
                break
            self._heard_ns = now_ns
            datagrams += self._reader.feed(data)
        return datagrams

    def note_authentic(self, position: int, confirmed: bool) -> None:
        """Do nothing: a line has two ends."""

    def next_arrival_ns(self) -> int | None:
        """Return when the port is to be looked for, or the rest of a datagram to be written."""
        if self._closed:
            return None
        return self._busy_ns if self._port and self._rest else self._reopen_ns

    def fileno(self) -> int | None:
        """Return the port's number; None while it is not there."""
        return self._port.fileno() if self._port else None

    @property
    def trouble(self) -> str | None:
        """Return why the port is not there."""
        return self._trouble

    def close(self) -> None:
        """Close the port for good; what it has not sent yet is lost."""
        self._closed = True
        self._let_go()

    def _silent_ns(self, ready_ns: int, now_ns: int) -> int:
        """Return when the line will have been silent for the pause, if nobody begins before."""
        used_ns = [time_ns for time_ns in (self._busy_ns, self._heard_ns) if time_ns is not None]
        if used_ns:
            ready_ns = max(ready_ns, max(used_ns) + self._pause_ns)
        if ready_ns <= now_ns:
            self._held_ns = None
            return ready_ns
        # A line that is never silent must not silence this end for good.
        if self._held_ns is None:
            self._held_ns = now_ns
        longest_ns = self._duration_ns(encoded_size(self._mtu) + DELIMITERS) + self._pause_ns
        patience_ns = self._held_ns + _PATIENCE * longest_ns
        return max(now_ns, min(ready_ns, patience_ns))

    def _duration_ns(self, count: int) -> int:
        return -(-count * LINE_BITS * NS_PER_S // self._baud)

    def _is_open(self, now_ns: int) -> bool:
        """Return whether the port is open, after looking for it if that is due."""
        if self._port is None and not self._closed:
            if self._reopen_ns is None or now_ns >= self._reopen_ns:
                self._reopen_ns = now_ns + _REOPEN_NS
                self._open()
        return self._port is not None

    def _open(self) -> None:
        try:
            # Reading nothing then means that the line is gone, not that it is silent.
            self._port = serial.Serial(
                self._path, self._baud, timeout=0, write_timeout=0, inter_byte_timeout=0,
                rtscts=self._flow_control, exclusive=True)
        except (OSError, ValueError, termios.error) as error:
            # A driver without such a rate raises ValueError, one that goes away termios.error.
            self._trouble = f'{self._path}: {_reason(error)}'
            return
        self._openings += 1
        self._trouble = self._reopen_ns = self._busy_ns = None

    def _hang_up(self, reason: str, now_ns: int) -> None:
        self._hangups += 1
        self._trouble = f'{self._path}: {reason}'
        self._reopen_ns = now_ns + _REOPEN_NS
        self._let_go()

    def _let_go(self) -> None:
        self._rest = b''
        self._reader.reset()
        if self._port is None:
            return
        try:
            # Else closing waits for a line that may never take it.
            self._port.reset_output_buffer()
        except (OSError, termios.error):
            pass  # the line is gone
        self._port.close()
        self._port = None

    def _queued(self) -> int:
        """Return how many bytes wait in the system's buffer."""
        try:
            return self._port.out_waiting
        except OSError:
            return 0  # not every driver counts them

    def _flush(self, now_ns: int) -> None:
        """Write what is left of a datagram that the line took in part."""
        if self._rest and self._port:
            self._busy_ns = now_ns + max(_RETRY_NS, self._duration_ns(len(self._rest)))
            taken = self._write(self._rest, now_ns)
            self._rest = self._rest[taken:]

    def _write(self, data: bytes, now_ns: int) -> int:
        """Write what the line takes, and return how many bytes that are."""
        try:
            return os.write(self._port.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._hang_up(os.strerror(error.errno), now_ns)
            return 0


def _reason(error: Exception) -> str:
    """Return what an operator can make of an error."""
    number = next((value for value in error.args if isinstance(value, int)), None)
    if number == errno.EAGAIN:
        return 'another process uses it'
    return os.strerror(number) if number else str(error)
