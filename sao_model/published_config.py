"""The shape of a published model, from the configuration files of its folder: stable-audio-tools'
model_config.json, or diffusers' model_index.json and the config.json of every part. Every setting is heeded
or refused.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sao_data.errors import UsageError
from sao_data.forms import Positive
from sao_data.storage import documents
from sao_model import codec, dit, preset, published_settings, recognised, weights
from sao_model.conditioners import seconds, t5
from sao_model.preset import Conditioner, Config

AGAIN = "download it again"
_T5_BASE = {"t5-base": "Apache-2.0", "google-t5/t5-base": "Apache-2.0"}  # name -> licence
PARTS = ("vae", "transformer", "projection_model")  # of diffusers, without the text encoder

log = logging.getLogger(__name__)


def read(folder: Path, *, text_encoder: str = "") -> Config:
    """The config of a published model, with the T5 in the folder `text_encoder` if that is given; UsageError
    for what ours cannot be, IntegrityError for cut files."""
    config = sat_config(folder) if is_sat(folder) else diffusers_config(folder)
    return finished(config, text_encoder, where=str(folder))


def finished(config: Config, text_encoder: str, *, where: str) -> Config:
    """The config with another text encoder, if one is given; UsageError if its parts do not fit together."""
    if text_encoder:
        place, most = Path(text_encoder), config.prompt.config.max_tokens
        config = replace(config, prompt=replace(config.prompt, config=t5_config(place, place, most)))
    _check_text_encoder(config, where, is_named=bool(text_encoder))
    preset.check(config, where=text_encoder or where)
    return config


def is_sat(folder: Path) -> bool:
    """Is it to be read in stable-audio-tools' layout? The published repository holds both: that counts whose
    weights are there."""
    here, other = folder / "model_config.json", folder / "model_index.json"
    return here.is_file() and (not other.is_file() or weights.exists(folder / "model.safetensors"))


def sat_config(folder: Path, name: str = "model_config.json") -> Config:
    """Our config from stable-audio-tools' model_config.json; UsageError for what our model cannot be."""
    where, table = _json(folder, name)
    with _with_guess(table):
        published_settings.check(table, published_settings.SAT, where=where)
    model = table["model"]
    net, width = model["diffusion"]["config"], model["conditioning"]["cond_dim"]
    encoder, decoder = (model["pretransform"]["config"][side]["config"] for side in ("encoder", "decoder"))
    said = _conditioning(model["conditioning"]["configs"], where)
    shape = _codec(
        channels=encoder["in_channels"],
        width=encoder["channels"],
        multiples=encoder["c_mults"],
        strides=encoder["strides"],
        latent_dim=decoder["latent_dim"],
    )
    _agree_in_sat(where, table, shape)
    text = said["prompt"]
    if Path(text["t5_model_name"]).is_absolute() or ".." in Path(text["t5_model_name"]).parts:
        raise UsageError(
            f"{where}: t5_model_name {text['t5_model_name']!r} leaves the folder; give one inside it"
        )
    local = folder / text["t5_model_name"]
    terms = _T5_BASE.get(text["t5_model_name"], "")
    prompt = t5.Config(pretrained=text["t5_model_name"], max_tokens=text["max_length"], terms=terms)
    if local.is_dir():
        prompt = replace(t5_config(local, local, prompt.max_tokens), terms=terms)
    return Config(
        name=folder.name,
        sample_rate=int(table["sample_rate"]),
        num_latents=int(table["sample_size"]) // shape.hop,
        codec=shape,
        prompt=Conditioner(plugin="t5", config=prompt),
        seconds_start=_timing(width, said["seconds_start"]["max_val"]),
        seconds_total=_timing(width, said["seconds_total"]["max_val"]),
        dit=dit.Config(
            latent_dim=int(net["io_channels"]),
            width=int(net["embed_dim"]),
            num_layers=int(net["depth"]),
            num_heads=int(net["num_heads"]),
            cross_dim=int(net["cond_token_dim"]),
            global_dim=int(net["global_cond_dim"]),
        ),
    )


def _check_text_encoder(config: Config, where: str, *, is_named: bool) -> None:
    """UsageError for a text encoder that is named only, and of another width than all else."""
    prompt = config.prompt.config
    if not is_named and not Path(prompt.pretrained).is_dir() and prompt.width != config.dit.cross_dim:
        raise UsageError(
            f"{where}: its text encoder {prompt.pretrained!r}, {config.dit.cross_dim} wide, is not in its "
            "folder; put it there, or name the folder that holds it: `sao import … --text-encoder DIR`"
        )


def _agree_in_sat(where: str, table: dict[str, Any], shape: codec.Config) -> None:
    """The same numbers stand in several places of a model_config.json."""
    model, trained = table["model"], table["model"]["pretransform"]["config"]
    net, width = model["diffusion"]["config"], model["conditioning"]["cond_dim"]
    encoder, decoder = (trained[side]["config"] for side in ("encoder", "decoder"))
    _agree(
        where,
        (shape.num_channels, table["audio_channels"], trained["io_channels"], decoder["out_channels"]),
        (shape.width, decoder["channels"]),
        (encoder["c_mults"], decoder["c_mults"]),
        (encoder["strides"], decoder["strides"]),
        (
            shape.latent_dim,
            trained["latent_dim"],
            model["io_channels"],
            net["io_channels"],
            encoder["latent_dim"] / 2,
        ),
        (shape.hop, trained["downsampling_ratio"]),
        (width, net["cond_token_dim"]),
        (2 * width, net["global_cond_dim"]),
    )


def diffusers_config(folder: Path) -> Config:
    """Our config from the config.json of every diffusers part."""
    where, index = _json(folder, "model_index.json")
    with _with_guess(index):
        unknown = published_settings.check(
            index, published_settings.DIFFUSERS_INDEX, where=where, others=True
        )
    _warn_of(unknown, where)
    vae, net, numbers = (_checked(folder, part, "config.json") for part in PARTS)
    if (folder / "scheduler").is_dir():
        _checked(folder, "scheduler", "scheduler_config.json")
    shape = _codec(
        channels=vae["audio_channels"],
        width=vae["decoder_channels"],
        multiples=vae["channel_multiples"],
        strides=vae["downsampling_ratios"],
        latent_dim=vae["decoder_input_channels"],
    )
    _agree_in_diffusers(str(folder), vae, net, numbers)
    name = "tokenizer/tokenizer_config.json"
    tokenizer = documents.checked(_Tokenizer, _bytes(folder / name), where=str(folder / name), fix=AGAIN)
    text = t5_config(folder / "text_encoder", folder / "tokenizer", tokenizer["model_max_length"])
    timing = _timing(numbers["conditioning_dim"], numbers["max_value"])
    return Config(
        name=folder.name,
        sample_rate=int(vae["sampling_rate"]),
        num_latents=int(net["sample_size"]),  # a float in the published file
        codec=shape,
        prompt=Conditioner(plugin="t5", config=text),
        seconds_start=timing,
        seconds_total=timing,
        dit=dit.Config(
            latent_dim=int(net["in_channels"]),
            width=int(net["attention_head_dim"] * net["num_attention_heads"]),
            num_layers=int(net["num_layers"]),
            num_heads=int(net["num_attention_heads"]),
            cross_dim=int(net["cross_attention_input_dim"]),
            global_dim=int(net["global_states_input_dim"]),
            num_features=int(net["time_proj_dim"]),
        ),
    )


def _agree_in_diffusers(
    where: str, vae: dict[str, Any], net: dict[str, Any], numbers: dict[str, Any]
) -> None:
    """The same for the parts of a diffusers folder, as far as they state it."""
    heads = net.get("num_key_value_attention_heads")
    _agree(
        where,
        (vae["decoder_channels"], vae.get("encoder_hidden_size")),
        (vae["decoder_input_channels"], net["in_channels"], net.get("out_channels")),
        (numbers["conditioning_dim"], numbers.get("text_encoder_dim")),
        (net["cross_attention_input_dim"], net.get("cross_attention_dim")),
        (net["cross_attention_input_dim"], heads and heads * net["attention_head_dim"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokenizer:
    model_max_length: Positive


def _conditioning(configs: Any, where: str) -> dict[str, dict[str, Any]]:
    """The settings of each conditioner of SAT's list, by its id, in the order in which their tokens stand."""
    named = [item for item in configs if isinstance(item, dict)] if isinstance(configs, list) else []
    ids = tuple(item.get("id") for item in named)
    if ids != preset.CONDITIONERS:
        wanted = ", ".join(preset.CONDITIONERS)
        raise UsageError(
            f"{where}: conditioning: has the conditioners {ids}; a Stable Audio Open 1.0 has {wanted}"
        )
    for item in named:
        spec = published_settings.SAT_CONDITIONERS[item["id"]]
        published_settings.check(item, spec, where=f"{where}: conditioning: {item['id']}")
    return {item["id"]: item["config"] for item in named}


def _agree(where: str, *groups: tuple[object, ...]) -> None:
    """Settings that say the same thing must be equal; None is not stated."""
    for group in groups:
        if any(value not in (None, group[0]) for value in group):
            raise UsageError(f"{where}: settings that have to be equal are {', '.join(map(str, group))}")


def _checked(folder: Path, part: str, name: str) -> dict[str, Any]:
    where, table = _json(folder / part, name)
    _warn_of(
        published_settings.check(table, published_settings.DIFFUSERS[part], where=where, others=True), where
    )
    return table


@contextlib.contextmanager
def _with_guess(table: dict[str, Any]) -> Iterator[None]:
    """Say of a config that is refused what it looks like."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{error}{recognised.config_of(table)}") from None


def _warn_of(unknown: list[str], where: str) -> None:
    if unknown:
        log.warning(
            "%s: settings that neither diffusers nor we know are passed over: %s", where, ", ".join(unknown)
        )


def _json(folder: Path, name: str) -> tuple[str, dict[str, Any]]:
    """(where it lies, what it says)"""
    where = str(folder / name)
    return where, documents.plain(_bytes(folder / name), where=where, fix=AGAIN)


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"{path}: missing; {AGAIN}")
    return path.read_bytes()


def _codec(
    *, channels: float, width: float, multiples: list[float], strides: list[float], latent_dim: float
) -> codec.Config:
    return codec.Config(
        num_channels=int(channels),
        width=int(width),
        multiples=tuple(map(int, multiples)),
        strides=tuple(map(int, strides)),
        latent_dim=int(latent_dim),
    )


def _timing(width: float, max_seconds: float) -> Conditioner:
    return Conditioner(
        plugin="seconds", config=seconds.Config(width=int(width), max_seconds=int(max_seconds))
    )


def t5_config(encoder: Path, tokenizer: Path, max_tokens: float) -> t5.Config:
    """The config of a text encoder in a folder, of the shape that its config.json says."""
    where, shape = _json(encoder, "config.json")
    published_settings.check(shape, published_settings.T5, where=where, others=True)
    return t5.Config(
        pretrained=str(encoder),
        tokenizer="" if tokenizer == encoder else str(tokenizer),
        max_tokens=int(max_tokens),
        width=shape["d_model"],
        num_layers=shape["num_layers"],
        num_heads=shape["num_heads"],
        head_dim=shape["d_kv"],
        ff_dim=shape["d_ff"],
        vocab_size=shape["vocab_size"],
        terms=_T5_BASE.get(str(shape.get("_name_or_path", "")), ""),
    )
