"""Our pages against recorded tensors of the reference implementations: same weights, same numbers.

The weights are random and tiny (../shared/data/parity); tolerances are max|a-b| / max|b| in float32, set just
above the float32 floor, so that a wrong detail shows. test_conventions.py proves that they do.
"""

import pytest
import torch
from safetensors.torch import load_file

from sao_model import dit, released
from sao_model.model import StableAudioModel
from sao_model.request import Sampling
from tests.parity import quantities
from tests.parity.recording import PARITY, PROMPTS, distance, needs_recordings, recorded

pytestmark = needs_recordings
torch.set_num_threads(1)


@pytest.fixture(scope="module", params=["sat", "diffusers"])
def model(request: pytest.FixtureRequest) -> StableAudioModel:
    return released.load(PARITY / request.param)


@pytest.mark.parametrize("name", quantities.QUANTITIES)
@torch.no_grad()
def test_a_quantity_is_the_recorded_one(name: str, model: StableAudioModel) -> None:
    measure, tolerance = quantities.QUANTITIES[name]
    assert measure(model) < tolerance


def test_the_decoder_in_pieces_with_its_weight_norms_folded() -> None:
    io, vae = recorded("vae_decode"), released.load(PARITY / "sat").codec
    assert distance(vae.decode_in_chunks(io["latents"]), io["wav"]) < 1e-5


def test_the_transformer_and_every_layer_on_the_way(model: StableAudioModel) -> None:
    io, seen = recorded("dit"), {}
    watched = {
        "cross_embed": "embed_cross", "global_embed": "embed_global",
        "timestep_features": "features", "timestep_embed": "embed_time",
        "proj_in": "project_in", "proj_out": "project_out", "block1": "blocks.1", "block0": "blocks.0",
        "block0.norm1": "blocks.0.norm1", "block0.attn1": "blocks.0.self_attn",
        "block0.norm2": "blocks.0.norm2", "block0.attn2": "blocks.0.cross_attn",
        "block0.norm3": "blocks.0.norm3", "block0.ff": "blocks.0.ff",
    }  # fmt: skip
    layers = {name: model.dit.get_submodule(ours) for name, ours in watched.items()}
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out, n=name: seen.update({n: out}))
        for name, layer in layers.items()
    ]
    with torch.no_grad():
        v = model.dit(io["x"], io["t"], io["cross"], io["glob"])
    for hook in hooks:
        hook.remove()
    assert {f"act.{name}" for name in seen} == {name for name in io if name.startswith("act.")}
    for name, activation in seen.items():
        reference = io[f"act.{name}"].view_as(activation)  # theirs of the global part is a token already
        assert distance(activation, reference) < 3e-6, name
    assert distance(v, io["v"]) < 3e-6


def test_rotary_positions() -> None:
    io = recorded("dit")
    cos, sin = dit.rotary(34, torch.device("cpu"))
    assert distance(cos, io["rope_cos"]) < 1e-6
    assert distance(sin, io["rope_sin"]) < 1e-6


@torch.no_grad()
def test_audio_of_ten_steps(model: StableAudioModel) -> None:
    io = recorded("generate_diffusers")
    noise = io["noise"], lambda step: io["step_noise"][step]
    latents = model.sample(model.condition([PROMPTS[0]], [0.0], [1.5]), *noise, Sampling(steps=10))
    audio = model.codec.decode_in_chunks(latents)[..., : int(1.5 * 4096)]
    assert distance(audio, io["audio"]) < 1e-4


def test_exports_are_what_was_loaded(model: StableAudioModel) -> None:
    again = released.export(model, released.sat)[""]
    stored = load_file(PARITY / "sat" / "model.safetensors")
    assert {key: tuple(t.shape) for key, t in again.items()} == {
        key: tuple(t.shape) for key, t in stored.items()
    }
    assert all(torch.equal(again[key], stored[key].float()) for key in stored if not key.endswith("inv_freq"))
