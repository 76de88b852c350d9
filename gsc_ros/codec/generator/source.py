# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Where the weights of a torch generator lie, and how they are to be kept.

A generator profile of kind `torch` holds no weights: its manifest names directories in the layout
of the Hugging Face hub, which is that of diffusers' `save_pretrained`::

    transformer/     config.json, *.safetensors   FluxTransformer2DModel; or one .gguf file
    vae/             config.json, *.safetensors   AutoencoderKL or AutoencoderTiny
    text_encoder/    config.json, *.safetensors   CLIPTextModel
    text_encoder_2/  config.json, *.safetensors   T5EncoderModel
    tokenizer/, tokenizer_2/                      of CLIP and T5; without them text is bytes
    scheduler/       scheduler_config.json

Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from importlib.util import find_spec
import json
from pathlib import Path
from typing import Any

from gsc_ros.codec.digest import sha256_of_file
from gsc_ros.codec.error import GeneratorError

# Packages of the extra [flux] without which no torch generator runs.
SOFTWARE = ('torch', 'diffusers', 'transformers', 'accelerate', 'safetensors')
SINGLE_FILES = ('.gguf', '.safetensors')


class Precision(Enum):
    """How weights are kept."""

    FP32 = 'fp32'
    BF16 = 'bf16'
    FP16 = 'fp16'
    INT8 = 'int8'
    INT8_TORCHAO = 'int8-torchao'
    NF4 = 'nf4'

    @property
    def dtype_name(self) -> str:
        """Return the type that is computed with; quantised layers compute in bfloat16."""
        return {'fp32': 'float32', 'fp16': 'float16'}.get(self.value, 'bfloat16')

    @property
    def weight_bytes(self) -> float:
        """Return the bytes of one weight of a linear layer."""
        # NF4 has a float32 for every 64 weights; int8 one for every row, which is hardly anything.
        return {'fp32': 4, 'bf16': 2, 'fp16': 2, 'nf4': 0.5 + 4 / 64}.get(self.value, 1)

    @property
    def quantised(self) -> bool:
        """Whether linear layers are replaced."""
        return self.weight_bytes < 2


class Offload(Enum):
    """What waits in the memory of the machine while it is not computed with."""

    NONE = 'none'
    MODEL = 'model'
    SEQUENTIAL = 'sequential'


@dataclass(frozen=True)
class Source:
    """
    Weights and what is done with them.

    :param transformer: directory, or a .gguf or .safetensors file.
    :param autoencoder: directory.
    :param clip: directory.
    :param t5: directory.
    :param clip_tokenizer: directory; None for bytes.
    :param t5_tokenizer: directory; None for bytes.
    :param transformer_config: directory of the config.json of a transformer in one file.
    :param control: control file of `gsc train control`; None for the transformer alone.
    :param control_sha256: its hash in hexadecimal.
    :param text_tokens: text tokens for the transformer.
    :param precision: of the transformer. The autoencoder and the control branch are not quantised.
    :param text_precision: of T5.
    :param offload: what waits in the machine's memory.
    :param vae_tiling: decode in tiles, for large pictures.
    :param compile: compile the blocks with the first picture, which takes minutes.
    """

    transformer: Path
    autoencoder: Path
    clip: Path
    t5: Path
    clip_tokenizer: Path | None = None
    t5_tokenizer: Path | None = None
    transformer_config: Path | None = None
    control: Path | None = None
    control_sha256: str = ''
    text_tokens: int = 512
    precision: Precision = Precision.BF16
    text_precision: Precision = Precision.BF16
    offload: Offload = Offload.NONE
    vae_tiling: bool = False
    compile: bool = False

    @property
    def in_one_file(self) -> bool:
        """Whether the transformer is one file, with its configuration elsewhere."""
        return self.transformer.suffix in SINGLE_FILES

    def to_fields(self) -> dict[str, Any]:
        """Return what :meth:`from_fields` takes, for JSON."""
        plain = {}
        for field in fields(self):
            value = getattr(self, field.name)
            plain[field.name] = str(value) if isinstance(value, Path) else (
                value.value if isinstance(value, Enum) else value)
        return plain

    @classmethod
    def from_fields(cls, given: Any) -> Source:
        """
        Return the source that a manifest describes.

        :raises ValueError: when it is not as :meth:`to_fields` has it.
        """
        known = {field.name: str(field.type) for field in fields(cls)}
        if not isinstance(given, dict) or not set(given) <= set(known):
            raise ValueError(f'weights must be an object with {", ".join(known)}')
        missing = {'transformer', 'autoencoder', 'clip', 't5'} - set(given)
        if missing:
            raise ValueError(f'weights have no {", ".join(sorted(missing))}')
        return cls(**{name: _value(name, known[name], value) for name, value in given.items()})

    @classmethod
    def from_layout(cls, root: Path, **others: Any) -> Source:
        """
        Return the source whose models lie in a directory as a diffusers pipeline's do.

        :param root: the directory.
        :param others: the other fields, and what is to be taken from elsewhere.
        """
        tokenizers = {
            name: root / folder for name, folder in (
                ('clip_tokenizer', 'tokenizer'), ('t5_tokenizer', 'tokenizer_2'))
            if (root / folder).is_dir()}
        return cls(**{
            'transformer': root / 'transformer', 'autoencoder': root / 'vae',
            'clip': root / 'text_encoder', 't5': root / 'text_encoder_2', **tokenizers, **others})

    def check(self) -> None:
        """
        Raise a GeneratorError unless every file is there, and the choices go together.

        The weights are not read.
        """
        quantised = (self.precision.quantised or self.text_precision.quantised
                     or self.transformer.suffix == '.gguf')
        if self.offload is Offload.SEQUENTIAL and quantised:
            raise GeneratorError(
                'layers of fewer bits cannot be offloaded one by one: take the offload `model`, '
                'or bf16')
        if self.in_one_file:
            _check_file(self.transformer, 'the transformer')
            if self.transformer_config is None:
                raise GeneratorError(
                    f'{self.transformer}: a transformer in one file needs the directory of its '
                    'config.json, too')
            _check_file(self.transformer_config / 'config.json', "the transformer's configuration")
        else:
            check_weights(self.transformer, 'the transformer')
        check_weights(self.autoencoder, 'the autoencoder')
        check_weights(self.clip, 'the text encoder (CLIP)')
        check_weights(self.t5, 'the text encoder (T5)')
        for folder in (self.clip_tokenizer, self.t5_tokenizer):
            if folder is not None:
                _check_file(folder / 'tokenizer_config.json', 'a tokenizer')
        if self.control is not None:
            _check_file(self.control, 'the control branch')


def check_software() -> None:
    """Raise a GeneratorError unless the packages that torch generators need are installed."""
    missing = [name for name in SOFTWARE if find_spec(name) is None]
    if missing:
        raise GeneratorError(
            f"needs {' and '.join(missing)}: pip install 'gsc_ros[flux]'"
        ) from ModuleNotFoundError(name=missing[0])


def check_weights(folder: Path, what: str) -> None:
    """
    Raise a GeneratorError unless a directory holds a model in the hub's layout.

    :param folder: the directory.
    :param what: the model, for the message.
    """
    if not folder.is_dir():
        raise GeneratorError(f'there is no directory {folder} for {what}')
    _check_file(folder / 'config.json', what)
    for index in folder.glob('*.safetensors.index.json'):
        try:
            names = set(json.loads(index.read_text(encoding='utf-8'))['weight_map'].values())
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise GeneratorError(f'{index} is damaged: {error}') from error
        missing = sorted(str(name) for name in names if not (folder / str(name)).is_file())
        if missing:
            raise GeneratorError(f'{what} is not whole: {folder} has no {", ".join(missing)}')
    if not any(folder.glob('*.safetensors')):
        raise GeneratorError(
            f'{folder} has no *.safetensors for {what}; other formats of weights are not read')


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    try:
        return sha256_of_file(path)
    except OSError as error:
        raise GeneratorError(f'cannot read {path}: {error.strerror}') from error


def _check_file(path: Path, what: str) -> None:
    if not path.is_file():
        raise GeneratorError(f'there is no {path} for {what}')


def _value(name: str, kind: str, value: Any) -> Any:
    """Return a value of JSON as the type that a field is declared with."""
    if value is None and 'None' in kind:
        return None
    if kind.startswith('Path') and isinstance(value, str) and value:
        return Path(value)
    if kind in ('Precision', 'Offload') and isinstance(value, str):
        return {'Precision': Precision, 'Offload': Offload}[kind](value)
    if kind == type(value).__name__:
        return value
    raise ValueError(f'weights.{name} cannot be {value!r}')
