# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Read the models of a torch generator from disk, in the precision asked for.

Nothing is downloaded here and no code of a model's is run; weights are safetensors or GGUF.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
from pathlib import Path
from typing import Any

from diffusers import FluxControlNetModel, FluxTransformer2DModel, GGUFQuantizationConfig
from diffusers.utils import logging as diffusers_logging
from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.flux.control import make_control
from gsc_ros.codec.generator.flux.control_file import ControlInfo, read_control, read_info
from gsc_ros.codec.generator.flux.embed import TextEncoders
from gsc_ros.codec.generator.flux.memory import (
    activation_bytes,
    Estimate,
    layer_bytes,
    weight_bytes,
)
from gsc_ros.codec.generator.flux.parts import AUTOENCODERS, Parts
from gsc_ros.codec.generator.flux.quantise import quantise
from gsc_ros.codec.generator.source import file_sha256, Offload, Precision, Source
from safetensors import safe_open
import torch
from torch import nn
from transformers import (
    AutoTokenizer,
    CLIPTextConfig,
    CLIPTextModel,
    T5Config,
    T5EncoderModel,
)
from transformers.utils import logging as transformers_logging

# Image tokens of a picture of 1216x352, which memory is estimated for.
USUAL_TOKENS = 76 * 22


def load(
    source: Source, device: torch.device,
) -> tuple[Parts, FluxControlNetModel | None, ControlInfo | None]:
    """
    Load the models of a generator, in evaluation mode.

    With an offload they stay in the machine's memory, else they are on the device.

    :raises GeneratorError: when a file is missing, damaged or of another model.
    """
    source.check()
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    place = device if source.offload is Offload.NONE else torch.device('cpu')
    control = info = None
    transformer = _transformer(source)
    if source.control is not None:
        if source.control_sha256 and file_sha256(source.control) != source.control_sha256:
            raise GeneratorError(
                f'{source.control} is not the file that the profile was made with: make it anew '
                'with `gsc profile add`')
        # Before the transformer is quantised: adapters need its own weights.
        control, info = read_control(source.control, transformer)
        # Not diffusers' own `to`, which warns of layers to be kept in float32: there are none.
        control = nn.Module.to(control, place, _dtype(source.precision))
        control = control.eval().requires_grad_(False)
    parts = Parts(
        transformer=_placed(
            transformer, Precision.BF16 if source.in_one_file else source.precision, device,
            place),
        autoencoder=_placed(
            load_autoencoder(source.autoencoder, source.precision), Precision.BF16, device, place),
        text=load_text(source, device, place))
    return parts, control, info


def load_autoencoder(folder: Path, precision: Precision) -> nn.Module:
    """Return an autoencoder, on the CPU."""
    name = _config(folder).get('_class_name')
    if name not in AUTOENCODERS:
        raise GeneratorError(f'{folder}: {name!r} is not one of {", ".join(AUTOENCODERS)}')
    # Autoencoders of this family overflow in half precision.
    kind = torch.float32 if precision is Precision.FP16 else _dtype(precision)
    return _read(AUTOENCODERS[name].from_pretrained, folder, torch_dtype=kind)


def load_text(source: Source, device: torch.device, place: torch.device) -> TextEncoders:
    """Return the text encoders; T5 is quantised when it should be. See :func:`quantise`."""
    kind = _dtype(source.text_precision)
    t5 = _read(T5EncoderModel.from_pretrained, source.t5, dtype=kind)
    clip = _read(CLIPTextModel.from_pretrained, source.clip, dtype=kind)
    return TextEncoders(
        t5=_placed(t5, source.text_precision, device, place),
        clip=_placed(clip, Precision.BF16, device, place), text_tokens=source.text_tokens,
        t5_tokenizer=_tokenizer(source.t5_tokenizer),
        clip_tokenizer=_tokenizer(source.clip_tokenizer))


def estimate(source: Source, tokens: int) -> Estimate:
    """
    Return what a generator will take, from its configurations alone.

    :param tokens: image tokens of the picture, or of a tile of it.
    :raises GeneratorError: when a file is missing or is not the configuration of such a model.
    """
    source.check()
    precision = source.precision
    whole = Precision.FP32 if precision is Precision.FP32 else Precision.BF16
    with _told(source.transformer), torch.device('meta'):
        transformer = FluxTransformer2DModel.from_config(
            _config(source.transformer_config or source.transformer))
        folder = source.autoencoder
        autoencoder = AUTOENCODERS[_config(folder)['_class_name']].from_config(_config(folder))
        t5 = T5EncoderModel(T5Config.from_dict(_config(source.t5)))
        clip = CLIPTextModel(CLIPTextConfig.from_dict(_config(source.clip)))
        weights = {
            'transformer': weight_bytes(transformer, precision),
            'autoencoder': weight_bytes(autoencoder, whole),
            't5': weight_bytes(t5, source.text_precision), 'clip': weight_bytes(clip, whole)}
        if source.control is not None:
            control = make_control(transformer, read_info(source.control).config, copy=False)
            weights['control'] = weight_bytes(control, whole)
        read = Precision.FP32 if source.text_precision is Precision.FP32 else Precision.BF16
        staged = max(weight_bytes(transformer, whole), weight_bytes(t5, read))
    if source.in_one_file:
        weights['transformer'] = staged = source.transformer.stat().st_size
    return Estimate(
        weights=weights,
        largest_layer=max(layer_bytes(transformer, precision),
                          layer_bytes(t5, source.text_precision)),
        activations=activation_bytes(
            tokens + source.text_tokens, transformer.inner_dim, precision),
        staged=staged)


def takes_guidance(source: Source) -> bool:
    """Return whether a transformer is guidance-distilled, from its configuration."""
    return bool(_config(source.transformer_config or source.transformer).get('guidance_embeds'))


def in_channels(source: Source) -> int:
    """Return the channels of an image token of a transformer, from its configuration."""
    return int(_config(source.transformer_config or source.transformer).get('in_channels', 64))


def check_control(source: Source) -> None:
    """
    Raise a GeneratorError unless a control file fits its transformer; no weights are read.

    Of a file of adapters only the embedder and the zero layers are looked at.
    """
    path = source.control
    assert path is not None
    info = read_info(path)
    with _told(path), torch.device('meta'):
        transformer = FluxTransformer2DModel.from_config(
            _config(source.transformer_config or source.transformer))
        expected = {name: list(tensor.shape) for name, tensor in make_control(
            transformer, info.config, copy=False).state_dict().items()}
    with _told(path), safe_open(path, 'pt') as handle:
        found = {name: list(handle.get_slice(name).get_shape()) for name in handle.keys()}
    common = {name for name in found if name in expected} if info.lora else set(expected)
    wrong = sorted(name for name in common if found.get(name) != expected[name])
    if wrong:
        raise GeneratorError(
            f'{path} does not fit {source.transformer} (it was made for {info.base}): {wrong[0]} '
            f'is {found.get(wrong[0])}, not {expected[wrong[0]]}')


def _transformer(source: Source) -> FluxTransformer2DModel:
    """Return the transformer, on the CPU and, but for GGUF, not quantised."""
    kind = _dtype(source.precision)
    if not source.in_one_file:
        return _read(FluxTransformer2DModel.from_pretrained, source.transformer, torch_dtype=kind)
    options: dict[str, Any] = {'torch_dtype': kind}
    if source.transformer.suffix == '.gguf':
        options['quantization_config'] = GGUFQuantizationConfig(compute_dtype=kind)
    with _told(source.transformer):
        model = FluxTransformer2DModel.from_single_file(
            str(source.transformer), config=str(source.transformer_config),
            local_files_only=True, **options)
    missing = sorted(name for name, one in model.named_parameters() if one.is_meta)
    if missing:
        raise GeneratorError(
            f'{source.transformer}: {len(missing)} weights are missing, {missing[0]} among them')
    return model


def _placed(
    model: nn.Module, precision: Precision, device: torch.device, place: torch.device,
) -> nn.Module:
    """Return a model, frozen and in its place, its linear layers quantised if they should be."""
    return quantise(model.eval().requires_grad_(False), precision, device, place)


def _tokenizer(folder: Path | None) -> Any:
    if folder is None:
        return None
    with _told(folder):
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


def _read(reader: Callable, folder: Path, **options: Any) -> Any:
    """
    Return what a `from_pretrained` reads from a directory, all of its weights given.

    :raises GeneratorError: when it cannot be read, or weights are missing.
    """
    with _told(folder):
        model, loading = reader(
            str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True,
            **options)
    if loading['missing_keys']:
        names = sorted(loading['missing_keys'])
        raise GeneratorError(
            f'{folder}: {len(names)} weights are missing, {names[0]} among them')
    return model


def _config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a model."""
    path = folder / 'config.json'
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise GeneratorError(f'{path}: {error}') from error
    if not isinstance(found, dict):
        raise GeneratorError(f'{path} is not a JSON object')
    return found


def _dtype(precision: Precision) -> torch.dtype:
    return getattr(torch, precision.dtype_name)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn whatever a library raises over bad files into a GeneratorError that names them."""
    try:
        yield
    except GeneratorError:
        raise
    # The libraries raise anything: on bad files, wrong shapes, too little memory.
    except Exception as error:
        raise GeneratorError(f'{path}: {type(error).__name__}: {str(error)[:300]}') from error
