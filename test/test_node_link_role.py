# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The link that the bridge's parameters describe: roles, transports, keys, and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
import socket
import threading
import time

from gsc_ros.link.datagram.framing import CameraAnnounce
from gsc_ros.link.endpoint import Delivery, ReceivedControl, ReceivedFrame
from gsc_ros.link.record.cipher import Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.link.schedule.scheduler import FrameMessage
from gsc_ros.link.spool.error import SpoolError
from gsc_ros.nodes.bridge import Bridge
from gsc_ros.nodes.link import Link
from gsc_ros.nodes.link_security import security_of, suite_of
from gsc_ros.nodes.pump import LinkPump, SharedEnd
from gsc_ros.nodes.schema import BridgeParameters
from gsc_ros.nodes.transport_schema import (
    SerialParameters,
    SpoolParameters,
    UdpParameters,
)
import pytest
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

PATIENCE_S = 20.0


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / 'link.keys'
    KeyRing.random().save(path, new=True)
    return str(path)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def refused(settings: BridgeParameters) -> str:
    """Return why a link is refused."""
    with pytest.raises((ValueError, OSError, SpoolError)) as caught:
        Link(settings, 0, None)
    return str(caught.value)


@pytest.mark.parametrize('settings', [
    BridgeParameters(role='both', transport='udp'),
    BridgeParameters(role='both', transport='serial'),
    BridgeParameters(role='rover', transport='sim'),
    BridgeParameters(role='ground', transport='spool', spool=SpoolParameters(carrier='sim')),
])
def test_one_process_holds_both_ends_of_a_simulated_link_and_of_no_other(
        settings: BridgeParameters):
    assert 'sim' in refused(settings) and 'role' in refused(settings)


@pytest.mark.parametrize('settings', [
    BridgeParameters(role='rover', transport='udp', udp=UdpParameters(peers='127.0.0.1:9')),
    BridgeParameters(role='ground', transport='serial', serial=SerialParameters('/dev/null')),
    BridgeParameters(role='rover', transport='udp', security='chacha20-poly1305'),
])
def test_what_leaves_the_machine_needs_keys_and_the_refusal_says_how_to_make_them(
        settings: BridgeParameters):
    assert 'gsc keys new' in refused(settings)


def test_a_key_file_that_is_not_there_or_that_others_can_read_is_refused(key_file: str):
    settings = BridgeParameters(role='ground', transport='udp', key_file=key_file + '.gone')
    assert 'gsc keys new' in refused(settings)
    Path(key_file).chmod(0o644)
    assert key_file in refused(replace(settings, key_file=key_file))


def test_without_security_a_peer_must_be_named():
    settings = BridgeParameters(role='ground', transport='udp', security='none')
    assert 'udp.peers' in refused(settings)


def test_a_serial_link_needs_a_port(key_file: str):
    settings = BridgeParameters(role='ground', transport='serial', key_file=key_file)
    assert 'serial.port' in refused(settings)


def test_a_port_that_is_taken_is_named(key_file: str):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(('127.0.0.1', 0))
        settings = BridgeParameters(
            role='ground', transport='udp', key_file=key_file,
            udp=UdpParameters(bind=f'127.0.0.1:{taken.getsockname()[1]}'))
        assert '127.0.0.1' in refused(settings)


def test_what_the_layers_below_add_counts(key_file: str):
    plain = BridgeParameters(
        role='rover', transport='udp', key_file=key_file, mtu=100,
        udp=UdpParameters('127.0.0.1:0', '127.0.0.1:9'))
    for settings in (plain, replace(
            plain, transport='serial', serial=SerialParameters('/dev/null')), BridgeParameters()):
        sizes = []
        for added in (0, 20):
            with closing(Link(replace(settings, overhead_bytes=added), 0, None)) as link:
                sizes.append(link.transports[0].wire_bits(100))
        assert sizes[1] - sizes[0] == 8 * 20


def test_a_spool_needs_a_file_of_its_own(tmp_path: Path):
    settings = BridgeParameters(transport='spool', spool=SpoolParameters(carrier='sim'))
    assert 'spool.file' in refused(settings)
    foreign = tmp_path / 'notes.txt'
    foreign.write_text('not a spool\n' * 100)
    assert str(foreign) in refused(replace(settings, spool=SpoolParameters('sim', str(foreign))))
    used = tmp_path / 'frames.spool'
    settings = replace(settings, spool=SpoolParameters('sim', str(used)))
    with closing(Link(settings, 0, None)):
        assert str(used) in refused(settings)
    with closing(Link(settings, 0, None)):  # what was refused has left nothing behind
        pass


@pytest.mark.parametrize('transport, security, suite', [
    ('sim', 'auto', Suite.NONE),
    ('udp', 'auto', Suite.AES_CCM),
    ('serial', 'auto', Suite.AES_CCM),
    ('spool', 'auto', Suite.AES_CCM),
    ('udp', 'none', Suite.NONE),
    ('sim', 'chacha20-poly1305', Suite.CHACHA20_POLY1305),
])
def test_security_is_on_by_itself_for_all_that_leaves_the_machine(
        transport: str, security: str, suite: Suite):
    settings = BridgeParameters(transport=transport, security=security)
    assert suite_of(settings) is suite
    assert security_of(settings) in ('none', 'aes-ccm', 'chacha20-poly1305')


@pytest.mark.parametrize('link_bps, return_bps, expected', [
    (20_000, 0, 2000), (20_000, 700, 700), (400, 0, 181)])
def test_the_ground_keeps_to_the_budget_of_the_way_back(
        key_file: str, link_bps: int, return_bps: int, expected: int):
    settings = BridgeParameters(
        role='ground', transport='udp', key_file=key_file, link_bps=link_bps,
        return_bps=return_bps, udp=UdpParameters(bind='127.0.0.1:0'))
    with closing(Link(settings, 0, None)) as link:
        assert link.rover is None
        assert link.ground.statistics(0).budget_bps == expected


@contextmanager
def running(settings: BridgeParameters, arrived: list[Delivery],
            event: threading.Condition) -> Iterator[SharedEnd]:
    """Run one end of a link; what reaches it is added to `arrived`."""
    def take(delivery: Delivery) -> None:
        with event:
            arrived.append(delivery)
            event.notify_all()

    def fail(error: Exception) -> None:
        take(error)

    with closing(Link(settings, time.monotonic_ns(), None)) as link:
        with closing(LinkPump(link.ends, link.transports, fail)) as pump:
            pump.ends[0].deliver = take
            pump.start()
            yield pump.ends[0]


def test_two_processes_worth_of_link_join_over_udp_and_the_ground_learns_where_the_rover_is(
        key_file: str):
    address = f'127.0.0.1:{free_port()}'
    event = threading.Condition()
    at_rover: list[Delivery] = []
    at_ground: list[Delivery] = []
    common = BridgeParameters(
        role='ground', transport='udp', key_file=key_file, link_bps=1_000_000,
        udp=UdpParameters(bind=address))
    with running(common, at_ground, event) as ground, running(
            replace(common, role='rover', udp=UdpParameters('127.0.0.1:0', address)),
            at_rover, event) as rover:
        rover.announce(CameraAnnounce(0, 'front', 'optical'))
        with event:
            # What leaves before the ends have met is lost.
            for sequence in range(round(PATIENCE_S / 0.1)):
                rover.offer_frame(FrameMessage(
                    camera_id=0, priority=0, sequence=sequence, session=1, stamp_ns=10 ** 18,
                    ends=(1000,), render=lambda _: bytes(1000)))
                if event.wait_for(lambda: any(
                        isinstance(item, ReceivedFrame) for item in at_ground), 0.1):
                    break
            else:
                raise AssertionError(f'no frame has arrived, but {at_ground}')
        assert ground.offer_control(b'more, please')
        with event:
            assert event.wait_for(
                lambda: ReceivedControl(b'more, please') in at_rover, PATIENCE_S)
        assert not any(isinstance(item, Exception) for item in (*at_rover, *at_ground))
        assert ground.statistics().connected and ground.statistics().forged == 0


def test_a_link_in_one_direction_carries_frames_and_parity_without_an_answer(key_file: str):
    ground_port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radio:
        radio.bind(('127.0.0.1', 0))
        radio.settimeout(0)
        settings = BridgeParameters(
            role='rover', transport='udp', key_file=key_file, link_bps=1_000_000, one_way=True,
            least_loss=0.2, udp=UdpParameters(
                '127.0.0.1:0', f'127.0.0.1:{radio.getsockname()[1]}'))
        ground_settings = replace(
            settings, role='ground', udp=UdpParameters(f'127.0.0.1:{ground_port}'))
        with closing(Link(settings, 0, None)) as above, closing(
                Link(ground_settings, 0, None)) as below:
            rover, ground = above.rover, below.ground
            rover.announce(CameraAnnounce(0, 'front', 'optical'))
            for now_ns in range(0, 10 ** 10, 10 ** 8):
                rover.offer_frame(FrameMessage(
                    camera_id=0, priority=0, sequence=now_ns // 10 ** 8, session=1,
                    stamp_ns=10 ** 18, ends=(600,), render=lambda _: bytes(600)), now_ns)
                rover.poll(now_ns)
                with suppress(BlockingIOError):
                    while True:  # what the ground says goes nowhere
                        datagram, source = radio.recvfrom(2000)
                        if source[1] != ground_port:
                            radio.sendto(datagram, ('127.0.0.1', ground_port))
                ground.poll(now_ns)
            sent, heard = rover.statistics(10 ** 10), ground.statistics(10 ** 10)
    assert not sent.connected and sent.received_datagrams == 0 and sent.fec_share > 0
    assert heard.connected and heard.received_frames >= 98


def test_a_spool_needs_a_way_back(key_file: str, tmp_path: Path):
    assert 'one_way' in refused(BridgeParameters(
        role='rover', transport='spool', key_file=key_file, one_way=True,
        udp=UdpParameters('127.0.0.1:0', '127.0.0.1:9'),
        spool=SpoolParameters('udp', str(tmp_path / 'frames.spool'))))


@pytest.fixture
def rover(key_file: str) -> Iterator[Bridge]:
    """Give a bridge that is the rover's end of a link to nobody."""
    given = {'autostart': False, 'role': 'rover', 'transport': 'udp', 'udp.bind': '127.0.0.1:0',
             'udp.peers': '127.0.0.1:9', 'key_file': key_file}
    arguments = [word for name, value in given.items() for word in (
        '-p', f'{name}:={str(value).lower() if isinstance(value, bool) else repr(value)}')]
    rclpy.init(args=['--ros-args', *arguments])
    node = Bridge()
    yield node
    node.release()
    node.destroy_node()
    rclpy.shutdown()


def set_parameter(node: Bridge, name: str, value: object) -> tuple[bool, str]:
    result, = node.set_parameters([Parameter(name, value=value)])
    return result.successful, result.reason


def test_keys_may_change_while_the_link_runs_and_bad_ones_are_refused(
        rover: Bridge, key_file: str):
    assert rover.trigger_configure() == TransitionCallbackReturn.SUCCESS
    KeyRing.load(key_file).with_new_key().save(key_file)
    assert set_parameter(rover, 'key_file', key_file) == (True, '')
    done, reason = set_parameter(rover, 'key_file', f'{key_file}.gone')
    assert not done and 'gsc keys new' in reason
    assert rover.settings.key_file == key_file
    done, reason = set_parameter(rover, 'role', 'ground')
    assert not done and 'clean it up first' in reason


def test_a_refused_change_leaves_nothing_behind(
        rover: Bridge, key_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert rover.trigger_configure() == TransitionCallbackReturn.SUCCESS
    given: list[KeyRing] = []
    monkeypatch.setattr(Link, 'change_keys', lambda _, keys: given.append(keys))
    other = tmp_path / 'other.keys'
    KeyRing.random().save(other, new=True)
    result = rover.set_parameters_atomically(
        [Parameter('key_file', value=str(other)), Parameter('mtu', value=100)])
    assert not result.successful
    assert set_parameter(rover, 'target_fps', 1.0) == (True, '')
    assert rover.settings.key_file == key_file and not given
    assert set_parameter(rover, 'key_file', str(other)) == (True, '')
    assert [keys.secrets for keys in given] == [KeyRing.load(other).secrets]
    assert set_parameter(rover, 'key_file', str(other)) == (True, '')
    assert len(given) == 2  # set again it is read again


def test_a_bridge_without_keys_is_not_configured_and_says_how_to_get_them(
        rover: Bridge, capfd: pytest.CaptureFixture[str]):
    assert set_parameter(rover, 'key_file', '') == (True, '')
    assert rover.trigger_configure() != TransitionCallbackReturn.SUCCESS
    assert rover.state == 'unconfigured'
    assert 'gsc keys new' in capfd.readouterr().err


def test_a_link_can_be_cleaned_up_and_configured_again(rover: Bridge):
    for _ in range(2):
        assert rover.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert rover.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert rover.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert rover.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
