"""The whole model on the meta device: exact counts, and every key and shape of both public layouts."""

import dataclasses

import pytest
import torch

from sao_model import preset, published_config, released
from sao_model.model import StableAudioModel, parts
from tests.paths import SHARED

KEYS = SHARED / "parity" / "keys"
CONFIGS = KEYS.parents[1] / "stable-audio-open-1.0"
needs_shared = pytest.mark.skipif(not KEYS.exists(), reason="key lists (../shared/data/parity) are absent")


@pytest.fixture(scope="module")
def model() -> StableAudioModel:
    with torch.device("meta"):
        return StableAudioModel(preset.read("stable_audio_open"))


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def listed(name: str) -> dict[str, tuple[int, ...]]:
    rows = [line.split("\t") for line in (KEYS / f"{name}_keys.tsv").read_text().splitlines()]
    return {key: tuple(int(n) for n in shape.strip("[]").split(",") if n.strip()) for key, shape, *_ in rows}


def shapes(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def test_every_part_has_exactly_the_published_number_of_parameters(model: StableAudioModel) -> None:
    assert {name: count(module) for name, module in parts(model).items()} == {
        "vae": 156_112_514,
        "dit": 1_056_828_544,
        "conditioners": 396_544,
        "text_encoder": 109_628_544,
    }
    assert count(model.codec.encoder) == 77_989_888
    assert count(model.codec.decoder) == 78_122_626
    assert {count(block) for block in model.dit.blocks} == {43_665_408}


def test_the_window_is_the_published_one(model: StableAudioModel) -> None:
    assert model.config.codec.hop == 2048
    assert model.config.num_frames == 2_097_152


@needs_shared
def test_every_key_of_the_released_checkpoint(model: StableAudioModel) -> None:
    assert shapes(released.export(model, released.sat)[""]) == listed("sat_full")


@needs_shared
@pytest.mark.parametrize("part", ["vae", "transformer", "projection_model"])
def test_every_key_of_the_diffusers_folders(model: StableAudioModel, part: str) -> None:
    assert shapes(released.export(model, released.diffusers)[part]) == listed(f"diffusers_{part}_full")


@needs_shared
def test_the_text_encoder_is_t5_base(model: StableAudioModel) -> None:
    ours = {name: tuple(p.shape) for name, p in model.text.encoder.named_parameters()}
    theirs = listed("t5_base_encoder")
    del theirs["encoder.embed_tokens.weight"]  # shared.weight once more
    assert ours == theirs


@needs_shared
def test_the_published_configs_say_what_the_preset_says(model: StableAudioModel) -> None:
    ours = model.config
    theirs = published_config.sat_config(CONFIGS)
    assert (theirs.codec, theirs.dit, theirs.num_latents) == (ours.codec, ours.dit, ours.num_latents)
    assert theirs.seconds_start == ours.seconds_start
    assert dataclasses.replace(theirs.prompt.config, terms="Apache-2.0") == ours.prompt.config
    theirs = published_config.diffusers_config(CONFIGS)
    assert (theirs.codec, theirs.dit, theirs.num_latents) == (ours.codec, ours.dit, ours.num_latents)
    assert theirs.prompt.config.max_tokens == ours.prompt.config.max_tokens
    assert theirs.prompt.config.width == ours.prompt.config.width
