"""One work offered twice: what is said of its rights is the strictest of what is said anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from sao_data import ingest, manifest
from sao_data.executor import LocalExecutor
from sao_data.provenance import open_dataset, verify
from sao_data.records import CatalogueRow
from tests.datasets_made import BY, CC0, NC, PDM, Quiet, tone_wav, write_rows

BY3 = "http://creativecommons.org/licenses/by/3.0/"


def offered(tmp: Path, *licenses: str, order: tuple[int, ...] = (0, 1), author: str = "") -> CatalogueRow:
    """The catalogue row of one file that two folders offer under the same id, the first with more words."""
    folders = []
    for n, text in enumerate(licenses):
        folder = tmp / f"in{n}"
        folder.mkdir(exist_ok=True)
        (folder / "x.wav").write_bytes(tone_wav(300))
        rich = ["x.wav", "A long title", "Ana", text, "https://example.org/x", "one,two"]
        write_rows(folder, [rich if n == 0 else ["x.wav", "T", author, text, "", ""]])
        folders.append(folder)
    text = "".join(f'[[source]]\nplugin = "folder"\nname = "f"\npath = "{folders[n]}"\n' for n in order)
    path = tmp / "two.toml"
    path.write_text(f'name = "two"\nnum_buckets = 1\nscreening = "off"\n{text}')
    out = tmp / ("out" + "".join(map(str, order)))
    ingest.run(manifest.load(path), str(out), LocalExecutor(), Quiet())
    assert verify(open_dataset(str(out))) == []
    (row,) = open_dataset(str(out)).catalogue()
    return row


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
@pytest.mark.parametrize(
    ("licenses", "verdict", "rule", "title"),
    [
        ((CC0, NC), "deny", "license_not_allowed", "T"),
        ((NC, CC0), "deny", "license_not_allowed", "A long title"),
        ((CC0, PDM), "review", "license_needs_review", "T"),
        ((CC0, BY), "allow", "allowed", "T"),
        ((BY, BY3), "allow", "allowed", "A long title"),
        ((CC0, CC0), "allow", "allowed", "A long title"),
        ((BY, ""), "allow", "allowed", "A long title"),
    ],
)
def test_the_stricter_offer_wins_then_the_richer(
    tmp_path: Path, licenses: tuple[str, str], verdict: str, rule: str, title: str, order: tuple[int, ...]
) -> None:
    row = offered(tmp_path, *licenses, order=order)
    assert (row.verdict, row.rule, row.num_offers, row.title) == (verdict, rule, 2, title)
    assert row.kept == (verdict == "allow")


@pytest.mark.parametrize(("license_url", "verdict"), [(BY, "review"), (CC0, "allow")])
def test_two_names_for_one_author_go_before_a_person(tmp_path: Path, license_url: str, verdict: str) -> None:
    row = offered(tmp_path, license_url, license_url, author="Bo")
    assert row.verdict == verdict
    assert (row.rule == "offers_conflict") == (verdict == "review")
