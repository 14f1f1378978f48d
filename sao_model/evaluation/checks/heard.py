"""What checks of a model have in common: sounds made one after another, how well they fit words by an
embedder that knows both (CLAP), and how far two of them are apart (MEL distance, paper 5.2).

    N sounds   X texts   C channels   T samples
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import soxr
import torch
from torch import Tensor

from sao_data.config import digest
from sao_data.embedders import clap
from sao_data.errors import UsageError
from sao_model.evaluation.checks.finding import Cell, CheckCurve
from sao_model.metrics import reconstruction
from sao_model.metrics.intervals import Estimate
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound
from sao_model.training.loop import RunProgress

Doubles = npt.NDArray[np.float64]

PROMPTS = ("a dog barks", "rain on a tin roof", "a drum loop at 120 bpm", "a slow piano melody")
WITHOUT = "timing, speed, lengths, languages and sweep need no such weights"


class WordListener:
    """Hears how well sounds fit texts."""

    def __init__(self, embedder: clap.Clap) -> None:
        self._embedder = embedder

    @property
    def named(self) -> str:
        """Which weights, for a page."""
        return f"{self._embedder.model}, sha256 {self._embedder.digest()[:16]}"

    def cosines(self, sounds: Sequence[Tensor], sample_rate: int, texts: Sequence[str]) -> Doubles:
        """(N, X): of the mean direction of a sound's windows and of each text; 0 for silence."""
        heard_ND = np.stack([self._direction(audio_CT, sample_rate) for audio_CT in sounds])
        return heard_ND @ _unit(self._embedder.embed_texts(list(texts)).astype(np.float64)).T

    def _direction(self, audio_CT: Tensor, sample_rate: int) -> Doubles:
        audio_TC = np.ascontiguousarray(audio_CT.numpy().T, np.float32)
        if not np.any(audio_TC):
            return np.zeros(self._embedder.num_dimensions)
        rate = self._embedder.sample_rate
        if sample_rate != rate:
            audio_TC = soxr.resample(audio_TC, sample_rate, rate, quality="HQ")
        windows_WD = self._embedder.embed(np.ascontiguousarray(audio_TC.T)).astype(np.float64)
        return np.asarray(_unit(windows_WD.mean(axis=0)), np.float64)


def listener(config: clap.Config, *, is_needed: bool = False) -> WordListener | None:
    """The embedder, or None where its weights are not here; UsageError if it was set up or is needed."""
    embedder = clap.build(config)
    try:
        embedder.check()
    except UsageError as error:
        if is_needed or config != clap.Config():
            raise UsageError(f"{error}; of the checks, {WITHOUT}") from error
        return None
    return WordListener(embedder)


def made(model: StableAudioModel, sounds: Iterable[Sound], how: Sampling, shown: RunProgress) -> list[Tensor]:
    """(C, T) of every sound."""
    found = []
    for sound in sounds:
        found += model.generate([sound], how)
        shown.advance(1)
    return found


def apart(audio_CT: Tensor, other_CT: Tensor, sample_rate: int) -> float:
    """MEL distance of two sounds, over the length that both have."""
    num = min(audio_CT.shape[-1], other_CT.shape[-1])
    if num < reconstruction.SIZE:
        raise UsageError(f"{num} samples: too short to be compared; ask for {reconstruction.SIZE} or more")
    with torch.no_grad():
        return float(
            reconstruction.mel_distance(audio_CT[None, :, :num], other_CT[None, :, :num], sample_rate)
        )


def curve(name: str, x: Iterable[float], estimates: Iterable[Estimate]) -> CheckCurve:
    """Estimates with their intervals; one without has no width."""
    found = list(estimates)
    low = tuple(each.low if np.isfinite(each.low) else each.value for each in found)
    high = tuple(each.high if np.isfinite(each.high) else each.value for each in found)
    y = tuple(each.value for each in found)
    return CheckCurve(name=name, x=tuple(map(float, x)), y=y, low=low, high=high)


def cells(estimate: Estimate | None, digits: int = 4) -> tuple[Cell, Cell, Cell]:
    """Value and both ends for a table; empty where there are none."""
    if estimate is None:
        return "", "", ""
    low, high = (round(end, digits) if np.isfinite(end) else "" for end in (estimate.low, estimate.high))
    return round(estimate.value, digits), low, high


def level(audio_CT: Tensor) -> float:
    """RMS in dB of full scale; not below -100."""
    power = float(audio_CT.double().square().mean()) if audio_CT.numel() else 0.0
    return 10 * float(np.log10(max(power, 1e-10)))


def seed(*of: object) -> int:
    """A seed that is a thing's own, whatever else is tried."""
    return int(digest("check", *of)[:12], 16)


def length(model: StableAudioModel, seconds: float) -> float:
    """Seconds of a sound: as asked for, or the window (0); UsageError for more than that."""
    window = model.config.num_frames / model.config.sample_rate
    if not 0 <= seconds <= window:
        raise UsageError(f"seconds: {seconds}; give at most the window of {window:.2f}, or 0 for all of it")
    return seconds or window


def _unit(rows: Doubles) -> Doubles:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12), np.float64)
