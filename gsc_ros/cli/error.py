# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a verb says that it cannot go on: the message, and with it the exit status."""

from __future__ import annotations


class CommandError(Exception):
    """A message for the user without a traceback; base of the two kinds below."""

    status = 1


class DataError(CommandError):
    """The data is bad or cannot be read or written (exit status 1); the message names the file."""

    status = 1


class UsageError(CommandError):
    """The call makes no sense or cannot be carried out on this installation (exit status 2)."""

    status = 2
