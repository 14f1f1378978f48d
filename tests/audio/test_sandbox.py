"""The sandbox: what it makes, and what it says when its child dies, loops, stalls or runs out of memory."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sao_data.audio import AudioConfig, AudioRejected, sandbox
from sao_data.audio.sandbox import Normalised, Sandbox, SandboxLost
from sao_data.audio.segments import Cut
from tests.made import RATE, flac_bytes, noise, silence, to_pcm, tone, wav_bytes
from tests.paths import ROOT as REPOSITORY
from tests.processes import wait_for


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(cut=Cut(max_seconds=1)) as opened:
        yield opened


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run tests/fakes/audio_child.py as the child."""
    monkeypatch.setattr(sandbox, "_CHILD", "tests.fakes.audio_child")
    monkeypatch.setattr(sandbox, "_POLL_SECONDS", 0.02)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def pcm_of(normalised: Normalised) -> np.ndarray:
    return np.concatenate([soundfile.read(clip.path, dtype="int16")[0] for clip in normalised.clips])


def is_gone(pid: int) -> bool:
    """Is a process dead (or a zombie that nobody has collected)?"""
    try:
        return b") Z " in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True


def test_clips_hold_the_recording(box, spool, tmp_path) -> None:
    audio = noise(seed=1, seconds=2.5)
    made = box.normalise(written(tmp_path / "a", wav_bytes(audio)), spool)
    assert [(c.number, c.start_frame, c.num_frames) for c in made.clips] == [
        (0, 0, RATE),
        (1, RATE, RATE),
        (2, 2 * RATE, RATE // 2),
    ]
    assert np.array_equal(pcm_of(made), to_pcm(audio))
    assert made.recording_frames == len(audio)
    assert made.audio_sha256 == hashlib.sha256(to_pcm(audio).tobytes()).hexdigest()
    assert made.changes == (
        "Converted from WAV (16-bit PCM) to 16-bit FLAC.",
        "Cut into 3 clips of up to 1 s.",
    )
    for clip in made.clips:
        data = clip.path.read_bytes()
        assert (clip.flac_sha256, clip.flac_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert clip.seek_points[0].frame == 0
        assert data[clip.seek_points[0].byte] == 0xFF
        assert clip.measures.lufs is not None


def test_two_sandboxes_make_the_same_bytes(box, spool, tmp_path) -> None:
    path = written(tmp_path / "a", wav_bytes(noise(seed=2, rate=48_000), 48_000))
    first = box.normalise(path, spool)
    with Sandbox(cut=Cut(max_seconds=1)) as other:
        (tmp_path / "other").mkdir()
        second = other.normalise(path, tmp_path / "other")
    assert [c.flac_sha256 for c in first.clips] == [c.flac_sha256 for c in second.clips]
    assert first.audio_sha256 == second.audio_sha256


def test_equal_audio_in_other_containers_has_the_same_hash(box, spool, tmp_path) -> None:
    audio = noise(seed=3)
    made = [
        box.normalise(written(tmp_path / "a", data), spool) for data in (wav_bytes(audio), flac_bytes(audio))
    ]
    assert made[0].audio_sha256 == made[1].audio_sha256


def test_trailing_zeros_are_trimmed_where_asked(spool, tmp_path) -> None:
    sound = noise(seed=4, seconds=0.5)
    padded = written(tmp_path / "a", wav_bytes(np.concatenate([silence(0.1), sound, silence(1.5)])))
    zeros = written(tmp_path / "b", wav_bytes(silence(0.5)))
    with Sandbox(cut=Cut(trim_trailing_silence=True)) as trimming:
        made = trimming.normalise(padded, spool)
        assert np.array_equal(pcm_of(made), np.concatenate([to_pcm(silence(0.1)), to_pcm(sound)]))
        num_trimmed = round(1.5 * RATE)
        assert made.recording_frames == round(0.6 * RATE)  # what timing follows
        assert made.changes[-1] == f"{num_trimmed} frames of digital silence trimmed from the end."
        assert trimming.normalise(zeros, spool).recording_frames == RATE // 2


def test_probe_measures_the_whole_recording(box, tmp_path) -> None:
    probe = box.probe(written(tmp_path / "a", wav_bytes(tone(seconds=2.5, rate=48_000), 48_000)))
    assert (probe.container, probe.codec, probe.decoder) == ("wav", "pcm_16", "soundfile")
    assert (probe.num_frames, probe.num_frames_out) == (120_000, 110_250)
    assert probe.measures.peak_dbfs == pytest.approx(-6.02, abs=0.05)


def test_a_rejection_leaves_no_clip(box, spool, tmp_path) -> None:
    audio = noise(seed=5, seconds=3)
    audio[-10] = np.nan
    with pytest.raises(AudioRejected) as caught:
        box.normalise(written(tmp_path / "a", wav_bytes(audio, codec="FLOAT")), spool)
    assert caught.value.reason == "non_finite"
    assert list(spool.iterdir()) == []


def test_a_missing_file_or_folder_is_an_os_error(box, spool, tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        box.probe(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        box.normalise(written(tmp_path / "a", wav_bytes(tone())), tmp_path / "none")


def test_a_full_disk_is_an_os_error(box, tmp_path) -> None:
    spool = tmp_path / "full"
    spool.mkdir()
    (spool / "clip-0000.flac").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        box.normalise(written(tmp_path / "a", wav_bytes(noise())), spool)


def test_odd_file_names_are_only_names(box, tmp_path) -> None:
    for name in ("http:||x", "-i", "a\nb", "concat:a|b", "$(touch x)", "\udcff"):
        assert box.probe(written(tmp_path / name, wav_bytes(tone(seconds=0.1)))).num_frames == 4_410


def test_memory_over_the_limit_is_too_large(spool, tmp_path) -> None:
    path = written(tmp_path / "a", wav_bytes(noise(seed=6, seconds=3)))
    with Sandbox(AudioConfig(max_memory_bytes=1 << 20)) as small, pytest.raises(AudioRejected) as caught:
        small.normalise(path, spool)
    assert caught.value.reason == "too_large"


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("name", ["die-SIGSEGV", "die-SIGABRT", "exit-3"])
def test_a_decoder_that_crashes_twice_is_a_fact(name, tmp_path) -> None:
    with Sandbox() as box:
        with pytest.raises(AudioRejected) as caught:
            box.probe(tmp_path / name)
        assert caught.value.reason == "decoder_crashed"
        with pytest.raises(AudioRejected, match="no_audio"):  # and the next file is none the worse for it
            box.probe(tmp_path / "next")


@pytest.mark.usefixtures("fake")
def test_a_decoder_that_crashes_once_gets_another_try(tmp_path) -> None:
    with Sandbox() as box, pytest.raises(AudioRejected, match="no_audio"):
        box.probe(tmp_path / "once-SIGSEGV")


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("name", ["die-SIGKILL", "die-SIGTERM"])
def test_a_child_killed_from_outside_is_transient(name, tmp_path) -> None:
    with Sandbox() as box:
        with pytest.raises(SandboxLost, match=name.partition("-")[2]):
            box.probe(tmp_path / name)
        with pytest.raises(AudioRejected, match="no_audio"):
            box.probe(tmp_path / "next")
    assert issubclass(SandboxLost, OSError)


@pytest.mark.usefixtures("fake")
def test_a_child_that_was_killed_while_idle_is_replaced(tmp_path) -> None:
    with Sandbox() as box:
        for _ in range(2):
            with pytest.raises(AudioRejected) as caught:
                box.probe(tmp_path / "ask")
            os.kill(json.loads(caught.value.detail)[0], signal.SIGKILL)
            wait_for(lambda: is_gone(json.loads(caught.value.detail)[0]), "the child to end")


@pytest.mark.usefixtures("fake")
def test_cpu_time_over_the_budget_is_a_fact(tmp_path) -> None:
    with Sandbox(AudioConfig(max_cpu_seconds=0)) as box, pytest.raises(AudioRejected) as caught:
        box.probe(tmp_path / "loop")
    assert caught.value.reason == "decoder_timeout"


@pytest.mark.usefixtures("fake")
def test_a_stall_is_transient(tmp_path) -> None:
    with Sandbox(AudioConfig(max_stall_seconds=1)) as box:
        with pytest.raises(AudioRejected, match="no_audio"):
            box.probe(tmp_path / "first")
        with pytest.raises(SandboxLost, match="used no CPU"):
            box.probe(tmp_path / "stall")


@pytest.mark.usefixtures("fake")
def test_the_child_sees_no_secrets_and_is_gone_after_close(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FREESOUND_TOKEN", "secret")
    box = Sandbox()
    with pytest.raises(AudioRejected) as caught:
        box.probe(tmp_path / "ask")
    pid, names = json.loads(caught.value.detail)
    assert "FREESOUND_TOKEN" not in names
    box.close()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(ValueError, match="closed"):
        box.probe(tmp_path / "ask")


def test_the_child_dies_with_its_parent(tmp_path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from sao_data.audio.sandbox import Sandbox\n"
        "box = Sandbox(); box.probe(Path(sys.argv[1]))\n"
        "print(box._child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = written(tmp_path / "a", wav_bytes(tone(seconds=0.1)))
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    wait_for(lambda: is_gone(int(ended.stdout)), "the child to end")
