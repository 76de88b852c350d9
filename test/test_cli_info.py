# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc info` by what it does."""

from dataclasses import replace
import subprocess
import sys
import time

from command_line import call, HEIGHT, WIDTH
from gsc_ros.codec import text
from gsc_ros.codec.packet import layer_counts, Packet, parse, serialize
from gsc_ros.codec.region.bitstream import CodedRegion, encode_regions, NO_MOTION
from gsc_ros.codec.region.object_list import ObjectBox, pack_objects
import numpy as np
import pytest
from region_profile import region_profile

PACKET = Packet(profile_hash=0xBEEF, width=WIDTH, height=HEIGHT, channels=(3, 5, 8), quantizer=2,
                seed=7, caption_id=3,
                text=text.compress('a rover, a rock'), stream=bytes(range(50)))


@pytest.fixture(name='packet')
def fixture_packet(tmp_path):
    """Return the path of a well-formed packet that no profile has made."""
    path = tmp_path / 'a.gsc'
    path.write_bytes(serialize(PACKET))
    return path


def test_json_says_all_that_the_packet_says(capsys, packet):
    shown = call(capsys, 'info', packet, '--json').json
    assert shown['bytes'] == packet.stat().st_size == sum(shown['sections'].values())
    assert shown['sections'] == PACKET.section_sizes()
    assert (shown['width'], shown['height']) == (WIDTH, HEIGHT)
    assert shown['channels'] == [3, 5, 8]
    assert shown['layers'] == 3
    assert (shown['quantizer'], shown['seed']) == (2, 7)
    assert shown['caption'] == 'a rover, a rock'
    assert (shown['caption_id'], shown['caption_reference']) == (3, False)
    assert shown['stream_reference'] is None
    assert shown['profile_hash'] == 'beef'


def test_people_get_a_line_per_section(capsys, packet):
    done = call(capsys, 'info', packet)
    assert done.status == 0
    for name, size in PACKET.section_sizes().items():
        assert any(line.split()[:2] == [name, str(size)] for line in done.out.splitlines())


def test_no_profile_is_needed_and_the_start_is_fast(packet):
    code = ('import sys; from gsc_ros.cli.main import main; main(sys.argv[1:])\n'
            'assert not {"onnxruntime", "constriction", "rclpy"} & set(sys.modules)')
    subprocess.run([sys.executable, '-c', code, 'info', packet], check=True,
                   stdout=subprocess.DEVNULL)
    start = time.monotonic()
    subprocess.run([sys.executable, '-m', 'gsc_ros.cli.main', 'info', packet], check=True,
                   stdout=subprocess.DEVNULL)
    assert time.monotonic() - start < 2  # 0.1 s on an idle machine


def test_layers_are_measured_with_the_profile_of_the_packet(capsys, tmp_path):
    from command_line import write_picture
    picture = write_picture(tmp_path / 'picture.png')
    encoded = call(capsys, 'encode', picture, '-o', tmp_path / 'b.gsc', '--channels', 8,
                   '--json').json
    shown = call(capsys, 'info', tmp_path / 'b.gsc', '--layers', '--json').json
    measured = shown['structure_layers']
    assert len(measured) == shown['layers'] == len(layer_counts(len(encoded['channels']))) > 2
    assert sum(measured) == shown['sections']['structure']
    ends = [end - 12 for end in encoded['layer_ends']]
    assert measured == [end - start for start, end in zip([0, *ends], ends)]


def test_layers_of_another_profile_are_not_guessed(capsys, packet):
    done = call(capsys, 'info', packet, '--layers')
    assert done.status == 1
    assert 'beef' in done.err


@pytest.mark.parametrize('content', (b'', b'GSC', bytes(100), serialize(PACKET)[:-1]))
def test_what_is_no_packet_is_bad_data(capsys, tmp_path, content):
    (tmp_path / 'bad.gsc').write_bytes(content)
    done = call(capsys, 'info', tmp_path / 'bad.gsc')
    assert done.status == 1
    assert done.err.startswith(f'gsc info: error: {tmp_path / "bad.gsc"}: ')
    assert done.out == ''


def test_a_missing_file_is_bad_data(capsys, tmp_path):
    done = call(capsys, 'info', tmp_path / 'gone.gsc', '--json')
    assert done.status == 1
    assert 'gone.gsc: No such file' in done.err
    assert done.out == ''


def test_a_caption_cannot_command_the_terminal(capsys, tmp_path):
    caption = 'rock\x1b[2J\x9b31m\r\u202eevil\nquantizer 9, grün'
    path = tmp_path / 'a.gsc'
    path.write_bytes(serialize(replace(PACKET, text=text.compress(caption))))
    shown = call(capsys, 'info', path).out
    assert all(character.isprintable() for line in shown.split('\n') for character in line)
    assert r'rock\x1b[2J\x9b31m\r\u202eevil\nquantizer 9, grün' in shown
    assert call(capsys, 'info', path, '--json').json['caption'] == caption


def test_layers_of_a_packet_that_refers_to_another_are_not_guessed(capsys, tmp_path):
    from gsc_ros.codec.profile import load_profile
    (tmp_path / 'a.gsc').write_bytes(serialize(replace(
        PACKET, profile_hash=load_profile('tiny').short_hash, stream_reference=0xABCD)))
    assert call(capsys, 'info', tmp_path / 'a.gsc', '--json').json['stream_reference'] == 'abcd'
    assert 'abcd' in call(capsys, 'info', tmp_path / 'a.gsc').out
    done = call(capsys, 'info', tmp_path / 'a.gsc', '--layers')
    assert (done.status, 'refers to another' in done.err) == (1, True)


def test_a_folder_is_described_by_its_means(capsys, tmp_path):
    for name, length in (('a', 10), ('b', 30)):
        (tmp_path / f'{name}.gsc').write_bytes(serialize(replace(PACKET, stream=bytes(length))))
    shown = call(capsys, 'info', tmp_path, '--json').json
    assert shown['packets'] == len(shown['results']) == 2
    assert shown['mean_sections']['structure'] == 20
    assert shown['mean_bytes'] == pytest.approx(sum(shown['mean_sections'].values()))
    assert shown['mean_bpp'] == pytest.approx(8 * shown['mean_bytes'] / (WIDTH * HEIGHT))
    done = call(capsys, 'info', tmp_path)
    assert any(line.split() == ['structure', '20.0', 'bytes'] for line in done.out.splitlines())


def test_a_damaged_packet_of_a_folder_is_named_and_an_empty_folder_is_told(capsys, tmp_path):
    assert 'holds no .gsc file' in call(capsys, 'info', tmp_path).err
    (tmp_path / 'a.gsc').write_bytes(serialize(PACKET))
    (tmp_path / 'b.gsc').write_bytes(b'noise')
    done = call(capsys, 'info', tmp_path)
    assert (done.status, 'b.gsc: ' in done.err, done.out) == (1, True, '')


def test_a_caption_as_before_is_said(capsys, tmp_path):
    (tmp_path / 'a.gsc').write_bytes(serialize(replace(PACKET, text=b'', caption_id=7)))
    assert 'as before, number 7' in call(capsys, 'info', tmp_path / 'a.gsc').out


@pytest.fixture(name='rich', scope='module')
def fixture_rich(tmp_path_factory):
    """Return the path of a packet with objects and regions, and the folder of its profile."""
    folder = tmp_path_factory.mktemp('rich')
    profile = region_profile(folder / 'profile')
    channels = tuple(range(8))
    structure = profile.context.encode(
        np.ones((8, -(-HEIGHT // 32), -(-WIDTH // 32)), np.int16), channels, 2, layer_counts(8))
    regions = encode_regions(profile.region_context, [
        CodedRegion(scale, 1, 2, 3, 4, 5, None, NO_MOTION, 6, np.ones((6, 4, 3), np.int16))
        for scale in (2, 1)], WIDTH, HEIGHT)
    packet = Packet(
        profile_hash=profile.short_hash, width=WIDTH, height=HEIGHT, channels=channels,
        quantizer=2, stream=structure.stream.ljust(structure.ends[-1], b'\0'), region_count=2,
        regions=regions.stream, objects=pack_objects(
            [ObjectBox(2, 0.9, (0.25, 0.25, 0.5, 0.75))], WIDTH, HEIGHT))
    path = folder / 'a.gsc'
    path.write_bytes(serialize(packet))
    return path, folder / 'profile'


def test_objects_and_regions_are_listed(capsys, rich):
    path, profile = rich
    shown = call(capsys, 'info', path, '--profile', profile, '--layers', '--json').json
    assert sum(shown['sections'].values()) == shown['bytes'] == path.stat().st_size
    assert shown['sections']['objects'] == 6
    assert shown['layers'] == len(shown['structure_layers']) + len(shown['regions'])
    (found,) = shown['objects']
    assert (found['class'], found['name'], found['score']) == (2, 'car', 0.9375)
    assert found['box'] == pytest.approx(
        [WIDTH / 4, HEIGHT / 4, WIDTH / 2, HEIGHT * 3 / 4], rel=0.1)
    assert [region['box'] for region in shown['regions']] == [[16, 32, 64, 96], [8, 16, 32, 48]]
    assert [(region['scale'], region['level'], region['channels'])
            for region in shown['regions']] == [(2, 5, 6), (1, 5, 6)]
    # Beside the streams, there are the number of regions and the length.
    assert sum(region['bytes'] for region in shown['regions']) == shown['sections']['regions'] - 2
    lines = call(capsys, 'info', path, '--profile', profile).out.splitlines()
    assert any(line.split()[0] == 'car' and '0.94' in line for line in lines)
    assert any('48 x 64 at 16, 32' in line and 'scale 2' in line for line in lines)


def test_regions_are_only_counted_without_their_profile(capsys, rich):
    path, _ = rich
    shown = call(capsys, 'info', path, '--json').json
    assert (shown['region_count'], shown['regions']) == (2, None)
    assert 'tiny is' in shown['regions_unread']
    assert '2 regions' in call(capsys, 'info', path).out


def test_a_damaged_region_is_bad_data(capsys, rich, tmp_path):
    path, profile = rich
    packet = parse(path.read_bytes())
    damaged = tmp_path / 'bad.gsc'
    damaged.write_bytes(serialize(replace(packet, regions=b'\xff' * 40)))
    done = call(capsys, 'info', damaged, '--profile', profile)
    assert done.status == 1 and 'region' in done.err and done.out == ''


def test_a_folder_of_packets_with_and_without_regions_has_means(capsys, rich, tmp_path):
    path, _ = rich
    (tmp_path / 'a.gsc').write_bytes(path.read_bytes())
    (tmp_path / 'b.gsc').write_bytes(serialize(PACKET))
    shown = call(capsys, 'info', tmp_path, '--json').json
    assert shown['mean_sections']['objects'] == 3
    assert shown['mean_sections']['regions'] > 0


def test_the_original_tells_what_each_layer_and_region_gains(capsys, rich, tmp_path):
    path, profile = rich
    decoded = tmp_path / 'decoded.png'
    assert call(capsys, 'decode', path, '-o', decoded, '--profile', profile).status == 0
    shown = call(
        capsys, 'info', path, '--profile', profile, '--original', decoded, '--json').json
    gains = shown['gains']
    assert len(gains) == shown['layers']
    assert sum(gain['bytes'] for gain in gains) == shown['bytes']
    assert [gain['regions'] for gain in gains[-3:]] == [0, 1, 2]
    assert gains[-1]['box'] == shown['regions'][-1]['box']
    # It is its own original: nothing is left to gain.
    assert gains[0]['gain_per_bit'] is None and gains[-1]['squared_error'] == 0
    assert gains[-3]['squared_error'] > 0 and gains[-1]['gain_per_bit'] > 0
    assert all(gain['weighted_error'] >= gain['squared_error'] for gain in gains)
    assert shown['region_weight'] == 32


def test_the_errors_that_people_read_are_those_that_the_gains_are_of(capsys, rich, tmp_path):
    path, profile = rich
    decoded = tmp_path / 'decoded.png'
    call(capsys, 'decode', path, '-o', decoded, '--profile', profile)
    out = call(capsys, 'info', path, '--profile', profile, '--original', decoded).out
    assert 'in regions 32 times' in out
    rows = [line.split() for line in out.splitlines() if ' bytes, to ' in line]
    assert rows[-1][:2] == ['region', '2']
    # to 8 ch. N bytes, to ERROR, GAIN less a bit
    errors = [float(row[row.index('bytes,') + 2].rstrip(',')) for row in rows]
    for before, after, row in zip(errors, errors[1:], rows[1:]):
        gain, size = float(row[-4]), int(row[row.index('bytes,') - 1])
        assert gain == pytest.approx((before - after) / (8 * size), abs=1)


def test_an_original_of_another_size_is_bad_data_and_one_for_a_folder_is_usage(
        capsys, rich, tmp_path):
    from command_line import write_picture
    path, profile = rich
    small = tmp_path / 'small.png'
    write_picture(small)
    (tmp_path / 'packets').mkdir()
    (tmp_path / 'packets' / 'a.gsc').write_bytes(serialize(replace(PACKET, width=WIDTH + 8)))
    done = call(capsys, 'info', tmp_path / 'packets' / 'a.gsc', '--original', small)
    assert done.status == 1 and 'pixels' in done.err
    done = call(capsys, 'info', tmp_path / 'packets', '--original', small)
    assert done.status == 2 and '--original' in done.err
