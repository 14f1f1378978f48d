"""What sounds alike: by fingerprint (Chromaprint); by spectral hash what is too short or steady for that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


class HasSound(Protocol):
    """A recording by its sound."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def spectral_hash(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """Two recordings that sound alike, and by how much they differ, in words."""

    first: str  # recording ids
    second: str
    how: str


def find_alike(items: Mapping[str, HasSound]) -> list[Alike]:
    """All pairs, first id below second, sorted; of equal ones each is paired with the lowest id alone."""
    from sao_data.audio import chromaprint
    from sao_data.audio.measuring import spectral_hash
    from sao_data.matching import fingerprint_index, spectral_index

    prints = _decoded({key: item.fingerprint for key, item in items.items()}, chromaprint.decode)
    hashes = _decoded({key: item.spectral_hash for key, item in items.items()}, spectral_hash.decode)
    return _either(fingerprint_index.find_pairs(prints.items()), spectral_index.find_pairs(hashes.items()))


def find_like(queries: Mapping[str, HasSound], corpus: Mapping[str, HasSound]) -> list[Alike]:
    """Every query (`first`) alike a recording of the corpus (`second`), sorted."""
    from sao_data.audio import chromaprint
    from sao_data.audio.measuring import spectral_hash
    from sao_data.matching import fingerprint_index, spectral_index

    asked = _decoded({key: item.fingerprint for key, item in queries.items()}, chromaprint.decode)
    by_print = (
        (key, chromaprint.decode(item.fingerprint)) for key, item in corpus.items() if item.fingerprint
    )
    found = fingerprint_index.find_matches(asked, by_print) if asked else []
    hashed = _decoded({key: item.spectral_hash for key, item in queries.items()}, spectral_hash.decode)
    by_hash = (
        (key, spectral_hash.decode(item.spectral_hash)) for key, item in corpus.items() if item.spectral_hash
    )
    return _either(found, spectral_index.find_matches(hashed, by_hash) if hashed else [])


def _decoded(texts: Mapping[str, str], decode: Callable[[str], T]) -> dict[str, T]:
    return {key: decode(text) for key, text in texts.items() if text}


def _either(by_print: Iterable[PrintPair], by_hash: Iterable[HashPair]) -> list[Alike]:
    """Pairs that either finds; where both do, the fingerprint's words."""
    found = {
        (pair.first, pair.second): f"{pair.difference:.1f} dB apart by spectral hash" for pair in by_hash
    }
    found |= {(pair.first, pair.second): f"bit error rate {pair.error:.3f}" for pair in by_print}
    return [Alike(first=first, second=second, how=how) for (first, second), how in sorted(found.items())]


class PrintPair(Protocol):
    """A pair that fingerprints tell."""

    @property
    def first(self) -> str: ...
    @property
    def second(self) -> str: ...
    @property
    def error(self) -> float: ...


class HashPair(Protocol):
    """A pair that spectral hashes tell."""

    @property
    def first(self) -> str: ...
    @property
    def second(self) -> str: ...
    @property
    def difference(self) -> float: ...
