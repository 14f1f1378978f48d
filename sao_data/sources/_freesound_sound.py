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
from sao_data.sources import _preference, _rows

TYPES = ("wav", "ogg", "aiff", "aif", "mp3", "flac", "m4a", "wv")  # the closed set; aiff also stands for .aif
CDN = "https://cdn.freesound.org/"

_MD5 = re.compile(r"[0-9a-f]{32}")
_SITE = re.compile(r"https?://(?:cdn\.|www\.)?freesound\.org/(?:data/)?")
_PREVIEW = re.compile(r"previews/[0-9]+/(?P<sound>[0-9]+)_(?P<user>[0-9]{1,18})-(?P<kind>[hl]q\.(?:mp3|ogg))")


def id_problem(row: _rows.Row) -> str:
    """Why this object has no usable id; '' if it has one."""
    sound_id = row.get("id")
    if isinstance(sound_id, bool) or not isinstance(sound_id, int) or not 0 < sound_id < 2**63:
        return f"id {str(sound_id)[:80]!r} is no integer > 0"
    return ""


def type_problem(row: _rows.Row) -> str:
    """Why its file type is none of Freesound's (it would become part of a path); '' if it is one, or none."""
    kind = row.get("type")
    return f"type {str(kind)[:80]!r} is not one of {' '.join(TYPES)}" if kind and kind not in TYPES else ""


def recording_of(
    row: _rows.Row, evidence: str, *, retrieved_at: str, audio_url: str = "", cdn: str = CDN
) -> Recording:
    """What the object says; `evidence` is the raw text it stands in."""
    sound_id, username = _rows.text(row, "id"), _rows.text(row, "username")
    claim, url = _rows.split_licence(_rows.text(row, "license"))
    md5 = _rows.text(row, "md5").lower()
    return Recording(
        id=f"freesound:{sound_id}",
        source="freesound",
        title=_rows.text(row, "name"),
        author=username,
        author_id=_user_id(row, cdn),
        author_url=f"https://freesound.org/people/{quote(username, safe='', errors='replace')}/"
        if username
        else "",
        page_url=f"https://freesound.org/s/{sound_id}/",  # outlives renamed users, unlike `url`
        audio_url=audio_url,
        license_claim=claim,
        license_url=url,
        ai_preference=_preference.stated(row),
        description=_rows.text(row, "description"),
        tags=_rows.texts(row, "tags", separators=" "),
        album=_rows.text(row, "pack_name"),
        category=_rows.text(row, "category_code"),
        is_explicit=row.get("is_explicit") is True,
        is_remix=row.get("is_remix") is True,
        media=_media(row),
        md5=md5 if _MD5.fullmatch(md5) else "",
        retrieved_at=retrieved_at,
        evidence=_rows.sha256_of(evidence),
    )


def preview_url(row: _rows.Row, cdn: str = CDN) -> str:
    """Where the best preview lies (Ogg before MP3), put together from what its own URL names; '' = none."""
    sound_id, users = _rows.text(row, "id"), {m["kind"]: m["user"] for m in _own_previews(row, cdn)}
    kind = next((kind for kind in ("hq.ogg", "hq.mp3") if kind in users), "")
    return f"{cdn}previews/{int(sound_id) // 1000}/{sound_id}_{users[kind]}-{kind}" if kind else ""


def _user_id(row: _rows.Row, cdn: str) -> str:
    """The uploader's number, if the sound's own previews name one and no other."""
    users = {match["user"] for match in _own_previews(row, cdn)}
    return users.pop() if len(users) == 1 else ""


def _own_previews(row: _rows.Row, cdn: str) -> Iterator[re.Match[str]]:
    """URLs are strangers' words: what is of another shape, host or sound is none."""
    stated = row.get("previews")
    for url in stated.values() if isinstance(stated, dict) else ():
        if not isinstance(url, str):
            continue
        site = _SITE.match(url)
        start = len(cdn) if url.startswith(cdn) else site.end() if site else -1
        match = _PREVIEW.fullmatch(url, start) if start >= 0 else None
        if match and match["sound"] == _rows.text(row, "id"):
            yield match


def _media(row: _rows.Row) -> MediaFacts:
    return MediaFacts(
        container=_rows.text(row, "type"),
        num_bytes=_rows.whole(row, "filesize"),
        seconds=_rows.real(row, "duration"),
        sample_rate=_rows.whole(row, "samplerate"),
        num_channels=_rows.whole(row, "channels"),
    )
