# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Published models of CompressAI's zoo: their checkpoints, read safely, as plain torch layers.

::

    image [B, 3, 16h, 16w] ─conv─GDN─conv─GDN─conv─GDN─conv─> y [B, 320, h, w]
    y_hat ─deconv─IGDN─deconv─IGDN─deconv─IGDN─deconv─> image

Only these two transforms become a profile. Entropy bottleneck and hyperprior, whose probabilities
are floats, give way to the integer model of :mod:`gsc_ros.codec.context`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import pickle

from compressai.layers import GDN
from compressai.models import (
    CompressionModel,
    FactorizedPrior,
    MeanScaleHyperprior,
    ScaleHyperprior,
)
from compressai.zoo import models
from compressai.zoo.pretrained import load_pretrained
from gsc_ros.codec.packet import LATENT_CHANNELS
import safetensors
from safetensors.torch import load_file
import torch
from torch import nn, Tensor

STRIDE = 16
WIDTH = 192
"""Channels between the layers of the models that have 320 latent channels."""
METRICS = ('mse', 'ms-ssim')
MAX_FILE_BYTES = 1 << 29
MAX_TENSOR_VALUES = 1 << 24


@dataclass(frozen=True)
class Architecture:
    """
    One kind of model.

    :param model: its class.
    :param qualities: those of which the zoo's model has 320 latent channels.
    """

    model: type[CompressionModel]
    qualities: range


ARCHITECTURES = {
    'bmshj2018-factorized': Architecture(FactorizedPrior, range(6, 9)),
    'bmshj2018-hyperprior': Architecture(ScaleHyperprior, range(6, 9)),
    'mbt2018-mean': Architecture(MeanScaleHyperprior, range(5, 9)),
}


class CheckpointError(ValueError):
    """A checkpoint cannot be read, or is of another model; the message says which."""


class PlainGdn(nn.Module):
    """
    Generalised divisive normalisation with its parameters as used, not as trained.

    :param layer: the layer whose reparametrised ``beta`` and ``gamma`` are taken.
    """

    def __init__(self, layer: GDN) -> None:
        super().__init__()
        self.inverse = layer.inverse
        gamma = layer.gamma_reparam(layer.gamma).detach()
        self.register_buffer('gamma', gamma[:, :, None, None].clone())
        self.register_buffer('beta', layer.beta_reparam(layer.beta).detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x [B, C, h, w] by what is active at the same place."""
        norm = torch.sqrt(nn.functional.conv2d(x * x, self.gamma, self.beta))
        return x * norm if self.inverse else x / norm


@dataclass(frozen=True)
class PublishedModel:
    """
    The two transforms of a published model.

    :param architecture: its name in the zoo.
    :param analysis: image [B, 3, 16h, 16w] in [0, 1] to y [B, 320, h, w].
    :param synthesis: y_hat [B, 320, h, w] to the image, unclipped.
    :param medians: float32 [320], where the quantizer of a factorized prior has its zero; None for
        the other architectures, which round to whole numbers.
    """

    architecture: str
    analysis: nn.Sequential
    synthesis: nn.Sequential
    medians: Tensor | None


def check_choice(architecture: str, quality: int | None, metric: str = 'mse') -> None:
    """
    Refuse what is not among the models with 320 latent channels.

    :raises ValueError: with the choices there are.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f'no architecture {architecture!r}; there are {", ".join(ARCHITECTURES)}')
    qualities = ARCHITECTURES[architecture].qualities
    if quality is not None and quality not in qualities:
        raise ValueError(
            f'{architecture} has {LATENT_CHANNELS} latent channels, as packets need, in quality '
            f'{qualities[0]} to {qualities[-1]}, not in {quality}')
    if metric not in METRICS:
        raise ValueError(f'no metric {metric!r}; there are {", ".join(METRICS)}')


def from_zoo(architecture: str, quality: int, metric: str = 'mse') -> PublishedModel:
    """
    Return a model whose weights CompressAI downloads, or has downloaded before.

    :raises ValueError: when there is no such model.
    :raises CheckpointError: when it cannot be downloaded.
    """
    check_choice(architecture, quality, metric)
    try:
        model = models[architecture](quality=quality, metric=metric, pretrained=True, progress=True)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f'{architecture} {quality} {metric} cannot be downloaded: {error}') from error
    return split(architecture, model)


def from_file(architecture: str, path: Path) -> PublishedModel:
    """
    Return the model in a checkpoint: a state dict, by itself or under ``state_dict``.

    The names of the parameters may be those of any version of CompressAI.

    :param path: a file of torch.save, in which nothing but tensors is accepted, or .safetensors.
    :raises ValueError: when there is no such architecture.
    :raises CheckpointError: when it is no such file, or of another model.
    """
    check_choice(architecture, None)
    state = read_state(path)
    check_architecture(architecture, state, path)
    model = ARCHITECTURES[architecture].model(WIDTH, LATENT_CHANNELS)
    try:
        model.load_state_dict(load_pretrained(state))
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f'{path} does not fit {architecture}: {error}') from error
    transforms = [*model.g_a.parameters(), *model.g_s.parameters()]
    if not all(bool(torch.isfinite(parameter).all()) for parameter in transforms):
        raise CheckpointError(f'{path} holds weights that are not finite')
    return split(architecture, model)


def read_state(path: Path) -> dict[str, Tensor]:
    """
    Return the tensors of a checkpoint by name; nothing in it is executed.

    :raises CheckpointError: when it is no checkpoint, or larger than any of these models.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise CheckpointError(
                f'{path} has {size} bytes: more than any of these models')
        if path.suffix == '.safetensors':
            content = load_file(path)
        else:
            content = torch.load(path, map_location='cpu', weights_only=True)
    except OSError as error:
        raise CheckpointError(f'cannot read {path}: {error.strerror or error}') from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f'{path} is no checkpoint of tensors alone (other objects are not loaded)') from error
    except (RuntimeError, ValueError, KeyError, EOFError, TypeError, AttributeError, IndexError,
            safetensors.SafetensorError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f'{path} is damaged, or no checkpoint: {error}') from error
    if isinstance(content, Mapping) and isinstance(content.get('state_dict'), Mapping):
        content = content['state_dict']
    if not isinstance(content, Mapping) or not content or not all(
            isinstance(name, str) and isinstance(value, Tensor)
            for name, value in content.items()):
        raise CheckpointError(f'{path} holds no state dict')
    # A tensor may be a view that claims far more values than the file holds.
    if any(value.numel() > MAX_TENSOR_VALUES or value.layout != torch.strided
           for value in content.values()):
        raise CheckpointError(f'{path} holds tensors that none of these models has')
    return dict(content)


def check_architecture(architecture: str, state: Mapping[str, Tensor], path: Path) -> None:
    """
    Tell a checkpoint of another model from a damaged one.

    :raises CheckpointError: when it is of another architecture, or of a lower quality.
    """
    names = {name.removeprefix('module.'): value for name, value in state.items()}
    shapes = [names[key].shape[0] if key in names and names[key].ndim == 4 else None
              for key in ('g_a.0.weight', 'g_a.6.weight')]
    if None in shapes:
        raise CheckpointError(f'{path} is no model of {", ".join(ARCHITECTURES)}')
    if shapes != [WIDTH, LATENT_CHANNELS]:
        raise CheckpointError(
            f'{path} is a model of {shapes[1]} latent channels ({shapes[0]} between its layers); '
            f'packets need {LATENT_CHANNELS} ({WIDTH}): take a higher quality')
    found = kind_of(names)
    if found != architecture:
        raise CheckpointError(f'{path} is a model of {found}, not of {architecture}')


def kind_of(names: Mapping[str, Tensor]) -> str:
    """Return the architecture that has these parameters."""
    if any(name.startswith('context_prediction.') for name in names):
        return 'mbt2018'
    if 'h_s.0.weight' not in names:
        return 'bmshj2018-factorized'
    first = names['h_s.0.weight']
    narrow = first.ndim == 4 and first.shape[1] == WIDTH
    return 'bmshj2018-hyperprior' if narrow else 'mbt2018-mean'


def split(architecture: str, model: CompressionModel) -> PublishedModel:
    """Return the two transforms of a model in plain layers."""
    medians = None
    if architecture == 'bmshj2018-factorized':
        medians = model.entropy_bottleneck.quantiles[:, 0, 1].detach().clone()
    return PublishedModel(architecture, plain(model.g_a), plain(model.g_s), medians)


def plain(layers: nn.Sequential) -> nn.Sequential:
    """Return layers that an ONNX graph can have."""
    return nn.Sequential(*(
        PlainGdn(layer) if isinstance(layer, GDN) else layer for layer in layers)).eval()
