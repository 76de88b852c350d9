# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Generators in torch, read back from disk in the hub's layout, end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import shutil

from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from flux_checkpoint import SMALL, small_parts, STRUCTURE, write_control, write_steered
from gguf import GGMLQuantizationType, GGUFWriter, quants
from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator import noise, token
from gsc_ros.codec.generator.flow import FlowGenerator, Geometry
from gsc_ros.codec.generator.flux import load as loading
from gsc_ros.codec.generator.flux import memory
from gsc_ros.codec.generator.flux.memory import Estimate
from gsc_ros.codec.generator.flux.networks import FluxNetworks
from gsc_ros.codec.generator.generator import Condition, GenerationSettings
from gsc_ros.codec.generator.manifest import GeneratorManifest
from gsc_ros.codec.generator.opening import open_generator
from gsc_ros.codec.generator.source import file_sha256, Offload, Precision, Source
from gsc_ros.codec.region.object_list import ObjectBox
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch

CPU = torch.device('cpu')
GEOMETRY = Geometry(scale=1, pitch=16)


@pytest.fixture(name='checkpoint', scope='module')
def written_checkpoint(tmp_path_factory) -> Path:
    """Return the directory of a FLUX-shaped checkpoint, and a control file beside it."""
    return write_steered(tmp_path_factory.mktemp('flux'))


@pytest.fixture(name='source', scope='module')
def small_source(checkpoint) -> Source:
    """Return where the checkpoint lies."""
    control = checkpoint / 'control.safetensors'
    return Source.from_layout(
        checkpoint, control=control, control_sha256=file_sha256(control),
        text_tokens=SMALL.text_tokens, precision=Precision.FP32, text_precision=Precision.FP32)


def profile(folder: Path, source: Source, **changes) -> Path:
    """Write a generator profile and return its folder."""
    folder.mkdir(exist_ok=True)
    (folder / 'manifest.json').write_text(GeneratorManifest(**{
        'name': 'small', 'kind': 'torch', 'structure': STRUCTURE, 'geometry': GEOMETRY,
        'schedule': SMALL.schedule, 'steps': SMALL.steps, 'guidance': SMALL.guidance,
        'fields': {'weights': source.to_fields()}} | changes).to_json())
    return folder


def condition(text: str = 'a road', height: int = 40, width: int = 56, **others) -> Condition:
    """Return a condition with a random latent at stride 16."""
    draw = np.random.default_rng(1)
    latent = draw.normal(size=(320, -(-height // 16), -(-width // 16))).astype(np.float32)
    return Condition(**{
        'text': text, 'latent': latent, 'channels': tuple(range(320)), 'level': 0.5, 'seed': 9,
        'structure': draw.integers(0, 256, (height, width, 3), np.uint8)} | others)


def generated(source: Source, given: Condition | None = None) -> np.ndarray:
    """Return what the models of a source make of a condition."""
    parts, control, _ = loading.load(source, CPU)
    networks = FluxNetworks(parts, control, CPU, source.offload)
    generator = FlowGenerator(
        'small', networks, GEOMETRY, SMALL.schedule, SMALL.steps, SMALL.guidance)
    return generator.generate([given or condition()])[0]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean absolute difference of two pictures in levels."""
    return float(np.abs(one.astype(int) - other).mean())


@pytest.fixture(name='expected', scope='module')
def full_precision(source) -> np.ndarray:
    """Return the picture in full precision, on the CPU."""
    return generated(source)


def test_a_checkpoint_in_the_hubs_layout_generates_a_picture(
        tmp_path, monkeypatch, source, expected):
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))
    folder = tmp_path / 'gsc_ros' / 'profiles' / 'generator'
    folder.mkdir(parents=True)
    profile(folder / 'small', source)
    generator = open_generator('small', device='cpu', structure_hash=STRUCTURE)
    (picture,) = generator.generate([condition()])
    assert picture.shape == (40, 56, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 1
    assert np.array_equal(picture, expected)
    assert generator.identity.startswith('small-')
    pictures = generator.generate([condition(), condition(height=64, width=64)])
    assert [one.shape for one in pictures] == [(40, 56, 3), (64, 64, 3)]
    generator.close()
    with pytest.raises(GeneratorError, match='closed'):
        generator.generate([condition()])


def test_what_is_read_back_computes_what_was_written(source):
    written, (read, control, info) = small_parts(), loading.load(source, CPU)
    for name, model in written.modules().items():
        found = read.modules()[name].state_dict()
        assert all(torch.equal(tensor, found[key]) for key, tensor in model.state_dict().items())
    assert info is not None and info.structure == STRUCTURE
    assert not any(one.requires_grad for one in control.parameters())


def test_captions_are_embedded_as_the_flux_pipeline_embeds_them(source):
    parts, _, _ = loading.load(source, CPU)
    pipeline = FluxPipeline(
        scheduler=None, vae=parts.autoencoder, text_encoder=parts.text.clip,
        tokenizer=parts.text.clip_tokenizer, text_encoder_2=parts.text.t5,
        tokenizer_2=parts.text.t5_tokenizer, transformer=parts.transformer)
    with torch.inference_mode():
        text, pooled, _ = pipeline.encode_prompt('a road with two cars', None, max_sequence_length=(
            SMALL.text_tokens))
        found, found_pooled = parts.embed(['a road with two cars'])
        empty, _ = parts.embed([''])
    assert torch.equal(found, text)
    assert torch.equal(found_pooled, pooled)
    assert empty.shape == text.shape and not torch.equal(empty, text)


def test_without_control_the_sampler_makes_what_the_flux_pipeline_makes(source):
    parts, _, _ = loading.load(source, CPU)
    generator = FlowGenerator(
        'small', FluxNetworks(parts, None), GEOMETRY, SMALL.schedule, steps=4, guidance=3.5)
    given = condition(height=32, width=48)
    (picture,) = generator.generate([given], GenerationSettings(use_structure=False))
    pipeline = FluxPipeline(
        scheduler=scheduler_of(source), vae=parts.autoencoder, text_encoder=parts.text.clip,
        tokenizer=parts.text.clip_tokenizer, text_encoder_2=parts.text.t5,
        tokenizer_2=parts.text.t5_tokenizer, transformer=parts.transformer)
    pipeline.set_progress_bar_config(disable=True)
    z = torch.from_numpy(token.pack(noise.draw(given.seed, (1, 16, 4, 6))))
    expected = pipeline(
        given.text, height=32, width=48, num_inference_steps=4, guidance_scale=3.5, latents=z,
        max_sequence_length=SMALL.text_tokens, output_type='np').images[0]
    assert np.abs(picture - expected * 255).max() <= 1


def scheduler_of(source: Source):
    """Return the scheduler of a checkpoint, as diffusers reads it."""
    return FlowMatchEulerDiscreteScheduler.from_pretrained(
        str(source.transformer.parent / 'scheduler'))


def test_caption_structure_and_seed_each_change_the_picture(source, expected):
    parts, control, _ = loading.load(source, CPU)
    generator = FlowGenerator(
        'small', FluxNetworks(parts, control), GEOMETRY, SMALL.schedule, SMALL.steps, 3.5)
    changed = {
        'caption': [condition('two cars and trees in rain')],
        'latent': [condition(latent=-condition().latent)],
        'seed': [condition(seed=10)]}
    for given in changed.values():
        assert distance(generator.generate(given)[0], expected) > 0.05
    for settings in (GenerationSettings(use_text=False), GenerationSettings(use_structure=False),
                     GenerationSettings(guidance=9.0), GenerationSettings(steps=5)):
        (other,) = generator.generate([condition()], settings)
        assert distance(other, expected) > 0.01, settings
    assert np.array_equal(generator.generate([condition()])[0], expected)


@pytest.mark.parametrize(('precision', 'text', 'bound'), [
    (Precision.BF16, Precision.BF16, 2.0), (Precision.FP16, Precision.FP16, 1.0),
    (Precision.INT8, Precision.INT8, 3.0), (Precision.INT8_TORCHAO, Precision.INT8_TORCHAO, 3.0),
    (Precision.NF4, Precision.NF4, 12.0), (Precision.NF4, Precision.BF16, 12.0)])
def test_fewer_bits_give_nearly_the_same_picture(source, expected, precision, text, bound):
    reduced = replace(source, precision=precision, text_precision=text)
    picture = generated(reduced)
    assert 0 < distance(picture, expected) < bound
    parts, _, _ = loading.load(reduced, CPU)
    layer = parts.transformer.single_transformer_blocks[0].proj_mlp.weight
    stored = layer.qdata if precision is Precision.INT8_TORCHAO else layer
    per_weight = stored.numel() * stored.element_size() / (64 * 256)
    assert per_weight == {Precision.NF4: 0.5, Precision.INT8: 1, Precision.INT8_TORCHAO: 1}.get(
        precision, 2)


def test_a_gguf_transformer_is_read(tmp_path, source, expected):
    path = tmp_path / 'small.gguf'
    writer = GGUFWriter(path, 'flux')
    for name, tensor in small_parts().transformer.state_dict().items():
        values = tensor.numpy()
        if values.ndim == 2 and values.shape[1] % 32 == 0:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    reduced = replace(source, transformer=path, transformer_config=source.transformer)
    assert 0 < distance(generated(reduced), expected) < 2
    with pytest.raises(GeneratorError, match=r'config\.json'):
        loading.load(replace(source, transformer=path), CPU)
    deeper = tmp_path / 'deeper'
    parts = small_parts(config=replace(
        SMALL, transformer=SMALL.transformer | {'num_single_layers': 5}))
    parts.transformer.save_config(deeper)
    with pytest.raises(GeneratorError, match=r'small\.gguf'):
        loading.load(replace(reduced, transformer_config=deeper), CPU)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(GeneratorError, match=r'small\.gguf'):
        loading.load(reduced, CPU)


@pytest.mark.parametrize('offload', [Offload.MODEL, Offload.SEQUENTIAL])
def test_offloaded_models_make_the_same_picture(source, expected, offload):
    assert np.array_equal(generated(replace(source, offload=offload)), expected)


@pytest.mark.parametrize('precision', [Precision.INT8, Precision.NF4])
def test_models_of_fewer_bits_are_offloaded_whole(source, expected, precision):
    reduced = replace(source, precision=precision, text_precision=precision)
    offloaded = generated(replace(reduced, offload=Offload.MODEL))
    assert distance(offloaded, expected) < 12
    with pytest.raises(GeneratorError, match='cannot be offloaded one by one'):
        loading.load(replace(reduced, offload=Offload.SEQUENTIAL), CPU)


def test_compiled_blocks_make_the_same_picture(tmp_path, monkeypatch, source, expected):
    compiled = []
    whole = torch.nn.Module.compile

    def traced(self, **options):
        compiled.append(self)
        # What is traced is run as it is: a compiler would take minutes, and need not be here.
        whole(self, **options | {'backend': 'eager'})
    monkeypatch.setattr(torch.nn.Module, 'compile', traced)
    folder = profile(tmp_path / 'compiled', replace(source, compile=True))
    try:
        (made,) = open_generator(folder, device='cpu').generate([condition()])
    finally:
        torch.compiler.reset()
    count = sum(SMALL.transformer[key] for key in ('num_layers', 'num_single_layers'))
    assert len(compiled) == count + SMALL.control.multi + SMALL.control.single
    assert distance(made, expected) < 0.1


def test_an_absent_device_is_told(tmp_path, source):
    for device in ('mps', 'cuda:99'):
        with pytest.raises(GeneratorError, match=f'there is no {device}'):
            open_generator(profile(tmp_path / 'far', source), device=device)


def test_tiles_of_the_autoencoder_make_nearly_the_same_picture(tmp_path, source):
    given = condition(height=96, width=640)
    whole = generated(source, given)
    folder = profile(tmp_path / 'tiled', replace(source, vae_tiling=True))
    (tiled,) = open_generator(folder, device='cpu').generate([given])
    # Each tile is normalised by itself.
    assert 0 < distance(tiled, whole) < 25


def test_what_is_missing_or_damaged_is_told(tmp_path, checkpoint, source):
    root = tmp_path / 'flux'
    shutil.copytree(checkpoint, root)
    copy = Source.from_layout(root, control=root / 'control.safetensors',
                              control_sha256=source.control_sha256)
    cases = {
        'there is no .*/text_encoder_2/config.json': root / 'text_encoder_2' / 'config.json',
        'no directory .*/vae for the autoencoder': root / 'vae',
        'is not whole: .* has no diffusion_pytorch_model-00003': next(
            (root / 'transformer').glob('*-00003-*')),
        'there is no .*control.safetensors': root / 'control.safetensors',
        'tokenizer': root / 'tokenizer' / 'tokenizer_config.json'}
    for message, path in cases.items():
        aside = tmp_path / 'aside'
        path.rename(aside)
        with pytest.raises(GeneratorError, match=message):
            loading.load(copy, CPU)
        aside.rename(path)
    weights = root / 'text_encoder' / 'model.safetensors'
    content = weights.read_bytes()
    weights.write_bytes(content[:5000])
    with pytest.raises(GeneratorError, match='text_encoder'):
        loading.load(copy, CPU)
    weights.write_bytes(content)
    (root / 'control.safetensors').write_bytes(content)
    with pytest.raises(GeneratorError, match='not the file that the profile was made with'):
        loading.load(copy, CPU)
    with pytest.raises(GeneratorError, match='not a control file'):
        loading.load(replace(copy, control_sha256=''), CPU)


def test_the_names_that_published_text_encoders_have_are_read(tmp_path, source):
    folder = tmp_path / 'text_encoder'
    shutil.copytree(source.clip, folder)
    tensors = load_file(folder / 'model.safetensors')
    save_file({f'text_model.{name}': tensor for name, tensor in tensors.items()},
              folder / 'model.safetensors', metadata={'format': 'pt'})
    parts, _, _ = loading.load(replace(source, clip=folder), CPU)
    found = parts.text.clip.state_dict()
    assert all(torch.equal(found[name], tensor)
               for name, tensor in small_parts().text.clip.state_dict().items())


def test_a_model_with_weights_missing_is_refused(tmp_path, source):
    folder = tmp_path / 'text_encoder'
    shutil.copytree(source.clip, folder)
    tensors = load_file(folder / 'model.safetensors')
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, folder / 'model.safetensors')
    with pytest.raises(GeneratorError, match='1 weights are missing'):
        loading.load(replace(source, clip=folder), CPU)


def test_a_profile_that_does_not_fit_its_control_file_is_refused(tmp_path, source):
    with pytest.raises(GeneratorError, match='control branch was trained with'):
        open_generator(profile(
            tmp_path / 'a', source, geometry=replace(GEOMETRY, picture=True)), device='cpu')
    with pytest.raises(GeneratorError, match='takes a guidance'):
        open_generator(profile(tmp_path / 'b', source, guidance=None), device='cpu')
    with pytest.raises(GeneratorError, match="precision cannot be|'int3'"):
        open_generator(profile(tmp_path / 'c', source, fields={
            'weights': source.to_fields() | {'precision': 'int3'}}), device='cpu')


def test_a_branch_that_was_trained_with_objects_is_told_them(tmp_path, source):
    control = tmp_path / 'control.safetensors'
    write_control(control, small_parts(), config=replace(SMALL.control, objects=True))
    told = replace(source, control=control, control_sha256=file_sha256(control))
    with pytest.raises(GeneratorError, match='control branch was trained with'):
        open_generator(profile(tmp_path / 'a', told), device='cpu')
    generator = open_generator(profile(
        tmp_path / 'b', told, geometry=replace(GEOMETRY, objects=True)), device='cpu')
    car = ObjectBox(2, 0.9, (0.0, 0.0, 0.5, 1.0))
    without, there, elsewhere = generator.generate([
        condition(), condition(objects=(car,)),
        condition(objects=(replace(car, box=(0.5, 0.0, 1.0, 1.0)),))])
    assert min(distance(without, there), distance(there, elsewhere)) > 0.5
    (blind,) = generator.generate(
        [condition(objects=(car,))], GenerationSettings(use_objects=False))
    assert distance(blind, without) < 0.1


def test_too_little_memory_is_told_before_anything_is_loaded(tmp_path, monkeypatch, source):
    monkeypatch.setattr(memory, 'free_bytes', lambda device: 1 << 20)
    monkeypatch.setattr(loading, 'load', None)
    with pytest.raises(GeneratorError, match=r'needs about .* GiB .* transformer .* nf4'):
        open_generator(profile(tmp_path / 'a', source), device='cpu')


def kept_bytes(model: torch.nn.Module) -> int:
    """Return the bytes that the weights of a model take."""
    # torchao's tensors say that they have the type they stand for.
    stored = [getattr(one, 'qdata', one) for one in model.parameters()]
    return sum(one.numel() * one.element_size() for one in stored)


def test_the_estimate_counts_the_weights_that_are_loaded(source):
    for precision in (Precision.FP32, Precision.BF16, Precision.INT8_TORCHAO, Precision.NF4):
        reduced = replace(source, precision=precision, text_precision=precision)
        found = loading.estimate(reduced, tokens=12).weights
        parts, control, _ = loading.load(reduced, CPU)
        for name, model in (parts.modules() | {'control': control}).items():
            # Without the scales of quantised weights.
            assert found[name] == pytest.approx(kept_bytes(model), rel=0.12), (precision, name)


def test_offloading_needs_less_on_the_device_and_more_beside_it():
    needs = Estimate(
        weights={'transformer': 24, 'control': 4, 't5': 10}, largest_layer=1, activations=2,
        staged=28)
    assert [needs.device(offload) for offload in Offload] == [40, 30, 4]
    assert [needs.host(offload) for offload in Offload] == [28, 38, 38]
