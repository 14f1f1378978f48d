"""Every source that lies in the folder keeps the Source protocol, from the moment it is there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from sao_data import config, plugins
from sao_data.errors import UsageError
from sao_data.ids import check_id
from sao_data.records import Offer, Rejection

SOURCES = plugins.names("sources")


def made_input(folder: Path) -> str:
    """A folder that any local source can read something from."""
    (folder / "audio").mkdir()
    (folder / "audio" / "7.wav").write_bytes(b"RIFF one")
    (folder / "rain.wav").write_bytes(b"RIFF two")
    (folder / "sounds.jsonl").write_text(json.dumps({"id": 7, "type": "wav", "name": "seven"}) + "\nnull\n")
    (folder / "metadata.csv").write_text("file_name,title\nrain.wav,Rain\n../x.wav,Out\n")
    return str(folder)


def build(name: str, folder: Path) -> Any:
    """Build a source with its defaults, and this folder for every location it needs."""
    module = plugins.load("sources", name)
    table = {
        field.name: made_input(folder)
        for field in dataclasses.fields(module.Config)
        if field.default is dataclasses.MISSING
    }
    return module.build(config.parse(module.Config, table, where="test"))


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return build(request.param, tmp_path)


def test_offers_and_rejections_have_valid_unique_ids(source: Any) -> None:
    offered = list(source.offers())
    ids = [one.recording.id if isinstance(one, Offer) else one.id for one in offered]
    for each in ids:
        check_id(each)
    assert len(set(ids)) == len(ids)
    assert any(isinstance(one, Offer) for one in offered)


def test_listing_twice_gives_the_same(source: Any) -> None:
    assert list(source.offers()) == list(source.offers())


def test_source_pickles_and_the_copy_offers_the_same(source: Any) -> None:
    copy = pickle.loads(pickle.dumps(source))
    assert list(copy.offers()) == list(source.offers())


def test_raw_row_is_the_evidence(source: Any) -> None:
    for offer in source.offers():
        if isinstance(offer, Offer):
            assert offer.recording.evidence == hashlib.sha256(offer.raw.encode()).hexdigest()
            assert isinstance(json.loads(offer.raw), dict)


def test_first_offer_opens_as_bytes(source: Any) -> None:
    source.check()
    offer = next(one for one in source.offers() if isinstance(one, Offer))
    with source.open(offer.recording) as file:
        assert file.read(4) == b"RIFF"


def test_unknown_recording_is_a_missing_file(source: Any) -> None:
    offer = next(one for one in source.offers() if isinstance(one, Offer))
    prefix = offer.recording.id.split(":")[0]
    absent = dataclasses.replace(offer.recording, id=f"{prefix}:99999", audio_url="absent.wav")
    with pytest.raises(FileNotFoundError):
        source.open(absent)


def test_rejections_say_where(source: Any) -> None:
    for one in source.offers():
        if isinstance(one, Rejection):
            assert one.stage == "list"
            assert one.reason.isidentifier()
            assert one.detail


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "synthetic"])
def test_absent_folder_is_a_usage_error_with_the_fix(name: str, tmp_path: Path) -> None:
    module = plugins.load("sources", name)
    source = module.build(config.parse(module.Config, {"path": str(tmp_path / "nowhere")}, where="test"))
    with pytest.raises(UsageError, match=r"nowhere: no such folder; .*source\.path"):
        source.check()
