# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The erasure code: parity over the bodies of several datagrams, and the way back.

The code is Reed-Solomon in Cauchy form over GF(256). A body becomes a *symbol*: its bytes, 0x80,
and as many zeros as make it as long as the longest beside it. Parity row j over the bodies with
counters c is the sum over c of symbol(c) / (x_j + y_c), with y_c = c mod 128 and
x_j = 128 + (j mod 128). Every square part of such a matrix can be inverted: of the bodies that a
set of parities covers, as many can be lost as parities arrive. Where the parities cover different
bodies (they slide along with the traffic) that holds but for rare accidents, which cost one parity
and never a wrong byte.

::

    PARITY  head row distance bitmap(1..16) | sum

    head      kind 9 in the high half, bytes of the bitmap - 1 in the low half
    row       j, 0..127
    distance  from the parity's own counter back to the newest body that it covers, 1..255
    bitmap    bit i (from the lowest of the first byte) stands for the body i before the newest

The datagrams that are covered need no byte more for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gsc_ros.link.repair.galois import add, invert, multiply, scale

# Of the counters that one parity covers, the newest is less than this ahead of the oldest.
SPAN = 128
# A parity covers no more bodies than this, which bounds the work that it can cause.
MAX_COVERED = 48
_ROWS = 128
_DELIMITER = b'\x80'
_HEAD_BYTES = 3
_MAX_DISTANCE = 255


class ParityError(ValueError):
    """A parity body is damaged or nonsense."""


def parity_overhead(span: int) -> int:
    """Return by how many bytes a parity over counters of a span exceeds the longest body."""
    return _HEAD_BYTES + -(-span // 8) + len(_DELIMITER)


def parity_size(bodies: Mapping[int, bytes]) -> int:
    """Return the bytes of a parity over bodies by counter, at least one."""
    span = max(bodies) - min(bodies) + 1
    return parity_overhead(span) + max(map(len, bodies.values()))


def coefficient(row: int, counter: int) -> int:
    """Return by what a row multiplies the symbol of a counter: 1..255."""
    return invert(_ROWS + row % _ROWS ^ counter % SPAN)


def encode_parity(kind: int, row: int, counter: int, bodies: Mapping[int, bytes]) -> bytes:
    """
    Return a parity body.

    :param kind: number of the kind, 0..15.
    :param row: any number; rows that are congruent modulo 128 give the same parity.
    :param counter: the parity's own counter, above all that it covers.
    :param bodies: what it covers, by counter, at least one.
    :raises ValueError: when they are too many, too far apart or too far from the parity's own.
    """
    newest, oldest = max(bodies), min(bodies)
    if newest - oldest >= SPAN or not 1 <= counter - newest <= _MAX_DISTANCE or (
            len(bodies) > MAX_COVERED):
        raise ValueError(f'a parity with counter {counter} cannot cover {oldest}..{newest}')
    size = -(-(newest - oldest + 1) // 8)
    bitmap = sum(1 << newest - covered for covered in bodies)
    total = b''
    for covered, body in bodies.items():
        total = add(total, scale(body + _DELIMITER, coefficient(row, covered)))
    head = bytes([kind << 4 | size - 1, row % _ROWS, counter - newest])
    return head + bitmap.to_bytes(size, 'little') + total


@dataclass(frozen=True)
class Parity:
    """
    A parity body as it was read.

    :param row: 0..127.
    :param covered: counters of the bodies that it covers, newest first.
    :param total: the sum of their scaled symbols.
    """

    row: int
    covered: tuple[int, ...]
    total: bytes

    @classmethod
    def parse(cls, counter: int, body: bytes) -> Parity:
        """
        Read a parity body that came with its own counter.

        :raises ParityError: and nothing else, whatever the bytes are.
        """
        size = (body[0] & 15) + 1 if body else 0
        if len(body) <= _HEAD_BYTES + size + len(_DELIMITER):
            raise ParityError('parity is too short')
        row, distance = body[1], body[2]
        bitmap = int.from_bytes(body[_HEAD_BYTES:_HEAD_BYTES + size], 'little')
        newest = counter - distance
        if row >= _ROWS or not distance or not bitmap & 1 or (
                newest - bitmap.bit_length() < -1 or bitmap.bit_count() > MAX_COVERED):
            raise ParityError('parity covers nothing')
        covered = tuple(newest - bit for bit in range(bitmap.bit_length()) if bitmap >> bit & 1)
        return cls(row, covered, body[_HEAD_BYTES + size:])


@dataclass
class _Equation:
    """A sum of unknown symbols, each with its factor, that is known."""

    factors: dict[int, int]
    total: bytes

    def subtract(self, other: _Equation, factor: int) -> None:
        """Take another equation, times a factor, from this one."""
        for counter, value in other.factors.items():
            left = self.factors.get(counter, 0) ^ multiply(factor, value)
            if left:
                self.factors[counter] = left
            else:
                self.factors.pop(counter, None)
        self.total = add(self.total, scale(other.total, factor))


@dataclass
class DecoderCounter:
    """Cumulative counts of the decoder."""

    recovered: int = 0
    redundant: int = 0
    contradictions: int = 0
    stale: int = 0


@dataclass
class ErasureDecoder:
    """
    Recover lost bodies from parities, in bounded memory and time.

    Parities whose bodies are not all there are kept as a system of linear equations in reduced
    form, so each arrival costs at most one pass over it.

    :param memory: bodies are forgotten when so many counters have passed, >= 128.
    :param memory_bytes: the most bytes of bodies that are kept.
    :param max_equations: the most parities that wait.
    """

    memory: int = 512
    memory_bytes: int = 256 * 1024
    max_equations: int = 24
    counter: DecoderCounter = field(default_factory=DecoderCounter)
    _bodies: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    _held: int = 0
    _newest: int = -1
    # By the counter that the equation has been solved for; no other contains that one.
    _equations: OrderedDict[int, _Equation] = field(default_factory=OrderedDict)

    @property
    def held_bytes(self) -> int:
        """Return what the bodies and the parities that wait take up."""
        return self._held + sum(len(equation.total) for equation in self._equations.values())

    def body(self, counter: int, body: bytes) -> list[tuple[int, bytes]]:
        """
        Take in a body that has arrived; return what it helps to recover.

        :returns: pairs of counter and body.
        """
        if counter in self._bodies or counter <= self._newest - self.memory:
            return []
        self._remember(counter, body)
        return self._settle([counter])

    def parity(self, parity: Parity) -> list[tuple[int, bytes]]:
        """
        Take in a parity; return what it helps to recover.

        :returns: pairs of counter and body.
        """
        self._newest = max(self._newest, parity.covered[0])
        self._forget()
        if parity.covered[-1] <= self._newest - self.memory:
            self.counter.stale += 1
            return []
        factors = {counter: coefficient(parity.row, counter) for counter in parity.covered}
        return self._settle(self._insert(_Equation(factors, parity.total)))

    def _insert(self, equation: _Equation) -> list[int]:
        """Add an equation to the system; return the counters that are now solved."""
        for counter in [c for c in equation.factors if c in self._bodies]:
            self._substitute(equation, counter)
        for counter in [c for c in equation.factors if c in self._equations]:
            equation.subtract(self._equations[counter], equation.factors[counter])
        if not equation.factors:
            if any(equation.total):
                self.counter.contradictions += 1
            else:
                self.counter.redundant += 1
            return []
        pivot = max(equation.factors)
        inverse = invert(equation.factors[pivot])
        equation.factors = {c: multiply(inverse, f) for c, f in equation.factors.items()}
        equation.total = scale(equation.total, inverse)
        changed = [pivot]
        for counter, other in self._equations.items():
            if pivot in other.factors:
                other.subtract(equation, other.factors[pivot])
                changed.append(counter)
        self._equations[pivot] = equation
        while len(self._equations) > self.max_equations:
            self._equations.popitem(last=False)
            self.counter.stale += 1
        return [c for c in changed
                if c in self._equations and len(self._equations[c].factors) == 1]

    def _settle(self, known: Sequence[int]) -> list[tuple[int, bytes]]:
        """Follow up on counters that have become known or solved, until nothing more follows."""
        recovered = []
        waiting = list(known)
        while waiting:
            counter = waiting.pop()
            if counter not in self._bodies:
                equation = self._equations.pop(counter, None)
                if equation is None:
                    continue
                body = _body(equation.total)
                if body is None:
                    self.counter.contradictions += 1
                    continue
                self.counter.recovered += 1
                self._remember(counter, body)
                recovered.append((counter, body))
            waiting += self._replace(counter)
        return recovered

    def _replace(self, counter: int) -> list[int]:
        """Put a known body into all equations; return the counters that are now solved."""
        pivoted = self._equations.pop(counter, None)
        solved = []
        for pivot, equation in self._equations.items():
            if counter in equation.factors:
                self._substitute(equation, counter)
                if len(equation.factors) == 1:
                    solved.append(pivot)
        if pivoted is not None:
            solved += self._insert(pivoted)
        return [c for c in dict.fromkeys(solved) if c in self._equations]

    def _substitute(self, equation: _Equation, counter: int) -> None:
        symbol = self._bodies[counter] + _DELIMITER
        equation.total = add(equation.total, scale(symbol, equation.factors.pop(counter)))

    def _remember(self, counter: int, body: bytes) -> None:
        self._bodies[counter] = body
        self._held += len(body)
        self._newest = max(self._newest, counter)
        self._forget()

    def _forget(self) -> None:
        """Let go of what is older or more than the bounds allow."""
        oldest = self._newest - self.memory
        while self._bodies:
            counter, body = next(iter(self._bodies.items()))
            if counter > oldest and self._held <= self.memory_bytes:
                break
            del self._bodies[counter]
            self._held -= len(body)
        for pivot in [p for p, e in self._equations.items() if min(e.factors) <= oldest]:
            del self._equations[pivot]
            self.counter.stale += 1


def _body(symbol: bytes) -> bytes | None:
    """Return the body of a symbol, or None when it is not one."""
    body = symbol.rstrip(b'\0')
    return body[:-1] if len(body) > 1 and body[-1:] == _DELIMITER else None
