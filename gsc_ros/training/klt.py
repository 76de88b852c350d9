# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The Karhunen-Loève transform of image blocks: what a structure model starts from.

A network that starts at random has to find a transform before the rate makes sense to it, and loses
most of its channels on the way. One that starts from the KLT has channels ordered by energy and a
uniform quantizer that is close to optimal, and only has to become better than linear.
"""

from __future__ import annotations

from gsc_ros.training.model import STRIDE, StructureModel
import numpy as np
import torch


def block_basis(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return the principal components of the 8x8 blocks of images.

    :param images: float32 [N, 3, h, w] in [-1, 1], h and w multiples of 8.
    :return: basis [192, 3, 8, 8], orthonormal, by falling variance; the variances [192]; the mean
        block [3, 8, 8].
    """
    count, planes, height, width = images.shape
    rows, columns = height // STRIDE, width // STRIDE
    blocks = images.reshape(count, planes, rows, STRIDE, columns, STRIDE)
    blocks = blocks.transpose(0, 2, 4, 1, 3, 5).reshape(-1, planes * STRIDE * STRIDE)
    mean = blocks.mean(axis=0, dtype=np.float64)
    centered = blocks - mean
    variance, vectors = np.linalg.eigh(centered.T @ centered / len(blocks))
    shape = (planes, STRIDE, STRIDE)
    # Signs are arbitrary: the largest weight of each component is made positive.
    vectors = vectors[:, ::-1].T
    signs = np.sign(vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)])
    vectors = vectors * signs[:, None]
    return vectors.reshape(-1, *shape), np.maximum(variance[::-1], 0), mean.reshape(shape)


@torch.no_grad()
def start_from_blocks(model: StructureModel, images: np.ndarray) -> None:
    """
    Set the linear parts of a model to the KLT of blocks, and what follows from its variances.

    :param model: a new model; channels beyond the 192 components of a block keep small random
        weights in the synthesis and none in the analysis.
    :param images: float32 [N, 3, h, w] in [0, 1], h and w multiples of 8.
    """
    basis, variance, mean = block_basis(images * 2 - 1)
    count = min(model.config.latent, len(basis))
    vectors = torch.from_numpy(basis[:count]).float()
    analysis, synthesis = model.g_a.linear, model.g_s.linear
    analysis.weight.zero_()
    analysis.bias.zero_()
    analysis.weight[:count] = vectors
    analysis.bias[:count] = -(vectors * torch.from_numpy(mean).float()).sum(dim=(1, 2, 3))
    synthesis.weight[:count] = vectors
    # A block's mean is one value per place in it; ConvTranspose2d has one per colour.
    synthesis.bias[:] = torch.from_numpy(mean.mean(axis=(1, 2))).float()
    deviation = torch.from_numpy(np.sqrt(variance[:count])).float()
    spread = torch.full((model.config.latent,), float(deviation[-1]))
    spread[:count] = deviation
    # The network sees channels of comparable size, and the rate model knows how large they are.
    model.g_s.enter.weight.div_((spread + 0.2)[None, :, None, None])
    scale = (spread * model.log_gain.exp()).clamp(0.05, 50)
    model.rate.base.copy_((0.6 * scale).expm1().log().expand_as(model.rate.base))
