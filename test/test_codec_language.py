# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The language model: symbols and bytes are each other's image, and the file is checked."""

from __future__ import annotations

from gsc_ros.codec.error import PacketError, ProfileError
from gsc_ros.codec.language import END, english, fold, History, LanguageModel, SHIFT, unfold
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_folding_is_undone(data):
    symbols = fold(data)
    assert END not in symbols
    assert unfold(symbols) == data


def test_capitals_cost_nothing_where_a_sentence_starts():
    assert SHIFT not in fold(b'A car. "The road" is wet.')
    assert fold(b'the BBC').count(SHIFT) == 4


@pytest.mark.parametrize('symbols', [[SHIFT], [SHIFT, SHIFT, 97], [SHIFT, 32]])
def test_a_shift_without_a_letter_is_refused(symbols):
    with pytest.raises(PacketError, match='shift'):
        unfold(symbols)


def test_contexts_reach_as_far_as_they_say():
    def contexts(text):
        history = History()
        for symbol in fold(text):
            history.push(symbol)
        return history.contexts()

    one, other = contexts(b'a red car on the road'), contexts(b'a big cat on the road')
    same = [first == second for first, second in zip(one, other, strict=True)]
    assert same == [True, True, True, True, True, True, True, True, False]
    assert not any(first == second for first, second in zip(
        contexts(b'road'), contexts(b'rock'), strict=True))


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_come_back(data):
    model = english()
    assert model.decode(model.encode(data, limit=1000), 1000) == data


def test_a_coding_longer_than_the_limit_is_given_up():
    coded = english().encode(b'A street with parked cars.', limit=100)
    assert english().encode(b'A street with parked cars.', limit=len(coded)) is None


def test_a_text_beyond_the_limit_is_refused():
    coded = english().encode(b'A street with parked cars.', limit=100)
    with pytest.raises(PacketError, match='too long'):
        english().decode(coded, 10)


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 and no more', b'text'])
def test_a_damaged_model_file_is_refused(tmp_path, content):
    path = tmp_path / 'model.npz'
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=r'model\.npz'):
        LanguageModel.load(path)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / 'model.npz'
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ProfileError, match=r'model\.npz'):
        LanguageModel.load(path)
    with pytest.raises(ProfileError, match='missing'):
        LanguageModel.load(tmp_path / 'missing.npz')
