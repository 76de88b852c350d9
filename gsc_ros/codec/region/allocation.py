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
# Steps by which the price is halved, and codings of all regions at most.
_HALVINGS = 9
_CODINGS = 5
# By what the price rises where the estimate does not help.
_RISE = 1.4
# The part of the room that is near enough.
_NEAR = 0.93

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
        # Prices that are known to be too low and high enough.
        low, high = least, math.inf
        price, items, chosen = least, (), None
        for _ in range(_CODINGS if self._choices else 0):
            price = self._price(8 * max_bytes, least)
            if price != least and not low < price < high:
                price = _RISE * low if high == math.inf else math.sqrt(low * high)
            before, items = items, self._ranked(price)
            if chosen is None or items != before:
                chosen = self._code(items, price)
            if chosen is None or chosen.coded.ends[-1] <= max_bytes:
                high = price
            else:
                low = price
                continue
            if chosen is None:
                if price <= least:
                    break
                continue
            size = chosen.coded.ends[-1]
            if best is None or size > best.coded.ends[-1]:
                best = chosen
            if size >= _NEAR * max_bytes or price <= least:
                break
        # What gains least is left out until the rest fits, be it nothing.
        while best is None:
            chosen = self._code(items, price)
            if chosen is not None and chosen.coded.ends[-1] <= max_bytes:
                best = chosen
            elif not items:
                break
            items = items[:len(items) // 2]
        if best is None or best.price <= least:
            return best
        return self._filled(best, max_bytes) or best

    def _filled(self, chosen: Chosen, max_bytes: int) -> Chosen | None:
        """Return the options with some a level finer, where there is room; None for none."""
        room = 8 * (max_bytes - chosen.coded.ends[-1])
        items = list(chosen.items)
        while True:
            found = []
            for place, (index, option) in enumerate(items):
                choice, finer = self._choices[index], self._choices[index].finer(option)
                if finer is not None and finer.gain > option.gain:
                    more = max(choice.bits(finer) - choice.bits(option), 1.0)
                    if more <= room:
                        found.append(((finer.gain - option.gain) / more, place, finer, more))
            if not found:
                break
            _, place, finer, more = max(found, key=lambda entry: entry[:2])
            items[place] = items[place][0], finer
            room -= more
        if tuple(items) == chosen.items:
            return None
        filled = self._code(tuple(items), chosen.price)
        return filled if filled.coded.ends[-1] <= max_bytes else None

    def _code(self, items: Items, price: float) -> Chosen | None:
        written = self._write(items)
        if written is None:
            return None
        coded, bits = written
        for (index, option), size in zip(items, bits):
            if size is not None:
                self._choices[index].learn(option, size - HEAD_BITS)
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
        def fits(price: float) -> bool:
            bits = sum(self._choices[index].bits(option) + HEAD_BITS
                       for index, option in self._ranked(price))
            return self._fixed_bits + bits <= room_bits

        if fits(least):
            return least
        low, high = math.log(least), math.log(self._highest(least))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if fits(math.exp(middle)):
                high = middle
            else:
                low = middle
        return math.exp(high)

    def _highest(self, least: float) -> float:
        """Return a price at which hardly anything is bought, more than ``least``."""
        return max([2 * least, *(8 * choice.price_of(4, 0) for choice in self._choices)])
