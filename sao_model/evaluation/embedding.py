"""Embedders behind one interface, those that are at hand here, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from sao_data import plugins
from sao_data.errors import UsageError
from sao_model.evaluation.settings import Config
from sao_model.metrics.embedded import Identity

Floats = npt.NDArray[np.float32]

A = TypeVar("A")
R = TypeVar("R")

USUAL = ("clap", "ast_audioset", "mel_stats")


class Embedder(Protocol):
    """What `build(config)` of a file in sao_data/embedders makes. C channels, T samples, W windows."""

    @property
    def sample_rate(self) -> int:
        """Hz, of what it takes."""

    @property
    def model(self) -> str:
        """What its weights are called: a hub id or the like."""

    @property
    def revision(self) -> str: ...

    @property
    def num_dimensions(self) -> int: ...

    def check(self) -> None:
        """Raise UsageError, with the fix, unless it can work here."""

    def digest(self) -> str:
        """sha256 of the weights."""

    def embed(self, audio_CT: Floats) -> Floats:
        """(W, D) of one clip at `sample_rate`."""


@runtime_checkable
class TextEmbedder(Protocol):
    """One that knows texts, too."""

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """(N, D)."""


@runtime_checkable
class TaggingEmbedder(Protocol):
    """One that tells classes of sound from its embeddings."""

    def logits(self, embeddings_WD: Floats) -> Floats:
        """(W, classes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEmbedder:
    """An embedder that is at hand."""

    identity: Identity
    embedder: Embedder


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingEmbedder:
    """One that is not, and how to get it."""

    name: str
    why: str


class MapUnits(Protocol):
    """Runs a unit over items somewhere (the `map` of an executor); results come in any order."""

    def __call__(self, unit: Callable[[A], R], items: Sequence[A], *, num_gpus: int = 0) -> Iterator[R]: ...


def in_this_process(unit: Callable[[A], R], items: Sequence[A], *, num_gpus: int = 0) -> Iterator[R]:
    """One after the other."""
    return map(unit, items)


def at_hand(config: Config) -> tuple[list[NamedEmbedder], list[MissingEmbedder]]:
    """Those asked for, which must be there; or of the usual ones those that are."""
    if config.embedders:
        return asked_for(config.embedders, config), []
    found, missing = [], []
    for name in USUAL:
        try:
            found.append(_ready(name, config))
        except UsageError as error:
            if getattr(config, name) != type(getattr(config, name))():
                raise  # it was set up on purpose
            missing.append(MissingEmbedder(name=name, why=_why(name, config) or str(error)))
    return found, missing


def asked_for(names: Sequence[str], config: object) -> list[NamedEmbedder]:
    """These, which must be there; the settings of each are `config`'s field of its name."""
    return [_ready(name, config) for name in names]


def check_same(one: Identity, other: Identity, what: str) -> None:
    """UsageError, naming both, where numbers of two embedders would be compared."""
    if one != other:
        raise UsageError(
            f"{what}: made by two embedders, {one} and {other}: their numbers do not compare; embed both "
            "sets with the same one"
        )


def _ready(name: str, config: object) -> NamedEmbedder:
    module = plugins.load("embedders", name, where="embedders")
    settings = getattr(config, name, None)
    embedder = module.build(module.Config() if settings is None else settings)
    if not hasattr(embedder, "embed"):
        raise UsageError(f"embedders: {name!r} has no embed(audio); see docs/adding_a_plugin.md")
    embedder.check()
    return NamedEmbedder(identity=_identity(name, embedder), embedder=cast("Embedder", embedder))


def _identity(name: str, embedder: Any) -> Identity:
    return Identity(
        name=name.rpartition(".")[2],
        model=embedder.model,
        revision=embedder.revision,
        digest=embedder.digest(),
        num_dimensions=embedder.num_dimensions,
    )


def _why(name: str, config: Config) -> str:
    """What is said where the weights are not here."""
    embedder = plugins.load("embedders", name, where="embedders").build(getattr(config, name))
    fetch = getattr(embedder, "fetch", "")
    return f"weights of {embedder.model} are not here; fetch them with `{fetch}`" if fetch else ""
