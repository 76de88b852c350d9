# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pre-shared keys, and the file that holds them at both ends of a link.

::

    # a comment
    active 2
    1 5f0c...    an id within 1..255 and the key, 64 hexadecimal digits
    2 91ab...

The file is its owner's alone: one that others may read or write is refused. `docs/security.md`
says how keys are changed while the link is in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import errno
import hashlib
import os
from pathlib import Path
import secrets
import stat
import tempfile

from gsc_ros.link.record.cipher import KEY_BYTES

MAX_KEY_ID = 255

_MAX_FILE_BYTES = 1 << 16
# 32 random bytes have fewer different ones about once in 10^30 keys.
_LEAST_DISTINCT = 10


class KeyFileError(ValueError):
    """A key file is missing, not private or not well formed; the message holds no key."""


@dataclass(frozen=True)
class KeyRing:
    """
    The keys that both ends of a link hold.

    :param secrets: id (1..255) -> `KEY_BYTES` of randomness; all of them open what arrives.
    :param active: id of the one that seals what is sent.
    :raises ValueError: when an id or a key is out of range or used twice, a key is not random, or
        the active one is missing.
    """

    secrets: Mapping[int, bytes] = field(repr=False)
    active: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        numbers: dict[bytes, int] = {}
        for number, secret in self.secrets.items():
            if not 1 <= number <= MAX_KEY_ID:
                raise ValueError(f'a key id is within 1..{MAX_KEY_ID}, got {number}')
            defect = _defect(secret)
            if defect:
                raise ValueError(f'key {number} {defect}')
            if secret in numbers:
                raise ValueError(f'key {number} is key {numbers[secret]} once more')
            numbers[secret] = number
        if self.active not in self.secrets:
            raise ValueError(f'there is no key {self.active}, which is to be active')

    @classmethod
    def random(cls, number: int = 1) -> KeyRing:
        """
        Return a ring of one new key.

        :raises ValueError: when the number is out of range.
        """
        return cls({number: secrets.token_bytes(KEY_BYTES)}, number)

    @classmethod
    def load(cls, path: str | os.PathLike) -> KeyRing:
        """
        Read a key file.

        :raises KeyFileError: when it cannot be read, is not private or not well formed.
        """
        return parse_key_file(_read_private(Path(path)), str(path))

    def save(self, path: str | os.PathLike, *, new: bool = False) -> None:
        """
        Write a key file, as a whole or not at all, readable by its owner only.

        :param new: refuse to replace a file.
        :raises KeyFileError: when it cannot be written, or is there.
        """
        lines = ['# Keys of a gsc_ros link. Keep them secret; both ends hold the same.',
                 f'active {self.active}']
        lines += [f'{number} {self.secrets[number].hex()}' for number in sorted(self.secrets)]
        try:
            _write_private(Path(os.path.realpath(path)), '\n'.join(lines) + '\n', new)
        except OSError as error:
            raise KeyFileError(f'{path}: {error.strerror or error}') from error

    def with_new_key(self, number: int | None = None) -> KeyRing:
        """
        Return this ring with one more key, which is not active yet.

        :param number: its id; None takes the lowest that is free.
        :raises ValueError: when the id is out of range or in use, or none is free.
        """
        free = [candidate for candidate in range(1, MAX_KEY_ID + 1)
                if candidate not in self.secrets]
        if not free:
            raise ValueError(f'all {MAX_KEY_ID} ids are in use')
        number = free[0] if number is None else number
        if number in self.secrets:
            raise ValueError(f'there is a key {number} already')
        return KeyRing({**self.secrets, number: secrets.token_bytes(KEY_BYTES)}, self.active)

    def with_active(self, number: int) -> KeyRing:
        """
        Return this ring with another key for sending.

        :raises ValueError: when there is no such key.
        """
        return KeyRing(self.secrets, number)

    def without(self, number: int) -> KeyRing:
        """
        Return this ring without a key.

        :raises ValueError: when there is no such key, or it is the active one.
        """
        if number not in self.secrets:
            raise ValueError(f'there is no key {number}')
        if number == self.active:
            raise ValueError(f'key {number} is active')
        return KeyRing({key: secret for key, secret in self.secrets.items() if key != number},
                       self.active)

    def fingerprint(self, number: int) -> str:
        """Return 16 digits by which people may compare a key, and which do not reveal it."""
        return hashlib.sha256(b'gsc_ros key fingerprint' + self.secrets[number]).hexdigest()[:16]


def parse_key_file(text: str, name: str) -> KeyRing:
    """
    Read the text of a key file.

    :param name: of the file, for errors.
    :raises KeyFileError: with the number of the line, when it is not well formed.
    """
    found: dict[int, bytes] = {}
    active: int | None = None
    for line, content in enumerate(text.splitlines(), 1):
        words = content.partition('#')[0].split()
        if not words:
            continue
        where = f'{name}, line {line}'
        if len(words) != 2:
            raise KeyFileError(f'{where}: expected `active ID` or `ID KEY`')
        number = _key_id(words[1] if words[0] == 'active' else words[0], where)
        if words[0] == 'active':
            if active is not None:
                raise KeyFileError(f'{where}: a second active key')
            active = number
            continue
        if number in found:
            raise KeyFileError(f'{where}: a second key {number}')
        found[number] = _secret(words[1], where)
    if active is None:
        raise KeyFileError(f'{name}: no line says which key is active (`active ID`)')
    try:
        return KeyRing(found, active)
    except ValueError as error:
        raise KeyFileError(f'{name}: {error}') from error


def _key_id(word: str, where: str) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) <= 3
            and 1 <= int(word) <= MAX_KEY_ID):
        raise KeyFileError(f'{where}: a key id is within 1..{MAX_KEY_ID}')
    return int(word)


def _secret(word: str, where: str) -> bytes:
    try:
        secret = bytes.fromhex(word)
    except ValueError:
        secret = b''
    if len(word) != 2 * KEY_BYTES or len(secret) != KEY_BYTES:
        raise KeyFileError(f'{where}: a key is {2 * KEY_BYTES} hexadecimal digits')
    defect = _defect(secret)
    if defect:
        raise KeyFileError(f'{where}: the key {defect}')
    return secret


def _defect(secret: bytes) -> str | None:
    if len(secret) != KEY_BYTES:
        return f'has {len(secret)} bytes instead of {KEY_BYTES}'
    if len(set(secret)) < _LEAST_DISTINCT:
        return 'is not random; `gsc keys new` makes one that is'
    return None


def _read_private(path: Path) -> str:
    """
    Return the text of a file that is ours alone, or anybody's alone if we are root.

    :raises KeyFileError: when it is not such a file, or cannot be read.
    """
    try:
        # Without O_NONBLOCK, to open a named pipe would wait for somebody who writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise KeyFileError(f'{path}: no such file; `gsc keys new` makes one') from error
    except OSError as error:
        raise KeyFileError(f'{path}: {error.strerror or error}') from error
    try:
        _check_private(path, os.fstat(descriptor))
        content = os.read(descriptor, _MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MAX_FILE_BYTES:
        raise KeyFileError(f'{path}: larger than any key file')
    try:
        return content.decode('ascii')
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise KeyFileError(f'{path}, line {line}: not text') from error


def _check_private(path: Path, status: os.stat_result) -> None:
    """
    Check whose a file is.

    :raises KeyFileError: when it is no file, others may use it, or it is somebody else's.
    """
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f'{path}: not a regular file')
    if status.st_mode & 0o077:
        raise KeyFileError(
            f'{path}: others may use it (mode {stat.S_IMODE(status.st_mode):04o}); if nobody has: '
            f'chmod 600 {path}')
    if os.geteuid() not in (0, status.st_uid):
        raise KeyFileError(f'{path}: belongs to user {status.st_uid}, not to {os.geteuid()}, who '
                           'runs this')


def _write_private(path: Path, text: str, new: bool) -> None:
    """Write a file with mode 0600 beside its place, and move it there once it is on the disk."""
    descriptor, name = tempfile.mkstemp(prefix='.keys-', dir=path.parent)
    try:
        with open(descriptor, 'w', encoding='ascii') as file:
            if not new:
                _keep_owner(path, descriptor)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        if new:
            os.link(name, path)  # unlike a rename, refused when there is a file
        else:
            os.replace(name, path)
    finally:
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass
    _sync_folder(path.parent)


def _keep_owner(path: Path, descriptor: int) -> None:
    """Give a file that root rewrites to the user who could read it before."""
    try:
        before = path.stat()
    except FileNotFoundError:
        return
    if before.st_uid != os.geteuid():
        os.fchown(descriptor, before.st_uid, before.st_gid)


def _sync_folder(folder: Path) -> None:
    """Make a rename last over a loss of power, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
