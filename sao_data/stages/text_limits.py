"""How long the texts of a recording may be: what is longer is no name, and would break what we write.

A cell of a spreadsheet holds 32,767 characters, one of Python's csv module 131,072 unless told otherwise.
Title, author, notice and credit line go into one cell together, the credit sentence, with two addresses
(2,048 each are shown) and the licence's own words (4,000 are read): 24,000 characters in all. A description
is cut where captions are made and stands in no table: its limit is that of the readers of tables.
"""

from __future__ import annotations

from sao_data.ids import MOST_MEMBER
from sao_data.records import Recording
from sao_data.storage.delimited import MOST_CELL

_MOST_ITEMS = 10_000
MOST: dict[str, int] = {  # characters, of each item where there are several
    "title": 2_000,
    "author": 2_000,
    "author_id": 200,
    "author_url": 8_000,
    "page_url": 8_000,
    "audio_url": 8_000,
    "license_claim": 16_000,
    "license_url": 8_000,
    "ai_preference": 4_000,
    "description": MOST_CELL,
    "tags": 2_000,
    "genres": 2_000,
    "album": 2_000,
    "year": 200,
    "copyright_notice": 6_000,
    "requested_credit": 6_000,
    "earlier_changes": 2_000,
    "from_tags": 17_000,  # a claim, and which tag it stood in
    "category": 200,
    "md5": 200,
    "sha256": 200,
    "retrieved_at": 200,
}


def problem(recording: Recording) -> str:
    """The first text that is too long, with its length and the limit; '' if none is."""
    spare = MOST_MEMBER - len(f"{recording.id}.flac")  # a sample's name is as long
    if spare < 0:
        return f"id: {-spare} characters too long for a name in a shard; shorten the source's name or the id"
    for name, most in MOST.items():
        said = getattr(recording, name)
        if isinstance(said, tuple) and len(said) > _MOST_ITEMS:
            return f"{name}: {len(said):,} items; at most {_MOST_ITEMS:,} are read"
        longest = len(said) if isinstance(said, str) else max(map(len, said), default=0)
        if longest > most:
            return f"{name}: {longest:,} characters; at most {most:,} are read"
    return ""
