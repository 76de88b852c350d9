# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc decode` by what it does."""

from pathlib import Path

from command_line import call, HEIGHT, WIDTH, write_picture
import cv2
from gsc_ros.cli import decode
from gsc_ros.codec.error import GeneratorError
import numpy as np
import pytest


@pytest.fixture(name='packet')
def fixture_packet(capsys, tmp_path):
    """Return the path of a packet of a picture, with a caption."""
    picture = write_picture(tmp_path / 'picture.png')
    call(capsys, 'encode', picture, '-o', tmp_path / 'picture.gsc', '--caption', 'Fels, grün')
    return tmp_path / 'picture.gsc'


def test_a_packet_becomes_a_picture_like_the_original(capsys, tmp_path, packet):
    done = call(capsys, 'decode', packet, '-o', tmp_path / 'back.png')
    assert done.status == 0, done.err
    original = cv2.imread(str(tmp_path / 'picture.png'))
    back = cv2.imread(str(tmp_path / 'back.png'))
    assert back.shape == original.shape
    # The right way up and colours in the right order; how good the codec is, others test.
    for wrong in (back[::-1], back[:, ::-1], back[..., ::-1]):
        assert cv2.PSNR(original, back) > cv2.PSNR(original, wrong) + 1


def test_json_is_one_object_with_the_promised_fields(capsys, tmp_path, packet):
    shown = call(capsys, 'decode', packet, '-o', tmp_path / 'back.png', '--json').json
    assert (shown['width'], shown['height']) == (WIDTH, HEIGHT)
    assert shown['mode'] == 'structure'
    assert shown['decode_ms'] > 0
    assert shown['caption'] == 'Fels, grün'
    assert shown['profile'] == 'tiny'
    assert shown['bytes'] == packet.stat().st_size
    assert 0 <= shown['confidence'] <= 1


@pytest.mark.parametrize('suffix', ('.png', '.jpg', '.webp', '.bmp'))
def test_the_suffix_says_the_format(capsys, tmp_path, packet, suffix):
    done = call(capsys, 'decode', packet, '-o', tmp_path / f'back{suffix}')
    assert done.status == 0
    assert cv2.imread(str(tmp_path / f'back{suffix}')).shape == (HEIGHT, WIDTH, 3)


def test_an_unknown_suffix_is_a_usage_error(capsys, tmp_path, packet):
    done = call(capsys, 'decode', packet, '-o', tmp_path / 'back.xyz')
    assert done.status == 2
    assert 'back.xyz' in done.err


def test_a_format_without_colour_is_a_usage_error(capsys, tmp_path, packet):
    done = call(capsys, 'decode', packet, '-o', tmp_path / 'back.pgm')
    assert (done.status, 'gray pictures only' in done.err) == (2, True)


@pytest.mark.skipif(not Path('/dev/zero').exists(), reason='a device of Linux')
@pytest.mark.parametrize('words', (('decode', '/dev/zero', '-o', 'a.png'), ('info', '/dev/zero')))
def test_a_file_without_end_is_bad_data(capsys, words):
    done = call(capsys, *words)
    assert (done.status, '/dev/zero: larger than' in done.err) == (1, True)


def test_a_folder_of_packets_becomes_a_folder_of_pictures(capsys, tmp_path, packet):
    (tmp_path / 'in').mkdir()
    for name in ('a.gsc', 'b.gsc'):
        (tmp_path / 'in' / name).write_bytes(packet.read_bytes())
    done = call(capsys, 'decode', tmp_path / 'in', '-o', tmp_path / 'out', '--json')
    assert done.json['packets'] == 2
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.png', 'b.png']


def test_a_bad_packet_of_a_folder_does_not_keep_the_others_from_being_decoded(
        capsys, tmp_path, packet):
    (tmp_path / 'in').mkdir()
    for name in ('a.gsc', 'c.gsc'):
        (tmp_path / 'in' / name).write_bytes(packet.read_bytes())
    (tmp_path / 'in' / 'b.gsc').write_bytes(packet.read_bytes()[:-1])
    done = call(capsys, 'decode', tmp_path / 'in', '-o', tmp_path / 'out', '--json')
    assert done.status == 1
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.png', 'c.png']
    assert [Path(entry['input']).name for entry in done.json['failed']] == ['b.gsc']


@pytest.mark.parametrize('damage', (
    lambda data: b'', lambda data: data[:-3], lambda data: data[:5],
    lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: b'P' + data[1:]))
def test_a_damaged_packet_is_bad_data(capsys, tmp_path, packet, damage):
    packet.write_bytes(damage(packet.read_bytes()))
    done = call(capsys, 'decode', packet, '-o', tmp_path / 'back.png')
    assert done.status == 1
    assert done.err.startswith(f'gsc decode: error: {packet}: ')
    assert done.out == ''
    assert not (tmp_path / 'back.png').exists()


def test_a_missing_packet_is_bad_data(capsys, tmp_path):
    done = call(capsys, 'decode', tmp_path / 'gone.gsc', '-o', tmp_path / 'back.png')
    assert done.status == 1
    assert 'gone.gsc: no such file' in done.err


def test_a_packet_is_never_overwritten_by_its_picture(capsys, tmp_path, packet):
    before = packet.read_bytes()
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / 'a.gsc').hardlink_to(packet)
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'a.png').symlink_to(packet)
    for words in ((packet, packet), (tmp_path / 'in', tmp_path / 'out')):
        done = call(capsys, 'decode', words[0], '-o', words[1])
        assert done.status == 2
        assert 'would overwrite an input' in done.err
        assert done.err.count('\n') == 1
    assert packet.read_bytes() == before


class Seeded:
    """Adds noise of the condition's seed to the structure picture, and notes what it was given."""

    name, steps = 'seeded', 7

    def __init__(self):
        self.seen, self.settings, self.closed = [], [], False

    def generate(self, conditions, settings):
        self.seen += conditions
        self.settings.append(settings)
        return [np.clip(condition.structure + np.random.default_rng(condition.seed).normal(
            0, 12, condition.structure.shape), 0, 255).astype(np.uint8)
            for condition in conditions]

    def close(self):
        self.closed = True


@pytest.fixture(name='generator')
def fixture_generator(monkeypatch):
    """Have a generator opened whose pictures are known."""
    generator = Seeded()

    def opened(name, threads, structure_hash):
        assert (name, len(structure_hash)) == ('mine', 64)
        return generator
    monkeypatch.setattr(decode, 'open_generator', opened)
    return generator


def generate(capsys, packet, target, *words):
    return call(capsys, 'decode', packet, '-o', target, '--mode', 'generate', '--json', *words)


def test_a_generated_picture_is_told_from_a_decoded_one(capsys, tmp_path, packet, generator):
    plain = call(capsys, 'decode', packet, '-o', tmp_path / 'plain.png', '--json').json
    done = generate(capsys, packet, tmp_path / 'back.png', '--generator', 'mine', '--steps', 3,
                    '--guidance', 2)
    shown = done.json
    assert (shown['mode'], shown['generator'], shown['steps']) == ('generate', 'seeded', 3)
    assert shown['generate_ms'] >= 0 and shown['decode_ms'] > 0
    assert shown['confidence'] < plain['confidence']
    assert {name: shown[name] for name in ('bytes', 'channels', 'caption', 'profile')} == {
        name: plain[name] for name in ('bytes', 'channels', 'caption', 'profile')}
    assert (shown['width'], shown['height']) == (WIDTH, HEIGHT)
    (condition,), (settings,) = generator.seen, generator.settings
    assert (condition.text, settings.steps, settings.guidance) == ('Fels, grün', 3, 2.0)
    assert generator.closed


def test_the_seed_makes_the_picture_and_is_the_one_of_the_packet_unless_told(
        capsys, tmp_path, packet, generator):
    pictures = []
    for words, seed in (((), 0), (('--seed', 0), 0), (('--seed', 5), 5), (('--seed', 5), 5)):
        done = generate(capsys, packet, tmp_path / 'back.png', '--generator', 'mine', *words)
        assert (done.json['seed'], done.json['steps']) == (seed, 7)
        pictures.append(cv2.imread(str(tmp_path / 'back.png')))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[2], pictures[3])
    assert (pictures[0] != pictures[2]).any()


def test_the_pictures_of_a_stream_are_generated_with_the_caption_that_came_once(
        capsys, tmp_path, generator):
    (tmp_path / 'in').mkdir()
    for number in range(3):
        write_picture(tmp_path / 'in' / f'{number}.png', number)
    call(capsys, 'encode', tmp_path / 'in', '-o', tmp_path / 'packets', '--stream', '--caption',
         'a quarry')
    done = generate(capsys, tmp_path / 'packets', tmp_path / 'out', '--generator', 'mine')
    assert done.status == 0, done.err
    assert [condition.text for condition in generator.seen] == ['a quarry'] * 3


def test_a_generator_that_is_not_there_is_bad_data(capsys, tmp_path, packet):
    done = generate(capsys, packet, tmp_path / 'back.png', '--generator', 'dreamer')
    assert (done.status, done.out) == (1, '')
    assert "no generator 'dreamer'" in done.err
    assert not (tmp_path / 'back.png').exists()


def test_missing_software_of_a_generator_is_a_usage_error(capsys, tmp_path, packet, monkeypatch):
    def needs_torch(*words, **options):
        raise GeneratorError("needs torch; try: pip install 'gsc_ros[flux]'"
                             ) from ModuleNotFoundError(name='torch')
    monkeypatch.setattr(decode, 'open_generator', needs_torch)
    done = generate(capsys, packet, tmp_path / 'back.png')
    assert (done.status, 'gsc_ros[flux]' in done.err) == (2, True)


@pytest.mark.parametrize('words', (
    ('--mode', 'auto'), ('--seed', 256), ('--seed', -1), ('--steps', 0), ('--guidance', 'nan')))
def test_what_a_generator_cannot_be_told_is_a_usage_error(capsys, tmp_path, packet, words):
    assert generate(capsys, packet, tmp_path / 'back.png', *words).status == 2


@pytest.mark.parametrize('words', (
    ('--seed', 3), ('--steps', 4), ('--guidance', 2), ('--generator', 'tiny')))
def test_what_is_for_a_generator_is_a_usage_error_where_none_works(
        capsys, tmp_path, packet, words):
    done = call(capsys, 'decode', packet, '-o', tmp_path / 'back.png', *words)
    assert (done.status, f'{words[0]} needs --mode generate' in done.err) == (2, True)
    assert not (tmp_path / 'back.png').exists()


def test_the_embedded_generator_makes_the_same_picture_of_a_packet_and_its_seed(
        capsys, tmp_path, packet):
    pictures = []
    for seed in (3, 3, 4):
        done = generate(capsys, packet, tmp_path / 'back.png', '--seed', seed, '--steps', 2)
        assert done.status == 0, done.err
        assert (done.json['mode'], done.json['generator']) == ('generate', 'tiny')
        pictures.append(cv2.imread(str(tmp_path / 'back.png')))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert pictures[0].shape == (HEIGHT, WIDTH, 3)
    assert (pictures[0] != pictures[2]).any()
    original = cv2.imread(str(tmp_path / 'picture.png'))
    assert cv2.PSNR(original, pictures[0]) > cv2.PSNR(original, pictures[0][:, ::-1]) + 1
