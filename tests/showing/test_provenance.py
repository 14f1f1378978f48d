"""Whose a sample is, told by its shard, at home and carried away."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from sao_data.commands.main import main
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import IntegrityError, MatchedNothing, UsageError
from sao_data.showing import provenance
from tests.datasets_made import build, load, write_folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    tmp = tmp_path_factory.mktemp("provenance")
    build(load(tmp, write_folder(tmp / "in", 6)), tmp / "out")
    return open_dataset(str(tmp / "out"))


def shard_of(dataset: Dataset) -> Path:
    return Path(dataset.storage.url) / "shards" / dataset.shards()[0].name


def test_every_sample_of_a_shard_says_whose_it_is(
    dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = shard_of(dataset)
    rows = [row for row in dataset.samples() if row.shard == shard.name]
    assert main(["provenance", str(shard)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        row.key for row in sorted(rows, key=lambda row: row.flac_offset)
    ]
    assert all(any(line.endswith(row.credit) for row in rows) for line in lines)


def test_one_sample_is_told_whole_and_held_against_its_dataset(
    dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    shard, row = shard_of(dataset), next(iter(dataset.samples()))
    assert main(["provenance", f"{shard}#{row.key}.flac"]) == 0
    said = capsys.readouterr().out
    work = next(work for work in dataset.catalogue() if work.id == row.recording_id)
    for text in (row.recording_id, row.credit, row.sha256, work.evidence, dataset.facts["root_digest"]):
        assert text in said
    assert '"file_name"' in said  # the raw row


def test_a_shard_that_was_carried_away_tells_the_same_without_its_dataset(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = shutil.copy(shard_of(dataset), tmp_path / "carried.tar")
    assert provenance.home(str(shard)) is None
    assert main(["provenance", str(shard), "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rows = {row.key: row for row in dataset.samples()}
    assert said
    for each in said:
        row = rows[each["key"]]
        assert (each["credit"], each["flac_sha256"], each["root_digest"]) == (row.credit, row.sha256, "")


def test_what_the_dataset_says_otherwise_is_said(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "out"
    shutil.copytree(dataset.storage.url, copy)
    shard = copy / "shards" / dataset.shards()[0].name
    data = shard.read_bytes()
    author = next(provenance.samples(str(shard))).sample.author
    changed = author[:-1] + ("x" if author[-1] != "x" else "y")
    shard.write_bytes(data.replace(f'"author": "{author}"'.encode(), f'"author": "{changed}"'.encode()))
    assert main(["provenance", str(shard)]) == 1
    assert "! its JSON is not what the dataset's index says" in capsys.readouterr().out


def _tar(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "key", "error", "said"),
    [
        (None, "", UsageError, "no such file; give a shard"),
        (b"not a tar at all", "", UsageError, "no shard"),
        (_tar(), "", MatchedNothing, "no samples in it"),
        (_tar(a_flac=b"x"), "b", MatchedNothing, "no sample 'b' in it; `sao provenance"),
        (_tar(a_flac=b"x", a_json=b"{}"), "", IntegrityError, "a.json"),
        (_tar(a_json=b" " * ((1 << 22) + 1)), "", UsageError, "which no sample has"),
    ],
)
def test_what_is_no_shard_of_ours(
    data: bytes | None, key: str, error: type[Exception], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.tar"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(error, match=said):
        list(provenance.samples(str(path), key))
