"""Reading one Freesound sound object, wherever it came from: a stored listing or the API itself.

People: `author_id` is the bare number that Freesound gives a user. Names change (up to three times), the
number does not. No field states it; the names of the sound's own preview files do
(https://cdn.freesound.org/previews/123/123456_77-hq.mp3: user 77), and nothing else is asked. '' = unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from sao_data.records import MediaFacts, Recording
from sao_data.sources._common import cells, preference, rows
from sao_data.sources._common.cells import Remarks

TYPES = ("wav", "ogg", "aiff", "aif", "mp3", "flac", "m4a", "wv")  # the closed set; aiff also stands for .aif
CDN = "https://cdn.freesound.org/"

# our field: the API's
_LOOKED_AT = {
    "title": "name", "author": "username", "description": "description", "tags": "tags", "album": "pack_name",
    "category": "category_code",
}  # fmt: skip
_MD5 = re.compile(r"[0-9a-f]{32}")
_SITE = re.compile(r"https?://(?:cdn\.|www\.)?freesound\.org/(?:data/)?")
_PREVIEW = re.compile(r"previews/[0-9]+/(?P<sound>[0-9]+)_(?P<user>[0-9]{1,18})-(?P<kind>[hl]q\.(?:mp3|ogg))")


def sound_id(row: rows.Row) -> str:
    """The sound's number (123.0 is 123), '' = it has none."""
    cell = row.get("id")
    said = cells.text(cell, "id") if isinstance(cell, int | float) else ""
    return said if said.isdecimal() and 0 < int(said) < 2**63 else ""


def id_problem(row: rows.Row) -> str:
    """Why this object has no usable id; '' if it has one."""
    return "" if sound_id(row) else f"id {str(row.get('id'))[:80]!r} is no integer > 0"


def type_problem(row: rows.Row) -> str:
    """Why its file type is none of Freesound's (it would become part of a path); '' if it is one, or none."""
    kind = row.get("type")
    kind = "" if cells.is_nothing(kind, "type") else kind
    return f"type {str(kind)[:80]!r} is not one of {' '.join(TYPES)}" if kind and kind not in TYPES else ""


def recording_of(
    row: rows.Row,
    evidence: str,
    *,
    retrieved_at: str,
    audio_url: str = "",
    cdn: str = CDN,
    tally: Remarks | None = None,
) -> Recording:
    """What the object says; `evidence` is the raw text it stands in."""
    note = (tally or Remarks()).note_word
    for key, name in _LOOKED_AT.items():
        note(name, row.get(name), key)
    number, username = sound_id(row), _said(row, "author")
    claim, url = rows.split_licence(rows.text(row, "license"))
    md5 = rows.text(row, "md5").lower()
    return Recording(
        id=f"freesound:{number}",
        source="freesound",
        title=_said(row, "title"),
        author=username,
        author_id=_user_id(row, cdn),
        author_url=f"https://freesound.org/people/{quote(username, safe='', errors='replace')}/"
        if username
        else "",
        page_url=f"https://freesound.org/s/{number}/",  # outlives renamed users, unlike `url`
        audio_url=audio_url,
        license_claim=claim,
        license_url=url,
        ai_preference=preference.stated(row),
        description=_said(row, "description"),
        tags=cells.items(row.get("tags"), "tags", " "),
        album=_said(row, "album"),
        category=_said(row, "category"),
        is_explicit=cells.flag(row.get("is_explicit")),
        is_remix=cells.flag(row.get("is_remix")),
        media=_media(row),
        md5=md5 if _MD5.fullmatch(md5) else "",
        retrieved_at=retrieved_at,
        evidence=rows.sha256_of(evidence),
    )


def preview_url(row: rows.Row, cdn: str = CDN) -> str:
    """Where the best preview lies (Ogg before MP3), put together from what its own URL names; '' = none."""
    number, users = sound_id(row), {m["kind"]: m["user"] for m in _own_previews(row, cdn)}
    kind = next((kind for kind in ("hq.ogg", "hq.mp3") if kind in users), "")
    return f"{cdn}previews/{int(number) // 1000}/{number}_{users[kind]}-{kind}" if kind else ""


def _said(row: rows.Row, key: str) -> str:
    return cells.text(row.get(_LOOKED_AT[key]), key)


def _user_id(row: rows.Row, cdn: str) -> str:
    """The uploader's number, if the sound's own previews name one and no other."""
    users = {match["user"] for match in _own_previews(row, cdn)}
    return users.pop() if len(users) == 1 else ""


def _own_previews(row: rows.Row, cdn: str) -> Iterator[re.Match[str]]:
    """URLs are strangers' words: what is of another shape, host or sound is none."""
    stated = row.get("previews")
    for url in stated.values() if isinstance(stated, dict) else ():
        if not isinstance(url, str):
            continue
        site = _SITE.match(url)
        start = len(cdn) if url.startswith(cdn) else site.end() if site else -1
        match = _PREVIEW.fullmatch(url, start) if start >= 0 else None
        if match and match["sound"] == sound_id(row):
            yield match


def _media(row: rows.Row) -> MediaFacts:
    return MediaFacts(
        container=cells.text(row.get("type"), "type"),
        num_bytes=rows.whole(row, "filesize"),
        seconds=rows.real(row, "duration"),
        sample_rate=rows.whole(row, "samplerate"),
        num_channels=rows.whole(row, "channels"),
    )
