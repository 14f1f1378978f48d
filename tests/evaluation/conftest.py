import dataclasses

import pytest
import torch

from sao_model import preset
from sao_model.model import StableAudioModel, build


@pytest.fixture(scope="session")
def tiny_config() -> preset.Config:
    """The tiny preset with a window of 16 latents (0.19 s)."""
    return dataclasses.replace(preset.read("tiny"), num_latents=16)


@pytest.fixture
def tiny(tiny_config: preset.Config) -> StableAudioModel:
    torch.set_num_threads(1)
    return build(tiny_config, seed=3)
