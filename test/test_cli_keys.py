# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gsc keys` makes private files and never shows what is in them."""

from __future__ import annotations

from pathlib import Path
import stat

from command_line import call
from gsc_ros.link.record.keys import KeyRing
import pytest


@pytest.fixture(name='path')
def key_file(tmp_path) -> Path:
    """Return where a key file is to be."""
    return tmp_path / 'link.keys'


def secrets_of(path: Path) -> list[str]:
    """Return the keys in a file, as it holds them."""
    return [secret.hex() for secret in KeyRing.load(path).secrets.values()]


def test_a_new_file_is_private_and_can_be_loaded(path, capsys):
    outcome = call(capsys, 'keys', 'new', path)
    assert outcome.status == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyRing.load(path).active == 1
    assert sorted(KeyRing.load(path).secrets) == [1]


def test_every_key_is_another(tmp_path, capsys):
    for name in 'ab':
        call(capsys, 'keys', 'new', tmp_path / name)
    assert secrets_of(tmp_path / 'a') != secrets_of(tmp_path / 'b')


def test_an_existing_file_is_left_alone(path, capsys):
    call(capsys, 'keys', 'new', path)
    before = path.read_bytes()
    outcome = call(capsys, 'keys', 'new', path)
    assert outcome.status == 2
    assert 'exists' in outcome.err
    assert path.read_bytes() == before


def test_no_verb_shows_a_key(path, capsys):
    shown = ''
    for words in (('new', path, '--id', 7), ('add', path), ('list', path),
                  ('list', path, '--json'), ('activate', path, 1), ('remove', path, 7)):
        outcome = call(capsys, 'keys', *words)
        assert outcome.status == 0
        shown += outcome.out + outcome.err
        for secret in secrets_of(path):
            assert secret[:8] not in shown
            assert bytes.fromhex(secret).hex(' ')[:11] not in shown


def test_a_key_is_changed_in_three_steps(path, capsys):
    call(capsys, 'keys', 'new', path)
    old, = secrets_of(path)
    assert call(capsys, 'keys', 'add', path).status == 0
    assert KeyRing.load(path).active == 1
    assert call(capsys, 'keys', 'activate', path, 2).status == 0
    assert KeyRing.load(path).active == 2
    assert call(capsys, 'keys', 'remove', path, 1).status == 0
    assert sorted(KeyRing.load(path).secrets) == [2]
    assert old not in secrets_of(path)


def test_both_ends_show_the_same_fingerprints(path, tmp_path, capsys):
    call(capsys, 'keys', 'new', path)
    copy = tmp_path / 'copy'
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o600)
    shown, other = (call(capsys, 'keys', 'list', file, '--json').json for file in (path, copy))
    assert shown['keys'] == other['keys']
    assert shown['keys'][0]['active']
    assert len(shown['keys'][0]['fingerprint']) == 16


@pytest.mark.parametrize(('words', 'reason'), [
    (('activate', 9), 'no key 9'), (('remove', 9), 'no key 9'), (('remove', 1), 'is active'),
    (('add', '--id', 1), 'already'), (('add', '--id', 300), 'not in 1..255'),
])
def test_what_makes_no_sense_is_refused_and_changes_nothing(path, capsys, words, reason):
    call(capsys, 'keys', 'new', path)
    before = path.read_bytes()
    outcome = call(capsys, 'keys', words[0], path, *words[1:])
    assert outcome.status == 2
    assert reason in outcome.err
    assert path.read_bytes() == before


def test_bad_missing_and_open_files_are_data_errors_of_one_line(path, capsys):
    missing = call(capsys, 'keys', 'list', path)
    path.write_text('active 1\nnonsense here\n')
    path.chmod(0o644)
    open_to_all = call(capsys, 'keys', 'list', path)
    path.chmod(0o600)
    bad = call(capsys, 'keys', 'list', path)
    for outcome, reason in ((missing, 'gsc keys new'), (open_to_all, 'chmod 600'),
                            (bad, 'line 2')):
        assert outcome.status == 1
        assert reason in outcome.err
        assert len(outcome.err.splitlines()) == 1
    assert call(capsys, 'keys', 'new', path.parent / 'none' / 'file').status == 1
