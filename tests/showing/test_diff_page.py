"""Two versions compared, on a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from sao_data.commands.main import main
from sao_data.dataset.diff import Difference, compare
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.showing import diff_page
from tests.datasets_made import build, load, write_folder
from tests.versions_made import AFTER, BEFORE, version

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    tmp = tmp_path_factory.mktemp("pair")
    return version(tmp, BEFORE, "a"), version(tmp, AFTER, "b")


def test_every_kind_that_there_is_stands_on_the_page(
    pair: tuple[Dataset, Dataset], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = [each.storage.url for each in pair]
    assert main(["diff", *urls, "--by", "author", "--page", str(tmp_path / "new" / "diff.html")]) == 0
    assert "written to" in capsys.readouterr().err
    text = (tmp_path / "new" / "diff.html").read_text()
    found = compare(*pair, by="author")
    for kind, tally in found.kinds.items():
        assert (f'<th scope="row">{kind.replace("_", " ")}<br>' in text) == bool(tally.recordings), kind
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert "By author" in text
    num = found.kinds["added"].recordings + found.kinds["regained"].recordings
    assert f"{num} recordings came in" in text


def test_hostile_words_are_only_words(tmp_path: Path) -> None:
    made = []
    for name, title in (("a", "plain"), ("b", HOSTILE)):
        folder = write_folder(tmp_path / name / "in", 2)
        path = folder / "metadata.csv"
        rows = path.read_text().splitlines()
        quoted = '"' + title.replace('"', '""') + '"'
        first, _, *others = rows[1].split(",")
        rows[1] = ",".join([first, quoted, *others])
        path.write_text("\n".join(rows) + "\n")
        build(load(tmp_path / name, folder), tmp_path / name / "out")
        made.append(open_dataset(str(tmp_path / name / "out")))
    text = diff_page.page(compare(*made), None).decode()
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "<img" not in text


def test_the_same_version_says_so(pair: tuple[Dataset, Dataset]) -> None:
    found: Difference = compare(pair[0], pair[0])
    assert "Nothing: both are the same version." in diff_page.page(found, None).decode()


def test_a_folder_is_no_file_for_a_page(
    pair: tuple[Dataset, Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", *(each.storage.url for each in pair), "--page", "somewhere/"]) == 2
    assert "want a file, e.g. somewhere/difference.html" in capsys.readouterr().err
