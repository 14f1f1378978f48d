"""Longer than the window: sounds that are continued window by window (`beyond_window`), part by part.

Where a window joins the one before, the spectrum should not jump: the MEL distance of the half second before
the seam and the half second behind it is held against that of places within windows. A part's level, and its
CLAP cosine with the prompt where the weights are here, tell whether the model drifts away from what was
asked.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from sao_data.embedders import clap
from sao_data.errors import UsageError
from sao_model import longer
from sao_model.evaluation.checks import heard
from sao_model.evaluation.checks.finding import CheckFinding
from sao_model.metrics import intervals
from sao_model.metrics.intervals import Estimate
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound
from sao_model.training.loop import RunProgress

SIDE_SECONDS = 0.5  # on either side of a seam; less where a window is short
_LEAST_SIDE = 1024  # samples: one transform


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How long, of what."""

    windows: float = 4.0  # length of a sound, in windows of the model
    prompts: tuple[str, ...] = heard.PROMPTS  # of the sounds
    num_seeds: int = 2  # sounds of each prompt
    clap: clap.Config = field(default_factory=clap.Config)  # weights that hear whether parts fit the prompt

    def __post_init__(self) -> None:
        if self.windows <= 1 or not self.prompts or self.num_seeds < 1:
            raise UsageError("lengths: want more than one window, and at least one prompt and seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedWindows:
    """Jumps of one sound."""

    at_seams: tuple[float, ...]  # MEL distance across each
    elsewhere: tuple[float, ...]


def run(
    model: StableAudioModel, config: Config, how: Sampling, made_with: dict[str, str], shown: RunProgress
) -> CheckFinding:
    """Make long sounds and look at their parts."""
    listener, shape = heard.listener(config.clap), model.config
    window = shape.num_frames / shape.sample_rate
    asked = [
        Sound(prompt=prompt, seconds=config.windows * window, seed=heard.seed(prompt, n))
        for prompt in config.prompts
        for n in range(config.num_seeds)
    ]
    shown.start("long sounds", len(asked), "sounds")
    parts_of, fits, jumps = [], [], []
    for sound in asked:
        audio_CT = longer.generate(model, sound, how)
        parts = _parts(audio_CT, shape.num_frames)
        parts_of.append([heard.level(part) for part in parts])
        if listener:
            fits.append(listener.cosines(parts, shape.sample_rate, [sound.prompt])[:, 0])
        jumps.append(joined(audio_CT, seams(model, audio_CT.shape[1]), shape.sample_rate))
        shown.advance(1)
    shown.finish()
    made_with = {
        **made_with,
        "window": f"{window:.2f} s",
        "prompts": ", ".join(config.prompts),
        "CLAP": listener.named if listener else "not at hand",
    }
    return _finding(np.array(parts_of), np.array(fits), jumps, config, made_with)


def seams(model: StableAudioModel, num_frames: int) -> list[int]:
    """Samples at which something new begins after what was carried over."""
    latents, hop = model.config.num_latents, model.config.codec.hop
    fresh = latents - latents // longer.OVERLAP
    windows = longer.num_windows(latents, -(-num_frames // hop))
    return [at for n in range(1, windows) if (at := (latents + (n - 1) * fresh) * hop) < num_frames]


def joined(audio_CT: Tensor, at_seams: list[int], sample_rate: int) -> JoinedWindows:
    """How far the spectrum jumps at the seams, and in the middle between them."""
    edges = [0, *at_seams, audio_CT.shape[1]]
    side = min(round(SIDE_SECONDS * sample_rate), min(b - a for a, b in itertools.pairwise(edges)) // 2)
    if side < _LEAST_SIDE:
        return JoinedWindows(at_seams=(), elsewhere=())
    middles = [(a + b) // 2 for a, b in itertools.pairwise(edges)]

    def jump(at: int) -> float:
        return heard.apart(audio_CT[:, at - side : at], audio_CT[:, at : at + side], sample_rate)

    return JoinedWindows(at_seams=tuple(map(jump, at_seams)), elsewhere=tuple(map(jump, middles)))


def _parts(audio_CT: Tensor, num_frames: int) -> list[Tensor]:
    """Window after window; a last one of less than half a window belongs to the one before."""
    num = max(1, round(audio_CT.shape[1] / num_frames))
    return [audio_CT[:, n * num_frames : (n + 1) * num_frames if n < num - 1 else None] for n in range(num)]


def _finding(
    levels_NP: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    fits_NP: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    jumps: list[JoinedWindows],
    config: Config,
    made_with: dict[str, str],
) -> CheckFinding:
    drifts = [intervals.of_mean(column) for column in (levels_NP - levels_NP[:, :1]).T]
    fits = [intervals.of_mean(column) for column in fits_NP.T] if len(fits_NP) else []
    rows = [
        (n + 1, *heard.cells(each, 2), *heard.cells(fits[n] if fits else None), each.num)
        for n, each in enumerate(drifts)
    ]
    return CheckFinding(
        check="lengths",
        title="Does a sound longer than the window stay what it was?",
        paragraph=_said(drifts, fits, jumps, config),
        x_label="window of the sound",
        y_label="CLAP cosine with the prompt" if fits else "level against the first window, dB",
        curves=(heard.curve("all sounds", range(1, len(drifts) + 1), fits or drifts),),
        columns=("window", "level against the first, dB", "95 % from", "to",
                 "CLAP", "CLAP, 95 % from", "CLAP, to", "sounds"),
        rows=tuple(rows),
        made_with=made_with,
    )  # fmt: skip


def _said(drifts: list[Estimate], fits: list[Estimate], jumps: list[JoinedWindows], config: Config) -> str:
    said = (
        f"{len(jumps)} sounds of {config.windows:g} windows. In the last of them the level was "
        f"{drifts[-1].value + 0.0:+.1f} dB against the first"
    )
    said += f", and CLAP {fits[-1].value:.3f} instead of {fits[0].value:.3f}. " if fits else ". "
    seam = [each for one in jumps for each in one.at_seams]
    other = [each for one in jumps for each in one.elsewhere]
    if not seam:
        return f"{said}The window is too short for its seams to be looked at."
    return (
        f"{said}Where windows join, the spectrum of neighbouring half seconds differs by "
        f"{np.median(seam):.2f} (MEL distance, median of {len(seam)}), elsewhere by {np.median(other):.2f}."
    )
