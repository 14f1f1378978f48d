"""The shape of a whole model: presets and TOML files in, a checked Config out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sao_data import config as configs
from sao_data.errors import UsageError
from sao_data.shipped import manifests_folder
from sao_model import codec, conditioners, dit
from sao_model.conditioners import seconds, t5

CONDITIONERS = ("prompt", "seconds_start", "seconds_total")  # in the order of their tokens

_MOST = 1 << 20  # of any size of a model
_ORIGIN = ("pretrained", "tokenizer", "stored", "terms", "seed")
_NO_SHAPE = {"name", "num_latents", *(f"prompt.config.{key}" for key in _ORIGIN)}
_MOST_OF = {"num_layers": 1024, "max_tokens": 8192, "seed": (1 << 63) - 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioner:
    """One conditioner as configured: its plugin and the plugin's own Config."""

    plugin: str
    config: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole model; the defaults are the released one's."""

    name: str
    sample_rate: int = 44_100  # Hz
    num_latents: int = 1024  # the window: 2,097,152 samples, 47.55 s
    codec: codec.Config = field(default_factory=codec.Config)
    dit: dit.Config = field(default_factory=dit.Config)
    prompt: Conditioner = field(default_factory=lambda: Conditioner(plugin="t5", config=t5.Config()))
    seconds_start: Conditioner = field(default_factory=lambda: _seconds())
    seconds_total: Conditioner = field(default_factory=lambda: _seconds())

    @property
    def num_frames(self) -> int:
        """Samples in the window."""
        return self.num_latents * self.codec.hop


def presets() -> dict[str, Path]:
    """The presets that ship: manifests/models, or the copy inside an installed wheel."""
    return {path.stem: path for path in sorted((manifests_folder() / "models").glob("*.toml"))}


def read(name: str) -> Config:
    """The config of a preset ("tiny") or of a TOML file."""
    shipped = presets()
    path = Path(name) if name.endswith(".toml") else shipped.get(name)
    if path is None:
        known = ", ".join(shipped)
        raise UsageError(
            f"{name}: no such model; give a preset ({known}), a TOML file or a checkpoint folder"
        )
    return parse(configs.read_toml(path), where=str(path))


def parse(table: configs.Table, *, where: str) -> Config:
    """A model config from a TOML table or a checkpoint's model.json; UsageError says what does not fit."""
    plain = dict(table)
    chosen = {key: _chosen(plain.pop(key), f"{where}: [{key}]") for key in CONDITIONERS if key in plain}
    rest = configs.parse(_Plain, plain, where=where)
    config = Config(
        name=rest.name,
        sample_rate=rest.sample_rate,
        num_latents=rest.num_latents,
        codec=rest.codec,
        dit=rest.dit,
        **chosen,
    )
    check(config, where=where)
    return config


def check(config: Config, *, where: str) -> None:
    """UsageError if the parts of a model do not fit together."""
    if problems := _problems(config):
        raise UsageError(f"{where}: {'; '.join(problems)}")


def differences(config: Config, other: Config) -> list[str]:
    """Settings in which two models of other weights differ ("dit.num_layers 24 and 2"); their names, the
    length of their windows and where their text encoders come from do not matter."""
    ours, theirs = _flat(configs.canonical(config)), _flat(configs.canonical(other))
    keys = [key for key in ours.keys() | theirs.keys() if key not in _NO_SHAPE]
    return [
        f"{key} {ours.get(key)} and {theirs.get(key)}"
        for key in sorted(keys)
        if ours.get(key) != theirs.get(key)
    ]


def _flat(table: Any, start: str = "") -> dict[str, Any]:
    if not isinstance(table, dict):
        return {start: table}
    inner = [_flat(value, f"{start}.{key}" if start else key) for key, value in table.items()]
    return {key: value for each in inner for key, value in each.items()}


def to_table(config: Config) -> configs.Table:
    """The config in the form that `parse` reads."""
    table = cast("configs.Table", configs.canonical(config))
    for key in CONDITIONERS:
        table[key] = {"plugin": table[key]["plugin"], **table[key]["config"]}
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    """The part of Config that is not plugins."""

    name: str
    sample_rate: int = 44_100
    num_latents: int = 1024
    codec: codec.Config = field(default_factory=codec.Config)
    dit: dit.Config = field(default_factory=dit.Config)


def _chosen(table: configs.Table, where: str) -> Conditioner:
    rest = dict(table)
    plugin = rest.pop("plugin", None)
    if not isinstance(plugin, str):
        raise UsageError(f"{where}: plugin is missing; say which ({', '.join(conditioners.names())})")
    module = conditioners.load(plugin, where=where)
    return Conditioner(plugin=plugin, config=configs.parse(module.Config, rest, where=where))


def _seconds() -> Conditioner:
    return Conditioner(plugin="seconds", config=seconds.Config())


def _sizes(config: Config) -> list[str]:
    """Numbers that no model of this kind has: what they would cost is not tried."""
    found = [("sample_rate", config.sample_rate), ("num_latents", config.num_latents)]
    found += [(f"dit.{key}", value) for key, value in dataclasses.asdict(config.dit).items()]
    found += [(f"codec.{key}", value) for key, value in dataclasses.asdict(config.codec).items()]
    for key in CONDITIONERS:
        plugin = dataclasses.asdict(getattr(config, key).config)
        found += [(f"{key}.{name}", value) for name, value in plugin.items()]
    problems = []
    for name, value in found:
        field = name.rpartition(".")[2]
        least, most = int(field != "seed"), _MOST_OF.get(field, _MOST)
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, int) and not isinstance(number, bool) and not least <= number <= most:
                problems.append(f"{name} is {number}; want {least} to {most:,}")
    return problems


def _problems(config: Config) -> list[str]:
    """What does not fit together, one sentence each."""
    shape, problems = config.dit, _sizes(config)
    if problems:
        return problems
    widths = [getattr(config, key).config.width for key in CONDITIONERS]
    if config.codec.latent_dim != shape.latent_dim:
        problems.append(
            f"codec.latent_dim {config.codec.latent_dim} and dit.latent_dim {shape.latent_dim} differ"
        )
    if set(widths) != {shape.cross_dim}:
        problems.append(
            f"prompt, seconds_start, seconds_total are {widths} wide, not dit.cross_dim {shape.cross_dim}"
        )
    if shape.global_dim != 2 * shape.cross_dim:
        problems.append(f"dit.global_dim is {shape.global_dim}; two timing tokens make {2 * shape.cross_dim}")
    if shape.width != 64 * shape.num_heads:
        problems.append(
            f"dit.width is {shape.width}; {shape.num_heads} heads of 64 make {64 * shape.num_heads}"
        )
    if shape.cross_dim % 64 or shape.num_heads % max(shape.cross_dim // 64, 1):
        problems.append(
            f"dit.cross_dim {shape.cross_dim}: want 64 times a divisor of num_heads {shape.num_heads}"
        )
    if any(stride % 2 or stride < 2 for stride in config.codec.strides):
        problems.append(f"codec.strides {list(config.codec.strides)}: want even numbers")
    if len(config.codec.strides) != len(config.codec.multiples):
        problems.append("codec.strides and codec.multiples differ in length")
    return problems
