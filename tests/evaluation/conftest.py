import dataclasses
import json
from pathlib import Path

import pytest
import torch

from sao_model import preset
from sao_model.model import StableAudioModel, build
from tests import tiny_embedders
from tests.made import noise, tone, wav_bytes

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_config() -> preset.Config:
    """The tiny preset with a window of 16 latents (0.19 s)."""
    return dataclasses.replace(preset.read("tiny"), num_latents=16)


@pytest.fixture
def tiny(tiny_config: preset.Config) -> StableAudioModel:
    return build(tiny_config, seed=3)


class Weights:
    """Where tiny models lie, as --set assignments."""

    def __init__(self, clap: Path, ast: Path) -> None:
        self.sets = [f"clap.folder={clap}", f"ast_audioset.folder={ast}"]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    folder = tmp_path_factory.mktemp("weights")
    return Weights(tiny_embedders.clap(folder / "clap", fused=True), tiny_embedders.ast(folder / "ast"))


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty tones in noise, each with a prompt."""
    return _write(tmp_path_factory.mktemp("reference") / "recordings", 0, with_prompts=True)


@pytest.fixture(scope="session")
def near(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Others like them."""
    return _write(tmp_path_factory.mktemp("near") / "near", 100)


@pytest.fixture(scope="session")
def far(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Louder noise over the same."""
    return _write(tmp_path_factory.mktemp("far") / "far", 100, level=0.3)


def _write(folder: Path, seed: int, *, level: float = 0.0, with_prompts: bool = False) -> Path:
    folder.mkdir()
    for n in range(20):
        audio = tone(200 + 40 * n, 1.0) + noise(seed + n, 1.0, level=level or 0.01 * (1 + n % 4))
        (folder / f"clip-{n:02d}.wav").write_bytes(wav_bytes(audio))
        if with_prompts:
            text = json.dumps({"prompt": f"a tone at {200 + 40 * n} Hz", "seed": n})
            (folder / f"clip-{n:02d}.json").write_text(text)
    return folder
