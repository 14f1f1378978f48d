"""Train the diffusion transformer on latents of a frozen codec, told text and timing (paper 2.3, 4.2).

One step after the other, in a fixed order: step, ema, log, save, sample, evaluate.

    B batch   C channels   D latent channels   L latents   S tokens of text
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sao_data.config import WHEN_SET
from sao_data.dataset.release import Release
from sao_data.latents.reader import Latents
from sao_data.loading.source import TrainingSource
from sao_data.loading.stream import StreamBatch, StreamConfig
from sao_model import declared, opened, run
from sao_model.adapters import learning, settings
from sao_model.model import StableAudioModel
from sao_model.opened import Opened
from sao_model.training import (
    demos,
    ema,
    loop,
    noise,
    optimiser,
    preflight,
    processes,
    sharding,
    snapshot,
    state,
    validation,
)
from sao_model.training.dit import inputs, scores, start
from sao_model.training.dit.velocity import Velocity
from sao_model.training.state import Learner

_TIMES = (0.125, 0.375, 0.625, 0.875)  # at which the loss is validated


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The defaults are the paper's where it says, else the released model's."""

    model: str = "stable_audio_open"  # preset or TOML file; '' = that of start_from
    seed: int = 0
    start_from: str = ""  # a whole model to fine-tune, of a checkpoint or a published folder
    batch_size: int = 256  # all processes together (64 GPUs, 4 each: paper 4.2)
    accumulate: int = 1  # parts of a process's batch that are in memory one after the other
    times: Literal["sobol", "uniform"] = "sobol"  # of the noise: evenly spread (SAT), or independent
    dropout: float = 0.1  # of the conditioning, for guidance (not in the paper; the published default)
    checkpointing: bool = True  # recompute blocks in the backward pass
    precision: str = "no"
    trackers: tuple[str, ...] = ()  # beside the run's own log: tensorboard, wandb, trackio, …
    adapter: settings.Config = field(default_factory=settings.Config, metadata=WHEN_SET)
    stream: StreamConfig = field(default_factory=StreamConfig)  # the window is the model's
    optimiser: optimiser.Config = field(default_factory=optimiser.Config)
    ema: ema.Config = field(default_factory=ema.Config)
    pace: loop.Pace = field(default_factory=loop.Pace)
    preflight: preflight.Config = field(default_factory=preflight.Config)
    validation: validation.Config = field(default_factory=validation.Config)
    demos: demos.Config = field(default_factory=demos.Config)
    scores: scores.Config = field(default_factory=scores.Config)
    release: Release = field(default_factory=Release)


def train(
    config: Config, dataset: TrainingSource, vae: str, out: Path, *, resume: str, progress: loop.RunProgress
) -> Path:
    """Train on a dataset, or on latents of one, into the run folder `out` with the codec in `vae` (see
    opened.py); return the last checkpoint."""
    begun = _begin(config, dataset, vae, out, resume)
    here = loop.Loop(out, begun.accelerator, config, config.pace, progress, begun.state)
    model, average, learners = begun.model, begun.average, [begun.learner]
    times = noise.Times(config.times, config.seed)
    settings = replace(config.stream, window_frames=model.config.num_frames)
    with state.stream(settings, config, dataset, begun.accelerator, begun.state) as stream, here.running():
        held = validation.windows(dataset, stream.config, config.validation, config.pace, begun.accelerator)
        if not begun.found and isinstance(dataset, Latents):
            preflight.check_latents(dataset.said.channels, config.preflight)
        elif not begun.found:
            preflight.check_codec(model.codec, held, config.preflight, begun.accelerator)
        scorer = scores.Scorer(config.scores, held, here)
        if here.validates_first():
            _validate(begun, held, config, here, 0)
        for step in here.steps():
            # step
            if (before := here.must_roll_back()) is not None:
                state.restore(before, learners)
            batch = here.draw(stream)
            rate = optimiser.set_rate(begun.learner.optim, config.optimiser, step - 1)
            loss = _backward(begun, batch, times, config, here)
            is_applied = here.apply(begun.learner, {"loss": loss}, batch, clip=config.optimiser.clip)
            here.advance(step, batch)
            # ema
            if is_applied:
                average.update()
            # log
            if here.logs(step):
                here.log(step, rate=rate, epoch=batch.state.position / stream.num_samples)
            # save
            if here.saves(step):
                files = snapshot.files(config, here, dataset, stream, begun.promise)
                like = lambda: here.newest() or begun.found  # noqa: E731
                here.save(step, learners, begun.writer(files, like))
            # sample
            if here.due(step, config.pace.sample_every):
                demos.generate(model, average, config.demos, here, step)
            # evaluate
            if here.due(step, config.pace.validate_every):
                _validate(begun, held, config, here, step)
            scorer.tell(model, average, step)
            here.show(step)
    return here.finish()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """A training before its first step."""

    accelerator: Accelerator
    found: Path | None  # checkpoint that it goes on from
    state: state.LoopState
    promise: declared.Declared
    model: StableAudioModel
    shell: StableAudioModel | None  # to save from; on the main process
    adapter: learning.LearnedAdapter | None
    velocity: Velocity
    wrapped: nn.Module
    learner: Learner
    average: ema.Ema

    def writer(self, files: Mapping[str, bytes], like: Callable[[], Path | None]) -> loop.Write:
        """What writes a checkpoint."""
        if self.adapter:
            return self.adapter.writer(files, state.EXTRA)
        return snapshot.writer(self.shell, files, like)

    def dropping(self, positions: list[int]) -> contextlib.AbstractContextManager[None]:
        """An adapter's dropout acts meanwhile."""
        if not self.adapter:
            return contextlib.nullcontext()
        return self.adapter.dropping(self.model.dit, positions, self.model.device)


def _begin(config: Config, dataset: TrainingSource, vae: str, out: Path, resume: str) -> _Begun:
    """Check everything, build the model or read it from a checkpoint, wrap it."""
    if config.adapter:
        learning.check(config.adapter, config.start_from, config.precision)
    accelerator = processes.make_accelerator(config, out, may_divide=not config.adapter)
    processes.check(accelerator, config, dataset)
    found = processes.from_main(accelerator, lambda: run.to_resume(out, resume))
    at = state.read(found, config) if found else state.LoopState()
    codec_from = opened.find(vae)
    start.check_source(dataset, start_settings(config), codec_from, found)
    promise = _declare(config, dataset, codec_from, found, accelerator.is_main_process)
    model = start.the_model(start_settings(config), codec_from, found, promise)
    processes.check_same_weights(accelerator, model)
    adapter, shell = None, None
    if config.adapter:
        base = opened.find(config.start_from)
        adapter = learning.begin(model, config.adapter, base, found, seed=config.seed)
    else:
        shell = snapshot.of_model(model, accelerator)
    model.to(accelerator.device).dit.checkpointing = config.checkpointing
    velocity = Velocity(model)
    made = optimiser.make(state.trained(velocity).values(), config.optimiser)
    wrapped, optim = sharding.prepare(accelerator, velocity, made)
    average = ema.Ema(velocity, config.ema)
    learner = Learner(name="", module=velocity, optim=optim, average=average)
    if found:
        state.restore(found, [learner])
    return _Begun(
        accelerator=accelerator,
        found=found,
        state=at,
        promise=promise,
        model=model,
        shell=shell,
        adapter=adapter,
        velocity=velocity,
        wrapped=wrapped,
        learner=learner,
        average=average,
    )


def _backward(
    begun: _Begun, batch: StreamBatch, times: noise.Times, config: Config, here: loop.Loop
) -> Tensor:
    """Gradients of a batch's mean loss, a part of it in memory at a time; return that loss."""
    wrapped, model, losses = begun.wrapped, begun.model, []
    for part in here.parts(batch, config.accumulate):
        latents_BDL, text_BSC, times_B2 = inputs.encoded(model, part.samples, part.audio, config.seed, here)
        positions = [sample.position for sample in part.samples]
        chance_B = noise.uniform(seed=config.seed, purpose="dropout", positions=positions)
        noise_BDL = noise.normal(
            latents_BDL.shape[1:], seed=config.seed, purpose="noise", positions=positions
        )
        t_B = times.at(positions)
        drawn = (noise_BDL, t_B, chance_B < config.dropout)
        with here.timed("step"), here.gathering(wrapped, part.is_last), begun.dropping(positions):
            loss = wrapped(latents_BDL, text_BSC, times_B2, *(each.to(model.device) for each in drawn))
            here.accelerator.backward(loss / config.accumulate)
        losses.append(loss.detach())
    return torch.stack(losses).mean()


@torch.no_grad()
def _validate(begun: _Begun, held: validation.Windows, config: Config, here: loop.Loop, step: int) -> None:
    """The loss on windows of authors that are not trained on, at fixed times with fixed noise."""

    model, velocity = begun.model, begun.velocity

    def losses() -> dict[str, Tensor]:
        found: dict[str, list[Tensor]] = {}
        for sample in held.samples:
            encoded = inputs.encoded(model, [sample], sample.audio[None], config.seed, here)
            positions = [sample.position]
            noise_BDL = noise.normal(
                encoded[0].shape[1:], seed=config.seed, purpose="validation", positions=positions
            ).to(model.device)
            kept_B = torch.zeros(1, dtype=torch.bool, device=model.device)
            for t in _TIMES:
                t_B = torch.full((1,), t, device=model.device)
                found.setdefault(f"loss_at_{t}", []).append(velocity(*encoded, noise_BDL, t_B, kept_B))
        every = {name: torch.stack(values) for name, values in found.items()}
        return {"loss": torch.stack(list(every.values())).mean(0), **every}

    validation.tell(held, losses, begun.average, here, step)


def start_settings(config: Config) -> start.StartSettings:
    """What the settings say of the model to begin with."""
    return start.StartSettings(
        model=config.model, seed=config.seed, start_from=config.start_from, adapter=config.adapter
    )


def _declare(
    config: Config, dataset: TrainingSource, vae: Opened, found: Path | None, is_main: bool
) -> declared.Declared:
    parts = declared.pretrained(found) if found else start.pretrained(start_settings(config), vae)
    series = config.stream.series
    return declared.declare(config.release, dataset, series, pretrained=parts, found=found, is_main=is_main)
