"""Manifests are checked key by key; errors say where, what, and what was meant."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sao_data import config
from sao_data.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    depth: int = 1
    names: tuple[str, ...] = ("a",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    name: str
    share: float = 0.5
    path: config.Location = ""
    inner: Inner = field(default_factory=Inner)


def test_a_table_becomes_a_frozen_config() -> None:
    made = config.parse(Outer, {"name": "x", "share": 1, "inner": {"names": ["b", "c"]}}, where="m.toml")
    assert made == Outer(name="x", share=1.0, inner=Inner(names=("b", "c")))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"nam": "x"}, r"m\.toml: unknown key 'nam'; did you mean 'name'\?"),
        (
            {"name": "x", "inner": {"dpth": 2}},
            r"m\.toml: \[inner\]: unknown key 'dpth'; did you mean 'depth'\?",
        ),
        ({"name": "x", "zzz": 1}, r"unknown key 'zzz' \(there are: inner, name, path, share\)"),
        ({}, r"m\.toml: name: Field required"),
        ({"name": 3}, r"m\.toml: name: Input should be a valid string \(got 3\)"),
        (
            {"name": "x", "inner": {"depth": "2"}},
            r"m\.toml: \[inner\]: depth: Input should be a valid integer \(got '2'\)",
        ),
        ({"name": "x", "inner": {"depth": True}}, r"\[inner\]: depth"),
        ({"name": "x", "inner": 3}, r"m\.toml: inner: "),
    ],
)
def test_bad_tables_name_the_key(table: config.Table, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config.parse(Outer, table, where="m.toml")


def test_set_reaches_into_tables_and_lists() -> None:
    table: config.Table = {"source": [{"plugin": "x"}], "a": {"b": 1}}
    keys = config.apply_set(table, ["source.0.count=3", "a.b=true", "a.c=plain text", 'd="3"', "e=[1, 2]"])
    assert table == {
        "source": [{"plugin": "x", "count": 3}],
        "a": {"b": True, "c": "plain text"},
        "d": "3",
        "e": [1, 2],
    }
    assert keys == ["source.0.count", "a.b", "a.c", "d", "e"]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("novalue", "want dotted.key=value"),
        ("source.7.path=/x", "'7' is no index into the 1 items there"),
        ("name.x=1", "'name' is a value, not a table"),
    ],
)
def test_bad_set_says_what_it_wants(assignment: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config.apply_set({"source": [{}], "name": "n"}, [assignment])


def test_relative_locations_are_resolved_and_stay_out_of_digests(tmp_path: Path) -> None:
    table: config.Table = {"name": "x", "path": "../data"}
    config.resolve_locations(Outer, table, tmp_path / "manifests")
    assert table["path"] == str(tmp_path / "data")
    here, there = Outer(name="x", path="/a"), Outer(name="x", path="/b")
    assert config.digest(here) == config.digest(there) != config.digest(Outer(name="y", path="/a"))
    assert config.canonical(here, locations=True) != config.canonical(there, locations=True)


def test_urls_are_not_resolved(tmp_path: Path) -> None:
    table: config.Table = {"path": "s3://bucket/x"}
    config.resolve_locations(Outer, table, tmp_path)
    assert table["path"] == "s3://bucket/x"


@pytest.mark.parametrize(("text", "message"), [("a = = 1", "not valid TOML"), (None, "no such manifest")])
def test_unreadable_manifests_say_so(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "m.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message):
        config.read_toml(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    inner: Inner = field(default_factory=lambda: Inner(depth=7, names=("z",)))


def test_an_inner_table_changes_only_what_it_names() -> None:
    made = config.parse(Preset, {"inner": {"names": ["b"]}}, where="m.toml")
    assert made.inner == Inner(depth=7, names=("b",))
