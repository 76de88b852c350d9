# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The comparison: every codec at many operating points, each scored on the same pictures.

Our codec runs first and alone, so that nothing disturbs its times; the peers share the processors.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed, ThreadPoolExecutor

from gsc_ros.evaluation import own_run
from gsc_ros.evaluation.own import OwnCodec
from gsc_ros.evaluation.peer_run import Peer, PeerRun
from gsc_ros.evaluation.plan import Codec, Comparison, OWN, Plan
from gsc_ros.evaluation.region_peer import REGION_PEERS, RegionPeer, THUMBNAIL_DOWNSCALES
from gsc_ros.evaluation.score import Scorer
from gsc_ros.evaluation.still_peer import STILL_PEERS
from gsc_ros.evaluation.store import Store
from gsc_ros.evaluation.video_peer import VIDEO_PEERS

#: Called with the work done, the work there is, and what is going on.
Report = Callable[[int, int, str], None]


def peers_of(mode: str, regions: bool = False) -> tuple[Peer, ...]:
    """
    Return the peers of a mode; losses are simulated for H.264 and HEVC alone.

    :param regions: with those that code key regions, which are stills.
    """
    if mode == 'stills':
        return STILL_PEERS + (REGION_PEERS if regions else ())
    if mode == 'loss':
        return tuple(peer for peer in VIDEO_PEERS if peer.low_delay and peer.kind != 'obu')
    return VIDEO_PEERS


def compare(plan: Plan, scorer: Scorer, store: Store, report: Report) -> Comparison:
    """
    Run all codecs; those of the peers' results that are in the store are taken from there.

    :raises ProfileError: our profile cannot be used.
    :raises OSError: the store cannot be written.
    """
    chosen = [peer for peer in peers_of(plan.mode, plan.regions is not None)
              if plan.peers is None or peer.name in plan.peers]
    missing = {peer.name: peer.missing() or '' for peer in chosen}
    present = [peer for peer in chosen if not missing[peer.name]]
    jobs = [(peer, factor) for peer in present for factor in (
        THUMBNAIL_DOWNSCALES if isinstance(peer, RegionPeer) else plan.downscales)]
    total = 1 + len(jobs)
    report(0, total, OWN)
    own = OwnCodec(plan.profile, plan.threads)
    own.warm_up(plan.images[0])
    outcomes = {(): own_run.outcomes(plan, own, scorer)}
    listed = own_run.listed(plan, own, scorer)
    run = PeerRun(plan, scorer, store)
    with ThreadPoolExecutor(plan.workers) as pool:
        pending = {pool.submit(run.curve, peer, factor): (peer, factor) for peer, factor in jobs}
        try:
            report(1, total, ', '.join(peer.title for peer in present))
            for done, future in enumerate(as_completed(pending), 2):
                peer, factor = pending[future]
                outcomes[(peer.name, factor)] = future.result()
                report(done, total, f'{peer.title} at 1/{factor:g}')
        finally:
            pool.shutdown(cancel_futures=True)
    codecs = own_run.codecs(plan, own)
    codecs += [Codec(peer.name, peer.title, peer.settings, missing=missing[peer.name])
               for peer in chosen]
    order = [(), *((peer.name, factor) for peer, factor in jobs)]
    return Comparison(tuple(codecs), tuple(one for key in order for one in outcomes[key]),
                      listed)
