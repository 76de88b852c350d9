# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What both ends of a spool share: they stand for their endpoint, and outlive a failing disk."""

from __future__ import annotations

from collections.abc import Callable

from gsc_ros.link.delivery import Delivery
from gsc_ros.link.endpoint import Endpoint
from gsc_ros.link.spool.error import SpoolDamagedError, SpoolError
from gsc_ros.link.spool.incoming import IncomingStore
from gsc_ros.link.spool.outgoing import OutgoingStore
from gsc_ros.link.spool.status import SpoolConfig


class SpoolEnd:
    """
    One end of a spool over an endpoint.

    :param endpoint: nobody else polls it.
    :param store: the frames on disk; closed by its owner.
    :param now_ns: the time on the endpoint's clock.
    :param config: times; None: the defaults.
    """

    def __init__(self, endpoint: Endpoint, store: IncomingStore | OutgoingStore, now_ns: int,
                 config: SpoolConfig | None) -> None:
        """Begin with nothing gone wrong."""
        self.endpoint = endpoint
        self.store = store
        self._config = config or SpoolConfig()
        self._now_ns = self._rest_until_ns = self._trouble_ns = now_ns
        self._deliveries: list[Delivery] = []
        self._invalid = self._failures = 0
        self._replaced = int(store.aside is not None)
        self._trouble: str | None = None

    def __getattr__(self, name: str) -> object:
        """Do as the endpoint does in all that is not said here."""
        return getattr(self.endpoint, name)

    def _store_replaced(self) -> None:
        """React to a damaged store that another one has taken the place of."""

    def _guard(self, action: Callable[[], bool | None]) -> bool:
        """Do what may meet a disk that fails; the link goes on without it."""
        try:
            return bool(action())
        except SpoolDamagedError as error:
            if self._now_ns < self._rest_until_ns:
                return False
            self._note_failure(error)
            try:
                self.store.replace()
            except SpoolError as second:
                self._note_failure(second)
            else:
                self._replaced += 1
                self._store_replaced()
        except SpoolError as error:
            self._note_failure(error)
        return False

    def _note_trouble(self, trouble: str | None) -> None:
        """Remember what is wrong, for long enough to be seen."""
        if trouble is not None:
            self._trouble, self._trouble_ns = trouble, self._now_ns
        elif self._now_ns - self._trouble_ns >= self._config.told_ns:
            self._trouble = None

    def _note_failure(self, error: SpoolError) -> None:
        self._note_trouble(str(error))
        self._failures += 1
        self._rest_until_ns = self._now_ns + self._config.rest_ns
