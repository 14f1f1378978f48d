"""Prompts, drawn anew each time a sample is seen: a random subset of what its author said (paper 3.2).

Sounds: title, description, tags. Music (what states an artist, a genre or a year): year, genres, album,
title, artist, and description and tags where it has them. Lists are shuffled, fields are shuffled, values are
joined by commas; half of the music prompts carry the names of the fields:

    year: 2021, artist: dadabots, album: can't play instruments, title: pizza hangover
    dadabots, can't play instruments, pizza hangover, 2021

`names = "drop"` leaves out artist, album and title of music, and tags that are the author's name: prompts
then ask for no person's and no work's own sound. Titles of sounds say what is heard, and stay.

What a captioner wrote (docs/captions.md) is one more field with `machine_captions = true`, and else none.

The paper leaves open: how large the subset is (here any size from one field to all, equally likely), how
often the case changes (here a quarter upper, a quarter lower, half as written) and whether sounds name their
fields (here never). Titles and names are verbatim in a sample, since they are credited; here they
are cleaned by the rules of captions (docs/captions.md). A field without a letter or digit is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

import numpy as np

from sao_data.captions.metadata import FALLBACK, NAMES, Names, clean, clean_field, told
from sao_data.config import WHEN_SET
from sao_data.errors import UsageError
from sao_data.records import Sample

SOUND_FIELDS = ("title", "description", "tags")
MUSIC_FIELDS = ("year", "genres", "album", "title", "artist", "description", "tags")
MACHINE = "machine_caption"  # drawn only where the config says so
_TYPED = {MACHINE: "caption"}  # what a field is called in a prompt, if otherwise

Drawable = tuple[tuple[str, tuple[str, ...]], ...]  # (field name, its values), none of them empty


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptConfig:
    """Probabilities of the choices in a prompt, 0..1."""

    typed: float = 0.5  # music: "year: 2021, artist: …" rather than bare values (paper 3.2)
    upper: float = 0.25  # the whole prompt in upper case
    lower: float = 0.25  # … in lower case; the rest stays as written
    max_description: int = 1000  # characters; T5 reads the first 128 tokens
    names: Names = field(
        default="as-paper", metadata=WHEN_SET
    )  # of persons and works: "drop" leaves them out
    machine_captions: bool = field(
        default=False, metadata=WHEN_SET
    )  # draw from what a captioner wrote as well; the paper has no such thing

    def __post_init__(self) -> None:
        for each in fields(self)[:3]:
            value = getattr(self, each.name)
            if not 0.0 <= value <= 1.0:
                raise UsageError(f"prompt.{each.name}: {value} is no probability; want 0 to 1")
        if self.upper + self.lower > 1.0:
            raise UsageError(
                f"prompt: upper {self.upper} and lower {self.lower} exclude each other; want a sum up to 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What prompts of a sample are drawn from."""

    drawable: Drawable
    is_music: bool
    fixed: str  # where there is nothing to draw


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPrompt:
    """One prompt and how it came about."""

    text: str
    fields: tuple[str, ...]  # in their order; none: the sample says nothing, and its fixed `prompt` stands in
    probability: float  # 0..1, of just these choices: fields, order, orders of lists, names of fields, case


def draw(sample: Sample, rng: np.random.Generator, config: PromptConfig) -> str:
    """One prompt, never empty: where a sample says nothing, its fixed `prompt` stands in."""
    return draw_of(words_of(sample, config), rng, config)


def words_of(sample: Sample, config: PromptConfig) -> Words:
    """What prompts of this sample are drawn from."""
    drawable = drawable_fields(sample, config)
    fixed = FALLBACK if config.names == "drop" and is_music(sample) else sample.prompt or FALLBACK
    return Words(drawable=drawable, is_music=is_music(sample), fixed=fixed)


def draw_of(words: Words, rng: np.random.Generator, config: PromptConfig) -> str:
    """One prompt."""
    return choose_of(words, rng, config).text


def choose_of(words: Words, rng: np.random.Generator, config: PromptConfig) -> DrawnPrompt:
    """One prompt, with what was chosen for it."""
    drawable = words.drawable
    if not drawable:
        text, likely = _cased(words.fixed, rng, config)
        return DrawnPrompt(text=text, fields=(), probability=likely)
    size = int(rng.integers(1, len(drawable) + 1))
    chosen = [drawable[i] for i in rng.permutation(len(drawable))[:size]]
    is_typed = words.is_music and rng.random() < config.typed
    parts = []
    for name, values in chosen:
        text = ", ".join(values[i] for i in rng.permutation(len(values)))
        parts.append(f"{_TYPED.get(name, name)}: {text}" if is_typed else text)
    text, likely = _cased(", ".join(parts), rng, config)
    if words.is_music:
        likely *= config.typed if is_typed else 1.0 - config.typed
    orders = math.prod(math.factorial(len(values)) for _, values in chosen)
    return DrawnPrompt(
        text=text,
        fields=tuple(name for name, _ in chosen),
        probability=likely / len(drawable) / math.perm(len(drawable), size) / orders,
    )


def is_music(sample: Sample) -> bool:
    """Does the sample state an artist, a genre or a year, as recordings of music do?"""
    return bool(sample.artist or sample.genres or sample.year)


def drawable_fields(sample: Sample, config: PromptConfig) -> Drawable:
    """The fields a prompt of this sample may hold, cleaned, in the order of their names above."""
    values: dict[str, tuple[str, ...]] = {
        "title": _cleaned("title", sample.title),
        "description": told([clean(sample.description, config.max_description).rstrip(" .")]),
        "tags": told(map(clean, sample.tags)),
        "year": _cleaned("year", sample.year),
        "genres": told(map(clean, sample.genres)),
        "album": _cleaned("album", sample.album),
        "artist": _cleaned("artist", sample.artist),
    }
    names: tuple[str, ...] = MUSIC_FIELDS if is_music(sample) else SOUND_FIELDS
    if config.names == "drop":
        names = tuple(name for name in names if not (is_music(sample) and name in NAMES))
        author = clean(sample.author).casefold()
        values["tags"] = tuple(tag for tag in values["tags"] if tag.casefold() != author)
    if config.machine_captions:
        values[MACHINE] = told([clean(sample.machine_caption, config.max_description).rstrip(" .")])
        names = (*names, MACHINE)
    return tuple((name, values[name]) for name in names if values[name])


def _cleaned(name: str, text: str) -> tuple[str, ...]:
    return told([clean_field(name, text)])


def _cased(text: str, rng: np.random.Generator, config: PromptConfig) -> tuple[str, float]:
    """The text in the case that is drawn, and the probability of that."""
    dice = rng.random()
    if dice < config.upper:
        return text.upper(), config.upper
    if dice < config.upper + config.lower:
        return text.lower(), config.lower
    return text, 1.0 - config.upper - config.lower
