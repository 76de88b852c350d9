# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real sockets on this machine; times are made up, but for waiting until something arrives."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import time

from gsc_ros.link.audit import verify_budget
from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.endpoint import Endpoint, EndpointConfig, ReceivedFrame
from gsc_ros.link.record.cipher import Direction, Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig
from gsc_ros.link.transports.udp import UdpTransport
from gsc_ros.link.wait import Waiter
from link_simulation import make_frame, MS, S
import pytest


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(('::1', 0))
        return True
    except OSError:
        return False


LOCAL = ['127.0.0.1:0'] + ['[::1]:0'] * has_ipv6()


@pytest.fixture
def make():
    """Return a function that makes transports, which are closed in the end."""
    made = []

    def open_one(bind, *peers, mtu=256, **options):
        transport = UdpTransport(bind, [name(peer) for peer in peers], mtu, **options)
        made.append(transport)
        return transport

    yield open_one
    for transport in made:
        transport.close()


def name(peer):
    """Return the address of a transport, or what is one already."""
    if isinstance(peer, str):
        return peer
    host, port = peer.address
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def free_address(bind):
    """Return an address where nobody listens now."""
    probe = UdpTransport(bind, ['127.0.0.1:9' if '.' in bind else '[::1]:9'], 256)
    try:
        return name(probe)
    finally:
        probe.close()


def receive(transport, count=1, now_ns=0, timeout_s=5.0):
    """Return what arrives, once it is so many datagrams."""
    waiter = Waiter()
    end_ns = time.monotonic_ns() + round(timeout_s * 1e9)
    datagrams = transport.receive(now_ns)
    while len(datagrams) < count and time.monotonic_ns() < end_ns:
        waiter.wait([transport], end_ns)
        datagrams += transport.receive(now_ns)
    waiter.close()
    return datagrams


def pair(make, bind, **options):
    """Return two transports that are each other's peers."""
    first_address = free_address(bind)
    second = make(bind, first_address, **options)
    return make(first_address, second, **options), second


@pytest.mark.parametrize('bind', LOCAL)
def test_datagrams_of_every_size_cross_both_ways_in_order(make, bind):
    near, far = pair(make, bind, mtu=1452)
    sent = [bytes([size % 256]) * size for size in (1, 2, 32, 255, 256, 1451, 1452)]
    for one, other in ((near, far), (far, near)):
        for datagram in sent:
            assert one.ready_ns(7) == 7
            assert one.send(datagram, 7)
        assert receive(other, len(sent)) == sent
    assert near.trouble is None
    assert near.next_arrival_ns() is None


@pytest.mark.parametrize(('bind', 'overhead'), list(zip(LOCAL, (28, 48))))
def test_the_headers_of_ip_and_udp_and_every_copy_count(make, bind, overhead):
    peers = [bind.replace(':0', f':{port}') for port in (5001, 5002, 5003)]
    assert make(bind, peers[0]).wire_bits(100) == 8 * (100 + overhead)
    assert make(bind, *peers).wire_bits(100) == 3 * 8 * (100 + overhead)
    assert make(bind, learn_peer=True).wire_bits(100) == 8 * (100 + overhead)
    assert make(bind, *peers[:2], added_bytes=18).wire_bits(100) == 2 * 8 * (118 + overhead)


def test_each_datagram_goes_to_all_peers_also_while_some_are_dead(make):
    dead = free_address('127.0.0.1:0')
    sender_address = free_address('127.0.0.1:0')
    first, last = (make('127.0.0.1:0', sender_address) for _ in range(2))
    sender = make(sender_address, first, dead, last)
    for number in range(20):
        assert sender.ready_ns(number * MS) == number * MS
        assert sender.send(bytes([number]), number * MS)
    sent = [bytes([number]) for number in range(20)]
    assert receive(first, 20) == sent
    assert receive(last, 20) == sent


def test_a_peer_that_is_unreachable_does_not_hold_up_the_others(make):
    alive = make('127.0.0.1:0', '127.0.0.1:9')
    # The address for broadcasts is denied to sockets that have not asked for it.
    for peers in ((alive, '255.255.255.255:9'), ('255.255.255.255:9', alive)):
        sender = make('0.0.0.0:0', *peers)
        assert sender.send(b'x', 0)
        assert sender.ready_ns(1) == 1
        assert sender.counter.unreachable == 1
        assert sender.trouble is not None


@pytest.mark.parametrize('bind', LOCAL)
def test_a_dead_peer_costs_nothing_and_is_back_when_it_restarts_on_its_port(make, bind):
    near, far = pair(make, bind)
    far_address = name(far)
    for _ in range(3):
        far.close()
        for number in range(10):
            assert near.send(b'into nowhere', number * MS)
            assert near.receive(number * MS) == []
        far = make(far_address, near)
        assert near.send(b'back', S)
        assert receive(far) == [b'back']
        assert far.send(b'again', S)
        assert receive(near) == [b'again']


@pytest.mark.skipif(sys.platform != 'linux', reason='other systems report without being asked')
def test_a_report_that_nobody_listens_is_counted_and_costs_no_datagram(make):
    near, far = pair(make, '127.0.0.1:0')
    ip_recverr = 11
    near._socket.setsockopt(socket.IPPROTO_IP, ip_recverr, 1)
    far_address = name(far)
    far.close()
    for number in range(10):
        assert near.send(b'into nowhere', number)
        assert near.receive(number) == []
    refused = near.counter.refused
    assert refused > 0
    near.send(b'into nowhere', 10)
    far = make(far_address, near)
    assert near.send(b'there', 11)
    assert receive(far) == [b'there']
    assert near.counter.refused == refused + 1


def test_only_peers_are_heard_without_learning(make):
    near, far = pair(make, '127.0.0.1:0')
    stranger = make('127.0.0.1:0', near)
    for _ in range(5):
        assert stranger.send(b'let me in', 0)
    assert far.send(b'the peer', 0)
    assert receive(near) == [b'the peer']
    assert near.counter.foreign == 5
    assert near.peers == [name(far)]


def test_empty_and_oversized_datagrams_are_left_out_and_others_are_not_touched(make):
    near, far = pair(make, '127.0.0.1:0', mtu=64)
    port = far.address[1]
    far.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hostile:
        hostile.bind(('127.0.0.1', port))
        draw = random.Random(1)
        good, received = [], []
        for _ in range(500):
            size = draw.choice([0, 1, 63, 64, 65, 1000, 9000, 60_000])
            data = draw.randbytes(size)
            good += [data] if 1 <= size <= 64 else []
            hostile.sendto(data, near.address)
            received += near.receive(0)
        received += receive(near, len(good) - len(received))
    assert received == good
    assert near.counter.malformed == 500 - len(good)


def test_a_flood_is_taken_in_pieces(make):
    near, far = pair(make, '127.0.0.1:0', mtu=64)
    sent = 0
    for _ in range(2000):
        sent += far.send(bytes(64), 0)
    received = []
    while True:
        piece = near.receive(0)
        assert len(piece) <= 256
        received += piece
        if not piece:
            break
    # The system drops what its buffer cannot hold.
    assert 100 <= len(received) <= sent


def test_a_transport_that_is_closed_takes_and_gives_nothing(make):
    near, far = pair(make, '127.0.0.1:0')
    assert near.fileno() is not None
    near.close()
    near.close()
    assert near.fileno() is None
    assert not near.send(b'x', 0)
    assert near.ready_ns(0) > 0
    assert near.receive(0) == []


def test_two_ways_to_one_far_end_bring_each_frame_once(make):
    keys = KeyRing.random()
    ground_side = make('0.0.0.0:0', '127.0.0.1:9')
    port = ground_side.address[1]
    rover_side = make('0.0.0.0:0', f'127.0.0.1:{port}', f'127.0.0.2:{port}')
    ground_side.close()
    ground_side = make(f'0.0.0.0:{port}', f'127.0.0.1:{rover_side.address[1]}')
    trace = []

    def make_end(direction, transport, log=None):
        record = RecordConfig(direction, Suite.AES_CCM, keys)
        return Endpoint(EndpointConfig(50_000, record=record), transport, 0, log)

    rover = make_end(Direction.ROVER, rover_side, trace.append)
    ground = make_end(Direction.GROUND, ground_side)
    rover.announce(CameraAnnounce(0, 'front'))
    frames = []
    for step in range(500):
        now_ns = step * 20 * MS
        if step % 5 == 0:
            rover.offer_frame(make_frame(0, step // 5, now_ns=now_ns, ends=(200,)), now_ns)
        for end in (rover, ground):
            end.poll(now_ns)
        frames += [delivery.sequence for delivery in ground.take_deliveries()
                   if isinstance(delivery, ReceivedFrame)]
        time.sleep(0.0002)
    statistics = ground.statistics(10 * S)
    assert len(frames) == len(set(frames)) > 90
    assert statistics.replayed >= statistics.received_datagrams - 5
    assert verify_budget(trace, 50_000, rover.statistics(10 * S).burst_bits).holds


# Who is answered


def test_nobody_is_answered_whose_tag_is_not_genuine(make):
    ground = make('127.0.0.1:0', learn_peer=True)
    stranger = make('127.0.0.1:0', ground)
    for number in range(10):
        assert stranger.send(b'forged', 0)
        assert receive(ground, now_ns=number * S) == [b'forged']
        assert ground.ready_ns(number * S) > number * S
        assert not ground.send(b'x', number * S)
    assert stranger.receive(0) == []
    assert ground.peers == []
    assert ground.trouble == 'no peer has been heard'


def test_one_with_a_genuine_tag_gets_one_small_answer_per_second_and_no_more(make):
    ground = make('127.0.0.1:0', learn_peer=True, mtu=1000)
    replayer = make('127.0.0.1:0', ground)
    sent = received = 0
    for number in range(100):
        now_ns = number * 100 * MS
        replayer.send(bytes(24), now_ns)
        sent += 24 + 28
        assert receive(ground, now_ns=now_ns) == [bytes(24)]
        ground.note_authentic(0, confirmed=False)
        assert not ground.send(bytes(3 * (24 + 28) - 28 + 1), now_ns)
        while ground.ready_ns(now_ns) <= now_ns:
            assert ground.send(bytes(3 * (24 + 28) - 28), now_ns)
            received += 1
    assert received == 10
    assert len(receive(replayer, 10)) == 10
    assert received * 3 * (24 + 28) < sent
    assert ground.peers == []


def test_a_claim_is_forgotten(make):
    ground = make('127.0.0.1:0', learn_peer=True)
    replayer = make('127.0.0.1:0', ground)
    replayer.send(bytes(24), 0)
    receive(ground)
    ground.note_authentic(0, confirmed=False)
    assert ground.ready_ns(2 * S) > 2 * S
    assert not ground.send(b'x', 2 * S)


@pytest.mark.parametrize('bind', LOCAL)
def test_the_peer_is_learned_from_a_fresh_datagram_and_followed_when_it_moves(make, bind):
    ground = make(bind, learn_peer=True)
    for number in range(3):
        rover = make(bind, ground)
        assert rover.send(b'hello', 0)
        assert receive(ground, now_ns=number) == [b'hello']
        ground.note_authentic(0, confirmed=True)
        assert ground.peers == [name(rover)]
        assert ground.ready_ns(number) == number
        assert ground.send(bytes(256), number)
        assert receive(rover) == [bytes(256)]
    assert ground.counter.moves == 3


def test_a_replay_takes_nothing_from_a_peer_that_is_heard(make):
    ground = make('127.0.0.1:0', learn_peer=True)
    rover = make('127.0.0.1:0', ground)
    replayer = make('127.0.0.1:0', ground)
    for number in range(20):
        now_ns = number * S
        rover.send(b'fresh', now_ns)
        assert receive(ground, now_ns=now_ns) == [b'fresh']
        ground.note_authentic(0, confirmed=True)
        replayer.send(b'old', now_ns)
        assert receive(ground, now_ns=now_ns) == [b'old']
        ground.note_authentic(0, confirmed=False)
        assert ground.send(b'answer', now_ns)
    assert receive(rover, 20) == [b'answer'] * 20
    assert replayer.receive(0) == []


def test_a_peer_that_has_moved_and_begun_anew_gets_the_answer_it_needs(make):
    ground = make('127.0.0.1:0', learn_peer=True)
    before, after = make('127.0.0.1:0', ground), make('127.0.0.1:0', ground)
    before.send(b'fresh', 0)
    receive(ground, now_ns=0)
    ground.note_authentic(0, confirmed=True)
    after.send(b'a new session', 20 * S)
    receive(ground, now_ns=20 * S)
    ground.note_authentic(0, confirmed=False)
    assert ground.send(b'prove it', 20 * S)
    assert ground.send(b'next', 20 * S)
    assert receive(after) == [b'prove it']
    assert receive(before) == [b'next']


# What the system refuses


@pytest.mark.parametrize(('arguments', 'message'), [
    (('127.0.0.1:0', [], 256), 'peers'),
    (('127.0.0.1', ['127.0.0.1:1'], 256), 'host:port'),
    (('127.0.0.1:x', ['127.0.0.1:1'], 256), 'host:port'),
    (('::1:0', ['127.0.0.1:1'], 256), 'host:port'),
    (('127.0.0.1:70000', ['127.0.0.1:1'], 256), 'host:port'),
    (('127.0.0.1:0', ['127.0.0.1:0'], 256), 'port of a peer'),
    (('127.0.0.1:0', ['[::1]:5'], 256), 'IPv4'),
    (('127.0.0.1:0', ['127.0.0.1:1'], 31), '32..1472'),
    (('127.0.0.1:0', ['127.0.0.1:1'], 1473), '32..1472'),
    (('[::1]:0', ['[::1]:1'], 1453), '32..1452'),
    (('127.0.0.1:0', ['127.0.0.1:1', '127.0.0.1:2'], 256, True), 'learn_peer'),
    (('127.0.0.1:0', ['127.0.0.1:1'], 256, False, -1), 'added_bytes')])
def test_a_configuration_that_cannot_work_is_refused_with_the_reason(arguments, message):
    with pytest.raises(ValueError, match=message):
        UdpTransport(*arguments)


def test_a_port_that_is_taken_is_refused_and_one_of_a_killed_process_is_not(make):
    near, far = pair(make, '127.0.0.1:0')
    with pytest.raises(OSError, match='in use'):
        make(name(near), far)
    near.close()
    make(name(far).replace(str(far.address[1]), '0'), far)


def in_namespace(script):
    """Run a script as one who may change the interfaces of a network of its own."""
    done = subprocess.run(
        ['unshare', '--net', sys.executable, '-c', script], capture_output=True, text=True,
        timeout=60)
    assert done.returncode == 0, done.stderr


def may_change_interfaces():
    if sys.platform != 'linux' or not all(map(shutil.which, ('unshare', 'ip', 'tc'))):
        return False
    done = subprocess.run(
        ['unshare', '--net', 'sh', '-c',
         'ip link set lo up && tc qdisc add dev lo root tbf rate 8kbit burst 1600 latency 50s'],
        capture_output=True)
    return done.returncode == 0


needs_network = pytest.mark.skipif(
    not may_change_interfaces(), reason='needs the right to change interfaces')
BEGIN = """
import subprocess
import time
from gsc_ros.link.transports.udp import UdpTransport

def ip(*words):
    subprocess.run(['ip', *words], check=True)

def wait_for(transport):
    for _ in range(500):
        if found := transport.receive(0):
            return found
        time.sleep(0.01)
"""


@needs_network
@pytest.mark.parametrize(('near', 'far'), [
    ('127.0.0.1:5601', '127.0.0.1:5602'), ('0.0.0.0:5601', '127.0.0.1:5602'),
    ('[::1]:5601', '[::1]:5602')])
def test_an_interface_that_goes_down_is_counted_and_heals(near, far):
    source = near.replace('0.0.0.0', '127.0.0.1')
    in_namespace(BEGIN + f"""
near = UdpTransport({near!r}, [{far!r}], 256)
far = UdpTransport({far!r}, [{source!r}], 256)
for outage in range(2):
    now_ns = 2 * outage * 10**9
    assert not near.send(b'lost', now_ns)
    assert near.counter.unreachable == outage + 1
    assert near.trouble, near.trouble
    assert now_ns < near.ready_ns(now_ns) <= now_ns + 10**9
    ip('link', 'set', 'lo', 'up')
    time.sleep(0.1)
    assert near.ready_ns(now_ns + 10**9) == now_ns + 10**9
    assert near.send(b'back', now_ns + 10**9)
    assert near.trouble is None
    assert wait_for(far) == [b'back']
    ip('link', 'set', 'lo', 'down')
    ip('addr', 'flush', 'dev', 'lo')
""")


@needs_network
def test_a_full_socket_refuses_takes_again_later_and_loses_nothing_that_it_took():
    in_namespace(BEGIN + """
ip('link', 'set', 'lo', 'up')
subprocess.run('tc qdisc add dev lo root tbf rate 80kbit burst 1600 latency 50s', shell=True)
near = UdpTransport('127.0.0.1:5601', ['127.0.0.1:5602'], 256)
far = UdpTransport('127.0.0.1:5602', ['127.0.0.1:5601'], 256)
taken = refused = 0
received = []
end = time.monotonic() + 1
while time.monotonic() < end:
    if near.send(bytes([taken % 256]) * 200, 0):
        taken += 1
    else:
        refused += 1
        time.sleep(0.002)
    received += far.receive(0)
assert refused and near.counter.full == refused, (taken, refused)
# 10 kB of the rate, the burst, and what the socket holds.
assert taken < 80, taken
for _ in range(200):
    received += far.receive(0)
    time.sleep(0.005)
assert received == [bytes([number % 256]) * 200 for number in range(taken)], len(received)
""")


@needs_network
def test_a_datagram_that_the_interface_takes_in_no_piece_is_lost_and_the_operator_is_told():
    in_namespace(BEGIN + """
ip('link', 'set', 'lo', 'mtu', '1000', 'up')
near = UdpTransport('127.0.0.1:5601', ['127.0.0.1:5602'], 1400)
far = UdpTransport('127.0.0.1:5602', ['127.0.0.1:5601'], 1400)
assert near.send(bytes(1000), 0)
assert near.counter.too_large == 1
assert 'smaller mtu' in near.trouble
assert near.send(bytes(900), 0)
assert 'smaller mtu' in near.trouble
assert wait_for(far) == [bytes(900)]
""")


@needs_network
def test_an_address_may_be_bound_before_an_interface_has_it():
    in_namespace(BEGIN + """
near = UdpTransport('192.0.2.1:5601', ['192.0.2.1:5602'], 256)
far = UdpTransport('192.0.2.1:5602', ['192.0.2.1:5601'], 256)
assert not near.send(b'lost', 0)
ip('link', 'set', 'lo', 'up')
ip('addr', 'add', '192.0.2.1/24', 'dev', 'lo')
assert near.send(b'there', 0)
assert wait_for(far) == [b'there']
""")
