"""What is asked of a model: sounds, and how they are sampled. Plain values that need no PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sao_data.errors import UsageError

if TYPE_CHECKING:
    from sao_model.preset import Config

MOST_SEED = (1 << 63) - 1
USUAL_SECONDS = 10.0  # where no length is asked for, or the model's window if that is shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """What is added to classifier-free guidance; the defaults add nothing."""

    rescale: float = 0.0  # share by which v gets back the spread of the unguided (Lin et al. 2023)
    interval: tuple[float, float] = (0.0, 1.0)  # times t with guidance (Kynkäänniemi et al. 2024)
    apg: bool = False  # adaptive projected guidance (Sadat et al. 2024)
    apg_eta: float = 0.0  # share kept of what points along the estimate
    apg_norm: float = 0.0  # longest difference of estimates, root mean square; 0 = any
    apg_momentum: float = 0.0  # share of the last difference; negative pushes away from it

    def __post_init__(self) -> None:
        low, high = self.interval
        if not 0 <= self.rescale <= 1:
            raise UsageError(f"guidance.rescale: {self.rescale}; give 0 (none) to 1")
        if not 0 <= low < high <= 1:
            raise UsageError(f"guidance.interval: {low} to {high}; give two times, 0 <= low < high <= 1")
        if not (math.isfinite(self.apg_norm) and self.apg_norm >= 0 and math.isfinite(self.apg_eta)):
            raise UsageError("guidance: apg_norm is a number of at least 0, apg_eta a number")
        if not self.apg and (self.apg_eta or self.apg_norm or self.apg_momentum):
            raise UsageError("guidance: apg_eta, apg_norm and apg_momentum are of apg; give apg=true too")
        if not abs(self.apg_momentum) < 1:
            raise UsageError(f"guidance.apg_momentum: {self.apg_momentum}; give more than -1, less than 1")


PLAIN = Guidance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One sound to be made."""

    prompt: str
    seconds: float
    seed: int = 0  # its noise, whatever else is in the batch
    negative_prompt: str = ""  # takes the place of "nothing" in guidance


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How sounds are sampled; the defaults are the paper's (5.1)."""

    steps: int = 100
    cfg_scale: float = 7.0
    sampler: str = "dpmpp-2m-sde"
    guidance: Guidance = PLAIN
    step_cache: float = 0.0  # relative change below which blocks are reused; 0 = never

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"steps: {self.steps}; give at least 1 (the paper uses 100)")
        if not 0 <= self.step_cache < 1:
            raise UsageError(f"step_cache: {self.step_cache}; give 0 (off) or a small share, as 0.1")
        if not math.isfinite(self.cfg_scale):
            raise UsageError(f"cfg_scale: {self.cfg_scale}; give a number (the paper uses 7)")


def check(config: Config, sound: Sound, *, beyond_window: bool = False) -> int:
    """Samples that the sound has; UsageError for what the model cannot do."""
    check_prompt(sound.prompt)
    check_seed(sound.seed)
    window = config.num_frames / config.sample_rate
    num_frames = round(sound.seconds * config.sample_rate) if math.isfinite(sound.seconds) else 0
    if num_frames < 1:
        raise UsageError(
            f"seconds: {sound.seconds} is no length; give a number above 0, at most {window:.2f}"
        )
    if num_frames > config.num_frames and not beyond_window:
        raise UsageError(
            f"seconds: {sound.seconds} is longer than the model's window; give at most {window:.2f}, or try "
            "--set beyond_window=true (experimental: continued window by window)"
        )
    return num_frames


def check_prompt(prompt: str) -> None:
    """UsageError for an empty prompt."""
    if not prompt.strip():
        raise UsageError("prompt: empty; say what to generate, e.g. --prompt 'rain on a tin roof'")


def check_strength(strength: float) -> None:
    """UsageError for a share of noise that is none."""
    if not 0.001 <= strength <= 1:
        raise UsageError(f"edit.strength: {strength}; give 0.001 (it stays) to 1 (all anew)")


def check_seed(seed: int) -> None:
    """UsageError for a number that no generator takes."""
    if not 0 <= seed <= MOST_SEED:
        raise UsageError(f"seed: {seed}; give a number from 0 to 2^63 - 1")
