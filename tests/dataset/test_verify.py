"""A published dataset proves itself offline, and any change to it is named."""

import base64
import dataclasses
import hashlib
import json
import random
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from sao_data.attribution.figures.tally import statistics_of
from sao_data.dataset import explain, report
from sao_data.dataset.commit import info_of, report_files, root_digest
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.dataset.verify import check, verify
from sao_data.errors import IntegrityError, UsageError
from sao_data.records import CatalogueRow, SampleRow, Shard
from sao_data.rights import takedowns
from sao_data.rights.takedowns import Tombstone
from sao_data.storage import evidence, layout, tables
from sao_data.storage.backend import LocalStorage, open_storage
from tests.datasets_made import BY, CC0, NC, SAMPLING, build, load, report_on, write_folder

NC_ROW = "folder:tone-003-wav"
BY_ROW = "folder:tone-000-wav"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("built")
    build(load(tmp, write_folder(tmp / "in", 12, licenses=(BY, CC0, SAMPLING, NC))), tmp / "out")
    return tmp / "out"


def copy(built: Path, tmp_path: Path) -> Dataset:
    shutil.copytree(built, tmp_path / "out")
    return open_dataset(str(tmp_path / "out"))


def reseal(out: Path, **manifest: object) -> Dataset:
    """A forged dataset in which hashes, root and counts fit again; `manifest`: what is to stand in it."""
    dataset = open_dataset(str(out))
    facts, rows = dataset.facts, list(dataset.catalogue())
    facts["manifest"] |= manifest
    _render(dataset, rows)
    for name in facts["files"]:
        facts["files"][name] = hashlib.sha256((out / name).read_bytes()).hexdigest()
    files = {name: digest for name, digest in facts["files"].items() if _sealed(name)}
    facts["root_digest"] = root_digest(files, facts["manifest"])
    facts["version"] = facts["root_digest"][:12]
    reasons = Counter(row.reason for row in rows if not row.kept)
    facts["rejected_by_reason"] = dict(reasons)
    facts["counts"] |= {"offered": len(rows), "rejected": reasons.total()}
    (out / "dataset.json").write_text(json.dumps(facts))
    owned = json.loads((out / "owner.json").read_text())
    owned["sources"] = [source["plugin"] for source in facts["manifest"]["source"]]
    (out / "owner.json").write_text(json.dumps(owned))
    return open_dataset(str(out))


def _render(dataset: Dataset, rows: list[CatalogueRow]) -> None:
    """Report, card and statistics as the tool would make them of the forged tables."""
    facts, shards = dataset.facts, dataset.shards()
    digests = {n: hashlib.sha256(dataset.storage.read(n)).hexdigest() for n in facts["files"] if _sealed(n)}
    root = root_digest(digests, facts["manifest"])
    info = info_of(facts["manifest"], rows, shards, root, tuple(facts["warnings"]))
    for name, data in report_files(info, rows, statistics_of(rows, list(dataset.measures()))):
        dataset.storage.write(name, data)


def _sealed(name: str) -> bool:
    return name.startswith(
        (layout.SHARDS, layout.SAMPLES, layout.CATALOGUE, layout.MEASURES, "shards/", "evidence/")
    )


def forge(dataset: Dataset, recording_id: str, **changes: object) -> None:
    """Other words in one row of the catalogue."""
    rows = list(dataset.catalogue())
    assert recording_id in {row.id for row in rows}
    changed = [dataclasses.replace(r, **changes) if r.id == recording_id else r for r in rows]  # type: ignore[arg-type]
    tables.write(dataset.storage, layout.CATALOGUE, CatalogueRow, changed)


def test_an_untouched_dataset_has_no_findings(built: Path) -> None:
    said: list[str] = []
    assert verify(open_dataset(str(built)), said.append) == []
    assert said == ["files", "shards", "evidence", "decisions", "report and card", "numbers"]


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_in_any_published_file_is_found(built: Path, tmp_path: Path, seed: int) -> None:
    dataset, dice = copy(built, tmp_path), random.Random(seed)
    names = sorted(dataset.facts["files"])
    name = names[seed * len(names) // 12]
    path = tmp_path / "out" / name
    data = bytearray(path.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)
    assert any(name in finding for finding in verify(dataset)), name


def test_a_changed_number_or_seal_in_dataset_json_is_found(built: Path, tmp_path: Path) -> None:
    dataset = copy(built, tmp_path)
    changed = json.loads(json.dumps(dataset.facts))
    changed["counts"]["kept"] += 1
    changed["root_digest"] = "0" * 64
    changed["evidence"]["merkle_root"] = "0" * 64
    findings = verify(Dataset(storage=dataset.storage, facts=changed))
    assert "dataset.json: the root digest does not follow from the manifest and files it lists" in findings
    assert "evidence: the Merkle root in dataset.json is not that of its files" in findings
    assert any(finding.startswith("dataset.json: 10 kept") for finding in findings)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", "deadbeef"),
        ("rejected_by_reason", {}),
        ("manifest", {"policy": {"families": ["BY-NC"]}}),
        ("counts", {"offered": 12, "kept": 9, "seconds": 1e9}),
    ],
)
def test_no_fact_in_dataset_json_can_be_changed_unseen(
    built: Path, tmp_path: Path, key: str, value: object
) -> None:
    dataset = copy(built, tmp_path)
    assert any(
        "dataset.json" in f
        for f in verify(Dataset(storage=dataset.storage, facts=dataset.facts | {key: value}))
    )


def test_a_damaged_table_is_named_with_the_fix(built: Path, tmp_path: Path) -> None:
    dataset = copy(built, tmp_path)
    path = tmp_path / "out" / "catalogue.parquet"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(IntegrityError, match=r"catalogue\.parquet: damaged"):
        explain.find(dataset, "folder:tone-000-wav")
    (tmp_path / "out" / "dataset.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"dataset\.json: name: Field required; run the ingest again"):
        open_dataset(str(tmp_path / "out"))


def test_works_that_a_part_was_trained_on_before_are_reported_too(built: Path, tmp_path: Path) -> None:
    dataset = open_dataset(str(built))
    shard = next(s for s in dataset.shards() if s.num_samples > 1)
    vae = checkpoint(dataset, tmp_path / "vae", {shard.name: [0]})
    heard = json.loads((vae / "training_data.json").read_text())
    far = heard | {"dataset": "far", "root_digest": "e" * 64}
    origins = [{"part": "vae", "training_data": heard}, {"part": "x", "training_data": far}]
    ckpt = checkpoint(dataset, tmp_path / "dit", {shard.name: [1]}, pretrained=origins)
    info = report_on(dataset, open_storage(str(tmp_path / "report")), ckpt)
    assert info.kept == 2
    assert any("far eeeeeeeeeeee" in warning for warning in info.warnings)


def test_a_directory_that_is_no_finished_dataset_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no dataset here"):
        open_dataset(str(tmp_path))
    LocalStorage(tmp_path).write(
        "owner.json", b'{"format": "sao-dataset", "format_version": 1, "name": "x", "sources": []}'
    )
    with pytest.raises(UsageError, match="not finished"):
        open_dataset(str(tmp_path))
    LocalStorage(tmp_path).write("owner.json", b'{"format": "sao-dataset", "format_version": 9, "name": "x"}')
    with pytest.raises(UsageError, match="format sao-dataset 9, this reads sao-dataset 1"):
        open_dataset(str(tmp_path))
    LocalStorage(tmp_path).write("owner.json", b"{")
    with pytest.raises(UsageError, match="not valid JSON"):
        open_dataset(str(tmp_path))


def checkpoint(dataset: Dataset, folder: Path, seen: dict[str, list[int]], **changes: object) -> Path:
    """A checkpoint folder whose training_data.json says which samples of which shard were seen."""
    shards = []
    for shard in dataset.shards():
        bits = sum(1 << i for i in seen.get(shard.name, []))
        bitmap = bits.to_bytes((shard.num_samples + 7) // 8, "little")
        known = {"name": shard.name, "sha256": shard.sha256, "num_samples": shard.num_samples, "draws": 1}
        shards.append(known | {"seen": base64.b64encode(bitmap).decode()})
    facts = {name: dataset.facts[name] for name in ("version", "root_digest")}
    facts |= {"dataset": "made", "step": 7, "shards": shards}
    folder.mkdir()
    (folder / "training_data.json").write_text(json.dumps(facts | changes))
    return folder


def test_a_checkpoints_report_names_only_what_it_has_seen(built: Path, tmp_path: Path) -> None:
    dataset = open_dataset(str(built))
    shard = next(s for s in dataset.shards() if s.num_samples > 1)
    in_order = sorted((r for r in dataset.samples() if r.shard == shard.name), key=lambda r: r.flac_offset)
    ckpt = checkpoint(dataset, tmp_path / "ckpt", {shard.name: [1]})
    info = report_on(dataset, open_storage(str(tmp_path / "report")), ckpt)
    assert info.kept == 1
    assert info.offered == 12 == info.kept + info.rejected
    rows = json.loads((tmp_path / "report" / "attribution.json").read_text())
    assert [row["id"] for row in rows] == [in_order[1].recording_id]
    assert "had seen by step 7" in (tmp_path / "report" / "index.html").read_text()


def test_another_datasets_or_a_damaged_checkpoint_is_refused(built: Path, tmp_path: Path) -> None:
    dataset, out = open_dataset(str(built)), open_storage(str(tmp_path / "report"))
    other = checkpoint(dataset, tmp_path / "a", {}, root_digest="f" * 64)
    said = (other / "training_data.json").read_text()
    (other / "training_data.json").write_text(re.sub('"sha256": "[^"]*"', f'"sha256": "{"0" * 64}"', said))
    with pytest.raises(UsageError, match=r"trained on made f{12}, this is made"):
        report_on(dataset, out, other)
    with pytest.raises(UsageError, match="takes a checkpoint folder"):
        report_on(dataset, out, tmp_path)
    broken = checkpoint(dataset, tmp_path / "b", {})
    text = (broken / "training_data.json").read_text()
    (broken / "training_data.json").write_text(re.sub('"seen": "[^"]*"', '"seen": "!"', text))
    with pytest.raises(IntegrityError, match="bitmap"):
        report_on(dataset, out, broken)
    (tmp_path / "b" / "training_data.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"training_data\.json: dataset: Field required; restore it"):
        report_on(dataset, out, broken)


def test_the_report_of_a_dataset_equals_the_one_beside_it(built: Path, tmp_path: Path) -> None:
    report.write(open_dataset(str(built)), open_storage(str(tmp_path / "report")))
    for path in (tmp_path / "report").iterdir():
        assert path.read_bytes() == (built / "attribution" / path.name).read_bytes()


# -------------------------------------------------------------------------------- forged, and all hashes fit


def test_a_resealed_dataset_that_nobody_forged_has_no_findings(built: Path, tmp_path: Path) -> None:
    copy(built, tmp_path)
    result = check(reseal(tmp_path / "out"))
    assert result.findings == ()
    assert (result.num_replayed, result.num_not_replayed) == (12, 0)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"plugin": "evil.plug"}, "evil.plug is not one of our sources, and its code is not run unasked"),
        ({"version": 99}, "made by version 99 of folder, this is version "),
    ],
)
def test_decisions_that_are_not_replayed_are_a_finding_unless_allowed(
    built: Path, tmp_path: Path, source: dict[str, object], why: str
) -> None:
    dataset = copy(built, tmp_path)
    forged = [dataset.facts["manifest"]["source"][0] | source]
    dataset = reseal(tmp_path / "out", source=forged)
    (finding,) = check(dataset).findings
    assert why in finding
    assert finding.endswith("; 12 of 12 decisions were not replayed (--allow-unreplayed accepts that)")
    allowed = check(dataset, allow_unreplayed=True)
    assert allowed.findings == ()
    assert why in allowed.notes[0]
    assert (allowed.num_replayed, allowed.num_not_replayed) == (0, 12)


def test_one_source_more_does_not_hide_that_the_others_cannot_be_judged_whole(
    built: Path, tmp_path: Path
) -> None:
    sources = copy(built, tmp_path).facts["manifest"]["source"]
    (finding,) = check(reseal(tmp_path / "out", source=[*sources, sources[0] | {"plugin": "a.b"}])).findings
    assert "source.1: a.b is not one of our sources" in finding
    assert "; 0 of 12 decisions were not replayed" in finding


def test_sources_that_are_not_ours_are_replayed_if_trusted(built: Path, tmp_path: Path) -> None:
    sources = copy(built, tmp_path).facts["manifest"]["source"]
    dataset = reseal(tmp_path / "out", source=[sources[0] | {"plugin": "sao_data.sources.folder"}])
    assert len(check(dataset).findings) == 1
    trusted = check(dataset, trust_plugins=True)
    assert (trusted.findings, trusted.num_replayed, trusted.num_not_replayed) == ((), 12, 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"evidence": ""}, "has no evidence, and was not taken down"),
        ({"evidence": "", "verdict": "allow", "rule": "allowed"}, "is allowed without evidence"),
        ({"rule": "taken_down"}, "taken_down, and takedowns.jsonl has neither it nor its file"),
        ({"verdict": "allow"}, "the rule license_not_allowed does not give the verdict allow"),
        ({"rule": "allowed"}, "the rule allowed does not give the verdict deny"),
    ],
)
def test_verdict_rule_and_evidence_must_go_together(
    built: Path, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    forge(copy(built, tmp_path), NC_ROW, **changes)
    assert f"{NC_ROW}: {said}" in verify(reseal(tmp_path / "out"))


@pytest.mark.parametrize("rule", ["sounds_like_denied", "same_file_as_denied", "screening_hit", "taken_down"])
def test_what_is_kept_was_not_objected_to(built: Path, tmp_path: Path, rule: str) -> None:
    forge(copy(built, tmp_path), BY_ROW, rule=rule)
    found = verify(reseal(tmp_path / "out"))
    assert f"{BY_ROW}: the rule {rule} does not give the verdict allow" in found


def test_what_is_kept_has_evidence(built: Path, tmp_path: Path) -> None:
    forge(copy(built, tmp_path), BY_ROW, evidence="")
    assert f"{BY_ROW}: is in the dataset without evidence" in verify(reseal(tmp_path / "out"))


@pytest.mark.parametrize(
    ("line", "changes", "num"),
    [
        (Tombstone(id=NC_ROW, when="", reason=""), {}, 0),
        (Tombstone(id="folder:other", when="", reason=""), {}, 1),
        (Tombstone(id="folder:other", when="", reason="", author="f" * 64), {}, 0),
        (Tombstone(id="folder:other", when="", reason="", md5="a" * 32), {}, 0),  # the file was not fetched
        (Tombstone(id="folder:other", when="", reason="", md5="a" * 32), {"original_sha256": "b" * 64}, 1),
        (Tombstone(id="folder:o", when="", reason="", audio_sha256="b" * 64), {"audio_sha256": "b" * 64}, 0),
    ],
)
def test_what_was_taken_down_has_a_tombstone_that_can_mean_it(
    built: Path, tmp_path: Path, line: Tombstone, changes: dict[str, str], num: int
) -> None:
    dataset = copy(built, tmp_path)
    takedowns.append(dataset.storage, [line])
    forge(dataset, NC_ROW, rule="taken_down", reason="taken_down", **changes)
    assert len(verify(reseal(tmp_path / "out"))) == num


def test_a_row_that_was_left_out_of_the_catalogue_is_found(built: Path, tmp_path: Path) -> None:
    dataset = copy(built, tmp_path)
    rows = [row for row in dataset.catalogue() if row.id != NC_ROW]
    tables.write(dataset.storage, layout.CATALOGUE, CatalogueRow, rows)
    assert verify(reseal(tmp_path / "out")) == [f"{NC_ROW}: is in the evidence, and not in the catalogue"]


def swap(dataset: Dataset, old: bytes, new: bytes, *, tables_too: bool) -> None:
    """Other bytes of the same length in every shard that has them, and hashes that fit in shards.parquet, or
    in samples.parquet as well."""
    assert len(old) == len(new)
    packed, rows = [], list(dataset.samples())
    for shard in dataset.shards():
        data = dataset.storage.read(f"shards/{shard.name}").replace(old, new)
        dataset.storage.write(f"shards/{shard.name}", data)
        packed.append(dataclasses.replace(shard, sha256=hashlib.sha256(data).hexdigest()))
        texts = {
            r.key: data[r.json_offset : r.json_offset + r.json_size] for r in rows if r.shard == shard.name
        }
        for row in rows if tables_too else ():
            if row.key in texts:
                said = json.loads(texts[row.key])
                digest = hashlib.sha256(texts[row.key]).hexdigest()
                changed = dataclasses.replace(row, json_sha256=digest, credit=said["credit"])
                rows[rows.index(row)] = changed
    tables.write(dataset.storage, layout.SHARDS, Shard, packed)
    tables.write(dataset.storage, layout.SAMPLES, SampleRow, rows)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (
            b'"license": "CC-BY-4.0"',
            b'"license": "CC0-1.0xx"',
            "license is 'CC0-1.0xx', the catalogue has 'CC-BY-",
        ),
        (
            b'"license_family": "BY"',
            b'"license_family": "XX"',
            "license_family is 'XX', the catalogue has 'BY'",
        ),
        (b'"author": "Author', b'"author": "Nobody', "author is 'Nobody "),
        (b'"title": "Tone', b'"title": "Bone', "title is 'Bone "),
        (b'"page_url": "https', b'"page_url": "evils', "page_url is 'evils://"),
        (
            b'"ai_preference": "", "album": "",',
            b'"ai_preference": "x", "album":"",',
            "ai_preference is 'x', ",
        ),
        (b'"author_id": "",', b'"author_id":"x",', "author_id is 'x', the catalogue has ''"),
    ],
)
@pytest.mark.parametrize("tables_too", [False, True])
def test_other_words_in_a_sample_are_found_by_key_and_field(
    built: Path, tmp_path: Path, old: bytes, new: bytes, field: str, tables_too: bool
) -> None:
    swap(copy(built, tmp_path), old, new, tables_too=tables_too)
    found = verify(reseal(tmp_path / "out"))
    assert any(f".json: {field}" in finding and "tar: folder-" in finding for finding in found), found
    assert any("is damaged: not the sha256 that samples.parquet has" in each for each in found) != tables_too


def test_catalogue_and_shards_forged_alike_are_found_by_their_evidence(built: Path, tmp_path: Path) -> None:
    dataset = copy(built, tmp_path)
    (row,) = (row for row in dataset.catalogue() if row.id == BY_ROW)
    forged = row.author.replace("Author", "Nobody")
    old, new = (f'"author": "{name}"'.encode() for name in (row.author, forged))
    for other in [each.id for each in dataset.catalogue() if each.kept and each.author == row.author]:
        forge(dataset, other, author=forged)
    swap(dataset, old, new, tables_too=True)
    found = verify(reseal(tmp_path / "out"))
    assert f"{BY_ROW}: author is {forged!r}, its evidence gives {row.author!r}" in found
    others = [each for each in found if not each.endswith(f"its evidence gives {row.author!r}")]
    assert all(".json: credit is '" in each for each in others)  # the sentence has the author's name yet


def test_other_audio_in_a_sample_is_found(built: Path, tmp_path: Path) -> None:
    dataset = copy(built, tmp_path)
    row = next(iter(dataset.samples()))
    data = dataset.storage.read(f"shards/{row.shard}")[row.flac_offset :][: row.flac_size]
    swap(dataset, data[-8:], bytes(8), tables_too=False)
    assert any(f"{row.key}.flac is damaged" in finding for finding in verify(reseal(tmp_path / "out")))


def test_evidence_rows_are_told_by_their_hash(built: Path) -> None:
    dataset = open_dataset(str(built))
    names = [name for name in dataset.facts["files"] if name.startswith("evidence/")]
    digests = {digest for name in names for digest in evidence.read_rows(dataset.storage, name)}
    assert digests == {row.evidence for row in dataset.catalogue()}


@pytest.mark.parametrize(
    ("holds", "message"),
    [
        ({}, ""),
        ({"README.md": "mine"}, "not empty and no report"),
        ({"summary.json": "{}"}, "not empty and no report"),
        ({"summary.json": "["}, "not valid JSON"),
        ({"summary.json": '{"name": "else", "root_digest": "x"}'}, "holds the report on 'else'"),
        ({"owner.json": "{}"}, "the dataset has its report"),
    ],
)
def test_a_report_is_written_over_nothing_but_its_like(
    built: Path, tmp_path: Path, holds: dict[str, str], message: str
) -> None:
    dataset, out = open_dataset(str(built)), open_storage(str(tmp_path))
    for name, text in holds.items():
        (tmp_path / name).write_text(text)
    if not message:
        report.write(dataset, out)
        report.write(dataset, out)
        return
    with pytest.raises(UsageError, match=message):
        report.write(dataset, out)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == holds


def test_a_report_does_not_go_into_the_dataset_itself(built: Path) -> None:
    with pytest.raises(UsageError, match="the dataset has its report"):
        report.write(open_dataset(str(built)), open_storage(f"{built}/attribution"))
