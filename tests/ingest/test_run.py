"""The same bytes, however a dataset came about: at once, grown, interrupted, with knobs turned."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sao_data.audio import sandbox
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import IntegrityError, Locked, MatchedNothing, Stopped, UsageError
from sao_data.execution.executor import LocalExecutor
from sao_data.records import CatalogueRow
from sao_data.storage.backend import LocalStorage
from tests.datasets_made import (
    BY,
    CC0,
    NC,
    PDM,
    SAMPLING,
    build,
    load,
    read_rows,
    tone_wav,
    tree,
    write_folder,
    write_rows,
)


class Counting(LocalExecutor):
    """Counts units, and stops before a given one, as a signal would."""

    def __init__(self, stop_before: int = 10**9) -> None:
        super().__init__()
        self.num_units = 0
        self._stop_before = stop_before

    def map(self, unit: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        for item in items:
            if self.num_units == self._stop_before:
                raise Stopped("stopped by the test")
            self.num_units += 1
            yield from super().map(unit, [item])


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """in/ with six tones, and in out/ their dataset: read, never changed."""
    tmp = tmp_path_factory.mktemp("stored")
    build(load(tmp, write_folder(tmp / "in", 6)), tmp / "out")
    return tmp


@pytest.fixture
def made(stored: Path, tmp_path: Path) -> Path:
    """A copy of both."""
    return shutil.copytree(stored, tmp_path / "made")


def catalogue(out: Path) -> dict[str, CatalogueRow]:
    return {row.id: row for row in open_dataset(str(out)).catalogue()}


def test_a_dataset_is_built_verified_and_found_finished(tmp_path: Path) -> None:
    chosen = load(tmp_path, write_folder(tmp_path / "in", 7, licenses=(BY, CC0, NC)))
    first, executor = build(chosen, tmp_path / "out"), Counting()
    assert (first.offered, first.kept, first.rejected) == (7, 5, (("decide", "license_not_allowed", 2),))
    assert verify(open_dataset(str(tmp_path / "out"))) == []
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.*") if p.is_file()}
    again = build(chosen, tmp_path / "out", executor)
    assert (again.changed, executor.num_units) == (False, 0)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.*") if p.is_file()} == before


def test_a_build_grown_in_two_steps_equals_a_fresh_one(made: Path) -> None:
    write_folder(made / "in", 4, first=6)
    build(load(made, made / "in"), made / "out")
    build(load(made, made / "in"), made / "fresh")
    assert tree(made / "out", work=True) == tree(made / "fresh", work=True)
    assert verify(open_dataset(str(made / "out"))) == []


def test_a_new_recording_touches_its_bucket_only(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 12)
    build(load(tmp_path, folder, num_buckets=6), tmp_path / "out")
    write_folder(folder, 1, first=12)
    executor = Counting()
    build(load(tmp_path, folder, num_buckets=6), tmp_path / "out", executor)
    assert executor.num_units == 3  # judge, prepare and pack of one bucket


def test_of_a_withdrawn_recording_only_the_fingerprint_is_remembered(made: Path) -> None:
    folder = made / "in"
    write_rows(folder, read_rows(folder)[1:])
    (folder / "tone-000.wav").unlink()
    build(load(made, folder), made / "out")
    build(load(made, folder), made / "fresh")
    grown, fresh = tree(made / "out", work=True), tree(made / "fresh", work=True)
    same = {name for name in grown if fresh.get(name) == grown[name]}
    remembered = {name for name in {*grown, *fresh} - same if name.startswith("fingerprints/")}
    assert {*grown, *fresh} - same - remembered == {"dataset.json"}  # which lists the fingerprints' hashes
    assert len(remembered) == 1
    facts = [json.loads((made / out / "dataset.json").read_text()) for out in ("out", "fresh")]
    assert facts[0]["version"] == facts[1]["version"]


def test_a_recording_whose_neighbours_changed_is_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "in", 6)
    build(load(tmp_path, folder, num_buckets=1), tmp_path / "out")
    write_folder(folder, 1, first=6)
    decoded: list[Path] = []
    normalise = sandbox.Sandbox.normalise
    monkeypatch.setattr(
        sandbox.Sandbox,
        "normalise",
        lambda box, path, out: (decoded.append(path), normalise(box, path, out))[1],
    )
    build(load(tmp_path, folder, num_buckets=1), tmp_path / "out")
    assert len(decoded) == 1
    build(load(tmp_path, folder, num_buckets=1), tmp_path / "fresh")
    assert tree(tmp_path / "out", work=True) == tree(tmp_path / "fresh", work=True)


@pytest.mark.parametrize("stop_before", range(6))
def test_a_run_stopped_anywhere_continues_to_the_same_bytes(
    stored: Path, tmp_path: Path, stop_before: int
) -> None:
    chosen = load(tmp_path, stored / "in")
    with pytest.raises(Stopped):
        build(chosen, tmp_path / "out", Counting(stop_before))
    build(chosen, tmp_path / "out")
    assert tree(tmp_path / "out", work=True) == tree(stored / "out", work=True)


def test_work_may_be_deleted(stored: Path, made: Path) -> None:
    shutil.rmtree(made / "out" / "work")
    build(load(made, made / "in"), made / "out")
    assert tree(made / "out", work=True) == tree(stored / "out", work=True)


def test_blobs_are_deleted_unless_kept(stored: Path, tmp_path: Path) -> None:
    assert not list((stored / "out").rglob("*.blob"))
    build(load(tmp_path, stored / "in", sets=("work.keep=true",)), tmp_path / "kept")
    assert len(list((tmp_path / "kept").rglob("*.blob"))) == 3
    assert tree(stored / "out") == tree(tmp_path / "kept")


def test_a_new_caption_needs_no_decoding(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = '[caption]\nplugin = "metadata"\nmax_description = 7'
    build(load(made, made / "in", changed), made / "fresh")

    def no_decoding(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(sandbox.Sandbox, "normalise", no_decoding)
    build(load(made, made / "in", changed), made / "out")
    assert tree(made / "out") == tree(made / "fresh")


def test_knobs_turned_there_and_back_give_the_first_bytes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 5, licenses=(BY, SAMPLING))
    build(load(tmp_path, folder), tmp_path / "out")
    first = tree(tmp_path / "out", work=True)
    summary = build(load(tmp_path, folder, sets=('policy.families=["BY"]',)), tmp_path / "out")
    assert summary.changed
    assert summary.kept == 3
    assert verify(open_dataset(str(tmp_path / "out"))) == []
    build(load(tmp_path, folder), tmp_path / "out")
    assert tree(tmp_path / "out", work=True) == first


def test_a_lost_or_damaged_shard_is_made_again(stored: Path, made: Path) -> None:
    shard = next((made / "out" / "shards").glob("*.tar"))
    shard.unlink()
    assert [f for f in verify(open_dataset(str(made / "out"))) if "missing" in f]
    build(load(made, made / "in"), made / "out")
    assert tree(made / "out") == tree(stored / "out")


def test_long_recordings_become_clips_with_the_recordings_timing(tmp_path: Path) -> None:
    import io
    import json
    import tarfile

    folder = write_folder(tmp_path / "in", 1)
    (folder / "tone-000.wav").write_bytes(tone_wav(300, seconds=4.5))
    summary = build(load(tmp_path, folder, "[cut]\nmax_seconds = 2", num_buckets=1), tmp_path / "out")
    assert (summary.kept, summary.num_samples) == (1, 3)
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "out/shards/train-000000.tar").read_bytes())) as tar:
        fields = [json.load(tar.extractfile(m)) for m in tar.getmembers() if m.name.endswith(".json")]  # type: ignore[arg-type]
    assert [(f["clip"], f["seconds_start"], f["seconds_total"]) for f in fields] == [
        (0, 0, 5),
        (1, 2, 5),
        (2, 4, 5),
    ]
    assert [f["start_frame"] for f in fields] == [0, 88_200, 176_400]
    assert sum(f["num_frames"] for f in fields) == fields[0]["recording_frames"] == round(4.5 * 44_100)


def test_a_short_last_clip_is_counted_not_lost(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 1)
    (folder / "tone-000.wav").write_bytes(tone_wav(300, seconds=4.1))
    summary = build(load(tmp_path, folder, "[cut]\nmax_seconds = 2", num_buckets=1), tmp_path / "out")
    (row,) = catalogue(tmp_path / "out").values()
    assert (summary.kept, row.num_clips, row.num_clips_rejected) == (1, 2, 1)
    assert row.detail.startswith("clip 2 left out: too_short")


def test_equal_audio_stays_once_under_the_stricter_licence(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3, licenses=(CC0, BY, SAMPLING))
    for n in range(3):
        (folder / f"tone-{n:03d}.wav").write_bytes(tone_wav(440))
    build(load(tmp_path, folder), tmp_path / "out")
    rows = catalogue(tmp_path / "out")
    kept = [row for row in rows.values() if row.kept]
    assert [row.license_family for row in kept] == ["SAMPLING+"]
    assert {row.reason for row in rows.values() if not row.kept} == {"duplicate_audio"}


def test_an_id_offered_twice_is_counted_and_the_order_of_sources_does_not_matter(tmp_path: Path) -> None:
    rich, poor = write_folder(tmp_path / "a", 2), write_folder(tmp_path / "b", 2)
    write_rows(poor, [[row[0], row[1], "", row[3], "", ""] for row in read_rows(poor)])
    trees = []
    for order in itertools.permutations((rich, poor)):
        text = "".join(f'[[source]]\nplugin = "folder"\nname = "f"\npath = "{path}"\n' for path in order)
        path = tmp_path / "two.toml"
        path.write_text(f'name = "two"\nnum_buckets = 2\nscreening = "off"\n{text}')
        from sao_data import manifest

        out = tmp_path / order[0].name / "out"
        summary = build(manifest.load(path), out)
        assert (summary.offered, summary.kept, summary.rejected) == (4, 2, (("list", "duplicate_id", 2),))
        assert {row.author for row in catalogue(out).values()} != {""}
        trees.append({n: s for n, s in tree(out).items() if n.startswith(("shards", "samples", "catalogue"))})
    assert trees[0] == trees[1]


def test_broken_mislabelled_missing_and_unlisted_files_are_rejected_and_the_run_goes_on(
    tmp_path: Path,
) -> None:
    folder = write_folder(tmp_path / "in", 6)
    (folder / "tone-000.wav").write_bytes(b"")
    (folder / "tone-001.wav").write_bytes(b"<!doctype html><html>no sound here</html>")
    (folder / "tone-002.wav").write_bytes(tone_wav(300)[:2000])
    (folder / "tone-003.wav").unlink()
    (folder / "nobody.wav").write_bytes(tone_wav(700))
    summary = build(load(tmp_path, folder), tmp_path / "out")
    assert dict((reason, num) for _, reason, num in summary.rejected) == {
        "empty": 1,
        "not_audio": 1,
        "truncated": 1,
        "missing_file": 1,
        "no_license": 1,
    }
    assert summary.offered == 7 == summary.kept + sum(num for *_, num in summary.rejected)
    assert verify(open_dataset(str(tmp_path / "out"))) == []


def test_a_persons_answer_settles_a_review(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 2, licenses=(BY, PDM))
    chosen, out = load(tmp_path, folder), tmp_path / "out"
    build(chosen, out)
    lines = (out / "reviews.csv").read_text().splitlines()
    assert lines[0] == "id,verdict,who,when,note,question"
    assert len(lines) == 2
    waiting = lines[1].split(",")[0]
    answer = f"{waiting},allow,Ada,2026-11-22,it is a 1902 recording"
    (out / "reviews.csv").write_text(f"id,verdict,who,when,note\n{answer}\n")
    build(chosen, out)
    row = catalogue(out)[waiting]
    assert (row.kept, row.rule, row.verdict) == (True, "allowed_by_review", "allow")
    assert f"{answer},license_needs_review " in (out / "reviews.csv").read_text()  # bound to what it answered
    (out / "reviews.csv").write_text(f"{lines[0]}\n{waiting},alow,Ada,,\n")
    with pytest.raises(
        UsageError, match=r"reviews.csv: line 2: verdict 'alow' is not known; write allow or deny"
    ):
        build(chosen, out)


def test_a_transient_failure_is_no_fact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "in", 3)
    chosen, out = load(tmp_path, folder), tmp_path / "out"
    build(chosen, tmp_path / "whole")
    source = type(chosen_source(chosen))
    real = source.open

    def storm(self: object, recording: object) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(source, "open", storm)
    monkeypatch.setattr("sao_data.execution.executor.time.sleep", lambda _: None)
    with pytest.raises(Stopped, match=r"failed 3 times.*nothing is lost"):
        build(chosen, out)
    assert not (out / "dataset.json").exists()
    monkeypatch.setattr(source, "open", real)
    build(chosen, out)
    assert tree(out, work=True) == tree(tmp_path / "whole", work=True)


def chosen_source(chosen: Any) -> Any:
    from sao_data.ingest.run import Plan

    return Plan(url="", manifest=chosen).sources()[0]


def test_another_dataset_and_somebodys_files_are_not_touched(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 1)
    build(load(tmp_path, folder), tmp_path / "out")
    with pytest.raises(UsageError, match="belongs to dataset 'made', the manifest is 'other'"):
        build(load(tmp_path, folder, name="other"), tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match=r"not empty and no sao dataset \(found thesis\.txt\)"):
        build(load(tmp_path, folder), tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    (tmp_path / "theirs" / "shards").mkdir(parents=True)
    (tmp_path / "theirs" / "shards" / "my-own.tar").write_text("x")
    with pytest.raises(UsageError, match=r"not empty and no sao dataset \(found shards\)"):
        build(load(tmp_path, folder), tmp_path / "theirs")
    assert (tmp_path / "theirs" / "shards" / "my-own.tar").exists()


def test_a_directory_in_use_is_not_entered(tmp_path: Path) -> None:
    chosen = load(tmp_path, write_folder(tmp_path / "in", 1))
    with LocalStorage(tmp_path / "out").lock(), pytest.raises(Locked, match="in use by process"):
        build(chosen, tmp_path / "out")


def test_nothing_offered_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(MatchedNothing, match="offer no recordings"):
        build(load(tmp_path, write_rows(folder, [])), tmp_path / "out")


def test_an_object_store_gets_the_same_files(tmp_path: Path) -> None:
    from sao_data.ingest import run
    from sao_data.storage.backend import open_storage
    from tests.datasets_made import Quiet

    chosen = load(tmp_path, write_folder(tmp_path / "in", 4))
    build(chosen, tmp_path / "local")
    url = f"memory://{tmp_path.name}/out"
    run.ingest(chosen, url, LocalExecutor(), Quiet())
    store = open_storage(url)
    assert all(
        store.read(name) == (tmp_path / "local" / name).read_bytes() for name in tree(tmp_path / "local")
    )
    assert verify(open_dataset(url)) == []
    assert not run.ingest(chosen, url, LocalExecutor(), Quiet()).changed


def test_a_rebuild_that_is_stopped_leaves_no_false_dataset_json(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 6)
    build(load(tmp_path, folder), tmp_path / "out")
    with pytest.raises(Stopped):
        build(
            load(tmp_path, folder, "[cut]\nmax_seconds = 1\n[split]\nvalidation_share = 0.5"),
            tmp_path / "out",
            Counting(5),
        )
    with pytest.raises(UsageError, match="not finished"):
        open_dataset(str(tmp_path / "out"))


def test_a_file_that_arrives_late_is_taken_in(tmp_path: Path) -> None:
    import json

    from sao_data import manifest

    def listed(sound_id: int) -> str:
        row = {"id": sound_id, "name": f"{sound_id}", "username": "a", "license": BY, "type": "wav"}
        return json.dumps(row)

    (tmp_path / "fs" / "audio").mkdir(parents=True)
    (tmp_path / "fs" / "sounds.jsonl").write_text(
        "\n".join(map(listed, (1, 2))) + "\n" + '{"id": 1, "type": "exe"}\n'
    )
    (tmp_path / "fs" / "audio" / "1.wav").write_bytes(tone_wav(300))
    (tmp_path / "fs.toml").write_text(
        'name = "fs"\nnum_buckets = 2\nscreening = "off"\n'
        f'[[source]]\nplugin = "freesound"\npath = "{tmp_path}/fs"\n'
    )
    first = build(manifest.load(tmp_path / "fs.toml"), tmp_path / "out")
    assert (first.offered, first.kept) == (3, 1)
    assert set(first.rejected) == {("fetch", "missing_file", 1), ("list", "duplicate_id", 1)}
    (tmp_path / "fs" / "audio" / "2.wav").write_bytes(tone_wav(400))
    assert build(manifest.load(tmp_path / "fs.toml"), tmp_path / "out").kept == 2
    build(manifest.load(tmp_path / "fs.toml"), tmp_path / "fresh")
    assert tree(tmp_path / "out", work=True) == tree(tmp_path / "fresh", work=True)


def test_a_persons_deny_always_wins_and_their_notes_stay(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3, licenses=(BY, PDM, NC))
    chosen, out = load(tmp_path, folder), tmp_path / "out"
    build(chosen, out)
    (out / "reviews.csv").write_text(
        "id,verdict,who,when,note,seen\n"
        "folder:tone-000-wav,deny,Ada,2026-11-22,asked for removal,x\n"
        "folder:tone-001-wav,,Ada,,mailed the author,\n"
        "folder:tone-002-wav,allow,Ada,,,\nfolder:nobody,deny,Ada,,,\n"
    )
    summary = build(chosen, out)
    assert summary.kept == 0
    assert catalogue(out)["folder:tone-000-wav"].rule == "denied_by_review"
    text = (out / "reviews.csv").read_text()
    assert "mailed the author" in text
    assert "asked for removal,x" in text
    assert any("folder:nobody was never offered" in warning for warning in summary.warnings)
    assert any("allow for folder:tone-002-wav has no effect" in warning for warning in summary.warnings)


@pytest.mark.parametrize("stage", ["list", "decide", "normalise", "curate", "pack"])
def test_a_damaged_or_missing_part_is_named_or_made_again(tmp_path: Path, stage: str) -> None:
    chosen, out = load(tmp_path, write_folder(tmp_path / "in", 3), num_buckets=1), tmp_path / "out"
    build(chosen, out)
    before = tree(out, work=True)
    for path in sorted((out / "work" / stage).glob("*.*.parquet")):
        path.unlink()  # the second table of the part
    build(chosen, out)
    assert tree(out, work=True) == before
    if stage == "normalise":
        return  # what was made from it is there: it is not read again
    (path,) = (p for p in (out / "work" / stage).glob("*.parquet") if p.name.count(".") == 1)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(IntegrityError, match=r"damaged .*delete work/ there and run the same command again"):
        build(chosen, out)
