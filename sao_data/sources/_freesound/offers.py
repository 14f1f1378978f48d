"""From a sound in an answer of the API to an Offer, and from the Offer's raw text back to the Recording.

The raw text is JSON: `sound` (the object, spelled canonically), `retrieved_at` and `request`, which is the
URL asked without its list of fields (that is the same for all, and as long as the rest).
"""

from __future__ import annotations

import re

from sao_data.records import Offer, Recording, Rejection
from sao_data.sources._common import rows
from sao_data.sources._common.cells import Remarks
from sao_data.sources._freesound.search import DUPLICATE, ResultPage
from sao_data.sources._freesound.sound import id_problem, preview_url, recording_of, sound_id, type_problem

_KEYS = {"sound", "retrieved_at", "request"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def offer(
    sound: rows.Row, page: ResultPage, cdn: str, download: str, tally: Remarks | None = None
) -> Offer | Rejection:
    """The sound as it stands on a page. `download`: where originals are ("…/sounds/{}/download/"), '' for
    previews."""
    own = rows.canonical_json(sound)
    if DUPLICATE in sound:
        detail = f"{_short(page.request)}: {sound[DUPLICATE]!r} stands there twice, or it is no object"
        return rows.reject_row("freesound", own.encode(), "bad_metadata", detail)
    if problem := id_problem(sound):
        return rows.reject_row("freesound", own.encode(), "bad_id", f"{_short(page.request)}: {problem}")
    if problem := type_problem(sound):
        return Rejection(
            id=f"freesound:{sound_id(sound)}", stage="list", reason="bad_type", detail=problem[:300]
        )
    said: rows.Row = {"sound": sound, "retrieved_at": page.retrieved_at, "request": _short(page.request)}
    raw = rows.canonical_json(said)
    return Offer(recording=_recording(sound, raw, page.retrieved_at, cdn, download, tally), raw=raw)


def recording(raw: str, cdn: str, download: str) -> Recording:
    """Read the raw text of an Offer; BadRow (a ValueError) if it is none."""
    said = rows.parse_object(raw.encode())
    sound, retrieved_at = said.get("sound"), said.get("retrieved_at")
    if said.keys() != _KEYS or not isinstance(sound, dict) or not isinstance(said["request"], str):
        raise rows.BadRow(f"want an object of {', '.join(sorted(_KEYS))}")
    if not isinstance(retrieved_at, str) or not _TIME.fullmatch(retrieved_at):
        raise rows.BadRow(f"retrieved_at {str(retrieved_at)[:40]!r} is no time like 2026-08-01T12:00:00Z")
    if problem := id_problem(sound) or type_problem(sound):
        raise rows.BadRow(problem)
    return _recording(sound, raw, retrieved_at, cdn, download)


def _recording(
    sound: rows.Row, raw: str, retrieved_at: str, cdn: str, download: str, tally: Remarks | None = None
) -> Recording:
    url = download.format(sound_id(sound)) if download else preview_url(sound, cdn)
    return recording_of(sound, raw, retrieved_at=retrieved_at, audio_url=url, cdn=cdn, tally=tally)


def _short(request: str) -> str:
    return re.sub(r"&fields=[^&]*", "", request)
