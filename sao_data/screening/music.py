"""How many seconds of a recording are music, by a tagger's probabilities window by window (paper 2.2).

A recording is music if at least `min_seconds` of it are. Windows follow one another without overlap; the last
one is padded with zeros and counts with its real length. The seconds need not be contiguous (the paper does
not say). A recording shorter than `min_seconds` cannot be music by this rule, so it is not tagged at all.
"""

# Shapes: N windows, T samples of a window at 16 kHz.

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import soxr

from sao_data import plugins
from sao_data.errors import UsageError
from sao_data.records import SAMPLE_RATE
from sao_data.screening.classes import columns_of, music_classes
from sao_data.screening.config import Screening
from sao_data.screening.rows import Tagged

Floats = npt.NDArray[np.float32]

TAGGER_RATE = 16_000  # Hz, what taggers of AudioSet listen to
_BATCH = 16  # windows held at a time


class Tagger(Protocol):
    """Gives probabilities of classes of sound. `build(config)` of an embedder makes one; it must pickle."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Display names of the classes, in the order of the probabilities."""

    @property
    def window_seconds(self) -> float:
        """Length of the windows it takes."""

    def check(self) -> None:
        """Raise UsageError, with the fix, if it cannot work on this machine."""

    def digest(self) -> str:
        """sha256 (hex) of the weights: other weights, other tags."""

    def tag(self, audio_NT: Floats) -> Floats:
        """Probabilities (N, classes) of mono windows at 16 kHz, each class by itself."""


def build_tagger(screening: Screening) -> Tagger:
    """The tagger that the screening names, with those of its settings that are not left to the tagger."""
    where = "screening.tagger"
    module = plugins.load("embedders", screening.tagger, where=where)
    known = {field.name for field in dataclasses.fields(module.Config)}
    settings: dict[str, Any] = {}
    for name in ("model", "folder", "revision", "device"):
        value = getattr(screening, name)
        if value == Screening.__dataclass_fields__[name].default:
            continue
        if name not in known:
            raise UsageError(f"screening.{name}: the tagger {screening.tagger!r} has no such setting")
        settings[name] = value
    tagger = module.build(module.Config(**settings))
    if not hasattr(tagger, "tag"):
        raise UsageError(f"{where}: {screening.tagger!r} is an embedder, but no tagger")
    return cast("Tagger", tagger)


def needs_tagging(seconds: float, screening: Screening) -> bool:
    """Can a recording of this length be music at all?"""
    return screening.needs_tagger and seconds >= screening.min_seconds


def is_music(tagged: Tagged, screening: Screening) -> bool:
    """Is enough of the recording music (paper: 30 s)?"""
    return tagged.music_seconds >= screening.min_seconds


def counted_classes(screening: Screening) -> tuple[str, ...]:
    """Display names of the classes that count as music."""
    return music_classes().names(singing=screening.singing)


def music_seconds(
    recording_id: str,
    blocks: Iterable[Floats],
    tagger: Tagger,
    classes: tuple[str, ...],
    min_probability: float,
) -> Tagged:
    """Tag one recording, given as consecutive (frames, 2) blocks at 44.1 kHz. Memory is bounded."""
    columns = columns_of(classes, tagger.labels, where="screening.tagger")
    length = round(tagger.window_seconds * TAGGER_RATE)
    num_tagged = num_music = 0  # samples at 16 kHz
    top_class, top = "", 0.0
    for audio_NT, lengths in _batches(_windows(_mono(blocks), length)):
        # Rounded before the threshold is applied: no verdict depends on a last bit of the tagger.
        music = np.round(tagger.tag(audio_NT)[:, columns].astype(np.float64), 3)
        best = music.max(axis=1)
        num_tagged += sum(lengths)
        num_music += sum(n for n, p in zip(lengths, best, strict=True) if p >= min_probability)
        row = int(best.argmax())
        if best[row] > top:
            top, top_class = float(best[row]), classes[int(music[row].argmax())]
    return Tagged(
        recording_id=recording_id,
        seconds_tagged=round(num_tagged / TAGGER_RATE, 2),
        music_seconds=round(num_music / TAGGER_RATE, 2),
        top_class=top_class,
        top_probability=top,
    )


def _mono(blocks: Iterable[Floats]) -> Iterator[Floats]:
    """The mean of both channels at 16 kHz."""
    resampler = soxr.ResampleStream(SAMPLE_RATE, TAGGER_RATE, 1, dtype="float32", quality="HQ")
    for block in blocks:
        assert block.ndim == 2, block.shape
        yield resampler.resample_chunk(block.mean(axis=1, dtype=np.float32))
    yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


def _windows(pieces: Iterable[Floats], length: int) -> Iterator[tuple[Floats, int]]:
    """Windows of `length` samples, each with how many of them are real."""
    held = np.empty(0, np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece])
        while len(held) >= length:
            yield held[:length], length
            held = held[length:]
    if len(held):
        yield np.pad(held, (0, length - len(held))), len(held)


def _batches(windows: Iterator[tuple[Floats, int]]) -> Iterator[tuple[Floats, list[int]]]:
    """Up to _BATCH windows at a time, as one array, with their real lengths."""
    held: list[tuple[Floats, int]] = []
    for window in windows:
        held.append(window)
        if len(held) == _BATCH:
            yield np.stack([audio for audio, _ in held]), [length for _, length in held]
            held = []
    if held:
        yield np.stack([audio for audio, _ in held]), [length for _, length in held]
