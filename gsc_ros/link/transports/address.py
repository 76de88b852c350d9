# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses of UDP as operators write them, and as sockets take them."""

from __future__ import annotations

import re
import socket

FAMILIES = (socket.AF_INET, socket.AF_INET6)

# As the socket module returns it: host and port, with IPv6 also flow and scope.
Address = tuple[str, int] | tuple[str, int, int, int]


def resolve(text: str, family: int = socket.AF_UNSPEC) -> tuple[int, Address]:
    """
    Return the family and the address of ``host:port`` or ``[host]:port``.

    :param family: the only one to look for; `AF_UNSPEC`: either.
    :raises ValueError: when it is malformed, or of the other family.
    :raises OSError: when the name is unknown.
    """
    parts = re.fullmatch(r'(?:\[([^\[\]]+)\]|([^\[\]:]+)):([0-9]{1,5})', text)
    if parts is None or int(parts[3]) > 65535:
        raise ValueError(f'an address is host:port or [host]:port, got {text!r}')
    host = parts[1] or parts[2]
    found = socket.getaddrinfo(host, int(parts[3]), type=socket.SOCK_DGRAM)
    for kind, _, _, _, address in found:
        if kind in FAMILIES and family in (kind, socket.AF_UNSPEC):
            return kind, address
    name = 'IPv4' if family == socket.AF_INET else 'IPv6'
    raise ValueError(f'{text} has no {name} address, as the local address asks for')


def spell(address: Address) -> str:
    """Return an address as it could be configured."""
    if len(address) == 2:
        return f'{address[0]}:{address[1]}'
    scope = f'%{address[3]}' if address[3] else ''
    return f'[{address[0]}{scope}]:{address[1]}'
