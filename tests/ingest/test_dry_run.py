"""What a run would cost, before anything is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sao_data import manifest
from sao_data.errors import UsageError
from sao_data.fetch import credentials
from sao_data.ingest import cost_estimate, run
from sao_data.ingest.cost_estimate import Size
from tests.datasets_made import Quiet, load, write_folder
from tests.fakes.freesound import FakeFreesound, World
from tests.paths import MANIFESTS


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No key but the one that a test sets."""
    credentials.forget()
    monkeypatch.delenv("FREESOUND_TOKEN", raising=False)
    yield monkeypatch
    credentials.forget()


def only_freesound(tmp: Path, *sets: str) -> manifest.Manifest:
    """The paper's manifest without the Archive, whose dump is not here."""
    head, fma = (MANIFESTS / "stable_audio_open.toml").read_text().split('[[source]]\nplugin = "fma"')
    path = tmp / "stable_audio_open.toml"
    path.write_text(head + fma[fma.index("[caption]") :])
    return manifest.load(path, list(sets))


def test_local_sources_are_counted_and_costed(tmp_path: Path) -> None:
    chosen = load(tmp_path, write_folder(tmp_path / "in", 3))
    summary = run.dry_run(chosen, str(tmp_path / "out"), Quiet())
    assert summary.offered == 3
    assert any("in 3 recordings" in line for line in summary.warnings)
    assert not (tmp_path / "out").exists()


def test_the_papers_dataset_is_forecast_by_a_few_requests(tmp_path: Path, key: pytest.MonkeyPatch) -> None:
    world = World.synthetic(3_000, seed=1)
    with FakeFreesound(world, level=1) as fake:
        key.setenv("FREESOUND_TOKEN", fake.client.key)
        chosen = only_freesound(
            tmp_path,
            f"source.0.base_url={fake.base}",
            f"source.0.cdn_url={fake.cdn}/",
            "num_buckets=8",
        )
        summary = run.dry_run(chosen, str(tmp_path / "out"), Quiet())
        asked = fake.record.of("search")
    text = "\n".join(summary.warnings)
    assert len(asked) == 3  # one a licence
    for words in (
        "Creative Commons 0",
        "Sampling+",
        "originals",
        "at level 1",
        "days",
        "disk: shards",
        "core",
    ):
        assert words in text
    assert not (tmp_path / "out").exists()


def test_without_a_key_it_says_where_to_get_one(tmp_path: Path, key: pytest.MonkeyPatch) -> None:
    chosen = only_freesound(tmp_path)
    with pytest.raises(UsageError, match="no API key; get one at"):
        run.dry_run(chosen, str(tmp_path / "out"), Quiet())


def test_costs_are_said_by_stage(tmp_path: Path) -> None:
    chosen = manifest.load(MANIFESTS / "stable_audio_open.toml")
    size = Size(num_recordings=486_492, seconds=7_300 * 3600.0, num_bytes=3_000_000_000_000)
    text = "\n".join(cost_estimate.lines(size, chosen, num_workers=16))
    assert "7,300.0 hours in 486,492 recordings" in text
    assert "3.0 TB" in text
    assert "23.4 GB (of 16 buckets at a time" in text
    assert "2.4 TB" in text
