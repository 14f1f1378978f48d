"""What is linked is decided together, and an addition moves as little as it can."""

import itertools
import random

import pytest

from sao_data.matching.togetherness import LinkedWork, together


def work(number: int, author: str, album: str = "", audio: str = "") -> LinkedWork:
    return LinkedWork(id=f"x:{number}", author=author, album=album, audio_sha256=audio or f"audio {number}")


WORKS = [
    *(work(1, "ada"), work(2, "ada"), work(3, "bo", "an album"), work(4, "cyn", "an album")),
    *(work(5, "dan", audio="same"), work(6, "eve", audio="same"), work(7, "fay"), work(8, "gus")),
]
GROUPS = [{1, 2}, {3, 4}, {5, 6}, {7}, {8}]


@pytest.mark.parametrize(
    ("pairs", "groups"),
    [
        ([], GROUPS),
        ([("x:7", "x:8")], [{1, 2}, {3, 4}, {5, 6}, {7, 8}]),
        ([("x:2", "x:3"), ("x:4", "x:5")], [{1, 2, 3, 4, 5, 6}, {7}, {8}]),
        ([("x:7", "x:99")], GROUPS),  # not kept: it links nothing
    ],
    ids=["authors, albums, equal audio", "alike", "chain", "gone"],
)
def test_what_is_linked_has_one_who_decides(pairs: list[tuple[str, str]], groups: list[set[int]]) -> None:
    authors = {item.id: item.author for item in WORKS}
    for order in itertools.islice(itertools.permutations(WORKS), 0, 40_000, 4_001):
        found = together(order, pairs).deciding
        by_author = {found[f"x:{min(group)}"]: group for group in groups}
        assert len(by_author) == len(groups)
        for author, group in by_author.items():
            assert {found[f"x:{n}"] for n in group} == {author}
            assert author in {authors[f"x:{n}"] for n in group}


def test_an_author_who_joins_a_group_of_n_decides_once_in_n_plus_1() -> None:
    draw, num_moved = random.Random(1), 0
    for _ in range(400):
        names = [f"author {draw.random()}" for _ in range(4)]
        works = [work(n, name, "an album") for n, name in enumerate(names)]
        before, after = together(works[:3], []).deciding["x:0"], together(works, []).deciding["x:0"]
        assert after in (before, names[3])
        num_moved += before != after
    assert 70 < num_moved < 130  # a quarter of 400, four standard deviations


def test_a_group_of_several_authors_that_holds_much_is_named() -> None:
    works = [work(n, f"author {n}", "an album" if n < 3 else "") for n in range(50)]
    (said,) = together(works, []).large
    assert said.startswith("split: 3 of 50 works (6%) by 3 authors, x:0 among them, ")
    assert together(works[1:], []).large == ()  # 2 of 49
    assert together([work(n, "one") for n in range(9)], []).large == ()
