# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Training of the model of English captions: statistics of a text file, one caption a line.

Counts of every decision in every context come from whole captions; how far to trust a count, and
which context to trust more, is fitted to the beginnings of the same captions, each with its own
counts taken out. So the fit sees what the codec will see: captions the counts do not know.
"""

from __future__ import annotations

from dataclasses import dataclass
import heapq
from pathlib import Path

from gsc_ros.codec.language import (
    ALPHABET,
    CELLS,
    CONTEXTS,
    END,
    EXACT,
    exact_state,
    fold,
    History,
    LanguageModel,
    paths,
    REPEATED,
    spread,
    STATES_AFTER,
    STRETCH_BITS,
    STRETCH_LIMIT,
    WEIGHT_BITS,
)
from gsc_ros.codec.packet import MAX_TEXT_BYTES
import numpy as np

#: One line in so many is held out: those whose number leaves HELD_OUT when divided by it.
FOLDS = 10
HELD_OUT = 9

#: Fewest times that something must have happened to be kept, by context.
_LEAST = (1, 1, 1, 2, 2, 1, 2, 2, 2)

#: States beyond the exact ones: bins of the total and of the odds.
_TOTAL_BINS = np.array([12, 24, 64, 256, 1024])
_ODDS_BINS = 33
_EXACT_STATES = exact_state(EXACT, EXACT) + 1
_STATES = _EXACT_STATES + (len(_TOTAL_BINS) + 1) * _ODDS_BINS

_BATCH = 4096
_EPOCHS = 3
_RATE = 0.01


def split_captions(path: Path) -> tuple[list[str], list[str]]:
    """
    Return the captions to learn from and those held out, which are not among the former.

    :raises ValueError: when there are too few lines to learn from.
    """
    lines = [line for line in path.read_text(encoding='utf-8').split('\n') if line]
    held_out = lines[HELD_OUT::FOLDS]
    known = set(held_out)
    training = [line for line in lines if line not in known]
    if len(training) < FOLDS:
        raise ValueError(f'{path}: {len(lines)} captions are too few')
    return training, held_out


def cut(caption: str, number: int) -> str:
    """
    Return a caption's first 200 to 340 characters, up to the end of a word or of a sentence.

    :param number: decides where: reproducible, and different for each caption.
    """
    limit = 200 + number * 7919 % 141
    if len(caption) <= limit:
        return caption
    sentence = caption.rfind('. ', 200, limit) + 1 if number % 2 else 0
    return caption[:sentence or caption.rfind(' ', 0, limit + 1)]


def bits_per_character(model: LanguageModel, captions: list[str]) -> float:
    """Return the cost of captions, each cut and coded on its own."""
    texts = [cut(caption, number) for number, caption in enumerate(captions)]
    coded = sum(len(model.encode(text.encode(), limit=MAX_TEXT_BYTES)) for text in texts)
    return 8 * coded / sum(map(len, texts))


def save_language(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write what :func:`train_language` returned; equal arrays make equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('wb') as file:
        np.savez_compressed(file, **arrays)


@dataclass(frozen=True)
class _Decisions:
    """
    What happened in the training captions, one entry a decision.

    :param contexts: uint32 [positions, contexts]
    :param position: int32 [decisions]
    :param node: uint8 [decisions]: place in the prefix tree.
    :param outcome: uint8 [decisions]
    :param caption: int32 [decisions]
    :param repeat: uint8 [decisions]: state of its context in its own caption so far.
    :param fitted: bool [decisions]: whether the mixer is fitted to it.
    """

    contexts: np.ndarray
    position: np.ndarray
    node: np.ndarray
    outcome: np.ndarray
    caption: np.ndarray
    repeat: np.ndarray
    fitted: np.ndarray


def train_language(captions: list[str]) -> dict[str, np.ndarray]:
    """Return the arrays of a :class:`gsc_ros.codec.language.LanguageModel`; minutes."""
    children = _prefix_tree(captions)
    decisions = _decisions(captions, children)
    checks, states, seen = _fill_cells(decisions)
    opinions, weights = _fit(seen, decisions.outcome[decisions.fitted])
    odds = np.arange(-STRETCH_LIMIT, STRETCH_LIMIT + 1) / (1 << STRETCH_BITS)
    return {
        'children': children,
        'taken': np.packbits(states > 0),
        'checks': checks[states > 0],
        'states': states[states > 0],
        'opinions': np.round(opinions * (1 << STRETCH_BITS)).astype(np.int16),
        'weights': np.round(weights * (1 << WEIGHT_BITS)).astype(np.int16),
        'squash': np.clip(np.round(65536 / (1 + np.exp(-odds))), 1, 65535).astype(np.uint16),
    }


def _prefix_tree(captions: list[str]) -> np.ndarray:
    """Return a Huffman tree of the symbols: int16 [nodes, 2], a leaf is -1 - symbol."""
    counts = np.bincount([s for caption in captions for s in fold(caption.encode())],
                         minlength=256)
    counts[END] = 4 * len(captions)
    # The floor keeps the paths of bytes that are not English short, and so the coder fast.
    heap = [(int(counts[symbol]) + 100, order, -1 - symbol)
            for order, symbol in enumerate(ALPHABET)]
    heapq.heapify(heap)
    pairs: list[tuple[int, int]] = []
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        pairs.append((first[2], second[2]))
        heapq.heappush(heap, (first[0] + second[0], 1000 + len(pairs), len(pairs) - 1))
    # The pair made last is the root: number the nodes from there.
    return np.array([[child if child < 0 else len(pairs) - 1 - child for child in pair]
                     for pair in reversed(pairs)], np.int16)


def _decisions(captions: list[str], children: np.ndarray) -> _Decisions:
    """Return every decision of the captions, and ends where people or programs may cut them."""
    random = np.random.default_rng(1)
    contexts: list[list[int]] = []
    path_of = paths(children.tolist())
    spreads = [spread(node) for node in range(len(children))]
    position, node, outcome, owner, repeat, fitted = [], [], [], [], [], []
    for number, caption in enumerate(captions):
        symbols = fold(caption.encode())
        beginning = len(fold(cut(caption, number).encode()))
        spaces = [place for place, symbol in enumerate(symbols) if symbol == 32]
        ends = {beginning, len(symbols)}
        if spaces:
            ends.update(random.choice(spaces, 3).tolist())
        history = History()
        repeats: dict[int, int] = {}
        for place, symbol in enumerate([*symbols, END]):
            contexts.append(history.contexts())
            for coded in {symbol, END} if place in ends else {symbol}:
                fit = place < beginning if coded != END else place == beginning
                for at, result in path_of[coded]:
                    key = contexts[-1][REPEATED] ^ spreads[at]
                    state = repeats.get(key, 0)
                    if coded == symbol:
                        repeats[key] = STATES_AFTER[state][result]
                    repeat.append(state)
                    position.append(len(contexts) - 1)
                    node.append(at)
                    outcome.append(result)
                    owner.append(number)
                    fitted.append(fit)
            history.push(symbol)
    return _Decisions(
        np.array(contexts, np.uint32), np.array(position, np.int32), np.array(node, np.uint8),
        np.array(outcome, np.uint8), np.array(owner, np.int32), np.array(repeat, np.uint8),
        np.array(fitted, bool))


def _fill_cells(decisions: _Decisions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Count everything and put it into the cells; of two that want the same one, the commoner wins.

    :returns: checks and states, uint8 [CELLS] each, and the states that the fitted decisions see,
        without their own caption: uint8 [contexts + 1, fitted decisions]
    """
    owner = np.full(CELLS, -1, np.int64)
    weight = np.zeros(CELLS, np.int64)
    checks, states = np.zeros(CELLS, np.uint8), np.zeros(CELLS, np.uint8)
    spreads = np.array([spread(node) for node in range(256)], np.uint32)
    outcome, fitted = decisions.outcome, decisions.fitted
    wanted = []
    seen = np.empty((len(CONTEXTS) + 1, int(fitted.sum())), np.uint8)
    seen[-1] = decisions.repeat[fitted]
    for context in range(len(CONTEXTS)):
        hashes = decisions.contexts[decisions.position, context]
        keys, which = np.unique(hashes.astype(np.uint64) << 8 | decisions.node,
                                return_inverse=True)
        total, ones = _count(which, outcome)
        _, own = np.unique(which * np.int64(1 << 20) + decisions.caption, return_inverse=True)
        own_total, own_ones = _count(own, outcome)
        rest = (total[which] - own_total[own])[fitted]
        seen[context] = np.where(
            rest < _LEAST[context], 0, _state(rest, (ones[which] - own_ones[own])[fitted]))

        hash_of = (keys >> 8).astype(np.uint32)
        cell = (hash_of ^ spreads[(keys & 255).astype(np.uint8)]) & np.uint32(CELLS - 1)
        # Among equals the last assignment stays, so the commonest of this context is put last.
        order = np.argsort(total, kind='stable')
        order = order[(total[order] >= _LEAST[context]) & (total[order] > weight[cell[order]])]
        owner[cell[order]] = order + (context << 32)
        weight[cell[order]] = total[order]
        checks[cell[order]] = hash_of[order] >> 24
        states[cell[order]] = _state(total, ones)[order]
        wanted.append((cell, which[fitted]))
    for context, (cell, which) in enumerate(wanted):
        kept = owner[cell] == np.arange(len(cell)) + (context << 32)
        seen[context][~kept[which]] = 0
    return checks, states, seen


def _count(which: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each thing happened, and how often with outcome 1."""
    return (np.bincount(which),
            np.bincount(which, weights=outcome).astype(np.int64))


def _state(total: np.ndarray, ones: np.ndarray) -> np.ndarray:
    """Return counts as a state, 0 for none."""
    odds = np.log((ones + 0.4) / (total - ones + 0.4))
    binned = np.clip(np.round(2 * odds) + _ODDS_BINS // 2, 0, _ODDS_BINS - 1)
    binned += np.searchsorted(_TOTAL_BINS, total) * _ODDS_BINS
    return np.where(
        total <= EXACT, exact_state(total, ones), _EXACT_STATES + binned).astype(np.uint8)


def _initial_opinions() -> np.ndarray:
    """Return the logarithm of the odds of each state as counted: float64 [256]."""
    opinions = np.zeros(256)
    for total in range(1, EXACT + 1):
        for ones in range(total + 1):
            opinions[exact_state(total, ones)] = np.log((ones + 0.2) / (total - ones + 0.2))
    opinions[_EXACT_STATES:_STATES] = np.tile(
        (np.arange(_ODDS_BINS) - _ODDS_BINS // 2) / 2, len(_TOTAL_BINS) + 1)
    return opinions


def _fit(seen: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Fit what each state says and how much each context weighs, by Adam on the cost in bits.

    :param seen: uint8 [contexts + 1, decisions]
    :param outcome: uint8 [decisions]
    :returns: opinions, float64 [contexts + 1, 256], and weights, float64 [contexts + 1,
        contexts + 1]
    """
    count = len(seen)
    columns = np.arange(count)
    opinions = np.tile(_initial_opinions(), (count, 1))
    weights = np.full((count, count), 0.3)
    parameters = (opinions, weights)
    means = [np.zeros_like(values) for values in parameters]
    squares = [np.zeros_like(values) for values in parameters]
    random = np.random.default_rng(1)
    steps = _EPOCHS * (len(outcome) // _BATCH)
    step = 0
    for _ in range(_EPOCHS):
        shuffled = random.permutation(len(outcome))
        for start in range(0, len(outcome) - _BATCH + 1, _BATCH):
            batch = shuffled[start:start + _BATCH]
            states = seen[:, batch].T.astype(np.int64)
            row = (states[:, :-1] > 0).sum(axis=1)
            said = opinions[columns, states]
            weight = weights[row]
            odds = np.clip((said * weight).sum(axis=1), -20, 20)
            error = ((1 / (1 + np.exp(-odds)) - outcome[batch]) / _BATCH)[:, None]
            gradients = (
                _sum_by((states + columns * 256).ravel(), (error * weight).ravel(), opinions),
                _sum_by((row[:, None] * count + columns).ravel(), (error * said).ravel(), weights))
            step += 1
            rate = _RATE * max(0.02, 1 - step / steps)
            for values, gradient, mean, square in zip(
                    parameters, gradients, means, squares, strict=True):
                mean += 0.1 * (gradient - mean)
                square += 0.005 * (gradient * gradient - square)
                values -= rate * (mean / (1 - 0.9 ** step)) / (
                    np.sqrt(square / (1 - 0.995 ** step)) + 1e-5)
    return opinions, weights


def _sum_by(index: np.ndarray, values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return the sums of ``values`` with the same flat index into an array ``like`` this."""
    return np.bincount(index, weights=values, minlength=like.size).reshape(like.shape)
