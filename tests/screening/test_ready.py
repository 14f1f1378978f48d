"""Before any work: settings, weights, key and catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sao_data import config
from sao_data.errors import UsageError
from sao_data.screening import Screening, check_ready, ready


class Tagger:
    """Has whatever labels it is given."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.checked = 0

    def check(self) -> None:
        self.checked += 1


def test_off_needs_nothing() -> None:
    check_ready(Screening(provider="off"))


def test_a_dry_run_needs_the_weights(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ast_audioset: .*screening = \"off\""):
        check_ready(Screening(folder=str(tmp_path)))


def test_a_tagger_needs_every_music_class(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger = Tagger(ready.counted_classes(Screening()))
    monkeypatch.setattr(ready, "build_tagger", lambda screening: tagger)
    check_ready(Screening())
    assert tagger.checked == 1
    with pytest.raises(UsageError, match="'Singing'"):
        check_ready(Screening(singing=True))
    tagger.labels = tagger.labels[1:]
    with pytest.raises(UsageError, match="'Choir'"):
        check_ready(Screening())


def test_acoustid_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger = Tagger(ready.counted_classes(Screening()))
    monkeypatch.setattr(ready, "build_tagger", lambda screening: tagger)
    monkeypatch.setenv("ACOUSTID_KEY", "k")
    check_ready(Screening(provider="acoustid"))
    monkeypatch.delenv("ACOUSTID_KEY")
    with pytest.raises(UsageError, match="ACOUSTID_KEY"):
        check_ready(Screening(provider="acoustid"))


def test_a_catalogue_needs_its_file_and_no_weights(tmp_path: Path) -> None:
    file = tmp_path / "known.csv"
    file.write_text("title,artist\nHello,Adele\n")
    check_ready(Screening(provider="catalogue", catalogue=str(file)))
    with pytest.raises(UsageError, match=r"screening\.catalogue"):
        check_ready(Screening(provider="catalogue"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_probability": 0.0}, "min_probability"),
        ({"min_score": 1.5}, "min_score"),
        ({"min_acoustid_score": -1.0}, "min_acoustid_score"),
        ({"min_seconds": 0.0}, "min_seconds"),
        ({"acoustid_url": "http://api.acoustid.org/v2/lookup"}, "acoustid_url"),
    ],
)
def test_values_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=rf"screening\.{message}"):
        check_ready(Screening(provider="off", **settings))


def test_it_is_a_table_of_a_manifest() -> None:
    table: config.Table = {"provider": "acoustid", "min_seconds": 20, "catalogue": "known.csv"}
    config.resolve_locations(Screening, table, Path("/data"))
    parsed = config.parse(Screening, table, where="m.toml: [screening]")
    assert (parsed.provider, parsed.min_seconds, parsed.catalogue) == ("acoustid", 20.0, "/data/known.csv")
    assert "catalogue" not in str(config.canonical(Screening(catalogue="/data/known.csv"))).replace(
        "'provider': 'catalogue'", ""
    )
    with pytest.raises(UsageError, match="provider"):
        config.parse(Screening, {"provider": "audible-magic"}, where="m.toml: [screening]")
