"""`sao recheck`: counts, ids with before and after, a table beside the dataset, and exit codes 0, 1 and 7."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import pytest

from sao_data.commands.verbs import recheck
from sao_data.errors import MatchedNothing, UsageError
from tests.datasets_made import tree
from tests.versions_made import AFTER, BEFORE, version, write_works


@pytest.fixture(scope="module")
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """in/ as it was, now/ as it is, out/ the dataset of in/, manifest.toml over in/."""
    tmp = tmp_path_factory.mktemp("taken")
    version(tmp, BEFORE, "out")
    write_works(tmp / "now", AFTER)
    return tmp


def run(tmp: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    recheck.add_arguments(parser)
    return recheck.run(parser.parse_args([str(tmp / "out"), *arguments]))


def rows(tmp: Path) -> list[dict[str, str]]:
    with (tmp / "out" / "recheck.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_nothing_new_is_exit_0_and_an_empty_table(tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(tmp / "out")
    assert run(tmp, "--manifest", str(tmp / "manifest.toml")) == 0
    assert "still the same           13" in capsys.readouterr().out
    assert rows(tmp) == []
    after = tree(tmp / "out")
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"recheck.csv"}


def test_findings_are_exit_1_and_tell_before_and_after(tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp, "--set", f"source.0.path={tmp / 'now'}") == 1
    text = capsys.readouterr().out
    assert "\nwithdrawn                 2\n" in text
    assert "\nrelicensed                4\n" in text
    assert "relicensed        folder:narrowed-wav  CC-BY-4.0 → CC-BY-NC-4.0: drop" in text
    changes = text[text.index("\n\n") + 2 :].splitlines()
    assert "opted out since   folder:optout-wav  unknown → no-gen-ai: drop" in changes
    assert changes[-1].startswith("written to ")
    table = {(row["id"], row["kind"]): row for row in rows(tmp)}
    narrowed = table[("folder:narrowed-wav", "relicensed")]
    assert (narrowed["before"], narrowed["after"]) == ("CC-BY-4.0", "CC-BY-NC-4.0")
    assert (narrowed["restricts"], narrowed["then"]) == ("yes", "drop")
    assert len(table) == 9
    assert [row["id"] for row in rows(tmp)] == sorted(row["id"] for row in rows(tmp))


def test_a_sample_is_compared_alone(tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp, "--manifest", str(tmp / "manifest.toml"), "--sample", "4")
    assert "compared                  4" in capsys.readouterr().out
    with pytest.raises(UsageError, match="--sample 0: want 1 or more"):
        run(tmp, "--sample", "0")


def test_nothing_to_compare_is_exit_7_and_no_location_is_exit_2(tmp: Path) -> None:
    write_works(tmp / "empty", [])
    with pytest.raises(MatchedNothing) as nothing:
        run(tmp, "--set", f"source.0.path={tmp / 'empty'}")
    assert nothing.value.exit_code == 7
    with pytest.raises(UsageError, match="give --manifest FILE"):
        run(tmp)
    with pytest.raises(UsageError, match="no such folder"):
        run(tmp, "--set", f"source.0.path={tmp / 'nowhere'}")
