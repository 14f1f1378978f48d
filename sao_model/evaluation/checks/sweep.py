"""Steps × guidance × sampler: what each setting costs, and what it gives, with the same prompts and seeds.

The distance is to the sound of the most steps with the same sampler, guidance and first noise. Samplers that
add noise at every step add other noise for another number of steps, so it does not go to zero for them.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from sao_data.embedders import clap
from sao_data.errors import UsageError
from sao_model import samplers
from sao_model.evaluation.checks import heard
from sao_model.evaluation.checks.finding import Cell, CheckFinding
from sao_model.metrics import intervals
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound
from sao_model.training.loop import RunProgress

_FULL_SCALE = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is tried: every combination."""

    steps: tuple[int, ...] = (10, 25, 50, 100)  # of the sampler
    cfg_scales: tuple[float, ...] = (3.0, 7.0)  # guidance
    samplers: tuple[str, ...] = ("dpmpp-2m-sde", "dpmpp-3m-sde")  # as in docs/generating.md
    prompts: tuple[str, ...] = heard.PROMPTS  # of the sounds
    num_seeds: int = 2  # sounds of each prompt
    seconds: float = 0.0  # of each sound; 0 = the window
    clap: clap.Config = field(
        default_factory=clap.Config
    )  # weights that hear whether sounds fit their prompts

    def __post_init__(self) -> None:
        if not (self.steps and self.cfg_scales and self.samplers and self.prompts) or self.num_seeds < 1:
            raise UsageError("sweep: want at least one of steps, cfg_scales, samplers, prompts and seeds")
        for name in self.samplers:
            samplers.named(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """One setting."""

    how: Sampling
    sounds: list[Tensor]
    seconds: float  # it took, a sound
    fits: tuple[float, ...]  # cosine of each sound and its prompt; () without CLAP


def run(
    model: StableAudioModel, config: Config, how: Sampling, made_with: dict[str, str], shown: RunProgress
) -> CheckFinding:
    """Make the same sounds with every setting, all else of `how` alike."""
    listener, seconds = heard.listener(config.clap), heard.length(model, config.seconds)
    asked = [
        Sound(prompt=prompt, seconds=seconds, seed=heard.seed(prompt, n))
        for prompt in config.prompts
        for n in range(config.num_seeds)
    ]
    steps = sorted(set(config.steps))
    kinds = list(itertools.product(config.samplers, config.cfg_scales))
    shown.start("sounds of every setting", len(kinds) * len(steps) * len(asked), "sounds")
    rows: list[tuple[Cell, ...]] = []
    curves, every = [], []
    for name, scale in kinds:
        tried = [
            _try(model, asked, replace(how, steps=num, cfg_scale=scale, sampler=name), listener, shown)
            for num in steps
        ]
        apart = [[heard.apart(one, last, model.config.sample_rate) for one, last in _pairs(each, tried[-1])]
                 for each in tried]  # fmt: skip
        rows += [_row(each, far) for each, far in zip(tried, apart, strict=True)]
        values = [each.fits for each in tried] if listener else apart
        said = f"{name}, guidance {scale:g}"
        curves.append(heard.curve(said, steps, [intervals.of_mean(each) for each in values]))
        every += [replace(each, sounds=[]) for each in tried]
    shown.finish()
    return CheckFinding(
        check="sweep",
        title="What do steps, guidance and sampler cost, and give?",
        paragraph=_said(every, len(asked), seconds),
        x_label="steps",
        y_label="CLAP cosine of sound and prompt" if listener else "MEL distance to the most steps",
        curves=tuple(curves),
        columns=("sampler", "guidance", "steps", "seconds a sound", "CLAP", "CLAP, 95 % from", "CLAP, to",
                 "MEL distance to the most steps", "level, dB", "samples at full scale, %", "sounds"),
        rows=tuple(rows),
        made_with={**made_with, "sounds": f"{len(asked)} of {seconds:.2f} s a setting",
                   "CLAP": listener.named if listener else "not at hand"},
    )  # fmt: skip


def _try(
    model: StableAudioModel,
    asked: list[Sound],
    how: Sampling,
    listener: heard.WordListener | None,
    shown: RunProgress,
) -> _Tried:
    begun = time.perf_counter()
    sounds = heard.made(model, asked, how, shown)
    took = (time.perf_counter() - begun) / len(asked)
    texts = list(dict.fromkeys(sound.prompt for sound in asked))
    fits: tuple[float, ...] = ()
    if listener:
        cosines_NX = listener.cosines(sounds, model.config.sample_rate, texts)
        fits = tuple(
            float(row[texts.index(sound.prompt)]) for row, sound in zip(cosines_NX, asked, strict=True)
        )
    return _Tried(how=how, sounds=sounds, seconds=took, fits=fits)


def _pairs(one: _Tried, other: _Tried) -> zip[tuple[Tensor, Tensor]]:
    return zip(one.sounds, other.sounds, strict=True)


def _row(tried: _Tried, apart: list[float]) -> tuple[Cell, ...]:
    told = heard.cells(intervals.of_mean(tried.fits) if tried.fits else None)
    full = np.mean([float((audio.abs() >= _FULL_SCALE).double().mean()) for audio in tried.sounds])
    loud = np.mean([heard.level(audio) for audio in tried.sounds])
    how = tried.how
    measured = (round(float(np.mean(apart)), 4), round(float(loud), 1), round(100 * float(full), 3))
    return (how.sampler, how.cfg_scale, how.steps, round(tried.seconds, 3), *told, *measured, len(apart))


def _said(every: list[_Tried], num: int, seconds: float) -> str:
    cheap, dear = min(every, key=lambda e: e.seconds), max(every, key=lambda e: e.seconds)
    said = (
        f"{len(every)} settings made the same {num} sounds of {seconds:.2f} s. The quickest, "
        f"{_name(cheap.how)}, took {cheap.seconds:.2f} s a sound, the slowest, "
        f"{_name(dear.how)}, {dear.seconds:.2f} s."
    )
    if not every[0].fits:
        return f"{said} Whether they fit their prompts was not measured: the weights of CLAP are not here."
    best = max(every, key=lambda e: np.mean(e.fits))
    equal = [each for each in every if each is best or _is_no_worse(each, best)]
    least = min(equal, key=lambda e: (e.how.steps, e.seconds))
    return (
        f"{said} Their prompts were fitted best by {_name(best.how)} (CLAP {np.mean(best.fits):.3f}); "
        f"{len(equal) - 1} of the others cannot be told from it sound by sound, of which the one with the "
        f"fewest steps is {_name(least.how)}."
        if len(equal) > 1
        else f"{said} Their prompts were fitted best by {_name(best.how)} "
        f"(CLAP {np.mean(best.fits):.3f}), and by every other setting less well."
    )


def _is_no_worse(each: _Tried, best: _Tried) -> bool:
    """Is no difference beyond chance, prompt by prompt and seed by seed? Never of one sound."""
    difference = intervals.of_difference(each.fits, best.fits)
    return not difference.low > 0


def _name(how: Sampling) -> str:
    return f"{how.steps} steps of {how.sampler} with guidance {how.cfg_scale:g}"
