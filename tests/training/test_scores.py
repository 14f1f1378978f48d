"""While a transformer trains its sounds are scored against recordings of authors that it does not hear."""

from __future__ import annotations

from pathlib import Path

import pytest

from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_model import run, train_dit
from sao_model.monitoring import page
from sao_model.training.dit import scores
from tests import tiny_embedders
from tests.training.made_runs import Silent, assert_same, dit_config, log

EVERY_TWO = {"every": 2, "steps": 2}


def train(
    mini: str, data: Dataset, vae: Path, out: Path, asked: dict[str, object], **changes: object
) -> Path:
    config = dit_config(mini, scores=asked, **({"validation": {"num_windows": 4}} | changes))
    return train_dit.train(config, data, str(vae), out, resume="auto", progress=Silent())


def scored(out: Path) -> list[dict[str, object]]:
    return [line for line in log(out, run.VALIDATION) if "kad_mel_stats" in line]


def test_scores_are_logged_and_shown_and_the_same_after_a_stop(
    tone_data: Dataset, mini_model: str, vae_run: Path, tmp_path: Path
) -> None:
    clap = tiny_embedders.clap(tmp_path / "clap", fused=True)
    asked = EVERY_TWO | {"embedders": ["mel_stats", "clap"], "clap": {"folder": str(clap)}}
    pace = {"steps": 4, "log_every": 1, "save_every": 2}
    train(mini_model, tone_data, vae_run, tmp_path / "run", asked, pace=pace)
    found = scored(tmp_path / "run")
    assert [(line["step"], line["weights"]) for line in found] == [(2, "ema"), (4, "ema")]
    assert all(set(line) == {"step", "weights", "kad_mel_stats", "kad_clap", "clap"} for line in found)
    assert all(abs(line["clap"]) <= 1 for line in found)  # type: ignore[arg-type]
    text = page.write(tmp_path / "run").read_text()
    assert "kad mel stats" in text
    assert "how well generated sounds fit their prompts" in text
    train(mini_model, tone_data, vae_run, tmp_path / "stopped", asked, pace=pace | {"steps": 2})
    train(mini_model, tone_data, vae_run, tmp_path / "stopped", asked, pace=pace)
    assert_same(tmp_path / "stopped", tmp_path / "run")  # and sounds take nothing from the training
    for one, other in zip(scored(tmp_path / "stopped"), found, strict=True):
        numbers, others = ({k: v for k, v in each.items() if k != "weights"} for each in (one, other))
        assert numbers == pytest.approx(others, rel=1e-4)


@pytest.mark.parametrize(
    ("validation", "said"),
    [({"series": ["none"]}, "0 windows of authors"), ({"num_windows": 2}, "2 windows of authors")],
)
def test_where_nothing_can_be_scored_it_is_said_and_the_training_goes_on(
    validation: dict[str, object],
    said: str,
    tone_data: Dataset,
    mini_model: str,
    vae_run: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pace = {"steps": 2, "log_every": 1, "save_every": 2}
    train(mini_model, tone_data, vae_run, tmp_path / "run", EVERY_TWO, pace=pace, validation=validation)
    assert said in caplog.text
    assert "nothing is scored (manifest: [split]" in caplog.text
    assert not (tmp_path / "run" / run.VALIDATION).exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"every": -1}, "every"),
        ({"embedders": []}, "at least one embedder"),
        ({"every": 2, "embedders": ["clap"], "clap": {"folder": "nowhere"}}, "nowhere: want config.json"),
        ({"every": 2, "embedders": ["openl3"]}, "openl3"),
    ],
)
def test_what_cannot_score_is_refused(
    asked: dict[str, object], said: str, tone_data: Dataset, mini_model: str, vae_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        train(mini_model, tone_data, vae_run, tmp_path / "run", asked)


def test_off_by_default() -> None:
    assert scores.Config().every == 0
