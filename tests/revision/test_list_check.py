"""What is left of a list: each fate told apart, licences compared as far as the list states them."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from sao_data.errors import MatchedNothing, UsageError
from sao_data.licences import Policy, Release
from sao_data.records import Offer, Recording, Rejection
from sao_data.revision import list_check
from sao_data.sources._common.work_list import ListedWork
from tests.datasets_made import manifest_text, write_folder

BY3 = "http://creativecommons.org/licenses/by/3.0/"
BY4 = "https://creativecommons.org/licenses/by/4.0/"
NC = "https://creativecommons.org/licenses/by-nc/4.0/"


class Sounds:
    """A source that knows a few."""

    def __init__(self, *recordings: Recording) -> None:
        self._recordings = recordings

    def check(self) -> None:
        """Always there."""

    def offers(self) -> Iterator[Offer | Rejection]:
        raise AssertionError("all of Freesound was listed")

    def look_up(self, ids: Iterable[str]) -> Iterator[Offer]:
        wanted = set(ids)
        yield from (Offer(recording=r, raw="{}") for r in self._recordings if r.id in wanted)

    def open(self, recording: Recording) -> BinaryIO:
        raise AssertionError("something was downloaded")


def sound(number: int, url: str = BY3, preference: str = "") -> Recording:
    return Recording(
        id=f"freesound:{number}", source="freesound", license_url=url, ai_preference=preference,
        title=f"Sound {number}", author="Ana", page_url=f"https://freesound.org/s/{number}/",
    )  # fmt: skip


def entry(number: int, licence: str = "ccby", source: str = "freesound") -> ListedWork:
    return ListedWork(where=f"list.csv:{number}", source=source, number=number, license=licence, title="=1+1")


def check(entries: list[ListedWork], *recordings: Recording) -> list_check.ListReport:
    return list_check.check(entries, [Sounds(*recordings)], {"freesound"}, Policy(), Release())


@pytest.mark.parametrize(
    ("licence", "url", "preference", "status", "usable"),
    [
        ("ccby", BY3, "", "still_there", "allow"),
        ("ccby", BY4, "", "still_there", "allow"),
        ("", NC, "", "still_there", "deny"),
        ("Attribution 3.0", BY4, "", "relicensed", "allow"),
        ("cc0", BY3, "", "relicensed", "allow"),
        ("ccby", NC, "", "relicensed", "deny"),
        ("ccby", "", "", "relicensed", "deny"),
        ("ccby", BY3, "no-gen-ai", "opted_out", "deny"),
        ("ccby", NC, "no-gen-ai", "opted_out", "deny"),
        ("ccby", BY3, "no-additional-preferences", "still_there", "allow"),
        ("ccby", BY3, "something-new", "opted_out", "review"),
    ],
)
def test_what_became_of_a_work(licence: str, url: str, preference: str, status: str, usable: str) -> None:
    (line,) = check([entry(1, licence)], sound(1, url, preference)).lines
    assert (line.status, line.usable) == (status, usable)
    assert line.is_left == (usable == "allow")


def test_every_line_of_the_list_has_a_line_and_says_why_nothing_is_known() -> None:
    entries = [entry(1), entry(2), entry(3, source="fma"), entry(4, source=""), entry(0)]
    report = check(entries, sound(1), sound(4))
    assert [line.status for line in report.lines] == [
        "still_there", "withdrawn", "not_asked", "still_there", "not_named",
    ]  # fmt: skip
    assert report.num_usable == {"allow": 2}


def test_numbers_of_nobody_are_not_looked_up_where_there_are_two_sources() -> None:
    sources = [Sounds(sound(4)), Sounds()]
    entries = [entry(4, source=""), entry(4)]
    report = list_check.check(entries, sources, {"freesound", "fma"}, Policy(), Release())
    assert [line.status for line in report.lines] == ["not_named", "still_there"]


def test_a_list_of_other_works_matches_nothing() -> None:
    with pytest.raises(MatchedNothing, match=r"sources \(freesound\); it has works of fma \(2\)"):
        check([entry(1, source="fma"), entry(2, source="fma")])


def test_the_table_is_safe_to_open_and_complete(tmp_path: Path) -> None:
    (tmp_path / "left.csv").write_bytes(list_check.to_csv(check([entry(1), entry(2)], sound(1))))
    with (tmp_path / "left.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["status"], row["usable"]) for row in rows] == [
        ("freesound:1", "still_there", "allow"), ("freesound:2", "withdrawn", ""),
    ]  # fmt: skip
    assert rows[0]["title"] == "'=1+1"
    assert rows[0]["license"] == "CC-BY-3.0"


def listed(tmp: Path, *more: str) -> int:
    """`sao list-check` of a list of one work, against a folder that has it, from the folder tmp."""
    from sao_data.commands.verbs import list_check as verb

    folder = write_folder(tmp / "in", 1)
    (tmp / "made.toml").write_text(manifest_text(folder))
    (tmp / "list.csv").write_text("url\nhttps://freesound.org/s/5/\n")
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return verb.run(parser.parse_args([str(tmp / "list.csv"), "--manifest", str(tmp / "made.toml"), *more]))


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ([], "list-checked.csv"),
        (["--out", "there"], "there/list-checked.csv"),
        (["--csv", "mine.csv"], "mine.csv"),
        (["--out", "there", "--csv", "mine.csv"], "mine.csv"),
    ],
)
def test_the_table_goes_where_it_is_said_and_overwrites_nothing(
    more: list[str], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = check([entry(1)], sound(1))
    monkeypatch.setattr(list_check, "check", lambda *_: found)
    assert listed(tmp_path, *more) == 0
    before = (tmp_path / place).read_bytes()
    (tmp_path / place).write_text("somebody's")
    with pytest.raises(UsageError, match="is not overwritten"):
        listed(tmp_path, *more)
    assert (tmp_path / place).read_text() == "somebody's"
    assert listed(tmp_path, *more, "--overwrite") == 0
    assert (tmp_path / place).read_bytes() == before


def test_the_list_is_not_its_own_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="that is the list itself"):
        listed(tmp_path, "--csv", str(tmp_path / "list.csv"), "--overwrite")
