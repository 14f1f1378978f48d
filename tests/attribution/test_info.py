"""The numbers of a report add up."""

import pytest
from hypothesis import given, settings

from sao_data.attribution.info import info_from
from sao_data.attribution.words import left_out, statement
from sao_data.errors import IntegrityError
from sao_data.records import CatalogueRow
from tests.attribution.made_rows import CC0, SAMPLING_PLUS, catalogues, dropped, info_of, kept


@settings(max_examples=40)
@given(catalogues())
def test_numbers_add_up(rows: list[CatalogueRow]) -> None:
    info = info_of(rows)
    assert info.offered == sum(row.num_offers for row in rows)
    assert info.offered == info.kept + info.rejected
    assert info.rejected == sum(number for _, number in info.rejected_by_reason)
    assert info.kept == sum(number for _, number in info.kept_by_family)
    assert info.kept == sum(number for _, number in info.kept_by_source)
    assert info.kept == sum(tally.count for tally in info.kept_by_license)
    assert info.seconds == pytest.approx(sum(tally.seconds for tally in info.kept_by_license))
    assert info.num_authors + info.num_unnamed <= info.kept + (info.num_unnamed > 0)


@settings(max_examples=40)
@given(catalogues())
def test_order_of_rows_changes_nothing(rows: list[CatalogueRow]) -> None:
    assert info_of(rows) == info_of(rows[::-1])


def test_repeated_offers_are_counted_as_duplicates() -> None:
    info = info_of([kept(1, num_offers=3), dropped(2, num_offers=2), dropped(3)])
    assert info.rejected_by_reason == (("duplicate_id", 3), ("license_not_allowed", 2))
    assert (info.offered, info.kept, info.rejected) == (6, 1, 5)


def test_front_statement_in_plain_words() -> None:
    info = info_of([*(kept(n, author=f"a{n % 61}", author_url="") for n in range(189)), dropped(900)])
    assert statement(info) == "189 recordings by 61 people, every one allowed under its licence."
    assert left_out(info) == "1 of 190 offered was left out."


def test_statement_of_odd_datasets() -> None:
    assert statement(info_of([])) == "No recording is in this dataset."
    assert left_out(info_of([])) == "Nothing was offered."
    assert statement(info_of([kept(1)])) == "1 recording by 1 person, allowed under its licence."
    assert statement(info_of([kept(1, author="")])).startswith("1 recording without a named author, ")
    mixed = statement(info_of([kept(1), kept(2, author="")]))
    assert mixed.startswith("2 recordings by 1 person (the author of 1 is not named), ")
    assert "2 of them as repeats" in left_out(info_of([kept(1, num_offers=3)]))


@pytest.mark.parametrize("how", [{"verdict": "review"}, {"rule": "allowed_by_review"}])
def test_a_work_let_in_by_a_person_is_never_called_allowed(how: dict[str, str]) -> None:
    info = info_of([kept(1), kept(2, **how)])
    assert statement(info) == "2 recordings by 1 person; 1 allowed under their licence, 1 let in by a person."
    assert any("no rule allowed" in line for line in info.warnings)


def test_unknowns_are_warned_of() -> None:
    info = info_of(
        [kept(1, author="", title="", page_url="javascript:x", license_version="", ai_preference="")]
    )
    text = " ".join(info.warnings)
    for said in (
        "author the source does not name",
        "without a title",
        "usable address",
        "version",
        "generative AI",
    ):
        assert said in text
    assert info_of([kept(1, ai_preference="no-additional-preferences")]).warnings == ()


def test_clips_that_are_in_no_shard_are_warned_of() -> None:
    info = info_from([kept(1)], [], name="", description="", version="", root_digest="")
    assert "counts 1 clips, the shards hold 0" in info.warnings[-1]


def test_series_with_sampling_plus_are_named() -> None:
    rows = [kept(1, **CC0), kept(2, **SAMPLING_PLUS, shards=("train-sampling-plus-000000.tar",))]
    assert info_of(rows).sampling_plus_series == ("train-sampling-plus",)


@pytest.mark.parametrize(
    "rows",
    [
        [dropped(1, reason="")],
        [kept(1, reason="too_short")],
        [kept(1), kept(1)],
        [kept(1, num_offers=0)],
    ],
)
def test_a_catalogue_that_cannot_add_up_is_damaged(rows: list[CatalogueRow]) -> None:
    with pytest.raises(IntegrityError, match="freesound:1"):
        info_of(rows)
