"""A dataset against what its sources say now: every change is found, and only changes are."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from sao_data import manifest
from sao_data.dataset.reader import Dataset
from sao_data.errors import MatchedNothing, UsageError
from sao_data.licences import Policy, Release
from sao_data.licences.later import OnLaterRestriction
from sao_data.records import CatalogueRow, Offer, Recording, Rejection
from sao_data.revision import recheck
from sao_data.revision.recheck import Finding, RecheckInput, RecheckReport
from sao_data.storage import tables
from sao_data.storage.backend import open_storage
from tests.attribution.made_rows import dropped, kept
from tests.versions_made import AFTER, BEFORE, NEW, version, write_works

BY3 = "http://creativecommons.org/licenses/by/3.0/"
NC = "https://creativecommons.org/licenses/by-nc/4.0/"


class Fake:
    """A source that offers these recordings, and counts how often it is asked for all."""

    def __init__(self, *offered: Recording | Rejection) -> None:
        self.offered = offered
        self.num_listed = 0

    def check(self) -> None: ...

    def offers(self) -> Iterator[Offer | Rejection]:
        self.num_listed += 1
        for each in self.offered:
            yield each if isinstance(each, Rejection) else Offer(recording=each, raw="{}")

    def open(self, recording: Recording) -> BinaryIO:
        raise AssertionError("a recheck reads no audio")


class Api(Fake):
    """One that can be asked for single recordings."""

    def look_up(self, ids: Iterable[str]) -> Iterator[Offer]:
        wanted = list(ids)
        assert wanted == sorted(wanted)
        for each in self.offered:
            if isinstance(each, Recording) and each.id in wanted:
                yield Offer(recording=each, raw="{}")


def said(number: int = 4211, **now: object) -> Recording:
    """What a source says that still says what the catalogue's made row has."""
    plain: dict[str, object] = {
        "id": f"freesound:{number}", "source": "freesound", "title": "fire.crackling.mp3",
        "author": "dobroide", "license_claim": BY3,
    }  # fmt: skip
    return Recording(**plain | now)  # type: ignore[arg-type]


def made(url: Path, rows: list[CatalogueRow]) -> Dataset:
    """A dataset of these rows, as far as a recheck reads it."""
    storage = open_storage(str(url))
    tables.write(storage, "catalogue.parquet", CatalogueRow, sorted(rows, key=lambda row: row.id))
    return Dataset(storage=storage, facts={"name": "made", "root_digest": "e" * 64})


def asked(*sources: Fake, policy: Policy | None = None) -> RecheckInput:
    return RecheckInput(sources=sources, policy=policy or Policy(), release=Release())


def kinds(report: RecheckReport) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in report.findings:
        found.setdefault(finding.change.kind, []).append(finding.change.id)
    return found


# --------------------------------------------------------------------------------------------- a real dataset


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return version(tmp_path_factory.mktemp("taken"), BEFORE, "out")


def again(built: Dataset, folder: Path) -> RecheckInput:
    return recheck.from_dataset(built, [f"source.0.path={folder}"])


def test_an_untouched_source_says_the_same(built: Dataset, tmp_path: Path) -> None:
    report = recheck.recheck(built, again(built, write_works(tmp_path / "now", BEFORE)))
    assert (report.compared, report.same, report.findings) == (len(BEFORE), len(BEFORE), ())


def test_every_change_of_a_real_folder_is_found(built: Dataset, tmp_path: Path) -> None:
    report = recheck.recheck(built, again(built, write_works(tmp_path / "now", AFTER)))
    assert kinds(report) == {
        "withdrawn": ["folder:gone-wav", "folder:goneout-wav"],
        "relicensed": [f"folder:{name}-wav" for name in ("moved", "narrowed", "upgraded", "widened")],
        "opted_out": ["folder:optout-wav", "folder:stillout-wav"],
        "renamed": ["folder:renamed-wav", "folder:renamed-wav"],
    }
    assert report.same == report.compared - 9
    then = {finding.change.id: finding.then for finding in report.findings}
    assert then["folder:optout-wav"] == "drop"
    assert then["folder:narrowed-wav"] == then["folder:gone-wav"] == "drop"
    assert then["folder:renamed-wav"] == "keep"
    assert then["folder:widened-wav"] == then["folder:stillout-wav"] == "not kept"


def test_a_sample_is_of_kept_ones_and_always_the_same(built: Dataset, tmp_path: Path) -> None:
    nothing_of_it = again(built, write_works(tmp_path / "now", NEW))
    one, two, more = (recheck.recheck(built, nothing_of_it, sample=n) for n in (3, 3, 6))
    assert one == two
    assert one.compared == 3
    assert {*kinds(one)["withdrawn"]} < {*kinds(more)["withdrawn"]}
    in_it = {row.id for row in built.catalogue() if row.kept}
    assert {*kinds(more)["withdrawn"]} <= in_it
    assert recheck.recheck(built, nothing_of_it, sample=10**6).compared == len(in_it)


def test_where_the_sources_lie_must_be_said(built: Dataset) -> None:
    with pytest.raises(
        UsageError, match=r"where the source folder lies; give --manifest FILE, or --set source\.0"
    ):
        recheck.from_dataset(built, [])
    with pytest.raises(UsageError, match=r"--set num_buckets: a recheck has source"):
        recheck.from_dataset(built, ["num_buckets=3"])
    with pytest.raises(UsageError, match=r"unknown key 'pth'; did you mean 'path'"):
        recheck.from_dataset(built, ["source.0.path=x", "source.0.pth=y"])


def test_sources_without_a_location_need_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text('name = "made"\n[[source]]\nplugin = "synthetic"\ncount = 3\n')
    described = json.loads(json.dumps(manifest.load(path).described()))
    dataset = Dataset(storage=open_storage(str(tmp_path)), facts={"name": "made", "manifest": described})
    (source,) = recheck.from_dataset(dataset, []).sources
    assert len(list(source.offers())) == 3


def test_rules_can_be_tried_out(built: Dataset, tmp_path: Path) -> None:
    folder = write_works(tmp_path / "now", AFTER)
    sets = [f"source.0.path={folder}", "policy.on_later_restriction.relicensed=ask"]
    report = recheck.recheck(built, recheck.from_dataset(built, sets))
    assert {f.change.id for f in report.findings if f.then == "ask"} == {"folder:narrowed-wav"}


def test_a_manifest_says_where_and_must_be_the_datasets_own(built: Dataset, tmp_path: Path) -> None:
    folder = write_works(tmp_path / "now", BEFORE[:3])
    path = tmp_path / "m.toml"
    path.write_text('name = "made"\n[[source]]\nplugin = "folder"\npath = "elsewhere"\n')
    found = recheck.from_manifest(path, ["source.0.path=now"], built, cwd=tmp_path)
    assert recheck.recheck(built, found).same == 3
    path.write_text(f'name = "other"\n[[source]]\nplugin = "folder"\npath = "{folder}"\n')
    with pytest.raises(UsageError, match=r"the manifest of 'other', this is 'made'"):
        recheck.from_manifest(path, [], built)


# --------------------------------------------------------------------------------------------------- readings


def test_an_equal_raw_row_is_no_change_whatever_the_catalogue_keeps_of_it(tmp_path: Path) -> None:
    dataset = made(tmp_path, [kept(1, title="as then")])
    same_row = said(1, title="read otherwise today", license_claim="", evidence="1" * 64)
    assert recheck.recheck(dataset, asked(Fake(same_row))).same == 1


@pytest.mark.parametrize(
    ("row", "now"),
    [
        ({"license_field": "license_claim"}, {}),
        ({"license_field": "license_url"}, {"license_claim": "", "license_url": BY3}),
        ({"license_field": "license_url"}, {"license_claim": "CC BY 3.0"}),
        (
            {"license_field": "license_url, license_claim"},
            {"license_claim": "Attribution", "license_url": BY3},
        ),
        (
            {
                "license_field": "license_url, license_claim",
                "license": "UNKNOWN",
                "license_family": "UNKNOWN",
            },
            {"license_claim": "CC BY-NC 4.0", "license_url": BY3},
        ),
        ({"license_field": "", "license_claim": "", "license": "UNKNOWN"}, {"license_claim": ""}),
        (
            {"rule": "ai_preference_not_understood", "license_field": "license_claim"},
            {"ai_preference": "a wish of tomorrow"},
        ),
        (
            {"rule": "allowed_by_review", "license_field": "license_claim"},
            {"ai_preference": "a wish of tomorrow"},
        ),
        ({"ai_preference": "no-gen-ai"}, {"ai_preference": "no-gen-ai"}),
        ({"is_explicit": True}, {"is_explicit": True}),
    ],
)
def test_the_old_reading_is_made_so_that_the_same_words_are_no_change(
    tmp_path: Path, row: dict[str, object], now: dict[str, object]
) -> None:
    dataset = made(tmp_path, [kept(**row)])
    assert recheck.recheck(dataset, asked(Fake(said(**now)))).findings == ()


def test_two_licence_fields_of_then_are_compared_by_what_they_meant(tmp_path: Path) -> None:
    both = kept(license_field="license_url, license_claim", license_claim=BY3)
    report = recheck.recheck(made(tmp_path, [both]), asked(Fake(said(license_url=NC, license_claim="BY-NC"))))
    ((change, then),) = [(f.change, f.then) for f in report.findings]
    assert (change.before, change.after, change.restricts, then) == (
        "CC-BY-3.0",
        "CC-BY-NC-4.0",
        True,
        "drop",
    )


def test_a_source_that_can_be_asked_for_single_works_is_not_listed(tmp_path: Path) -> None:
    api = Api(said(1), said(2, author="Else"), said(9))
    listed = Fake(said(5))
    heard: list[int] = []
    dataset = made(tmp_path, [kept(n) for n in (1, 2, 3, 5)])
    report = recheck.recheck(dataset, asked(api, listed), tick=heard.append)
    assert (api.num_listed, listed.num_listed, sum(heard)) == (0, 1, 3)
    assert kinds(report) == {"renamed": ["freesound:2"], "withdrawn": ["freesound:3"]}
    assert (report.compared, report.same) == (4, 2)


def test_an_api_that_knows_nothing_any_more_is_believed(tmp_path: Path) -> None:
    report = recheck.recheck(made(tmp_path, [kept(1)]), asked(Api()))
    assert kinds(report) == {"withdrawn": ["freesound:1"]}


def test_of_two_offers_the_richer_counts_as_it_did_in_the_listing(tmp_path: Path) -> None:
    poor = said(1, title="", author="")
    report = recheck.recheck(made(tmp_path, [kept(1)]), asked(Fake(poor, said(1)), Fake(poor)))
    assert report.findings == ()


def test_a_row_that_cannot_be_read_now_is_not_called_withdrawn(tmp_path: Path) -> None:
    bad = Rejection(id="freesound:2", stage="list", reason="bad_type")
    dataset = made(tmp_path, [kept(1), kept(2)])
    report = recheck.recheck(dataset, asked(Fake(bad, said(1))))
    assert (report.compared, report.unreadable, report.findings) == (1, ("freesound:2",), ())
    with pytest.raises(MatchedNothing, match="can no longer be read"):
        recheck.recheck(made(tmp_path / "b", [kept(2)]), asked(Fake(bad)))


def test_what_was_never_a_recording_is_not_asked_for(tmp_path: Path) -> None:
    row = dropped(7, stage="list", reason="bad_metadata")
    with pytest.raises(MatchedNothing, match="no recording to compare"):
        recheck.recheck(made(tmp_path, [row]), asked(Fake(said(7))))


def test_sources_that_offer_nothing_are_taken_for_a_wrong_path(tmp_path: Path) -> None:
    with pytest.raises(MatchedNothing, match="offer nothing now; check their path"):
        recheck.recheck(made(tmp_path, [kept(1)]), asked(Fake()))


def test_current_readings_are_of_exactly_what_was_asked() -> None:
    found = recheck.current_readings([Fake(said(1), said(2))], ["freesound:1", "freesound:3"])
    assert found == {"freesound:1": said(1), "freesound:3": None}


def test_the_table_is_safe_to_open_and_the_same_each_time(tmp_path: Path) -> None:
    policy = Policy(on_later_restriction=OnLaterRestriction(opted_out="ask"))
    dataset = made(tmp_path, [kept(1), kept(2)])
    hostile = said(2, author="=cmd()", ai_preference="no-gen-ai")
    report = recheck.recheck(dataset, asked(Fake(hostile, said(1)), policy=policy))
    rows = list(csv.DictReader(io.StringIO(recheck.to_csv(report).decode())))
    assert [(row["kind"], row["restricts"], row["then"]) for row in rows] == [
        ("opted_out", "yes", "ask"),
        ("renamed", "no", "ask"),
    ]
    assert rows[1]["after"] == "author: =cmd()"
    other = dataclasses.replace(report.findings[1].change, after="=cmd()")
    only = dataclasses.replace(report, findings=(Finding(change=other, then="keep"),))
    assert b"'=cmd()" in recheck.to_csv(only)
