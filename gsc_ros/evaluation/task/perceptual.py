# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
LPIPS, DISTS and the features of FID, by piq's networks with weights that lie on this machine.

    LPIPS   Zhang et al. 2018, VGG16 with the weights learned for it; 0 for equal images
    DISTS   Ding et al. 2020; smaller sides of more than 256 pixels are scaled to 256; 0 for equal
            images
    FID     Heusel et al. 2017, the Inception network of the original as ported by pytorch-fid, on
            images scaled to 299 x 299: the distance of two Gaussians fitted to its 2048 features

torch, torchvision and piq are imported when a network is made: only those have them who evaluate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gsc_ros.evaluation.task.weight import (
    DISTS,
    INCEPTION,
    LPIPS,
    VGG16,
    WeightError,
    WeightFolder,
)
import numpy as np
import numpy.typing as npt

FEATURES = 2048
# The layers of torchvision's VGG16 that both metrics look at: relu1_2, 2_2, 3_3, 4_3 and 5_3.
_LAYERS = ('3', '8', '15', '22', '29')
# What each of them has, behind the picture's own three channels.
_CHANNELS = (3, 64, 128, 256, 512, 512)

Image = npt.NDArray[np.uint8]
#: Takes reference and image, uint8 [H, W, 3] RGB of the same size.
Distance = Callable[[Image, Image], float]


def lpips(weights: WeightFolder) -> Distance:
    """
    Return the metric LPIPS.

    :raises WeightError: its weights are missing or are those of something else.
    """
    from piq.perceptual import ContentLoss
    return _distance(_made(LPIPS.name, lambda: ContentLoss(
        _vgg16(weights), layers=_LAYERS, weights=weights.load(LPIPS), normalize_features=True)))


def dists(weights: WeightFolder) -> Distance:
    """
    Return the metric DISTS.

    :raises WeightError: its weights are missing or are those of something else.
    """
    import piq
    from piq.perceptual import ContentLoss
    import torch

    class LocalDISTS(piq.DISTS):
        """DISTS, but for the constructor that downloads."""

        def __init__(self) -> None:
            learned = weights.load(DISTS)
            split = [part for name in ('alpha', 'beta')
                     for part in torch.split(learned[name], _CHANNELS, dim=1)]
            ContentLoss.__init__(self, _vgg16(weights), layers=_LAYERS, weights=split,
                                 replace_pooling=True, allow_layers_weights_mismatch=True)

    return _distance(_made(DISTS.name, LocalDISTS))


def inception(weights: WeightFolder) -> Callable[[Image], npt.NDArray[np.float32]]:
    """
    Return what gives the features of an image, float32 [2048].

    :raises WeightError: its weights are missing or are those of something else.
    """
    from piq.feature_extractors import fid_inception
    import torch

    class LocalInception(fid_inception.InceptionV3):
        """The network of FID, but for the step that downloads."""

        @staticmethod
        def fid_inception_v3() -> torch.nn.Module:
            # torchvision's network with the blocks that differ in the original.
            network = fid_inception.models.inception_v3(
                num_classes=1008, aux_logits=False, weights=None, init_weights=False)
            for name, features in (('5b', 32), ('5c', 64), ('5d', 64)):
                channels = getattr(network, f'Mixed_{name}').branch1x1.conv.in_channels
                setattr(network, f'Mixed_{name}',
                        fid_inception.FIDInceptionA(channels, pool_features=features))
            for name, width in (('6b', 128), ('6c', 160), ('6d', 160), ('6e', 192)):
                setattr(network, f'Mixed_{name}',
                        fid_inception.FIDInceptionC(768, channels_7x7=width))
            network.Mixed_7b = fid_inception.FIDInceptionE1(1280)
            network.Mixed_7c = fid_inception.FIDInceptionE2(2048)
            network.load_state_dict(weights.load(INCEPTION))
            return network

    network = _made(INCEPTION.name, LocalInception).eval()

    def features(image: Image) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return network(_tensor(image))[0].reshape(-1).numpy()

    return features


def frechet_distance(features: npt.NDArray[np.floating],
                     others: npt.NDArray[np.floating]) -> float:
    """
    Return |m - m'|^2 + tr(S + S' - 2 (S S')^1/2) of the Gaussians fitted to two sets.

    From fewer than 2048 images the covariances have no full rank and the distance is far too large:
    such figures compare methods on the same images, and nothing else.

    :param features: [N, D], N >= 2.
    :param others: [M, D], M >= 2.
    """
    first, second = (np.asarray(one, np.float64) for one in (features, others))
    if min(len(first), len(second)) < 2:
        raise ValueError('a distance of distributions needs two images or more')
    mean = first.mean(axis=0) - second.mean(axis=0)
    # The centred features themselves stand for the roots of the covariances: the trace of
    # (S S')^1/2 is the sum of the singular values of their product, N x M instead of D x D.
    first, second = ((one - one.mean(axis=0)) / np.sqrt(len(one) - 1) for one in (first, second))
    shared = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    distance = mean @ mean + (first ** 2).sum() + (second ** 2).sum() - 2 * shared
    return max(float(distance), 0.0)


def _made(name: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError) as error:
        reason = str(error).partition('\n')[0]
        raise WeightError(f'{name}: not the weights of this network: {reason}') from error


def _vgg16(weights: WeightFolder) -> Any:
    """Return the convolutions of torchvision's VGG16."""
    import torch
    from torchvision.models import vgg16
    # Without memory until the weights are there: the dense layers, which nobody asks for, are 90 %
    # of the network.
    with torch.device('meta'):
        network = vgg16(weights=None, init_weights=False).features
    state = {name.removeprefix('features.'): tensor
             for name, tensor in weights.load(VGG16).items() if name.startswith('features.')}
    network.load_state_dict(state, assign=True)
    return network


def _distance(network: Any) -> Distance:
    import torch

    def distance(reference: Image, image: Image) -> float:
        with torch.inference_mode():
            return float(network(_tensor(image), _tensor(reference)))

    return distance


def _tensor(image: Image) -> Any:
    """Return float32 [1, 3, H, W], 0..1."""
    import torch
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
