"""The values of the screening: frozen, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["sent", "would_be_sent", "looked_up_locally", "impossible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """How much of a recording is music."""

    recording_id: str
    seconds_tagged: float  # 0.01 s
    music_seconds: float  # of windows whose best music class reaches the threshold, 0.01 s
    top_class: str  # the likeliest music class of any window, whether it reaches the threshold or not
    top_probability: float  # 0.001
    audio_sha256: str = ""  # of the normalised audio that was tagged


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicWork:
    """What a provider can be asked about."""

    recording_id: str
    title: str
    author: str
    seconds: int  # of the whole recording
    fingerprint: str  # Chromaprint, encoded; '' = it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A known work that a recording resembles."""

    title: str  # '' = the provider knows the sound but not its name
    artist: str
    score: float  # 0 to 1, 0.001
    reference: str  # the provider's name for it: MusicBrainz or AcoustID id, "row 12" of a catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One line of the audit: what was asked of whom about one recording, and what came back."""

    recording_id: str  # id in the catalogue of the dataset
    provider: str  # "acoustid", "catalogue" or "dry-run"
    host: str  # to which it went, or would go; '' = to none
    what: str  # the exact text that was sent (or would be), without the key
    status: Status  # impossible: there was nothing to ask with, or the provider refused it
    response_sha256: str  # of the stored response; of the catalogue's file; '' = none
    num_hits: int  # known works it resembles; of a catalogue five at most
    best: str  # "title — artist" of the best hit
    score: float  # of the best hit; 0 = no hit
    reference: str  # of the best hit
    note: str  # why it was impossible
