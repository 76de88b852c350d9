# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Which regions are sent, and how finely: all compete by what they gain for a bit.

At a price for a bit every region has one best option (see :mod:`gsc_ros.codec.region.option`),
which may be not to be sent. The price is the one at which what is chosen fills the room; where room
is not short, it is that of the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math

from gsc_ros.codec.entropy import Coded
from gsc_ros.codec.region.option import Choices, Option

# Bits of the head of a region, about.
HEAD_BITS = 30.0
# Steps towards the price, and codings of all regions at most.
_STEPS = 7
_CODINGS = 5
# The share of the room that estimates are held to at first, and by what less it becomes each time
# that they have been too low.
_FIRST_SHARE, _LESS = 0.97, 0.97
# By what the price rises where nothing is allowed.
_RISE = 8.0
# The part of the room that is near enough.
_NEAR = 0.94

Items = tuple[tuple[int, Option], ...]
Write = Callable[[Items], 'tuple[Coded, list[int | None]] | None']


@dataclass(frozen=True)
class Chosen:
    """
    What is sent.

    :param items: the index of the choices and the option of each region that has symbols; those
        that gain the most for a bit come first.
    :param coded: the stream.
    :param price: squares of 8-bit values for a bit.
    """

    items: Items
    coded: Coded
    price: float


class Allocation:
    """
    Spends bits on some regions.

    :param choices: of all regions that compete.
    :param write: codes options, given with the index of their choices; returns the stream and the
        bits that each of them takes (None for what the bounds of a packet do not allow, which is
        left out), or None when there is nothing to code, not even regions without symbols.
    :param fixed_bits: what regions take that are sent in any case.
    """

    def __init__(
        self, choices: Sequence[Choices], write: Write, fixed_bits: float = 0.0,
    ):
        self._choices = choices
        self._write = write
        self._fixed_bits = fixed_bits

    def at(self, price: float) -> Chosen | None:
        """Return the options that are the best ones at a price; None when there is nothing."""
        return self._code(self._ranked(price), price)

    def within(self, max_bytes: int, least: float) -> Chosen | None:
        """
        Return the options that fill a room.

        :param max_bytes: the room for their stream.
        :param least: the price below which nothing is bought though there be room.
        :return: None when nothing fits.
        """
        best: Chosen | None = None
        price, items, share = least, (), _FIRST_SHARE
        # Prices that are known to be too low and high enough.
        low, high = 0.0, math.inf
        for _ in range(_CODINGS if self._choices else 0):
            price = self._price(8 * max_bytes * share, least)
            if price <= low and high < math.inf:
                price = math.sqrt(low * high)
            before, items = items, self._filled(self._ranked(price), 8 * max_bytes * share)
            chosen = None if items == before else self._code(items, price)
            if chosen is None and items and items != before:
                # The bounds of a packet allow nothing that fine.
                least = _RISE * price
                continue
            if chosen is None:
                break
            size = chosen.coded.ends[-1]
            if size > max_bytes:
                # What each takes is known now; what changes may take more again.
                share, low = share * _LESS, max(low, price)
                continue
            high = price
            if best is None or size > best.coded.ends[-1]:
                best = chosen
            if size >= _NEAR * max_bytes or price <= least:
                break
            share = max(share, 1.0)
        # What gains least is left out until the rest fits, be it nothing.
        while best is None:
            chosen = self._code(items, price)
            if chosen is not None and chosen.coded.ends[-1] <= max_bytes:
                best = chosen
            elif not items:
                break
            items = items[:len(items) // 2]
        return best

    def _filled(self, items: Items, room_bits: float) -> Items:
        """Return options with some a level finer, where there is about the room for it."""
        room = room_bits - self._fixed_bits - sum(
            self._choices[index].bits(option) + HEAD_BITS for index, option in items)
        filled = list(items)
        while True:
            found = []
            for place, (index, option) in enumerate(filled):
                choice, finer = self._choices[index], self._choices[index].finer(option)
                if finer is not None and finer.gain > option.gain:
                    more = max(choice.bits(finer) - choice.bits(option), 1.0)
                    if more <= room:
                        found.append(((finer.gain - option.gain) / more, place, finer, more))
            if not found:
                return tuple(filled)
            _, place, finer, more = max(found, key=lambda entry: entry[:2])
            filled[place] = filled[place][0], finer
            room -= more

    def _code(self, items: Items, price: float) -> Chosen | None:
        written = self._write(items)
        if written is None:
            return None
        coded, bits = written
        for (index, option), size in zip(items, bits):
            if size is not None:
                self._choices[index].learn(option, size - HEAD_BITS)
        self._fixed_bits = 8 * coded.ends[-1] - sum(size for size in bits if size is not None)
        return Chosen(items, coded, price)

    def _ranked(self, price: float) -> Items:
        """Return the best options at a price, those with the most gain for a bit first."""
        found = [(index, choice.best(price, price * HEAD_BITS))
                 for index, choice in enumerate(self._choices)]
        worth = [(index, option) for index, option in found if option is not None]
        return tuple(sorted(
            worth, key=lambda item: -item[1].gain / (
                self._choices[item[0]].bits(item[1]) + HEAD_BITS)))

    def _price(self, room_bits: float, least: float) -> float:
        """Return about the lowest price, at least ``least``, at which what is chosen fits."""
        def need(price: float) -> float:
            return self._fixed_bits + sum(
                self._choices[index].bits(option) + HEAD_BITS
                for index, option in self._ranked(price))

        low, high = math.log(least), math.log(self._highest(least))
        point, short, near = (low + high) / 2, False, False
        for _ in range(_STEPS):
            bits = need(math.exp(point))
            if bits <= room_bits:
                high = point
                near = bits > _NEAR * room_bits
                if near:
                    break
            else:
                low, short = point, True
            # Bits fall about as prices rise; options that are far off need not be worked out.
            guess = point + math.log(max(bits, 1.0) / room_bits)
            edge = (high - low) / 5
            point = min(max(guess, low + edge), high - edge)
        # The finest options take the most time to work out, so they come last.
        return math.exp(high) if short or near or need(least) > room_bits else least

    def _highest(self, least: float) -> float:
        """Return a price at which hardly anything is bought, more than ``least``."""
        return max([2 * least, *(8 * choice.price_of(4, 0) for choice in self._choices)])
