"""Captions from metadata: what is cleaned, what is left alone, which fields there are."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sao_data import plugins
from sao_data.captions import metadata
from sao_data.records import CaptionField, Recording

BUILDER = metadata.build(metadata.Config())
SOUND = Recording(
    id="freesound:1",
    source="freesound",
    title="Rain_02 (C#).wav",
    author="Ana",
    description="Rain on <b>tin</b> roof.<br>&copy; me, see https://example.org/x.",
    tags=("rain", "field-recording", "rain"),
    album="A pack",
)
TRACK = Recording(
    id="fma:2",
    source="fma",
    title="pizza hangover",
    author="dadabots",
    album="can't play instruments",
    year="2021",
    genres=("Math Rock", "Noise"),
    description="<p>Bio</p>",
    tags=("free",),
)


def values(recording: Recording, builder: metadata.MetadataCaptions = BUILDER) -> dict[str, tuple[str, ...]]:
    return {field.name: field.values for field in builder.fields(recording)}


@pytest.mark.parametrize("name", plugins.names("captions"))
def test_every_builder_keeps_the_contract(name: str) -> None:
    module = plugins.load("captions", name)
    builder = pickle.loads(pickle.dumps(module.build(module.Config())))
    for recording in (SOUND, TRACK, Recording(id="made:1", source="made")):
        fields = builder.fields(recording)
        assert all(field.values and all(field.values) for field in fields)
        assert builder.prompt(recording, fields)


def test_sound_has_title_description_tags() -> None:
    assert BUILDER.fields(SOUND) == (
        CaptionField(name="title", values=("Rain 02 (C#)",), provenance="title"),
        CaptionField(name="description", values=("Rain on tin roof.",), provenance="description"),
        CaptionField(name="tags", values=("rain", "field recording"), provenance="tags"),
    )


def test_music_has_the_five_fields_of_the_paper() -> None:
    assert values(TRACK) == {
        "title": ("pizza hangover",),
        "artist": ("dadabots",),
        "album": ("can't play instruments",),
        "year": ("2021",),
        "genres": ("Math Rock", "Noise"),
    }
    assert {field.name: field.provenance for field in BUILDER.fields(TRACK)}["artist"] == "author"


def test_other_source_that_states_a_genre_has_all_fields() -> None:
    recording = Recording(
        id="folder:a", source="folder", title="T", description="D", genres=("Folk",), author="A"
    )
    assert set(values(recording)) == {"title", "description", "genres", "artist"}


def test_prompts() -> None:
    assert BUILDER.prompt(SOUND, BUILDER.fields(SOUND)) == (
        "Rain 02 (C#). Rain on tin roof. rain, field recording"
    )
    assert BUILDER.prompt(TRACK, BUILDER.fields(TRACK)) == (
        "pizza hangover. dadabots. can't play instruments. 2021. Math Rock, Noise"
    )
    assert BUILDER.prompt(SOUND, ()) == "sound recording"


def test_names_of_persons_and_works_can_be_left_out_of_music() -> None:
    dropping = metadata.build(metadata.Config(names="drop"))
    assert dropping.prompt(TRACK, dropping.fields(TRACK)) == "2021. Math Rock, Noise"
    assert dropping.prompt(SOUND, dropping.fields(SOUND)) == BUILDER.prompt(SOUND, BUILDER.fields(SOUND))


def test_hyphens_in_tags_can_stay() -> None:
    assert values(SOUND, metadata.build(metadata.Config(split_tags=False)))["tags"] == (
        "rain",
        "field-recording",
    )


@pytest.mark.parametrize(
    ("title", "cleaned"),
    [
        ("Glass C# pp.wav", "Glass C# pp"),
        ("bd_909_hard-03.aif", "bd 909 hard-03"),
        ("fire.crackling.mp3", "fire.crackling"),
        ("x.wav.MP3 ", "x"),
        ("R&B <live> &amp; loud", "R&B live & loud"),
        ("v1.5 final", "v1.5 final"),
        ("\x1b[31mred\u202e\u200b\tline\n", "[31mred line"),
        ("Jose\u0301", "José"),
        ("日本語_音.flac", "日本語 音"),
        (".wav", ""),
    ],
)
def test_titles(title: str, cleaned: str) -> None:
    assert metadata.clean_title(title) == cleaned


@pytest.mark.parametrize(
    ("description", "cleaned"),
    [
        ("Rain on <b>tin</b> roof.\r\n&copy; me", "Rain on tin roof."),
        ("one<br>two<p>three</p>", "one two three"),
        ("&lt;b&gt; &amp;amp;", "&"),
        ("kick<snare, I <3 it, a < b", "kick<snare, I <3 it, a < b"),
        ("<style>*{display:none}</style>wind<script>alert(1)</script>", "wind"),
        ("<!-- hidden -->wind", "wind"),
        ('<a href="https://x.org" rel="nofollow">my site</a> rain', "my site rain"),
        ("see http://x.org/a?b=c, www.y.org or me@mail.example.org", ""),
        ("${sound_url} rain", "rain"),
        ("a\u2028b\u00a0c\0d", "a b cd"),
        ("C# and A# at 50% & more", "C# and A# at 50% & more"),
    ],
)
def test_descriptions(description: str, cleaned: str) -> None:
    assert metadata.clean_description(description, 1000) == cleaned


def test_long_text_is_cut_at_a_word() -> None:
    assert metadata.clean_description("rain " * 3000, 12) == "rain rain"
    assert metadata.clean_title("n" * 400) == "n" * 200
    assert len(metadata.clean("Z" + "\u0301" * 10_000)) <= 200


@pytest.mark.parametrize("nothing", ["", ".", "…", " \t", "***", "<p></p>", "https://x.org"])
def test_fields_that_say_nothing_are_left_out(nothing: str) -> None:
    recording = Recording(id="made:1", source="made", title="...", description=nothing, tags=("", " ", "-"))
    assert BUILDER.fields(recording) == ()


@pytest.mark.parametrize(
    "unit", ["<script>", "<!--", "<a ", "a" * 64, "w.w.w.", "x@", "${", "&lt;", "http://"]
)
def test_hostile_repetition_is_read_in_bounded_work(unit: str) -> None:
    assert len(metadata.clean_description(unit * 20_000, 1000)) <= 1000


@given(st.text(max_size=300), st.text(max_size=600))
def test_any_text_gives_clean_single_lines(title: str, description: str) -> None:
    recording = Recording(id="made:1", source="made", title=title, description=description, tags=(title,))
    for field in BUILDER.fields(recording):
        for value in field.values:
            assert value == " ".join(value.split())
            assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in value)
