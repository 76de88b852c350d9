# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A caption as one printable line."""

from __future__ import annotations

_DANGLING = ' ,;:-('


def one_line(text: str, max_characters: int) -> str:
    """
    Return `text` as one line of printable characters.

    White space of any kind becomes single spaces; control and format characters, and what is no
    character at all, are left out. What is too long ends after a word.

    :param max_characters: of the result, at most; at least 1.
    """
    printable = (letter if letter.isprintable() else ' ' if letter.isspace() else ''
                 for letter in text)
    line = ' '.join(''.join(printable).split())
    if len(line) <= max_characters:
        return line
    kept = line[:max_characters]
    if line[max_characters] not in _DANGLING and ' ' in kept:
        kept = kept[:kept.rindex(' ')]
    return kept.rstrip(_DANGLING)
