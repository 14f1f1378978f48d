"""A published dataset proves itself offline, and any change to it is named."""

import base64
import json
import random
from pathlib import Path

import pytest

from sao_data import report
from sao_data.errors import IntegrityError, MatchedNothing, UsageError
from sao_data.provenance import Dataset, open_dataset, verify, why
from sao_data.storage import LocalStorage, open_storage
from tests.datasets_made import BY, CC0, NC, SAMPLING, build, load, write_folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("built")
    build(load(tmp, write_folder(tmp / "in", 12, licenses=(BY, CC0, SAMPLING, NC))), tmp / "out")
    return tmp / "out"


def copy(built: Path, tmp_path: Path) -> Dataset:
    import shutil

    shutil.copytree(built, tmp_path / "out")
    return open_dataset(str(tmp_path / "out"))


def test_an_untouched_dataset_has_no_findings(built: Path) -> None:
    said: list[str] = []
    assert verify(open_dataset(str(built)), said.append) == []
    assert said == ["files", "shards", "evidence", "decisions", "numbers"]


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_in_any_published_file_is_found(built: Path, tmp_path: Path, seed: int) -> None:
    dataset, dice = copy(built, tmp_path), random.Random(seed)
    names = sorted(dataset.facts["files"])
    name = names[seed * len(names) // 12]
    path = tmp_path / "out" / name
    data = bytearray(path.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)
    assert any(name in finding for finding in verify(dataset)), name


def test_a_changed_number_or_seal_in_dataset_json_is_found(built: Path, tmp_path: Path) -> None:
    dataset = copy(built, tmp_path)
    changed = json.loads(json.dumps(dataset.facts))
    changed["counts"]["kept"] += 1
    changed["root_digest"] = "0" * 64
    changed["evidence"]["merkle_root"] = "0" * 64
    findings = verify(Dataset(storage=dataset.storage, facts=changed))
    assert "dataset.json: the root digest does not follow from the manifest and files it lists" in findings
    assert "evidence: the Merkle root in dataset.json is not that of its files" in findings
    assert any(finding.startswith("dataset.json: 10 kept") for finding in findings)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", "deadbeef"),
        ("rejected_by_reason", {}),
        ("manifest", {"policy": {"families": ["BY-NC"]}}),
        ("counts", {"offered": 12, "kept": 9, "seconds": 1e9}),
    ],
)
def test_no_fact_in_dataset_json_can_be_changed_unseen(
    built: Path, tmp_path: Path, key: str, value: object
) -> None:
    dataset = copy(built, tmp_path)
    assert any(
        "dataset.json" in f
        for f in verify(Dataset(storage=dataset.storage, facts=dataset.facts | {key: value}))
    )


def test_a_damaged_table_is_named_with_the_fix(built: Path, tmp_path: Path) -> None:
    dataset = copy(built, tmp_path)
    path = tmp_path / "out" / "catalogue.parquet"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(IntegrityError, match=r"catalogue\.parquet: damaged"):
        why(dataset, "folder:tone-000-wav")
    (tmp_path / "out" / "dataset.json").write_text("{}")
    with pytest.raises(IntegrityError, match="not the facts of a dataset"):
        open_dataset(str(tmp_path / "out"))


def test_works_that_a_part_was_trained_on_before_are_reported_too(built: Path, tmp_path: Path) -> None:
    dataset = open_dataset(str(built))
    shard = next(s for s in dataset.shards() if s.num_samples > 1)
    vae = checkpoint(dataset, tmp_path / "vae", {shard.name: [0]})
    heard = json.loads((vae / "training_data.json").read_text())
    far = heard | {"dataset": "far", "root_digest": "e" * 64}
    origins = [{"part": "vae", "training_data": heard}, {"part": "x", "training_data": far}]
    ckpt = checkpoint(dataset, tmp_path / "dit", {shard.name: [1]}, pretrained=origins)
    info = report.write(dataset, open_storage(str(tmp_path / "report")), str(ckpt))
    assert info.kept == 2
    assert any("far eeeeeeeeeeee" in warning for warning in info.warnings)


def test_why_tells_of_kept_and_left_out(built: Path) -> None:
    dataset = open_dataset(str(built))
    rows = list(dataset.catalogue())
    kept, dropped = next(r for r in rows if r.kept), next(r for r in rows if not r.kept)
    row, raw = why(dataset, dropped.id)
    assert (row.stage, row.reason) == ("decide", "license_not_allowed")
    assert json.loads(raw)["license"] == NC
    sample = next(s for s in dataset.samples() if s.recording_id == kept.id)
    assert why(dataset, sample.key)[0] == kept
    with pytest.raises(MatchedNothing, match=r"freesound:1 was never offered; ids look like folder:tone"):
        why(dataset, "freesound:1")


def test_a_directory_that_is_no_finished_dataset_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no dataset here"):
        open_dataset(str(tmp_path))
    LocalStorage(tmp_path).write("owner.json", b'{"format": "sao-dataset", "format_version": 1, "name": "x"}')
    with pytest.raises(UsageError, match="not finished"):
        open_dataset(str(tmp_path))
    LocalStorage(tmp_path).write("owner.json", b'{"format": "sao-dataset", "format_version": 9, "name": "x"}')
    with pytest.raises(UsageError, match="format sao-dataset 9, this reads sao-dataset 1"):
        open_dataset(str(tmp_path))
    LocalStorage(tmp_path).write("owner.json", b"{")
    with pytest.raises(UsageError, match="not valid JSON"):
        open_dataset(str(tmp_path))


def checkpoint(dataset: Dataset, folder: Path, seen: dict[str, list[int]], **changes: object) -> Path:
    """A checkpoint folder whose training_data.json says which samples of which shard were seen."""
    shards = []
    for shard in dataset.shards():
        bits = sum(1 << i for i in seen.get(shard.name, []))
        bitmap = bits.to_bytes((shard.num_samples + 7) // 8, "little")
        shards.append({"name": shard.name, "seen": base64.b64encode(bitmap).decode()})
    facts = {"dataset": "made", "root_digest": dataset.facts["root_digest"], "step": 7, "shards": shards}
    folder.mkdir()
    (folder / "training_data.json").write_text(json.dumps(facts | changes))
    return folder


def test_a_checkpoints_report_names_only_what_it_has_seen(built: Path, tmp_path: Path) -> None:
    dataset = open_dataset(str(built))
    shard = next(s for s in dataset.shards() if s.num_samples > 1)
    in_order = sorted((r for r in dataset.samples() if r.shard == shard.name), key=lambda r: r.flac_offset)
    ckpt = checkpoint(dataset, tmp_path / "ckpt", {shard.name: [1]})
    info = report.write(dataset, open_storage(str(tmp_path / "report")), str(ckpt))
    assert info.kept == 1
    assert info.offered == 12 == info.kept + info.rejected
    rows = json.loads((tmp_path / "report" / "attribution.json").read_text())
    assert [row["id"] for row in rows] == [in_order[1].recording_id]
    assert "had seen by step 7" in (tmp_path / "report" / "index.html").read_text()


def test_another_datasets_or_a_damaged_checkpoint_is_refused(built: Path, tmp_path: Path) -> None:
    dataset, out = open_dataset(str(built)), open_storage(str(tmp_path / "report"))
    other = checkpoint(dataset, tmp_path / "a", {}, root_digest="f" * 64)
    with pytest.raises(UsageError, match=r"trained on made f{12}, this is made"):
        report.write(dataset, out, str(other))
    with pytest.raises(UsageError, match="takes a checkpoint folder"):
        report.write(dataset, out, str(tmp_path))
    broken = checkpoint(dataset, tmp_path / "b", {}, shards=[{"name": dataset.shards()[0].name, "seen": "!"}])
    with pytest.raises(IntegrityError, match="bitmap"):
        report.write(dataset, out, str(broken))
    (tmp_path / "b" / "training_data.json").write_text("{}")
    with pytest.raises(UsageError, match=r"not a training_data\.json"):
        report.write(dataset, out, str(broken))


def test_the_report_of_a_dataset_equals_the_one_beside_it(built: Path, tmp_path: Path) -> None:
    report.write(open_dataset(str(built)), open_storage(str(tmp_path / "report")))
    for path in (tmp_path / "report").iterdir():
        assert path.read_bytes() == (built / "attribution" / path.name).read_bytes()
