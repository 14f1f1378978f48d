"""Texts that are too long are refused with their length, and what we write can be read again."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest

from sao_data import manifest
from sao_data.attribution.sheets import SHEET_CELL, safe_cell
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import UsageError
from sao_data.execution.executor import LocalExecutor
from sao_data.ids import sample_key
from sao_data.ingest import run
from sao_data.records import Recording
from sao_data.sources._common import work_list
from sao_data.stages import text_limits
from sao_data.storage import shards
from tests.datasets_made import CC0, Quiet, tone_wav


@pytest.mark.parametrize("name", text_limits.MOST)
def test_every_text_has_a_limit_that_is_told_with_what_was_measured(name: str) -> None:
    most = text_limits.MOST[name]
    several = name in ("tags", "genres", "earlier_changes")
    for length, problem in (
        (most, ""),
        (most + 1, f"{name}: {most + 1:,} characters; at most {most:,} are read"),
    ):
        text = "x" * length
        recording = dataclasses.replace(
            Recording(id="f:x", source="f"), **{name: (text,) if several else text}
        )
        assert text_limits.problem(recording) == problem


@pytest.mark.parametrize(("source", "spare"), [("own_recordings", 0), ("o" * 15, -1), ("freesound", 5)])
def test_an_id_that_no_shard_can_name_is_told(source: str, spare: int) -> None:
    recording = Recording(id=f"{source}:{'x' * 80}", source=source)
    told = "id: 1 characters too long for a name in a shard; shorten the source's name or the id"
    assert text_limits.problem(recording) == (told if spare < 0 else "")
    key = sample_key(recording.id, 1)
    with pytest.raises(UsageError, match="at most 100") if spare < 5 else contextlib.nullcontext():
        shards.member_header(f"{key}.flac", 1)


def test_every_text_field_of_a_recording_has_one() -> None:
    texts = {f.name for f in dataclasses.fields(Recording) if f.type in ("str", "tuple[str, ...]")}
    assert texts - {"id", "source", "evidence"} == set(text_limits.MOST)


def test_a_cell_holds_what_spreadsheets_hold_and_says_what_is_cut() -> None:
    assert safe_cell("x" * 32_767) == "x" * 32_767
    cut = safe_cell("=" * 40_000)
    assert len(cut) == 32_767
    assert cut.endswith("… [cut here: 40,001 characters]")


@pytest.mark.parametrize(
    ("field", "length", "kept"),
    [
        ("title", 2_000, True), ("title", 200_000, False), ("author", 2_000, True), ("author", 2_001, False),
        ("description", 150_000, True), ("tags", 1_000_000, False), ("credit", 6_000, True),
        ("copyright", 6_000, True), ("license", 200_000, False),
    ],
)  # fmt: skip
def test_our_own_tables_are_read_again_whatever_was_ingested(
    field: str, length: int, kept: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.wav").write_bytes(tone_wav(300 + number))
    rows: list[dict[str, str]] = [
        {"file_name": f"{n}.wav", "title": f"T{n}", "license": CC0} for n in range(2)
    ]
    rows[0][field] = "x" * length
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = tmp_path / "m.toml"
    path.write_text(
        f'name = "t"\nnum_buckets = 1\nscreening = "off"\n[[source]]\nplugin = "folder"\npath = "{folder}"\n'
    )
    run.ingest(manifest.load(path), str(tmp_path / "out"), LocalExecutor(), Quiet())
    dataset = open_dataset(str(tmp_path / "out"))
    assert verify(dataset) == []
    by_id = {row.id: row for row in dataset.catalogue()}
    assert by_id["folder:1-wav"].kept
    first = by_id["folder:0-wav"]
    assert first.kept == kept
    assert kept or (first.reason == "bad_metadata" and f"{length:,} characters" in first.detail)
    csv.field_size_limit(131_072)  # as Python has it
    for name in ("attribution.csv", "dropped.csv"):
        text = (tmp_path / "out" / "attribution" / name).read_text(encoding="utf-8")
        for row in csv.reader(io.StringIO(text, newline="")):
            assert max(map(len, row)) <= SHEET_CELL
    work_list.read.cache_clear()
    assert len(work_list.read(str(tmp_path / "out" / "attribution" / "attribution.csv"))) == 1 + kept
