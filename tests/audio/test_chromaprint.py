"""Fingerprints: Chromaprint's words and its compressed text, whatever the blocks."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sao_data.audio.chromaprint import WORDS_PER_SECOND, Fingerprinter, Words, decode, encode, fingerprint
from tests.made import RATE, Floats, mp3_bytes, noise, silence, to_pcm, tone, wav_bytes
from tests.paths import SHARED

FPCALC = shutil.which("fpcalc")
SILENT_WORD = 627_964_279  # Chromaprint's word for silence, all differences 0


def melody(seed: int, seconds: float = 8.0) -> Floats:
    """Chords of three notes that change three times a second, with a little noise."""
    random = np.random.default_rng(seed)
    wave = 0.003 * random.standard_normal((round(seconds * RATE), 2))
    for start in range(0, len(wave), RATE // 3):
        at = np.arange(min(RATE // 3, len(wave) - start)) / RATE
        for hz in 110 * 2 ** (random.integers(0, 36, size=3) / 12):
            wave[start : start + len(at)] += 0.2 * (np.exp(-3 * at) * np.sin(2 * np.pi * hz * at))[:, None]
    return wave.astype(np.float32)


def bit_error(a: Words, b: Words) -> float:
    assert len(a) == len(b)
    return float(np.bitwise_count(a ^ b).mean()) / 32


def by_fpcalc(path: Path, *options: str) -> str:
    """What fpcalc prints; with newer FFmpegs it exits 3 (read error) at the end of good files."""
    command = [str(FPCALC), "-plain", *options, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def raw(path: Path) -> Words:
    return np.array(by_fpcalc(path, "-raw").split(","), np.uint32)


@pytest.mark.skipif(FPCALC is None, reason="needs fpcalc (libchromaprint-tools), which is not here")
@pytest.mark.parametrize("kind", ["melody", "noise", "padded"])
def test_the_words_are_those_of_fpcalc(kind: str, tmp_path: Path) -> None:
    made = {
        "melody": melody(1),
        "noise": noise(1, seconds=6),
        "padded": np.concatenate([melody(2, 2), silence(5)]),
    }[kind]
    path = tmp_path / "made.wav"
    path.write_bytes(wav_bytes(made))
    words = fingerprint(made)
    assert bit_error(words, raw(path)) < 0.005  # fpcalc resamples 16-bit samples in integers
    assert decode(by_fpcalc(path)).tolist() == raw(path).tolist()
    assert encode(raw(path)) == by_fpcalc(path)


@pytest.mark.skipif(FPCALC is None, reason="needs fpcalc (libchromaprint-tools), which is not here")
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data, which is not here")
def test_the_words_of_real_recordings_are_those_of_fpcalc() -> None:
    paths = sorted((SHARED / "freesound" / "audio").glob("*.ogg"))[::40]
    assert paths
    for path in paths:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        assert rate == RATE
        words = fingerprint(np.repeat(audio[:, :1], 2, axis=1) if audio.shape[1] == 1 else audio)
        assert bit_error(words, raw(path)) < 0.002, path.name


def test_a_known_sound_has_its_known_words() -> None:
    """Printed by fpcalc 1.5.1 for two tones, one after the other."""
    sound = np.concatenate([tone(440, 2.0), tone(660, 2.0)])
    known = [558741879] * 3 + [558741623] * 2 + [554547319] * 3 + [554612839] * 3
    assert fingerprint(sound).tolist() == known


@settings(max_examples=8)
@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=12))
def test_blocks_of_any_size_give_the_same_words(sizes: list[int]) -> None:
    audio = melody(3, 4.5)
    pcm = to_pcm(audio)
    printer, start = Fingerprinter(), 0
    for size in sizes:
        printer.add(pcm[start : start + size])
        start += size
    printer.add(pcm[start:])
    assert printer.finish().tolist() == fingerprint(audio).tolist()


def test_only_the_first_two_minutes_count() -> None:
    longer, whole = Fingerprinter(), Fingerprinter()
    for block in [to_pcm(melody(6, 10.0))] * 12:
        longer.add(block)
        whole.add(block)
    longer.add(to_pcm(tone(440, 5)))
    words = longer.finish()
    assert words.tolist() == whole.finish().tolist()
    assert len(words) == 948  # what fpcalc makes of any longer file
    assert len(words) == pytest.approx(120 * WORDS_PER_SECOND, abs=22)  # the last needs 2.7 s to stand on


@pytest.mark.parametrize(("num_frames", "num_words"), [(0, 0), (1, 0), (120_120, 0), (120_121, 1)])
def test_too_short_for_a_word_is_no_word(num_frames: int, num_words: int) -> None:
    """A word stands on 20 spectra: 4096 + 19 x 1365 samples at 11,025 Hz."""
    assert len(fingerprint(noise(1, seconds=num_frames / RATE)[:num_frames])) == num_words


@pytest.mark.parametrize("audio", [silence(5), tone(440, 5, level=1e-5)])
def test_silence_and_what_is_fainter_than_a_16_bit_step_is_one_word_throughout(audio: Floats) -> None:
    assert set(fingerprint(audio).tolist()) == {SILENT_WORD}


def test_other_levels_encodings_and_full_scale_change_few_bits() -> None:
    audio = melody(4)
    words = fingerprint(audio)
    decoded, _ = soundfile.read(io.BytesIO(mp3_bytes(audio)), dtype="float32")
    assert bit_error(words, fingerprint(0.25 * audio)) < 0.02
    assert bit_error(words, fingerprint(np.clip(3 * audio, -1, 1))) < 0.15
    assert bit_error(words, fingerprint(decoded[: len(audio)])) < 0.03
    assert bit_error(words, fingerprint(melody(5))) > 0.3


@given(st.lists(st.integers(0, 2**32 - 1), max_size=60))
def test_the_compressed_text_gives_the_words_back(words: list[int]) -> None:
    assert decode(encode(np.array(words, np.uint32))).tolist() == words


def test_the_compressed_text_is_chromaprints() -> None:
    """Bits 0 and 31: gaps 1, 7 + 24, end; then the same word: end. Header 1, 0, 0, 2."""
    words = np.array([0x8000_0001] * 2, np.uint32)
    packed = bytes([1, 0, 0, 2, 0b00_111_001, 0b0000_000_0, 24])
    assert base64.urlsafe_b64decode(encode(words) + "==") == packed
    assert encode(np.empty(0, np.uint32)) == ""
    assert decode("").dtype == np.uint32


def damaged() -> list[tuple[str, str]]:
    whole = encode(np.array([0x8000_0001, 5, 77], np.uint32))
    return [
        ("A", "base64"),
        ("AQ*A", "base64"),
        ("AQAAé", "base64"),
        ("AQAA", "algorithm 1 and a length"),
        ("Ag" + whole[2:], "algorithm 1"),
        ("AQAAAA", "0 words"),
        (whole[:7], "promised"),
        ("AQAAfw" + whole[6:], "promised"),
        (text_of([7, 0], []), "early"),
        (whole + "AAAA", "belong to no word"),
        (text_of([7, 7, 0], [31, 31]), "32nd"),
    ]


def text_of(normal: list[int], exceptions: list[int]) -> str:
    """One word by its gaps, as no encoder would write it."""

    def packed(values: list[int], width: int) -> bytes:
        total = sum(value << (width * n) for n, value in enumerate(values))
        return total.to_bytes(-(-len(values) * width // 8), "little")

    whole = bytes([1, 0, 0, 1]) + packed(normal, 3) + packed(exceptions, 5)
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


@pytest.mark.parametrize(("text", "reason"), damaged())
def test_damaged_text_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(text)


@given(st.text(alphabet="ABCDEFGHijkl0123456789-_", max_size=40))
def test_any_text_is_read_whole_or_refused(text: str) -> None:
    try:
        words: npt.NDArray[np.uint32] = decode(text)
    except ValueError as error:
        assert str(error).startswith("fingerprint: ")  # noqa: PT017
        return
    assert encode(words) == text
