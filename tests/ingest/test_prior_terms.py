"""Rights that were narrowed later: dropped, kept under the earlier terms with evidence, or asked about."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sao_data.dataset import diff
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.execution.executor import LocalExecutor
from sao_data.ingest import run
from sao_data.storage import layout
from sao_data.storage.backend import LocalStorage
from tests.datasets_made import CC0, NC, Quiet
from tests.ingest.test_growing import build, catalogue, chosen, fetched, say, world

KEEP = (
    "policy.on_later_restriction.withdrawn=keep",
    "policy.on_later_restriction.relicensed=keep",
    "policy.on_later_restriction.opted_out=keep",
)
ASK = tuple(text.replace("=keep", "=ask") for text in KEEP)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """far/ and in out/ a dataset of it; since then sound 1 was relicensed, 2 opted out, 3 withdrawn."""
    tmp = tmp_path_factory.mktemp("built")
    far = world(tmp / "far")
    build(tmp, far)
    listed = say(far)["listed"]
    listed[0]["license"] = NC
    listed[1]["wish"] = "no-gen-ai"
    del listed[2]
    say(far, listed=listed)
    return tmp


@pytest.fixture
def narrowed(built: Path, tmp_path: Path) -> Path:
    """A copy of both."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return tmp_path / "far"


def test_by_default_a_rebuild_is_what_a_fresh_build_is(tmp_path: Path, narrowed: Path) -> None:
    build(tmp_path, narrowed)
    rows = catalogue(tmp_path / "out")
    assert rows["far:1"].rule == "license_not_allowed"
    assert rows["far:2"].rule == "ai_preference_forbids"
    assert "far:3" not in rows


def test_what_is_kept_stays_under_its_earlier_terms_with_its_evidence(tmp_path: Path, narrowed: Path) -> None:
    before = fetched(narrowed)
    build(tmp_path, narrowed, *KEEP)
    rows = catalogue(tmp_path / "out")
    for key in ("far:1", "far:2", "far:3"):
        assert (rows[key].kept, rows[key].rule) == (True, "allowed_under_earlier_terms")
    assert rows["far:1"].license == "CC-BY-4.0"
    assert "CC-BY-4.0 → CC-BY-NC-4.0" in rows["far:1"].detail
    assert "unknown → no-gen-ai" in rows["far:2"].detail
    assert "not offered" in rows["far:3"].detail
    assert fetched(narrowed) == before  # nothing is transferred for it
    assert verify(open_dataset(str(tmp_path / "out"))) == []
    again = run.ingest(chosen(tmp_path, narrowed, *KEEP), str(tmp_path / "out"), LocalExecutor(), Quiet())
    assert (again.kept, again.changed) == (6, False)


def test_who_is_asked_about_is_out_until_a_person_answers(tmp_path: Path, narrowed: Path) -> None:
    build(tmp_path, narrowed, *ASK)
    rows = catalogue(tmp_path / "out")
    assert {rows[f"far:{n}"].rule for n in (1, 2, 3)} == {"restricted_since"}
    assert not any(rows[f"far:{n}"].kept for n in (1, 2, 3))


def test_one_kind_may_be_kept_and_another_dropped(tmp_path: Path, narrowed: Path) -> None:
    build(tmp_path, narrowed, KEEP[1])
    rows = catalogue(tmp_path / "out")
    assert rows["far:1"].kept
    assert rows["far:2"].rule == "ai_preference_forbids"
    assert "far:3" not in rows


def test_what_was_taken_down_is_not_kept_on_any_terms(tmp_path: Path, narrowed: Path) -> None:
    line = json.dumps({"id": "far:1", "reason": "request", "when": "2026-11-22"}) + "\n"
    LocalStorage(tmp_path / "out").write(layout.TAKEDOWNS, line.encode())
    build(tmp_path, narrowed, *KEEP)
    assert catalogue(tmp_path / "out")["far:1"].rule == "taken_down"


@pytest.mark.parametrize("sets", [KEEP, ASK])
def test_a_diff_says_what_was_narrowed(tmp_path: Path, narrowed: Path, sets: tuple[str, ...]) -> None:
    shutil.copytree(tmp_path / "out", tmp_path / "before")
    build(tmp_path, narrowed, *sets)
    a, b = (open_dataset(str(tmp_path / name)) for name in ("before", "out"))
    assert diff.compare(a, b).failing(["opted_out"])
    assert diff.compare(a, b).failing(["relicensed"])


def test_who_was_asked_about_is_asked_until_answered_and_then_stays(tmp_path: Path, narrowed: Path) -> None:
    build(tmp_path, narrowed, *ASK)
    build(tmp_path, narrowed, *ASK)
    assert catalogue(tmp_path / "out")["far:1"].rule == "restricted_since"
    path = tmp_path / "out" / "reviews.csv"
    path.write_text(path.read_text().replace(",,", ",allow,"))
    for _ in range(2):
        build(tmp_path, narrowed, *ASK)
        rows = catalogue(tmp_path / "out")
        assert {n: rows[f"far:{n}"].rule for n in (1, 2, 3)} == dict.fromkeys((1, 2, 3), "allowed_by_review")


@pytest.mark.parametrize("sets", [KEEP, ASK])
def test_a_copy_of_what_was_narrowed_does_not_come_in(
    tmp_path: Path, narrowed: Path, sets: tuple[str, ...]
) -> None:
    listed = say(narrowed)["listed"]
    copy = next(row for row in listed if row["id"] == "1") | {"id": "9", "license": CC0, "author": "Bo"}
    shutil.copy(narrowed / "1.wav", narrowed / "9.wav")
    say(narrowed, listed=[*listed, copy])
    build(tmp_path, narrowed, *sets)
    assert catalogue(tmp_path / "out")["far:9"].rule == "same_file_as_denied"
