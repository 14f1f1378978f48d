"""A model as a folder that other tools open: diffusers' StableAudioPipeline, or stable-audio-tools.

The weights are translated by `released`; this page writes the configuration files of both layouts (the
settings that published_settings.py reads) and the text encoder with its tokenizer. What is written is read
back by `released.load` to the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from torch import Tensor

from sao_data.errors import UsageError
from sao_model import checkpoint, layouts, released, weights
from sao_model.codec import Config as CodecConfig
from sao_model.conditioners import t5
from sao_model.model import StableAudioModel
from sao_model.preset import Config

To = Literal["diffusers", "stable-audio-tools"]
LAYOUTS: tuple[To, ...] = ("diffusers", "stable-audio-tools")

_VERSION = "0.30.0"  # of diffusers, the first with this pipeline
_CLASSES = {
    "vae": "AutoencoderOobleck",
    "transformer": "StableAudioDiTModel",
    "projection_model": "StableAudioProjectionModel",
    "scheduler": "CosineDPMSolverMultistepScheduler",
}
_SCHEDULER = {  # of the released model: sigma 500 to 0.3 in equal steps of its logarithm
    "sigma_min": 0.3, "sigma_max": 500, "sigma_data": 1.0, "sigma_schedule": "exponential",
    "solver_order": 2, "solver_type": "midpoint", "lower_order_final": True, "euler_at_final": False,
    "final_sigmas_type": "zero", "num_train_timesteps": 1000, "prediction_type": "v_prediction", "rho": 7.0,
}  # fmt: skip


def write(model: StableAudioModel, out: Path, to: To, *, files: Mapping[str, bytes] | None = None) -> None:
    """Write the folder, whole or not at all, and further `files` into it; UsageError if it exists or the
    layout cannot hold the model."""
    text = _published_text(model)
    with checkpoint.written_whole(out) as folder:
        _write_json(
            folder / released.TERMS_FILE, {part: model.terms.get(part, "") for part in checkpoint.PARTS}
        )
        for name, data in (files or {}).items():
            (folder / name).write_bytes(data)
        if to == "diffusers":
            _diffusers(model, text, folder)
        else:
            _stable_audio_tools(model, text, folder)


def _published_text(model: StableAudioModel) -> t5.TextConditioner:
    text = model.text
    if not isinstance(text, t5.TextConditioner) or not text.config.pretrained:
        raise UsageError(
            "this model's prompts go through hashed words, for which no other tool has a tokenizer; export a "
            "model with a published text encoder (prompt.pretrained)"
        )
    return text


def _diffusers(model: StableAudioModel, text: t5.TextConditioner, folder: Path) -> None:
    tables = diffusers_tables(model.config)
    for part, tensors in released.export(model, layouts.diffusers).items():
        _write_part(folder / part, tables[part], "diffusion_pytorch_model.safetensors", tensors)
    (folder / "scheduler").mkdir()
    _write_json(folder / "scheduler" / "scheduler_config.json", tables["scheduler"])
    _write_json(folder / "model_index.json", tables["model_index"])
    _write_encoder(text, folder / "text_encoder")
    _write_tokenizer(text, folder / "tokenizer")


def _stable_audio_tools(model: StableAudioModel, text: t5.TextConditioner, folder: Path) -> None:
    name = _t5_name(text) if text.goes_along else text.config.pretrained
    table = stable_audio_tools_table(model.config, name)
    _write_part(
        folder, table, "model.safetensors", released.export(model, layouts.sat)[""], "model_config.json"
    )
    if text.goes_along:
        _write_encoder(text, folder / name)
        _write_tokenizer(text, folder / name)


def _t5_name(text: t5.TextConditioner) -> str:
    """Name of the text encoder's folder. Stable-audio-tools takes known names only, and fetches them."""
    return "t5-base" if t5.shape(text.config) == t5.shape(t5.Config()) else "t5"


def diffusers_tables(config: Config) -> dict[str, dict[str, Any]]:
    """The config of every part of a diffusers folder, of its scheduler, and model_index.json."""
    codec, dit, timing = config.codec, config.dit, config.seconds_total.config
    tables: dict[str, dict[str, Any]] = {
        "vae": {
            "audio_channels": codec.num_channels,
            "channel_multiples": list(codec.multiples),
            "decoder_channels": codec.width,
            "decoder_input_channels": codec.latent_dim,
            "downsampling_ratios": list(codec.strides),
            "encoder_hidden_size": codec.width,
            "sampling_rate": config.sample_rate,
        },
        "transformer": {
            "attention_head_dim": dit.head_dim,
            "cross_attention_dim": dit.cross_dim,
            "cross_attention_input_dim": dit.cross_dim,
            "global_states_input_dim": dit.global_dim,
            "in_channels": dit.latent_dim,
            "num_attention_heads": dit.num_heads,
            "num_key_value_attention_heads": dit.cross_dim // dit.head_dim,
            "num_layers": dit.num_layers,
            "out_channels": dit.latent_dim,
            "sample_size": config.num_latents,
            "time_proj_dim": dit.num_features,
        },
        "projection_model": {
            "conditioning_dim": timing.width,
            "max_value": timing.max_seconds,
            "min_value": 0,
            "text_encoder_dim": config.prompt.config.width,
        },
        "scheduler": dict(_SCHEDULER),
    }
    tables = {
        part: {"_class_name": _CLASSES[part], "_diffusers_version": _VERSION, **table}
        for part, table in tables.items()
    }
    return tables | {"model_index": _model_index()}


def _model_index() -> dict[str, Any]:
    return {
        "_class_name": "StableAudioPipeline",
        "_diffusers_version": _VERSION,
        "projection_model": ["stable_audio", _CLASSES["projection_model"]],
        "scheduler": ["diffusers", _CLASSES["scheduler"]],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", _CLASSES["transformer"]],
        "vae": ["diffusers", _CLASSES["vae"]],
    }


def stable_audio_tools_table(config: Config, t5_name: str) -> dict[str, Any]:
    """model_config.json; `t5_name`: Hugging Face name of the text encoder, or its folder beside the file."""
    codec, dit = config.codec, config.dit
    timing = [
        {"id": name, "type": "number", "config": {"min_val": 0, "max_val": each.config.max_seconds}}
        for name, each in (("seconds_start", config.seconds_start), ("seconds_total", config.seconds_total))
    ]
    prompt = {"t5_model_name": t5_name, "max_length": config.prompt.config.max_tokens}
    names = ["prompt", "seconds_start", "seconds_total"]
    return {
        "model_type": "diffusion_cond",
        "sample_size": config.num_frames,
        "sample_rate": config.sample_rate,
        "audio_channels": codec.num_channels,
        "model": {
            "pretransform": {"type": "autoencoder", "iterate_batch": True, "config": _codec_table(codec)},
            "conditioning": {
                "configs": [{"id": "prompt", "type": "t5", "config": prompt}, *timing],
                "cond_dim": dit.cross_dim,
            },
            "diffusion": {
                "cross_attention_cond_ids": names,
                "global_cond_ids": names[1:],
                "type": "dit",
                "config": {
                    "io_channels": dit.latent_dim,
                    "embed_dim": dit.width,
                    "depth": dit.num_layers,
                    "num_heads": dit.num_heads,
                    "cond_token_dim": dit.cross_dim,
                    "global_cond_dim": dit.global_dim,
                    "project_cond_tokens": False,
                    "transformer_type": "continuous_transformer",
                },
            },
            "io_channels": dit.latent_dim,
        },
    }


def _codec_table(codec: CodecConfig) -> dict[str, Any]:
    side: dict[str, Any] = {"channels": codec.width, "c_mults": [*codec.multiples]}
    side |= {"strides": [*codec.strides], "use_snake": True}
    encoder = {"in_channels": codec.num_channels, **side, "latent_dim": 2 * codec.latent_dim}
    decoder = {"out_channels": codec.num_channels, **side, "latent_dim": codec.latent_dim}
    return {
        "encoder": {"type": "oobleck", "requires_grad": False, "config": encoder},
        "decoder": {"type": "oobleck", "config": decoder | {"final_tanh": False}},
        "bottleneck": {"type": "vae"},
        "latent_dim": codec.latent_dim,
        "downsampling_ratio": codec.hop,
        "io_channels": codec.num_channels,
    }


def _write_part(
    folder: Path, table: dict[str, Any], name: str, tensors: dict[str, Tensor], config: str = "config.json"
) -> None:
    folder.mkdir(exist_ok=True)
    _write_json(folder / config, table)
    weights.store(folder / name, tensors, metadata={"format": "pt"})


def _write_encoder(text: t5.TextConditioner, folder: Path) -> None:
    encoder = cast("Any", text.encoder)
    table = json.loads(encoder.config.to_json_string()) | {"architectures": ["T5EncoderModel"]}
    _write_part(folder, table, "model.safetensors", dict(encoder.named_parameters()))


def _write_tokenizer(text: t5.TextConditioner, folder: Path) -> None:
    """The tokenizer's files as they came with the encoder; the cut is that of this model."""
    folder.mkdir(exist_ok=True)
    for name, data in text.files.items():
        (folder / name).write_bytes(data)
    path = folder / "tokenizer_config.json"
    table = json.loads(text.files.get(path.name, b"{}"))
    _write_json(path, table | {"model_max_length": text.config.max_tokens})


def _write_json(path: Path, table: dict[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
