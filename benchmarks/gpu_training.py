#!/usr/bin/env python3
"""Training steps a second on a GPU: the full DiT at its whole window, and the full codec with discriminators.

Random weights and inputs, bfloat16 under autocast, forward, backward, clipping, AdamW and the moving average;
eager and compiled; with --lora also an adapter of rank 16 on the DiT, whose frozen layers are in bfloat16.
Beside samples a second: model FLOPs (counted by PyTorch in one forward and backward pass) as a share of the
rate at which this GPU multiplies matrices in bfloat16, and the peak of memory.

    python benchmarks/gpu_training.py [--steps 10] [--batch 4] [--device cuda] [--lora] [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from benchmarks import theirs
from benchmarks.gpu import found
from sao_data.errors import UsageError
from sao_model import codec, losses, preset, train_dit, train_vae
from sao_model.adapters import layers, settings
from sao_model.adversarial import adversarial_loss, feature_matching_loss
from sao_model.discriminator import Discriminator
from sao_model.model import StableAudioModel
from sao_model.training import adversary, ema, optimiser, state

Loss = Callable[[], Tensor]
_SIZE = 8192  # of the matrices whose product says what the GPU can do


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is measured."""

    model: str  # a preset
    batch: int
    num_frames: int  # of the codec's windows


def main() -> int:
    """Measure, print Markdown; 2 where there is no such device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10, help="of each way, after three to warm up")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--lora", action="store_true", help="an adapter, too (see sao train plan)")
    parser.add_argument("--quick", action="store_true", help="a tiny model: does it run?")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    try:
        device = found(args.device)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sizes = Sizes(model="stable_audio_open", batch=args.batch, num_frames=65_536)
    if args.quick:
        sizes = Sizes(model="tiny", batch=1, num_frames=4096)
    rate = matmul_rate(device, 256 if args.quick else _SIZE)
    lines = ["| step | way | samples/s | of the matmul rate | peak memory |", "|---|---|---:|---:|---:|"]
    steps = {"DiT": transformer, "codec, against discriminators": codec_step}
    if args.lora:
        steps["adapter of the DiT"] = adapter
    for name, make in steps.items():
        for way, module, loss in ways(make(sizes, device), device):
            speed, flops, peak = measured(module, loss, device, sizes, args.steps)
            share = f"{100 * flops * speed / rate:.0f} %"
            memory = f"{peak / 2**30:.1f} GiB" if peak else "–"
            lines.append(f"| {name} | {way} | {speed:.2f} | {share} | {memory} |")
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    lines += ["", f"{kind}, bfloat16 matmul {rate / 1e12:.1f} TFLOP/s. {theirs.where('torch')}."]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def matmul_rate(device: torch.device, size: int) -> float:
    """FLOPs a second of a product of two square matrices in bfloat16, median of ten."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / statistics.median([elapsed(lambda: a @ b, device) for _ in range(13)][3:])


def transformer(sizes: Sizes, device: torch.device) -> tuple[nn.Module, Loss]:
    """The DiT's loss on latents of the whole window."""
    shape = preset.read(sizes.model)
    with torch.device("meta"):
        whole = StableAudioModel(shape)
    velocity = train_dit.Velocity(whole).to_empty(device=device)
    whole.dit.checkpointing = True
    for parameter in velocity.parameters():
        nn.init.normal_(parameter, std=0.02)
    size = (sizes.batch, shape.codec.latent_dim, shape.num_latents)
    x0, noise = (torch.randn(size, device=device) for _ in range(2))
    text = torch.randn(sizes.batch, shape.prompt.config.max_tokens, shape.dit.cross_dim, device=device)
    times = torch.tensor([[0.0, 40.0]] * sizes.batch, device=device)
    t = torch.linspace(0.1, 0.9, sizes.batch, device=device)
    kept = torch.zeros(sizes.batch, dtype=torch.bool, device=device)
    return velocity, lambda: velocity(x0, text, times, noise, t, kept)


def adapter(sizes: Sizes, device: torch.device) -> tuple[nn.Module, Loss]:
    """The same with an adapter as manifests/training/dit_lora.toml has it."""
    velocity, loss = transformer(sizes, device)
    velocity.requires_grad_(False)
    net = velocity.get_submodule("dit")
    for layer in layers.linears(net.get_submodule("blocks")).values():
        layer.to(torch.bfloat16)
    matched = layers.matched(net, settings.Config().targets)
    layers.put_in(net, layers.AdapterForm(kind="lora", rank=16, alpha=16.0, layers=matched))
    return velocity, loss


def codec_step(sizes: Sizes, device: torch.device) -> tuple[nn.Module, Loss]:
    """The codec's whole loss, discriminators frozen."""
    shape = preset.read(sizes.model).codec
    vae, judges = codec.Codec(shape).to(device), Discriminator(adversary.Config().discriminator).to(device)
    vae.checkpointing = True
    settings = losses.Config()
    stft, rebuild = losses.StftLoss(settings, 44_100).to(device), train_vae.Reconstruction(vae)
    x = 0.1 * torch.randn(sizes.batch, 2, sizes.num_frames, device=device)
    noise = torch.randn(sizes.batch, shape.latent_dim, sizes.num_frames // shape.hop, device=device)
    judges.requires_grad_(False)

    def loss() -> Tensor:
        y, kl = rebuild(x, noise)
        real, fake = judges(x), judges(y)
        told = settings.adversarial * adversarial_loss(fake)
        told = told + settings.feature_matching * feature_matching_loss(real, fake)
        return stft(y.float(), x) + settings.kl * kl + told

    return rebuild, loss


def ways(step: tuple[nn.Module, Loss], device: torch.device) -> Iterator[tuple[str, nn.Module, Loss]]:
    """Eager, and compiled in place where there is a GPU."""
    module, loss = step
    yield "eager", module, loss
    if device.type == "cuda":
        module.compile()
        yield "compiled", module, loss


def measured(
    module: nn.Module, loss: Loss, device: torch.device, sizes: Sizes, steps: int
) -> tuple[float, float, int]:
    """Samples a second, FLOPs of a sample, and the peak of memory in bytes."""
    weights = list(state.trained(module).values())
    made, average = optimiser.make(weights, optimiser.Config()), ema.Ema(module)

    def step() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        made.step()
        made.zero_grad()
        average.update()

    counter = FlopCounterMode(display=False)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = [elapsed(step, device) for _ in range(3 + steps)][3:]
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    module.train()
    with counter, torch.autocast(device.type, dtype=torch.bfloat16):
        loss().backward()
    return sizes.batch / statistics.median(seconds), counter.get_total_flops() / sizes.batch, peak


def elapsed(step: Callable[[], object], device: torch.device) -> float:
    """Seconds until all its work is done."""
    begun = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
