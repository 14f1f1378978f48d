"""The model as a library."""

from pathlib import Path
from typing import Any

import pytest
import torch

import sao_model
from sao_data.errors import UsageError
from sao_model import checkpoint
from sao_model.model import StableAudioModel
from sao_model.request import Sampling
from sao_model.stable_audio import StableAudio

TWO = Sampling(steps=2)


@pytest.fixture
def ready(tiny: StableAudioModel, tmp_path: Path) -> StableAudio:
    checkpoint.save(tiny, tmp_path / "ckpt")
    return sao_model.StableAudio.from_pretrained(tmp_path / "ckpt", device="cpu")


def test_from_a_folder_to_sounds_and_back(ready: StableAudio, tmp_path: Path) -> None:
    audio = ready.generate("rain", seconds=0.1, seed=5, how=TWO)
    assert audio.shape == (2, 4410)
    assert torch.equal(audio, ready.generate_many(["drums", "rain"], 0.1, seed=4, how=TWO)[1])
    assert ready.generate("rain", how=TWO).shape[1] == round(ready.window * ready.sample_rate)  # its window
    assert not torch.equal(audio, ready.generate("rain", seconds=0.1, how=TWO))  # a random seed
    ready.save_pretrained(tmp_path / "again")
    again = StableAudio.from_pretrained(tmp_path / "again", device="cpu")
    assert torch.equal(audio, again.generate("rain", seconds=0.1, seed=5, how=TWO))
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        ready.save_pretrained(tmp_path / "again")


def test_latents_and_back(ready: StableAudio) -> None:
    audio = torch.rand(2, 3000, generator=torch.Generator().manual_seed(0)) - 0.5
    latents = ready.encode(audio)
    assert latents.shape == (1, 8, 6)  # of 512 samples, the last of them padded
    assert torch.equal(ready.encode(audio[None]), latents)
    padded = torch.nn.functional.pad(audio, (0, 72))[None]
    with torch.no_grad():
        whole = ready.model.codec.encode(padded).mean_BDL
        torch.testing.assert_close(latents, whole, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            ready.decode(latents), ready.model.codec.decode(latents), atol=1e-4, rtol=1e-4
        )


def test_regions_of_a_sound_are_made_anew(ready: StableAudio) -> None:
    audio = torch.rand(2, 6000) - 0.5
    made = ready.generate("rain", seed=1, how=TWO, audio_CT=audio, regions=[(0.05, 0.1)])
    assert made.shape == audio.shape
    assert torch.equal(made[:, :2205], audio[:, :2205])
    assert torch.equal(made[:, 4410:], audio[:, 4410:])
    assert not torch.equal(made, audio)
    other = ready.generate("rain", seed=1, how=TWO, audio_CT=audio, strength=0.5)
    assert other.shape == audio.shape


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"prompt": ""}, "prompt: empty"),
        ({"seconds": 99.0}, "longer than the model's window"),
        ({"audio_CT": torch.zeros(4410)}, r"audio: of the shape \(4410,\); want \(2 channels, samples\)"),
        ({"audio_CT": torch.zeros(1, 2, 4410)}, r"want \(channels, samples\)"),
        ({"regions": [(0.0, 0.1)]}, "regions: of which sound"),
        ({"audio_CT": torch.full((2, 4410), torch.nan)}, "not finite"),
        ({"audio_CT": torch.zeros(2, 4410), "strength": 0.0}, "edit.strength: 0.0"),
        ({"audio_CT": torch.zeros(2, 4410), "regions": [(0.05, 0.2)]}, "outside of the sound"),
    ],
)
def test_what_cannot_be_made_is_refused(ready: StableAudio, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ready.generate(**{"prompt": "rain", "how": TWO} | settings)


def test_several_prompts_are_a_list_and_rounded_weights_are_not_saved(
    ready: StableAudio, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="takes several prompts"):
        ready.generate_many("rain")
    with pytest.raises(UsageError, match="give fp32 or bf16"):
        StableAudio.from_pretrained(tmp_path / "ckpt", device="cpu", precision="fp16")
    ready.model.dit.to(torch.bfloat16)
    with pytest.raises(UsageError, match="rounded to bf16"):
        ready.save_pretrained(tmp_path / "again")


def test_latents_of_another_model_are_refused(ready: StableAudio) -> None:
    with pytest.raises(UsageError, match=r"want \(batch, 8, length\)"):
        ready.decode(torch.zeros(1, 64, 4))
    with pytest.raises(AttributeError, match="no attribute 'StableVideo'"):
        _ = sao_model.StableVideo
