# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Captions to what the transformer takes, as FLUX does it.

T5 gives an embedding of every token, CLIP one of the whole text. Padding is not masked: the models
were trained so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gsc_ros.codec.generator.flux.config import CLIP_TOKENS
from gsc_ros.codec.generator.token import byte_tokens
import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTextModel, T5EncoderModel


@dataclass
class TextEncoders:
    """
    Both encoders with their tokenizers.

    :param t5: encoder of the tokens.
    :param clip: encoder of the whole text.
    :param text_tokens: text tokens for the transformer, padded, always.
    :param t5_tokenizer: tokenizer of T5; None for bytes, as `tiny` has them.
    :param clip_tokenizer: tokenizer of CLIP; None for bytes.
    """

    t5: T5EncoderModel
    clip: CLIPTextModel
    text_tokens: int
    t5_tokenizer: Any = None
    clip_tokenizer: Any = None

    def embed(self, texts: Sequence[str], device: torch.device | None = None) -> tuple[
            Tensor, Tensor]:
        """
        Embed texts.

        :param texts: B captions.
        :param device: where the encoders compute; None for where their weights are.
        :return: embedded text ``[B, text_tokens, D]`` and pooled ``[B, P]``, in the encoders'
            precision.
        """
        t5 = _tokens(self.t5_tokenizer, texts, self.text_tokens)
        clip = _tokens(self.clip_tokenizer, texts, CLIP_TOKENS)
        text = self.t5(t5.to(device or self.t5.device))[0]
        pooled = self.clip(clip.to(device or self.clip.device)).pooler_output
        return text, pooled


def _tokens(tokenizer: Any, texts: Sequence[str], length: int) -> Tensor:
    """Return int64 tokens ``[B, length]``."""
    if tokenizer is None:
        return torch.from_numpy(np.stack([byte_tokens(text, length) for text in texts]))
    return tokenizer(
        list(texts), padding='max_length', max_length=length, truncation=True,
        return_tensors='pt').input_ids
