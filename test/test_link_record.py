# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records get in once, from the right end, sealed since the receiver started; or not at all."""

from __future__ import annotations

from unittest.mock import patch

from gsc_ros.link.record import cipher
from gsc_ros.link.record.cipher import AeadCipher, derive_key, Direction, Suite
from gsc_ros.link.record.head import is_long, LongHead, Stage
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.record.layer import RecordConfig, RecordLayer
from gsc_ros.link.record.replay_window import ReplayWindow, WINDOW
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, RuleBasedStateMachine
import pytest

MS = 1_000_000
S = 1_000_000_000
MTU = 64
KEYS = KeyRing({1: bytes(range(32)), 2: bytes(range(100, 132))}, 1)
SECURE = [Suite.AES_CCM, Suite.CHACHA20_POLY1305]
LONG_BYTES = {Suite.NONE: 11 + 4, Suite.AES_CCM: 11 + 8, Suite.CHACHA20_POLY1305: 11 + 16}


def make(direction: Direction, suite: Suite = Suite.AES_CCM, **given) -> RecordLayer:
    """Return an end of a link that has just started."""
    keys = given.pop('keys', None if suite is Suite.NONE else KEYS)
    return RecordLayer(RecordConfig(direction, suite, keys, **given), given.pop('mtu', MTU), 0)


def pair(suite: Suite = Suite.AES_CCM, **given) -> tuple[RecordLayer, RecordLayer]:
    """Return the rover's end and the ground's."""
    return make(Direction.ROVER, suite, **given), make(Direction.GROUND, suite, **given)


def meet(rover: RecordLayer, ground: RecordLayer, now_ns: int = 0) -> None:
    """Let both send until each knows that it is known."""
    for _ in range(3):
        ground.open(rover.seal(b'.', now_ns), now_ns)
        rover.open(ground.seal(b'.', now_ns), now_ns)
    assert rover.accepted and rover.confirmed and ground.accepted and ground.confirmed


def passes(sender: RecordLayer, receiver: RecordLayer, now_ns: int = 0) -> bool:
    """Return whether the next record of one end gets into the other."""
    opened = receiver.open(sender.seal(b'body', now_ns), now_ns)
    return opened is not None and opened.body == b'body'


@pytest.mark.parametrize('suite', Suite)
def test_two_ends_become_sure_of_each_other_in_one_round_trip_and_a_half(suite: Suite):
    rover, ground = pair(suite)
    ground.open(rover.seal(b'1', 0), 0)
    assert ground.owes_answer
    assert rover.open(ground.seal(b'2', 0), 0).body == b'2'
    assert rover.confirmed
    assert not rover.accepted or suite is Suite.NONE
    assert ground.open(rover.seal(b'3', 0), 0).body == b'3'
    assert ground.accepted
    rover.open(ground.seal(b'4', 0), 0)
    assert rover.accepted
    assert not rover.owes_answer


@pytest.mark.parametrize('suite', Suite)
def test_ends_that_begin_at_once_become_sure(suite: Suite):
    rover, ground = pair(suite)
    for _ in range(3):
        up, down = rover.seal(b'.', 0), ground.seal(b'.', 0)
        ground.open(up, 0)
        rover.open(down, 0)
    assert rover.accepted
    assert ground.accepted


@pytest.mark.parametrize('suite', Suite)
def test_once_sure_a_record_costs_one_byte_and_the_tag(suite: Suite):
    rover, ground = pair(suite)
    assert rover.sealed_size(10, 0) == 10 + LONG_BYTES[suite] == len(rover.seal(bytes(10), 0))
    meet(rover, ground)
    rover.seal(b'.', 0)
    assert rover.room(0) == MTU - 1 - suite.tag_bytes
    assert rover.sealed_size(10, 0) == 11 + suite.tag_bytes == len(rover.seal(bytes(10), 0))


@pytest.mark.parametrize('suite', Suite)
def test_the_size_of_a_record_is_foretold_in_every_state(suite: Suite):
    rover, ground = pair(suite)
    now = 0
    for step in range(600):
        now += 10 * MS
        for sender, receiver in ((rover, ground), (ground, rover)):
            room = sender.room(now)
            size = sender.sealed_size(room, now)
            counter = sender.next_counter
            datagram = sender.seal(bytes(room), now)
            assert len(datagram) == size == MTU
            # Nothing is heard for a while, then all.
            if step % 200 > 100:
                opened = receiver.open(datagram, now)
                assert opened is None or opened.counter == counter


def test_strangers_make_an_end_that_is_sure_send_nothing_but_longer_heartbeats():
    rover, ground = pair()
    meet(rover, ground)
    size, room = rover.sealed_size(20, 0), rover.room(0)
    for number in range(1000):
        rover.open(make(Direction.GROUND).seal(b'.', 0), 0)
        assert rover.owes_answer
        assert rover.room(0) == room
        assert rover.sealed_size(20, 0) == len(rover.seal(bytes(20), 0)) == size
        if number % 10 == 0:
            foretold = rover.sealed_size(1, 0)
            heartbeat = rover.seal(b'.', 0)
            assert len(heartbeat) == foretold > 20
            assert ground.open(heartbeat, 0).body == b'.'
            # That the rover answers somebody asks nothing of the ground.
            assert not ground.owes_answer
        if number % 100 == 0:
            meet(rover, ground)


def test_recordings_of_some_dozen_sessions_count_once():
    rover, ground = pair()
    meet(rover, ground)
    recordings = [make(Direction.GROUND).seal(b'.', 0) for _ in range(100)]
    for recording in recordings:
        rover.open(recording, 0)
    while rover.owes_answer:
        rover.seal(b'.', 0)
    for recording in recordings:
        rover.open(recording, 0)
        assert not rover.owes_answer
    assert rover.counter.replayed == 100


def test_what_a_secured_end_hears_before_it_is_echoed_is_not_handed_on():
    rover, ground = pair()
    assert ground.open(rover.seal(b'.', 0), 0) is None
    assert ground.counter.unconfirmed == 1
    assert not ground.confirmed


def test_without_keys_bodies_are_handed_on_at_once():
    rover, ground = pair(Suite.NONE)
    assert ground.open(rover.seal(b'.', 0), 0).body == b'.'


@pytest.mark.parametrize('suite', Suite)
def test_a_restart_is_reported_once_and_healed_by_the_next_records(suite: Suite):
    rover, ground = pair(suite)
    meet(rover, ground)
    again = make(Direction.ROVER, suite)
    reported = []
    for _ in range(3):
        opened = ground.open(again.seal(b'.', 0), 0)
        reported += [opened.restarted] if opened else []
        # What an end knew of the far end's knowledge ends with the process that knew it.
        assert not (opened and opened.restarted and ground.accepted) or again.confirmed
        again.open(ground.seal(b'.', 0), 0)
    assert reported[0]
    assert not any(reported[1:])
    assert ground.counter.peer_restarts == 1
    assert passes(again, ground)
    assert passes(ground, again)


@pytest.mark.parametrize('suite', SECURE)
def test_a_recorded_session_does_not_get_into_an_end_that_restarted(suite: Suite):
    rover, ground = pair(suite)
    recorded = []
    for _ in range(50):
        recorded.append(rover.seal(b'.', 0))
        ground.open(recorded[-1], 0)
        rover.open(ground.seal(b'.', 0), 0)
    again = make(Direction.GROUND, suite)
    for datagram in recorded + recorded:
        assert again.open(datagram, 0) is None
    # The rover is the same process, so its epoch is, too: only what it seals from now on gets in.
    meet(rover, again)
    for datagram in recorded:
        assert again.open(datagram, 0) is None
    assert passes(rover, again)


@pytest.mark.parametrize('suite', SECURE)
def test_what_was_recorded_before_a_restart_of_the_far_end_does_not_come_back(suite: Suite):
    rover, ground = pair(suite)
    meet(rover, ground)
    recorded = [rover.seal(b'.', 0) for _ in range(300)]
    for datagram in recorded:
        ground.open(datagram, 0)
    for _ in range(100):  # more restarts than an end remembers
        rover = make(Direction.ROVER, suite)
        for _ in range(3):
            recorded.append(rover.seal(b'.', 0))
            epoch = ground.epoch
            ground.open(recorded[-1], 0)
            assert ground.epoch == epoch or not ground.accepted
            rover.open(ground.seal(b'.', 0), 0)
    for datagram in recorded:
        assert ground.open(datagram, 0) is None
    meet(rover, ground)
    assert passes(rover, ground)


def test_a_withheld_record_of_an_earlier_start_does_not_shut_the_present_one_out():
    rover, ground = pair()
    ground.open(rover.seal(b'.', 0), 0)
    rover.open(ground.seal(b'.', 0), 0)
    withheld = rover.seal(b'late', 0)
    again = make(Direction.ROVER)
    meet(again, ground)
    ground.open(withheld, 0)
    meet(again, ground)
    assert passes(again, ground)


def test_a_late_record_of_an_earlier_epoch_costs_one_round_trip():
    rover, ground = pair()
    meet(rover, ground)
    rover.open(ground.seal(b'.', 4 * S), 4 * S)
    late = rover.seal(b'late', 4 * S)
    assert is_long(late)
    rover.set_keys(KEYS.with_active(2))
    meet(rover, ground, 4 * S)
    assert ground.open(late, 4 * S)
    rover.open(ground.seal(b'.', 4 * S), 4 * S)
    assert passes(rover, ground, 4 * S)
    meet(rover, ground, 4 * S)


@pytest.mark.parametrize('suite', Suite)
def test_a_record_gets_in_once_in_any_order(suite: Suite):
    rover, ground = pair(suite)
    meet(rover, ground)
    sent = {rover.next_counter + i: bytes([i]) for i in range(30)}
    datagrams = [rover.seal(body, 0) for body in sent.values()]
    got = [ground.open(datagram, 0) for datagram in datagrams[::-1] + datagrams]
    assert {opened.counter: opened.body for opened in got if opened} == sent
    assert len([opened for opened in got if opened]) == 30
    assert ground.counter.replayed == 30


@pytest.mark.parametrize('lost', [1, 90, 127, 200, 500, 5000])
def test_any_burst_of_loss_is_over_after_the_next_long_record(lost: int):
    rover, ground = pair()
    meet(rover, ground)
    for _ in range(lost):
        rover.seal(b'.', 0)
    assert passes(rover, ground) or lost > 222
    assert any(passes(rover, ground) for _ in range(129))
    assert passes(rover, ground)


@pytest.mark.parametrize('suite', Suite)
def test_an_end_does_not_take_its_own_records(suite: Suite):
    rover, ground = pair(suite)
    meet(rover, ground)
    for layer in (rover, ground):
        assert layer.open(layer.seal(b'.', 0), 0) is None
        assert layer.counter.forged == 1


@pytest.mark.parametrize('suite', SECURE)
def test_bodies_are_not_readable_on_the_way(suite: Suite):
    rover, _ = pair(suite)
    assert b'caption' not in rover.seal(b'a caption of a picture', 0)


@pytest.mark.parametrize('suite', SECURE)
def test_another_key_another_id_and_another_suite_do_not_open(suite: Suite):
    other = Suite.CHACHA20_POLY1305 if suite is Suite.AES_CCM else Suite.AES_CCM
    ground = make(Direction.GROUND, suite)
    for stranger in (make(Direction.ROVER, suite, keys=KeyRing.random(1)),
                     make(Direction.ROVER, other), make(Direction.ROVER, Suite.NONE)):
        assert ground.open(stranger.seal(bytes(16), 0), 0) is None
    assert ground.open(make(Direction.ROVER, suite, keys=KeyRing.random(7)).seal(b'.', 0), 0
                       ) is None
    assert ground.counter.forged == 2
    assert ground.counter.unknown_key == 2
    assert not ground.owes_answer


@pytest.mark.parametrize('suite', Suite)
@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=80), long=st.booleans())
def test_any_bytes_are_counted_and_nothing_raises(suite: Suite, data: bytes, long: bool):
    rover, ground = pair(suite)
    meet(rover, ground)
    if long and data:
        data = bytes([0x90 | data[0] & 15]) + data[1:]
    assert ground.open(data, 0) is None
    counter = ground.counter
    assert counter.malformed + counter.forged + counter.unknown_key == 1
    assert passes(rover, ground)


@pytest.mark.parametrize('suite', Suite)
@pytest.mark.parametrize('met', [False, True])
def test_every_flipped_bit_and_every_cut_is_noticed(suite: Suite, met: bool):
    rover, ground = pair(suite)
    if met:
        meet(rover, ground)
    datagram = rover.seal(b'body', 0)
    state = (ground.confirmed, ground.accepted, ground.owes_answer, ground.epoch)
    for bit in range(8 * len(datagram)):
        damaged = int.from_bytes(datagram, 'big') ^ 1 << bit
        assert ground.open(damaged.to_bytes(len(datagram), 'big'), 0) is None
    for size in range(len(datagram)):
        assert ground.open(datagram[:size], 0) is None
    assert ground.open(datagram + b'\x00', 0) is None
    assert (ground.confirmed, ground.accepted, ground.owes_answer, ground.epoch) == state
    assert bool(ground.open(datagram, 0)) is (met or suite is Suite.NONE)


@pytest.mark.parametrize('suite', Suite)
def test_an_exhausted_counter_begins_a_new_epoch_and_loses_nothing(suite: Suite):
    rover, ground = pair(suite, counters=50)
    meet(rover, ground)
    epochs = {rover.epoch}
    for _ in range(300):
        assert passes(rover, ground)
        assert passes(ground, rover)
        epochs.add(rover.epoch)
    assert len(epochs) >= 6
    assert ground.counter.peer_restarts >= 6


def test_keys_change_in_use_and_lose_nothing():
    old = KeyRing({1: KEYS.secrets[1]}, 1)
    both = KEYS
    rover, ground = pair(keys=old)
    meet(rover, ground)
    for end, keys in ((rover, both), (ground, both), (rover, both.with_active(2)),
                      (ground, both.with_active(2)), (rover, both.with_active(2).without(1)),
                      (ground, both.with_active(2).without(1))):
        end.set_keys(keys)
        for _ in range(5):
            assert passes(rover, ground)
            assert passes(ground, rover)
    assert rover.accepted
    assert ground.accepted
    with pytest.raises(ValueError, match='has no keys'):
        make(Direction.ROVER, Suite.NONE).set_keys(both)


def test_a_key_that_was_removed_does_not_come_back_with_what_was_recorded():
    rover, ground = pair()
    meet(rover, ground)
    recorded = [rover.seal(b'.', 4 * S) for _ in range(3)]
    assert any(is_long(datagram) for datagram in recorded)
    for datagram in recorded:
        assert ground.open(datagram, 0)
    ground.set_keys(KEYS.with_active(2).without(1))
    ground.set_keys(KEYS.with_active(2))
    assert [ground.open(datagram, 0) for datagram in recorded] == [None] * 3


def test_a_silent_far_end_gets_one_long_record_per_second():
    rover, ground = pair()
    meet(rover, ground)
    forms = [is_long(rover.seal(b'.', 100 * MS * step)) for step in range(100)]
    assert not any(forms[:30])
    assert sum(forms) == pytest.approx(7, abs=1)
    assert passes(ground, rover, 10 * S)
    assert passes(rover, ground, 10 * S)
    assert not is_long(rover.seal(b'.', 10 * S))


def test_an_end_that_hears_nothing_any_more_asks_and_is_answered_at_once():
    rover, ground = pair()
    meet(rover, ground)
    for _ in range(100):  # lost
        rover.seal(b'.', 0)
    question = ground.seal(b'.', 5 * S)
    assert is_long(question)
    rover.open(question, 5 * S)
    assert rover.owes_answer
    answer = rover.seal(b'.', 5 * S)
    assert not rover.owes_answer
    assert is_long(answer)
    assert ground.open(answer, 5 * S)
    assert not ground.owes_answer


def test_a_long_record_that_does_not_fit_goes_out_short_and_stays_due():
    rover, ground = pair()
    meet(rover, ground)
    rover.open(ground.seal(b'.', 5 * S), 5 * S)
    largest = bytes(MTU - 9)
    assert rover.room(5 * S) < len(largest)
    assert not is_long(rover.seal(largest, 5 * S))
    assert rover.owes_answer
    assert is_long(rover.seal(b'.', 5 * S))


def test_a_body_that_fits_in_no_form_is_refused():
    rover, _ = pair()
    for body in (b'', bytes(MTU - 8)):
        with pytest.raises(ValueError, match=r'a body has 1\.\.'):
            rover.seal(body, 0)
    assert rover.next_counter == 0


@pytest.mark.parametrize('suite', Suite)
def test_a_one_way_link_needs_no_answer(suite: Suite):
    rover, ground = pair(suite, two_way=False)
    forms = []
    for step in range(100):
        now = 100 * MS * step
        datagram = rover.seal(b'.', now)
        forms.append(is_long(datagram))
        assert ground.open(datagram, now)
    assert sum(forms) == 10
    assert not ground.owes_answer
    again = make(Direction.GROUND, suite, two_way=False)
    heard = [bool(again.open(rover.seal(b'.', 10 * S + 100 * MS * i), 0)) for i in range(12)]
    assert heard == sorted(heard)
    assert sum(heard) >= 2


@pytest.mark.parametrize('suite', Suite)
def test_the_least_mtu_carries_a_long_record_for_ever(suite: Suite):
    least = 18 + 1 + suite.tag_bytes
    with pytest.raises(ValueError, match=f'within {least}'):
        RecordLayer(RecordConfig(Direction.ROVER, suite, KEYS if suite else None), least - 1, 0)
    rover, ground = (
        RecordLayer(RecordConfig(direction, suite, KEYS if suite else None), least, 0)
        for direction in Direction)
    meet(rover, ground)


def test_a_config_that_makes_no_sense_is_refused():
    for values, reason in (
            ({'suite': Suite.AES_CCM}, 'do not fit together'),
            ({'keys': KEYS}, 'do not fit together'),
            ({'unsure_ns': 0}, 'unsure_ns'),
            ({'epoch': b'short'}, '8 bytes'),
            ({'counters': 0}, 'counters'),
            ({'counters': (1 << 32) + 1}, 'counters')):
        with pytest.raises(ValueError, match=reason):
            RecordConfig(Direction.ROVER, **values)


@settings(deadline=None)
@given(st.sampled_from(Stage), st.binary(min_size=9, max_size=9),
       st.one_of(st.integers(0, 300), st.integers(0, (1 << 32) - 1)), st.binary(max_size=4))
def test_a_long_head_is_read_as_it_was_written_and_not_when_cut_short(stage, name, counter, rest):
    head = LongHead(stage, name, counter, b'echo' if stage else b'')
    packed = head.pack()
    assert is_long(packed)
    assert LongHead.parse(packed + rest) == (head, len(packed))
    for size in range(1, len(packed)):
        assert LongHead.parse(packed[:size]) is None


@settings(deadline=None)
@given(st.lists(st.integers(0, 4 * WINDOW), max_size=200), st.integers(0, WINDOW))
def test_the_window_takes_each_counter_once_and_none_that_is_too_old(counters, floor):
    window = ReplayWindow(floor)
    marked: set[int] = set()
    for counter in counters:
        highest = max(marked, default=floor - 1)
        fresh = counter not in marked and counter >= floor and counter > highest - WINDOW
        assert window.seen(counter) is not fresh
        if fresh:
            window.mark(counter)
            marked.add(counter)
        assert window.highest == max(marked, default=floor - 1)


class NonceSpy(AeadCipher):
    """Notices a nonce that is used twice with the same key."""

    used: set[tuple[bytes, int]] = set()

    def __init__(self, suite: Suite, secret: bytes, direction: Direction, epoch: bytes) -> None:
        super().__init__(suite, secret, direction, epoch)
        self._key = derive_key(suite, secret, direction, epoch)

    def seal(self, counter: int, head: bytes, body: bytes) -> bytes:
        assert (self._key, counter) not in self.used
        self.used.add((self._key, counter))
        return super().seal(counter, head, body)


class RecordMachine(RuleBasedStateMachine):
    """Two ends, a pipe that does its worst, and somebody who recorded everything."""

    @initialize(suite=st.sampled_from(SECURE), counters=st.sampled_from([20, 50, 1 << 32]))
    def start(self, suite, counters):
        NonceSpy.used = set()
        self.spy = patch.object(cipher, 'AeadCipher', NonceSpy)
        self.spy.start()
        self.suite, self.counters = suite, counters
        self.now = 0
        self.rings = dict.fromkeys(Direction, KEYS)
        self.ends = {direction: self.make(direction) for direction in Direction}
        # Who sealed it, as which serial number; and when the receiving process started.
        self.sealed: list[tuple[Direction, int, bytes]] = []
        self.serials: dict[bytes, int] = {}
        self.began = dict.fromkeys(Direction, 0)
        self.flying: list[tuple[Direction, bytes]] = []
        self.taken: set[int] = set()

    def make(self, direction: Direction) -> RecordLayer:
        return RecordLayer(RecordConfig(
            direction, self.suite, self.rings[direction], counters=self.counters), MTU, self.now)

    def give(self, to: Direction, datagram: bytes) -> bool:
        opened = self.ends[to].open(datagram, self.now)
        if opened is None:
            return False
        serial = self.serials[datagram]
        sender, counter, _ = self.sealed[serial]
        assert sender is to.reverse, 'of its own direction'
        assert opened.counter == counter
        assert serial not in self.taken, 'handed on twice'
        assert serial >= self.began[to], 'sealed before the receiver started'
        self.taken.add(serial)
        return True

    def send(self, direction: Direction, body_bytes: int = 4) -> bytes:
        end = self.ends[direction]
        counter = end.next_counter
        datagram = end.seal(bytes(min(body_bytes, end.room(self.now))), self.now)
        assert len(datagram) <= MTU
        self.serials[datagram] = len(self.sealed)
        self.sealed.append((direction, counter, datagram))
        return datagram

    @rule(direction=st.sampled_from(Direction), body_bytes=st.integers(1, 64),
          count=st.integers(1, 20))
    def seal(self, direction, body_bytes, count):
        for _ in range(count):
            self.flying.append((direction.reverse, self.send(direction, body_bytes)))

    @rule(place=st.integers(0, 1 << 16), twice=st.booleans())
    def deliver(self, place, twice):
        if self.flying:
            to, datagram = self.flying.pop(place % len(self.flying))
            self.give(to, datagram)
            if twice:
                assert not self.give(to, datagram)

    @rule()
    def deliver_all(self):
        for to, datagram in self.flying:
            self.give(to, datagram)
        self.flying.clear()

    @rule()
    def lose_all(self):
        self.flying.clear()

    @rule(to=st.sampled_from(Direction), backwards=st.booleans())
    def replay(self, to, backwards):
        for _, _, datagram in self.sealed[::-1] if backwards else self.sealed:
            self.give(to, datagram)

    @rule(place=st.integers(0, 1 << 16), bit=st.integers(0, 1 << 16),
          to=st.sampled_from(Direction))
    def damage(self, place, bit, to):
        if self.sealed:
            datagram = bytearray(self.sealed[place % len(self.sealed)][2])
            datagram[bit // 8 % len(datagram)] ^= 1 << bit % 8
            assert not self.give(to, bytes(datagram))

    @rule(direction=st.sampled_from(Direction))
    def restart(self, direction):
        self.ends[direction] = self.make(direction)
        self.began[direction] = len(self.sealed)

    @rule(direction=st.sampled_from(Direction), active=st.sampled_from([1, 2]))
    def change_key(self, direction, active):
        self.rings[direction] = KEYS.with_active(active)
        self.ends[direction].set_keys(self.rings[direction])

    @rule(step=st.integers(0, 5 * S))
    def wait(self, step):
        self.now += step

    @rule()
    def settle(self):
        """Whatever happened, a few records each way bring the link back, and answers if owed."""
        for _ in range(20):
            for direction in Direction:
                if self.ends[direction].owes_answer:
                    self.give(direction.reverse, self.send(direction, body_bytes=1))
            passed = [self.give(direction.reverse, self.send(direction))
                      for direction in Direction]
            if all(passed):
                return
        raise AssertionError('the link does not come back')

    def teardown(self):
        if hasattr(self, 'spy'):
            self.settle()
            self.spy.stop()


TestRecordMachine = RecordMachine.TestCase
TestRecordMachine.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
