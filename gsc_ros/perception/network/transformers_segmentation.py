# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Segmentation networks of transformers: Mask2Former, SegFormer and kin.

The answers of Mask2Former and MaskFormer become classes the way their authors and MMSegmentation
do it, with the masks at the full size of the frame first. transformers' own function goes through
384 x 384 whatever the picture, which costs a street its poles and signs.
"""

from __future__ import annotations

from typing import Any

from gsc_ros.perception.network.network import NetworkError, NetworkSettings, Picture, Task
from gsc_ros.perception.network.transformers_model import HubModel
import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate
from transformers import AutoModelForSemanticSegmentation, AutoModelForUniversalSegmentation
from transformers.image_utils import SizeDict
from transformers.models.auto.modeling_auto import MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES

MASK2FORMER = 'facebook/mask2former-swin-large-cityscapes-semantic'

_MASK_CLASSIFIERS = ('mask2former', 'maskformer')
#: Frames at the picture's own size are padded to a multiple of this, as detectron2 does.
_DIVISOR = 32
# Queries whose masks are held at full size at once: 16 of 2048 x 1024 are 134 MB.
_QUERIES_AT_ONCE = 16


class TransformersSegmentation:
    """
    A segmentation network.

    :param own_size: give Mask2Former and MaskFormer the picture as it is, as those for Cityscapes
        are evaluated; otherwise scale it as the model's own image processor says.
    :raises NetworkError: see HubModel; or the architecture wants more than a picture.
    """

    task = Task.SEGMENTATION

    def __init__(self, settings: NetworkSettings, default: str | None = None,
                 own_size: bool = False) -> None:
        self._hub = HubModel(_auto_class, settings, default)
        self.name = self._hub.name
        self.classes = self._hub.classes
        self._own_size = own_size and self._hub.config.model_type in _MASK_CLASSIFIERS
        self.identity = f'{self._hub.identity}{" own size" if self._own_size else ""}'
        if self._hub.config.model_type == 'oneformer':
            raise NetworkError(f'{self.name}: OneFormer wants a text beside the picture, which is '
                               'not given here')

    def __call__(self, image: Picture) -> npt.NDArray[np.int32]:
        """Return the class of each pixel; see SegmentationNetwork."""
        hub = self._hub
        options: dict[str, Any] = {}
        if self._own_size:
            height, width = (-(-side // _DIVISOR) * _DIVISOR for side in image.shape[:2])
            options = {'do_resize': False, 'pad_size': SizeDict(height=height, width=width)}
        with hub.inference():
            inputs = hub.processor(images=image, input_data_format='channels_last',
                                   return_tensors='pt', **options).to(hub.device)
            outputs = hub.model(**inputs)
            if hub.config.model_type in _MASK_CLASSIFIERS:
                labels = mask_classes(outputs.class_queries_logits[0],
                                      outputs.masks_queries_logits[0], inputs['pixel_mask'][0],
                                      image.shape[:2])
            else:
                labels = hub.processor.post_process_semantic_segmentation(
                    outputs, target_sizes=[image.shape[:2]])[0]
            return labels.cpu().numpy().astype(np.int32)


def mask_classes(class_logits: torch.Tensor, mask_logits: torch.Tensor, pixel_mask: torch.Tensor,
                 size: tuple[int, int]) -> torch.Tensor:
    """
    Turn the answers of a mask classifier into a class for each pixel.

    :param class_logits: float [queries, classes + 1], the last for no class.
    :param mask_logits: float [queries, h, w], of the frame at a fraction of its size.
    :param pixel_mask: int [H, W], 1 where the frame holds the picture, 0 in its padding.
    :param size: height and width of the picture.
    :return: int64 [height, width].
    """
    classes = class_logits.softmax(dim=-1)[:, :-1]
    rows, columns = int(pixel_mask[:, 0].sum()), int(pixel_mask[0].sum())
    scores = torch.zeros((classes.shape[1], rows, columns), device=classes.device)
    for first in range(0, len(classes), _QUERIES_AT_ONCE):
        some = slice(first, first + _QUERIES_AT_ONCE)
        masks = interpolate(mask_logits[None, some], size=tuple(pixel_mask.shape), mode='bilinear',
                            align_corners=False)[0, :, :rows, :columns].sigmoid()
        scores += torch.einsum('qc,qhw->chw', classes[some], masks)
    if (rows, columns) != tuple(size):
        scores = interpolate(scores[None], size=tuple(size), mode='bilinear',
                             align_corners=False)[0]
    return scores.argmax(dim=0)


def _auto_class(model_type: str) -> Any:
    """Return the class of transformers that opens a segmenter of an architecture."""
    if model_type in MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES:
        return AutoModelForUniversalSegmentation
    return AutoModelForSemanticSegmentation


def mask2former(settings: NetworkSettings) -> TransformersSegmentation:
    """Open Mask2Former Swin-L for Cityscapes, or the kin that the settings name."""
    return TransformersSegmentation(settings, MASK2FORMER, own_size=True)


def segmentation(settings: NetworkSettings) -> TransformersSegmentation:
    """Open the segmentation network that the settings name."""
    return TransformersSegmentation(settings)
