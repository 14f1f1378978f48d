"""Evaluation lists by id: whose ids they are, in which column, and what is said when they are not."""

from pathlib import Path

import pytest

from sao_data.errors import UsageError
from sao_data.matching.decontamination import PUBLISHED, EvaluationList, by_id, check, idle, read_ids
from sao_data.records import Recording

# The first lines of the lists as they are published, with ids of ours.
HEADS = {
    "esc50": (
        "filename,fold,target,category,esc10,src_file,take\n1-77-A-0.wav,1,0,dog,True,77,A\n",
        "freesound:77",
    ),
    "urbansound8k": (
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n77-3-0-0.wav,77,0.0,0.3,1,5,3,dog_bark\n",
        "freesound:77",
    ),
    "fsd50k": ('fname,labels,mids\n77,"Electric_guitar,Music","/m/02sgy,/m/04rlf"\n', "freesound:77"),
    "clotho": (
        "file_name,keywords,sound_id,sound_link,start_end_samples,manufacturer,license\n"
        "Caf\xe9.wav,wind,77,https://freesound.org/s/77,\"[0, 9]\",x,http://x\n"
        "b.wav,wind,Not found,Not found,,,\n",
        "freesound:77",
    ),
    "song_describer": (
        "caption_id,track_id,caption,is_valid_subset,familiarity,artist_id,album_id,path,duration\n"
        "1,77,a song,True,0,artist_1,album_1,77/77.mp3,200\n",
        "jamendo:77-2min-mp3",
    ),
    "audiocaps": (
        "audiocap_id,youtube_id,start_time,caption\n5,-a_bC1dEfGh,30,A dog\n",
        "clips:a_bC1dEfGh-0123456789",
    ),
}  # fmt: skip
FILES = {"jamendo:77-2min-mp3": "77.2min.mp3", "clips:a_bC1dEfGh-0123456789": "test/-a_bC1dEfGh.wav"}


def recording(key: str) -> Recording:
    return Recording(id=key, source=key.partition(":")[0], audio_url=FILES.get(key, "https://x/77.wav"))


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_known_list_needs_no_more_than_its_file(name: str, tmp_path: Path) -> None:
    text, key = HEADS[name]
    (tmp_path / "list.csv").write_bytes(text.encode("latin-1"))
    item = EvaluationList(name=name, ids=str(tmp_path / "list.csv"))
    check([item])
    offered = [recording(key), recording("freesound:78"), recording("other:77")]
    (found,) = by_id(offered, [(item, read_ids(item))])
    assert (found.recording_id, found.verdict, found.rule) == (key, "deny", "decontaminated")
    assert found.detail.startswith(f"{name} (id ")


def test_rows_and_columns_may_be_chosen_and_lists_may_be_plain(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("work\tpart\n1\ttest\n2\ttrain\n\ttest\n")
    (tmp_path / "b.txt").write_text("# our own\n3  # a dog\n\n4\n")
    chosen = EvaluationList(name="a", ids=str(tmp_path / "a.tsv"), column="work", rows={"part": "test"})
    assert read_ids(chosen) == {"1"}
    plain = EvaluationList(name="b", ids=str(tmp_path / "b.txt"), source="freesound")
    assert read_ids(plain) == {"3", "4"}
    both = [(chosen, read_ids(chosen)), (plain, frozenset({"1", "4"}))]
    said = [item.detail for item in by_id([recording("freesound:1"), recording("other:1")], both)]
    assert said == ["a (id 1); b (id 1)", "a (id 1)"]
    assert idle([chosen, plain], said[1:]) == [
        "decontaminate: b: nothing that was offered is in it; is it the right file?"
    ]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"name": "esc50"}, "give each list a name, and ids"),
        ({"name": "", "ids": "there.csv"}, "give each list a name, and ids"),
        ({"name": "esc50", "ids": "gone.csv"}, r"no file .*gone\.csv; .*ESC-50 has it as meta/esc50\.csv"),
        ({"name": "mine", "ids": "gone.csv"}, "known lists are audiocaps, .*; of another, say its column"),
        ({"name": "mine", "ids": "there.csv"}, r"no column \(column is not set\); it has fname, part"),
        ({"name": "fsd50k", "ids": "there.csv", "rows": {"fold": "5"}}, "no column fold; it has fname, part"),
        ({"name": "fsd50k", "ids": "there.csv", "rows": {"part": "x"}}, "no work in rows with {'part': 'x'}"),
        ({"name": "fsd50k", "audio": "gone"}, "audio: no folder .*gone"),
    ],
)  # fmt: skip
def test_a_list_that_would_leave_nothing_out_is_refused(
    given: dict[str, object], problem: str, tmp_path: Path
) -> None:
    (tmp_path / "there.csv").write_text("fname,part\n1,test\n")
    places = {key: str(tmp_path / str(given[key])) for key in ("ids", "audio") if key in given}
    with pytest.raises(UsageError, match=problem):
        check([EvaluationList(**(given | places))])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="stands there twice"):
        check([EvaluationList(name="fsd50k", ids=str(tmp_path / "there.csv"))] * 2)
