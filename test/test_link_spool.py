# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both ends of a spool over a simulated link: what goes in comes out once, in order, or is told."""

from __future__ import annotations

from collections.abc import Iterator
import math
from pathlib import Path
from random import Random
import shutil
import sqlite3

from gsc_ros.link.audit import verify_budget
from gsc_ros.link.datagram.announcement import CameraAnnounce
from gsc_ros.link.delivery import ReceivedCalibration, ReceivedControl
from gsc_ros.link.record.cipher import Suite
from gsc_ros.link.spool import outgoing as spool_outgoing
from gsc_ros.link.spool.error import SpoolDiskError
from gsc_ros.link.spool.message import (
    Acknowledgement,
    Camera,
    Frame,
    Gap,
    Greeting,
    parse,
    SpoolMessageError,
)
from gsc_ros.link.spool.reader import SpoolReader
from gsc_ros.link.spool.status import SpoolPhase
from gsc_ros.link.spool.store import SpoolCamera, SpoolFrame
from hypothesis import given, strategies
import pytest
from spool_frames import folder_in_memory, make_packet, make_stamp_ns
from spool_simulation import S, SpoolSimulation

LOSSY = {'loss': 0.1, 'delay_ns': 600_000_000}


@pytest.fixture(name='folder')
def fixture_folder() -> Iterator[Path]:
    """Return where the spools are."""
    with folder_in_memory() as folder:
        yield folder


def test_frames_arrive_exactly_as_they_were_offered(folder):
    link = SpoolSimulation(folder)
    link.run(10)
    link.drain()
    assert link.sequences == link.offered == list(range(20))
    for frame in link.frames:
        assert frame.payload == make_packet(frame.sequence)
        assert frame.stamp_ns == make_stamp_ns(frame.sequence)
        assert (frame.camera, frame.camera_id, frame.frame_id) == ('camera0', 0, 'optical0')
        assert (frame.session, frame.encode_ms) == (5, 12.5)
    assert isinstance(link.deliveries[0], ReceivedCalibration)
    assert link.deliveries[0].calibration == b'c' * 100


def test_more_frames_at_once_than_wait_in_memory_go_to_disk(folder):
    link = SpoolSimulation(folder, rate_bps=100_000)
    link.offering = False
    link.offer(600)
    link.drain()
    assert link.sequences == link.offered


def test_at_ten_percent_loss_nothing_is_lost_and_little_sent_twice(folder):
    link = SpoolSimulation(folder, **LOSSY)
    link.run(60)
    link.drain()
    assert link.sequences == link.offered
    assert link.rover.statistics_of_spool().resent < 0.2 * len(link.offered)


def test_a_channel_that_reorders_and_duplicates_does_not_show(folder):
    link = SpoolSimulation(folder, reorder=0.2, reorder_ns=2 * S, duplicate=0.2, jitter_ns=S // 2)
    link.run(60)
    link.drain()
    assert link.sequences == link.offered


def test_an_outage_of_a_minute_loses_nothing_and_keeps_the_order(folder):
    link = SpoolSimulation(folder, **LOSSY)
    link.run(20)
    link.contact = False
    link.run(60)
    before = len(link.frames)
    link.contact = True
    link.run(6)
    assert len(link.frames) > before
    link.drain()
    assert link.sequences == link.offered
    assert len(link.offered) > 160
    assert verify_budget(link.trace, link.rate_bps, link.rover.statistics(
        link.now_ns).burst_bits).holds


def test_nothing_is_sent_in_vain_while_nobody_hears(folder):
    link = SpoolSimulation(folder)
    link.contact = False
    link.run(60)
    assert {departure.kind for departure in link.trace} == {'heartbeat'}
    assert link.rover.statistics_of_spool().phase is SpoolPhase.SILENT


def test_kills_of_either_end_lose_nothing_that_was_on_disk_and_repeat_nothing(folder):
    random = Random(7)
    link = SpoolSimulation(folder, **LOSSY)
    lost = []
    for _ in range(25):
        link.run(random.uniform(0.02, 6))
        if random.random() < 0.5:
            waiting = link.outgoing.pending
            lost += link.offered[len(link.offered) - waiting:]
            link.kill_rover()
        else:
            link.kill_ground()
    link.drain()
    assert len(link.offered) > 100
    assert link.sequences == [sequence for sequence in link.offered if sequence not in lost]
    with SpoolReader(link.files[1]) as stored:
        assert [frame.sequence for frame in stored] == (
            link.sequences)


def test_over_its_quota_the_least_urgent_go_first_and_the_far_end_hears_of_each(folder):
    link = SpoolSimulation(folder, priorities=(3, 0), quota=60 * 300, fps=4, **LOSSY)
    link.run(5)
    link.contact = False
    link.run(25)
    link.contact = True
    link.drain()
    urgent = [sequence for sequence in link.offered if sequence % 2]
    assert [sequence for sequence in link.sequences if sequence % 2] == urgent
    assert link.sequences == sorted(set(link.sequences))
    ground = link.ground.statistics_of_spool()
    # The rover cannot know that some of what it gave up has arrived all the same.
    assert 20 < ground.evicted <= link.rover.statistics_of_spool().evicted
    assert len(link.sequences) + ground.evicted == len(link.offered)


@pytest.mark.parametrize('seed', range(4))
def test_every_frame_arrives_once_or_is_reported_whatever_happens(folder, seed):
    random = Random(seed)
    link = SpoolSimulation(folder, priorities=(0, 5, 9), quota=40 * 300, fps=5, **LOSSY)
    lost = 0
    for _ in range(25):
        link.run(random.uniform(0.02, 8))
        action = random.choice(('rover', 'ground', 'contact', 'burst'))
        if action == 'rover':
            lost += link.outgoing.pending
            link.kill_rover()
        elif action == 'ground':
            link.kill_ground()
        elif action == 'contact':
            link.contact = not link.contact
        else:
            link.offer(30)
    link.contact = True
    link.drain()
    with sqlite3.connect(link.files[1]) as stored:
        evicted, = stored.execute('SELECT evicted FROM peer').fetchone()
    assert link.sequences == sorted(set(link.sequences))
    assert len(link.sequences) + evicted == len(link.offered) - lost
    assert link.outgoing.next_number - 1 == len(link.offered) - lost


def test_a_quota_that_took_all_is_reported_too(folder):
    link = SpoolSimulation(folder, quota=1000)
    link.contact = False
    link.offer(2)
    link.run(1)
    link.offer(10)
    link.run(1)
    link.packet_bytes = 2000
    link.offering = False
    link.offer(3)
    link.contact = True
    link.drain()
    link.run(10)
    assert len(link.sequences) + link.ground.statistics_of_spool().evicted == len(link.offered)
    assert link.incoming.next_number(link.outgoing.id) == link.outgoing.next_number


def test_a_description_crosses_once_and_is_there_after_restarts(folder):
    link = SpoolSimulation(folder)
    link.announce(0, calibration=b'k' * 2000)
    link.run(10)
    link.kill_rover()
    link.announce(0, calibration=b'k' * 2000)
    link.kill_ground()
    before = len(link.deliveries)
    link.run(10)
    told = [delivery for delivery in link.deliveries[before:]
            if isinstance(delivery, ReceivedCalibration)]
    assert [delivery.calibration for delivery in told] == [b'k' * 2000]
    sent = sum(departure.bits for departure in link.trace if departure.kind == 'background')
    assert sent < 8 * (2300 + 1.3 * 200 * len(link.offered))


def test_each_frame_has_the_calibration_of_its_time(folder):
    link = SpoolSimulation(folder)
    link.offering = link.contact = False
    for number in range(5):
        link.announce(0, calibration=bytes([number]) * 50)
        link.offer(3)
        link.run(0.2)
    link.kill_rover()
    link.contact = True
    link.drain()
    shown = [delivery.calibration[0] if isinstance(delivery, ReceivedCalibration)
             else delivery.sequence for delivery in link.deliveries]
    assert shown == [0, 0, 1, 2, 1, 3, 4, 5, 2, 6, 7, 8, 3, 9, 10, 11, 4, 12, 13, 14]


def test_a_deleted_spool_of_the_rover_comes_as_a_new_one(folder):
    link = SpoolSimulation(folder)
    link.run(10)
    gone = link.offered[len(link.sequences):]
    link.outgoing._file.close()
    link.files[0].unlink()
    link.start_rover()
    link.run(10)
    link.drain()
    assert [sequence for sequence in link.offered if sequence not in link.sequences] == gone
    assert link.sequences == sorted(set(link.sequences))


def test_a_deleted_spool_of_the_ground_goes_on_with_what_is_still_there(folder):
    link = SpoolSimulation(folder, **LOSSY)
    link.run(20)
    arrived = set(link.sequences)
    link.incoming._file.close()
    link.files[1].unlink()
    link.start_ground()
    link.run(20)
    link.drain()
    assert set(link.sequences) | arrived == set(link.offered)
    with SpoolReader(link.files[1]) as stored:
        later = [frame.sequence for frame in stored]
    assert later == link.sequences[-len(later):]
    assert later[-1] == link.offered[-1]


def test_a_spool_that_was_restored_from_a_copy_loses_nothing_new(folder):
    link = SpoolSimulation(folder)
    link.run(5)
    link.outgoing.close()
    shutil.copy(link.files[0], folder / 'copy')
    link.start_rover()
    link.run(10)
    link.drain()
    link.outgoing.close()
    shutil.copy(folder / 'copy', link.files[0])
    link.start_rover()
    first = link.sequence
    link.offer(5)
    link.drain()
    assert link.sequences[-5:] == list(range(first, first + 5))


def test_a_frame_that_the_link_can_never_carry_is_given_up_and_told(folder):
    link = SpoolSimulation(folder, mtu=40, rate_bps=100_000)
    link.offering = False
    link.offer()
    link.packet_bytes = 60_000
    link.offer()
    link.packet_bytes = 200
    link.offer()
    link.drain()
    assert link.sequences == [0, 2]
    assert link.ground.statistics_of_spool().evicted == 1
    assert link.rover.statistics_of_spool().too_large == 1


def test_a_description_that_the_link_can_never_carry_costs_its_frames_only(folder):
    link = SpoolSimulation(folder, mtu=32, rate_bps=100_000, suite=Suite.AES_CCM)
    link.offering = False
    link.announce(0, calibration=b'k' * 3400)
    link.offer(2)
    link.announce(0)
    link.offer(2)
    link.drain()
    assert link.sequences == [2, 3]
    assert link.ground.statistics_of_spool().evicted == 2


@pytest.mark.parametrize(('suite', 'mtu'), [
    (Suite.NONE, 32), (Suite.AES_CCM, 32), (Suite.CHACHA20_POLY1305, 35)])
def test_the_smallest_datagrams_carry_it_too(folder, suite, mtu):
    link = SpoolSimulation(folder, mtu=mtu, rate_bps=20_000, suite=suite, **LOSSY)
    link.run(8)
    link.drain()
    assert link.sequences == link.offered


def test_a_frame_that_is_not_well_formed_or_not_announced_is_refused(folder):
    link = SpoolSimulation(folder)
    link.priorities = (0, 0)
    link.offer(2)
    link.priorities = (300,)
    link.offer(1)
    assert link.rover.statistics_of_spool().invalid == 2
    with pytest.raises(ValueError, match='priority'):
        link.announce(0, priority=300)


def test_messages_of_others_pass_both_ways(folder):
    link = SpoolSimulation(folder)
    link.run(5)
    link.rover.offer_control(b'\x01down', link.now_ns)
    link.ground.offer_control(b'\x01up', link.now_ns)
    link.run(2)
    assert ReceivedControl(b'\x01down') in link.deliveries
    assert link.rover.take_deliveries() == [ReceivedControl(b'\x01up')]


@pytest.mark.parametrize('side', ['rover', 'ground'])
def test_a_disk_that_fails_stops_neither_end_and_is_told(folder, side):
    link = SpoolSimulation(folder)
    link.run(5)
    end = getattr(link, side)
    end.store._file.connection.execute('PRAGMA query_only = ON')
    link.run(10)
    statistics = end.statistics_of_spool()
    assert 'readonly' in statistics.trouble
    assert statistics.failures > 3
    assert link.rover.connected(link.now_ns)
    assert link.ground.connected(link.now_ns)
    end.store._file.connection.execute('PRAGMA query_only = OFF')
    link.run(15)
    link.drain()
    assert link.sequences == link.offered
    assert end.statistics_of_spool().trouble is None


def damage(link: SpoolSimulation) -> None:
    """Overwrite the content of the rover's file, also what is in memory of it."""
    connection = link.outgoing._file.connection
    connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    with link.files[0].open('r+b') as file:
        file.seek(8192)
        file.write(b'\xa5' * (link.files[0].stat().st_size - 8192))
    connection.execute('PRAGMA shrink_memory')


def test_damage_at_run_time_costs_what_was_in_the_file_and_nothing_more(folder):
    link = SpoolSimulation(folder)
    link.run(5)
    link.drain()
    link.contact = False
    link.offer(200)
    link.run(10)
    damage(link)
    link.contact = True
    link.run(20)
    first = link.sequence
    link.offer(20)
    link.drain()
    assert link.rover.statistics_of_spool().replaced == 1
    assert link.sequences[-20:] == list(range(first, first + 20))
    assert link.outgoing.aside.exists()


def test_a_damaged_file_that_cannot_be_renamed_is_tried_again(folder, monkeypatch):
    link = SpoolSimulation(folder)
    link.contact = link.offering = False
    link.offer(200)
    link.run(5)
    damage(link)

    def refuse(path: Path) -> Path:
        raise SpoolDiskError(f'{path}: Read-only file system')

    with monkeypatch.context() as patch:
        patch.setattr(spool_outgoing, 'set_aside', refuse)
        link.contact = True
        link.run(20)
        assert 'Read-only' in link.rover.statistics_of_spool().trouble
        assert link.rover.connected(link.now_ns)
    first = link.sequence
    link.offer(5)
    link.run(15)
    link.drain()
    assert link.sequences[-5:] == list(range(first, first + 5))
    link.offer()
    link.drain()
    assert link.rover.statistics_of_spool().trouble is None


def test_a_full_disk_is_told_although_the_newest_frames_are_kept(folder):
    link = SpoolSimulation(folder, fps=20)
    link.contact = False
    link.offer(100)
    link.run(1)
    connection = link.outgoing._file.connection
    pages = connection.execute('PRAGMA page_count').fetchone()[0]
    connection.execute(f'PRAGMA max_page_count = {pages}')
    link.run(8)
    statistics = link.rover.statistics_of_spool()
    assert 'full' in statistics.trouble
    assert statistics.evicted > 0
    link.contact = True
    link.drain()
    assert link.sequences[-40:] == link.offered[-40:]
    link.offer()
    link.drain()
    assert link.rover.statistics_of_spool().trouble is None


def test_a_long_gap_is_told_although_the_frame_after_it_is_lost(folder):
    link = SpoolSimulation(folder, quota=40 * 300, **LOSSY)
    link.contact = link.offering = False
    for _ in range(20):
        link.offer(30)
        link.run(0.2)
    link.contact = True
    link.drain(120)
    assert link.sequences == link.offered[-40:]
    assert link.rover.statistics_of_spool().resent < 10


# Messages

TAGS = strategies.binary(min_size=2, max_size=2)
NUMBERS = strategies.integers(1, (1 << 48) - 1)
STAMPS = strategies.integers(-(1 << 63), (1 << 63) - 1)
CAMERAS = strategies.builds(
    CameraAnnounce, strategies.integers(0, 255), strategies.text(max_size=60),
    strategies.text(max_size=60), strategies.integers(0, 255), strategies.binary(max_size=300))
ABOUTS = strategies.builds(
    SpoolCamera, CAMERAS, strategies.integers(0, 65535), strategies.integers(0, (1 << 32) - 1),
    STAMPS)


@given(NUMBERS, ABOUTS, TAGS, strategies.integers(0, (1 << 32) - 1), STAMPS)
def test_a_frame_crosses_exactly(number, about, tag, sequence, stamp_ns):
    frame = SpoolFrame(number, 3, about, sequence, stamp_ns, math.nan, b'packet')
    arrived = parse(Frame.of(frame, tag, number - 1).pack())
    assert (arrived.tag, arrived.number, arrived.absent, arrived.camera) == (
        tag, number, number - 1, 3)
    assert (arrived.sequence(about), arrived.exact_stamp_ns(about)) == (sequence, stamp_ns)
    assert arrived.packet == b'packet'


@given(NUMBERS, ABOUTS, TAGS, strategies.frozensets(strategies.integers(1, 96)))
def test_the_other_messages_cross_exactly(number, about, tag, places):
    acknowledgement = Acknowledgement(
        tag, number, 5, frozenset(number + place for place in places))
    for message in (Greeting(b'identity', number), Gap(tag, number, number - 1),
                    Camera(tag, number, about), acknowledgement):
        assert parse(message.pack()) == message
    greeting = Greeting(b'12345678', (1 << 48) - 1)
    assert parse(greeting.pack()) == greeting
    for number in (1 << 48, 1 << 49, (1 << 63) - 1, 1 << 64):
        with pytest.raises(SpoolMessageError):
            parse(Greeting(b'12345678', number).pack())


@given(strategies.binary(max_size=80), strategies.integers(0xE0, 0xE6))
def test_any_bytes_are_a_message_or_an_error_of_ours(data, kind):
    for candidate in (data, bytes([kind]) + data):
        try:
            parse(candidate)
        except SpoolMessageError:
            pass


def test_a_frame_in_the_middle_of_a_drive_has_16_bytes_around_its_packet():
    about = SpoolCamera(CameraAnnounce(0, 'front'), 5, 0, make_stamp_ns(0))
    frame = SpoolFrame(3000, 1, about, 3000, make_stamp_ns(3000), 12.5, b'p' * 100)
    assert len(Frame.of(frame, b'ab', 0).pack()) == 116
