"""Audio at web addresses: what is transferred, what is a fact, what passes, and where nothing is sent."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sao_data import manifest
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import Later
from sao_data.execution.executor import LocalExecutor
from sao_data.fetch.remote import RemoteSource
from sao_data.fetch.wire import Timeouts, TransientError
from sao_data.fetch.workspace import Workspace
from sao_data.ingest import run
from sao_data.plugins import DamagedFile
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources import catalogue
from sao_data.sources._common import urls as _urls
from sao_data.sources._common.download import RequestPolicy, SharedRateLimiter, StatedFile, download
from tests.datasets_made import BY, Quiet, tone_wav

DATA = bytes(range(256)) * 40
SHA256, MD5 = hashlib.sha256(DATA).hexdigest(), hashlib.md5(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Answers each path as the test says; notes what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Callable[[Handler], None]] = {}
        self.asked: list[tuple[str, str]] = []  # path, Range
        self.seen: list[dict[str, str]] = []  # headers

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range", "")))
        self.server.seen.append(dict(self.headers))
        self.server.answers[self.path](self)

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 — the base class names it

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@dataclasses.dataclass
class Waits:
    """Stands in for sleeping."""

    slept: list[float] = dataclasses.field(default_factory=list)

    def ask(self) -> float:
        return 0.0

    def policy(self, **more: Any) -> RequestPolicy:
        wanted: dict[str, Any] = {"pace": self, "private_hosts": ("127.0.0.1",), "sleep": self.slept.append}
        return RequestPolicy(**(wanted | more))


def serving(data: bytes = DATA, *, cut: int = 0, etag: str = '"one"') -> Callable[[Handler], None]:
    """A server that knows ranges; its first answer breaks off after `cut` bytes."""
    broken = [bool(cut)]

    def answer(handler: Handler) -> None:
        given = handler.headers.get("Range", "")
        start = int(given.removeprefix("bytes=").rstrip("-")) if given else 0
        body, headers = data[start:], {"ETag": etag, "Content_Length": str(len(data) - start)}
        if given:
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if broken.pop() if broken else False:
            body = body[:cut]
        handler.reply(206 if given else 200, body, **headers)

    return answer


def always(status: int, body: bytes = b"", **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(status, body, **headers)


def fetch(url: str, partial: Path, waits: Waits | None = None, **stated: Any) -> bytes:
    download(StatedFile(url=url, **stated), partial, (waits or Waits()).policy())
    return partial.read_bytes()


def test_a_file_is_transferred_and_nothing_of_ours_is_sent(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    server.answers["/a.wav"] = serving()
    assert fetch(server.url("/a.wav"), tmp_path / "part", sha256=SHA256, md5=MD5, num_bytes=len(DATA)) == DATA
    assert server.asked == [("/a.wav", "")]
    (headers,) = server.seen
    assert {"Authorization", "Cookie"}.isdisjoint(headers)
    assert headers["User-Agent"].startswith("sao/")


@pytest.mark.parametrize("stated", [{}, {"sha256": SHA256}, {"num_bytes": len(DATA)}])
def test_a_transfer_that_breaks_off_goes_on_where_it_was(
    server: Server, tmp_path: Path, stated: dict[str, Any]
) -> None:
    server.answers["/a.wav"] = serving(cut=4000)
    assert fetch(server.url("/a.wav"), tmp_path / "part", **stated) == DATA
    assert server.asked == [("/a.wav", ""), ("/a.wav", "bytes=4000-")]


def test_what_an_earlier_run_left_is_continued_only_if_something_will_tell(
    server: Server, tmp_path: Path
) -> None:
    server.answers["/a.wav"] = serving()
    for stated, given in (({"sha256": SHA256}, "bytes=4000-"), ({}, "")):
        (tmp_path / "part").write_bytes(DATA[:4000])
        assert fetch(server.url("/a.wav"), tmp_path / "part", **stated) == DATA
        assert server.asked[-1] == ("/a.wav", given)
    num = len(server.asked)
    assert fetch(server.url("/a.wav"), tmp_path / "part", sha256=SHA256) == DATA
    assert len(server.asked) == num  # it is whole: nothing is asked


def test_a_beginning_of_another_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.answers["/a.wav"] = serving()
    (tmp_path / "part").write_bytes(b"x" * 4000)
    assert fetch(server.url("/a.wav"), tmp_path / "part", sha256=SHA256) == DATA
    assert [given for _, given in server.asked] == ["bytes=4000-", ""]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"},
        {"Content_Range": f"bytes 4000-4999/{len(DATA)}"},
        {},
    ],
)
def test_a_range_that_is_not_the_rest_is_not_appended(
    server: Server, tmp_path: Path, headers: dict[str, str]
) -> None:
    def answer(handler: Handler) -> None:
        ranged = "Range" in handler.headers
        handler.reply(206 if ranged else 200, DATA, **(headers if ranged else {}))

    server.answers["/a.wav"] = answer
    (tmp_path / "part").write_bytes(DATA[:4000])
    assert fetch(server.url("/a.wav"), tmp_path / "part", sha256=SHA256) == DATA


@pytest.mark.parametrize(
    ("num_bytes", "end", "error"),
    [
        (len(DATA), b"0\r\n\r\n", None),
        (len(DATA) + 1, b"0\r\n\r\n", (DamagedFile, "10240 bytes where 10241 were stated")),
        (len(DATA), b"", (TransientError, "4 attempts")),
    ],
)
def test_a_body_in_chunks_is_whole_when_the_last_one_has_come(
    server: Server, tmp_path: Path, num_bytes: int, end: bytes, error: tuple[type[Exception], str] | None
) -> None:
    def answer(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.send_header("Connection", "close")
        handler.end_headers()
        part = DATA if end else DATA[:-1]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) + end)

    server.answers["/a.wav"] = answer
    if error is None:
        assert fetch(server.url("/a.wav"), tmp_path / "part", num_bytes=num_bytes) == DATA
    else:
        with pytest.raises(error[0], match=error[1]):
            fetch(server.url("/a.wav"), tmp_path / "part", num_bytes=num_bytes)


@pytest.mark.parametrize("status", [404, 410])
def test_gone_is_a_fact(server: Server, tmp_path: Path, status: int) -> None:
    server.answers["/a.wav"] = always(status)
    with pytest.raises(FileNotFoundError, match=str(status)):
        fetch(server.url("/a.wav"), tmp_path / "part")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 451])
def test_a_refusal_is_a_fact(server: Server, tmp_path: Path, status: int) -> None:
    server.answers["/a.wav"] = always(status)
    with pytest.raises(DamagedFile, match=rf"refuses it \({status}\)"):
        fetch(server.url("/a.wav"), tmp_path / "part")


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_trouble_of_the_server_is_transient_after_some_retries(
    server: Server, tmp_path: Path, status: int
) -> None:
    server.answers["/a.wav"] = always(status, Retry_After="7")
    waits = Waits()
    with pytest.raises(TransientError, match=rf"{status} \(4 attempts\)"):
        fetch(server.url("/a.wav"), tmp_path / "part", waits)
    assert waits.slept == [7.0, 7.0, 7.0]


def test_a_server_that_wants_to_be_left_alone_for_long_stops_the_run(server: Server, tmp_path: Path) -> None:
    server.answers["/a.wav"] = always(503, Retry_After="3600")
    with pytest.raises(Later, match="left alone for 3600 s"):
        fetch(server.url("/a.wav"), tmp_path / "part")


def test_no_server_and_a_slow_one_are_transient(server: Server, tmp_path: Path) -> None:
    release = threading.Event()

    def stall(handler: Handler) -> None:
        handler.reply(200, DATA[:1], Content_Length=str(len(DATA)))
        handler.wfile.flush()
        release.wait(5)

    server.answers["/slow.wav"] = stall
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/a.wav"
        for url, said in ((server.url("/slow.wav"), "no answer in time"), (closed, "connection is refused")):
            policy = Waits().policy(timeouts=Timeouts(connect=1, read=0.05), attempts=2)
            with pytest.raises(TransientError, match=said):
                download(StatedFile(url=url), tmp_path / "part", policy)
    release.set()


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"sha256": "0" * 64}, f"sends sha256 {SHA256} is not the stated 0000"),
        ({"md5": "0" * 32}, f"sends md5 {MD5} is not the stated"),
        ({"num_bytes": len(DATA) - 1}, "sends more than the 10239 bytes that were stated"),
        ({"num_bytes": len(DATA) + 1}, "10240 bytes where 10241 were stated"),
    ],
)
def test_what_contradicts_the_list_twice_is_damaged(
    server: Server, tmp_path: Path, stated: dict[str, Any], said: str
) -> None:
    server.answers["/a.wav"] = serving()
    with pytest.raises(DamagedFile, match=said):
        fetch(server.url("/a.wav"), tmp_path / "part", **stated)
    assert [given for _, given in server.asked] == ["", ""]
    assert not (tmp_path / "part").exists()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (always(200, b"<html>", Content_Type="text/html; charset=utf-8"), r"a web page \(text/html\)"),
        (always(200), "an empty file"),
        (always(302, Location="/a.wav"), "more than 5 redirects"),
    ],
)
def test_what_is_no_file_is_damaged(
    server: Server, tmp_path: Path, answer: Callable[[Handler], None], said: str
) -> None:
    server.answers["/a.wav"] = answer
    with pytest.raises(DamagedFile, match=said):
        fetch(server.url("/a.wav"), tmp_path / "part")


def test_redirects_are_followed_but_never_inwards(server: Server, tmp_path: Path) -> None:
    server.answers |= {
        "/a": always(301, Location="/b"),
        "/b": always(307, Location=server.url("/c")),
        "/c": serving(),
    }
    assert fetch(server.url("/a"), tmp_path / "part") == DATA
    server.answers["/secret"] = serving()
    for to in (
        server.url("/secret", "localhost"),
        server.url("/secret", "0.0.0.0"),
        server.url("/secret", "[::1]"),
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "//router.lan/",
        "file:///etc/passwd",
        "ftp://example.org/a.wav",
        f"http://me:secret@127.0.0.1:{server.server_address[1]}/secret",
    ):
        server.answers["/a"] = always(302, Location=to)
        with pytest.raises(DamagedFile) as caught:
            fetch(server.url("/a"), tmp_path / "part")
        assert "me:secret" not in str(caught.value)
    assert "/secret" not in {path for path, _ in server.asked}


def test_a_public_name_that_leads_inwards_is_not_sent_anything(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    server.answers["/a.wav"] = serving()
    url = server.url("/a.wav", "sounds.example.org")
    with pytest.raises(DamagedFile, match=r"'sounds.example.org' leads to 127.0.0.1"):
        fetch(url, tmp_path / "part")
    assert server.asked == []
    download(StatedFile(url=url), tmp_path / "part", Waits().policy(private_hosts=("sounds.example.org",)))
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.wav",
        "HTTP://EXAMPLE.ORG:8080/Äpfel?x=1&y=(2)",
        "https://8.8.8.8/a",
        "https://[2606:4700::1111]/a",
        "https://[64:ff9b::808:808]/a",
        "https://example.org",
    ],
)
def test_public_addresses_may_be_asked(url: str) -> None:
    assert _urls.problem(url, ()) == ""


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.org/a", "data:audio/wav;base64,AAAA", "javascript:1",
        "//example.org/a", "http://", "http:///a", "http://user@example.org/a", "http://example.org:99999999/a",
        "http://exa mple.org/a", "http://example.org/a b.wav", "http://example.org\\@127.0.0.1/a",
        "http://example.org/a\r\nX: y", "http://bücher.example/a", "http://127.0.0.1/a", "http://127.1.2.3:80/",
        "http://localhost/a", "http://LOCALHOST./a", "http://10.1.2.3/a", "http://192.168.0.1/a",
        "http://169.254.169.254/a", "http://100.64.0.1/a", "http://0.0.0.0/a", "http://224.0.0.1/a",
        "http://[::1]/a", "http://[fe80::1]/a", "http://[fd00::1]/a", "http://[::ffff:127.0.0.1]/a",
        "http://[64:ff9b::7f00:1]/a", "http://[2002:7f00:1::]/a",
        "http://nas/a", "http://2130706433/a", "http://metadata.google.internal/a", "http://printer.local/a",
        "http://example.org/" + "a" * 4000,
    ],
)  # fmt: skip
def test_addresses_that_must_not_be_asked(url: str) -> None:
    assert _urls.problem(url, ())


def test_turns_are_one_after_the_other_and_missed_ones_are_not_made_up_for() -> None:
    now = [100.0]
    pace = SharedRateLimiter(2.0, clock=lambda: now[0])
    assert [pace.ask() for _ in range(3)] == [0.0, 0.5, 1.0]
    now[0] = 110.0
    assert [pace.ask(), pace.ask()] == [0.0, 0.5]


def rows_of(server: Server, folder: Path) -> Path:
    """A list of one file at hand and four at addresses: good, gone, wrong, and where nothing is sent."""
    tones = {name: tone_wav(hz) for name, hz in (("near", 220), ("good", 330), ("wrong", 440))}
    server.answers |= {
        "/good.wav": serving(tones["good"]),
        "/wrong.wav": serving(tones["wrong"]),
        "/gone": always(404),
    }
    (folder / "near.wav").write_bytes(tones["near"])
    audio = {
        "near": "near.wav", "good": server.url("/good.wav?x=1"), "gone": server.url("/gone"),
        "wrong": server.url("/wrong.wav"), "inner": "http://10.0.0.1/a.wav",
    }  # fmt: skip
    server.answers["/good.wav?x=1"] = server.answers["/good.wav"]
    rows = [{"id": k, "audio_url": v, "author": "Ana", "title": k, "license": BY} for k, v in audio.items()]
    rows[3]["sha256"] = "0" * 64
    path = folder / "works.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_dataset_from_addresses_is_whole_and_can_be_verified(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    path = rows_of(server, tmp_path)
    toml = tmp_path / "web.toml"
    toml.write_text(
        'name = "web"\nnum_buckets = 2\nscreening = "off"\n[[source]]\nplugin = "catalogue"\n'
        f'path = "{path.name}"\nremote = true\nrequests_per_second = 50.0\nprivate_hosts = ["127.0.0.1"]\n'
    )
    run.ingest(manifest.load(toml), str(tmp_path / "out"), LocalExecutor(), Quiet())
    dataset = open_dataset(str(tmp_path / "out"))
    rows = {row.id.split(":")[1]: row for row in dataset.catalogue()}
    assert {key for key, row in rows.items() if row.kept} == {"near", "good"}
    assert {(row.stage, row.reason) for row in rows.values() if not row.kept} == {
        ("fetch", "missing_file"), ("fetch", "damaged_file"), ("list", "bad_url"),
    }  # fmt: skip
    assert rows["good"].original_sha256 == hashlib.sha256(tone_wav(330)).hexdigest()
    assert verify(dataset) == []
    assert [path for path, _ in server.asked].count("/good.wav?x=1") == 1


def test_the_remote_source_keeps_its_protocol(server: Server, tmp_path: Path) -> None:
    config = catalogue.Config(path=str(rows_of(server, tmp_path)), remote=True, private_hosts=("127.0.0.1",))
    source = catalogue.build(config)
    assert isinstance(source, RemoteSource)
    assert not isinstance(catalogue.build(catalogue.Config(path=config.path)), RemoteSource)
    assert pickle.loads(pickle.dumps(source)) == source
    assert isinstance(source, catalogue.RemoteCatalogue)
    (name,) = source.services(None)  # type: ignore[arg-type]
    attached = source.attached(Workspace(url="", folder="", permits=Waits()), {name: Waits()})
    offers = [one for one in attached.offers() if isinstance(one, Offer)]
    assert [one.id for one in attached.offers() if isinstance(one, Rejection)] != []
    assert list(attached.look_up(["catalogue:good", "catalogue:unknown"])) == [offers[1]]
    assert not attached.is_stale(offers[0].recording)
    for offer, hz in zip(offers[:2], (220, 330), strict=True):
        with attached.open(offer.recording) as file:
            assert file.read() == tone_wav(hz)


def test_ids_from_addresses_are_stable_and_differ(tmp_path: Path) -> None:
    urls = ["https://example.org/a.wav", "https://example.org/b.wav", "https://example.org/a.wav?v=2"]
    path = tmp_path / "works.jsonl"
    path.write_text("\n".join(json.dumps({"url": url}) for url in urls))
    source = catalogue.build(catalogue.Config(path=str(path), remote=True, fields={"audio": "url"}))
    found: list[Recording] = [one.recording for one in source.offers() if isinstance(one, Offer)]
    assert found[0].id == f"catalogue:example-org-a-wav-{hashlib.sha256(urls[0].encode()).hexdigest()[:10]}"
    assert len({one.id for one in found}) == 3
    assert [one.media.container for one in found] == ["wav"] * 3
    assert [one.page_url for one in found] == [""] * 3
