"""How a dataset is encoded: settings, what follows from them and the codec, how much of a clip is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Protocol, TypeVar

import torch

from sao_data.errors import UsageError
from sao_data.latents.facts import CodecFacts, EncodingFacts
from sao_model import codec, declared
from sao_model.opened import Opened

A = TypeVar("A")
R = TypeVar("R")
LATENT_SCALE = 1.0  # what latents are multiplied by before the transformer: nothing (paper 2.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is encoded, and how; all of it is in the digest of the result."""

    series: tuple[str, ...] = ()  # shard series that are encoded; none named: all
    window_latents: int = 0  # of the trainings; 0: the model's that the codec belongs to (paper 2.3: 1024)
    margin: int = 0  # latents kept behind a clip's end; 0: all that depend on it
    chunk: int = 0  # latents at a time through the codec's outer blocks; 0: what suits the device
    threads: int = 1  # of a unit, on the CPU; sums may depend on it
    device: Literal["", "cpu", "cuda"] = ""  # '': GPUs where there are some

    def __post_init__(self) -> None:
        least = {"window_latents": 0, "margin": 0, "chunk": 0, "threads": 1}
        for name, wanted in least.items():
            if (value := getattr(self, name)) < wanted:
                raise UsageError(f"{name}: {value} is too small; want at least {wanted}")


class Workers(Protocol):
    """Runs units somewhere (sao_data/execution)."""

    name: str

    def map(self, unit: Callable[[A], R], items: Sequence[A], *, num_gpus: int = 0) -> Iterator[R]: ...
    def num_gpus(self) -> int: ...
    def on_every_node(self, check: Callable[[], None]) -> None: ...


def facts_of(config: Config, vae: Opened, workers: Workers | None = None) -> EncodingFacts:
    """How is encoded, all but the digest of silence: of the codec's description, its weights not loaded."""
    described = vae.describe()
    shape = described.config
    has_gpu = bool(workers.num_gpus()) if workers and workers.name != "local" else torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise UsageError("device: cuda was asked for, and there is no GPU; leave it out, or set device=cpu")
    device = config.device or ("cuda" if has_gpu else "cpu")
    window = config.window_latents or shape.num_latents
    settings = {**asdict(config), "series": list(config.series), "device": device, "window_latents": window}
    with torch.device("meta"):
        reach = codec.Codec(shape.codec).encoder_reach
    return EncodingFacts(
        codec=CodecFacts(
            sha256=vae.codec_digest(),
            terms=described.parts["vae"].terms,
            training_data=declared.read(vae.folder),
        ),
        settings=settings,
        sample_rate=shape.sample_rate,
        hop=shape.codec.hop,
        latent_dim=shape.codec.latent_dim,
        window_latents=window,
        reach=reach,
        latent_scale=LATENT_SCALE,
        silence_sha256="0" * 64,
    )


def extent(encoding: EncodingFacts, num_frames: int) -> tuple[int, int]:
    """Of a clip: latents to encode, zeros behind it included, and how many of them are stored."""
    sound, window = -(-num_frames // encoding.hop), encoding.window_latents
    if sound > window:
        return sound, sound
    margin = int(encoding.settings["margin"]) or encoding.reach
    if sound + margin + encoding.reach >= window:
        return window, window
    return sound + margin + encoding.reach, sound + margin
