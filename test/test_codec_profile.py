# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Profiles: found by name or folder, and nothing in them is used unverified."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
import shutil
import subprocess
import sys
import zipfile

from gsc_ros.codec.error import ProfileError
from gsc_ros.codec.frame import FrameDecoder, FrameEncoder
from gsc_ros.codec.profile import builtin_profiles, FILES, load_profile, MANIFEST_FILE
import numpy as np
import pytest


@pytest.fixture(name='folder')
def copied_profile(tmp_path) -> Path:
    """Return a copy of the profile `tiny` that may be damaged."""
    source = Path(load_profile.__code__.co_filename).parent.parent / 'profiles' / 'tiny'
    return Path(shutil.copytree(source, tmp_path / 'copy'))


def rewrite_manifest(folder: Path, **changes: object) -> None:
    """Change fields of the manifest, with the hashes of the files as they are now."""
    fields = json.loads((folder / MANIFEST_FILE).read_text())
    fields['files'] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in fields['files']}
    (folder / MANIFEST_FILE).write_text(json.dumps(fields | changes))


def test_a_name_longer_than_any_is_none():
    with pytest.raises(ProfileError, match='no profile'):
        load_profile('x' * 5000)


def test_the_embedded_profile_is_found_by_name():
    profile = load_profile()
    assert profile.name == 'tiny'
    assert 'tiny' in builtin_profiles()
    assert profile.content_hash[:2] == profile.short_hash.to_bytes(2, 'big')
    assert profile.gains.shape == (profile.manifest.quantizers, 320)


def test_a_profile_is_found_by_its_folder(folder):
    assert load_profile(folder).content_hash == load_profile('tiny').content_hash
    assert load_profile(str(folder)).name == 'tiny'


def test_an_unknown_profile_is_an_error_that_names_the_known_ones():
    with pytest.raises(ProfileError, match='tiny'):
        load_profile('no-such-profile')


@pytest.mark.parametrize('name', FILES)
def test_a_damaged_file_is_refused(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    with pytest.raises(ProfileError, match=name):
        load_profile(folder)


@pytest.mark.parametrize('name', (*FILES, MANIFEST_FILE))
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ProfileError, match=name):
        load_profile(folder)


@pytest.mark.parametrize('changes', [
    {'format': 2}, {'format': 'one'}, {'name': ''}, {'latent_channels': 192}, {'layers': [1, 2]},
    {'name': 'a\x1b[2J'}, {'training': []}, {'scale': 0}, {'stride': 4096},
    {'quantizers': 17}, {'default_quantizer': 99},
    {'symbol_max': 1 << 15}, {'files': {}}, {'files': None}, {'scale': True}])
def test_a_manifest_out_of_range_is_refused(folder, changes):
    rewrite_manifest(folder, **changes)
    with pytest.raises(ProfileError):
        load_profile(folder)


@pytest.mark.parametrize('text', ['', '[]', '{', '\xff'])
def test_a_manifest_that_is_no_object_is_refused(folder, text):
    (folder / MANIFEST_FILE).write_bytes(text.encode('latin-1'))
    with pytest.raises(ProfileError):
        load_profile(folder)


def test_tables_of_another_geometry_are_refused(folder):
    rewrite_manifest(folder, symbol_max=load_profile(folder).manifest.symbol_max + 1)
    with pytest.raises(ProfileError, match='geometry'):
        FrameEncoder(load_profile(folder))


@pytest.mark.parametrize(('change', 'reason'), [
    (lambda gains: 0 * gains, 'positive'), (lambda gains: np.nan * gains, 'positive'),
    (lambda gains: gains[:, :2], 'float32'), (lambda gains: gains.astype(np.float64), 'float32')])
def test_gains_must_be_positive_and_of_the_right_shape(folder, change, reason):
    tables = dict(load_profile(folder).tables)
    np.savez(folder / 'tables.npz', **tables | {'gains': change(tables['gains'])})
    rewrite_manifest(folder)
    with pytest.raises(ProfileError, match=f'gains must be {reason}'):
        _ = load_profile(folder).gains


def archive(member: bytes) -> bytes:
    """Return an archive whose `gains` are these bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED) as packed:
        packed.writestr('gains.npy', member)
    return content.getvalue()


def array_header(count: int) -> bytes:
    """Return the header of an array of so many numbers of 4 bytes."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {'descr': '<f4', 'fortran_order': False, 'shape': (count,)})
    return content.getvalue()


@pytest.mark.parametrize('content', [
    b'', b'no archive', array_header(1) + bytes(4), archive(b'no array'),
    archive(array_header(1 << 60)), archive(array_header(1 << 24) + bytes(1 << 26))],
    ids=['empty', 'text', 'array', 'member', 'shape', 'bomb'])
def test_an_archive_that_is_none_or_absurd_is_refused(folder, content):
    (folder / 'tables.npz').write_bytes(content)
    rewrite_manifest(folder)
    with pytest.raises(ProfileError, match='tables.npz'):
        _ = load_profile(folder).gains


def test_pickled_tables_are_refused(folder):
    np.savez(folder / 'tables.npz', gains=np.array([{'a': 1}], dtype=object))
    rewrite_manifest(folder)
    with pytest.raises(ProfileError, match='tables.npz'):
        _ = load_profile(folder).gains


def test_a_graph_that_is_none_is_refused(folder):
    (folder / 'synthesis.onnx').write_bytes(b'not a graph')
    rewrite_manifest(folder)
    with pytest.raises(ProfileError, match='synthesis.onnx'):
        FrameDecoder(load_profile(folder))


def test_the_codec_needs_neither_torch_nor_ros():
    code = ('import sys, gsc_ros.codec.frame; '
            'print([m for m in ("torch", "compressai", "rclpy", "onnx") if m in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
