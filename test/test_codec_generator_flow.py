# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sampler and all that every generator shares, without a network."""

from __future__ import annotations

from dataclasses import replace
import json

from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator import noise, token
from gsc_ros.codec.generator.flow import condition_tokens, enlarge, FlowGenerator, Geometry, reduce
from gsc_ros.codec.generator.generator import Condition, GenerationSettings
from gsc_ros.codec.generator.manifest import GeneratorManifest, read_manifest
from gsc_ros.codec.generator.object_map import group_of
from gsc_ros.codec.generator.opening import find_generator, generator_profiles, open_generator
from gsc_ros.codec.generator.sampler import integrate, mix
from gsc_ros.codec.generator.schedule import Schedule
from gsc_ros.codec.generator.tile import split, tiled
from gsc_ros.codec.region.object_list import ObjectBox
import numpy as np
import pytest
import torch

MEAN, SPREAD = 1.5, 0.4
# The first numbers of seed 7.
GOLDEN_NOISE = (-0.43347183, 1.3549219, -0.43338719, 0.29302803, 0.77670509, -1.24366856)


def gaussian_velocity(z: np.ndarray, sigma: float) -> np.ndarray:
    """
    Return the velocity of the flow from N(0, 1) to N(MEAN, SPREAD^2), in closed form.

    z = (1 - sigma) x + sigma noise is Gaussian; v is the mean of noise - x given z.
    """
    keep = 1 - sigma
    variance = keep ** 2 * SPREAD ** 2 + sigma ** 2
    return (sigma - keep * SPREAD ** 2) / variance * (z - keep * MEAN) - MEAN


def gaussian_end(z: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Return where the exact solution from z at sigma ends: its quantile is kept."""
    keep = 1 - sigma
    deviation = np.sqrt(keep ** 2 * SPREAD ** 2 + sigma ** 2)
    return MEAN + SPREAD * (z - keep * MEAN) / deviation


def error_of(steps: int) -> float:
    """Return the largest distance of the sampler's end from the exact one."""
    z = noise.draw(0, (1, 4, 8))
    found = integrate(gaussian_velocity, z, Schedule().sigmas(steps, 4))
    return float(np.abs(found - gaussian_end(z)).max())


def test_the_sampler_brings_noise_to_the_gaussian_it_flows_to():
    z = noise.draw(5, (1, 100, 100))
    samples = integrate(gaussian_velocity, z, Schedule().sigmas(200, 100))
    assert samples.mean() == pytest.approx(MEAN, abs=0.02)
    assert samples.std() == pytest.approx(SPREAD, abs=0.01)
    assert samples == pytest.approx(gaussian_end(z), abs=0.02)


def test_more_steps_approach_the_solution_of_the_flow_at_first_order():
    errors = [error_of(steps) for steps in (1, 2, 4, 8, 16, 32, 64, 128, 256)]
    assert all(after < before for before, after in zip(errors, errors[1:]))
    # Euler's method: half the step, half the error.
    assert [before / after for before, after in zip(errors[-4:], errors[-3:])] == pytest.approx(
        [2] * 3, rel=0.15)


def test_one_step_of_a_flow_of_straight_lines_is_exact():
    data = np.float32(3.25)
    z = noise.draw(1, (1, 2, 3))

    def straight(state, sigma):
        return (state - data) / sigma

    assert integrate(straight, z, Schedule().sigmas(1, 2)) == pytest.approx(data, abs=1e-6)


def test_starting_midway_ends_where_the_whole_path_does():
    data = gaussian_end(noise.draw(3, (1, 4, 8)))
    sigmas = Schedule().sigmas(100, 4, strength=0.3)
    assert len(sigmas) == 31
    z = mix(data, noise.draw(4, data.shape), float(sigmas[0]))
    found = integrate(gaussian_velocity, z, sigmas)
    assert found == pytest.approx(gaussian_end(z, float(sigmas[0])), abs=0.03)


def test_a_velocity_that_overflows_is_told():
    with pytest.raises(GeneratorError, match='not finite'):
        integrate(lambda z, _: z * np.inf, noise.draw(0, (1, 1, 2)), Schedule().sigmas(2, 1))


def test_a_picture_too_large_for_a_steep_schedule_is_told():
    steep = Schedule(dynamic=True, base_shift=0, max_shift=10, base_tokens=1, max_tokens=2)
    assert np.isfinite(steep.sigmas(4, 2)).all()
    with pytest.raises(GeneratorError, match='schedule for 1 to 2'):
        steep.sigmas(4, 400)


@pytest.mark.parametrize('config', [
    {'shift': 1.0}, {'shift': 3.0}, {'shift': 3.0, 'use_dynamic_shifting': True},
    {'use_dynamic_shifting': True, 'base_shift': 0.3, 'max_shift': 1.4}])
@pytest.mark.parametrize(('steps', 'tokens'), [(1, 256), (4, 1672), (28, 1672), (28, 8192)])
def test_the_schedule_is_that_of_diffusers(config, steps, tokens):
    scheduler = FlowMatchEulerDiscreteScheduler(**config)
    mu = calculate_shift(tokens, base_shift=config.get('base_shift', 0.5),
                         max_shift=config.get('max_shift', 1.15))
    scheduler.set_timesteps(
        sigmas=np.linspace(1, 1 / steps, steps),
        mu=mu if config.get('use_dynamic_shifting') else None)
    schedule = Schedule.from_config(scheduler.config)
    assert schedule.sigmas(steps, tokens) == pytest.approx(scheduler.sigmas.numpy(), abs=1e-6)


def test_a_seed_gives_the_same_noise_on_every_machine():
    found = noise.draw(7, (2, 3))
    assert found.dtype == np.float32
    assert found.ravel() == pytest.approx(GOLDEN_NOISE, abs=1e-6)
    much = noise.draw(8, (1001, 999))
    assert (much.mean(), much.std()) == pytest.approx((0, 1), abs=3e-3)
    assert np.corrcoef(much[:-1].ravel(), much[1:].ravel())[0, 1] == pytest.approx(0, abs=5e-3)
    assert not np.array_equal(much, noise.draw(9, much.shape))


def test_tokens_are_packed_as_flux_packs_them():
    latents = np.random.default_rng(0).normal(size=(2, 16, 6, 10)).astype(np.float32)
    expected = FluxPipeline._pack_latents(torch.from_numpy(latents), 2, 16, 6, 10).numpy()
    assert np.array_equal(token.pack(latents), expected)
    assert np.array_equal(token.unpack(token.pack(latents), 3, 5), latents)
    ids = FluxPipeline._prepare_latent_image_ids(2, 3, 5, 'cpu', torch.float32).numpy()
    assert np.array_equal(token.image_ids(3, 5), ids)


def test_text_becomes_bytes_with_one_end():
    assert token.byte_tokens('aé', 6).tolist() == [100, 198, 172, 1, 0, 0]
    assert token.byte_tokens('abcdef', 3).tolist() == [100, 101, 1]
    assert token.byte_tokens('', 2).tolist() == [1, 0]


def test_latents_meet_their_tokens():
    latent = np.arange(2 * 2 * 3, dtype=np.float32).reshape(2, 2, 3)
    assert token.latent_tokens(latent, 2, 3)[:, 1].tolist() == [6, 7, 8, 9, 10, 11]
    coarse = token.latent_tokens(latent, 3, 6).reshape(3, 6, 2)
    assert coarse[..., 0].tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]]
    with pytest.raises(ValueError, match='grid'):
        token.latent_tokens(latent, 2, 7)


def test_condition_tokens_hold_structure_picture_and_level():
    latent = np.random.default_rng(0).normal(size=(320, 2, 3)).astype(np.float32)
    picture = np.random.default_rng(1).normal(size=(16, 4, 6)).astype(np.float32)
    tokens = condition_tokens(latent, 2, 3, picture, 0.25)
    assert tokens.shape == (6, 320 + 64 + 1)
    assert np.array_equal(tokens[4, :320], latent[:, 1, 1])
    assert np.array_equal(tokens[4, 320:-1], picture[:, 2:4, 2:4].ravel())
    assert (tokens[:, -1] == 0.25).all()


class Flat:
    """
    Networks whose latent is a picture's 8x8 averages, and whose flow leads to a grey.

    The grey is the structure's first channel, 0.75 without structure, plus a tenth of the
    caption's length.
    """

    in_channels = 12

    def __init__(self):
        self.embedded: list[str] = []
        self.batches: list[int] = []
        self.closed = False

    def embed(self, text):
        self.embedded.append(text)
        return len(text) / 10

    def encode(self, images):
        batch, channels, height, width = images.shape
        return images.reshape(batch, channels, height // 8, 8, width // 8, 8).mean(axis=(3, 5))

    def decode(self, latents):
        return latents.repeat(8, axis=2).repeat(8, axis=3)

    def field(self, texts, condition, rows, columns, guidance):
        self.batches.append(len(texts))
        grey = np.full((len(texts), rows * columns, 1), 0.75, np.float32)
        if condition is not None:
            grey = condition[..., :1].copy()
        grey += np.array(texts, np.float32)[:, None, None]
        return lambda z, sigma: (z - grey) / sigma

    def close(self):
        self.closed = True


def condition(height: int, width: int, grey: float = 0.5, text: str = '', **others) -> Condition:
    """Return a condition for a picture of that size, at a pitch of 32."""
    latent = np.zeros((320, -(-height // 32), -(-width // 32)), np.float32)
    latent[0] = grey
    return Condition(**{
        'text': text, 'latent': latent, 'channels': (0,), 'level': 0.5, 'seed': 3,
        'structure': np.full((height, width, 3), 90, np.uint8)} | others)


def flat_generator(networks: Flat, **geometry) -> FlowGenerator:
    """Return a generator of those networks, at half the size."""
    return FlowGenerator(
        'flat', networks, Geometry(**{'scale': 2, 'pitch': 32} | geometry), Schedule(), steps=4)


def test_a_batch_of_several_sizes_keeps_order_and_sizes():
    networks = Flat()
    given = [condition(64, 96, 0.2), condition(50, 33, 0.4), condition(64, 96, 0.6)]
    pictures = flat_generator(networks).generate(given)
    assert [picture.shape for picture in pictures] == [(64, 96, 3), (50, 33, 3), (64, 96, 3)]
    assert [int(np.median(picture)) for picture in pictures] == [51, 102, 153]
    assert all(picture.dtype == np.uint8 for picture in pictures)
    assert sorted(networks.batches) == [1, 2]


def test_settings_take_text_and_structure_away():
    generator = flat_generator(Flat())
    given = [condition(32, 32, 0.2, text='ab')]

    def grey(**settings):
        return round(np.median(generator.generate(given, GenerationSettings(**settings))) / 255, 2)

    assert grey() == 0.4
    assert grey(use_text=False) == 0.2
    assert grey(use_structure=False) == 0.95
    assert grey(use_structure=False, use_text=False) == 0.75


CAR = ObjectBox(2, 1.0, (0.0, 0.0, 0.5, 1.0))


class Told(Flat):
    """Networks whose grey is what the map of the objects says of cars."""

    def field(self, texts, condition, rows, columns, guidance):
        grey = condition[..., 320 + group_of(CAR.class_id), None]
        return lambda z, sigma: (z - grey) / sigma


def test_objects_are_told_where_they_stand_unless_the_settings_take_them_away():
    generator = flat_generator(Told(), objects=True)
    given = condition(64, 128, objects=(CAR,))
    (picture,), (without,) = generator.generate([given]), generator.generate(
        [given], GenerationSettings(use_objects=False))
    assert (picture[8:-8, 8:40] == 255).all() and not picture[8:-8, -40:-8].any()
    assert not without.any()


def test_a_generator_that_was_trained_without_objects_ignores_them():
    given = condition(64, 64, objects=(CAR,))
    (picture,) = flat_generator(Flat()).generate([given])
    (without,) = flat_generator(Flat()).generate([replace(given, objects=())])
    assert np.array_equal(picture, without)


def test_a_caption_is_embedded_once_while_it_stays():
    networks = Flat()
    generator = flat_generator(networks)
    for text in ('a', 'a', 'b', 'a'):
        generator.generate([condition(32, 32, text=text)])
    assert networks.embedded == ['a', 'b']
    for index in range(40):
        generator.generate([condition(32, 32, text=str(index))])
    generator.generate([condition(32, 32, text='a')])
    assert networks.embedded.count('a') == 2
    generator.close()
    assert networks.closed


class Still(Flat):
    """Networks that leave every state as it is."""

    def field(self, texts, condition, rows, columns, guidance):
        return lambda z, sigma: np.zeros_like(z)


class Overflowing(Still):
    """Networks whose autoencoder overflows, on its way in or out."""

    def __init__(self, way: str):
        super().__init__()
        self._way = way

    def encode(self, images):
        return super().encode(images) * (np.float32(np.nan) if self._way == 'encode' else 1)

    def decode(self, latents):
        return super().decode(latents) * (np.float32(np.nan) if self._way == 'decode' else 1)


@pytest.mark.parametrize(('way', 'message'), [
    ('encode', "autoencoder's latent is not finite"),
    ('decode', "autoencoder's picture is not finite")])
def test_an_autoencoder_that_overflows_is_told_rather_than_shown_black(way, message):
    with pytest.raises(GeneratorError, match=message):
        flat_generator(Overflowing(way), picture=True).generate([condition(32, 32)])


def test_the_noise_is_that_of_the_seed_and_a_start_is_mixed_in():
    generator = flat_generator(Still(), scale=1)
    start = np.full((32, 32, 3), 204, np.uint8)
    given = condition(32, 32, start=start)
    (first,), (again,) = generator.generate([given]), generator.generate([given])
    (other,) = generator.generate([replace(given, seed=4)])
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    (near,) = generator.generate([given], GenerationSettings(steps=100, strength=0.01))
    # At sigma 0.01: 0.99 of the start and 0.01 of the noise.
    expected = enlarge(Still().decode(
        0.99 * np.float32(0.8) + 0.01 * noise.draw(3, (1, 3, 4, 4)))[0], 1)
    assert np.abs(near.astype(int) - expected).max() <= 1


def test_tiles_agree_with_the_whole_where_the_velocity_is_local():
    whole, parts = Flat(), Flat()
    given = condition(600, 900)
    given.latent[0] = np.random.default_rng(0).uniform(size=given.latent.shape[1:])
    (expected,) = flat_generator(whole).generate([given])
    (found,) = flat_generator(parts, tile=8).generate([given])
    assert len(parts.batches) > 4
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(('rows', 'columns'), [(5, 9), (8, 8), (9, 30), (100, 1)])
def test_tiles_cover_everything_and_overlap(rows, columns):
    tiles = split(rows, columns, 8)
    seen = np.zeros((1, rows, columns), int)
    for tile in tiles:
        seen[tile.inside] += 1
        assert tile.bottom - tile.top <= 8 and tile.right - tile.left <= 8
    assert seen.min() >= 1
    field = tiled(lambda part, *_: lambda z, sigma: z * 2, None, rows, columns, tiles)
    z = noise.draw(0, (2, rows * columns, 3))
    assert field(z, 0.5) == pytest.approx(2 * z, abs=1e-5)


def test_padding_repeats_edges_and_cropping_undoes_it():
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)
    planes = reduce(image, 48, 48, 1)
    assert planes.shape == (3, 48, 48)
    assert np.array_equal(enlarge(planes, 1)[:33, :47], image)
    assert np.array_equal(planes[:, 40], planes[:, 32])
    assert reduce(image, 24, 24, 2)[0, 0, 0] == pytest.approx(image[:2, :2, 0].mean() / 255)


@pytest.mark.parametrize(('change', 'message'), [
    ({'latent': np.zeros((320, 3, 3), np.float32)}, 'another structure profile'),
    ({'latent': np.zeros((16, 2, 2), np.float32)}, r'float32 \[320'),
    ({'latent': np.full((320, 2, 2), np.nan, np.float32)}, 'not finite'),
    ({'structure': np.zeros((64, 64), np.uint8)}, 'structure picture is uint8'),
    ({'start': np.zeros((32, 64, 3), np.uint8)}, 'to start from'),
    ({'objects': (replace(CAR, box=(0, 0, np.nan, 1)),)}, 'box of an object'),
    ({'objects': (replace(CAR, box=(0.5, 0, 0.4, 1)),)}, 'box of an object'),
    ({'objects': (replace(CAR, class_id=256),)}, 'class 256'),
    ({'objects': (replace(CAR, score=1.5),)}, 'score 1.5'), ({'objects': (CAR,) * 33}, '33'),
    ({'level': 1.5}, 'level'), ({'seed': -1}, 'seed'), ({'seed': 1.5}, 'seed'),
    ({'text': 'a \ud800'}, 'no Unicode')])
def test_a_bad_condition_is_told(change, message):
    with pytest.raises(GeneratorError, match=message):
        flat_generator(Flat()).generate([replace(condition(64, 64), **change)])


@pytest.mark.parametrize('settings', [
    {'steps': 0}, {'steps': 1001}, {'steps': 1.5}, {'strength': 0.0}, {'strength': 1.1},
    {'guidance': -1.0}, {'guidance': 3.5}])
def test_a_bad_setting_is_told(settings):
    with pytest.raises(GeneratorError):
        flat_generator(Flat()).generate([condition(64, 64)], GenerationSettings(**settings))


MANIFEST = GeneratorManifest(
    name='mine', kind='torch', structure='ab12', geometry=Geometry(scale=1, pitch=32, level=True),
    schedule=Schedule(shift=3.0, dynamic=True), steps=28, guidance=3.5, fields={'weights': {}})


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    (tmp_path / 'manifest.json').write_text(MANIFEST.to_json())
    found = read_manifest(tmp_path / 'manifest.json')
    assert replace(found, fields=MANIFEST.fields, digest='') == MANIFEST
    assert len(found.digest) == 64


@pytest.mark.parametrize(('change', 'message'), [
    ({'format': 2}, 'newer format'), ({'kind': 'pickle'}, 'kind'), ({'name': ''}, 'name'),
    ({'steps': 0}, 'steps'), ({'steps': True}, 'steps'), ({'scale': 3, 'pitch': 32}, 'multiple'),
    ({'schedule': {'shift': 'far'}}, 'shift'), ({'schedule': {'drift': 1}}, 'drift'),
    ({'schedule': {'dynamic': True, 'base_tokens': 256, 'max_tokens': 256}}, 'base_tokens'),
    ({'schedule': {'dynamic': True, 'base_tokens': 1e6, 'max_shift': 2}}, 'base_tokens'),
    ({'schedule': {'dynamic': True, 'max_shift': 1e6}}, 'dynamic shift'),
    ({'schedule': {'shift': 0}}, 'shift'),
    ({'files': {'../x': 'ab'}}, 'files'), ({'guidance': 'much'}, 'guidance'),
    ({'level': 1}, 'level'), ({'objects': 'yes'}, 'objects'), ({'structure': 5}, 'structure')])
def test_a_bad_manifest_is_told_with_its_path(tmp_path, change, message):
    path = tmp_path / 'manifest.json'
    path.write_text(json.dumps(json.loads(MANIFEST.to_json()) | change))
    with pytest.raises(GeneratorError, match=message) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize('text', ['', '[]', '{', '[' * 100_000, '\xff'])
def test_what_is_no_manifest_is_told(tmp_path, text):
    path = tmp_path / 'manifest.json'
    path.write_bytes(text.encode('latin-1'))
    with pytest.raises(GeneratorError, match='manifest.json'):
        read_manifest(path)


def test_generators_are_found_by_name_in_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))
    folder = tmp_path / 'gsc_ros' / 'profiles' / 'generator' / 'mine'
    folder.mkdir(parents=True)
    (folder / 'manifest.json').write_text(MANIFEST.to_json())
    assert find_generator('mine') == folder
    assert 'mine' in generator_profiles()
    with pytest.raises(GeneratorError, match='no generator'):
        find_generator('yours')
    with pytest.raises(GeneratorError, match='no generator'):
        find_generator('x' * 5000)
    with pytest.raises(GeneratorError, match='trained for structure profile ab12'):
        open_generator('mine', structure_hash='cd34')
    with pytest.raises(GeneratorError, match='weights have no'):
        open_generator('mine', structure_hash='ab12', device='cpu')
