"""A file is there whole or not at all; a directory has one writer."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from sao_data.errors import Locked, UsageError
from sao_data.storage.backend import LocalStorage, Storage, open_storage, write_if_changed

KINDS = ["local", "memory", "s3"]


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    urls = {"local": lambda: str(tmp_path / "out"), "memory": lambda: f"memory://{tmp_path.name}/out"}
    return open_storage(urls.get(request.param, lambda: request.getfixturevalue("s3").url)())


def test_what_is_written_is_read(storage: Storage) -> None:
    storage.write("a/b.bin", b"one")
    storage.write("a/b.bin", b"three")
    assert storage.read("a/b.bin") == b"three"
    assert storage.size("a/b.bin") == 5
    assert storage.names("a") == ["a/b.bin"]
    with storage.open("a/b.bin") as file:
        file.seek(2)
        assert file.read() == b"ree"
    storage.delete("a/b.bin")
    storage.delete("a/b.bin")
    assert not storage.exists("a/b.bin")
    assert storage.names("a") == storage.names("nowhere") == []


def _interrupted(storage: Storage) -> None:
    with storage.staged("x.bin") as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError


def test_an_exception_while_staging_publishes_nothing(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError):
        _interrupted(storage)
    assert not storage.exists("x.bin")
    assert storage.names() == []


def test_equal_bytes_are_not_written_again(storage: Storage) -> None:
    assert write_if_changed(storage, "x", b"1")
    assert not write_if_changed(storage, "x", b"1")
    assert write_if_changed(storage, "x", b"2")


def test_of_two_who_create_a_file_one_does(storage: Storage) -> None:
    assert storage.create("x", b"first")
    assert not storage.create("x", b"second")
    assert storage.read("x") == b"first"


def test_the_second_writer_is_told_who_the_first_is(storage: Storage) -> None:
    with storage.lock():
        other = open_storage(storage.url)
        with pytest.raises(Locked, match=r"in use by process \d+ on "), other.lock():
            pass
    with storage.lock():
        assert storage.exists("lock")


def test_a_killed_writer_does_not_block(tmp_path: Path) -> None:
    code = (
        "import os, sys; from sao_data.storage.backend import LocalStorage; from pathlib import Path\n"
        "lock = LocalStorage(Path(sys.argv[1])).lock(); lock.__enter__(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    with LocalStorage(tmp_path).lock():
        assert "process" in (tmp_path / "lock").read_text()
    assert not (tmp_path / "lock").exists()


def test_what_killed_runs_left_is_removed(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write("shards/a.tar", b"a")
    (tmp_path / "shards" / ".tmp-123-a.tar").write_bytes(b"half")
    (tmp_path / "work" / "spool" / "spool-1").mkdir(parents=True)
    assert storage.names("shards") == ["shards/a.tar"]
    storage.remove_leftovers()
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a.tar"]
    assert not (tmp_path / "work" / "spool").exists()


def test_a_file_in_the_way_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"a file is where a folder should be|cannot create the folder"):
        open_storage(str(tmp_path / "file" / "deeper")).write("a", b"")


def test_an_unknown_protocol_names_the_driver() -> None:
    with pytest.raises(UsageError, match="no driver for nosuch://"):
        open_storage("nosuch://x/y")


def _write_many(root: str, letter: str) -> None:
    storage = LocalStorage(Path(root))
    for _ in range(40):
        storage.write("same", letter.encode() * 10_000)


def test_two_writers_of_one_name_never_mix(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(str(tmp_path), letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        if (tmp_path / "same").exists():
            seen.add((tmp_path / "same").read_bytes())
    for writer in writers:
        writer.join()
    assert seen <= {b"a" * 10_000, b"b" * 10_000}
    assert seen
