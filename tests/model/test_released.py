import json
from pathlib import Path

import pytest
import torch

from sao_data.errors import UsageError
from sao_model import released
from sao_model.model import StableAudio, build
from sao_model.preset import Config
from sao_model.released import Layout


@pytest.mark.parametrize("layout", [released.sat, released.diffusers])
def test_there_and_back(tiny: StableAudio, tiny_config: Config, layout: Layout) -> None:
    other = build(tiny_config, seed=9)
    released.take_in(other, released.export(tiny, layout), layout, where="test")
    ours, theirs = dict(tiny.named_parameters()), dict(other.named_parameters())
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_half_precision_is_taken_in_as_float32(tiny: StableAudio) -> None:
    half = {
        part: {k: t.half() for k, t in ts.items()} for part, ts in released.export(tiny, released.sat).items()
    }
    released.take_in(tiny, half, released.sat, where="test")
    assert {p.dtype for p in tiny.dit.parameters()} == {torch.float32}


def test_a_bias_of_a_norm_that_is_not_zero_is_not_dropped_silently(tiny: StableAudio) -> None:
    foreign = released.export(tiny, released.diffusers)
    foreign["transformer"]["transformer_blocks.1.norm2.bias"] += 1
    with pytest.raises(UsageError, match="is not zero"):
        released.take_in(tiny, foreign, released.diffusers, where="test")


def test_missing_and_unexpected_names_are_said(tiny: StableAudio) -> None:
    foreign = released.export(tiny, released.sat)
    del foreign[""]["model.model.transformer.project_in.weight"]
    foreign[""]["model.model.surprise"] = torch.zeros(1)
    with pytest.raises(
        UsageError, match=r"(?s)missing: dit.project_in.weight.*unexpected: :model.model.surprise"
    ):
        released.take_in(tiny, foreign, released.sat, where="test")


def test_a_folder_of_neither_layout_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"neither model_config.json"):
        released.load(tmp_path)


def sat_table() -> dict[str, object]:
    shape = {
        "use_snake": True,
        "in_channels": 2,
        "channels": 8,
        "c_mults": [1, 2],
        "strides": [2, 4],
        "latent_dim": 8,
    }
    decoder = {**shape, "latent_dim": 4, "final_tanh": False}
    numbers = [{"id": f"seconds_{end}", "config": {"max_val": 512}} for end in ("start", "total")]
    net = {"io_channels": 4, "embed_dim": 128, "depth": 1, "num_heads": 2, "project_cond_tokens": False}
    return {
        "sample_rate": 44_100,
        "sample_size": 800,
        "model": {
            "pretransform": {"config": {"encoder": {"config": shape}, "decoder": {"config": decoder}}},
            "conditioning": {
                "cond_dim": 768,
                "configs": [{"id": "prompt", "config": {"t5_model_name": "t5-base"}}, *numbers],
            },
            "diffusion": {"config": {**net, "cond_token_dim": 768, "global_cond_dim": 1536}},
        },
    }


def test_their_config_becomes_ours(tmp_path: Path) -> None:
    (tmp_path / "model_config.json").write_text(json.dumps(sat_table()))
    config = released.sat_config(tmp_path)
    assert (config.codec.hop, config.num_latents, config.dit.num_layers) == (8, 100, 1)
    with pytest.raises(UsageError, match="download the weights"):
        released.load(tmp_path)
    (tmp_path / "model_config.json").write_text('{"model_type": "autoencoder"}')
    with pytest.raises(UsageError, match="no 'model'"):
        released.load(tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("pretransform", "config", "decoder", "config", "final_tanh"), True, "a tanh"),
        (("pretransform", "config", "encoder", "config", "use_snake"), False, "than snake"),
        (("diffusion", "config", "global_cond_type"), "adaLN", "adaptive layer norms"),
        (("diffusion", "config", "qk_norm"), "ln", "normalised queries"),
        (("diffusion", "config", "project_cond_tokens"), True, "projected conditioning"),
        (("diffusion", "diffusion_objective"), "rectified_flow", "another objective"),
    ],
)
def test_what_our_model_cannot_be_is_refused(
    tmp_path: Path, path: tuple[str, ...], value: object, message: str
) -> None:
    table = sat_table()
    here = table["model"]
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    (tmp_path / "model_config.json").write_text(json.dumps(table))
    with pytest.raises(UsageError, match=message):
        released.sat_config(tmp_path)
