"""Train the codec: reconstruct short windows, against discriminators (paper 4.1). Stage 2: frozen encoder.

Losses: perceptually weighted STFT on sum, difference, left and right, what the discriminators say, and the KL
term. One step after the other, in a fixed order: step, ema, log, save, sample, evaluate.

    B batch   C channels   T samples   D latent channels   L latents
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sao_data.dataset.reader import Dataset
from sao_data.dataset.release import Release
from sao_data.errors import UsageError
from sao_data.loading.chunks import ChunkConfig
from sao_data.loading.stream import StreamBatch, StreamConfig
from sao_data.records import SAMPLE_RATE
from sao_model import adversarial, checkpoint, codec, declared, losses, opened, preset, run
from sao_model.losses import StftLoss
from sao_model.metrics import reconstruction
from sao_model.model import StableAudioModel
from sao_model.training import (
    adversary,
    demos,
    ema,
    loop,
    noise,
    optimiser,
    processes,
    sharding,
    snapshot,
    state,
    validation,
)
from sao_model.training.state import Learner


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The defaults are the paper's where it says, else the published VAE config's."""

    model: str = "stable_audio_open"  # preset or TOML file
    seed: int = 0
    batch_size: int = 128  # all processes together (32 GPUs, 4 each: paper 4.1)
    accumulate: int = 1  # parts of a process's batch that are in memory one after the other
    freeze_encoder: bool = False  # stage 2
    start_from: str = ""  # a checkpoint or published folder whose codec to start with
    checkpointing: bool = True  # recompute residual units in the backward pass
    precision: str = "no"
    trackers: tuple[str, ...] = ()  # beside the run's own log: tensorboard, wandb, trackio, …
    stream: StreamConfig = field(
        default_factory=lambda: StreamConfig(
            window_frames=65_536, chunks=ChunkConfig(on=True), redraw_silent=8
        )
    )  # 1.5 s of the fixed chunks of paper 3.1; a codec learns nothing from silence
    losses: losses.Config = field(default_factory=losses.Config)
    adversary: adversary.Config = field(default_factory=adversary.Config)
    optimiser: optimiser.Config = field(
        default_factory=lambda: optimiser.Config(
            lr=1.5e-4, betas=(0.8, 0.99), inv_gamma=200_000, warmup=0.999
        )
    )
    ema: ema.Config = field(default_factory=ema.Config)
    pace: loop.Pace = field(default_factory=loop.Pace)
    validation: validation.Config = field(default_factory=validation.Config)
    demos: demos.Config = field(default_factory=demos.Config)
    release: Release = field(default_factory=Release)

    @property
    def has_adversary(self) -> bool:
        """Do discriminators take part at all?"""
        return bool(self.losses.adversarial or self.losses.feature_matching)


class Reconstruction(nn.Module):
    """Encode, sample, decode, as one module: the one that is wrapped for several processes."""

    def __init__(self, vae: codec.Codec) -> None:
        super().__init__()
        self.codec = vae

    def forward(self, x_BCT: Tensor, noise_BDL: Tensor) -> tuple[Tensor, Tensor]:
        """Audio (B, C, T), and the posterior's KL divergence."""
        posterior = self.codec.encode(x_BCT)
        return self.codec.decode(posterior.mean_BDL + posterior.std_BDL * noise_BDL), posterior.kl()


def train(config: Config, dataset: Dataset, out: Path, *, resume: str, progress: loop.RunProgress) -> Path:
    """Train into the run folder `out`; return its last checkpoint."""
    begun = _begin(config, dataset, out, resume)
    here = loop.Loop(out, begun.accelerator, config, config.pace, progress, begun.state)
    ours, theirs, rebuild = begun.ours, begun.theirs, begun.rebuild
    vae, loss = rebuild.codec, CodecLoss(config, theirs, begun.accelerator)
    learners = [ours, theirs] if theirs else [ours]
    with (
        state.stream(config.stream, config, dataset, begun.accelerator, begun.state) as stream,
        here.running(),
    ):
        held = validation.windows(dataset, stream.config, config.validation, config.pace, begun.accelerator)
        evaluate = functools.partial(_distances, vae, loss, held, here)
        if here.validates_first():
            validation.tell(held, evaluate, begun.average, here, 0)
        for step in here.steps():
            # step
            if (before := here.must_roll_back()) is not None:
                state.restore(before, learners)
            batch, turn = here.draw(stream), adversary.turn_of(config.adversary, config.has_adversary, step)
            rates, is_applied = adversary.set_rates(ours, theirs, turn, config), False
            if turn.codec:
                terms = _rebuild(begun.wrapped, loss, batch, config, here, turn.weight)
                is_applied = here.apply(ours, terms, batch, clip=config.optimiser.clip)
            if turn.judges and theirs:
                terms = _judge(begun.wrapped_judge, rebuild, batch, config, here)
                here.apply(theirs, terms, batch, clip=config.adversary.optimiser.clip)
            here.advance(step, batch)
            # ema
            if is_applied:
                begun.average.update()
            # log
            if here.logs(step):
                here.log(step, **rates, epoch=batch.state.position / stream.num_samples)
            # save
            if here.saves(step):
                files = snapshot.files(config, here, dataset, stream, begun.promise)
                here.save(step, learners, snapshot.writer(begun.shell, files, here.newest, codec=vae))
            # sample
            if here.due(step, config.pace.sample_every):
                demos.reconstruct(vae, begun.average, held, config.demos, here, step)
            # evaluate
            if here.due(step, config.pace.validate_every):
                validation.tell(held, evaluate, begun.average, here, step)
            here.show(step)
    return here.finish()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """A training before its first step."""

    accelerator: Accelerator
    state: state.LoopState
    promise: declared.Declared
    shell: StableAudioModel | None  # to save from; on the main process
    rebuild: Reconstruction
    wrapped: nn.Module
    ours: Learner
    average: ema.Ema
    theirs: Learner | None  # the discriminators
    wrapped_judge: nn.Module


def _begin(config: Config, dataset: Dataset, out: Path, resume: str) -> _Begun:
    """Check everything, build codec and discriminators or read them from a checkpoint, wrap them."""
    accelerator = processes.make_accelerator(config, out)
    processes.check(accelerator, config, dataset)
    found = processes.from_main(accelerator, lambda: run.to_resume(out, resume))
    at = state.read(found, config) if found else state.LoopState()
    promise = _declare(config, dataset, found, accelerator.is_main_process)
    shape = preset.read(config.model)
    vae = _codec(config, shape, found).to(accelerator.device)
    vae.checkpointing = config.checkpointing
    rebuild = Reconstruction(vae)
    made = optimiser.make(state.trained(vae).values(), config.optimiser)
    wrapped, optim = sharding.prepare(accelerator, rebuild, made)
    average = ema.Ema(vae, config.ema)
    ours = Learner(name="", module=vae, optim=optim, average=average)
    theirs, wrapped_judge = adversary.make(config.adversary, config.has_adversary, config.seed, accelerator)
    if found:
        state.restore(found, [ours, theirs] if theirs else [ours])
    elif theirs and config.start_from:
        adversary.go_on_from(config.start_from, theirs)
    return _Begun(
        accelerator=accelerator,
        state=at,
        promise=promise,
        shell=snapshot.of_codec(shape, promise, accelerator),
        rebuild=rebuild,
        wrapped=wrapped,
        ours=ours,
        average=average,
        theirs=theirs,
        wrapped_judge=wrapped_judge,
    )


class CodecLoss:
    """Every term of the codec's loss, and their weighted sum."""

    def __init__(self, config: Config, judges: Learner | None, accelerator: Accelerator) -> None:
        self._weights = config.losses
        self._stft = StftLoss(config.losses, SAMPLE_RATE).to(accelerator.device)
        self._judges = judges.module if judges else None
        self._accelerator = accelerator

    def __call__(self, y_BCT: Tensor, x_BCT: Tensor, kl: Tensor, weight: float) -> dict[str, Tensor]:
        """Of a reconstruction `y` of `x`; the discriminators' terms weigh `weight` times what they do."""
        weights = self._weights
        terms = {"spectral": self._stft(y_BCT, x_BCT), "kl": kl}
        loss = weights.spectral * terms["spectral"] + weights.kl * kl
        if weights.time:
            terms["time"] = losses.time_loss(y_BCT, x_BCT)
            loss = loss + weights.time * terms["time"]
        if self._judges and weight:
            with adversary.frozen(self._judges), self._accelerator.autocast():
                with torch.no_grad():
                    real = self._judges(x_BCT)
                fake = self._judges(y_BCT)
            terms["adversarial"] = adversarial.adversarial_loss(fake)
            terms["feature_matching"] = adversarial.feature_matching_loss(real, fake)
            loss = loss + weight * weights.adversarial * terms["adversarial"]
            loss = loss + weight * weights.feature_matching * terms["feature_matching"]
        return {"loss": loss, **terms}


def _rebuild(
    wrapped: nn.Module,
    loss: CodecLoss,
    batch: StreamBatch,
    config: Config,
    here: loop.Loop,
    weight: float,
) -> dict[str, Tensor]:
    """Gradients of the codec's loss on a batch, a part of it in memory at a time; return all terms."""
    found = []
    for part in here.parts(batch, config.accumulate):
        x_BCT = torch.from_numpy(part.audio).to(here.accelerator.device)
        noise_BDL = _noise(x_BCT, part, config)
        with here.timed("step"), here.gathering(wrapped, part.is_last):
            y_BCT, kl = wrapped(x_BCT, noise_BDL)
            terms = loss(y_BCT, x_BCT, kl, weight)
            here.accelerator.backward(terms["loss"] / config.accumulate)
        found.append({name: term.detach() for name, term in terms.items()})
    return loop.mean(found)


def _judge(
    wrapped: nn.Module, rebuild: Reconstruction, batch: StreamBatch, config: Config, here: loop.Loop
) -> dict[str, Tensor]:
    """Gradients of the discriminators' loss on a batch and what the codec, frozen, makes of it."""
    found = []
    for part in here.parts(batch, config.accumulate):
        x_BCT = torch.from_numpy(part.audio).to(here.accelerator.device)
        noise_BDL = _noise(x_BCT, part, config)
        with here.timed("judges"), here.gathering(wrapped, part.is_last):
            with torch.no_grad(), here.accelerator.autocast():
                y_BCT, _ = rebuild(x_BCT, noise_BDL)
            loss = wrapped(x_BCT, y_BCT.float())
            here.accelerator.backward(loss / config.accumulate)
        found.append({"judges": loss.detach()})
    return loop.mean(found)


@torch.no_grad()
def _distances(
    vae: codec.Codec, loss: CodecLoss, held: validation.Windows, here: loop.Loop
) -> dict[str, Tensor]:
    """Of windows of authors that are not trained on: the loss without the discriminators, and distances."""
    found = []
    for sample in held.samples:
        x_BCT = torch.from_numpy(sample.audio)[None].to(here.accelerator.device)
        posterior = vae.encode_in_chunks(x_BCT)
        y_BCT = vae.decode_in_chunks(posterior.mean_BDL)
        terms = loss(y_BCT, x_BCT, posterior.kl(), 0.0)
        every = reconstruction.distances(y_BCT, x_BCT, SAMPLE_RATE)
        found.append({**terms, **{name: value[0] for name, value in every.items()}})
    return {name: torch.stack([each[name] for each in found]) for name in found[0]}


def _noise(x_BCT: Tensor, part: loop.Portion, config: Config) -> Tensor:
    """The noise of the codec's sampling, each item's from its place in the order."""
    shape = preset.read(config.model).codec
    size = (shape.latent_dim, x_BCT.shape[-1] // shape.hop)
    positions = [sample.position for sample in part.samples]
    return noise.normal(size, seed=config.seed, purpose="latents", positions=positions).to(x_BCT.device)


def _codec(config: Config, shape: preset.Config, found: Path | None) -> codec.Codec:
    """The codec to train: of a checkpoint, or new from the seed; its encoder frozen in stage 2."""
    if found:
        vae = checkpoint.load_codec(found)
    elif config.start_from:
        vae = opened.find(config.start_from).load_codec()
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            vae = codec.Codec(shape.codec)
    if vae.config != shape.codec:
        raise UsageError(
            f"{found or config.start_from}: another codec than model = {config.model!r}: {vae.config}"
        )
    if config.stream.window_frames % shape.codec.hop:
        raise UsageError(
            f"stream.window_frames {config.stream.window_frames} is no multiple of {shape.codec.hop}"
        )
    sizes = config.adversary.discriminator.fft_sizes
    if config.has_adversary and config.stream.window_frames < max(sizes):
        raise UsageError(
            f"stream.window_frames {config.stream.window_frames} is shorter than a discriminator's window, "
            f"{max(sizes)}; set longer windows, or smaller adversary.discriminator.fft_sizes"
        )
    vae.encoder.requires_grad_(not config.freeze_encoder)
    return vae


def _declare(config: Config, dataset: Dataset, found: Path | None, is_main: bool) -> declared.Declared:
    series, parts = config.stream.series, declared.pretrained(found) if found else _origins(config)
    return declared.declare(config.release, dataset, series, pretrained=parts, found=found, is_main=is_main)


def _origins(config: Config) -> list[dict[str, Any]]:
    """The codec this run began with, and what that had seen (stage 2 goes on from stage 1)."""
    return opened.find(config.start_from).origins("vae") if config.start_from else []
