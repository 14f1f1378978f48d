"""Checks of a model: where sounds end, how fast they are made; what is left of a check to be read."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sao_data.commands.main import main
from sao_data.embedders import clap
from sao_data.errors import UsageError
from sao_model import checkpoint
from sao_model.evaluation.checks import complexity, finding, heard, languages, lengths, speed, sweep, timing
from sao_model.evaluation.checks.finding import CheckCurve, CheckFinding
from sao_model.model import StableAudioModel
from sao_model.preset import Config as Shape
from sao_model.request import Sampling
from tests.evaluation.conftest import Weights

RATE = 1_000
SWEEP = sweep.Config(
    steps=(1, 2), cfg_scales=(1.0, 7.0), samplers=("dpmpp-2m",), prompts=("rain",), num_seeds=2
)


class Counted:
    """A progress that counts."""

    total = done = 0

    def start(self, step: str, total: int | None, unit: str = "") -> None:
        self.total, self.done = total or 0, 0

    def advance(self, num: int) -> None:
        self.done += num

    def finish(self) -> None: ...


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
    how, made_with, shown = Sampling(steps=2, sampler="dpmpp-2m"), {"model": "tiny"}, Counted()
    small = timing.Config(shares=(0.5, 1.0), prompts=("rain",), num_seeds=2)
    fast = speed.Config(steps=(1, 2), batch_sizes=(1, 2), rounds=1)
    for found in (
        timing.run(tiny, small, how, made_with, shown),
        speed.run(tiny, fast, how, made_with, shown),
        lengths.run(tiny, lengths.Config(windows=2.5, prompts=("rain",), num_seeds=1), how, made_with, shown),
        languages.run(
            tiny, languages.Config(languages=("English", "Chinese"), num_seeds=1), how, made_with, shown
        ),
        sweep.run(tiny, SWEEP, how, made_with, shown),
    ):
        assert shown.done == shown.total > 0, found.check
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
    assert "not beside these" in speed.run(tiny, fast, how, made_with, shown).paragraph
    assert timing.run(tiny, small, how, made_with, shown) == timing.run(tiny, small, how, made_with, shown)


def test_with_clap_checks_say_how_well_sounds_fit(tiny: StableAudioModel, weights: Weights) -> None:
    folder = weights.sets[0].removeprefix("clap.folder=")
    how, shown, of = Sampling(steps=1, sampler="dpmpp-2m"), Counted(), clap.Config(folder=folder)
    small = complexity.Config(things=("rain", "a tone", "noise"), most=2, num_seeds=1, clap=of)
    found = complexity.run(tiny, small, how, {}, shown)
    assert [row[0] for row in found.rows] == [1, 2]
    assert found.rows[1][-1] == "rain and a tone"
    assert all(0 <= float(row[1]) <= 1 for row in found.rows)
    assert "sha256" in found.made_with["CLAP"]
    swept = sweep.run(tiny, dataclasses.replace(SWEEP, clap=of), how, {}, shown)
    assert "fitted best by" in swept.paragraph
    assert swept.y_label.startswith("CLAP")
    long = lengths.Config(windows=2, prompts=("rain",), num_seeds=1, clap=of)
    assert "and CLAP" in lengths.run(tiny, long, how, {}, shown).paragraph
    few = languages.Config(languages=("English", "German"), num_seeds=1, clap=of)
    assert "CLAP with the English words: English" in languages.run(tiny, few, how, {}, shown).paragraph


@pytest.mark.parametrize(
    ("name", "more", "code", "said"),
    [
        ("timing", ["--steps=1", "--set", "shares=[1.0]", "--set", "num_seeds=1"], 0, "4 in all"),
        (
            "sweep",
            ["--set", "steps=[1]", "--set", "prompts=['rain']", "--set", "num_seeds=1"],
            0,
            "4 settings",
        ),
        (
            "speed",
            ["--set", "steps=[1]", "--set", "batch_sizes=[1]", "--set", "rounds=1"],
            0,
            "steps a second",
        ),
        ("lengths", ["--set", "windows=0.5"], 2, "more than one window"),
        ("sweep", ["--set", "cfg=3"], 2, "unknown key 'cfg'"),
        ("languages", ["--set", "seconds=99"], 2, "give at most the window of"),
    ],
)
def test_the_command_lines_of_checks(
    name: str,
    more: list[str],
    code: int,
    said: str,
    tiny: StableAudioModel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint.save(tiny, tmp_path / "ckpt")
    assert main(["evaluate", name, str(tmp_path / "ckpt"), "--out", str(tmp_path / "out"), *more]) == code
    printed = capsys.readouterr()
    assert said in (printed.err if code else printed.out)
    assert (tmp_path / "out" / "index.html").exists() == (code == 0)


def test_complexity_needs_clap_and_says_what_does_not(
    tiny: StableAudioModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match=r"hf download laion/clap-htsat-fused .*of the checks, timing"):
        complexity.run(tiny, complexity.Config(), Sampling(steps=1), {}, Counted())


@pytest.mark.parametrize(
    ("cosines", "named", "expected"),
    [
        ([[0.9, 0.1], [0.1, 0.9]], [(0,), (1,)], [1.0, 1.0]),  # each nearest to its own
        ([[0.1, 0.9], [0.9, 0.1]], [(0,), (1,)], [0.0, 0.0]),
        ([[0.5, 0.5], [0.5, 0.5]], [(0,), (1,)], [0.5, 0.5]),  # nothing is told apart
        ([[0.9, 0.8], [0.9, 0.1], [0.2, 0.9]], [(0,), (0,), (1,)], [1.0, 1.0, 1.0]),
        (  # of two things one is heard, of the other nothing can be told
            [[0.9, 0.0, 0.0], [0.0, 0.9, 0.0], [0.0, 0.0, 0.9]], [(0, 1), (1, 2), (2, 0)], [0.75] * 3,
        ),
    ],
)  # fmt: skip
def test_how_often_a_thing_is_heard(
    cosines: list[list[float]], named: list[tuple[int, ...]], expected: list[float]
) -> None:
    assert complexity.shares(np.array(cosines), named) == pytest.approx(expected)


def test_every_thing_is_asked_for_as_often_and_in_words() -> None:
    for num in (1, 2, 3, 4):
        chosen = complexity.choices(8, num)
        assert [sum(each in named for named in chosen) for each in range(8)] == [num] * 8
    assert complexity.prompt(("a", "b", "c"), (2, 0, 1)) == "c, a and b"
    assert {len(texts) for texts in languages.PROMPTS.values()} == {6}


def test_a_seam_that_jumps_is_told_from_one_that_does_not(tiny_config: Shape) -> None:
    rate, noise = 8_000, np.random.default_rng(0).normal(0, 0.1, (2, 48_000)).astype(np.float32)
    jumping = noise.copy()
    jumping[:, 16_000:32_000] *= np.hanning(16_000).astype(np.float32) + 8
    smooth, found = (lengths.joined(torch.from_numpy(x), [16_000, 32_000], rate) for x in (noise, jumping))
    assert max(smooth.at_seams) < 1.3 * max(smooth.elsewhere)
    assert min(found.at_seams) > 2 * max(smooth.at_seams)
    assert lengths.joined(torch.zeros(2, 3_000), [1_500], rate) == lengths.JoinedWindows(
        at_seams=(), elsewhere=()
    )


def test_seams_are_where_new_latents_begin(tiny: StableAudioModel) -> None:
    hop, latents = tiny.config.codec.hop, tiny.config.num_latents  # 16, of which 4 are carried over
    assert lengths.seams(tiny, latents * hop) == []
    assert lengths.seams(tiny, 40 * hop) == [16 * hop, 28 * hop]


def test_far_sounds_are_further_apart_than_near_ones() -> None:
    at = torch.arange(8_000) / 8_000
    one, near, far = (torch.sin(2 * torch.pi * hz * at).repeat(2, 1) for hz in (440, 445, 1_500))
    assert heard.apart(one, one, 8_000) == pytest.approx(0, abs=1e-6)
    assert heard.apart(one, near, 8_000) < heard.apart(one, far, 8_000)
    assert [round(heard.level(x), 1) for x in (one, 0 * one)] == [-3.0, -100.0]


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
        (lambda: speed.Config(lengths=(0.0,)), "lengths above 0"),
        (lambda: lengths.Config(windows=1), "more than one window"),
        (lambda: complexity.Config(most=8), "more things, all different"),
        (lambda: complexity.Config(things=("a", "a", "b"), most=1), "more things, all different"),
        (lambda: languages.Config(languages=("English", "Klingon")), "not: Klingon"),
        (lambda: languages.Config(languages=("German",)), "want English"),
        (lambda: sweep.Config(steps=()), "sweep: want at least one of steps"),
        (lambda: sweep.Config(samplers=("euler",)), "euler"),
    ],
)
def test_what_cannot_be_tried_is_said(make: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()  # type: ignore[operator]
