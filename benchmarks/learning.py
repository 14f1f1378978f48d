#!/usr/bin/env python3
"""What a codec's training has learned: MEL distance of the validation windows, before, after, and of noise.

The windows are those that the run was validated on. Noise is measured three ways: with the mean spectrum of
all windows, the same at each window's own level, and with each window's own mean spectrum (which says of a
window all but what happens when).

    OMP_NUM_THREADS=1 pipelines/train_vae.py --config manifests/training/vae_small.toml --data DATA --out RUN
    python benchmarks/learning.py RUN --data DATA
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from benchmarks import theirs
from sao_data.config import parse
from sao_data.dataset.reader import open_dataset
from sao_data.records import SAMPLE_RATE
from sao_model import checkpoint, run, train_vae
from sao_model.metrics import reconstruction
from sao_model.training import validation


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = parse(train_vae.Config, json.loads((args.run / run.CONFIG).read_text()), where=str(args.run))
    dataset, accelerator = open_dataset(args.data), Accelerator(cpu=True)
    held = validation.windows(dataset, config.stream, config.validation, config.pace, accelerator)
    x_BCT = torch.stack([torch.from_numpy(sample.audio) for sample in held.heard()])
    told = [json.loads(line) for line in (args.run / run.VALIDATION).read_text().splitlines()]
    lines = [
        "| what | MEL | STFT | SI-SDR, dB | level against the original's, dB |",
        "|---|---:|---:|---:|---:|",
    ]
    for step in sorted({line["step"] for line in told})[:1]:
        (first,) = (line for line in told if line["step"] == step and line["weights"] == "ema")
        cells = (f"{first[name]:.2f}" for name in ("mel", "stft", "si_sdr"))
        lines.append(f"| step {step} | {' | '.join(cells)} | |")
    newest = run.resolve(args.run)
    lines.append(row(f"{newest.name}, averaged weights", rebuilt(newest, x_BCT), x_BCT))
    for name, noise_BCT in noises(x_BCT).items():
        lines.append(row(name, noise_BCT, x_BCT))
    lines += ["", f"{len(x_BCT)} windows. {theirs.where('torch')}."]
    sys.stdout.write("\n".join(lines) + "\n")


@torch.no_grad()
def rebuilt(folder: Path, x_BCT: Tensor) -> Tensor:
    """What the codec makes of each window."""
    vae = checkpoint.load_codec(folder)
    return torch.cat([vae.decode_in_chunks(vae.encode_in_chunks(x[None]).mean_BDL) for x in x_BCT])


def noises(x_BCT: Tensor) -> dict[str, Tensor]:
    """Noise in the shape of the windows."""
    generator = torch.Generator().manual_seed(0)
    white = torch.fft.rfft(torch.randn(x_BCT.shape, generator=generator))
    phase = white / white.abs().clamp_min(1e-9)
    power = torch.fft.rfft(x_BCT).abs().square()
    every = shaped(phase, power.mean((0, 1), keepdim=True), x_BCT)
    level = (
        x_BCT.square().mean((1, 2), keepdim=True).sqrt() / every.square().mean((1, 2), keepdim=True).sqrt()
    )
    return {
        "noise of the windows' mean spectrum": every,
        "… at each window's own level": every * level,
        "noise of each window's own spectrum": shaped(phase, power.mean(1, keepdim=True), x_BCT),
    }


def shaped(phase: Tensor, power: Tensor, like_BCT: Tensor) -> Tensor:
    """Noise with a mean power spectrum."""
    return torch.fft.irfft(phase * power.sqrt(), n=like_BCT.shape[-1])


def row(name: str, y_BCT: Tensor, x_BCT: Tensor) -> str:
    """Means over the windows."""
    found = reconstruction.distances(y_BCT, x_BCT, SAMPLE_RATE)
    level = 20 * torch.log10(y_BCT.square().mean((1, 2)).sqrt() / x_BCT.square().mean((1, 2)).sqrt())
    cells = (f"{float(value.mean()):.2f}" for value in (found["mel"], found["stft"], found["si_sdr"], level))
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
