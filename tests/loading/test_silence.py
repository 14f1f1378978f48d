"""Silent windows are drawn again from the same recording, counted, and never replaced by another's."""

import logging
from pathlib import Path

import numpy as np
import pytest

from sao_data.errors import UsageError
from sao_data.loading.chunks import ChunkConfig
from sao_data.loading.stream import StreamConfig
from tests.datasets_made import CC0, build, load, write_folder
from tests.made import noise, silence, wav_bytes
from tests.streams_made import members, stream

WINDOW = 4_000
SOUNDS = {
    "000": noise(0, seconds=1),
    "001": np.concatenate([silence(0.85), noise(1, seconds=0.55)]),  # most windows are silent
    "002": noise(2, seconds=1.5, level=1e-4),  # peaks near -67 dBFS: all are
    "003": silence(0.5),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("silence")
    folder = write_folder(tmp / "in", len(SOUNDS), licenses=(CC0,))
    for name, sound in SOUNDS.items():
        (folder / f"tone-{name}.wav").write_bytes(wav_bytes(sound))
    build(load(tmp, folder, num_buckets=1), tmp / "out")
    return tmp / "out"


@pytest.mark.parametrize("chunks", [ChunkConfig(), ChunkConfig(on=True, seconds=1, hifi_sources=())])
def test_silent_windows_are_drawn_again_and_what_stays_silent_is_kept_and_counted(
    built: Path, chunks: ChunkConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    audio = members(built)
    settings = {"window_frames": WINDOW, "chunks": chunks}
    with stream(built, 4, **settings) as plain, stream(built, 4, redraw_silent=8, **settings) as batches:
        before = [s for _ in range(20) for s in next(plain).samples]
        after = [s for _ in range(20) for s in next(batches).samples]
        assert [s.key for s in after] == [s.key for s in before]  # never another recording
        assert batches.num_redrawn == sum(s.num_redrawn for s in after) > 100
        assert batches.num_silent == sum(s.is_silent for s in after)
        assert (plain.num_redrawn, plain.num_silent) == (0, 0)
    for old, new in zip(before, after, strict=True):
        sound = audio[new.key][0][:, new.crop_start : new.crop_start + WINDOW]
        assert np.array_equal(np.abs(new.audio), np.abs(sound))
        assert new.is_silent == (np.abs(new.audio).max() < 1e-3)
        if new.key.endswith(("002-wav", "003-wav")):
            assert (new.is_silent, new.num_redrawn) == (True, 8)
        elif np.abs(old.audio).max() >= 1e-3:
            assert (new.crop_start, new.prompt, new.num_redrawn) == (old.crop_start, old.prompt, 0)
        else:
            assert new.num_redrawn > 0
    mixed = [s for s in after if s.key.endswith("001-wav")]
    assert (
        sum(s.is_silent for s in mixed) < len(mixed) / 2
    )  # of a chunk at worst 5 of 6 windows are: (5/6)^9 = 19 %
    said = [record.message for record in caplog.records if "drawn again" in record.message]
    assert len(said) == 1
    assert (
        "silent windows are drawn again, up to 8 times, and counted; the first is of folder-tone-00"
        in said[0]
    )


def test_a_window_that_is_the_whole_recording_is_not_drawn_again(built: Path) -> None:
    with stream(built, 4, redraw_silent=8, window_frames=44_100 * 2) as batches:
        samples = next(batches).samples
    assert {s.key[-7:-4]: (s.num_redrawn, s.is_silent) for s in samples} == {
        "000": (0, False), "001": (0, False), "002": (0, True), "003": (0, True),
    }  # fmt: skip


def test_what_has_no_effect_is_refused() -> None:
    with pytest.raises(UsageError, match='redraw_silent: has no effect with crop = "start"; set it to 0'):
        StreamConfig(redraw_silent=1, crop="start")
    with pytest.raises(UsageError, match=r"stream\.redraw_silent: -1 is too small"):
        StreamConfig(redraw_silent=-1)
