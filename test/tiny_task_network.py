# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Task networks of a few thousand random weights, in directories as the hub's models come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def _numbered(names: Sequence[str]) -> dict[str, dict]:
    return {'id2label': dict(enumerate(names)),
            'label2id': {name: number for number, name in enumerate(names)}}


def write_depth_anything(directory: Path, *, metric: bool = False, seed: int = 1) -> Path:
    """Write a Depth-Anything-V2 for frames of about 56 pixels, and return its directory."""
    import torch
    from transformers import (
        DepthAnythingConfig,
        DepthAnythingForDepthEstimation,
        Dinov2Config,
        DPTImageProcessor,
    )

    torch.manual_seed(seed)
    backbone = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14,
        out_indices=[1, 2], apply_layernorm=True, reshape_hidden_states=False)
    config = DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=32,
        reassemble_factors=[1, 0.5], neck_hidden_sizes=[16, 32], fusion_hidden_size=16,
        head_hidden_size=8, depth_estimation_type='metric' if metric else 'relative',
        max_depth=80 if metric else 1)
    DepthAnythingForDepthEstimation(config).save_pretrained(directory)
    DPTImageProcessor(
        size={'height': 56, 'width': 56}, keep_aspect_ratio=True, ensure_multiple_of=14,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    ).save_pretrained(directory)
    return directory


def write_mask2former(directory: Path, names: Sequence[str]) -> Path:
    """Write a Mask2Former with a Swin backbone, whose processor wants 96 x 96."""
    import torch
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        SwinConfig,
    )

    torch.manual_seed(2)
    backbone = SwinConfig(
        image_size=64, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 2], window_size=4,
        out_features=['stage1', 'stage2', 'stage3', 'stage4'])
    config = Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_feedforward_dim=32, encoder_layers=1, decoder_layers=2, num_attention_heads=2,
        dim_feedforward=32, num_queries=20, **_numbered(names))
    Mask2FormerForUniversalSegmentation(config).save_pretrained(directory)
    Mask2FormerImageProcessor(
        size={'height': 96, 'width': 96}, num_labels=len(names), ignore_index=255
    ).save_pretrained(directory)
    return directory


def write_segformer(directory: Path, names: Sequence[str]) -> Path:
    """Write a SegFormer whose processor wants 64 x 64."""
    import torch
    from transformers import (
        SegformerConfig,
        SegformerForSemanticSegmentation,
        SegformerImageProcessor,
    )

    torch.manual_seed(3)
    config = SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16, **_numbered(names))
    SegformerForSemanticSegmentation(config).save_pretrained(directory)
    SegformerImageProcessor(size={'height': 64, 'width': 64}).save_pretrained(directory)
    return directory


def write_rt_detr(directory: Path, names: Sequence[str]) -> Path:
    """Write an RT-DETR with a ResNet backbone, whose processor wants 64 x 64."""
    import torch
    from transformers import (
        RTDetrConfig,
        RTDetrForObjectDetection,
        RTDetrImageProcessor,
        RTDetrResNetConfig,
    )

    torch.manual_seed(4)
    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type='basic',
        out_features=['stage2', 'stage3', 'stage4'])
    config = RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 16, 16],
        encoder_layers=1, encoder_ffn_dim=16, encoder_attention_heads=2, d_model=16,
        num_queries=20, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=2,
        decoder_attention_heads=2, num_denoising=0,
        initializer_bias_prior_prob=0.4, **_numbered(names))
    RTDetrForObjectDetection(config).save_pretrained(directory)
    RTDetrImageProcessor(size={'height': 64, 'width': 64}).save_pretrained(directory)
    return directory
