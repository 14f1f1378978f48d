#!/usr/bin/env python3
"""CPU time and memory of the model beside diffusers' AutoencoderOobleck and StableAudioDiTModel.

Both have the same random weights (the transformer's are even the same memory), run on one thread and take
turns; what is compared is CPU time. Decoding the whole window runs in a fresh process for each, so that its
peak of memory is its own. Full size takes some 15 minutes on one core.

    python benchmarks/model.py [--rounds 1] [--quick]
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import argparse
import dataclasses
import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from benchmarks import theirs
from sao_model import codec, preset, released, samplers
from sao_model.dit import DiT
from sao_model.model import StableAudioModel
from sao_model.step_cache import StepCache

THRESHOLDS = (0.05, 0.1, 0.2)  # of the step cache
Way = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is measured."""

    model: str  # a preset
    window: int  # latents that are decoded in a process of its own, and denoised
    short: int  # latents that are decoded and encoded side by side
    cached: tuple[int, int, int]  # the step cache: layers, latents, steps


FULL = Sizes(model="stable_audio_open", window=1024, short=128, cached=(4, 256, 12))
QUICK = Sizes(model="tiny", window=16, short=16, cached=(2, 16, 6))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line: CPU seconds of both, and what else is to be said."""

    name: str
    ours: list[float]
    theirs: list[float]
    note: str = ""


def main() -> None:
    """Measure, print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a tiny model: does it run?")
    parser.add_argument("--only", choices=["ours", "theirs"], help="decode the window, print figures as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # theirs: old-style weight norm
    sizes = QUICK if args.quick else FULL
    if args.only:
        sys.stdout.write(json.dumps(decode_window(args.only, sizes)) + "\n")
        return
    results = [window(sizes, args.quick)]
    model = built(sizes.model)
    exports = exported(model)
    with torch.no_grad():
        results += codecs(model.codec, exports["vae"], sizes, args.rounds)
        results += transformers(model.dit, exports["transformer"], sizes, args.rounds)
        del model, exports
        cached = step_cache(sizes)
    report(results, cached, args.rounds)


def built(name: str) -> StableAudioModel:
    """A model with random weights, none of them at the zero that training begins with."""
    tiny = preset.read("tiny")
    config = dataclasses.replace(preset.read(name), prompt=tiny.prompt)  # the text encoder is not measured
    torch.manual_seed(0)
    model = StableAudioModel(config).requires_grad_(False).eval()
    awake(model.dit)
    return model


def awake(dit: DiT) -> None:
    """Move what starts at zero."""
    for parameter in dit.parameters():
        if not parameter.any():
            parameter.normal_(std=0.02)


def exported(model: StableAudioModel) -> dict[str, nn.Module]:
    """diffusers' modules with the model's weights."""
    modules: dict[str, Any] = {
        "vae": theirs.vae(model.config.codec),
        "transformer": theirs.transformer(model.config.dit, model.config.num_latents),
    }
    foreign = released.export(model, released.diffusers)
    for part, module in modules.items():
        module.load_state_dict(foreign[part], assign=True)
        module.requires_grad_(False).eval()
    return modules


def window(sizes: Sizes, quick: bool) -> Result:
    """Decode the window, a process each."""
    found = {}
    for whose in ("ours", "theirs"):
        command = [sys.executable, "-W", "ignore", __file__, "--only", whose, *["--quick"] * quick]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[whose] = json.loads(done.stdout)
        sys.stderr.write(f"{whose}: {found[whose]}\n")
    peaks = [f"{found[whose]['peak'] / 2**30:.2f}" for whose in ("ours", "theirs")]
    return Result(
        name=f"decode {sizes.window} latents",
        ours=[found["ours"]["seconds"]],
        theirs=[found["theirs"]["seconds"]],
        note=f"peak RSS {peaks[0]} against {peaks[1]} GiB",
    )


def decode_window(whose: str, sizes: Sizes) -> dict[str, float]:
    """CPU seconds, and the peak RSS of this process in bytes."""
    shape = preset.read(sizes.model).codec
    torch.manual_seed(0)
    z_BDL = torch.randn(1, shape.latent_dim, sizes.window)
    with torch.no_grad():
        if whose == "ours":
            model = codec.Codec(shape)
            seconds = cpu_seconds(lambda: model.decode_in_chunks(z_BDL))
        else:
            other: Any = theirs.vae(shape).requires_grad_(False).eval()
            seconds = cpu_seconds(lambda: other.decode(z_BDL))
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def codecs(ours: codec.Codec, other: Any, sizes: Sizes, rounds: int) -> list[Result]:
    """Decode and encode some latents."""
    shape, results = ours.config, []
    z_BDL = torch.randn(1, shape.latent_dim, sizes.short)
    x_BCT = 0.3 * torch.randn(1, shape.num_channels, sizes.short * shape.hop)
    cases: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]] = {
        "decode": (lambda: ours.decode_in_chunks(z_BDL), lambda: other.decode(z_BDL).sample),
        "encode": (
            lambda: ours.encode_in_chunks(x_BCT).mean_BDL,
            lambda: other.encode(x_BCT).latent_dist.mean,
        ),
    }
    for name, ways in cases.items():
        times, given = in_turn(list(ways), rounds)
        note = f"differ by {distance(*given):.0e}"
        results.append(
            Result(name=f"{name} {sizes.short} latents", ours=times[0], theirs=times[1], note=note)
        )
    return results


def transformers(ours: DiT, other: Any, sizes: Sizes, rounds: int) -> list[Result]:
    """A forward, and a guided step: a batch of two, told something and nothing."""
    x, t, cross, everywhere = inputs(ours, sizes.window)
    told, both = ours.told(cross, everywhere), ours.told_with_nothing(cross, everywhere)
    twice = [torch.cat([value, value]) for value in (x, t, everywhere)]
    nothing = torch.cat([cross, torch.zeros_like(cross)])
    ways: list[Callable[[], Tensor]] = [
        lambda: ours.velocity(x, t, told),
        lambda: forward(other, x, t, cross, everywhere),
        lambda: ours.velocity(torch.cat([x, x]), torch.cat([t, t]), both),
        lambda: forward(other, twice[0], twice[1], nothing, twice[2]),
    ]
    (one, others, guided, other_guided), given = in_turn(ways, rounds)
    steps = statistics.median(guided) / (2 * statistics.median(one))
    return [
        Result(name=f"DiT, {sizes.window} latents", ours=one, theirs=others),
        Result(
            name=f"guided step, {sizes.window} latents",
            ours=guided,
            theirs=other_guided,
            note=f"{steps:.2f} of two forwards; differ by {distance(*given[2:]):.0e}",
        ),
    ]


def forward(model: Any, x: Tensor, t: Tensor, cross: Tensor, everywhere: Tensor) -> Tensor:
    """diffusers' velocity; its rotary table is the pipeline's."""
    rotary = theirs.rotary(x.shape[-1])
    velocity: Tensor = model(x, t, cross, everywhere[:, None], rotary_embedding=rotary, return_dict=False)[0]
    return velocity


def step_cache(sizes: Sizes) -> list[tuple[float, int, int, float, float]]:
    """Of a few layers at full width: threshold, steps computed and reused, CPU seconds, error (rms)."""
    layers, num_latents, steps = sizes.cached
    torch.manual_seed(0)
    dit = DiT(dataclasses.replace(preset.read(sizes.model).dit, num_layers=layers)).requires_grad_(False)
    awake(dit)
    x, _, cross, everywhere = inputs(dit, num_latents)
    told, rows, exact = dit.told_with_nothing(cross, everywhere), [], None
    for threshold in (0.0, *THRESHOLDS):
        cache, out = StepCache(dit, threshold), []
        velocity = partial(guided_velocity, cache, told)
        seconds = cpu_seconds(lambda v=velocity, o=out: o.append(samplers.dpmpp_2m(v, x, steps, lambda _: x)))
        exact = out[0] if exact is None else exact
        error = float((out[0] - exact).square().mean().sqrt() / exact.square().mean().sqrt())
        rows.append((threshold, cache.computed, cache.reused, seconds, error))
    return rows


def guided_velocity(cache: StepCache, told: Any, x_BDL: Tensor, t_B: Tensor) -> Tensor:
    """Guidance at the scale of the paper (5.1)."""
    v, v0 = cache.velocity(torch.cat([x_BDL, x_BDL]), torch.cat([t_B, t_B]), told).chunk(2)
    return v0 + 7 * (v - v0)


def inputs(dit: DiT, num_latents: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents, a time, 130 tokens of which 100 are padding, seconds."""
    shape = dit.config
    cross_BSC = torch.randn(1, 130, shape.cross_dim)
    cross_BSC[:, 28:128] = 0
    x_BDL = torch.randn(1, shape.latent_dim, num_latents)
    return x_BDL, torch.tensor([0.5]), cross_BSC, torch.randn(1, shape.global_dim)


def in_turn(ways: list[Callable[[], Tensor]], rounds: int) -> tuple[list[list[float]], list[Tensor]]:
    """CPU seconds of every way and round, and what each way gives."""
    times: list[list[float]] = [[] for _ in ways]
    given: dict[int, Tensor] = {}
    for _ in range(rounds):
        for i, way in enumerate(ways):
            times[i].append(cpu_seconds(lambda i=i, way=way: given.update({i: way()})))
            sys.stderr.write(f"{times[i][-1]:.2f} s\n")
    return times, [given[i] for i in range(len(ways))]


def cpu_seconds(way: Way) -> float:
    """CPU time of this process, all threads."""
    begun = time.process_time()
    way()
    return time.process_time() - begun


def distance(ours: Tensor, other: Tensor) -> float:
    """Largest difference over the largest value."""
    return float((ours - other).abs().max() / other.abs().max())


def report(results: list[Result], cached: list[tuple[float, int, int, float, float]], rounds: int) -> None:
    """Markdown."""
    lines = ["| what | ours, CPU s | diffusers, CPU s | ratio | |", "|---|---:|---:|---:|---|"]
    for result in results:
        mine, other = statistics.median(result.ours), statistics.median(result.theirs)
        cells = [result.name, f"{mine:.2f}", f"{other:.2f}", f"{mine / other:.2f}", result.note]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| step cache, threshold | steps computed | reused | CPU s | error, rms |"]
    lines.append("|---:|---:|---:|---:|---:|")
    for threshold, computed, reused, seconds, error in cached:
        lines.append(f"| {threshold} | {computed} | {reused} | {seconds:.2f} | {error:.1e} |")
    lines += [
        "",
        f"Rounds in turn: {rounds}, medians; one core, float32. {theirs.where('torch', 'diffusers')}.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
