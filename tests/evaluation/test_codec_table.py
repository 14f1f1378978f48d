"""What codecs leave of sounds: a perfect one, a bad one, one that is a program, and a run that goes on."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sao_data.errors import MatchedNothing, Stopped, UsageError
from sao_model import checkpoint
from sao_model.evaluation.codecs import reconstructors
from sao_model.evaluation.codecs import table as codec_table
from sao_model.metrics import reconstruction
from sao_model.model import StableAudioModel
from tests.datasets_made import Quiet
from tests.made import noise, silence, tone


class Made:
    """A codec of a test, which counts."""

    def __init__(self, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
        self.name, self.identity, self.change, self.calls = name, f"made {name}", change, 0

    def rebuild(self, audio_CT: np.ndarray) -> np.ndarray:
        self.calls += 1
        return self.change(audio_CT)


def mono(audio_CT: np.ndarray) -> np.ndarray:
    return np.repeat(audio_CT.mean(axis=0, keepdims=True), 2, axis=0) * np.float32(0.5)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    for kind, seeds in (("rain", (0, 1, 2)), ("voices", (2, 3, 4))):  # one sound is in both
        (folder / kind).mkdir(parents=True)
        for n, seed in enumerate(seeds):
            soundfile.write(folder / kind / f"{n}.wav", noise(seed=seed, seconds=1.0, level=0.3), 44_100)
    soundfile.write(folder / "silent.wav", silence(1.0), 44_100)
    soundfile.write(folder / "short.wav", tone(seconds=0.2), 44_100)
    (folder / "broken.wav").write_bytes(b"RIFF no sound")
    return folder


def test_the_table_tells_good_from_bad_per_class_and_goes_on(sounds: Path, tmp_path: Path) -> None:
    same, worse = Made("same", np.copy), Made("worse", mono)
    out = tmp_path / "out"
    table = codec_table.measure(sounds, [same, worse], out, Quiet(), seconds=10, keep=1)
    cells = {(cell.codec, cell.kind): cell.estimates for cell in table.cells}
    assert set(cells) == {(name, kind) for name in ("same", "worse") for kind in ("all", "rain", "voices")}
    assert [cells["same", "all"][key].value for key in ("stft", "mel", "loudness", "width")] == [0, 0, 0, 0]
    assert cells["same", "all"]["si_sdr"].value > 60
    bad = cells["worse", "rain"]
    assert bad["stft"].num == 3
    assert bad["stft"].low <= bad["stft"].value <= bad["stft"].high
    assert bad["stft"].value > 0.4
    assert bad["loudness"].value == pytest.approx(20 * math.log10(2) + 10 * math.log10(2), abs=0.2)
    assert bad["width"].value == pytest.approx(60, abs=0.5)
    reasons = {name: why.split(" (")[0] for name, why in table.left_out.items()}
    assert reasons == {
        "broken.wav": "cannot be decoded", "short.wav": "shorter than 0.5 s", "silent.wav": "silent",
    }  # fmt: skip
    page = (out / "index.html").read_text()
    assert page.count("<audio") == 6
    assert "<script" not in page
    assert (out / "worse" / "rain__0.wav.flac").is_file()
    whole = json.loads((out / "codec_table.json").read_text())
    scores = (out / "scores.jsonl").read_text()
    (out / "scores.jsonl").write_text(scores[:-40])  # a kill in the middle of a line
    third = Made("third", np.negative)
    again = codec_table.measure(sounds, [same, worse, third], out, Quiet(), seconds=10, keep=1)
    assert (same.calls, worse.calls, third.calls) == (6, 7, 6)
    assert [c for c in again.cells if c.codec != "third"] == list(table.cells)
    assert json.loads((out / "codec_table.json").read_text())["cells"] != whole["cells"]
    assert any(line.startswith("  third") for line in codec_table.lines(again))


def test_a_vae_and_a_program_take_part(tiny: StableAudioModel, sounds: Path, tmp_path: Path) -> None:
    checkpoint.save(tiny, tmp_path / "vae", only=("vae",))
    vae = reconstructors.of_model(str(tmp_path / "vae"), torch.device("cpu"))
    copies = reconstructors.of_command(f"copy={shutil.which('cp')} {{in}} {{out}}")
    shutil.rmtree(sounds / "voices")
    table = codec_table.measure(sounds, [vae, copies], tmp_path / "out", Quiet(), seconds=0.6, keep=0)
    cells = {(cell.codec, cell.kind): cell.estimates for cell in table.cells}
    assert cells["copy", "all"]["stft"].value == 0
    assert math.isfinite(cells["vae", "all"]["stft"].value)
    audio = noise(seed=1, seconds=0.5)[:, :2].T.astype(np.float32)
    assert vae.rebuild(np.ascontiguousarray(audio)).shape == audio.shape


@pytest.mark.parametrize(
    ("command", "error", "said"),
    [
        ("x", UsageError, 'want "NAME=program … {in} … {out} …"'),
        ("x=cp {in}", UsageError, 'want "NAME=program'),
        ("x=/no/such/program {in} {out}", UsageError, "codec x: /no/such/program: No such file or directory"),
        (
            f"x={sys.executable} -c 1/0 {{in}} {{out}}",
            Stopped,
            "codec x: exit 1, no {out}: ZeroDivisionError",
        ),
    ],
)
def test_what_is_wrong_with_a_program_is_said(command: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        reconstructors.of_command(command).rebuild(np.zeros((2, 44_100), np.float32))
    assert said in str(caught.value)


def test_nothing_to_measure_is_said(tmp_path: Path) -> None:
    with pytest.raises(MatchedNothing, match="no sounds below it"):
        codec_table.measure(tmp_path, [Made("same", np.copy)], tmp_path / "out", Quiet(), seconds=1, keep=0)
    with pytest.raises(UsageError, match="two codecs are called 'same'"):
        reconstructors.check_names([Made("same", np.copy), Made("same", np.copy)])


def test_errors_of_loudness_and_width_by_hand() -> None:
    left = noise(seed=2, seconds=2.0, channels=1, level=0.1)[:, 0].astype(np.float32)
    right = noise(seed=3, seconds=2.0, channels=1, level=0.1)[:, 0].astype(np.float32)
    wide = np.stack([left, right])
    assert reconstruction.loudness_error(wide * np.float32(0.5), wide) == pytest.approx(6.02, abs=0.02)
    narrow = np.stack([left + right / 2, left - right / 2])  # the side is 6 dB under the middle
    half = np.stack([left + right / 4, left - right / 4])
    assert reconstruction.width_error(half, narrow) == pytest.approx(6.02, abs=0.01)
    assert math.isnan(reconstruction.width_error(0 * wide, wide))
    assert math.isnan(reconstruction.loudness_error(0 * wide, wide))
