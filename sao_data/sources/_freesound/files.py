"""A sound's bytes: the original by login, or the better preview without login; checked before they count.

Originals: size and md5 as the API states them; after a mismatch the file is fetched once more from its first
byte. Previews have no checksum: the container must be audio, and the CRC of every Ogg page right.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from sao_data.audio.containers import oggpages, sniff
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.rejected import AudioRejected
from sao_data.fetch.remote import Fetched
from sao_data.plugins import DamagedFile
from sao_data.records import Recording, Rendition
from sao_data.sources._freesound.search import Api
from sao_data.sources._freesound.sound import TYPES

_ID = re.compile(r"freesound:([1-9][0-9]{0,18})")
_MOST = 1 << 40  # bytes; how large a file may be is not decided here
_ATTEMPTS = 2


def fetch(web: Api, recording: Recording, partial: Path, rendition: Rendition) -> Fetched:
    """Fetch to `partial`, going on from what is there. FileNotFoundError and DamagedFile are facts, other
    OSErrors are transient."""
    match = _ID.fullmatch(recording.id)
    if match is None:
        raise FileNotFoundError(f"freesound: {recording.id[:80]!r} is no id of Freesound")
    problem = ""
    for _ in range(_ATTEMPTS):
        if rendition == "original":
            size = recording.media.num_bytes
            web.download(f"sounds/{match[1]}/download/", partial, expected_bytes=size, auth="oauth")
            problem = _unlike_stated(recording, partial)
        else:
            if not recording.audio_url:
                raise FileNotFoundError(f"freesound: {recording.id} states no preview of its own")
            web.download(recording.audio_url, partial, expected_bytes=None, auth="none")
            problem = _unlike_audio(partial)
        if not problem:
            return Fetched(rendition=rendition, suffix=_suffix(recording, rendition))
        partial.unlink()
    raise DamagedFile(f"freesound: {recording.id}: {problem}")


def _unlike_stated(recording: Recording, path: Path) -> str:
    """How the file differs from what the API states of it."""
    size = path.stat().st_size
    if recording.media.num_bytes not in (None, size):
        return f"{size} bytes where {recording.media.num_bytes} were stated"
    if not recording.md5:
        return _unlike_audio(path)
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return "" if md5 == recording.md5 else f"md5 {md5} is not the stated {recording.md5}"


def _unlike_audio(path: Path) -> str:
    """Why this is no sound file at all, or one that was damaged on the way, as far as that can be told."""
    with path.open("rb") as file:
        guarded = Guarded(file)
        try:
            container = sniff.container_of(guarded, _MOST)
        except AudioRejected as error:
            guarded.check()
            return str(error)
        pages = oggpages.scan(guarded) if container == "ogg" else None
        guarded.check()
    return (
        f"{pages.num_damaged} of {pages.num_pages} Ogg pages are damaged"
        if pages and pages.num_damaged
        else ""
    )


def _suffix(recording: Recording, rendition: Rendition) -> str:
    kind = recording.media.container if rendition == "original" else recording.audio_url.rpartition(".")[2]
    return f".{kind}" if kind in TYPES else ""
