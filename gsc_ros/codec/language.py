# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The trained model of English captions: text to few bytes and back, exactly.

::

    UTF-8 -> fold -> symbols -> path in a prefix tree -> decisions -> binary arithmetic code
                        |                                  ^
                        +-> history -> context hashes -> cells -> mixer

A symbol is a byte, except that capital letters are small ones after a SHIFT, which is left out
where a sentence starts; END closes every text. Each symbol is a path of yes/no decisions. For each
decision, a table tells what followed in training in several contexts (the last 1 to 6 symbols, the
words before), and another what followed in this text so far; the mixer adds those opinions up,
weighted by how many contexts are known. The sum is the logarithm of the odds, and a table makes a
probability of it.

Every number that decides a probability is an integer: the same text gives the same bytes, and the
same bytes the same text, on any machine. ``gsc train text`` makes the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from operator import getitem, mul
from pathlib import Path
from zipfile import BadZipFile
import zlib

from gsc_ros.codec.error import PacketError, ProfileError
import numpy as np

#: Symbols that take the places of the capitals 'A' and 'B', which never occur once folded.
SHIFT = 65
END = 66

#: What fold keeps: every byte but the capitals, and the two symbols above.
ALPHABET = tuple(symbol for symbol in range(256) if not 67 <= symbol <= 90)

#: A text's first coded byte is at least this; smaller ones name other methods.
FIRST_BYTE = 2

#: Cells of the table, a power of two; more make fewer contexts share one.
CELLS = 1 << 22

#: Bits of the fixed-point logarithm of the odds: of a cell's opinion, and of a weight.
STRETCH_BITS = 8
WEIGHT_BITS = 12

#: The logarithm of the odds is cut off at +-11, that is at 1 : 60,000.
STRETCH_LIMIT = 11 << STRETCH_BITS

#: Contexts, longest last of each kind: names for people, seeds that keep their hashes apart.
CONTEXTS = (
    'last symbol', 'last 2', 'last 3', 'last 4', 'last 6', 'word', 'word, 1 before',
    'word, 2 before', 'word, 3 before')
_SEEDS = tuple((index + 1) * 0x7f4a7c159e3779b9 & (1 << 64) - 1 for index in range(len(CONTEXTS)))

#: The context whose continuations in this text are an opinion, too.
REPEATED = CONTEXTS.index('last 3')

#: States tell apart all counts up to this total.
EXACT = 6


def exact_state(total: int, ones: int) -> int:
    """Return the state of having seen ``ones`` outcomes 1 among ``total``, at most EXACT."""
    return total * (total + 1) // 2 + ones


def _states_after() -> list[tuple[int, int]]:
    """Return for each exact state the states after an outcome 0 and an outcome 1."""
    return [
        (exact_state(total + 1, ones), exact_state(total + 1, ones + 1)) if total < EXACT else
        (exact_state(total, max(ones - 1, 0)), exact_state(total, min(ones + 1, total)))
        for total in range(EXACT + 1) for ones in range(total + 1)]


STATES_AFTER = _states_after()

_ENDS_SENTENCE = frozenset(b'.!?\n')
_BETWEEN_SENTENCES = frozenset(b' "\'')
_IN_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyz'-") | frozenset(range(128, 256))
_PUNCTUATION = frozenset(b'.,;:!?"')
_CAPITALS = frozenset(range(65, 91))
_SMALL = frozenset(range(97, 123))


def fold(data: bytes) -> list[int]:
    """Return the symbols of UTF-8 ``data``, without END."""
    symbols = []
    opening = True
    for byte in data:
        if byte in _CAPITALS or byte in _SMALL:
            if (byte in _CAPITALS) != opening:
                symbols.append(SHIFT)
            byte |= 32
        symbols.append(byte)
        opening = _opens(byte, opening)
    return symbols


def unfold(symbols: list[int]) -> bytes:
    """
    Return the bytes that :func:`fold` made ``symbols`` of.

    :raises PacketError: when a SHIFT does not precede a letter.
    """
    data = bytearray()
    opening = True
    shifted = False
    for symbol in symbols:
        if symbol == SHIFT and not shifted:
            shifted = True
            continue
        if symbol in _SMALL:
            data.append(symbol - 32 * (opening != shifted))
        elif shifted:
            raise PacketError('the text is damaged: a shift without a letter')
        else:
            data.append(symbol)
        opening = _opens(symbol, opening)
        shifted = False
    if shifted:
        raise PacketError('the text is damaged: a shift without a letter')
    return bytes(data)


def _opens(symbol: int, opening: bool) -> bool:
    """Return whether a letter after ``symbol`` starts a sentence."""
    return symbol in _ENDS_SENTENCE or opening and symbol in _BETWEEN_SENTENCES


class History:
    """What a text has been so far, as the contexts of its next symbol."""

    def __init__(self) -> None:
        self._recent = 0
        self._word = 0
        self._before = (0, 0, 0)

    def push(self, symbol: int) -> None:
        """Go on by one symbol."""
        self._recent = (self._recent << 8 | symbol) & 0xffffffffffff
        if symbol in _IN_WORD:
            self._word = (self._word + symbol) * 0x2c1b3c6d & 0xffffffff
        elif symbol != SHIFT:
            if self._word:
                self._before = (self._word, *self._before[:2])
                self._word = 0
            if symbol in _PUNCTUATION:
                self._before = (symbol, *self._before[:2])

    def contexts(self) -> list[int]:
        """
        Return a hash of 32 bits for each of CONTEXTS.

        All the hashes here multiply by odd numbers without a pattern, and so spread.
        """
        recent = self._recent
        first, second, third = self._before
        word = self._word << 8 | recent & 0xff
        words = word + first * 0x1b56c4e9a3
        more_words = words + second * 0x5f356495bd
        values = (
            recent & 0xff, recent & 0xffff, recent & 0xffffff, recent & 0xffffffff, recent,
            word, words, more_words, more_words + third * 0x3c6ef372fe95)
        return [(value * 0x9e3779b97f4a7c15 + seed >> 32) & 0xffffffff
                for value, seed in zip(values, _SEEDS, strict=True)]


class LanguageModel:
    """
    A trained model.

    :param children: int16 [nodes, 2]: for each decision of the prefix tree and each outcome, the
        next decision, or -1 - symbol.
    :param taken: uint8 [CELLS / 8]: a bit for each cell, first the most significant one.
    :param checks: uint8 [taken cells]: bits of the hash that a cell is for.
    :param states: uint8 [taken cells]: what was seen there, 1..255.
    :param opinions: int16 [contexts + 1, 256]: the logarithm of the odds of each state; last, of
        those of this text.
    :param weights: int16 [contexts + 1, contexts + 1]: a row for each number of known contexts.
    :param squash: uint16 [2 * STRETCH_LIMIT + 1]: probability of outcome 1, in 1/65536.
    """

    def __init__(self, children: np.ndarray, taken: np.ndarray, checks: np.ndarray,
                 states: np.ndarray, opinions: np.ndarray, weights: np.ndarray,
                 squash: np.ndarray) -> None:
        if opinions.shape != (len(CONTEXTS) + 1, 256):
            raise ValueError('it is of another version')
        self.children = children.tolist()
        cells = np.zeros(CELLS, np.uint16)
        cells[np.unpackbits(taken).view(bool)] = checks.astype(np.uint16) << 8 | states
        self.cells = memoryview(cells)
        self.opinions = opinions.tolist()
        self.weights = weights.tolist()
        self.squash = squash.tolist()
        self.spreads = [spread(node) for node in range(len(self.children))]

    @classmethod
    def load(cls, path: Path) -> LanguageModel:
        """
        Load a model.

        :raises ProfileError: when there is none, or it is damaged or of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**arrays)
        except (OSError, EOFError, TypeError, ValueError, BadZipFile, zlib.error) as cause:
            raise ProfileError(f'{path} is not a language model: {cause}') from cause

    @cached_property
    def _paths(self) -> dict[int, list[tuple[int, int]]]:
        """For each symbol, the decisions that lead to it and their outcomes."""
        return paths(self.children)

    def encode(self, data: bytes, limit: int) -> bytes | None:
        """
        Return ``data`` coded, or None when that takes ``limit`` bytes or more.

        :param data: UTF-8; any other bytes come back, too.
        """
        coder = _Encoder()
        predictor = _Predictor(self)
        for symbol in (*fold(data), END):
            for node, outcome in self._paths[symbol]:
                coder.put(outcome, predictor.probability(node))
                predictor.learn(outcome)
            if len(coder.data) >= limit:
                return None
            predictor.push(symbol)
        coded = coder.finish()
        return coded if len(coded) < limit else None

    def decode(self, coded: bytes, limit: int) -> bytes:
        """
        Return what :meth:`encode` coded.

        :raises PacketError: when the data is malformed, or expands beyond ``limit`` bytes.
        """
        coder = _Decoder(coded)
        predictor = _Predictor(self)
        symbols: list[int] = []
        # A capital letter is two symbols.
        while len(symbols) <= 2 * limit:
            node = 0
            while node >= 0:
                outcome = coder.get(predictor.probability(node))
                predictor.learn(outcome)
                node = self.children[node][outcome]
            symbol = -1 - node
            if symbol == END:
                coder.finish()
                data = unfold(symbols)
                if len(data) > limit:
                    break
                return data
            symbols.append(symbol)
            predictor.push(symbol)
        raise PacketError('the text is too long')


class _Predictor:
    """How likely each outcome is, given a model and the text so far."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._history = History()
        self._repeats: dict[int, int] = {}
        self._repeat = (0, 0)
        self._find_rows()

    def probability(self, node: int) -> int:
        """Return the probability of outcome 1 of a decision, 1..65535 of 65536."""
        model = self._model
        cells = model.cells
        place = model.spreads[node]
        found = [cells[base ^ place] ^ check for base, check in self._rows]
        states = [cell if cell < 256 else 0 for cell in found]
        weights = model.weights[len(states) - states.count(0)]
        key = self._repeated ^ place
        state = self._repeats.get(key, 0)
        self._repeat = key, state
        states.append(state)
        odds = sum(map(mul, weights, map(getitem, model.opinions, states))) >> WEIGHT_BITS
        return model.squash[max(-STRETCH_LIMIT, min(odds, STRETCH_LIMIT)) + STRETCH_LIMIT]

    def learn(self, outcome: int) -> None:
        """Remember the outcome of the decision asked for last."""
        key, state = self._repeat
        self._repeats[key] = STATES_AFTER[state][outcome]

    def push(self, symbol: int) -> None:
        """Go on to the next symbol."""
        self._history.push(symbol)
        self._find_rows()

    def _find_rows(self) -> None:
        """Find where to look for the next symbol: for each context, base of cells and check."""
        hashes = self._history.contexts()
        self._rows = [(value & CELLS - 1, value >> 24 << 8) for value in hashes]
        self._repeated = hashes[REPEATED]


def spread(node: int) -> int:
    """Return what separates the cells of a decision from those of others in the same context."""
    return node * 0x9e3779b1 >> 7 & CELLS - 1


def paths(children: list[list[int]]) -> dict[int, list[tuple[int, int]]]:
    """Return for each symbol the decisions that lead to it and their outcomes."""
    def walk(node: int, path: list[tuple[int, int]]) -> Iterator[tuple[int, list]]:
        if node < 0:
            yield -1 - node, path
            return
        for outcome, child in enumerate(children[node]):
            yield from walk(child, [*path, (node, outcome)])
    return dict(walk(0, []))


@cache
def english() -> LanguageModel:
    """Return the model that came with the package; loaded when first asked for."""
    return LanguageModel.load(
        Path(__file__).parent.parent / 'profiles' / 'text' / 'english.npz')


class _Encoder:
    """Binary arithmetic encoder: an interval of 32 bits, narrowed by each decision."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._low = FIRST_BYTE << 24
        self._high = 0xffffffff

    def put(self, outcome: int, probability: int) -> None:
        """Code an outcome, of which 1 has ``probability`` / 65536."""
        middle = self._low + ((self._high - self._low) * probability >> 16)
        if outcome:
            self._high = middle
        else:
            self._low = middle + 1
        while not (self._low ^ self._high) >> 24:
            self.data.append(self._high >> 24)
            self._low = self._low << 8 & 0xffffffff
            self._high = self._high << 8 & 0xffffffff | 0xff

    def finish(self) -> bytes:
        """Return all bytes: one more, which with zeros behind it lies in the interval."""
        return bytes(self.data) + bytes([(self._low >> 24) + (self._low & 0xffffff > 0)])


class _Decoder:
    """Counterpart of the encoder; reads zeros behind the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._shifted = 0
        self._low = FIRST_BYTE << 24
        self._high = 0xffffffff
        self._value = int.from_bytes(data[:4].ljust(4, b'\0'), 'big')

    def get(self, probability: int) -> int:
        """Return the next outcome, of which 1 has ``probability`` / 65536."""
        middle = self._low + ((self._high - self._low) * probability >> 16)
        outcome = int(self._value <= middle)
        if outcome:
            self._high = middle
        else:
            self._low = middle + 1
        while not (self._low ^ self._high) >> 24:
            self._low = self._low << 8 & 0xffffffff
            self._high = self._high << 8 & 0xffffffff | 0xff
            ahead = self._shifted + 4
            byte = self._data[ahead] if ahead < len(self._data) else 0
            self._value = self._value << 8 & 0xffffffff | byte
            self._shifted += 1
            if self._shifted >= len(self._data):
                raise PacketError('the text is truncated')
        return outcome

    def finish(self) -> None:
        """
        Check that the text ends where the data does.

        :raises PacketError: when it does not.
        """
        if self._shifted + 1 != len(self._data):
            raise PacketError('the text is followed by other bytes')
