"""`sao list-check`: counts, a table, exit codes; networked sources asked in batches, nothing downloaded."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import pytest

from sao_data.commands.verbs import list_check
from sao_data.errors import MatchedNothing, UsageError
from sao_data.fetch import credentials
from tests.fakes.freesound import FakeFreesound, World
from tests.paths import SHARED

FMA = """name = "left"
[[source]]
plugin = "fma"
metadata = "{0}/fma/fma_metadata.zip"
audio = "{0}/fma/fma_full"
"""
needs_shared = pytest.mark.skipif(not (SHARED / "fma").is_dir(), reason="no ../shared/data/fma")


def run(tmp: Path, manifest: str, *arguments: str) -> int:
    (tmp / "manifest.toml").write_text(manifest)
    parser = argparse.ArgumentParser()
    list_check.add_arguments(parser)
    fixed = [
        "--manifest",
        str(tmp / "manifest.toml"),
        "--csv",
        str(tmp / "left.csv"),
        "--out",
        str(tmp / "out"),
    ]
    return list_check.run(parser.parse_args([*arguments, *fixed]))


@needs_shared
def test_the_published_list_against_a_dump_of_four_tracks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, FMA.format(SHARED), str(SHARED / "fma_attribution.csv")) == 1
    said = capsys.readouterr().out
    assert "works on the list    13,874\nstill there               1\n" in said
    assert "withdrawn            13,873  the sources do not offer them (any more)\n" in said
    with (tmp_path / "left.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    (left,) = (row for row in rows if row["status"] == "still_there")
    assert (left["id"], left["author"], left["license"], left["usable"]) == (
        "fma:50986", "Kevin MacLeod", "CC-BY-3.0", "allow",
    )  # fmt: skip
    assert len(rows) == 13_874


def test_freesound_is_asked_150_at_a_time_once_its_terms_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World.synthetic(200, seconds=(0.1,))
    ids = world.ids()
    (tmp_path / "list.csv").write_text("url\n" + "".join(f"https://freesound.org/s/{n}/\n" for n in ids))
    world.delete(ids[0])
    monkeypatch.setenv("HOME", str(tmp_path))
    with FakeFreesound(world, level=1) as fake:
        monkeypatch.setenv("FREESOUND_TOKEN", fake.client.key)
        credentials.forget()
        manifest = f'name = "left"\n[[source]]\nplugin = "freesound_api"\nbase_url = "{fake.base}"\n'
        with pytest.raises(UsageError, match="--accept-terms"):
            run(tmp_path, manifest, str(tmp_path / "list.csv"))
        assert run(tmp_path, manifest, str(tmp_path / "list.csv"), "--accept-terms") == 1
        assert fake.record.counts() == {"search": 2}
    credentials.forget()
    said = capsys.readouterr().out
    assert "works on the list       200\n" in said
    assert "withdrawn                 1  " in said


@needs_shared
def test_a_list_of_other_works_is_exit_7(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("url\nhttps://freesound.org/s/5/\n")
    with pytest.raises(MatchedNothing, match=r"works of freesound \(1\)"):
        run(tmp_path, FMA.format(SHARED), str(tmp_path / "list.csv"))
