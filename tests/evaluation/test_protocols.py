"""Protocols as data: those that ship load, and their rules do what the paper's did."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from sao_data.errors import UsageError
from sao_model.evaluation import matching, protocol, settings, sounds
from sao_model.evaluation.protocol import Prompt
from sao_model.metrics.scores import fd
from tests.made import noise, wav_bytes
from tests.paths import SHARED

AUDIOCAPS = SHARED / "audiocaps" / "test.csv"

CAPTIONS = """audiocap_id,youtube_id,start_time,caption
1,aaa,30,A man is speaking
2,aaa,30,Rain falls on a roof
3,bbb,0,"Birds chirp, then a car passes by"
4,ccc,0,A bandsaw runs
5,ddd,0,THEN a horn blows
6,eee,0,A horse trots
"""


def captions(tmp_path: Path, text: str = CAPTIONS, *more: str) -> settings.Config:
    (tmp_path / "captions.csv").write_text(text)
    return settings.read("", [f"captions={tmp_path / 'captions.csv'}", *more])


def test_those_that_ship_load_and_count_as_published() -> None:
    counted = {name: protocol.read(name).expected_prompts for name in protocol.names()}
    assert counted == {
        "audiocaps": 4875, "audiocaps_no_speech": 2765, "audiocaps_no_connectors": 711,
        "audiocaps_neither": 587,
        "own_validation": 0, "song_describer": 1106, "song_describer_no_singing": 586,
    }  # fmt: skip
    audiocaps = protocol.read("audiocaps")
    ours = {each.score: each.value for each in audiocaps.published if each.of == "Stable Audio Open 1.0"}
    assert ours == {"fd": 78.24, "kl": 2.14, "clap": 0.29}  # paper, Table 1
    assert fd.Config(over=audiocaps.over).over == "windows"
    assert len({protocol.read(name).digest for name in protocol.names()}) == len(protocol.names())


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("audiocaps", "123456"),
        ("audiocaps_no_speech", "23456"),
        ("audiocaps_no_connectors", "1256"),  # "bandsaw" holds "and", "passes" holds "as"; THEN is not "then"
        ("audiocaps_neither", "256"),
    ],
)
def test_the_filters_take_out_what_holds_a_word_as_written(name: str, keys: str, tmp_path: Path) -> None:
    found = protocol.prompts_of_file(protocol.read(name), captions(tmp_path))
    assert "".join(each.key for each in found) == keys
    assert found[0].group == "aaa"


def test_a_list_of_ids_takes_prompts_or_recordings(tmp_path: Path) -> None:
    rule = dataclasses.replace(protocol.read("audiocaps"), needs_ids=True)
    (tmp_path / "ids.txt").write_text("aaa\n4\n")
    found = protocol.prompts_of_file(rule, captions(tmp_path, CAPTIONS, f"ids={tmp_path / 'ids.txt'}"))
    assert [each.key for each in found] == ["1", "2", "4"]
    (tmp_path / "ids.txt").write_text("aaa\nzzz\n")
    with pytest.raises(UsageError, match=r"1 of 2 ids are nowhere in .*captions\.csv, first 'zzz'"):
        protocol.prompts_of_file(rule, captions(tmp_path, CAPTIONS, f"ids={tmp_path / 'ids.txt'}"))
    with pytest.raises(UsageError, match="give --set ids=FILE"):
        protocol.prompts_of_file(rule, captions(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", r"no column 'audiocap_id' \(there are: a, b\)"),
        ("audiocap_id,youtube_id,caption\n", "nothing below its line of column names"),
        ("audiocap_id,youtube_id,caption\n1,x,\n", "'1': an empty key or prompt"),
        ("audiocap_id,youtube_id,caption\n1,x,a\n1,y,b\n", "'1' is there twice"),
        ('audiocap_id,youtube_id,caption\n1,x,"a\n', "close quotes"),
    ],
)
def test_lists_of_captions_that_are_none(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        protocol.prompts_of_file(protocol.read("audiocaps"), captions(tmp_path, text))


def test_files_and_names_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"not shipped: give --set captions=FILE.csv with the columns audiocap_id"
    ):
        protocol.prompts_of_file(protocol.read("audiocaps"), settings.Config())
    with pytest.raises(UsageError, match="did you mean 'audiocaps'"):
        protocol.read("audiocap")
    with pytest.raises(UsageError, match="no such file; shipped are"):
        protocol.read(str(tmp_path / "x.toml"))
    (tmp_path / "x.toml").write_text('name = "x"\ntitle = "X"\nlenght = 3\n')
    with pytest.raises(UsageError, match="unknown key 'lenght'"):
        protocol.read(str(tmp_path / "x.toml"))
    (tmp_path / "x.toml").write_text('name = "x"\ntitle = "X"\n[[published]]\nof = "M"\n')
    with pytest.raises(UsageError, match=r"\[\[published\]\] 1: score: Field required"):
        protocol.read(str(tmp_path / "x.toml"))


def test_prompts_are_the_same_ones_however_many_and_seeds_are_the_key_s() -> None:
    every = [Prompt(key=f"k{n}", text="x") for n in range(50)]
    few, more = ({each.key for each in protocol.chosen(every, num)} for num in (5, 20))
    assert few < more
    assert len(more) == 20
    assert protocol.chosen(every, 0) == every
    assert len({each.seed for each in every}) == 50
    # as `printf seed:k0 | sha256sum` begins; with another rule, everybody's sounds would be others
    assert Prompt(key="k0", text="other words").seed == every[0].seed == 0xC0E357BD


def test_recordings_go_by_their_ids_and_missing_ones_are_counted(tmp_path: Path) -> None:
    for name in ("aaa.wav", "Yccc.wav", "strange.wav"):
        (tmp_path / name).write_bytes(wav_bytes(noise(1, 0.1)))
    rule = protocol.read("audiocaps")
    prompts = [
        Prompt(key=str(n), text="x", group=group) for n, group in enumerate(("aaa", "aaa", "bbb", "ccc"))
    ]
    found = matching.to_groups(sounds.of_folder(tmp_path), prompts, rule)
    assert [(each.key, each.path.name) for each in found.items if each.path] == [
        ("aaa", "aaa.wav"), ("ccc", "Yccc.wav"),
    ]  # fmt: skip
    assert found.notes == (
        "1 of 3 recordings are not there: bbb",
        "2 recordings; the published numbers are of 881",
    )
    with pytest.raises(
        UsageError, match=r"none of the 1 recordings of audiocaps is there, e.g. zzz or Yzzz.wav"
    ):
        matching.to_groups(sounds.of_folder(tmp_path), [Prompt(key="1", text="x", group="zzz")], rule)


def test_sounds_answer_by_name_then_by_text_each_prompt_once(tmp_path: Path) -> None:
    for name in ("p1", "second", "third", "fourth"):
        (tmp_path / f"{name}.wav").write_bytes(wav_bytes(noise(1, 0.1)))
    rows = "file,prompt\np1.wav,ignored\nsecond.wav,rain\nthird.wav,rain\nfourth.wav,rain\n"
    (tmp_path / "said.csv").write_text(rows)
    items = sounds.of_folder(tmp_path, str(tmp_path / "said.csv"))
    prompts = [Prompt(key="p1", text="wind", group="g1"), Prompt(key="p2", text="rain", group="g2"),
               Prompt(key="p3", text="rain"), Prompt(key="p4", text="snow")]  # fmt: skip
    found = matching.to_prompts(items, prompts)
    assert [(each.path.name, each.key, each.group) for each in found.items if each.path] == [
        ("fourth.wav", "p2", "g2"), ("p1.wav", "p1", "g1"), ("second.wav", "p3", ""),
        ("third.wav", "third", ""),
    ]  # fmt: skip
    assert found.notes == (
        "1 of 4 prompts have no sound",
        "1 of 4 sounds answer no prompt of the protocol: without pair",
    )
    (tmp_path / "said.csv").write_text("file,prompt\nnone.wav,x\n")
    with pytest.raises(UsageError, match=r"1 files are not in the folder, first 'none\.wav'"):
        sounds.of_folder(tmp_path, str(tmp_path / "said.csv"))
    (tmp_path / "p1.flac").write_bytes(b"")
    with pytest.raises(UsageError, match="p1 is there twice"):
        sounds.of_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "num"),
    [
        ("audiocaps", 4_875),
        ("audiocaps_no_speech", 2_765),
        ("audiocaps_no_connectors", 711),
        ("audiocaps_neither", 587),
    ],
)
def test_the_filters_leave_as_many_of_the_real_captions_as_published(name: str, num: int) -> None:
    """Paper, Table 5. The list is not ours to ship."""
    if not AUDIOCAPS.is_file():
        pytest.skip(f"no caption list: put dataset/test.csv of github.com/cdjkim/audiocaps at {AUDIOCAPS}")
    config = settings.read("", [f"captions={AUDIOCAPS}"])
    assert len(protocol.prompts_of_file(protocol.read(name), config)) == num
