# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Tensors that are computed once and read in every epoch: shards of safetensors, keyed by content.

A folder holds ``cache.json``, which says what the tensors were made with, and shards. A key is the
hash of what a tensor was made of, so moved or renamed images are found again, and a run that was
stopped goes on with what is missing. A shard appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
import hashlib
import json
from pathlib import Path
from threading import Lock

from gsc_ros.training.data import DataError
from safetensors import safe_open, SafetensorError
from safetensors.torch import save_file
from torch import Tensor

MANIFEST = 'cache.json'
SHARD_BYTES = 256 << 20
MAX_OPEN = 64
"""Shards that are kept mapped at a time."""


def content_key(data: bytes) -> str:
    """Return the key of a content: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]


class TensorCache:
    """Named tensors by key, in one folder that several processes write to and threads read."""

    def __init__(self, folder: Path, origin: dict[str, object], writer: int = 0) -> None:
        """
        Open or start a cache.

        :param origin: what its tensors are made with, as JSON: models, sizes, profile.
        :param writer: number of this process among those that write at the same time.
        :raises DataError: when the folder's tensors were made with something else.
        """
        self.folder, self._writer = folder, writer
        folder.mkdir(parents=True, exist_ok=True)
        manifest = folder / MANIFEST
        if manifest.exists():
            try:
                found = dict(json.loads(manifest.read_text(encoding='utf-8')))
            except (ValueError, TypeError) as error:
                raise DataError(f'{manifest}: damaged ({error}); delete the cache') from error
            differing = sorted(name for name in {*found, *origin}
                               if found.get(name) != origin.get(name))
            if differing:
                raise DataError(
                    f'{folder}: made with another {", ".join(differing)}; give another --cache')
        else:
            partial = manifest.with_suffix(f'.{writer}.part')
            partial.write_text(json.dumps(origin, indent=1, sort_keys=True), encoding='utf-8')
            partial.replace(manifest)
        self._places: dict[tuple[str, str], Path] = {}
        self._read: set[Path] = set()
        self._open: dict[Path, safe_open] = {}
        self._lock = Lock()
        self._waiting: dict[str, Tensor] = {}
        self._waiting_bytes = 0
        self.refresh()

    def refresh(self) -> None:
        """
        Take note of the shards that are there now, those of other processes too.

        :raises DataError: when one is damaged.
        """
        for shard in sorted(set(self.folder.glob('*.safetensors')) - self._read):
            try:
                with safe_open(shard, 'pt') as handle:
                    names = list(handle.keys())
            except SafetensorError as error:
                raise DataError(f'{shard}: damaged ({error}); delete it to make it anew') from error
            for name in names:
                key, _, kind = name.partition('/')
                self._places[key, kind] = shard
            self._read.add(shard)

    def missing(self, keys: Iterable[str], kind: str) -> list[str]:
        """Return those of ``keys`` that have no tensor ``kind``, each once, in their order."""
        return [key for key in dict.fromkeys(keys) if (key, kind) not in self._places]

    def add(self, key: str, tensors: dict[str, Tensor]) -> None:
        """Keep tensors; they are written when there is enough for a shard, or by `flush`."""
        for kind, tensor in tensors.items():
            tensor = tensor.detach().cpu().contiguous()
            self._waiting[f'{key}/{kind}'] = tensor
            self._waiting_bytes += tensor.numel() * tensor.element_size()
        if self._waiting_bytes >= SHARD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting as a shard."""
        if not self._waiting:
            return
        name = content_key('\n'.join(self._waiting).encode())
        shard = self.folder / f'{self._writer}-{name}.safetensors'
        partial = shard.with_suffix('.part')
        save_file(self._waiting, partial)
        partial.replace(shard)
        self._waiting, self._waiting_bytes = {}, 0
        self.refresh()

    def get(self, key: str, kind: str) -> Tensor:
        """
        Return a tensor; it is read from the disk now.

        :raises KeyError: when it is not there.
        """
        return self._shard(key, kind).get_tensor(f'{key}/{kind}')

    def shape(self, key: str, kind: str) -> tuple[int, ...]:
        """Return the shape of a tensor without reading it."""
        return tuple(self._shard(key, kind).get_slice(f'{key}/{kind}').get_shape())

    def _shard(self, key: str, kind: str) -> safe_open:
        """Return the mapped shard of a tensor."""
        shard = self._places[key, kind]
        with self._lock:
            if shard not in self._open:
                if len(self._open) >= MAX_OPEN:
                    self._open.pop(next(iter(self._open)))
                self._open[shard] = safe_open(shard, 'pt')
            return self._open[shard]
