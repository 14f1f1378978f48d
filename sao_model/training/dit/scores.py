"""Scores while a transformer trains: its averaged weights make a sound for each validation window, told that
window's prompt and length, and the sounds are held against the recordings as an evaluation does.

Few sounds, few steps: a number to see a training turn by, not one to publish. From latents the recordings
are what the codec makes of them. Each line of validation.jsonl has `kad_EMBEDDER`, and `clap` where CLAP
listens.

    C channels   T samples
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import soxr
import torch
from accelerate.utils import gather_object
from torch import Tensor

from sao_data.embedders import ast_audioset as ast_plugin
from sao_data.embedders import clap as clap_plugin
from sao_data.embedders import mel_stats as mel_plugin
from sao_data.errors import UsageError
from sao_data.loading.samples import StreamedSample
from sao_model.evaluation import embedding
from sao_model.evaluation.embedding import NamedEmbedder, TextEmbedder
from sao_model.metrics.embedded import EmbeddedSet
from sao_model.metrics.scores import clap as prompt_score
from sao_model.metrics.scores import kad
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound
from sao_model.training import demos
from sao_model.training.dit import inputs
from sao_model.training.ema import Ema
from sao_model.training.loop import Loop
from sao_model.training.validation import Windows

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sounds of the validation's windows, scored; off by default."""

    every: int = 0  # steps; 0 = never
    embedders: tuple[str, ...] = ("mel_stats",)  # names or dotted paths; clap for the CLAP score, too
    steps: int = 25  # of the sampler
    cfg_scale: float = 7.0  # guidance
    seed: int = 0  # of the first window's sound; the others' follow
    clap: clap_plugin.Config = field(default_factory=clap_plugin.Config)
    ast_audioset: ast_plugin.Config = field(default_factory=ast_plugin.Config)
    mel_stats: mel_plugin.Config = field(default_factory=mel_plugin.Config)

    def __post_init__(self) -> None:
        if self.every < 0 or not self.embedders:
            raise UsageError("scores: want `every` of 0 (never) or more steps, and at least one embedder")
        Sampling(steps=self.steps, cfg_scale=self.cfg_scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Embedded:
    """One sound or recording, as every embedder has it."""

    key: str
    windows: dict[str, Floats]  # (W, D)
    text: dict[str, Floats]  # (D,)


class Scorer:
    """This process's windows, their recordings embedded once, and the embedders."""

    def __init__(self, config: Config, held: Windows, here: Loop) -> None:
        self._config, self._held, self._here = config, held, here
        self._embedders: list[NamedEmbedder] = []
        self._reference: list[_Embedded] = []
        if not config.every:
            return
        self._embedders = embedding.asked_for(config.embedders, config)
        num = sum(gather_object([held.num]))
        if held.is_trained_on or num < kad.LEAST:
            log.warning(
                "scores: %s windows of authors that are not trained on; want %d or more: nothing is scored "
                "(manifest: [split]; validation.num_windows)", 0 if held.is_trained_on else num, kad.LEAST,
            )  # fmt: skip
            self._embedders = []

    @torch.no_grad()
    def tell(self, model: StableAudioModel, average: Ema, step: int) -> None:
        """Where that is due behind so many steps: make the sounds, score them, and log it."""
        if not self._embedders or not self._here.due(step, self._config.every):
            return
        with self._here.timed("scores"):
            self._reference = self._reference or self._gathered(
                [self._recording(model, s) for s in self._samples]
            )
            with average.applied(), self._here.accelerator.autocast():
                whole = demos.whole(model)
                made = [self._sound(whole, sample, n) for n, sample in enumerate(self._samples)]
            every = self._gathered(made)
            self._here.journal.tell(step, "ema", self._scores(every))

    @property
    def _samples(self) -> tuple[StreamedSample, ...]:
        return self._held.samples[: self._held.num]

    def _gathered(self, mine: list[_Embedded]) -> list[_Embedded]:
        """Those of all processes, each once, in one order."""
        return sorted(gather_object(mine), key=lambda each: each.key)

    def _recording(self, model: StableAudioModel, sample: StreamedSample) -> _Embedded:
        window, num = torch.from_numpy(sample.audio), self._num_frames(model, sample)
        if window.dtype == torch.float16:  # latents
            posterior = inputs.stored(window[None].to(model.device))
            window = model.codec.decode_in_chunks(posterior.mean_BDL)[0].float().cpu()
        return self._embedded(sample, window[:, :num], model.config.sample_rate)

    def _sound(self, model: StableAudioModel, sample: StreamedSample, number: int) -> _Embedded:
        rank, world = self._here.accelerator.process_index, self._here.accelerator.num_processes
        rate = model.config.sample_rate
        sound = Sound(
            prompt=sample.prompt or "sound",
            seconds=self._num_frames(model, sample) / rate,
            seed=self._config.seed + number * world + rank,
        )
        (made_CT,) = model.generate(
            [sound], Sampling(steps=self._config.steps, cfg_scale=self._config.cfg_scale)
        )
        return self._embedded(sample, torch.nan_to_num(made_CT), rate)

    @staticmethod
    def _num_frames(model: StableAudioModel, sample: StreamedSample) -> int:
        return max(1, min(sample.num_frames, model.config.num_frames))

    def _embedded(self, sample: StreamedSample, audio_CT: Tensor, sample_rate: int) -> _Embedded:
        windows, text = {}, {}
        for each in self._embedders:
            given: Floats = audio_CT.float().numpy()
            if each.embedder.sample_rate != sample_rate:
                given = soxr.resample(given.T, sample_rate, each.embedder.sample_rate, quality="HQ").T
            windows[each.identity.name] = each.embedder.embed(np.ascontiguousarray(given))
            if isinstance(each.embedder, TextEmbedder) and sample.prompt:
                text[each.identity.name] = each.embedder.embed_texts([sample.prompt])[0]
        return _Embedded(key=f"{sample.position:012d} {sample.key}", windows=windows, text=text)

    def _scores(self, made: list[_Embedded]) -> dict[str, float]:
        found = {}
        for each in self._embedders:
            measured, reference = (_set(each, side) for side in (made, self._reference))
            for row in kad.build(kad.Config()).measure(measured, reference):
                found[f"{row.name}_{each.identity.name}"] = row.estimate.value
            if isinstance(each.embedder, TextEmbedder):
                for row in prompt_score.build(prompt_score.Config()).measure(measured, None):
                    found[row.name] = row.estimate.value
        return found


def _set(each: NamedEmbedder, side: list[_Embedded]) -> EmbeddedSet:
    name, none = each.identity.name, np.empty(0, np.float32)
    return EmbeddedSet(
        identity=each.identity,
        keys=tuple(one.key for one in side),
        groups=("",) * len(side),
        windows=tuple(one.windows[name] for one in side),
        texts=tuple(one.text.get(name, none) for one in side),
    )
