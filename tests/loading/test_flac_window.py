"""Windows found by frame headers are those that soundfile reads, and damage does not go through."""

import io
import random

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from sao_data.audio import flac
from sao_data.audio.containers.guarded import Guarded
from sao_data.loading import flac_window
from sao_data.loading.crop import Crop
from sao_data.loading.member_bytes import FetchedBytes
from sao_data.records import SeekPoint
from tests.made import encode, noise, silence, to_pcm, tone

FLAC = {"container": "FLAC", "codec": "PCM_16"}
SOUNDS = {
    "noise": noise(1, seconds=21),
    "loud beside silent": np.concatenate(
        [silence(9), noise(2, seconds=3), silence(9), noise(3, seconds=0.2)]
    ),
    "silence": silence(21),
    "tone": tone(seconds=21),
    "full scale": noise(4, seconds=11, level=1.0),
    "one block": noise(5, seconds=0.09),
    "less than a block": noise(6, seconds=0.01),
    "many frames, numbers of two bytes": tone(100, seconds=21, level=0.01),
}


def crop(start: int, num_frames: int) -> Crop:
    return Crop(
        start=start,
        num_frames=num_frames,
        is_all=False,
        is_padded_inside=False,
        seconds_start=0,
        seconds_total=1,
    )


def decoded(
    data: FetchedBytes, given: flac_window.Stretch, start: int, num: int
) -> npt.NDArray[np.float32] | None:
    out_CT = np.zeros((2, num), np.float32)
    return out_CT if flac_window.decode(data, given, crop(start, num), out_CT) else None


@pytest.mark.parametrize("sound", SOUNDS.values(), ids=SOUNDS)
def test_a_window_is_what_soundfile_decodes_there(sound: npt.NDArray[np.float32]) -> None:
    member = encode(sound, **FLAC)
    whole_TC = soundfile.read(io.BytesIO(member), dtype="float32")[0]
    data = FetchedBytes(member, 0, len(member))
    given = flac_window.whole_stretch(data)
    if given is None:
        assert len(sound) < 4096  # STREAMINFO states a block size that no frame has
        return
    dice = random.Random(0)
    starts = [0, len(sound) - 1, *(dice.randrange(len(sound)) for _ in range(40))]
    for start in starts:
        num = min(dice.choice([1, 4_000, 20_000]), len(sound) - start)
        assert np.array_equal(decoded(data, given, start, num), whole_TC[start : start + num].T)
        found = flac_window.find(data, given, start)
        is_late = start >= len(sound) // given.block * given.block  # the last block may be shorter
        assert start - found.frame < given.block * (2 if is_late else 1)


def test_a_window_is_found_in_the_bytes_between_two_seek_points() -> None:
    member = encode(SOUNDS["noise"], **FLAC)
    whole_TC = soundfile.read(io.BytesIO(member), dtype="float32")[0]
    points = flac.seek_points(Guarded(io.BytesIO(member)))
    assert [point.frame // 441_000 for point in points] == [0, 0, 1]
    low, high = points[1], points[2]
    part = FetchedBytes(member[low.byte : high.byte], low.byte, len(member))
    given = flac_window.stretch(part, low, high, len(whole_TC))
    assert given
    for start in (low.frame, low.frame + 123_456, high.frame - 20_000):
        assert np.array_equal(decoded(part, given, start, 20_000), whole_TC[start : start + 20_000].T)
    try:
        beyond = decoded(part, given, high.frame - 100, 200)  # ends where the bytes end
    except soundfile.SoundFileError:
        beyond = None
    assert beyond is None


def test_the_made_streaminfo_says_what_the_encoder_says() -> None:
    member = encode(noise(seconds=1), **FLAC)
    made = flac_window.streaminfo(44_100, 4096)
    assert (made[:4], made[8:12], made[18:26]) == (member[:4], member[8:12], member[18:26])
    info = soundfile.info(io.BytesIO(made + member[86:]))
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (44_100, 2, 44_100, "PCM_16")


@pytest.mark.parametrize(
    "member",
    [
        encode(noise(channels=1), **FLAC),
        encode(noise(), container="FLAC", codec="PCM_24"),
        encode(noise(), 48_000, **FLAC),
        b"RIFF" + bytes(600),
        b"fLaC" + bytes(600),
        b"fLaC",
        b"",
    ],
    ids=["mono", "24 bit", "48 kHz", "WAV", "no STREAMINFO", "cut", "empty"],
)
def test_what_no_ingest_wrote_is_left_to_libsndfile(member: bytes) -> None:
    assert flac_window.whole_stretch(FetchedBytes(member, 0, len(member))) is None


def test_a_point_where_no_frame_begins_is_no_stretch() -> None:
    member = encode(noise(), **FLAC)
    data, end = FetchedBytes(member, 0, len(member)), SeekPoint(frame=44_100, byte=len(member))
    assert flac_window.stretch(data, SeekPoint(frame=0, byte=87), end, 44_100) is None
    assert flac_window.stretch(data, SeekPoint(frame=4096, byte=86), end, 44_100) is None


def test_no_flipped_bit_goes_through() -> None:
    member = encode(noise(seconds=2), **FLAC)
    whole_TC = soundfile.read(io.BytesIO(member), dtype="float32")[0]
    dice, num_noticed = random.Random(1), 0
    for _ in range(300):
        damaged = bytearray(member)
        damaged[dice.randrange(86, len(member))] ^= 1 << dice.randrange(8)
        data = FetchedBytes(bytes(damaged), 0, len(member))
        given = flac_window.whole_stretch(data)
        start = dice.randrange(0, 60_000)
        try:
            found = decoded(data, given, start, 20_000) if given else None
        except soundfile.SoundFileError:
            found = None
        num_noticed += found is None
        assert found is None or np.array_equal(found, whole_TC[start : start + 20_000].T)
    assert num_noticed > 40  # about a quarter lies in the window's frames


def test_a_false_header_in_the_audio_does_not_mislead() -> None:
    """Bytes that look like a later frame's header, CRC-8 included, inside a frame."""
    pcm = to_pcm(noise(7, seconds=4, level=1.0))
    member = encode(pcm, **FLAC)
    data = FetchedBytes(member, 0, len(member))
    given = flac_window.whole_stretch(data)
    assert given
    header = next(m for m in given.pattern.finditer(member) if member[m.start() + 4] == 30)
    false = bytearray(member)
    false[20_000:20_016] = member[header.start() : header.start() + 16]
    point = flac_window.find(FetchedBytes(bytes(false), 0, len(false)), given, 30 * 4096 + 5)
    assert point == SeekPoint(frame=30 * 4096, byte=header.start()) or point.byte == 20_000
