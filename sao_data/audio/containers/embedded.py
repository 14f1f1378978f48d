"""A file's own tags about rights: licence, copyright and artist, from whatever formats of tags it has.

Read with our own bounded readers, not with a decoder's library: a mebibyte of each tag and so many items
are looked at, and nothing that a tag holds can raise, or cost the file its audio.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Literal

from sao_data.audio.containers import id3, tagblocks
from sao_data.audio.containers.around import tag_offsets
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.containers.id3 import Pair
from sao_data.embedded_tag import EmbeddedTag

MOST_CHARS = 500  # of one tag; a licence's name or deed has fewer
_MOST_TAGS = 16  # kept of one file
_MOST_PAIRS = 20_000

_KINDS: dict[str, Literal["license", "copyright", "author"]] = {
    **dict.fromkeys((
        "license", "licence", "license_url", "licenseurl", "license-url", "rights-uri", "terms_of_use",
        "wcop", "cc:license", "xmprights:usageterms", "xmprights:webstatement", "wm/licenseurl",
    ), "license"),
    **dict.fromkeys((
        "copyright", "tcop", "icop", "(c)", "cprt", "\xa9cpy", "rights", "dc:rights", "wm/copyright",
        "copyright message", "copyright_message",
    ), "copyright"),
    **dict.fromkeys((
        "artist", "tpe1", "perf", "iart", "auth", "author", "\xa9art", "dc:creator", "wm/author",
    ), "author"),
}  # fmt: skip
_READERS: dict[str, Callable[[Guarded], Iterator[Pair]]] = {
    "flac": tagblocks.flac, "ogg": tagblocks.ogg, "wav": tagblocks.riff, "w64": tagblocks.w64,
    "aiff": tagblocks.aiff, "caf": tagblocks.caf, "mp4": tagblocks.mp4, "asf": tagblocks.asf,
    "matroska": tagblocks.matroska, "dsf": tagblocks.dsf,
}  # fmt: skip


def tags_of(file: Guarded, container: str) -> tuple[EmbeddedTag, ...]:
    """The tags of a file about rights, each once, in the order in which they stand."""
    found: dict[EmbeddedTag, None] = {}
    for name, text in itertools.islice(_pairs(file, container), _MOST_PAIRS):
        kind = _KINDS.get(name.partition(" ")[2].removeprefix("TXXX ").casefold())
        clean = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MOST_CHARS]).split())
        if kind and clean and len(found) < _MOST_TAGS:
            found[EmbeddedTag(kind=kind, name=name, text=clean[:MOST_CHARS])] = None
    return tuple(found)


def _pairs(file: Guarded, container: str) -> Iterator[Pair]:
    """Everything that any tag says, the container's own first."""
    file.start = file.num_hidden = 0
    offsets, end = tag_offsets(file)
    if container in _READERS:
        file.start = end
        yield from _READERS[container](file)
        file.start = 0
    for at in offsets:
        yield from id3.version_2(file, at)
    yield from tagblocks.ape(file)
    yield from tagblocks.xmp(file)
    yield from id3.version_1(file)
