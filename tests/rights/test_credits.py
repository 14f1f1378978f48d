"""Other credits: the words of shards, tables and reports follow the request, the audio does not change."""

from __future__ import annotations

import dataclasses
import io
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import MatchedNothing, UsageError
from sao_data.ingest import standing_requests
from sao_data.records import Decision, Recording
from sao_data.revision import credit_change, rewrite
from sao_data.revision.selection import Wanted
from sao_data.rights import credits as requests
from sao_data.rights.credits import WITHHELD, Credit, append, gather, read_credits
from sao_data.rights.takedowns import author_hash
from sao_data.storage.backend import LocalStorage, Storage
from sao_data.storage.series import Split, series_of
from sao_data.storage.shards import read_sample
from tests.datasets_made import BY, tone_wav
from tests.sounds_made import (
    Killed,
    Mortal,
    build,
    copy,
    count_decoded,
    load,
    names,
    opened,
    published,
    rows,
    sound,
    write_sounds,
)

DAY = "2026-11-22"
ADA = Recording(
    id="made:1",
    source="made",
    title="Rain",
    author="Ada Lovelace",
    author_id="7",
    author_url="https://example.org/people/adal/",
    page_url="https://example.org/works/1",
    copyright_notice="(c) Ada",
    requested_credit="Ada L.",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """in/ with 12 sounds of three people, out/ the dataset of them."""
    tmp = tmp_path_factory.mktemp("credits")
    build(load(write_sounds(tmp / "in", [sound(n) for n in range(1, 13)])), tmp / "out")
    return tmp


def ask(storage: Storage, name: str, **wanted: tuple[str, ...]) -> rewrite.Rewritten | None:
    dataset = opened(storage)
    with storage.lock():
        return credit_change.apply(dataset, credit_change.examine(dataset, Wanted(**wanted), name, DAY))


def flacs(out: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted((out / "shards").glob("*.tar")):
        with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
            for member in tar:
                if member.name.endswith(".flac"):
                    found[f"{path.name}/{member.name}"] = tar.extractfile(member).read()  # type: ignore[union-attr]
    return found


def fresh(chosen: Any, out: Path, into: Path) -> dict[str, bytes]:
    """What a build from nothing publishes where the same credits were asked for."""
    into.mkdir()
    shutil.copy(out / "owner.json", into / "owner.json")
    shutil.copy(out / "credits.jsonl", into / "credits.jsonl")
    build(chosen, into)
    return published(into)


@pytest.mark.parametrize("name", ["Ada B. Sea", ""], ids=["renamed", "withheld"])
@pytest.mark.parametrize("wanted", [{"authors": ("freesound:70",)}, {"ids": ("freesound:1", "freesound:3")}])
def test_the_words_are_those_of_a_fresh_build_and_the_audio_stays(
    built: Path,
    tmp_path: Path,
    name: str,
    wanted: dict[str, tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    done = ask(LocalStorage(out), name, **wanted)
    assert done is not None
    assert done.before != done.after
    assert done.deleted == ()
    assert flacs(out) == flacs(built / "out")
    assert verify(open_dataset(str(out))) == []
    chosen = load(built / "in")
    assert published(out) == fresh(chosen, out, tmp_path / "fresh")

    decoded = count_decoded(monkeypatch)
    build(chosen, out)
    assert decoded == []
    assert published(out) == published(tmp_path / "fresh")


def test_a_withheld_name_is_in_no_word_but_the_evidence(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    ask(LocalStorage(out), "", authors=("ada",))
    for path in out.rglob("*"):
        if path.is_file() and "evidence" not in path.parts and path.name != "lock":
            assert b"people/ada" not in path.read_bytes(), path
    dataset = open_dataset(str(out))
    row = rows(out)["freesound:6"]
    assert (row.author, row.author_id, row.page_url) == (WITHHELD, "70", "https://freesound.org/s/6/")
    sample = next(s for s in dataset.samples() if s.recording_id == "freesound:6")
    _, fields = read_sample(dataset.storage, sample)
    assert (fields["author"], fields["author_id"], fields["author_url"]) == (WITHHELD, "", "")
    assert fields["credit"] == sample.credit
    assert f'"Sound 6" by {WITHHELD}, https://freesound.org/s/6/' in sample.credit


def test_what_was_withheld_can_be_given_back(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    storage = LocalStorage(out)
    ask(storage, "", ids=("freesound:3",))
    ask(storage, "ada", ids=("freesound:3",))
    assert published(out).keys() == published(built / "out").keys()
    assert rows(out)["freesound:3"] == rows(built / "out")["freesound:3"]
    assert ask(Mortal(storage, 0), "ada", ids=("freesound:3",)) is None  # type: ignore[arg-type]


def test_the_last_word_holds_in_the_dataset_as_in_the_file(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    storage = LocalStorage(out)
    ask(storage, "A", authors=("freesound:70",))
    ask(storage, "B", ids=("freesound:3",))
    assert {rows(out)[f"freesound:{n}"].author for n in (3, 6, 9, 12)} == {"A", "B"}
    ask(storage, "A", authors=("freesound:70",))
    assert {rows(out)[f"freesound:{n}"].author for n in (3, 6, 9, 12)} == {"A"}
    assert published(out) == fresh(load(built / "in"), out, tmp_path / "fresh")


def test_killed_at_any_write_the_same_command_finishes_it(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "out", tmp_path / "whole")
    mortal = Mortal(LocalStorage(tmp_path / "whole"))
    ask(mortal, "", authors=("ada",))  # type: ignore[arg-type]
    wanted = {name: (tmp_path / "whole" / name).read_bytes() for name in names(mortal)}  # type: ignore[arg-type]
    for dies_at in range(0, len(mortal.changed), 9):
        out = tmp_path / f"{dies_at}"
        shutil.copytree(built / "out", out)
        storage = LocalStorage(out)
        with pytest.raises(Killed):
            ask(Mortal(storage, dies_at), "", authors=("ada",))  # type: ignore[arg-type]
        with storage.lock():
            finished = rewrite.resume(storage)
        if not finished:
            ask(storage, "", authors=("ada",))
        assert {name: storage.read(name) for name in names(storage)} == wanted, mortal.changed[dies_at]
        shutil.rmtree(out)


def test_an_object_store_is_served_alike(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "out", tmp_path / "out")
    store = copy(LocalStorage(built / "out"), f"memory://{tmp_path.name}/credited")
    ask(store, "Ada B. Sea", ids=("freesound:3",))
    ask(LocalStorage(tmp_path / "out"), "Ada B. Sea", ids=("freesound:3",))
    assert published(store.url) == published(tmp_path / "out")


def test_music_is_captioned_under_the_new_name_and_stays_on_its_side_of_the_split(tmp_path: Path) -> None:
    """A folder states no author ids; its licence is one whose credit quotes the claim."""
    folder = tmp_path / "in"
    folder.mkdir()
    columns = ["file_name", "title", "author", "license", "url", "genres", "year", "tags"]
    table = [columns]
    for n in range(6):
        (folder / f"{n}.wav").write_bytes(tone_wav(200 + 20 * n, seconds=0.4))
        licence = "CC BY" if n % 2 else BY
        table.append(
            [
                f"{n}.wav",
                f"Song & {n}",
                f"Band {n % 2}",
                licence,
                f"http://x.org/Band%20{n % 2}/{n}",
                "rock",
                "1999",
                "a-b",
            ]
        )
    (folder / "metadata.csv").write_text("\n".join(",".join(row) for row in table) + "\n")
    extra = "[split]\nvalidation_share = 0.5"
    chosen = load(folder, extra, source="folder")
    build(chosen, tmp_path / "out")
    before = {s.key: s.shard for s in open_dataset(str(tmp_path / "out")).samples()}
    for turn, name in enumerate(("The Others", "")):
        storage = LocalStorage(tmp_path / "out")
        ask(
            storage,
            name,
            ids=tuple(row.id for row in rows(tmp_path / "out").values() if row.title[-1] in "135"),
        )
        dataset = open_dataset(str(tmp_path / "out"))
        assert {s.key: s.shard for s in dataset.samples()} == before
        fields = {s.recording_id: read_sample(storage, s)[1] for s in dataset.samples()}
        artists = {f["artist"] for f in fields.values()}
        assert artists == {"Band 0", name}
        assert all(
            (name in f["prompt"]) and "Band 1" not in str(f) for f in fields.values() if f["artist"] == name
        )
        assert all(f["author_id"] == "" for f in fields.values())
        assert verify(dataset) == []
        assert published(tmp_path / "out") == fresh(chosen, tmp_path / "out", tmp_path / f"fresh{turn}")


def test_a_name_replaces_the_wished_for_credit_and_keeps_the_page() -> None:
    asked = gather([Credit(id="made:1", name="A. K.", when=DAY)])
    new = requests.credited_as_asked(ADA, asked)
    assert new == dataclasses.replace(ADA, author="A. K.", requested_credit="")
    assert requests.credited_as_asked(new, asked) == new
    assert requests.credited_as_asked(dataclasses.replace(ADA, id="made:2"), asked).author == "Ada Lovelace"


def test_withholding_leaves_the_id_and_no_name() -> None:
    asked = gather([Credit(author=author_hash("made", "7"), name="", when=DAY)])
    new = requests.credited_as_asked(ADA, asked)
    gone = {"author_url": "", "copyright_notice": "", "requested_credit": ""}
    assert new == dataclasses.replace(ADA, author=WITHHELD, **gone)  # type: ignore[arg-type]
    assert requests.credited_as_asked(new, asked) == new
    assert requests.without_withheld_names(new).author == ""
    assert requests.shown_author_id(new) == ""


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        ("https://example.org/works/1", True),
        ("https://example.org/Ada%20LoveLace/1", False),
        ("https://example.org/people/ADAL/sounds/1", False),
        ("", True),
    ],
)
def test_a_page_whose_address_tells_the_author_is_not_named(page: str, kept: bool) -> None:
    new = requests.credited_to(dataclasses.replace(ADA, page_url=page), "")
    assert new.page_url == (page if kept else "")


def test_an_author_without_an_id_stays_on_their_side_of_the_split() -> None:
    decision = Decision(recording_id="x", license="", family="BY", verdict="allow", rule="allowed")
    for n in range(20):
        nameless = dataclasses.replace(ADA, author=f"Author {n}" if n else "", author_id="")
        for name in ("", "Somebody Else"):
            new = requests.credited_to(requests.credited_to(nameless, name), "Third")
            sides = {series_of(r, decision, Split(validation_share=0.5)) for r in (nameless, new)}
            assert len(sides) == 1


def test_the_file_grows_by_what_is_new_and_names_a_bad_line(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    lines = [Credit(id="made:1", name="A", when=DAY), Credit(author="ab", name="", when=DAY)]
    assert append(storage, lines) == 2
    assert append(storage, lines[1:]) == 0
    assert append(storage, lines[:1]) == 1  # the author's line came after it
    assert read_credits(storage).lines == (*lines, lines[0])
    for bad in ('{"id": "made:1"}', '{"as": ""}', '{"id": "made:1", "author": "x", "as": ""}', "[]", "{"):
        storage.write("credits.jsonl", f'{{"id": "a:1", "as": "B"}}\n{bad}\n'.encode())
        with pytest.raises(UsageError, match=r"credits\.jsonl:2: (want a|not a|not valid) ?JSON"):
            read_credits(storage)


def test_nothing_asked_for_is_missing_or_misspelt(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "out", tmp_path / "out")
    storage = Mortal(LocalStorage(tmp_path / "out"), 0)
    with pytest.raises(MatchedNothing, match="near: ada"):
        ask(storage, "", authors=("adda",))  # type: ignore[arg-type]
    for bad in ("", " ", "two\nlines"):
        with pytest.raises(UsageError, match="--as"):
            credit_change.name_of(bad)
    assert credit_change.name_of("withhold") == ""


@pytest.mark.parametrize(
    "given",
    [
        "Withhold",
        "WITHHOLD",
        " withhold",
        "withheld",
        "withold",
        "withhold it",
        "none",
        "None",
        "n/a",
        WITHHELD,
    ],
)
def test_what_may_be_meant_for_withhold_is_asked_about(given: str) -> None:
    with pytest.raises(UsageError, match="a name, or none\\? To take the name out write --as withhold"):
        credit_change.name_of(given)


@pytest.mark.parametrize("given", ["Witold", "Nona", "Anonymous", "Ada None", "The Withers", "N. A."])
def test_names_are_names(given: str) -> None:
    assert credit_change.name_of(given) == given


def test_what_was_taken_down_is_named_by_no_credit() -> None:
    from sao_data.stages.listing import Listed, Listing

    bare = Listed(recording=Recording(id="made:1", source="made"), raw="", source_index=0, num_offers=1)
    listing = Listing(rows={"made:1": bare}, rejections=[])
    standing_requests.apply_credits(listing, gather([Credit(id="made:1", name="A", when=DAY)]))
    assert listing.rows["made:1"] == bare
