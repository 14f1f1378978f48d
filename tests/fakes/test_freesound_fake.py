"""The fake Freesound, in process: endpoints, search, credentials, throttling, files, edits."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
import soundfile

from tests.fakes.freesound import FakeFreesound, Pack, Quirks, SimulatedClock, World
from tests.fakes.freesound.objects import FIELDS
from tests.fakes.freesound.throttle import SUSPENDED
from tests.fakes.freesound.vocabulary import LICENCES
from tests.paths import SHARED


def small_world() -> World:
    """Twelve sounds of two users, one licence after the other, a month apart from 2014-01-15."""
    world = World()
    for number in range(12):
        key = list(LICENCES)[number % 6]
        world.add(
            id=100 + number, username=("Ana B.", "noise+maker")[number % 2], name=f"Rain {number} (C#).wav",
            tags=("rain", "Tin-Roof"), description="Rain on <b>tin</b> roofs", licence=key,
            num_comments=number,
            created_ms=1_389_787_200_145 + number * 2_629_800_000, pack_id=7 if number < 3 else 0,
            category_code="sp-s" if number == 5 else "ss-n", is_explicit=number == 4,
        )  # fmt: skip
    world.packs[7] = Pack(id=7, user_id=1, name="Roofs")
    return world


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def fake(clock: SimulatedClock) -> FakeFreesound:
    return FakeFreesound(small_world(), level=99, clock=clock, sleep=clock.sleep)


def ids(fake: FakeFreesound, filter_text: str, **more: str) -> list[int]:
    """Ids that a filter finds, oldest first."""
    params = {"filter": filter_text, "sort": "created_asc", "page_size": "150", "fields": "id"} | more
    answer = fake.get("search/", "&".join(f"{name}={quote(text, safe='')}" for name, text in params.items()))
    assert answer.status == 200, answer.read()
    return [obj["id"] for obj in answer.json()["results"]]


def detail(fake: FakeFreesound, url: str, params: str = "") -> tuple[int, str]:
    answer = fake.get(url, params)
    return answer.status, answer.json()["detail"]


# Search


def test_search_without_parameters_lists_everything_with_the_default_fields(fake: FakeFreesound) -> None:
    page = fake.get("search/").json()
    assert list(page) == ["count", "previous", "next", "results"]
    assert page["count"] == 12
    assert page["next"] is None
    assert all(list(obj) == ["id", "name", "tags", "license", "username"] for obj in page["results"])
    assert [obj["id"] for obj in page["results"]] != sorted(obj["id"] for obj in page["results"])
    assert fake.get("search/text/").json() == page


@pytest.mark.parametrize(
    ("filter_text", "found"),
    [
        ('license:"Attribution"', [101, 102, 107, 108]),
        ('license:"Attribution NonCommercial"', [103, 104, 109, 110]),
        ('license:"Sampling+"', [105, 111]),
        ('license:"sampling+"', []),
        ("license:Attribution", [101, 102, 107, 108]),
        ('license:("Creative Commons 0" OR "Sampling+")', [100, 105, 106, 111]),
        ('license:("Creative Commons 0" "Sampling+")', [100, 105, 106, 111]),
        ('license:"Sampling+" OR license:"Attribution"', []),  # across fields OR is AND
        ('-license:"Attribution" -license:"Sampling+"', [100, 103, 104, 106, 109, 110]),
        ("id:103", [103]),
        ("id:(103 OR 111 OR 999)", [103, 111]),
        ("id:[11 TO 2]", [110, 111]),  # a string: ranges compare as text
        ("id:[100 TO 102]", [100, 101, 102]),
        ("created:[2014-02 TO 2014-03]", [101, 102]),
        ("created:[2014-12-01T00:00:00Z TO *]", [111]),
        ("created:[* TO 2014-01-15T12:00:00Z]", [100]),  # the second is included, its fraction too
        ("created:[2014-01-15T12:00:00.146Z TO 2014-02-01]", []),
        ('created:"2014-02"', [101]),
        ("created:2014 id:(100 OR 111)", [100, 111]),
        ("created:[NOW-11YEARS-9MONTHS/DAY TO NOW]", [110, 111]),
        ('license:"Attribution" created:[2014-06 TO *]', [107, 108]),
        ("type:WAV duration:[0.5 TO 1.5]", [e for e in range(100, 112) if e % 4 != 3]),
        ("type:aiff", [103, 107, 111]),
        ("duration:[2 TO *]", []),
        ("tag:tin-roof num_comments:[9 TO *]", [109, 110, 111]),
        ("tag:Tin-Roof", []),
        ('username:"ana b" id:[100 TO 103]', [100, 102]),
        ("username:noise id:[100 TO 103]", [101, 103]),  # tokens: not exact
        ('description:"tin roof" id:100', [100]),
        ("name:rains id:100", [100]),
        ("is_explicit:true", [104]),
        ('category:Speech subcategory:"Solo speech"', [105]),
        ('pack_grouping:"7_Roofs"', [100, 101, 102]),
        ("pack:roofs id:100", [100]),
        ("gen_ai_preference:no-gen-ai", []),
        ("avg_rating:[0 TO 10] num_downloads:0 id:100", [100]),
    ],
)
def test_filters(fake: FakeFreesound, filter_text: str, found: list[int]) -> None:
    assert ids(fake, filter_text) == found


def test_md5_finds_a_sound_by_its_content(fake: FakeFreesound) -> None:
    sound = fake.world.sound(107)
    assert sound is not None
    assert ids(fake, f"md5:{sound.md5}") == [107]


def test_queries_take_modifiers(fake: FakeFreesound) -> None:
    assert ids(fake, "id:[100 TO 103]", query="rain -ana") == [101, 103]
    assert ids(fake, "id:[100 TO 103]", query='"tin roof" +noise') == [101, 103]
    assert ids(fake, "id:[100 TO 103]", query='""') == [100, 101, 102, 103]


def test_the_filter_is_unquoted_twice(fake: FakeFreesound) -> None:
    assert ids(fake, 'license:"Sampling%2B"') == [105, 111]
    assert ids(fake, 'license:"Sampling%252B"') == []


@pytest.mark.parametrize("params", ["filter=", "filter=%20"])
def test_a_filter_that_is_there_but_empty_is_refused(fake: FakeFreesound, params: str) -> None:
    assert detail(fake, "search/", params) == (400, "Invalid filter.")


@pytest.mark.parametrize(
    "filter_text",
    ["nonsense:1", 'license:"open', "license:(", "license", "duration:[1 TO x]", "created:{2014 TO 2015}",
     "created:[yesterday TO *]", "created:2014-01-01T00:00:00Z"],
)  # fmt: skip
def test_a_filter_that_solr_cannot_read_is_refused(fake: FakeFreesound, filter_text: str) -> None:
    status, said = detail(fake, "search/", "filter=" + quote(filter_text))
    assert status == 400
    assert said.startswith("Search server error: ")
    assert said.endswith(" (please check that your filter syntax and field names are correct)")


def test_fields_are_in_the_servers_order_and_unknown_ones_are_dropped(fake: FakeFreesound) -> None:
    obj = fake.get("search/", "fields=md5,id,nonsense,%20name").json()["results"][0]
    assert list(obj) == ["id", "md5"]
    every = fake.get("search/", "fields=*&filter=id:100").json()["results"][0]
    assert list(every)[: len(FIELDS)] == list(FIELDS)
    assert len(every["mfcc"]) == 13
    assert sum(x * x for x in every["sim_laion_clap"]) == pytest.approx(1, abs=1e-3)
    assert "loudness" in fake.get("search/", "fields=id,all_descriptors").json()["results"][0]


def test_an_unknown_sort_is_by_score_and_known_ones_sort(fake: FakeFreesound) -> None:
    by_score = [obj["id"] for obj in fake.get("search/").json()["results"]]
    assert [obj["id"] for obj in fake.get("search/", "sort=nonsense").json()["results"]] == by_score
    assert [obj["id"] for obj in fake.get("search/", "sort=created_desc").json()["results"]] == [
        *range(111, 99, -1)
    ]
    near = fake.get("search/", "sort=num_comments:5&fields=id&page_size=1").json()["results"][0]
    assert near == {"id": 105, "distance_to_target": 0.0}


def test_page_limits(fake: FakeFreesound) -> None:
    assert detail(fake, "search/", "page=0") == (404, "Not found")
    assert detail(fake, "search/", "page=2") == (404, "Not found")
    assert detail(fake, "search/", "page_size=0") == (404, "Not found")
    assert fake.get("search/", "page=two&page_size=many").json()["count"] == 12
    assert fake.get("search/", "filter=id:5&page=3").json() == {
        "count": 0, "previous": None, "next": None, "results": [],
    }  # fmt: skip
    big = FakeFreesound(World.synthetic(200), level=99)
    assert len(big.get("search/", "page_size=1000").json()["results"]) == 150


def test_pages_hold_every_sound_once(fake: FakeFreesound) -> None:
    pages = [fake.get("search/", f"page={page}&page_size=5").json()["results"] for page in (1, 2, 3)]
    assert sorted(obj["id"] for page in pages for obj in page) == list(range(100, 112))


def test_next_has_the_servers_form_and_loses_the_plus(fake: FakeFreesound) -> None:
    params = "token=x&query=&filter=license%3A%22Sampling%2B%22&page_size=1&fields=id,name"
    first = fake.get("search/", params).json()
    assert first["count"] == 2
    assert first["next"] == (
        "https://freesound.org/apiv2/search/?&query=&filter=license:%22Sampling+%22"
        "&weights=&page=2&page_size=1&fields=id,name"
    )
    assert fake.get(first["next"]).json()["count"] == 0
    fake.quirks = Quirks(raw_plus_in_next=False)
    assert fake.get(fake.get("search/", params).json()["next"]).json()["count"] == 2


def test_group_by_pack_counts_groups(fake: FakeFreesound) -> None:
    page = fake.get("search/", "group_by_pack=1&sort=created_asc").json()
    assert page["count"] == 10
    assert page["results"][0]["n_from_same_pack"] == 3
    assert fake.get(page["results"][0]["more_from_same_pack"]).json()["count"] == 3


# Sounds, users, packs


def test_a_sound_has_every_field_in_order(fake: FakeFreesound) -> None:
    obj = fake.get("sounds/105/").json()
    assert list(obj) == list(FIELDS)
    assert obj["url"] == "https://freesound.org/people/noise%2Bmaker/sounds/105/"
    assert obj["created"] == "2014-06-16T16:30:00Z"
    assert obj["license"] == "http://creativecommons.org/licenses/sampling+/1.0/"
    assert (obj["category"], obj["subcategory"]) == ("Speech", "Solo speech")
    assert obj["samplerate"] == 8000.0
    assert obj["previews"]["preview-hq-mp3"] == "https://cdn.freesound.org/previews/0/105_2-hq.mp3"
    assert obj["download"] == "https://freesound.org/apiv2/sounds/105/download/"
    assert set(obj["images"]) == {
        f"{kind}{bw}_{size}" for kind in ("waveform", "spectral") for bw in ("", "_bw") for size in "lm"
    }
    assert fake.get("sounds/101/").json()["pack"] == "https://freesound.org/apiv2/packs/7/"
    assert list(fake.get("sounds/105/", "fields=md5,id").json()) == ["id", "md5"]


def test_the_six_deeds_are_a_mix_of_http_and_https(fake: FakeFreesound) -> None:
    page = fake.get("search/", "sort=created_asc&page_size=6").json()
    assert [obj["license"] for obj in page["results"]] == [
        "http://creativecommons.org/publicdomain/zero/1.0/",
        "http://creativecommons.org/licenses/by/3.0/",
        "https://creativecommons.org/licenses/by/4.0/",
        "http://creativecommons.org/licenses/by-nc/3.0/",
        "https://creativecommons.org/licenses/by-nc/4.0/",
        "http://creativecommons.org/licenses/sampling+/1.0/",
    ]


def test_the_speech_opt_out_is_missed_when_descriptors_are_asked_for_without_category(
    fake: FakeFreesound,
) -> None:
    fake.world.set_preference("noise+maker", "no-additional-preferences", speech_opt_out=True)

    def wish(fields: str) -> Any:
        return fake.get("sounds/105/", "fields=" + fields).json()["gen_ai_preference"]

    assert wish("gen_ai_preference") == "no-gen-ai"
    assert wish("gen_ai_preference,loudness") == "no-additional-preferences"
    assert wish("gen_ai_preference,loudness,category_code") == "no-gen-ai"
    assert fake.get("sounds/103/").json()["gen_ai_preference"] == "no-additional-preferences"
    fake.world.edit(105, category_is_user_provided=True)
    assert wish("gen_ai_preference,loudness") == "no-gen-ai"


def test_what_is_not_there_says_so_in_the_words_of_its_endpoint(fake: FakeFreesound) -> None:
    assert detail(fake, "sounds/5/") == (404, "No Sound matches the given query.")
    for url in ("sounds/5/similar/", "sounds/5/comments/", "sounds/5/analysis/", "users/nobody/", "packs/5/"):
        assert detail(fake, url) == (404, "Not found")
    assert detail(fake, "users/Ana%20B./sounds/", "page=2") == (404, "Invalid page.")


def test_analysis_similar_and_comments(fake: FakeFreesound) -> None:
    assert fake.get("sounds/100/analysis/").json()["loudness"] < 0
    # descriptors have an address of their own; no field of a sound is called so, and such names are dropped
    assert fake.get("sounds/100/", "fields=id,analysis").json() == {"id": 100}
    near = fake.get("sounds/100/similar/", "fields=id").json()
    distances = [obj["distance_to_target"] for obj in near["results"]]
    assert near["count"] == 11
    assert distances == sorted(distances)
    said = fake.get("sounds/111/comments/", "page_size=4&page=2").json()
    assert (said["count"], len(said["results"])) == (11, 4)
    assert set(said["results"][0]) == {"username", "comment", "created"}


def test_users_and_their_lists(fake: FakeFreesound) -> None:
    user = fake.get("users/noise+maker/").json()
    assert (user["username"], user["num_sounds"], user["num_packs"]) == ("noise+maker", 6, 1)
    assert fake.get("users/Noise+maker/").status == 404  # case-sensitive
    sounds = fake.get(user["sounds"], "page_size=4").json()
    assert [obj["id"] for obj in sounds["results"]] == [111, 109, 107, 105]  # newest first
    assert sounds["next"] == "https://freesound.org/apiv2/users/noise+maker/sounds/?page=2&page_size=4"
    assert fake.get("users/Ana%20B./packs/").json()["results"][0]["name"] == "Roofs"


def test_packs(fake: FakeFreesound) -> None:
    pack = fake.get("packs/7/").json()
    assert (pack["name"], pack["username"], pack["num_sounds"]) == ("Roofs", "Ana B.", 3)
    assert fake.get(pack["sounds"]).json()["count"] == 3
    data = fake.get("packs/7/download/", bearer=fake.login()).read()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist()[0] == "_readme_and_license.txt"
        assert archive.namelist()[1] == "100__ana-b__rain-0-c.wav"


def test_me_and_bookmarks(fake: FakeFreesound) -> None:
    token = fake.login("Ana B.")
    fake.world.bookmarks[1] = {"wet": [103, 100]}
    me = fake.get("me/", bearer=token).json()
    assert (me["username"], me["unique_id"]) == ("Ana B.", 1)
    category = fake.get(me["bookmark_categories"], bearer=token).json()["results"][0]
    assert (category["name"], category["num_sounds"]) == ("wet", 2)
    assert fake.get(category["sounds"], bearer=token).json()["count"] == 2


def test_unknown_routes_are_html_and_apiv1_is_gone(fake: FakeFreesound) -> None:
    for url in ("/apiv2/nonsense/", "/apiv2/search/content/", "/apiv2/descriptors/"):
        answer = fake.get(url)
        assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert fake.get("/api/sounds/1").status == 410
    assert "explanation" in fake.get("/api/sounds/1").json()
    assert fake.get("/apiv2/search", "query=a").headers["Location"] == "/apiv2/search/?query=a"
    assert fake.handle("POST", "/apiv2/search/", {"authorization": f"Token {fake.client.key}"}).json() == {
        "detail": 'Method "POST" not allowed.'
    }


# Credentials


def asked(fake: FakeFreesound, url: str, **headers: str) -> tuple[int, str, str]:
    answer = fake.handle("GET", url, headers)
    return answer.status, answer.json().get("detail", ""), answer.headers.get("WWW-Authenticate", "")


def test_the_key_is_taken_from_header_or_query(fake: FakeFreesound) -> None:
    key = fake.client.key
    assert asked(fake, "/apiv2/search/", Authorization=f"token {key}")[0] == 200
    assert asked(fake, f"/apiv2/search/?token={key}")[0] == 200
    other = asked(fake, f"/apiv2/search/?token={key}", Authorization="Basic abc")
    assert other == (401, "Authentication credentials were not provided.", 'Bearer realm="api"')
    assert asked(fake, "/apiv2/search/")[:2] == (401, "Authentication credentials were not provided.")
    assert asked(fake, "/apiv2/search/", Authorization="Token nonsense")[:2] == (401, "Invalid token")
    fake.client.status = "PEN"
    assert asked(fake, f"/apiv2/search/?token={key}")[1] == "Suspended token or token pending for approval"
    fake.client.owner_is_active = False
    assert asked(fake, f"/apiv2/search/?token={key}")[1] == "User inactive or deleted"
    assert [r.auth for r in fake.record.of()] == [
        "token", "query token", "other", "", "token", "query token", "query token",
    ]  # fmt: skip
    assert key not in json.dumps([r.raw_query for r in fake.record.of()])


@pytest.mark.parametrize(
    "url", ["sounds/100/download/", "packs/7/download/", "me/", "me/bookmark_categories/"]
)
def test_some_resources_need_oauth2_over_https(fake: FakeFreesound, url: str) -> None:
    assert detail(fake, url) == (401, "Authentication credentials were not provided.")
    token = fake.login()
    assert fake.get(url, bearer=token).status == 200
    assert fake.get("search/", bearer=token).status == 200
    fake.require_https = True
    answer = fake.get("http://freesound.org/apiv2/" + url, bearer=token)
    assert (answer.status, answer.json()) == (
        403,
        {"detail": "This resource requires a secure connection (https)"},
    )
    assert fake.get("https://freesound.org/apiv2/" + url, bearer=token).status == 200
    assert fake.get("http://freesound.org/apiv2/search/").status == 200


def post(fake: FakeFreesound, **form: str) -> tuple[int, Any]:
    fixed = {"client_id": fake.client.client_id, "client_secret": fake.client.key} | form
    body = "&".join(f"{name}={text}" for name, text in fixed.items()).encode()
    answer = fake.handle("POST", "/apiv2/oauth2/access_token/", {}, body)
    return answer.status, answer.json()


def a_code(fake: FakeFreesound) -> str:
    url = f"/apiv2/oauth2/authorize/?client_id={fake.client.client_id}&response_type=code&state=s+1"
    place = fake.handle("GET", url).headers["Location"]
    assert urlsplit(place).path == "/home/app_permissions/permission_granted/"
    answer = parse_qs(urlsplit(place).query)
    assert answer["state"] == ["s 1"]
    code = answer["code"][0]
    assert code in fake.handle("GET", place).read().decode()  # the out-of-band page shows it
    return code


def test_a_code_gives_a_token_once_within_ten_minutes(fake: FakeFreesound, clock: SimulatedClock) -> None:
    code = a_code(fake)
    clock.advance(599)
    status, token = post(fake, grant_type="authorization_code", code=code)
    assert status == 200
    assert (token["expires_in"], token["scope"]) == (86400, "read write")
    assert post(fake, grant_type="authorization_code", code=code) == (400, {"error": "invalid_grant"})
    late = a_code(fake)
    clock.advance(600)
    assert post(fake, grant_type="authorization_code", code=late) == (400, {"error": "invalid_grant"})


def test_the_user_may_refuse(fake: FakeFreesound) -> None:
    fake.credentials.decision = "deny"
    fake.client.redirect_uri = "http://127.0.0.1:9/back"
    url = f"/apiv2/oauth2/authorize/?client_id={fake.client.client_id}&response_type=code"
    assert fake.handle("GET", url).headers["Location"] == "http://127.0.0.1:9/back?error=access_denied"
    assert fake.handle("GET", "/apiv2/oauth2/authorize/?client_id=x&response_type=code").status == 400


def test_errors_of_the_token_endpoint(fake: FakeFreesound) -> None:
    assert post(fake, client_secret="no", grant_type="refresh_token") == (401, {"error": "invalid_client"})
    assert post(fake, grant_type="nonsense") == (400, {"error": "unsupported_grant_type"})
    assert post(fake, grant_type="refresh_token", refresh_token="no") == (400, {"error": "invalid_grant"})
    assert post(fake, grant_type="password", username="a", password="b")[0] == 400
    assert post(fake) == (400, {"error": "invalid_request"})


def test_a_token_lives_a_day_and_a_refresh_replaces_both(fake: FakeFreesound, clock: SimulatedClock) -> None:
    old = fake.login()
    clock.advance(86_399)
    assert fake.get("me/", bearer=old).status == 200
    clock.advance(1)
    answer = fake.get("me/", bearer=old)
    assert (answer.status, answer.json()["detail"]) == (401, "Authentication credentials were not provided.")
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="api",error="invalid_token",error_description="The access token has expired."'
    )
    status, new = post(fake, grant_type="refresh_token", refresh_token=old.refresh)
    assert status == 200
    assert {new["access_token"], new["refresh_token"]}.isdisjoint({old.access, old.refresh})
    assert post(fake, grant_type="refresh_token", refresh_token=old.refresh)[0] == 400
    assert fake.credentials.num_refreshes == 1


def test_an_application_has_one_live_token_per_user(fake: FakeFreesound) -> None:
    first, other = fake.login("a"), fake.login("b")
    second = fake.login("a")
    assert [fake.get("me/", bearer=token).status for token in (first, other, second)] == [401, 200, 200]


# Throttling


def statuses(fake: FakeFreesound, num: int) -> list[int]:
    return [fake.get("search/").status for _ in range(num)]


@pytest.mark.parametrize(("level", "minute", "day"), [(1, 60, 2000), (2, 300, 5000), (3, 300, 15000)])
def test_both_windows_slide(clock: SimulatedClock, level: int, minute: int, day: int) -> None:
    fake = FakeFreesound(level=level, clock=clock)
    assert statuses(fake, minute) == [200] * minute
    answer = fake.get("search/")
    assert (answer.status, answer.reason) == (429, "Too Many Requests")
    assert answer.json() == {
        "detail": f"Request was throttled because of exceeding a request limit rate ({minute}/minute)"
    }
    assert "Retry-After" not in answer.headers
    clock.advance(59.9)
    assert statuses(fake, 1) == [429]  # and it does not count
    clock.advance(0.1)
    assert statuses(fake, 1) == [200]
    fake.throttle.spend(fake.client.client_id, day - minute - 1, clock())
    assert fake.get("search/").json()["detail"].endswith(f"({day}/day)")


def test_what_the_day_rejects_uses_up_the_minute(clock: SimulatedClock) -> None:
    fake = FakeFreesound(clock=clock)
    fake.throttle.spend(fake.client.client_id, 2000, clock())
    said = [fake.get("search/").json()["detail"].rpartition(" ")[2] for _ in range(61)]
    assert said == ["(2000/day)"] * 60 + ["(60/minute)"]
    clock.advance(86_400)
    assert statuses(fake, 1) == [200]


def test_levels_0_and_99_and_one_window_per_credential(clock: SimulatedClock) -> None:
    suspended = FakeFreesound(level=0, clock=clock).get("search/")
    assert (suspended.status, suspended.json()["detail"]) == (429, SUSPENDED)
    fake = FakeFreesound(level=99, clock=clock)
    assert statuses(fake, 400) == [200] * 400
    one, two = fake.credentials.add_client(), fake.credentials.add_client()
    token = fake.credentials.issue(one.client_id, "a")
    for _ in range(30):
        assert fake.handle("GET", "/apiv2/search/", {"authorization": f"Token {one.key}"}).status == 200
        assert fake.get("me/", bearer=token).status == 200  # the same credential, another token
    assert fake.get("me/", bearer=token).status == 429
    assert fake.handle("GET", "/apiv2/search/", {"authorization": f"Token {two.key}"}).status == 200
    assert fake.record.most_within(60) == 462


def test_only_requests_that_are_authenticated_count(clock: SimulatedClock) -> None:
    fake = FakeFreesound(clock=clock)
    for _ in range(100):
        fake.handle("GET", "/apiv2/search/", {"authorization": "Token no"})
    fake.get("sounds/5/")  # 404, counts
    assert fake.throttle.used(fake.client.client_id) == (1, 1)


# Files


def test_originals_are_real_audio_that_matches_its_description() -> None:
    fake = FakeFreesound(World.synthetic(30, seconds=(0.25,)), level=99)
    token = fake.login()
    fields = "id,type,filesize,md5,samplerate,channels,duration"
    for obj in fake.get("search/", f"page_size=30&fields={fields}").json()["results"]:
        answer = fake.get(f"sounds/{obj['id']}/download/", bearer=token)
        data = answer.read()
        assert (len(data), hashlib.md5(data).hexdigest()) == (obj["filesize"], obj["md5"])
        assert answer.headers["Content-Length"] == str(len(data))
        assert answer.headers["Content-Type"] == "application/octet-stream"
        audio, rate = soundfile.read(io.BytesIO(data), always_2d=True)
        assert (rate, audio.shape[1]) == (obj["samplerate"], obj["channels"])
        assert len(audio) / rate == obj["duration"]
        assert 0.2 < np.abs(audio).max() < 0.4


def test_the_file_name_is_in_the_disposition(fake: FakeFreesound) -> None:
    fake.world.add(id=456440, username="InspectorJ", name="Bird Whistling, Robin, Single, 13.wav")
    answer = fake.get("sounds/456440/download/", bearer=fake.login())
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="456440__inspectorj__bird-whistling-robin-single-13.wav"'
    )


def test_a_lost_file_is_not_found(fake: FakeFreesound) -> None:
    fake.world.edit(100, content=None)
    answer = fake.get("sounds/100/download/", bearer=fake.login())
    assert (answer.status, answer.json()) == (404, {"detail": "Not found"})


def test_previews_are_on_the_cdn_for_anyone_and_credentials_there_are_noticed(fake: FakeFreesound) -> None:
    sound = fake.world.sound(100)
    assert sound is not None
    url = fake.get("sounds/100/").json()["previews"]["preview-lq-ogg"]
    answer = fake.handle("GET", url)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/ogg")
    assert hashlib.md5(answer.read()).hexdigest() == sound.md5
    assert not fake.record.leaks
    fake.get(url)
    fake.handle("GET", url + "?token=x")
    assert [r.auth for r in fake.record.leaks] == ["token", "query token"]
    assert fake.handle("GET", url.replace("100_1", "100_2")).status == 404
    fake.encode_preview = lambda sound, data, kind: f"{sound.id} {kind}".encode()
    assert fake.handle("GET", url).read() == b"100 lq-ogg"


def test_a_redirect_to_the_cdn_works_for_an_hour(fake: FakeFreesound, clock: SimulatedClock) -> None:
    fake.quirks = Quirks(redirect_downloads=True)
    answer = fake.get("sounds/100/download/", bearer=fake.login())
    place = answer.headers["Location"]
    assert (answer.status, place.split("?")[0]) == (302, "https://cdn.freesound.org/sounds/0/100.wav")
    sound = fake.world.sound(100)
    assert sound is not None
    assert hashlib.md5(fake.handle("GET", place).read()).hexdigest() == sound.md5
    assert fake.handle("GET", place.replace("md5=", "md5=0")).status == 403
    clock.advance(3602)
    assert fake.handle("GET", place).status == 410


def test_ranges_are_ignored_unless_switched_on(fake: FakeFreesound) -> None:
    header = {"Authorization": f"Bearer {fake.login().access}"}
    url = "/apiv2/sounds/100/download/"
    whole = fake.handle("GET", url, header)
    assert fake.handle("GET", url, header | {"Range": "bytes=5-"}).status == 200
    fake.quirks = Quirks(ranges=True)
    part = fake.handle("GET", url, header | {"Range": "bytes=5-9"})
    assert (part.status, part.read()) == (206, whole.read()[5:10])
    assert part.headers["Content-Range"] == f"bytes 5-9/{len(whole.read())}"
    assert fake.handle("GET", url, header | {"Range": "bytes=-4"}).read() == whole.read()[-4:]
    assert fake.handle("GET", url, header | {"Range": "bytes=9999999-"}).status == 416
    stale = {"Range": "bytes=5-", "If-Range": '"other"'}
    assert fake.handle("GET", url, header | stale).status == 200


# The world, and edits while it is being listed


def test_half_a_million_sounds_are_cheap_to_have() -> None:
    world = World.synthetic(500_000)
    assert sum(column.nbytes for column in world._columns.values()) < 20e6
    fake = FakeFreesound(world, level=99)
    page = fake.get("search/", "sort=created_asc&page=3333&page_size=150&fields=id,md5,created").json()
    assert (page["count"], len(page["results"])) == (500_000, 150)
    sound_id = page["results"][0]["id"]
    assert fake.get(f"sounds/{sound_id}/", "fields=id,md5,created").json() == page["results"][0]


def test_bulk_uploads_share_a_second_and_ids_are_not_in_order() -> None:
    fake = FakeFreesound(World.synthetic(2000), level=99)
    objects = [
        obj
        for page in range(1, 15)
        for obj in fake.get(
            "search/", f"sort=created_asc&page={page}&page_size=150&fields=id,created"
        ).json()["results"]
    ]
    seconds = [obj["created"] for obj in objects]
    assert seconds == sorted(seconds)
    assert max(seconds.count(second) for second in set(seconds)) >= 400
    assert [obj["id"] for obj in objects] != sorted(obj["id"] for obj in objects)


def test_the_same_seed_is_the_same_world() -> None:
    one, two = (FakeFreesound(World.synthetic(50), level=99).get("search/", "fields=*").read() for _ in "ab")
    assert one == two


def test_edits_happen_between_requests(fake: FakeFreesound) -> None:
    fake.timeline.before("search", 2, lambda world: world.delete(100))
    fake.timeline.before("download", 1, lambda world: world.relicense(101, "by-nc4"))
    fake.timeline.every("sound", 2, lambda world: world.add(), times=2)
    assert fake.get("search/").json()["count"] == 12
    assert fake.get("search/").json()["count"] == 11
    assert fake.get("sounds/100/").status == 404
    assert fake.get("sounds/101/").json()["license"].endswith("/by/3.0/")
    assert fake.get("sounds/101/download/", bearer=fake.login()).status == 200
    assert fake.get("sounds/101/").json()["license"].endswith("/by-nc/4.0/")
    assert ids(fake, 'license:"Attribution NonCommercial"')[0] == 101
    assert len(fake.world.added) == 12 + 1
    for _ in range(9):
        fake.get("sounds/101/")
    assert len(fake.world.added) == 12 + 2


def test_edits_happen_at_a_time(fake: FakeFreesound, clock: SimulatedClock) -> None:
    fake.timeline.at(clock() + 60, lambda world: world.delete(100))
    assert fake.get("sounds/100/").status == 200
    clock.advance(60)
    assert fake.get("sounds/100/").status == 404


def test_churn_adds_and_removes_and_remembers(clock: SimulatedClock) -> None:
    fake = FakeFreesound(World.synthetic(300), level=99, clock=clock)
    before = set(fake.world.ids())
    fake.timeline.every("search", 1, lambda world: world.churn(adds=3, removes=2))
    for _ in range(11):
        fake.get("search/")
    after = set(fake.world.ids())
    assert (len(fake.world.added), len(fake.world.removed)) == (30, 20)
    assert after == (before | set(fake.world.added)) - set(fake.world.removed)


def test_users_are_renamed_opt_out_and_leave(fake: FakeFreesound) -> None:
    fake.world.rename_user("Ana B.", "ana")
    assert fake.get("users/Ana%20B./").status == 404
    assert fake.get("users/ana/").json()["num_sounds"] == 6
    assert fake.get("sounds/100/").json()["username"] == "ana"
    fake.world.set_preference("ana", "no-gen-ai")
    assert ids(fake, "gen_ai_preference:no-gen-ai") == [100, 102, 104, 106, 108, 110]
    fake.world.delete_user("ana")
    assert fake.get("users/ana/").status == 404
    assert fake.get("users/deleted_user_1/").status == 404
    assert fake.get("sounds/100/").json()["username"] == "deleted_user_1"
    fake.world.delete_user("noise+maker", keep_sounds=False)
    assert fake.get("search/").json()["count"] == 6


def test_ghosts_are_null_results(fake: FakeFreesound) -> None:
    ghosts = fake.world.add_ghosts(3)
    page = fake.get("search/").json()
    assert (page["count"], page["results"].count(None)) == (15, 3)
    assert [fake.get(f"sounds/{ghost}/").status for ghost in ghosts] == [404] * 3


def test_hostile_objects_are_served_as_they_are(fake: FakeFreesound) -> None:
    path = SHARED / "hostile_metadata.jsonl"
    if not path.is_file():
        pytest.skip("../shared/data/hostile_metadata.jsonl is absent")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    objects = [row["object"] for row in rows if "object" in row]
    world = World()
    for obj in objects:
        world.add_verbatim(obj)
    hostile = FakeFreesound(world, level=99)
    page = hostile.get("search/", "fields=" + ",".join(FIELDS) + "&page_size=150&sort=created_asc").json()
    assert sorted(map(json.dumps, page["results"])) == sorted(map(json.dumps, objects))


def test_the_shared_folder_is_a_world() -> None:
    folder = SHARED / "freesound"
    if not folder.is_dir():
        pytest.skip("../shared/data/freesound is absent")
    rows = [json.loads(line) for line in (folder / "sounds.jsonl").read_text("utf-8").splitlines()]
    fake = FakeFreesound(World.from_folder(folder), level=99)
    token = fake.login()
    assert fake.get("search/").json()["count"] == len(rows)
    for row in rows[::20]:
        obj = fake.get(f"sounds/{row['id']}/").json()
        same = ("name", "tags", "username", "license", "type", "filesize", "md5", "duration", "url")
        assert {name: obj[name] for name in same} == {name: row[name] for name in same}
        assert obj["created"].endswith("Z")
        data = fake.get(f"sounds/{row['id']}/download/", bearer=token).read()
        assert hashlib.md5(data).hexdigest() == row["md5"]


def test_the_record_counts(fake: FakeFreesound) -> None:
    fake.get("sounds/100/")
    fake.get("sounds/100/", "fields=id")
    fake.get("sounds/5/")
    assert fake.record.counts() == {"sound": 3}
    assert fake.record.per_thing("sound") == {"100": 2, "5": 1}
    assert fake.record.statuses("sound") == {200: 2, 404: 1}
    assert fake.record.of("sound")[1].query == {"fields": "id"}
