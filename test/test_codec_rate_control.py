# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rate control: close under the limit, never over it, in a few codings."""

from __future__ import annotations

from codec_image import picture
from gsc_ros.codec import packet as wire
from gsc_ros.codec.candidate import LatentCoder
from gsc_ros.codec.error import CodecError
from gsc_ros.codec.profile import load_profile
from gsc_ros.codec.rate_control import by_fineness, fit
from gsc_ros.codec.structure import Analysis
import numpy as np
import pytest

PROFILE = load_profile('tiny')
HEAD = wire.Packet(
    profile_hash=PROFILE.short_hash, width=640, height=352, channels=(0,), quantizer=0)


class CountingCoder(LatentCoder):
    """A coder that counts how often it codes."""

    codings = 0

    def code(self, *arguments, **options):
        """Code and count."""
        self.codings += 1
        return super().code(*arguments, **options)


@pytest.fixture(name='coder')
def coder_of_a_picture() -> CountingCoder:
    """Return the coder of a picture."""
    analysis = Analysis(PROFILE)
    return CountingCoder(PROFILE, analysis.transform(analysis.reduce(picture(352, 640, 3))))


def sizes(coder: LatentCoder) -> list[int]:
    """Return the bytes of all channels by quantizer, the coarsest first."""
    return [coder.code(range(320), quantizer).size(HEAD) for quantizer in by_fineness(coder)]


def test_what_comes_out_fits_and_uses_the_limit(coder):
    known = sizes(coder)
    step = max(after / before for before, after in zip(known, known[1:]))
    for limit in np.linspace(known[0], known[-1], 12).astype(int).tolist():
        size = fit(coder, range(320), HEAD, limit).size(HEAD)
        assert limit / step - 1 <= size <= limit  # sizes are whole bytes


def test_a_few_codings_are_enough(coder):
    known = sizes(coder)
    for limit in np.linspace(known[0], known[-1], 8).astype(int).tolist():
        coder.codings = 0
        fit(coder, range(320), HEAD, limit)
        assert coder.codings <= 7


def test_channels_are_given_up_only_below_the_coarsest_quantizer(coder):
    known = sizes(coder)
    coarsest = by_fineness(coder)[0]
    fewer = fit(coder, range(320), HEAD, (known[0] + 12) // 2 + 8)
    assert fewer.quantizer == coarsest
    assert len(fewer.channels) < len(coder.code(range(320), coarsest).channels)


def test_the_most_important_channels_are_given_up_last(coder):
    coarsest = by_fineness(coder)[0]
    wanted = [2, 0, 1]
    one = coder.code([2], coarsest).size(HEAD)
    assert fit(coder, wanted, HEAD, one).channels == (2,)


def test_a_limit_that_holds_nothing_is_an_error(coder):
    with pytest.raises(CodecError, match='not even one channel fits 12 bytes'):
        fit(coder, range(320), HEAD, 12)
