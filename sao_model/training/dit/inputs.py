"""What the frozen parts make of samples: latents, encoded prompts, times.

B batch   C channels   T samples   D latent channels   L latents   S tokens of text
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sao_data.loading.crop import Floats
from sao_data.loading.stream import StreamedSample
from sao_model.model import StableAudioModel
from sao_model.training import noise

if TYPE_CHECKING:
    from sao_model.training.loop import Loop


@torch.no_grad()
def encoded(
    model: StableAudioModel, samples: Sequence[StreamedSample], audio: Floats, seed: int, here: Loop
) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, encoded prompts and times of samples: what the frozen parts say, in their own precision. The
    codec is sampled anew each time a recording is drawn."""
    x_BCT = torch.from_numpy(audio).to(model.device)
    with here.timed("codec"):
        posterior = model.codec.encode_in_chunks(x_BCT)
    positions = [sample.position for sample in samples]
    shape = posterior.mean_BDL.shape[1:]
    noise_BDL = noise.normal(shape, seed=seed, purpose="latents", positions=positions).to(model.device)
    with here.timed("text"):
        text_BSC = model.text([sample.prompt for sample in samples])
    times = [[float(sample.seconds_start), float(sample.seconds_total)] for sample in samples]
    times_B2 = torch.tensor(times, device=model.device)
    return posterior.mean_BDL + posterior.std_BDL * noise_BDL, text_BSC, times_B2
