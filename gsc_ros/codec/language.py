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
words before); the mixer adds those opinions up, weighted by how many contexts are known. The sum
is the logarithm of the odds, and a table makes a probability of it.

Every number that decides a probability is an integer: the same text gives the same bytes, and the
same bytes the same text, on any machine. ``gsc train text`` makes the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from operator import mul
from pathlib import Path
from zipfile import BadZipFile
from zlib import error

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
        """Return a hash of 32 bits for each of CONTEXTS."""
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
    :param opinions: int16 [contexts, 256]: the logarithm of the odds of each state.
    :param weights: int16 [contexts + 1, contexts]: by how many contexts are known.
    :param squash: uint16 [2 * STRETCH_LIMIT + 1]: probability of outcome 1, in 1/65536.
    """

    def __init__(self, children: np.ndarray, taken: np.ndarray, checks: np.ndarray,
                 states: np.ndarray, opinions: np.ndarray, weights: np.ndarray,
                 squash: np.ndarray) -> None:
        self._children = children.tolist()
        cells = np.zeros(CELLS, np.uint16)
        cells[np.unpackbits(taken).view(bool)] = checks.astype(np.uint16) << 8 | states
        self._cells = memoryview(cells)
        self._opinions = opinions.tolist()
        self._weights = weights.tolist()
        self._squash = squash.tolist()
        self._spread = [spread(node) for node in range(len(self._children))]

    @classmethod
    def load(cls, path: Path) -> LanguageModel:
        """
        Load a model.

        :raises ProfileError: when there is none, or it is damaged or of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**arrays)
        except (OSError, TypeError, ValueError, BadZipFile, error) as cause:
            raise ProfileError(f'{path} is not a language model: {cause}') from cause

    @cached_property
    def _paths(self) -> dict[int, list[tuple[int, int]]]:
        """For each symbol, the decisions that lead to it and their outcomes."""
        return paths(self._children)

    def encode(self, data: bytes, limit: int) -> bytes | None:
        """
        Return ``data`` coded, or None when that takes ``limit`` bytes or more.

        :param data: UTF-8; any other bytes come back, too.
        """
        coder = _Encoder()
        history = History()
        for symbol in (*fold(data), END):
            rows = self._rows(history)
            for node, outcome in self._paths[symbol]:
                coder.put(outcome, self._probability(rows, node))
            if len(coder.data) >= limit:
                return None
            history.push(symbol)
        coded = coder.finish()
        return coded if len(coded) < limit else None

    def decode(self, coded: bytes, limit: int) -> bytes:
        """
        Return what :meth:`encode` coded.

        :raises PacketError: when the data is malformed, or expands beyond ``limit`` symbols.
        """
        coder = _Decoder(coded)
        history = History()
        symbols: list[int] = []
        while len(symbols) <= limit:
            rows = self._rows(history)
            node = 0
            while node >= 0:
                node = self._children[node][coder.get(self._probability(rows, node))]
            symbol = -1 - node
            if symbol == END:
                coder.finish()
                return unfold(symbols)
            symbols.append(symbol)
            history.push(symbol)
        raise PacketError('the text is too long')

    def _rows(self, history: History) -> list[tuple[int, int, list[int]]]:
        """Return where to look for the next symbol: base of the cells, check, opinions."""
        return [(value & CELLS - 1, value >> 24 << 8, opinions)
                for value, opinions in zip(history.contexts(), self._opinions, strict=True)]

    def _probability(self, rows: list[tuple[int, int, list[int]]], node: int) -> int:
        """Return the probability of outcome 1 of a decision, 1..65535 of 65536."""
        cells = self._cells
        spread = self._spread[node]
        found = [cells[base ^ spread] ^ check for base, check, _ in rows]
        states = [cell if cell < 256 else 0 for cell in found]
        weights = self._weights[len(states) - states.count(0)]
        stretched = sum(map(mul, weights, [
            row[2][state] for row, state in zip(rows, states)])) >> WEIGHT_BITS
        return self._squash[
            max(-STRETCH_LIMIT, min(stretched, STRETCH_LIMIT)) + STRETCH_LIMIT]


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
