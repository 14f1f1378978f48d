"""Another credit, or none, for works of a dataset: names change in shards, tables and reports; the audio does
not, and the evidence, which proves the licence, stays.

Both licences that ask for credit give their authors this right: CC BY 4.0, section 3(a)(3); CC BY 3.0, 4(a).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sao_data import config, plugins
from sao_data.attribution.credit import CreditedWork, credit, work_from_row
from sao_data.attribution.plain import one_line
from sao_data.dataset.checks import replay
from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_data.plugins import CaptionBuilder
from sao_data.records import CaptionField, CatalogueRow, Recording, Sample, SampleRow
from sao_data.revision import selection
from sao_data.revision.journal import Change
from sao_data.revision.rewrite import CREDIT, Rewritten, plan, rewrite
from sao_data.revision.selection import Wanted
from sao_data.rights.credits import (
    Credit,
    Credits,
    append,
    credited_as_asked,
    gather,
    read_credits,
    shown_author_id,
    without_withheld_names,
)
from sao_data.rights.takedowns import author_hash, read_tombstones
from sao_data.stages import amend
from sao_data.stages.listing import LIST, utf8_only
from sao_data.storage import evidence, layout, shards
from sao_data.storage.backend import Storage
from sao_data.storage.series import is_pseudonym

WITHHOLD = "withhold"
_NO_NAMES = ("none", "null", "nil", "nan", "n/a", "-")
_CLAIM = "CLAIM\u2022STOOD\u2022HERE"  # stands for the licence's own words in a credit sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditEffect:
    """What a request means for a published dataset."""

    lines: tuple[Credit, ...]  # for credits.jsonl
    rows: tuple[CatalogueRow, ...]  # works meant, as they are
    changes: tuple[tuple[CatalogueRow, CatalogueRow], ...]  # before, after: those that are not so already


def name_of(given: str) -> str:
    """The name to credit, '' = withheld; UsageError for what cannot stand in a credit."""
    if given == WITHHOLD:
        return ""
    if _may_mean_withhold(given):
        raise UsageError(
            f"--as {given!r}: a name, or none? To take the name out write --as {WITHHOLD}; if it is the name "
            "to credit, add to it"
        )
    if not given.strip() or one_line(given) != given:
        raise UsageError(f"--as {given!r}: want a name on one line, or the word {WITHHOLD}")
    return given


def examine(dataset: Dataset, wanted: Wanted, name: str, when: str) -> CreditEffect:
    """What the request means; nothing is changed. MatchedNothing if a part of it does."""
    found = selection.select(map(selection.of_row, dataset.catalogue()), wanted)
    selection.refuse(dataset.storage.url, found, found.missing)
    gone = read_tombstones(dataset.storage).ids
    rows = [r for r in dataset.catalogue() if r.id in found.ids and r.id not in gone and r.stage != LIST]
    lines = tuple(dict.fromkeys(_line(row, row.id in found.by_author, name, when) for row in rows))
    asked = gather((*read_credits(dataset.storage).lines, *lines))
    originals = _originals(dataset, rows)
    pairs = []
    for row in rows:
        new = credited_as_asked(originals.get(row.id) or _as_recording(row), asked)
        after = dataclasses.replace(row, **{field: getattr(new, field) for field in CREDIT})
        if after != row:
            pairs.append((row, after))
    return CreditEffect(lines=lines, rows=tuple(rows), changes=tuple(pairs))


def apply(dataset: Dataset, effect: CreditEffect) -> Rewritten | None:
    """Record the request and rewrite the dataset, under the storage's lock; None if it is all so already."""
    samples = _samples(dataset, {before.id: (before, after) for before, after in effect.changes})
    job = plan(dataset, [Change(row=after, samples=samples.get(after.id, {})) for _, after in effect.changes])
    num_new = append(dataset.storage, effect.lines)
    if not effect.changes:
        return None if not num_new else _nothing_rewritten(dataset)
    return rewrite(dataset.storage, job)


def apply_unfinished(
    storage: Storage, wanted: Wanted, name: str, when: str, *, write: bool
) -> tuple[str, ...]:
    """Record the request for a dataset that was never finished: ids of the works meant. The next ingest
    credits them so. Without `write` nothing is changed."""
    listed = list(amend.listed(storage))
    rows = {row.recording.id: row.recording for _, row in listed if row.raw}
    found = selection.select(selection.of_listed(row for _, row in listed if row.raw), wanted)
    selection.refuse(storage.url, found, found.missing)
    lines = [_line(rows[key], key in found.by_author, name, when) for key in sorted(found.ids)]
    if write:
        append(storage, dict.fromkeys(lines))
        asked = read_credits(storage)
        buckets = {bucket for bucket, row in listed if row.recording.id in found.ids}
        amend.change_credits(storage, buckets, lambda recording: _among(recording, found.ids, asked))
    return tuple(sorted(found.ids))


def _may_mean_withhold(given: str) -> bool:
    """Is this near enough to the word to have been meant for it? (Not "Witold".)"""
    plain = " ".join(given.casefold().split())
    near = difflib.SequenceMatcher(None, plain, WITHHOLD).ratio() > 0.87
    return near or "withh" in plain or plain in _NO_NAMES


def _among(recording: Recording, ids: Collection[str], asked: Credits) -> Recording:
    return credited_as_asked(recording, asked) if recording.id in ids else recording


def _nothing_rewritten(dataset: Dataset) -> Rewritten:
    version = str(dataset.facts["version"])
    return Rewritten(before=version, after=version, written=(), deleted=())


def _line(row: CatalogueRow | Recording, by_author: bool, name: str, when: str) -> Credit:
    """By the author's id where the author was named and has one, else work by work."""
    if by_author and row.author_id and not is_pseudonym(row.author_id):
        return Credit(author=author_hash(row.source, row.author_id), name=name, when=when)
    return Credit(id=row.id, name=name, when=when)


def _as_recording(row: CatalogueRow) -> Recording:
    return Recording(
        id=row.id, source=row.source, title=row.title, **{field: getattr(row, field) for field in CREDIT}
    )


def _originals(dataset: Dataset, rows: Iterable[CatalogueRow]) -> dict[str, Recording]:
    """Works as their sources stated them, read from the evidence: what was withheld can be given back."""
    readers, _ = replay.readers(dataset.facts)
    wanted: dict[str, list[CatalogueRow]] = {}
    for row in rows:
        wanted.setdefault(row.evidence, []).append(row)
    found = {}
    for name in dataset.storage.names(layout.EVIDENCE) if wanted else ():
        raw = evidence.checked_rows(dataset.storage, name)
        for digest in raw.keys() & wanted.keys():
            for row in wanted[digest]:
                for reader in readers:
                    if recording := _read(reader, raw[digest], row.id):
                        found[row.id] = recording
    return found


def _read(reader: replay.EvidenceReader, raw: str, recording_id: str) -> Recording | None:
    try:
        recording = utf8_only(reader.read(raw))
    except ValueError:
        return None  # another source's row
    return recording if recording.id == recording_id else None


def _samples(
    dataset: Dataset, changes: Mapping[str, tuple[CatalogueRow, CatalogueRow]]
) -> dict[str, dict[str, Sample]]:
    """By recording and key, what the shards will say."""
    table = dataset.facts["manifest"]["caption"]
    module = plugins.load("captions", table["plugin"], where=layout.DATASET)
    builder = module.build(config.parse(module.Config, table["config"], where="dataset.json: caption"))
    found: dict[str, dict[str, Sample]] = {}
    for row, sample in _read_samples(dataset, changes.keys()):
        before, after = changes[row.recording_id]
        found.setdefault(row.recording_id, {})[row.key] = _with_new_credit(sample, before, after, builder)
    return found


def _read_samples(dataset: Dataset, ids: Collection[str]) -> Iterator[tuple[SampleRow, Sample]]:
    for row in dataset.samples():
        if row.recording_id in ids:
            with dataset.storage.open(f"{layout.SHARD_FOLDER}/{row.shard}") as file:
                text = shards.read_member(file, row.json_offset, row.json_size)
            where = f"{dataset.storage.url}/{layout.SHARD_FOLDER}/{row.shard}: {row.key}.json"
            yield row, shards.parse_sample(text, where)


def _with_new_credit(
    sample: Sample, before: CatalogueRow, after: CatalogueRow, builder: CaptionBuilder
) -> Sample:
    """The sample as pack.make_sample would write it under the new credit."""
    new = _as_recording(after)
    artist, prompt = _with_new_caption(sample, before.author, new, builder)
    return dataclasses.replace(
        sample,
        artist=artist,
        author=after.author,
        author_id=shown_author_id(new),
        author_url=after.author_url,
        copyright_notice=after.copyright_notice,
        credit=credit(_work(sample, after, _claim_in(sample, before))),
        page_url=after.page_url,
        prompt=prompt,
    )


def _with_new_caption(
    sample: Sample, author: str, new: Recording, builder: CaptionBuilder
) -> tuple[str, str]:
    """Artist and prompt under the new name. Captions name nobody else, so the rest of them stays."""
    was, is_now = _caption(sample, author, builder), _caption(sample, new.author, builder)
    if was == is_now:
        return sample.artist, sample.prompt
    if was == (sample.artist, sample.prompt):
        return is_now
    prompt = sample.prompt.replace(sample.artist, is_now[0]) if sample.artist else sample.prompt
    return is_now[0], prompt  # a builder that reads more than a sample tells


def _caption(sample: Sample, author: str, builder: CaptionBuilder) -> tuple[str, str]:
    """Artist and prompt that the builder makes of what the sample says of its work."""
    said = Recording(
        id=sample.id,
        source=sample.source,
        title=sample.title,
        author=author,
        album=sample.album,
        year=sample.year,
        description=sample.description,
        tags=tuple(sample.tags),
        genres=tuple(sample.genres),
    )
    # these are caption fields already: cleaning them twice may change them
    known = {"description": (sample.description,), "tags": said.tags, "genres": said.genres}
    fields = tuple(_with(field, known) for field in builder.fields(without_withheld_names(said)))
    artist = next((field.values[0] for field in fields if field.name == "artist"), "")
    return artist, builder.prompt(without_withheld_names(said), fields)


def _with(field: CaptionField, known: Mapping[str, tuple[str, ...]]) -> CaptionField:
    return dataclasses.replace(field, values=known.get(field.name, field.values))


def _claim_in(sample: Sample, before: CatalogueRow) -> str:
    """The licence's own words as the sample's credit quotes them; the catalogue keeps only one of two."""
    head, found, tail = credit(_work(sample, before, _CLAIM)).partition(_CLAIM)
    if found and sample.credit.startswith(head) and sample.credit.endswith(tail):
        return sample.credit[len(head) : len(sample.credit) - len(tail)]
    return before.license_claim


def _work(sample: Sample, row: CatalogueRow, claim: str) -> CreditedWork:
    return dataclasses.replace(work_from_row(row), changes=tuple(sample.changes), license_claim=claim)
