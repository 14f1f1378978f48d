"""The Freesound API source apart from listing: files, claims read again, ids, forecasts, configuration."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import io
import json
import pickle
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sao_data.errors import Stopped, UsageError
from sao_data.execution.executor import LocalExecutor
from sao_data.fetch import credentials
from sao_data.fetch.remote import RemoteSource
from sao_data.fetch.workspace import Workspace
from sao_data.licences import Release
from sao_data.plugins import DamagedFile
from sao_data.records import Offer, Recording
from sao_data.sources import freesound_api
from sao_data.sources.freesound_api import Config, FreesoundApi
from sao_data.storage.backend import open_storage
from tests.fakes.freesound import FakeFreesound, Quirks, SimulatedClock, World, as_json, make
from tests.paths import SHARED
from tests.sources.freesound_asked import fake_of, ids_of, listed, rejected, source_of

HOSTILE = SHARED / "hostile_metadata.jsonl"
DAMAGE = ("truncated", "reset_mid", "wrong_md5", "html_200", "empty_200")


def offered(fake: FakeFreesound, folder: Path, **config: Any) -> tuple[FreesoundApi, list[Recording]]:
    source = source_of(fake, folder, licenses=(), **config)
    return source, [offer.recording for offer in listed(source).values()]


# Files


@pytest.mark.parametrize("redirected", [False, True])
def test_originals_are_fetched_by_login_and_checked(redirected: bool, tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(6), quirks=Quirks(redirect_downloads=redirected))
    source, recordings = offered(fake, tmp_path)
    for recording in recordings:
        fetched = source.fetch(recording, tmp_path / "partial")
        assert (fetched.rendition, fetched.suffix) == ("original", f".{recording.media.container}")
        assert len((tmp_path / "partial").read_bytes()) == recording.media.num_bytes
        (tmp_path / "partial").unlink()
    assert {request.auth for request in fake.record.of("download")} == {"bearer"}
    assert not fake.record.leaks


def test_previews_come_without_any_credential_ogg_first(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(4))
    source, recordings = offered(fake, tmp_path, rendition="preview")
    fetched = source.fetch(recordings[0], tmp_path / "partial")
    assert (fetched.rendition, fetched.suffix) == ("preview", ".ogg")
    (request,) = fake.record.of("preview")
    assert (request.host, request.auth, request.path[-7:]) == ("cdn", "", "-hq.ogg")
    assert any("lossy" in note for note in source.notes())


def test_a_damaged_page_of_an_ogg_preview_is_noticed(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(2))
    fake.encode_preview = lambda sound, data, kind: ogg_bytes()
    source, (recording, other) = offered(fake, tmp_path, rendition="preview")
    source.fetch(recording, tmp_path / "whole")
    fake.faults.add("wrong_md5", "preview", at_most=0)
    with pytest.raises(DamagedFile, match="Ogg pages are damaged"):
        source.fetch(other, tmp_path / "partial")


@functools.cache
def ogg_bytes() -> bytes:
    import numpy as np
    import soundfile

    buffer = io.BytesIO()
    noise = np.random.default_rng(1).normal(0, 0.1, 8000)
    soundfile.write(buffer, noise, 8000, format="OGG", subtype="VORBIS")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", DAMAGE)
def test_no_damaged_body_is_accepted(kind: str, tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(40, seconds=(0.05,)))
    source, recordings = offered(fake, tmp_path)
    fake.faults.add(kind, "download", at_most=0)
    for recording in recordings:
        with pytest.raises((DamagedFile, OSError)):
            source.fetch(recording, tmp_path / recording.id[10:])
    assert fake.faults.struck[kind] >= 40


@pytest.mark.parametrize("kind", DAMAGE)
def test_after_damage_that_passes_the_true_file_comes(kind: str, tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(20, seconds=(0.05,)), quirks=Quirks(ranges=True))
    source, recordings = offered(fake, tmp_path)
    fake.faults.add(kind, "download", at_most=1)
    for recording in recordings:
        with source.open(recording) as file:
            assert file.read() == fake.world.sound(int(recording.id[10:])).content.file(
                int(recording.id[10:])
            )


def test_a_file_that_never_matches_its_md5_is_damaged_after_a_second_try(tmp_path: Path) -> None:
    world = World()
    world.add(content=b"RIFF....WAVE" + bytes(100), md5="0" * 32, licence="cc0")
    fake = fake_of(world)
    source, (recording,) = offered(fake, tmp_path)
    with pytest.raises(DamagedFile, match="is not the stated 0000"):
        source.fetch(recording, tmp_path / "partial")
    assert fake.record.counts()["download"] == 2
    assert not (tmp_path / "partial").exists()


def test_what_is_gone_by_the_time_it_is_fetched_is_missing(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(3))
    source, recordings = offered(fake, tmp_path)
    fake.world.delete(int(recordings[0].id[10:]))
    with pytest.raises(FileNotFoundError):
        source.fetch(recordings[0], tmp_path / "partial")


def test_a_half_file_is_continued(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(2), quirks=Quirks(ranges=True))
    source, recordings = offered(fake, tmp_path)
    sound = fake.world.sound(int(recordings[0].id[10:]))
    assert sound is not None
    whole = sound.content.file(sound.id)  # type: ignore[union-attr]
    (tmp_path / "partial").write_bytes(whole[:5000])
    source.fetch(recordings[0], tmp_path / "partial")
    assert (tmp_path / "partial").read_bytes() == whole
    assert fake.record.of("download")[-1].range == "bytes=5000-"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/previews/0/{}_1-hq.ogg", "https://cdn.freesound.org.evil.org/previews/0/{}_1-hq.ogg",
        "file:///etc/passwd", "https://cdn.freesound.org@evil.org/previews/0/{}_1-hq.ogg", "//evil.org/x", "",
        "https://evil.org/https://cdn.freesound.org/previews/0/{}_1-hq.ogg",
    ],
)  # fmt: skip
def test_preview_urls_of_strangers_are_asked_for_nothing(url: str, tmp_path: Path) -> None:
    world = World()
    sound_id = world.add(licence="cc0").id
    world.edit(
        sound_id, raw={"id": sound_id, "type": "wav", "previews": {"preview-hq-ogg": url.format(sound_id)}}
    )
    fake = fake_of(world)
    source, (recording,) = offered(fake, tmp_path, rendition="preview")
    num = len(fake.record.entries)
    with pytest.raises(FileNotFoundError):
        source.fetch(recording, tmp_path / "partial")
    assert len(fake.record.entries) == num


# Claims read again, and listing by ids


def test_looking_up_takes_a_request_for_150_and_passes_over_what_is_gone(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(400))
    source = source_of(fake, tmp_path)
    everything = sorted(ids_of(fake.world))
    gone = {everything[5], everything[200]}
    for name in gone:
        fake.world.delete(int(name[10:]))
    found = [
        one.recording.id
        for one in source.look_up([*everything, "fma:7", "freesound:0"])
        if isinstance(one, Offer)
    ]
    assert Counter(found) == Counter(set(everything) - gone)
    assert fake.record.counts() == {"search": 3}


def test_looking_up_finds_what_hides_behind_places_without_a_sound(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(300), quirks=Quirks(null_results=0.3, seed=2))
    wanted = sorted(ids_of(fake.world))
    found = [one.recording.id for one in source_of(fake, tmp_path).look_up(wanted) if isinstance(one, Offer)]
    assert Counter(found) == Counter(wanted)


@pytest.mark.parametrize("kind", ["overloaded", "gone", "truncated", "html_200", "throttled_minute", "reset"])
def test_looking_up_with_failing_requests_gives_the_same(kind: str, tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(500))
    fake.faults.add(kind, "search", share=0.5)
    wanted = sorted(ids_of(fake.world))
    found = [one.recording.id for one in source_of(fake, tmp_path).look_up(wanted) if isinstance(one, Offer)]
    assert Counter(found) == Counter(wanted)


def test_a_claim_counts_as_long_as_is_configured(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(20))
    clock = fake.clock
    assert isinstance(clock, SimulatedClock)
    name = sorted(ids_of(fake.world))[0]
    source = source_of(fake, tmp_path, max_claim_age_hours=2.0)

    def licence() -> str:
        (offer,) = (one for one in source.look_up([name]) if isinstance(one, Offer))
        return offer.recording.license_url

    before = licence()
    fake.world.relicense(int(name[10:]), "by-nc4" if "by-nc" not in before else "cc0")
    clock.advance(3600)
    assert licence() == before
    clock.advance(3601)
    assert licence() != before
    assert fake.record.counts()["search"] == 2


def test_named_sounds_are_offered_whatever_their_licence_and_absent_ones_are_said(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(300))
    ids = fake.world.ids()[:200]
    fake.world.delete(ids[3])
    (tmp_path / "list.csv").write_text(
        "title,link\n" + "".join(f"x,https://freesound.org/people/a b/sounds/{n}/\n" for n in ids[150:])
    )
    settings: dict[str, Any] = {"ids": tuple(ids[:150]), "ids_file": str(tmp_path / "list.csv")}
    offers = [one for one in source_of(fake, tmp_path, **settings).offers() if isinstance(one, Offer)]
    assert {o.recording.id for o in offers} == {f"freesound:{n}" for n in ids if n != ids[3]}
    (rejection,) = rejected(source_of(fake, tmp_path, **settings))
    assert (rejection.id, rejection.reason) == (f"freesound:{ids[3]}", "not_offered")
    assert fake.record.counts() == {"search": 2}  # nothing was asked two times
    assert any("by-nc" in offer.recording.license_url for offer in offers)


# Hostile metadata


def hostile(kind: str) -> list[dict[str, Any]]:
    if not HOSTILE.is_file():
        return []
    return [case for case in map(json.loads, HOSTILE.read_text("utf-8").splitlines()) if kind in case]


needs_hostile = pytest.mark.skipif(not HOSTILE.is_file(), reason="no ../shared/data/hostile_metadata.jsonl")


@needs_hostile
@pytest.mark.parametrize("rendition", ["original", "preview"])
def test_hostile_objects_are_read_verbatim_or_rejected_and_lead_nowhere_else(
    rendition: str, tmp_path: Path
) -> None:
    world = World()
    objects = [case["object"] for case in hostile("object")]
    for obj in objects:
        world.add_verbatim(obj)
    fake = fake_of(world)
    source = source_of(fake, tmp_path, licenses=(), rendition=rendition)
    found = list(source.offers())
    offers = {one.recording.id: one for one in found if isinstance(one, Offer)}
    rejections = [one for one in found if not isinstance(one, Offer)]
    assert {one.reason for one in rejections} == {"bad_id", "bad_type"}
    assert len(offers) + len(rejections) == len({json.dumps(obj.get("id")) for obj in objects})
    for obj in objects:
        if (offer := offers.get(f"freesound:{obj['id']}")) and isinstance(obj.get("name"), str):
            assert offer.recording.title in {
                other.get("name") for other in objects if other["id"] == obj["id"]
            }
            again = freesound_api.recording(offer.raw, source.config)
            assert again == offer.recording
    for offer in offers.values():
        with contextlib.suppress(FileNotFoundError, DamagedFile):
            source.fetch(offer.recording, tmp_path / "partial")
        (tmp_path / "partial").unlink(missing_ok=True)
    asked = {request.endpoint for request in fake.record.entries}
    assert asked <= ({"search", "download"} if rendition == "original" else {"search", "preview"})
    assert not fake.record.leaks


@needs_hostile
@pytest.mark.parametrize(
    "case", hostile("page") + hostile("raw_body_b64"), ids=lambda case: str(case["case"])
)
def test_hostile_pages_are_transient_or_rejected_rows(case: dict[str, Any], tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(12))
    if "page" in case:
        fake.faults.answer(as_json(case["page"]), "search", requests=[1])
    else:
        body = base64.b64decode(case["raw_body_b64"])
        fake.faults.answer(make(200, "application/json", body), "search", requests=[1])
    found = list(source_of(fake, tmp_path, licenses=()).offers())
    if case["case"] == "raw_dup_keys":
        assert [one.reason for one in found if not isinstance(one, Offer)] == ["bad_metadata"]
    else:
        assert {one.recording.id for one in found if isinstance(one, Offer)} == ids_of(fake.world)


def test_pages_that_stay_wrong_stop_cleanly(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(12))
    fake.faults.answer(as_json({"count": 1, "results": None}), "search")
    with pytest.raises(Stopped, match="run the same command again"):
        list(source_of(fake, tmp_path).offers())


# The raw text


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Any]:
    (offer,) = listed(source_of(fake_of(World.synthetic(1)), tmp_path, licenses=())).values()
    return dict(json.loads(offer.raw))


@pytest.mark.parametrize(
    "change",
    [
        {"sound": None}, {"sound": {"id": 0}}, {"sound": {"id": 5, "type": "../x"}}, {"retrieved_at": "now"},
        {"retrieved_at": ""}, {"request": None}, {"more": 1},
    ],
)  # fmt: skip
def test_nothing_but_an_offers_raw_text_is_read(raw: dict[str, Any], change: dict[str, Any]) -> None:
    freesound_api.recording(json.dumps(raw), Config())
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        freesound_api.recording(json.dumps(raw | change), Config())


# Configuration, services, forecasts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"licenses": ("Attribution Noncommercial",)}, "did you mean 'Attribution NonCommercial'"),
        ({"licenses": ("CC0",)}, "licenses: the API knows no licence 'CC0'"),
        ({"created_from": "last week"}, "created_from: 'last week': want a date"),
        ({"created_from": "2020-01-01", "created_to": "2019-12-31"}, "is before created_from"),
        ({"listing": "always"}, "listing: 'always': want \"once\" or a date"),
        ({"listing": "2999-01-01"}, "listing: '2999-01-01' is in the future, today is 20"),
        ({"level": 4}, "level: 4: want one of 0, 1, 2, 3, 99"),
        ({"page_size": 151}, "page_size: 151"),
        ({"ids": (0,)}, "ids of sounds are above 0"),
        ({"base_url": "https://evil.org/apiv2/"}, "base_url 'https://evil.org/apiv2/'"),
        ({"cdn_url": "https://evil.org/"}, "cdn_url: 'https://evil.org/' is not Freesound's"),
        ({"ids_file": "/nowhere.csv"}, "/nowhere.csv: no such list"),
    ],
)
def test_configurations_that_make_no_sense_are_refused_with_the_fix(
    change: dict[str, Any], message: str
) -> None:
    freesound_api.build(Config()).check()
    with pytest.raises(UsageError) as refused:
        freesound_api.build(Config(**change)).check()
    assert message in str(refused.value)


def test_a_day_as_the_end_is_part_of_the_listing(tmp_path: Path) -> None:
    world = World()
    for hour in (0, 23, 24):
        world.add(licence="cc0", created_ms=1_500_076_800_000 + hour * 3_600_000)  # 2017-07-15T00:00Z
    offers = listed(source_of(fake_of(world), tmp_path, created_from="2017-07-15", created_to="2017-07-15"))
    assert len(offers) == 2


def test_words_and_filters_of_ones_own_narrow_the_listing(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(300))
    source = source_of(fake, tmp_path, licenses=(), query="rain", extra_filter="duration:[0 TO 0.7]")
    offers = listed(source)
    assert 0 < len(offers) < 60
    assert all((offer.recording.media.seconds or 9) <= 0.7 for offer in offers.values())


def test_an_unattached_source_says_so() -> None:
    with pytest.raises(UsageError, match="not attached to a dataset"):
        next(freesound_api.build(Config()).offers())


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFreesound]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with FakeFreesound(World.synthetic(30, seconds=(0.1,)), level=1, key="SECRET-canary-7") as fake:
        yield fake
    credentials.forget()


def test_attached_by_services_it_asks_over_the_network_and_survives_pickling(
    served: FakeFreesound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREESOUND_TOKEN", served.client.key)
    credentials.forget()
    config = Config(base_url=served.base, cdn_url=f"{served.cdn}/", rendition="preview", licenses=())
    source, executor, url = freesound_api.build(config), LocalExecutor(), str(tmp_path / "out")
    services = {
        name: executor.service(name, make) for name, make in source.services(open_storage(url)).items()
    }
    folder = "work/sources/0-freesound_api"
    attached = source.attached(Workspace(url=url, folder=folder, permits=AllPermitted()), services)
    offers = listed(attached)
    assert set(offers) == ids_of(served.world)
    with attached.open(next(iter(offers.values())).recording) as file:
        assert file.read(4) in (b"RIFF", b"FORM")
    assert served.client.key not in repr(attached)
    assert attached.workspace is not None
    proxied = dataclasses.replace(attached.workspace, permits=AllPermitted())
    sent = pickle.dumps(dataclasses.replace(attached, workspace=proxied))
    assert served.client.key.encode() not in sent
    assert listed(pickle.loads(sent)) == offers


class AllPermitted:
    """Permits that pickle, as the proxy of an actor does."""

    def ask(self) -> float:
        return 0.0

    def report_refusal(self, detail: str) -> None:
        raise AssertionError(detail)

    def next_at(self) -> float:
        return 0.0

    def why(self) -> str:
        return ""


def test_without_a_key_or_a_login_the_next_step_is_said(
    served: FakeFreesound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FREESOUND_TOKEN", raising=False)
    credentials.forget()
    source = freesound_api.build(Config(base_url=served.base))
    services = {name: factory() for name, factory in source.services(open_storage(str(tmp_path))).items()}
    workspace = Workspace(url=str(tmp_path), folder="x", permits=AllPermitted())
    with pytest.raises(UsageError, match="FREESOUND_TOKEN"):
        source.attached(workspace, services)
    monkeypatch.setenv("FREESOUND_TOKEN", served.client.key)
    with pytest.raises(UsageError, match="sao login freesound"):
        source.attached(workspace, services)
    source.attached(workspace, services, only_listing=True)


def test_terms_must_be_accepted_and_commercial_use_be_permitted(tmp_path: Path) -> None:
    source, storage = freesound_api.build(Config()), open_storage(str(tmp_path))
    with pytest.raises(UsageError, match="--accept-terms"):
        source.check_terms(storage, Release(), accept=False)
    source.check_terms(storage, Release(), accept=True)
    source.check_terms(storage, Release(), accept=False)
    with pytest.raises(UsageError, match="permission"):
        source.check_terms(storage, Release(commercial_use=True), accept=True)
    permitted = freesound_api.build(Config(permission="MTG, 2026-08-01, for a model"))
    permitted.check_terms(storage, Release(commercial_use=True), accept=True)


def test_it_is_a_remote_source_whose_claims_grow_stale(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(1))
    source, (recording,) = offered(fake, tmp_path, max_claim_age_hours=1.0)
    assert isinstance(source, RemoteSource)
    assert not source.is_stale(recording)
    fake.clock.advance(3601)  # type: ignore[attr-defined]
    assert source.is_stale(recording)


def test_forgetting_a_sound_leaves_its_id_alone_and_all_others_as_they_were(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(300))
    source = source_of(fake, tmp_path, licenses=())
    before, looked_up = listed(source), list(source.look_up(sorted(ids_of(fake.world))))
    gone = sorted(before)[7]
    freesound_api.forget(open_storage(str(tmp_path)), "work/sources/0-freesound_api", {gone, "fma:1"})
    num = len(fake.record.entries)
    after = listed(source)
    assert before.pop(gone).recording.title
    bare = after.pop(gone).recording
    assert (bare.title, bare.author, bare.author_id, bare.description, bare.license_url) == ("",) * 5
    assert after == before
    assert [one.recording.id for one in source.look_up(sorted(ids_of(fake.world)))] == [
        o.recording.id for o in looked_up
    ]
    assert len(fake.record.entries) == num


def test_a_forecast_takes_a_request_per_licence_and_writes_nothing(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(3_000))
    plan = source_of(fake, tmp_path).plan()
    world = fake.world
    licences = Counter(world.sound(number).licence for number in world.ids())  # type: ignore[union-attr]
    assert dict(plan.counts) == {
        "Creative Commons 0": licences["cc0"],
        "Attribution": licences["by3"] + licences["by4"],
        "Sampling+": licences["sampling+"],
    }
    assert fake.record.counts() == {"search": 3}
    assert not list(tmp_path.rglob("*"))
    wanted = [s for s in map(world.sound, world.ids()) if s is not None and "nc" not in s.licence]
    assert plan.num_bytes == pytest.approx(sum(sound.filesize for sound in wanted), rel=0.2)
    assert plan.originals == plan.num_sounds == len(wanted)
    assert dict(plan.days())[1] == plan.num_requests / 2_000
    assert any("at level 3" in line for line in plan.lines())


def test_a_forecast_knows_what_is_listed_already(tmp_path: Path) -> None:
    fake = fake_of(World.synthetic(1_000))
    listed(source_of(fake, tmp_path, rendition="preview"))
    plan = source_of(fake, tmp_path, rendition="preview").plan()
    assert plan.listed == fake.record.counts()["search"] - 3
    assert (plan.originals, plan.num_bytes) == (0, 0)


def test_the_limits_are_the_levels_or_lower_ones_of_ones_own() -> None:
    from sao_data.sources._freesound.config import windows

    assert windows(Config(level=99)) is None
    own = windows(Config(level=2, per_minute=10, per_day=9_999))
    assert own is not None
    assert (own.per_minute, own.per_day) == (10, 5_000)


def test_a_recording_replaced_by_hand_does_not_leave_the_source(tmp_path: Path) -> None:
    source, (recording,) = offered(fake_of(World.synthetic(1)), tmp_path)
    with pytest.raises(FileNotFoundError):
        source.fetch(dataclasses.replace(recording, id="freesound:1/../../me"), tmp_path / "partial")


def test_a_worker_does_not_need_the_list_of_ids(tmp_path: Path) -> None:
    config = Config(ids_file=str(tmp_path / "on_the_driver_only.csv"))
    with pytest.raises(UsageError, match="no such list"):
        freesound_api.build(config).check()
    source_of(fake_of(World()), tmp_path, ids_file=config.ids_file).check()
