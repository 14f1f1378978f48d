"""A manifest is refused with the place, the mistake and the way out."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from sao_data import config, manifest
from sao_data.audio import chromaprint
from sao_data.errors import UsageError
from tests.paths import MANIFESTS

TABLES = ("licences", "music_classes", "fma_defects")  # data, not manifests of datasets
GOOD = 'name = "x"\n[[source]]\nplugin = "synthetic"\ncount = 3\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "path", sorted(p for p in MANIFESTS.glob("*.toml") if p.stem not in TABLES), ids=lambda p: p.stem
)
def test_every_shipped_manifest_loads_under_its_own_name(path: Path) -> None:
    assert manifest.load(path).name == path.stem


def test_defaults_are_enough(tmp_path: Path) -> None:
    made = manifest.load(write(tmp_path, GOOD))
    assert made.policy.families == ("CC0", "BY", "SAMPLING+")
    assert made.cut.max_seconds == 600
    assert made.caption.plugin == "metadata"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("name", "nam"), r"m\.toml: unknown key 'nam'; did you mean 'name'\?"),
        ("nmae = 1\n" + GOOD, r"unknown key 'nmae'; did you mean 'name'\?"),
        (GOOD.replace('name = "x"\n', ""), r"m\.toml: name is missing"),
        ('name = "x"\n', r"no \[\[source\]\]; a dataset needs at least one"),
        ('name = "x"\n[source]\nplugin = "synthetic"\n', r"write \[\[source\]\] \(two brackets\)"),
        (GOOD.replace("synthetic", "syntetic"), r"no source named 'syntetic'; did you mean 'synthetic'\?"),
        (GOOD.replace("count", "cuont"), r"source\.0: unknown key 'cuont'; did you mean 'count'\?"),
        (GOOD.replace("3", '"3"'), r"source\.0: count: Input should be a valid integer \(got '3'\)"),
        (GOOD.replace('plugin = "synthetic"\n', ""), r"source\.0: plugin is missing; say which"),
        (
            GOOD + "[cut]\nmax_second = 3\n",
            r"\[cut\]: unknown key 'max_second'; did you mean 'max_seconds'\?",
        ),
        ("num_buckets = 0\n" + GOOD, r"num_buckets 0: want 1 to 999999"),
        ('num_buckets = "8"\n' + GOOD, r"num_buckets: Input should be a valid integer"),
        (GOOD.replace('"x"', '"../x"'), r"name '\.\./x': letters, digits"),
        (GOOD + '[policy]\nfamilies = ["CC1"]\n', r"CC1"),
        (GOOD + "[policy]\nfamilies = []\n", r"famil"),
        (GOOD + "[split]\nvalidation_share = 1.5\n", r"validation_share: 1\.5"),
        (GOOD + "[limits]\nmax_reject_share = 2\n", r"max_reject_share 2"),
        ("limit = -1\n" + GOOD, r"limit -1"),
        (GOOD.replace('"synthetic"', '"no.such.module"'), r"cannot import 'no\.such\.module'"),
        (
            GOOD + '[[filter]]\nplugin = "min_seconds"\nseconds = nan\n',
            r"seconds: Input should be a finite number",
        ),
        (
            GOOD + '[[filter]]\nplugin = "min_seconds"\nseconds = -5.0\n',
            r"filter min_seconds: seconds -5.0: want 0",
        ),
        (GOOD.replace('"synthetic"', '".foo"'), r"'\.foo' is no module"),
        (GOOD + '[[source]]\nplugin = "folder"\n' * 2, r"source\.2: a second folder without a name"),
        (GOOD.replace('"synthetic"', '"sao_data.records"'), r"is no plugin: it lacks Config and build"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        manifest.load(write(tmp_path, text))


def test_paths_are_relative_to_the_manifest_and_set_ones_to_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    path = write(tmp_path / "sub", 'name = "x"\n[[source]]\nplugin = "folder"\npath = "../data"\n')
    assert manifest.load(path).source[0].config.path == str(tmp_path / "data")
    made = manifest.load(path, ["source.0.path=here"], cwd=tmp_path / "cwd")
    assert made.source[0].config.path == str(tmp_path / "cwd" / "here")


def test_where_data_lie_is_not_part_of_what_they_are(tmp_path: Path) -> None:
    text = 'name = "x"\n[[source]]\nplugin = "folder"\npath = "{}"\n'
    one = manifest.load(write(tmp_path, text.format("/here/it/lies")))
    two = manifest.load(write(tmp_path, text.format("/b")))
    assert one.described() == two.described()
    assert "/here/it/lies" not in str(one.described())
    assert config.digest(one) == config.digest(two)


def test_the_two_lists_of_fields_agree() -> None:
    plain = {f.name for f in dataclasses.fields(manifest._Plain)}
    assert {f.name for f in dataclasses.fields(manifest.Manifest)} == plain | {
        "source",
        "filter",
        "caption",
        "captioner",
        "decontaminate",
    }


def test_a_plugins_version_is_part_of_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sao_data.filters import min_seconds

    text = GOOD + '[[filter]]\nplugin = "min_seconds"\n'
    before = manifest.load(write(tmp_path, text))
    monkeypatch.setattr(min_seconds, "VERSION", 2, raising=False)
    after = manifest.load(write(tmp_path, text))
    assert config.digest(before.filter) != config.digest(after.filter)


CHECKSUM = "d41d8cd98f00b204e9800998ecf8427e"


def blocks(*entries: str) -> str:
    listed = ", ".join(f'"{entry}"' for entry in entries)
    return GOOD.replace("[[source]]", f"[policy]\nblock_fingerprints = [{listed}]\n[[source]]")


def test_blocked_checksums_count_in_any_case_and_fingerprints_verbatim(tmp_path: Path) -> None:
    printed = chromaprint.encode(np.arange(40, dtype=np.uint32) * 77)
    made = manifest.load(write(tmp_path, blocks(CHECKSUM.upper(), 2 * CHECKSUM.upper(), printed)))
    assert made.policy.block_fingerprints == (CHECKSUM, 2 * CHECKSUM, printed)


@pytest.mark.parametrize("entry", ["zzz", "", " " + CHECKSUM, CHECKSUM[:-1], "0" * 33, "AQADtEmU", "h\u00e9"])
def test_a_block_that_would_block_nothing_is_refused(tmp_path: Path, entry: str) -> None:
    with pytest.raises(UsageError, match=r"m\.toml: policy\.block_fingerprints\.1: .* is no md5 or sha256"):
        manifest.load(write(tmp_path, blocks(CHECKSUM, entry)))
