# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A Qwen2.5-VL of a few thousand random weights, in a directory as a real one comes."""

from __future__ import annotations

from pathlib import Path

IMAGE, VIDEO = '<|image_pad|>', '<|video_pad|>'
START, END, TURN = '<|vision_start|>', '<|vision_end|>', '<|im_end|>'
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    f'{START}{IMAGE}{END}'
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def make(directory: Path) -> Path:
    """Write model, tokenizer and image processor into `directory`, and return it."""
    from tokenizers import decoders, models, pre_tokenizers, Tokenizer, trainers
    import torch
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2TokenizerFast,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    special = ['<|endoftext|>', '<|im_start|>', TURN, START, END, IMAGE, VIDEO]
    bytes_to_text = Tokenizer(models.BPE())
    bytes_to_text.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_to_text.decoder = decoders.ByteLevel()
    bytes_to_text.train_from_iterator(
        ['a rover stands before a red rock', 'the sky is grey, the ground is sand'],
        trainers.BpeTrainer(vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                            special_tokens=special))
    tokenizer = Qwen2TokenizerFast(
        tokenizer_object=bytes_to_text, eos_token=TURN, pad_token='<|endoftext|>')
    number = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            'vocab_size': len(tokenizer), 'hidden_size': 32, 'intermediate_size': 64,
            'num_hidden_layers': 2, 'num_attention_heads': 4, 'num_key_value_heads': 2,
            'max_position_embeddings': 2048, 'eos_token_id': number(TURN),
            'pad_token_id': number('<|endoftext|>'), 'bos_token_id': None,
            'rope_parameters': {'rope_type': 'default', 'rope_theta': 10000.0,
                                'mrope_section': [1, 1, 2]}},
        vision_config={
            'depth': 2, 'hidden_size': 32, 'intermediate_size': 64, 'num_heads': 4,
            'out_hidden_size': 32, 'fullatt_block_indexes': [1]},
        image_token_id=number(IMAGE), video_token_id=number(VIDEO),
        vision_start_token_id=number(START), vision_end_token_id=number(END))
    torch.manual_seed(1)
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.save_pretrained(directory)
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(), tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(), chat_template=TEMPLATE).save_pretrained(directory)
    return directory
