"""Persons' answers: each answers one question, a no wins over everything, and nothing is lost or guessed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import UsageError
from sao_data.licences import Release
from sao_data.records import CatalogueRow, Decision, Objection
from sao_data.rights import reviews
from sao_data.rights.reviews import Answer, OpenQuestion
from sao_data.stages.decide import final, question_of
from sao_data.storage import layout
from sao_data.storage.backend import LocalStorage
from tests.datasets_made import BY, CC0, NC, PDM, SAMPLING, build, load, tone_wav, write_rows

ASKED = Decision(
    recording_id="f:1", license="CC-PDM-1.0", family="PDM", verdict="review", rule="license_needs_review",
    detail="a label",
)  # fmt: skip
FREE = dataclasses.replace(ASKED, verdict="allow", rule="allowed", detail="")
LIKE = Objection(recording_id="f:1", stage="match", verdict="review", rule="sounds_like_denied", detail="f:2")
YES = Answer(id="f:1", verdict="allow")
NO = Answer(id="f:1", verdict="deny")


def verdict(judgement: Decision, objection: Objection | None, *answers: Answer) -> tuple[str, str]:
    decision = final(judgement, objection, answers, Release())
    return decision.verdict, decision.rule


def to(decision: Decision) -> Answer:
    return dataclasses.replace(YES, question=question_of(decision, Release()))


def test_an_answer_settles_its_own_question_only() -> None:
    assert verdict(ASKED, None, to(ASKED)) == ("allow", "allowed_by_review")
    other = dataclasses.replace(ASKED, license="CC-BY-NC-3.0", detail="now NC")
    assert verdict(other, None, to(ASKED)) == ("review", "license_needs_review")
    wider = Release(commercial_use=True)
    assert final(ASKED, None, [to(ASKED)], wider).verdict == "review"


def test_one_unbound_answer_settles_one_question() -> None:
    assert verdict(ASKED, None, YES) == ("allow", "allowed_by_review")
    assert verdict(FREE, LIKE, YES) == ("allow", "allowed_by_review")
    assert verdict(ASKED, LIKE, YES) == ("review", "sounds_like_denied")
    objected = dataclasses.replace(ASKED, rule=LIKE.rule, detail=LIKE.detail)
    assert verdict(ASKED, LIKE, YES, to(objected)) == ("allow", "allowed_by_review")


def test_a_denial_wins_and_an_objection_that_denies_is_not_answered() -> None:
    assert verdict(ASKED, None, YES, NO) == ("deny", "denied_by_review")
    denied = dataclasses.replace(LIKE, verdict="deny", rule="same_file_as_denied")
    assert verdict(ASKED, denied, to(ASKED)) == ("deny", "same_file_as_denied")
    assert verdict(dataclasses.replace(ASKED, verdict="deny", rule="no"), None, YES) == ("deny", "no")


def catalogue(out: Path) -> dict[str, CatalogueRow]:
    return {row.id: row for row in open_dataset(str(out)).catalogue()}


def answer_all(out: Path) -> None:
    path = out / "reviews.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(line.replace(",,", ",allow,", 1) for line in lines[1:])]) + "\n")


def made(tmp: Path, *rows: tuple[str, str, str, str, float]) -> Path:
    """A folder of (file, title, author, licence, pitch)."""
    folder = tmp / "in"
    folder.mkdir(exist_ok=True)
    for name, _, _, _, hz in rows:
        (folder / name).write_bytes(tone_wav(hz))
    write_rows(folder, [[name, title, author, said, "", ""] for name, title, author, said, _ in rows])
    return folder


def test_an_answer_given_for_one_release_is_asked_again_for_a_wider_one(tmp_path: Path) -> None:
    folder, out = made(tmp_path, ("s.wav", "Some sound", "Ana", SAMPLING, 300.0)), tmp_path / "out"
    sets = ("policy.sampling_plus=review",)
    build(load(tmp_path, folder, sets=sets), out)
    answer_all(out)
    build(load(tmp_path, folder, sets=sets), out)
    assert catalogue(out)["folder:s-wav"].kept
    build(load(tmp_path, folder, sets=(*sets, "release.commercial_use=true")), out)
    assert catalogue(out)["folder:s-wav"].verdict == "review"
    assert (out / "reviews.csv").read_text().count("folder:s-wav") == 2  # the old answer, the new question


def test_the_file_of_a_denied_work_is_not_rescued_by_a_review(tmp_path: Path) -> None:
    rows = [("a.wav", "One name", "Ana", NC, 300.0), ("b.wav", "Other name", "Bo", PDM, 300.0)]
    folder, out = made(tmp_path, *rows), tmp_path / "out"
    build(load(tmp_path, folder), out)
    assert catalogue(out)["folder:b-wav"].rule == "same_file_as_denied"
    (out / "reviews.csv").write_text("id,verdict,who,when,note\nfolder:b-wav,allow,Ada,,\n")
    build(load(tmp_path, folder), out)
    assert not catalogue(out)["folder:b-wav"].kept
    assert verify(open_dataset(str(out))) == []


def test_what_was_forbidden_and_is_gone_is_remembered(tmp_path: Path) -> None:
    """Opt out, withdraw, upload again under another name: the copy stays out."""
    folder, out = made(tmp_path, ("a.wav", "One name", "Ana", BY, 300.0)), tmp_path / "out"
    build(load(tmp_path, folder), out)
    made(tmp_path, ("a.wav", "One name", "Ana", NC, 300.0))
    build(load(tmp_path, folder), out)
    (folder / "a.wav").unlink()
    made(tmp_path, ("b.wav", "Other name", "Bo", CC0, 300.0))
    build(load(tmp_path, folder), out)
    assert catalogue(out)["folder:b-wav"].rule == "same_file_as_denied"


@pytest.mark.parametrize("wish", ["noncommercial-open-source-models", "open-source-models"])
def test_of_equal_audio_the_stricter_wish_stays(tmp_path: Path, wish: str) -> None:
    for n in range(3):  # whatever the hashes of the ids say
        folder = tmp_path / f"in{n}"
        folder.mkdir()
        for name in (f"a{n}.wav", f"b{n}.wav"):
            (folder / name).write_bytes(tone_wav(300))
        (folder / "metadata.csv").write_text(
            f"file_name,license,author,ai_preference\na{n}.wav,{CC0},Ana,\nb{n}.wav,{CC0},Ana,{wish}\n"
        )
        out = tmp_path / f"out{n}"
        build(load(tmp_path, folder), out)
        assert [row.ai_preference for row in catalogue(out).values() if row.kept] == [wish]


def test_questions_are_bound_and_asked_anew_in_lines_of_their_own(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write(layout.REVIEWS, b"id,verdict,who,when,note\nf:1,allow,Ada,today,mine\n")
    reviews.write(storage, [OpenQuestion(id="f:1", question="b 22222222", note="b")], {"f:1": ["a 11111111"]})
    assert storage.read(layout.REVIEWS).decode().splitlines() == [
        "id,verdict,who,when,note,question",
        "f:1,allow,Ada,today,mine,a 11111111",
        "f:1,,,,b,b 22222222",
    ]
    assert [a.question for a in reviews.read(storage)["f:1"]] == ["a 11111111"]
    reviews.write(storage, [])
    assert reviews.num_waiting(storage) == 0
    assert "mine" in storage.read(layout.REVIEWS).decode()


HEAD = "id,verdict,who,when,note\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "f:1,deny,ann,,\nf:1,allow,bob,,\n", "lines 2 and 3 answer f:1 differently"),
        (HEAD + "f:1,alow,,,\n", "line 2: verdict 'alow' is not known; write allow or deny"),
        (HEAD + 'f:1,deny,"ann,,\nf:2,deny,,,\n', "mend the quotes"),
        (HEAD + 'f:1,deny,,,"two\nlines"\nf:2,no,,,\n', "line 4: verdict 'no'"),
        ("id,verdict,who,when,note,note\n", "each once"),
        ("id;verdict;who;when;note\n", "want the columns"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_refused(tmp_path: Path, text: str, message: str) -> None:
    storage = LocalStorage(tmp_path)
    storage.write(layout.REVIEWS, text.encode())
    with pytest.raises(UsageError, match=message):
        reviews.read(storage)


def test_blanks_around_an_id_do_not_hide_an_answer(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write(layout.REVIEWS, b"\xef\xbb\xbfid,verdict,who,when,note\r\n f:1 , deny ,ann,,\r\n")
    assert reviews.read(storage)["f:1"][0].verdict == "deny"
