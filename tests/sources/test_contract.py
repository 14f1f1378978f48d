"""Every source that lies in the folder keeps the Source protocol, from the moment it is there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from sao_data import config, plugins
from sao_data.dataset.checks import replay
from sao_data.errors import UsageError
from sao_data.fetch.workspace import Workspace
from sao_data.ids import check_id
from sao_data.records import Offer, Recording, Rejection
from sao_data.storage.backend import open_storage
from tests.fakes.freesound import FakeFreesound, World
from tests.fakes.s3_server import S3

SOURCES = plugins.names("sources")


SOUND = {
    "id": 7, "type": "wav", "name": "seven", "username": "Ana B.", "license": "Attribution", "tags": ["x"],
    "description": "Rain\n<b>x</b>", "gen_ai_preference": "no-gen-ai", "category_code": "sp-s",
    "is_explicit": True, "is_remix": True, "md5": "0FAAECE0B715DDA6B7B9FCD4F89AFB66",
    "duration": 1.25, "samplerate": 44100.0,
    "channels": 2, "filesize": 8, "pack_name": "P", "retrieved_at": "2026-01-01T00:00:00Z",
    "previews": {"preview-hq-mp3": "https://cdn.freesound.org/previews/0/7_77-hq.mp3"},
}  # fmt: skip
TABLE = (
    "file_name,title,author,author_url,license,url,tags,genres,album,year,copyright_notice,requested_credit,"
    "ai_preference,retrieved_at,mood\n"
    "./rain.wav,Rain,Ana,https://example.org/ana,CC BY 4.0,https://example.org/1,a;b,Folk,LP,2021,(c) Ana,"
    "Ana B.,open-models,2026-01-01,calm\n"
    "../x.wav,Out\n"
)


WORK = {
    "id": 7, "title": "Rain", "author": "Ana", "license": "CC BY 4.0", "url": "https://example.org/1",
    "tags": ["a,b", "c"], "year": 2021.0, "md5": "0FAAECE0B715DDA6B7B9FCD4F89AFB66", "mood": "calm",
}  # fmt: skip
# Sources whose locations are not the made folder itself: what they are given in it.
EXAMPLES = {
    "catalogue": {"path": "works.jsonl"},
    "hub": {"path": "hub", "cache": "hub-cache"},
}


def made_input(folder: Path) -> str:
    """A folder that any local source can read something from."""
    (folder / "audio").mkdir()
    (folder / "audio" / "7.wav").write_bytes(b"RIFF one")
    (folder / "rain.wav").write_bytes(b"RIFF two")
    (folder / "sounds.jsonl").write_text(json.dumps(SOUND) + "\nnull\n")
    (folder / "metadata.csv").write_text(TABLE)
    (folder / "audio" / "7.json").write_text(
        '{"title": "Seven\\u0000 \\ud800", "tags": ["a,b", "c"], "year": 2021}'
    )
    (folder / "audio" / "7.txt").write_text("Rain, seven times.")
    made_dumps(folder)
    made_lists(folder)
    return str(folder)


def made_lists(folder: Path) -> None:
    """A catalogue and a Parquet dataset of one recording each."""
    rows = [WORK | {"file_name": "./rain.wav"}, {"id": 8, "file_name": "../x.wav"}]
    (folder / "works.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "hub").mkdir()
    audio = {"bytes": b"RIFF four", "path": "rain.wav"}
    parquet.write_table(
        pyarrow.Table.from_pylist([WORK | {"audio": audio}]), folder / "hub" / "train.parquet"
    )


def made_dumps(folder: Path) -> None:
    """A Freesound data pack and an FMA dump of one recording each."""
    for path in ("0/7.wav", "fma_full/000/000007.mp3", "metadata/metadata_0000.csv"):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(b"RIFF three")
    (folder / "metadata" / "metadata_0000.csv").write_text(
        "filepath,id,username,title,description,tags,pack_name,bst_category,geotag,license,"
        "generative_ai_preference,type,duration,filesize\n"
        "0/7.wav,7,Ana B.,seven,Rain,a b,P,Speech -> Solo speech,1.5 2.5,Attribution,no-gen-ai,wav,1.25,8\n"
        "0/8.wav,x,,,,,,,,,,wav,,\n"
    )
    (folder / "tracks.csv").write_text(
        ",album,album,artist,artist,track,track,track,track,track,track,track\n"
        ",title,date_released,name,id,title,license,genres,genres_all,duration,tags,information\n"
        "track_id,,,,,,,,,,,\n"
        "7,LP,2009-01-05 00:00:00,Ana,3,Seven,Attribution,[4],[4],61,['x'],<p>y</p>\n"
        "x,,,,,,,,,,,\n"
    )
    (folder / "raw_tracks.csv").write_text(
        "track_id,artist_url,license_image_file,license_title,license_url,track_copyright_c,track_copyright_p,"
        "track_explicit,track_url\n"
        "7,https://example.org/ana,,Attribution,http://creativecommons.org/licenses/by/3.0/us/,2009 Ana,,"
        "Adults-Only,https://example.org/7\n"
    )
    (folder / "genres.csv").write_text("genre_id,#tracks,parent,title,top_level\n4,1,0,Jazz,4\n")


class Unlimited:
    """Permits for whoever asks, and a login; it pickles."""

    def ask(self) -> float:
        return 0.0

    def key(self) -> str:
        return "key"

    def bearer(self) -> str:
        return FREESOUND.login().access


FREESOUND = FakeFreesound(World(), level=99, key="key")


@pytest.fixture(scope="module", autouse=True)
def _freesound() -> Iterator[None]:
    """Sources that ask Freesound ask a fake one on 127.0.0.1."""
    FREESOUND.world.add(
        id=7, username="Ana B.", licence="by4", content=b"RIFF 7  WAVEfmt ", category_code="sp-s"
    )
    with FREESOUND:
        yield


def build(name: str, folder: Path) -> Any:
    """Build a source with its defaults, and this folder for every location it needs; networked ones are
    attached."""
    module = plugins.load("sources", name)
    if name == "freesound_api":
        made = module.Config(base_url=FREESOUND.base, cdn_url=f"{FREESOUND.cdn}/", level=99)
        work = Workspace(url=str(folder), folder="work", permits=Unlimited(), tokens=Unlimited())
        return dataclasses.replace(module.build(made), workspace=work)
    made = made_input(folder)
    table = {
        field.name: made
        for field in dataclasses.fields(module.Config)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    table |= {key: str(folder / path) for key, path in EXAMPLES.get(name, {}).items()}
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


def offers(source: Any) -> list[Offer]:
    return [one for one in source.offers() if isinstance(one, Offer)]


def stated(recording: Recording) -> Recording:
    """All but what only the files themselves can say."""
    return dataclasses.replace(recording, audio_url="", sha256="")


@pytest.mark.parametrize("name", SOURCES)
def test_raw_row_alone_gives_the_recording_back(name: str, tmp_path: Path) -> None:
    source, module = build(name, tmp_path), plugins.load("sources", name)
    found = offers(source)
    for path in sorted(tmp_path.rglob("*"), reverse=True):  # the files are gone, only the evidence is left
        path.unlink() if path.is_file() else path.rmdir()
    described = json.loads(json.dumps(config.canonical(source.config)))
    rebuilt = replay.config_from(module.Config, described, where="test")
    for offer in found:
        assert stated(module.recording(offer.raw, source.config)) == stated(offer.recording)
        assert stated(module.recording(offer.raw, rebuilt)) == stated(offer.recording)


@pytest.mark.parametrize(
    "raw", ["", "null", "{}", '{"id": 0}', '{"file_name": "../x"}', '{"a": 1, "a": 2}', "\ud800"]
)
@pytest.mark.parametrize("name", SOURCES)
def test_text_that_is_no_row_of_the_source_is_a_value_error_that_says_why(
    name: str, raw: str, tmp_path: Path
) -> None:
    source, module = build(name, tmp_path), plugins.load("sources", name)
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        module.recording(raw, source.config)


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


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in ("synthetic", "freesound_api")])
def test_absent_folder_is_a_usage_error_with_the_fix(name: str, tmp_path: Path) -> None:
    module = plugins.load("sources", name)
    needed = [
        field.name
        for field in dataclasses.fields(module.Config)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    table = dict.fromkeys([*needed, *EXAMPLES.get(name, {})], str(tmp_path / "nowhere"))
    source = module.build(config.parse(module.Config, table, where="test"))
    with pytest.raises(UsageError, match=r"nowhere: no such (zip file or )?(folder|file); .*source\.\w+"):
        source.check()


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in ("freesound_api", "synthetic")])
def test_an_object_store_offers_what_a_folder_offers(name: str, tmp_path: Path, s3: S3) -> None:
    near, there = build(name, tmp_path), s3.url
    store = open_storage(there)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            store.write(path.relative_to(tmp_path).as_posix(), path.read_bytes())
    moved = {
        key: value.replace(str(tmp_path), there)
        for key, value in dataclasses.asdict(near.config).items()
        if isinstance(value, str) and key != "cache"  # that is a place on this machine
    }
    far = plugins.load("sources", name).build(dataclasses.replace(near.config, **moved))
    far.check()
    assert list(far.offers()) == list(near.offers())
    for offer in near.offers():
        if isinstance(offer, Offer):
            with near.open(offer.recording) as one, far.open(offer.recording) as other:
                assert one.read() == other.read()
