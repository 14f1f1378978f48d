"""What a training learns from and with, counted: samples of a dataset or of the paper's, parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from sao_data.latents.reader import Latents
from sao_data.loading.source import TrainingSource
from sao_data.loading.stream import open_stream
from sao_data.records import NUM_CHANNELS, SAMPLE_RATE
from sao_model import checkpoint, preset, train_dit, train_vae
from sao_model.conditioners import t5
from sao_model.discriminator import Discriminator
from sao_model.model import StableAudioModel

Settings = train_vae.Config | train_dit.Config

FREESOUND, FMA, HIFI = (
    472_618,
    13_874,
    55_314,
)  # recordings of the paper (section 3), high-fidelity Freesound (3.1)
HOURS = 7_300  # of both


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlan:
    """What an epoch is."""

    name: str
    samples: int  # windows in an epoch
    is_most: bool  # the paper does not say how many chunks there are: no more than that
    bytes: int  # of the shards; of the paper's audio as 16-bit PCM
    is_latents: bool = False  # encoded once: no codec runs in a step


def of_dataset(config: Settings, shape: preset.Config, dataset: TrainingSource) -> DataPlan:
    """Windows and bytes of the series that are drawn from."""
    frames = shape.num_frames if isinstance(config, train_dit.Config) else config.stream.window_frames
    stream = replace(config.stream, window_frames=frames, num_threads=0, seed=config.seed)
    with open_stream(dataset, stream, batch_size=1) as drawn:
        samples = drawn.num_samples
    series, is_latents = config.stream.series, isinstance(dataset, Latents)
    size = sum(shard.num_bytes for shard in dataset.shards() if shard.series in series)
    if isinstance(dataset, Latents):
        size = dataset.num_bytes(series)
    name = f"{dataset.facts['name']} {dataset.facts['version']}"
    return DataPlan(name=name, samples=samples, is_most=False, bytes=size, is_latents=is_latents)


def of_paper(config: Settings) -> DataPlan:
    """The paper's recordings, once each; chunks of them where those are on."""
    chunks = config.stream.chunks
    samples = FREESOUND + FMA
    if chunks:
        samples = chunks.per_recording * FREESOUND + chunks.hifi_extra * (FMA + HIFI)
    size = HOURS * 3600 * SAMPLE_RATE * NUM_CHANNELS * 2
    return DataPlan(name="the paper's", samples=samples, is_most=bool(chunks), bytes=size)


def parameters(shape: preset.Config) -> dict[str, int]:
    """Parameters of each part of a model, counted without memory."""
    return {name: part.parameters for name, part in checkpoint.measure(_model(shape)).items()}


def num_encoder(shape: preset.Config) -> int:
    """Parameters of the codec's encoder."""
    return sum(p.numel() for p in _model(shape).codec.encoder.parameters())


def num_judges(config: train_vae.Config) -> int:
    """Parameters of the discriminators; 0 where their terms weigh nothing."""
    if not config.has_adversary:
        return 0
    with torch.device("meta"):
        judges = Discriminator(config.adversary.discriminator)
    return sum(p.numel() for p in judges.parameters())


def keeps_text(shape: preset.Config) -> bool:
    """Does the text encoder lie in checkpoints? One that is fetched by name does not."""
    prompt = shape.prompt.config
    return not isinstance(prompt, t5.Config) or not prompt.pretrained or prompt.stored


def _model(shape: preset.Config) -> StableAudioModel:
    with torch.device("meta"):
        return StableAudioModel(shape)
