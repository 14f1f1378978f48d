"""What the configuration files of a published model may say: each setting is one that this model has, one
that shapes it, one without effect on what the weights mean, or an error.

A setting that is there and not heeded is another model that makes other sound. The tables follow the
published files and, for keys that are absent there, what stable-audio-tools and diffusers then assume.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sao_data.errors import UsageError

_ABSENT = object()
_FIX = "it is another model than Stable Audio Open 1.0, and cannot be loaded here"
_MOST = 1 << 31  # of any size


@dataclass(frozen=True, slots=True)
class Fixed:
    """The setting has this value here. `absent`: what the other tool does where it is not stated."""

    value: object
    absent: object = _ABSENT  # the same
    also: tuple[object, ...] = ()  # other spellings of it


@dataclass(frozen=True, slots=True)
class Shape:
    """A positive number that shapes the model; with `many`, a list of them."""

    many: bool = False
    optional: bool = False  # where it is not stated, the shapes of the weights tell


@dataclass(frozen=True, slots=True)
class NameText:
    """A name."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Whatever it is, the weights mean the same (training, memory, who wrote the file)."""


Spec = Mapping[str, Any]  # key -> one of these, or a table of them
FREE, SIZE, SIZES, TEXT = Ignored(), Shape(), Shape(many=True), NameText()
IMPLIED = Shape(optional=True)

_NUMBER = {
    "id": TEXT, "type": Fixed("number"),
    "config": {"min_val": Fixed(0), "max_val": SIZE, "fourier_features_type": Fixed("learned")},
}  # fmt: skip
_PROMPT = {
    "id": TEXT, "type": Fixed("t5"),
    "config": {"t5_model_name": TEXT, "max_length": SIZE, "enable_grad": FREE, "project_out": Fixed(False)},
}  # fmt: skip
_CODEC_SIDE = {
    "channels": SIZE, "c_mults": SIZES, "strides": SIZES, "latent_dim": SIZE,
    "use_snake": Fixed(True, absent=False),
    "antialias_activation": Fixed(False),
}  # fmt: skip
SAT: Spec = {
    "model_type": Fixed("diffusion_cond"), "sample_size": SIZE, "sample_rate": SIZE, "audio_channels": SIZE,
    "training": FREE,
    "model": {
        "io_channels": SIZE,
        "pretransform": {
            "type": Fixed("autoencoder"), "scale": Fixed(1.0), "iterate_batch": FREE, "chunked": FREE,
            "enable_grad": FREE,
            "model_half": FREE,
            "config": {
                "encoder": {
                    "type": Fixed("oobleck"), "requires_grad": FREE,
                    "config": {"in_channels": SIZE, **_CODEC_SIDE},
                },
                "decoder": {
                    "type": Fixed("oobleck"), "requires_grad": FREE,
                    "config": {
                        "out_channels": SIZE, **_CODEC_SIDE, "final_tanh": Fixed(False, absent=True),
                        "use_nearest_upsample": Fixed(False),
                    },
                },
                "bottleneck": {"type": Fixed("vae")}, "latent_dim": SIZE, "downsampling_ratio": SIZE,
                "io_channels": SIZE,
                "soft_clip": Fixed(False), "pretransform": Fixed(None),
            },
        },
        "conditioning": {"configs": FREE, "cond_dim": SIZE, "default_keys": Fixed({})},
        "diffusion": {
            "type": Fixed("dit"), "diffusion_objective": Fixed("v"),
            "cross_attention_cond_ids": Fixed(["prompt", "seconds_start", "seconds_total"], absent=[]),
            "global_cond_ids": Fixed(["seconds_start", "seconds_total"], absent=[]),
            "prepend_cond_ids": Fixed([]), "input_concat_ids": Fixed([]),
            "config": {
                "io_channels": SIZE, "embed_dim": SIZE, "depth": SIZE, "num_heads": SIZE,
                "cond_token_dim": SIZE,
                "global_cond_dim": SIZE, "project_cond_tokens": Fixed(False, absent=True),
                "project_global_cond": Fixed(True),
                "transformer_type": Fixed("continuous_transformer"), "global_cond_type": Fixed("prepend"),
                "timestep_cond_type": Fixed("global"), "patch_size": Fixed(1), "input_concat_dim": Fixed(0),
                "prepend_cond_dim": Fixed(0),
                "qk_norm": Fixed("none", also=(False, None)), "num_memory_tokens": Fixed(0),
                "conformer": Fixed(False), "causal": Fixed(False),
                "attn_kwargs": Fixed({}), "ff_kwargs": Fixed({}), "norm_kwargs": Fixed({}),
                "diffusion_objective": Fixed("v"),
            },
        },
    },
}  # fmt: skip
SAT_CONDITIONERS: Spec = {"prompt": _PROMPT, "seconds_start": _NUMBER, "seconds_total": _NUMBER}

_DIFFUSERS = {"_class_name": TEXT, "_diffusers_version": FREE, "_name_or_path": FREE}
DIFFUSERS: Mapping[str, Spec] = {
    "vae": {
        **_DIFFUSERS, "_class_name": Fixed("AutoencoderOobleck"), "audio_channels": SIZE,
        "channel_multiples": SIZES,
        "decoder_channels": SIZE, "decoder_input_channels": SIZE, "downsampling_ratios": SIZES,
        "encoder_hidden_size": IMPLIED,
        "sampling_rate": SIZE,
    },
    "transformer": {
        **_DIFFUSERS, "_class_name": Fixed("StableAudioDiTModel"), "attention_head_dim": SIZE,
        "cross_attention_dim": IMPLIED,
        "cross_attention_input_dim": SIZE, "global_states_input_dim": SIZE, "in_channels": SIZE,
        "out_channels": IMPLIED,
        "num_attention_heads": SIZE, "num_key_value_attention_heads": IMPLIED, "num_layers": SIZE,
        "sample_size": SIZE,
        "time_proj_dim": SIZE,
    },
    "projection_model": {
        **_DIFFUSERS, "_class_name": Fixed("StableAudioProjectionModel"), "conditioning_dim": SIZE,
        "text_encoder_dim": IMPLIED,
        "min_value": Fixed(0), "max_value": SIZE,
    },
    # The samplers here go from sigma 500 down to 0.3 in equal steps of its logarithm, whatever the file says.
    "scheduler": {
        **_DIFFUSERS, "_class_name": Fixed("CosineDPMSolverMultistepScheduler"),
        "prediction_type": Fixed("v_prediction"),
        "sigma_min": Fixed(0.3), "sigma_max": Fixed(500), "sigma_data": Fixed(1.0),
        "sigma_schedule": Fixed("exponential"),
        "solver_order": Fixed(2), "solver_type": Fixed("midpoint"), "lower_order_final": Fixed(True),
        "euler_at_final": Fixed(False),
        "final_sigmas_type": Fixed("zero"), "num_train_timesteps": FREE, "rho": FREE,
    },
}  # fmt: skip
DIFFUSERS_INDEX: Spec = {
    "_class_name": Fixed("StableAudioPipeline"), "_diffusers_version": FREE, "_name_or_path": FREE,
    "tokenizer": FREE,
    "text_encoder": Fixed(["transformers", "T5EncoderModel"]),
    "vae": Fixed(["diffusers", "AutoencoderOobleck"]),
    "transformer": Fixed(["diffusers", "StableAudioDiTModel"]),
    "projection_model": Fixed(["stable_audio", "StableAudioProjectionModel"]),
    "scheduler": Fixed(["diffusers", "CosineDPMSolverMultistepScheduler"]),
}  # fmt: skip
T5: Spec = {
    "model_type": Fixed("t5"), "d_model": SIZE, "num_layers": SIZE, "num_heads": SIZE, "d_kv": SIZE,
    "d_ff": SIZE, "vocab_size": SIZE, "feed_forward_proj": Fixed("relu"), "is_gated_act": Fixed(False),
    "dense_act_fn": Fixed("relu"),
    "layer_norm_epsilon": Fixed(1e-6), "relative_attention_num_buckets": IMPLIED,
    "relative_attention_max_distance": IMPLIED, "quantization_config": Fixed(None),
}  # fmt: skip


def check(table: Mapping[str, Any], spec: Spec, *, where: str, others: bool = False) -> list[str]:
    """UsageError for the first setting that is not heeded here; `others`: names not in the tables are
    returned (the library that writes such files passes over what it does not know, too)."""
    unknown = sorted(table.keys() - spec.keys())
    if unknown and not others:
        raise UsageError(f"{where}: {unknown[0]} is a setting that is not known here; {_FIX}")
    for key, wanted in spec.items():
        place = f"{where}: {key}"
        if isinstance(wanted, Mapping):
            inner = table.get(key)
            if not isinstance(inner, dict):
                raise UsageError(f"{place}: not a table of settings; {_FIX}")
            check(inner, wanted, where=f"{where}: [{key}]")
        elif problem := _problem(table.get(key, _ABSENT), wanted):
            raise UsageError(f"{place} {problem}; {_FIX}")
    return unknown


def _problem(value: object, wanted: object) -> str:
    """What is wrong with a value, "" if nothing is."""
    if isinstance(wanted, Fixed):
        if value is _ABSENT:
            value = wanted.value if wanted.absent is _ABSENT else wanted.absent
        same = any(_same(value, each) for each in (wanted.value, *wanted.also))
        return "" if same else f"is {value!r}, here it is {wanted.value!r}"
    if isinstance(wanted, Ignored):
        return ""
    if value is _ABSENT:
        return "" if isinstance(wanted, Shape) and wanted.optional else "is missing"
    if isinstance(wanted, NameText):
        return "" if isinstance(value, str) and value else f"is {value!r}, want a name"
    assert isinstance(wanted, Shape), wanted
    if wanted.many:
        fits = isinstance(value, list) and bool(value) and all(map(_is_size, value))
        return "" if fits else f"is {value!r}, want positive numbers"
    return "" if _is_size(value) else f"is {value!r}, want a positive number"


def _same(value: object, wanted: object) -> bool:
    """Equal, and True is not 1."""
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _is_size(value: object) -> bool:
    """A whole number above 0, that a published file may spell 1024.0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return float(value).is_integer() and 0 < value < _MOST
