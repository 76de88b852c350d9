# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pictures, latents and texts as tokens.

An image token is a 2x2 patch of the autoencoder's latent, whose stride is 8: one token covers 16
pixels a side, just as a latent position of a structure profile of stride 16 does.
"""

from __future__ import annotations

import numpy as np

# As ByT5 numbers them: 3 + byte.
PAD = 0
END = 1
FIRST_BYTE = 3
BYTE_VOCABULARY = FIRST_BYTE + 256


def pack(latents: np.ndarray) -> np.ndarray:
    """
    Return latents as tokens, each a 2x2 patch.

    :param latents: ``[B, C, 2 h, 2 w]``.
    :return: ``[B, h w, 4 C]``, row by row; in a token the channel varies slowest.
    """
    batch, channels, height, width = latents.shape
    split = latents.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return np.ascontiguousarray(split.transpose(0, 2, 4, 1, 3, 5)).reshape(
        batch, height // 2 * (width // 2), channels * 4)


def unpack(tokens: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """
    Return tokens as latents: what :func:`pack` undid.

    :param tokens: ``[B, rows columns, 4 C]``.
    :return: ``[B, C, 2 rows, 2 columns]``.
    """
    batch, _, size = tokens.shape
    split = tokens.reshape(batch, rows, columns, size // 4, 2, 2)
    return np.ascontiguousarray(split.transpose(0, 3, 1, 4, 2, 5)).reshape(
        batch, size // 4, rows * 2, columns * 2)


def image_ids(rows: int, columns: int) -> np.ndarray:
    """Return the positions of image tokens, float32 ``[rows columns, 3]``: 0, row, column."""
    ids = np.zeros((rows, columns, 3), np.float32)
    ids[..., 1] = np.arange(rows)[:, None]
    ids[..., 2] = np.arange(columns)
    return ids.reshape(-1, 3)


def text_ids(length: int) -> np.ndarray:
    """Return the positions of text tokens, float32 ``[length, 3]``: all 0."""
    return np.zeros((length, 3), np.float32)


def byte_tokens(text: str, length: int) -> np.ndarray:
    """
    Return a text as the tokens of its UTF-8 bytes.

    :param length: number of tokens, >= 1; a longer text is cut.
    :return: int64 ``[length]``: bytes, one end, padding.
    """
    tokens = np.full(length, PAD, np.int64)
    coded = np.frombuffer(text.encode('utf-8')[:length - 1], np.uint8)
    tokens[:len(coded)] = coded.astype(np.int64) + FIRST_BYTE
    tokens[len(coded)] = END
    return tokens


def latent_tokens(latent: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """
    Return a structure latent on the grid of the image tokens.

    Where its positions are larger than tokens, each is repeated.

    :param latent: float32 ``[C, h, w]``.
    :param rows: rows of image tokens.
    :param columns: columns of image tokens.
    :return: float32 ``[rows columns, C]``.
    :raises ValueError: when the latent is not one of this grid, or of a coarser one.
    """
    height, width = latent.shape[1:]
    factor = max(-(-rows // height), -(-columns // width))
    if -(-rows // factor) != height or -(-columns // factor) != width:
        raise ValueError(f'a latent of {height}x{width} is not on a grid of {rows}x{columns}')
    if factor > 1:
        latent = latent.repeat(factor, axis=1).repeat(factor, axis=2)
    return np.ascontiguousarray(latent[:, :rows, :columns].reshape(len(latent), -1).T)
