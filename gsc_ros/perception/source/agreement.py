# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Judge what may be sent: does a detector see in a picture what it saw in the frame.

It is V of eq. (2) of "Generative Semantic Coding for Ultra-Low Bitrate Visual Communication and
Analysis", which trades |V(x_hat) - V(x)| against bits, where a detector runs on the rover.
"""

from __future__ import annotations

from gsc_ros.perception.network.agreement import agreement
from gsc_ros.perception.network.network import Detected, DetectionNetwork, Task
from gsc_ros.perception.source.looking import look
from gsc_ros.perception.source.source import Picture, SourceError


class AgreementJudge:
    """
    Compares what a detector sees in pictures with what it sees in one frame.

    :param network: the detector.
    :param image: the frame, uint8 [H, W, 3] RGB.
    :param found: what the network has already found in the frame; None looks at it.
    :raises SourceError: the network is no detector, or fails.
    """

    def __init__(self, network: DetectionNetwork, image: Picture,
                 found: Detected | None = None) -> None:
        if network.task is not Task.DETECTION:
            raise SourceError(f'{network.name} is a network for {network.task.value}: agreement is '
                              'that of a detector')
        self._network = network
        self._found = look(network, image) if found is None else found

    def __call__(self, picture: Picture) -> float:
        """
        Return the agreement, 0..1: F1 of pairs of the same class that overlap by at least a half.

        Seeing nothing in either is agreement.

        :param picture: uint8 [H, W, 3] RGB, of the size of the frame.
        :raises SourceError: the network fails.
        """
        score = agreement(self._found, look(self._network, picture)).f1
        return 1.0 if score is None else score
