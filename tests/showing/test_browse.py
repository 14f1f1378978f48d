"""A part of a dataset on a page, and what is flagged there out of the next ingest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sao_data.commands.main import main
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import UsageError
from sao_data.rights import reviews
from sao_data.showing import browse_page, browsing
from sao_data.storage.backend import open_storage
from tests.datasets_made import BY, NC, build, load, write_folder

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight works, every second one left out for its licence; one title is hostile."""
    tmp = tmp_path_factory.mktemp("browse")
    folder = write_folder(tmp / "in", 8, licenses=(BY, NC))
    table = folder / "metadata.csv"
    table.write_text(table.read_text().replace("Tone 0,", f'"{HOSTILE}",', 1))
    build(load(tmp, folder), tmp / "out")
    return tmp


@pytest.fixture
def dataset(made: Path) -> Dataset:
    return open_dataset(str(made / "out"))


@pytest.mark.parametrize(
    ("most", "reason", "kept", "dropped"),
    [(500, "", 4, 4), (4, "", 2, 2), (1, "", 1, 0), (6, "", 3, 3), (500, "license_not_allowed", 0, 4),
     (500, "clipped", 0, 0)],
)  # fmt: skip
def test_kept_and_left_out_are_chosen_alike(
    dataset: Dataset, most: int, reason: str, kept: int, dropped: int
) -> None:
    chosen = browsing.choose(dataset, most, 0, reason)
    assert (len(chosen.kept), len(chosen.dropped)) == (kept, dropped)
    again = browsing.choose(dataset, most, 0, reason)
    assert [row.key for row, _ in chosen.kept] == [row.key for row, _ in again.kept]


def test_the_page_has_audio_pictures_and_words_of_each(
    made: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "look"
    assert main(["browse", str(made / "out"), "--out", str(out)]) == 0
    assert "4 sounds of 4 in the dataset, and 4 of the 4 works that were left out." in capsys.readouterr().out
    text = (out / "index.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    sounds = json.loads(found[1])["sounds"]
    assert {each["id"] for each in sounds} == {row.id for row in dataset.catalogue()}
    for each in sounds:
        assert bool(each["audio"]) == (not each["reason"])
        for name in filter(None, (each["audio"], each["picture"], each["original"])):
            assert (out / name).stat().st_size > 100
    assert HOSTILE in {each["title"] for each in sounds}
    assert text.count("<script") == 2
    assert "onerror=alert" not in text.replace(found[1], "")
    assert main(["browse", str(made / "out"), "--out", str(out)]) == 0  # the same folder again
    assert (out / "index.html").read_text() == text


def test_originals_are_beside_where_they_were_kept(made: Path, dataset: Dataset, tmp_path: Path) -> None:
    row = next(iter(dataset.samples()))
    num_buckets = dataset.facts["manifest"]["num_buckets"]
    bucket = browsing.bucket_of(row.recording_id, num_buckets)
    name = f"work/originals/{bucket:06d}/{row.recording_id.replace(':', '-')}"
    dataset.storage.write(name, b"RIFF as received")
    found = list(browsing.sounds(dataset, browsing.choose(dataset, 9, 0), open_storage(str(tmp_path))))
    (one,) = [each for each in found if each.original]
    assert one.id == row.recording_id
    assert (tmp_path / one.original).read_bytes() == b"RIFF as received"
    dataset.storage.delete(name)


def test_what_is_flagged_is_left_out_of_the_next_ingest(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(load(tmp_path, made / "in"), tmp_path / "out")
    flags = tmp_path / "flags.csv"
    lines = ['"folder:tone-002-wav","deny","","","a phone rings"', '"folder:nobody","deny","","",""']
    flags.write_text("\r\n".join(["id,verdict,who,when,note", *lines]) + "\r\n")
    for said in ("1 works denied", "0 works denied"):
        assert main(["browse", str(tmp_path / "out"), "--exclude", str(flags)]) == 0
        printed = capsys.readouterr()
        assert said in printed.out
        assert "folder:nobody: was never offered" in printed.err
    build(load(tmp_path, made / "in"), tmp_path / "out")
    rows = {row.id: row for row in open_dataset(str(tmp_path / "out")).catalogue()}
    assert (rows["folder:tone-002-wav"].kept, rows["folder:tone-002-wav"].rule) == (False, "denied_by_review")
    assert rows["folder:tone-004-wav"].kept


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "give --out OUT for the page, or --exclude FILE"),
        (["--out", "{tmp}/new", "--max", "0"], 2, "--max 0: want 1 or more"),
        (["--out", "{tmp}/new", "--reason", "clipped"], 7, "nothing was left out as 'clipped'"),
        (["--out", "{tmp}/full"], 2, "holds other files (mine.txt)"),
        (["--exclude", "{tmp}/none.csv"], 2, "no such file; export one from the page"),
        (["--exclude", "{tmp}/allow.csv"], 2, "verdict 'allow'; want deny"),
        (["--exclude", "{tmp}/bare.csv"], 2, "want the columns id,verdict,who,when,note"),
        (["--exclude", "{tmp}/other.csv"], 7, "names no work of"),
    ],
)
def test_what_cannot_be_shown_or_excluded_is_said(
    arguments: list[str], code: int, said: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "id,verdict,who,when,note\n"
    for name, text in {
        "allow.csv": f"{head}folder:tone-000-wav,allow,,,\n",
        "bare.csv": "id\nfolder:tone-000-wav\n",
        "other.csv": f"{head}folder:x,deny,,,\n",
        "full/mine.txt": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    given = [each.format(tmp=tmp_path) for each in arguments]
    assert main(["browse", str(made / "out"), *given]) == code
    assert said in capsys.readouterr().err


def test_an_allowed_work_is_not_denied_in_passing(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    storage.write("reviews.csv", b"id,verdict,who,when,note\nfolder:x,allow,me,,\n")
    with pytest.raises(UsageError, match="allows folder:x; take that line out"):
        reviews.deny(storage, {"folder:x": ""})


def test_what_is_embedded_cannot_end_its_element() -> None:
    text = browse_page.embedded({"a": "</script><!--<script>&"})
    assert not set(text) & set("<>&")
    assert json.loads(text) == {"a": "</script><!--<script>&"}
