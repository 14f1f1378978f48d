"""A declared release enforced on whoever uses a dataset: on trainings, and on weights long after.

A dataset was decided for the release in its manifest. A use declares its own. One that is no wider needs no
look at the works; a wider one is refused where a kept work does not allow it. `Terms` are what the works ask,
counted: they are stored with weights, where there is no catalogue.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sao_data import config
from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_data.licences import Release, meets, normalise_preference
from sao_data.licences.table import table
from sao_data.records import CatalogueRow

__all__ = [
    "Condition",
    "Release",
    "Terms",
    "check_release",
    "check_terms",
    "conditions",
    "is_noncommercial",
    "terms_from",
    "terms_of",
    "violations",
    "wider_flags",
]

FLAGS = tuple(field.name for field in dataclasses.fields(Release))
_NUM_NAMED = 5  # ids in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a number of works ask of a release; '' and False ask nothing."""

    license_family: str  # one whose whole works may be shared non-commercially only
    ai_preference: str  # the uploaders' wish
    reviewed: bool  # let in by a person's answer, which was given for the dataset's release alone
    works: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the works of a dataset ask, and the release that they were decided for."""

    dataset_release: Release
    conditions: tuple[Condition, ...]


def check_release(dataset: Dataset, release: Release, what: str, series: Iterable[str] = ()) -> None:
    """UsageError if `what`, a use that declares `release`, is wider than a kept work of these series allows
    (none named: of all). The catalogue is read only if the release is wider than the dataset's."""
    reasons: Counter[str] = Counter()
    ids: list[str] = []
    for row, found in _at_issue(dataset, release, series):
        reasons.update(found)
        ids.append(row.id)
    if ids:
        raise UsageError(
            f"{dataset.storage.url}: {what} declares {_difference(_decided(dataset), release)}; "
            f"{len(ids)} of its works do not allow that: {_counted(reasons)}: {', '.join(ids[:_NUM_NAMED])}"
            f"{', …' if len(ids) > _NUM_NAMED else ''}; declare the dataset's release in [release], or use a "
            "dataset whose manifest declares this one"
        )


def check_terms(terms: Terms, release: Release, what: str, where: str) -> None:
    """The same from terms that were kept with weights: numbers instead of names."""
    decided = terms.dataset_release
    asked = terms.conditions if wider_flags(decided, release) else ()
    reasons: Counter[str] = Counter()
    num = 0
    for condition in asked:
        found = _reasons(condition, release)
        reasons.update(dict.fromkeys(found, condition.works))
        num += condition.works if found else 0
    if num:
        raise UsageError(
            f"{where}: {what} declares {_difference(decided, release)}; {num} of the works it was trained on "
            f"do not allow that: {_counted(reasons)}; keep to what it was trained for, or train on a dataset "
            "whose manifest declares this one"
        )


def wider_flags(decided: Release, release: Release) -> tuple[str, ...]:
    """Flags that make `release` wider than the one decided for: a wish that was met would not be, or what was
    not commercial would be. Not every difference is: to open what was closed breaks no wish."""
    return tuple(flag for flag in FLAGS if _breaks(decided, flag, getattr(release, flag)))


def violations(dataset: Dataset, release: Release, series: Iterable[str] = ()) -> Iterator[CatalogueRow]:
    """Kept works that do not allow this release, in the catalogue's order."""
    return (row for row, _ in _at_issue(dataset, release, series))


def conditions(
    rows: Iterable[CatalogueRow], decided: Release, *, risks_sampling: bool = False
) -> tuple[Condition, ...]:
    """What the kept works among these rows ask, beyond the release they were `decided` for. `risks_sampling`:
    their policy accepts Sampling+ in commercial releases."""
    nums = Counter(_asked(row, decided, risks_sampling) for row in rows if row.kept)
    found = (dataclasses.replace(asked, works=num) for asked, num in nums.items() if not _is_free(asked))
    return tuple(sorted(found, key=lambda c: (c.license_family, c.ai_preference, c.reviewed)))


def terms_of(dataset: Dataset, series: Iterable[str] = ()) -> Terms:
    """What the kept works of these series ask (none named: of all)."""
    decided = _decided(dataset)
    found = conditions(_kept(dataset, series), decided, risks_sampling=_risks(dataset))
    return Terms(dataset_release=decided, conditions=found)


def terms_from(data: dict[str, Any], where: str) -> Terms | None:
    """The terms in a training_data.json, `config.canonical(terms)` among its keys; None: it has none."""
    if "conditions" not in data or "dataset_release" not in data:
        return None
    return Terms(
        dataset_release=config.parse(Release, data["dataset_release"], where=f"{where}: dataset_release"),
        conditions=tuple(
            config.parse(Condition, item, where=f"{where}: conditions") for item in data["conditions"]
        ),
    )


def is_noncommercial(family: str) -> bool:
    """May whole works under this family of licences be shared non-commercially only?"""
    return family == "SAMPLING+" or "NC" in family.split("-")


def _at_issue(
    dataset: Dataset, release: Release, series: Iterable[str]
) -> Iterator[tuple[CatalogueRow, tuple[str, ...]]]:
    """Kept works that do not allow the release, each with why."""
    decided, risks = _decided(dataset), _risks(dataset)
    if wider_flags(decided, release):
        for row in _kept(dataset, series):
            if found := _reasons(_asked(row, decided, risks), release):
                yield row, found


def _asked(row: CatalogueRow, decided: Release, risks_sampling: bool) -> Condition:
    """What one work asks. Its licence asks nothing where it was accepted for a commercial release."""
    accepted = decided.commercial or (row.license_family == "SAMPLING+" and risks_sampling)
    binds = is_noncommercial(row.license_family) and not accepted
    preference = normalise_preference(row.ai_preference)
    wish = row.ai_preference if preference is None else preference
    return Condition(
        license_family=row.license_family if binds else "",
        ai_preference="" if table().preference_wants.get(wish) == {} else wish,
        reviewed=row.rule == "allowed_by_review",
        works=1,
    )


def _reasons(condition: Condition, release: Release) -> tuple[str, ...]:
    """Why works under this condition do not allow a release wider than the one decided for; none: they do."""
    found = []
    if condition.license_family and release.commercial:
        found.append(f"under {condition.license_family} (non-commercial)")
    if condition.ai_preference and not _met(condition.ai_preference, release):
        found.append(f"by the preference {condition.ai_preference}")
    if condition.reviewed:
        found.append("let in by a person's answer for the dataset's release alone")
    return tuple(found)


def _met(wish: str, release: Release) -> bool:
    """A wish that this version does not know is met by no release."""
    preference = normalise_preference(wish)
    return bool(preference) and meets(preference or "", release)


def _is_free(condition: Condition) -> bool:
    return not (condition.license_family or condition.ai_preference or condition.reviewed)


def _breaks(decided: Release, flag: str, value: bool) -> bool:
    changed = dataclasses.replace(decided, **{flag: value})
    if changed.commercial and not decided.commercial:
        return True
    return any(meets(wish, decided) and not meets(wish, changed) for wish in table().preference_wants)


def _decided(dataset: Dataset) -> Release:
    """The release that the dataset's manifest declares."""
    declared = dataset.facts["manifest"]["release"]
    return config.parse(Release, declared, where=f"{dataset.storage.url}/dataset.json: release")


def _risks(dataset: Dataset) -> bool:
    """Does the dataset's policy take the risk of Sampling+ in commercial releases?"""
    return bool(dataset.facts["manifest"]["policy"].get("sampling_plus") == "accept-commercial-risk")


def _kept(dataset: Dataset, series: Iterable[str]) -> Iterator[CatalogueRow]:
    wanted = set(series)
    names = {shard.name for shard in dataset.shards() if shard.series in wanted}
    for row in dataset.catalogue():
        if row.kept and (not wanted or not names.isdisjoint(row.shards)):
            yield row


def _difference(decided: Release, release: Release) -> str:
    """ "commercial_use = true where the dataset was made for false" """
    parts = [
        f"{flag} = {str(getattr(release, flag)).lower()} where the dataset was made for "
        f"{str(getattr(decided, flag)).lower()}"
        for flag in wider_flags(decided, release)
    ]
    return ", ".join(parts)


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(
        f"{num} {reason}" for reason, num in sorted(reasons.items(), key=lambda i: (-i[1], i[0]))
    )
