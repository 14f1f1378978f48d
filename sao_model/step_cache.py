"""Reuse of the last step where this one hardly differs: the first block decides (First Block Cache of
ParaAttention; the idea is TeaCache's, arXiv 2411.19108).

What the first block adds changes along a sampler's steps much as the whole does. Where it is close to what it
was at the last step that was computed, the other blocks are taken to add what they added then. This is an
approximation, off unless asked for: a threshold of 0 computes every step.

    B batch   D latent channels   L latents   T tokens   W width
"""

from __future__ import annotations

from torch import Tensor

from sao_model.dit import DiT, Told, rotary


class StepCache:
    """The DiT for one generation; `velocity` takes what the DiT's takes."""

    def __init__(self, dit: DiT, threshold: float) -> None:
        """`threshold` is the relative change of the first block's part below which the others are reused."""
        self.dit, self.threshold = dit, threshold
        self.computed, self.reused = 0, 0  # steps
        self._told: Told | None = None  # of the last step that was computed
        self._first_BTW: Tensor | None = None  # what its first block added, …
        self._others_BTW: Tensor | None = None  # … and the others

    def velocity(self, x_BDL: Tensor, t_B: Tensor, told: Told) -> Tensor:
        """Velocity (B, D, L), perhaps from the last step's blocks."""
        dit, rotation = self.dit, rotary(x_BDL.shape[-1] + 1, x_BDL.device)
        x_BTW = dit.enter(x_BDL, t_B, told)
        after_BTW = dit.through(0, x_BTW, told, rotation)
        first_BTW = after_BTW - x_BTW
        if told is self._told and self._is_near(first_BTW):
            assert self._others_BTW is not None
            self.reused += 1
            return dit.leave(after_BTW + self._others_BTW).to(x_BDL.dtype)
        x_BTW = after_BTW
        for i in range(1, len(dit.blocks)):
            x_BTW = dit.through(i, x_BTW, told, rotation)
        self.computed += 1
        self._told, self._first_BTW, self._others_BTW = told, first_BTW, x_BTW - after_BTW
        return dit.leave(x_BTW).to(x_BDL.dtype)

    def _is_near(self, first_BTW: Tensor) -> bool:
        """All rows decide together, so that those told something and those told nothing stay in step."""
        before_BTW = self._first_BTW
        if before_BTW is None or before_BTW.shape != first_BTW.shape or self.threshold <= 0:
            return False
        change_B = (first_BTW - before_BTW).abs().mean((1, 2)) / before_BTW.abs().mean((1, 2))
        return bool((change_B < self.threshold).all())
