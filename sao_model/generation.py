"""What to generate with a checkpoint: one sound as FILE.wav, or a folder of many; read and checked here,
without PyTorch, which takes seconds to import. `making` makes them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from sao_data.config import Location, apply_set, parse, read_toml, resolve_locations
from sao_data.errors import UsageError
from sao_model import declared
from sao_model.adapters import reference
from sao_model.request import (
    MOST_SEED,
    PLAIN,
    Guidance,
    Sampling,
    Sound,
    check_prompt,
    check_seed,
    check_strength,
)
from sao_model.sounds import prompts, writing

_MOST_NAME = 200  # bytes of a file name: others are made of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Editing:
    """A sound to begin with."""

    audio: Location = ""  # its file; '' = begin with noise
    strength: float = 0.7  # without regions: how much is made anew, from 0 (nothing) to 1 (all)
    regions: tuple[tuple[float, float], ...] = ()  # seconds that are made anew; all else stays
    extend: bool = False  # make anew what lies between its end and `seconds`; all else stays

    def __post_init__(self) -> None:
        check_strength(self.strength)
        if not self.audio and (self.regions or self.extend):
            raise UsageError("edit: regions of which sound? Give edit.audio=FILE too")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What to generate; the defaults are the paper's (5.1)."""

    prompt: str = ""
    seconds: float | None = None  # not given: as long as edit.audio, or 10, or the window if that is shorter
    steps: int = 100
    cfg_scale: float = 7.0
    seed: int | None = None  # not given: drawn at random, printed and written into FILE.json
    negative_prompt: str = ""
    sampler: str = "dpmpp-2m-sde"
    guidance: Guidance = PLAIN
    edit: Editing = field(default_factory=Editing)
    loras: tuple[Location, ...] = ()  # adapters, each FOLDER:STRENGTH; several add up
    prompts: Location = ""  # file of prompts, one a line or .csv; --out is then a folder
    variations: int = 1  # sounds of each prompt, with one seed after the other; --out is then a folder
    format: Literal["wav", "flac", "ogg"] = "wav"  # of the files in a folder
    bits: writing.Bits = "16"  # of a sample
    beyond_window: bool = False  # experimental: longer than the model's window, continued window by window
    batch_size: int = 8  # sounds at once on a GPU; on the CPU it is always one
    step_cache: float = 0.0  # reuse most of a step whose beginning changed by less than this share; 0 = never
    precision: Literal["fp32", "bf16"] = "fp32"  # of the transformer
    device: str = ""  # "" = the GPU if there is one
    credit: str = ""  # address of the attribution report, for the file's tags
    release: declared.Use = field(default_factory=declared.Use)

    def __post_init__(self) -> None:
        if self.variations < 1 or self.batch_size < 1:
            raise UsageError(
                f"variations {self.variations} and batch_size {self.batch_size}: want at least 1 of each"
            )

    @property
    def is_folder(self) -> bool:
        """Are several sounds asked for?"""
        return bool(self.prompts) or self.variations > 1

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            steps=self.steps,
            cfg_scale=self.cfg_scale,
            sampler=self.sampler,
            guidance=self.guidance,
            step_cache=self.step_cache,
        )

    @property
    def sound(self) -> Sound:
        """The one sound that is asked for, all of it known."""
        assert self.seconds is not None and self.seed is not None, self  # noqa: PT018
        return Sound(
            prompt=self.prompt, seconds=self.seconds, seed=self.seed, negative_prompt=self.negative_prompt
        )


def read(file: str, assignments: list[str], given: Mapping[str, object]) -> Config:
    """The config of a TOML file ('' for none), of --set assignments and of options, the later ones first."""
    table = read_toml(Path(file)) if file else {}
    for part, cls in ((table, Config), (table.get("edit"), Editing)):
        if isinstance(part, dict):
            resolve_locations(cls, part, Path(file).parent)
    apply_set(table, assignments)
    table |= {key: value for key, value in given.items() if value is not None}
    return with_seed(parse(Config, table, where=file or "command line"))


def with_seed(config: Config) -> Config:
    """The same with a seed, a random one where none was given."""
    return config if config.seed is not None else replace(config, seed=secrets.randbelow(1 << 32))


def one_by_one(config: Config) -> list[Config]:
    """A config for every sound that is asked for; what a line of the file does not say is as for all. Without
    a seed of its own the n-th line has the n-th seed after the first; so have variations."""
    assert config.seed is not None, "with_seed first"
    found = []
    for number, line in enumerate(_lines(config)):
        first = line.seed if line.seed is not None else config.seed + number * config.variations
        one = replace(
            config,
            prompt=line.prompt,
            seconds=config.seconds if line.seconds is None else line.seconds,
            negative_prompt=(
                config.negative_prompt if line.negative_prompt is None else line.negative_prompt
            ),
            prompts="",
            variations=1,
        )
        found += [replace(one, seed=(first + more) & MOST_SEED) for more in range(config.variations)]
    return found


def paths(config: Config, each: Sequence[Config], out: Path) -> list[Path]:
    """Where every sound goes: `out`, or into it under its line's name, or its number and prompt."""
    if not config.is_folder:
        return [out]
    names = [_name(line.name, more) for line in _lines(config) for more in range(config.variations)]
    return [
        out / (name + f".{config.format}" if name else _numbered(number, one, len(each)))
        for number, (name, one) in enumerate(zip(names, each, strict=True), start=1)
    ]


def _name(name: str, variation: int) -> str:
    return f"{name}-{variation + 1}" if name and variation else name


def _numbered(number: int, config: Config, num: int) -> str:
    return prompts.file_name(number, config.prompt, f".{config.format}", num)


def _lines(config: Config) -> list[prompts.Asked]:
    return prompts.read(Path(config.prompts)) if config.prompts else [prompts.Asked(prompt=config.prompt)]


def check(folder: str, config: Config, out: Path, *, overwrite: bool = False) -> None:
    """UsageError for what is wrong whatever the model, before anything is imported or loaded."""
    if config.is_folder:
        _check_folder(config, out)
    else:
        writing.check_name(out, config.bits)
        check_free(out, overwrite=overwrite)
        check_prompt(config.prompt)
        _check_place(out)
    check_seed(config.seed or 0)
    reference.parse_all(config.loras)
    for text in (config.prompt, config.negative_prompt, config.credit):
        if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
            raise UsageError(f"{text!r}: holds a character that is none of a text; leave it out")
    if config.edit.audio and out.exists() and out.samefile(config.edit.audio):
        raise UsageError(f"--out {out}: is edit.audio, which would be lost; give another --out")
    if config.edit.audio and config.beyond_window:
        raise UsageError("edit.audio and beyond_window do not go together; give one of them")
    if not Path(folder).is_dir():
        raise UsageError(f"--model {folder}: no such folder; give a checkpoint, or a run that has some")


def check_free(path: Path, *, overwrite: bool) -> None:
    """UsageError if a sound or its facts are there and are not to be written over."""
    for there in (path, facts_path(path)):
        if there.exists() and not overwrite:
            raise UsageError(
                f"{there}: is there already and is not overwritten; give another --out, or --overwrite"
            )


def facts_path(path: Path) -> Path:
    """Where a sound's facts lie."""
    return path.with_suffix(".json")


def _check_place(out: Path) -> None:
    """UsageError where no file can be written, before one is made."""
    if len(out.name.encode()) > _MOST_NAME:
        raise UsageError(f"--out {out.name[:40]}…: a name of {len(out.name)} characters; give a shorter one")
    for path in (out, facts_path(out)):
        if path.is_dir():
            raise UsageError(f"{path}: is a folder; give another --out")
    _check_parents(out)


def _check_parents(out: Path) -> None:
    blocked = next((folder for folder in out.absolute().parents if folder.is_file()), None)
    if blocked:
        raise UsageError(f"--out {out}: {blocked} is a file, not a folder; give another --out")


def _check_folder(config: Config, out: Path) -> None:
    writing.check_name(out / f"sound.{config.format}", config.bits)
    if config.prompts and config.prompt:
        raise UsageError("prompt and prompts: give one of them")
    if not config.prompts:
        check_prompt(config.prompt)
    _check_parents(out)
    if not str(out) or out == Path():
        raise UsageError("--out: several sounds are asked for; give a folder for them")
    if out.is_file() or out.suffix.lower() in writing.SUBTYPES:
        raise UsageError(f"--out {out}: several sounds are asked for; give a folder (format={config.format})")
