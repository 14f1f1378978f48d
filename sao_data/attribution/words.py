"""Sentences that several files of the report share, so that they never say different things."""

from __future__ import annotations

from sao_data.attribution.info import DatasetInfo
from sao_data.attribution.plain import count

NOT_ADVICE = "This report states facts as the sources published them. It is not legal advice."

SAMPLING_PLUS = (
    "Sampling+ works: whole copies, and so the shards that hold them, may be passed on non-commercially only;"
    " nothing made from them may be used in advertising or promotion, except for the derivative itself and"
    " its author; use in a new work must be partial or recombined and highly transformative."
)


def statement(info: DatasetInfo) -> str:
    """The front sentence: how many recordings, by how many people, allowed or not."""
    if not info.kept:
        return "No recording is in this dataset."
    works = f"{count(info.kept, 'recording')} {_by_whom(info)}"
    if info.num_not_by_rule or info.num_earlier:
        by_rule = info.kept - info.num_not_by_rule - info.num_earlier
        person = f", {info.num_not_by_rule:,} let in by a person" if info.num_not_by_rule else ""
        earlier = f", {info.num_earlier:,} kept under earlier terms" if info.num_earlier else ""
        return f"{works}; {by_rule:,} allowed under their licence{person}{earlier}."
    each = "allowed under its licence" if info.kept == 1 else "every one allowed under its licence"
    return f"{works}, {each}."


def left_out(info: DatasetInfo) -> str:
    """The second sentence: how many of the offered ones were left out."""
    if not info.rejected:
        return (
            f"Nothing of the {info.offered:,} offered was left out."
            if info.offered
            else "Nothing was offered."
        )
    verb = "was" if info.rejected == 1 else "were"
    repeats = dict(info.rejected_by_reason).get("duplicate_id", 0)
    which = f", {repeats:,} of them as repeats" if repeats else ""
    return f"{info.rejected:,} of {info.offered:,} offered {verb} left out{which}."


def has_sampling_plus(info: DatasetInfo) -> bool:
    """Does the dataset hold Sampling+ works?"""
    return any(family == "SAMPLING+" for family, _ in info.kept_by_family)


def sampling_plus(info: DatasetInfo) -> str:
    """What Sampling+ asks of whoever shares these shards, and where it binds; '' if there are none."""
    if not has_sampling_plus(info):
        return ""
    series = ", ".join(info.sampling_plus_series)
    return f"{SAMPLING_PLUS} They lie in the series: {series}." if series else SAMPLING_PLUS


def _by_whom(info: DatasetInfo) -> str:
    if not info.num_authors:
        return "without a named author"
    people = f"by {count(info.num_authors, 'person', 'people')}"
    return f"{people} (the author of {info.num_unnamed:,} is not named)" if info.num_unnamed else people
