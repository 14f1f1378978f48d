"""What is measured, as data: which prompts, which reference, how long, which scores, and what others got.

A protocol is a TOML file in manifests/evaluation, or one of your own. Its prompts are those of a dataset's
validation series, or a CSV that the user has (the sets of the paper may not be shipped).
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sao_data import config
from sao_data.errors import UsageError
from sao_data.shipped import manifests_folder
from sao_data.storage import checksums
from sao_model.evaluation import lists
from sao_model.evaluation.settings import Config as Settings

SUFFIX = ".toml"
PAPER_WINDOW = 2_097_152 / 44_100  # seconds, 47.55


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedNumber:
    """What somebody got by this protocol."""

    of: str  # the model
    score: str  # as the table names it: fd, kl, clap
    embedder: str  # model id of what it was measured with; another one, another number
    value: float  # as printed
    source: str  # where it is printed


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Of the CSV with the prompts."""

    key: str = "key"  # unique for each prompt
    prompt: str = "prompt"
    group: str = ""  # the recording it describes; '' = of none


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationProtocol:
    """A protocol as it stands in its file."""

    name: str  # of the file, without suffix
    title: str  # in words
    about: str = ""  # where its files are to be had, and what to know
    source: Literal["dataset", "captions"] = "dataset"  # of the prompts
    series: str = "validation"  # of the dataset
    seconds: float = 0.0  # sounds are cut to this; 0: the model's window, or the paper's without a model
    least_seconds: float = 0.1  # shorter sounds are left out
    columns: Columns = field(default_factory=Columns)
    reference_names: tuple[str, ...] = ("{id}",)  # of audio files without suffix, by the group's id
    needs_ids: bool = False  # only prompts whose key is in a list that the user has
    leave_out: tuple[str, ...] = ()  # prompts with one of these in them, as written (case counts)
    expected_prompts: int = 0  # as published; another count is said
    expected_references: int = 0  # the same of recordings
    scores: tuple[str, ...] = ("fd", "kad", "kl", "clap", "prdc")  # files in metrics/scores, or dotted paths
    over: Literal["clips", "windows"] = "clips"  # of the Fréchet distance
    published: tuple[PublishedNumber, ...] = ()

    @property
    def digest(self) -> str:
        """sha256 of all of it: numbers of two protocols do not compare."""
        return config.digest(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One of a protocol's."""

    key: str
    text: str
    group: str = ""  # key of the reference clip that it describes
    seconds: float = 0.0  # of that clip, where known

    @property
    def seed(self) -> int:
        """Of its key alone: more prompts change no other's sound."""
        return int.from_bytes(hashlib.sha256(f"seed:{self.key}".encode()).digest()[:4], "big")


def names() -> list[str]:
    """The protocols that ship."""
    return sorted(path.stem for path in (manifests_folder() / "evaluation").glob(f"*{SUFFIX}"))


def read(name: str) -> EvaluationProtocol:
    """A shipped protocol by its name, or one of a file."""
    path = Path(name)
    if path.suffix != SUFFIX:
        if name not in names():
            near = difflib.get_close_matches(name, names(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(
                f"--protocol {name}: no such protocol{hint} (there are: {', '.join(names())}; or a "
                ".toml file)"
            )
        path = manifests_folder() / "evaluation" / f"{name}{SUFFIX}"
    if not path.is_file():
        raise UsageError(f"--protocol {name}: no such file; shipped are {', '.join(names())}")
    table = config.read_toml(path)
    rows = table.pop("published", [])
    if not isinstance(rows, list):
        raise UsageError(f"{path}: published: want [[published]] tables")
    table["published"] = [
        config.parse(PublishedNumber, row, where=f"{path}: [[published]] {at}")
        for at, row in enumerate(rows, start=1)
    ]
    return config.parse(EvaluationProtocol, table, where=str(path))


def prompts_of_file(protocol: EvaluationProtocol, settings: Settings) -> list[Prompt]:
    """The prompts in the user's CSV that count, in its order."""
    columns = protocol.columns
    if not settings.captions:
        wanted = ", ".join(name for name in (columns.key, columns.prompt, columns.group) if name)
        raise UsageError(
            f"{protocol.name}: its prompts are in a file that is not shipped: give --set captions=FILE.csv "
            f"with the columns {wanted}. {protocol.about}"
        )
    needed = [name for name in (columns.key, columns.prompt, columns.group) if name]
    found = [_prompt(row, columns, settings.captions) for row in lists.rows(settings.captions, needed)]
    twice = [key for key, num in Counter(each.key for each in found).items() if num > 1]
    if twice:
        raise UsageError(
            f"{settings.captions}: {columns.key} {twice[0]!r} is there twice; each prompt needs its own"
        )
    return filtered(_listed(found, protocol, settings), protocol.leave_out)


def filtered(prompts: Sequence[Prompt], leave_out: Sequence[str]) -> list[Prompt]:
    """Without those that hold one of the words anywhere, also inside of others (paper, Table 5)."""
    return [each for each in prompts if not any(word in each.text for word in leave_out)]


def chosen(prompts: list[Prompt], num: int) -> list[Prompt]:
    """So many of them, those whose keys have the least sha256: more of them contain the fewer."""
    if not num or num >= len(prompts):
        return prompts
    by_hash = sorted(prompts, key=lambda each: hashlib.sha256(each.key.encode()).digest())
    keep = {each.key for each in by_hash[:num]}
    return [each for each in prompts if each.key in keep]


def file_digests(settings: Settings) -> dict[str, str]:
    """sha256 of the user's files that decide what is measured."""
    given = {"captions": settings.captions, "ids": settings.ids}
    return {name: checksums.sha256(Path(path)) for name, path in given.items() if path}


def _listed(found: list[Prompt], protocol: EvaluationProtocol, settings: Settings) -> list[Prompt]:
    if not protocol.needs_ids and not settings.ids:
        return found
    if not settings.ids:
        raise UsageError(
            f"{protocol.name}: only prompts of a published list count: give --set ids=FILE, one id a line. "
            f"{protocol.about}"
        )
    ids = lists.text(settings.ids).split()
    keys, groups = {each.key for each in found}, {each.group for each in found}
    nowhere = [each for each in ids if each not in keys and each not in groups]
    if nowhere:
        raise UsageError(
            f"{settings.ids}: {len(nowhere)} of {len(ids)} ids are nowhere in {settings.captions}, first "
            f"{nowhere[0]!r}; do the two files belong together?"
        )
    wanted = set(ids)
    return [each for each in found if each.key in wanted or each.group in wanted]


def _prompt(row: dict[str, str], columns: Columns, path: str) -> Prompt:
    key, text = row[columns.key].strip(), row.get(columns.prompt, "").strip()
    if not key or not text:
        raise UsageError(
            f"{path}: {columns.key} {key!r}: an empty key or prompt; fill it, or delete the line"
        )
    return Prompt(key=key, text=text, group=row.get(columns.group, "").strip() if columns.group else "")
