"""The fake Freesound on real sockets, as a process, and with the official client."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.fakes.freesound import FakeFreesound, World
from tests.paths import ROOT


@pytest.fixture
def fake() -> Iterator[FakeFreesound]:
    with FakeFreesound(World.synthetic(40, seconds=(0.1,)), level=99) as running:
        yield running


def get(fake: FakeFreesound, url: str, authorization: str = "") -> bytes:
    header = authorization or f"Token {fake.client.key}"
    with urlopen(Request(url, headers={"Authorization": header}), timeout=600) as answer:
        data: bytes = answer.read()
        return data


def connection(fake: FakeFreesound) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(fake.origin).netloc, timeout=600)


def read(client: http.client.HTTPConnection, path: str, key: str) -> bytes:
    client.request("GET", path, headers={"Authorization": f"Token {key}"})
    return client.getresponse().read()


def test_links_lead_back_to_the_fake(fake: FakeFreesound) -> None:
    first = json.loads(get(fake, fake.base + "search/?query=&page_size=30"))
    assert first["next"].startswith(fake.base)
    second = json.loads(get(fake, first["next"]))
    assert second["previous"].startswith(fake.base)
    assert len(first["results"]) + len(second["results"]) == 40
    obj = json.loads(get(fake, f"{fake.base}sounds/{first['results'][0]['id']}/"))
    data = get(fake, obj["download"], f"Bearer {fake.login().access}")
    assert hashlib.md5(data).hexdigest() == obj["md5"]
    assert (
        urlsplit(obj["previews"]["preview-hq-ogg"]).netloc
        == urlsplit(fake.cdn).netloc
        != urlsplit(fake.origin).netloc
    )
    with urlopen(obj["previews"]["preview-hq-ogg"], timeout=600) as answer:
        assert answer.status == 200


def test_urllib_takes_its_credential_along_to_the_cdn_and_is_caught(fake: FakeFreesound) -> None:
    fake.faults.add("redirect_cdn", "download")
    get(fake, f"{fake.base}sounds/1000/download/", f"Bearer {fake.login().access}")
    assert [leak.auth for leak in fake.record.leaks] == ["bearer"]


def test_errors_have_the_standard_phrase(fake: FakeFreesound) -> None:
    fake.client.level = 0
    with pytest.raises(HTTPError) as caught:
        get(fake, fake.base + "search/")
    with caught.value as error:
        assert (error.code, error.reason) == (429, "Too Many Requests")
        assert "suspended" in json.loads(error.read())["detail"]


def test_a_connection_serves_many_requests_and_head_has_no_body(fake: FakeFreesound) -> None:
    with_key = {"Authorization": f"Token {fake.client.key}"}
    client = connection(fake)
    for method, length in (("GET", None), ("HEAD", 0), ("GET", None)):
        client.request(method, "/apiv2/search/", headers=with_key)
        answer = client.getresponse()
        stated = int(answer.headers["Content-Length"])
        assert len(answer.read()) == (stated if length is None else length)
    client.close()


@pytest.mark.parametrize("kind", ["reset", "reset_mid", "truncated"])
def test_broken_connections(fake: FakeFreesound, kind: str) -> None:
    fake.faults.add(kind, "sound", at_most=1)
    client = connection(fake)
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        read(client, "/apiv2/sounds/1000/", fake.client.key)
    client.close()
    assert json.loads(get(fake, fake.base + "sounds/1000/"))["id"] == 1000


def test_many_threads_at_once(fake: FakeFreesound) -> None:
    bodies: list[bytes] = []
    fake.timeline.every("search", 3, lambda world: world.churn(adds=1, removes=1))
    threads = [
        threading.Thread(target=lambda: bodies.extend(get(fake, fake.base + "search/") for _ in range(10)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {json.loads(body)["count"] for body in bodies} == {40}
    assert [request.number for request in fake.record.of()] == list(range(1, 81))


def test_it_runs_as_a_process(tmp_path: Path) -> None:
    record = tmp_path / "requests.jsonl"
    command = [sys.executable, "-m", "tests.fakes.freesound", "--synthetic", "5", "--seconds", "30"]
    command += ["--fault", "unavailable::search", "--quirk", "count_drift=0", "--record", str(record)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        request = Request(said["base"] + "me/", headers={"Authorization": f"Bearer {said['access_token']}"})
        with urlopen(request, timeout=600) as answer:
            assert json.loads(answer.read())["username"] == "operator"
        with pytest.raises(HTTPError) as caught:
            urlopen(said["base"] + f"search/?token={said['key']}", timeout=600)
        caught.value.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [(line["endpoint"], line["status"]) for line in lines] == [("me", 200), ("search", 503)]
    assert said["key"] not in record.read_text()


# The official client (https://github.com/MTG/freesound-python, MIT), as published, unmodified


@pytest.mark.skipif(
    importlib.util.find_spec("freesound") is None,
    reason="the official client is not installed (pip install freesound-api)",
)
def test_the_official_client_works_unmodified(
    fake: FakeFreesound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freesound = importlib.import_module("freesound")
    monkeypatch.setattr(freesound.URIS, "BASE", fake.base.rstrip("/"))
    client = freesound.FreesoundClient()
    client.set_token(fake.client.key)
    page = client.text_search(query="", page_size=30)
    sounds = [*page, *page.next_page()]
    assert sorted(sound.id for sound in sounds) == sorted(fake.world.ids())
    assert client.text_search(filter='license:"Attribution"').count > 0

    sound = client.get_sound(1000)
    assert sound.get_similar().count > 0
    assert len(sound.get_comments().results) == sound.num_comments
    assert client.get_user(sound.username).get_sounds().count > 0
    packed = next(each for each in map(client.get_sound, fake.world.ids()) if each.pack)
    pack = client.get_pack(packed.pack.rstrip("/").rpartition("/")[2])
    assert packed.id in [each.id for each in pack.get_sounds()]

    sound.retrieve_preview(str(tmp_path), "preview")
    assert [leak.auth for leak in fake.record.leaks] == ["token"]  # a defect of that client
    client.set_token(fake.login().access, "oauth")
    sound.retrieve(str(tmp_path), "original")
    assert hashlib.md5((tmp_path / "original").read_bytes()).hexdigest() == sound.md5

    fake.client.level = 0
    with pytest.raises(freesound.FreesoundException, match="Too Many Requests"):
        client.get_sound(1000)
    client.session.close()
