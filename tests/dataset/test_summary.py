"""What a person sees of a run: the box fits any terminal, paths stay whole, times say what they are."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from sao_data.commands import progress
from sao_data.dataset import summary
from sao_data.dataset.summary import Summary
from sao_data.ingest import cost_estimate
from sao_data.ingest.cost_estimate import Size
from sao_data.manifest import Manifest

MADE = Summary(
    name="made",
    url="/a/folder/with/a/name/that/is/longer/than/a/narrow/terminal/is/wide/out/made",
    version="0123456789ab",
    offered=1_234_567,
    kept=1,
    rejected=(("decide", "allowed_under_earlier_terms_and_a_long_name", 9), ("curate", "silent", 1)),
    seconds=5_000.0,
    num_samples=3,
    num_shards=2,
    num_bytes=1_500_000,
    warnings=("a sentence that is longer than any terminal is wide, " * 5, "w" * 300),
    changed=True,
)


@pytest.mark.parametrize("columns", [20, 40, 80, 100, 250])
@pytest.mark.parametrize("dry_run", [False, True])
def test_the_box_fits_the_terminal_and_paths_stay_whole(
    columns: int, dry_run: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    summary.show(MADE, dry_run=dry_run)
    lines = capsys.readouterr().out.splitlines()
    inside = [line for line in lines if line[:1] in "╭│╰"]
    assert len(inside) > 5
    assert max(map(len, inside)) <= columns
    assert any(MADE.url in line for line in lines if line not in inside)


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 250])
def test_a_bar_fits_the_terminal_and_its_times_say_which_they_are(columns: int) -> None:
    console = Console(file=io.StringIO(), width=columns, force_terminal=True, color_system=None)
    bars = progress.TerminalProgress(console)
    bars.start("prepare", 1_234_567)
    bars.close()
    file = io.StringIO()
    Console(file=file, width=columns).print(bars._bars.get_renderable())
    (line,) = file.getvalue().splitlines()
    assert "deciding, decoding, measuring" in line
    assert len(line.rstrip()) <= columns
    if columns >= 80:
        assert "0/1234567 0:00:00 so far, -:--:-- left" in line


@pytest.mark.parametrize(
    ("seconds", "num_unstated", "kept", "audio"),
    [
        (90.0, 0, "would be kept: 90.0 s of audio, as stated", "1.5 minutes in 7 recordings"),
        (0.0, 7, "would be kept (lengths not stated)", "lengths not stated, in 7 recordings"),
        (
            90.0,
            3,
            "would be kept: 90.0 s of audio, as stated (3 lengths not stated)",
            "1.5 minutes in 7 recordings, lengths of 3 not stated",
        ),
        (7200.0, 0, "would be kept: 2.00 h of audio, as stated", "2.0 hours in 7 recordings"),
    ],
)
def test_lengths_that_nobody_states_are_no_zero(
    seconds: float,
    num_unstated: int,
    kept: str,
    audio: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    size = Size(num_recordings=7, seconds=seconds, num_bytes=0, num_unstated=num_unstated)
    said = "\n".join(cost_estimate.lines(size, Manifest(name="made")))
    assert audio in said
    assert "0.0 " not in said
    assert ("disk: shards" in said) == bool(seconds)
    monkeypatch.setenv("COLUMNS", "100")
    found = dataclasses.replace(MADE, kept=7, seconds=seconds, num_unstated=num_unstated, warnings=())
    summary.show(found, dry_run=True)
    shown = capsys.readouterr().out
    assert f"7  {kept} " in shown
    assert "shards" not in shown
