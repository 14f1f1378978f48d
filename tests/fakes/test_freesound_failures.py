"""Every entry of the fake Freesound's failure menu: it strikes, is repeatable, and says what it should."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.freesound import FakeFreesound, Quirks, Reply, SimulatedClock, World, app, as_json, make
from tests.fakes.freesound.faults import ENDPOINTS

HTML = "text/html; charset=utf-8"


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def fake(clock: SimulatedClock) -> FakeFreesound:
    return FakeFreesound(
        World.synthetic(300, seconds=(0.1,)), level=99, clock=clock, sleep=clock.sleep, seed=5
    )


def an_id(fake: FakeFreesound) -> int:
    return fake.world.ids()[7]


def original(fake: FakeFreesound, sound_id: int = 0) -> Reply:
    return fake.get(f"sounds/{sound_id or an_id(fake)}/download/", bearer=fake.login())


def objects(fake: FakeFreesound, fields: str, page: int = 1) -> list[dict[str, Any]]:
    params = f"sort=created_asc&page_size=150&page={page}&fields=id,{fields}"
    results: list[dict[str, Any]] = fake.get("search/", params).json()["results"]
    return results


def both(first: Quirks, look: Callable[[FakeFreesound], Any]) -> tuple[Any, Any]:
    """What is seen with a quirk, and without."""
    world = World.synthetic(300, seconds=(0.1,))
    return look(FakeFreesound(world, level=99, quirks=first)), look(FakeFreesound(world, level=99))


# When


def test_a_script_names_the_requests(fake: FakeFreesound) -> None:
    fake.faults.add("bad_gateway", "search", requests=[2, 4])
    assert [fake.get("search/").status for _ in range(5)] == [200, 502, 200, 502, 200]
    assert fake.get("sounds/5/").status == 404
    assert [r.fault for r in fake.record.of("search")] == ["", "bad_gateway", "", "bad_gateway", ""]


def test_chance_depends_on_the_seed_and_not_on_the_order(fake: FakeFreesound) -> None:
    def struck(seed: int, step: int) -> set[int]:
        other = FakeFreesound(fake.world, level=99, seed=seed)
        other.faults.add("unavailable", "sound", share=0.3)
        answers = {each: other.get(f"sounds/{each}/").status for each in fake.world.ids()[::step]}
        return {each for each, status in answers.items() if status == 503}

    assert struck(5, 1) == struck(5, -1) != struck(6, 1)
    assert 60 <= len(struck(5, 1)) <= 120


def test_a_url_fails_so_many_times_and_then_no_more(fake: FakeFreesound) -> None:
    fake.faults.add("unavailable", "search", at_most=3)
    fake.faults.add("bad_gateway", path="/users/")
    assert [fake.get("search/").status for _ in range(5)] == [503] * 3 + [200] * 2
    assert fake.get("search/", "page=2").status == 503
    assert fake.get("users/x/").status == 502
    fake.faults.add("unavailable", "sound", at_most=0)
    assert {fake.get("sounds/1000/").status for _ in range(9)} == {503}
    fake.faults.clear()
    assert fake.get("sounds/1000/").status == 200


def test_a_misspelt_endpoint_or_kind_is_an_error(fake: FakeFreesound) -> None:
    assert {route.endpoint for route in (*app.API_ROUTES, *app.CDN_ROUTES)} | {
        "redirect",
        "unknown",
    } == ENDPOINTS
    for add in (lambda: fake.faults.add("reset", "serach"), lambda: fake.faults.add("rest", "search")):
        with pytest.raises(AssertionError):
            add()
    with pytest.raises(AssertionError):
        fake.timeline.before("serach", 1, lambda world: None)


# In front of the API


@pytest.mark.parametrize(
    ("kind", "status"), [("bad_gateway", 502), ("unavailable", 503), ("gateway_timeout", 504)]
)
def test_nginx_speaks_html_and_takes_no_place_in_a_window(
    clock: SimulatedClock, kind: str, status: int
) -> None:
    fake = FakeFreesound(clock=clock)
    fake.faults.add(kind, "search")
    answer = fake.get("search/")
    assert (answer.status, answer.headers["Content-Type"]) == (status, HTML)
    assert fake.throttle.used(fake.client.client_id) == (0, 0)


def test_a_connection_breaks_before_any_answer(fake: FakeFreesound, clock: SimulatedClock) -> None:
    fake.faults.add("reset", "search")
    with pytest.raises(ConnectionResetError):
        fake.get("search/")
    assert fake.record.of("search")[0].status == 0
    fake.faults.add("hang", "sound", seconds=90)
    start = clock()
    with pytest.raises(ConnectionResetError):
        fake.get("sounds/1000/")
    assert clock() - start == 90


def test_any_body_can_be_put_in_the_answers_place(fake: FakeFreesound) -> None:
    fake.faults.answer(as_json({"count": 1, "results": None}), "search", requests=[1])
    fake.faults.answer(make(200, "application/json", b'{"count": 1, "resu'), "search", requests=[2])
    assert fake.get("search/").json()["results"] is None
    assert fake.get("search/").read() == b'{"count": 1, "resu'
    assert fake.get("search/").json()["count"] == 300


# Errors of the API


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        (
            "throttled_minute",
            429,
            "Request was throttled because of exceeding a request limit rate (60/minute)",
        ),
        ("throttled_day", 429, "Request was throttled because of exceeding a request limit rate (2000/day)"),
        ("overloaded", 500, "Search is overloaded, please try again later."),
        ("search_down", 500, "The search server could not be reached or some unexpected error occurred."),
        ("server_error", 500, "Server error"),
        ("gone", 404, "Not found"),
    ],
)
def test_errors_of_the_api(fake: FakeFreesound, kind: str, status: int, said: str) -> None:
    fake.faults.add(kind, "search")
    answer = fake.get("search/")
    assert (answer.status, answer.json()) == (status, {"detail": said})
    assert "Retry-After" not in answer.headers


def test_a_bearer_expires_in_the_middle(fake: FakeFreesound) -> None:
    fake.faults.add("expired_bearer", "download", requests=[2])
    token = fake.login()
    url = f"sounds/{an_id(fake)}/download/"
    answers = [fake.get(url, bearer=token) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 401, 401]  # until it is refreshed
    assert "The access token has expired." in answers[1].headers["WWW-Authenticate"]
    fake.credentials.revoke(token.access)
    assert "The access token is invalid." in fake.get(url, bearer=token).headers["WWW-Authenticate"]


def test_deep_pages_overload_the_search(fake: FakeFreesound) -> None:
    fake.quirks = Quirks(overload_limit=250)
    plain = "sort=created_asc&page_size=100&page="
    heavy = "filter=duration:[0%20TO%20*]%20channels:[0%20TO%20*]&" + plain
    assert [fake.get("search/", plain + page).status for page in "123"] == [200, 200, 200]
    assert [fake.get("search/", heavy + page).status for page in "12"] == [200, 500]


# Bodies


def test_a_truncated_body_has_the_full_length_in_its_header(fake: FakeFreesound) -> None:
    fake.faults.add("truncated", "download", at_most=1)
    short, whole = original(fake), original(fake)
    data = short.read()
    assert short.headers == whole.headers
    assert len(data) == int(short.headers["Content-Length"]) // 2
    assert whole.read().startswith(data)


def test_a_body_breaks_off(fake: FakeFreesound) -> None:
    fake.faults.add("reset_mid", "download")
    body = iter(original(fake).body)
    assert next(body)
    with pytest.raises(ConnectionResetError):
        next(body)


def test_a_body_is_wrong_by_one_bit(fake: FakeFreesound) -> None:
    fake.faults.add("wrong_md5", "download", at_most=1)
    wrong, right = original(fake).read(), original(fake).read()
    sound = fake.world.sound(an_id(fake))
    assert sound is not None
    assert len(wrong) == len(right)
    assert sum((a ^ b).bit_count() for a, b in zip(wrong, right, strict=True)) == 1
    assert hashlib.md5(right).hexdigest() == sound.md5 != hashlib.md5(wrong).hexdigest()


def test_a_body_drips(fake: FakeFreesound, clock: SimulatedClock) -> None:
    fake.faults.add("slow", "download", piece=10, seconds=0.5)
    start, answer = clock(), original(fake)
    assert clock() == start
    data = answer.read()
    assert clock() - start == pytest.approx(0.5 * -(-len(data) // 10))
    assert len(data) == int(answer.headers["Content-Length"])


def test_a_200_may_be_html_or_nothing(fake: FakeFreesound) -> None:
    fake.faults.add("html_200", "search")
    fake.faults.add("empty_200", "sound")
    assert fake.get("search/").headers["Content-Type"] == HTML
    answer = fake.get("sounds/1000/")
    assert (answer.status, answer.read(), answer.headers["Content-Type"]) == (200, b"", "application/json")


def test_the_disposition_may_be_hostile_and_the_bytes_right(fake: FakeFreesound) -> None:
    fake.faults.add("hostile_disposition", "download")
    names = set()
    for sound_id in fake.world.ids()[:40]:
        answer, sound = original(fake, sound_id), fake.world.sound(sound_id)
        assert sound is not None
        assert hashlib.md5(answer.read()).hexdigest() == sound.md5
        names.add(answer.headers["Content-Disposition"])
    assert len(names) == 7
    assert any("../" in name for name in names)


def test_a_download_is_sent_to_the_cdn_and_a_credential_that_follows_is_noticed(fake: FakeFreesound) -> None:
    fake.faults.add("redirect_cdn", "download", at_most=1)
    place = original(fake)
    assert (place.status, original(fake).status) == (302, 200)
    assert fake.handle("GET", place.headers["Location"]).status == 200
    assert not fake.record.leaks
    fake.handle("GET", place.headers["Location"], {"authorization": "Bearer x"})
    assert [leak.endpoint for leak in fake.record.leaks] == ["cdn_original"]


def test_errors_are_not_spoiled_any_further(fake: FakeFreesound) -> None:
    fake.faults.add("truncated", "sound")
    assert fake.get("sounds/5/").json() == {"detail": "No Sound matches the given query."}


# What is said of a sound


def test_null_results_come_back_in_the_next_request(fake: FakeFreesound) -> None:
    fake.quirks = Quirks(null_results=0.3)
    pages = [fake.get("search/", "page_size=150&sort=created_asc").json()["results"] for _ in "ab"]
    assert 20 <= pages[0].count(None) <= 70
    places = [{place for place, obj in enumerate(page) if obj is None} for page in pages]
    assert places[0] != places[1]


def test_the_count_drifts(fake: FakeFreesound) -> None:
    fake.quirks = Quirks(count_drift=3)
    counts = {fake.get("search/").json()["count"] for _ in range(40)}
    assert counts == set(range(297, 304))


def test_ties_change_places(fake: FakeFreesound) -> None:
    fake.quirks = Quirks(shuffle_ties=True)
    one, two = ([obj["id"] for obj in fake.get("search/").json()["results"]] for _ in "ab")
    assert one != two


@pytest.mark.parametrize(
    ("quirks", "field", "start"),
    [(Quirks(http_deeds=0.5), "license", "http:"), (Quirks(https_deeds=0.5), "license", "https:")],
)
def test_deeds_change_their_scheme(quirks: Quirks, field: str, start: str) -> None:
    quirky, plain = both(quirks, lambda fake: [obj[field].startswith(start) for obj in objects(fake, field)])
    assert sum(quirky) > sum(plain)
    assert not all(quirky)


@pytest.mark.parametrize(
    ("quirks", "field", "is_odd"),
    [
        (Quirks(bare_deeds=0.5), "license", lambda obj: not obj["license"].endswith("/")),
        (Quirks(naive_dates=0.5), "created", lambda obj: not obj["created"].endswith("Z")),
        (Quirks(fraction_dates=0.5), "created", lambda obj: "." in obj["created"]),
        (
            Quirks(missing_preference=0.5),
            "gen_ai_preference",
            lambda obj: "gen_ai_preference" not in obj,
        ),
        (Quirks(whole_samplerate=0.5), "samplerate", lambda obj: isinstance(obj["samplerate"], int)),
        (Quirks(null_bitdepth=0.5), "bitdepth", lambda obj: obj["bitdepth"] is None),
    ],
)
def test_a_share_of_the_sounds_is_odd_and_always_the_same_ones(
    quirks: Quirks, field: str, is_odd: Callable[[dict[str, Any]], bool]
) -> None:
    def odd(fake: FakeFreesound) -> list[int]:
        return [obj["id"] for obj in objects(fake, field) if is_odd(obj)]

    quirky, plain = both(quirks, odd)
    again, _ = both(quirks, odd)
    assert not plain
    assert 50 <= len(quirky) <= 100
    assert quirky == again


def test_the_preference_may_have_its_old_name(fake: FakeFreesound) -> None:
    fake.quirks = Quirks(old_preference_field=True)
    assert all(list(obj) == ["id", "ai_preference"] for obj in objects(fake, "gen_ai_preference"))


def test_the_detail_may_show_another_licence_than_the_list(fake: FakeFreesound) -> None:
    fake.quirks = Quirks(relicensed_in_detail=0.5)
    listed = {obj["id"]: obj["license"] for obj in objects(fake, "license")}
    differ = [each for each in listed if fake.get(f"sounds/{each}/").json()["license"] != listed[each]]
    assert 50 <= len(differ) <= 100


def test_the_licence_filter_may_know_the_older_name(fake: FakeFreesound) -> None:
    fake.world.licence_names["by-nc3"] = "Attribution Noncommercial"
    names = ("Attribution%20Noncommercial", "Attribution%20NonCommercial")
    old, new = (fake.get("search/", f"filter=license:%22{name}%22").json()["count"] for name in names)
    assert old > 0
    assert new > 0
