"""A dataset in an object store: its lock is a lease, its inputs may lie there too, its bytes are the same."""

import threading
from pathlib import Path

import pytest

from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import Locked
from sao_data.storage import object_lock
from sao_data.storage.backend import open_storage
from tests import processes
from tests.datasets_made import manifest_text, tree, write_folder
from tests.fakes.s3_server import S3

DEAD = object_lock.LEASE_SECONDS + 30


def test_a_lease_that_nobody_renews_is_taken_over(s3: S3, caplog: pytest.LogCaptureFixture) -> None:
    first = open_storage(s3.url)
    second, third = open_storage(first.url), open_storage(first.url)
    with first.lock():
        mine = first.read("lock")
        with (
            pytest.raises(Locked, match=r"in use by process \d+ on .* renewed the lock [01] s ago"),
            second.lock(),
        ):
            pass
        s3.grow_older(f"{first.url}/lock", DEAD)
        with second.lock():
            assert "took over from process" in caplog.text
            assert second.entries() == ["lock"]
            assert second.read("lock") != mine
            second.write("x", b"of the second")
            with pytest.raises(Locked, match="in use by process"), third.lock():
                pass
            theirs = second.read("lock")
        assert theirs != mine
    assert first.entries() == ["x"]  # the first gave back nothing that was not its own


def test_of_many_who_find_it_dead_one_takes_over(s3: S3) -> None:
    url = s3.url
    open_storage(url).write("lock", b"process 1 on elsewhere, lease 0123456789abcdef")
    s3.grow_older(f"{url}/lock", DEAD)
    together, taken, lost, ended = threading.Barrier(6), [], [], threading.Event()

    def try_it() -> None:
        store = open_storage(url)
        together.wait()
        try:
            with store.lock():
                taken.append(store.read("lock"))
                ended.wait(60)  # until all others have given up
        except Locked:
            lost.append(1)
            if len(lost) == 5:
                ended.set()

    threads = [threading.Thread(target=try_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    assert open_storage(url).entries() == []


@pytest.mark.parametrize(
    ("left", "why"),
    [(b"process 2 on elsewhere", "process 2 on elsewhere holds it"), (None, "somebody deleted it")],
)
def test_who_lost_the_lock_writes_no_more(s3: S3, left: bytes | None, why: str) -> None:
    store = open_storage(s3.url)
    other = open_storage(store.url)
    with store.lock():
        store.write("x", b"1")
        if left is None:
            other.delete("lock")
        else:
            other.write("lock", left)
        store._lease.renew()  # as its thread does every ten seconds
        for attempt in (
            lambda: store.write("x", b"2"),
            lambda: store.create("y", b""),
            lambda: store.delete("x"),
        ):
            with pytest.raises(Locked, match=f"the lock was lost .{why}.; what is complete is kept"):
                attempt()
    assert other.read("x") == b"1"


def test_who_was_cut_off_writes_no_more(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_storage(s3.url)
    with store.lock():
        monkeypatch.setattr(object_lock.time, "monotonic", lambda: 1e9)
        with pytest.raises(Locked, match="out of reach for more than 60 s"):
            store.write("x", b"1")
        monkeypatch.undo()


UNREACHABLE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
NOBODY = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_EC2_METADATA_DISABLED": "true",
    "HOME": "/nowhere",
}


@pytest.mark.parametrize(
    ("url", "environment", "code", "said"),
    [
        ("s3://no-such-bucket/x", {}, 2, "error: s3://no-such-bucket/x: no such bucket"),
        ("s3://sounds/x", UNREACHABLE, 4, "stopped: s3://sounds/x: Could not connect to the endpoint"),
        ("s3://sounds/x", NOBODY, 2, "no credentials; for S3 set AWS_ACCESS_KEY_ID"),
    ],
)
def test_what_is_wrong_with_a_store_is_said(
    s3: S3, url: str, environment: dict[str, str], code: int, said: str
) -> None:
    command = [*processes.INGEST, "--executor", "local", "--out", url]
    status, text = processes.ran(*command, env=processes.environment(**environment))
    assert (status, said in text, "Traceback" in text) == (code, True, False), text


def test_an_ingest_from_there_to_there_survives_a_kill(s3: S3, tmp_path: Path) -> None:
    folder, there = write_folder(tmp_path / "in", 12), s3.url
    for path in folder.iterdir():
        open_storage(f"{there}/in").write(path.name, path.read_bytes())
    for name, where in (("near", str(folder)), ("far", f"{there}/in")):
        (tmp_path / f"{name}.toml").write_text(manifest_text(where, num_buckets=4))
    command = [*processes.INGEST, "--executor", "local", "--manifest"]
    status, text = processes.ran(*command, str(tmp_path / "near.toml"), "--out", str(tmp_path / "near"))
    assert status == 0, text
    far = [*command, str(tmp_path / "far.toml"), "--out", f"{there}/out"]
    store = open_storage(f"{there}/out")
    process = processes.start(*far)
    processes.wait_for(lambda: store.names("work/normalise"), "the first bucket")
    processes.kill_group(process)
    processes.ended(process)
    status, text = processes.ran(*far)
    assert (status, "in use by process" in text) == (6, True), text
    s3.grow_older(f"{there}/out/lock", DEAD)
    status, text = processes.ran(*far)
    assert status == 0, text
    files = tree(tmp_path / "near")
    assert {name: store.read(name) for name in files} == {
        name: (tmp_path / "near" / name).read_bytes() for name in files
    }
    assert store.entries() == sorted(path.name for path in (tmp_path / "near").iterdir())
    assert verify(open_dataset(store.url)) == []
    assert s3.num_uploads() == 0
