"""Stable Audio Open as pages to read: codec, conditioners, DiT, diffusion, guidance, samplers, model.

`StableAudio` is all of it as a library; it is imported when it is asked for, since PyTorch takes seconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sao_model.stable_audio import StableAudio

__all__ = ["StableAudio"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(importlib.import_module("sao_model.stable_audio"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
