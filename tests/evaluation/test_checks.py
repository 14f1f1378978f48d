"""Checks of a model: where sounds end, how fast they are made; what is left of a check to be read."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from sao_data.errors import UsageError
from sao_model.evaluation.checks import finding, speed, timing
from sao_model.evaluation.checks.finding import CheckCurve, CheckFinding
from sao_model.model import StableAudioModel
from sao_model.request import Sampling

RATE = 1_000


@pytest.mark.parametrize(
    ("seconds_of_sound", "tail", "asked", "end", "trailing"),
    [
        (
            2.0,
            0.0,
            2.0,
            2.0,
            -100 + 20 * math.log10(2**0.5),
        ),  # ends where it was asked to; -100 dB is the floor
        (3.0, 0.0, 2.0, 3.0, -3.01),  # goes on for a second
        (1.0, 0.0, 2.0, 1.0, None),  # ends early
        (2.0, 0.02, 2.0, 4.0, -33.98),  # 34 dB below: still heard
        (2.0, 0.001, 2.0, 2.0, -60.0),  # 60 dB below: silence
        (0.0, 0.0, 2.0, 0.0, None),
        (4.0, 0.0, 4.0, 4.0, math.nan),
    ],
)
def test_where_a_sound_ends(
    seconds_of_sound: float, tail: float, asked: float, end: float, trailing: float | None
) -> None:
    at = np.arange(4 * RATE)
    wave = np.sign(np.sin(2 * np.pi * 100 * (at + 0.5) / RATE)).astype(np.float32)
    level = np.where(at < seconds_of_sound * RATE, 1.0, tail)
    found = timing.ended(np.stack([wave * level] * 2).astype(np.float32), RATE, asked)
    assert found.end == pytest.approx(end, abs=timing.BLOCK_SECONDS)
    if trailing is not None and asked == 2.0 and seconds_of_sound == 2.0 and not tail:
        assert found.trailing_db == pytest.approx(-100, abs=0.1)
    elif trailing is not None:
        assert found.trailing_db == pytest.approx(trailing, abs=0.1, nan_ok=True)


def test_checks_of_a_tiny_model_leave_table_picture_and_paragraph(
    tiny: StableAudioModel, tmp_path: Path
) -> None:
    how, made_with = Sampling(steps=2, sampler="dpmpp-2m"), {"model": "tiny"}
    small = timing.Config(shares=(0.5, 1.0), prompts=("rain",), num_seeds=2)
    fast = speed.Config(steps=(1, 2), batch_sizes=(1, 2), rounds=1)
    for found in (timing.run(tiny, small, how, made_with), speed.run(tiny, fast, how, made_with)):
        page = finding.write(tmp_path / found.check, found)
        text = page.read_text()
        assert "<svg" in text
        assert "<script" not in text
        assert found.paragraph.split(" (")[0] in text.replace("&#39;", "'")
        rows = list(csv.reader((tmp_path / found.check / "table.csv").read_text().splitlines()))
        assert (tuple(rows[0]), len(rows) - 1) == (found.columns, len(found.rows))
        assert (
            json.loads((tmp_path / found.check / "finding.json").read_text())["made_with"]["model"] == "tiny"
        )
    assert "not beside these" in speed.run(tiny, fast, how, made_with).paragraph
    again = timing.run(tiny, small, how, made_with)
    assert again == timing.run(tiny, small, how, made_with)


def test_a_picture_of_one_point_and_of_a_hostile_name(tmp_path: Path) -> None:
    one = CheckFinding(
        check="x", title="<script>alert(1)</script>", paragraph="p", x_label="x", y_label="y",
        curves=(CheckCurve(name="<b>", x=(1.0,), y=(2.0,)),), columns=("a",), rows=((1,),),
        made_with={"m": "<i>"},
    )  # fmt: skip
    text = finding.write(tmp_path, one).read_text()
    assert "<script>" not in text
    assert "&lt;b&gt;" in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: timing.Config(shares=(0.0,)), "shares of the window, above 0 to 1"),
        (lambda: timing.Config(num_seeds=0), "at least one share"),
        (lambda: speed.Config(rounds=0), "want at least one of steps"),
    ],
)
def test_what_cannot_be_tried_is_said(make: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()  # type: ignore[operator]
