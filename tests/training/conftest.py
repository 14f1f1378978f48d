from pathlib import Path

import pytest
import torch

from sao_data.dataset.reader import Dataset
from sao_model import train_vae
from tests.training import made_runs

torch.set_num_threads(1)  # tiny convolutions: a second thread only spins


@pytest.fixture(scope="session")
def tone_data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_runs.tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="session")
def mini_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "mini.toml"
    path.write_text(made_runs.MINI)
    return str(path)


@pytest.fixture(scope="session")
def vae_run(tone_data: Dataset, mini_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight steps of the codec and its discriminators, unbroken."""
    out = tmp_path_factory.mktemp("vae") / "run"
    train_vae.train(
        made_runs.vae_config(mini_model), tone_data, out, resume="auto", progress=made_runs.Silent()
    )
    return out
