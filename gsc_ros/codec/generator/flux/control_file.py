# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The control file: what `gsc train control` writes and a generator profile names.

One safetensors file. Its metadata has a single entry, ``control``, with JSON::

    {"format": 1, "config": {ControlConfig}, "structure": "<content hash of the structure profile>",
     "pitch": 16, "channels": "4", "base": "flux-dev", "lora": {"rank": 16, "alpha": 16} | null}

Its tensors are those of the branch by their names there. A file of adapters (LoRA) has of the
copied blocks only ``<linear>.lora_A.weight`` [rank, in] and ``<linear>.lora_B.weight`` [out, rank],
which stand for ``weight + alpha / rank * B A``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import re

from diffusers import FluxControlNetModel, FluxTransformer2DModel
from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.flux.config import ControlConfig
from gsc_ros.codec.generator.flux.control import make_control
from safetensors import safe_open, SafetensorError
from safetensors.torch import save_file
import torch
from torch import Tensor

FORMAT = 1
DOWN, UP = '.lora_A.weight', '.lora_B.weight'


@dataclass(frozen=True)
class LoraShape:
    """Rank of the adapters, and the factor that their product is scaled by, times the rank."""

    rank: int
    alpha: float

    def __post_init__(self) -> None:
        """Raise ValueError when a value is out of its range."""
        if self.rank < 1 or not self.alpha > 0:
            raise ValueError('rank and alpha of the adapters must be positive')


@dataclass(frozen=True)
class ControlInfo:
    """
    What a control file says of itself.

    :param config: the branch.
    :param structure: content hash of the structure profile whose latents guide, in hexadecimal.
    :param pitch: image pixels for each position of these latents.
    :param channels: how many of their channels were sent in training: a number, ``random`` for
        the paper's 1, 2, 4, 8 or 16, or ``any``.
    :param base: name of the configuration of the transformer that it steers.
    :param lora: shape of the adapters; None for a full copy.
    """

    config: ControlConfig
    structure: str
    pitch: int
    channels: str
    base: str
    lora: LoraShape | None = None

    def to_json(self) -> str:
        """Return what :meth:`from_json` reads."""
        return json.dumps({'format': FORMAT, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ControlInfo:
        """
        Return what the metadata of a file says.

        :raises ValueError: when that is not what :meth:`to_json` writes.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict) or fields.pop('format', None) != FORMAT:
            raise ValueError(f'not of format {FORMAT}')
        kinds = {'config': dict, 'structure': str, 'pitch': int, 'channels': str, 'base': str,
                 'lora': (dict, type(None))}
        if set(fields) != set(kinds):
            raise ValueError(f'fields {sorted(fields)}, not {sorted(kinds)}')
        for name, kind in kinds.items():
            if not isinstance(fields[name], kind):
                raise ValueError(f'{name} is {fields[name]!r}')
        try:
            lora = fields['lora'] and LoraShape(**fields['lora'])
        except TypeError as error:
            raise ValueError(f'lora is {fields["lora"]!r}') from error
        return cls(**{**fields, 'config': ControlConfig.from_dict(fields['config']),
                      'lora': lora or None})


def save_control(path: Path, tensors: Mapping[str, Tensor], info: ControlInfo) -> None:
    """
    Write a control file, in one move.

    :param tensors: those of the branch by name, or its adapters, zero layers and embedder.
    """
    partial = path.with_name(path.name + '.part')
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
              partial, metadata={'control': info.to_json()})
    partial.replace(path)


def read_info(path: Path) -> ControlInfo:
    """
    Return what a control file says of itself; its tensors are not read.

    :raises GeneratorError: when it is missing, damaged, or none.
    """
    try:
        with safe_open(path, 'pt') as handle:
            metadata = handle.metadata() or {}
        if 'control' not in metadata:
            raise GeneratorError(f'{path}: not a control file of `gsc train control`')
        return ControlInfo.from_json(metadata['control'])
    except OSError as error:
        raise GeneratorError(f'{path}: no such control file') from error
    except (ValueError, RecursionError, SafetensorError) as error:
        if isinstance(error, GeneratorError):
            raise
        raise GeneratorError(f'{path}: damaged control file: {error}') from error


def read_control(
    path: Path, transformer: FluxTransformer2DModel,
) -> tuple[FluxControlNetModel, ControlInfo]:
    """
    Return the branch that a control file describes, on the CPU, adapters merged.

    :param transformer: the one it steers: its sizes count, and for a file of adapters its weights,
        which must not be quantised yet.
    :raises GeneratorError: when the file is missing, damaged, or of another transformer.
    """
    info = read_info(path)
    try:
        with torch.device('meta'):
            control = make_control(transformer, info.config, copy=False)
        with safe_open(path, 'pt') as handle:
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}
        if info.lora:
            tensors = merged(tensors, first_blocks(transformer, info.config), info.lora)
        control.load_state_dict(tensors, assign=True)
    except (KeyError, RuntimeError, ValueError, SafetensorError) as error:
        if isinstance(error, GeneratorError):
            raise
        raise GeneratorError(
            f'{path}: does not fit this transformer (it was made for {info.base}): '
            f'{error}') from error
    return control, info


def is_copied(name: str, config: ControlConfig) -> bool:
    """Return whether a transformer's tensor is one of those that the branch copies."""
    block = re.match(r'(single_)?transformer_blocks\.(\d+)\.', name)
    if block:
        return int(block[2]) < (config.single if block[1] else config.multi)
    return name.startswith(('x_embedder.', 'context_embedder.', 'time_text_embed.'))


def first_blocks(
    transformer: FluxTransformer2DModel, config: ControlConfig,
) -> dict[str, Tensor]:
    """
    Return the tensors of a transformer that the branch copies.

    :raises ValueError: when they are quantised: GGUF files are from the start.
    """
    copied = {name: tensor.detach().cpu() for name, tensor in transformer.state_dict().items()
              if is_copied(name, config)}
    if not all(tensor.is_floating_point() for tensor in copied.values()):
        raise ValueError('adapters are added to whole weights, and these are quantised')
    return copied


def merged(
    adapters: Mapping[str, Tensor], copied: Mapping[str, Tensor], shape: LoraShape,
) -> dict[str, Tensor]:
    """Return the tensors of a branch: copied weights with adapters added, and all else given."""
    tensors = dict(copied)
    for name, tensor in adapters.items():
        if name.endswith(DOWN):
            target = name.removesuffix(DOWN)
            change = adapters[target + UP].float() @ tensor.float()
            weight = tensors[f'{target}.weight']
            tensors[f'{target}.weight'] = (
                weight.float() + shape.alpha / shape.rank * change).to(weight.dtype)
        elif not name.endswith(UP):
            tensors[name] = tensor
    return tensors
