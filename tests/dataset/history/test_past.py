"""What a checkpoint has heard can be said when its version of the dataset is no more."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from pathlib import Path

import pytest

from sao_data.commands.main import main
from sao_data.dataset.history import past
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import UsageError
from sao_data.loading.heard import exposed, works
from sao_data.storage.backend import open_storage
from tests.datasets_made import build, load, report_on, write_folder

SETS = ("num_buckets=3",)
GONE, TAKEN = "folder:tone-001-wav", "folder:tone-002-wav"


def checkpoint(dataset: Dataset, folder: Path) -> Path:
    """A checkpoint that has seen every sample of this version."""
    shards = [
        {
            "name": shard.name,
            "sha256": shard.sha256,
            "num_samples": shard.num_samples,
            "draws": shard.num_samples,
            "seen": base64.b64encode(b"\xff" * -(-shard.num_samples // 8)).decode(),
        }
        for shard in dataset.shards()
    ]
    facts = {name: dataset.facts[name] for name in ("version", "root_digest")}
    folder.mkdir(parents=True)
    said = facts | {"dataset": dataset.facts["name"], "step": 7, "shards": shards}
    (folder / "training_data.json").write_text(json.dumps(said))
    return folder


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of eight works that a checkpoint heard, then grown by four; one of the first is no longer
    offered."""
    tmp = tmp_path_factory.mktemp("grown")
    folder = write_folder(tmp / "in", 8)
    build(load(tmp, folder, sets=SETS), tmp / "out")
    checkpoint(open_dataset(str(tmp / "out")), tmp / "runs" / "first")
    write_folder(folder, 4, first=8)
    table = folder / "metadata.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if "tone-001" not in line))
    (folder / "tone-001.wav").unlink()
    build(load(tmp, folder, sets=SETS), tmp / "out")
    return tmp


def listed(report: Path) -> dict[str, dict[str, str]]:
    with (report / "attribution.csv").open(newline="", encoding="utf-8-sig") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_a_dataset_that_never_changed_has_no_history(grown: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "out"
    build(load(tmp_path, grown / "in", sets=SETS), fresh)
    build(load(tmp_path, grown / "in", sets=SETS), fresh)
    assert not (fresh / "history").exists()
    assert (grown / "out" / "history").exists()
    made, other = open_dataset(str(fresh)), open_dataset(str(grown / "out"))
    assert made.facts["root_digest"] == other.facts["root_digest"]  # the history is no part of a version


def test_works_heard_in_an_earlier_version_are_reported_with_their_credits(
    grown: Path, tmp_path: Path
) -> None:
    dataset = open_dataset(str(grown / "out"))
    info = report_on(dataset, open_storage(str(tmp_path / "report")), grown / "runs" / "first")
    found = listed(tmp_path / "report")
    assert set(found) == {f"folder:tone-{n:03d}-wav" for n in range(8)}
    assert found[GONE]["credit"].startswith('"Tone 1"')
    assert any("1 of them is no longer in the dataset" in line for line in info.warnings)
    assert "Tone 1" in (tmp_path / "report" / "index.html").read_text()
    heard = works.seen_samples(dataset, grown / "runs" / "first")
    assert [row.id for row in heard.past] == [GONE]
    assert heard.num_forgotten == 0


def test_checkpoints_of_a_work_are_found_whatever_the_version(grown: Path, tmp_path: Path) -> None:
    dataset = open_dataset(str(grown / "out"))
    checkpoint(dataset, tmp_path / "now")
    folders = [grown / "runs", tmp_path / "now"]
    cases = {
        "folder:tone-000-wav": {"first": 1, "now": 1},
        GONE: {"first": 1},
        "folder:tone-009-wav": {"now": 1},
    }
    for key, expected in cases.items():
        found = exposed.exposures(dataset, {key}, folders)
        assert {Path(each.path).name: each.num_seen for each in found} == expected, key
        assert not any(each.doubt for each in found)


def test_of_who_was_taken_down_only_a_hash_stays(
    grown: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(grown / "out", out)
    command = ["takedown", str(out), "--id", TAKEN, "--reason", "author's request", "--apply"]
    command += ["--checkpoints", str(grown / "runs")]
    for said in ("taken down   1 work", "already done: 1 work taken down before"):
        assert main(command) == 0
        printed = capsys.readouterr().out
        assert said in printed
        assert f"{grown / 'runs' / 'first'}, step 7: 1 of their samples" in printed
    dataset = open_dataset(str(out))
    heard = works.seen_samples(dataset, grown / "runs" / "first")
    assert (heard.num_forgotten, TAKEN in {clip.recording_id for clip in heard.samples}) == (1, False)
    assert "It had seen 1 more work, which was taken down since" in " ".join(heard.remarks("first"))
    report_on(dataset, open_storage(str(tmp_path / "report")), grown / "runs" / "first")
    assert set(listed(tmp_path / "report")) == {f"folder:tone-{n:03d}-wav" for n in range(8) if n != 2}
    kept = past.read(dataset.storage)
    assert past.work_hash(TAKEN) in {each.work for places in kept.places.values() for each in places}
    assert TAKEN not in {row.id for row in kept.works.values()}


def test_a_work_that_is_gone_can_be_forgotten_too(grown: Path, tmp_path: Path) -> None:
    shutil.copytree(grown / "out", tmp_path / "out")
    dataset = open_dataset(str(tmp_path / "out"))
    past.forget(dataset.storage, [GONE])
    heard = works.seen_samples(dataset, grown / "runs" / "first")
    assert (len(heard.past), heard.num_forgotten) == (0, 1)


def test_what_is_put_down_twice_is_there_once(grown: Path, tmp_path: Path) -> None:
    shutil.copytree(grown / "out", tmp_path / "out")
    dataset = open_dataset(str(tmp_path / "out"))
    names = {shard.name for shard in dataset.shards()}
    before: dict[str, bytes] = {}
    for going in (set(sorted(names)[:1]), names, names):
        past.keep(
            dataset.storage,
            dataset.facts["version"],
            shards=dataset.shards(),
            samples=dataset.samples(),
            rows=dataset.catalogue(),
            going=going,
            staying=(),
        )
        now = {path.name: path.read_bytes() for path in (tmp_path / "out" / "history").iterdir()}
        if going == names and before:
            assert now == before
        before = now if going == names else {}
    found = past.read(dataset.storage)
    assert {shard.name for shard in dataset.shards()} <= {name for name, _ in found.shards}
    assert len(found.works) == 1 + sum(row.kept for row in dataset.catalogue())


def test_a_training_on_nothing_that_is_known_here_is_refused(grown: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3, first=50)
    build(load(tmp_path, folder, sets=SETS), tmp_path / "other")
    stranger = checkpoint(open_dataset(str(tmp_path / "other")), tmp_path / "stranger")
    with pytest.raises(UsageError, match="which knows nothing of that"):
        works.seen_samples(open_dataset(str(grown / "out")), stranger)


def test_why_a_work_is_gone_is_told(grown: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (GONE, "Tone 1"):
        assert main(["why", str(grown / "out"), name]) == 0
        said = capsys.readouterr().out
        assert said.startswith("no longer offered by its source")
        assert GONE in said
    assert main(["why", str(grown / "out"), "nobody's"]) == 7
