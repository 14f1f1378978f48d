#!/usr/bin/env python3
"""CPU time of a training step beside the same step built from diffusers' modules, and what saving costs.

The small preset, one thread, ours and theirs in turn. A step is forward, backward, clipping, AdamW and the
moving average: ours as the loops take it, theirs with diffusers' modules and its EMAModel, auraloss' spectral
loss for the codec, and the same optimiser. No discriminators: diffusers has none. Then a real training of
the small DiT, whose log says where its time went; its threads' clocks say what a checkpoint takes.

    python benchmarks/training.py [--rounds 5] [--steps 120] [--quick]
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from benchmarks import stream, theirs
from sao_data.config import parse, read_toml
from sao_data.dataset.reader import open_dataset
from sao_data.shipped import manifests_folder
from sao_model import checkpoint, codec, diffusion, losses, preset, run, train_dit, train_vae
from sao_model.model import build
from sao_model.training import ema, optimiser
from sao_model.training.loop import Loop

Step = Callable[[], object]
_CLIP = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is measured."""

    batch: int
    num_latents: int
    num_frames: int  # of the codec's windows
    steps: int  # of a real training


def main() -> None:
    """Measure, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=120, help="of a real training")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run?")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # theirs: old-style weight norm
    sizes = Sizes(batch=4, num_latents=256, num_frames=16_384, steps=args.steps)
    if args.quick:
        sizes = Sizes(batch=2, num_latents=16, num_frames=4096, steps=2)
    lines = ["| step | ours, CPU s | diffusers, CPU s | ratio |", "|---|---:|---:|---:|"]
    for name, steps in {"DiT": transformers(sizes), "codec": codecs(sizes)}.items():
        ours, others = in_turn(steps, args.rounds)
        lines.append(f"| {name} | {ours:.3f} | {others:.3f} | {ours / others:.2f} |")
    lines += ["", *shares(sizes), ""]
    facts = theirs.where("torch", "diffusers", "auraloss")
    lines.append(f"Rounds in turn: {args.rounds}, medians; one core, float32. {facts}.")
    sys.stdout.write("\n".join(lines) + "\n")


def transformers(sizes: Sizes) -> tuple[Step, Step]:
    """A step of the DiT: ours, and diffusers' transformer with our timing embedders."""
    model, other = build(preset.read("small")), build(preset.read("small"))
    shape = model.config
    transformer: Any = theirs.transformer(shape.dit, sizes.num_latents)
    generator = torch.Generator().manual_seed(0)
    x0, noise = (
        torch.randn(sizes.batch, shape.dit.latent_dim, sizes.num_latents, generator=generator)
        for _ in range(2)
    )
    t, times = torch.linspace(0.1, 0.9, sizes.batch), torch.tensor([[0.0, 5.0]] * sizes.batch)
    text, kept = model.text(["a dog barks"] * sizes.batch), torch.zeros(sizes.batch, dtype=torch.bool)
    velocity = train_dit.Velocity(model)
    rotary = theirs.rotary(sizes.num_latents)

    def other_loss() -> Tensor:
        start, total = (other.conditioners[name](times[:, i]) for i, name in enumerate(_TIMES))
        cross = torch.cat([text, start, total], dim=1)
        seconds = torch.cat([start, total], dim=-1)
        x = diffusion.noised(x0, noise, t)
        v = transformer(x, t, cross, seconds, rotary_embedding=rotary, return_dict=False)[0]
        return (v - diffusion.v_target(x0, noise, t)).square().mean()

    return (
        our_step(velocity, lambda: velocity(x0, text, times, noise, t, kept)),
        their_step(nn.ModuleList([transformer, other.conditioners]), other_loss),
    )


_TIMES = ("seconds_start", "seconds_total")


def codecs(sizes: Sizes) -> tuple[Step, Step]:
    """A step of the codec without discriminators: ours, and diffusers' with auraloss."""
    from auraloss.freq import MultiResolutionSTFTLoss, SumAndDifferenceSTFTLoss

    shape = preset.read("small").codec
    vae, other = codec.Codec(shape), theirs.vae(shape)
    generator = torch.Generator().manual_seed(0)
    x = 0.3 * torch.randn(sizes.batch, 2, sizes.num_frames, generator=generator)
    noise = torch.randn(sizes.batch, shape.latent_dim, sizes.num_frames // shape.hop, generator=generator)
    settings = losses.Config()
    ours, rebuild = losses.StftLoss(settings, 44_100), train_vae.Reconstruction(vae)
    fft = list(settings.fft_sizes)
    spectra: dict[str, Any] = {
        "fft_sizes": fft, "hop_sizes": [size // 4 for size in fft], "win_lengths": fft,
        "sample_rate": 44_100, "perceptual_weighting": True,
    }  # fmt: skip
    mid_side, single = SumAndDifferenceSTFTLoss(**spectra), MultiResolutionSTFTLoss(**spectra)

    def our_loss() -> Tensor:
        y, kl = rebuild(x, noise)
        return ours(y, x) + settings.kl * kl

    def other_loss() -> Tensor:
        posterior = other.encode(x).latent_dist
        y = other.decode(posterior.mean + posterior.std * noise).sample
        sides = sum(single(y[:, i : i + 1], x[:, i : i + 1]) for i in (0, 1))
        kl = (posterior.mean**2 + posterior.var - posterior.logvar - 1).sum(1).mean()
        return mid_side(y, x) + 0.5 * sides + settings.kl * kl

    return our_step(vae, our_loss), their_step(other, other_loss)


def our_step(module: nn.Module, loss: Callable[[], Tensor]) -> Step:
    """As the loops take it."""
    made = optimiser.make(module.parameters(), optimiser.Config())
    average = ema.Ema(module)
    weights = [p for p in module.parameters() if p.requires_grad]

    def step() -> None:
        loss().backward()
        torch.nn.utils.clip_grad_norm_(weights, _CLIP)
        made.step()
        made.zero_grad()
        average.update()

    return step


def their_step(module: nn.Module, loss: Callable[[], Tensor]) -> Step:
    """The same with diffusers' moving average."""
    from diffusers.training_utils import EMAModel

    made = torch.optim.AdamW(module.parameters(), lr=5e-5, weight_decay=1e-3)
    average = EMAModel(module.parameters(), decay=0.9999, power=0.75, use_ema_warmup=True)

    def step() -> None:
        loss().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), _CLIP)
        made.step()
        made.zero_grad()
        average.step(module.parameters())

    return step


def in_turn(steps: tuple[Step, Step], rounds: int) -> tuple[float, float]:
    """Median CPU seconds of each; the first round warms up."""
    found: list[list[float]] = [[], []]
    for _ in range(rounds + 1):
        for i, step in enumerate(steps):
            begun = time.process_time()
            step()
            found[i].append(time.process_time() - begun)
    ours, others = (statistics.median(times[1:]) for times in found)
    return ours, others


class Silent(stream.Silent):
    """A progress that shows nothing."""

    def start(self, step: str, total: int | None, unit: str = "") -> None: ...


def shares(sizes: Sizes) -> list[str]:
    """Where the time of a real DiT training goes, and what a checkpoint costs it."""
    with tempfile.TemporaryDirectory(prefix="sao-bench-") as folder:
        data = open_dataset(str(stream.build(Path(folder) / "tones", 12, seconds=5)))
        vae = Path(folder) / "vae"
        small = build(preset.read("small"))
        checkpoint.save(small, vae, only=("vae",))
        path = manifests_folder() / "training" / "dit_small.toml"
        config = parse(train_dit.Config, read_toml(path), where=str(path))
        config = replace(config, preflight=replace(config.preflight, check=False))
        pace = replace(
            config.pace,
            steps=sizes.steps,
            log_every=sizes.steps,
            save_every=max(sizes.steps // 4, 1),
            sample_every=0,
            validate_every=0,
        )
        begun, out = time.process_time(), Path(folder) / "run"
        with saving_timed() as spent:
            train_dit.train(replace(config, pace=pace), data, str(vae), out, resume="auto", progress=Silent())
        num, took = len(spent["write"]), time.process_time() - begun
        line = json.loads((out / run.LOG).read_text().splitlines()[-1])
    named = {name: line.get(f"{name}_share", 0.0) for name in ("step", "codec", "text", "data", "save")}
    told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in named.items())
    step = (took - sum(spent["copy"]) - sum(spent["write"])) / sizes.steps
    copy, write = (statistics.median(spent[name]) for name in ("copy", "write"))
    every = config.pace.save_every
    return [
        f"Time of a real training of the small DiT ({sizes.steps} steps, {num} checkpoints): {told}.",
        f"A checkpoint takes {1000 * copy:.0f} ms of CPU time to copy, which steps wait for, and "
        f"{1000 * write:.0f} ms to write beside them: {100 * (copy + write) / (step * every):.2f} % of "
        f"{every} steps at {step:.2f} s.",
    ]


@contextlib.contextmanager
def saving_timed() -> Iterator[dict[str, list[float]]]:
    """CPU seconds of the threads that copy checkpoints and that write them."""
    spent: dict[str, list[float]] = {"copy": [], "write": []}

    def timed(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object) -> object:
            begun = time.thread_time()
            result = function(*args)
            spent[name].append(time.thread_time() - begun)
            return result

        return run

    with (
        mock.patch.object(Loop, "save", timed("copy", Loop.save)),
        mock.patch.object(Loop, "_publish", timed("write", Loop._publish)),
    ):
        yield spent


if __name__ == "__main__":
    main()
