#!/usr/bin/env python3
"""Guided steps a second on a GPU, ours and diffusers' StableAudioDiTModel, and decoding 47 s.

Random weights, bfloat16, the whole window; a guided step is a batch of two for each sound, one told something
and one nothing. Ways: eager, torch.compile, and CUDA graphs (the eager kernels, launched as one). Beside them
stand the paper's figures (5.4), which are for one sound on other machines.

    python benchmarks/gpu.py [--steps 20] [--device cuda] [--quick]
"""

from __future__ import annotations

import argparse
import datetime
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from benchmarks import theirs
from sao_data.errors import UsageError
from sao_model import preset
from sao_model.codec import Codec
from sao_model.dit import DiT

PAPER = {"RTX 3090": 8, "RTX A6000": 11, "H100": 20}  # steps a second, one sound
Step = Callable[[], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is measured."""

    model: str  # a preset
    window: int  # latents
    batches: tuple[int, ...]  # sounds at a time


FULL = Sizes(model="stable_audio_open", window=1024, batches=(1, 8))
QUICK = Sizes(model="tiny", window=16, batches=(1, 2))


def main() -> int:
    """Measure, print Markdown; 2 where there is no such device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="of each way, after three to warm up")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="a tiny model: does it run?")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    try:
        device = found(args.device)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sizes = QUICK if args.quick else FULL
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    with torch.no_grad():
        rows = list(transformers(sizes, device, dtype, args.steps))
        rows += decoders(sizes, device, dtype)
    report(rows, device, dtype, args.steps)
    return 0


def found(name: str) -> torch.device:
    """The device; UsageError where it is not there."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "no GPU: PyTorch sees none here; run this where there is one, or --device cpu --quick"
        )
    return device


def transformers(
    sizes: Sizes, device: torch.device, dtype: torch.dtype, steps: int
) -> Iterator[tuple[str, str, str]]:
    """(what, way, guided steps a second of each sound) for both models."""
    with device:
        ours = DiT(preset.read(sizes.model).dit).to(dtype).requires_grad_(False)
        other = theirs.transformer(preset.read(sizes.model).dit, sizes.window)
        other = other.to(dtype).requires_grad_(False).eval()
    for batch in sizes.batches:
        for whose, step in {
            "ours": our_step(ours, sizes, batch),
            "diffusers": their_step(other, sizes, batch),
        }.items():
            for way, timed in ways(step, device).items():
                seconds = [elapsed(timed, device) for _ in range(3 + steps)][3:]
                yield (
                    f"guided step, {batch} at a time, {whose}",
                    way,
                    f"{1 / statistics.median(seconds):.1f} steps/s",
                )


def ways(step: Step, device: torch.device) -> dict[str, Step]:
    """The same step run in every way the device knows."""
    if device.type != "cuda":
        return {"eager": step}
    return {"eager": step, "torch.compile": torch.compile(step), "CUDA graph": graphed(step)}


def graphed(step: Step) -> Step:
    """The step's kernels recorded once and launched as one."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # libraries set themselves up outside of the recording
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = step()

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay


def our_step(dit: DiT, sizes: Sizes, batch: int) -> Step:
    """One guided velocity; what the prompts mean is computed before."""
    x, t, cross, everywhere = inputs(dit, sizes, batch)
    told = dit.told_with_nothing(cross, everywhere)

    def step() -> Tensor:
        v, v0 = dit.velocity(torch.cat([x, x]), torch.cat([t, t]), told).chunk(2)
        return v0 + 7 * (v - v0)

    return step


def their_step(model: Any, sizes: Sizes, batch: int) -> Step:
    """The same as diffusers' pipeline does it: zeros for nothing."""
    x, t, cross, everywhere = inputs(model, sizes, batch)
    cos, sin = theirs.rotary(sizes.window)
    rotary = cos.to(x.device), sin.to(x.device)
    both = torch.cat([torch.zeros_like(cross), cross])
    twice = torch.cat([everywhere, everywhere])[:, None]

    def step() -> Tensor:
        given = torch.cat([x, x]), torch.cat([t, t]), both, twice
        v0, v = model(*given, rotary_embedding=rotary, return_dict=False)[0].chunk(2)
        return v0 + 7 * (v - v0)

    return step


def inputs(model: nn.Module, sizes: Sizes, batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents, times, 130 tokens, seconds, on the model's device and in its precision."""
    shape = preset.read(sizes.model).dit
    like = next(model.parameters())
    x_BDL = torch.randn(batch, shape.latent_dim, sizes.window)
    cross_BSC = torch.randn(batch, 130, shape.cross_dim)
    given = x_BDL, torch.full((batch,), 0.5), cross_BSC, torch.randn(batch, shape.global_dim)
    x, t, cross, everywhere = (value.to(like) for value in given)
    return x, t, cross, everywhere


def decoders(sizes: Sizes, device: torch.device, dtype: torch.dtype) -> Iterator[tuple[str, str, str]]:
    """Seconds to decode the window: ours, and diffusers' whole."""
    import diffusers

    shape = preset.read(sizes.model).codec
    with device:
        ours = Codec(shape).to(dtype)
        theirs: Any = diffusers.AutoencoderOobleck(
            encoder_hidden_size=2 * shape.latent_dim,
            downsampling_ratios=list(shape.strides),
            channel_multiples=list(shape.multiples),
            decoder_channels=shape.width,
            decoder_input_channels=shape.latent_dim,
        ).to(dtype)
    z_BDL = torch.randn(1, shape.latent_dim, sizes.window).to(device, dtype)
    for whose, way, decode in (
        ("ours", "in pieces", lambda: ours.decode_in_chunks(z_BDL)),
        ("ours", "whole", lambda: ours.decode(z_BDL)),
        ("diffusers", "whole", lambda: theirs.decode(z_BDL).sample),
    ):
        seconds = [elapsed(decode, device) for _ in range(4)][1:]
        yield f"decode {sizes.window} latents, {whose}", way, f"{statistics.median(seconds):.3f} s"


def elapsed(step: Step, device: torch.device) -> float:
    """Wall-clock seconds until the device has done it."""
    wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    wait()
    begun = time.perf_counter()
    step()
    wait()
    return time.perf_counter() - begun


def report(rows: list[tuple[str, str, str]], device: torch.device, dtype: torch.dtype, steps: int) -> None:
    """Markdown."""
    lines = ["| what | way | figure |", "|---|---|---:|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += [f"| paper: one sound, {name} | | {figure} steps/s |" for name, figure in PAPER.items()]
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    tools = ", ".join(f"{name} {version(name)}" for name in ("torch", "diffusers"))
    precision = str(dtype).removeprefix("torch.")
    date = datetime.date.today()
    lines += [
        "",
        f"Medians of {steps} steps. {date}; {gpu}; {precision}; CUDA {torch.version.cuda}; {tools}.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
