"""Damaged on purpose: whatever happens to a file's bytes, it is accepted or rejected for a known reason."""

from __future__ import annotations

import random
from pathlib import Path
from typing import get_args

import pytest

from sao_data.audio import AudioRejected
from sao_data.audio.rejected import Reason
from sao_data.audio.sandbox import Sandbox
from tests.made import (
    aiff_bytes,
    encode,
    flac_bytes,
    m4a_bytes,
    mp3_bytes,
    muxed_bytes,
    noise,
    ogg_bytes,
    wav_bytes,
)

SOUND = noise(seed=7, seconds=0.5, level=0.3)
FILES = {
    "wav": wav_bytes(SOUND), "float": wav_bytes(SOUND, codec="FLOAT"), "flac": flac_bytes(SOUND),
    "mp3": mp3_bytes(SOUND), "vorbis": ogg_bytes(SOUND),
    "opus": ogg_bytes(noise(rate=48_000, seed=8), 48_000, "OPUS"),
    "aac": m4a_bytes(SOUND, codec="aac"), "alac": m4a_bytes(SOUND), "aiff": aiff_bytes(SOUND),
    "caf": encode(SOUND, 44_100, container="CAF", codec="PCM_16"),
    "webm": muxed_bytes(noise(rate=48_000, seed=9), 48_000, container="webm", codec="libopus"),
}  # fmt: skip


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One of the things that happen to files, in the header half of the time."""
    out = bytearray(data)
    at = chance.randrange(len(out) if chance.random() < 0.5 else min(len(out), 128))
    size = chance.choice((1, 4, 64, 1_024))
    kind = chance.choice(("flip", "random", "zeros", "ones", "cut", "lost", "twice", "inserted", "swapped"))
    if kind == "flip":
        out[at] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del out[at:]
    elif kind == "lost":
        del out[at : at + size]
    elif kind == "twice":
        out[at:at] = out[at : at + size]
    elif kind == "inserted":
        out[at:at] = chance.randbytes(size)
    elif kind == "swapped":
        out[at : at + size] = out[at : at + size][::-1]
    else:
        bytes_of = {"random": chance.randbytes(size), "zeros": bytes(size), "ones": b"\xff" * size}
        out[at : at + size] = bytes_of[kind][: len(out) - at]
    return bytes(out)


@pytest.mark.parametrize("num", [60, pytest.param(1_000, marks=pytest.mark.slow)])
def test_none_hangs_none_kills(tmp_path: Path, num: int) -> None:
    path, ends = tmp_path / "mutated", dict.fromkeys(("ok", *get_args(Reason)), 0)
    with Sandbox() as box:
        for seed in range(num):
            chance = random.Random(seed)
            data = FILES[chance.choice(sorted(FILES))]
            for _ in range(chance.choice((1, 1, 3))):
                data = mutated(data, chance) or b"\0"
            path.write_bytes(data)
            try:
                probe = box.probe(path)
            except AudioRejected as rejected:
                ends[rejected.reason] += 1
            else:
                assert probe.num_frames_out > 0
                ends["ok"] += 1
    assert sum(ends.values()) == num
    assert ends["decoder_crashed"] == ends["decoder_timeout"] == 0, ends
    assert min(ends["ok"], num - ends["ok"]) > num // 20, ends  # the mutations neither spare nor spoil all
