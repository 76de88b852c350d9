# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth networks of transformers: Depth-Anything-V2 and whatever else it opens as one."""

from __future__ import annotations

from gsc_ros.perception.network.network import (
    DepthKind,
    NetworkError,
    NetworkSettings,
    Picture,
    Task,
)
from gsc_ros.perception.network.transformers_model import HubModel
import numpy as np
import numpy.typing as npt
from transformers import AutoModelForDepthEstimation

DEPTH_ANYTHING = 'depth-anything/Depth-Anything-V2-Large-hf'

# What the architectures answer that are always of one kind.
_KINDS: dict[str, DepthKind] = {
    'dpt': 'disparity', 'glpn': 'metres', 'zoedepth': 'metres', 'depth_pro': 'metres'}


class TransformersDepth:
    """
    A depth network.

    The model's own image processor brings the picture to the network's size, and the answer back by
    bicubic interpolation.

    :raises NetworkError: see HubModel; or it is not known whether it answers disparity or metres.
    """

    task = Task.DEPTH

    def __init__(self, settings: NetworkSettings, default: str | None = None) -> None:
        self._hub = HubModel(lambda _: AutoModelForDepthEstimation, settings, default)
        self.name, self.identity = self._hub.name, self._hub.identity
        config = self._hub.config
        if config.model_type == 'depth_anything':
            is_metric = config.depth_estimation_type == 'metric'
            self.kind: DepthKind = 'metres' if is_metric else 'disparity'
        elif config.model_type in _KINDS:
            self.kind = _KINDS[config.model_type]
        else:
            known = ', '.join(('depth_anything', *_KINDS))
            raise NetworkError(f'{self.name}: whether {config.model_type} answers disparity or '
                               f'metres is not known, only of {known}')

    def __call__(self, image: Picture) -> npt.NDArray[np.float32]:
        """Return the depth; see DepthNetwork."""
        hub = self._hub
        with hub.inference():
            inputs = hub.processor(images=image, input_data_format='channels_last',
                                   return_tensors='pt').to(hub.device)
            outputs = hub.model(**inputs)
            found = hub.processor.post_process_depth_estimation(
                outputs, target_sizes=[image.shape[:2]])
            depth = found[0]['predicted_depth'].float().cpu().numpy()
        return np.ascontiguousarray(depth.reshape(image.shape[:2]), np.float32)


def depth_anything_v2(settings: NetworkSettings) -> TransformersDepth:
    """Open Depth-Anything-V2 Large, or the depth network that the settings name."""
    return TransformersDepth(settings, DEPTH_ANYTHING)
