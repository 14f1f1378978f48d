"""Datasets whose split must not part copies, and datasets without what evaluation lists hold."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from sao_data import config
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import UsageError
from sao_data.ingest.run import dry_run
from sao_data.records import Recording
from sao_data.stages.base import Bucket, Part
from sao_data.stages.pack import VERSION, Pack
from sao_data.storage.backend import LocalStorage
from sao_data.storage.series import Split, author_key
from tests.datasets_made import CC0, Quiet
from tests.made import mp3_bytes, noise, wav_bytes
from tests.matching.near_misses import loop
from tests.sounds_made import build, load, published, rows, sound, write_sounds

LOOP = np.float32(0.2) * loop(1)
AUDIO = {1: wav_bytes(LOOP), 2: wav_bytes(np.float32(0.5) * LOOP), 3: wav_bytes(noise(3, 0.6))}


def place(author: str) -> float:
    return int(author_key(Recording(id="freesound:1", source="freesound", author=author)), 16) / 2**64


# Two authors and, between their places, a share that parts them.
LOW, HIGH = sorted(("ada", "bo"), key=place)
SHARE = f"[split]\nvalidation_share = {(place(LOW) + place(HIGH)) / 2!r}\n"


def sides(out: Path) -> dict[str, str]:
    return {key: row.shards[0].rsplit("-", 1)[0] for key, row in rows(out).items() if row.kept}


def test_copies_by_two_authors_lie_on_one_side_and_so_does_all_else_of_theirs(tmp_path: Path) -> None:
    by = {1: LOW, 2: HIGH, 3: LOW, 4: HIGH}
    made = [sound(n, username=name, license=CC0, previews={}) for n, name in by.items()]
    folder = write_sounds(tmp_path / "in", [made[0], *made[2:]], AUDIO)
    build(load(folder, SHARE), tmp_path / "out")
    before = sides(tmp_path / "out")
    assert before == {"freesound:1": "validation", "freesound:3": "validation", "freesound:4": "train"}
    write_sounds(folder, made, AUDIO)  # half as loud, by the other author
    expected = dry_run(load(folder, SHARE), str(tmp_path / "out"), Quiet())
    build(load(folder, SHARE), tmp_path / "out")
    build(load(folder, SHARE), tmp_path / "fresh")
    after = sides(tmp_path / "out")
    assert len(set(after.values())) == 1
    assert len(after) == 4
    assert published(tmp_path / "out") == published(tmp_path / "fresh")
    assert verify(open_dataset(str(tmp_path / "out"))) == []
    assert expected.changed
    assert not dry_run(load(folder, SHARE), str(tmp_path / "out"), Quiet()).changed
    (warning,) = json.loads((tmp_path / "out" / "dataset.json").read_text())["warnings"]
    assert warning.startswith("split: 4 of 4 works (100%) by 2 authors")


def test_where_nothing_is_moved_a_packed_part_has_the_name_it_always_had(tmp_path: Path) -> None:
    bucket = Bucket(storage=LocalStorage(tmp_path), index=0)
    names = ("list", "decide", "curate", "caption")
    bucket.parts = {name: Part(stage=name, bucket=0, digest=name) for name in names}
    pack = Pack(dataset="d", split=Split(), dropped=(), keep_blob=False)
    assert pack.part(bucket).digest == config.digest("pack", VERSION, "d", Split(), (), list(names))
    moved = dataclasses.replace(pack, moved=("x:1",))
    assert moved.part(bucket).digest != pack.part(bucket).digest


def test_works_of_evaluation_lists_are_left_out_by_id_and_by_sound(tmp_path: Path) -> None:
    made = [sound(n, username="ada", license=CC0) for n in (1, 3, 5, 6)]
    folder = write_sounds(tmp_path / "in", made, AUDIO)
    off = load(folder)
    assert "decontaminate" not in off.described()
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "a.mp3").write_bytes(mp3_bytes(np.float32(2) * LOOP))
    (tmp_path / "eval" / "b.wav").write_bytes(b"RIFF, and nothing else")
    (tmp_path / "eval.csv").write_text("fname,labels,mids\n3,Hiss,/m/1\n")
    (tmp_path / "none.txt").write_text("12345\n")
    lists = (
        '[[decontaminate]]\nname = "fsd50k"\nids = "eval.csv"\naudio = "eval"\n'
        '[[decontaminate]]\nname = "other"\nids = "none.txt"\n'
    )
    build(load(folder, lists), tmp_path / "out")
    found = rows(tmp_path / "out")
    assert {key: (row.stage, row.reason) for key, row in found.items() if not row.kept} == {
        "freesound:1": ("decontaminate", "decontaminated"),
        "freesound:3": ("decide", "decontaminated"),
    }
    assert found["freesound:3"].detail == "fsd50k (id 3)"
    assert found["freesound:1"].detail.startswith("fsd50k (sounds like a.mp3, 0.")
    facts = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert facts["warnings"] == [
        "decontaminate: other: nothing that was offered is in it; is it the right file?"
    ]
    assert [item["name"] for item in facts["manifest"]["decontaminate"]] == ["fsd50k", "other"]
    assert str(tmp_path) not in json.dumps(facts)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "works of the evaluation lists fsd50k, other." in " ".join(card.split())
    assert verify(open_dataset(str(tmp_path / "out"))) == []
    (tmp_path / "eval.csv").unlink()
    with pytest.raises(
        UsageError, match=r"zenodo\.org/records/4060432 has it as FSD50K\.ground_truth/eval\.csv"
    ):
        dry_run(load(folder, lists), str(tmp_path / "out"), Quiet())
