"""What an evaluation may be told: where the user's files are, which embedders, how it is sampled."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sao_data.config import Location, apply_set, parse, read_toml, resolve_locations
from sao_data.embedders import ast_audioset, clap, mel_stats
from sao_data.errors import UsageError
from sao_model.evaluation.memorisation.settings import MemorisationSettings
from sao_model.request import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratingSettings:
    """How --model makes the sounds; seeds are not asked for: each prompt has its own."""

    steps: int = 100  # of the sampler (paper 5.1)
    cfg_scale: float = 7.0  # guidance (paper 5.1)
    sampler: str = "dpmpp-2m-sde"  # as in docs/generating.md
    batch_size: int = 8  # sounds at once on a GPU
    precision: Literal["fp32", "bf16"] = "fp32"  # of the transformer
    device: str = ""  # "" = the GPU if there is one

    def __post_init__(self) -> None:
        Sampling(steps=self.steps, cfg_scale=self.cfg_scale)
        if self.batch_size < 1:
            raise UsageError(f"generating.batch_size: {self.batch_size}; give 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An evaluation's settings; what is measured stands in the protocol."""

    captions: Location = ""  # the protocol's prompts: a CSV with the columns it names
    ids: Location = ""  # ids of the prompts that count, one a line, where the protocol has such a list
    prompts: Location = ""  # of --sounds: a CSV with the columns file and prompt; '' = FILE.json beside each
    embedders: tuple[str, ...] = ()  # names or dotted paths; () = clap, ast_audioset, mel_stats, if at hand
    embedded_measured: tuple[Location, ...] = ()  # embeddings made elsewhere: .npz, or a folder of .npy
    embedded_reference: tuple[Location, ...] = ()  # the same of the reference, by the same embedders
    cache: Location = ""  # folder of embeddings already made; '' = OUT/embeddings
    num_prompts: int = 0  # only so many of the protocol's, always the same ones; 0 = all
    num_resamples: int = 100  # for intervals of distances between sets
    num_players: int = 24  # sounds on the page
    generating: GeneratingSettings = field(default_factory=GeneratingSettings)
    memorisation: MemorisationSettings = field(default_factory=MemorisationSettings)
    clap: clap.Config = field(default_factory=clap.Config)
    ast_audioset: ast_audioset.Config = field(default_factory=ast_audioset.Config)
    mel_stats: mel_stats.Config = field(default_factory=mel_stats.Config)

    def __post_init__(self) -> None:
        for name, least in (("num_prompts", 0), ("num_resamples", 20), ("num_players", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name}: {getattr(self, name)}; give {least} or more")


def read(file: str, assignments: list[str]) -> Config:
    """The config of a TOML file ('' for none), with --set assignments over it."""
    table: dict[str, Any] = read_toml(Path(file)) if file else {}
    for key, cls in (("", Config), ("clap", clap.Config), ("ast_audioset", ast_audioset.Config)):
        part = table.get(key) if key else table
        if isinstance(part, dict):
            resolve_locations(cls, part, Path(file).parent)
    apply_set(table, assignments)
    return parse(Config, table, where=file or "command line")
