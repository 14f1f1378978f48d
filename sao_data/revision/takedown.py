"""Take-down: works out of a dataset at somebody's request, from shards, tables, evidence and unfinished work,
with a tombstone each so that no ingest brings them back.

Licences are not revocable, so most of this is courtesy, opt-outs and mistakes; it is done whole all the same.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sao_data import config
from sao_data.dataset.reader import Dataset, open_dataset, read_owner
from sao_data.errors import UsageError
from sao_data.licences import Policy, Release
from sao_data.matching import alike
from sao_data.records import CatalogueRow, Recording
from sao_data.revision import selection
from sao_data.revision.journal import Change
from sao_data.revision.purge_work import purge
from sao_data.revision.rewrite import Rewritten, plan, rewrite
from sao_data.revision.selection import Selected, Wanted
from sao_data.rights import known_audio, takedowns
from sao_data.rights.known_audio import KnownAudio
from sao_data.rights.takedowns import Tombstone, Tombstones, author_hash, author_hashes
from sao_data.stages import amend
from sao_data.stages.decide import Decide
from sao_data.stages.judge import judge
from sao_data.stages.listing import LIST, Listed
from sao_data.storage import layout
from sao_data.storage.backend import Storage

_MAIL = re.compile(r"[^\s@]+@[^\s@]+\.\w")
_WORD = re.compile(r"(?<![\w.-])\w+(?![\w-])")  # no part of a date or a number with a point
_BLANKS: dict[Any, Any] = {str: "", bool: False, int: 0, float | None: None, tuple[str, ...]: ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asks for, and why."""

    wanted: Wanted
    reason: str  # published
    when: str  # ISO date

    @property
    def digest(self) -> str:
        wanted = self.wanted
        return config.digest(sorted(wanted.authors), sorted(wanted.ids), sorted(wanted.licences), self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Another work of the dataset that is, or may be, the same: a person decides."""

    id: str
    author: str
    how: str  # "the same file as freesound:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakedownEffect:
    """What a request means for a published dataset."""

    rows: tuple[CatalogueRow, ...]  # works meant that are still there, kept or merely listed
    by_author: frozenset[str]  # of these and of those gone before, the ones meant for their author
    done: frozenset[str]  # works meant that were taken down before
    shards: tuple[str, ...]
    copies: tuple[Copy, ...]


def open_published(storage: Storage) -> Dataset | None:
    """The dataset; None if it was never finished. Stopped if a rewrite was killed half-way."""
    read_owner(storage)
    if not storage.exists(layout.DATASET) and not storage.exists(layout.JOURNAL):
        return None
    return dataclasses.replace(open_dataset(storage.url), storage=storage)


def examine(dataset: Dataset, request: Request) -> TakedownEffect:
    """What the request means; nothing is changed. MatchedNothing if a part of it does."""
    storage, known = dataset.storage, takedowns.read_tombstones(dataset.storage)
    found = selection.select(map(selection.of_row, dataset.catalogue()), request.wanted)
    _add_all_by(found, map(_person, dataset.catalogue()))
    before = _taken_before(storage, found, request, known)
    rows, done = [], set(before - found.ids)
    blank = as_taken_down(dataset)
    for row in dataset.catalogue():
        if row.id in found.ids:
            if row.id in known.ids and blank.of(row) == row:
                done.add(row.id)
            else:
                rows.append(row)
    _check_reason(request, ((row.author, row.author_id) for row in rows))
    return TakedownEffect(
        rows=tuple(rows),
        by_author=frozenset(found.by_author),
        done=frozenset(done),
        shards=tuple(sorted({shard for row in rows for shard in row.shards})),
        copies=tuple(_copies(dataset, {row.id: row for row in rows})),
    )


def apply(dataset: Dataset, request: Request, effect: TakedownEffect) -> Rewritten | None:
    """Take the works down and rewrite the dataset, under the storage's lock; None if all is done already."""
    if not effect.rows:
        return None
    storage, blank = dataset.storage, as_taken_down(dataset)
    job = plan(dataset, [Change(row=blank.of(row), remove=True) for row in effect.rows])
    _remember(storage, request)
    ids = {row.id for row in effect.rows}
    audio = {item.recording_id: item for item in known_audio.read(storage) if item.recording_id in ids}
    version = str(dataset.facts["version"])
    takedowns.append(
        storage,
        (_tombstone(row, request, effect.by_author, audio.get(row.id), version) for row in effect.rows),
    )
    return rewrite(storage, job)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenDownRow:
    """What a catalogue row becomes."""

    policy: Policy
    release: Release

    def of(self, row: CatalogueRow) -> CatalogueRow:
        """The row that an ingest writes of a recording taken down: that it was offered, and no more."""
        if row.stage == LIST:
            return row  # it named no usable recording: nothing was ever known of it
        bare = Recording(id=row.id, source=row.source)
        listed = Listed(recording=bare, raw="", source_index=0, num_offers=row.num_offers)
        decision = judge(listed, self.policy, self.release, frozenset([row.id]))
        known: dict[str, Any] = {name: getattr(row, name) for name in ("id", "source", "num_offers")}
        known |= {"license": decision.license, "license_family": decision.family, "stage": Decide.name}
        known |= {"verdict": decision.verdict, "rule": decision.rule, "reason": decision.rule}
        return CatalogueRow(**_blank() | known | {"detail": decision.detail})


def as_taken_down(dataset: Dataset) -> TakenDownRow:
    """As this dataset's manifest and persons' answers have it."""
    manifest = dataset.facts["manifest"]
    return TakenDownRow(
        policy=config.parse(Policy, manifest["policy"], where=layout.DATASET),
        release=config.parse(Release, manifest["release"], where=layout.DATASET),
    )


def apply_unfinished(storage: Storage, request: Request, *, write: bool) -> tuple[str, ...]:
    """Take down works of a dataset that was never finished, under the storage's lock: ids of those meant.

    The unfinished work forgets them; the next ingest leaves them out. Without `write` nothing is changed.
    """
    known, listed = takedowns.read_tombstones(storage), list(amend.listed(storage))
    rows = {row.recording.id: row for _, row in listed}
    found = selection.select(selection.of_listed(rows.values()), request.wanted)
    _add_all_by(found, (row.recording for row in rows.values()))
    _taken_before(storage, found, request, known)
    ids = {row.recording.id for _, row in listed if row.recording.id in found.ids and row.raw}
    ids |= found.ids - known.ids
    said = (rows[key].recording for key in ids)
    _check_reason(request, ((recording.author, recording.author_id) for recording in said))
    if write and ids:
        _remember(storage, request)
        audio = {item.recording_id: item for item in known_audio.read(storage) if item.recording_id in ids}
        lines = (_unfinished(rows[k], request, found.by_author, audio.get(k)) for k in sorted(ids))
        takedowns.append(storage, lines)
        buckets = {bucket for bucket, row in listed if row.recording.id in ids}
        for bucket in sorted(buckets):
            amend.packed_without(storage, bucket, ids)
        sources: Any = read_owner(storage)["sources"]
        purge(storage, buckets, ids, sources)
    return tuple(sorted(ids))


def _taken_before(storage: Storage, found: Selected, request: Request, known: Tombstones) -> set[str]:
    """Works meant that were taken down before, as far as their tombstones tell; MatchedNothing for what is
    neither there nor was."""
    before: set[str] = set()
    unknown = []
    for text in found.missing:
        hashes = {hashed for source in found.sources for hashed in _hashes_of(text, source)} - {""}
        ids = {line.id for line in known.lines if line.author in hashes or line.id == text}
        before |= ids
        if not ids:
            unknown.append(text)
    if unknown and not _is_remembered(storage, request):
        selection.refuse(storage.url, found, unknown, len(known.ids))
    return before


def _add_all_by(found: Selected, works: Iterable[Recording]) -> None:
    """Let works asked for by their author's name bring all others of that author, as an ingest would."""
    hashes = {work.id: frozenset(author_hashes(work)) for work in works} if found.by_author else {}
    meant: set[str] = set()
    while not found.by_author <= meant:
        meant |= found.by_author
        named = frozenset[str]().union(*(hashes[key] for key in meant))
        found.by_author |= {key for key, own in hashes.items() if not named.isdisjoint(own)}


def _person(row: CatalogueRow) -> Recording:
    return Recording(id=row.id, source=row.source, author=row.author, author_id=row.author_id)


def _hashes_of(text: str, source: str) -> tuple[str, ...]:
    """How tombstones may name the author that a request calls "freesound:77", "77", or by name."""
    given, colon, own = text.partition(":")
    by_id = author_hash(given, own) if colon else author_hash(source, text)
    return by_id, author_hash(source, "", text)


def _tombstone(
    row: CatalogueRow, request: Request, by_author: frozenset[str], audio: KnownAudio | None, version: str
) -> Tombstone:
    return Tombstone(
        id=row.id,
        when=request.when,
        reason=request.reason,
        author=author_hash(row.source, row.author_id, row.author) if row.id in by_author else "",
        md5=row.md5.lower(),
        original_sha256=row.original_sha256 or (audio.original_sha256 if audio else ""),
        audio_sha256=row.audio_sha256 or (audio.audio_sha256 if audio else ""),
        fingerprint=audio.fingerprint if audio else "",
        spectral_hash=audio.spectral_hash if audio else "",
        evidence=row.evidence,
        version=version,
        shards=row.shards,
    )


def _unfinished(
    row: Listed, request: Request, by_author: Iterable[str], audio: KnownAudio | None
) -> Tombstone:
    recording = row.recording
    author = author_hash(recording.source, recording.author_id, recording.author)
    return Tombstone(
        id=recording.id,
        when=request.when,
        reason=request.reason,
        author=author if recording.id in set(by_author) else "",
        md5=recording.md5.lower(),
        original_sha256=recording.sha256 or (audio.original_sha256 if audio else ""),
        audio_sha256=audio.audio_sha256 if audio else "",
        fingerprint=audio.fingerprint if audio else "",
        spectral_hash=audio.spectral_hash if audio else "",
        evidence=recording.evidence,
    )


def _copies(dataset: Dataset, taken: Mapping[str, CatalogueRow]) -> Iterator[Copy]:
    """Kept works under other ids with the same file or audio, or that sound alike; each once."""
    others = {row.id: row for row in dataset.catalogue() if row.kept and row.id not in taken}
    found: dict[str, Copy] = {}
    keys = (
        ("md5", "the same file as"),
        ("original_sha256", "the same file as"),
        ("audio_sha256", "the same audio as"),
    )
    for name, how in keys:
        by_digest = {getattr(row, name).lower(): row.id for row in taken.values() if getattr(row, name)}
        for row in others.values():
            if of := by_digest.get(getattr(row, name).lower()):
                found.setdefault(row.id, Copy(id=row.id, author=row.author, how=f"{how} {of}"))
    for item in _alike(dataset, taken, others):
        found.setdefault(item.id, item)
    yield from (found[key] for key in sorted(found))


def _alike(
    dataset: Dataset, taken: Mapping[str, CatalogueRow], others: Mapping[str, CatalogueRow]
) -> Iterator[Copy]:
    held = {item.recording_id: item for item in known_audio.read(dataset.storage)}
    asked = {key: held[key] for key in sorted(taken) if key in held}
    for pair in alike.find_like(asked, {key: held[key] for key in sorted(others) if key in held}):
        how = f"sounds like {pair.first} ({pair.how})"
        yield Copy(id=pair.second, author=others[pair.second].author, how=how)


def _check_reason(request: Request, people: Iterable[tuple[str, str]]) -> None:
    """The reason is published: it must not name those it is about (name, id), nor say how to reach them."""
    asked = [text.rpartition(":")[2] for text in request.wanted.authors]
    said, pairs = request.reason.casefold(), [*people, *zip(asked, asked, strict=True)]
    names = {name.casefold() for name, _ in pairs if len(name) > 2}
    found = {name for name in names if name in said and re.search(rf"(?<!\w){re.escape(name)}", said)}
    found |= {author_id.casefold() for _, author_id in pairs} & set(_WORD.findall(said))
    if found or _MAIL.search(said):
        problem = "--reason names an author" if found else "--reason holds a mail address"
        raise UsageError(
            f"{problem}, and takedowns.jsonl is published; give it without names, people's numbers and "
            'addresses ("author\'s request")'
        )


def _is_remembered(storage: Storage, request: Request) -> bool:
    return (
        storage.exists(layout.REQUESTS) and request.digest in storage.read(layout.REQUESTS).decode().split()
    )


def _remember(storage: Storage, request: Request) -> None:
    if not _is_remembered(storage, request):
        old = storage.read(layout.REQUESTS) if storage.exists(layout.REQUESTS) else b""
        storage.write(layout.REQUESTS, old + f"{request.digest}\n".encode())


def _blank() -> dict[str, Any]:
    """Every field of a catalogue row with nothing in it."""
    return {name: _BLANKS[hint] for name, hint in typing.get_type_hints(CatalogueRow).items()}
