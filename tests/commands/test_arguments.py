"""Command lines: an option given twice is refused, and --help names every field with its default."""

from __future__ import annotations

import argparse
import dataclasses
import re
from dataclasses import dataclass, field

import pytest

from sao_data.commands.arguments import Parser, field_lines
from sao_data.manifest import Manifest
from sao_model import generation, train_dit, train_vae
from tests.paths import ROOT
from tests.test_docs import load_script


@dataclass(frozen=True)
class Inner:
    """A table."""

    share: float = 0.5  # of the whole


@dataclass(frozen=True)
class Outer:
    """A config."""

    name: str = ""  # what it is called
    length: float | None = None  # not given: all
    silent: bool = False
    inner: Inner = field(default_factory=Inner)


def test_fields_have_dotted_keys_defaults_and_meanings() -> None:
    assert list(field_lines(Outer())) == [
        'name = ""', "    what it is called", "length = not given", "    not given: all",
        "silent = false", "inner.share = 0.5", "    of the whole",
    ]  # fmt: skip


def parser() -> Parser:
    made = Parser(prog="x")
    made.add_argument("--out", default="")
    made.add_argument("--steps", type=int, default=100)
    made.add_argument("--set", action="append", default=[])
    made.add_argument("--dry-run", action="store_true")
    made.add_subparsers(dest="verb").add_parser("go").add_argument("--to")
    return made


@pytest.mark.parametrize(
    "given",
    ["--out a --out b", "--out a --out a", "--steps 1 --steps 2", "go --to a --to b", "--ste 1 --steps 2"],
)
def test_an_option_given_twice_is_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(given.split())
    assert ended.value.code == 2
    assert "given twice (" in capsys.readouterr().err


def test_what_may_be_given_twice_still_is() -> None:
    found = parser().parse_args(
        ["--set", "a=1", "--set", "b=2", "--dry-run", "--dry-run", "--out", "a", "go", "--to", "b"]
    )
    assert (found.set, found.out, found.to) == (["a=1", "b=2"], "a", "b")


CONFIGS = {
    "ingest": Manifest(name="…"),
    "generate": generation.Config(),
    "train_vae": train_vae.Config(),
    "train_dit": train_dit.Config(),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_help_has_every_field(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[argparse.ArgumentParser] = []
    monkeypatch.setattr(Parser, "parse_args", lambda parser: caught.append(parser))
    load_script(ROOT / "pipelines" / f"{name}.py").parse_arguments()
    shown = set(re.findall(r"^  ([a-z_.]+) = ", caught[0].format_help(), re.MULTILINE))
    assert shown == set(keys(CONFIGS[name]))


def keys(config: object, prefix: str = "") -> list[str]:
    """Dotted keys of a config."""
    assert dataclasses.is_dataclass(config)
    found = []
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        found += (
            keys(value, f"{prefix}{item.name}.") if dataclasses.is_dataclass(value) else [prefix + item.name]
        )
    return found
