"""One work offered twice: what is said of its rights is the strictest of what is said anywhere."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from sao_data import config, manifest
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.execution.executor import LocalExecutor
from sao_data.ingest import run
from sao_data.records import CatalogueRow, Recording
from sao_data.stages.listing import merge_requests, strictest_wish
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
    run.ingest(manifest.load(path), str(out), LocalExecutor(), Quiet())
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


NO_MORE, OPEN, NEVER = "no-additional-preferences", "open-source-models", "no-gen-ai"


@pytest.mark.parametrize(
    ("field", "said", "stands"),
    [
        ("ai_preference", ("", "", ""), ""),
        ("ai_preference", (NO_MORE, "nan", "null"), NO_MORE),
        ("ai_preference", (NO_MORE, "", "None"), "None"),
        ("ai_preference", (NO_MORE, "", ""), NO_MORE),
        ("ai_preference", ("unknown", NO_MORE, ""), NO_MORE),
        ("ai_preference", (NO_MORE, OPEN, ""), OPEN),
        ("ai_preference", (OPEN, NEVER, NO_MORE), NEVER),
        ("ai_preference", ("who knows", "", NO_MORE), "who knows"),
        ("ai_preference", ("who knows", NEVER, ""), NEVER),
        ("requested_credit", ("", "Ana B.", ""), "Ana B."),
        ("requested_credit", ("Ana B.", "ana b.", ""), "Ana B."),
        ("copyright_notice", ("", "", "(c) 2012 Ana"), "(c) 2012 Ana"),
        ("is_explicit", (False, True, False), True),
        ("is_explicit", (False, False, False), False),
        ("is_remix", (False, False, True), True),
    ],
)
def test_what_any_offer_asks_for_stands(field: str, said: tuple[object, ...], stands: object) -> None:
    for first, *others in itertools.permutations(said):
        own, *rest = (_said(**{field: each}) for each in (first, *others))
        found = getattr(merge_requests(own, rest), field)
        if field == "ai_preference":
            found = strictest_wish(own.ai_preference, (each.ai_preference for each in rest))
        assert found == stands or (isinstance(found, str) and found.casefold() == str(stands).casefold())


def test_two_credit_lines_and_two_notices_are_both_kept() -> None:
    one, other = _said(requested_credit="Ana", copyright_notice="A"), _said(requested_credit="Bo")
    assert merge_requests(one, [other]).requested_credit == "Ana; Bo"
    assert merge_requests(other, [one]).copyright_notice == "A"


def _said(**fields: object) -> Recording:
    return config.parse(Recording, {"id": "f:x", "source": "f", **fields}, where="made")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_three_offers_in_any_order_give_one_row_that_replays(tmp_path: Path, order: tuple[int, ...]) -> None:
    more: list[dict[str, object]] = [
        {
            "title": "A long title",
            "tags": ["one"],
            "url": "https://example.org/x",
            "year": 2012,
            "album": "A",
        },
        {"gen_ai_preference": NO_MORE, "requested_credit": "Ana of the rain"},
        {"explicit": True, "copyright": "(c) 2012 Ana"},
    ]
    for number, said in enumerate(more):
        folder = tmp_path / f"in{number}"
        folder.mkdir()
        (folder / "x.wav").write_bytes(tone_wav(300))
        row = {"file_name": "x.wav", "author": "Ana", "license": CC0, **said}
        (folder / "metadata.jsonl").write_text(json.dumps(row))
    text = "".join(f'[[source]]\nplugin = "folder"\nname = "f"\npath = "{tmp_path}/in{n}"\n' for n in order)
    drop = '[policy]\nunknown_preference = "drop"\n'
    path = tmp_path / "three.toml"
    path.write_text(f'name = "three"\nnum_buckets = 1\nscreening = "off"\n{drop}{text}')
    run.ingest(manifest.load(path), str(tmp_path / "out"), LocalExecutor(), Quiet())
    dataset = open_dataset(str(tmp_path / "out"))
    assert verify(dataset) == []
    (found,) = dataset.catalogue()
    assert (found.kept, found.rule, found.title, found.num_offers) == (True, "allowed", "A long title", 3)
    assert (found.ai_preference, found.is_explicit) == (NO_MORE, True)
    assert (found.requested_credit, found.copyright_notice) == ("Ana of the rain", "(c) 2012 Ana")
