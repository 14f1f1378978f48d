"""Timing: does a sound end where `seconds_total` says, and is it quiet behind (paper 5.4: "variable length")?

The whole window is decoded, not only what was asked for. A sound ends with its last 50 ms within 40 dB of its
loudest 50 ms. Its trailing level is the RMS behind the end that was asked for, against the RMS before it.

C channels   T samples
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sao_data.errors import UsageError
from sao_model.evaluation.checks import heard
from sao_model.evaluation.checks.finding import CheckCurve, CheckFinding
from sao_model.metrics import intervals
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound
from sao_model.training.loop import RunProgress

BLOCK_SECONDS = 0.05
RANGE_DB = 40.0
_FLOOR = 1e-5  # -100 dB


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which lengths are asked for, of what."""

    shares: tuple[float, ...] = (
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
        0.6,
        0.7,
        0.8,
        0.9,
        1.0,
    )  # lengths, as shares of the window
    prompts: tuple[str, ...] = heard.PROMPTS  # of the sounds
    num_seeds: int = 2  # sounds of each prompt and length

    def __post_init__(self) -> None:
        if not self.shares or not self.prompts or self.num_seeds < 1:
            raise UsageError("timing: want at least one share, one prompt and one seed")
        if not all(0 < share <= 1 for share in self.shares):
            raise UsageError(f"timing.shares: {self.shares}; want shares of the window, above 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Where one sound ended."""

    seconds: float  # asked for
    end: float  # s; 0 for silence
    trailing_db: float  # level behind the end asked for, against before it; nan: nothing is behind


def run(
    model: StableAudioModel, config: Config, how: Sampling, made_with: dict[str, str], shown: RunProgress
) -> CheckFinding:
    """Make the sounds and look where they end."""
    window = model.config.num_frames / model.config.sample_rate
    lengths = [round(share * window, 2) for share in sorted(set(config.shares))]
    found = []
    shown.start("sounds", len(lengths) * len(config.prompts) * config.num_seeds, "sounds")
    for seconds in lengths:
        for number, prompt in enumerate(config.prompts):
            for seed in range(config.num_seeds):
                sound = Sound(prompt=prompt, seconds=seconds, seed=1_000 * number + seed)
                found.append(ended(_window(model, sound, how), model.config.sample_rate, seconds))
                shown.advance(1)
    shown.finish()
    return _finding(found, lengths, config, {**made_with, "window": f"{window:.2f} s"})


def ended(audio_CT: npt.NDArray[np.float32], sample_rate: int, seconds: float) -> Ended:
    """Where the sound of a whole window ends."""
    size = max(1, round(BLOCK_SECONDS * sample_rate))
    num = -(-audio_CT.shape[1] // size)
    padded = np.pad(audio_CT.astype(np.float64), ((0, 0), (0, num * size - audio_CT.shape[1])))
    level = np.sqrt(np.square(padded).reshape(len(audio_CT), num, size).mean(axis=(0, 2)))
    loud = np.flatnonzero(level > max(level.max() * 10 ** (-RANGE_DB / 20), 1e-9))
    end = min((loud[-1] + 1) * size, audio_CT.shape[1]) / sample_rate if len(loud) else 0.0
    asked = round(seconds * sample_rate)
    before, behind = audio_CT[:, :asked], audio_CT[:, asked:]
    return Ended(
        seconds=seconds, end=round(end, 3), trailing_db=round(_level(behind) - _level(before), 2) + 0.0
    )


def _level(audio_CT: npt.NDArray[np.float32]) -> float:
    """RMS in dB; nan of nothing."""
    if not audio_CT.size:
        return float("nan")
    return 20 * float(np.log10(max(np.sqrt(np.square(audio_CT, dtype=np.float64).mean()), _FLOOR)))


def _window(model: StableAudioModel, sound: Sound, how: Sampling) -> npt.NDArray[np.float32]:
    """All of the window, (C, T)."""
    with torch.no_grad():
        latents_BDL = model.sample(model.told([sound]), *model.noise([sound.seed]), how)
        return np.asarray(model.codec.decode_in_chunks(latents_BDL)[0].float().cpu().numpy())


def _finding(
    found: list[Ended], lengths: list[float], config: Config, made_with: dict[str, str]
) -> CheckFinding:
    rows, values, lows, highs = [], [], [], []
    for seconds in lengths:
        of = [each for each in found if each.seconds == seconds]
        end = intervals.of_mean([each.end for each in of])
        trailing = [each.trailing_db for each in of if np.isfinite(each.trailing_db)]
        level = f"{np.mean(trailing) + 0.0:.1f}" if trailing else ""
        rows.append((seconds, round(end.value, 2), round(end.value - seconds, 2), level, len(of)))
        values.append(end.value)
        lows.append(end.low if np.isfinite(end.low) else end.value)
        highs.append(end.high if np.isfinite(end.high) else end.value)
    errors = np.array([each.end - each.seconds for each in found])
    quiet = [each.trailing_db for each in found if np.isfinite(each.trailing_db)]
    said = (
        f"Sounds were asked for in {len(lengths)} lengths, {len(found)} in all. They ended "
        f"{np.median(np.abs(errors)):.2f} s from where they were asked to, by the median, and "
        f"{np.percentile(np.abs(errors), 90):.2f} s in nine of ten; {np.mean(errors > 0.5):.0%} went on for "
        "more than half a second."
    )
    if quiet:
        said += (
            f" Behind the end the level was {np.median(quiet) + 0.0:.1f} dB against before it, by the median."
        )
    return CheckFinding(
        check="timing",
        title="Does a sound end where it was asked to?",
        paragraph=said,
        x_label="seconds asked for",
        y_label="seconds until the sound ends",
        curves=(
            CheckCurve(name="ended", x=tuple(lengths), y=tuple(values), low=tuple(lows), high=tuple(highs)),
            CheckCurve(name="asked for", x=tuple(lengths), y=tuple(lengths)),
        ),
        columns=("seconds asked for", "ended at, s", "error, s", "level behind, dB", "sounds"),
        rows=tuple(rows),
        made_with={**made_with, "prompts": ", ".join(config.prompts)},
    )
