"""Two versions compared: every difference has a kind, none hides another, and memory stays flat."""

import dataclasses
import itertools
import shutil
from pathlib import Path

import pytest

from sao_data.dataset.diff import KINDS, Difference, compare, kinds_of
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import IntegrityError
from sao_data.licences.later import is_stricter
from sao_data.records import CatalogueRow, Shard
from sao_data.storage import tables
from sao_data.storage.backend import open_storage
from sao_data.storage.merge_join import merge
from tests.attribution.made_rows import CC0, dropped, kept
from tests.versions_made import AFTER, BEFORE, version


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    tmp = tmp_path_factory.mktemp("versions")
    return version(tmp, BEFORE, "a"), version(tmp, AFTER, "b")


def ids(found: Difference) -> dict[str, list[str]]:
    """The part of the ids that the works were named by, of each kind that occurs."""
    return {
        kind: [e.id.removeprefix("folder:").removesuffix("-wav") for e in tally.examples]
        for kind, tally in found.kinds.items()
        if tally.recordings
    }


def test_every_change_of_a_real_source_is_named(pair: tuple[Dataset, Dataset]) -> None:
    found = ids(compare(*pair, num_examples=99))
    found.pop("rerouted", None)  # follows from the split, which goes by author
    found.pop("restated", None)
    assert found == {
        "added": ["new"],
        "regained": ["widened"],
        "dropped": ["narrowed", "optout"],
        "opted_out": ["optout"],
        "removed": ["gone"],
        "relicensed": ["moved", "narrowed", "upgraded", "widened"],
        "preference_changed": ["optout", "stillout", "wish"],
        "recredited": ["renamed"],
        "reaudio": ["revoiced"],
        "offered": ["newout"],
        "unlisted": ["goneout"],
    }


def test_a_changed_row_of_metadata_is_no_silence(pair: tuple[Dataset, Dataset]) -> None:
    found = ids(compare(*pair, num_examples=99))
    assert "retagged" in found["restated"]
    assert "stillout" not in found["restated"]


def test_numbers_add_up(pair: tuple[Dataset, Dataset]) -> None:
    a, b = pair
    found = compare(a, b)
    assert (found.a.kept, found.b.kept) == (10, 9)
    num = {kind: tally.recordings for kind, tally in found.kinds.items()}
    assert found.b.kept - found.a.kept == num["added"] + num["regained"] - num["dropped"] - num["removed"]
    assert found.shards["equal"] + found.shards["rewritten"] + found.shards["new"] == len(b.shards())
    assert found.shards["equal"] + found.shards["rewritten"] + found.shards["gone"] == len(a.shards())
    assert found.kinds["removed"].seconds == 0.6
    assert found.kinds["offered"].seconds == 0


def test_details_say_what_changed(pair: tuple[Dataset, Dataset]) -> None:
    found = compare(*pair)
    details = {kind: {e.id: e.detail for e in tally.examples} for kind, tally in found.kinds.items()}
    assert details["relicensed"]["folder:upgraded-wav"] == (
        "license: CC-BY-3.0 → CC-BY-4.0; license_version: 3.0 → 4.0"
    )
    assert details["recredited"]["folder:renamed-wav"] == "author: Ada → Ada L.; title: A tone → The tone"
    assert details["dropped"]["folder:narrowed-wav"].startswith("decide: license_not_allowed (CC BY-NC 4.0")
    assert details["opted_out"]["folder:optout-wav"] == "ai_preference: not stated → no-gen-ai"


def test_the_same_version_is_not_read(pair: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    shutil.copytree(pair[0].storage.url, tmp_path / "a")
    (tmp_path / "a" / "catalogue.parquet").unlink()
    copy = open_dataset(str(tmp_path / "a"))
    found = compare(pair[0], copy)
    assert found.is_same_version
    assert found.unchanged == len(BEFORE)
    assert found.failing([*KINDS, "any"]) == []


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    works = BEFORE[:2]
    a = version(tmp_path, works, "a")
    b = version(tmp_path, works, "b", "split.validation_share = 0.999999")
    found = compare(a, b)
    assert {s.key: (s.a, s.b) for s in found.settings} == {"split.validation_share": ("0.0", "0.999999")}
    assert found.kinds["rerouted"].recordings == 2
    assert "→ validation-0" in found.kinds["rerouted"].examples[0].detail
    assert found.shards["new"] == found.shards["gone"] > 0


# ----------------------------------------------------------------------------------- kinds, without any audio


@pytest.mark.parametrize("make", [kept, dropped])
def test_no_field_can_change_unseen(make: type) -> None:
    was = make()
    for name in (f.name for f in dataclasses.fields(CatalogueRow)):
        value = getattr(was, name)
        others: dict[type, object] = {str: "other", bool: not value, int: 7, float: 7.0, tuple: ("x",)}
        other = others[type(value)] if value is not None else 7.0
        now = dataclasses.replace(was, **{name: other})
        assert now != was, name
        assert kinds_of(was, now), name
        assert set(kinds_of(was, now)) <= set(KINDS), name


def test_equal_rows_have_no_kind() -> None:
    assert kinds_of(kept(), kept()) == kinds_of(dropped(), dropped()) == ()


def test_a_kept_recording_may_change_in_several_ways() -> None:
    now = kept(
        **CC0,
        author="Else",
        audio_sha256="3" * 64,
        seconds=1.0,
        shards=("x-000000.tar",),
        ai_preference="no-gen-ai",
    )
    assert kinds_of(kept(), now) == (
        "relicensed", "preference_changed", "recredited", "reaudio", "recut", "rerouted",
    )  # fmt: skip


# a work taken down: nothing is said of it any more
BARE = dict.fromkeys(("title", "author", "author_url", "page_url", "evidence"), "") | dict.fromkeys(CC0, "")


@pytest.mark.parametrize(
    ("was", "now", "kinds"),
    [
        (None, kept(), ("added",)),
        (None, dropped(), ("offered",)),
        (kept(), None, ("removed",)),
        (dropped(), None, ("unlisted",)),
        (kept(), dropped(4211), ("dropped",)),
        (kept(), dropped(4211, ai_preference="no-gen-ai"), ("dropped", "opted_out", "preference_changed")),
        (kept(ai_preference="no-gen-ai"), dropped(4211), ("dropped", "preference_changed")),
        (kept(), dropped(4211, **CC0, author="Else"), ("dropped", "relicensed", "recredited")),
        (dropped(4211, **CC0, author="Else"), kept(), ("regained", "relicensed", "recredited")),
        (kept(), dropped(4211, **BARE), ("dropped",)),
        (dropped(4211, **BARE), kept(), ("regained",)),
        (dropped(), dropped(stage="curate", reason="too_short", **CC0), ("relicensed", "rejudged")),
        (dropped(), dropped(author="Else"), ("recredited",)),
        (dropped(), kept(5000), ("regained",)),
        (dropped(), dropped(stage="curate", reason="too_short"), ("rejudged",)),
        (dropped(), dropped(detail="other words"), ("restated",)),
    ],
)
def test_what_became_of_a_recording(
    was: CatalogueRow | None, now: CatalogueRow | None, kinds: tuple[str, ...]
) -> None:
    assert kinds_of(was, now) == kinds


def test_preferences_have_an_order() -> None:
    order = ["", "open-source-models", "noncommercial-open-source-models", "no-gen-ai"]
    for before, after in itertools.product(order, repeat=2):
        assert is_stricter(before, after) == (order.index(after) > order.index(before)), (before, after)
    assert not is_stricter("", "no-additional-preferences")
    assert not is_stricter("freesound-cc-recommendation", "no-additional-preferences")
    assert is_stricter("open-source-models", "a value of tomorrow")


# ---------------------------------------------------------------------------------------------- made datasets


def made(url: str, rows: list[CatalogueRow], shards: tuple[str, ...] = (), *, sort: bool = True) -> Dataset:
    """A dataset of these rows as far as a comparison reads it; its digest is that of its name. Shards are
    "number=digit of the hash"."""
    storage = open_storage(url)
    tables.write(
        storage, "catalogue.parquet", CatalogueRow, sorted(rows, key=lambda r: r.id) if sort else rows
    )
    tables.write(storage, "shards.parquet", Shard, [
        Shard(
            name=f"train-00000{text[0]}.tar", series="train", sha256=text[2] * 64, num_samples=1, num_bytes=1
        )
        for text in shards
    ])  # fmt: skip
    num_kept = sum(row.kept for row in rows)
    counts = {"offered": len(rows), "kept": num_kept, "seconds": 1.0, "shards": len(shards)}
    return Dataset(
        storage=storage,
        facts={
            "name": "made", "version": url[-4:], "root_digest": url, "counts": counts, "manifest": {},
            "rejected_by_reason": {},
        },
    )  # fmt: skip


def test_shards_are_told_apart_by_their_bytes(tmp_path: Path) -> None:
    a = made(str(tmp_path / "a"), [kept()], ("0=a", "1=b", "2=c"))
    b = made(str(tmp_path / "b"), [kept()], ("0=a", "1=f", "3=d"))
    found = compare(a, b)
    assert found.shards == {"equal": 1, "rewritten": 1, "new": 1, "gone": 1}
    assert found.unchanged == 1
    assert found.failing(["dropped", "any"]) == ["any"]


def test_datasets_on_an_object_store_are_compared(tmp_path: Path) -> None:
    a = made(f"memory://{tmp_path.name}/a", [kept(1), kept(2)])
    b = made(f"memory://{tmp_path.name}/b", [kept(2), dropped(3)])
    assert [kind for kind, tally in compare(a, b).kinds.items() if tally.recordings] == ["removed", "offered"]


def test_a_catalogue_out_of_order_is_damage_and_no_difference(tmp_path: Path) -> None:
    a = made(str(tmp_path / "a"), [kept(2), kept(1)], sort=False)
    b = made(str(tmp_path / "b"), [kept(1), kept(2)])
    with pytest.raises(
        IntegrityError, match=r"A: catalogue\.parquet: 'freesound:1' stands after 'freesound:2'"
    ):
        compare(a, b)


def test_a_merge_collects_nothing() -> None:
    a = (kept(10**9 + n) for n in itertools.count(0, 2))
    b = (kept(10**9 + n) for n in itertools.count(0, 3))
    pairs = list(itertools.islice(merge(a, b, lambda row: row.id), 4))
    numbers = [tuple(int(row.id.split(":")[1]) - 10**9 if row else None for row in pair) for pair in pairs]
    assert numbers == [(0, 0), (2, None), (None, 3), (4, None)]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("source", {"freesound": {"dropped": 2, "relicensed": 1, "added": 1}}),
        (
            "reason",
            {"too_short": {"dropped": 1}, "takedown": {"dropped": 1, "relicensed": 1}, "none": {"added": 1}},
        ),
        ("author", {"Ada": {"dropped": 1, "relicensed": 1, "added": 1}, "not stated": {"dropped": 1}}),
        (
            "licence",
            {"CC-BY-3.0 → CC0-1.0": {"dropped": 1, "relicensed": 1}, "CC-BY-3.0": {"dropped": 1, "added": 1}},
        ),
    ],
)
def test_changes_can_be_grouped(tmp_path: Path, by: str, groups: dict[str, dict[str, int]]) -> None:
    ada = {"author": "Ada", "author_id": "7"}
    a = made(str(tmp_path / "a"), [kept(1, **ada), kept(2, author="")])
    b = made(
        str(tmp_path / "b"),
        [
            dropped(1, **ada, **CC0, reason="takedown"),
            dropped(2, author="", reason="too_short"),
            kept(3, **ada),
        ],
    )
    assert {g.name: dict(g.kinds) for g in compare(a, b, by=by).groups} == groups  # type: ignore[arg-type]


def test_examples_are_few_and_counts_are_all(tmp_path: Path) -> None:
    a = made(str(tmp_path / "a"), [])
    b = made(str(tmp_path / "b"), [kept(100 + n, seconds=0.1) for n in range(30)])
    added = compare(a, b, num_examples=2).kinds["added"]
    assert (added.recordings, added.seconds, len(added.examples)) == (30, 3.0, 2)
