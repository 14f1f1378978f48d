"""A use wider than its dataset was decided for is refused, with the works at issue; others are not."""

from __future__ import annotations

import dataclasses
import itertools
import json
import typing
from pathlib import Path

import pytest

from sao_data import config
from sao_data.dataset.reader import Dataset
from sao_data.dataset.release import (
    FLAGS,
    Condition,
    Release,
    Terms,
    check_release,
    check_terms,
    conditions,
    is_noncommercial,
    terms_from,
    terms_of,
    violations,
    wider_flags,
)
from sao_data.errors import UsageError
from sao_data.licences import Policy, judge, meets, parse
from sao_data.licences.policy import FAMILIES
from sao_data.licences.table import table
from sao_data.records import CatalogueRow, Shard
from sao_data.storage import layout, tables
from sao_data.storage.backend import open_storage

PAPER = Release()
COMMERCIAL = Release(commercial_use=True)
CLOSED = Release(open_source=False)
NC_WISH, OPEN_WISH = "noncommercial-open-source-models", "open-source-models"
RELEASES = [Release(**dict(zip(FLAGS, values, strict=True)))
            for values in itertools.product((True, False), repeat=4)]  # fmt: skip


def blank(hint: object) -> object:
    return {str: "", int: 0, bool: False}.get(typing.cast("type", hint), () if "tuple" in str(hint) else None)


def work(number: int, family: str = "CC0", wish: str = "", **facts: object) -> CatalogueRow:
    """A kept work in the first training shard."""
    empty = {name: blank(hint) for name, hint in typing.get_type_hints(CatalogueRow).items()}
    said = {"id": f"made:{number}", "kept": True, "license_family": family, "ai_preference": wish}
    return CatalogueRow(**empty | {"shards": ("train-000000.tar",), "rule": "allowed"} | said | facts)  # type: ignore[arg-type]


def dataset(tmp: Path, *rows: CatalogueRow, release: Release = PAPER, **policy: str) -> Dataset:
    """As much of a dataset as the check looks at."""
    storage = open_storage(str(tmp))
    series = {"train-000000.tar": "train", "train-sampling-plus-000000.tar": "train-sampling-plus"}
    shards = [Shard(name=n, series=s, sha256="", num_samples=1, num_bytes=1) for n, s in series.items()]
    tables.write(storage, layout.SHARDS, Shard, shards)
    tables.write(storage, layout.CATALOGUE, CatalogueRow, rows)
    manifest = {"release": config.canonical(release), "policy": policy}
    return Dataset(storage=storage, facts={"manifest": manifest})


def at_issue(made: Dataset, release: Release, *series: str) -> list[str]:
    return [row.id for row in violations(made, release, series)]


# ---------------------------------------------------------------------------------------------- what is wider


@pytest.mark.parametrize("decided", RELEASES, ids=str)
def test_a_release_is_wider_exactly_if_it_breaks_a_wish_or_becomes_commercial(decided: Release) -> None:
    wishes = table().preference_wants
    for release in RELEASES:
        breaks = any(meets(wish, decided) and not meets(wish, release) for wish in wishes)
        becomes = release.commercial and not decided.commercial
        assert bool(wider_flags(decided, release)) == (breaks or becomes)


def test_the_wider_flags_are_named_and_no_others() -> None:
    asked = Release(open_source=False, commercial_use=True)
    assert wider_flags(PAPER, asked) == ("open_source", "commercial_use")
    assert wider_flags(CLOSED, PAPER) == ()  # to open what was closed breaks nothing
    assert wider_flags(COMMERCIAL, PAPER) == ()


def test_licences_bind_as_the_policy_has_it() -> None:
    """Two places know which families are non-commercial: here they are compared."""
    policy = Policy(families=FAMILIES)
    for unit in table().units.values():
        version = unit.versions[-1] if unit.versions else ""
        licence = parse(f"https://creativecommons.org/{unit.category}/{unit.slug}/{version}/")
        if licence.family in FAMILIES and licence.status != "repairable":
            judged = judge(licence, policy, COMMERCIAL).rule == "license_noncommercial"
            assert is_noncommercial(licence.family) == judged, licence.family


# ------------------------------------------------------------------------------------------------- a dataset


def test_a_use_no_wider_reads_no_catalogue(tmp_path: Path) -> None:
    made = dataset(tmp_path, work(1, "SAMPLING+"))
    (tmp_path / layout.CATALOGUE).unlink()
    check_release(made, PAPER, "a training")
    with pytest.raises(FileNotFoundError):
        check_release(made, COMMERCIAL, "a training")


def test_works_at_issue_are_those_whose_licence_or_wish_does_not_allow_it(tmp_path: Path) -> None:
    made = dataset(
        tmp_path,
        work(1), work(2, "BY", "no-additional-preferences"), work(3, "SAMPLING+"), work(4, "BY-NC"),
        work(5, "CC0", NC_WISH), work(6, "BY", OPEN_WISH), work(7, "SAMPLING+", kept=False),
    )  # fmt: skip
    assert at_issue(made, PAPER) == []
    assert at_issue(made, COMMERCIAL) == ["made:3", "made:4", "made:5"]
    assert at_issue(made, CLOSED) == ["made:5", "made:6"]
    assert at_issue(made, Release(freely_available=False)) == ["made:5", "made:6"]
    assert at_issue(made, Release(commercial_training=True)) == ["made:3", "made:4", "made:5"]


def test_the_refusal_names_flags_causes_works_and_the_way_out(tmp_path: Path) -> None:
    made = dataset(tmp_path, *(work(n, "SAMPLING+") for n in range(6)), work(6, "BY", NC_WISH), work(7))
    with pytest.raises(UsageError) as refused:
        check_release(made, Release(commercial_use=True, open_source=False), "the training")
    said = str(refused.value)
    assert refused.value.exit_code == 2
    assert "the training declares open_source = false where the dataset was made for true, " in said
    assert "commercial_use = true where the dataset was made for false; 7 of its works do not allow" in said
    assert (
        f"6 under SAMPLING+ (non-commercial), 1 by the preference {NC_WISH}: made:0, made:1, made:2" in said
    )
    assert "made:4, …; declare the dataset's release in [release], or use a dataset whose manifest" in said
    assert "made:5" not in said


def test_a_wider_use_of_works_that_ask_nothing_is_allowed(tmp_path: Path) -> None:
    made = dataset(tmp_path, work(1), work(2, "BY", ""), work(3, "BY", "no-additional-preferences"))
    check_release(made, Release(open_source=False, commercial_training=True), "a training")
    assert terms_of(made) == Terms(dataset_release=PAPER, conditions=())


def test_only_the_series_that_are_drawn_from_count(tmp_path: Path) -> None:
    apart = work(2, "SAMPLING+", shards=("train-sampling-plus-000000.tar",))
    made = dataset(tmp_path, work(1), apart)
    check_release(made, COMMERCIAL, "a training", ("train",))
    assert terms_of(made, ("train",)).conditions == ()
    assert at_issue(made, COMMERCIAL, "train", "train-sampling-plus") == ["made:2"]


def test_a_risk_that_the_policy_takes_is_taken_here_too(tmp_path: Path) -> None:
    rows = work(1, "SAMPLING+"), work(2, "NC-SAMPLING+")
    assert at_issue(dataset(tmp_path, *rows), COMMERCIAL) == ["made:1", "made:2"]
    taken = dataset(tmp_path, *rows, sampling_plus="accept-commercial-risk")
    assert at_issue(taken, COMMERCIAL) == ["made:2"]


def test_a_persons_answer_holds_for_the_release_it_was_given_for(tmp_path: Path) -> None:
    rows = work(1, "BY", rule="allowed_by_review"), work(2, "SAMPLING+", rule="allowed_by_review")
    made = dataset(tmp_path, *rows, release=COMMERCIAL)
    assert at_issue(made, COMMERCIAL) == []
    assert at_issue(made, PAPER) == []
    closed = Release(open_source=False, commercial_use=True)
    with pytest.raises(
        UsageError, match="2 let in by a person's answer for the dataset's release alone: mad"
    ):
        check_release(made, closed, "a training")


def test_a_wish_that_this_version_does_not_know_is_met_by_no_wider_release(tmp_path: Path) -> None:
    made = dataset(tmp_path, work(1, "CC0", "only-on-tuesdays"))
    check_release(made, PAPER, "a training")
    assert at_issue(made, CLOSED) == ["made:1"]


# ------------------------------------------------------------------------------------- what goes with weights


def test_conditions_count_what_works_ask_and_leave_out_what_asks_nothing() -> None:
    rows = [
        work(1), work(2, "SAMPLING+"), work(3, "SAMPLING+"), work(4, "SAMPLING+", NC_WISH),
        work(5, "BY", OPEN_WISH), work(6, "BY", rule="allowed_by_review"), work(7, "BY-NC", kept=False),
    ]  # fmt: skip
    assert [dataclasses.astuple(found) for found in conditions(rows, PAPER)] == [
        ("", "", True, 1), ("", OPEN_WISH, False, 1),
        ("SAMPLING+", "", False, 2), ("SAMPLING+", NC_WISH, False, 1),
    ]  # fmt: skip
    accepted = conditions(rows, PAPER, risks_sampling=True)
    assert {found.license_family for found in accepted} == {""}
    assert {found.license_family for found in conditions(rows, COMMERCIAL)} == {""}


def test_terms_come_back_from_json_and_refuse_what_the_dataset_would(tmp_path: Path) -> None:
    rows = work(1, "SAMPLING+"), work(2, "SAMPLING+", NC_WISH), work(3, "BY", OPEN_WISH), work(4)
    made = dataset(tmp_path, *rows)
    text = json.dumps(config.canonical(terms_of(made)))
    terms = terms_from(json.loads(text), "x.json")
    assert terms == terms_of(made)
    for release in RELEASES:
        issue = at_issue(made, release)
        if issue:
            with pytest.raises(UsageError, match=f"CKPT: .*; {len(issue)} of the works it was trained on"):
                check_terms(terms, release, "the generation", "CKPT")
        else:
            check_terms(terms, release, "the generation", "CKPT")


def test_terms_name_causes_in_numbers() -> None:
    asks = (
        Condition(license_family="SAMPLING+", ai_preference="", reviewed=False, works=12),
        Condition(license_family="SAMPLING+", ai_preference=NC_WISH, reviewed=True, works=3),
    )
    wanted = (
        rf"15 .*: 15 under SAMPLING\+ \(non-commercial\), 3 by the preference {NC_WISH}, 3 let in by a pers"
    )
    with pytest.raises(UsageError, match=wanted):
        check_terms(Terms(dataset_release=PAPER, conditions=asks), COMMERCIAL, "the generation", "CKPT")


def test_works_kept_against_their_wish_do_not_stop_a_use_that_is_no_wider() -> None:
    kept = Condition(license_family="", ai_preference="no-gen-ai", reviewed=True, works=1)
    terms = Terms(dataset_release=PAPER, conditions=(kept,))
    check_terms(terms, PAPER, "the generation", "CKPT")
    with pytest.raises(UsageError, match="1 by the preference no-gen-ai"):
        check_terms(terms, CLOSED, "the generation", "CKPT")


def test_a_record_without_conditions_says_nothing_and_a_broken_one_is_refused() -> None:
    assert terms_from({"dataset": "old"}, "x.json") is None
    broken = {"dataset_release": {"opensource": True}, "conditions": []}
    with pytest.raises(UsageError, match=r"x\.json: dataset_release: unknown key 'opensource'"):
        terms_from(broken, "x.json")
