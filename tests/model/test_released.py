import contextlib
import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sao_data.errors import SaoError, UsageError
from sao_model import published_config, released
from sao_model.model import StableAudioModel, build
from sao_model.preset import Config
from sao_model.released import Layout
from tests import damaged
from tests.paths import SHARED


@pytest.mark.parametrize("layout", [released.sat, released.diffusers])
def test_there_and_back(tiny: StableAudioModel, tiny_config: Config, layout: Layout) -> None:
    other = build(tiny_config, seed=9)
    released.import_weights(other, released.export(tiny, layout), layout, where="test")
    ours, theirs = dict(tiny.named_parameters()), dict(other.named_parameters())
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_half_precision_is_taken_in_as_float32(tiny: StableAudioModel) -> None:
    half = {
        part: {k: t.half() for k, t in ts.items()} for part, ts in released.export(tiny, released.sat).items()
    }
    released.import_weights(tiny, half, released.sat, where="test")
    assert {p.dtype for p in tiny.dit.parameters()} == {torch.float32}


def test_a_bias_of_a_norm_that_is_not_zero_is_not_dropped_silently(tiny: StableAudioModel) -> None:
    foreign = released.export(tiny, released.diffusers)
    foreign["transformer"]["transformer_blocks.1.norm2.bias"] += 1
    with pytest.raises(UsageError, match="is not zero"):
        released.import_weights(tiny, foreign, released.diffusers, where="test")


def test_missing_and_unexpected_names_are_said(tiny: StableAudioModel) -> None:
    foreign = released.export(tiny, released.sat)
    del foreign[""]["model.model.transformer.project_in.weight"]
    foreign[""]["model.model.surprise"] = torch.zeros(1)
    with pytest.raises(
        UsageError,
        match=r"(?s)missing: model\.model\.transformer\.project_in\.weight.*unexpected: .*surprise",
    ):
        released.import_weights(tiny, foreign, released.sat, where="test")


def test_a_folder_of_neither_layout_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"neither model_config.json"):
        released.load(tmp_path)


def sat_table() -> dict[str, Any]:
    """A small model_config.json, with only the keys that are needed."""
    side = {"channels": 8, "c_mults": [1, 2], "strides": [2, 4], "use_snake": True}
    encoder = {"config": {**side, "in_channels": 2, "latent_dim": 8}}
    decoder = {"config": {**side, "out_channels": 2, "latent_dim": 4, "final_tanh": False}}
    codec = {
        "encoder": encoder,
        "decoder": decoder,
        "latent_dim": 4,
        "downsampling_ratio": 8,
        "io_channels": 2,
        "bottleneck": {"type": "vae"},
    }
    prompt = {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-base", "max_length": 128}}
    timing = ["seconds_start", "seconds_total"]
    numbers = [{"id": name, "type": "number", "config": {"min_val": 0, "max_val": 512}} for name in timing]
    net = {"io_channels": 4, "embed_dim": 768, "depth": 1, "num_heads": 12, "project_cond_tokens": False}
    return {
        "model_type": "diffusion_cond",
        "sample_rate": 44_100,
        "sample_size": 800,
        "audio_channels": 2,
        "model": {
            "io_channels": 4,
            "pretransform": {"type": "autoencoder", "config": codec},
            "conditioning": {"cond_dim": 768, "configs": [prompt, *numbers]},
            "diffusion": {
                "type": "dit",
                "cross_attention_cond_ids": ["prompt", *timing],
                "global_cond_ids": timing,
                "config": {**net, "cond_token_dim": 768, "global_cond_dim": 1536},
            },
        },
    }


def test_their_config_becomes_ours(tmp_path: Path) -> None:
    (tmp_path / "model_config.json").write_text(json.dumps(sat_table()))
    config = published_config.read(tmp_path)
    assert (config.codec.hop, config.num_latents, config.dit.num_layers) == (8, 100, 1)
    with pytest.raises(UsageError, match="download the weights"):
        released.load(tmp_path)
    (tmp_path / "model_config.json").write_text('{"model_type": "autoencoder"}')
    with pytest.raises(UsageError, match="model_type is 'autoencoder', here it is 'diffusion_cond'"):
        released.load(tmp_path)


# Where a setting stands, a value that the published model does not have, and what is said of it.
OTHER_SETTINGS: tuple[tuple[str, object, str], ...] = (
    ("model_type", "diffusion_uncond", "model_type is 'diffusion_uncond'"),
    ("audio_channels", 1, "have to be equal"),
    ("sample_rate", "44100", "sample_rate is '44100', want a positive number"),
    ("sample_size", -5, "sample_size is -5"),
    ("surprise", 1, "surprise is a setting that is not known"),
    ("model.pretransform.scale", 2.0, "scale is 2.0, here it is 1.0"),
    ("model.pretransform.type", "dac", "type is 'dac'"),
    ("model.pretransform.config.bottleneck.type", "tanh", "type is 'tanh', here it is 'vae'"),
    ("model.pretransform.config.soft_clip", True, "soft_clip is True"),
    ("model.pretransform.config.downsampling_ratio", 4, "have to be equal"),
    ("model.pretransform.config.decoder.config.final_tanh", True, "final_tanh is True"),
    ("model.pretransform.config.decoder.config.use_snake", False, "use_snake is False"),
    ("model.pretransform.config.encoder.config.use_snake", False, "use_snake is False"),
    ("model.pretransform.config.encoder.config.antialias_activation", True, "antialias_activation is True"),
    ("model.pretransform.config.decoder.config.strides", [4, 2], "have to be equal"),
    ("model.pretransform.config.encoder.config.c_mults", "12", "want positive numbers"),
    ("model.conditioning.configs", [], "Stable Audio Open 1.0 has prompt, seconds_start, seconds_total"),
    ("model.conditioning.configs.0.type", "clap_text", "type is 'clap_text', here it is 't5'"),
    ("model.conditioning.configs.1.config.min_val", 5, "min_val is 5, here it is 0"),
    ("model.conditioning.configs.1.id", "bpm", "Stable Audio Open 1.0 has prompt"),
    ("model.diffusion.type", "adp_cfg_1d", "type is 'adp_cfg_1d'"),
    ("model.diffusion.diffusion_objective", "rectified_flow", "diffusion_objective is 'rectified_flow'"),
    ("model.diffusion.cross_attention_cond_ids", ["prompt"], "cross_attention_cond_ids is ['prompt']"),
    ("model.diffusion.global_cond_ids", ["seconds_total"], "global_cond_ids is ['seconds_total']"),
    ("model.diffusion.input_concat_ids", ["x"], "input_concat_ids is ['x']"),
    ("model.diffusion.config.global_cond_type", "adaLN", "global_cond_type is 'adaLN'"),
    ("model.diffusion.config.qk_norm", "ln", "qk_norm is 'ln'"),
    ("model.diffusion.config.project_cond_tokens", True, "project_cond_tokens is True"),
    ("model.diffusion.config.patch_size", 2, "patch_size is 2"),
    ("model.diffusion.config.num_heads", 6, "heads of 64 make 384"),
    ("model.diffusion.config.depth", None, "depth is None, want a positive number"),
)


@pytest.mark.parametrize(("place", "value", "told"), OTHER_SETTINGS, ids=lambda x: str(x)[:60])
def test_a_setting_that_our_model_does_not_have_is_refused(
    tmp_path: Path, place: str, value: object, told: str
) -> None:
    (tmp_path / "model_config.json").write_text(json.dumps(changed(sat_table(), place, value)))
    with pytest.raises(UsageError, match=re.escape(told)):
        published_config.read(tmp_path)


def changed(table: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """The table with another value at a dotted place."""
    here: Any = table
    *path, last = place.split(".")
    for key in path:
        here = here[int(key)] if isinstance(here, list) else here.setdefault(key, {})
    here[last] = value
    return table


PARITY = SHARED / "parity"
parity = pytest.mark.skipif(not PARITY.is_dir(), reason="needs the reference checkpoints beside the checkout")

OTHER_DIFFUSERS: tuple[tuple[str, str, object, str], ...] = (
    ("model_index.json", "_class_name", "StableDiffusionPipeline", "_class_name is"),
    ("scheduler/scheduler_config.json", "prediction_type", "epsilon", "prediction_type is 'epsilon'"),
    ("scheduler/scheduler_config.json", "sigma_min", 0.01, "sigma_min is 0.01, here it is 0.3"),
    ("scheduler/scheduler_config.json", "sigma_max", 80, "sigma_max is 80"),
    ("scheduler/scheduler_config.json", "_class_name", "FlowMatchEulerDiscreteScheduler", "_class_name is"),
    ("scheduler/scheduler_config.json", "sigma_schedule", "karras", "sigma_schedule is 'karras'"),
    ("projection_model/config.json", "min_value", 5, "min_value is 5"),
    ("projection_model/config.json", "text_encoder_dim", 64, "have to be equal"),
    ("vae/config.json", "_class_name", "AutoencoderKL", "_class_name is 'AutoencoderKL'"),
    ("vae/config.json", "encoder_hidden_size", 32, "have to be equal"),
    ("transformer/config.json", "num_layers", "x", "num_layers is 'x', want a positive number"),
    ("transformer/config.json", "out_channels", 4, "have to be equal"),
    ("transformer/config.json", "num_key_value_attention_heads", 4, "have to be equal"),
    ("text_encoder/config.json", "feed_forward_proj", "gated-gelu", "feed_forward_proj is 'gated-gelu'"),
    ("tokenizer/tokenizer_config.json", "model_max_length", "x", "model_max_length: Input should be"),
)


@parity
@pytest.mark.parametrize(("file", "key", "value", "told"), OTHER_DIFFUSERS)
def test_a_diffusers_setting_that_our_model_does_not_have_is_refused(
    tmp_path: Path, file: str, key: str, value: object, told: str
) -> None:
    folder = shutil.copytree(PARITY / "diffusers", tmp_path / "x")
    table = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(table | {key: value}))
    with pytest.raises(SaoError, match=re.escape(told)) as error:
        released.load(folder)
    assert file in str(error.value) or "equal" in told


@parity
def test_settings_that_diffusers_does_not_know_either_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(PARITY / "diffusers", tmp_path / "x")
    table = json.loads((folder / "vae/config.json").read_text())
    (folder / "vae/config.json").write_text(json.dumps(table | {"surprise": 1}))
    released.load(folder)
    assert "passed over: surprise" in caplog.text


def _shards(path: Path) -> None:
    """The same tensors in two files and their index, in half precision."""
    tensors = list(load_file(path).items())
    halves = {f"{path.stem}-{n}.safetensors": dict(tensors[n::2]) for n in (0, 1)}
    for name, half in halves.items():
        save_file({key: tensor.bfloat16() for key, tensor in half.items()}, path.with_name(name))
    table = {"metadata": {}, "weight_map": {key: name for name, half in halves.items() for key in half}}
    path.with_name(f"{path.name}.index.json").write_text(json.dumps(table))
    path.unlink()


@parity
@pytest.mark.parametrize("layout", ["sat", "diffusers"])
def test_half_precision_in_several_files_is_read(tmp_path: Path, layout: str) -> None:
    folder = shutil.copytree(PARITY / layout, tmp_path / "x")
    for name in ("model.safetensors",) if layout == "sat" else ("vae/diffusion_pytorch_model.safetensors",):
        _shards(folder / name)
    model, whole = released.load(folder), released.load(PARITY / layout)
    theirs = dict(whole.codec.named_parameters())
    for name, parameter in model.codec.named_parameters():
        assert torch.equal(parameter, theirs[name].bfloat16().float())


@parity
@pytest.mark.parametrize("name", ["missing", "renamed", "another shape", "another depth", "positions"])
def test_tensors_of_a_published_folder_are_all_there_and_no_others(tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(PARITY / "sat", tmp_path / "x")
    path = folder / ("model.safetensors" if name == "positions" else "t5/model.safetensors")
    tensors = load_file(path)
    some = sorted(key for key in tensors if "relative_attention" not in key)[2]
    if name == "missing":
        del tensors[some]
    elif name == "renamed":
        tensors = {f"x.{key}": tensor for key, tensor in tensors.items()}
    elif name == "another shape":
        tensors[some] = tensors[some][:1].clone()
    elif name == "positions":
        tensors["model.model.transformer.rotary_pos_emb.inv_freq"] *= 2
    else:
        table = json.loads((folder / "t5/config.json").read_text())
        (folder / "t5/config.json").write_text(json.dumps(table | {"num_layers": 1}))
    save_file(tensors, path)
    with pytest.raises(SaoError, match=r"t5/model\.safetensors: \d+ tensors are|inv_freq is not that of"):
        released.load(folder)


def harm(folder: Path, seed: int) -> str:
    """Damage one file of a published folder; its name."""
    dice = random.Random(seed)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    path = dice.choice(files)
    way = damaged.json_of if path.suffix == ".json" and dice.random() < 0.7 else damaged.bytes_of
    path.write_bytes(way(path.read_bytes(), dice))
    return str(path.relative_to(folder))


def _run(tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        folder = shutil.copytree(PARITY / ("sat", "diffusers")[seed % 2], tmp_path / "x")
        name = harm(folder, seed)
        with contextlib.suppress(SaoError):  # and nothing else
            model = released.load(folder)
            assert all(bool(torch.isfinite(p).all()) for p in model.parameters()), (seed, name)
        shutil.rmtree(folder)


@parity
def test_a_damaged_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    _run(tmp_path, range(24))


@parity
@pytest.mark.slow
def test_a_damaged_folder_many_times(tmp_path: Path) -> None:
    _run(tmp_path, range(24, 824))
