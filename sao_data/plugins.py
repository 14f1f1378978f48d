"""Plugins are files: `sources/x.py` is the source named x, because it lies there.

A plugin module has a frozen dataclass `Config` and a function `build(config)`. Its name is its file name;
nothing is registered. A name with a dot in it is somebody else's module: `their_package.their_filter`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import BinaryIO, Literal, Protocol

from sao_data.errors import UsageError
from sao_data.records import CaptionField, Clip, Offer, Recording, Rejection

KINDS = ("sources", "filters", "captions", "embedders", "captioners")


class DamagedFile(Exception):
    """A file that is there but is not what was promised, or must not be opened: a fact that stays."""


class Source(Protocol):
    """Lists what is offered and opens the bytes. `build(config)` makes one; it must pickle and hold no open
    files.

    Its module also has `recording(raw, config)`: the Recording read back from the raw text of an Offer, so
    that decisions can be checked without the source. A method `notes()` may give sentences that every report
    on the dataset should carry (credits for the metadata, what is missing by construction); `remarks()` what
    is to be said of the rows that `offers()` read (words taken for nothing, columns not read), with counts.
    """

    def check(self) -> None:
        """Raise UsageError, with the fix, if this machine cannot see the input (runs on every node)."""

    def offers(self) -> Iterator[Offer | Rejection]:
        """Every recording the source has, in its own order; rows without a usable id as Rejections."""

    def open(self, recording: Recording) -> BinaryIO:
        """The recording's bytes. FileNotFoundError: there are none; DamagedFile, also while reading: they are
        not what was promised. Both are facts. Other OSErrors are transient."""


class Filter(Protocol):
    """Looks at one clip.

    A module with `READS_CAPTION = True` makes a CaptionFilter instead. For `sao tune` a module may have
    `KNOBS`, a tuple of Knob, and a filter over words a function `categories(fields)`: the words, of the
    caption fields `tags` and `language`, by which it decides.
    """

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """None keeps the clip; (reason, detail) rejects it: a snake_case reason, the measured value and
        threshold."""


class CaptionFilter(Protocol):
    """Looks at one clip and at its caption."""

    def check(
        self, clip: Clip, recording: Recording, fields: tuple[CaptionField, ...]
    ) -> tuple[str, str] | None:
        """The same; `fields`: what the manifest's caption builder makes of the recording, and the language,
        where it can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """A threshold of a filter, and what is held against it."""

    field: str  # of the filter's Config
    unit: str
    keeps: Literal["at least", "at most"]  # a clip is kept whose value is that, the threshold itself included
    value: Callable[[Clip, Recording], float | None]  # None: kept whatever the threshold is
    is_log: bool = False  # values that lie decades apart


class CaptionBuilder(Protocol):
    """Turns what a source says into caption fields (paper 3.2).

    A method `left_out(recording)` may give (field, what a rule took out: `rule`, `text`) for `sao prompts`.
    """

    def fields(self, recording: Recording) -> tuple[CaptionField, ...]:
        """Cleaned fields with their provenance; fields that would be empty are left out."""

    def prompt(self, recording: Recording, fields: tuple[CaptionField, ...]) -> str:
        """One fixed rendering of the fields, never empty."""


def names(kind: str, *, within: str = "sao_data") -> tuple[str, ...]:
    """Names of the plugins of a kind ("sources", "filters", …) that ship with a package, sorted."""
    package = importlib.import_module(f"{within}.{kind}")
    return tuple(sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")))


def load(kind: str, name: str, *, where: str = "manifest", within: str = "sao_data") -> ModuleType:
    """Import the plugin `name` of a kind; UsageError with the nearest name if there is none. `within`: the
    package that has the kind."""
    if name.startswith(".") or name.endswith("."):
        raise UsageError(f"{where}: {name!r} is no module; write a plugin's name or a dotted path")
    if "." in name:
        module_name = name
    elif name in (known := names(kind, within=within)):
        module_name = f"{within}.{kind}.{name}"
    else:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"{where}: no {kind[:-1]} named {name!r}{hint} (there are: {', '.join(known)})")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{where}: cannot import {module_name!r} ({error}); is it installed here?"
        ) from error
    missing = [attribute for attribute in ("Config", "build") if not hasattr(module, attribute)]
    if missing:
        raise UsageError(f"{where}: {module_name!r} is no plugin: it lacks {' and '.join(missing)}")
    return module
