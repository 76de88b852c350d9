# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pre-shared keys: a ring of them, of which one is used for sending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import secrets

from gsc_ros.link.cipher import KEY_BYTES


@dataclass(frozen=True)
class KeyRing:
    """
    The keys that both ends of a link hold.

    :param secrets: id (1..255) -> `KEY_BYTES` of randomness; all of them open what arrives.
    :param active: id of the one that seals what is sent.
    :raises ValueError: when an id or a key is out of range, or the active one is missing.
    """

    secrets: Mapping[int, bytes] = field(repr=False)
    active: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        for number, secret in self.secrets.items():
            if not 1 <= number <= 255:
                raise ValueError(f'a key id is within 1..255, got {number}')
            if len(secret) != KEY_BYTES:
                raise ValueError(f'key {number} has {len(secret)} bytes instead of {KEY_BYTES}')
        if self.active not in self.secrets:
            raise ValueError(f'there is no key {self.active}, which is to be active')

    @classmethod
    def random(cls) -> KeyRing:
        """Return a ring of one new key, for two ends in the same process."""
        return cls({1: secrets.token_bytes(KEY_BYTES)}, 1)
