"""A dataset of short and long noise, a small codec, and latents of the one by the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from sao_data.config import Table, parse
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.execution.executor import LocalExecutor
from sao_data.latents.reader import Latents, open_latents
from sao_model import checkpoint, preset
from sao_model.encoding import run, settings
from sao_model.model import StableAudioModel, build
from tests.datasets_made import build as build_dataset
from tests.datasets_made import load, write_folder
from tests.made import noise, wav_bytes
from tests.training import made_runs
from tests.training.made_runs import Silent

torch.set_num_threads(1)  # tiny convolutions: a second thread only spins

HOP, WINDOW = 256, 48  # frames a latent; latents a window
MODEL = (
    made_runs.MINI.replace("num_latents = 32", f"num_latents = {WINDOW}")
    .replace("strides = [8, 8]", "strides = [8, 32]")
    .replace("num_layers = 2", "num_layers = 1")
)
# Seconds of each recording: below a latent, short, with the window's end within reach of theirs, just the
# window, longer, and three that are cut (cut.max_seconds = 1).
LENGTHS = (0.004, 0.1, 0.15, 0.2, 0.26, 0.27, WINDOW * HOP / 44_100, 0.3, 0.9, 2.5, 1.3, 3.0, 0.12, 0.17)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentWorld:
    """What the tests share."""

    folder: Path
    model: str
    vae: Path

    @property
    def data(self) -> Dataset:
        return open_dataset(str(self.folder / "data"))

    @property
    def latents(self) -> Latents:
        return open_latents(str(self.folder / "latents"))


def sounds(folder: Path, lengths: tuple[float, ...] = LENGTHS, *, first: int = 0) -> Path:
    """Recordings of noise of these lengths."""
    write_folder(folder, len(lengths), first=first)
    for n, seconds in enumerate(lengths, first):
        (folder / f"tone-{n:03d}.wav").write_bytes(wav_bytes(0.3 * noise(n, seconds=seconds)))
    return folder


def made_dataset(tmp: Path, source: Path, out: Path) -> Dataset:
    """A dataset of a folder, in clips of a second."""
    chosen = load(
        tmp, source, sets=("cut.max_seconds=1", "split.validation_share=0.3", "filter.0.seconds=0.0")
    )
    build_dataset(chosen, out)
    return open_dataset(str(out))


def encode(data: Dataset, vae: Path, out: Path, **changes: object) -> run.EncodeSummary:
    table: Table = {"device": "cpu", **changes}
    config = parse(settings.Config, table, where="test")
    return run.encode(config, data, str(vae), str(out), LocalExecutor(), Silent())


def codec_of(model: str, folder: Path, seed: int = 0) -> Path:
    """A checkpoint of a codec with random weights, whose latents are of a usual size."""
    made: StableAudioModel = build(preset.read(model), seed=seed)
    with torch.no_grad():
        last = made.codec.encoder[-1]
        last.parametrizations.weight.original0.mul_(6.0)
    checkpoint.save(made, folder, only=("vae",))
    return folder


@pytest.fixture(scope="session")
def latent_world(tmp_path_factory: pytest.TempPathFactory) -> LatentWorld:
    tmp = tmp_path_factory.mktemp("latents")
    (tmp / "mini.toml").write_text(MODEL)
    data = made_dataset(tmp, sounds(tmp / "in"), tmp / "data")
    vae = codec_of(str(tmp / "mini.toml"), tmp / "vae")
    encode(data, vae, tmp / "latents")
    return LatentWorld(folder=tmp, model=str(tmp / "mini.toml"), vae=vae)
