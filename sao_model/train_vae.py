"""Train the codec: reconstruct short windows (paper 4.1). Stage 2 freezes the encoder.

Losses: perceptually weighted STFT on sum, difference, left and right, and the KL term. (The discriminators
join with their own file.) One step after the other, in a fixed order: step, ema, log, save.

    B batch   C channels   T samples
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sao_data.dataset.reader import Dataset
from sao_data.dataset.release import Release
from sao_data.errors import UsageError
from sao_data.loading.stream import Stream, StreamConfig
from sao_model import checkpoint, codec, declared, ema, losses, opened, optimiser, preset, processes, run
from sao_model.model import StableAudioModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The defaults are the paper's where it says, else the published VAE config's."""

    model: str = "stable_audio_open"  # preset or TOML file
    seed: int = 0
    batch_size: int = 128  # all processes together (32 GPUs, 4 each: paper 4.1)
    freeze_encoder: bool = False  # stage 2
    start_from: str = ""  # a checkpoint or published folder whose codec to start with
    precision: str = "no"
    stream: StreamConfig = field(
        default_factory=lambda: StreamConfig(window_frames=65_536)
    )  # 1.5 s: paper 4.1
    losses: losses.Config = field(
        default_factory=lambda: losses.Config(adversarial=0.0, feature_matching=0.0)
    )
    optimiser: optimiser.Config = field(
        default_factory=lambda: optimiser.Config(
            lr=1.5e-4, betas=(0.8, 0.99), inv_gamma=200_000, warmup=0.999
        )
    )
    ema: ema.Config = field(default_factory=ema.Config)
    pace: run.Pace = field(default_factory=run.Pace)
    release: Release = field(default_factory=Release)

    def __post_init__(self) -> None:
        if self.losses.adversarial or self.losses.feature_matching:
            raise UsageError(
                "losses: adversarial and feature_matching need discriminators, which are not here yet; set 0"
            )


def train(config: Config, dataset: Dataset, out: Path, *, resume: str, progress: run.RunProgress) -> Path:
    """Train into the run folder `out`; return its last checkpoint."""
    accelerator = processes.make_accelerator(config.precision)
    found = run.to_resume(out, resume)
    state = run.read_state(found, config) if found else run.LoopState()
    promise = _declare(config, dataset, found, accelerator.is_main_process)
    shape = preset.read(config.model)
    vae = _codec(config, shape, found)
    if config.stream.window_frames % shape.codec.hop:
        raise UsageError(
            f"stream.window_frames {config.stream.window_frames} is no multiple of {shape.codec.hop}"
        )
    stft = losses.StftLoss(config.losses, shape.sample_rate).to(accelerator.device)
    wrapped, optim = accelerator.prepare(
        vae.to(accelerator.device), optimiser.make(_trained(vae).values(), config.optimiser)
    )
    average = ema.Ema(vae, config.ema)
    if found:
        _restore(found, vae, optim, average)
    here = run.Run(out, accelerator, config, config.pace, progress)
    with _stream(config, dataset, accelerator, state) as stream, processes.locked_run(here.out, accelerator):
        here.start(state)
        for step in range(state.step + 1, config.pace.steps + 1):
            batch = next(stream)
            x_BCT = torch.from_numpy(batch.audio).to(accelerator.device)
            rate = optimiser.set_rate(optim, config.optimiser, step - 1)
            terms = _terms(
                wrapped, stft, x_BCT, config, run.generator(config.seed, step, accelerator.process_index)
            )
            accelerator.backward(terms["loss"])
            if config.optimiser.clip:
                accelerator.clip_grad_norm_(wrapped.parameters(), config.optimiser.clip)
            optim.step()
            optim.zero_grad()
            average.update(vae)
            state = run.LoopState(step=step, stream=batch.state)
            here.advance()
            here.note(**terms)
            if here.due(step, config.pace.log_every) or here.due(step, config.pace.save_every):
                here.log(step, _trained(vae), rate=rate, epoch=batch.state.position / stream.num_samples)
            if here.due(step, config.pace.save_every) and accelerator.is_main_process:
                files = run.loop_files(config, state, dataset, stream, promise)
                _save(here.checkpoint_folder(step), shape, vae, optim, average, files, promise)
                here.prune()
    here.finish()
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return run.resolve(out)


def _terms(
    vae: nn.Module, stft: nn.Module, x_BCT: Tensor, config: Config, generator: torch.Generator
) -> dict[str, Tensor]:
    """Each term of the loss, and `loss`, their weighted sum."""
    y_BCT, posterior = vae(x_BCT, generator)
    spectral, kl = stft(y_BCT, x_BCT), posterior.kl()
    loss = config.losses.spectral * spectral + config.losses.kl * kl
    if config.losses.time:
        loss = loss + config.losses.time * (y_BCT - x_BCT).abs().mean()
    return {"loss": loss, "spectral": spectral, "kl": kl}


def _stream(config: Config, dataset: Dataset, accelerator: Any, state: run.LoopState) -> Stream:
    return Stream(
        dataset,
        replace(config.stream, seed=config.seed),
        batch_size=config.batch_size,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        state=state.stream,
    )


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
    vae.encoder.requires_grad_(not config.freeze_encoder)
    return vae


def _declare(config: Config, dataset: Dataset, found: Path | None, is_main: bool) -> declared.Declared:
    series, parts = config.stream.series, declared.pretrained(found) if found else _origins(config)
    return declared.declare(config.release, dataset, series, pretrained=parts, found=found, is_main=is_main)


def _origins(config: Config) -> list[dict[str, Any]]:
    """The codec this run began with, and what that had seen (stage 2 goes on from stage 1)."""
    return opened.find(config.start_from).origins("vae") if config.start_from else []


def _trained(vae: codec.Codec) -> dict[str, nn.Parameter]:
    return {name: p for name, p in vae.named_parameters() if p.requires_grad}


def _save(
    folder: Path,
    shape: preset.Config,
    vae: codec.Codec,
    optim: Any,
    average: ema.Ema,
    files: dict[str, bytes],
    promise: declared.Declared,
) -> None:
    """A checkpoint that holds the codec alone: the averaged weights, and beside them what a resume needs."""
    tensors = {"training": run.training_tensors(_trained(vae), optim.optimizer, average)}
    with torch.device("meta"):
        model = StableAudioModel(shape)
    model.codec = vae
    model.terms = promise.terms_of_parts()
    with average.applied(vae):
        checkpoint.save(model, folder, tensors=tensors, files=files, only=("vae",))


def _restore(folder: Path, vae: codec.Codec, optim: Any, average: ema.Ema) -> None:
    run.load_training(checkpoint.load_tensors(folder, "training"), _trained(vae), optim.optimizer, average)
