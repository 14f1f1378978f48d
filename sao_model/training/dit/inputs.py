"""What the frozen parts make of samples: latents, encoded prompts, times.

B batch   C channels   T samples   D latent channels   L latents   S tokens of text
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sao_data.loading.samples import StreamedSample, Window
from sao_model.codec import Posterior
from sao_model.model import StableAudioModel
from sao_model.training import noise

if TYPE_CHECKING:
    from sao_model.training.loop import Loop


@torch.no_grad()
def encoded(
    model: StableAudioModel, samples: Sequence[StreamedSample], window: Window, seed: int, here: Loop
) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, encoded prompts and times of samples: what the frozen parts say, in their own precision. The
    codec is sampled anew each time a recording is drawn; `window` is audio, or what it said of it before."""
    x = torch.from_numpy(window).to(model.device)
    with here.timed("codec"):
        posterior = stored(x) if x.dtype == torch.float16 else model.codec.encode_in_chunks(x)
    positions = [sample.position for sample in samples]
    shape = posterior.mean_BDL.shape[1:]
    noise_BDL = noise.normal(shape, seed=seed, purpose="latents", positions=positions).to(model.device)
    with here.timed("text"):
        text_BSC = model.text([sample.prompt for sample in samples])
    times = [[float(sample.seconds_start), float(sample.seconds_total)] for sample in samples]
    times_B2 = torch.tensor(times, device=model.device)
    return posterior.mean_BDL + posterior.std_BDL * noise_BDL, text_BSC, times_B2


def stored(x_BL2D: Tensor) -> Posterior:
    """The posterior in latents as they are stored (float16)."""
    mean_BDL, std_BDL = x_BL2D.float().permute(2, 0, 3, 1).unbind(0)
    return Posterior(mean_BDL=mean_BDL, std_BDL=std_BDL)
