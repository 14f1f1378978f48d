"""Speed and memory of generating, over numbers of steps, sounds at once, and lengths.

Steps a second are the slope of time over steps, so that reading the prompt and decoding do not count, as the
paper counts them (5.4). Its machines stand beside where the model is of its size. Everything is run once
before it is timed. Memory is the peak of the GPU, or on the CPU the process's.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from sao_data.errors import UsageError
from sao_model import longer
from sao_model.evaluation.checks.finding import Cell, CheckCurve, CheckFinding
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound
from sao_model.training.loop import RunProgress

PAPER = {"RTX 3090": 8.0, "RTX A6000": 11.0, "H100": 20.0}  # steps a second of one sound of 47 s (paper 5.4)
_PARAMETERS = 1_057_000_000  # of the paper's transformer
_PROMPT = "rain on a tin roof"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is timed."""

    steps: tuple[int, ...] = (10, 25, 50, 100)  # of the sampler
    batch_sizes: tuple[int, ...] = (1, 2, 4)  # sounds at once; on the CPU they are made one by one
    seconds: float = 0.0  # of each sound; 0 = the window
    lengths: tuple[float, ...] = (0.5, 2.0)  # in windows, one sound at a time; over 1: window by window
    rounds: int = 3  # of which the median counts

    def __post_init__(self) -> None:
        if min(self.lengths, default=1) <= 0:
            raise UsageError(f"speed.lengths: {self.lengths}; want lengths above 0, in windows")
        if min((*self.steps, *self.batch_sizes, self.rounds), default=0) < 1:
            raise UsageError("speed: want at least one of steps, batch_sizes and rounds, each of 1 or more")


def run(
    model: StableAudioModel, config: Config, how: Sampling, made_with: dict[str, str], shown: RunProgress
) -> CheckFinding:
    """Time them."""
    shape = model.config
    seconds = config.seconds or shape.num_frames / shape.sample_rate
    rows: list[tuple[Cell, ...]] = []
    curves: list[CheckCurve] = []
    machine = _machine(model.device)
    num = len(config.batch_sizes) * len(config.steps) + len(config.lengths)
    shown.start("timing", num * config.rounds, "batches")
    for size in config.batch_sizes:
        sounds = [Sound(prompt=_PROMPT, seconds=seconds, seed=n) for n in range(size)]
        model.generate(sounds, replace(how, steps=min(config.steps)))
        took = []
        for steps in config.steps:
            timed = [_seconds(model, sounds, replace(how, steps=steps)) for _ in range(config.rounds)]
            took.append(statistics.median(timed))
            shown.advance(config.rounds)
        curves.append(CheckCurve(name=f"{size} at once", x=tuple(map(float, config.steps)), y=tuple(took)))
        rate = size * _slope(config.steps, took)
        rows.append(_row(machine, size, seconds, rate, size * seconds / took[-1], _peak(model.device)))
    rows += _lengths(model, config, how, machine, shown)
    shown.finish()
    papers, beside = _beside(model)
    rows += papers
    return CheckFinding(
        check="speed",
        title="How fast, and in how much memory?",
        paragraph=f"One sound of {seconds:.2f} s at a time took {float(rows[0][3]):.2f} steps a second here, "
        f"{max(config.steps)} of them and decoding {curves[0].y[-1]:.2f} s (medians of {config.rounds}). "
        f"{beside}",
        x_label="steps",
        y_label="seconds a batch",
        curves=tuple(curves),
        columns=(
            "machine",
            "sounds at once",
            "seconds of each",
            "steps of one sound a second",
            f"seconds of sound a second, {config.steps[-1]} steps (other lengths: {min(config.steps)})",
            "peak memory, GiB",
        ),
        rows=tuple(rows),
        made_with={**made_with, "machine": machine, "torch": torch.__version__},
    )


def _row(
    machine: str, size: int, seconds: float, rate: float | str, sound: float, peak: float
) -> tuple[Cell, ...]:
    shown = round(rate, 2) if isinstance(rate, float) else rate
    return machine, size, round(seconds, 2), shown, round(sound, 3), round(peak, 2)


def _lengths(
    model: StableAudioModel, config: Config, how: Sampling, machine: str, shown: RunProgress
) -> list[tuple[Cell, ...]]:
    """One sound of other lengths: shorter ones are decoded quicker, longer ones take several windows."""
    window, steps = model.config.num_frames / model.config.sample_rate, min(config.steps)
    rows = []
    for times in config.lengths:
        sounds = [Sound(prompt=_PROMPT, seconds=times * window)]
        took = [_seconds(model, sounds, replace(how, steps=steps)) for _ in range(config.rounds)]
        shown.advance(config.rounds)
        sound = times * window / statistics.median(took)
        rows.append(_row(machine, 1, times * window, "", sound, _peak(model.device)))
    return rows


def _beside(model: StableAudioModel) -> tuple[list[tuple[Cell, ...]], str]:
    """The paper's machines where the transformer is of its size, and what is said of that."""
    num = sum(each.numel() for each in model.dit.parameters())
    if abs(num / _PARAMETERS - 1) >= 0.02:
        return [], (
            f"The paper's figures are not beside these: this transformer has {num / 1e6:.1f} M parameters."
        )
    rows: list[tuple[Cell, ...]] = [
        (f"{name} (paper 5.4)", 1, 47, rate, "", "") for name, rate in PAPER.items()
    ]
    return rows, "The paper's machines made one sound of 47 s; they stand below."


def _slope(steps: tuple[int, ...], took: list[float]) -> float:
    """Steps a second; with one number of steps all the time is theirs."""
    if len(steps) < 2:
        return steps[0] / took[0]
    centred = np.array(steps) - np.mean(steps)
    return float(np.square(centred).sum() / max((centred * np.array(took)).sum(), 1e-9))


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    names = (line.partition(":")[2].strip() for line in _cpu_facts() if line.startswith("model name"))
    return f"{next(names, platform.machine())}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def _cpu_facts() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _seconds(model: StableAudioModel, sounds: list[Sound], how: Sampling) -> float:
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(model.device)
    begun = time.perf_counter()
    if sounds[0].seconds * model.config.sample_rate > model.config.num_frames + 0.5:
        longer.generate(model, sounds[0], how)
    else:
        model.generate(sounds, how)
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter() - begun


def _peak(device: torch.device) -> float:
    """GiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
