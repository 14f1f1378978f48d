"""The whole model on the meta device: exact counts, and every key and shape of both public layouts.

Slow: with 1.2 billion random weights, part by part beside diffusers.
"""

import dataclasses
from typing import Any

import pytest
import torch

from sao_model import guidance, preset, published_config, released
from sao_model.conditioners import t5
from sao_model.model import StableAudioModel, parts
from tests.parity.recording import normal
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


@pytest.fixture(scope="module")
def pair() -> Any:
    """The released shape with random weights beside diffusers with the same, in the same 5 GB. The
    text encoder is small: nothing of it is compared."""
    from tests.parity import oracle  # skips without diffusers

    small = t5.Config(pretrained="", width=768, num_layers=1, ff_dim=64, vocab_size=512)
    config = dataclasses.replace(
        preset.read("stable_audio_open"), prompt=preset.Conditioner(plugin="t5", config=small)
    )
    torch.set_num_threads(1)
    return oracle.both("full", config)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # theirs: old-style weight norm
@torch.no_grad()
def test_the_whole_model_is_diffusers_number_by_number(pair: Any) -> None:
    """8 latents of the codec, 16 of the transformer, all 24 layers, text of 130 tokens."""
    wav_BCT, z_BDL = 0.3 * normal(1, 2, 8 * 2048, seed=3), normal(1, 64, 8, seed=4)
    ours, theirs = pair.ours.codec.encode(wav_BCT), pair.vae.encode(wav_BCT).latent_dist
    pair.check("mean", ours.mean_BDL, theirs.mean, 1e-5)
    pair.check("standard deviation", ours.std_BDL, theirs.std, 1e-5)
    generators = [torch.Generator().manual_seed(8) for _ in range(2)]
    pair.check("sample", ours.sample(generators[0]), theirs.sample(generators[1]), 1e-5)
    pair.check("divergence", ours.kl(), theirs.kl(), 1e-5)
    decoded = pair.vae.decode(z_BDL).sample
    pair.check("decoded", pair.ours.codec.decode(z_BDL), decoded, 1e-5)
    pair.check("decoded in chunks", pair.ours.codec.decode_in_chunks(z_BDL), decoded, 1e-5)
    seconds_B = torch.tensor([0.0, 0.1, 10.5, 47.0, 512.0, 600.0])
    embedded = pair.projection(None, seconds_B.clone(), seconds_B.clone())
    start, total = (pair.ours.conditioners[f"seconds_{name}"](seconds_B) for name in ("start", "total"))
    pair.check("start", start, embedded.seconds_start_hidden_states, 1e-6)
    pair.check("total", total, embedded.seconds_end_hidden_states, 1e-6)
    told = pair.ours.condition(["rain on a roof", "drum loop, 120 bpm"], [0.0, 3.0], [2.0, 40.0])
    assert told.cross_BSC.shape == (2, 130, 768)
    x_BDL = normal(2, 64, 16, seed=5)
    for t in (0.0, 0.1855, 0.9987):
        t_B = torch.full((2,), t)
        v = guidance.conditioned(pair.ours.dit, told)(x_BDL, t_B)
        pair.check(f"velocity at {t}", v, pair.velocity(x_BDL, t_B, told), 3e-6)
    v = guidance.cfg(pair.ours.dit, told, scale=7)(x_BDL, t_B)
    pair.check("guided", v, pair.guided(told, 7)(x_BDL, t_B), 2e-5)
