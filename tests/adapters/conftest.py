"""A small model with a history, and adapters of it, each trained once."""

from pathlib import Path

import pytest
import torch

from sao_data.dataset.reader import Dataset
from sao_model import train_dit, train_vae
from tests.training import made_runs
from tests.training.made_runs import Silent

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_runs.tones(tmp_path_factory.mktemp("tones"), 8)


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "mini.toml"
    path.write_text(made_runs.MINI)
    return str(path)


@pytest.fixture(scope="session")
def base(tones: Dataset, mini: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of two steps, its codec of one."""
    out, pace = tmp_path_factory.mktemp("base"), {"steps": 2, "log_every": 1, "save_every": 2}
    settings = made_runs.vae_config(mini, pace=pace)
    vae = train_vae.train(settings, tones, out / "vae", resume="auto", progress=Silent())
    # Blocks begin at zero; after steps of this size they do not.
    settings = made_runs.dit_config(mini, pace=pace, optimiser={"lr": 0.02, "warmup": 0.0})
    return train_dit.train(settings, tones, str(vae), out / "dit", resume="auto", progress=Silent())


def learn(tones: Dataset, base: Path, out: Path, steps: int = 4, **adapter: object) -> Path:
    settings = made_runs.dit_config(
        "",
        start_from=str(base),
        adapter={"kind": "lora", "rank": 4, **adapter},
        optimiser={"lr": 0.02, "warmup": 0.0},
        pace={"steps": steps, "log_every": 1, "save_every": 2, "keep_last": 9},
    )
    return train_dit.train(settings, tones, str(base), out, resume="auto", progress=Silent())


@pytest.fixture(scope="session")
def runs(tones: Dataset, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of adapters: `lora` with dropout, `dora`, `rslora` of two layers."""
    out = tmp_path_factory.mktemp("runs")
    learn(tones, base, out / "lora", dropout=0.2)
    learn(tones, base, out / "dora", kind="dora", alpha=8.0)
    learn(tones, base, out / "rslora", 2, kind="rslora", targets=["blocks.*.self_attn.out"])
    return out
