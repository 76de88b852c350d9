# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A language model is made from a text file by one command, the same each time."""

from __future__ import annotations

from gsc_ros.cli.main import main
from gsc_ros.codec.language import LanguageModel
from gsc_ros.training.language import cut, split_captions
import numpy as np
import pytest

SENTENCES = (
    'A red car is parked at the side of the road.', 'Two people walk along the pavement.',
    'A tall tree stands in the background.', 'The sky is blue with a few clouds.',
    'A traffic light shows green.', 'The floor is covered with gray tiles.')


@pytest.fixture(scope='module')
def captions(tmp_path_factory):
    """Return a file of 120 captions of four sentences each."""
    random = np.random.default_rng(3)
    path = tmp_path_factory.mktemp('captions') / 'captions.txt'
    path.write_text('\n'.join(
        ' '.join(random.permutation(SENTENCES)[:4]) for _ in range(120)), encoding='utf-8')
    return path


@pytest.fixture(scope='module')
def model(captions):
    """Return the file that the command makes of the captions."""
    path = captions.with_name('model.npz')
    assert main(['train', 'text', str(captions), '--output', str(path)]) == 0
    return path


def test_the_model_codes_captions_like_those_it_was_made_of(captions, model):
    held_out = split_captions(captions)[1]
    trained = LanguageModel.load(model)
    texts = [cut(caption, number).encode() for number, caption in enumerate(held_out)]
    coded = [trained.encode(text, limit=1000) for text in texts]
    assert [trained.decode(data, 1000) for data in coded] == texts
    assert 8 * sum(map(len, coded)) / sum(map(len, texts)) < 0.5


def test_the_same_captions_make_the_same_file(captions, model):
    again = captions.with_name('again.npz')
    assert main(['train', 'text', str(captions), '--output', str(again)]) == 0
    assert again.read_bytes() == model.read_bytes()


def test_no_caption_held_out_is_learned(captions):
    training, held_out = split_captions(captions)
    assert len(held_out) == 12
    assert not set(training) & set(held_out)


def test_captions_are_cut_where_a_word_or_a_sentence_ends():
    caption = ' '.join(SENTENCES * 3)
    for number in range(20):
        text = cut(caption, number)
        assert 190 < len(text) <= 340
        assert caption.startswith(text)
        assert caption[len(text)] == ' '


@pytest.mark.parametrize('content', [b'', b'one caption\n', b'\xff\xfe\n' * 50])
def test_a_file_without_captions_is_a_data_error(tmp_path, capsys, content):
    path = tmp_path / 'bad.txt'
    path.write_bytes(content)
    assert main(['train', 'text', str(path), '--output', str(tmp_path / 'model.npz')]) == 1
    assert 'gsc' in capsys.readouterr().err
