# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks of a generator in torch; see `codec.generator.flow.Networks`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import gc
from pathlib import Path

from accelerate import cpu_offload, cpu_offload_with_hook
from diffusers import FluxControlNetModel
from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator import token
from gsc_ros.codec.generator.flux.control import ControlledTransformer
from gsc_ros.codec.generator.flux.control_file import ControlInfo
from gsc_ros.codec.generator.flux.load import estimate, load, USUAL_TOKENS
from gsc_ros.codec.generator.flux.memory import check_memory
from gsc_ros.codec.generator.flux.parts import Parts
from gsc_ros.codec.generator.manifest import GeneratorManifest
from gsc_ros.codec.generator.sampler import VelocityField
from gsc_ros.codec.generator.source import Offload, Source
from gsc_ros.codec.packet import LATENT_CHANNELS
import numpy as np
import torch
from torch import Tensor


class FluxNetworks:
    """
    The networks in torch.

    :param parts: the frozen models.
    :param control: the branch that steers; None for text alone.
    :param device: where to compute.
    :param offload: what waits in the machine's memory; the models are there now.
    """

    def __init__(
        self, parts: Parts, control: FluxControlNetModel | None,
        device: torch.device | str = 'cpu', offload: Offload = Offload.NONE,
    ):
        self._device = torch.device(device)
        self._parts = parts
        self._model = ControlledTransformer(parts.transformer, control).eval()
        self._dtype = parts.transformer.dtype
        self.in_channels = parts.transformer.config.in_channels
        self._hooks: dict[str, object] = {}
        modules = parts.modules() | ({'control': control} if control is not None else {})
        for name, module in modules.items():
            if offload is Offload.MODEL:
                _, self._hooks[name] = cpu_offload_with_hook(module, self._device)
            elif offload is Offload.SEQUENTIAL:
                cpu_offload(module, self._device, offload_buffers=bool(module._parameters))

    def embed(self, text: str) -> tuple[Tensor, Tensor]:
        """Return a text as ``[1, L, D]`` and ``[1, P]`` on the device."""
        with self._computing('t5', 'clip'):
            embedded, pooled = self._parts.embed([text], self._device)
            return (embedded.to(self._device, self._dtype), pooled.to(self._device, self._dtype))

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Return latents of pictures; see Networks."""
        with self._computing('autoencoder'):
            return self._parts.encode(self._tensor(images)).float().cpu().numpy()

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Return pictures of latents; see Networks."""
        with self._computing('autoencoder'):
            return self._parts.decode(self._tensor(latents)).float().cpu().numpy()

    def field(
        self, texts: Sequence[tuple[Tensor, Tensor]], condition: np.ndarray | None, rows: int,
        columns: int, guidance: float | None,
    ) -> VelocityField:
        """Return the velocity of a batch; see Networks."""
        text = torch.cat([embedded for embedded, _ in texts])
        pooled = torch.cat([one for _, one in texts])
        shared = {
            'structure': None if condition is None else self._tensor(condition).to(self._dtype),
            'text': text, 'pooled': pooled,
            'image_ids': self._tensor(token.image_ids(rows, columns)),
            'text_ids': self._tensor(token.text_ids(text.shape[1])),
            'guidance': None if guidance is None else torch.full(
                (len(texts),), guidance, device=self._device)}

        def velocity(z: np.ndarray, sigma: float) -> np.ndarray:
            with self._computing('transformer', 'control'):
                level = torch.full((len(z),), sigma, device=self._device)
                found = self._model(
                    tokens=self._tensor(z).to(self._dtype), sigma=level, **shared)
                return found.float().cpu().numpy()

        return velocity

    def close(self) -> None:
        """Free the models."""
        self._parts = self._model = None  # type: ignore[assignment]
        self._hooks.clear()
        gc.collect()
        if self._device.type == 'cuda':
            torch.cuda.empty_cache()

    def compile(self) -> None:
        """Compile the blocks of the transformer and its branch, with the first picture."""
        for model in (self._model.transformer, self._model.control):
            if model is not None:
                for block in (*model.transformer_blocks, *model.single_transformer_blocks):
                    block.compile(dynamic=True)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    @contextmanager
    def _computing(self, *names: str) -> Iterator[None]:
        """Compute with some of the models, the others waiting where they should."""
        if self._model is None:
            raise GeneratorError('the generator is closed')
        for name, hook in self._hooks.items():
            if name not in names:
                hook.offload()
        try:
            with torch.inference_mode():
                yield
        except torch.OutOfMemoryError as error:
            raise GeneratorError(
                f'too little memory on {self._device}: {str(error)[:200]} Fewer bits or '
                'offloading take less: see `gsc profile add --help`') from error
        except RuntimeError as error:
            raise GeneratorError(f'{" and ".join(names)}: {str(error)[:300]}') from error


def open_networks(
    folder: Path, manifest: GeneratorManifest, *, threads: int, device: str,
) -> FluxNetworks:
    """
    Load the networks of a generator profile of kind `torch`.

    :param folder: the profile.
    :param manifest: its manifest.
    :param threads: threads of torch on the CPU, for the whole process.
    :param device: see `opening.open_generator`.
    :raises GeneratorError: when something is missing or damaged, or will not fit the memory.
    """
    try:
        source = Source.from_fields(manifest.fields.get('weights'))
        place = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    except (ValueError, RuntimeError) as error:
        raise GeneratorError(f'{folder}: {error}') from error
    try:
        torch.empty(0, device=place)
    except (AssertionError, RuntimeError) as error:
        raise GeneratorError(f'there is no {place} here: {str(error)[:100]}') from error
    if place.type == 'cpu':
        torch.set_num_threads(threads)
    side = manifest.geometry.tile ** 2
    check_memory(estimate(source, min(side, USUAL_TOKENS)), source.offload, place)
    parts, control, info = load(source, place)
    _check(manifest, parts, info)
    if source.vae_tiling:
        parts.autoencoder.enable_tiling()
    networks = FluxNetworks(parts, control, place, source.offload)
    if source.compile:
        networks.compile()
    return networks


def _check(manifest: GeneratorManifest, parts: Parts, info: ControlInfo | None) -> None:
    """Raise a GeneratorError unless the models are those that the manifest describes."""
    sizes, geometry = parts.transformer.config, manifest.geometry
    if sizes.in_channels != manifest.in_channels:
        raise GeneratorError(
            f'{manifest.name}: image tokens have {sizes.in_channels} channels, not '
            f'{manifest.in_channels}')
    if sizes.guidance_embeds != (manifest.guidance is not None):
        raise GeneratorError(
            f'{manifest.name}: the transformer takes {"a" if sizes.guidance_embeds else "no"} '
            'guidance, which the manifest denies')
    if info is None:
        return
    found = (info.config.picture, info.config.level, info.config.objects, info.pitch,
             info.config.channels)
    if found != (geometry.picture, geometry.level, geometry.objects, geometry.pitch,
                 LATENT_CHANNELS):
        raise GeneratorError(
            f'{manifest.name}: the control branch was trained with picture, level, objects, pitch '
            f'and channels of {found}, which is not what the manifest says')
