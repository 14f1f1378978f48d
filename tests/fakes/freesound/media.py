"""Files: originals, packs, and what the CDN host serves without asking who wants it."""

from __future__ import annotations

import io
import re
import zipfile
from urllib.parse import urlencode

from tests.fakes.freesound import chance, reply, resources, vocabulary
from tests.fakes.freesound.objects import preview_names, slug
from tests.fakes.freesound.reply import ApiError, Reply
from tests.fakes.freesound.state import Call
from tests.fakes.freesound.things import Sound, file_bytes

LINK_SECONDS = 3600
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def download(call: Call) -> Reply:
    """sounds/ID/download/: the original, or a redirect to it."""
    sound = call.state.world.sound(int(call.groups[0]))
    data = file_bytes(sound) if sound is not None else None
    if sound is None or data is None:
        raise ApiError(404, "Not found")
    if call.state.quirks.redirect_downloads or (call.rule and call.rule.kind == "redirect_cdn"):
        return reply.redirect(_signed(call, sound))
    return _file(call, data, _attachment(file_name(call, sound)))


def download_pack(call: Call) -> Reply:
    """packs/ID/download/: a zip; sounds whose file is lost are silently missing."""
    pack = resources.find_pack(call)
    sounds = resources.pack_rows(call, pack)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("_readme_and_license.txt"), _readme(call, sounds))
        for sound in sounds:
            data = file_bytes(sound)
            if data is not None:
                archive.writestr(zipfile.ZipInfo(file_name(call, sound)), data)
    user = slug(call.state.world.user(pack.user_id).name)
    return _file(call, packed.getvalue(), _attachment(f"{pack.id}__{user}__{slug(pack.name)}.zip"))


def cdn_original(call: Call) -> Reply:
    """/sounds/K/ID.TYPE on the CDN: good for an hour, for whoever has the link."""
    sound = call.state.world.sound(int(call.groups[1]))
    data = file_bytes(sound) if sound is not None else None
    if sound is None or data is None:
        return reply.html(404, "404 Not Found", "nginx")
    expires = call.params.get("expires", "0")
    if call.params.get("md5") != _signature(sound.id, expires):
        return reply.html(403, "403 Forbidden", "nginx")
    if float(expires) < call.now:
        return reply.html(410, "410 Gone", "nginx")
    return _file(call, data, _attachment(file_name(call, sound)))


def preview(call: Call) -> Reply:
    """/previews/…: the file name has the owner's id. Without an encoder it is the original's bytes."""
    sound = call.state.world.sound(int(call.groups[1]))
    data = file_bytes(sound) if sound is not None else None
    if sound is None or data is None or call.path not in preview_names(sound).values():
        return reply.html(404, "404 Not Found", "nginx")
    kind = f"{call.groups[3]}-{call.groups[4]}"
    if call.state.encode_preview is not None:
        data = call.state.encode_preview(sound, data, kind)
    mime = "audio/mpeg" if call.groups[4] == "mp3" else "audio/ogg"
    return _file(call, data, {"Content-Type": mime})


def file_name(call: Call, sound: Sound) -> str:
    """ID__USERSLUG__NAMESLUG.TYPE."""
    user = slug(call.state.world.user(sound.user_id).name)
    stem = sound.name.removesuffix("." + sound.type)
    return f"{sound.id}__{user}__{slug(stem)}.{slug(sound.type)}"


def _attachment(name: str) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{name}"',
    }


def _file(call: Call, data: bytes, headers: dict[str, str]) -> Reply:
    """The whole file, or the part a Range asks for where that is honoured."""
    tag = f'"{chance.number(data[:64], len(data), data[-64:]):016x}"'
    kind = headers["Content-Type"]
    if not call.state.quirks.ranges:
        return reply.make(200, kind, data, headers)
    headers = headers | {"Accept-Ranges": "bytes", "ETag": tag}
    match = _RANGE.fullmatch(call.headers.get("range", ""))
    if match is None or match.groups() == ("", "") or call.headers.get("if-range", tag) != tag:
        return reply.make(200, kind, data, headers)
    first, last = _bounds(match[1], match[2], len(data))
    if first >= len(data) or first > last:
        return reply.make(416, "text/html", b"", headers | {"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return reply.make(206, kind, data[first : last + 1], headers)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last or size), size - 1)


def _signed(call: Call, sound: Sound) -> str:
    expires = str(int(call.now) + LINK_SECONDS)
    query = {"md5": _signature(sound.id, expires), "expires": expires, "filename": file_name(call, sound)}
    return f"{call.state.cdn}/sounds/{sound.id // 1000}/{sound.id}.{sound.type}?{urlencode(query)}"


def _signature(sound_id: int, expires: str) -> str:
    return f"{chance.number('cdn', sound_id, expires):016x}"


def _readme(call: Call, sounds: list[Sound]) -> str:
    lines = ["Pack downloaded from Freesound", "", "Licenses in this pack:", ""]
    for sound in sounds:
        lines.append(f"* {file_name(call, sound)}: {vocabulary.LICENCES[sound.licence].deed()}")
    return "\n".join(lines) + "\n"
