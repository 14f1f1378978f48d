"""A file's own tags about rights: found in every format that has any, and harmless whatever they hold."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from sao_data.audio.containers.embedded import MOST_CHARS, tags_of
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.containers.sniff import container_of
from tests.audio.test_convert import decoded
from tests.made import RATE, encode, flac_bytes, mp3_bytes, muxed_bytes, noise, to_pcm, wav_bytes

TAGS = {"copyright": "(c) 2012 Ada", "artist": "Ada Lövelace", "LICENSE": "CC BY 4.0"}
AUDIO = noise(seed=1, seconds=0.2)

# Format, codec, and which of licence, copyright and author FFmpeg's muxer writes.
MUXED = [
    ("wav", "pcm_s16le", "ca"), ("mp3", "libmp3lame", "lca"), ("ogg", "libopus", "lca"),
    ("ogg", "flac", "lca"), ("flac", "flac", "lca"), ("mp4", "aac", "ca"), ("mov", "aac", "ca"),
    ("3gp", "aac", "ca"), ("ipod", "alac", "ca"), ("matroska", "flac", "lca"), ("webm", "libopus", "lca"),
    ("asf", "wmav2", "ca"), ("aiff", "pcm_s16be", "c"), ("caf", "pcm_s16be", "lca"),
    ("wv", "wavpack", "lca"), ("tta", "tta", "lca"),
]  # fmt: skip


def said(data: bytes) -> dict[str, str]:
    """The texts of a file's tags by kind, the first of each."""
    file = Guarded(io.BytesIO(data))
    found = tags_of(file, container_of(file, 1 << 30))
    return {tag.kind: tag.text for tag in reversed(found)}


@pytest.mark.parametrize(("container", "codec", "kinds"), MUXED)
def test_what_ffmpeg_writes(container: str, codec: str, kinds: str) -> None:
    rate = 48_000 if codec == "libopus" else RATE
    found = said(muxed_bytes(AUDIO, rate, container=container, codec=codec, tags=TAGS))
    texts = {"license": "CC BY 4.0", "copyright": "(c) 2012 Ada", "author": "Ada Lövelace"}
    assert found == {kind: text for kind, text in texts.items() if kind[0] in kinds}


@pytest.mark.parametrize("container", ["WAV", "RF64", "AIFF", "FLAC", "OGG", "CAF"])
def test_what_libsndfile_writes(container: str) -> None:
    import soundfile

    codec = "VORBIS" if container == "OGG" else "PCM_16"
    target = io.BytesIO()
    with soundfile.SoundFile(target, "w", RATE, 2, codec, format=container) as file:
        file.copyright, file.artist = "© 2012 Ada", "Ada"
        file.write(to_pcm(AUDIO))
    assert said(target.getvalue()) == {"copyright": "© 2012 Ada", "author": "Ada"}


def id3(frames: bytes, version: int = 4, flags: int = 0) -> bytes:
    return b"ID3" + bytes((version, 0, flags)) + syncsafe(len(frames)) + frames


def syncsafe(size: int) -> bytes:
    return bytes((size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127))


def frame(name: bytes, body: bytes, flags: int = 0, version: int = 4) -> bytes:
    if version == 2:
        return name + len(body).to_bytes(3, "big") + body
    size = syncsafe(len(body)) if version == 4 else len(body).to_bytes(4, "big")
    return name + size + flags.to_bytes(2, "big") + body


BOMB = zlib.compress(b"\0" + b"A" * 50_000_000)
LONG = b"\0" + b"x" * 200
BY = b"http://creativecommons.org/licenses/by/4.0/"
FFEA = b"\0\xff\xe0Ada"  # "ÿàAda" in Latin-1: unsynchronisation puts a zero behind the ff
ID3_TABLE = [
    (id3(frame(b"TCOP", b"\x03\xc2\xa9 Ada")), {"copyright": "© Ada"}),
    (id3(frame(b"TCOP", b"\0\xa9 Ada")), {"copyright": "© Ada"}),
    (id3(frame(b"TCOP", b"\x01" + "© Ada".encode("utf-16"))), {"copyright": "© Ada"}),
    (id3(frame(b"TCOP", b"\x02" + "© Ada".encode("utf-16-be"))), {"copyright": "© Ada"}),
    (id3(frame(b"WCOP", BY)), {"license": BY.decode()}),
    (id3(frame(b"TXXX", b"\x03License\0CC0")), {"license": "CC0"}),
    (id3(frame(b"TPE1", b"\x03Ada\0Bo")), {"author": "Ada"}),
    (id3(frame(b"TCR", b"\0(c) Ada", version=2), 2), {"copyright": "(c) Ada"}),
    (id3(frame(b"TCOP", b"\0(c) Ada" + bytes(300), version=3), 3), {"copyright": "(c) Ada"}),
    (id3(frame(b"TCOP", LONG, 0, 3) + frame(b"TPE1", b"\0A")), {"copyright": "x" * 200, "author": "A"}),
    (id3(frame(b"TPE1", FFEA.replace(b"\xff", b"\xff\0"), 2)), {"author": "ÿàAda"}),
    (id3(frame(b"TPE1", FFEA, version=3).replace(b"\xff", b"\xff\0"), 3, 0x80), {"author": "ÿàAda"}),
    (id3(struct.pack(">IHI", 6, 0, 0) + frame(b"TPE1", b"\0Ada", version=3), 3, 0x40), {"author": "Ada"}),
    (id3(frame(b"TPE1", struct.pack(">I", 4) + zlib.compress(b"\0Ada"), 0x80, 3), 3), {"author": "Ada"}),
    (id3(frame(b"TPE1", syncsafe(4) + zlib.compress(b"\0Ada"), 0x09)), {"author": "Ada"}),
    # hostile
    (id3(frame(b"TPE1", syncsafe(4) + BOMB, 9)), {"author": "A" * MOST_CHARS}),
    (id3(frame(b"TPE1", syncsafe(4) + b"no zip", 0x09)), {}),
    (id3(frame(b"TPE1", b"secret", 0x04)), {}),
    (id3(frame(b"TPE1", b"\x09Ada")), {}),
    (id3(frame(b"TPE1", b"")), {}),
    (id3(frame(b"TPE1", b"\x01\xff")), {"author": "\ufffd"}),
    (id3(b"TPE1" + b"\x7f\x7f\x7f\x7f\0\0\0Ada"), {"author": "Ada"}),
    (id3(frame(b"TCOP", b"\x03" + b"x" * (1 << 20))), {"copyright": "x" * MOST_CHARS}),
    (id3(frame(b"TCOP", b"\x03\x1b]0;pwned\x07 \x1b[31m(c)\0")), {"copyright": "]0;pwned [31m(c)"}),
    (id3(frame(b"TCOP", b"\x03<script>x</script>\xe2\x80\xae")), {"copyright": "<script>x</script>"}),
    (id3(frame(b"TIT2", b"\0x") * 100_000 + frame(b"TCOP", b"\0late")), {}),
    (id3(frame(b"CHAP", b"a\0" + bytes(16) + frame(b"TPE1", b"\0nested"))), {}),
    (id3(b"\0" * 500), {}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ID3_TABLE)))
def test_id3_of_every_version_and_its_wrong_uses(number: int) -> None:
    tag, expected = ID3_TABLE[number]
    data = wav_bytes(AUDIO)
    assert said(tag + data) == expected
    assert np.array_equal(decoded(tag + data)[1], decoded(data)[1])


def comments(*items: bytes, count: int | None = None) -> bytes:
    body = b"".join(len(item).to_bytes(4, "little") + item for item in items)
    return bytes(4) + (len(items) if count is None else count).to_bytes(4, "little") + body


def with_comments(block: bytes) -> bytes:
    """A FLAC file whose Vorbis comment is this block."""
    data = flac_bytes(AUDIO)
    head = b"\x04" + len(block).to_bytes(3, "big")
    return data[:42].replace(b"fLaC\x80", b"fLaC\0") + head + block + b"\x81\0\0\0" + data[_audio(data) :]


def _audio(data: bytes) -> int:
    at = 4
    while True:
        last, size = data[at] & 0x80, int.from_bytes(data[at + 1 : at + 4], "big")
        at += 4 + size
        if last:
            return at


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (comments(b"ARTIST=Ada", b"license=CC0"), {"author": "Ada", "license": "CC0"}),
        (comments(b"ARTIST=Ada", count=2**32 - 1), {"author": "Ada"}),
        (comments(*[b"TITLE=x"] * 100_000, b"ARTIST=Ada"), {}),
        (comments(b"ARTIST=" + b"A" * (1 << 20)), {"author": "A" * MOST_CHARS}),
        (comments(b"ARTIST=\xff\xfe\x80"), {"author": "\ufffd\ufffd\ufffd"}),
        (comments(b"ARTIST"), {}),
        (comments(b"=Ada"), {}),
        (b"\xff" * 4, {}),
        (b"", {}),
        (bytes(4) + b"\1\0\0\0\xff\xff\xff\xffARTIST=Ada", {"author": "Ada"}),
    ],
)  # fmt: skip
def test_vorbis_comments_and_their_wrong_uses(block: bytes, expected: dict[str, str]) -> None:
    data = with_comments(block)
    assert said(data) == expected
    assert np.array_equal(decoded(data)[1], to_pcm(AUDIO))


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmpRights:WebStatement="%s">'
    b"<dc:rights><rdf:Alt><rdf:li xml:lang='x'>&#169; 2012 Ada</rdf:li></rdf:Alt></dc:rights>"
    b"<dc:creator><rdf:Seq><rdf:li>Ada</rdf:li></rdf:Seq></dc:creator></rdf:Description></rdf:RDF>" % BY
)


def chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + bytes(len(body) & 1)


W64_LIST = b"list" + bytes.fromhex("2f91cf11a5d628db04c10000")


def _w64(info: bytes) -> bytes:
    body = W64_LIST + (24 + len(info)).to_bytes(8, "little") + info
    return encode(AUDIO, container="W64", codec="PCM_16") + body + bytes(-len(body) % 8)


def _ape(*items: tuple[bytes, bytes]) -> bytes:
    body = b"".join(len(text).to_bytes(4, "little") + bytes(4) + key + b"\0" + text for key, text in items)
    return body + b"APETAGEX" + struct.pack("<IIII", 2_000, len(body) + 32, len(items), 0) + bytes(8)


INFO = b"INFO" + chunk(b"ICOP", b"(c) Ada\0") + chunk(b"IART", b"Ada")
RIGHTS = {"copyright": "(c) Ada", "author": "Ada"}
XMP_SAID = {"license": BY.decode(), "copyright": "© 2012 Ada", "author": "Ada"}
OTHERS: list[tuple[Callable[[], bytes], dict[str, str]]] = [
    (lambda: wav_bytes(AUDIO) + chunk(b"LIST", INFO), RIGHTS),
    (lambda: _w64(INFO), RIGHTS),
    (lambda: wav_bytes(AUDIO) + chunk(b"id3 ", id3(frame(b"TPE1", b"\0Ada"))), {"author": "Ada"}),
    (lambda: wav_bytes(AUDIO) + chunk(b"LIST", b"INFOICOP\xff\xff\xff\xffx"), {"copyright": "x"}),
    (lambda: mp3_bytes(AUDIO) + _ape((b"Copyright", b"(c) Ada"), (b"Artist", b"Ada")), RIGHTS),
    (lambda: mp3_bytes(AUDIO) + _ape((b"Artist", b"Ada")) + b"TAG" + bytes(125), {"author": "Ada"}),
    (lambda: mp3_bytes(AUDIO) + b"TAG" + bytes(30) + b"Ada".ljust(95, b"\0"), {"author": "Ada"}),
    (lambda: wav_bytes(AUDIO) + chunk(b"_PMX", XMP), XMP_SAID),
    (lambda: wav_bytes(AUDIO) + chunk(b"_PMX", b"<x:xmpmeta>" + b"<dc:rights>" * 50_000), {}),
    (lambda: wav_bytes(AUDIO) + chunk(b"_PMX", b'<rdf:RDF dc:rights="" dc:creator="A">'), {"author": "A"}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(OTHERS)))
def test_other_places_of_tags(number: int) -> None:
    made, expected = OTHERS[number]
    assert said(made()) == expected
    assert decoded(made())[0].num_frames == len(AUDIO)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_tags_raise_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for container, codec, _ in MUXED:
        rate = 48_000 if codec == "libopus" else RATE
        data = bytearray(muxed_bytes(AUDIO, rate, container=container, codec=codec, tags=TAGS))
        file = Guarded(io.BytesIO(bytes(data)))
        name = container_of(file, 1 << 30)
        for _ in range(60):
            for at in rng.integers(0, min(len(data), 4_000), 8):
                data[at if rng.random() < 0.7 else -at - 1] = rng.integers(256)
            tags_of(Guarded(io.BytesIO(bytes(data))), name)
