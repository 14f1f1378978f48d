"""Reports on a part of a dataset: a shard, several checkpoints, the weights behind a generated sound."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import IntegrityError, MatchedNothing, SaoError, UsageError
from sao_data.loading.heard import asked
from tests.dataset.history.test_past import checkpoint
from tests.datasets_made import build, load, write_folder

DIT, ADAPTER = b"weights of a transformer", b"weights of an adapter"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    tmp = tmp_path_factory.mktemp("asked")
    build(load(tmp, write_folder(tmp / "in", 8), sets=("num_buckets=3",)), tmp / "out")
    return open_dataset(str(tmp / "out"))


def with_weights(dataset: Dataset, folder: Path, weights: bytes) -> Path:
    checkpoint(dataset, folder)
    (folder / "dit.safetensors").write_bytes(weights)
    lines = [f"{sha(path.read_bytes())}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return folder


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sound(folder: Path, **changes: object) -> Path:
    """A generated sound and what generating wrote beside it."""
    folder.mkdir(exist_ok=True)
    path = folder / "rain.wav"
    path.write_bytes(b"RIFF of a sound")
    said: dict[str, object] = {
        "sha256": sha(path.read_bytes()),
        "prompt": "rain",
        "model_digest": {"dit": sha(DIT)},
    }
    path.with_suffix(".json").write_text(json.dumps(said | changes))
    return path


def test_a_shard_s_works_are_those_that_its_index_has(dataset: Dataset) -> None:
    name = dataset.shards()[0].name
    for given in (name, name.removesuffix(".tar")):
        found = asked.of_shard(dataset, given)
        expected = {row.recording_id for row in dataset.samples() if row.shard == name}
        assert {clip.recording_id for clip in found.heard.samples} == expected
        assert f"Only the works in the shard {name} (sha256 {dataset.shards()[0].sha256})." in found.remarks


def test_several_checkpoints_have_heard_each_clip_once(dataset: Dataset, tmp_path: Path) -> None:
    paths = [checkpoint(dataset, tmp_path / name) for name in ("a", "b")]
    found = asked.of_checkpoints(dataset, paths)
    assert len(found.heard.samples) == len(list(dataset.samples()))
    assert [line.split(" had")[0] for line in found.remarks] == [
        "Only the works that the checkpoint a",
        "Only the works that the checkpoint b",
    ]


def test_the_weights_behind_a_sound_are_found_by_their_digests(dataset: Dataset, tmp_path: Path) -> None:
    with_weights(dataset, tmp_path / "runs" / "other", b"others")
    with_weights(dataset, tmp_path / "runs" / "mine", DIT)
    with_weights(dataset, tmp_path / "adapters" / "lora", ADAPTER)
    folders = [tmp_path / "runs", tmp_path / "adapters"]
    found = asked.of_sound(dataset, sound(tmp_path / "s"), folders)
    assert "made by mine to the prompt “rain”" in found.remarks[0]
    loras = [{"name": "lora", "sha256": sha(ADAPTER), "strength": 0.8}]
    found = asked.of_sound(dataset, sound(tmp_path / "s", loras=loras), folders)
    assert "made by mine, lora to" in found.remarks[0]
    idle = [{"name": "x", "sha256": "0" * 64, "strength": 0.0}]  # of no effect on the sound
    assert "made by mine to" in asked.of_sound(dataset, sound(tmp_path / "s", loras=idle), folders).remarks[0]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({}, UsageError, r"made by dit [0-9a-f]{16} \(sha256\), not below .*empty; give --checkpoint"),
        ({"model_digest": {}}, UsageError, "made by dit not stated"),
        ({"sha256": "0" * 64}, IntegrityError, "not the sound that rain.json speaks of"),
        ({"sha256": 3}, UsageError, r"rain\.json: sha256"),
    ],
)
def test_of_whose_weights_nothing_is_known(
    changes: dict[str, object], error: type[SaoError], said: str, dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=said):
        asked.of_sound(dataset, sound(tmp_path, **changes), [tmp_path / "empty"])


def test_what_is_not_there_is_said(dataset: Dataset, tmp_path: Path) -> None:
    lonely = tmp_path / "lonely.wav"
    lonely.write_bytes(b"")
    for call, error, said in (
        (
            lambda: asked.of_shard(dataset, "train-999999"),
            MatchedNothing,
            "no such shard|none of that",
        ),
        (lambda: asked.of_sound(dataset, tmp_path / "no.wav", []), UsageError, "no such file"),
        (lambda: asked.of_sound(dataset, lonely, []), UsageError, "no lonely.json beside it"),
        (lambda: asked.of_sound(dataset, sound(tmp_path), []), UsageError, "and no --checkpoint is given"),
        (lambda: asked.of_sound(dataset, sound(tmp_path), [tmp_path / "no"]), UsageError, "no such folder"),
    ):
        with pytest.raises(error, match=said):
            call()
