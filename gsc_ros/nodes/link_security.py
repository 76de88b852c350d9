# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which suite and which keys protect the link that the parameters of the bridge describe."""

from __future__ import annotations

from pathlib import Path

from gsc_ros.link.record.cipher import Suite
from gsc_ros.link.record.keys import KeyRing
from gsc_ros.nodes.schema import BridgeParameters, SUITES

SIM = 'sim'


def carrier_of(settings: BridgeParameters) -> str:
    """Return what carries the datagrams in the end: sim, udp or serial."""
    return settings.spool.carrier if settings.transport == 'spool' else settings.transport


def suite_of(settings: BridgeParameters) -> Suite:
    """Return the suite: what is chosen, or by `auto` one for all that leaves the machine."""
    if settings.security in SUITES:
        return SUITES[settings.security]
    return Suite.NONE if carrier_of(settings) == SIM else Suite.AES_CCM


def is_secure(settings: BridgeParameters) -> bool:
    """Return whether datagrams are authenticated."""
    return suite_of(settings) is not Suite.NONE


def security_of(settings: BridgeParameters) -> str:
    """Return the name of the suite, as the parameter `security` spells it."""
    suite = suite_of(settings)
    return next(name for name, value in SUITES.items() if value is suite)


def key_ring(settings: BridgeParameters) -> KeyRing | None:
    """
    Return the keys of the link, or None without security.

    Both ends of a simulated link are in this process: without a file they get a random key.

    :raises ValueError: security is on and there are no keys that may be used.
    """
    if not is_secure(settings):
        return None
    if settings.key_file:
        return KeyRing.load(Path(settings.key_file).expanduser())
    if carrier_of(settings) == SIM:
        return KeyRing.random()
    raise ValueError(
        'security is on, but key_file is empty: make one with `gsc keys new FILE`, copy it to the '
        'other machine, and name it in key_file; or set security: none')
