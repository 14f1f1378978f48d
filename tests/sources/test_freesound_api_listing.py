"""Listing Freesound over its API: complete, once each, resumable, whatever the server does meanwhile."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sao_data.errors import Stopped
from sao_data.fetch import credentials
from sao_data.records import Offer, Recording
from sao_data.sources._freesound import search
from tests.fakes.freesound import FakeFreesound, Quirks, World
from tests.fakes.freesound.descriptors import NAMES as DESCRIPTORS
from tests.sources.freesound_asked import fake_of, ids_of, listed, source_of

DEFAULT = {"Creative Commons 0", "Attribution", "Sampling+"}
FAULTS = (
    "reset", "hang", "bad_gateway", "unavailable", "gateway_timeout", "throttled_minute", "throttled_day",
    "overloaded", "search_down", "server_error", "gone", "truncated", "reset_mid", "slow", "html_200",
    "empty_200", "redirect_cdn", "hostile_disposition",
)  # fmt: skip
QUIRKS: dict[str, dict[str, Any]] = {
    "null_results": {"null_results": 0.3},
    "count_drift": {"count_drift": 20},
    "shuffle_ties": {"shuffle_ties": True},
    "overload_limit": {"overload_limit": 200},
    "naive_dates": {"naive_dates": 0.5},
    "fraction_dates": {"fraction_dates": 0.5},
}


def plain(offers: dict[str, Offer]) -> dict[str, Recording]:
    """What was said, without when and in answer to what."""
    return {
        name: dataclasses.replace(offer.recording, retrieved_at="", evidence="")
        for name, offer in offers.items()
    }


def small() -> World:
    """Enough for a dozen pages of 100, with bulk uploads."""
    return World.synthetic(1_200)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    """The listing of `small` without any failure."""
    return plain(
        listed(source_of(fake_of(small()), tmp_path_factory.mktemp("truth"), licenses=(), page_size=100))
    )


def test_all_sounds_are_offered_once_with_hardly_more_requests_than_pages(tmp_path: Path) -> None:
    world = World.synthetic(6_000)
    fake = fake_of(world)
    assert set(listed(source_of(fake, tmp_path, licenses=()))) == ids_of(world)
    seams = 6  # one second of this world holds 400 sounds, and is asked for in parts
    assert fake.record.counts()["search"] <= 1.02 * 6_000 / 150 + seams


def test_licences_are_listed_as_asked_and_the_plus_survives(tmp_path: Path) -> None:
    world = World()
    for number in range(320):
        licence = ("sampling+", "by3", "by-nc4", "cc0")[number % 4]
        world.add(
            user_id=world.ensure_user("a+b").id,
            licence=licence,
            created_ms=1_400_000_000_000 + number * 60_000,
        )
    fake = fake_of(world)
    offers = listed(source_of(fake, tmp_path, page_size=20, licenses=("Sampling+",)))
    assert len(offers) == 80
    assert all("sampling+" in offer.recording.license_url for offer in offers.values())
    assert all("%2B" in r.raw_query and "+" not in r.raw_query for r in fake.record.of("search"))
    default = listed(source_of(fake, tmp_path / "default", page_size=20))
    assert len(default) == 240


def test_following_the_links_of_the_api_would_lose_the_plus() -> None:
    world = World()
    for number in range(40):
        world.add(licence="sampling+", created_ms=1_400_000_000_000 + number * 60_000)
    fake = fake_of(world)
    first = fake.get("search/", "filter=license%3A%22Sampling%2B%22&page_size=20").json()
    assert first["count"] == 40
    assert fake.get(first["next"]).json()["count"] == 0


@pytest.mark.parametrize("kind", FAULTS)
def test_each_failure_leaves_the_listing_as_it_is(
    kind: str, truth: dict[str, Recording], tmp_path: Path
) -> None:
    fake = fake_of(small())
    fake.faults.add(kind, "search", share=0.3)
    assert plain(listed_through(fake, tmp_path)) == truth
    if kind not in ("redirect_cdn", "hostile_disposition"):  # these have no hold on a search
        assert fake.faults.struck[kind] > 0


@pytest.mark.parametrize("name", QUIRKS)
def test_each_oddity_leaves_the_listing_as_it_is(
    name: str, truth: dict[str, Recording], tmp_path: Path
) -> None:
    fake = fake_of(small(), quirks=Quirks(seed=3, **QUIRKS[name]))
    assert plain(listed_through(fake, tmp_path)) == truth


@pytest.mark.parametrize("seed", range(3))
def test_all_failures_together_leave_the_listing_as_it_is(
    seed: int, truth: dict[str, Recording], tmp_path: Path
) -> None:
    quirks = Quirks(seed=seed, null_results=0.05, count_drift=5, naive_dates=0.3, shuffle_ties=True)
    fake = fake_of(small(), quirks=quirks)
    fake.faults.seed = seed
    for kind in FAULTS:
        fake.faults.add(kind, "search", share=0.3 / len(FAULTS))
    assert plain(listed_through(fake, tmp_path)) == truth


def listed_through(fake: FakeFreesound, folder: Path) -> dict[str, Offer]:
    """List; after a clean stop again, as a person would."""
    for _ in range(20):
        try:
            return listed(source_of(fake, folder, licenses=(), page_size=100))
        except Stopped:
            continue
    raise AssertionError("does not come to an end")


def test_sounds_there_throughout_are_met_while_thousands_come_and_go(tmp_path: Path) -> None:
    world = World.synthetic(10_000)
    before = ids_of(world)
    fake = fake_of(world)
    fake.timeline.every("search", 1, lambda world: world.churn(adds=16, removes=16), times=63)
    offers = listed(source_of(fake, tmp_path, licenses=()))
    assert (len(world.added), len(world.removed)) == (1_008, 1_008)
    throughout = before & ids_of(world)
    assert len(throughout) > 8_900
    assert throughout <= set(offers)
    assert set(offers) <= before | {f"freesound:{number}" for number in world.added}


def test_a_sound_whose_licence_changes_meanwhile_is_met_once(tmp_path: Path) -> None:
    world = World.synthetic(600)
    ids = world.ids()
    fake = fake_of(world)
    flips = [
        (ids[place], "by4" if world.sound(ids[place]).licence == "cc0" else "cc0")
        for place in range(0, 600, 7)
    ]
    for sound_id, licence in flips:
        if world.sound(sound_id).licence not in ("by-nc3", "by-nc4"):
            fake.timeline.before("search", 3, lambda w, s=sound_id, k=licence: w.relicense(s, k))
    allowed = {i for i in ids if world.sound(i).licence not in ("by-nc3", "by-nc4")}
    assert set(listed(source_of(fake, tmp_path, page_size=100))) == {f"freesound:{i}" for i in allowed}


def test_interrupted_at_any_request_it_goes_on_without_asking_again(tmp_path: Path) -> None:
    world = World.synthetic(500)
    whole = fake_of(world)
    everything = listed(source_of(whole, tmp_path / "whole", licenses=(), page_size=100))
    num = whole.record.counts()["search"]
    for stop_at in range(1, num + 1):
        fake, folder = fake_of(world), tmp_path / str(stop_at)
        with pytest.raises(Stopped):
            listed(source_of(fake, folder, licenses=(), page_size=100, stop_at=stop_at))
        assert listed(source_of(fake, folder, licenses=(), page_size=100)) == everything
        asked = Counter(request.raw_query for request in fake.record.of("search"))
        assert sum(asked.values()) == num, stop_at
        assert set(asked.values()) == {1}, stop_at


def test_interrupted_with_failing_requests_no_answer_is_asked_for_again(
    truth: dict[str, Recording], tmp_path: Path
) -> None:
    for stop_at in (3, 9, 20):
        fake, folder = fake_of(small(), quirks=Quirks(null_results=0.05)), tmp_path / str(stop_at)
        for kind in FAULTS:
            fake.faults.add(kind, "search", share=0.3 / len(FAULTS))
        with pytest.raises(Stopped):
            listed(source_of(fake, folder, licenses=(), page_size=100, stop_at=stop_at))
        num_before = len(fake.record.entries)
        assert plain(listed_through(fake, folder)) == truth
        answered = {r.raw_query for r in fake.record.entries[:num_before] if r.status == 200 and not r.fault}
        later = {r.raw_query for r in fake.record.entries[num_before:]}
        assert not {query for query in answered & later if "created%3A%5B" in query}, stop_at


def test_an_overloaded_server_is_asked_for_less_and_an_interruption_does_not_change_how(
    tmp_path: Path,
) -> None:
    def overloaded() -> FakeFreesound:
        fake = fake_of(small())
        fake.faults.add("overloaded", "search", requests=[3, 4, 6, 7])  # the Web asks each question twice
        return fake

    whole, broken = overloaded(), overloaded()
    truth = listed(source_of(whole, tmp_path / "whole", licenses=(), page_size=100))
    with pytest.raises(Stopped):
        listed(source_of(broken, tmp_path / "broken", licenses=(), page_size=100, stop_at=9))
    assert listed(source_of(broken, tmp_path / "broken", licenses=(), page_size=100)).keys() == truth.keys()
    assert [r.raw_query for r in broken.record.entries] == [r.raw_query for r in whole.record.entries]


def test_a_finished_listing_is_not_asked_for_again(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(300))
    first = listed(source_of(fake, tmp_path))
    num = len(fake.record.entries)
    fake.world.churn(adds=20, removes=20)
    assert listed(source_of(fake, tmp_path)) == first
    assert len(fake.record.entries) == num


def test_a_listing_from_before_the_date_is_made_again_and_that_is_not_repeated(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(300))
    listed(source_of(fake, tmp_path, licenses=()))
    fake.clock.advance(40 * 86_400)  # type: ignore[attr-defined]
    fake.world.churn(adds=20, removes=20)
    again = listed(source_of(fake, tmp_path, licenses=(), listing="2026-09-01"))
    assert set(again) == ids_of(fake.world)
    num = len(fake.record.entries)
    assert listed(source_of(fake, tmp_path, licenses=(), listing="2026-09-01")) == again
    assert listed(source_of(fake, tmp_path, licenses=())) == again
    assert len(fake.record.entries) == num


def test_the_end_is_pinned_when_the_listing_begins(tmp_path: Path) -> None:
    world = World.synthetic(400)
    before, fake = ids_of(world), fake_of(world)
    later = int(fake.clock() + 86_400) * 1000
    fake.timeline.before("search", 3, lambda world: world.add(licence="cc0", created_ms=later))
    with pytest.raises(Stopped):
        listed(source_of(fake, tmp_path, licenses=(), page_size=100, stop_at=4))
    fake.clock.advance(10 * 86_400)  # type: ignore[attr-defined]
    assert set(listed(source_of(fake, tmp_path, licenses=(), page_size=100))) == before


def test_places_without_a_sound_are_counted_and_said(tmp_path: Path) -> None:
    world = World.synthetic(400)
    before = ids_of(world)
    world.add_ghosts(7)
    source = source_of(fake_of(world), tmp_path, licenses=(), page_size=100)
    assert set(listed(source)) == before
    assert "Freesound's index had 7 places without a sound when it was listed." in source.notes()


def test_hundreds_of_places_without_a_sound_in_a_row_do_not_end_the_listing(tmp_path: Path) -> None:
    world = World.synthetic(300)
    before, model = ids_of(world), world.sound(world.ids()[100])
    assert model is not None
    for number in range(60):
        ghost = world.add(licence="cc0", created_ms=model.created_ms + number * 30_000)
        world.delete(ghost.id, reindexed=False)
    fake = fake_of(world)
    assert set(listed(source_of(fake, tmp_path, licenses=(), page_size=20))) == before
    assert fake.record.counts()["search"] < 120


def test_a_millisecond_of_more_than_a_page_is_met_whole(tmp_path: Path) -> None:
    world = World()
    for _ in range(90):
        world.add(licence="cc0", created_ms=1_500_000_000_123)
    fake = fake_of(world, quirks=Quirks(shuffle_ties=True, seed=5))
    assert set(listed(source_of(fake, tmp_path, page_size=20))) == ids_of(world)


def test_sounds_with_dates_that_cannot_be_read_do_not_end_the_listing(tmp_path: Path) -> None:
    world = World.synthetic(120)
    for number in range(60):
        raw = {"id": 900_000 + number, "created": "yesterday", "type": "wav", "license": ""}
        world.add(id=raw["id"], licence="cc0", created_ms=1_400_000_000_000 + number // 2 * 30_000, raw=raw)
    fake = fake_of(world)
    assert set(listed(source_of(fake, tmp_path, licenses=(), page_size=20))) == ids_of(world)
    assert fake.record.counts()["search"] < 80


def test_what_is_asked_for_never_misses_a_speakers_opt_out(tmp_path: Path) -> None:
    world = World()
    world.set_preference("Ana", "no-additional-preferences", speech_opt_out=True)
    world.add(username="Ana", licence="cc0", category_code="sp-s")
    fake = fake_of(world)
    (offer,) = listed(source_of(fake, tmp_path)).values()
    assert (offer.recording.ai_preference, offer.recording.category) == ("no-gen-ai", "sp-s")
    fields = set(fake.record.of("search")[0].query["fields"].split(","))
    assert {"gen_ai_preference", "category", "category_code", "md5", "filesize"} <= fields
    assert not fields & (set(DESCRIPTORS) | {"geotag"})
    trap = fake.get("search/", "fields=id,gen_ai_preference,bpm").json()["results"][0]
    assert trap["gen_ai_preference"] == "no-additional-preferences"  # the trap is there


def test_odd_spellings_are_read_for_what_they_are(tmp_path: Path) -> None:
    world = World.synthetic(200)
    usual = plain(listed(source_of(fake_of(world), tmp_path / "usual", licenses=())))
    quirks = Quirks(whole_samplerate=0.5, null_bitdepth=1.0, naive_dates=0.5, http_deeds=0.5, bare_deeds=0.5)
    odd = plain(listed(source_of(fake_of(world, quirks=quirks), tmp_path / "odd", licenses=())))
    assert odd.keys() == usual.keys()
    changed = {name for name in odd if odd[name].license_url != usual[name].license_url}
    assert changed
    assert {n: dataclasses.replace(r, license_url="") for n, r in odd.items()} == {
        n: dataclasses.replace(r, license_url="") for n, r in usual.items()
    }
    assert all(isinstance(r.media.sample_rate, int) for r in odd.values())


@pytest.mark.parametrize(
    ("created", "milliseconds"),
    [
        ("2014-04-16T20:07:11", 1_397_678_831_000), ("2014-04-16T20:07:11.145", 1_397_678_831_145),
        ("2014-04-16T20:07:11Z", 1_397_678_831_000), ("2014-04-16T22:07:11+02:00", 1_397_678_831_000),
        ("2014-04-16", 1_397_606_400_000), ("0001-01-01T00:00:00", -62_135_596_800_000), ("16.4.2014", None),
        ("", None), (None, None), (1_397_678_831, None), ("2" * 100, None), ("2014-13-01T00:00:00", None),
    ],
)  # fmt: skip
def test_dates_without_a_zone_are_utc(
    created: object, milliseconds: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert search.milliseconds(created) == milliseconds
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_preference_that_is_not_stated_is_unknown(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(40), quirks=Quirks(missing_preference=1.0))
    offers = listed(source_of(fake, tmp_path, licenses=()))
    assert {offer.recording.ai_preference for offer in offers.values()} == {""}


def test_the_raw_text_has_the_object_as_sent_when_it_came_and_in_answer_to_what(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(3), quirks=Quirks(naive_dates=1.0))
    offer = next(iter(listed(source_of(fake, tmp_path, licenses=())).values()))
    raw = json.loads(offer.raw)
    assert sorted(raw) == ["request", "retrieved_at", "sound"]
    assert raw["retrieved_at"] == offer.recording.retrieved_at == "2026-07-25T17:20:00Z"
    assert isinstance(raw["sound"]["samplerate"], float)
    assert raw["sound"]["created"][-1] != "Z"
    assert raw["request"].startswith(
        "http://127.0.0.1:1/apiv2/search/?query=&filter=created%3A%5B2005-04-01T"
    )
    assert fake.client.key not in offer.raw


def test_a_limit_of_the_day_stops_cleanly_and_the_next_day_goes_on(tmp_path: Path) -> None:
    world = World.synthetic(300)
    fake = fake_of(world, level=1)
    fake.throttle.spend(fake.client.client_id, 1_998, fake.clock())
    with pytest.raises(Stopped, match="the next request is possible at 2026-07-2"):
        listed(source_of(fake, tmp_path, licenses=(), page_size=100, max_wait_s=300.0))
    num = len(fake.record.of("search", statuses=(200,)))
    assert num == 2
    fake.clock.advance(86_401)  # type: ignore[attr-defined]
    assert set(listed(source_of(fake, tmp_path, licenses=(), page_size=100))) == ids_of(world)


def test_no_secret_is_stored(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(30))
    source = source_of(fake, tmp_path)
    listed(source)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert all(fake.client.key.encode() not in path.read_bytes() for path in kept)
    assert credentials.Secrets(key="x") is not None
    assert fake.client.key not in repr(source)
