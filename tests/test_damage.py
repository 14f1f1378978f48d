"""Whatever befalls the files of a dataset, every reader answers in one line, and nothing passes unseen."""

import contextlib
import dataclasses
import hashlib
import io
import json
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sao_data.commands.verbs import status
from sao_data.dataset import explain
from sao_data.dataset.commit import root_digest
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import check
from sao_data.errors import IntegrityError, SaoError
from sao_data.loading.stream import Stream, StreamConfig
from sao_data.records import SampleRow, Shard
from sao_data.revision import takedown
from sao_data.revision.selection import Wanted
from sao_data.rights.takedowns import Tombstone, append
from sao_data.storage import shards, tables
from sao_data.storage.layout import CATALOGUE, MEASURES, SAMPLES, SHARDS
from tests import damaged
from tests.dataset.test_verify import reseal
from tests.datasets_made import BY, CC0, NC, SAMPLING, build, load, tree, write_folder

SEALED = (SHARDS, SAMPLES, CATALOGUE, MEASURES, "shards/", "evidence/")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("damage")
    build(load(tmp, write_folder(tmp / "in", 12, licenses=(BY, CC0, SAMPLING, NC))), tmp / "out")
    shutil.rmtree(tmp / "out" / "work")
    dataset = open_dataset(str(tmp / "out"))
    append(dataset.storage, [Tombstone(id="folder:gone", when="2026-11-29", reason="author's request")])
    return tmp / "out"


def read_all(out: Path) -> list[str]:
    """All readers in turn; what they complain of. Nothing but our own errors may come out of them."""
    said: list[str] = []
    for reader in (_verified, _explained, _shown, _streamed):
        try:
            said += reader(out)
        except SaoError as error:
            said.append(f"error {error.exit_code}: {error}")
    return said


def _verified(out: Path) -> list[str]:
    result = check(open_dataset(str(out)))
    return [*result.findings, *result.notes]


def _explained(out: Path) -> list[str]:
    dataset = open_dataset(str(out))
    explain.raw_row(dataset, explain.find(dataset, "folder:tone-001-wav")[0])
    return []


def _shown(out: Path) -> list[str]:
    with contextlib.redirect_stdout(io.StringIO()):
        status.run(_Arguments(dir=str(out)))  # type: ignore[arg-type]
    return []


def _streamed(out: Path) -> list[str]:
    config = StreamConfig(window_frames=4096, num_threads=0, num_retries=0)
    with Stream(open_dataset(str(out)), config, batch_size=2) as batches:
        next(batches)
    return []


@dataclasses.dataclass
class _Arguments:
    dir: str


def harm(out: Path, seed: int) -> tuple[str, bool]:
    """Damage one file; its name, and whether that is a difference that must be seen."""
    dice = random.Random(seed)
    files = sorted(p for p in out.rglob("*") if p.is_file() and p.name not in ("lock", "reviews.csv"))
    path = dice.choice([p for p in files if dice.random() < 0.5 or p.suffix in (".json", ".parquet", ".tar")])
    before = path.read_bytes()
    way = damaged.json_of if path.suffix == ".json" and dice.random() < 0.7 else damaged.bytes_of
    after = way(before, dice)
    path.write_bytes(after)
    return path.name, _meaning(path, before) != _meaning(path, after)


def _meaning(path: Path, data: bytes) -> object:
    if path.name not in ("dataset.json", "owner.json"):
        return data if path.name != "takedowns.jsonl" else b""  # persons write it
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return data
    known = ("format", "format_version", "name", "sources") if path.name == "owner.json" else _sealed()
    return {name: table[name] for name in known if name in table} if isinstance(table, dict) else data


def _sealed() -> tuple[str, ...]:
    return (
        "name", "version", "root_digest", "manifest", "counts", "rejected_by_reason", "answers", "evidence",
        "files", "licence_reader",
    )  # fmt: skip


def _run(built: Path, folder: Path, seeds: range) -> None:
    for seed in seeds:
        shutil.copytree(built, folder / "x")
        name, differs = harm(folder / "x", seed)
        said = read_all(folder / "x")
        assert said or not differs, f"seed {seed}: nothing was said of {name}"
        assert all("\n" not in line for line in said), (seed, said)
        shutil.rmtree(folder / "x")


def test_damage_is_said_in_one_line(built: Path, tmp_path: Path) -> None:
    assert read_all(built) == []
    _run(built, tmp_path, range(60))


@pytest.mark.slow
def test_a_thousand_times(built: Path, tmp_path: Path) -> None:
    _run(built, tmp_path, range(60, 1060))


def odd_tables() -> dict[str, tuple[str, Callable[[pa.Table], pa.Table], str]]:
    """What may stand in a resealed table, and what is said of it."""
    return {
        "no column": (SAMPLES, lambda t: t.drop_columns(["credit"]), "no column credit"),
        "a column more": (SHARDS, lambda t: t.append_column("x", t["name"]), "column x is not known here"),
        "another type": (SHARDS, lambda t: _set(t, "series", pa.array([1] * len(t))), "holds int64, want"),
        "an empty cell": (SAMPLES, lambda t: _fill(t, "flac_offset", None), "flac_offset is empty in"),
        "below zero": (SAMPLES, lambda t: _fill(t, "flac_size", -1), "flac_size is below 0: '-1'"),
        "a giant": (SAMPLES, lambda t: _fill(t, "json_size", 1 << 40), "beyond the end of"),
        "a step out": (SHARDS, lambda t: _fill(t, "name", "../owner.json"), "name is not of its form"),
        "no digest": (CATALOGUE, lambda t: _fill(t, "evidence", "x"), "evidence is not of its form"),
        "no id": (CATALOGUE, lambda t: _fill(t, "id", "x"), "id is not of its form: 'x'"),
        "NaN": (CATALOGUE, lambda t: _fill(t, "seconds", float("nan")), "seconds is no number"),
        "another series": (SHARDS, lambda t: _fill(t, "series", "x"), "has it in the series 'x'"),
        "other lengths": (SAMPLES, lambda t: _fill(t, "num_frames", 9), "frames, samples.parquet has 9"),
        "no shards": (CATALOGUE, lambda t: _fill(t, "shards", ["x-000009.tar"]), "not by the shards"),
        "twice the same": (SHARDS, lambda t: pa.concat_tables([t, t]), "stands in shards.parquet twice"),
        "one clip less": (MEASURES, lambda t: t.slice(1), "0 clips, and the catalogue has it kept"),
        "another loudness": (MEASURES, lambda t: _fill(t, "lufs", -1.0), "are not those of its sample"),
        "another's clips": (MEASURES, lambda t: _fill(t, "recording_id", "x:1"), "x:1: is not in the cata"),
        "no clip kept": (MEASURES, lambda t: _fill(t, "kept", False), "left out without a reason"),
        "clips twice": (MEASURES, lambda t: pa.concat_tables([t, t]), "stands behind folder:"),
        "one name for two": (SAMPLES, lambda t: _fill(t, "key", t["key"][0].as_py()), "is there twice"),
    }  # fmt: skip


@pytest.mark.parametrize("name", odd_tables())
def test_a_resealed_table_that_no_writer_made_is_told(built: Path, tmp_path: Path, name: str) -> None:
    file, change, told = odd_tables()[name]
    shutil.copytree(built, tmp_path / "x")
    path = tmp_path / "x" / file
    pq.write_table(change(pq.read_table(path)), path)
    _seal(tmp_path / "x")
    assert any(told in line for line in read_all(tmp_path / "x")), read_all(tmp_path / "x")


def _set(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _fill(table: pa.Table, name: str, value: object) -> pa.Table:
    return _set(table, name, pa.array([value] * len(table), table.schema.field(name).type))


def _seal(out: Path) -> None:
    """Hashes and root fit again."""
    facts = json.loads((out / "dataset.json").read_text())
    for name in facts["files"]:
        facts["files"][name] = hashlib.sha256((out / name).read_bytes()).hexdigest()
    sealed = {name: sha for name, sha in facts["files"].items() if name.startswith(SEALED)}
    facts["root_digest"] = root_digest(sealed, facts["manifest"])
    facts["version"] = facts["root_digest"][:12]
    (out / "dataset.json").write_text(json.dumps(facts))


FOREIGN = ["a.pickle", "b.pyd", "x.pth", "../../escape.flac", "/etc/cron.d/x", "LINK", "DUPLICATE", "FOLDER"]


@pytest.mark.parametrize("place", ["behind", "before"])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_member_that_no_table_has_is_told(built: Path, tmp_path: Path, name: str, place: str) -> None:
    shutil.copytree(built, tmp_path / "x")
    shard = open_dataset(str(tmp_path / "x")).shards()[0]
    _smuggle(tmp_path / "x", shard.name, name, place)
    found = [line for line in _verified(Path(reseal(tmp_path / "x").storage.url)) if shard.name in line]
    assert any("no table has" in line for line in found), found


def _smuggle(out: Path, shard: str, name: str, place: str) -> None:
    """Put one more member into a shard, with tables that fit."""
    path = out / "shards" / shard
    with tarfile.open(path) as tar:
        members = [(m, tar.extractfile(m).read()) for m in tar.getmembers()]  # type: ignore[union-attr]
    more = tarfile.TarInfo(members[0][0].name if name == "DUPLICATE" else name)
    more.type = {"LINK": tarfile.SYMTYPE, "FOLDER": tarfile.DIRTYPE}.get(name, tarfile.REGTYPE)
    more.linkname = "/etc/hostname" if name == "LINK" else ""
    members.insert(0 if place == "before" else len(members), (more, b""))
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    with tarfile.open(path) as tar:
        offsets = {(m.name, m.size): m.offset_data for m in tar.getmembers()}
    dataset = open_dataset(str(out))
    rows = [_moved(row, offsets) if row.shard == shard else row for row in dataset.samples()]
    packed = [_resized(s, path) if s.name == shard else s for s in dataset.shards()]
    tables.write(dataset.storage, SAMPLES, SampleRow, rows)
    tables.write(dataset.storage, SHARDS, Shard, packed)


def _moved(row: SampleRow, offsets: dict[tuple[str, int], int]) -> SampleRow:
    flac, text = offsets[f"{row.key}.flac", row.flac_size], offsets[f"{row.key}.json", row.json_size]
    return dataclasses.replace(row, flac_offset=flac, json_offset=text)


def _resized(shard: Shard, path: Path) -> Shard:
    data = path.read_bytes()
    return dataclasses.replace(shard, num_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


# One field of a sample's JSON, and what is said of it.
FIELDS: dict[str, tuple[Any, str]] = {
    "seconds_total": (-5, "seconds_total: Input should be greater than or equal to 0 (got -5)"),
    "seconds_start": (10**30, "seconds_start is 1000"),
    "num_frames": (1, "num_frames is 1, "),
    "start_frame": ("x", "start_frame: Input should be a valid integer (got 'x')"),
    "sample_rate": (48_000, "sample_rate is 48000, it follows 44100"),
    "clip": (1, "is clip 1 of folder:tone"),
    "tags": ("abc", "tags: Input should be a valid"),
    "prompt": (None, "prompt: Input should be a valid string (got None)"),
    "dataset": ("other", "dataset is 'other', it follows 'made'"),
    "series": ("validation", "series is 'validation', it follows 'train"),
    "source": ("freesound", "source is 'freesound', it follows 'folder'"),
    "changes": ([], "changes is [], the catalogue has ["),
    "original_sha256": ("0" * 64, "original_sha256 is '000"),
    "mood": ("x", "mood: Extra inputs are not permitted"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_sample_that_says_what_does_not_follow_is_told(built: Path, tmp_path: Path, name: str) -> None:
    value, told = FIELDS[name]
    shutil.copytree(built, tmp_path / "x")
    dataset = open_dataset(str(tmp_path / "x"))
    (first, *others) = sorted(dataset.samples(), key=lambda row: (row.shard, -row.flac_offset))
    path = tmp_path / "x" / "shards" / first.shard
    data = path.read_bytes()
    text = data[first.json_offset : first.json_offset + first.json_size]
    new = json.dumps(json.loads(text) | {name: value}, sort_keys=True, ensure_ascii=False).encode()
    header = shards.member_header(f"{first.key}.json", len(new))
    end = first.json_offset + len(new)
    whole = data[: first.json_offset - 512] + header + new + bytes(-len(new) % 512)
    path.write_bytes(whole + bytes(shards.num_closing(len(whole))))
    row = dataclasses.replace(first, json_size=len(new), json_sha256=hashlib.sha256(new).hexdigest())
    tables.write(dataset.storage, SAMPLES, SampleRow, sorted([row, *others], key=lambda r: r.key))
    packed = [_resized(s, path) if s.name == first.shard else s for s in dataset.shards()]
    tables.write(dataset.storage, SHARDS, Shard, packed)
    found = _verified(Path(reseal(tmp_path / "x").storage.url))
    assert end <= len(whole)
    assert any(told in line for line in found), found
    assert all(first.key in line for line in found), found


def test_a_take_down_stops_before_it_changes_what_it_does_not_understand(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "x")
    shard = open_dataset(str(tmp_path / "x")).shards()[0]
    _smuggle(tmp_path / "x", shard.name, "a.pickle", "before")
    dataset = reseal(tmp_path / "x")
    recording_id = next(row.recording_id for row in dataset.samples() if row.shard == shard.name)
    before = tree(tmp_path / "x", work=True)
    request = takedown.Request(
        wanted=Wanted(ids=(recording_id,)), reason="author's request", when="2026-11-29"
    )
    with pytest.raises(IntegrityError, match=r"a\.pickle lies before .*; nothing was changed; `sao verify`"):
        takedown.apply(dataset, request, takedown.examine(dataset, request))
    assert tree(tmp_path / "x", work=True) == before


@pytest.mark.parametrize("folder", ["evidence", "attribution", "fingerprints", "shards"])
def test_a_file_that_dataset_json_does_not_list_is_told(built: Path, tmp_path: Path, folder: str) -> None:
    shutil.copytree(built, tmp_path / "x")
    (tmp_path / "x" / folder / "evil.pth").write_bytes(b"x")
    assert [line for line in _verified(tmp_path / "x") if line.startswith(f"{folder}/evil.pth: not in ")]
