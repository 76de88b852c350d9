# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What protects the records of one direction in one epoch: encryption and a tag, or a checksum.

The key is used for one epoch only, so that the counter alone makes a nonce that never repeats::

    key    HKDF-Expand(pre-shared key, label | suite | direction | epoch)
    nonce  counter, big endian
"""

from __future__ import annotations

from enum import IntEnum
import hmac
from typing import Protocol
import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, ChaCha20Poly1305

KEY_BYTES = 32
EPOCH_BYTES = 8

_LABEL = b'gsc_ros link record 1'
_CHECKSUM_BYTES = 4


class Suite(IntEnum):
    """How records are protected; part of the key, not of the wire."""

    NONE = 0
    AES_CCM = 1
    CHACHA20_POLY1305 = 2

    @property
    def tag_bytes(self) -> int:
        """Return the bytes that follow the body."""
        return {Suite.NONE: _CHECKSUM_BYTES, Suite.AES_CCM: 8, Suite.CHACHA20_POLY1305: 16}[self]


class Direction(IntEnum):
    """Which end sends."""

    ROVER = 0
    GROUND = 1

    @property
    def reverse(self) -> Direction:
        """Return the direction of what this end receives."""
        return Direction(1 - self)


class Cipher(Protocol):
    """Seals or opens the records of one direction in one epoch."""

    def seal(self, counter: int, head: bytes, body: bytes) -> bytes:
        """Return what follows the head on the wire: the body, perhaps encrypted, and the tag."""

    def open(self, counter: int, head: bytes, sealed: bytes) -> bytes | None:
        """Return the body, or None when head, counter or body are not what was sealed."""


class AeadCipher:
    """
    AES-256-CCM with tags of 8 bytes, or ChaCha20-Poly1305.

    :param suite: which of the two.
    :param secret: the pre-shared key, `KEY_BYTES` long.
    :param direction: which end seals.
    :param epoch: `EPOCH_BYTES` that the sealing end drew at random.
    """

    def __init__(self, suite: Suite, secret: bytes, direction: Direction, epoch: bytes) -> None:
        """Derive the key of this epoch."""
        key = derive_key(suite, secret, direction, epoch)
        if suite is Suite.AES_CCM:
            self._aead = AESCCM(key, tag_length=suite.tag_bytes)
            self._nonce_bytes = 13
        else:
            self._aead = ChaCha20Poly1305(key)
            self._nonce_bytes = 12

    def seal(self, counter: int, head: bytes, body: bytes) -> bytes:
        """Return the encrypted body and the tag, which covers the head, too."""
        return self._aead.encrypt(counter.to_bytes(self._nonce_bytes, 'big'), body, head)

    def open(self, counter: int, head: bytes, sealed: bytes) -> bytes | None:
        """Return the body, or None when the tag is not right."""
        try:
            return self._aead.decrypt(counter.to_bytes(self._nonce_bytes, 'big'), sealed, head)
        except InvalidTag:
            return None


class ChecksumCipher:
    """
    No protection but a CRC-32 against noise, over the same data as the tags of the others.

    :param direction: which end seals.
    :param epoch: `EPOCH_BYTES` that the sealing end drew at random.
    """

    def __init__(self, direction: Direction, epoch: bytes) -> None:
        """Begin the checksum with what is not on the wire."""
        self._start = zlib.crc32(bytes([direction]) + epoch)

    def seal(self, counter: int, head: bytes, body: bytes) -> bytes:
        """Return the body and the checksum."""
        return body + self._checksum(counter, head, body)

    def open(self, counter: int, head: bytes, sealed: bytes) -> bytes | None:
        """Return the body, or None when the checksum is not right."""
        body = sealed[:-_CHECKSUM_BYTES]
        right = self._checksum(counter, head, body) == sealed[-_CHECKSUM_BYTES:]
        return body if right else None

    def _checksum(self, counter: int, head: bytes, body: bytes) -> bytes:
        full = counter.to_bytes(4, 'big') + head + body
        return zlib.crc32(full, self._start).to_bytes(_CHECKSUM_BYTES, 'big')


def derive_key(suite: Suite, secret: bytes, direction: Direction, epoch: bytes) -> bytes:
    """
    Return the key of one direction in one epoch: HKDF-Expand of RFC 5869, of one block.

    :returns: 32 bytes.
    """
    return hmac.digest(secret, _LABEL + bytes([suite, direction]) + epoch + b'\x01', 'sha256')


def make_cipher(
    suite: Suite, secret: bytes | None, direction: Direction, epoch: bytes,
) -> Cipher:
    """
    Return the cipher of a suite.

    :param secret: the pre-shared key; not used by `Suite.NONE`.
    """
    if suite is Suite.NONE:
        return ChecksumCipher(direction, epoch)
    return AeadCipher(suite, secret, direction, epoch)
