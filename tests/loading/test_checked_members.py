"""A member is hashed by one process of a machine; whatever changed is hashed again."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sao_data.errors import IntegrityError
from sao_data.loading import checked_members
from sao_data.loading.shard_reader import ShardReader
from tests.loading.test_shard_reader import flip, rows
from tests.paths import ROOT
from tests.streams_made import NUM, make_dataset, stream


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("checked"))


@pytest.fixture
def folder(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a dataset, old enough for its times to be trusted, on a machine that has checked nothing."""
    shutil.copytree(built, tmp_path / "out")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(checked_members, "_SECONDS_UNSURE", 0.0)
    return tmp_path / "out"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of members whose audio was hashed."""
    keys: list[str] = []
    real = ShardReader._hash

    def noted(self: ShardReader, handle: object, member: object) -> str:
        keys.append(member.key)  # type: ignore[attr-defined]
        return real(self, handle, member)  # type: ignore[arg-type]

    monkeypatch.setattr(ShardReader, "_hash", noted)
    return keys


def read_all(folder: Path, **settings: object) -> None:
    with stream(folder, NUM, **settings) as batches:
        next(batches)


def test_another_reader_of_the_machine_does_not_hash_again(folder: Path, hashed: list[str]) -> None:
    read_all(folder)
    assert len(set(hashed)) == len(hashed) == NUM
    read_all(folder, num_threads=2)
    assert len(hashed) == NUM
    read_all(folder, verify="always")
    assert len(hashed) == 2 * NUM


def test_another_process_does_not_either(folder: Path, hashed: list[str]) -> None:
    code = (
        "from pathlib import Path\n"
        "from sao_data.loading import checked_members\n"
        "from tests.streams_made import NUM, stream\n"
        "checked_members._SECONDS_UNSURE = 0.0\n"
        f"next(stream(Path({str(folder)!r}), NUM))\n"
    )
    env = os.environ | {"TMPDIR": str(folder.parent), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=env)
    read_all(folder)
    assert not hashed


def test_a_shard_that_changed_between_two_readers_is_noticed(folder: Path) -> None:
    read_all(folder)
    row = rows(folder)[3]
    path = folder / "shards" / row.shard
    before = path.stat()
    flip(path, row.flac_offset + 30)  # in STREAMINFO's MD5, where no decoder looks
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if nothing had been written
    with pytest.raises(
        IntegrityError, match=f"{row.shard}: audio of {row.key} is damaged; restore the shard"
    ):
        read_all(folder)


def test_a_shard_that_was_replaced_is_checked_again(folder: Path, hashed: list[str]) -> None:
    read_all(folder)
    row = rows(folder)[0]
    path = folder / "shards" / row.shard
    shutil.copy2(path, folder / "copy")
    (folder / "copy").replace(path)
    read_all(folder)
    again = hashed[NUM:]
    assert row.key in again
    assert {r.shard for r in rows(folder) if r.key in again} == {row.shard}


def test_after_a_restart_of_the_machine_all_is_checked_again(
    folder: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_all(folder)
    (folder / "boot_id").write_text("another\n")
    monkeypatch.setattr(checked_members, "_BOOT", folder / "boot_id")
    read_all(folder)
    assert len(hashed) == 2 * NUM


def test_a_shard_that_has_just_changed_is_checked_by_each_for_itself(
    folder: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_members, "_SECONDS_UNSURE", 1e9)
    for _ in range(2):
        with stream(folder, NUM) as batches:
            next(batches)
            next(batches)
    assert len(hashed) == 2 * NUM
    assert not list((folder.parent / f"sao-checked-{os.getuid()}").iterdir())


def test_the_marks_are_the_owners_alone(folder: Path) -> None:
    read_all(folder)
    marks = folder.parent / f"sao-checked-{os.getuid()}"
    assert marks.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in marks.iterdir()} == {0o600}
    assert sum(path.stat().st_size for path in marks.iterdir()) == 2 * NUM  # audio and JSON of each
    assert {byte for path in marks.iterdir() for byte in path.read_bytes()} == {1}


@pytest.mark.parametrize("fault", ["cleaned up", "full"])
def test_a_temporary_folder_that_fails_stops_nobody(
    folder: Path,
    hashed: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    with stream(folder, NUM) as batches:
        if fault == "full":
            monkeypatch.setattr(checked_members.os, "pwrite", lambda handle, data, at: len(data) // 2)
        else:
            (folder.parent / f"sao-checked-{os.getuid()}").rmdir()
        next(batches)
        next(batches)
    assert len(hashed) == NUM
    said = [record.message for record in caplog.records if "each process checks for itself" in record.message]
    assert len(said) == 1
    assert ("No such file" if fault == "cleaned up" else "No space left on device") in said[0]


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file"])
def test_a_folder_that_others_could_have_made_is_not_used(
    folder: Path, hashed: list[str], caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    marks = folder.parent / f"sao-checked-{os.getuid()}"
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if kind == "a link":
        marks.symlink_to(elsewhere)
    elif kind == "a file":
        marks.touch()
    else:
        marks.mkdir()
        marks.chmod(0o777)
    read_all(folder)
    read_all(folder)
    assert len(hashed) == 2 * NUM
    assert "each process checks for itself what it reads" in caplog.text
    assert not list(elsewhere.iterdir())
