"""Weights of other models are called by their names, before any of them is read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sao_data.errors import UsageError
from sao_model import checkpoint, imported, layouts, opened, recognised, released
from sao_model.model import StableAudioModel
from sao_model.weights import TensorShape

# What is in a file, and what is said of it. Names as these projects have them, sizes made up.
LOOKS: dict[str, tuple[tuple[str, ...], str]] = {
    "small": (
        (
            "model.model.transformer.layers.0.self_attn.q_norm.weight",
            "model.model.transformer.project_in.weight",
            "pretransform.model.encoder.layers.0.weight_v",
        ),
        "stable-audio-open-small",
    ),
    "adaLN": (("model.model.transformer.layers.3.to_scale_shift_gate",), "modulated (adaLN)"),
    "other SAT": (
        (
            "model.model.transformer.layers.0.ff.ff.2.weight",
            "model.model.transformer.project_in.weight",
            "pretransform.model.encoder.layers.0.weight_v",
        ),
        "(1 layers, 4 wide)",
    ),
    "SAT's VAE": (("encoder.layers.0.weight_g", "decoder.layers.1.bias"), "the autoencoder of stable-audio"),
    "in it": (("pretransform.model.decoder.layers.0.bias",), "the autoencoder of stable-audio-tools alone"),
    "a DiT": (("transformer.layers.0.self_attn.to_qkv.weight",), "a DiT of stable-audio-tools alone"),
    "wrapped": (("diffusion.model.model.x", "diffusion_ema.ema_model.x"), "their script unwrap_model makes"),
    "an EMA": (("ema_model.encoder.layers.0.bias",), "a stable-audio-tools training"),
    "Adam": (("exp_avg.0", "exp_avg_sq.0"), "the state of an optimiser"),
    "our state": (("weight|blocks.0.ff.out.bias", "ema|num_updates"), "training.safetensors"),
    "our codec": (("encoder.0.parametrizations.weight.original0",), "the codec of a checkpoint of sao"),
    "our DiT": (("blocks.0.self_attn.qkv.weight",), "the transformer of a checkpoint of sao alone"),
    "our timing": (("seconds_start.frequencies",), "the timing embedders of a checkpoint of sao"),
    "theirs": (
        ("transformer_blocks.0.attn1.to_q.weight", "timestep_proj.0.bias", "global_proj.0.weight"),
        "the transformer of Stable Audio alone, as diffusers has it",
    ),
    "their VAE": (("encoder.block.0.res_unit1.conv1.weight_v",), "the VAE of Stable Audio alone"),
    "their timing": (
        ("start_number_conditioner.time_positional_embedding.1.bias",),
        "as diffusers has them; give the folder with model_index.json",
    ),
    "Flux": (("double_blocks.0.img_attn.qkv.weight",), "a Flux model"),
    "Flux again": (("single_transformer_blocks.0.attn.to_q.weight",), "a Flux model"),
    "a UNet": (("down_blocks.0.resnets.0.conv1.weight", "mid_block.resnets.0.bias"), "a UNet of diffusers"),
    "another transformer": (("transformer_blocks.0.attn1.to_q.weight",), "of another model"),
    "AudioLDM": (
        ("model.diffusion_model.input_blocks.0.weight", "cond_stage_model.model.text_branch.x"),
        "AudioLDM",
    ),
    "images": (
        ("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.encoder.conv_in.bias"),
        "a Stable Diffusion checkpoint",
    ),
    "MusicGen": (("decoder.model.decoder.layers.0.fc1.weight", "enc_to_dec_proj.weight"), "MusicGen"),
    "EnCodec": (("quantizer.layers.0.codebook.embed",), "EnCodec"),
    "T5": (("shared.weight", "encoder.block.0.layer.0.SelfAttention.q.weight"), "a T5, of which"),
    "CLAP": (("text_branch.embeddings.weight", "audio_branch.x.weight"), "a CLAP model"),
    "CLIP": (("text_model.encoder.layers.0.mlp.fc1.bias",), "a CLIP model"),
    "LoRA": (("base_model.model.dit.blocks.0.ff.out.lora_A.weight",), "an adapter (LoRA or the like)"),
    "kohya": (("lora_unet_blocks_0_attn.lora_up.weight",), "an adapter (LoRA or the like)"),
    "GPTQ": (("model.layers.0.mlp.qweight", "model.layers.0.mlp.qzeros"), "quantised weights"),
    "bnb": (("blocks.0.ff.out.weight.quant_state.bitsandbytes__nf4",), "quantised weights"),
    "nothing known": (("a", "b.c"), ""),
}


@pytest.mark.parametrize("name", LOOKS)
def test_other_models_are_called_by_their_names(name: str, tmp_path: Path) -> None:
    names, told = LOOKS[name]
    shapes = {key: TensorShape((4, 2)) for key in names}
    guess = recognised.looks_like(shapes)
    assert told in guess
    assert bool(guess) == bool(told)
    told = told or "weights"
    save_file({key: torch.zeros(4, 2) for key in names}, tmp_path / "x.safetensors")
    for take in (imported.load, opened.find):
        with pytest.raises(UsageError, match=re.escape(told) if guess else "safetensors|no model.json"):
            take(tmp_path)
    with pytest.raises(UsageError, match=f"(?s)weights of another model.*{re.escape(told)}"):
        imported.load(tmp_path / "x.safetensors", config="tiny")


def test_eight_bits_are_noticed_by_their_type() -> None:
    shapes = {"blocks.0.self_attn.qkv.weight": TensorShape((4, 2), "F8_E4M3")}
    assert "quantised weights" in recognised.looks_like(shapes)


# The first bytes of a file that is none of safetensors, its name, and what is said of it.
OTHER_FILES: dict[str, tuple[str, bytes, str]] = {
    "ckpt": ("model.ckpt", b"PK\x03\x04", "a PyTorch pickle; only safetensors are read"),
    "pt": ("model.pt", b"\x80\x02", "where you trust the file"),
    "pth": ("model.pth", b"\x80\x02", "torch.load('IN', map_location='cpu', weights_only=True)"),
    "bin": ("pytorch_model.bin", b"PK\x03\x04", "save_file({k: v.clone()"),
    "disguised": ("model.safetensors", b"PK\x03\x04" + bytes(8), "a PyTorch pickle"),
    "gguf": ("model.gguf", b"GGUF", "a GGUF file (quantised, for llama.cpp); give the weights"),
    "called otherwise": ("model", b"GGUF" + bytes(8), "a GGUF file"),
    "onnx": ("model.onnx", b"\x08\x07", "an ONNX graph; give the weights that it was made from"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_files_that_are_no_safetensors_are_refused_with_the_way_out(name: str, tmp_path: Path) -> None:
    file, data, told = OTHER_FILES[name]
    (tmp_path / file).write_bytes(data)
    with pytest.raises(UsageError, match=re.escape(told)):
        imported.load(tmp_path / file)
    if name != "disguised" and "." in file:
        with pytest.raises(UsageError, match=re.escape(told)):
            imported.load(tmp_path)


def test_the_recipe_makes_what_is_read(tiny: StableAudioModel, tmp_path: Path) -> None:
    tensors = released.export(tiny, layouts.sat)[""]
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "IN")
    code = re.search(r'-c "(.*)"', recognised.RECIPE)
    assert code is not None
    made = tmp_path / "model.safetensors"
    exec(code[1].replace("'IN'", repr(str(tmp_path / "IN"))).replace("'model.safetensors'", repr(str(made))))
    again = released.weights.read(made, fix="")
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_a_report_groups_names_and_counts(tiny: StableAudioModel) -> None:
    foreign = released.export(tiny, layouts.sat)
    dit = "model.model.transformer.layers"
    for layer in range(3):
        del foreign[""][f"{dit}.{layer}.ff.ff.2.weight"]
        foreign[""][f"{dit}.{layer}.surprise"] = torch.zeros(2)
    foreign[""]["model.model.transformer.project_in.weight"] = torch.zeros(64, 8)
    with pytest.raises(UsageError) as error:
        released.import_weights(tiny, foreign, layouts.sat, where="there")
    assert str(error.value).splitlines() == [
        "there: weights of another model; use the config they were made with",
        f"  {len(released.wanted(released._trained(tiny), layouts.sat, 3)) - 4} of 350 tensors fit",
        f"  missing: {dit}.*.ff.ff.2.weight (3)",
        f"  unexpected: {dit}.*.surprise (3)",
        "  other shape: model.model.transformer.project_in.weight is 64x8, here 128x8",
        "  it is of the same kind, but of another size: (3 layers, 64 wide), here (3 layers, 128 wide)",
    ]


def test_a_long_list_is_cut_and_counted() -> None:
    there = {f"odd{chr(97 + n)}": TensorShape((1,)) for n in range(20)}
    with pytest.raises(UsageError, match=r"(?s)unexpected: oddf\n  … and 14 more"):
        recognised.check({}, there, where="x")


def test_a_checkpoint_of_another_size_says_both(tiny: StableAudioModel, tmp_path: Path) -> None:
    checkpoint.save(tiny, tmp_path / "ckpt")
    table = json.loads((tmp_path / "ckpt" / "model.json").read_text())
    shapes = {name: TensorShape(tuple(p.shape)) for name, p in tiny.dit.named_parameters()}
    less = {name: shape for name, shape in shapes.items() if not name.startswith("blocks.2.")}
    assert table["config"]["dit"]["num_layers"] == 3
    with pytest.raises(
        UsageError, match=r"another size: \(2 layers, 128 wide\), here \(3 layers, 128 wide\)"
    ):
        recognised.check(shapes, less, where="x")


CONFIGS = (
    ({"_class_name": "StableDiffusionPipeline"}, "a Stable Diffusion pipeline"),
    ({"_class_name": "FluxPipeline"}, "a Flux pipeline"),
    ({"_class_name": "AudioLDM2Pipeline"}, "an AudioLDM pipeline"),
    ({"model_type": "autoencoder"}, "an autoencoder of stable-audio-tools alone"),
    ({"model_type": "diffusion_uncond"}, "an unconditional diffusion model"),
    ({"model": {"diffusion": {"diffusion_objective": "rectified_flow"}}}, "stable-audio-open-small"),
    ({"model": {"diffusion": {"config": {"diffusion_objective": "rf_denoiser"}}}}, "stable-audio-open-small"),
)


@pytest.mark.parametrize(("table", "told"), CONFIGS)
def test_configs_of_other_models_are_called_by_their_names(
    table: dict[str, object], told: str, tmp_path: Path
) -> None:
    name = "model_index.json" if "_class_name" in table else "model_config.json"
    (tmp_path / name).write_text(json.dumps(table))
    with pytest.raises(UsageError, match=f"it looks like {told}"):
        released.load(tmp_path)
