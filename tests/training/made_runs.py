"""Small trainings on made tones: a dataset, configs, and what a run leaves."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from sao_data.config import Table, parse
from sao_data.dataset.reader import Dataset, open_dataset
from sao_model import run, train_dit, train_vae
from tests.datasets_made import Quiet, build, load, tone_wav, write_folder

MINI = """
name = "mini"
num_latents = 32
[codec]
width = 4
multiples = [1, 2]
strides = [8, 8]
latent_dim = 4
[dit]
latent_dim = 4
width = 64
num_layers = 2
num_heads = 1
cross_dim = 64
global_dim = 128
[prompt]
plugin = "t5"
pretrained = ""
max_tokens = 8
width = 64
num_layers = 1
num_heads = 1
head_dim = 64
ff_dim = 64
vocab_size = 64
[seconds_start]
plugin = "seconds"
width = 64
[seconds_total]
plugin = "seconds"
width = 64
"""


class Silent(Quiet):
    def start(self, step: str, total: int | None, unit: str = "") -> None: ...


def tones(folder: Path, num: int = 12) -> Dataset:
    """A dataset of short tones by five authors, some of whom are kept for validation."""
    sources = write_folder(folder / "in", num)
    for n in range(num):
        (sources / f"tone-{n:03d}.wav").write_bytes(tone_wav(200 + 50 * n))
    build(load(folder, sources, sets=("split.validation_share=0.3",)), folder / "out")
    return open_dataset(str(folder / "out"))


def vae_config(model: str, **changes: object) -> train_vae.Config:
    """Codec and small discriminators, by turns."""
    return parse(train_vae.Config, vae_table(model) | changes, where="test")


def vae_table(model: str) -> Table:
    return {
        "model": model,
        "batch_size": 4,
        "stream": {"window_frames": 2048},
        "losses": {"fft_sizes": [256, 64]},
        "adversary": {"start": 1, "discriminator": {"filters": 2, "fft_sizes": [256, 64]}},
        "pace": {"steps": 8, "log_every": 1, "save_every": 4},
    }


def dit_config(model: str, **changes: object) -> train_dit.Config:
    table: Table = {
        "model": model,
        "batch_size": 4,
        "preflight": {"check": False},
        "pace": {"steps": 8, "log_every": 1, "save_every": 4},
    }
    return parse(train_dit.Config, table | changes, where="test")


def log(out: Path, name: str = run.LOG) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


def losses(out: Path) -> list[tuple[object, object]]:
    """What was learned from, by step; the clock aside."""
    return [(line["step"], line.get("loss", line.get("judges"))) for line in log(out)]


def tensors(out: Path) -> dict[str, torch.Tensor]:
    """Weights, averages, moments of the last checkpoint."""
    return load_file(run.resolve(out) / "training.safetensors")


def assert_same(ours: Path, theirs: Path) -> None:
    """Two runs have learned the same, bit for bit, from the same samples."""
    assert losses(ours) == losses(theirs)
    one, other = tensors(ours), tensors(theirs)
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    seen = [(run.resolve(out) / run.DATA).read_bytes() for out in (ours, theirs)]
    assert seen[0] == seen[1]
