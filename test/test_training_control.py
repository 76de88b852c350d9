# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training the control branch: what it changes, what it leaves alone, how it resumes."""

from __future__ import annotations

from dataclasses import replace
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('accelerate')
pytest.importorskip('diffusers')
pytest.importorskip('peft')

from control_training import (  # noqa: E402
    Averages,
    cached_source,
    CONFIG,
    control_info,
    GEOMETRY,
    Letters,
    structure,
    trainer,
    transformer,
    write_pictures,
)
from gsc_ros.codec.error import GeneratorError  # noqa: E402
from gsc_ros.codec.generator import flow as generator_flow  # noqa: E402
from gsc_ros.codec.generator.flux.config import ControlConfig, FLUX_DEV  # noqa: E402
from gsc_ros.codec.generator.flux.control_file import (  # noqa: E402
    LoraShape,
    read_control,
    read_info,
)
from gsc_ros.codec.generator.object_map import object_map  # noqa: E402
from gsc_ros.codec.generator.schedule import Schedule  # noqa: E402
from gsc_ros.codec.region.object_list import ObjectBox  # noqa: E402
from gsc_ros.codec.selection import Selection  # noqa: E402
from gsc_ros.training.data import Archive, CropSampler, DataError  # noqa: E402
from gsc_ros.training.generator.batch import (  # noqa: E402
    BatchSettings,
    CachedSource,
    CropSource,
)
from gsc_ros.training.generator.cache import TensorCache  # noqa: E402
from gsc_ros.training.generator.control import ControlSettings, ControlTrainer  # noqa: E402
from gsc_ros.training.generator.data import load_image, read_images  # noqa: E402
from gsc_ros.training.generator.flow import (  # noqa: E402
    draw_sigmas,
    flow_loss,
    on_path,
    Times,
    velocity,
)
from gsc_ros.training.generator.sample import (  # noqa: E402
    make_sample,
    SampleWriter,
    TrainingNetworks,
)

LORA = LoraShape(4, 8.0)
CAR = ObjectBox(2, 0.9, (0.1, 0.2, 0.6, 0.8))


@pytest.fixture(name='pictures', scope='module')
def picture_folder(tmp_path_factory) -> Path:
    """Return a folder of eight pictures."""
    return write_pictures(tmp_path_factory.mktemp('training') / 'pictures')


@pytest.fixture(name='source', scope='module')
def batch_source(pictures) -> CachedSource:
    """Return batches of two of the pictures."""
    return cached_source(pictures)


def samples(run: ControlTrainer, pictures: Path) -> SampleWriter:
    """Return what makes sample pictures of the eight with a trainer's model."""
    def embed(text: str) -> tuple[torch.Tensor, torch.Tensor]:
        embedded, pooled = Letters().embed([text])
        return embedded[0], pooled[0]

    generator = generator_flow.FlowGenerator(
        'training', TrainingNetworks(run, Averages(), embed),
        generator_flow.Geometry(scale=2, pitch=32), Schedule(), steps=8)
    source = structure()
    return SampleWriter(generator, tuple(
        make_sample(load_image(image.path, GEOMETRY), image.caption, source, seed)
        for seed, image in enumerate(read_images([pictures]))))


def test_the_path_leads_from_data_to_noise_at_its_velocity():
    data, noise = torch.randn(3, 4, 5), torch.randn(3, 4, 5)
    ends = on_path(data, noise, torch.tensor([0.0, 1.0, 0.5]))
    assert torch.equal(ends[0], data[0])
    assert torch.equal(ends[1], noise[1])
    step = 1e-3
    later = on_path(data, noise, torch.full((3,), 0.5 + step))
    middle = on_path(data, noise, torch.full((3,), 0.5))
    assert torch.allclose((later - middle) / step, velocity(data, noise), atol=1e-2)
    assert torch.equal(flow_loss(velocity(data, noise), data, noise), torch.zeros(3))
    assert torch.allclose(flow_loss(velocity(data, noise) + 2, data, noise), torch.full((3,), 4.0))


@pytest.mark.parametrize('times', list(Times))
def test_noise_levels_cover_the_path_and_a_shift_moves_them_to_noise(times):
    plain = draw_sigmas(4000, np.random.default_rng(0), times)
    shifted = draw_sigmas(4000, np.random.default_rng(0), times, shift=3.0)
    assert 0 <= plain.min() < 0.05
    assert 0.95 < plain.max() <= 1
    assert abs(plain.mean() - 0.5) < 0.02
    assert (shifted >= plain).all()
    assert shifted.mean() > 0.6


def test_the_first_backward_pass_reaches_only_the_zero_layers_and_the_next_the_copy(
        source, tmp_path):
    run = trainer(source, tmp_path)
    run.loss(source.batch(0), np.random.default_rng(0)).mean().backward()
    reached = {n for n, p in run.trained.items() if p.grad is not None and p.grad.any()}
    assert reached == {
        f'controlnet_{kind}.0.{name}' for kind in ('blocks', 'single_blocks')
        for name in ('weight', 'bias')}
    run.update()
    run.optimizer.zero_grad()
    run.loss(source.batch(0), np.random.default_rng(0)).mean().backward()
    assert {n for n, p in run.trained.items() if p.grad is not None and p.grad.any()} == {
        n for n, _ in run.bare.control.named_parameters()}
    assert all(p.grad is None for p in run.bare.transformer.parameters())


def test_training_leaves_the_transformer_as_it_was_bit_for_bit(source, tmp_path):
    base = transformer()
    run = trainer(source, tmp_path, base)
    before = {n: v.clone() for n, v in run.bare.control.state_dict().items()}
    for _ in range(3):
        run.update()
    assert all(torch.equal(v, w) for v, w in zip(
        base.state_dict().values(), transformer().state_dict().values()))
    changed = {n for n, v in run.bare.control.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == set(before) - {'controlnet_x_embedder.structure_scale'}


@pytest.mark.parametrize('lora', [None, LORA])
def test_resuming_gives_the_very_weights_of_an_unbroken_run(source, tmp_path, lora):
    info = control_info(lora=lora)
    whole = trainer(source, tmp_path / 'whole', info=info, cosine=True)
    for _ in range(5):
        whole.update()
    first = trainer(source, tmp_path / 'parts', info=info, cosine=True)
    for _ in range(2):
        first.update()
    first.save()
    second = trainer(source, tmp_path / 'parts', info=info, cosine=True)
    assert second.resume()
    assert second.step == 2
    for _ in range(3):
        second.update()
    for name, value in whole.trained.items():
        assert torch.equal(value, second.trained[name]), name
        assert torch.equal(whole.average[name], second.average[name]), name


def test_an_update_that_overflows_is_left_out(source, tmp_path, monkeypatch):
    run = trainer(source, tmp_path)
    run.update()
    before = {name: value.detach().clone() for name, value in run.trained.items()}
    whole = run.loss
    monkeypatch.setattr(run, 'loss', lambda *words: whole(*words) * torch.inf)
    run.update()
    assert all(torch.equal(value, before[name]) for name, value in run.trained.items())
    monkeypatch.undo()
    run.update()
    assert not all(torch.equal(value, before[name]) for name, value in run.trained.items())


def test_a_distilled_transformer_is_told_the_guidance_it_will_have(source, tmp_path):
    assert ControlSettings().guidance == FLUX_DEV.guidance
    batch, found = source.batch(0), []
    for guidance in (0.0, 3.5):
        run = trainer(source, tmp_path / str(guidance), transformer(guidance_embeds=True),
                      guidance=guidance)
        with torch.no_grad():
            sigma = torch.full((len(batch.data),), 0.5)
            found.append(run.velocity(batch, batch.data, sigma))
    assert not torch.allclose(found[0], found[1], atol=1e-4)


def test_checkpointing_recomputes_the_activations_and_changes_no_gradient(source, tmp_path):
    kept: list[int] = []
    norms = []
    for checkpointing in (False, True):
        run = trainer(source, tmp_path / str(checkpointing), checkpointing=checkpointing)
        sizes: dict[int, int] = {}

        def keep(tensor, sizes=sizes):
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            run.loss(source.batch(0), np.random.default_rng(0))
        kept.append(sum(sizes.values()))
        norms.append(float(run.update()['norm']))
    assert kept[1] < 0.7 * kept[0]
    assert norms[1] == pytest.approx(norms[0], rel=1e-5)


def test_an_update_takes_the_mean_over_its_batches(source, tmp_path):
    run = trainer(source, tmp_path, accumulation=4)
    expected = torch.stack([run.loss(
        source.batch(number), np.random.default_rng((run.settings.seed, 3, number))).mean()
        for number in range(4)]).mean()
    gradient = torch.autograd.grad(expected, list(run.trained.values()), allow_unused=True)
    norm = torch.stack([part.norm() for part in gradient if part is not None]).norm()
    figures = run.update()
    assert float(figures['loss']) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert float(figures['norm']) == pytest.approx(float(norm), rel=1e-4)


def test_a_run_of_another_branch_is_not_resumed(source, tmp_path):
    assert not trainer(source, tmp_path).resume()
    run = trainer(source, tmp_path)
    run.save()
    other = trainer(source, tmp_path, info=replace(control_info(), channels='16'))
    with pytest.raises(ValueError, match='another branch'):
        other.resume()


def test_the_control_file_gives_the_averaged_branch_back(source, tmp_path):
    base = transformer()
    run = trainer(source, tmp_path, base)
    for _ in range(2):
        run.update()
    run.save()
    control, info = read_control(tmp_path / 'control.safetensors', base)
    assert info == run.info
    for name, value in control.named_parameters():
        assert torch.equal(value, run.average[name]), name
    scale = control.controlnet_x_embedder.structure_scale
    assert torch.equal(scale, torch.from_numpy(source.structure_scale()))
    fresh = trainer(source, tmp_path / 'more', base)
    fresh.start_from(tmp_path / 'control.safetensors')
    assert all(torch.equal(value, run.average[n]) for n, value in fresh.trained.items())


def test_adapters_alone_are_trained_and_the_file_merges_to_the_same_branch(source, tmp_path):
    base = transformer()
    run = trainer(source, tmp_path, base, control_info(lora=LORA), average=0.0)
    zero = ('controlnet_blocks', 'controlnet_single_blocks', 'controlnet_x_embedder')
    assert all('lora_' in name or name.startswith(zero) for name in run.trained)
    assert any('lora_' in name for name in run.trained)
    frozen = {n: p.clone() for n, p in run.bare.control.named_parameters() if not p.requires_grad}
    for _ in range(3):
        run.update()
    assert all(torch.equal(value, dict(run.bare.control.named_parameters())[name])
               for name, value in frozen.items())
    run.save()
    assert read_info(tmp_path / 'control.safetensors').lora == LORA
    full = trainer(source, tmp_path / 'full', base)
    full.save()
    assert ((tmp_path / 'control.safetensors').stat().st_size
            < (tmp_path / 'full' / 'control.safetensors').stat().st_size)
    batch = source.batch(0)
    sigma = torch.tensor([0.3, 0.6])
    expected = run.velocity(batch, batch.data, sigma)
    full.bare.control, _ = read_control(tmp_path / 'control.safetensors', base)
    assert torch.allclose(full.velocity(batch, batch.data, sigma), expected, atol=1e-5)
    base.x_embedder.weight.data = base.x_embedder.weight.data.to(torch.uint8)
    with pytest.raises(GeneratorError, match='quantised'):
        read_control(tmp_path / 'control.safetensors', base)


def test_a_control_file_of_another_transformer_is_refused(source, tmp_path):
    run = trainer(source, tmp_path)
    run.save()
    with pytest.raises(GeneratorError, match='control.safetensors'):
        read_control(tmp_path / 'control.safetensors', transformer(num_attention_heads=4))
    with pytest.raises(GeneratorError, match='no such'):
        read_info(tmp_path / 'none.safetensors')
    (tmp_path / 'bad.safetensors').write_bytes(b'\xff' * 40)
    with pytest.raises(GeneratorError, match='damaged'):
        read_info(tmp_path / 'bad.safetensors')
    with pytest.raises(GeneratorError, match='not a control file'):
        read_info(tmp_path / 'state.safetensors')


def test_overfitting_eight_pictures_lowers_the_loss_tenfold_and_brings_the_samples_to_them(
        pictures, tmp_path):
    config = ControlConfig(multi=1, single=1)
    source = cached_source(pictures, size=8, config=config)
    base = transformer(num_layers=1, num_single_layers=1, attention_head_dim=48,
                       axes_dims_rope=(16, 16, 16))
    run = trainer(source, tmp_path, base, control_info(config), steps=320, rate=6e-3, warmup=10,
                  accumulation=1, cosine=True, average=0.96, log_steps=100, save_steps=400)
    run.validation = source
    writer = samples(run, pictures)

    def distances() -> np.ndarray:
        """Return the mean square errors of each sample to each picture, [8, 8]."""
        targets = [Averages().encode(torch.from_numpy(
            generator_flow.reduce(sample.image, 64, 64, 2))[None]) for sample in writer.samples]
        made = [Averages().encode(torch.from_numpy(
            generator_flow.reduce(picture, 64, 64, 2))[None]) for picture in writer.pictures()]
        return np.array([[float((a - b).square().mean()) for b in targets] for a in made])

    before, far = run.validate(), np.diag(distances()).mean()
    run.run(sample=writer)
    after, near = run.validate(), distances()
    assert after < before / 10
    assert np.diag(near).mean() < far / 4
    # Each sample is nearest to its own picture.
    assert (near.argmin(axis=1) == np.arange(8)).all()
    assert len(list((tmp_path / 'samples').glob('000320-*.png'))) == 8
    assert list((tmp_path / 'control').glob('**/events*'))


def test_batches_of_a_cache_show_every_picture_once_an_epoch(source):
    shown = [tuple(source.batch(number).data[:, 0, 0].tolist()) for number in range(4)]
    assert len({value for pair in shown for value in pair}) == 8
    assert torch.equal(source.batch(7).data, source.batch(7).data)
    assert torch.equal(source.batch(7).condition, source.batch(7).condition)


def test_pictures_of_several_shapes_are_batched_by_shape(tmp_path):
    write_pictures(tmp_path, count=4)
    write_pictures(tmp_path / 'wide', count=3, width=192)
    source = cached_source(tmp_path)
    shapes = [(batch.rows, batch.columns) for batch in map(source.batch, range(source.batches))]
    assert sorted(shapes) == [(4, 4), (4, 4), (4, 6), (4, 6)]


def test_a_cache_goes_on_where_it_was_stopped_and_refuses_other_models(tmp_path):
    cache = TensorCache(tmp_path, {'model': 'a'})
    cache.add('one', {'text': torch.ones(2)})
    cache.flush()
    cache.add('two', {'text': torch.ones(3)})  # never written
    (tmp_path / '0-x.part').write_bytes(b'half a shard')
    again = TensorCache(tmp_path, {'model': 'a'}, writer=1)
    assert again.missing(['one', 'two', 'two'], 'text') == ['two']
    assert again.shape('one', 'text') == (2,)
    with pytest.raises(DataError, match='another model'):
        TensorCache(tmp_path, {'model': 'b'})
    (tmp_path / '0-x.safetensors').write_bytes(b'no tensors')
    with pytest.raises(DataError, match='0-x.safetensors: damaged'):
        TensorCache(tmp_path, {'model': 'a'})


def test_channels_are_those_that_a_sender_would_choose(pictures):
    image = load_image(read_images([pictures])[0].path, GEOMETRY)
    one = structure(counts=(3,)).send(structure().measure(image), np.random.default_rng(0))
    assert len(one.channels) == 3
    assert not np.delete(one.latent, one.channels, axis=0).any()
    ordered = structure(counts=(3,), selection=Selection.ORDERED)
    assert ordered.send(ordered.measure(image), np.random.default_rng(0)).channels == (0, 1, 2)
    anyhow = structure(counts=(), quantizers=(2, 5), selection=Selection.ORDERED)
    drawn = [anyhow.send(anyhow.measure(image), np.random.default_rng(i)) for i in range(30)]
    assert {sent.quantizer for sent in drawn} == {2, 3, 4, 5}
    assert min(len(sent.channels) for sent in drawn) < 10
    assert max(len(sent.channels) for sent in drawn) > 100
    assert structure(counts=(1, 2, 4, 8, 16)).settings.label == 'random'
    with pytest.raises(ValueError, match='quantizers'):
        structure(quantizers=(0, 99))


def test_lists_of_objects_are_found_once_and_some_are_left_out(tmp_path):
    pictures = write_pictures(tmp_path / 'pictures', 4)
    found: list[int] = []
    config = replace(CONFIG, objects=True)

    def find(image: np.ndarray) -> tuple[ObjectBox, ...]:
        found.append(len(image))
        return (CAR,)

    def lists(drop: float) -> list[bool]:
        source = cached_source(pictures, config=config, find=find, drop_objects=drop)
        return [bool(one[..., 320:].any()) for number in range(20)
                for one in source.batch(number).condition]

    assert all(lists(0))
    assert not any(lists(1))
    assert 0.3 < np.mean(lists(0.5)) < 0.7
    assert found == [128] * 4
    batch = cached_source(pictures, config=config, find=find, drop_objects=0).batch(0)
    expected = object_map([CAR], batch.rows, batch.columns, batch.rows, batch.columns)
    assert batch.condition[0, :, 320:].numpy().T.reshape(expected.shape) == pytest.approx(
        expected, abs=1e-6)


def test_a_branch_without_objects_becomes_one_with_them_and_steers_the_same(source, tmp_path):
    base = transformer()
    run = trainer(source, tmp_path, base)
    run.update()
    run.save()
    told = trainer(source, tmp_path / 'told', base, control_info(replace(CONFIG, objects=True)))
    told.start_from(tmp_path / 'control.safetensors')
    batch, before = source.batch(0), None
    for trained in (run, told):
        with trained.averaged(), torch.no_grad():
            width = trained.info.config.inputs(12)
            condition = torch.zeros(*batch.condition.shape[:2], width)
            condition[..., :320] = batch.condition
            condition[..., 320:] = 0.7
            velocity = trained.velocity(
                replace(batch, condition=condition), batch.data, torch.full((2,), 0.5))
        before = velocity if before is None else before
    assert torch.equal(velocity, before)
    told.save()
    with pytest.raises(ValueError, match='another kind'):
        trainer(source, tmp_path / 'back', base).start_from(
            tmp_path / 'told' / 'control.safetensors')


def test_crops_on_the_fly_bring_the_structure_picture_and_its_level_along(tmp_path):
    config = ControlConfig(multi=1, single=1, picture=True, level=True)
    images = tuple(np.random.default_rng(i).integers(0, 256, (96, 96, 3), np.uint8)
                   for i in range(3))
    source = CropSource(
        CropSampler([Archive('road', images)], 64), lambda name, crop, generator: f'a {name}',
        Letters(), Averages(), structure(counts=(2,), quantizers=(15, 15)), config, 2,
        BatchSettings(size=2))
    batch = source.batch(3)
    assert batch.condition.shape == (2, 4, 320 + 12 + 1)
    assert (batch.condition[..., -1] == 1).all()
    assert batch.condition[..., 320:332].any()
    assert torch.equal(batch.data, source.batch(3).data)
    run = trainer(source, tmp_path, info=control_info(config))
    assert math.isfinite(float(run.update()['loss']))
    with pytest.raises(ValueError, match='on the fly'):
        cached_source(write_pictures(tmp_path / 'p', 1), config=config)
