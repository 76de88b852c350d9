# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The structure picture and the generated one of the same frames, beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import math

from gsc_ros.codec.error import CodecError
from gsc_ros.codec.frame import FrameDecoder
from gsc_ros.codec.profile import load_profile
from gsc_ros.demo.recording import FrameRecord, Recording
from gsc_ros.demo.score import score_frames, ScoredFrame

GENERATE = 'generate'


@dataclass(frozen=True)
class Pair:
    """One frame, made in both ways."""

    structure: ScoredFrame
    generated: ScoredFrame


def compare(recording: Recording, frames: Sequence[ScoredFrame], profile: str,
            advance: Callable[[], None]) -> list[Pair]:
    """
    Pair every generated picture with the structure picture of the same stamp.

    In mode auto the receiver has published both. In mode generate the structure picture was never
    shown: it is decoded from the packet once more.

    :param frames: the scored reconstructions.
    :param profile: name or folder of the profile.
    :param advance: called after each generated picture, from any thread.
    :return: ordered by stamp.
    """
    others = [scored for scored in frames if scored.frame.mode == GENERATE]
    if others:
        structures = _decode([scored.frame for scored in others], recording, profile)
        generated = {scored.frame.stamp_ns: scored for scored in others}
        made = score_frames(recording, advance, structures)
    else:
        shown = {scored.frame.stamp_ns for scored in frames}
        beside = [frame for frame in recording.generated if frame.stamp_ns in shown]
        generated = {scored.frame.stamp_ns: scored
                     for scored in score_frames(recording, advance, beside)}
        made = frames
    return [Pair(scored, generated[scored.frame.stamp_ns]) for scored in made
            if scored.frame.stamp_ns in generated]


def _decode(frames: Sequence[FrameRecord], recording: Recording,
            profile: str) -> list[FrameRecord]:
    """Return what the structure decoder makes of the packets of frames that were generated."""
    decoder = FrameDecoder(load_profile(profile))
    made = []
    for frame in frames:
        packet = recording.packets.get(frame.stamp_ns)
        if packet is None:
            continue
        try:
            result = decoder.decode(packet)
        except CodecError:  # its packet came without the one that it refers to
            continue
        made.append(replace(
            frame, image=recording.store.add(result.image),
            confidence=recording.store.add(result.confidence), mode=result.mode, generator='',
            generate_ms=math.nan, flicker=math.nan))
    return made
