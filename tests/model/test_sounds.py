"""Files around a model: what goes in, what comes out and says of itself, lists, pictures, the sheet."""

import io
import re
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sao_data.audio.shown import pictures
from sao_data.errors import IntegrityError, UsageError
from sao_model.sounds import prompts, reading, sheet, writing
from sao_model.sounds.remarks import remarks

RATE = 44_100


def tone(seconds: float = 0.5, rate: int = RATE, level: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    """(2, T): a tone on the left, half of it on the right."""
    left = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.stack([left, left / 2]).astype(np.float32)


# ---------------------------------------------------------------------------------------------------- reading


def test_a_file_of_the_model_s_own_kind_is_taken_as_it_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", tone().T, RATE, subtype="FLOAT")
    taken = reading.read(tmp_path / "x.wav", RATE)
    assert np.array_equal(taken.samples_CT, tone())
    assert taken.remarks == ()
    assert re.fullmatch("[0-9a-f]{64}", taken.sha256)


def test_another_rate_and_mono_are_converted_and_said(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.flac", tone(rate=48_000)[0], 48_000)
    taken = reading.read(tmp_path / "x.flac", RATE)
    assert taken.samples_CT.shape == (2, 22_050)
    assert np.array_equal(*taken.samples_CT)
    assert np.abs(taken.samples_CT - tone()[0])[:, 1000:-1000].max() < 1e-3
    said = " ".join(taken.remarks)
    assert "mono, made stereo" in said
    assert "48000 Hz, resampled to 44100 Hz" in said
    mono = reading.read(tmp_path / "x.flac", 22_050, 1)
    assert mono.samples_CT.shape == (1, 11_025)


def test_what_libsndfile_does_not_know_is_read_as_for_a_dataset(tmp_path: Path) -> None:
    with av.open(tmp_path / "x.m4a", "w") as out:
        stream = out.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(tone(), format="fltp", layout="stereo")
        frame.rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    taken = reading.read(tmp_path / "x.m4a", RATE)
    assert abs(taken.samples_CT.shape[1] - 22_050) < 2_100
    assert np.abs(taken.samples_CT[0, 5000:15000]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "no such file"),
        (b"", "cannot be decoded"),
        (b"not audio at all" * 100, "cannot be decoded"),
        (tone(0.0), "empty; give a file with sound"),
        (tone() * np.nan, "not finite"),
    ],
)
def test_what_is_no_sound_is_refused(tmp_path: Path, data: bytes | np.ndarray | None, told: str) -> None:
    path = tmp_path / "x.wav"
    if isinstance(data, np.ndarray):
        soundfile.write(path, data.T, RATE, subtype="FLOAT")
    elif data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=told):
        reading.read(path, RATE)


# ---------------------------------------------------------------------------------------------------- writing

TAGS = {"title": "rain", "software": "sao", "comment": "AI-generated; seed 3"}


@pytest.mark.parametrize(
    ("name", "bits", "subtype", "error"),
    [
        ("x.wav", "16", "PCM_16", 2**-15), ("x.wav", "24", "PCM_24", 2**-23),
        ("x.wav", "float", "FLOAT", 0), ("x.flac", "16", "PCM_16", 2**-15),
        ("x.FLAC", "24", "PCM_24", 2**-23), ("x.ogg", "16", "VORBIS", 0.05),
    ],
)  # fmt: skip
def test_the_suffix_says_the_format_and_the_file_what_it_is(
    tmp_path: Path, name: str, bits: writing.Bits, subtype: str, error: float
) -> None:
    assert writing.write(tmp_path / "new" / name, tone(), RATE, bits=bits, tags=TAGS) == 1
    with soundfile.SoundFile(tmp_path / "new" / name) as file:
        assert (file.subtype, file.samplerate) == (subtype, RATE)
        said = file.copy_metadata()
        assert (said["title"], said["comment"]) == ("rain", "AI-generated; seed 3")
        assert said["software"].startswith("sao")
        assert np.abs(file.read(dtype="float64").T - tone()).max() <= error
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


@pytest.mark.parametrize(("bits", "scale", "peak"), [("16", 0.5, 1.0), ("24", 0.5, 1.0), ("float", 1.0, 2.0)])
def test_full_scale_is_exceeded_only_where_there_is_none(
    tmp_path: Path, bits: writing.Bits, scale: float, peak: float
) -> None:
    assert writing.write(tmp_path / "x.wav", tone(level=2.0), RATE, bits=bits) == pytest.approx(
        scale, abs=1e-3
    )
    assert np.abs(soundfile.read(tmp_path / "x.wav")[0]).max() == pytest.approx(peak, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "bits", "told"),
    [
        ("x.mp3", "16", "want a name that ends in .wav, .flac, .ogg"),
        ("x", "16", "want a name that ends in"),
        ("x.flac", "float", "has no float (but 16, 24); .wav has all"),
        ("x.ogg", "24", "has no 24 (but 16)"),
    ],
)
def test_a_format_that_there_is_not_is_refused(
    tmp_path: Path, name: str, bits: writing.Bits, told: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        writing.write(tmp_path / name, tone(), RATE, bits=bits)
    assert not list(tmp_path.iterdir())


def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    samples = tone()
    samples[0, 7] = np.inf
    with pytest.raises(IntegrityError, match="not finite; lower cfg_scale"):
        writing.write(tmp_path / "x.wav", samples, RATE)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------- remarks


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (tone(), []),
        (tone() * 0, ["silent: all samples are zero"]),
        (tone(level=1e-4), ["silent: its peak is -80 dBFS"]),
        (tone(level=2.0), ["overloaded: its peak is +6.0 dBFS"]),
        (tone() + 0.1, ["off centre: a constant of 0.100"]),
        (tone(level=2.0) + 0.5, ["overloaded", "off centre"]),
    ],
)
def test_what_a_listener_would_complain_of_is_said(samples: np.ndarray, said: list[str]) -> None:
    found = remarks(samples.astype(np.float32))
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))


# ---------------------------------------------------------------------------------------------------- prompts


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("p.txt", "rain\n\n  # not a comment \n", [("rain",), ("# not a comment",)]),
        ("p.csv", "prompt\n\"rain, heavy\"\n", [("rain, heavy",)]),
        ("p.csv", "prompt\n\"rain\nand thunder\"\n", [("rain\nand thunder",)]),
        ("p.txt", "one\u2028prompt\x0c\n", [("one\u2028prompt",)]),
        (
            "p.csv",
            "\ufeffseed,prompt,seconds,negative_prompt\n7,rain,2.5,hiss\n,drums,,\n",
            [("rain", 2.5, 7, "hiss"), ("drums", None, None, None)],
        ),
    ],
)  # fmt: skip
def test_prompts_of_a_file(tmp_path: Path, name: str, text: str, wanted: list[tuple[object, ...]]) -> None:
    (tmp_path / name).write_text(text)
    fields = ("prompt", "seconds", "seed", "negative_prompt")
    made = [prompts.Asked(**dict(zip(fields, row, strict=False))) for row in wanted]  # type: ignore[arg-type]
    assert prompts.read(tmp_path / name) == made


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("p.txt", None, "no such file"),
        ("p.txt", b"\n \n", "no prompts in it"),
        ("p.txt", b"\xff\xfe", "no text in UTF-8"),
        ("p.csv", b"text,seed\nrain,1\n", "no column 'text' is known; columns are prompt, seconds"),
        ("p.csv", b"seed\n1\n", "the column prompt is missing"),
        ("p.csv", b"prompt,seed\nrain,1\n ,2\n", "p.csv:3: empty prompt"),
        ("p.csv", b"prompt,seed\nrain,one\n", "p.csv:2: invalid literal"),
        ("p.csv", b"prompt,seconds\nrain,nan\n", "p.csv:2: seconds nan"),
        ("p.csv", b"prompt\nrain, on a roof\n", "p.csv:2: more cells than columns"),
        ("p.csv", b"prompt,seed\nrain,-1\n", "p.csv:2: seed -1"),
        ("p.csv", b"prompt,seed\nrain,9223372036854775808\n", "give a number from 0 to 2^63 - 1"),
        ("p.csv", b'prompt,seed\n"rain,1\nthunder,2\n', "p.csv:1: unexpected end of data; close"),
        ("p.csv", b"prompt,prompt\na,b\n", "each once"),
    ],
)
def test_a_file_that_holds_no_prompts_says_where(
    tmp_path: Path, name: str, data: bytes | None, told: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=re.escape(told)):
        prompts.read(tmp_path / name)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("Rain on a tin roof!", "007-rain-on-a-tin-roof.wav"),
        ("../../etc/passwd", "007-etc-passwd.wav"),
        ("Grüße, Ænima", "007-grue-nima.wav"),
        ("雨の音", "007.wav"),
        ("a" * 300, f"007-{'a' * 40}.wav"),
    ],
)
def test_a_file_is_named_after_its_prompt(prompt: str, name: str) -> None:
    assert prompts.file_name(7, prompt, ".wav") == name


# --------------------------------------------------------------------------------------------------- pictures


def test_the_waveform_reaches_as_high_as_the_sound() -> None:
    path = pictures.waveform(tone(level=1.0), width=100, height=80)
    points = [tuple(map(float, hit)) for hit in re.findall(r"M([\d.]+) ([\d.]+)V[\d.]+", path)]
    assert len(points) == 100
    assert min(top for _, top in points) == pytest.approx(
        40 - 40 * 0.75, abs=0.2
    )  # the mean of both channels


def test_the_mel_picture_is_bright_where_the_tone_is() -> None:
    data = pictures.mel(tone(hertz=1000.0), RATE, width=200, height=64)
    with av.open(io.BytesIO(data), format="png_pipe") as file:
        picture = next(file.decode(video=0)).to_ndarray(format="rgb24").astype(int).sum(2)
    assert picture.shape[0] == 64
    brightest = 63 - int(picture[:, 20:-20].mean(1).argmax())  # counted from below
    assert brightest in (15, 16)  # of 64 bands to 22 kHz, evenly spaced on the mel scale


def test_pictures_of_next_to_nothing() -> None:
    for samples in (tone(0.0001), tone() * 0):
        assert pictures.waveform(samples)
        assert pictures.mel(samples, RATE).startswith(b"\x89PNG")


def test_the_sheet_shows_all_and_runs_nothing(tmp_path: Path) -> None:
    writing.write(tmp_path / "001-a&b.wav", tone(), RATE)
    entry = sheet.Entry(
        path=tmp_path / "001-a&b.wav", prompt="<script>alert(1)</script>", negative_prompt="hiss",
        seed=7, seconds=0.5, remarks=("silent",),
    )  # fmt: skip
    text = sheet.write(tmp_path, [entry, entry], title="tiny").read_text()
    assert text.count("<audio controls") == 2
    assert 'src="001-a%26b.wav"' in text
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "default-src 'none'" in text
    for shown in ("not: hiss", "seed 7 · 0.50 s", "silent", "data:image/png;base64,iVBOR"):
        assert shown in text
