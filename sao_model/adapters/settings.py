"""What an adapter is to be: kind, rank, and which layers of the transformer it changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from sao_data.errors import UsageError

Kind = Literal["lora", "dora", "rslora"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The defaults change every projection of the blocks: attention, cross-attention, feed-forward."""

    kind: Literal["", "lora", "dora", "rslora"] = ""  # '' = no adapter: all weights of the model are learned
    rank: int = 16
    alpha: float = 0.0  # the change is scaled by alpha / rank (rslora: alpha / sqrt(rank)); 0: alpha = rank
    dropout: float = 0.0  # of what goes into the adapter, while training
    targets: tuple[str, ...] = ("blocks.*.self_attn.*", "blocks.*.cross_attn.*", "blocks.*.ff.*")
    base_dtype: Literal["float32", "bf16"] = "float32"  # of the frozen layers; bf16 wants precision = bf16

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UsageError(f"adapter.rank: {self.rank}; want at least 1 (16 is usual)")
        if not math.isfinite(self.alpha) or self.alpha < 0:
            raise UsageError(f"adapter.alpha: {self.alpha}; want a number above 0, or 0 for that of the rank")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"adapter.dropout: {self.dropout}; want 0 (none) or a share below 1")
        if not self.targets:
            raise UsageError("adapter.targets: none; name layers, e.g. blocks.*.self_attn.*")

    def __bool__(self) -> bool:
        """Is an adapter learned, instead of the whole model?"""
        return bool(self.kind)


def scaling(kind: Kind, rank: int, alpha: float) -> float:
    """What the product of an adapter's two matrices is multiplied by (Hu et al. 2021; Kalajdzievski 2023)."""
    return alpha / (math.sqrt(rank) if kind == "rslora" else rank)
