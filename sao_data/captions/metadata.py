"""Captions from metadata alone, as in the paper (3.2): what the author wrote, cleaned, none of it invented.

Sounds (Freesound and the like): title, description, tags. Music (the sources in `music_sources`, and what
states a genre or a year): year, genres, album, title, artist; a recording of another source keeps its
description and tags as well. A field without a letter or digit is left out.

Cleaning. Everywhere: Unicode NFC, control and invisible characters out, white space collapsed, markup and
personal data out, length capped at a word. What else says nothing of the sound is left out by named rules
(docs/captions.md): in titles names of files, in descriptions sentences to the reader, gear and formats, in
tags those about the file. Tags keep their order, repeats are out, `-` is a space, since it is how Freesound
spells several words in one tag (`split_tags`). `clean_…` are what training cleans with, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from sao_data.captions._cleaning import markup, order
from sao_data.captions._cleaning.order import LeftOut
from sao_data.config import WHEN_SET
from sao_data.records import CaptionField, Recording

FALLBACK = "sound recording"  # the prompt of a recording that says nothing of itself
Names = Literal["as-paper", "drop"]  # of persons and works in prompts of music
NAMES = ("title", "artist", "album")
MUSIC = ("artist", "album", "year", "genres")  # fields that only music has

_MOST_NAME = 200  # characters of a title, tag, genre, album or artist
_FROM = {"artist": "author"}  # fields that are called otherwise than what they are read from


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How metadata become fields."""

    music_sources: tuple[str, ...] = ("fma",)  # music whatever they state, and without description and tags
    split_tags: bool = True  # "field-recording" becomes "field recording"
    max_description: int = 1000  # characters; T5 reads the first 128 tokens
    names: Names = field(default="as-paper", metadata=WHEN_SET)  # of persons and works, in `prompt`


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataCaptions:
    """The CaptionBuilder."""

    config: Config

    def fields(self, recording: Recording) -> tuple[CaptionField, ...]:
        """The cleaned fields that are not empty, always in the same order."""
        return tuple(
            CaptionField(name=name, values=values, provenance=_FROM.get(name, name))
            for name, texts in self._said(recording)
            if (values := told(self._cleaned(name, text) for text in texts))
        )

    def prompt(self, recording: Recording, fields: tuple[CaptionField, ...]) -> str:
        """Fields as sentences, their values joined by commas: "Rain 02. Rain on a tin roof. rain, roof"."""
        drops = self.config.names == "drop" and any(each.name in MUSIC for each in fields)
        chosen = [each for each in fields if not (drops and each.name in NAMES)]
        sentences = [", ".join(each.values).rstrip(" .") for each in chosen]
        return ". ".join(sentence for sentence in sentences if sentence) or FALLBACK

    def left_out(self, recording: Recording) -> Iterator[tuple[str, LeftOut]]:
        """(field, what a rule took out of it), in the order of the fields and of the rules."""
        for name, texts in self._said(recording):
            for text in texts:
                for item in order.cleaned(self._spelled(name, text), order.RULES[name]).left_out:
                    yield name, item

    def _said(self, recording: Recording) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each field, and the texts it is made of."""
        of_music_source = recording.source in self.config.music_sources
        yield "title", (recording.title,)
        if not of_music_source:
            yield "description", (recording.description,)
            yield "tags", recording.tags
        if of_music_source or recording.genres or recording.year:
            yield "artist", (recording.author,)
            yield "album", (recording.album,)
            yield "year", (recording.year,)
            yield "genres", recording.genres

    def _cleaned(self, name: str, text: str) -> str:
        if name == "description":
            return clean_description(text, self.config.max_description)
        return clean_field(name, self._spelled(name, text))

    def _spelled(self, name: str, text: str) -> str:
        return text.replace("-", " ") if name == "tags" and self.config.split_tags else text


def build(config: Config) -> MetadataCaptions:
    """Make the builder."""
    return MetadataCaptions(config=config)


def clean_title(title: str) -> str:
    """A title without what only names of files hold; '#', '&' and dots within stay."""
    return clean_field("title", title)


def clean_description(description: str, most: int) -> str:
    """What a description says of the sound, at most `most` characters."""
    return _shortened(order.cleaned(description, order.RULES["description"]).text, most)


def clean_field(name: str, text: str) -> str:
    """A value of a field, by the rules of the field."""
    return _shortened(order.cleaned(text, order.RULES[name]).text, _MOST_NAME)


def clean(text: str, most: int = _MOST_NAME) -> str:
    """NFC text on one line, without characters that cannot be seen, cut at a word if longer than `most`."""
    return _shortened(" ".join(markup.visible(text).split()), most)


def told(values: Iterable[str]) -> tuple[str, ...]:
    """The values that hold a letter or digit, each once."""
    return tuple(dict.fromkeys(value for value in values if any(character.isalnum() for character in value)))


def _shortened(line: str, most: int) -> str:
    if len(line) <= most:
        return line
    return line[:most].rsplit(" ", 1)[0].strip() if " " in line[:most] else line[:most]
