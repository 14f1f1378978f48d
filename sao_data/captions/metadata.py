"""Captions from metadata alone, as in the paper (3.2): what the author wrote, cleaned, none of it invented.

Sounds (Freesound and the like): title, description, tags. Music (the sources in `music_sources`, and what
states a genre or a year): year, genres, album, title, artist; a recording of another source keeps its
description and tags as well. A field without a letter or digit is left out.

Cleaning. Everywhere: Unicode NFC, control and invisible characters out, white space collapsed, length capped
at a word. Titles: audio suffixes off, `_` to a space; all else stays (`Glass C# pp`). Descriptions: HTML out,
entities decoded once, URLs, e-mail addresses and Freesound's `${…}` placeholders out. Tags: in their order,
repeats out, `-` to a space, since it is how Freesound spells several words in one tag (`split_tags`).
Boiler-plate, adverts and wishes for credit in descriptions are not judged here.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from sao_data.records import CaptionField, Recording

FALLBACK = "sound recording"  # the prompt of a recording that says nothing of itself

_MOST_INPUT = 10_000  # characters of a description that are looked at
_MOST_NAME = 200  # characters of a title, tag, genre, album or artist
_SUFFIX = re.compile(r"\.(?:wave?|aiff?|aifc|flac|mp[234]|ogg|oga|opus|m4a|wma|wv|caf|au)\s*$", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"</?(?:br|p|div|li|ul|ol|tr|td|h[1-6]|hr|blockquote|img)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
_ADDRESS = re.compile(
    r"\b(?:https?|ftp)://[^\s<>\"]+|\bwww\.[^\s<>\"]+|\$\{\w{1,40}\}"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    re.IGNORECASE,
)
_JOINERS = "\u200c\u200d"  # invisible, but they spell words (Persian, Indic scripts, emoji)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How metadata become fields."""

    music_sources: tuple[str, ...] = ("fma",)  # music whatever they state, and without description and tags
    split_tags: bool = True  # "field-recording" becomes "field recording"
    max_description: int = 1000  # characters; T5 reads the first 128 tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataCaptions:
    """The CaptionBuilder."""

    config: Config

    def fields(self, recording: Recording) -> tuple[CaptionField, ...]:
        """The cleaned fields that are not empty, always in the same order."""
        of_music_source = recording.source in self.config.music_sources
        fields = [_field("title", [clean_title(recording.title)], "title")]
        if not of_music_source:
            description = clean_description(recording.description, self.config.max_description)
            fields.append(_field("description", [description], "description"))
            fields.append(_field("tags", [self._tag(tag) for tag in recording.tags], "tags"))
        if of_music_source or recording.genres or recording.year:
            fields.append(_field("artist", [clean(recording.author)], "author"))
            fields.append(_field("album", [clean(recording.album)], "album"))
            fields.append(_field("year", [clean(recording.year)], "year"))
            fields.append(_field("genres", [clean(genre) for genre in recording.genres], "genres"))
        return tuple(field for field in fields if field.values)

    def prompt(self, recording: Recording, fields: tuple[CaptionField, ...]) -> str:
        """Fields as sentences, their values joined by commas: "Rain 02. Rain on a tin roof. rain, roof"."""
        sentences = [", ".join(field.values).rstrip(" .") for field in fields]
        return ". ".join(sentence for sentence in sentences if sentence) or FALLBACK

    def _tag(self, tag: str) -> str:
        return clean(tag.replace("-", " ") if self.config.split_tags else tag)


def build(config: Config) -> MetadataCaptions:
    """Make the builder."""
    return MetadataCaptions(config=config)


def clean_title(title: str) -> str:
    """A file name as words: audio suffixes off, underscores to spaces; '#', '&' and dots within stay."""
    words = title
    while (shorter := _SUFFIX.sub("", words)) != words:
        words = shorter
    return clean(words.replace("_", " "))


def clean_description(description: str, most: int) -> str:
    """Plain text of a description: no markup, addresses or control characters, at most `most` characters."""
    text = _UNSEEN.sub(" ", description[:_MOST_INPUT])
    text = html.unescape(_TAG.sub("", _BREAK.sub(" ", text)))
    return clean(_ADDRESS.sub(" ", text), most)


def clean(text: str, most: int = _MOST_NAME) -> str:
    """NFC text on one line, without characters that cannot be seen, cut at a word if longer than `most`."""
    seen = (_visible(character) for character in text[:_MOST_INPUT])
    line = " ".join(unicodedata.normalize("NFC", "".join(seen)).split())
    if len(line) <= most:
        return line
    return line[:most].rsplit(" ", 1)[0].strip() if " " in line[:most] else line[:most]


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] == "Z" or character in "\t\n\r\v\f":
        return " "
    return "" if category in ("Cc", "Cf", "Cs") and character not in _JOINERS else character


def _field(name: str, values: Iterable[str], provenance: str) -> CaptionField:
    """The field with its values that say something, each once."""
    told = dict.fromkeys(value for value in values if any(character.isalnum() for character in value))
    return CaptionField(name=name, values=tuple(told), provenance=provenance)
