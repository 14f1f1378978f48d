"""The demo's source: recordings made from theory on the spot, with every licence, wish and flaw there is.

`count` recordings: the 48 works of _synthetic/works.py, then variations of them (transposed, longer or
shorter, another seed) in the same mixture. Everything follows from the id, so every run and every node makes
the same bytes. A recording is rendered when it is opened, not when it is listed. Authors, pages and dates are
invented; nothing is fetched, so there are no terms of use and no rate limits. The sounds themselves are free
for any use.
"""

from __future__ import annotations

import dataclasses
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soundfile

from sao_data.errors import UsageError
from sao_data.ids import id_hash
from sao_data.records import MediaFacts, Offer, Recording, Rejection
from sao_data.sources._common import rows
from sao_data.sources._synthetic.voices import Samples
from sao_data.sources._synthetic.works import WORKS, Form, Made

RETRIEVED_AT = "2026-01-01T00:00:00Z"  # the catalogue's invented date: the same on every run

_SUBTYPES: dict[Form, tuple[str, str]] = {  # libsndfile's format and subtype; no float: it stamps the time
    "wav": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "flac": ("FLAC", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
_FLAC_HEADER = 512  # bytes that a corrupt file keeps: enough to look like FLAC, and to begin decoding
_INDEX = {work.name: index for index, work in enumerate(WORKS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How much is made."""

    count: int = 48
    seconds: float = 1.0  # times the length of every recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    """The Source."""

    config: Config

    def check(self) -> None:
        """Every machine can see this source."""

    def offers(self) -> Iterator[Offer | Rejection]:
        """Recordings 1 to `count`."""
        for number in range(1, self.config.count + 1):
            yield _offer(_item(number, self.config.seconds))

    def open(self, recording: Recording) -> BinaryIO:
        """Render the recording."""
        own = recording.id.removeprefix("synthetic:")
        if not own.isdigit() or not 0 < int(own) <= self.config.count:
            raise FileNotFoundError(f"{recording.id}: not one of the {self.config.count} made here")
        return io.BytesIO(render(_item(int(own), self.config.seconds)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One recording to be: what its uploader says, what it sounds like, and how this variation differs."""

    number: int
    variation: int  # 0 = the work itself
    work: Made
    sound: Made  # the work itself, but for a duplicate: the work it repeats
    sound_id: str  # id that all randomness of the sound follows from
    num_frames: int  # at the sound's rate
    transpose: float  # semitones


def build(config: Config) -> Synthetic:
    """Make the source; UsageError for amounts that make nothing."""
    if config.count < 1 or not 0 < config.seconds <= 600:
        raise UsageError(
            f"source synthetic: count {config.count}, seconds {config.seconds:g}: "
            "want a count of at least 1 and a length factor above 0, at most 600"
        )
    return Synthetic(config=config)


def recording(raw: str, config: Config) -> Recording:
    """Read a recording from its row alone (no audio_url); ValueError if it has no number."""
    row = rows.parse_object(raw.encode())
    number = rows.whole(row, "id")
    if not number or "preference" not in row:
        raise rows.BadRow("no row of this source: it lacks a number as id, or the preference")
    return _recording(row, number, raw)


def render(item: Item) -> bytes:
    """The file of an item."""
    work = item.sound
    rng = np.random.default_rng(int.from_bytes(id_hash(item.sound_id), "big"))
    pitches = tuple(pitch + item.transpose for pitch in work.pitches)
    x_N = _finish(work.voice(rng, item.num_frames, work.rate, pitches), work)
    encoded = _encode(_spread(x_N, work.channels, work.rate), work)
    if work.flaw == "corrupt":
        return encoded[:_FLAC_HEADER] + rng.bytes(max(len(encoded) - _FLAC_HEADER, 0))
    return encoded


def _item(number: int, scale: float) -> Item:
    variation, index = divmod(number - 1, len(WORKS))
    work = WORKS[index]
    sound_number = variation * len(WORKS) + _INDEX[work.copy_of or work.name] + 1
    sound = WORKS[(sound_number - 1) % len(WORKS)]
    # A second generator, so that the sound of a work does not depend on how variations are drawn.
    rng = np.random.default_rng([sound_number, variation])
    stretch, transpose = (rng.uniform(0.85, 1.15), rng.uniform(-5, 5)) if variation else (1.0, 0.0)
    return Item(
        number=number,
        variation=variation,
        work=work,
        sound=sound,
        sound_id=_id(sound_number),
        num_frames=max(round(sound.seconds * scale * stretch * sound.rate), 64),
        transpose=transpose,
    )


def _id(number: int) -> str:
    return f"synthetic:{number:04d}"


def _offer(item: Item) -> Offer:
    work, sound = item.work, item.sound
    claim, url = work.licence
    container = sound.form.removesuffix("24")
    row: rows.Row = {
        "author": work.author,
        "channels": sound.channels,
        "description": work.text,
        "duration": round(item.num_frames / sound.rate, 6),
        "id": item.number,
        "license": claim,
        "license_url": url,
        "name": _title(item),
        "preference": work.wish,
        "retrieved_at": RETRIEVED_AT,
        "samplerate": sound.rate,
        "tags": list(work.tags),
        "type": container,
    }
    raw = rows.canonical_json(row)
    audio_url = f"{item.number:04d}-{work.name}.{container}"
    return Offer(
        recording=dataclasses.replace(_recording(row, item.number, raw), audio_url=audio_url), raw=raw
    )


def _recording(row: rows.Row, number: int, raw: str) -> Recording:
    author_id = _slug(rows.text(row, "author"))
    return Recording(
        id=_id(number),
        source="synthetic",
        title=rows.text(row, "name"),
        author=rows.text(row, "author"),
        author_id=author_id,
        author_url=f"https://example.org/people/{author_id}/" if author_id else "",
        page_url=f"https://example.org/sounds/{number:04d}",
        license_claim=rows.text(row, "license"),
        license_url=rows.text(row, "license_url"),
        ai_preference=rows.text(row, "preference"),
        description=rows.text(row, "description"),
        tags=rows.texts(row, "tags", separators=","),
        media=MediaFacts(
            container=rows.text(row, "type"),
            seconds=rows.real(row, "duration"),
            sample_rate=rows.whole(row, "samplerate"),
            num_channels=rows.whole(row, "channels"),
        ),
        retrieved_at=rows.text(row, "retrieved_at"),
        evidence=rows.sha256_of(raw),
    )


def _title(item: Item) -> str:
    stem, dot, suffix = item.work.title.rpartition(".")
    if not item.variation:
        return item.work.title
    mark = f", variation {item.variation}"
    return f"{stem}{mark}.{suffix}" if dot and len(suffix) <= 4 else f"{item.work.title}{mark}"


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("ı", "i")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def _finish(x_N: Samples, work: Made) -> Samples:
    """Fade the ends (2 ms, 10 ms) against clicks, bring the peak to the work's, overdrive a clipped one."""
    fade_in, fade_out = round(0.002 * work.rate), round(0.01 * work.rate)
    index = np.arange(len(x_N))
    x_N = x_N * np.minimum(1, index / fade_in) * np.minimum(1, index[::-1] / fade_out)
    x_N = x_N / max(float(np.max(np.abs(x_N))), 1e-12) * 10 ** (work.peak / 20)
    return np.clip(6 * x_N, -1, 1) if work.flaw == "clipped" else x_N


def _spread(x_N: Samples, channels: int, rate: int) -> Samples:
    """(N, C): every further channel 0.6 ms later and 1 dB softer, which places the sound to the left."""
    out = np.zeros((len(x_N), channels))
    for channel in range(channels):
        late = min(round(0.0006 * rate * channel), len(x_N))
        out[late:, channel] = x_N[: len(x_N) - late] * 10 ** (-channel / 20)
    return out


def _encode(x_NC: Samples, work: Made) -> bytes:
    container, subtype = _SUBTYPES[work.form]
    file = io.BytesIO()
    soundfile.write(file, x_NC, work.rate, subtype=subtype, format=container)
    return file.getvalue()
