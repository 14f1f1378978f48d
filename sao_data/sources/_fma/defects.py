"""Tracks of the FMA dataset that its authors or users found to be broken: data, checked 2026-07-30.

Lengths that the metadata state wrongly for whole files stand here too: they are not passed on. (Other reports
of wrong lengths and of bogus ID3 headers concern what is not used here: lengths come from decoding.)
"""

from __future__ import annotations

from typing import NamedTuple


class Defect(NamedTuple):
    """What is wrong with some tracks, and who says so."""

    what: str
    said_by: str
    ids: frozenset[int]
    clips_only: bool = False  # found in the 30 s excerpts; the whole file may be sound


DEFECTS = (
    Defect("its header cannot be read", "creation.ipynb of github.com/mdeff/fma", frozenset((117759,))),
    Defect("it is no MP3", "creation.ipynb of github.com/mdeff/fma", frozenset((80015, 115235))),
    Defect(
        "features could not be computed from it",
        "creation.ipynb of github.com/mdeff/fma",
        frozenset((
            1440, 26436, 28106, *range(29166, 29174), 29179, 38903, 43903, 56757, 57603, 59361, 62095, 62954,
            62956, 62957, 62959, 62971, 75461, 86079, *range(92345, 92362), 96426, 104623, 106719, 109714,
            114448, 114501, 114528, 115235, 117759, 118003, 118004, 127827, 130296, 130298, 131076, 135804,
            136486, *range(144769, 144772), *range(144773, 144779), 152204, 154923, 80015,
        )),
    ),
    Defect(
        "it holds no audio that can be decoded",
        "github.com/mdeff/fma, issues 8 and 41",
        frozenset((99134, 108925, 133297)),
        clips_only=True,
    ),
)  # fmt: skip

WRONG_SECONDS = frozenset((2624, 112067, 112808))  # 18,350 s stated, 21:15 real; an hour stated, two real


def defect_of(track_id: int, *, clips: bool) -> str:
    """What is known to be wrong with a track's file, and who says so; '' = nothing."""
    for defect in DEFECTS:
        if track_id in defect.ids and (clips or not defect.clips_only):
            return f"{defect.what} ({defect.said_by})"
    return ""
