# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Packets to datagrams under a hard bit budget, without ROS, threads or a clock of its own.

::

    FrameMessage ─> scheduler ─> framing ─> shaper ─> transport ~~~ reassembly ─> ReceivedFrame
                    which frame, datagrams  when                    whole again
                    which layers

`endpoint.Endpoint` ties one end of a link together; `docs/link.md` states what it promises.
"""
