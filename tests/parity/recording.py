"""Recorded tensors of the reference implementations, and how far ours are from them."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.paths import SHARED

PARITY = SHARED / "parity"
PROMPTS = ["a dog barking in the rain", "128 BPM tech house drum loop", ""]

needs_recordings = pytest.mark.skipif(not PARITY.exists(), reason="../shared/data/parity is absent")


@cache
def recorded(name: str) -> dict[str, Tensor]:
    return load_file(PARITY / "io" / f"{name}.safetensors")


def distance(ours: Tensor, theirs: Tensor) -> float:
    """max|a-b| / max|b|; infinite for other shapes and for what is no number."""
    if ours.shape != theirs.shape:
        return math.inf
    found = float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max())
    return math.inf if math.isnan(found) else found


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
