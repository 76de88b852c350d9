# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that an endpoint has counted and measured, at one moment."""

from __future__ import annotations

import math

from gsc_ros.link.datagram.reassembly import Reassembler
from gsc_ros.link.receiving import ReceivingHalf
from gsc_ros.link.record.layer import RecordLayer
from gsc_ros.link.repair.repair import Repair
from gsc_ros.link.schedule.message import DropReason
from gsc_ros.link.schedule.scheduler import Scheduler
from gsc_ros.link.sending import SendingHalf
from gsc_ros.link.shaper import TokenBucket
from gsc_ros.link.statistic import LinkStatistics, PathMeter

NS_PER_S = 1_000_000_000


def take_snapshot(
    bucket: TokenBucket,
    scheduler: Scheduler,
    sending: SendingHalf,
    receiving: ReceivingHalf,
    reassembler: Reassembler,
    record: RecordLayer,
    repair: Repair,
    path: PathMeter,
    connected: bool,
    heard_ns: int | None,
    now_ns: int,
) -> LinkStatistics:
    """
    Return what the parts of an endpoint know.

    :param connected: the far end was heard lately.
    :param heard_ns: when it was heard; None: never.
    """
    scheduled, assembled = scheduler.counter, reassembler.counter
    received, bulk = receiving.counter, receiving.bulk
    records, repairs = record.counter, repair.counts
    window = sending.usage.window_ns / NS_PER_S
    used_bps = sending.usage.bits(now_ns) / window
    messages, bits = scheduler.queued()
    round_trip_ns = path.round_trip_ns
    heard = heard_ns is not None
    return LinkStatistics(
        connected=connected,
        budget_bps=bucket.rate_bps,
        burst_bits=bucket.burst_bits,
        used_bps=used_bps,
        utilisation=used_bps / bucket.rate_bps,
        window=window,
        queued_messages=messages,
        queued_bits=bits,
        sent_messages=scheduled.sent_messages,
        sent_datagrams=sending.datagrams,
        sent_bits=sending.bits,
        delivered_messages=0,
        dropped_superseded=scheduled.dropped[DropReason.SUPERSEDED],
        dropped_expired=scheduled.dropped[DropReason.EXPIRED],
        dropped_too_large=scheduled.dropped[DropReason.TOO_LARGE],
        dropped_invalid=scheduled.dropped[DropReason.INVALID],
        dropped_queue_full=scheduled.dropped[DropReason.QUEUE_FULL],
        layers_shed=scheduled.layers_shed,
        loss=path.loss(now_ns),
        burst=path.burst(),
        round_trip=math.nan if round_trip_ns is None else round_trip_ns / NS_PER_S,
        sent_frames=scheduled.sent_frames,
        sent_payload_bits=scheduled.sent_payload_bits,
        frames_shed=scheduled.frames_shed,
        received_datagrams=received.datagrams,
        received_bits=received.bits,
        received_frames=received.frames,
        received_bases=assembled.bases,
        duplicates=assembled.duplicates,
        incomplete=assembled.incomplete + bulk.incomplete,
        unannounced=assembled.unannounced,
        malformed=records.malformed + received.malformed + (
            assembled.malformed + bulk.malformed + repairs.malformed),
        forged=records.forged + records.unknown_key,
        unknown_key=records.unknown_key,
        replayed=records.replayed,
        unconfirmed=records.unconfirmed,
        peer_confirmed=record.confirmed,
        peer_restarts=records.peer_restarts,
        heard_age=(now_ns - heard_ns) / NS_PER_S if heard else math.nan,
        fec_share=sending.repair_share('fec', now_ns),
        nack_share=sending.repair_share('repeat', now_ns),
        recovered=repairs.recovered + repairs.repeated,
    )
