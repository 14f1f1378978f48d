"""Train the diffusion transformer on latents of a frozen codec, told text and timing (paper 2.3, 4.2).

One step after the other, in a fixed order: step, ema, log, save.

    B batch   C channels   T samples   D latent channels   L latents
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
from sao_data.loading.stream import Stream, StreamBatch, StreamConfig
from sao_model import checkpoint, declared, diffusion, ema, opened, optimiser, preset, processes, run
from sao_model.model import StableAudioModel, build
from sao_model.opened import Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The defaults are the paper's where it says, else the released model's."""

    model: str = "stable_audio_open"  # preset or TOML file
    seed: int = 0
    start_from: str = ""  # a whole model to fine-tune, of a checkpoint or a published folder
    batch_size: int = 256  # all processes together (64 GPUs, 4 each: paper 4.2)
    dropout: float = 0.1  # of the conditioning, for guidance (not in the paper; the published default)
    checkpointing: bool = True  # recompute blocks in the backward pass
    precision: str = "no"
    stream: StreamConfig = field(default_factory=StreamConfig)  # the window is the model's
    optimiser: optimiser.Config = field(default_factory=optimiser.Config)
    ema: ema.Config = field(default_factory=ema.Config)
    pace: run.Pace = field(default_factory=run.Pace)
    release: Release = field(default_factory=Release)


def train(
    config: Config, dataset: Dataset, vae: str, out: Path, *, resume: str, progress: run.RunProgress
) -> Path:
    """Train into the run folder `out` with the codec in `vae` (see opened.py); return the last checkpoint."""
    accelerator = processes.make_accelerator(config.precision)
    found = run.to_resume(out, resume)
    state = run.read_state(found, config) if found else run.LoopState()
    codec_from = opened.find(vae)
    promise = _declare(config, dataset, codec_from, found, accelerator.is_main_process)
    model = _model(config, codec_from, found, promise).to(accelerator.device)
    model.dit.checkpointing = config.checkpointing
    optim = optimiser.make(_trained(model).values(), config.optimiser)
    wrapped, optim = accelerator.prepare(model, optim)
    average = ema.Ema(model, config.ema)
    if found:
        _restore(found, model, optim, average)
    times = diffusion.timesteps(config.seed, state.step * config.batch_size)
    here = run.Run(out, accelerator, config, config.pace, progress)
    with (
        _stream(config, model.config, dataset, accelerator, state) as stream,
        processes.locked_run(here.out, accelerator),
    ):
        here.start(state)
        for step in range(state.step + 1, config.pace.steps + 1):
            batch = next(stream)
            generator = run.generator(config.seed, step, accelerator.process_index)
            t_B = diffusion.draw(times, config.batch_size)[_share(accelerator, config.batch_size)]
            rate = optimiser.set_rate(optim, config.optimiser, step - 1)
            loss = _loss(wrapped, model, batch, t_B.to(accelerator.device), generator, config)
            accelerator.backward(loss)
            if config.optimiser.clip:
                accelerator.clip_grad_norm_(wrapped.parameters(), config.optimiser.clip)
            optim.step()
            optim.zero_grad()
            average.update(model)
            state = run.LoopState(step=step, stream=batch.state)
            here.advance()
            here.note(loss=loss)
            if here.due(step, config.pace.log_every) or here.due(step, config.pace.save_every):
                here.log(step, _trained(model), rate=rate, epoch=batch.state.position / stream.num_samples)
            if here.due(step, config.pace.save_every) and accelerator.is_main_process:
                files = run.loop_files(config, state, dataset, stream, promise)
                _save(here.checkpoint_folder(step), model, optim, average, files, like=here.latest() or found)
                here.prune()
    here.finish()
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return run.resolve(out)


def _loss(
    wrapped: nn.Module,
    model: StableAudioModel,
    batch: StreamBatch,
    t_B: Tensor,
    generator: torch.Generator,
    config: Config,
) -> Tensor:
    """Velocity error on sampled latents: the codec stays frozen, and is sampled anew each time."""
    x_BCT = torch.from_numpy(batch.audio).to(model.device)
    with torch.no_grad():
        latents_BDL = model.codec.encode(x_BCT).sample(generator)
    prompts = [sample.prompt for sample in batch.samples]
    start = [float(sample.seconds_start) for sample in batch.samples]
    total = [float(sample.seconds_total) for sample in batch.samples]
    loss: Tensor = wrapped(
        latents_BDL, prompts, start, total, t_B=t_B, generator=generator, dropout=config.dropout
    )
    return loss


def _stream(
    config: Config, shape: preset.Config, dataset: Dataset, accelerator: Any, state: run.LoopState
) -> Stream:
    return Stream(
        dataset,
        replace(config.stream, seed=config.seed, window_frames=shape.num_frames),
        batch_size=config.batch_size,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        state=state.stream,
    )


def _share(accelerator: Any, batch_size: int) -> slice:
    """This process's part of a global batch, as the stream divides it."""
    rank, world = accelerator.process_index, accelerator.num_processes
    return slice(rank * batch_size // world, (rank + 1) * batch_size // world)


def _model(config: Config, vae: Opened, found: Path | None, promise: declared.Declared) -> StableAudioModel:
    """The model to train, codec and text encoder frozen: of a checkpoint, of a model to fine-tune, or new
    from the seed."""
    if found:
        _check_same_codec(found, vae)
        model = checkpoint.load(found)
    else:
        shape = preset.read(config.model)
        model = _started(config, shape) if config.start_from else build(shape, seed=config.seed)
        loaded = vae.load_codec()
        if loaded.config != model.config.codec:
            raise UsageError(
                f"--vae {vae.folder}: another codec than model = {config.model!r}: {loaded.config}"
            )
        model.codec = loaded
        model.terms = promise.terms_of_parts()
    model.codec.requires_grad_(False)
    model.text.requires_grad_(False)
    return model


def _started(config: Config, shape: preset.Config) -> StableAudioModel:
    """The model to fine-tune, with the name and the window of `shape`; its weights must be of that shape."""
    model = opened.find(config.start_from).load()
    if differing := preset.differences(shape, model.config):
        raise UsageError(
            f"start_from {config.start_from}: another model than model = {config.model!r}: "
            f"{'; '.join(differing[:4])}; name a model file of its shape"
        )
    model.config = replace(model.config, name=shape.name, num_latents=shape.num_latents)
    return model


def _check_same_codec(found: Path, vae: Opened) -> None:
    """A run goes on with the codec it began with: latents of another one mean something else."""
    if checkpoint.describe(found).parts["vae"].sha256 != vae.codec_digest():
        raise UsageError(
            f"--vae {vae.folder}: not the codec that {found} was trained with; give that one, or "
            "another --out"
        )


def _declare(
    config: Config, dataset: Dataset, vae: Opened, found: Path | None, is_main: bool
) -> declared.Declared:
    parts = declared.pretrained(found) if found else _pretrained(config, vae)
    series = config.stream.series
    return declared.declare(config.release, dataset, series, pretrained=parts, found=found, is_main=is_main)


def _pretrained(config: Config, vae: Opened) -> list[dict[str, Any]]:
    """Parts that were trained before: the codec, and the model to fine-tune or a published text encoder."""
    if config.start_from:
        start, others = opened.find(config.start_from), ("dit", "conditioners", "text_encoder")
        if start == vae:
            return vae.origins("vae", *others)
        return [*vae.origins("vae"), *start.origins(*others)]
    prompt = preset.read(config.model).prompt.config
    if not (name := getattr(prompt, "pretrained", "")):
        return vae.origins("vae")
    return [
        *vae.origins("vae"),
        {"part": "text_encoder", "name": name, "terms": getattr(prompt, "terms", "")},
    ]


def _trained(model: StableAudioModel) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _save(
    folder: Path,
    model: StableAudioModel,
    optim: Any,
    average: ema.Ema,
    files: dict[str, bytes],
    like: Path | None,
) -> None:
    """A whole model with averaged weights, and beside them what a resume needs; `like`: an earlier one."""
    tensors = {"training": run.training_tensors(_trained(model), optim.optimizer, average)}
    with average.applied(model):
        checkpoint.save(model, folder, tensors=tensors, files=files, like=like)


def _restore(folder: Path, model: StableAudioModel, optim: Any, average: ema.Ema) -> None:
    tensors = checkpoint.load_tensors(folder, "training")
    run.load_training(tensors, _trained(model), optim.optimizer, average)
