"""Odd, malformed and hostile files of public test suites: each is accepted, or rejected for a reason."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from sao_data.audio import AudioRejected, decode
from sao_data.audio.containers import sniff
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.rejected import Reason
from sao_data.audio.sandbox import Probe, Sandbox
from tests.paths import SHARED

CORPUS = SHARED / "odd_audio"

pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="needs ../shared/data/odd_audio")

# Where we differ from what the index expects of a file, and why.
EXCEPTIONS = {
    # Stubs of longer files, for testing tag readers: the header declares minutes, a second or less is there.
    "mediafile/emptylist.mp3": "truncated",
    "music-metadata/adts-0-frame.mp3": "truncated",
    "music-metadata/issue-554.mp3": "truncated",
    "mutagen/52-too-short-block-size.flac": "truncated",
    "mutagen/variable-block.flac": "truncated",
    "mutagen/vbri.mp3": "truncated",
    "taglib/empty-seektable.flac": "truncated",
    # 100 random bytes: nothing says MP3, so there is nothing to be empty.
    "minimp3/l3-nonstandard-sideinfo-size.mp3": "not_audio",
    # Named here as in `sao probe`'s reasons; the index spells it bad_sample_rate.
    "tinytag/invalid_sample_rate.aiff": "bad_rate",
    # An mdat of size 0 runs to the end of the file (ISO 14496-12, 4.2): 1.1 s of a 440 Hz tone.
    "taglib/zero-length-mdat.m4a": "ok",
    # xHE-AAC had no decoder when the index was made; FFmpeg 8 has one.
    "mp4parse/sine-3s-xhe-aac-44khz-mono.mp4": "ok",
}
# Accepted whole by soundfile, hence exact to half a step of 16 bits (plus float rounding).
REFERENCES = ("M2L3_compl24.mp3", "l1-fl4.mp1", "l2-fl13.mp2", "l3-compl.mp3", "l3-si_block.mp3")

Outcome = Probe | AudioRejected


def rows() -> Iterator[tuple[str, str]]:
    """(file, expectation) of every row about an audio file."""
    with (CORPUS / "index.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if not row["file"].startswith("_") and not row["file"].endswith(".pcm"):
                yield row["file"], row["expected"]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """What becomes of each file; any other exception fails every test here."""
    found: dict[str, Outcome] = {}
    with Sandbox() as box:
        for name, _ in rows():
            try:
                found[name] = box.probe(CORPUS / name)
            except AudioRejected as error:
                found[name] = error
    return found


def word(outcome: Outcome) -> str:
    return outcome.reason if isinstance(outcome, AudioRejected) else "ok"


def test_every_file_ends_in_a_known_state(outcomes) -> None:
    words = {name: word(outcome) for name, outcome in outcomes.items()}
    assert len(words) > 450
    assert set(words.values()) <= {"ok", *get_args(Reason)}
    assert [name for name, end in words.items() if end in ("decoder_crashed", "decoder_timeout")] == []


def test_exceptions_end_as_listed(outcomes) -> None:
    assert {name: word(outcomes[name]) for name in EXCEPTIONS} == EXCEPTIONS


def test_files_on_which_decoders_agree_have_the_right_length(outcomes) -> None:
    num_checked = 0
    for name, expected in rows():
        match = re.fullmatch(r"accept, (?:(\d+)\.\.)?(\d+) frames", expected)
        if match is None or name in EXCEPTIONS:
            continue
        outcome, most = outcomes[name], int(match[2])
        assert isinstance(outcome, Probe), (name, outcome)
        assert int(match[1] or most) <= outcome.num_frames <= most, name
        num_checked += 1
    assert num_checked >= 181


def test_files_to_be_rejected_are_rejected_for_the_reason(outcomes) -> None:
    num_checked = 0
    for name, expected in rows():
        match = re.fullmatch(r"reject(?::(\w+)| \(typed reason\))?", expected)
        if match is None or name in EXCEPTIONS:
            continue
        assert isinstance(outcomes[name], AudioRejected), name
        assert match[1] in (None, word(outcomes[name])), (name, outcomes[name])
        num_checked += 1
    assert num_checked >= 175


@pytest.mark.parametrize("name", REFERENCES)
def test_mpeg_vectors_equal_their_reference(name) -> None:
    with (CORPUS / "minimp3" / name).open("rb") as file:
        guarded = Guarded(file)
        assert sniff.container_of(guarded, 1 << 20) == "mp3"
        ours = np.concatenate(list(decode.SoundFileDecoder(guarded).blocks())) * 32_768
    reference = np.fromfile(CORPUS / "minimp3" / "ref_pcm" / Path(name).with_suffix(".pcm").name, "<i2")
    both = min(len(ours), len(reference))
    assert both > 16_000
    assert np.abs(np.clip(ours[:both, 0], -32_768, 32_767) - reference[:both]).max() < 0.51
