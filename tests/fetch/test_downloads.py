"""Files to disk: going on, beginning anew, what is transient and what a fact, and a disk that is full."""

from __future__ import annotations

import errno
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from sao_data.errors import Stopped, UsageError
from sao_data.fetch import downloads
from sao_data.fetch.web import NotFound, TransientError
from sao_data.plugins import DamagedFile
from tests.fakes.freesound import FakeFreesound, Quirks, make
from tests.fakes.freesound.things import file_bytes
from tests.fetch.made_web import log_in, web

ID = 1000
URL = f"sounds/{ID}/download/"


@pytest.fixture
def original(fake: FakeFreesound) -> bytes:
    """The bytes that should arrive, from a server that takes ranges."""
    log_in(fake)
    fake.quirks = Quirks(ranges=True)
    sound = fake.world.sound(ID)
    assert sound
    data = file_bytes(sound)
    assert data
    assert (len(data), hashlib.md5(data).hexdigest()) == (sound.filesize, sound.md5)
    return data


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    return tmp_path / "1000.partial"


def fetch(fake: FakeFreesound, partial: Path, expected: int | None, url: str = URL, **more: Any) -> None:
    auth = more.pop("auth", "oauth")
    web(fake, **more).download(url, partial, expected_bytes=expected, auth=auth)


def preview(fake: FakeFreesound) -> str:
    return str(fake.get(f"sounds/{ID}/").json()["previews"]["preview-hq-ogg"])


def test_a_file_arrives_whole(fake: FakeFreesound, original: bytes, partial: Path) -> None:
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original
    fetch(fake, partial, len(original))  # complete: nothing is asked
    assert len(fake.record.of("download")) == 1


@pytest.mark.parametrize("kind", ["truncated", "reset_mid"])
def test_a_file_that_breaks_off_is_continued(
    fake: FakeFreesound, original: bytes, partial: Path, kind: str
) -> None:
    fake.faults.add(kind, "download", requests={1})
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original
    assert [r.range for r in fake.record.of("download")] == ["", f"bytes={len(original) // 2}-"]
    assert [r.status for r in fake.record.of("download")] == [200, 206]


def test_the_next_run_continues_what_this_one_left(
    fake: FakeFreesound, original: bytes, partial: Path
) -> None:
    fake.faults.add("truncated", "download", requests={1})
    with pytest.raises(TransientError, match=r"the connection broke \(1 attempts\)"):
        fetch(fake, partial, len(original), attempts=1)
    assert partial.read_bytes() == original[: len(original) // 2]
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original
    assert fake.record.of("download")[-1].status == 206


def test_a_server_without_ranges_begins_anew(fake: FakeFreesound, original: bytes, partial: Path) -> None:
    fake.quirks = Quirks(ranges=False)
    fake.faults.add("truncated", "download", requests={1})
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original
    assert fake.record.statuses("download") == {200: 2}


def test_what_is_longer_than_the_file_is_begun_anew(
    fake: FakeFreesound, original: bytes, partial: Path
) -> None:
    partial.write_bytes(original + b"more")
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original
    assert fake.record.of("download")[0].range == ""


def test_another_file_in_the_meantime_is_begun_anew(
    fake: FakeFreesound, original: bytes, partial: Path
) -> None:
    other = original[:-8] + b"\0" * 8  # another ETag
    fake.faults.add("truncated", "download", requests={1})
    fake.timeline.before("download", 2, lambda world: world.edit(ID, content=other))
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == other
    assert [bool(r.range) for r in fake.record.of("download")] == [False, True]


def test_a_continuation_under_another_etag_is_not_used(
    fake: FakeFreesound, original: bytes, partial: Path
) -> None:
    size, half = len(original), len(original) // 2
    headers = {"Content-Range": f"bytes {half}-{size - 1}/{size}", "ETag": '"another"'}
    fake.faults.add("truncated", "download", requests={1})
    fake.faults.answer(make(206, "audio/wav", b"x" * (size - half), headers), "download", requests={2})
    fetch(fake, partial, size)
    assert partial.read_bytes() == original


BAD_RANGES = [
    {"Content-Range": "bytes 10-{last}/{size}"}, {"Content-Range": "bytes {half}-{size}/{more}"}, {},
    {"Content-Range": "bytes {half}-{half}/{size}"}, {"Content-Range": "garbage"},
]  # fmt: skip


@pytest.mark.parametrize("headers", BAD_RANGES)
def test_a_continuation_of_something_else_is_not_used(
    fake: FakeFreesound, original: bytes, partial: Path, headers: dict[str, str]
) -> None:
    size, half = len(original), len(original) // 2
    partial.write_bytes(original[:half])
    numbers = {"size": size, "half": half, "last": size - 1, "more": size + 1}
    wrong = {name: value.format(**numbers) for name, value in headers.items()}
    fake.faults.answer(make(206, "audio/wav", b"x" * (size - half), wrong), "download", requests={1})
    fetch(fake, partial, size)
    assert partial.read_bytes() == original
    assert [r.range for r in fake.record.of("download")] == [f"bytes={half}-", ""]


def test_a_range_that_is_not_satisfiable_begins_anew(
    fake: FakeFreesound, original: bytes, partial: Path
) -> None:
    partial.write_bytes(original[:-1])
    fake.faults.answer(make(416, "text/html", b""), "download", requests={1})
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_size_that_is_wrong_twice_is_a_fact(
    fake: FakeFreesound, original: bytes, partial: Path, difference: int
) -> None:
    with pytest.raises(DamagedFile, match="stated"):
        fetch(fake, partial, len(original) + difference)
    assert len(fake.record.of("download")) == 2
    assert not partial.exists()


def test_a_size_that_is_wrong_once_is_transient(fake: FakeFreesound, original: bytes, partial: Path) -> None:
    fake.faults.add("empty_200", "download", requests={1})
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original


def test_a_short_body_without_a_length_stays_transient(
    fake: FakeFreesound, original: bytes, partial: Path
) -> None:
    short = make(200, "audio/wav", original[:100])
    headers = {key: value for key, value in short.headers.items() if key != "Content-Length"}
    fake.faults.answer(short._replace(headers=headers | {"Connection": "close"}, body=iter([])), "download")
    with pytest.raises(TransientError, match="broke off"):
        fetch(fake, partial, len(original), attempts=3)


@pytest.mark.parametrize("kind", ["html_200", "bad_gateway", "reset", "throttled_minute", "server_error"])
def test_a_transient_failure_is_tried_again(
    fake: FakeFreesound, original: bytes, partial: Path, kind: str
) -> None:
    fake.faults.add(kind, "download")
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original


def test_a_sound_that_is_gone_is_a_fact(fake: FakeFreesound, original: bytes, partial: Path) -> None:
    fake.world.delete(ID)
    with pytest.raises(NotFound, match="404 Not found"):
        fetch(fake, partial, len(original))
    assert not partial.exists()


def test_an_expired_login_in_the_middle(fake: FakeFreesound, original: bytes, partial: Path) -> None:
    fake.faults.add("expired_bearer", "download", requests={1})
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original
    assert fake.credentials.num_refreshes == 1


def test_a_redirect_to_the_cdn_is_followed_without_the_credential(
    fake: FakeFreesound, original: bytes, partial: Path
) -> None:
    fake.quirks = Quirks(redirect_downloads=True, ranges=True)
    fake.faults.add("truncated", "cdn_original", requests={1})
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original
    assert [(r.host, r.auth) for r in fake.record.entries] == [("api", "bearer"), ("cdn", "")] * 2
    assert not fake.record.leaks


def test_a_link_that_has_run_out_is_asked_for_again(
    fake: FakeFreesound, original: bytes, partial: Path
) -> None:
    fake.quirks = Quirks(redirect_downloads=True, ranges=True)
    fake.faults.answer(make(410, "text/html", b""), "cdn_original", requests={1})
    fetch(fake, partial, len(original))
    assert partial.read_bytes() == original
    assert len(fake.record.of("download")) == 2


def test_a_redirect_to_a_stranger_stops(fake: FakeFreesound, original: bytes, partial: Path) -> None:
    away = make(302, "text/html", b"", {"Location": "https://evil.example/file.wav"})
    fake.faults.answer(away, "download")
    with pytest.raises(UsageError, match="not an https address of Freesound; nothing was sent there"):
        fetch(fake, partial, len(original))


@pytest.mark.parametrize(
    "url", ["https://evil.example/a.ogg", "file:///etc/passwd", "http://169.254.169.254/"]
)
def test_metadata_with_a_foreign_address_is_a_fact(fake: FakeFreesound, partial: Path, url: str) -> None:
    with pytest.raises(DamagedFile, match="not an https address of Freesound"):
        fetch(fake, partial, None, url, auth="none")
    assert not partial.exists()


def test_a_preview_needs_no_credential_and_no_permit(fake: FakeFreesound, partial: Path) -> None:
    url = preview(fake)
    client = web(fake, credentials=None)
    client.download(url, partial, expected_bytes=None, auth="none")
    assert partial.read_bytes() == fake.get(url).read()
    assert client._permits.used() == (0, 0)  # type: ignore[attr-defined]
    assert not fake.record.leaks[:-1]


def test_a_preview_that_breaks_off_is_continued_only_by_who_knows_its_etag(
    fake: FakeFreesound, partial: Path
) -> None:
    fake.quirks = Quirks(ranges=True)
    url = preview(fake)
    fake.faults.add("truncated", "preview", requests={1, 3})
    fetch(fake, partial, None, url, auth="none")
    whole = partial.read_bytes()
    partial.unlink()
    assert [bool(r.range) for r in fake.record.of("preview")] == [False, True]
    with pytest.raises(TransientError):
        fetch(fake, partial, None, url, auth="none", attempts=1)
    fetch(fake, partial, None, url, auth="none")
    assert partial.read_bytes() == whole
    assert fake.record.of("preview")[-1].range == ""


def test_an_empty_preview_is_transient(fake: FakeFreesound, partial: Path) -> None:
    url = preview(fake)
    fake.faults.add("empty_200", "preview", requests={1})
    fetch(fake, partial, None, url, auth="none")
    assert partial.stat().st_size > 0


def test_a_file_name_of_the_servers_is_not_used(fake: FakeFreesound, original: bytes, partial: Path) -> None:
    fake.faults.add("hostile_disposition", "download", at_most=0)
    fetch(fake, partial, len(original))
    assert {p.name for p in partial.parent.iterdir()} == {"1000.partial", "home"}


def test_a_full_disk_stops_the_run_and_keeps_what_there_is(
    fake: FakeFreesound, original: bytes, partial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all = downloads._write_all

    def full(file: io.FileIO, piece: bytes) -> None:
        write_all(file, piece[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads, "_write_all", full)
    with pytest.raises(Stopped) as caught:
        fetch(fake, partial, len(original))
    assert str(caught.value) == (
        f"the disk is full ({partial.parent}); free some space, then run the same command"
    )
    monkeypatch.undo()
    assert partial.stat().st_size == 100
    fake.faults.clear()


def test_a_folder_that_is_missing_is_the_callers_error(
    fake: FakeFreesound, original: bytes, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        fetch(fake, tmp_path / "nowhere" / "x", len(original))


def test_spoilt_bodies_are_never_taken_for_the_file(
    fake: FakeFreesound, original: bytes, tmp_path: Path
) -> None:
    """Every kind of spoilt body, at 40 %."""
    fake.client.level = 99
    for kind in ("truncated", "reset_mid", "html_200", "empty_200", "bad_gateway", "reset"):
        fake.faults.add(kind, "download", share=0.4)
    client = web(fake, windows=None, attempts=20)
    for sound_id in range(1000, 1040):
        sound = fake.world.sound(sound_id)
        assert sound
        path = tmp_path / f"{sound_id}"
        client.download(f"sounds/{sound_id}/download/", path, expected_bytes=sound.filesize, auth="oauth")
        assert hashlib.md5(path.read_bytes()).hexdigest() == sound.md5
    assert sum(fake.faults.struck.values()) > 40


def test_a_file_that_is_empty_time_and_again_is_a_fact(
    fake: FakeFreesound, original: bytes, partial: Path
) -> None:
    fake.faults.add("empty_200", "download", at_most=0)
    with pytest.raises(DamagedFile, match="0 bytes where"):
        fetch(fake, partial, len(original))
    assert len(fake.record.of("download")) == 4
