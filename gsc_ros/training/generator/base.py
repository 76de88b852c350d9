# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the embedded generator's flow: text encoders, transformer and control branch.

The classes are FLUX's. The *base* stage trains transformer and text encoders on pictures and
captions alone, the control branch left out. The *joint* stage adds the branch, a copy of the first
blocks, and trains all of it, with the branch left out of some of the batches: a transformer this
small and this young gains more from that than from staying frozen, as FLUX does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusers import FluxControlNetModel, FluxTransformer2DModel
from gsc_ros.codec.generator import token
from gsc_ros.codec.generator.flux.config import CLIP_TOKENS, GeneratorConfig, TINY
from gsc_ros.codec.generator.flux.control import ControlledTransformer, make_control
from gsc_ros.codec.generator.object_map import GROUPS, MAP_CHANNELS, object_map
from gsc_ros.codec.generator.sampler import integrate
from gsc_ros.training.data import DataError
from gsc_ros.training.generator.autoencoder import PictureAutoencoder
from gsc_ros.training.generator.flow import draw_sigmas, flow_loss, on_path
from gsc_ros.training.generator.guard import reading
from gsc_ros.training.generator.loop import load_weights, Loop, LoopSettings
from gsc_ros.training.generator.views import latents_of, Views
import numpy as np
import torch
from torch import nn, Tensor
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

# The layer that takes the map of the objects in.
OBJECTS_WEIGHT = 'flow.control.controlnet_x_embedder.objects.weight'


@dataclass(frozen=True)
class FlowSettings:
    """
    What a flow stage does beside the loop.

    :param batch: views per update.
    :param text_dropout: share of the views whose caption is taken for an empty one.
    :param free: share of the joint stage's batches that leave the control branch out.
    :param objects_dropout: share of the views whose list of objects is taken for an empty one.
    :param emphasis: how much more an error weighs where a detector is certain of an object.
    :param ends: share of the views at sigma 1 exactly, from where every picture starts.
    :param shift: pushes the other noise levels towards 1, where a few steps are taken.
    """

    batch: int = 8
    text_dropout: float = 0.1
    free: float = 0.1
    objects_dropout: float = 0.3
    emphasis: float = 2.0
    ends: float = 0.1
    shift: float = 2.0


class TextEncoders(nn.Module):
    """T5 for the tokens and CLIP for the pooled embedding, over the bytes of a text."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.length = config.text_tokens
        self.t5 = T5EncoderModel(T5Config(**config.t5))
        self.clip = CLIPTextModel(CLIPTextConfig(**config.clip))

    def forward(self, t5_ids: Tensor, clip_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Map int64 [B, L] and [B, 77] to text [B, L, D] and pooled [B, P]."""
        text = self.t5(input_ids=t5_ids)[0]
        return text, self.clip(input_ids=clip_ids).pooler_output

    def ids(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the two kinds of tokens of texts."""
        return tuple(
            torch.from_numpy(np.stack([token.byte_tokens(text, length) for text in texts]))
            for length in (self.length, CLIP_TOKENS))


class Anchor(nn.Module):
    """
    The part of the velocity that is known before anything is learned.

    Data x is taken for normal around the latent s of the structure decoder's picture, with the
    deviation tau that each quantizer leaves (around the mean of all pictures without structure).
    The best linear guess of noise - x is then a fixed function of z, and the network is left with
    what differs from it, scaled to unit variance: the preconditioning of Karras et al. 2022 for
    rectified flow. Training starts from the structure picture instead of learning to copy it.

    ``deviation`` [levels, C], ``mean`` and ``spread`` [C] are of tokens.
    """

    def __init__(self, levels: int, channels: int) -> None:
        super().__init__()
        self.register_buffer('deviation', torch.ones(levels, channels))
        self.register_buffer('mean', torch.zeros(channels))
        self.register_buffer('spread', torch.ones(channels))

    def forward(self, z: Tensor, picture: Tensor, level: Tensor, sigma: Tensor, control: Tensor,
                ) -> tuple[Tensor, Tensor, Tensor]:
        """
        Return what the network sees, the guess, and the factor of the network's output.

        :param z: [B, N, C].
        :param picture: s, [B, N, C].
        :param level: 0..1, [B].
        :param sigma: noise level, [B].
        :param control: [1], 1 with structure and 0 without.
        """
        place = level * (len(self.deviation) - 1)
        low = place.floor().long().clamp(0, len(self.deviation) - 2)
        share = (place - low)[:, None]
        tau = self.deviation[low] * (1 - share) + self.deviation[low + 1] * share
        tau = (control * tau + (1 - control) * self.spread)[:, None]
        centre = control * picture + (1 - control) * self.mean
        s = sigma[:, None, None]
        offset = z - (1 - s) * centre
        variance = s ** 2 + (1 - s) ** 2 * tau ** 2
        guess = (s - (1 - s) * tau ** 2) / variance * offset - centre
        root = variance.sqrt()
        return offset / root, guess, tau / root

    @torch.no_grad()
    def measure(self, data: FlowData) -> None:
        """Set the deviations and means from training views."""
        clean, picture = (torch.from_numpy(a.astype(np.float32))
                          for a in (data.data, data.picture))
        self.mean.copy_(clean.mean(dim=(0, 1)))
        self.spread.copy_(clean.std(dim=(0, 1)))
        place = np.rint(data.level * (len(self.deviation) - 1)).astype(int)
        for index in range(len(self.deviation)):
            chosen = torch.from_numpy(place == index)
            if chosen.any():
                missed = clean[chosen] - picture[chosen]
                self.deviation[index] = missed.square().mean(dim=(0, 1)).sqrt()


class TinyFlow(nn.Module):
    """All that is trained of the embedded generator beside the autoencoder."""

    def __init__(self, config: GeneratorConfig = TINY, steer: bool = True, levels: int = 16,
                 ) -> None:
        super().__init__()
        self.config = config
        self.text = TextEncoders(config)
        self.anchor = Anchor(levels, config.transformer['in_channels'])
        transformer = FluxTransformer2DModel(**config.transformer)
        control = make_control(transformer, config.control) if steer else None
        self.flow = ControlledTransformer(transformer, control)
        self.flow.requires_grad_(True)

    @property
    def control(self) -> FluxControlNetModel | None:
        """Return the control branch."""
        return self.flow.control

    def steer(self, rms: Tensor) -> None:
        """
        Add a control branch copied from the transformer as it is.

        :param rms: root mean square of each structure channel in the training data, [320].
        """
        self.flow.control = make_control(self.flow.transformer, self.config.control)
        scale = 1 / rms.clamp_min(1e-2 * float(rms.max()))
        self.flow.control.controlnet_x_embedder.structure_scale.copy_(scale)

    def forward(self, z: Tensor, condition: Tensor | None, sigma: Tensor,
                ids: tuple[Tensor, Tensor], rows: int, columns: int) -> Tensor:
        """Return the velocity [B, N, C] of tokens z [B, N, C] at noise levels [B]."""
        text, pooled = self.text(*ids)
        places, text_places = (torch.from_numpy(array).to(z.device) for array in (
            token.image_ids(rows, columns), token.text_ids(text.shape[1])))
        return self.velocity(z, condition, text, pooled, sigma, places, text_places)

    def velocity(
            self, z: Tensor, condition: Tensor | None, text: Tensor, pooled: Tensor, sigma: Tensor,
            ids: Tensor, text_ids: Tensor, control: Tensor | None = None) -> Tensor:
        """
        Return the velocity [B, N, C] with the text embedded; None leaves the structure out.

        :param control: [1], 0 leaves the structure out, too.
        """
        if control is None:
            control = z.new_full((1,), float(condition is not None))
        if condition is None:
            level, picture = z.new_zeros(len(z)), torch.zeros_like(z)
        else:
            channels = self.config.control.channels
            end = channels + z.shape[-1]
            picture, level = condition[..., channels:end], condition[:, 0, end]
        seen, guess, factor = self.anchor(z, picture, level, sigma, control)
        found = self.flow(seen, condition, text, pooled, sigma, ids, text_ids,
                          control_scale=control)
        return guess + factor * found


@dataclass(frozen=True)
class FlowData:
    """
    Views as the flow sees them: tokens, row by row.

    :param data: float16 [N, tokens, C], latents of the pictures.
    :param picture: float16 [N, tokens, C], latents of the structure decoder's pictures.
    :param latent: float16 [N, tokens, 320], y_sel.
    :param level: float32 [N], 0..1.
    :param objects: float16 [N, tokens, MAP_CHANNELS], maps of the objects.
    :param importance: float32 [C], weights of the channels in the loss, 1 on average: what an
        error of each does to the picture, and the square root of that to the loss.
    """

    data: np.ndarray
    picture: np.ndarray
    latent: np.ndarray
    level: np.ndarray
    objects: np.ndarray
    importance: np.ndarray
    captions: tuple[str, ...]
    rows: int
    columns: int

    def conditions(self, index: np.ndarray, listed: np.ndarray | None = None) -> Tensor:
        """
        Return condition tokens float32 [B, tokens, 320 + C + 1 + MAP_CHANNELS].

        :param listed: whether the list of objects of each is there, [B]; None for all.
        """
        objects = self.objects[index]
        if listed is not None:
            objects = objects * listed[:, None, None]
        level = np.broadcast_to(
            self.level[index, None, None], (len(index), self.rows * self.columns, 1))
        return torch.from_numpy(np.concatenate(
            [self.latent[index], self.picture[index], level, objects],
            axis=2).astype(np.float32))

    def weights(self, index: np.ndarray, emphasis: float) -> Tensor:
        """Return what errors weigh, float32 [B, tokens, 1]: 1 on average over all of them."""
        score = self.objects[index, :, :GROUPS].astype(np.float32).sum(axis=2, keepdims=True)
        weight = 1 + emphasis * score
        return torch.from_numpy(weight / weight.mean())

    def rms(self) -> Tensor:
        """Return the root mean square of each structure channel, [320]."""
        return torch.from_numpy(np.sqrt(np.mean(
            np.square(self.latent.astype(np.float32)), axis=(0, 1))))


@torch.no_grad()
def flow_data(views: Views, autoencoder: PictureAutoencoder, gains: np.ndarray,
              batch: int = 16) -> FlowData:
    """
    Encode views.

    :param gains: float32 [quantizers, 320] of the structure profile.
    """
    def tokens(images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), batch):
            part = torch.from_numpy(images[start:start + batch]).permute(0, 3, 1, 2).float() / 255
            latents = autoencoder.encode(part.contiguous(memory_format=torch.channels_last))
            parts.append(token.pack(latents.numpy()).astype(np.float16))
        return np.concatenate(parts)

    rows, columns = views.symbols.shape[2:]
    latent = latents_of(views.symbols, views.levels, gains).reshape(len(views.levels), 320, -1)
    importance = 1 / autoencoder.scale.numpy().repeat(4)
    return FlowData(
        tokens(views.images), tokens(views.structures),
        latent.transpose(0, 2, 1).astype(np.float16),
        (views.levels / (len(gains) - 1)).astype(np.float32),
        np.stack([object_map(found, rows, columns, rows, columns).reshape(MAP_CHANNELS, -1).T
                  for found in views.objects]).astype(np.float16),
        importance / importance.mean(), views.captions, rows, columns)


def velocity_loss(model: TinyFlow, data: FlowData, index: np.ndarray, sigma: np.ndarray,
                  noise: Tensor, steered: bool, captions: Sequence[str],
                  listed: np.ndarray | None = None, emphasis: float = 0.0) -> Tensor:
    """Return the flow-matching loss of some views, [B]; see FlowData for the last two."""
    device = next(model.parameters()).device
    clean = torch.from_numpy(data.data[index].astype(np.float32)).to(device)
    level = torch.from_numpy(sigma).to(device)
    condition = data.conditions(index, listed).to(device) if steered else None
    ids = tuple(ids.to(device) for ids in model.text.ids(captions))
    predicted = model(on_path(clean, noise, level), condition, level, ids,
                      data.rows, data.columns)
    root = (torch.from_numpy(data.importance) * data.weights(index, emphasis)).sqrt().to(device)
    return flow_loss(predicted * root, clean * root, noise * root)


def train_flow(
        model: TinyFlow, data: FlowData, output: Path, loop_settings: LoopSettings,
        settings: FlowSettings, held_out: FlowData | None = None, resume: bool = False,
        report: Callable[[Loop, dict[str, float]], None] | None = None) -> TinyFlow:
    """
    Train a flow on encoded views; the branch is part of it when the model has one.

    :param held_out: views whose loss at fixed noise is reported every 200 steps.
    :return: the model with its averaged weights.
    """
    torch.manual_seed(loop_settings.seed)
    loop = Loop(model, loop_settings, output, flow_fields(model))
    loop.begin(resume)
    last: dict[str, Tensor] = {}

    def loss(generator: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        index = generator.integers(0, len(data.level), settings.batch)
        sigma = draw_sigmas(settings.batch, generator, shift=settings.shift)
        sigma[generator.random(settings.batch) < settings.ends] = 1
        captions = ['' if generator.random() < settings.text_dropout else data.captions[i]
                    for i in index]
        steered = model.control is not None and generator.random() >= settings.free
        listed = generator.random(settings.batch) >= settings.objects_dropout
        noise = torch.randn(settings.batch, *data.data.shape[1:], device=loop.accelerator.device)
        with loop.accelerator.autocast():
            each = velocity_loss(model, data, index, sigma, noise, steered, captions, listed,
                                 settings.emphasis)
        value = each.mean()
        if held_out is not None and loop.step % 200 == 199:
            last.update(validation(model, held_out, loop))
        return value, {'steered' if steered else 'free': value, **last}

    loop.run(loss, report)
    model.load_state_dict(loop.averaged())
    return model.eval()


@torch.no_grad()
def validation(model: TinyFlow, data: FlowData, loop: Loop) -> dict[str, Tensor]:
    """Return the loss of the live weights on held-out views, with and without the branch."""
    count = len(data.level)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, *data.data.shape[1:], generator=generator)
    sigma = ((np.arange(count) % 8 + 1) / 8).astype(np.float32)
    result = {}
    for name, steered in (('validation_free', False), ('validation', True)):
        if steered and model.control is None:
            continue
        with loop.accelerator.autocast():
            each = [velocity_loss(model, data, part, sigma[part],
                                  noise[part].to(loop.accelerator.device), steered,
                                  [data.captions[i] for i in part])
                    for part in np.array_split(np.arange(count), max(1, count // 16))]
        result[name] = torch.cat(each).mean()
    return result


@torch.no_grad()
def made_latents(model: TinyFlow, data: FlowData, seed: int = 1,
                 steps: Sequence[int] = (1, 2, 4), batch: int = 16) -> np.ndarray:
    """
    Return what a flow makes of views, to train a decoder on.

    :param steps: numbers of steps, one for each batch by turns.
    :return: float16 [N, C/4, 2 rows, 2 columns].
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    result = []
    for turn, start in enumerate(range(0, len(data.level), batch)):
        index = np.arange(start, min(start + batch, len(data.level)))
        condition = data.conditions(index).to(device)
        ids = tuple(i.to(device) for i in model.text.ids([data.captions[i] for i in index]))

        def field(z: np.ndarray, sigma: float, told: Tensor = condition,
                  ids: tuple[Tensor, Tensor] = ids) -> np.ndarray:
            level = torch.full((len(z),), sigma, device=device)
            return model(torch.from_numpy(z).to(device), told, level, ids, data.rows,
                         data.columns).cpu().numpy()

        noise = torch.randn(len(index), *data.data.shape[1:], generator=generator).numpy()
        sigmas = model.config.schedule.sigmas(steps[turn % len(steps)], noise.shape[1])
        result.append(integrate(field, noise, sigmas).astype(np.float16))
    return token.unpack(np.concatenate(result), data.rows, data.columns)


def new_flow(data: FlowData, seed: int = 1, config: GeneratorConfig = TINY) -> TinyFlow:
    """Return a flow without a control branch that gives the anchor's guess, of some views."""
    torch.manual_seed(seed)
    model = TinyFlow(config, steer=False)
    model.anchor.measure(data)
    # The network has its say through this layer.
    nn.init.zeros_(model.flow.transformer.proj_out.weight)
    nn.init.zeros_(model.flow.transformer.proj_out.bias)
    return model


def flow_fields(model: TinyFlow) -> dict[str, object]:
    """Return what a checkpoint of a flow says about itself."""
    return {'flow': {'steered': model.control is not None,
                     'objects': OBJECTS_WEIGHT in model.state_dict()}}


def load_flow(path: Path | str, config: GeneratorConfig = TINY) -> TinyFlow:
    """
    Build the flow that a checkpoint describes, in float32.

    :raises DataError: when the file is no checkpoint of a flow.
    """
    tensors, fields = load_weights(path)
    if 'flow' not in fields:
        raise DataError(f'{path}: not a checkpoint of a flow')
    with reading(path):
        model = TinyFlow(config, steer=bool(fields['flow']['steered']))
        state = model.state_dict()
        if OBJECTS_WEIGHT in state and not fields['flow'].get('objects'):
            # Trained without the map of the objects, which then adds nothing.
            tensors[OBJECTS_WEIGHT] = torch.zeros_like(state[OBJECTS_WEIGHT])
        model.load_state_dict(tensors)
    return model.eval()
