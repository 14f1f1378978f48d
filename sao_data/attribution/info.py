"""What a report says of the dataset as a whole: counts made from the catalogue, so that they add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sao_data import __version__
from sao_data.attribution.plain import author_key, count, one_line, safe_url
from sao_data.errors import IntegrityError
from sao_data.licences import license_name
from sao_data.records import CatalogueRow, Shard

BY_A_PERSON = "allowed_by_review"  # the rule of the decide stage for what reviews.csv let in
EARLIER = "allowed_under_earlier_terms"  # its rule for what is kept although its rights were narrowed since


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenseTally:
    """How much of the dataset stands under one exact licence."""

    name: str  # "CC BY 3.0"
    license: str  # SPDX id or LicenseRef
    family: str
    url: str  # '' if the version is unknown
    count: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """The dataset in numbers and words; offered == kept + rejected == kept + sum(rejected_by_reason)."""

    name: str
    description: str
    version: str
    root_digest: str
    tool_version: str
    contact: str  # who answers take-down requests, mail address or URL; '' = not stated
    offered: int
    kept: int
    rejected: int
    num_clips: int
    num_clips_rejected: int  # clips left out of recordings that are kept
    num_samples: int
    seconds: float
    num_authors: int  # named ones
    num_unnamed: int  # kept recordings whose author the source does not name
    num_not_by_rule: int  # kept recordings that a person's answer in reviews.csv let in
    num_earlier: int  # kept recordings whose rights were narrowed after they were taken
    rejected_by_reason: tuple[tuple[str, int], ...]
    kept_by_family: tuple[tuple[str, int], ...]
    kept_by_license: tuple[LicenseTally, ...]
    kept_by_source: tuple[tuple[str, int], ...]
    sampling_plus_series: tuple[str, ...]  # shard series that hold Sampling+ works
    warnings: tuple[str, ...]
    policy: tuple[str, ...]  # what was allowed in, in plain words
    release: tuple[str, ...]  # what may be done with the shards, in plain words
    shards: tuple[Shard, ...]


def info_from(
    rows: Iterable[CatalogueRow],
    shards: Iterable[Shard],
    *,
    name: str,
    description: str,
    version: str,
    root_digest: str,
    policy: tuple[str, ...] = (),
    release: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
    contact: str = "",
    tool_version: str = __version__,
) -> DatasetInfo:
    """Count the catalogue in one pass; IntegrityError if a row ended neither kept nor with a reason."""
    tally = _Tally()
    for row in rows:
        tally.add(row)
    shards = tuple(sorted(shards, key=lambda shard: (shard.series, shard.name)))
    num_samples = sum(shard.num_samples for shard in shards)
    series = {shard.name: shard.series for shard in shards}
    assert tally.offered == tally.kept + tally.reasons.total(), (tally.offered, tally.kept, tally.reasons)
    return DatasetInfo(
        name=name,
        description=description,
        version=version,
        root_digest=root_digest,
        tool_version=tool_version,
        contact=contact,
        offered=tally.offered,
        kept=tally.kept,
        rejected=tally.reasons.total(),
        num_clips=tally.num_clips,
        num_clips_rejected=tally.num_clips_rejected,
        num_samples=num_samples,
        seconds=round(tally.milliseconds / 1000, 3),
        num_authors=len(tally.authors),
        num_unnamed=tally.missing["author"],
        num_not_by_rule=tally.missing["rule"],
        num_earlier=tally.missing["earlier"],
        rejected_by_reason=_largest_first(tally.reasons),
        kept_by_family=_largest_first(tally.families),
        kept_by_license=tally.licenses(),
        kept_by_source=_largest_first(tally.sources),
        sampling_plus_series=tuple(
            sorted({series[shard] for shard in tally.sampling_plus_shards if shard in series})
        ),
        warnings=(*warnings, *tally.warnings(), *_shard_warnings(tally.num_clips, num_samples)),
        policy=policy,
        release=release,
        shards=shards,
    )


@dataclass(slots=True, kw_only=True)
class _Tally:
    """Running counts. Time is summed in whole milliseconds, so that no order of rows changes a digit."""

    offered: int = 0
    kept: int = 0
    num_clips: int = 0
    num_clips_rejected: int = 0
    milliseconds: int = 0
    ids: set[str] = field(default_factory=set)
    authors: set[str] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    sampling_plus_shards: set[str] = field(default_factory=set)
    by_license: dict[tuple[str, str, str, str], list[int]] = field(default_factory=dict)

    def add(self, row: CatalogueRow) -> None:
        """Count one catalogue row."""
        _check(row, self.ids)
        self.ids.add(row.id)
        self.offered += row.num_offers
        if row.num_offers > 1:
            self.reasons["duplicate_id"] += row.num_offers - 1
        if row.kept:
            self._add_kept(row)
        else:
            self.reasons[row.reason] += 1

    def _add_kept(self, row: CatalogueRow) -> None:
        milliseconds = round((row.seconds or 0.0) * 1000)
        self.kept += 1
        self.num_clips += row.num_clips
        self.num_clips_rejected += row.num_clips_rejected
        self.milliseconds += milliseconds
        self.families[row.license_family] += 1
        self.sources[row.source] += 1
        key = (row.license_family, row.license_version, row.license, row.license_url)
        entry = self.by_license.setdefault(key, [0, 0])
        entry[0] += 1
        entry[1] += milliseconds
        if row.license_family == "SAMPLING+":
            self.sampling_plus_shards.update(row.shards)
        if author := author_key(row):
            self.authors.add(author)
        self._note_missing(row)

    def _note_missing(self, row: CatalogueRow) -> None:
        self.missing["author"] += not one_line(row.author)
        self.missing["title"] += not one_line(row.title)
        self.missing["page"] += not safe_url(row.page_url)
        self.missing["version"] += not row.license_version
        self.missing["preference"] += not row.ai_preference
        self.missing["earlier"] += row.rule == EARLIER
        self.missing["rule"] += row.verdict != "allow" or row.rule == BY_A_PERSON

    def licenses(self) -> tuple[LicenseTally, ...]:
        """Exact licences, most used first."""
        tallies = [
            LicenseTally(
                name=license_name(spdx),
                license=spdx,
                family=family,
                url=safe_url(url),
                count=number,
                seconds=round(milliseconds / 1000, 3),
            )
            for (family, version, spdx, url), (number, milliseconds) in self.by_license.items()
        ]
        return tuple(sorted(tallies, key=lambda tally: (-tally.count, tally.name, tally.license, tally.url)))

    def warnings(self) -> tuple[str, ...]:
        """One line for everything that sources left unsaid."""
        return tuple(
            text.format(works=count(self.missing[what], "recording"))
            for what, text in _UNSAID.items()
            if self.missing[what]
        )


_UNSAID = {
    "earlier": "{works} kept under the terms they were taken under, which were narrowed since.",
    "rule": "{works} that no rule allowed: a person's answer in reviews.csv let them in.",
    "author": "{works} whose author the source does not name; credited to “an unnamed author”.",
    "title": "{works} without a title; credited as “Untitled work”.",
    "page": "{works} without a usable address of the page where the work is published.",
    "version": "{works} whose licence version the source does not state; none was made up.",
    "preference": "{works} whose uploader's wish about generative AI is not known.",
}


def _check(row: CatalogueRow, seen: set[str]) -> None:
    """A catalogue that cannot add up is damaged, not reportable."""
    if row.id in seen:
        raise IntegrityError(f"catalogue: {row.id} stands there twice; build the dataset again")
    if row.num_offers < 1:
        raise IntegrityError(f"catalogue: {row.id}: num_offers is {row.num_offers}; build the dataset again")
    if row.kept == bool(row.reason):
        ended = "kept, yet with a reason" if row.kept else "neither kept nor given a reason"
        raise IntegrityError(f"catalogue: {row.id}: {ended}; build the dataset again")


def _shard_warnings(num_clips: int, num_samples: int) -> tuple[str, ...]:
    if num_clips == num_samples:
        return ()
    return (
        f"The catalogue counts {num_clips:,} clips, the shards hold {num_samples:,}; `sao verify` tells why.",
    )


def _largest_first(counter: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counter.items(), key=lambda item: (-item[1], item[0])))
