# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Key regions over a generated picture."""

from __future__ import annotations

from gsc_ros.codec.generator.composition import keep_regions
from gsc_ros.codec.generator.confidence import generated_confidence
import numpy as np

STRUCTURE = np.full((64, 96, 3), 250, np.uint8)
GENERATED = np.full((64, 96, 3), 20, np.uint8)
MASK = np.zeros((64, 96), np.uint8)
MASK[16:48, 20:76] = 128
MASK[20:44, 24:72] = 255


def test_without_regions_the_generated_picture_stays_as_it_is():
    assert keep_regions(STRUCTURE, None, GENERATED) is GENERATED


def test_the_pixels_of_a_region_are_those_that_were_measured_and_the_others_generated():
    kept = keep_regions(STRUCTURE, MASK, GENERATED)
    assert kept.dtype == np.uint8
    assert (kept[MASK == 255] == 250).all()
    assert (kept[MASK == 0] == 20).all()
    assert np.isin(kept[MASK == 128], (135, 136)).all()


def test_a_region_is_trusted_as_before_it_was_generated_around():
    confidence = np.full((64, 96), 200, np.uint8)
    trusted = generated_confidence(
        STRUCTURE, confidence, keep_regions(STRUCTURE, MASK, GENERATED))
    assert (trusted[26:38, 30:66] == 200).all()
    assert (trusted[:8] == 0).all()
