# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The importance network.

::

    image [N, 3, h, w] ─/2─> 16 ─/4─> 24 ─/8─> 32 ───────────(+)─ head ─> score, box
                                            └─/16─> 64 ─(+)─up─┘
                                                     └─/32─> 80 ┘up

Coarse cells see half the picture; fine ones say exactly where. About 0.4 million weights.
"""

from __future__ import annotations

from gsc_ros.training.importance_data import STRIDE
import torch
from torch import nn, Tensor
from torch.nn import functional

#: Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture, and of the head.
WIDTHS = (16, 24, 32, 64, 80)
HEAD = 32
# A cell's score before training: things are rare.
_PRIOR = -4.0
# Sides of a box before training, pixels, and the largest from the middle of a cell.
_SIDE = 24.0
_MOST_SIDE = 1024.0


class ImportanceNetwork(nn.Module):
    """Says for each cell of 8 pixels whether a thing is there, and how far it reaches."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth, coarse = WIDTHS
        self.fine = nn.Sequential(
            convolution(3, half, stride=2), convolution(half, quarter, stride=2),
            convolution(quarter, eighth, stride=2), Residual(eighth))
        self.middle = nn.Sequential(
            convolution(eighth, sixteenth, stride=2), Residual(sixteenth), Residual(sixteenth))
        self.coarse = nn.Sequential(
            convolution(sixteenth, coarse, stride=2), Residual(coarse), Wide(coarse))
        self.from_fine = convolution(eighth, HEAD, 1)
        self.from_middle = convolution(sixteenth, HEAD, 1)
        self.from_coarse = convolution(coarse, HEAD, 1)
        self.join = Residual(HEAD)
        self.head = nn.Sequential(Residual(HEAD), nn.Conv2d(HEAD, 5, 1))
        last = self.head[-1]
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([_PRIOR] + [torch.tensor(_SIDE / STRIDE).log()] * 4))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """
        Look at pictures.

        :param image: float32 [N, 3, h, w] RGB in 0..1, sides in multiples of 32.
        :return: score before the sigmoid, [N, 1, h / 8, w / 8], and box, [N, 4, h / 8, w / 8]:
            left, top, right, bottom in pixels.
        """
        fine = self.fine((image - 0.45) * 4)
        middle = self.middle(fine)
        joined = self.from_middle(middle) + doubled(self.from_coarse(self.coarse(middle)))
        answer = self.head(self.join(self.from_fine(fine) + doubled(joined)))
        score, sides = answer[:, :1], answer[:, 1:]
        sides = (sides.clamp(max=5).exp() * STRIDE).clamp(max=_MOST_SIDE)
        # The middles of the cells, without asking for sizes: the exported graph takes any.
        ones = torch.ones_like(score)
        x = (ones.cumsum(3) - 0.5) * STRIDE
        y = (ones.cumsum(2) - 0.5) * STRIDE
        left, top, right, bottom = sides.split(1, 1)
        return score, torch.cat([x - left, y - top, x + right, y + bottom], 1)


class Exported(nn.Module):
    """The network as its graph answers: scores in 0..1."""

    def __init__(self, network: ImportanceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return score and box."""
        score, box = self.network(image)
        return score.sigmoid(), box


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(convolution(width, width), convolution(width, width, act=False))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return functional.relu(x + self.layers(x))


class Wide(nn.Module):
    """A convolution of single channels that reaches far, beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        wide = 2 * width
        self.layers = nn.Sequential(
            convolution(width, wide, 1), convolution(wide, wide, 5, groups=wide),
            convolution(wide, width, 1, act=False))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return x + self.layers(x)


def convolution(inputs: int, outputs: int, side: int = 3, stride: int = 1, groups: int = 1,
                act: bool = True) -> nn.Sequential:
    """Return a convolution with normalisation, which export folds into it."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU()] if act else []))


def doubled(x: Tensor) -> Tensor:
    """Return features at twice the size."""
    return functional.interpolate(x, scale_factor=2.0, mode='nearest')
