# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Changes of parameters under way: on the ground, and on the rover.

A change is repeated until its answer is here. The rover remembers what it has answered, so that a
late copy of a change never undoes a newer one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
import secrets

from gsc_ros.nodes.diagnostic import brief
from gsc_ros.nodes.remote_parameter import (
    allowed,
    ParameterAnswer,
    ParameterChange,
    Scalar,
    scalar,
)
from rcl_interfaces.msg import ParameterValue

# Changes that are under way at once, and answers that the rover remembers.
MAX_PENDING = 16
MAX_ANSWERED = 64
# A change of which nothing is heard is sent again after this, or after the pause that the way back
# needs, where that is longer.
REPEAT_NS = 3_000_000_000


@dataclass
class _Change:
    data: bytes
    deadline_ns: int
    due_ns: int
    done: Callable[[bool, str], None]


class GroundParameters:
    """Sends changes until they are answered; for one thread."""

    def __init__(self, send: Callable[[bytes], bool], pause_ns: Callable[[int], int]) -> None:
        """
        Begin without a change.

        :param send: offers a message; False when there is no room for it now. Raises ValueError
            when it can never cross.
        :param pause_ns: returns the time between two messages of that many bytes.
        """
        self._send = send
        self._pause_ns = pause_ns
        self._changes: OrderedDict[int, _Change] = OrderedDict()
        # So that the rover does not take the first for one that it knows from before a restart.
        self._number = secrets.randbelow(2 ** 32)
        self._free_ns = 0
        self.asked = self.accepted = self.refused = self.expired = 0

    def set(self, name: str, value: ParameterValue, now_ns: int, timeout_ns: int,
            done: Callable[[bool, str], None]) -> None:
        """
        Set a parameter of the rover.

        :param done: called once, with whether it has the value now, and why not.
        """
        self.asked += 1
        self._number = (self._number + 1) % 2 ** 32
        content = scalar(value)
        if content is None:
            self._finish(done, False, 'only bool, integer, double and string cross the link')
        elif len(self._changes) >= MAX_PENDING:
            self._finish(done, False, f'{MAX_PENDING} changes wait already')
        else:
            try:
                data = ParameterChange(self._number, name, content).pack()
            except ValueError as error:
                self._finish(done, False, str(error))
                return
            self._changes[self._number] = _Change(data, now_ns + timeout_ns, now_ns, done)
            self.tick(now_ns)

    def take(self, data: bytes) -> bool:
        """Take what has come out of the link; return whether it was about parameters."""
        answer = ParameterAnswer.parse(data)
        if answer is None:
            return False
        change = self._changes.pop(answer.number, None)
        if change is not None:
            self._finish(change.done, answer.accepted, answer.reason)
        return True

    def tick(self, now_ns: int) -> None:
        """Send what is due, give up what is late."""
        for number, change in list(self._changes.items()):
            if now_ns >= change.deadline_ns:
                del self._changes[number]
                self.expired += 1
                change.done(False, 'the rover has not answered in time; it may have the value')
            elif now_ns >= max(change.due_ns, self._free_ns):
                try:
                    sent = self._send(change.data)
                except ValueError as error:
                    del self._changes[number]
                    self._finish(change.done, False, f'name and value are too long: {error}')
                    continue
                if sent:
                    pause_ns = self._pause_ns(len(change.data))
                    self._free_ns = now_ns + pause_ns
                    change.due_ns = now_ns + max(REPEAT_NS, pause_ns)

    def clear(self, reason: str) -> None:
        """Give up all changes."""
        while self._changes:
            self._finish(self._changes.popitem()[1].done, False, reason)

    def _finish(self, done: Callable[[bool, str], None], accepted: bool, reason: str) -> None:
        self.accepted += accepted
        self.refused += not accepted
        done(accepted, reason)


class RoverParameters:
    """Applies the changes of an allow-list; for one thread."""

    def __init__(self, patterns: Callable[[], Iterable[str]], say: Callable[[bytes], bool],
                 apply: Callable[[str, str, Scalar, Callable[[bool, str], None]], None],
                 room: Callable[[], int]) -> None:
        """
        Begin without a change.

        :param patterns: returns what the ground may set, see :func:`allowed`.
        :param say: offers a control message.
        :param apply: sets a parameter of a node to a value, and calls a function once with whether
            it was accepted, and why not.
        :param room: returns the bytes of a control message, at most.
        """
        self._patterns = patterns
        self._room = room
        self._say = say
        self._apply = apply
        # By number, the oldest first; None while a node has not answered.
        self._answers: OrderedDict[int, ParameterAnswer | None] = OrderedDict()
        self.accepted = self.refused = 0

    def take(self, data: bytes) -> bool:
        """Take what has come out of the link; return whether it was about parameters."""
        change = ParameterChange.parse(data)
        if change is None:
            return False
        if change.number in self._answers:
            answer = self._answers[change.number]
            if answer is not None:
                self._tell(answer)
            return True
        self._answers[change.number] = None
        while len(self._answers) > MAX_ANSWERED:
            self._answers.popitem(last=False)
        if allowed(change.name, self._patterns()):
            node, _, parameter = change.name.partition('.')
            self._apply(node, parameter, change.value,
                        lambda accepted, reason: self._answer(change.number, accepted, reason))
        else:
            self._answer(change.number, False, (
                f'{brief(change.name)} is not among the remote_parameters of the rover'))
        return True

    def _answer(self, number: int, accepted: bool, reason: str) -> None:
        self.accepted += accepted
        self.refused += not accepted
        answer = ParameterAnswer(number, accepted, reason)
        if number in self._answers:
            self._answers[number] = answer
        self._tell(answer)

    def _tell(self, answer: ParameterAnswer) -> None:
        self._say(answer.pack(self._room()))
