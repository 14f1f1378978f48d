"""Prompt complexity: of a prompt that names one to four things, are all of them in the sound (the paper finds
that prompts with connectors fare worse: table 5)?

A thing counts as heard where CLAP finds the sound nearer to its words than sounds of equally long prompts
that do not name it: the share of such pairs, 0.5 by chance, 1 where it always does (the area under the ROC
curve). Nothing is set by hand, and what CLAP prefers anyway falls out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sao_data.embedders import clap
from sao_data.errors import UsageError
from sao_model.evaluation.checks import heard
from sao_model.evaluation.checks.finding import Cell, CheckFinding
from sao_model.metrics import intervals
from sao_model.metrics.intervals import Estimate
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound
from sao_model.training.loop import RunProgress

THINGS = (
    "a dog barks", "rain falls on a tin roof", "church bells ring", "a car drives past",
    "a piano plays slowly", "waves break on a beach", "a door slams", "birds sing",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is asked for."""

    things: tuple[str, ...] = THINGS  # of which prompts are made
    most: int = 4  # of them in one prompt
    num_seeds: int = 2  # sounds of each prompt
    seconds: float = 0.0  # of each sound; 0 = the window
    clap: clap.Config = field(default_factory=clap.Config)  # the weights that listen

    def __post_init__(self) -> None:
        different = len(set(self.things)) == len(self.things)
        if self.num_seeds < 1 or not different or not 1 <= self.most < len(self.things):
            raise UsageError(
                "complexity: want at least one seed, and more things, all different, than `most`"
            )


def run(
    model: StableAudioModel, config: Config, how: Sampling, made_with: dict[str, str], shown: RunProgress
) -> CheckFinding:
    """Make sounds of one thing, of two, …"""
    listener = heard.listener(config.clap, is_needed=True)
    assert listener is not None
    seconds = heard.length(model, config.seconds)
    shown.start("sounds", config.most * len(config.things) * config.num_seeds, "sounds")
    rows: list[tuple[Cell, ...]] = []
    found = []
    for num in range(1, config.most + 1):
        chosen = [each for each in choices(len(config.things), num) for _ in range(config.num_seeds)]
        asked = [
            Sound(
                prompt=prompt(config.things, each),
                seconds=seconds,
                seed=heard.seed(each, n % config.num_seeds),
            )
            for n, each in enumerate(chosen)
        ]
        cosines_NX = listener.cosines(
            heard.made(model, asked, how, shown), model.config.sample_rate, config.things
        )
        estimate = intervals.of_mean(shares(cosines_NX, chosen))
        found.append(estimate)
        rows.append((num, *heard.cells(estimate), len(asked), asked[0].prompt))
    shown.finish()
    return CheckFinding(
        check="complexity",
        title="Are all things of a prompt in the sound?",
        paragraph=_said(found, config),
        x_label="things in the prompt",
        y_label="share of pairs in which a thing is heard (0.5: by chance)",
        curves=(heard.curve("heard", range(1, config.most + 1), found),),
        columns=("things", "heard", "95 % from", "to", "sounds", "a prompt"),
        rows=tuple(rows),
        made_with={**made_with, "CLAP": listener.named, "seconds": f"{seconds:.2f}"},
    )


def choices(num_things: int, num: int) -> list[tuple[int, ...]]:
    """So many things at a time, each of them equally often and in each place."""
    return [tuple((first + n) % num_things for n in range(num)) for first in range(num_things)]


def prompt(things: tuple[str, ...], chosen: tuple[int, ...]) -> str:
    """In words: "a, b and c"."""
    named = [things[n] for n in chosen]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def shares(cosines_NX: npt.NDArray[np.float64], chosen: list[tuple[int, ...]]) -> list[float]:
    """Of each sound: how often it is nearer to its things than sounds without them are; ties count half."""
    found = []
    for row, own in zip(cosines_NX, chosen, strict=True):
        wins = []
        for thing in own:
            without = np.array([other[thing] for other, named in zip(cosines_NX, chosen, strict=True)
                                if thing not in named])  # fmt: skip
            wins.append(float(np.mean((row[thing] > without) + 0.5 * (row[thing] == without))))
        found.append(float(np.mean(wins)))
    return found


def _said(found: list[Estimate], config: Config) -> str:
    first, last = found[0], found[-1]
    above = [n for n, each in enumerate(found, start=1) if each.low > 0.5]
    return (
        f"Of {found[0].num} sounds each, a single thing was heard in {first.value:.0%} of pairs, each of "
        f"{config.most} in {last.value:.0%}; 50 % is chance. "
        + (
            f"Above chance beyond doubt with {', '.join(map(str, above))} of {config.most}."
            if above
            else "Nowhere is that above chance beyond doubt."
        )
    )
