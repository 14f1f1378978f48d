"""What is screened, by whom, and what a hit leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sao_data.config import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """Search for copyrighted music. The AcoustID key is not here: it is a secret (ACOUSTID_KEY)."""

    provider: Literal["off", "dry-run", "acoustid", "catalogue"] = (
        "dry-run"  # who is asked. dry-run: nobody, but what AcoustID would get is listed; catalogue: a CSV
    )
    tagger: str = "ast_audioset"  # the embedder that tells music from other sound
    model: str = ""  # the tagger's weights, a hub id; '' = its own default
    folder: Location = ""  # a folder with the tagger's weights; '' = the local hub cache
    revision: str = ""  # of the weights; '' = the tagger's own default
    device: Literal["cpu", "auto"] = "cpu"  # where the tagger runs; auto: a GPU where there is one
    min_probability: float = 0.15  # of a music class, for a window to count as music (paper 2.2)
    min_seconds: float = 30.0  # of music, for a recording to be looked up (paper 2.2)
    singing: bool = False  # does AudioSet's "Singing" count as music too? The ontology says: voice
    on_hit: Literal["review", "drop"] = "review"  # a person decides, or the recording is dropped
    catalogue: Location = ""  # provider "catalogue": a CSV file with title and artist columns
    min_score: float = 0.85  # provider "catalogue": likeness of title and artist, 0 to 1
    acoustid_url: str = "https://api.acoustid.org/v2/lookup"  # provider "acoustid": its lookup address
    min_acoustid_score: float = 0.5  # provider "acoustid": likeness of fingerprints, 0 to 1

    @property
    def needs_tagger(self) -> bool:
        """Does a work have to be found to be music first? Titles can be compared without that."""
        return self.provider in ("dry-run", "acoustid")
