# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

from gsc_ros.link.datagram.bulk import BulkReassembler, MAX_BULK_BYTES
from gsc_ros.link.datagram.cutting import PartCut
from gsc_ros.link.datagram.framer import FrameFramer
from gsc_ros.link.datagram.framing import (
    Announcement,
    BulkPart,
    CameraAnnounce,
    FrameHeader,
    FramingError,
    Kind,
    MAX_ANNOUNCEMENT_BYTES,
    parse,
    Part,
)
from gsc_ros.link.datagram.reassembly import FrameArrival, Reassembler, ReassemblyLimits
from hypothesis import given, settings
from hypothesis import strategies as st
from link_wire import PlainWire
import pytest

S = 1_000_000_000
STAMP = 1_750_000_000_123_456_789


class Pair:
    """A framer and the reassembler that takes what it makes."""

    def __init__(self, mtu=64, limits=None, base_sequence=0, partial_ns=2 * S):
        self.wire = PlainWire(mtu)
        self.framer = FrameFramer(self.wire)
        self.reassembler = Reassembler(limits or ReassemblyLimits(), partial_ns)
        self.announcement = self.make_announcement(base_sequence=base_sequence)

    @staticmethod
    def make_announcement(camera_id=0, session=1, base_sequence=0, calibration=b'c' * 100):
        camera = CameraAnnounce(camera_id, 'front', 'optical', 0, calibration)
        return Announcement(camera, session, base_sequence, STAMP)

    def announce(self, announcement=None):
        announcement = announcement or self.announcement
        self.announcement = announcement
        assert not self.take(self.wire.send(self.framer.cut_announcement(announcement)))

    def cut(self, sequence, payload=b'p' * 150, stamp_ns=None, camera_id=0, base=None, gap=0):
        header = FrameHeader(camera_id, sequence, STAMP if stamp_ns is None else stamp_ns, 10.0)
        return self.wire.send(self.framer.cut(header, self.announcement, payload, base), gap)

    def take(self, bodies, now_ns=0):
        return [arrival for counter, body in bodies
                for arrival in self.reassembler.accept(parse(body), counter, now_ns)]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(6, 300), st.binary(min_size=1, max_size=600),
    st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 2), st.booleans(),
    st.randoms(use_true_random=False))
def test_a_frame_is_whole_again_in_any_order_with_any_duplicates(
        mtu, payload, stamp, gap, split, shuffler):
    pair = Pair(max(mtu, -(-len(payload) // 200)) + 5 * (gap > 0))
    pair.announce()
    base = bytes(len(payload) // 2) if split else None
    datagrams = pair.cut(77, payload, stamp, base=base, gap=gap)
    mixed = datagrams + shuffler.choices(datagrams, k=3)
    shuffler.shuffle(mixed)
    [arrival] = pair.take(mixed)
    assert arrival.payload == payload
    assert arrival.header.stamp_ns == stamp
    assert arrival.header.sequence == 77
    assert pair.reassembler.counter.duplicates == 3
    assert pair.reassembler.held_bytes == 0


def test_the_stamp_is_exact_near_the_base_and_far_from_it():
    pair = Pair()
    pair.announce()
    for sequence, offset in enumerate((0, 1, -1, (1 << 47) - 1, 1 << 47, -(1 << 47), 1 << 60)):
        [arrival] = pair.take(pair.cut(sequence, stamp_ns=STAMP + offset))
        assert arrival.header.stamp_ns == STAMP + offset


def test_after_a_changed_announcement_frames_of_the_old_one_are_still_handed_on():
    pair = Pair()
    old = pair.announcement
    pair.announce()
    late = pair.cut(0)
    new = pair.make_announcement(calibration=b'other')
    pair.announce(new)
    [arrival] = pair.take(late)
    assert arrival.announcement == old
    [arrival] = pair.take(pair.cut(1))
    assert arrival.announcement == new


def test_an_old_announcement_that_repair_brings_late_does_not_take_the_place_of_newer_ones():
    pair = Pair()
    announcements = [
        pair.make_announcement(session=number, base_sequence=base, calibration=bytes([number]))
        for number, base in enumerate((900_000, 0, 40_000, 2_000_000))]
    sent = []
    for announcement in announcements:
        bodies = pair.wire.send(pair.framer.cut_announcement(announcement))
        pair.announcement = announcement
        sent.append((bodies, pair.cut(announcement.base_sequence + 1),
                     pair.cut(announcement.base_sequence + 2)))
    for number in (0, 2, 1):  # the one in the middle was lost, and repaired
        pair.take(sent[number][0])
    for turn in (1, 2):
        for number in (1, 2):
            [arrival] = pair.take(sent[number][turn])
            assert arrival.announcement == announcements[number]
            assert arrival.header.sequence == announcements[number].base_sequence + turn
    pair.take(sent[0][0])
    pair.take(sent[3][0])
    for number, arrived in ((0, 0), (1, 0), (2, 0), (3, 1)):
        assert len(pair.take(sent[number][1])) == arrived


def test_a_far_end_that_counts_from_zero_again_announces_anew():
    pair = Pair()
    pair.announce()
    pair.take(pair.cut(70_000))
    pair.reassembler.restart()
    restarted = Pair(base_sequence=0)
    restarted.reassembler = pair.reassembler
    restarted.announce(pair.make_announcement(session=2))
    [arrival] = restarted.take(restarted.cut(3))
    assert (arrival.announcement.session, arrival.header.sequence) == (2, 3)


def test_frames_of_a_camera_that_was_not_announced_are_counted_dropped_and_asked_for():
    pair = Pair()
    assert pair.take(pair.cut(0)) == []
    assert pair.reassembler.counter.unannounced == 1
    assert pair.reassembler.held_bytes == 0
    assert pair.reassembler.take_wanted(8) == (0,)
    assert pair.reassembler.take_wanted(8) == ()
    pair.announce()
    assert len(pair.take(pair.cut(1))) == 1


def test_frames_that_refer_to_another_announcement_are_counted_and_dropped():
    pair = Pair()
    pair.announce()
    pair.announcement = pair.make_announcement(calibration=b'never sent')
    assert pair.take(pair.cut(0)) == []
    assert pair.reassembler.counter.unannounced == 1
    assert pair.reassembler.counter.duplicates == 0
    assert pair.reassembler.held_bytes == 0


def test_a_finished_frame_that_comes_again_is_a_duplicate():
    pair = Pair()
    pair.announce()
    datagrams = pair.cut(0)
    assert len(pair.take(datagrams)) == 1
    assert pair.take(datagrams) == []
    assert pair.reassembler.counter.duplicates == len(datagrams)


def test_sequence_numbers_go_on_over_both_wraps():
    start = (1 << 32) - 70_000
    pair = Pair(base_sequence=start)
    pair.announce()
    for step in range(0, 140_000, 1000):
        sequence = (start + step) % (1 << 32)
        [arrival] = pair.take(pair.cut(sequence))
        assert arrival.header.sequence == sequence


def test_the_full_sequence_number_returns_after_an_outage_of_any_length():
    pair = Pair()
    pair.announce()
    pair.take(pair.cut(0))
    far = 1_000_000
    for step in range(16):
        arrivals = pair.take(pair.cut(far + step))
    assert arrivals[0].header.sequence == far + 15


def test_a_new_session_starts_anew_and_mixes_with_nothing_of_the_old_one():
    pair = Pair()
    pair.announce()
    old = pair.cut(5, b'o' * 150)
    pair.take(old[:2])
    pair.announce(pair.make_announcement(session=2, base_sequence=5))
    [arrival] = pair.take(pair.cut(5, b'n' * 150))
    assert arrival.payload == b'n' * 150
    assert arrival.announcement.session == 2
    [arrival] = pair.take(old[2:])
    assert (arrival.payload, arrival.announcement.session) == (b'o' * 150, 1)


def test_a_frame_that_stays_incomplete_is_given_up_after_the_timeout():
    pair = Pair(limits=ReassemblyLimits(timeout_ns=S))
    pair.announce()
    pair.take(pair.cut(0)[:-1], 0)
    pair.reassembler.expire(S)
    assert pair.reassembler.held_bytes > 0
    pair.reassembler.expire(S + 1)
    assert pair.reassembler.held_bytes == 0
    assert pair.reassembler.counter.incomplete == 1


def test_memory_stays_bounded_and_the_oldest_goes_first():
    limits = ReassemblyLimits(camera_bytes=2000, total_bytes=3000)
    pair = Pair(limits=limits)
    pair.announce()
    for sequence in range(100):
        last = pair.cut(sequence, bytes(500))
        pair.take(last[:-1])
        assert pair.reassembler.held_bytes <= 2000
    assert pair.reassembler.counter.incomplete >= 97
    assert len(pair.take(last[-1:])) == 1


def test_all_cameras_together_stay_bounded_too():
    limits = ReassemblyLimits(camera_bytes=2000, total_bytes=3000)
    pair = Pair(limits=limits)
    for camera_id in range(20):
        pair.announce(pair.make_announcement(camera_id))
        pair.take(pair.cut(0, bytes(500), camera_id=camera_id)[:-1])
        assert pair.reassembler.held_bytes <= 3000


def test_an_announcement_that_never_ends_is_given_up():
    pair = Pair(mtu=1500)
    for index in range(5):
        part = Part(Kind.ANNOUNCEMENT, 0, 1, index, 0, bytes(1400))
        assert pair.reassembler.accept(part, index, 0) == []
        assert pair.reassembler.held_bytes <= MAX_ANNOUNCEMENT_BYTES + 128 * 5
    assert pair.reassembler.counter.malformed == 1


def test_of_fragments_that_contradict_each_other_those_that_were_sent_later_count():
    pair = Pair()
    pair.announce()
    datagrams = pair.cut(0)
    counter, body = datagrams[1]
    ends = counter, bytes([body[0] | 0x20]) + body[1:]
    assert pair.take([ends, datagrams[2], ends]) == []
    assert pair.reassembler.counter.incomplete == 1  # what ended too early
    assert pair.reassembler.counter.duplicates == 1
    [arrival] = pair.take(datagrams)
    assert arrival.payload == b'p' * 150
    assert pair.reassembler.held_bytes == 0


@pytest.mark.parametrize('base', [None, bytes(20)])
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_frames_of_two_sessions_with_the_same_number_are_never_mixed(base, data):
    pair = Pair()
    pair.announce()
    # Between the parts others leave, so that they name their frame by its number.
    old = pair.cut(1, b'a' * 150, base=base, gap=1)
    new_announcement = pair.make_announcement(session=2)
    announcement = pair.wire.send(pair.framer.cut_announcement(new_announcement))
    pair.announcement = new_announcement
    new = pair.cut(1, b'b' * 150, base=base, gap=1)
    # The announcement may overtake the end of the old frame, and repair bring all in any order.
    begun = data.draw(st.integers(0, len(old)))
    late = [(announcement[-1][0] + 1 + place, body) for place, (_, body) in
            enumerate(old[begun:])]
    new = [(counter + len(old), body) for counter, body in new]
    before = data.draw(st.permutations(old[:begun] + late))
    kept = data.draw(st.integers(0, len(before)))
    arrivals = pair.take(before[:kept])
    arrivals += pair.take(announcement)
    arrivals += pair.take(data.draw(st.permutations(before[kept:] + new)))
    assert pair.reassembler.counter.malformed == 0
    assert any(arrival.announcement.session == 2 and arrival.whole for arrival in arrivals)
    arrivals += pair.reassembler.expire(100 * S)
    for arrival in arrivals:
        wanted = {1: b'a', 2: b'b'}[arrival.announcement.session] * 150
        assert arrival.header.sequence == 1
        assert arrival.payload == (wanted if arrival.whole else base)


def test_an_announcement_that_is_sent_again_may_be_cut_at_other_places():
    small, large = Pair(mtu=40), Pair(mtu=52)
    first = small.wire.send(small.framer.cut_announcement(small.announcement))
    again = [(counter + 100, body) for counter, body in
             large.wire.send(large.framer.cut_announcement(small.announcement))]
    assert len(again) < len(first)
    for lost in range(len(first)):
        pair = Pair()
        pair.take(first[:lost] + first[lost + 1:])
        pair.take(again)
        assert pair.reassembler.counter.malformed == 0
        assert len(pair.take(pair.cut(0))) == 1


def test_damaged_truncated_and_random_datagrams_never_raise_and_never_exceed_the_bounds():
    chance = random.Random(7)
    limits = ReassemblyLimits(camera_bytes=4000, total_bytes=8000)
    pair = Pair(mtu=48, limits=limits)
    pair.announce()
    understood = 0
    for round_ in range(4000):
        base = chance.choice([None, bytes(30)])
        for counter, body in pair.cut(round_, chance.randbytes(100), base=base):
            damaged = bytearray(body)
            for _ in range(chance.randrange(3)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            cut = bytes(damaged[:chance.randrange(len(damaged) + 1)])
            for hostile in (cut, chance.randbytes(chance.randrange(48))):
                try:
                    part = parse(hostile)
                except FramingError:
                    continue
                if isinstance(part, Part):
                    understood += 1
                    pair.reassembler.accept(part, counter - chance.randrange(9), round_)
            assert pair.reassembler.held_bytes <= 8000
    assert understood > 4000
    pair.reassembler.expire(1000 * S)
    pair.announce(pair.make_announcement(session=2))
    [arrival] = pair.take(pair.cut(5, b'still alive'))
    assert isinstance(arrival, FrameArrival)


def test_continuations_wait_for_the_first_datagram_that_repair_brings_later():
    pair = Pair()
    pair.announce()
    first, *others = pair.cut(3, b'late' * 50)
    assert pair.take(others) == []
    assert pair.take(pair.cut(4)) != []
    [arrival] = pair.take([first])
    assert arrival.payload == b'late' * 50
    assert pair.reassembler.held_bytes == 0


def test_continuations_whose_first_datagram_never_comes_are_given_up():
    pair = Pair(limits=ReassemblyLimits(timeout_ns=S))
    pair.announce()
    pair.take(pair.cut(0)[1:])
    assert pair.reassembler.held_bytes > 0
    pair.reassembler.expire(2 * S)
    assert pair.reassembler.held_bytes == 0
    assert pair.reassembler.counter.incomplete == 1


def test_after_a_restart_of_the_far_end_its_counters_name_nothing_of_before():
    pair = Pair()
    pair.announce()
    old = pair.cut(0)
    pair.take(old[:1])
    pair.reassembler.restart()
    assert pair.take(old[1:]) == []
    assert pair.reassembler.counter.malformed == 0


WHOLE = bytes(range(200))
BASE = b'base' + WHOLE[4:60]


def test_a_split_frame_is_handed_on_whole_when_all_of_it_comes():
    pair = Pair()
    pair.announce()
    [arrival] = pair.take(pair.cut(0, WHOLE, base=BASE))
    assert (arrival.payload, arrival.whole) == (WHOLE, True)
    assert pair.reassembler.next_ns() is None


def test_of_a_split_frame_the_base_is_handed_on_when_nothing_more_comes():
    pair = Pair(partial_ns=2 * S)
    pair.announce()
    *came, missing = pair.cut(0, WHOLE, base=BASE)
    assert pair.take(came[:2], 0) == []
    assert pair.take(came[2:], S) == []
    assert pair.reassembler.next_ns() == 3 * S
    assert pair.reassembler.expire(3 * S - 1) == []
    [arrival] = pair.reassembler.expire(3 * S)
    assert (arrival.payload, arrival.whole) == (BASE, False)
    assert arrival.header.stamp_ns == STAMP
    assert pair.take([missing], 4 * S) == []
    assert pair.reassembler.counter.bases == 1
    assert pair.reassembler.counter.incomplete == 0
    assert pair.reassembler.held_bytes == 0


def test_without_all_of_its_base_a_split_frame_is_nothing():
    pair = Pair(limits=ReassemblyLimits(timeout_ns=3 * S), partial_ns=S)
    pair.announce()
    first, _, *others = pair.cut(0, WHOLE, base=BASE)
    assert pair.take([first, *others]) == []
    assert pair.reassembler.next_ns() is None
    assert pair.reassembler.expire(4 * S) == []
    assert pair.reassembler.counter.incomplete == 1


def test_a_split_frame_that_memory_pushes_out_is_handed_on_with_its_base():
    pair = Pair(limits=ReassemblyLimits(camera_bytes=1500, total_bytes=1500))
    pair.announce()
    pair.take(pair.cut(0, WHOLE, base=BASE)[:-1])
    arrivals = []
    for sequence in (1, 2):
        arrivals += pair.take(pair.cut(sequence, bytes(600))[:-1])
    assert [arrival.payload for arrival in arrivals] == [BASE]


def bulk_parts(data, room=40, message_id=7):
    cut = PartCut(PlainWire(room), Kind.BULK, message_id.to_bytes(2, 'big'), data, True)
    parts = []
    while cut.left:
        parts.append(parse(cut.take(0)))
        cut.advance()
    return parts


@given(st.binary(min_size=1, max_size=3000), st.randoms(use_true_random=False))
def test_a_bulk_message_is_whole_again_in_any_order_with_any_duplicates(data, shuffler):
    reassembler = BulkReassembler()
    parts = bulk_parts(data)
    mixed = parts + shuffler.choices(parts, k=3)
    shuffler.shuffle(mixed)
    whole = [reassembler.accept(part, 0) for part in mixed]
    assert [data_ for data_ in whole if data_ is not None] == [data]
    assert reassembler.held_bytes == 0


def test_bulk_messages_take_bounded_memory_and_time():
    reassembler = BulkReassembler()
    for message_id in range(200):
        for part in bulk_parts(bytes(60_000), 1400, message_id)[:-1]:
            assert reassembler.accept(part, message_id) is None
        assert reassembler.held_bytes <= 4 * (MAX_BULK_BYTES + 256 * 128)
    assert reassembler.incomplete >= 190
    reassembler.expire(1000 * S)
    assert reassembler.held_bytes == 0
    for index in range(60):
        assert reassembler.accept(BulkPart(9, index, False, bytes(1400)), 0) is None
    assert reassembler.malformed > 0
    assert reassembler.accept(BulkPart(5, 3, True, b'x'), 0) is None
    assert reassembler.accept(BulkPart(5, 2, True, b'x'), 0) is None
    assert reassembler.malformed == 2
    reassembler.restart()
    assert reassembler.held_bytes == 0


@pytest.mark.parametrize('limits', [
    {'camera_bytes': 0}, {'total_bytes': 0}, {'timeout_ns': 0}])
def test_limits_of_nothing_are_refused(limits):
    with pytest.raises(ValueError):
        ReassemblyLimits(**limits)
