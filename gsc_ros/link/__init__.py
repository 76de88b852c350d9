# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Packets to datagrams under a hard bit budget, without ROS, threads or a clock of its own.

::

    FrameMessage ─> scheduler ─> cutting ─> repair ─> record ─> shaper ─> transport
                    which frame, bodies     parity,   counter,  when         ~
                    which layers            repeats   tag                    ~
    ReceivedFrame <──── reassembly <─────── repair <─ record <────────── transport

`endpoint.Endpoint` ties one end of a link together; `docs/link.md` states what it promises.
"""
