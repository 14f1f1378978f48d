"""Stable Audio Open as one model: condition, loss, generate (paper 2; Evans et al. 2024, arXiv 2407.14358).

B batch   D latent channels   L latents   S conditioning tokens   C their width   G global conditioning
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from sao_model import codec, conditioners, diffusion, dit, guidance, samplers
from sao_model.conditioners import t5
from sao_model.edits import Edit
from sao_model.guidance import Conditioning
from sao_model.preset import Conditioner, Config
from sao_model.request import Sampling, Sound, check
from sao_model.step_cache import StepCache

Seconds = Tensor | Sequence[float]
Progress = Callable[[int, int], None]  # (steps done, steps in all)
Watch = Callable[[diffusion.Velocity], diffusion.Velocity]

PAPER = Sampling()


class StableAudioModel(nn.Module):
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

    def condition(
        self, prompts: Sequence[str], seconds_start: Seconds, seconds_total: Seconds
    ) -> Conditioning:
        """Cross-attention sees text, start and total; global is start and total side by side (paper 2.2)."""
        times_B2 = torch.stack([self._tensor(seconds_start), self._tensor(seconds_total)], dim=1)
        return conditioning(self.conditioners, self.text(prompts), times_B2)

    @torch.no_grad()
    def generate(
        self,
        sounds: Sequence[Sound],
        how: Sampling = PAPER,
        *,
        edit: Edit | None = None,
        progress: Progress | None = None,
    ) -> list[Tensor]:
        """Audio of each sound, (2, samples), float32 on the CPU, of the length asked for; each begins with
        `edit` if that is given. The whole window is always generated: the model has learned to be silent
        behind the end of a sound.

        On the CPU one sound after the other, where a batch gains nothing: bit for bit the same alone as among
        others. On a GPU all together: the same up to the rounding of its kernels.
        """
        lengths = [check(self.config, sound) for sound in sounds]
        alone = self.device.type == "cpu" or how.step_cache  # what is reused is decided for all of a batch
        together = 1 if alone else max(len(sounds), 1)
        watch = watched(how.steps * math.ceil(len(sounds) / together), progress)
        latents = [
            latent_DL
            for at in range(0, len(sounds), together)
            for latent_DL in self._latents(sounds[at : at + together], how, edit, watch)
        ]
        return [
            self.codec.decode_in_chunks(latent_DL[None], num)[0].float().cpu()
            for latent_DL, num in zip(latents, lengths, strict=True)
        ]

    def _latents(self, sounds: Sequence[Sound], how: Sampling, edit: Edit | None, watch: Watch) -> Tensor:
        return self.sample(
            self.told(sounds),
            *self.noise([sound.seed for sound in sounds]),
            how,
            negative_BSC=self.told_against(sounds),
            edit=edit,
            watch=watch,
        )

    def told(self, sounds: Sequence[Sound], seconds_start: float = 0.0) -> Conditioning:
        """The conditioning of sounds of which what is made begins at `seconds_start`."""
        start, total = [seconds_start] * len(sounds), [sound.seconds for sound in sounds]
        return self.condition([sound.prompt for sound in sounds], start, total)

    def told_against(self, sounds: Sequence[Sound], seconds_start: float = 0.0) -> Tensor | None:
        """Cross-attention tokens that take the place of "nothing": zeros for a sound without a negative
        prompt; None if no sound has one. The global part stays the positive's."""
        if not any(sound.negative_prompt for sound in sounds):
            return None
        negatives = [replace(sound, prompt=sound.negative_prompt) for sound in sounds]
        has_one_B11 = self._tensor([bool(sound.prompt) for sound in negatives])[:, None, None]
        return self.told(negatives, seconds_start).cross_BSC * has_one_B11

    def noise(self, seeds: Sequence[int]) -> tuple[Tensor, samplers.StepNoise]:
        """First noise (B, D, L) of the window and that of every step, each sound's from its own seed. Drawn
        on the CPU: a seed means the same on every device."""
        shape = (1, self.config.codec.latent_dim, self.config.num_latents)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]

        def draw(_: int) -> Tensor:
            return torch.cat([torch.randn(shape, generator=each) for each in generators]).to(self.device)

        return draw(-1), draw

    @torch.no_grad()
    def sample(
        self,
        conditioning: Conditioning,
        noise_BDL: Tensor,
        step_noise: samplers.StepNoise,
        how: Sampling = PAPER,
        *,
        negative_BSC: Tensor | None = None,
        edit: Edit | None = None,
        watch: Watch = lambda velocity: velocity,
    ) -> Tensor:
        """Latents (B, D, L) from noise; `watch` sees every evaluation of the velocity, one a step."""
        velocity = guidance.cfg(
            self.dit,
            conditioning,
            scale=how.cfg_scale,
            negative_BSC=negative_BSC,
            config=how.guidance,
            evaluate=StepCache(self.dit, how.step_cache).velocity if how.step_cache else None,
        )
        velocity = watch(velocity)
        sampler = samplers.named(how.sampler)
        if edit is None:
            return sampler(velocity, noise_BDL, how.steps, step_noise)
        return sampler(edit.hold(velocity), noise_BDL, how.steps, step_noise, edit.start())

    def _tensor(self, values: Seconds) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32).to(self.device)


def build(config: Config, *, seed: int = 0) -> StableAudioModel:
    """A model with random weights, the same for the same seed; the text encoder's weights are fetched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = StableAudioModel(config)
    fetch_text(model)
    return model


def fetch_text(model: StableAudioModel) -> None:
    """Get the weights of a published text encoder; nothing to do for one with weights of its own."""
    if isinstance(model.text, t5.TextConditioner):
        model.text.fetch()


def parts(model: StableAudioModel) -> dict[str, nn.Module]:
    """The parts that are counted and stored, by the names that `sao model` shows."""
    return {
        "vae": model.codec,
        "dit": model.dit,
        "conditioners": model.conditioners,
        "text_encoder": model.text,
    }


def conditioning(conditioners: nn.ModuleDict, text_BSC: Tensor, times_B2: Tensor) -> Conditioning:
    """What the DiT is told of encoded prompts and of (start, total) in seconds, (B, 2)."""
    start_B1C = conditioners["seconds_start"](times_B2[:, 0])
    total_B1C = conditioners["seconds_total"](times_B2[:, 1])
    return Conditioning(
        cross_BSC=torch.cat([text_BSC.to(start_B1C), start_B1C, total_B1C], dim=1),
        global_BG=torch.cat([start_B1C, total_B1C], dim=-1)[:, 0],
    )


def conditioner(chosen: Conditioner) -> nn.Module:
    """Make a conditioner from its config, with random weights."""
    return cast("nn.Module", conditioners.load(chosen.plugin, where="model").build(chosen.config))


def watched(total: int, progress: Progress | None) -> Watch:
    """Report each of `total` evaluations of a velocity."""
    done = 0

    def watch(velocity: diffusion.Velocity) -> diffusion.Velocity:
        def evaluate(x_BDL: Tensor, t_B: Tensor) -> Tensor:
            nonlocal done
            v_BDL = velocity(x_BDL, t_B)
            done += 1
            if progress:
                progress(done, total)
            return v_BDL

        return evaluate

    return watch
