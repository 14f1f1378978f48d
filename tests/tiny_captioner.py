"""A tiny random Qwen2-Audio, saved as the published one is."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    WhisperFeatureExtractor,
)

MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
WORDS = ("unknown", "rain", "falls", "on", "a", "roof", "dog", "barks", "far", "away", "wind", "and", "birds")


def qwen2_audio(folder: Path, *, words: tuple[str, ...] = WORDS, shards: bool = False) -> Path:
    """One layer of 8 each; what it says follows from the audio, and makes no sense."""
    torch.manual_seed(3)
    torch.set_num_threads(1)
    tokens = tokenizer(words)
    shape = Qwen2AudioConfig(
        audio_config={
            "d_model": 8, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 8,
            "num_mel_bins": 16, "max_source_positions": 1500,
        },
        text_config={
            "model_type": "qwen2", "vocab_size": len(tokens), "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
        },
        audio_token_index=tokens.convert_tokens_to_ids("<|AUDIO|>"),
    )  # fmt: skip
    model = Qwen2AudioForConditionalGeneration(shape)
    with torch.no_grad():  # else every answer is one word over and over, whatever is heard
        for value in model.parameters():
            value.mul_(8.0)
    model.save_pretrained(folder, **({"max_shard_size": "4KB"} if shards else {}))
    WhisperFeatureExtractor(feature_size=16).save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def tokenizer(words: tuple[str, ...]) -> PreTrainedTokenizerFast:
    vocabulary = {word: n for n, word in enumerate((*MARKS, *words))}
    made = Tokenizer(WordLevel(vocabulary, unk_token="unknown"))
    made.pre_tokenizer = WhitespaceSplit()
    marks = {"extra_special_tokens": list(MARKS[1:])}
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="unknown", pad_token=MARKS[0], eos_token=MARKS[0], **marks
    )
