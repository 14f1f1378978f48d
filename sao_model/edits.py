"""A sound that is there, and what is to become of it: another version of it (audio to audio), some regions
made anew (inpainting), or more behind its end (continuation, which is a region behind the end).

Without training for it: what is kept is put in the place of the model's clean estimate at every step, so that
the sampler noises it again to every next level, as it does with all else; where nothing is kept the estimate
is the model's, which hears what is beside it (cf. Lugmayr et al. 2022, arXiv 2201.09865). In the end the
original samples come back, cross-faded.

    B batch   C channels   T samples   D latent channels   L latents
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sao_data.errors import UsageError
from sao_model import samplers
from sao_model.codec import Codec
from sao_model.diffusion import Velocity, to_denoised, to_v
from sao_model.preset import Config

FADE_SECONDS = 0.02

Regions = Sequence[tuple[float, float]]  # from and to, in seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Latents to begin with, and which of them stay."""

    clean_BDL: Tensor
    time: float = 1.0  # up to which noise is added: the strength
    keep_L: Tensor | None = None  # 1 = stays, 0 = made anew; not given: all is made anew

    def start(self) -> samplers.Start:
        """Where sampling begins."""
        return samplers.Start(clean_BDL=self.clean_BDL, time=self.time)

    def to(self, device: torch.device) -> Edit:
        """The same on a device."""
        keep = None if self.keep_L is None else self.keep_L.to(device)
        return replace(self, clean_BDL=self.clean_BDL.to(device), keep_L=keep)

    def hold(self, velocity: Velocity) -> Velocity:
        """The velocity whose clean estimate is, where latents stay, those latents."""
        if self.keep_L is None:
            return velocity
        keep, clean = self.keep_L, self.clean_BDL

        def held(x_BDL: Tensor, t_B: Tensor) -> Tensor:
            x0_BDL = to_denoised(velocity(x_BDL, t_B), x_BDL, t_B)
            return to_v(keep * clean + (1 - keep) * x0_BDL, x_BDL, t_B)

        return held


@torch.no_grad()
def prepare(
    codec: Codec, shape: Config, samples_CT: Tensor, *, strength: float, regions: Regions = ()
) -> Edit:
    """A sound as latents of the whole window. With regions all else stays, without all is made anew as far as
    `strength` says."""
    known_CT = samples_CT[:, : shape.num_frames]
    window_CT = torch.nn.functional.pad(known_CT, (0, shape.num_frames - known_CT.shape[1]))
    clean_BDL = codec.encode_in_chunks(window_CT[None]).mean_BDL
    if not regions:
        return Edit(clean_BDL=clean_BDL, time=strength)
    keep_L = kept_latents(regions, shape.sample_rate, shape.codec.hop, shape.num_latents)
    return Edit(clean_BDL=clean_BDL, keep_L=keep_L.to(clean_BDL))


def check_regions(regions: Regions, seconds: float) -> None:
    """UsageError for regions that are none, or lie outside of a sound of so many seconds."""
    for start, end in regions:
        if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end):
            raise UsageError(
                f"edit.regions: {start} to {end} is no region; give seconds, e.g. '[[1.0, 2.5]]'"
            )
        if start >= seconds or end > seconds + 0.01:
            raise UsageError(
                f"edit.regions: {start} to {end} lies outside of the sound, which ends at {seconds:.2f} s; "
                "give regions inside it, or more --seconds to continue behind its end"
            )


def kept_latents(regions: Regions, sample_rate: int, hop: int, num_latents: int) -> Tensor:
    """(L,): 0 for every latent that a region touches."""
    keep_L = torch.ones(num_latents)
    for start, end in regions:
        keep_L[int(start * sample_rate) // hop : math.ceil(end * sample_rate / hop)] = 0
    return keep_L


def restored(made_CT: Tensor, original_CT: Tensor, regions: Regions, sample_rate: int) -> Tensor:
    """What was made inside the regions, the original outside, sample by sample. The fade lies inside a
    region, or, where the original has nothing there, before it. What was made is scaled to full scale where
    it exceeds it, so that the original need not be."""
    num, known = made_CT.shape[-1], min(original_CT.shape[-1], made_CT.shape[-1])
    weight_T = torch.ones(num)  # of the original
    for start, end in regions:
        first, last = round(start * sample_rate), min(round(end * sample_rate), num)
        weight_T = torch.minimum(weight_T, _outside(first, last, num, known, sample_rate))
    weight_T[known:] = 0
    made_CT = made_CT / made_CT[:, weight_T < 1].abs().max().clamp_min(1)
    original = torch.nn.functional.pad(original_CT[:, :known], (0, num - known))
    return torch.where(weight_T == 1, original, made_CT + weight_T * (original - made_CT))


def _outside(start: int, end: int, num: int, known: int, sample_rate: int) -> Tensor:
    """(T,): 1 outside of a region, 0 inside, with a fade at both ends."""
    weight_T = torch.ones(num)
    length = min(round(FADE_SECONDS * sample_rate), (end - start) // 2)
    down = start if start + length <= known else max(start - length, 0)
    length_down = min(length, num - down)
    weight_T[down:end] = 0
    weight_T[down : down + length_down] = _ramp(length).flip(0)[:length_down]
    if end <= known:
        weight_T[end - length : end] = _ramp(length)
    return weight_T


def _ramp(length: int) -> Tensor:
    """Raised cosine from 0 to 1, ends left out: with its mirror it makes 1."""
    return 0.5 - 0.5 * torch.cos(math.pi * torch.arange(1, length + 1) / (length + 1))
