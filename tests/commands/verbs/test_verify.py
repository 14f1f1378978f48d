"""`sao verify`: exit 0 only if everything was checked and found true, or the user said what may be passed
over."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest

from sao_data.commands.verbs import verify
from tests.dataset.test_verify import forge, open_dataset, reseal
from tests.datasets_made import BY, CC0, NC, build, load, write_folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("verified")
    build(load(tmp, write_folder(tmp / "in", 5, licenses=(BY, CC0, NC))), tmp / "out")
    return tmp / "out"


def run(out: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    verify.add_arguments(parser)
    return verify.run(parser.parse_args([str(out), *arguments]))


def test_the_last_line_says_how_much_was_derived_again(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(built) == 0
    (line,) = capsys.readouterr().out.splitlines()
    version = json.loads((built / "dataset.json").read_text())["version"]
    assert line.startswith(f"OK made {version}: 4 recordings, 4 samples in ")
    assert line.endswith(" evidence files, 5 decisions replayed, 0 not, 0 findings")


def test_another_version_of_a_source_is_exit_1_unless_allowed(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    (source,) = open_dataset(str(out)).facts["manifest"]["source"]
    reseal(out, source=[source | {"version": 99}])
    assert run(out) == 1
    finding, last = capsys.readouterr().out.splitlines()
    assert finding.startswith("cannot be replayed: dataset.json: source.0: made by version 99 of folder")
    assert finding.endswith("; 5 of 5 decisions were not replayed (--allow-unreplayed accepts that)")
    assert last.startswith("1 findings in made ")
    assert run(out, "--allow-unreplayed") == 0
    said = capsys.readouterr()
    assert said.out.endswith(" 0 decisions replayed, 5 not, 0 findings\n")
    assert "made by version 99" in said.err


def test_allowing_what_is_not_replayed_allows_nothing_else(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    (source,) = open_dataset(str(out)).facts["manifest"]["source"]
    forge(open_dataset(str(out)), "folder:tone-000-wav", license="CC0-1.0", license_family="CC0")
    reseal(out, source=[source | {"plugin": "evil.plug"}])
    assert run(out, "--allow-unreplayed") == 1
    assert "folder-tone-000-wav.json: license is 'CC-BY-4.0', the catalogue has" in capsys.readouterr().out


def test_a_source_that_is_not_ours_is_run_only_if_trusted(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    (source,) = open_dataset(str(out)).facts["manifest"]["source"]
    reseal(out, source=[source | {"plugin": "sao_data.sources.folder"}])
    assert run(out) == 1
    assert "its code is not run unasked (--trust-plugins runs it)" in capsys.readouterr().out
    assert run(out, "--trust-plugins") == 0
    assert capsys.readouterr().out.endswith("5 decisions replayed, 0 not, 0 findings\n")
