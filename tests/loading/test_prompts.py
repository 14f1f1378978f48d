"""Prompts are drawn as the paper says (3.2), and never say what the author did not."""

import itertools
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sao_data.errors import UsageError
from sao_data.loading.prompts import PromptConfig, draw, drawable_fields, is_music
from sao_data.records import Sample
from tests.streams_made import sample

AS_WRITTEN = PromptConfig(upper=0.0, lower=0.0)
TYPED = PromptConfig(upper=0.0, lower=0.0, typed=1.0)
BARE = PromptConfig(upper=0.0, lower=0.0, typed=0.0)
SOUND = sample(title="Rain_02.wav", description="Rain on a tin roof.", tags=["rain", "roof", "storm"])
MUSIC = sample(artist="dadabots", year="2021", album="can't play instruments", title="pizza hangover")


def drawn(of: Sample, config: PromptConfig, num: int = 4_000, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [draw(of, rng, config) for _ in range(num)]


def arrangements(parts: tuple[str, ...]) -> set[str]:
    """Every non-empty subset in every order, comma-joined."""
    sizes = range(1, len(parts) + 1)
    return {", ".join(p) for size in sizes for p in itertools.permutations(parts, size)}


def test_the_papers_two_examples_can_be_drawn() -> None:
    prompts = set(drawn(MUSIC, PromptConfig(), 20_000))
    assert "year: 2021, artist: dadabots, album: can't play instruments, title: pizza hangover" in prompts
    assert "dadabots, can't play instruments, pizza hangover, 2021" in prompts


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        (TYPED, ("year: 2021", "artist: dadabots", "album: can't play instruments", "title: pizza hangover")),
        (BARE, ("2021", "dadabots", "can't play instruments", "pizza hangover")),
    ],
)
def test_music_prompts_are_exactly_the_arrangements_of_its_fields(
    config: PromptConfig, parts: tuple[str, ...]
) -> None:
    assert set(drawn(MUSIC, config)) == arrangements(parts)


def test_sounds_never_name_their_fields() -> None:
    tag_orders = [", ".join(tags) for tags in itertools.permutations(("rain", "roof", "storm"))]
    wanted = {a for tags in tag_orders for a in arrangements(("Rain 02", "Rain on a tin roof", tags))}
    assert set(drawn(SOUND, TYPED, 8_000)) == wanted


def test_lists_stay_together_under_their_name() -> None:
    of = sample(genres=["Noise", "Jazz"], year="1999")
    assert set(drawn(of, TYPED, 400)) == arrangements(("genres: Noise, Jazz", "year: 1999")) | arrangements(
        ("genres: Jazz, Noise", "year: 1999")
    )


def test_half_of_the_music_prompts_are_typed() -> None:
    share = sum(": " in prompt for prompt in drawn(MUSIC, AS_WRITTEN)) / 4_000
    assert abs(share - 0.5) < 0.03  # standard deviation 0.008


def test_case_is_as_configured() -> None:
    of = sample(title="Rain on Tin")
    counts = Counter(drawn(of, PromptConfig(upper=0.1, lower=0.6)))
    shares = [counts[text] / 4_000 for text in ("RAIN ON TIN", "rain on tin", "Rain on Tin")]
    assert np.abs(np.array(shares) - (0.1, 0.6, 0.3)).max() < 0.03


def test_subset_sizes_and_first_fields_are_equally_likely() -> None:
    prompts = drawn(MUSIC, TYPED)
    sizes = Counter(prompt.count(": ") for prompt in prompts)
    firsts = Counter(prompt.split(":")[0] for prompt in prompts)
    assert sorted(sizes) == [1, 2, 3, 4]
    assert sorted(firsts) == ["album", "artist", "title", "year"]
    assert max(abs(n / 1_000 - 1) for n in (*sizes.values(), *firsts.values())) < 0.12  # deviation 0.027


def test_equal_generators_draw_equal_prompts() -> None:
    assert drawn(SOUND, PromptConfig(), 50) == drawn(SOUND, PromptConfig(), 50)
    assert drawn(SOUND, PromptConfig(), 50) != drawn(SOUND, PromptConfig(), 50, seed=1)


def test_a_sample_that_says_nothing_falls_back_to_its_prompt() -> None:
    assert draw(sample(title="...", prompt="a thing"), np.random.default_rng(), AS_WRITTEN) == "a thing"
    assert draw(sample(prompt=""), np.random.default_rng(), AS_WRITTEN) == "sound recording"


def test_what_is_music_and_what_it_may_say() -> None:
    assert is_music(MUSIC)
    assert not is_music(SOUND)
    folk = sample(genres=["Folk"], title="A", description="B.", tags=["c"], album="D")
    assert [name for name, _ in drawable_fields(folk, AS_WRITTEN)] == [
        "genres", "album", "title", "description", "tags",
    ]  # fmt: skip
    pack = sample(title="Hit", album="Drum pack 7")  # a sound's album is its pack: not in the paper's fields
    assert drawable_fields(pack, AS_WRITTEN) == (("title", ("Hit",)),)


def test_names_of_persons_and_works_can_be_left_out() -> None:
    dropping = PromptConfig(names="drop", upper=0.0, lower=0.0)
    assert set(drawn(MUSIC, dropping, 100)) == {"2021", "year: 2021"}
    nameless = sample(artist="dadabots", title="pizza hangover", prompt="pizza hangover. dadabots")
    assert drawn(nameless, dropping, 1) == ["sound recording"]
    of = sample(title="Rain", author="Ana B", tags=["ana b", "rain"])
    assert drawable_fields(of, dropping) == (("title", ("Rain",)), ("tags", ("rain",)))
    assert drawable_fields(of, AS_WRITTEN)[1] == ("tags", ("ana b", "rain"))


def test_titles_are_cleaned_when_drawn_for_a_sample_has_them_verbatim() -> None:
    of = sample(title="ZOOM0023_LR creek, +44 20 7946 0958.wav")
    assert drawable_fields(of, AS_WRITTEN) == (("title", ("creek",)),)


TEXT = st.text(max_size=12)
SAMPLES = st.builds(
    sample,
    title=TEXT, description=TEXT, tags=st.lists(TEXT, max_size=4), year=TEXT,
    genres=st.lists(TEXT, max_size=3), album=TEXT, artist=TEXT,
)  # fmt: skip


@given(SAMPLES, st.integers(0, 2**32))
def test_every_drawn_word_is_a_word_of_the_source(of: Sample, seed: int) -> None:
    prompt = draw(of, np.random.default_rng(seed), PromptConfig())
    fields = drawable_fields(of, PromptConfig())
    told = " ".join([of.prompt, *(f"{name}: {' '.join(values)}" for name, values in fields)])
    assert words(prompt) <= words(told)
    assert prompt.strip()


def words(text: str) -> set[str]:
    return set(re.split(r"[\s,:]+", text.casefold().casefold())) | {""}


@given(SAMPLES)
def test_drawable_words_stand_in_the_sample(of: Sample) -> None:
    said = " ".join([of.title, of.description, *of.tags, of.year, *of.genres, of.album, of.artist])
    letters = set(said) | set(said.replace("_", " "))
    for _, values in drawable_fields(of, PromptConfig()):
        assert values
        for value in values:
            assert any(character.isalnum() for character in value)
            assert len(value) <= 12 * 3 or set(value) <= letters  # NFC may compose, never invent


@pytest.mark.parametrize("wrong", [{"typed": 1.5}, {"upper": -0.1}, {"upper": 0.6, "lower": 0.6}])
def test_impossible_probabilities_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"prompt"):
        PromptConfig(**wrong)  # type: ignore[arg-type]
