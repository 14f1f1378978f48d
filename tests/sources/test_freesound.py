"""Freesound, offline: rows as the API spells them, typed, verbatim, or rejected with a reason."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from sao_data.errors import UsageError
from sao_data.ids import check_id
from sao_data.licences import normalise_preference
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources import freesound
from tests.paths import SHARED

SOUND: dict[str, Any] = {
    "id": 1001,
    "url": "https://freesound.org/people/Ana%20B./sounds/1001/",
    "name": "Rain_02 (C#).wav",
    "tags": ["rain", "field-recording", "<b>x</b>", "a,b"],
    "description": "Rain on <b>tin</b> roof.\r\n&copy; me",
    "created": "2005-06-01T12:00:00Z",
    "license": "http://creativecommons.org/licenses/sampling+/1.0/",
    "gen_ai_preference": "no-additional-preferences",
    "type": "wav",
    "channels": 2,
    "filesize": 1764044,
    "duration": 10.0,
    "samplerate": 44100.0,
    "username": "Ana B.",
    "pack_name": None,
    "is_explicit": False,
    "is_remix": True,
    "md5": "0faaece0b715dda6b7b9fcd4f89afb66",
}


def source(folder: Path, *lines: str | bytes, files: tuple[str, ...] = ()) -> freesound.Freesound:
    (folder / "audio").mkdir()
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    (folder / "sounds.jsonl").write_bytes(b"".join(line + b"\n" for line in raw))
    for name in files:
        (folder / "audio" / name).write_bytes(name.encode())
    return freesound.build(freesound.Config(path=str(folder)))


def offered(folder: Path, **changes: object) -> Recording:
    (offer,) = source(folder, json.dumps(SOUND | changes)).offers()
    assert isinstance(offer, Offer), offer
    return offer.recording


def rejected(folder: Path, line: str | bytes) -> Rejection:
    (rejection,) = source(folder, line).offers()
    assert isinstance(rejection, Rejection), rejection
    check_id(rejection.id)
    return rejection


def test_a_sound_is_read_verbatim(tmp_path: Path) -> None:
    recording = offered(tmp_path)
    assert recording.id == "freesound:1001"
    assert recording.title == SOUND["name"]
    assert recording.description == SOUND["description"]
    assert recording.tags == tuple(SOUND["tags"])
    assert (recording.license_claim, recording.license_url) == ("", SOUND["license"])
    assert recording.author_url == "https://freesound.org/people/Ana%20B./"
    assert recording.page_url == "https://freesound.org/s/1001/"
    assert recording.audio_url == "audio/1001.wav"
    assert recording.md5 == SOUND["md5"]
    assert (recording.is_explicit, recording.is_remix) == (False, True)
    media = recording.media
    assert (media.num_bytes, media.seconds, media.sample_rate, media.num_channels) == (
        1764044,
        10.0,
        44100,
        2,
    )


def test_the_line_itself_is_the_evidence(tmp_path: Path) -> None:
    line = '{"name":  "b", "id": 5}'
    (offer,) = source(tmp_path, line).offers()
    assert isinstance(offer, Offer)
    assert offer.raw == line
    assert offer.recording.evidence == hashlib.sha256(line.encode()).hexdigest()


def test_licence_name_is_a_claim(tmp_path: Path) -> None:
    recording = offered(tmp_path, license="Attribution")
    assert (recording.license_claim, recording.license_url) == ("Attribution", "")


@pytest.mark.parametrize(
    ("row", "preference"),
    [
        ({"gen_ai_preference": "no-gen-ai"}, "no-gen-ai"),
        ({"gen_ai_preference": None, "ai_preference": "open-models"}, "open-models"),
        ({"gen_ai_preference": None, "generative_ai_preference": "no-gen-ai"}, "no-gen-ai"),
        ({"gen_ai_preference": "no-gen-ai", "ai_preference": "open-models"}, "no-gen-ai"),
        ({"gen_ai_preference": None}, ""),
    ],
)
def test_preference_and_its_older_name(tmp_path: Path, row: dict[str, object], preference: str) -> None:
    assert offered(tmp_path, **row).ai_preference == preference


@pytest.mark.parametrize(
    ("value", "known_as"),
    [
        ("freesound-cc-recommendation", "no-additional-preferences"),
        ("no-additional-restrictions", "no-additional-preferences"),
        ("open-models", "open-source-models"),
        ("open-noncommercial-models", "noncommercial-open-source-models"),
        ("no-gen-ai", "no-gen-ai"),
    ],
)
def test_earlier_names_of_preferences_stay_verbatim_and_are_understood(
    tmp_path: Path, value: str, known_as: str
) -> None:
    recording = offered(tmp_path, gen_ai_preference=value)
    assert recording.ai_preference == value
    assert normalise_preference(recording.ai_preference) == known_as


@pytest.mark.parametrize(("code", "category"), [("sp-s", "sp-s"), ("fx", "fx"), (None, ""), (["sp-s"], "")])
def test_category_is_the_code(tmp_path: Path, code: object, category: str) -> None:
    recording = offered(tmp_path, category="Speech", subcategory="Solo speech", category_code=code)
    assert recording.category == category


PREVIEW = "https://cdn.freesound.org/previews/1/1001_77-hq.mp3"


@pytest.mark.parametrize(
    ("urls", "author_id"),
    [
        ([PREVIEW], "77"),
        ([PREVIEW, "https://cdn.freesound.org/previews/1/1001_77-lq.ogg"], "77"),
        (["http://freesound.org/data/previews/1/1001_77-lq.mp3"], "77"),
        (["https://www.freesound.org/data/previews/1/1001_77-lq.mp3"], "77"),
        ([PREVIEW, "http://127.0.0.1/previews/1/1001_78-hq.mp3", None, 7], "77"),
        (["https://cdn.freesound.org/previews/1/1002_77-hq.mp3"], ""),
        (["https://cdn.freesound.org/previews/1/1001-hq.mp3"], ""),
        ([PREVIEW, "https://cdn.freesound.org/previews/1/1001_78-lq.mp3"], ""),
        (["https://cdn.freesound.org.example.org/previews/1/1001_77-hq.mp3"], ""),
        (["https://example.org/?https://cdn.freesound.org/previews/1/1001_77-hq.mp3"], ""),
        (["https://user@cdn.freesound.org/previews/1/1001_77-hq.mp3"], ""),
        ([PREVIEW + "\n"], ""),
        (["https://cdn.freesound.org/previews/1/1001_٧٧-hq.mp3"], ""),
        ([], ""),
    ],
)
def test_author_id_is_the_number_in_the_sounds_own_previews(
    tmp_path: Path, urls: list[object], author_id: str
) -> None:
    previews = {f"preview-{n}": url for n, url in enumerate(urls)}
    assert offered(tmp_path, previews=previews).author_id == author_id


@pytest.mark.parametrize("previews", [None, "x", [PREVIEW]])
def test_previews_of_another_shape_name_nobody(tmp_path: Path, previews: object) -> None:
    assert offered(tmp_path, previews=previews).author_id == ""


def test_null_and_wrongly_typed_fields_are_not_stated(tmp_path: Path) -> None:
    nothing = dict.fromkeys(key for key in SOUND if key not in ("id", "type"))
    recording = offered(tmp_path, **nothing)
    assert (
        recording.title
        == recording.author
        == recording.author_url
        == recording.license_url
        == recording.md5
        == ""
    )
    assert recording.tags == ()


@pytest.mark.parametrize("sound_id", ["1001", "../../900", 1001.5, 0, -4, True, None, [1], 2**63])
def test_bad_id_is_rejected(tmp_path: Path, sound_id: object) -> None:
    line = json.dumps(SOUND | {"id": sound_id})
    rejection = rejected(tmp_path, line)
    assert rejection.reason == "bad_id"
    assert rejection.id == f"freesound:row-{hashlib.sha256(line.encode()).hexdigest()[:12]}"
    assert "sounds.jsonl:1" in rejection.detail


def test_large_id_is_kept_exact(tmp_path: Path) -> None:
    assert offered(tmp_path, id=9007199254740993).id == "freesound:9007199254740993"


@pytest.mark.parametrize("kind", ["../../x;touch /tmp/x", "exe", "WAV", 7, ["wav"]])
def test_bad_type_is_rejected(tmp_path: Path, kind: object) -> None:
    rejection = rejected(tmp_path, json.dumps(SOUND | {"type": kind}))
    assert (rejection.id, rejection.reason) == ("freesound:1001", "bad_type")


@pytest.mark.parametrize(
    ("kind", "file", "found"),
    [
        (None, "1001.mp3", "audio/1001.mp3"),
        ("aiff", "1001.aif", "audio/1001.aif"),
        ("wav", "1001.mp3", "audio/1001.wav"),
    ],
)
def test_file_is_found_by_id(tmp_path: Path, kind: str | None, file: str, found: str) -> None:
    (offer,) = source(tmp_path, json.dumps(SOUND | {"type": kind}), files=(file,)).offers()
    assert isinstance(offer, Offer)
    assert offer.recording.audio_url == found


def test_absent_audio_is_offered_and_missing_when_opened(tmp_path: Path) -> None:
    listed = source(tmp_path, json.dumps(SOUND))
    (offer,) = listed.offers()
    assert isinstance(offer, Offer)
    with pytest.raises(FileNotFoundError):
        listed.open(offer.recording)


@pytest.mark.parametrize(
    "line",
    ["null", "[]", '{"id": 1', '{"id": 1, "id": 2}', b'{"id": 1, "name": "\xff"}', '{"id": ' + "[" * 100_000],
    ids=["null", "list", "cut", "duplicate", "latin-1", "bomb"],
)
def test_bad_metadata_is_rejected_with_its_line(tmp_path: Path, line: str | bytes) -> None:
    rejection = rejected(tmp_path, line)
    assert rejection.reason == "bad_metadata"
    assert rejection.detail.startswith("sounds.jsonl:1: ")
    assert len(rejection.detail) <= 300


def test_bad_line_does_not_hide_the_next(tmp_path: Path) -> None:
    first, second = source(tmp_path, "{", json.dumps(SOUND)).offers()
    assert isinstance(first, Rejection)
    assert isinstance(second, Offer)


def test_lone_surrogate_in_a_name_is_no_crash(tmp_path: Path) -> None:
    assert offered(tmp_path, name="a\ud800", username="b\udc00").author_url.startswith(
        "https://freesound.org/people/"
    )


def test_absent_listing_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    with pytest.raises(UsageError, match=r"sounds\.jsonl: no such listing"):
        freesound.build(freesound.Config(path=str(tmp_path))).check()


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
def test_hostile_objects_never_crash_and_keep_their_titles(tmp_path: Path) -> None:
    cases = [json.loads(line) for line in (SHARED / "hostile_metadata.jsonl").read_bytes().splitlines()]
    objects = [case["object"] for case in cases if "object" in case]
    results = list(source(tmp_path, *(json.dumps(each) for each in objects)).offers())
    assert len(objects) == len(results) > 50
    outcomes = {}
    for sound, result in zip(objects, results, strict=True):
        if isinstance(result, Offer):
            assert result.recording.title == sound["name"]
            assert result.recording.audio_url == f"audio/{sound['id']}.{sound['type']}"
        else:
            outcomes[str(sound["id"])] = result.reason
    assert outcomes == {"../../900": "bad_id", "900044": "bad_type"}


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
def test_real_listing_is_offered_whole_and_its_audio_matches(tmp_path: Path) -> None:
    real = freesound.build(freesound.Config(path=str(SHARED / "freesound")))
    real.check()
    offers = [offer for offer in real.offers() if isinstance(offer, Offer)]
    assert len(offers) == 190
    for offer in offers[::40]:
        with real.open(offer.recording) as file:
            assert hashlib.md5(file.read(), usedforsecurity=False).hexdigest() == offer.recording.md5
