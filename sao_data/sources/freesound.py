"""Freesound, offline: a folder with `sounds.jsonl` (sound objects as APIv2 returns them) and `audio/ID.TYPE`.

Facts about the source, from its server code and documentation, checked 2026-07-30:

- Terms: https://freesound.org/help/tos_api/ (API: free for non-commercial use, else ask mtg@upf.edu; do not
  replicate Freesound; credit it and its users; one key per application). Sounds keep their own licences.
- Licences: CC0 1.0, BY 3.0 and 4.0, BY-NC 3.0 and 4.0, Sampling+ 1.0 (retired). The API gives the deed URL,
  data packs the name without a version. A licence may change later: the row kept as evidence is the proof.
- Generative-AI preference: `gen_ai_preference` (earlier `ai_preference`; `generative_ai_preference` in data
  packs), per uploader, since July 2026; a row without one is unknown (''), not permitted. Earlier names of
  its values are known to the licence parser; here they stay verbatim.
- People: `author_id` is the bare number that Freesound gives a user. Names change (up to three times), the
  number does not. No field states it; the names of the preview files do
  (https://cdn.freesound.org/previews/123/123456_77-hq.mp3: user 77), and nothing else is asked. '' = unknown.
- `category` is the code of the Broad Sound Taxonomy (`category_code`: "sp-s" is solo speech); it may be an
  estimate of the server's.
- Rate limits of the API: at level 1, 60 requests a minute and 2,000 a day, one per original. This plugin
  sends none.

A row is rejected as `bad_metadata` (no JSON object), `bad_id` (the id is no integer > 0) or `bad_type` (a
file type Freesound does not have; it would become part of a path). The API names no sources of remixes.
"""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from sao_data.config import Location
from sao_data.errors import UsageError
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources._common import cells, rows
from sao_data.sources._common.cells import Remarks
from sao_data.sources._freesound.sound import TYPES, id_problem, recording_of, sound_id, type_problem
from sao_data.storage import inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Where the listing and the audio lie."""

    path: Location
    listing: str = "sounds.jsonl"  # within path: one sound object a line, blank lines ignored
    audio: str = "audio/"  # within path


@dataclass(frozen=True, slots=True, kw_only=True)
class Freesound:
    """The Source over one such folder."""

    config: Config
    tally: Remarks = field(default_factory=Remarks, compare=False, repr=False)

    def check(self) -> None:
        """Raise UsageError unless the listing and the audio folder can be seen from this machine."""
        fix = "set source.path (or --set source.N.path=…) to a folder with sounds.jsonl and audio/"
        folder, listing, audio = self.config.path, self._at(self.config.listing), self._at(self.config.audio)
        if not inputs.is_folder(folder):
            raise UsageError(f"freesound: {folder}: no such folder; {fix}")
        if not inputs.is_file(listing):
            raise UsageError(f"freesound: {listing}: no such listing; {fix}")
        if not inputs.is_folder(audio):
            raise UsageError(f"freesound: {audio}: no such folder; {fix}")

    def offers(self) -> Iterator[Offer | Rejection]:
        """Every line of the listing, in its order."""
        self.check()
        self.tally.clear()
        present = frozenset(inputs.files_below(self._at(self.config.audio)))
        for number, raw in rows.numbered_lines(self._at(self.config.listing)):
            yield self._offer(number, raw, present)

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the rows once they are read."""
        return self.tally.sentences("freesound")

    def open(self, recording: Recording) -> BinaryIO:
        """Open audio/ID.TYPE."""
        return inputs.open_file(self._at(recording.audio_url))

    def _at(self, relative: str) -> str:
        return posixpath.join(self.config.path, relative).rstrip("/")

    def _offer(self, number: int, raw: bytes, present: frozenset[str]) -> Offer | Rejection:
        where = f"{self.config.listing}:{number}"
        try:
            row = rows.parse_object(raw)
        except rows.BadRow as error:
            return rows.reject_row("freesound", raw, "bad_metadata", f"{where}: {error}")
        if problem := id_problem(row):
            return rows.reject_row("freesound", raw, "bad_id", f"{where}: {problem}")
        if problem := type_problem(row):
            detail = f"{where}: {problem}"
            return Rejection(id=f"freesound:{sound_id(row)}", stage="list", reason="bad_type", detail=detail)
        verbatim = raw.decode("utf-8")
        name = _file_name(sound_id(row), cells.text(row.get("type"), "type"), present)
        audio_url, sha256 = posixpath.join(self.config.audio, name), self._sha256(name)
        stated = recording_of(
            row, verbatim, retrieved_at=cells.text(row.get("retrieved_at"), "retrieved_at"), tally=self.tally
        )
        return Offer(recording=dataclasses.replace(stated, audio_url=audio_url, sha256=sha256), raw=verbatim)

    def _sha256(self, name: str) -> str:
        """Of the file as it lies here, so that one replaced or added later is noticed; '' if absent."""
        path = self._at(posixpath.join(self.config.audio, name))
        return inputs.sha256(path) if inputs.is_file(path) else ""


def build(config: Config) -> Freesound:
    """Make the source."""
    return Freesound(config=config)


def recording(raw: str, config: Config) -> Recording:
    """Read a sound from its line of the listing alone (no audio_url, no sha256); ValueError if it is none."""
    row = rows.parse_object(raw.encode())
    if problem := id_problem(row) or type_problem(row):
        raise rows.BadRow(problem)
    return recording_of(row, raw, retrieved_at=cells.text(row.get("retrieved_at"), "retrieved_at"))


def _file_name(sound_id: str, kind: str, present: frozenset[str]) -> str:
    """ID.TYPE; with no type stated, or aiff written as aif, the file that is there."""
    kinds = {"": TYPES, "aiff": ("aiff", "aif"), "aif": ("aif", "aiff")}.get(kind, (kind,))
    candidates = [f"{sound_id}.{each}" for each in kinds]
    return next((name for name in candidates if name in present), candidates[0])
