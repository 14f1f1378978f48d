from pathlib import Path

import pytest
import torch

from sao_data.dataset.reader import Dataset, open_dataset
from sao_model import train_vae
from tests.datasets_made import build, load, tone_wav, write_folder
from tests.training.test_training import TINY, Silent, vae_config

torch.set_num_threads(1)  # tiny convolutions: a second thread only spins


@pytest.fixture(scope="session")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Sixteen tones, those of some authors for validation."""
    tmp = tmp_path_factory.mktemp("halves")
    folder = write_folder(tmp / "in", 16)
    for n in range(16):
        (folder / f"tone-{n:03d}.wav").write_bytes(tone_wav(200 + 50 * n))
    build(load(tmp, folder, "[split]\nvalidation_share = 0.5\n"), tmp / "out")
    return open_dataset(str(tmp / "out"))


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("preset") / "mini.toml"
    path.write_text(TINY)
    return str(path)


@pytest.fixture(scope="session")
def trained(halves: Dataset, small_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run: six steps, sounds and validations at the third and the last, with TensorBoard. Not to be
    changed."""
    pytest.importorskip("tensorboard")
    out = tmp_path_factory.mktemp("trained") / "my <run>"
    every = {"save_every": 3, "sample_every": 3, "validate_every": 3}
    config = vae_config(
        small_model,
        pace={"steps": 6, "log_every": 1, **every},
        trackers=["tensorboard"],
        validation={"num_windows": 2},
        demos={"num_windows": 1},
    )
    train_vae.train(config, halves, out, resume="auto", progress=Silent())
    return out
