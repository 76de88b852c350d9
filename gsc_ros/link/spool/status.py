# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the two ends of a spool are told, and what they tell of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


@dataclass(frozen=True)
class SpoolConfig:
    """
    Times of both ends of a spool.

    :param commit_ns: what has come waits so long at most until it is made durable, in one
        transaction.
    :param greeting_ns: time between two greetings that are not answered.
    :param patience_ns: least time after which a frame that is not acknowledged is sent again.
    :param acknowledge_ns: least time between two acknowledgements.
    :param rest_ns: after the disk has refused it is left alone for so long.
    :param told_ns: trouble that has passed is told for so long.
    """

    commit_ns: int = 50 * NS_PER_MS
    greeting_ns: int = 2 * NS_PER_S
    patience_ns: int = 6 * NS_PER_S
    acknowledge_ns: int = 2 * NS_PER_S
    rest_ns: int = NS_PER_S
    told_ns: int = 10 * NS_PER_S


class SpoolPhase(Enum):
    """What the rover's end knows of the far end; `spool_sender` has the picture."""

    SILENT = 'silent'
    GREETING = 'greeting'
    FLOWING = 'flowing'


@dataclass(frozen=True)
class SpoolSenderStatistics:
    """
    A snapshot; counts are of this process.

    :param phase: what is known of the far end.
    :param frames: frames on disk, of which `in_flight` are on their way.
    :param bytes: what they take, as the quota counts.
    :param appended: frames taken in.
    :param settled: frames that the far end has, durably.
    :param evicted: frames given up, which the far end is told.
    :param too_large: those of them that no bulk message can hold at this MTU.
    :param resent: frames sent again.
    :param invalid: frames that were not well formed, and messages that were not understood.
    :param failures: how often the disk refused.
    :param replaced: how often a damaged file was set aside.
    :param trouble: what was wrong lately; None while all is well.
    """

    phase: SpoolPhase
    frames: int
    in_flight: int
    bytes: int
    appended: int
    settled: int
    evicted: int
    too_large: int
    resent: int
    invalid: int
    failures: int
    replaced: int
    trouble: str | None


@dataclass(frozen=True)
class SpoolReceiverStatistics:
    """
    A snapshot; counts are of this process.

    :param bytes: what the stored frames take, as the quota counts.
    :param stored: frames that arrived for the first time.
    :param duplicates: frames that had arrived, or had been given up, before.
    :param handed: frames handed on.
    :param evicted: frames that the rover reported as given up.
    :param abandoned: frames that cannot come any more, as a new spool took the place of theirs.
    :param discarded: frames deleted from here to keep to the quota.
    :param invalid: messages that were not understood.
    :param failures: how often the disk refused.
    :param replaced: how often a damaged file was set aside.
    :param trouble: what was wrong lately; None while all is well.
    """

    bytes: int
    stored: int
    duplicates: int
    handed: int
    evicted: int
    abandoned: int
    discarded: int
    invalid: int
    failures: int
    replaced: int
    trouble: str | None
