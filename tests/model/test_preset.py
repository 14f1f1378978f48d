from pathlib import Path

import pytest
import torch

from sao_data.errors import UsageError
from sao_model import preset
from sao_model.conditioners import t5
from sao_model.model import StableAudioModel


def test_every_shipped_preset_is_a_model() -> None:
    assert {"tiny", "stable_audio_open"} <= preset.presets().keys()
    for name in preset.presets():
        config = preset.read(name)
        assert config.name == name
        with torch.device("meta"):
            assert StableAudioModel(config).dit.config == config.dit


def test_the_big_preset_is_the_default_config() -> None:
    text = preset.Conditioner(plugin="t5", config=t5.Config(terms="Apache-2.0"))
    assert preset.read("stable_audio_open") == preset.Config(name="stable_audio_open", prompt=text)


def test_a_config_survives_its_table() -> None:
    config = preset.read("tiny")
    assert preset.parse(preset.to_table(config), where="test") == config


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("[dit]\nlatent_dim = 32", "codec.latent_dim 64 and dit.latent_dim 32 differ"),
        ("[codec]\nstrides = [2, 4, 4, 8, 7]", "want even numbers"),
        ("[codec]\nstrides = [2, 4]", "differ in length"),
        ("[codec]\nwidht = 64", "did you mean 'width'"),
        ("[dit]\nwidth = 1024", "24 heads of 64 make 1536"),
        ("[dit]\ncross_dim = 320\nglobal_dim = 640", "64 times a divisor of num_heads"),
        ("[dit]\nglobal_dim = 768", "two timing tokens make 1536"),
        ('[prompt]\nplugin = "t6"', "did you mean 't5'"),
        ("[prompt]\nmax_tokens = 64", "plugin is missing"),
        ('[seconds_start]\nplugin = "seconds"\nwidth = 64', "not dit.cross_dim 768"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\n{lines}\n')
    with pytest.raises(UsageError, match=message):
        preset.read(str(path))


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="stable_audio_open, tiny"):
        preset.read("huge")
