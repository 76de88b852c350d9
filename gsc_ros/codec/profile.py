# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Profiles: the trained models a packet is made and read with.

A profile is a folder::

    manifest.json    name, geometry, and the SHA-256 of every other file
    analysis.onnx    image float32 [1, 3, sh, sw] in [0, 1] -> y float32 [1, 320, h, w]
    synthesis.onnx   y_hat float32 [1, 320, h, w], and if it wants level float32 [1] (quantizer,
                     0 coarsest to 1 finest) -> image float32 [1, 3, sh, sw],
                     error float32 [1, 1, sh, sw] (expected absolute error of a pixel)
    tables.npz       gains float32 [Q, 320] and the integer entropy model (see codec.context)

where s is the stride, and, if it can code key regions (see codec.region.transform), whose cells are
of 8 pixels at the scale of the region::

    region_analysis.onnx   image and prediction float32 [1, 3, 8h, 8w] in [0, 1]
                           -> y float32 [1, 320, h, w]
    region_synthesis.onnx  y_hat float32 [1, 320, h, w], prediction, level float32 [1]
                           -> image float32 [1, 3, 8h, 8w], error float32 [1, 1, 8h, 8w]
    region_tables.npz      as tables.npz

The hash of the manifest covers everything. Its first two bytes are in every packet.

A name stands for a profile that came with the package, or for a folder of that name among the
user's own, in ``$XDG_DATA_HOME/gsc_ros/profiles`` (``~/.local/share`` unless that is set).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
import hashlib
import io
import json
import os
from pathlib import Path
import struct
from typing import Any
import zipfile
import zlib

from gsc_ros.codec.context import ContextModel, REGION_GROUPS
from gsc_ros.codec.context_tables import MAX_SYMBOL
from gsc_ros.codec.error import ProfileError
from gsc_ros.codec.packet import LATENT_CHANNELS, LAYERS, MAX_QUANTIZERS
import numpy as np

FORMAT = 1
MANIFEST_FILE = 'manifest.json'
ANALYSIS_FILE = 'analysis.onnx'
SYNTHESIS_FILE = 'synthesis.onnx'
TABLES_FILE = 'tables.npz'
FILES = (ANALYSIS_FILE, SYNTHESIS_FILE, TABLES_FILE)
REGION_ANALYSIS_FILE = 'region_analysis.onnx'
REGION_SYNTHESIS_FILE = 'region_synthesis.onnx'
REGION_TABLES_FILE = 'region_tables.npz'
REGION_FILES = (REGION_ANALYSIS_FILE, REGION_SYNTHESIS_FILE, REGION_TABLES_FILE)
# What the tables may unpack to; a profile of 16 quantizers has 2 MB.
MAX_TABLES_BYTES = 1 << 25
# What numpy and zipfile raise over damaged archives and absurd shapes, and over archives that are
# encrypted or compressed in a way that Python cannot read.
_BAD_ARCHIVE = (ValueError, KeyError, OSError, EOFError, MemoryError, RuntimeError, struct.error,
                zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class RegionManifest:
    """
    What a profile says about its model of key regions.

    :param quantizers: number of quantizers, 1..16.
    :param default_quantizer: the one to use unless told otherwise.
    :param symbol_max: symbols are in -symbol_max..symbol_max.
    """

    quantizers: int
    default_quantizer: int
    symbol_max: int


@dataclass(frozen=True)
class Manifest:
    """
    What a profile says about itself.

    :param name: name of the profile.
    :param scale: factor by which an image is reduced before the analysis.
    :param stride: pixels of the reduced image per latent position.
    :param quantizers: number of quantizers, 1..16.
    :param default_quantizer: the one to use unless told otherwise.
    :param symbol_max: symbols are in -symbol_max..symbol_max.
    :param files: SHA-256 in hexadecimal by file name.
    :param training: where the models come from, free JSON for the reader.
    :param regions: of the model of key regions; None when there is none.
    """

    name: str
    scale: int
    stride: int
    quantizers: int
    default_quantizer: int
    symbol_max: int
    files: dict[str, str]
    training: dict[str, Any] = field(default_factory=dict)
    regions: RegionManifest | None = None


class Profile:
    """
    A loaded and verified profile.

    The graphs and tables are kept as the bytes that were verified. Immutable; may be shared by
    any number of encoders, decoders and threads.
    """

    def __init__(self, manifest: Manifest, content_hash: bytes, contents: dict[str, bytes]):
        self.manifest = manifest
        self.content_hash = content_hash
        self._contents = contents

    @property
    def name(self) -> str:
        """Name of the profile."""
        return self.manifest.name

    @property
    def short_hash(self) -> int:
        """First 16 bits of the content hash, as packets carry it."""
        return int.from_bytes(self.content_hash[:2], 'big')

    @property
    def pitch(self) -> int:
        """Image pixels per latent position."""
        return self.manifest.scale * self.manifest.stride

    def graph(self, file_name: str) -> bytes:
        """Return the verified ONNX graph ``file_name``."""
        return self._contents[file_name]

    @property
    def has_regions(self) -> bool:
        """Whether key regions can be coded."""
        return self.manifest.regions is not None

    @cached_property
    def tables(self) -> dict[str, np.ndarray]:
        """Return the arrays of tables.npz; they are never unpickled."""
        return self._tables(TABLES_FILE)

    @cached_property
    def gains(self) -> np.ndarray:
        """Symbols per unit of latent, float32 ``[Q, 320]``, all positive."""
        return self._gains(self.tables, self.manifest.quantizers)

    @cached_property
    def context(self) -> ContextModel:
        """The integer entropy model."""
        return self._context(self.tables, self.manifest)

    @cached_property
    def region_gains(self) -> np.ndarray:
        """As :attr:`gains`, of the model of key regions."""
        return self._gains(self._region_tables, self._regions.quantizers)

    @cached_property
    def region_context(self) -> ContextModel:
        """As :attr:`context`, of the model of key regions."""
        return self._context(self._region_tables, self._regions, REGION_GROUPS)

    @property
    def _regions(self) -> RegionManifest:
        """What is said about the model of key regions, which must be there."""
        if self.manifest.regions is None:
            raise ProfileError(f'profile {self.name} cannot code key regions')
        return self.manifest.regions

    @cached_property
    def _region_tables(self) -> dict[str, np.ndarray]:
        return self._tables(REGION_TABLES_FILE)

    def _tables(self, file_name: str) -> dict[str, np.ndarray]:
        try:
            return _unpack(self._contents[file_name])
        except _BAD_ARCHIVE as error:
            raise ProfileError(f'{file_name} of profile {self.name}: {error}') from error

    def _gains(self, tables: dict[str, np.ndarray], quantizers: int) -> np.ndarray:
        gains = tables.get('gains')
        shape = (quantizers, LATENT_CHANNELS)
        if gains is None or gains.dtype != np.float32 or gains.shape != shape:
            raise ProfileError(f'profile {self.name}: gains must be float32 {list(shape)}')
        if not (np.isfinite(gains).all() and (gains > 0).all()):
            raise ProfileError(f'profile {self.name}: gains must be positive')
        return gains

    def _context(
        self, tables: dict[str, np.ndarray], manifest: Manifest | RegionManifest,
        groups: Sequence[int] = LAYERS,
    ) -> ContextModel:
        model = ContextModel.from_tables(tables, groups)
        if (model.quantizers, model.symbol_max) != (manifest.quantizers, manifest.symbol_max):
            raise ProfileError(f'profile {self.name}: the entropy model is of another geometry')
        return model


def builtin_profiles() -> tuple[str, ...]:
    """Return the names of the profiles that came with the package."""
    return _names(_data_folder())


def user_profiles() -> tuple[str, ...]:
    """Return the names of the user's own profiles."""
    return _names(user_folder())


def user_folder() -> Path:
    """Return the folder of the user's own profiles, which need not exist."""
    home = os.environ.get('XDG_DATA_HOME', '')
    # The XDG specification tells to ignore a relative path.
    base = Path(home if os.path.isabs(home) else os.path.expanduser('~/.local/share'))
    return base / 'gsc_ros' / 'profiles'


def find_profile(name_or_path: str | Path) -> Path:
    """
    Return the folder of a profile.

    :param name_or_path: the name of one that came with the package or of one of the user's, which
        are looked for in this order, or a folder. ``./name`` is a folder in any case.
    :raises ProfileError: when there is none.
    """
    words = str(name_or_path)
    folder = Path(name_or_path)
    try:
        if words not in ('', '.', '..') and os.sep not in words:
            for parent in (_data_folder(), user_folder()):
                if (parent / words / MANIFEST_FILE).is_file():
                    return parent / words
        there = bool(words) and folder.is_dir()
    except OSError as error:
        raise ProfileError(f'there is no profile {words[:80]!r}: {error.strerror}') from error
    if not there:
        raise ProfileError(
            f'there is no profile {words!r}: it is neither a folder nor one of '
            f'{", ".join(dict.fromkeys((*builtin_profiles(), *user_profiles()))) or "(none)"}')
    return folder


def load_profile(name_or_path: str | Path = 'tiny') -> Profile:
    """
    Load a profile and verify every file of it.

    :param name_or_path: see :func:`find_profile`.
    :raises ProfileError: when it is missing, damaged, or of a newer format.
    """
    folder = find_profile(name_or_path)
    text = _read(folder / MANIFEST_FILE)
    manifest = _parse_manifest(text, folder / MANIFEST_FILE)
    contents = {}
    for file_name in manifest.files:
        contents[file_name] = _read(folder / file_name)
        if hashlib.sha256(contents[file_name]).hexdigest() != manifest.files[file_name]:
            raise ProfileError(f'{folder / file_name} is not the file its manifest describes')
    return Profile(manifest, hashlib.sha256(text).digest(), contents)


def _names(folder: Path) -> tuple[str, ...]:
    """Return the names of the profiles in a folder."""
    try:
        found = {path.parent.name for path in folder.glob(f'*/{MANIFEST_FILE}')}
    except OSError:
        return ()
    # An import that is not finished lies in a hidden folder.
    return tuple(sorted(name for name in found if not name.startswith('.')))


def _data_folder() -> Path:
    """Return the folder of the profiles beside this package."""
    # Not resolved: a symlink install links single files, and the links lie beside each other.
    return Path(__file__).parent.parent / 'profiles'


def _read(path: Path) -> bytes:
    """Return a file's content, or raise a ProfileError that names it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProfileError(f'cannot read {path}: {error.strerror}') from error


def _unpack(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of an archive; they are never unpickled."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(item.file_size for item in archive.infolist()) > MAX_TABLES_BYTES:
            raise ValueError(f'larger than {MAX_TABLES_BYTES} bytes')
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        tables = {name: arrays[name] for name in arrays.files}
    if not all(isinstance(table, np.ndarray) for table in tables.values()):
        raise ValueError('holds more than arrays')
    return tables


def _parse_manifest(text: bytes, path: Path) -> Manifest:
    """Return the manifest, all of its values checked."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProfileError(f'{path} is not JSON: {error}') from error
    if not isinstance(fields, dict):
        raise ProfileError(f'{path} is not a JSON object')
    if _integer(fields, 'format', 1, 1 << 30, path) > FORMAT:
        raise ProfileError(f'{path} has a newer format than this software understands')
    name = fields.get('name')
    if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 80:
        raise ProfileError(f'{path}: name must be 1 to 80 printable characters')
    if fields.get('latent_channels') != LATENT_CHANNELS:
        raise ProfileError(f'{path}: latent_channels must be {LATENT_CHANNELS}')
    if fields.get('layers') != list(LAYERS):
        raise ProfileError(f'{path}: layers must be those of the packet format')
    training = fields.get('training', {})
    if not isinstance(training, dict):
        raise ProfileError(f'{path}: training must be an object')
    regions = fields.get('regions')
    if regions is not None and not isinstance(regions, dict):
        raise ProfileError(f'{path}: regions must be an object')
    names = FILES if regions is None else FILES + REGION_FILES
    files = fields.get('files')
    if not isinstance(files, dict) or not all(isinstance(files.get(name), str) for name in names):
        raise ProfileError(f'{path}: files must name {", ".join(names)} with their hashes')
    return Manifest(
        name=name, scale=_integer(fields, 'scale', 1, 64, path),
        stride=_integer(fields, 'stride', 1, 64, path), **_model(fields, path),
        files={file_name: files[file_name].lower() for file_name in names}, training=training,
        regions=None if regions is None else RegionManifest(**_model(regions, path)))


def _model(fields: dict[str, Any], path: Path) -> dict[str, int]:
    """Return the numbers that describe an entropy model, checked."""
    quantizers = _integer(fields, 'quantizers', 1, MAX_QUANTIZERS, path)
    return {
        'quantizers': quantizers,
        'default_quantizer': _integer(fields, 'default_quantizer', 0, quantizers - 1, path),
        'symbol_max': _integer(fields, 'symbol_max', 1, MAX_SYMBOL, path)}


def _integer(fields: dict[str, Any], key: str, low: int, high: int, path: Path) -> int:
    """Return an integer of the manifest in its range."""
    value = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProfileError(f'{path}: {key} must be an integer in {low}..{high}')
    return value
