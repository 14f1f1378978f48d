"""Sounds longer than the model's window, window by window: each continues the last part of the one before,
and is told where in the whole it stands. Experimental: the model was trained to hear one window, and forgets
what lies further back.

    B batch   D latent channels   L latents
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sao_data.config import digest
from sao_model.edits import Edit
from sao_model.model import Progress, StableAudioModel, watched
from sao_model.request import Sampling, Sound, check

OVERLAP = 4  # the part of a window that is carried over is one in so many


def num_windows(model_latents: int, num_latents: int) -> int:
    """Windows that so many latents take."""
    fresh = model_latents - model_latents // OVERLAP
    return 1 + max(0, math.ceil((num_latents - model_latents) / fresh))


@torch.no_grad()
def generate(
    model: StableAudioModel, sound: Sound, how: Sampling, *, progress: Progress | None = None
) -> Tensor:
    """Audio (2, samples) of any length, float32 on the CPU; of its seed, as all sounds."""
    num_frames = check(model.config, sound, beyond_window=True)
    hop, window = model.config.codec.hop, model.config.num_latents
    wanted, carried = math.ceil(num_frames / hop), window // OVERLAP
    windows = num_windows(window, wanted)
    watch = watched(how.steps * windows, progress)
    latents_BDL = torch.empty(1, model.config.codec.latent_dim, 0)
    for number in range(windows):
        start = number * (window - carried)
        edit = _carry(latents_BDL[..., start:], window) if number else None
        seconds_start = float(start * hop // model.config.sample_rate)
        made_BDL = model.sample(
            model.told([sound], seconds_start),
            *model.noise([_seed(sound.seed, number)]),
            how,
            negative_BSC=model.told_against([sound], seconds_start),
            edit=edit and edit.to(model.device),
            watch=watch,
        )
        latents_BDL = torch.cat([latents_BDL[..., :start], made_BDL.cpu()], dim=-1)
    return model.codec.decode_in_chunks(latents_BDL.to(model.device), num_frames)[0].float().cpu()


def _seed(seed: int, number: int) -> int:
    """Of a window: the sound's own for the first, none that another sound has for the others."""
    return int(digest("window", seed, number)[:15], 16) if number else seed


def _carry(known_BDL: Tensor, window: int) -> Edit:
    """What is known stands at the beginning of a window of which the rest is made."""
    num = known_BDL.shape[-1]
    clean_BDL = torch.nn.functional.pad(known_BDL, (0, window - num))
    return Edit(clean_BDL=clean_BDL, keep_L=(torch.arange(window) < num).float())
