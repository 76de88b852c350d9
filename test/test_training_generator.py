# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The embedded generator's training: each stage, its files, and what becomes of them as graphs."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('diffusers')
torch = pytest.importorskip('torch')

from gsc_ros.cli.main import main  # noqa: E402
from gsc_ros.codec.generator import token  # noqa: E402
from gsc_ros.codec.generator.flux.config import ControlConfig, TINY  # noqa: E402
from gsc_ros.codec.generator.manifest import read_manifest, structure_hash  # noqa: E402
from gsc_ros.codec.generator.object_map import group_of, MAP_CHANNELS  # noqa: E402
from gsc_ros.codec.generator.onnx import open_networks  # noqa: E402
from gsc_ros.codec.generator.opening import find_generator  # noqa: E402
from gsc_ros.codec.profile import load_profile  # noqa: E402
from gsc_ros.codec.region.object_list import ObjectBox  # noqa: E402
from gsc_ros.training.data import Archive, DataError, Split  # noqa: E402
from gsc_ros.training.generator import base, views  # noqa: E402
from gsc_ros.training.generator.autoencoder import (  # noqa: E402
    AutoencoderConfig,
    load_autoencoder,
    Made,
    PictureAutoencoder,
    start_from_blocks,
    train_autoencoder,
)
from gsc_ros.training.generator.export import export_generator  # noqa: E402
from gsc_ros.training.generator.found import open_finder  # noqa: E402
from gsc_ros.training.generator.loop import Loop, LoopSettings, save_weights  # noqa: E402
from tiny_detector import write_mean_colour, write_rt_detr  # noqa: E402

SMALL = replace(
    TINY, text_tokens=16, control=ControlConfig(1, 1, picture=True, level=True, objects=True),
    transformer=TINY.transformer | {
        'num_layers': 1, 'num_single_layers': 1, 'attention_head_dim': 24,
        'axes_dims_rope': (8, 8, 8)})


CAR = ObjectBox(2, 0.75, (0.0, 0.0, 0.5, 1.0))


def scene(generator: np.random.Generator) -> np.ndarray:
    """Return a picture of smooth ground and a few boxes, uint8 [96, 128, 3]."""
    rows, columns = np.mgrid[:96, :128]
    image = np.stack([rows + 60, columns + 40, 200 - rows], axis=2).astype(np.float32)
    for _ in range(4):
        top, left = generator.integers(0, 64, 2)
        image[top:top + 24, left:left + 32] = generator.integers(0, 255, 3)
    return np.clip(image + generator.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def split() -> Split:
    """Return archives of drawn scenes."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(3)
    pictures = tuple(scene(generator) for _ in range(12))
    return Split((Archive('highway_x', pictures[:10]),), (Archive('highway_x', pictures[10:]),))


@pytest.fixture(scope='module')
def autoencoder(split: Split) -> PictureAutoencoder:
    """Return an untrained autoencoder: the block transform of the scenes."""
    model = PictureAutoencoder(AutoencoderConfig(width=48, blocks=1))
    images = np.stack(split.training[0].images).transpose(0, 3, 1, 2)
    start_from_blocks(model, torch.from_numpy(images).float() / 255)
    return model.eval()


@pytest.fixture(scope='module')
def data(split: Split, autoencoder: PictureAutoencoder) -> base.FlowData:
    """Return encoded views of the scenes."""
    profile = load_profile('tiny')
    made = views.ViewMaker(profile, split.training, find=lambda image: (CAR,)).make(
        8, np.random.default_rng(1), 3, 4)
    return base.flow_data(made, autoencoder, profile.gains)


@pytest.fixture(scope='module')
def flow(data: base.FlowData, tmp_path_factory: pytest.TempPathFactory) -> base.TinyFlow:
    """Return a flow after a few steps of both stages."""
    folder = tmp_path_factory.mktemp('flow')
    settings = LoopSettings(steps=3, warmup=1, average=0.5, log_steps=1)
    model = base.train_flow(base.new_flow(data, config=SMALL).train(), data, folder / 'base',
                            settings, base.FlowSettings(batch=2))
    model.steer(data.rms())
    return base.train_flow(model.train(), data, folder / 'joint', settings,
                           base.FlowSettings(batch=2, free=0))


def picture(seed: int = 0) -> torch.Tensor:
    """Return a scene as [1, 3, 96, 128] in [0, 1]."""
    image = scene(np.random.default_rng(seed)).transpose(2, 0, 1)[None]
    return torch.from_numpy(image.copy()).float() / 255


def test_untrained_autoencoder_is_a_block_transform(autoencoder: PictureAutoencoder) -> None:
    """Before training, pictures come back, and the latent is linear in the picture."""
    one, other = picture(1), picture(2)
    with torch.no_grad():
        error = (autoencoder.decode(autoencoder.encode(one)) - one).square().mean()
        middle = autoencoder.encode((one + other) / 2)
        mean = (autoencoder.encode(one) + autoencoder.encode(other)) / 2
    assert -10 * float(error.log10()) > 24
    torch.testing.assert_close(middle, mean, atol=1e-4, rtol=1e-4)


def test_decoder_training_leaves_the_latents_alone(
        split: Split, autoencoder: PictureAutoencoder, tmp_path: Path) -> None:
    """A few steps change the decoder, not what the flow was trained on; the file restores both."""
    weights = tmp_path / 'start.safetensors'
    save_weights(autoencoder.state_dict(), weights,
                 {'autoencoder': autoencoder.config.to_dict()})
    model = load_autoencoder(weights)
    before = model.encode(picture())
    pictures = model.decode(before)
    trained = train_autoencoder(
        split, tmp_path, LoopSettings(steps=3, warmup=1, average=0.5), model, batch=2, crop=64)
    with torch.no_grad():
        torch.testing.assert_close(trained.encode(picture()), before, atol=1e-5, rtol=1e-5)
        changed = (trained.decode(before) - pictures).abs().max()
        assert changed > 1e-4
        again = load_autoencoder(tmp_path / 'weights.safetensors')
        torch.testing.assert_close(
            again.decode(before), trained.decode(before), atol=5e-3, rtol=5e-3)


def test_decoder_trains_on_what_a_flow_makes(
        split: Split, autoencoder: PictureAutoencoder, data: base.FlowData, flow: base.TinyFlow,
        tmp_path: Path) -> None:
    """Latents made of views have the views' shape, and a decoder takes them."""
    weights = tmp_path / 'start.safetensors'
    save_weights(autoencoder.state_dict(), weights,
                 {'autoencoder': autoencoder.config.to_dict()})
    latents = base.made_latents(flow, data, steps=(1, 2), batch=4)
    assert latents.shape == (8, 24, 6, 8) and np.isfinite(latents).all()
    figures: list[set[str]] = []
    images = np.stack([scene(np.random.default_rng(i))[:48, :64] for i in range(8)])
    train_autoencoder(
        split, tmp_path, LoopSettings(steps=3, warmup=1, log_steps=1), load_autoencoder(weights),
        batch=2, crop=64, generated=Made(latents, images),
        report=lambda loop, values: figures.append(set(values)))
    assert [any(name.startswith('made') for name in names) for names in figures] == [
        False, True, True]


def test_views_are_what_packets_tell(split: Split) -> None:
    """A view's structure picture is near its crop, finer levels nearer; channels can be cut."""
    maker = views.ViewMaker(load_profile('tiny'), split.training)
    image = views.crop(split.training[0], np.random.default_rng(0), 48, 64)

    def error(level: int, keep: int) -> tuple[float, int]:
        symbols, structure = maker.told(image, level, keep)
        return (float(np.square(structure.astype(float) - image).mean()),
                int(np.abs(symbols[keep:]).max(initial=0)))

    coarse, fine, cut = error(0, 320), error(15, 320), error(15, 2)
    assert fine[0] < coarse[0] < 127 ** 2
    assert fine[0] < cut[0] and cut[1] == 0


def test_views_are_kept_with_their_objects(split: Split, tmp_path: Path) -> None:
    """Lists of any length, of many views or of none."""
    lists = iter([(CAR,), (), (CAR, replace(CAR, class_id=0))])
    made = views.ViewMaker(
        load_profile('tiny'), split.training, find=lambda image: next(lists)).make(
        3, np.random.default_rng(0), 2, 3)
    made.save(tmp_path / 'views.npz')
    assert views.Views.load(tmp_path / 'views.npz').objects == made.objects
    assert [len(found) for found in made.objects] == [1, 0, 2]
    none = views.ViewMaker(load_profile('tiny'), split.training).make(
        2, np.random.default_rng(0), 2, 3)
    none.save(tmp_path / 'views.npz')
    assert views.Views.load(tmp_path / 'views.npz').objects == ((), ())


def test_detectors_of_any_names_tell_classes_of_coco(tmp_path: Path) -> None:
    """What COCO has no class for is another thing."""
    shares = np.array([[0, 0, 0.5, 1], [0.25, 0.5, 1, 1]], np.float32)
    path = write_rt_detr(tmp_path / 'a.onnx', shares, np.array([2, 0]), np.array([0.9, 0.6]))
    found = open_finder(path)(np.zeros((48, 64, 3), np.uint8))
    assert [one.class_id for one in found] == [2, 0]
    np.testing.assert_allclose([one.box for one in found], shares, atol=1e-6)
    np.testing.assert_allclose([one.score for one in found], [0.9, 0.6], atol=1e-6)
    colours = open_finder(write_mean_colour(tmp_path / 'b.onnx'))
    (other,) = colours(np.full((48, 64, 3), (0, 0, 255), np.uint8))
    assert (other.class_id, other.box) == (255, (0, 0, 1, 1))
    with pytest.raises(DataError, match=r'none\.onnx'):
        open_finder(tmp_path / 'none.onnx')


def test_the_list_tells_where_the_object_is_and_errors_there_weigh_more(
        data: base.FlowData) -> None:
    """The left half of each view is a car; without the list the map is empty."""
    index = np.array([0, 1])
    told = data.conditions(index, np.array([True, False]))[..., -MAP_CHANNELS:]
    cars = told[0].reshape(data.rows, data.columns, -1)[..., group_of(CAR.class_id)]
    assert torch.equal(cars[:, :2], torch.full((3, 2), CAR.score))
    assert not cars[:, 2:].any() and not told[1].any()
    weights = data.weights(index, 2.0).reshape(2, data.rows, data.columns)
    assert float(weights.mean()) == pytest.approx(1)
    assert float(weights[0, 0, 0] / weights[0, 0, 3]) == pytest.approx(1 + 2 * CAR.score)
    assert torch.equal(data.weights(index, 0.0), torch.ones(2, 12, 1))


def test_the_layer_for_objects_learns_alone(
        flow: base.TinyFlow, data: base.FlowData, tmp_path: Path) -> None:
    """All else stays, so that pictures without a list do."""
    model = copy.deepcopy(flow).train().requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.get_parameter(base.OBJECTS_WEIGHT).requires_grad_(True)
    base.train_flow(model, data, tmp_path, LoopSettings(steps=2, warmup=1, average=0.5),
                    base.FlowSettings(batch=2, free=0))
    changed = {name for name, value in model.state_dict().items()
               if not torch.equal(value, before[name])}
    assert changed == {base.OBJECTS_WEIGHT}


def test_weights_from_before_the_list_give_the_same_velocity_bit_for_bit(
        flow: base.TinyFlow, data: base.FlowData, tmp_path: Path) -> None:
    """A checkpoint that was trained without objects is told them and does not mind."""
    state = flow.state_dict()
    del state[base.OBJECTS_WEIGHT]
    path = tmp_path / 'old.safetensors'
    save_weights(state, path, {'flow': {'steered': True}})
    deaf = replace(SMALL, control=replace(SMALL.control, objects=False))
    index, sigma = np.arange(4), torch.full((4,), 0.9)
    noise = torch.randn(4, *data.data.shape[1:], generator=torch.Generator().manual_seed(0))
    found = []
    for config in (deaf, SMALL):
        model = base.load_flow(path, config)
        told = data.conditions(index)
        if config is deaf:
            told = told[..., :-MAP_CHANNELS]
        with torch.no_grad():
            found.append(model(noise, told, sigma, model.text.ids([''] * 4), data.rows,
                               data.columns))
    assert torch.equal(*found)


def test_new_flow_guesses_the_structure(data: base.FlowData) -> None:
    """Before training, the flow from pure noise points to the structure picture's latent."""
    model = base.new_flow(data, config=SMALL).eval()
    model.steer(data.rms())
    index = np.arange(4)
    noise = torch.randn(4, *data.data.shape[1:], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        velocity = model(noise, data.conditions(index), torch.ones(4),
                         model.text.ids([''] * 4), data.rows, data.columns)
    told = torch.from_numpy(data.picture[index].astype(np.float32))
    torch.testing.assert_close(noise - velocity, told, atol=2e-2, rtol=1e-2)


def test_training_lowers_the_loss(data: base.FlowData, tmp_path: Path) -> None:
    """A few dozen steps on eight views beat the guess that training starts from."""
    model = base.new_flow(data, config=SMALL)
    model.steer(data.rms())
    index = np.arange(8)
    noise = torch.randn(8, *data.data.shape[1:], generator=torch.Generator().manual_seed(1))
    sigma = np.full(8, 0.8, np.float32)

    def loss() -> float:
        with torch.no_grad():
            return float(base.velocity_loss(
                model, data, index, sigma, noise, True, data.captions).mean())

    first = loss()
    base.train_flow(model.train(), data, tmp_path,
                    LoopSettings(steps=40, warmup=5, rate=3e-3, average=0.5),
                    base.FlowSettings(batch=8, free=0, text_dropout=0))
    assert loss() < 0.9 * first


def test_resumed_flow_goes_on_like_an_unbroken_one(data: base.FlowData, tmp_path: Path) -> None:
    """Weights after a stop and a resume are those of a run without one."""
    def until(steps: int, folder: Path) -> dict[str, torch.Tensor]:
        model = base.new_flow(data, config=SMALL).train()
        # The rate must not know how long the run is.
        loop = base.Loop(model, LoopSettings(steps=10 ** 6, warmup=1), folder, {'flow': {}})
        loop.begin(resume=True)

        def loss(generator: np.random.Generator) -> tuple[torch.Tensor, dict]:
            index = generator.integers(0, 8, 2)
            sigma = generator.random(2).astype(np.float32)
            noise = torch.randn(2, *data.data.shape[1:])
            return base.velocity_loss(
                model, data, index, sigma, noise, False, ['', '']).mean(), {}

        while loop.step < steps:
            loop.update(loss)
        loop.save()
        return loop.averaged()

    unbroken = until(4, tmp_path / 'one')
    until(2, tmp_path / 'two')
    for name, value in until(4, tmp_path / 'two').items():
        torch.testing.assert_close(value, unbroken[name], atol=1e-6, rtol=1e-5)


def test_compact_weights_are_near(flow: base.TinyFlow, tmp_path: Path) -> None:
    """Weights in 8 bits take half the space and change little."""
    full, small = tmp_path / 'full', tmp_path / 'small'
    save_weights(flow.state_dict(), full, base.flow_fields(flow))
    save_weights(flow.state_dict(), small, base.flow_fields(flow), compact=True)
    assert small.stat().st_size < 0.55 * full.stat().st_size
    one, other = base.load_flow(full, SMALL), base.load_flow(small, SMALL)
    for name, value in one.state_dict().items():
        difference = (other.state_dict()[name].float() - value).abs().max()
        assert difference <= value.float().abs().max() / 200, name
    with pytest.raises(ValueError, match='not a checkpoint of an autoencoder'):
        load_autoencoder(full)


def test_shipped_checkpoints_are_those_of_the_profile() -> None:
    """What one trains on from is what the shipped graphs were made of."""
    checkpoints = Path(__file__).parent.parent / 'checkpoints'
    autoencoder = load_autoencoder(checkpoints / 'generator_autoencoder.safetensors')
    flow = base.load_flow(checkpoints / 'generator_flow.safetensors')
    folder = find_generator('tiny')
    networks = open_networks(folder, read_manifest(folder / 'manifest.json'))
    image = picture()
    with torch.no_grad():
        latent = autoencoder.encode(image).numpy()
        pooled = flow.text(*flow.text.ids(['a road']))[1].numpy()
    assert np.abs(networks.encode(image.numpy()) - latent).max() < 0.05
    found = networks.embed('a road').pooled
    assert np.abs(found - pooled).max() < 0.05 * np.abs(pooled).max()


@pytest.mark.parametrize('content', [b'', b'junk' * 9])
def test_what_is_no_checkpoint_is_bad_data(
        content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Its name is said, in one line."""
    junk = tmp_path / 'junk.safetensors'
    junk.write_bytes(content)
    assert main(['train', 'export-generator', str(junk), '--autoencoder', str(junk), '--output',
                 str(tmp_path / 'out')]) == 1
    said = capsys.readouterr().err
    assert 'junk.safetensors: damaged' in said and said.count('\n') == 1


def test_a_run_is_not_overwritten(autoencoder: PictureAutoencoder, tmp_path: Path) -> None:
    """Unless it is to be gone on with; a damaged state is told."""
    loop = Loop(autoencoder, LoopSettings(), tmp_path, {})
    loop.begin(resume=False)
    (tmp_path / 'state.safetensors').write_bytes(b'junk')
    with pytest.raises(ValueError, match='--resume goes on'):
        loop.begin(resume=False)
    with pytest.raises(DataError, match='state.safetensors: damaged'):
        loop.begin(resume=True)


def test_commands_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Missing files are bad data, arguments that do not fit together bad usage."""
    common = ['train', 'autoencoder', '--output', str(tmp_path)]
    assert main([*common, '--data', str(tmp_path / 'none')]) == 1
    assert 'no such file' in capsys.readouterr().err
    assert main([*common, '--data', str(tmp_path), '--flow', 'flow']) == 2
    assert '--flow needs --start' in capsys.readouterr().err
    assert main(['train', 'generator', '--output', str(tmp_path), '--data', str(tmp_path),
                 '--autoencoder', 'ae', '--only-objects']) == 2
    assert '--only-objects needs --start and --detector' in capsys.readouterr().err


def test_graphs_equal_the_modules(
        flow: base.TinyFlow, autoencoder: PictureAutoencoder, data: base.FlowData,
        tmp_path: Path) -> None:
    """The exported profile gives what torch gives, for other shapes than it was traced with."""
    profile = load_profile('tiny')
    export_generator(flow, autoencoder, profile, tmp_path, name='small', steps=2)
    manifest = read_manifest(tmp_path / 'manifest.json')
    assert manifest.structure == structure_hash(profile) and manifest.steps == 2
    networks = open_networks(tmp_path, manifest)
    condition = data.conditions(np.arange(3)).numpy()
    z = np.random.default_rng(0).standard_normal(data.data[:3].shape).astype(np.float32)
    texts = [networks.embed(text) for text in ('a road', '', 'a field')]
    for told in (condition, None):
        found = networks.field(texts, told, data.rows, data.columns, None)(z, 0.7)
        with torch.no_grad():
            expected = flow(
                torch.from_numpy(z), None if told is None else torch.from_numpy(told),
                torch.full((3,), 0.7), flow.text.ids(['a road', '', 'a field']),
                data.rows, data.columns).numpy()
        # Weights are stored in 8 bits.
        assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    image = picture().numpy()
    with torch.no_grad():
        latent = autoencoder.encode(torch.from_numpy(image))
        decoded = autoencoder.decode(latent).numpy()
    np.testing.assert_allclose(networks.encode(image), latent.numpy(), atol=1e-4)
    np.testing.assert_allclose(networks.decode(latent.numpy()), decoded, atol=5e-3)
    assert token.pack(latent.numpy()).shape[-1] == manifest.in_channels
