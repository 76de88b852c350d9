# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Key files are private, whole and understood to the last line, or refused with the reason."""

from __future__ import annotations

import os
from pathlib import Path
import stat

from gsc_ros.link.record.cipher import AeadCipher, derive_key, Direction, make_cipher, Suite
from gsc_ros.link.record.keys import KeyFileError, KeyRing, parse_key_file
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

FIRST, SECOND = bytes(range(32)).hex(), bytes(range(32, 64)).hex()
GOOD = f'active 2\n1 {FIRST}\n2 {SECOND}\n'

rings = st.dictionaries(
    st.integers(1, 255), st.binary(min_size=32, max_size=32).filter(lambda x: len(set(x)) > 16),
    min_size=1, max_size=5).filter(lambda keys: len(set(keys.values())) == len(keys))


def write(path: Path, text: str = GOOD, mode: int = 0o600) -> Path:
    """Write a key file with the given permissions."""
    path.write_text(text)
    path.chmod(mode)
    return path


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


@settings(deadline=None)
@given(rings, st.data())
def test_a_ring_is_read_as_it_was_written(tmp_path_factory, keys, data):
    path = tmp_path_factory.mktemp('keys') / 'link.keys'
    ring = KeyRing(keys, data.draw(st.sampled_from(sorted(keys))))
    ring.save(path, new=True)
    assert KeyRing.load(path) == ring


def test_a_written_file_is_its_owners_alone_and_nothing_lies_beside_it(tmp_path):
    path = tmp_path / 'link.keys'
    before = os.umask(0)
    try:
        KeyRing.random().save(path, new=True)
        KeyRing.random().save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ['link.keys']


def test_a_new_file_does_not_replace_one_and_a_failure_leaves_what_was(tmp_path):
    path = write(tmp_path / 'link.keys')
    with pytest.raises(KeyFileError, match='File exists'):
        KeyRing.random().save(path, new=True)
    assert path.read_text() == GOOD
    assert names(tmp_path) == ['link.keys']
    with pytest.raises(KeyFileError, match='No such file'):
        KeyRing.random().save(tmp_path / 'nowhere' / 'link.keys')


def test_a_file_behind_a_link_is_changed_in_its_place(tmp_path):
    path = write(tmp_path / 'link.keys')
    (tmp_path / 'alias').symlink_to('link.keys')
    KeyRing.load(tmp_path / 'alias').with_active(1).save(tmp_path / 'alias')
    assert (tmp_path / 'alias').is_symlink()
    assert KeyRing.load(path).active == 1


@pytest.mark.parametrize('mode', [0o640, 0o604, 0o660, 0o601, 0o620, 0o666])
def test_a_file_that_others_may_use_is_refused(tmp_path, mode):
    path = write(tmp_path / 'link.keys', mode=mode)
    with pytest.raises(KeyFileError, match=f'others may use it .mode 0{mode:o}.*chmod 600'):
        KeyRing.load(path)


def test_a_file_of_another_user_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / 'link.keys')
    monkeypatch.setattr(os, 'geteuid', lambda: path.stat().st_uid + 1)
    with pytest.raises(KeyFileError, match='belongs to user'):
        KeyRing.load(path)


@pytest.mark.skipif(os.geteuid() != 0, reason='only root gives files away')
def test_a_file_of_another_user_stays_his_when_root_changes_it(tmp_path):
    path = write(tmp_path / 'link.keys')
    os.chown(path, 12345, 12345)
    KeyRing.load(path).with_active(1).save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12345)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'pipe', 0o600)
    for path, reason in ((tmp_path / 'pipe', 'not a regular file'),
                         (tmp_path, 'not a regular file'),
                         (tmp_path / 'none', 'gsc keys new')):
        with pytest.raises(KeyFileError, match=reason):
            KeyRing.load(path)


@pytest.mark.parametrize(('text', 'reason'), [
    ('', 'no line says which key is active'),
    (f'1 {FIRST}\n', 'no line says which key is active'),
    ('active 1\n', 'no key 1, which is to be active'),
    (f'active 3\n1 {FIRST}\n', 'no key 3'),
    (f'active 1\n\n# old\nactive 1\n1 {FIRST}\n', 'line 4: a second active'),
    (f'active 1\n1 {FIRST}\n1 {SECOND}\n', 'line 3: a second key 1'),
    (f'active 1\n1 {FIRST}\n2 {FIRST}\n', 'key 2 is key 1 once more'),
    (f'active 1\n1 {FIRST[:-1]}\n', 'line 2: a key is 64'),
    (f'active 1\n1 {FIRST}00\n', 'line 2: a key is 64'),
    (f'active 1\n1 {FIRST[:-1]}x\n', 'line 2: a key is 64'),
    (f'active 1\n1 {"00" * 32}\n', 'line 2: the key is not random'),
    (f'active 1\n0 {FIRST}\n', 'line 2: a key id is within'),
    (f'active 1\n256 {FIRST}\n', 'line 2: a key id is within'),
    (f'active 1\n-1 {FIRST}\n', 'line 2: a key id is within'),
    (f'active x\n1 {FIRST}\n', 'line 1: a key id is within'),
    (f'active 1\n1 {FIRST} 2\n', 'line 2: expected'),
    ('active\n', 'line 1: expected'),
])
def test_a_bad_file_is_refused_with_its_line_and_without_its_keys(tmp_path, text, reason):
    path = write(tmp_path / 'link.keys', text)
    with pytest.raises(KeyFileError, match=reason) as caught:
        KeyRing.load(path)
    assert str(path) in str(caught.value)
    assert FIRST[:8] not in str(caught.value)
    assert SECOND[:8] not in str(caught.value)


def test_binary_and_endless_files_are_refused(tmp_path):
    path = write(tmp_path / 'link.keys')
    path.write_bytes(b'active 1\n\xff\xfe')
    with pytest.raises(KeyFileError, match='line 2: not text'):
        KeyRing.load(path)
    path.write_bytes(b'#' * 100_000)
    with pytest.raises(KeyFileError, match='larger than any key file'):
        KeyRing.load(path)


@settings(deadline=None)
@given(st.text(alphabet='active 0123456789abcdef#\n\t', max_size=200))
def test_any_text_is_understood_or_refused(text):
    try:
        parse_key_file(text, 'file')
    except KeyFileError:
        pass


def test_comments_and_spaces_are_allowed():
    ring = parse_key_file(f'# ours\n\n  active   2 # new\n1\t{FIRST}\n2 {SECOND.upper()}', 'file')
    assert ring == KeyRing({1: bytes.fromhex(FIRST), 2: bytes.fromhex(SECOND)}, 2)


def test_a_ring_does_not_show_its_keys():
    ring = KeyRing({1: bytes.fromhex(FIRST)}, 1)
    assert repr(bytes.fromhex(FIRST)) not in repr(ring)
    assert FIRST[:8] not in repr(ring)
    assert FIRST[:8] not in ring.fingerprint(1)


def test_a_ring_changes_by_steps_that_make_sense():
    ring = KeyRing.random(3)
    grown = ring.with_new_key()
    assert (sorted(grown.secrets), grown.active) == ([1, 3], 3)
    assert sorted(ring.with_new_key(200).secrets) == [3, 200]
    assert grown.with_active(1).without(3).secrets == {1: grown.secrets[1]}
    for refused, reason in (
            (lambda: ring.with_new_key(3), 'already'), (lambda: ring.with_new_key(256), 'within'),
            (lambda: ring.with_active(4), 'no key 4'), (lambda: ring.without(4), 'no key 4'),
            (lambda: ring.without(3), 'is active'), (lambda: KeyRing({1: b'short'}, 1), '5 bytes'),
            (lambda: KeyRing({}, 1), 'no key 1')):
        with pytest.raises(ValueError, match=reason):
            refused()


def test_keys_of_epochs_directions_and_suites_differ():
    secret = bytes(range(32))
    found = {derive_key(suite, secret, direction, epoch)
             for suite in Suite for direction in Direction
             for epoch in (bytes(8), b'\x01' + bytes(7), bytes(7) + b'\x01')}
    assert len(found) == 3 * 2 * 3


def test_the_key_of_an_epoch_is_that_of_the_library_for_hkdf():
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
    info = b'gsc_ros link record 1' + bytes([Suite.AES_CCM, Direction.GROUND]) + b'12345678'
    expected = HKDFExpand(SHA256(), 32, info).derive(bytes(range(32)))
    assert derive_key(Suite.AES_CCM, bytes(range(32)), Direction.GROUND, b'12345678') == expected


@pytest.mark.parametrize(('suite', 'sealed'), [
    (Suite.NONE, '626f6479c02fa117'),
    (Suite.AES_CCM, '12a0fe99bf7a14a88da27575'),
    (Suite.CHACHA20_POLY1305, 'd6913c10d2c147ad81a55b8396c78824a8401655'),
])
def test_the_bytes_of_a_record_stay_what_they_are(suite, sealed):
    cipher = make_cipher(suite, bytes(range(32)), Direction.ROVER, b'12345678')
    assert cipher.seal(513, b'\x01', b'body').hex() == sealed
    assert cipher.open(513, b'\x01', bytes.fromhex(sealed)) == b'body'


def test_a_cipher_opens_only_what_it_sealed_with_that_counter_and_head():
    for suite in Suite:
        cipher = make_cipher(suite, bytes(range(32)), Direction.ROVER, bytes(8))
        sealed = cipher.seal(7, b'head', b'body')
        assert len(sealed) == 4 + suite.tag_bytes
        assert cipher.open(8, b'head', sealed) is None
        assert cipher.open(7, b'Head', sealed) is None
        other = make_cipher(suite, bytes(range(32)), Direction.GROUND, bytes(8))
        assert other.open(7, b'head', sealed) is None


def test_a_secure_suite_encrypts_equal_bodies_differently():
    cipher = AeadCipher(Suite.AES_CCM, bytes(range(32)), Direction.ROVER, bytes(8))
    assert len({cipher.seal(counter, b'', bytes(16))[:16] for counter in range(100)}) == 100
