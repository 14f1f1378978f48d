"""Tiny random models, saved as the published ones are: AST and CLAP, fused and not."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    PreTrainedTokenizerFast,
)

AST_CLASSES, AST_FRAMES = 527, 128  # 1.28 s: as the published model, only shorter
CLAP_SECONDS = 1  # of a window
CLAP_DIMENSIONS = 8
WORDS = ("a", "tone", "noise", "at", "Hz", "rain")


def ast(folder: Path, names: dict[int, str] | None = None, *, num_frames: int = AST_FRAMES) -> Path:
    """Two layers of 16."""
    named = {number: f"Class {number}" for number in range(AST_CLASSES)} | (names or {})
    torch.manual_seed(0)
    torch.set_num_threads(1)
    shape = ASTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_length=num_frames,
        id2label=named,
        label2id={name: number for number, name in named.items()},
    )
    ASTForAudioClassification(shape).save_pretrained(folder)
    ast_extractor(num_frames).save_pretrained(folder)
    return folder


def ast_extractor(num_frames: int) -> ASTFeatureExtractor:
    """Some mel filters are empty, as in the published one; the tagger is silent about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return ASTFeatureExtractor(max_length=num_frames)


def clap(folder: Path, *, fused: bool, seconds: int = CLAP_SECONDS) -> Path:
    """Two stages of one layer, and a text encoder of one."""
    size = 16 if seconds == CLAP_SECONDS else 64  # mel bands: a longer picture is folded more often
    torch.manual_seed(1)
    torch.set_num_threads(1)
    shape = ClapConfig(
        projection_dim=CLAP_DIMENSIONS,
        text_config={
            "vocab_size": 16, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 96, "pad_token_id": 1,
        },
        audio_config={
            "window_size": 4, "spec_size": 4 * size, "num_mel_bins": size, "patch_size": 4,
            "patch_stride": [4, 4], "patch_embeds_hidden_size": 8, "depths": [1, 1],
            "num_attention_heads": [1, 2], "hidden_size": 16, "enable_fusion": fused, "num_classes": 4,
        },
    )  # fmt: skip
    ClapModel(shape).save_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ClapFeatureExtractor(
            feature_size=size, max_length_s=seconds, truncation="fusion" if fused else "rand_trunc"
        ).save_pretrained(folder)
    vocabulary = {word: n for n, word in enumerate(("<s>", "<pad>", "</s>", "<unk>", *WORDS))}
    tokens = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokens.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokens, unk_token="<unk>", pad_token="<pad>", model_max_length=77
    ).save_pretrained(folder)
    return folder
