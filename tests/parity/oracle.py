"""Diffusers' own model with our random weights, by our export to its names, and its samplers step by step.

`pytest tests/parity --log-cli-level=INFO` shows each distance.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sao_model import codec, diffusion, dit, preset, released, samplers
from sao_model.conditioners import seconds, t5
from sao_model.guidance import Conditioning
from sao_model.model import StableAudioModel, build
from sao_model.preset import Conditioner
from tests.parity.recording import distance

diffusers = pytest.importorskip("diffusers", reason="diffusers (a test oracle) is not installed")
pytest.importorskip("torchsde", reason="torchsde (diffusers' scheduler needs it) is not installed")

log = logging.getLogger(__name__)

SEED = 7  # of their Brownian tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Our model, and theirs with the same weights."""

    size: str
    ours: StableAudioModel
    vae: nn.Module
    transformer: nn.Module
    projection: nn.Module

    def check(self, what: str, ours: Tensor, theirs: Tensor, tolerance: float) -> None:
        found = distance(ours, theirs)
        log.info("%s, %s: %.1e", self.size, what, found)
        assert found < tolerance, (self.size, what, found)

    def velocity(self, x_BDL: Tensor, t_B: Tensor, told: Conditioning) -> Tensor:
        """Theirs."""
        from diffusers.models.embeddings import get_1d_rotary_pos_embed

        rotary = get_1d_rotary_pos_embed(32, x_BDL.shape[-1] + 1, use_real=True, repeat_interleave_real=False)
        given = told.cross_BSC, told.global_BG[:, None]
        return self.transformer(x_BDL, t_B, *given, rotary_embedding=rotary, return_dict=False)[0]

    def guided(self, told: Conditioning, scale: float) -> diffusion.Velocity:
        """Theirs, told and not told one after the other."""
        nothing = Conditioning(cross_BSC=torch.zeros_like(told.cross_BSC), global_BG=told.global_BG)

        def evaluate(x_BDL: Tensor, t_B: Tensor) -> Tensor:
            away = self.velocity(x_BDL, t_B, nothing)
            return away + scale * (self.velocity(x_BDL, t_B, told) - away)

        return evaluate


def middle() -> preset.Config:
    """Real strides, half the width, a sixth of the depth."""
    number = Conditioner(plugin="seconds", config=seconds.Config(width=384))
    text = t5.Config(
        pretrained="", max_tokens=48, width=384, num_layers=2, num_heads=6, ff_dim=512, vocab_size=4096
    )
    return preset.Config(
        name="middle",
        codec=codec.Config(width=64, latent_dim=32),
        dit=dit.Config(latent_dim=32, width=768, num_layers=4, num_heads=12, cross_dim=384, global_dim=768),
        prompt=Conditioner(plugin="t5", config=text),
        seconds_start=number,
        seconds_total=number,
    )


@torch.no_grad()
def randomise(module: nn.Module, seed: int) -> None:
    """Leave nothing at zero or one: mistakes in what is there would not show."""
    generator = torch.Generator().manual_seed(seed)
    for weight in module.parameters():
        if weight.numel() == len(weight):  # biases, norms, snakes
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
        elif not weight.any():
            weight.normal_(std=(3 * weight[0].numel()) ** -0.5, generator=generator)


def theirs(config: preset.Config, part: str) -> nn.Module:
    """One of their parts in this shape, without weights."""
    from diffusers.pipelines.stable_audio import StableAudioProjectionModel

    shape, net = config.codec, config.dit
    with torch.device("meta"):
        if part == "vae":
            return diffusers.AutoencoderOobleck(
                encoder_hidden_size=2 * shape.latent_dim,
                downsampling_ratios=list(shape.strides),
                channel_multiples=list(shape.multiples),
                decoder_channels=shape.width,
                decoder_input_channels=shape.latent_dim,
            )
        if part == "projection_model":
            return StableAudioProjectionModel(net.cross_dim, net.cross_dim, 0, 512)
        return diffusers.StableAudioDiTModel(
            sample_size=64,
            in_channels=net.latent_dim,
            out_channels=net.latent_dim,
            num_layers=net.num_layers,
            num_attention_heads=net.num_heads,
            num_key_value_attention_heads=net.cross_dim // 64,
            cross_attention_dim=net.cross_dim,
            cross_attention_input_dim=net.cross_dim,
            global_states_input_dim=net.global_dim,
        )


def both(size: str, config: preset.Config) -> Both:
    """Equal weights, in the same memory: theirs are views of ours."""
    ours = build(config, seed=1)
    for number, module in enumerate((ours.codec, ours.conditioners, ours.dit)):
        randomise(module, seed=number)
    parts = {}
    for part, tensors in released.export(ours, released.diffusers).items():
        parts[part] = theirs(config, part)
        parts[part].load_state_dict(tensors, assign=True)
    vae, transformer, projection = (parts[key] for key in ("vae", "transformer", "projection_model"))
    return Both(size=size, ours=ours, vae=vae, transformer=transformer, projection=projection)


@dataclass(slots=True)
class Run:
    """What a sampler fed to the model at each step, where it ended, and the noise that it drew."""

    fed: list[Tensor] = field(default_factory=list)
    noise: list[Tensor] = field(default_factory=list)
    end: Tensor = field(default_factory=lambda: torch.zeros(0))

    def watched(self, velocity: diffusion.Velocity) -> diffusion.Velocity:
        def evaluate(x: Tensor, t: Tensor) -> Tensor:
            self.fed.append(x)
            return velocity(x, t)

        return evaluate


def their_2m_sde(velocity: diffusion.Velocity, noise: Tensor, num_steps: int) -> Run:
    run, scheduler = Run(), diffusers.CosineDPMSolverMultistepScheduler(solver_type="midpoint")
    scheduler.set_timesteps(num_steps)
    x, watched = noise * scheduler.init_noise_sigma, run.watched(velocity)
    for t in scheduler.timesteps:
        v = watched(scheduler.scale_model_input(x, t), t.expand(len(x)))
        levels = scheduler.sigmas[scheduler.step_index : scheduler.step_index + 2]
        x = scheduler.step(v, t, x, generator=torch.Generator().manual_seed(SEED)).prev_sample
        run.noise.append(scheduler.noise_sampler(*levels))
    run.end = x
    return run


def their_2m(velocity: diffusion.Velocity, noise: Tensor, num_steps: int) -> Run:
    """Their general solver, whose x is ours over the root of sigma² + 1, handed our levels."""
    scheduler = diffusers.DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++", solver_order=2, solver_type="midpoint", prediction_type="v_prediction"
    )
    scheduler.set_timesteps(num_steps)
    scheduler.sigmas = samplers.sigmas(num_steps)
    scheduler.set_begin_index(0)
    times = samplers.sigma_to_t(scheduler.sigmas[:-1])
    return _stepped(scheduler, list(zip(times, range(num_steps), strict=True)), velocity, noise)


def their_ddim(velocity: diffusion.Velocity, noise: Tensor, num_steps: int) -> Run:
    """Their DDIM, whose training steps are our times."""
    scheduler = diffusers.DDIMScheduler(
        num_train_timesteps=num_steps, clip_sample=False, prediction_type="v_prediction"
    )
    times = torch.arange(1, num_steps + 1) / num_steps
    scheduler.alphas_cumprod = (times * math.pi / 2).cos() ** 2
    scheduler.set_timesteps(num_steps)
    return _stepped(scheduler, [(times[i], i) for i in scheduler.timesteps.tolist()], velocity, noise)


def _stepped(
    scheduler: Any, steps: Sequence[tuple[Tensor, int]], velocity: diffusion.Velocity, noise: Tensor
) -> Run:
    run, x = Run(), noise
    watched = run.watched(velocity)
    for t, number in steps:
        x = scheduler.step(watched(x, t.expand(len(x))), number, x).prev_sample
    run.end = x
    return run
