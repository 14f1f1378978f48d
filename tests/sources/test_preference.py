"""The uploader's wish about generative AI: whatever a row states of it is heard, in every source."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sao_data.licences import Policy, Release, decide
from sao_data.records import Offer, Recording
from sao_data.sources import folder, freesound, freesound_pack
from sao_data.sources._common import fields, preference
from sao_data.sources._freesound import offers

CC0 = "http://creativecommons.org/publicdomain/zero/1.0/"
NO_STRING: tuple[object, ...] = (["no-gen-ai"], {"value": "no-gen-ai"}, True, False, 0, 1.5, [], {})
SOUND: dict[str, Any] = {"id": 7, "name": "Rain", "license": CC0, "type": "wav", "username": "ana"}


def of_freesound(row: dict[str, Any], tmp_path: Path) -> Recording:
    (tmp_path / "audio").mkdir()
    (tmp_path / "sounds.jsonl").write_text(json.dumps(SOUND | row))
    (offer,) = freesound.build(freesound.Config(path=str(tmp_path))).offers()
    assert isinstance(offer, Offer)
    assert freesound.recording(offer.raw, freesound.Config(path="")).ai_preference == (
        offer.recording.ai_preference
    )
    return offer.recording


def of_the_api(row: dict[str, Any], tmp_path: Path) -> Recording:
    said = {"sound": SOUND | row, "retrieved_at": "2026-08-01T12:00:00Z", "request": "https://x.invalid/"}
    return offers.recording(json.dumps(said), "https://cdn.freesound.org/", "")


def of_a_folder(row: dict[str, Any], tmp_path: Path) -> Recording:
    stated = {"file_name": "a.wav", "title": "Rain", "author": "ana", "license": CC0} | row
    (tmp_path / "metadata.jsonl").write_text(json.dumps(stated))
    (tmp_path / "a.wav").write_bytes(b"a")
    (offer,) = folder.build(folder.Config(path=str(tmp_path))).offers()
    assert isinstance(offer, Offer)
    return offer.recording


def of_a_sidecar(row: dict[str, Any], tmp_path: Path) -> Recording:
    (tmp_path / "a.json").write_text(json.dumps({"license": CC0} | row))
    (tmp_path / "a.wav").write_bytes(b"a")
    (offer,) = folder.build(folder.Config(path=str(tmp_path))).offers()
    assert isinstance(offer, Offer)
    return offer.recording


def of_a_table(row: dict[str, Any], tmp_path: Path) -> Recording:
    stated = {"id": "7", "license": CC0} | row
    return fields.recording(stated, {}, key="made:7", raw="{}", audio_url="a.wav", file_name="a.wav")


READERS = (of_freesound, of_the_api, of_a_folder, of_a_sidecar, of_a_table)
Reader = Callable[[dict[str, Any], Path], Recording]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("key", preference.NAMES)
def test_a_wish_that_is_no_string_goes_to_a_person(reader: Reader, key: str, tmp_path: Path) -> None:
    for number, value in enumerate(NO_STRING):
        (tmp_path / str(number)).mkdir()
        recording = reader({key: value}, tmp_path / str(number))
        assert recording.ai_preference == json.dumps(value)
        decision = decide(recording, Policy(), Release())
        assert (decision.verdict, decision.rule) == ("review", "ai_preference_not_understood"), value


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("row", [{}, {"gen_ai_preference": None}, {"ai_preference": " "}], ids=json.dumps)
def test_nothing_stated_is_unknown(reader: Reader, row: dict[str, Any], tmp_path: Path) -> None:
    recording = reader(row, tmp_path)
    assert recording.ai_preference == ""
    assert decide(recording, Policy(), Release()).rule == "allowed"


@pytest.mark.parametrize("reader", READERS)
def test_the_stricter_of_two_fields_counts(reader: Reader, tmp_path: Path) -> None:
    row = {"gen_ai_preference": "no-additional-preferences", "ai_preference": "no-gen-ai"}
    assert decide(reader(row, tmp_path), Policy(), Release()).rule == "ai_preference_forbids"


@pytest.mark.parametrize(
    ("said", "wish"),
    [
        (("open-models", "open-source-models", None), "open-models"),
        (
            ("open-source-models", None, "noncommercial-open-source-models"),
            "noncommercial-open-source-models",
        ),
        (("unknown", "no-gen-ai", ""), "no-gen-ai"),
        (("unknown", "", None), "unknown"),
        (("no-gen-ai", "yes", None), "no-gen-ai / yes"),
        (("no-additional-preferences", ["no-gen-ai"], None), 'no-additional-preferences / ["no-gen-ai"]'),
        (("yes", "yes", None), "yes"),
        ((None, "no-gen-ai", "no-gen-ai"), "no-gen-ai"),
    ],
)
def test_several_fields_together(said: tuple[object, ...], wish: str) -> None:
    assert preference.stated(dict(zip(preference.NAMES, said, strict=True))) == wish


def test_json_text_has_one_spelling_and_no_lone_surrogates() -> None:
    assert preference.stated({"ai_preference": {"b": "\ud800", "a": 1}}) == '{"a": 1, "b": "\\ud800"}'


def test_every_column_of_a_pack_counts(tmp_path: Path) -> None:
    cells = {"id": "7", "username": "ana", "title": "Rain", "license": "Attribution", "type": "wav"}
    cells |= {"generative_ai_preference": "no-additional-preferences", " AI_Preference": "no-gen-ai"}
    table = io.StringIO()
    writer = csv.DictWriter(table, list(cells))
    writer.writeheader()
    writer.writerow(cells)
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as pack:
        pack.writestr("metadata/metadata_0000.csv", table.getvalue())
        pack.writestr("0/7.wav", b"a")
    source = freesound_pack.build(freesound_pack.Config(path=str(tmp_path / "pack.zip")))
    (offer,) = source.offers()
    assert isinstance(offer, Offer)
    assert decide(offer.recording, Policy(), Release()).rule == "ai_preference_forbids"


@pytest.mark.parametrize(
    ("names", "asks"),
    [
        (
            "is_train in_train train_type train_horn pulse_train train_tag train_no trainStation train "
            "train_split captioned_by_ai tagged_by_ai ai_captioned ai_generated is_ai ai_tags rain piano_air",
            False,
        ),
        (
            "ai_training_allowed allow_ai ai_opt_out aiOptOut no_ai noai tdm_reservation consent_ai_training "
            "machine_learning training_consent generative_ai generative-ai-use allow_train train_allowed "
            "no_train do_not_train may_train train_consent train_ai ai_train train_optout permit_train "
            "train_model ml_train opt_out consent training is_ai_training_allowed",
            True,
        ),
    ],
)
def test_which_fields_speak_of_ai(names: str, asks: bool) -> None:
    assert [name for name in names.split() if preference.speaks_of_ai(name) != asks] == []


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("value", ["none", "None"])
def test_a_wish_of_none_goes_to_a_person(reader: Reader, value: str, tmp_path: Path) -> None:
    recording = reader({"ai_preference": value}, tmp_path)
    assert decide(recording, Policy(), Release()).rule == "ai_preference_not_understood"
