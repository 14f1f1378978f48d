"""What is learned: the velocity of latents that noise was added to (paper 2.3)."""

from __future__ import annotations

from torch import Tensor, nn

from sao_model import diffusion, guidance
from sao_model.model import StableAudioModel, conditioning


class Velocity(nn.Module):
    """What is learned, transformer and timing, as one module whose forward pass is the loss: the one that is
    wrapped for several processes."""

    def __init__(self, model: StableAudioModel) -> None:
        super().__init__()
        self.dit = model.dit
        self.conditioners = model.conditioners

    def forward(
        self,
        latents_BDL: Tensor,
        text_BSC: Tensor,
        times_B2: Tensor,
        noise_BDL: Tensor,
        t_B: Tensor,
        is_dropped_B: Tensor,
    ) -> Tensor:
        """Error of the velocity at noise times t; `times_B2` are the seconds at which a window starts and its
        recording ends. The items that are dropped are told nothing."""
        told = conditioning(self.conditioners, text_BSC, times_B2)
        told = guidance.drop_conditioning(told, is_dropped_B)
        return diffusion.v_loss(guidance.conditioned(self.dit, told), latents_BDL, noise_BDL, t_B)
