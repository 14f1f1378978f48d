"""GET against the fake server: encoding, patience, quota, logins, and every message a person can be given."""

from __future__ import annotations

import gzip
import json
import random
import threading
from pathlib import Path

import pytest

from sao_data.errors import Stopped, UsageError
from sao_data.fetch import web as web_module
from sao_data.fetch import wire
from sao_data.fetch.permits import LEVELS, Permits, QuotaWindows
from sao_data.fetch.web import NotFound, Overloaded, TransientError, Web
from tests.fakes.freesound import FakeFreesound, SimulatedClock, as_json, make
from tests.fetch.made_web import log_in, web

SEARCH = [("query", ""), ("page_size", "3")]


def test_an_answer_comes_with_its_bytes_its_url_and_its_time(fake: FakeFreesound) -> None:
    answer = web(fake).get_json("search/", SEARCH)
    assert answer.json["count"] == 40
    assert json.loads(answer.body) == answer.json
    assert answer.url == fake.base + "search/?query=&page_size=3"
    assert answer.retrieved_at == "2026-07-25T17:20:00Z"
    assert [r.user_agent for r in fake.record.entries] == ["sao-test/1"]


def test_plus_and_blank_arrive_as_they_were_meant(fake: FakeFreesound) -> None:
    wanted = 'license:"Sampling+" created:[2005-04-01T00:00:00Z TO *]'
    web(fake).get_json("search/", [("filter", wanted), ("fields", "id,name")])
    (request,) = fake.record.of("search")
    assert request.query == {"filter": wanted, "fields": "id,name"}
    assert "%2B" in request.raw_query
    assert "%20" in request.raw_query
    assert "+" not in request.raw_query


FAILURES = [
    "reset", "hang", "bad_gateway", "unavailable", "gateway_timeout", "search_down", "server_error",
    "truncated", "reset_mid", "html_200", "empty_200",
]  # fmt: skip


@pytest.mark.parametrize("kind", FAILURES)
def test_a_transient_failure_is_tried_again(fake: FakeFreesound, clock: SimulatedClock, kind: str) -> None:
    fake.faults.add(kind, "search", seconds=20)
    before = clock()
    assert web(fake).get_json("search/", SEARCH).json["count"] == 40
    assert len(fake.record.of("search")) == 3
    assert clock() - before >= 0.5 + 1.0  # two pauses, at least half of 1 s and of 2 s


def test_a_failure_that_stays_is_raised_after_so_many_attempts(fake: FakeFreesound) -> None:
    fake.faults.add("bad_gateway", at_most=0)
    with pytest.raises(
        TransientError, match=r"/apiv2/search/: 502 \(5 attempts\); check the network and run again"
    ):
        web(fake).get_json("search/", SEARCH)
    assert len(fake.record.entries) == 5


def test_pauses_grow_and_end_at_a_minute(fake: FakeFreesound) -> None:
    pauses: list[float] = []
    fake.faults.add("bad_gateway", at_most=0)
    with pytest.raises(TransientError):
        web(fake, attempts=10, sleep=pauses.append, rng=random.Random(2)).get_json("search/")
    full = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert len(pauses) == len(full)
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, full, strict=True))


def test_no_network_is_transient_and_said(clock: SimulatedClock) -> None:
    permits = Permits(None, None, "", clock)
    client = Web("http://127.0.0.1:9/apiv2/", None, permits, user_agent="x", attempts=2, sleep=clock.sleep)
    with pytest.raises(
        TransientError, match=r"^freesound: 127.0.0.1:9: the connection is refused \(2 attempts\); check"
    ):
        client.get_json("search/", auth="none")


def test_a_search_that_is_too_heavy_is_tried_twice_and_handed_back(fake: FakeFreesound) -> None:
    fake.faults.add("overloaded", "search", at_most=0)
    with pytest.raises(Overloaded):
        web(fake).get_json("search/", SEARCH)
    assert len(fake.record.of("search")) == 2


def test_what_is_not_there_is_a_fact(fake: FakeFreesound) -> None:
    with pytest.raises(NotFound, match="404 No Sound matches"):
        web(fake).get_json("sounds/1/")
    with pytest.raises(FileNotFoundError, match="404"):
        web(fake).get_json("search/", [*SEARCH, ("page", "999")])
    assert len(fake.record.entries) == 2


def test_a_404_that_is_not_the_apis_own_is_transient(fake: FakeFreesound) -> None:
    with pytest.raises(TransientError, match="not in the API's own words"):
        web(fake, attempts=1).get_json("nothing/here/")


def test_a_malformed_request_says_what_the_api_said(fake: FakeFreesound) -> None:
    with pytest.raises(UsageError, match=r"the API refuses the request.*400 Invalid filter"):
        web(fake).get_json("search/", [("filter", "")])


# Quota


def test_our_own_count_keeps_us_from_ever_being_refused(fake: FakeFreesound, clock: SimulatedClock) -> None:
    client, before = web(fake), clock()
    for _ in range(130):
        client.get_json("sounds/1000/")
    assert fake.record.statuses() == {200: 130}
    assert clock() - before >= 120
    assert fake.record.most_within(60) <= 60


def test_a_full_minute_elsewhere_is_waited_out(fake: FakeFreesound, clock: SimulatedClock) -> None:
    for _ in range(60):  # another program with the same key
        fake.get("sounds/1000/")
    before = clock()
    assert web(fake).get_json("search/", SEARCH).status == 200
    assert 60 <= clock() - before <= 62
    assert fake.record.statuses("search") == {429: 1, 200: 1}


def test_the_days_quota_stops_the_run_and_says_until_when(fake: FakeFreesound, clock: SimulatedClock) -> None:
    permits = Permits(QuotaWindows(per_day=3), None, "", clock)
    client = web(fake, permits=permits)
    for _ in range(3):
        client.get_json("sounds/1000/")
    with pytest.raises(Stopped) as caught:
        client.get_json("sounds/1000/")
    assert str(caught.value) == (
        "freesound: the quota is used up (3/day); the next request is possible at 2026-07-26T17:20Z; "
        "run the same command then"
    )
    assert caught.value.exit_code == 4
    assert len(fake.record.entries) == 3


def test_a_day_used_up_elsewhere_stops_after_one_request(fake: FakeFreesound, clock: SimulatedClock) -> None:
    fake.throttle.spend(fake.client.client_id, 2000, clock() - 3600)
    with pytest.raises(
        Stopped, match=r"the quota is used up \(2000/day\); the next request is possible at 2026-"
    ):
        web(fake).get_json("search/", SEARCH)
    assert fake.record.statuses() == {429: 1}


def test_endless_429s_are_transient(fake: FakeFreesound) -> None:
    fake.faults.add("throttled_minute", at_most=0)
    with pytest.raises(TransientError, match="429"):
        web(fake, windows=None).get_json("search/")
    assert len(fake.record.entries) == 10


@pytest.mark.parametrize("asked", ["40", "Sat, 25 Jul 2026 17:20:40 GMT"])
def test_a_server_that_names_a_pause_gets_it(fake: FakeFreesound, clock: SimulatedClock, asked: str) -> None:
    busy = make(503, "text/html", b"", {"Retry-After": asked})
    fake.faults.answer(busy, "search", requests={1})
    before = clock()
    assert web(fake).get_json("search/", SEARCH).status == 200
    assert clock() - before == pytest.approx(40)


def test_a_pause_that_is_too_long_stops_the_run(fake: FakeFreesound) -> None:
    fake.faults.answer(make(503, "text/html", b"", {"Retry-After": "7200"}), "search")
    with pytest.raises(Stopped, match=r"left alone; the next request is possible at 2026-07-25T19:20Z"):
        web(fake).get_json("search/", SEARCH)


# Keys and logins


def test_no_key(fake: FakeFreesound) -> None:
    with pytest.raises(
        UsageError, match=r"no API key; get one at https://freesound.org/apiv2/apply/ and set FREE"
    ):
        web(fake, key="").get_json("search/")
    with pytest.raises(UsageError, match="no API key"):
        web(fake, credentials=None).get_json("search/")
    assert not fake.record.entries


def test_a_wrong_key(fake: FakeFreesound) -> None:
    with pytest.raises(
        UsageError, match=r"does not know the key in FREESOUND_TOKEN; copy it again"
    ) as caught:
        web(fake, key="SECRET-wrong").get_json("search/")
    assert "SECRET" not in str(caught.value)
    assert len(fake.record.entries) == 1


def test_a_suspended_key(fake: FakeFreesound) -> None:
    fake.client.status = "PENDING"
    with pytest.raises(UsageError, match="suspended or not yet approved"):
        web(fake).get_json("search/")
    fake.client.status, fake.client.level = "OK", 0
    with pytest.raises(UsageError, match="suspended or not yet approved"):
        web(fake).get_json("search/")


def test_an_inactive_account(fake: FakeFreesound) -> None:
    fake.client.owner_is_active = False
    with pytest.raises(UsageError, match="inactive or deleted"):
        web(fake).get_json("search/")


def test_a_credential_that_gets_lost_on_the_way(fake: FakeFreesound) -> None:
    fake.faults.answer(as_json({"detail": "Authentication credentials were not provided."}, 401), "search")
    with pytest.raises(UsageError, match="a proxy may take the Authorization header"):
        web(fake).get_json("search/")


def test_nobody_logged_in(fake: FakeFreesound) -> None:
    with pytest.raises(UsageError, match=r"original files need a login; run `sao login freesound`"):
        web(fake).get_json("me/", auth="oauth")


def test_an_expired_login_is_renewed_once_and_the_request_repeated(fake: FakeFreesound) -> None:
    grant = log_in(fake)
    fake.credentials.expire(grant.access_token)
    assert web(fake).get_json("me/", auth="oauth").json["username"] == "operator"
    assert fake.record.statuses("me") == {401: 1, 200: 1}
    assert fake.credentials.num_refreshes == 1


def test_a_login_near_its_end_is_renewed_beforehand(fake: FakeFreesound, clock: SimulatedClock) -> None:
    log_in(fake)
    clock.advance(86_390)
    assert web(fake).get_json("me/", auth="oauth").status == 200
    assert fake.record.statuses("me") == {200: 1}


def test_a_revoked_login(fake: FakeFreesound) -> None:
    fake.credentials.revoke(log_in(fake).access_token)
    with pytest.raises(UsageError, match=r"no longer valid.*run `sao login freesound` again"):
        web(fake).get_json("me/", auth="oauth")


def test_a_login_that_is_never_taken_is_not_renewed_for_ever(fake: FakeFreesound) -> None:
    log_in(fake)
    fake.faults.add("expired_bearer", "me", at_most=0)
    with pytest.raises(UsageError, match="just been renewed is not taken"):
        web(fake).get_json("me/", auth="oauth")
    assert fake.credentials.num_refreshes == 1


def test_a_storm_of_401s_is_one_renewal(fake: FakeFreesound) -> None:
    grant = log_in(fake)
    fake.credentials.expire(grant.access_token)
    first = web(fake, windows=LEVELS[3])
    tokens = first._credentials
    answers: list[int] = []

    def ask() -> None:
        client = web(fake, windows=LEVELS[3], credentials=tokens)
        answers.append(client.get_json("me/", auth="oauth").status)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 16
    assert fake.credentials.num_refreshes == 1


# Where the credential goes


def test_a_missing_slash_is_followed_with_the_credential(fake: FakeFreesound) -> None:
    assert web(fake).get_json("sounds/1000", [("fields", "id")]).json == {"id": 1000}
    assert [r.status for r in fake.record.entries] == [301, 200]


@pytest.mark.parametrize(
    "where", ["CDN/apiv2/search/", "https://evil.example/?x", "http://[", "//evil.example"]
)
def test_an_answer_of_the_api_is_not_looked_for_elsewhere(fake: FakeFreesound, where: str) -> None:
    elsewhere = make(302, "text/html", b"", {"Location": where.replace("CDN", fake.cdn)})
    fake.faults.answer(elsewhere, "search")
    with pytest.raises(TransientError, match="redirected to "):
        web(fake, attempts=2).get_json("search/")
    assert {r.host for r in fake.record.entries} == {"api"}


def test_circles_end(fake: FakeFreesound) -> None:
    fake.faults.answer(make(302, "text/html", b"", {"Location": fake.base + "search/"}), "search")
    with pytest.raises(TransientError, match="more than 5 redirects"):
        web(fake, attempts=1).get_json("search/")


def test_the_credential_goes_nowhere_but_to_the_api(fake: FakeFreesound) -> None:
    log_in(fake)
    with pytest.raises(UsageError, match="the credential is not sent to"):
        web(fake).get_json(fake.cdn + "/previews/1/1000_1-hq.ogg", auth="oauth")
    assert not fake.record.entries


def test_the_home_directorys_netrc_is_not_asked(fake: FakeFreesound, home: Path) -> None:
    home.mkdir()
    netrc = home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password SECRET-netrc\n")
    netrc.chmod(0o600)
    assert web(fake).get_json("search/", SEARCH).status == 200
    assert web(fake, attempts=1)._pool.get(fake.cdn + "/previews/1/1.ogg").status_code == 404
    assert [r.auth for r in fake.record.entries] == ["token", ""]


def test_cookies_are_not_kept(fake: FakeFreesound) -> None:
    fake.faults.answer(as_json([], headers={"Set-Cookie": "sessionid=1; Path=/"}), "search")
    client = web(fake)
    client.get_json("search/")
    assert not list(client._pool.cookies)


BASES = [
    "https://evil.example/apiv2/", "http://freesound.org/apiv2/", "https://freesound.org.evil.example/apiv2/",
    "https://freesound.org@evil.example/apiv2/", "https://freesound.org/", "http://127.0.0.1.evil.example/",
    "http://169.254.169.254/", "http://2130706433/", "file:///etc/passwd", "", "http://user:p@127.0.0.1/",
]  # fmt: skip


@pytest.mark.parametrize("base", BASES)
def test_a_manifest_cannot_send_the_key_elsewhere(base: str, clock: SimulatedClock) -> None:
    with pytest.raises(UsageError, match="is not Freesound; leave it out"):
        Web(base, None, Permits(None, None, "", clock), user_agent="x")


URLS = [
    "http://cdn.freesound.org/a", "https://cdn.freesound.org:8443/a", "https://evil.example/freesound.org",
    "https://freesound.org.evil.example/", "https://freesound.org@evil.example/", "https://evilfreesound.org/",
    "https://evil.example\\@freesound.org/", "https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/",
    "https://2130706433/", "https://0x7f.1/", "https://[::ffff:127.0.0.1]/", "file:///etc/passwd", "gopher://x/",
    "pipe:id", "s3://bucket/key", "https://freesound.org /", "https://freeſound.org/",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_tricks_with_addresses_lead_nowhere(url: str) -> None:
    with pytest.raises(UsageError, match="nothing was sent there"):
        wire.checked_url(url, wire.FREESOUND)


def test_freesound_and_its_cdn_are_good_addresses() -> None:
    for url in ("https://freesound.org/apiv2/search/?a=b", "https://cdn.freesound.org/previews/1/1_2-hq.ogg"):
        assert wire.checked_url(url, wire.FREESOUND) == url


# Bodies


def test_a_body_too_large_is_not_read_to_its_end(
    fake: FakeFreesound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_module, "_MAX_JSON", 1000)
    with pytest.raises(TransientError, match="more than 1000 bytes"):
        web(fake, attempts=1).get_json("search/")


def test_a_bomb_is_not_unpacked_to_its_end(fake: FakeFreesound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_module, "_MAX_JSON", 1 << 20)
    bomb = gzip.compress(b"[" + b" " * (64 << 20) + b"]", compresslevel=1)
    fake.faults.answer(make(200, "application/json", bomb, {"Content-Encoding": "gzip"}), "search")
    with pytest.raises(TransientError, match="more than 1048576 bytes"):
        web(fake, attempts=1).get_json("search/")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"12", b"{", b'{"a": 1}{"a": 1}', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_json_object_is_transient(fake: FakeFreesound, body: bytes) -> None:
    fake.faults.answer(make(200, "application/json", body), "search")
    with pytest.raises(TransientError, match="a page in place of JSON"):
        web(fake, attempts=1).get_json("search/")


def test_a_servers_words_are_cut_and_made_harmless(fake: FakeFreesound) -> None:
    said = f"Bad \x1b[2J\n{fake.client.key} " + "x" * 5000
    fake.faults.answer(as_json({"detail": said}, 400), "search")
    with pytest.raises(UsageError) as caught:
        web(fake).get_json("search/")
    text = str(caught.value)
    assert "Bad  [2J *** xxx" in text
    assert len(text) < 400


def test_a_reply_with_odd_details_is_still_an_error(fake: FakeFreesound) -> None:
    for body in ({"detail": {"x": 1}}, ["x"], {}):
        fake.faults.answer(as_json(body, 400), "sound", path="1000")
        with pytest.raises(TransientError, match="not in the API's own words"):
            web(fake, attempts=1).get_json("sounds/1000/")
        fake.faults.clear()
