"""Catalogue rows and shards made up for the tests of the report."""

from __future__ import annotations

import dataclasses
from collections import Counter

from hypothesis import strategies as st

from sao_data.attribution.info import DatasetInfo, info_from
from sao_data.records import CatalogueRow, Shard

BY = {
    "license": "CC-BY-3.0",
    "license_family": "BY",
    "license_version": "3.0",
    "license_url": "https://creativecommons.org/licenses/by/3.0/",
    "license_claim": "http://creativecommons.org/licenses/by/3.0/",
}
CC0 = {
    "license": "CC0-1.0",
    "license_family": "CC0",
    "license_version": "1.0",
    "license_url": "https://creativecommons.org/publicdomain/zero/1.0/",
    "license_claim": "Creative Commons 0",
}
SAMPLING_PLUS = {
    "license": "LicenseRef-CC-Sampling-Plus-1.0",
    "license_family": "SAMPLING+",
    "license_version": "1.0",
    "license_url": "https://creativecommons.org/licenses/sampling+/1.0/",
    "license_claim": "Sampling+",
}
UNVERSIONED = {
    "license": "LicenseRef-CC-BY-unversioned",
    "license_family": "BY",
    "license_version": "",
    "license_url": "",
    "license_claim": "Attribution",
}
KEPT = CatalogueRow(
    id="freesound:4211",
    source="freesound",
    title="fire.crackling.mp3",
    author="dobroide",
    author_id="",
    author_url="https://freesound.org/people/dobroide/",
    page_url="https://freesound.org/people/dobroide/sounds/4211/",
    copyright_notice="",
    requested_credit="",
    **BY,
    license_field="license_claim",
    ai_preference="",
    category="",
    is_explicit=False,
    is_remix=False,
    media_seconds=5.0,
    md5="",
    verdict="allow",
    rule="by",
    kept=True,
    stage="",
    reason="",
    detail="",
    num_offers=1,
    num_clips=1,
    num_clips_rejected=0,
    seconds=5.001,
    changes=("Converted from 48 kHz mono WAV to 44.1 kHz stereo FLAC",),
    shards=("train-000000.tar",),
    original_sha256="0" * 64,
    audio_sha256="2" * 64,
    evidence="1" * 64,
    confirmed="",
    retrieved_at="2026-11-01T12:00:00Z",
)
DROPPED = dataclasses.replace(
    KEPT,
    id="freesound:5000",
    verdict="deny",
    kept=False,
    stage="decide",
    reason="license_not_allowed",
    detail="CC BY-NC 3.0",
    num_clips=0,
    seconds=None,
    shards=(),
)


def kept(number: int = 4211, **changes: object) -> CatalogueRow:
    """A kept recording with this number."""
    return dataclasses.replace(KEPT, id=f"freesound:{number}", **changes)


def dropped(number: int = 5000, **changes: object) -> CatalogueRow:
    """A rejected recording with this number."""
    return dataclasses.replace(DROPPED, id=f"freesound:{number}", **changes)


def info_of(rows: list[CatalogueRow], **settings: object) -> DatasetInfo:
    """Count the rows; the shards are those that the rows name."""
    samples = Counter(name for row in rows if row.kept for name in row.shards)
    shards = [
        Shard(
            name=name,
            series=name.rpartition("-")[0],
            sha256="a" * 64,
            num_samples=number,
            num_bytes=number * 1000,
        )
        for name, number in samples.items()
    ]
    texts = {"name": "demo", "description": "Made up.", "version": "1", "root_digest": "b" * 64}
    return info_from(rows, shards, **{**texts, **settings})


def catalogues() -> st.SearchStrategy[list[CatalogueRow]]:
    """Random catalogues: any text where a source may put any text."""
    text = st.text(max_size=12)
    row = st.builds(
        lambda kept_, offers, licence, seconds, reason, **facts: dataclasses.replace(
            KEPT if kept_ else DROPPED,
            num_offers=offers,
            **licence,
            **facts,
            **({"seconds": seconds} if kept_ else {"reason": reason}),
        ),
        st.booleans(),
        st.integers(1, 3),
        st.sampled_from([BY, CC0, SAMPLING_PLUS, UNVERSIONED]),
        st.one_of(st.none(), st.floats(0, 1e6)),
        st.sampled_from(["license_not_allowed", "too_short", "duplicate_id", "takedown"]),
        title=text,
        author=text,
        author_url=text,
        page_url=text,
        requested_credit=text,
    )
    return st.lists(row, max_size=12).map(
        lambda rows: [dataclasses.replace(row, id=f"freesound:{number}") for number, row in enumerate(rows)]
    )
