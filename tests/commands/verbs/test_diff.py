"""`sao diff`: text for people, JSON for machines, and an exit code that a release can hang on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from sao_data.commands.verbs import diff
from sao_data.dataset.diff import GROUPINGS, KINDS
from sao_data.errors import UsageError
from tests.versions_made import AFTER, BEFORE, version


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("versions")
    version(tmp, BEFORE, "a")
    version(tmp, AFTER, "b")
    return tmp


def run(out: Path, *arguments: str, a: str = "a", b: str = "b") -> int:
    parser = argparse.ArgumentParser()
    diff.add_arguments(parser)
    return diff.run(parser.parse_args([str(out / a), str(out / b), *arguments]))


def test_the_text_names_versions_kinds_and_ids(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(out) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert lines[0].startswith("A  made ")
    assert "10 of 13 offered" in lines[0]
    assert lines[1].startswith("B  made ")
    assert lines[2].startswith("shards    ")
    assert "dropped                    2            1.2 s  was in A, left out of B" in lines
    assert "  folder:optout-wav  ai_preference: not stated → no-gen-ai" in lines
    assert any(line.startswith("unchanged") for line in lines)


def test_grouping_and_few_examples(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(out, "--by", "licence", "--examples", "1") == 0
    text = capsys.readouterr().out
    assert "\nby licence\n" in text
    assert "  CC-BY-3.0 → CC-BY-4.0: 1 relicensed" in text
    assert "  … and 1 more" in text
    assert run(out, "--examples", "0") == 0
    assert "folder:" not in capsys.readouterr().out


def test_json_has_every_kind_and_agrees_with_the_text(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(out, "--json", "--by", "reason", "--fail-on", "opted_out,reaudio,recut") == 1
    found = json.loads(capsys.readouterr().out)
    assert list(found["kinds"]) == sorted(KINDS)
    assert found["kinds"]["dropped"]["recordings"] == 2
    assert found["kinds"]["dropped"]["seconds"] == 1.2
    assert found["kinds"]["recut"] == {"recordings": 0, "seconds": 0.0, "examples": []}
    assert found["failing"] == ["opted_out", "reaudio"]
    groups = {group["name"]: group["kinds"] for group in found["groups"]}
    assert groups["ai_preference_forbids"] == {"dropped": 1, "opted_out": 1, "preference_changed": 1}
    assert found["a"]["kept"] == 10
    assert not found["same_version"]


@pytest.mark.parametrize(
    ("fail_on", "status"), [("dropped", 1), ("recut", 0), ("recut,any", 1), (" recut , dropped ", 1), ("", 0)]
)
def test_fail_on_decides_the_exit_code(out: Path, fail_on: str, status: int) -> None:
    assert run(out, "--fail-on", fail_on) == status


def test_an_unknown_kind_is_a_usage_error_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no kind of change 'droped'; did you mean 'dropped'\? \(there are: add"
    ):
        run(tmp_path, "--fail-on", "droped")
    with pytest.raises(UsageError, match="--examples -1: want 0 or more"):
        run(tmp_path, "--examples", "-1")


def test_the_same_version_says_so(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(out, "--fail-on", "any", b="a") == 0
    assert "the same version: " in capsys.readouterr().out


def test_the_help_lists_what_there_is() -> None:
    assert diff.__doc__
    told = [line.split(maxsplit=1) for line in diff.__doc__.splitlines() if line.startswith("  ")]
    assert {name: meaning for name, meaning in told} == KINDS
    parser = argparse.ArgumentParser()
    diff.add_arguments(parser)
    by = next(action for action in parser._actions if action.dest == "by")
    assert by.choices == GROUPINGS
