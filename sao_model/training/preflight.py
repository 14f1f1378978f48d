"""Before a DiT is trained for days: does its codec reconstruct anything, and are its latents of a size that
diffusion with unit noise can learn?"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import torch
from accelerate import Accelerator

from sao_data.errors import UsageError
from sao_data.latents.facts import ChannelStatistics
from sao_data.records import SAMPLE_RATE
from sao_model.codec import Codec
from sao_model.metrics import reconstruction
from sao_model.training.validation import Windows

log = logging.getLogger(__name__)

_MOST = 8  # windows of a process that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a codec must reach; `check = false` goes on all the same, and says so."""

    check: bool = True
    least_std: float = 0.1  # of the latents: below, the noise of diffusion drowns them
    most_std: float = 10.0  # above, it never covers them


@torch.no_grad()
def check_codec(codec: Codec, held: Windows, config: Config, accelerator: Accelerator) -> None:
    """UsageError, on all processes, for a codec whose reconstructions are no nearer to the windows than
    silence is, or whose latents are too small or too large."""
    rows = [torch.zeros(4)]
    for sample in held.heard()[:_MOST]:
        x_BCT = torch.from_numpy(sample.audio)[None].to(accelerator.device)
        latents_BDL = codec.encode_in_chunks(x_BCT).mean_BDL
        y_BCT = codec.decode_in_chunks(latents_BDL)
        found = reconstruction.mel_distance(y_BCT, x_BCT, SAMPLE_RATE)
        silent = reconstruction.mel_distance(torch.zeros_like(x_BCT), x_BCT, SAMPLE_RATE)
        rows.append(torch.stack([found[0], silent[0], latents_BDL.std(), torch.ones(()).to(silent)]).cpu())
    sums = accelerator.reduce(torch.stack(rows).sum(0).to(accelerator.device), reduction="sum")
    *totals, num = sums.tolist()
    if not num:
        log.warning("codec: every window that it could be tried on is silent; it is taken as it is")
        return
    mel, silence, std = (total / num for total in totals)
    log.info("codec: MEL distance %.3f (silence: %.3f), std of latents %.3f", mel, silence, std)
    problems = []
    if not mel < silence:
        problems.append(
            f"its reconstructions are no nearer to the sounds than silence is ({mel:.3f}, {silence:.3f})"
        )
    problems += _of_size(std, config)
    _end(problems, config)


def check_latents(channels: ChannelStatistics, config: Config) -> None:
    """The same of stored latents, all of them; what the codec reconstructs is not heard again."""
    mean = sum(channels.mean) / len(channels.mean)
    squares = sum(std**2 + (at - mean) ** 2 for at, std in zip(channels.mean, channels.std, strict=True))
    std = math.sqrt(squares / len(channels.std))
    log.info("latents: std %.3f over %d of them", std, channels.num_latents)
    _end(_of_size(std, config), config)


def _of_size(std: float, config: Config) -> list[str]:
    if config.least_std <= std <= config.most_std:
        return []
    return [f"its latents have a std of {std:.3g}, not {config.least_std:g} to {config.most_std:g}"]


def _end(problems: list[str], config: Config) -> None:
    if not problems:
        return
    said = f"the codec is not ready: {' and '.join(problems)}"
    if config.check:
        raise UsageError(f"{said}; train it longer, or go on all the same with --set preflight.check=false")
    log.warning("%s; going on all the same", said)
