# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The networks of a generator as ONNX graphs, run by ONNX Runtime on the CPU.

::

    text.onnx      t5 int64 [1, L], clip int64 [1, 77] ──────> text [1, L, D], pooled [1, P]
    encoder.onnx   image [B, 3, 16 h, 16 w] in [0, 1] ───────> latent [B, c, 2 h, 2 w]
    velocity.onnx  z [B, N, 4 c], condition [B, N, K], text, pooled, sigma [B], ids [N, 3],
                   control [1] ──────────────────────────────> velocity [B, N, 4 c]
    decoder.onnx   latent [B, c, 2 h, 2 w] ──────────────────> image [B, 3, 16 h, 16 w]

``control`` is a factor on what the control branch adds: 1, or 0 for the transformer alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import hashlib
from pathlib import Path

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator import token
from gsc_ros.codec.generator.manifest import GeneratorManifest
from gsc_ros.codec.generator.sampler import VelocityField
import numpy as np
import onnxruntime

TEXT_FILE, VELOCITY_FILE = 'text.onnx', 'velocity.onnx'
ENCODER_FILE, DECODER_FILE = 'encoder.onnx', 'decoder.onnx'
GRAPHS = (TEXT_FILE, VELOCITY_FILE, ENCODER_FILE, DECODER_FILE)
MAX_GRAPH_BYTES = 1 << 30


@dataclass(frozen=True)
class EmbeddedText:
    """A text embedded: ``text`` float32 [1, L, D] and ``pooled`` float32 [1, P]."""

    text: np.ndarray
    pooled: np.ndarray


def open_networks(
    folder: Path, manifest: GeneratorManifest, *, threads: int = 1, device: str = '',
) -> OnnxNetworks:
    """
    Open the graphs of a generator profile, their hashes checked.

    :param folder: the folder of the manifest.
    :param manifest: what it says.
    :param threads: threads of ONNX Runtime.
    :param device: empty or `cpu`.
    :raises GeneratorError: when a graph is missing, is not the one of the manifest, or cannot be
        run, or the device is another.
    """
    if device not in ('', 'cpu'):
        raise GeneratorError(f'generator {manifest.name} runs on the CPU, not on {device}')
    return OnnxNetworks(
        {name: _open(folder / name, manifest.files.get(name, ''), threads) for name in GRAPHS},
        manifest)


class OnnxNetworks:
    """
    The graphs of a profile; see :class:`~gsc_ros.codec.generator.flow.Networks`.

    :param sessions: a session for each of `GRAPHS`.
    :param manifest: what the profile says about itself.
    :raises GeneratorError: when a graph has other inputs than it should.
    """

    def __init__(
        self, sessions: dict[str, onnxruntime.InferenceSession], manifest: GeneratorManifest,
    ):
        self.in_channels = manifest.in_channels
        self._sessions = sessions
        self._name = manifest.name
        self._condition = self._last_side(VELOCITY_FILE, 'condition')
        self._length = self._last_side(TEXT_FILE, 't5')
        self._clip_length = self._last_side(TEXT_FILE, 'clip')
        if self._last_side(VELOCITY_FILE, 'z') != self.in_channels:
            raise GeneratorError(
                f'{VELOCITY_FILE} of {self._name} does not take tokens of {self.in_channels}')

    def embed(self, text: str) -> EmbeddedText:
        """Return a text embedded; it is cut after as many bytes as there are tokens."""
        return EmbeddedText(*self._run(TEXT_FILE, {
            't5': token.byte_tokens(text, self._length)[None],
            'clip': token.byte_tokens(text, self._clip_length)[None]}))

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Return the latents of pictures float32 ``[B, 3, H, W]``; see Networks."""
        return self._run(ENCODER_FILE, {'image': images})[0]

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Return the pictures of latents; see Networks."""
        return self._run(DECODER_FILE, {'latent': latents})[0]

    def field(
        self, texts: Sequence[EmbeddedText], condition: np.ndarray | None, rows: int, columns: int,
        guidance: float | None,
    ) -> VelocityField:
        """Return the velocity of a batch; see Networks. These graphs take no guidance."""
        count = len(texts)
        if condition is None:
            told = np.zeros((count, rows * columns, self._condition), np.float32)
        elif condition.shape[-1] != self._condition:
            raise GeneratorError(
                f'{VELOCITY_FILE} of {self._name} takes conditions of {self._condition} values, '
                f'not {condition.shape[-1]}')
        else:
            told = condition
        fixed = {
            'condition': told, 'text': np.concatenate([one.text for one in texts]),
            'pooled': np.concatenate([one.pooled for one in texts]),
            'ids': token.image_ids(rows, columns),
            'control': np.array([condition is not None], np.float32)}

        def velocity(z: np.ndarray, sigma: float) -> np.ndarray:
            level = np.full(count, sigma, np.float32)
            return self._run(VELOCITY_FILE, fixed | {'z': z, 'sigma': level})[0]

        return velocity

    def close(self) -> None:
        """Free the sessions."""
        self._sessions.clear()

    def _last_side(self, graph: str, name: str) -> int:
        """Return the last side of an input of a graph."""
        for entry in self._sessions[graph].get_inputs():
            if entry.name == name and entry.shape and isinstance(entry.shape[-1], int):
                return entry.shape[-1]
        raise GeneratorError(f'{graph} of {self._name} has no input {name} of a fixed width')

    def _run(self, graph: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Run a graph."""
        if graph not in self._sessions:
            raise GeneratorError(f'{self._name} is closed')
        try:
            return self._sessions[graph].run(None, inputs)
        except Exception as error:  # ONNX Runtime raises bare exceptions of its own
            raise GeneratorError(f'{graph} of {self._name}: {error}') from error


def _open(path: Path, digest: str, threads: int) -> onnxruntime.InferenceSession:
    """Return a session of a graph whose hash is known."""
    try:
        if path.stat().st_size > MAX_GRAPH_BYTES:
            raise GeneratorError(f'{path} is larger than {MAX_GRAPH_BYTES} bytes')
        content = path.read_bytes()
    except OSError as error:
        raise GeneratorError(f'cannot read {path}: {error.strerror}') from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise GeneratorError(f'{path} is not the file its manifest describes')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads leave the cores to the rest of the machine.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    try:
        return onnxruntime.InferenceSession(
            content, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # ONNX Runtime raises bare exceptions of its own
        raise GeneratorError(f'{path}: {error}'.split('\n')[0]) from error
