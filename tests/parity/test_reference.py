"""Our pages against recorded tensors of the reference implementations: same weights, same numbers.

The weights are random and tiny (../shared/data/parity); tolerances are max|a-b| / max|b| in float32, set just
above the float32 floor, so that a wrong detail shows. `test_a_wrong_detail_shows` proves that they do.
"""

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sao_model import codec, dit, guidance, released, samplers
from sao_model.guidance import Conditioning
from sao_model.model import StableAudioModel
from sao_model.request import Sampling
from tests.paths import SHARED

PARITY = SHARED / "parity"
pytestmark = pytest.mark.skipif(not PARITY.exists(), reason="../shared/data/parity is absent")
torch.set_num_threads(1)

PROMPTS = ["a dog barking in the rain", "128 BPM tech house drum loop", ""]


@pytest.fixture(scope="module", params=["sat", "diffusers"])
def model(request: pytest.FixtureRequest) -> StableAudioModel:
    return released.load(PARITY / request.param)


def recorded(name: str) -> dict[str, Tensor]:
    return load_file(PARITY / "io" / f"{name}.safetensors")


def distance(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max())


def test_the_encoder_its_posterior_and_the_divergence(model: StableAudioModel) -> None:
    io = recorded("vae_encode")
    with torch.no_grad():
        posterior = model.codec.encode(io["wav"])
    assert distance(posterior.mean_BDL, io["mean"]) < 1e-5
    assert distance(posterior.std_BDL, io["std"]) < 1e-5
    assert distance(posterior.mean_BDL + posterior.std_BDL * io["eps"], io["latents"]) < 1e-5
    assert distance(posterior.kl(), io["kl"]) < 1e-5


def test_the_decoder(model: StableAudioModel) -> None:
    io = recorded("vae_decode")
    with torch.no_grad():
        assert distance(model.codec.decode(io["latents"]), io["wav"]) < 1e-5


def test_the_decoder_with_its_weight_norms_folded() -> None:
    io, folded = recorded("vae_decode"), codec.fold_weight_norm(released.load(PARITY / "sat").codec)
    assert not any(torch.nn.utils.parametrize.is_parametrized(module) for module in folded.modules())
    with torch.no_grad():
        assert distance(folded.decode(io["latents"]), io["wav"]) < 1e-5


def test_seconds_as_tokens(model: StableAudioModel) -> None:
    io = recorded("seconds")
    with torch.no_grad():
        for name in ("start", "total"):
            assert distance(model.conditioners[f"seconds_{name}"](io["seconds"]), io[name]) < 1e-6


def test_text_as_tokens(model: StableAudioModel) -> None:
    io = recorded("text")
    ids_BS, mask_BS = model.text.tokens(PROMPTS)
    assert torch.equal(ids_BS, io["input_ids"])
    assert torch.equal(mask_BS, io["attention_mask"])
    assert distance(model.text(PROMPTS), io["prompt_embeds"]) < 1e-5


def test_the_transformer_and_every_layer_on_the_way(model: StableAudioModel) -> None:
    io, seen = recorded("dit"), {}
    watched = {
        "cross_embed": "embed_cross", "timestep_features": "features", "timestep_embed": "embed_time",
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
    for name, activation in seen.items():
        assert distance(activation, io[f"act.{name}"]) < 3e-6, name
    assert len(seen) == len(watched)
    assert distance(v, io["v"]) < 3e-6


def test_rotary_positions() -> None:
    io = recorded("dit")
    cos, sin = dit.rotary(34, torch.device("cpu"))
    assert distance(cos, io["rope_cos"]) < 1e-6
    assert distance(sin, io["rope_sin"]) < 1e-6


def test_guidance(model: StableAudioModel) -> None:
    io = recorded("dit")
    conditioning = Conditioning(cross_BSC=io["cross"], global_BG=io["glob"])
    with torch.no_grad():
        assert distance(guidance.cfg(model.dit, conditioning, scale=7)(io["x"], io["t"]), io["v_cfg7"]) < 2e-5


@pytest.mark.parametrize("steps", [10, 100])
@pytest.mark.parametrize("theirs", ["diffusers", "kdiff"])
def test_the_grid_of_noise_levels(theirs: str, steps: int) -> None:
    io = recorded("schedule")
    assert distance(samplers.sigmas(steps), io[f"sigmas_{theirs}_{steps}"]) < 2e-6
    times = samplers.sigma_to_t(samplers.sigmas(steps))
    reference = io[f"t_{theirs}_{steps}"]
    assert distance(times[: len(reference)], reference) < 1e-6


def test_ten_steps_with_recorded_noise(model: StableAudioModel) -> None:
    io = recorded("generate_diffusers")
    latents = model.sample(
        model.condition([PROMPTS[0]], [0.0], [1.5]),
        io["noise"],
        lambda step: io["step_noise"][step],
        Sampling(steps=10),
    )
    assert distance(latents, io["final_latents"]) < 1e-4
    with torch.no_grad():
        audio = model.codec.decode_in_chunks(latents)[..., : int(1.5 * 4096)]
    assert distance(audio, io["audio"]) < 1e-4


def test_exports_are_what_was_loaded(model: StableAudioModel) -> None:
    again = released.export(model, released.sat)[""]
    stored = load_file(PARITY / "sat" / "model.safetensors")
    assert {key: tuple(t.shape) for key, t in again.items()} == {
        key: tuple(t.shape) for key, t in stored.items()
    }
    assert all(torch.equal(again[key], stored[key].float()) for key in stored if not key.endswith("inv_freq"))


def swapped_gate(self: dit.FeedForward, x: Tensor) -> Tensor:
    gate, value = self.proj(x).chunk(2, dim=-1)
    return self.out(value * torch.nn.functional.silu(gate))


def interleaved(x: Tensor, rotation: dit.Rotation) -> Tensor:
    order = torch.arange(32).view(2, 16).T.flatten()
    x = x.clone()
    x[..., :32] = x[..., order]
    return ROTATE(x, rotation)


def tiled_heads(self: dit.CrossAttention, x: Tensor, cross: Tensor) -> Tensor:
    q = dit._heads(self.q(x), self.num_heads)
    k, v = (dit._heads(p, self.num_kv_heads).repeat(1, 2, 1, 1) for p in self.kv(cross).chunk(2, dim=-1))
    return self.out(dit._joined(torch.nn.functional.scaled_dot_product_attention(q, k, v)))


ROTATE = dit.rotate


@pytest.mark.parametrize("mistake", ["gate", "rotary", "heads", "epsilon", "base"])
def test_a_wrong_detail_shows(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, io = released.load(PARITY / "sat").dit, recorded("dit")
    match mistake:
        case "gate":
            monkeypatch.setattr(dit.FeedForward, "forward", swapped_gate)
        case "rotary":
            monkeypatch.setattr(dit, "rotate", interleaved)
        case "heads":
            monkeypatch.setattr(dit.CrossAttention, "forward", tiled_heads)
        case "base":
            monkeypatch.setattr(dit, "ROTARY_BASE", 20_000)
        case "epsilon":
            for norm in (m for m in wrong.modules() if isinstance(m, torch.nn.LayerNorm)):
                norm.eps = 1e-6
    with torch.no_grad():
        assert distance(wrong(io["x"], io["t"], io["cross"], io["glob"]), io["v"]) > 3e-6


@pytest.mark.parametrize("mistake", ["snake", "norm"])
def test_a_wrong_detail_of_the_codec_shows(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, io = released.load(PARITY / "sat").codec, recorded("vae_decode")
    if mistake == "snake":  # linear instead of log scale
        monkeypatch.setattr(
            codec.Snake,
            "forward",
            lambda s, x: x + (1 / (s.beta[:, None] + 1e-9)) * (s.alpha[:, None] * x).sin() ** 2,
        )
    else:  # weight norm per output channel of a transposed convolution
        for block in (m for m in wrong.modules() if isinstance(m, codec.DecoderBlock)):
            weights = block.conv.parametrizations.weight
            g, v = weights.original0.detach(), weights.original1.detach()
            torch.nn.utils.parametrize.remove_parametrizations(block.conv, "weight")
            block.conv.weight.data = v / v.norm(dim=(0, 2), keepdim=True) * g
    with torch.no_grad():
        assert distance(wrong.decode(io["latents"]), io["wav"]) > 1e-5
