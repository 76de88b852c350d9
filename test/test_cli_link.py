# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc link`: a link in simulated time."""

from __future__ import annotations

import xml.etree.ElementTree

from command_line import call, write_picture
from gsc_ros.cli.link_input import read_packets
from gsc_ros.codec.packet import Packet, serialize
from gsc_ros.codec.region.bitstream import CodedRegion, encode_regions, NO_MOTION
import numpy as np
import pytest
from region_profile import region_profile


@pytest.fixture(name='packets')
def fixture_packets(tmp_path, capsys):
    """Return a folder of three packets."""
    (tmp_path / 'in').mkdir()
    for number in range(3):
        write_picture(tmp_path / 'in' / f'{number}.png', seed=number)
    folder = tmp_path / 'packets'
    assert call(capsys, 'encode', tmp_path / 'in', '-o', folder, '--channels', 16).status == 0
    return folder


def test_packets_cross_the_link_with_their_layers_shed(packets, capsys):
    outcome = call(capsys, 'link', '--bps', 2400, '--seconds', 30, '--fps', 5, '--json', packets)
    run = outcome.json
    (camera,) = run['cameras']
    assert outcome.status == 0 and run['pictures'] == 3
    assert camera['offered'] == 150
    assert camera['delivered'] + camera['dropped'] + camera['lost'] + camera['waiting'] == 150
    assert camera['delivered'] > 100
    assert camera['mean_bytes'] < camera['offered_bytes']
    assert run['forward']['budget_holds'] and run['backward']['budget_holds']
    assert 0.3 < run['payload_share'] < run['forward']['used_share'] <= 1.01
    assert sum(run['forward']['bytes_by_kind'].values()) == pytest.approx(
        run['forward']['bytes'], abs=20)
    delivered = [frame for frame in run['frames'] if frame['fate'] == 'delivered']
    assert len(run['frames']) == 150 and len(delivered) == camera['delivered']
    assert all(frame['offered_s'] <= frame['begun_s'] < frame['delivered_s']
               for frame in delivered)


def test_the_layers_of_packets_on_disk_are_those_that_the_encoder_made(
        packets, tmp_path, capsys):
    words = ('encode', tmp_path / 'in', '-o', packets, '--channels', 16, '--selection', 'ssim')
    encoded = call(capsys, *words, '--json').json['results']
    frames = read_packets(packets, 'tiny', 10).frames
    assert [list(frame.ends) for frame in frames] == [one['layer_ends'] for one in encoded]
    for frame in frames:
        assert tuple(len(frame.render(1 + index)) for index in range(len(frame.ends))) == frame.ends


def test_the_regions_of_a_packet_on_disk_can_be_shed(tmp_path):
    profile = region_profile(tmp_path / 'profile')
    grid = np.ones((3, 2, 2), np.int16)
    structure = profile.context.encode(grid, range(3), 2, (1, 2, 3))
    coded = encode_regions(profile.region_context, [
        CodedRegion(scale, 0, 0, 2, 2, 5, None, NO_MOTION, 3, grid) for scale in (1, 2)], 64, 64)
    packet = Packet(
        profile_hash=profile.short_hash, width=64, height=64, channels=(0, 1, 2), quantizer=2,
        stream=structure.stream.ljust(structure.ends[-1], b'\0'), region_count=2,
        regions=coded.stream)
    (tmp_path / 'a.gsc').write_bytes(serialize(packet))
    (frame,) = read_packets(tmp_path / 'a.gsc', str(tmp_path / 'profile'), 1).frames
    assert frame.ends == (
        *(12 + end for end in structure.ends), *packet.region_ends(coded.ends))
    assert [len(frame.render(1 + index)) for index in range(5)] == list(frame.ends)


def test_pictures_are_coded_and_the_same_call_gives_the_same_run(tmp_path, capsys):
    write_picture(tmp_path / '1.png')
    words = ('link', '--bps', 4800, '--seconds', 20, '--fps', 2, '--loss', 0.1, '--delay-ms', 200,
             '--seed', 5, '--cameras', 2, '--control-hz', 1, '--json', tmp_path)
    first, again = call(capsys, *words).json, call(capsys, *words).json
    assert first == again
    assert [camera['camera'] for camera in first['cameras']] == ['camera', 'camera1']
    assert all(camera['latency_s']['p50'] > 0.2 for camera in first['cameras'])
    assert first['control_latency_s']['p50'] > 0.2
    assert first['channel']['loss'] == 0.1


def test_the_table_names_what_got_through_and_what_it_cost(packets, capsys):
    outcome = call(capsys, 'link', '--preset', 'lora', '--seconds', 10, '--fps', 2, packets)
    assert outcome.status == 0
    assert '20 frames delivered' in outcome.out and 'budget held in every window' in outcome.out
    assert 'heartbeat' in outcome.out and 'announcement' in outcome.out


def test_nothing_passes_during_an_outage_and_frames_do_before_and_after(packets, capsys):
    run = call(capsys, 'link', '--bps', 9600, '--seconds', 30, '--fps', 2, '--outages', '10-20',
               '--repair', 'none', '--json', packets).json
    times = [frame['delivered_s'] for frame in run['frames'] if frame['delivered_s'] is not None]
    assert not [time for time in times if 10.5 < time < 20.0]
    assert any(time < 10 for time in times) and any(20 < time < 23 for time in times)


def test_the_way_back_has_a_budget_of_its_own(packets, capsys):
    for words, budget in (((), 960), (('--return-bps', 300), 300)):
        run = call(capsys, 'link', '--bps', 9600, '--seconds', 5, '--json', *words, packets).json
        assert run['backward']['budget_bps'] == budget


def test_burst_shares_and_rate_of_the_channel_can_be_chosen(packets, capsys):
    run = call(capsys, 'link', '--bps', 9600, '--seconds', 20, '--fps', 10, '--json',
               '--burst-bits', 3000, '--rate-bps', 2400, '--repair-share', 0.1,
               '--repair-reorder-ms', 50, '--announce-period-s', 5, packets).json
    assert run['forward']['burst_bits'] == 3000
    assert run['channel']['rate_bps'] == 2400
    assert (run['repair_share'], run['reorder_ms'], run['announce_period_s']) == (0.1, 50, 5)
    assert run['forward']['bytes'] <= 20 * 2400 / 8 + 256


def test_a_trace_of_the_channel_is_followed(packets, tmp_path, capsys):
    path = tmp_path / 'trace.csv'
    path.write_text('time_s,loss\n0,0\n5,1\n')
    run = call(capsys, 'link', '--bps', 9600, '--seconds', 10, '--fps', 2, '--trace', path,
               '--json', packets).json
    assert max(frame['delivered_s'] or 0 for frame in run['frames']) < 6
    path.write_text('time_s,loss\n0,x\n')
    outcome = call(capsys, 'link', '--bps', 9600, '--trace', path, packets)
    assert outcome.status == 1 and f'{path}:2' in outcome.err


def test_the_plot_is_an_svg_file(packets, tmp_path, capsys):
    path = tmp_path / 'run.svg'
    outcome = call(capsys, 'link', '--bps', 2400, '--seconds', 10, '--cameras', 2, '--plot', path,
                   packets)
    assert outcome.status == 0
    root = xml.etree.ElementTree.parse(path).getroot()
    assert root.tag == '{http://www.w3.org/2000/svg}svg'
    titles = [text.text for text in root.iter('{http://www.w3.org/2000/svg}text')]
    assert 'Latency of delivered frames' in titles and 'camera1' in titles


def test_packets_that_refer_to_others_are_sent_whole(packets, tmp_path, capsys):
    assert call(capsys, 'encode', tmp_path / 'in', '-o', packets, '--stream').status == 0
    _, second, _ = read_packets(packets, 'tiny', 10).frames
    assert len(second.ends) == 1 and second.render(1) == (packets / '1.gsc').read_bytes()


def test_a_damaged_packet_is_bad_data(packets, capsys):
    path = packets / '0.gsc'
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    outcome = call(capsys, 'link', '--bps', 2400, packets)
    assert outcome.status == 1 and str(path) in outcome.err


@pytest.mark.parametrize('words', [
    (), ('--bps', 2400, '--plot', 'run.png'), ('--bps', 2400, '--snr-db', 'loud'),
    ('--bps', 2400, '--outages', '9-3'), ('--bps', 2400, '--loss-model', 'none'),
    ('--bps', 2400, '--cameras', 0)])
def test_bad_options_are_usage_errors(packets, capsys, words):
    assert call(capsys, 'link', *words, packets).status == 2


@pytest.mark.parametrize('name', ['missing', 'empty'])
def test_an_input_without_pictures_is_bad_data(tmp_path, capsys, name):
    (tmp_path / 'empty').mkdir()
    outcome = call(capsys, 'link', '--bps', 2400, tmp_path / name)
    assert outcome.status == 1 and name in outcome.err


@pytest.mark.parametrize('words, complaint', [
    ('tagret_fps: 1.0', 'there is no parameter tagret_fps; target_fps?'),
    ('sim: {los: 0.5}', 'there is no parameter sim.los; sim.loss?'),
    ('mtu: 9000', 'mtu must be within 32..1500, got 9000'),
    ('target_fps: -1.0', 'target_fps must be within 0..1000, got -1.0'),
    ('sim: {loss_model: foo}',
     "sim.loss_model must be one of bernoulli, gilbert_elliott, got 'foo'"),
    ('deadline_s: 900', 'deadline_s must be a number with a point, as 900.0, got 900'),
    ('mtu: true', 'mtu must be a whole number, got True')])
def test_a_preset_with_mistakes_is_refused_by_file_and_parameter(
        tmp_path, capsys, words, complaint):
    path = tmp_path / 'bad.yaml'
    path.write_text(f'bridge: {{ros__parameters: {{link_bps: 2400, {words}}}}}')
    for command in (('link', 'terrain'), ('plan',)):
        outcome = call(capsys, *command, '--preset', path)
        assert outcome.status == 1
        assert f'{path}: {complaint}' in outcome.err


def test_a_preset_may_hold_what_only_the_node_needs(tmp_path, capsys):
    path = tmp_path / 'rover.yaml'
    path.write_text('bridge: {ros__parameters: {link_bps: 2400, cameras: [front], role: rover, '
                    'udp: {peers: "10.0.0.2:7700"}}}')
    assert call(capsys, 'plan', '--preset', path).status == 0


@pytest.mark.parametrize('words, status, complaint', [
    (('--trace', '/nowhere/trace.csv'), 1, '/nowhere/trace.csv: no such file'),
    (('--plot', '/nowhere/run.svg'), 1, '/nowhere/run.svg: no such folder'),
    (('--mtu', 34, '--security', 'chacha20-poly1305'), 2, 'mtu must be within 35'),
    (('--burst-bits', 100), 2, 'burst_bits must hold one full datagram')])
def test_what_cannot_be_is_said_before_pictures_are_coded(
        capsys, monkeypatch, words, status, complaint):
    monkeypatch.setattr('gsc_ros.cli.link.encode_pictures', lambda *_: pytest.fail('coded'))
    outcome = call(capsys, 'link', '--bps', 2400, *words, 'terrain')
    assert outcome.status == status and complaint in outcome.err
