"""Stable Audio as a library: a model from a folder, sounds and latents out of it.

from sao_model import StableAudio
model = StableAudio.from_pretrained("out/demo/models/dit")
audio = model.generate("rain on a tin roof", seconds=3)      # (2, 132300), float32

B batch   C channels   T samples   D latent channels   L latents
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sao_data.errors import UsageError
from sao_model import checkpoint, devices, edits, making, opened
from sao_model.adapters import attached
from sao_model.edits import Edit, Regions
from sao_model.model import PAPER, Progress, StableAudioModel
from sao_model.preset import Config
from sao_model.request import USUAL_SECONDS, Sampling, Sound, check_strength


class StableAudio:
    """A model that is ready: on its device, in evaluation mode."""

    def __init__(self, model: StableAudioModel, heard: dict[str, bytes] | None = None) -> None:
        """`heard`: the file about the works behind the weights, to be kept with them."""
        self.model = model.eval()
        self._heard = heard or {}

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        device: str = "",
        precision: str = "fp32",
        loras: Sequence[str] = (),
    ) -> StableAudio:
        """The model of a checkpoint, a run (its latest), or a folder of stable-audio-tools or diffusers.

        `device`: "cpu", "cuda", "cuda:1"; "" is the GPU if there is one. `precision` of the transformer:
        "fp32" or "bf16". `loras`: adapters as "FOLDER:STRENGTH", put into its weights. Nothing is downloaded
        but a text encoder that is given by name. UsageError if there is no such model or device, or an
        adapter is for another one; IntegrityError for files that are not whole.
        """
        where = devices.device(device)
        devices.check_precision(precision, where)
        found = opened.find(folder)
        adapters = attached.find(loras, found)
        model = making.placed(attached.load(found, adapters), where, precision)
        return cls(model, attached.files(found, adapters))

    @property
    def config(self) -> Config:
        """Shape of the model."""
        return self.model.config

    @property
    def sample_rate(self) -> int:
        """Samples a second, in Hz, of all audio in and out."""
        return self.config.sample_rate

    @property
    def window(self) -> float:
        """Seconds of the longest sound."""
        return self.config.num_frames / self.sample_rate

    def generate(self, prompt: str, seconds: float | None = None, **settings: Any) -> Tensor:
        """Audio (2, T), float32 on the CPU, of one prompt; `settings` are those of `generate_many`."""
        return self.generate_many([prompt], seconds, **settings)[0]

    def generate_many(
        self,
        prompts: Sequence[str],
        seconds: float | None = None,
        *,
        seed: int | None = None,
        negative_prompt: str = "",
        how: Sampling = PAPER,
        audio_CT: Tensor | None = None,
        strength: float = 0.7,
        regions: Regions = (),
        progress: Progress | None = None,
    ) -> list[Tensor]:
        """Audio (2, T), float32 on the CPU, of every prompt, each with the next seed.

        `seconds`: not given, as long as `audio_CT`, or 10 s, or the window if that is shorter. `seed`: not
        given, a random one. `how`: steps, cfg_scale, sampler, guidance; the paper's if not given. `audio_CT`
        at `sample_rate` is a sound to begin with: all of it is made anew as far as `strength` says (from 0,
        nothing, to 1, all), or only `regions`, pairs of seconds, which may reach behind its end. `progress`
        is called with (steps done, steps in all). UsageError for what cannot be made.
        """
        if isinstance(prompts, str):
            raise UsageError("generate_many: takes several prompts; give a list, or call generate")
        if regions and audio_CT is None:
            raise UsageError("regions: of which sound? Give audio_CT too")
        length = self._length(seconds, audio_CT)
        first = secrets.randbelow(1 << 32) if seed is None else seed
        sounds = [
            Sound(prompt=text, seconds=length, seed=first + number, negative_prompt=negative_prompt)
            for number, text in enumerate(prompts)
        ]
        edit = None if audio_CT is None else self._edit(audio_CT, length, strength, regions)
        made = self.model.generate(sounds, how, edit=edit, progress=progress)
        if audio_CT is None or not regions:
            return made
        known_CT = audio_CT.float().cpu()
        return [edits.restored(each, known_CT, regions, self.sample_rate) for each in made]

    @torch.no_grad()
    def encode(self, audio_BCT: Tensor) -> Tensor:
        """Latents (B, D, L), the mean of what the encoder says, of audio (B, C, T) or (C, T) at
        `sample_rate`; zeros are added up to a whole latent."""
        audio_BCT = self._audio(audio_BCT if audio_BCT.dim() == 3 else audio_BCT[None])
        missing = -audio_BCT.shape[-1] % self.config.codec.hop
        return self.model.codec.encode_in_chunks(pad(audio_BCT, (0, missing))).mean_BDL

    @torch.no_grad()
    def decode(self, latents_BDL: Tensor) -> Tensor:
        """Audio (B, C, L * hop) of latents (B, D, L), neither clamped nor scaled."""
        num = self.config.codec.latent_dim
        if latents_BDL.dim() != 3 or latents_BDL.shape[1] != num or not latents_BDL.numel():
            raise UsageError(f"latents: of the shape {tuple(latents_BDL.shape)}; want (batch, {num}, length)")
        return self.model.codec.decode_in_chunks(latents_BDL.float().to(self.model.device))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a checkpoint that `from_pretrained` reads, with what is known of the works behind it.
        UsageError if the folder exists, or if the weights were rounded to bf16."""
        if self.model.dit.project_in.weight.dtype != torch.float32:
            raise UsageError("the weights are rounded to bf16; load them with precision='fp32' to save them")
        checkpoint.save(self.model, folder, files=self._heard)

    def _edit(self, audio_CT: Tensor, seconds: float, strength: float, regions: Regions) -> Edit:
        if audio_CT.dim() == 3:
            raise UsageError(f"audio_CT: of the shape {tuple(audio_CT.shape)}; want (channels, samples)")
        check_strength(strength)
        edits.check_regions(regions, seconds)
        samples_CT = self._audio(audio_CT)
        return edits.prepare(self.model.codec, self.config, samples_CT, strength=strength, regions=regions)

    def _length(self, seconds: float | None, audio_CT: Tensor | None) -> float:
        if seconds is not None:
            return seconds
        return min(USUAL_SECONDS, self.window) if audio_CT is None else audio_CT.shape[-1] / self.sample_rate

    def _audio(self, audio: Tensor) -> Tensor:
        num = self.config.codec.num_channels
        if audio.dim() not in (2, 3) or audio.shape[-2] != num or not audio.shape[-1]:
            raise UsageError(f"audio: of the shape {tuple(audio.shape)}; want ({num} channels, samples)")
        if not bool(torch.isfinite(audio).all()):
            raise UsageError("audio: holds samples that are not finite")
        return audio.float().to(self.model.device)
