# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The link that the parameters of the bridge describe; other transports are to be added here."""

from __future__ import annotations

from collections.abc import Callable
import secrets

from gsc_ros.link.audit import Departure
from gsc_ros.link.channel import ChannelConfig
from gsc_ros.link.endpoint import Endpoint, EndpointConfig
from gsc_ros.link.scheduler import CameraPolicy
from gsc_ros.link.transports.sim import connect
from gsc_ros.nodes.schema import BridgeParameters

MIN_BURST_BITS = 4096
# The way back carries receipts alone; its budget is this part of the link's.
RETURN_SHARE = 10
MIN_RETURN_BPS = 200


def make_ends(
    settings: BridgeParameters, now_ns: int, trace: Callable[[Departure], None] | None,
) -> tuple[Endpoint, Endpoint]:
    """
    Return the rover's and the ground's end of a simulated link.

    :param now_ns: time of the steady clock.
    :param trace: called with every departure from the rover.
    """
    sim = settings.sim
    path = {'delay_ns': round(sim.delay_ms * 1e6), 'jitter_ns': round(sim.jitter_ms * 1e6),
            'loss': sim.loss}
    rover_side, ground_side = connect(
        ChannelConfig(rate_bps=sim.rate_bps or settings.link_bps, seed=sim.seed, **path),
        ChannelConfig(seed=sim.seed + 1, **path), settings.mtu)
    rover = EndpointConfig(
        rate_bps=settings.link_bps, burst_bits=burst_bits(settings), policy=policy(settings),
        session=secrets.randbelow(2 ** 16), expiry_ns=round(settings.deadline_s * 1e9),
        announce_period_ns=round(settings.announce_period_s * 1e9))
    ground = EndpointConfig(
        rate_bps=max(settings.link_bps // RETURN_SHARE, MIN_RETURN_BPS),
        session=secrets.randbelow(2 ** 16))
    return Endpoint(rover, rover_side, now_ns, trace), Endpoint(ground, ground_side, now_ns)


def burst_bits(settings: BridgeParameters) -> int:
    """Return the burst in bits; it must hold two full datagrams for anything to be sent."""
    wanted = settings.burst_bits or max(settings.link_bps, MIN_BURST_BITS)
    return max(wanted, 2 * 8 * settings.mtu)


def policy(settings: BridgeParameters) -> CameraPolicy:
    """Return how frames of every camera are treated."""
    return CameraPolicy(target_fps=settings.target_fps, min_layers=settings.min_layers)
