"""Which clips of a library fingerprints hold for copies of a sound, and how nearly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sao_data.audio import chromaprint
from sao_data.audio.measuring import spectral_hash
from sao_data.audio.measuring.spectral_hash import SpectralHash
from sao_data.matching import fingerprint_index, spectral_index
from sao_model.evaluation.memorisation.hearing import HeardPrints

Heard = tuple[int, tuple[str, ...], str]  # a clip's number, its fingerprints, its spectral hash
_TOGETHER = 4_096  # clips whose spectral hashes are looked at at once


def agreeing(asked: Mapping[int, HeardPrints], library: Iterable[Heard]) -> dict[tuple[int, int], str]:
    """(sound, clip): how they agree. The library is read once and not kept."""
    words = {
        f"{n}.{piece}": chromaprint.decode(text)
        for n, heard in asked.items()
        for piece, text in enumerate(heard.prints)
    }
    hashes = {
        str(n): spectral_hash.decode(heard.spectral_hash) for n, heard in asked.items() if heard.spectral_hash
    }
    found: dict[tuple[int, int], str] = {}
    held: dict[str, SpectralHash] = {}

    def read() -> Iterator[tuple[str, chromaprint.Words]]:
        for number, texts, spectral in library:
            if spectral and hashes:
                held[str(number)] = spectral_hash.decode(spectral)
                if len(held) >= _TOGETHER:
                    found.update(_by_hash(hashes, held))
                    held.clear()
            for piece, text in enumerate(texts):
                yield f"{number}.{piece}", chromaprint.decode(text)

    by_print = fingerprint_index.find_matches(words, read())
    found.update(_by_hash(hashes, held))
    for pair in by_print:
        key = (int(pair.first.partition(".")[0]), int(pair.second.partition(".")[0]))
        said = f"bit error rate {pair.error:.3f}"
        found[key] = min(said, found[key]) if found.get(key, "").startswith("bit") else said
    return found


def _by_hash(
    asked: Mapping[str, SpectralHash], held: Mapping[str, SpectralHash]
) -> Iterator[tuple[tuple[int, int], str]]:
    for pair in spectral_index.find_matches(asked, held.items()) if held and asked else ():
        yield (int(pair.first), int(pair.second)), f"{pair.difference:.1f} dB apart by spectral hash"
