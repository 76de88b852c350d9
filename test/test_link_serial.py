# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pseudo-terminals in the place of serial ports; the bytes pass through the system."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

from gsc_ros.link.transports.cobs import encode
from gsc_ros.link.transports.serial_line import SerialTransport
from gsc_ros.link.wait import Waiter
import pytest
from serial_cable import Port, SerialCable

MS = 1_000_000
S = 1_000_000_000
FAST = 4_000_000


@pytest.fixture
def port(tmp_path):
    made = Port(tmp_path / 'radio')
    yield made
    made.unplug()


@pytest.fixture
def make():
    """Return a function that makes transports, which are closed in the end."""
    made = []

    def open_one(port, baud=FAST, mtu=256, **options):
        made.append(SerialTransport(str(port.path), baud, mtu, **options))
        return made[-1]

    yield open_one
    for transport in made:
        transport.close()


def framed(datagram):
    return b'\0' + encode(datagram) + b'\0'


def receive(transport, count, now_ns=0, timeout_s=5.0):
    """Return what arrives, once it is so many datagrams."""
    waiter = Waiter()
    end_ns = time.monotonic_ns() + round(timeout_s * 1e9)
    datagrams = transport.receive(now_ns)
    while len(datagrams) < count and time.monotonic_ns() < end_ns:
        waiter.wait([transport], end_ns)
        datagrams += transport.receive(now_ns)
    waiter.close()
    return datagrams


def test_datagrams_of_every_size_and_byte_cross_both_ways_in_order(tmp_path, make):
    cable = SerialCable(tmp_path)
    draw = random.Random(1)
    sent = [draw.randbytes(size) for size in (1, 2, 253, 254, 255, 508, 509, 1500)]
    sent += [bytes(300), b'\xff' * 300, bytes(range(256)), b'\x03\x04\x11\x13\x1a\x7f\r\n']
    near, far = (make(port, mtu=1500) for port in (cable.near, cable.far))
    now_ns = 0
    for one, other in ((near, far), (far, near)):
        received = []
        for datagram in sent:
            now_ns = one.ready_ns(now_ns)
            assert one.send(datagram, now_ns)
            received += receive(other, 1)
        assert received == sent
    cable.close()


@pytest.mark.parametrize(('options', 'bits'), [({}, 10), ({'count_start_stop': False}, 8)])
def test_what_leaves_is_what_is_counted(port, make, options, bits):
    transport = make(port, **options, mtu=1500)
    now_ns = 0
    for size in (1, 100, 253, 254, 255, 1500):
        assert transport.send(b'\x07' * size, now_ns)
        data = port.take(transport.wire_bits(size) // bits)
        assert data == framed(b'\x07' * size)
        assert len(data) * bits == transport.wire_bits(size)
        now_ns = transport.ready_ns(now_ns)


def test_what_a_modem_adds_on_the_air_counts_and_takes_no_time_on_the_line(port, make):
    plain, radio = make(port, baud=9600), make(port, baud=9600, added_bytes=12)
    assert radio.wire_bits(100) == plain.wire_bits(100) + 8 * 12
    plain.close()
    now_ns = radio.next_arrival_ns() or 0
    assert radio.send(bytes(100), now_ns)
    assert radio.ready_ns(now_ns) - now_ns == -(-plain.wire_bits(100) * S // 9600)


def test_the_next_datagram_is_taken_when_the_last_has_left_the_line(port, make):
    transport = make(port, baud=9600)
    now_ns = 0
    for _ in range(10):
        before_ns = now_ns
        assert transport.send(bytes(100), now_ns)
        now_ns = transport.ready_ns(now_ns)
        assert now_ns - before_ns == -(-transport.wire_bits(100) * S // 9600)
        assert not transport.send(b'too soon', now_ns - 1)
        assert port.take(len(framed(bytes(100)))) == framed(bytes(100))


def test_a_line_that_takes_only_a_part_gets_the_rest_later_and_no_other_between(port, make):
    transport = make(port, mtu=1500)
    draw = random.Random(1)
    sent, received = [], bytearray()
    now_ns = refused = waited = 0
    while len(sent) < 200:
        now_ns += 100 * MS
        datagram = draw.randbytes(1500)
        if transport.send(datagram, now_ns):
            sent.append(datagram)
        else:
            refused += 1
            waited += transport.ready_ns(now_ns) > now_ns
            received += port.read(draw.randrange(1, 3000))
            transport.receive(now_ns)
    assert refused > 50
    assert waited > 50
    expected = b''.join(map(framed, sent))
    while missing := len(expected) - len(received):
        now_ns += 100 * MS
        transport.receive(now_ns)
        received += port.take(min(missing, 1000))
    assert bytes(received) == expected


def test_the_rest_of_a_datagram_is_written_at_the_time_that_was_named(port, make):
    transport = make(port, mtu=1500)
    while transport.next_arrival_ns() is None:
        now_ns = transport.ready_ns(S)
        transport.send(bytes(range(256)) * 5, now_ns)
        assert transport.counter.full == 0
    due_ns = transport.next_arrival_ns()
    assert due_ns > now_ns
    data = port.take(1000)
    while transport.next_arrival_ns() is not None:
        assert data
        transport.receive(transport.next_arrival_ns())
        data = port.take(1000)
    while not data.endswith(b'\0'):
        data = port.take(1)


def test_datagrams_are_found_in_whatever_pieces_they_arrive(port, make):
    transport = make(port)
    draw = random.Random(1)
    sent = [draw.randbytes(draw.randrange(1, 257)) for _ in range(100)]
    line = b''.join(map(framed, sent))
    received = []
    while line:
        size = draw.randrange(1, 400)
        port.write(line[:size])
        line = line[size:]
        received += transport.receive(0)
    assert received + receive(transport, len(sent) - len(received)) == sent


def test_noise_costs_only_the_datagrams_that_it_touches(tmp_path, make):
    draw = random.Random(1)
    near_port, far_port = Port(tmp_path / 'near'), Port(tmp_path / 'far')
    near, far = make(near_port), make(far_port)
    expected, received = [], []
    for number in range(300):
        datagram = number.to_bytes(2, 'big') + draw.randbytes(98)
        assert near.send(datagram, number * S)
        line = near_port.take(len(framed(datagram)))
        place = draw.randrange(1, len(line) - 1)
        noise = draw.randbytes(draw.randrange(1, 600))
        flipped = bytes([line[place] ^ 64])
        line, whole = [
            (line, True), (noise + line, True), (line + noise, True), (line[:place], False),
            (line[:place] + flipped + line[place + 1:], False),
            (line[:place] + noise + line[place:], False)][draw.randrange(6)]
        far_port.write(line)
        expected += [datagram] if whole else []
        received += far.receive(0)
    near.send(b'last', 1000 * S)
    far_port.write(near_port.take(7))
    while b'last' not in received:
        received += receive(far, 1)
    assert [datagram for datagram in received if datagram in expected] == expected
    assert 120 < len(expected) < 180
    assert far.counter.malformed > 50
    near_port.unplug()
    far_port.unplug()


def test_a_line_full_of_noise_is_read_in_pieces_and_takes_no_memory(port, make):
    transport = make(port, mtu=64)
    for _ in range(200):
        port.write(b'\x55' * 4096)
        assert transport.receive(0) == []
    assert receive(transport, 1, timeout_s=0.1) == []
    port.write(framed(b'at last'))
    assert receive(transport, 1) == [b'at last']
    assert transport.counter.oversized == 1


# The port comes and goes


def test_a_port_that_is_not_there_at_first_is_found_when_it_appears(tmp_path, make):
    port = Port(tmp_path / 'radio')
    port.unplug()
    transport = make(port)
    assert str(port.path) in transport.trouble
    assert 'No such file' in transport.trouble
    assert transport.fileno() is None
    assert not transport.send(b'x', 0)
    due_ns = transport.next_arrival_ns()
    assert 0 < due_ns == transport.ready_ns(0) <= S
    port.plug()
    assert not transport.send(b'x', due_ns - 1)
    assert transport.ready_ns(due_ns) == due_ns
    assert transport.trouble is None
    assert transport.next_arrival_ns() is None
    assert transport.send(b'x', due_ns)
    assert port.take(4) == framed(b'x')
    port.unplug()


def test_a_port_that_is_unplugged_and_plugged_in_goes_on(port, make):
    transport = make(port, mtu=1500)
    now_ns = 0
    for number in range(1, 6):
        port.write(framed(b'whole') + framed(b'cut off')[:5])
        assert receive(transport, 1, now_ns) == [b'whole']
        while transport.send(bytes(1500), now_ns):
            now_ns += S
        port.unplug()
        # Whichever comes first finds out.
        if number % 2:
            assert transport.receive(now_ns) == []
        else:
            assert not transport.send(b'x', now_ns + S)
        assert transport.trouble is not None
        assert transport.fileno() is None
        assert transport.counter.hangups == number
        assert transport.receive(now_ns + S) == []
        port.plug()
        now_ns += 10 * S
        assert transport.receive(now_ns) == []
        assert transport.trouble is None
        port.write(encode(b'after') + b'\0')
        assert receive(transport, 1, now_ns) == [b'after']
        assert transport.send(b'after', now_ns)
        assert port.take(8) == framed(b'after')
    assert transport.counter.openings == 6


def test_a_line_that_goes_away_ends_the_wait_for_it_once(port, make):
    transport = make(port)
    waiter = Waiter()
    port.unplug()
    assert waiter.wait([transport], time.monotonic_ns() + 10 * S)
    transport.receive(0)
    assert not waiter.wait([transport], time.monotonic_ns() + 20 * MS)
    waiter.close()


def test_a_port_has_one_user_and_the_next_gets_it_when_that_one_is_killed(port, make):
    script = (
        'import sys, time\n'
        'from gsc_ros.link.transports.serial_line import SerialTransport\n'
        'transport = SerialTransport(sys.argv[1], 9600, 256)\n'
        'print(transport.trouble, flush=True)\n'
        'time.sleep(60)\n')
    user = subprocess.Popen(
        [sys.executable, '-c', script, str(port.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert user.stdout.readline() == 'None\n'
        transport = make(port)
        assert 'another process' in transport.trouble
    finally:
        user.kill()
        user.wait()
        user.stdout.close()
    assert transport.ready_ns(2 * S) == 2 * S
    assert transport.trouble is None


def test_a_file_that_is_no_port_is_trouble_and_no_error(tmp_path, make):
    port = Port(tmp_path / 'radio')
    port.unplug()
    port.path.write_text('no port')
    transport = make(port)
    assert transport.trouble is not None
    assert not transport.send(b'x', S)
    assert transport.receive(S) == []


def test_a_transport_that_is_closed_takes_and_gives_nothing(port, make):
    transport = make(port, baud=50)
    assert transport.send(bytes(256), 0)
    start = time.monotonic()
    transport.close()
    transport.close()
    assert time.monotonic() - start < 1
    assert transport.fileno() is None
    assert not transport.send(b'x', 100 * S)
    assert transport.ready_ns(100 * S) > 100 * S
    assert transport.receive(100 * S) == []
    assert transport.next_arrival_ns() is None


@pytest.mark.parametrize(('arguments', 'message'), [
    (('port', 49, 256), 'baud'), (('port', 9600, 31), '32..1500'),
    (('port', 9600, 1501), '32..1500'), (('port', 9600, 256, True, False, -1), 'added_bytes')])
def test_a_configuration_that_cannot_work_is_refused_with_the_reason(arguments, message):
    with pytest.raises(ValueError, match=message):
        SerialTransport(*arguments)


def test_nothing_of_it_blocks(port, make):
    transport = make(port, baud=50)
    slowest = 0.0
    for number in range(3000):
        start = time.monotonic()
        transport.send(bytes(256), number * 60 * S)
        transport.receive(number * 60 * S)
        slowest = max(slowest, time.monotonic() - start)
    assert slowest < 0.5
    assert not os.get_blocking(transport.fileno())


# A line that only one may use at a time


def test_an_end_begins_only_after_the_line_was_silent_for_the_pause(port, make):
    transport = make(port, baud=9600, pause_ns=50 * MS)
    assert transport.ready_ns(0) == 0
    assert transport.send(bytes(100), 0)
    duration_ns = -(-transport.wire_bits(100) * S // 9600)
    assert transport.ready_ns(0) == duration_ns + 50 * MS
    assert transport.ready_ns(duration_ns + 50 * MS) == duration_ns + 50 * MS
    port.write(b'somebody begins')
    waiter = Waiter()
    assert waiter.wait([transport], time.monotonic_ns() + 5 * S)
    waiter.close()
    assert transport.receive(S) == []
    assert transport.ready_ns(S) == S + 50 * MS
    assert not transport.send(b'x', S + 49 * MS)
    assert transport.send(b'x', S + 50 * MS)


def test_a_line_that_is_never_silent_does_not_silence_an_end_for_good(port, make):
    transport = make(port, baud=9600, mtu=64, pause_ns=50 * MS)
    longest_ns = transport.wire_bits(64) * S // 9600 + 50 * MS
    waiter = Waiter()
    sent = []
    for step in range(2000):
        now_ns = step * 10 * MS
        port.write(b'\x55')
        waiter.wait([transport], time.monotonic_ns() + 5 * S)
        transport.receive(now_ns)
        if transport.send(b'x', now_ns):
            sent.append(now_ns)
    waiter.close()
    assert 20 * S / (9 * longest_ns) <= len(sent) <= 20 * S / (7 * longest_ns)


class SharedAir:
    """
    What two modems share: who begins while the other sends destroys both datagrams.

    The bytes pass through the ports; the time is simulated.
    """

    def __init__(self, ports, transports, baud):
        self._ports = ports
        self._transports = transports
        self._byte_ns = 10 * S // baud
        self._sending = [None, None]
        self.collisions = 0

    def begin(self, side, now_ns):
        """Take what one end has just begun to send."""
        data = b''
        while not (data.endswith(b'\0') and len(data) > 1):
            data += self._ports[side].take(1)
        self._sending[side] = [data, now_ns, 0]
        if self._sending[1 - side] is not None:
            self.collisions += 1

    def carry(self, now_ns):
        """Let the bytes arrive that have been on the air by now."""
        for side, sending in enumerate(self._sending):
            if sending is None:
                continue
            data, since_ns, arrived = sending
            count = min(len(data), (now_ns - since_ns) // self._byte_ns)
            if count > arrived:
                other = 1 - side
                if self._sending[other] is None:
                    self._ports[other].write(data[arrived:count])
                    while not self._transports[other]._port.in_waiting:
                        time.sleep(0.0001)
                sending[2] = count
            if count == len(data):
                self._sending[side] = None


@pytest.mark.parametrize(('pauses', 'fewest', 'most'), [((0, 0), 5, 400), ((60, 20), 0, 1)])
def test_ends_with_different_pauses_take_turns_on_a_line_that_only_one_may_use(
        tmp_path, make, pauses, fewest, most):
    ports = [Port(tmp_path / 'near'), Port(tmp_path / 'far')]
    transports = [
        make(port, baud=9600, mtu=128, pause_ns=pause * MS) for port, pause in zip(ports, pauses)]
    air = SharedAir(ports, transports, 9600)
    draw = random.Random(1)
    # If both begin at the same moment, no pause can help.
    due_ns, sent, received = [0, 70 * MS], [0, 0], 0
    for now_ns in range(0, 15 * S, 5 * MS):
        air.carry(now_ns)
        for side in (0, 1):
            received += len(transports[side].receive(now_ns))
            if now_ns >= due_ns[side] and transports[side].send(bytes([side]) * 60, now_ns):
                air.begin(side, now_ns)
                sent[side] += 1
                # One sends whenever it may, the other about once per second.
                due_ns[side] = now_ns + (0, draw.randrange(500, 1500) * MS)[side]
    assert fewest <= air.collisions <= most
    assert sent[0] > 75
    assert sent[1] > 8
    if most <= 1:
        assert received >= sum(sent) - 1 - 2 * air.collisions
    for port in ports:
        port.unplug()
