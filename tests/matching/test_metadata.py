"""Laundering: what was denied goes on being compared with what is allowed."""

import dataclasses
from pathlib import Path

import pytest

from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.matching import metadata
from sao_data.matching.metadata import Candidate, Matching, author_key, objections, title_key
from sao_data.records import CatalogueRow
from tests.datasets_made import BY, CC0, NC, build, load, tone_wav, write_rows

FREE = Candidate(
    id="fs:2", author="bo", files=("m1",), title="rain on tin", tenths=47, verdict="allow", rule="allowed",
    family="CC0",
)  # fmt: skip
DENIED = dataclasses.replace(
    FREE, id="fs:1", author="ana", verdict="deny", rule="license_not_allowed", family="BY-NC"
)


def catalogue(out: Path) -> dict[str, CatalogueRow]:
    return {row.id: row for row in open_dataset(str(out)).catalogue()}


def found(*works: Candidate, **settings: str) -> dict[str, tuple[str, str]]:
    said = objections(works, Matching(**settings))  # type: ignore[arg-type]
    return {item.recording_id: (item.verdict, item.rule) for item in said}


def test_the_file_of_a_denied_work_is_denied_under_any_name() -> None:
    assert found(FREE, DENIED) == {"fs:2": ("deny", "same_file_as_denied")}


@pytest.mark.parametrize(
    "rule",
    ["ai_preference_forbids", "ai_preference_not_met", "blocked_id", "blocked_author", "denied_by_review"],
)
def test_wishes_and_blocks_follow_the_file(rule: str) -> None:
    assert found(FREE, dataclasses.replace(DENIED, rule=rule))["fs:2"] == ("deny", "same_file_as_denied")


@pytest.mark.parametrize(
    ("verdict", "rule"), [("deny", "no_license"), ("deny", "unknown_license"), ("review", "license_conflict")]
)
def test_the_file_of_a_work_without_clear_rights_goes_before_a_person(verdict: str, rule: str) -> None:
    unclear = dataclasses.replace(DENIED, verdict=verdict, rule=rule)  # type: ignore[arg-type]
    assert found(FREE, unclear)["fs:2"] == ("review", "same_file_as_unclear")


@pytest.mark.parametrize("rule", ["explicit", "blocked_category", "remix"])
def test_what_is_denied_for_its_contents_says_nothing_of_rights(rule: str) -> None:
    other = dataclasses.replace(DENIED, rule=rule, files=("m2",))
    assert found(FREE, other) == {}


@pytest.mark.parametrize(
    ("tenths", "verdict"), [(47, "review"), (46, "review"), (48, "review"), (49, ""), (-1, "")]
)
def test_title_and_length_of_a_denied_work_go_before_a_person(tenths: int, verdict: str) -> None:
    other = dataclasses.replace(DENIED, files=(), tenths=tenths)
    assert found(FREE, other).get("fs:2", ("", ""))[0] == verdict


def test_comparisons_can_be_switched_off() -> None:
    assert found(FREE, DENIED, file="off", title="off") == {}
    assert found(FREE, DENIED, file="off") == {"fs:2": ("review", "same_title_as_denied")}


def test_one_file_by_two_authors_under_a_licence_that_asks_for_credit() -> None:
    one = dataclasses.replace(FREE, id="fs:1", author="ana", family="BY")
    two = dataclasses.replace(FREE, family="BY")
    assert found(one, two) == {key: ("review", "authors_differ") for key in ("fs:1", "fs:2")}
    assert found(one, dataclasses.replace(two, author="ana")) == {}
    assert found(one, dataclasses.replace(two, author="")) == {}
    free = dataclasses.replace(two, family="CC0")
    assert found(one, free, title="off") == {}  # the stricter copy stays, with its credit
    assert found(one, free) == {"fs:2": ("review", "same_title_as_stricter")}
    wish = dataclasses.replace(two, preference="open-source-models")
    assert found(one, wish, title="off") == {}


def test_a_length_that_all_share_says_nothing_but_of_denied_works() -> None:
    crowd = [dataclasses.replace(FREE, id=f"x:{n}", title=f"other sound {n}", files=()) for n in range(30)]
    by = dataclasses.replace(FREE, id="fs:1", author="ana", family="BY", files=())
    assert found(FREE, by) == {"fs:2": ("review", "same_title_as_stricter")}
    assert found(FREE, by, *crowd) == {}
    assert found(FREE, DENIED, *crowd, file="off") == {"fs:2": ("review", "same_title_as_denied")}


def test_blocked_checksums_and_those_taken_down_are_denied() -> None:
    said = objections([FREE], Matching(), taken_down=frozenset({"m1"}))
    assert [(o.verdict, o.rule) for o in said] == [("deny", "taken_down")]
    said = objections([FREE], Matching(), blocked=frozenset({"m1"}))
    assert [(o.verdict, o.rule) for o in said] == [("deny", "blocked_fingerprint")]


def test_the_order_of_the_works_does_not_matter() -> None:
    works = [FREE, DENIED, dataclasses.replace(FREE, id="fs:3", verdict="review", rule="license_conflict")]
    assert objections(works, Matching()) == objections(works[::-1], Matching())


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("Rain_on tin.WAV", "rain on tin"),
        ("RAIN-ON (Tin)", "rain on tin"),
        ("rain", ""),
        ("Track 01.mp3", ""),
        ("ZOOM0012.WAV", ""),
        ("001 002", ""),
        ("Ｒain on tin", "rain on tin"),
    ],
)
def test_titles_are_compared_by_their_words_if_these_say_anything(title: str, key: str) -> None:
    assert title_key(title) == key


def test_authors_are_compared_without_spelling() -> None:
    assert author_key(" Ana  B. ") == author_key("ana b.")


def test_a_copy_in_a_real_folder_is_denied_and_replayed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    rows = [
        ["own.wav", "A field at dawn", "Ana", NC, "", ""],
        ["copy.wav", "Something else", "Bo", CC0, "", ""],
        ["free.wav", "Wind in wires", "Cy", BY, "", ""],
    ]
    (folder / "own.wav").write_bytes(tone_wav(300))
    (folder / "copy.wav").write_bytes(tone_wav(300))
    (folder / "free.wav").write_bytes(tone_wav(400))
    write_rows(folder, rows)
    build(load(tmp_path, folder), tmp_path / "out")
    ended = {key: (row.verdict, row.rule, row.stage) for key, row in catalogue(tmp_path / "out").items()}
    assert ended["folder:copy-wav"] == ("deny", "same_file_as_denied", "decide")
    assert ended["folder:free-wav"] == ("allow", "allowed", "")
    assert verify(open_dataset(str(tmp_path / "out"))) == []


def test_what_was_kept_and_then_denied_is_known_by_its_sound(tmp_path: Path) -> None:
    """An author opts out; somebody's copy, louder and in another file, must not bring the work back."""
    import numpy as np
    import soundfile

    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(5)
    notes = np.repeat(rng.choice([220.0, 277.2, 329.6, 440.0, 554.4, 659.3], 24), 44_100 // 3)
    wave = 0.2 * np.sin(2 * np.pi * np.cumsum(notes) / 44_100) + 0.01 * rng.standard_normal(len(notes))
    soundfile.write(folder / "song.wav", wave, 44_100)
    write_rows(folder, [["song.wav", "Own song", "Ana", BY, "", ""]])
    build(load(tmp_path, folder), tmp_path / "out")
    soundfile.write(folder / "copy.flac", 2 * wave, 44_100)
    write_rows(
        folder, [["song.wav", "Own song", "Ana", NC, "", ""], ["copy.flac", "Tune", "Bo", CC0, "", ""]]
    )
    build(load(tmp_path, folder), tmp_path / "out")
    rows = catalogue(tmp_path / "out")
    assert (rows["folder:copy-flac"].verdict, rows["folder:copy-flac"].rule) == (
        "review",
        "sounds_like_denied",
    )
    assert not rows["folder:copy-flac"].kept
    off = load(tmp_path, folder, sets=("matching.fingerprint=off",))
    build(off, tmp_path / "out")
    assert catalogue(tmp_path / "out")["folder:copy-flac"].kept


def test_most_severe_keeps_one_objection_to_each() -> None:
    review, deny = (
        objections([FREE, DENIED], Matching(file=file))  # type: ignore[arg-type]
        for file in ("off", "on")
    )
    assert metadata.most_severe(review, deny) == deny == metadata.most_severe(deny, review)
