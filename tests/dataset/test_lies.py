"""Lies told of a dataset, each plain (a file was changed) and resealed (digests, root and pages made to fit;
not all counts are, and some lies show by those): what `sao verify` says, and what only --expect can show.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sao_data.commands.main import main
from sao_data.dataset.checks import decoded
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.dataset.verify import check
from sao_data.measures import MeasuredClip
from sao_data.records import SampleRow, Shard
from sao_data.rights import takedowns
from sao_data.rights.takedowns import Tombstone, author_hash
from sao_data.storage import layout, tables
from tests.dataset.test_verify import NC_ROW, copy, forge, reseal, swap
from tests.datasets_made import BY, CC0, NC, SAMPLING, build, load, write_folder

Lie = Callable[[Dataset], None]
FILTER = '[[filter]]\nplugin = "min_seconds"\nseconds = 0.2\n'
PLAIN, BOTH, SEALED = "plain", "both", "resealed"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("lies")
    folder = write_folder(tmp / "in", 12, licenses=(BY, CC0, SAMPLING, NC))
    build(load(tmp, folder, FILTER), tmp / "out")
    return tmp / "out"


def samples(dataset: Dataset, **changes: object) -> None:
    rows = [dataclasses.replace(row, **changes) for row in dataset.samples()]  # type: ignore[arg-type]
    tables.write(dataset.storage, layout.SAMPLES, SampleRow, rows)


def catalogue(dataset: Dataset, **changes: object) -> None:
    row = next(row for row in dataset.catalogue() if row.kept)
    forge(dataset, row.id, **changes)


def measures(dataset: Dataset, **changes: object) -> None:
    rows = list(dataset.measures())
    at = next(n for n, row in enumerate(rows) if row.kept)
    rows[at] = dataclasses.replace(rows[at], **changes)  # type: ignore[arg-type]
    tables.write(dataset.storage, layout.MEASURES, MeasuredClip, rows)


def append_to(name: str, data: bytes) -> Lie:
    def lie(dataset: Dataset) -> None:
        dataset.storage.write(name, dataset.storage.read(name) + data)

    return lie


def put(name: str, data: bytes) -> Lie:
    return lambda dataset: dataset.storage.write(name, data)


def in_shard(old: bytes, new: bytes) -> Lie:
    return lambda dataset: swap(dataset, old, new, tables_too=True)


def after_the_tar(dataset: Dataset, member: str = "") -> None:
    shard, *others = dataset.shards()
    name = f"shards/{shard.name}"
    data = dataset.storage.read(name)
    if member:
        out = io.BytesIO(data)
        with tarfile.open(fileobj=out, mode="a") as tar:
            info = tarfile.TarInfo(member)
            if member.endswith("link"):
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info, io.BytesIO(b""))
        data = out.getvalue()
    else:
        data += b"x" * 512
    dataset.storage.write(name, data)
    changed = dataclasses.replace(shard, sha256=hashlib.sha256(data).hexdigest(), num_bytes=len(data))
    tables.write(dataset.storage, layout.SHARDS, Shard, [changed, *others])


def tombstone(**fields: str) -> Lie:
    def lie(dataset: Dataset) -> None:
        row = next(row for row in dataset.catalogue() if row.kept)
        named = {key: value.format(id=row.id, sha=row.original_sha256) for key, value in fields.items()}
        if named.pop("by", ""):
            named["author"] = author_hash(row.source, row.author_id, row.author)
        line = Tombstone(**{"id": "folder:other", "when": "2026-01-01", "reason": "asked", **named})
        takedowns.append(dataset.storage, [line])

    return lie


def without_line(dataset: Dataset) -> None:
    """One of two tombstones is taken out; an author's stands beside it."""
    dataset.storage.write(layout.TAKEDOWNS, dataset.storage.read(layout.TAKEDOWNS).splitlines()[0] + b"\n")


IN_CATALOGUE: dict[str, tuple[dict[str, object], str]] = {
    "changes emptied": ({"changes": ()}, "changes is"),
    "another original": ({"original_sha256": "0" * 64}, "original_sha256 is"),
    "another length": ({"seconds": 99.0}, "seconds"),
    "another title": ({"title": "Mine"}, "title is"),
    "another author": ({"author": "Me"}, "author is"),
    "another page": ({"page_url": "https://me"}, "page_url is"),
    "another licence": ({"license": "CC0-1.0x"}, "license is"),
    "another wish": ({"ai_preference": "none"}, "ai_preference is"),
    "a notice": ({"copyright_notice": "mine"}, "copyright_notice is"),
    "another date": ({"retrieved_at": "2020-01-01"}, "retrieved_at is"),
    "other shards": ({"shards": ("train-000009.tar",)}, "by the catalogue, not by the shards"),
    "one clip more": ({"num_clips": 2}, "2 clips by the catalogue"),
    "offered more often": ({"num_offers": 3}, "offered, the tables have"),
    "other evidence": ({"evidence": "0" * 64}, "in no evidence file"),
    "left out by a rule": ({"rule": "taken_down"}, "does not give the verdict"),
}
IN_MEASURES: dict[str, tuple[dict[str, object], str]] = {
    "another length of a clip": ({"num_frames": 100}, "loudness, length"),
    "louder than it is": ({"lufs": 0.0}, "loudness, length"),
    "another language": ({"language": "xx"}, "loudness, length, language"),
    "left out, and kept": (
        {"kept": False, "stage": "curate", "reason": "too_short"},
        "left out as too_short",
    ),
}
PAGES = {
    "an edited report": "attribution/index.html",
    "an edited list": "attribution/attribution.csv",
    "an edited card": "README.md",
    "an edited Croissant": "croissant.json",
    "edited statistics": "statistics.json",
}
# what is told, how, told as, what verify says of it (plain ones also show as other digests)
LIES: list[tuple[str, Lie, str, str]] = [
    *((name, lambda d, c=c: catalogue(d, **c), BOTH, said) for name, (c, said) in IN_CATALOGUE.items()),
    *((name, lambda d, c=c: measures(d, **c), BOTH, said) for name, (c, said) in IN_MEASURES.items()),
    *((name, append_to(page, b" "), BOTH, f"{page}: (content|not what)") for name, page in PAGES.items()),
    (
        "a credit in the shards",
        in_shard(b'"credit": "\\"Tone', b'"credit": "\\"Bone'),
        BOTH,
        "json: credit is",
    ),
    ("a credit in the index", lambda d: samples(d, credit="mine"), BOTH, "credit"),
    ("another rule", lambda d: forge(d, NC_ROW, rule="unknown_license"), BOTH, "unknown_license"),
    ("let in what is denied", lambda d: forge(d, NC_ROW, verdict="allow"), BOTH, "does not give the verdict"),
    ("other tags in the shards", in_shard(b'"tags": ["tone"', b'"tags": ["bone"'), BOTH, "tags are not"),
    ("bytes behind a tar", after_the_tar, BOTH, "behind|ends|bytes"),
    ("a member more", lambda d: after_the_tar(d, "evil.pkl"), BOTH, "evil.pkl|bytes"),
    ("a link in a shard", lambda d: after_the_tar(d, "a-link"), BOTH, "a-link|bytes"),
    ("a file in evidence/", put("evidence/more.jsonl.gz", b"x"), PLAIN, "gz: not in dataset.json"),
    ("a file in attribution/", put("attribution/more.html", b"x"), PLAIN, "html: not in dataset.json"),
    ("a file in fingerprints/", put("fingerprints/9.parquet", b"x"), PLAIN, "9.parquet: not in dataset.json"),
    ("no report", lambda d: d.storage.delete("attribution/ATTRIBUTION.md"), PLAIN, "ATTRIBUTION.md: missing"),
    ("kept, and named by a tombstone", tombstone(id="{id}"), PLAIN, "is in the dataset, .* names it"),
    ("kept, and its author's stands there", tombstone(by="x"), PLAIN, "takedowns.jsonl names its author"),
    ("kept, and its file's stands there", tombstone(original_sha256="{sha}"), PLAIN, "names its file"),
    ("a tombstone is gone", without_line, PLAIN, "takedowns.jsonl: lines that stood there .* are gone"),
]


@pytest.fixture(scope="module")
def taken(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two works taken down, one of them for its author."""
    out = tmp_path_factory.mktemp("taken") / "out"
    shutil.copytree(built, out)
    kept = [row for row in open_dataset(str(out)).catalogue() if row.kept]
    for asked in (
        ["--author", kept[0].author],
        ["--id", next(r.id for r in kept if r.author != kept[0].author)],
    ):
        assert main(["takedown", str(out), *asked, "--reason", "asked", "--apply"]) == 0
    return out


@pytest.mark.parametrize("told", [PLAIN, SEALED])
@pytest.mark.parametrize(("name", "lie", "as_", "said"), LIES, ids=[each[0] for each in LIES])
def test_every_lie_is_told(
    name: str, lie: Lie, as_: str, said: str, told: str, built: Path, taken: Path, tmp_path: Path
) -> None:
    if as_ not in (told, BOTH):
        pytest.skip("is no lie when it is resealed: files that no table speaks of go, others are made again")
    dataset = copy(taken if lie is without_line else built, tmp_path)
    assert check(dataset).findings == ()
    lie(dataset)
    if told == SEALED:
        pages = {n: dataset.storage.read(n) for n in dataset.facts["files"] if _is_page(n)}
        dataset = reseal(tmp_path / "out")
        if "edited" in name:  # the page stays as it was edited, and its digest fits
            for page, data in pages.items():
                dataset.storage.write(page, data)
            facts = json.loads((tmp_path / "out" / "dataset.json").read_text())
            facts["files"] |= {page: hashlib.sha256(data).hexdigest() for page, data in pages.items()}
            (tmp_path / "out" / "dataset.json").write_text(json.dumps(facts))
            dataset = open_dataset(str(tmp_path / "out"))
    found = check(dataset).findings
    also = "|content is not what dataset.json says" if told == PLAIN else ""
    assert any(re.search(said + also, each) for each in found), found


def _is_page(name: str) -> bool:
    return name.startswith("attribution/") or name in ("README.md", "croissant.json", "statistics.json")


def test_a_work_gone_with_its_evidence_shows_with_the_digest_from_elsewhere(
    built: Path, tmp_path: Path
) -> None:
    before = open_dataset(str(built)).facts["root_digest"]
    smaller = tmp_path / "in"
    shutil.copytree(built.parent / "in", smaller)
    lines = (smaller / "metadata.csv").read_text().splitlines(keepends=True)
    (smaller / "metadata.csv").write_text("".join(lines[:-1]))  # as if it had never been offered
    (smaller / "tone-011.wav").unlink()
    build(load(tmp_path, smaller, FILTER), tmp_path / "out")
    dataset = open_dataset(str(tmp_path / "out"))
    assert check(dataset).findings == ()
    assert "expected is" in check(dataset, expect=f"sha256:{before}").findings[0]
    assert check(dataset, expect=dataset.facts["root_digest"][:12]).findings == ()


def test_other_sound_than_the_catalogue_s_shows_when_it_is_decoded(built: Path, tmp_path: Path) -> None:
    dataset = copy(built, tmp_path)
    assert list(decoded.findings(dataset)) == []
    row = next(row for row in dataset.catalogue() if row.kept)
    forge(dataset, row.id, audio_sha256="0" * 64)
    measures(dataset, peak_dbfs=-1.0)
    found = list(decoded.findings(open_dataset(dataset.storage.url)))
    assert any("audio_sha256 is 000000000000… in the catalogue" in each for each in found)
    assert any("peak_dbfs is -1.0 in the measures, the sound has" in each for each in found)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--quick"], 0, "0 findings"),
        (["--full"], 0, "0 findings"),
        (["--expect", "123456789abc"], 1, "expected is 123456789abc"),
        (["--expect", "nothing"], 2, "want a root digest, or 12 or more of its first digits"),
    ],
)
def test_how_much_is_checked_can_be_chosen(
    arguments: list[str], code: int, said: str, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(built), *arguments]) == code
    printed = capsys.readouterr()
    assert said in printed.out + printed.err


def test_a_flipped_byte_of_a_shard_shows_in_the_quick_check(built: Path, tmp_path: Path) -> None:
    dataset = copy(built, tmp_path)
    name = f"shards/{dataset.shards()[0].name}"
    data = bytearray(dataset.storage.read(name))
    data[700] ^= 1
    dataset.storage.write(name, bytes(data))
    assert check(dataset, quick=True).findings == (f"{name}: content is not what shards.parquet says",)
