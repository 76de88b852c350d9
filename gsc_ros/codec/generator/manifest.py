# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The manifest of a generator profile: what it was trained for, and how to run it.

A generator profile is a folder with a `manifest.json`. Packets know nothing of it: the same packet
can be decoded by any generator that was trained for its structure profile. Of kind `onnx` are
those whose graphs lie beside the manifest, of kind `torch` those that name directories of weights.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
import hashlib
import json
from pathlib import Path
from typing import Any

from gsc_ros.codec.error import GeneratorError
from gsc_ros.codec.generator.flow import Geometry
from gsc_ros.codec.generator.schedule import Schedule
from gsc_ros.codec.profile import ANALYSIS_FILE, Profile, SYNTHESIS_FILE, TABLES_FILE

FORMAT = 1
KINDS = ('onnx', 'torch')
MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True)
class GeneratorManifest:
    """
    What a generator profile says about itself.

    :param name: name of the profile.
    :param kind: `onnx` or `torch`.
    :param structure: :func:`structure_hash` of the structure profile that it was trained for;
        empty where it was trained for none in particular.
    :param geometry: sizes.
    :param schedule: noise levels.
    :param steps: default number of steps.
    :param guidance: default guidance scale; None where the model has none.
    :param in_channels: of an image token.
    :param files: SHA-256 in hexadecimal by name, of the files beside the manifest.
    :param fields: the whole manifest, for what concerns one kind alone.
    :param digest: SHA-256 of the text of the manifest in hexadecimal, which covers the weights.
    """

    name: str
    kind: str
    structure: str
    geometry: Geometry
    schedule: Schedule
    steps: int
    guidance: float | None = None
    in_channels: int = 64
    files: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    digest: str = ''

    def to_json(self) -> str:
        """Return the text of the manifest, which :func:`read_manifest` takes."""
        return json.dumps(self.fields | {
            'format': FORMAT, 'name': self.name, 'kind': self.kind, 'structure': self.structure,
            'steps': self.steps, 'guidance': self.guidance, 'in_channels': self.in_channels,
            'files': self.files, 'schedule': asdict(self.schedule)} | asdict(self.geometry),
            indent=2) + '\n'


def read_manifest(path: Path) -> GeneratorManifest:
    """
    Read and check a manifest.

    :raises GeneratorError: when it cannot be read, or is none of ours.
    """
    try:
        with path.open('rb') as file:
            text = file.read(MAX_MANIFEST_BYTES + 1)
        fields = json.loads(text)
    except OSError as error:
        raise GeneratorError(f'cannot read {path}: {error.strerror}') from error
    except (ValueError, RecursionError) as error:
        raise GeneratorError(f'{path} is not JSON: {error}') from error
    if not isinstance(fields, dict):
        raise GeneratorError(f'{path} is not a JSON object')
    try:
        return replace(_parse(fields), digest=hashlib.sha256(text).hexdigest())
    except ValueError as error:
        raise GeneratorError(f'{path}: {error}') from error


def structure_hash(profile: Profile) -> str:
    """
    Return what names the structure of a profile: all that y_sel and its picture depend on.

    Profiles that differ in other things, as in their name or in the models of regions, have the
    same, and the same generators.

    :return: SHA-256 in hexadecimal.
    """
    manifest = profile.manifest
    told = {name: manifest.files[name] for name in (ANALYSIS_FILE, SYNTHESIS_FILE, TABLES_FILE)}
    told |= {name: getattr(manifest, name)
             for name in ('scale', 'stride', 'quantizers', 'symbol_max')}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _parse(fields: dict[str, Any]) -> GeneratorManifest:
    """
    Return the manifest, the values that every kind has checked.

    :raises ValueError: when one is not as it should be.
    """
    if _integer(fields, 'format', 1, 1 << 30) > FORMAT:
        raise ValueError('has a newer format than this software understands')
    name = fields.get('name')
    if not isinstance(name, str) or not 1 <= len(name) <= 80 or not name.isprintable():
        raise ValueError('name must be 1 to 80 printable characters')
    if fields.get('kind') not in KINDS:
        raise ValueError(f'kind must be one of {", ".join(KINDS)}')
    structure = fields.get('structure', '')
    if not isinstance(structure, str):
        raise ValueError('structure must be the hash of a structure profile')
    files = fields.get('files', {})
    if not isinstance(files, dict) or not all(
            isinstance(value, str) and Path(key).name == key for key, value in files.items()):
        raise ValueError('files must have hashes by file name')
    geometry = Geometry(
        scale=_integer(fields, 'scale', 1, 8), pitch=_integer(fields, 'pitch', 16, 1024),
        picture=_flag(fields, 'picture'), level=_flag(fields, 'level'),
        objects=_flag(fields, 'objects'), tile=_integer(fields, 'tile', 4, 1024))
    if geometry.pitch % (16 * geometry.scale):
        raise ValueError(f'pitch must be a multiple of {16 * geometry.scale}')
    guidance = fields.get('guidance')
    return GeneratorManifest(
        name=name, kind=fields['kind'], structure=structure.lower(), geometry=geometry,
        schedule=_schedule(fields), steps=_integer(fields, 'steps', 1, 1000),
        guidance=None if guidance is None else _number(guidance, 'guidance', 0, 100),
        in_channels=_integer(fields, 'in_channels', 4, 1024), files=files, fields=fields)


def _schedule(fields: dict[str, Any]) -> Schedule:
    """Return the schedule of a manifest."""
    given = fields.get('schedule', {})
    if not isinstance(given, dict):
        raise ValueError('schedule must be an object')
    default = asdict(Schedule())
    for key, value in given.items():
        if key not in default:
            raise ValueError(f'schedule has an unknown {key!r}')
        # What the numbers may be, the schedule knows.
        if isinstance(default[key], bool):
            _flag(given, key)
        elif isinstance(default[key], int):
            _integer(given, key, 0, 1 << 30)
        else:
            _number(value, f'schedule.{key}', -1e6, 1e6)
    return Schedule(**given)


def _integer(fields: dict[str, Any], key: str, low: int, high: int) -> int:
    """Return an integer of the manifest in its range."""
    value = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f'{key} must be an integer in {low}..{high}')
    return value


def _number(value: Any, key: str, low: float, high: float) -> float:
    """Return a number of the manifest in its range."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f'{key} must be a number in {low:g}..{high:g}')
    return value


def _flag(fields: dict[str, Any], key: str) -> bool:
    """Return a flag of the manifest, False unless it is there."""
    value = fields.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f'{key} must be true or false')
    return value
