"""Datasets whose sources are far away: they grow over days, while what is said of a work may change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from sao_data import manifest
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.summary import Summary
from sao_data.dataset.verify import verify
from sao_data.errors import Later
from sao_data.execution.executor import LocalExecutor
from sao_data.ids import bucket_of
from sao_data.ingest import run
from sao_data.records import CatalogueRow
from tests.datasets_made import BY, NC, Quiet, tone_wav, tree

NUM = 6


def world(folder: Path, num: int = NUM, **more: Any) -> Path:
    """`num` sounds far away, all under CC BY."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(1, num + 1):
        data = tone_wav(200 + 20 * number)
        (folder / f"{number}.wav").write_bytes(data)
        rows.append({"id": str(number), "license": BY, "md5": hashlib.md5(data).hexdigest()})
    say(folder, listed=rows, **more)
    return folder


def say(folder: Path, **more: Any) -> dict[str, Any]:
    path = folder / "world.json"
    said: dict[str, Any] = (json.loads(path.read_text()) if path.exists() else {}) | more
    path.write_text(json.dumps(said))
    return said


def chosen(tmp: Path, far: Path, *sets: str) -> manifest.Manifest:
    path = tmp / "far.toml"
    path.write_text(
        'name = "far"\nnum_buckets = 3\nscreening = "off"\n'
        f'[[source]]\nplugin = "tests.made_plugins.far_away"\npath = "{far}"\n'
    )
    return manifest.load(path, list(sets))


def build(tmp: Path, far: Path, *sets: str, out: str = "out") -> Summary:
    return run.ingest(chosen(tmp, far, *sets), str(tmp / out), LocalExecutor(), Quiet())


def catalogue(out: Path) -> dict[str, CatalogueRow]:
    return {row.id: row for row in open_dataset(str(out)).catalogue()}


def facts(out: Path) -> dict[str, Any]:
    return open_dataset(str(out)).facts


def fetched(far: Path) -> list[str]:
    path = far / "fetched.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_what_is_complete_is_published_and_the_rest_is_counted(tmp_path: Path) -> None:
    far = world(tmp_path / "far")
    per_bucket = [sum(bucket_of(f"far:{n}", 3) == b for n in range(1, NUM + 1)) for b in range(3)]
    first = per_bucket[0] + per_bucket[1]
    assert 0 < first < NUM
    say(far, quota=first)
    summary = build(tmp_path, far)
    assert "next request at noon" in summary.later
    with pytest.raises(Later, match=r"not complete yet\. far: the day's quota"):
        run.check_complete(summary)
    out = tmp_path / "out"
    assert facts(out)["undone"] == {"buckets": 1, "recordings": NUM - first}
    assert facts(out)["counts"]["kept"] == first
    assert facts(out)["rejected_by_reason"] == {"not_done_yet": NUM - first}
    assert verify(open_dataset(str(out))) == []
    before = tree(out)
    say(far, quota=100)
    assert build(tmp_path, far).later == ""
    after = tree(out)
    assert facts(out)["undone"] == {"buckets": 0, "recordings": 0}
    shards = [name for name in before if name.startswith("shards/")]
    assert [after[name] for name in shards] == [before[name] for name in shards]
    assert sorted(fetched(far)) == sorted(f"far:{n}" for n in range(1, NUM + 1))  # each of them once
    build(tmp_path, far, out="fresh")
    fresh = tree(tmp_path / "fresh")
    assert {n: s for n, s in after.items()} == fresh


def test_nothing_complete_is_said_and_nothing_is_published(tmp_path: Path) -> None:
    far = world(tmp_path / "far", quota=0)
    with pytest.raises(Later, match=r"far: no bucket is complete yet\. far: the day's quota is used up"):
        build(tmp_path, far)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_a_file_that_was_fetched_is_not_fetched_again_when_its_bucket_is_stopped(tmp_path: Path) -> None:
    far = world(tmp_path / "far")
    for quota in range(1, NUM + 1):
        say(far, quota=quota)
        try:
            build(tmp_path, far)
        except Later:
            continue
    assert len(fetched(far)) == NUM == facts(tmp_path / "out")["counts"]["kept"]


def test_originals_go_once_they_are_packed_unless_they_are_to_stay(tmp_path: Path) -> None:
    far = world(tmp_path / "far")
    build(tmp_path, far)
    assert not list((tmp_path / "out" / "work" / "originals").rglob("*.json"))
    build(tmp_path, far, "work.keep_originals=true", out="kept")
    assert len(list((tmp_path / "kept" / "work" / "originals").rglob("*.json"))) == NUM
    assert tree(tmp_path / "out") == tree(tmp_path / "kept")


def test_a_bucket_that_grows_fetches_only_what_is_new(tmp_path: Path) -> None:
    far = world(tmp_path / "far", num=4)
    build(tmp_path, far)
    world(far, num=5)
    build(tmp_path, far)
    assert fetched(far).count("far:5") == 1
    assert len(fetched(far)) == 5


def test_an_old_claim_is_read_again_and_both_readings_are_kept(tmp_path: Path) -> None:
    far = world(tmp_path / "far")
    listed = [row | {"at": "2025-01-01T00:00:00Z"} for row in say(far)["listed"]]
    now = [row | {"at": "2026-03-01T00:00:00Z"} for row in listed]
    now[0]["license"] = NC  # relicensed between the listing and the transfer
    now[1]["author"] = "Ana B."  # renamed
    say(far, listed=listed, now=now[:5])  # and the sixth was withdrawn
    build(tmp_path, far)
    rows = catalogue(tmp_path / "out")
    assert (rows["far:1"].rule, rows["far:1"].license) == ("license_not_allowed", "CC-BY-NC-4.0")
    assert (rows["far:2"].kept, rows["far:2"].author) == (True, "Ana B.")
    assert rows["far:3"].kept
    assert rows["far:3"].confirmed
    assert (rows["far:6"].reason, rows["far:6"].stage) == ("withdrawn", "fetch")
    assert "far:1" not in fetched(far)
    assert "far:6" not in fetched(far)
    said = _evidence(tmp_path / "out")
    for number in (1, 2, 3):
        assert {listed[number - 1]["at"], now[number - 1]["at"]} <= said[str(number)]
    assert verify(open_dataset(str(tmp_path / "out"))) == []


def test_a_damaged_file_is_a_fact_and_not_transient(tmp_path: Path) -> None:
    far = world(tmp_path / "far", damaged=["2"])
    build(tmp_path, far)
    row = catalogue(tmp_path / "out")["far:2"]
    assert (row.kept, row.stage, row.reason, row.detail) == (
        False,
        "fetch",
        "damaged_file",
        "md5 is wrong twice",
    )


def test_what_a_source_wants_said_is_said(tmp_path: Path) -> None:
    summary = build(tmp_path, world(tmp_path / "far"))
    assert "Far away is far away." in summary.warnings


def _evidence(out: Path) -> dict[str, set[str]]:
    import gzip

    said: dict[str, set[str]] = {}
    for path in (out / "evidence").iterdir():
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            row = json.loads(line)
            said.setdefault(row["id"], set()).add(row["at"])
    return said
