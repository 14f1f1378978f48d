"""Two versions of a dataset compared: what became of every recording, and which shards were written anew.

Both catalogues are sorted by id and read side by side, a row group of each in memory at a time. A recording
whose rows differ in anything has at least one kind of change: what became of it (in, left out, no longer
offered) is one, and each thing that its source says otherwise is one more, so that none hides another. What
became of audio, clips and shards is compared where both versions hold the recording.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from sao_data.attribution.plain import author_key, one_line, shorten
from sao_data.dataset.reader import Dataset
from sao_data.licences.later import is_stricter
from sao_data.matching.metadata import NARROWED
from sao_data.records import CatalogueRow, Shard
from sao_data.storage import layout
from sao_data.storage.merge_join import merge

By = Literal["reason", "author", "licence", "source"]
GROUPINGS: tuple[By, ...] = get_args(By)

# In the order in which they are shown.
KINDS = {
    "added": "in B, was not offered in A",
    "regained": "in B, was left out of A",
    "dropped": "was in A, left out of B",
    "opted_out": "dropped, under a stricter preference of its uploader than in A",
    "removed": "was in A, is no longer offered in B",
    "relicensed": "in both, under another licence or version",
    "preference_changed": "in both, the uploader's preference is another",
    "recredited": "in both, author, title, page or another part of the credit is another",
    "reaudio": "in both, with other audio",
    "recut": "in both, other clips, or other changes made to the audio",
    "rerouted": "in both, in other shards",
    "rejudged": "left out of both, for another reason",
    "offered": "newly offered in B, and left out",
    "unlisted": "was left out of A, is no longer offered in B",
    "restated": "nothing of the above, but another fact of its catalogue row",
}
_EDITS = {
    "relicensed": ("license", "license_family", "license_version"),
    "preference_changed": ("ai_preference",),
    "recredited": (
        "author", "author_id", "author_url", "title", "page_url", "copyright_notice", "requested_credit",
    ),
    "reaudio": ("original_sha256", "audio_sha256"),
    "recut": ("num_clips", "num_clips_rejected", "seconds", "changes"),
    "rerouted": ("shards",),
}  # fmt: skip
_OF_THE_SOURCE = ("relicensed", "preference_changed", "recredited")  # known of works that are left out too
_FIELDS = tuple(item.name for item in dataclasses.fields(CatalogueRow))
T = TypeVar("T", CatalogueRow, Shard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One of the two."""

    url: str
    name: str
    version: str
    root_digest: str
    offered: int
    kept: int
    seconds: float
    shards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting of the manifest that differs, as JSON; '' = not there."""

    key: str  # "cut.max_seconds"
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A recording, and what changed of it."""

    id: str
    detail: str


@dataclass(slots=True, kw_only=True)
class KindTally:
    """How many recordings a kind of change has, and how much audio of theirs the dataset holds or held."""

    recordings: int = 0
    milliseconds: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.milliseconds / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The changes of one reason, author, licence or source."""

    name: str
    kinds: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that differs. B is the newer version."""

    a: Version
    b: Version
    shards: dict[str, int]  # by name: equal, rewritten, new, gone
    settings: tuple[Setting, ...]
    kinds: dict[str, KindTally]  # all of KINDS
    unchanged: int  # recordings
    groups: tuple[Group, ...]

    @property
    def is_same_version(self) -> bool:
        return self.a.root_digest == self.b.root_digest

    def failing(self, wanted: Iterable[str]) -> list[str]:
        """Which of these kinds there are; `any`: whatever changed of a recording or a shard."""
        found = [kind for kind in wanted if kind != "any" and self.kinds[kind].recordings]
        changed = any(tally.recordings for tally in self.kinds.values())
        changed = changed or any(num for state, num in self.shards.items() if state != "equal")
        return [*found, "any"] if "any" in wanted and changed else found


def compare(a: Dataset, b: Dataset, *, by: By | None = None, num_examples: int = 5) -> Difference:
    """Compare two published versions. Equal root digests are equal versions: nothing more is read then."""
    tallies = {kind: KindTally() for kind in KINDS}
    groups: dict[str, Group] = {}
    unchanged = 0
    same = a.facts["root_digest"] == b.facts["root_digest"]
    pairs = merge(a.catalogue(), b.catalogue(), lambda row: row.id, layout.CATALOGUE)
    for was, now in () if same else pairs:
        kinds = kinds_of(was, now)
        unchanged += not kinds
        if kinds and by:
            key, name = _group(was, now, by)
            groups.setdefault(key, Group(name=name, kinds=Counter())).kinds.update(kinds)
        for kind in kinds:
            _count(tallies[kind], kind, was, now, num_examples)
    return Difference(
        a=_version(a),
        b=_version(b),
        shards={"equal": a.facts["counts"]["shards"]} if same else _shards(a, b),
        settings=tuple(_settings(a.facts["manifest"], b.facts["manifest"])),
        kinds=tallies,
        unchanged=_num_recordings(a) if same else unchanged,
        groups=tuple(sorted(groups.values(), key=lambda g: (-g.kinds.total(), g.name))),
    )


def kinds_of(was: CatalogueRow | None, now: CatalogueRow | None) -> tuple[str, ...]:
    """The kinds of change of one recording; none if its rows are equal."""
    if was is None or now is None:
        row = was or now
        assert row is not None
        moves = ("removed", "unlisted") if now is None else ("added", "offered")
        return (moves[0] if row.kept else moves[1],)
    if was == now:
        return ()
    narrowed = [kind for kind in ("relicensed", "opted_out") if _narrowed(was, now, kind)]
    if was.kept and not now.kept and is_stricter(was.ai_preference, now.ai_preference):
        narrowed = ["opted_out", *narrowed]
    found = dict.fromkeys([*_became(was, now), *narrowed, *_edits(was, now)])
    return tuple(kind for kind in KINDS if kind in found) or ("restated",)


def _became(was: CatalogueRow, now: CatalogueRow) -> tuple[str, ...]:
    """Is it in or out otherwise than it was?"""
    if was.kept != now.kept:
        return ("dropped",) if was.kept else ("regained",)
    return ("rejudged",) if (was.stage, was.reason) != (now.stage, now.reason) else ()


def _edits(was: CatalogueRow, now: CatalogueRow) -> Iterator[str]:
    """What its source says otherwise, and, where it is in both, what else is otherwise."""
    if _is_bare(was) or _is_bare(now):
        return
    for kind, names in _EDITS.items():
        if (kind in _OF_THE_SOURCE or (was.kept and now.kept)) and _differing(was, now, names):
            yield kind


def _is_bare(row: CatalogueRow) -> bool:
    """Is nothing known of it but that it was offered (taken down, or a row that could not be read)?"""
    return not (row.title or row.author or row.page_url or row.license_claim or row.evidence)


def _narrowed(was: CatalogueRow, now: CatalogueRow, kind: str) -> bool:
    """Kept, or waiting, under the terms of then: what its source says now stands in the detail alone."""
    return now.rule in NARROWED and was.detail != now.detail and f"{kind}: " in now.detail


def _shards(a: Dataset, b: Dataset) -> dict[str, int]:
    states = dict.fromkeys(("equal", "rewritten", "new", "gone"), 0)
    for was, now in merge(a.shards(), b.shards(), lambda shard: shard.name, layout.SHARDS):
        if was is None or now is None:
            states["new" if was is None else "gone"] += 1
        else:
            states["equal" if was.sha256 == now.sha256 else "rewritten"] += 1
    return states


def _count(
    tally: KindTally, kind: str, was: CatalogueRow | None, now: CatalogueRow | None, num_examples: int
) -> None:
    row = now if now is not None and (now.kept or was is None) else was
    assert row is not None
    tally.recordings += 1
    tally.milliseconds += round((row.seconds or 0.0) * 1000)
    if len(tally.examples) < num_examples:
        tally.examples.append(Example(id=row.id, detail=_detail(kind, was, now)))


def _detail(kind: str, was: CatalogueRow | None, now: CatalogueRow | None) -> str:
    """What changed, in words: fields before and after, or why it was or is left out."""
    if was is None or now is None:
        row = now or was
        assert row is not None
        return row.license if row.kept else _why(row)
    if kind == "rejudged":
        return f"{_why(was)} → {_why(now)}"
    if kind in ("dropped", "regained"):
        return _why(now if kind == "dropped" else was)
    names = ("ai_preference",) if kind == "opted_out" else _EDITS.get(kind, _FIELDS)
    return "; ".join(
        f"{name}: {_text(was, name)} → {_text(now, name)}" for name in _differing(was, now, names)
    )


def _why(row: CatalogueRow) -> str:
    return f"{row.stage}: {row.reason}" + (f" ({shorten(row.detail)})" if row.detail else "")


def _differing(was: CatalogueRow, now: CatalogueRow, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if getattr(was, name) != getattr(now, name)]


def _text(row: CatalogueRow, name: str) -> str:
    value = getattr(row, name)
    text = " ".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
    is_hash = name == "evidence" or name.endswith("_sha256")
    return shorten(text, 13 if is_hash else 60) or "not stated"


def _group(was: CatalogueRow | None, now: CatalogueRow | None, by: By) -> tuple[str, str]:
    """Key and name of the group that a recording belongs to, by its newest row."""
    row = now or was
    assert row is not None
    if by == "author":
        return author_key(row), one_line(row.author) or "not stated"
    if by == "source":
        return row.source, row.source
    if by == "reason":
        left_out = row if not row.kept else was
        name = left_out.reason if left_out is not None and not left_out.kept else "none"
        return name, name
    licences = dict.fromkeys(r.license or "none" for r in (was, now) if r is not None)
    return " → ".join(licences), " → ".join(licences)


def _version(dataset: Dataset) -> Version:
    facts, counts = dataset.facts, dataset.facts["counts"]
    return Version(
        url=dataset.storage.url,
        name=facts["name"],
        version=facts["version"],
        root_digest=facts["root_digest"],
        offered=counts["offered"],
        kept=counts["kept"],
        seconds=counts["seconds"],
        shards=counts["shards"],
    )


def _num_recordings(dataset: Dataset) -> int:
    """A repeated offer is no further recording."""
    repeats: int = dataset.facts["rejected_by_reason"].get("duplicate_id", 0)
    return int(dataset.facts["counts"]["offered"]) - repeats


def _settings(a: object, b: object) -> Iterator[Setting]:
    was, now = dict(_flat(a, "")), dict(_flat(b, ""))
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key):
            yield Setting(key=key, a=was.get(key, ""), b=now.get(key, ""))


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Dotted keys and their values as JSON; a list of plain values is one value."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        yield prefix, json.dumps(value, ensure_ascii=False, sort_keys=True)
        return
    for key, item in value.items():
        yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
