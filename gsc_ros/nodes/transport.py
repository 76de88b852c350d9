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
# The way back carries receipts, heartbeats and requests, and has a budget of its own: this part of
# link_bps, but as much as lets the rover hear the ground within the 6 s after which it counts as
# silent, and never more than link_bps.
RETURN_PART = 10
MIN_RETURN_BPS = 50


class SimulatedLink:
    """The rover's and the ground's end of a link, joined by a channel model in this process."""

    def __init__(self, settings: BridgeParameters, now_ns: int,
                 trace: Callable[[Departure], None] | None) -> None:
        """
        Make both ends.

        :param now_ns: time of the steady clock.
        :param trace: called with every departure from the rover.
        :raises ValueError: when `burst_bits` is set but cannot hold one full datagram.
        """
        sim = settings.sim
        path = {'delay_ns': round(sim.delay_ms * 1e6), 'jitter_ns': round(sim.jitter_ms * 1e6),
                'loss': sim.loss}
        self._rover_side, ground_side = connect(
            ChannelConfig(rate_bps=_channel_bps(settings), seed=sim.seed, **path),
            ChannelConfig(seed=sim.seed + 1, **path), settings.mtu)
        rover = EndpointConfig(
            rate_bps=settings.link_bps, burst_bits=_burst_bits(settings),
            policy=_policy(settings), session=secrets.randbelow(2 ** 16),
            expiry_ns=round(settings.deadline_s * 1e9),
            announce_period_ns=round(settings.announce_period_s * 1e9))
        ground = EndpointConfig(
            rate_bps=return_bps(settings), session=secrets.randbelow(2 ** 16))
        self.rover = Endpoint(rover, self._rover_side, now_ns, trace)
        self.ground = Endpoint(ground, ground_side, now_ns)

    def change(self, settings: BridgeParameters, now_ns: int) -> None:
        """
        Take over the live parameters: the budgets, and how frames are cut to them.

        :raises ValueError: when `burst_bits` is set but cannot hold one full datagram; nothing
            has changed then.
        """
        self.rover.set_rate(settings.link_bps, now_ns, _burst_bits(settings))
        self.ground.set_rate(return_bps(settings), now_ns)
        self._rover_side.set_rate(_channel_bps(settings), now_ns)
        for number in range(len(settings.cameras)):
            self.rover.set_policy(number, _policy(settings))


def burst_refusal(burst_bits: int, mtu: int) -> str | None:
    """Return why an operator's `burst_bits` cannot be kept to, or None; 0 leaves the choice."""
    datagram_bits = 8 * mtu
    return None if burst_bits == 0 or burst_bits >= datagram_bits else (
        f'{burst_bits} cannot hold one full datagram of {datagram_bits} bits: give more, or a '
        'smaller mtu')


def return_bps(settings: BridgeParameters) -> int:
    """Return the budget of the way back in bit/s."""
    return max(settings.link_bps // RETURN_PART, min(MIN_RETURN_BPS, settings.link_bps))


def _channel_bps(settings: BridgeParameters) -> int:
    return settings.sim.rate_bps or settings.link_bps


def _burst_bits(settings: BridgeParameters) -> int:
    """Return the burst as the operator bounds it, or one that holds two full datagrams."""
    return settings.burst_bits or max(settings.link_bps, MIN_BURST_BITS, 2 * 8 * settings.mtu)


def _policy(settings: BridgeParameters) -> CameraPolicy:
    return CameraPolicy(target_fps=settings.target_fps, min_layers=settings.min_layers)
