"""Sets of clips as numbers that can be scored, and the scores.

N clips   W windows of a clip   D dimensions   C classes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from sao_model.metrics.intervals import Estimate

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What made embeddings: numbers of two embedders say nothing of one another."""

    name: str  # "clap": the plugin, or what a file of embeddings calls it
    model: str  # hub id or the like
    revision: str
    digest: str  # sha256 of the weights
    num_dimensions: int

    def __str__(self) -> str:
        return f"{self.name} ({self.model}@{self.revision}, {self.num_dimensions}-d, {self.digest[:12]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSet:
    """The clips of a set, each with its windows."""

    identity: Identity
    keys: tuple[str, ...]
    groups: tuple[str, ...]  # of each: the key of the reference clip it is a version of; '' = of none
    windows: tuple[Floats, ...]  # (W, D) each
    logits: tuple[Floats, ...] = ()  # (W, C) each, where the embedder is a tagger
    texts: tuple[Floats, ...] = ()  # (D,) each, of the prompts; (0,) = no prompt

    @property
    def clips_ND(self) -> Doubles:
        """The mean of each clip's windows."""
        return np.stack([each.mean(axis=0, dtype=np.float64) for each in self.windows])

    def only(self, keys: Sequence[str]) -> EmbeddedSet:
        """These clips, in this order."""
        place = {key: at for at, key in enumerate(self.keys)}
        chosen = [place[key] for key in keys]
        return replace(
            self,
            keys=tuple(keys),
            groups=tuple(self.groups[n] for n in chosen),
            windows=tuple(self.windows[n] for n in chosen),
            logits=tuple(self.logits[n] for n in chosen) if self.logits else (),
            texts=tuple(self.texts[n] for n in chosen) if self.texts else (),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One number of a table."""

    name: str
    estimate: Estimate
    better: Better
    unit: str
    notes: tuple[str, ...] = ()
    by_key: Mapping[str, float] = field(default_factory=dict)  # of each clip, where it is a mean over clips


class Score(Protocol):
    """What `build(config)` of a file in metrics/scores makes."""

    @property
    def needs(self) -> frozenset[str]:
        """Of: reference, logits, texts."""

    def measure(self, measured: EmbeddedSet, reference: EmbeddedSet | None) -> list[ScoreRow]:
        """Its numbers; none where there are too few clips."""

    def difference(
        self, first: EmbeddedSet, second: EmbeddedSet, reference: EmbeddedSet | None
    ) -> list[ScoreRow]:
        """Second less first, of sets with the same keys; what a prompt does to both falls out."""
