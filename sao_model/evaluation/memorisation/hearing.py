"""A sound as it is compared: windows of one level, each embedded, and fingerprints of all of it.

W windows   D dimensions   C channels   T frames
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from sao_data.audio import chromaprint
from sao_data.audio.measuring.spectral_hash import SpectralHasher
from sao_data.records import SAMPLE_RATE
from sao_model.evaluation.embedding import NamedEmbedder
from sao_model.evaluation.memorisation.settings import MemorisationSettings

Floats = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]

VERSION = 1  # of how windows are cut and levelled; another one, and everything is heard again
_LEVEL = 0.1  # RMS that every window is brought to (-20 dBFS): a copy that is turned down is a copy
_SILENT = 1e-3  # peak, -60 dBFS, below which there is nothing in a window
_PIECE, _PIECE_HOP = 120, 110  # seconds, of a fingerprint and from one to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardPrints:
    """By what a sound is told when aligned."""

    prints: tuple[str, ...]  # Chromaprint of each piece of 120 s
    spectral_hash: str  # of what is short or steady; '' = neither


def windows(pcm_TC: Pcm, settings: MemorisationSettings) -> Iterator[tuple[float, Floats]]:
    """(start in seconds, (C, T) at 44.1 kHz, all equally loud) of each window that is not silent."""
    size, hop = (round(each * SAMPLE_RATE) for each in (settings.window_seconds, settings.hop_seconds))
    for start in range(0, len(pcm_TC), hop):
        if start and start + size - hop >= len(pcm_TC):
            return  # the window before reached the end
        part_TC = pcm_TC[start : start + size].astype(np.float32) / np.float32(32_768)
        if np.abs(part_TC).max(initial=0) >= _SILENT:
            level = float(np.sqrt(np.square(part_TC).mean()))
            yield start / SAMPLE_RATE, np.ascontiguousarray(part_TC.T * np.float32(_LEVEL / level))


def embedded(
    pcm_TC: Pcm, settings: MemorisationSettings, embedder: NamedEmbedder
) -> tuple[Floats, npt.NDArray[np.float64]]:
    """(W, D), and the start of each window in seconds."""
    rate, dimensions = embedder.embedder.sample_rate, embedder.identity.num_dimensions
    starts, found = [], [np.empty((0, dimensions), np.float32)]
    for start, audio_CT in windows(pcm_TC, settings):
        if rate != SAMPLE_RATE:
            audio_CT = np.ascontiguousarray(soxr.resample(audio_CT.T, SAMPLE_RATE, rate, quality="HQ").T)
        made_WD = np.asarray(embedder.embedder.embed(audio_CT), np.float32)
        starts.append(start)
        found.append(made_WD.mean(axis=0, keepdims=True))
    return np.concatenate(found), np.array(starts, np.float64)


def printed(pcm_TC: Pcm) -> HeardPrints:
    """Fingerprints of all pieces; a spectral hash where the first says too little."""
    prints, spectral = [], ""
    for start in range(0, max(len(pcm_TC), 1), _PIECE_HOP * SAMPLE_RATE):
        piece_TC = pcm_TC[start : start + _PIECE * SAMPLE_RATE]
        printer = chromaprint.Fingerprinter()
        printer.add(piece_TC)
        words = printer.finish()
        if not start:
            hasher = SpectralHasher()
            hasher.add(piece_TC)
            spectral = hasher.finish(words)
        if len(words):
            prints.append(chromaprint.encode(words))
    return HeardPrints(prints=tuple(prints), spectral_hash=spectral)
