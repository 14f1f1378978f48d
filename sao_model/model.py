"""Stable Audio Open as one model: condition, loss, generate (paper 2; Evans et al. 2024, arXiv 2407.14358).

B batch   D latent channels   L latents   S conditioning tokens   C their width   G global conditioning
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sao_data.errors import UsageError
from sao_model import codec, conditioners, diffusion, dit, guidance, samplers
from sao_model.conditioners import t5
from sao_model.guidance import Conditioning
from sao_model.preset import Conditioner, Config

Seconds = Tensor | Sequence[float]
Progress = Callable[[int, int], None]  # (steps done, steps in all)


class StableAudio(nn.Module):
    """Codec, conditioners and DiT; training and generation are written in terms of them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.codec = codec.Codec(config.codec)
        self.text = conditioner(config.prompt)
        self.conditioners = nn.ModuleDict(
            {
                "seconds_start": conditioner(config.seconds_start),
                "seconds_total": conditioner(config.seconds_total),
            }
        )
        self.dit = dit.DiT(config.dit)
        terms = getattr(config.prompt.config, "terms", "")
        self.terms = {"text_encoder": terms} if terms else {}  # part -> licence of its weights, if stated

    @property
    def device(self) -> torch.device:
        return next(self.dit.parameters()).device

    def forward(
        self,
        latents_BDL: Tensor,
        prompts: Sequence[str],
        seconds_start: Seconds,
        seconds_total: Seconds,
        *,
        t_B: Tensor,
        generator: torch.Generator | None,
        dropout: float = 0.1,
    ) -> Tensor:
        """The training loss of a batch: what a training loop calls, and wraps for several processes."""
        conditioning = self.condition(prompts, seconds_start, seconds_total)
        return self.loss(latents_BDL, conditioning, t_B=t_B, generator=generator, dropout=dropout)

    def condition(
        self, prompts: Sequence[str], seconds_start: Seconds, seconds_total: Seconds
    ) -> Conditioning:
        """Cross-attention sees text, start and total; global is start and total side by side (paper 2.2)."""
        start_B1C = self.conditioners["seconds_start"](self._tensor(seconds_start))
        total_B1C = self.conditioners["seconds_total"](self._tensor(seconds_total))
        text_BSC = self.text(prompts).to(start_B1C)
        return Conditioning(
            cross_BSC=torch.cat([text_BSC, start_B1C, total_B1C], dim=1),
            global_BG=torch.cat([start_B1C, total_B1C], dim=-1)[:, 0],
        )

    def loss(
        self,
        latents_BDL: Tensor,
        conditioning: Conditioning,
        *,
        t_B: Tensor,
        generator: torch.Generator | None,
        dropout: float = 0.1,  # SAT's default; not in the paper
    ) -> Tensor:
        """Error of the velocity at times t (`diffusion.draw`); noise and dropout come from `generator`."""
        told = guidance.drop_conditioning(conditioning, dropout, generator)
        noise_BDL = codec.noise_like(latents_BDL, generator)
        return diffusion.v_loss(guidance.conditioned(self.dit, told), latents_BDL, noise_BDL, t_B)

    @torch.no_grad()
    def generate(
        self,
        prompt: str,
        seconds: float,
        *,
        steps: int = 100,  # paper 5.1
        cfg_scale: float = 7.0,
        seed: int = 0,
        negative_prompt: str = "",
        sampler: str = "dpmpp-2m-sde",
        progress: Progress | None = None,
    ) -> Tensor:
        """Audio (2, samples), float32 on the CPU, of the length asked for. The whole window is always
        generated: the model has learned to be silent after `seconds`."""
        num_frames = check_request(
            self.config, prompt, seconds, steps=steps, cfg_scale=cfg_scale, sampler=sampler
        )
        generator = torch.Generator().manual_seed(seed)  # CPU: a seed means the same on every device
        noise_BDL = torch.randn(1, self.config.codec.latent_dim, self.config.num_latents, generator=generator)
        latents_BDL = self.sample(
            self.condition([prompt], [0.0], [seconds]),
            noise_BDL.to(self.device),
            lambda _: codec.noise_like(noise_BDL, generator).to(self.device),
            steps=steps,
            cfg_scale=cfg_scale,
            negative=self.condition([negative_prompt], [0.0], [seconds]) if negative_prompt else None,
            sampler=sampler,
            progress=progress,
        )
        return self.codec.decode_in_chunks(latents_BDL)[0, :, :num_frames].float().cpu()

    @torch.no_grad()
    def sample(
        self,
        conditioning: Conditioning,
        noise_BDL: Tensor,
        step_noise: samplers.StepNoise,
        *,
        steps: int,
        cfg_scale: float,
        negative: Conditioning | None = None,
        sampler: str = "dpmpp-2m-sde",
        progress: Progress | None = None,
    ) -> Tensor:
        """Latents from noise. A negative prompt replaces "nothing"; the global part stays the positive's."""
        negative_BSC = negative.cross_BSC if negative else None
        velocity = guidance.cfg(self.dit, conditioning, scale=cfg_scale, negative_BSC=negative_BSC)
        return samplers.SAMPLERS[sampler](
            _with_progress(velocity, steps, progress), noise_BDL, steps, step_noise
        )

    def _tensor(self, values: Seconds) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32).to(self.device)


def build(config: Config, *, seed: int = 0) -> StableAudio:
    """A model with random weights, the same for the same seed; the text encoder's weights are fetched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = StableAudio(config)
    fetch_text(model)
    return model


def fetch_text(model: StableAudio) -> None:
    """Get the weights of a published text encoder; nothing to do for one with weights of its own."""
    if isinstance(model.text, t5.TextConditioner):
        model.text.fetch()


def parts(model: StableAudio) -> dict[str, nn.Module]:
    """The parts that are counted and stored, by the names that `sao model` shows."""
    return {
        "vae": model.codec,
        "dit": model.dit,
        "conditioners": model.conditioners,
        "text_encoder": model.text,
    }


def check_request(
    config: Config, prompt: str, seconds: float, *, steps: int, cfg_scale: float, sampler: str
) -> int:
    """Samples that `seconds` are; UsageError for what the model cannot do."""
    window = config.num_frames / config.sample_rate
    if not prompt.strip():
        raise UsageError("prompt: empty; say what to generate, e.g. --prompt 'rain on a tin roof'")
    if not math.isfinite(seconds) or round(seconds * config.sample_rate) < 1:
        raise UsageError(f"seconds: {seconds} is no length; give a number above 0, at most {window:.2f}")
    if round(seconds * config.sample_rate) > config.num_frames:
        raise UsageError(f"seconds: {seconds} is longer than the model's window; give at most {window:.2f}")
    if steps < 1:
        raise UsageError(f"steps: {steps}; give at least 1 (the paper uses 100)")
    if not math.isfinite(cfg_scale):
        raise UsageError(f"cfg_scale: {cfg_scale}; give a number (the paper uses 7)")
    if sampler not in samplers.SAMPLERS:
        near = difflib.get_close_matches(sampler, samplers.SAMPLERS, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"sampler: no {sampler!r}{hint} (there are: {', '.join(samplers.SAMPLERS)})")
    return round(seconds * config.sample_rate)


def device(name: str) -> torch.device:
    """The device called `name`; UsageError if this machine has none such."""
    try:
        wanted = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device: {name!r} is none that PyTorch knows; give cpu, cuda or cuda:1") from error
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device: {name}: PyTorch sees {torch.cuda.device_count()} GPUs here; use --device cpu"
        )
    return wanted


def conditioner(chosen: Conditioner) -> nn.Module:
    """Make a conditioner from its config, with random weights."""
    return cast("nn.Module", conditioners.load(chosen.plugin, where="model").build(chosen.config))


def _with_progress(velocity: diffusion.Velocity, steps: int, progress: Progress | None) -> diffusion.Velocity:
    """Report each evaluation (one per step)."""
    if progress is None:
        return velocity
    done = 0

    def watched(x_BDL: Tensor, t_B: Tensor) -> Tensor:
        nonlocal done
        v_BDL = velocity(x_BDL, t_B)
        done += 1
        progress(done, steps)
        return v_BDL

    return watched
