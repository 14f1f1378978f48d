"""What a dataset says follows from the raw rows it keeps, and any word that does not is named."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sao_data import manifest
from sao_data.config import Location
from sao_data.dataset.checks import evidence_reader, replay
from sao_data.dataset.checks.evidence_reader import Replayed
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import UsageError
from sao_data.licences import policy
from sao_data.records import CatalogueRow, Decision
from sao_data.sources import folder, freesound
from sao_data.storage import layout, tables
from tests.datasets_made import BY, CC0, NC, PDM, SAMPLING, build, load, tone_wav, write_folder, write_rows
from tests.paths import ROOT
from tests.sounds_made import sound, write_sounds


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of which the inputs are gone; a person allowed one that was up for review, and denied one."""
    tmp = tmp_path_factory.mktemp("replayed")
    recordings = write_folder(tmp / "in", 8, licenses=(BY, CC0, SAMPLING, NC, PDM))
    build(load(tmp, recordings), tmp / "out")
    answers = "id,verdict,who,when,note\nfolder:tone-004-wav,allow,me,,\nfolder:tone-000-wav,deny,me,,\n"
    (tmp / "out" / "reviews.csv").write_text(answers)
    build(load(tmp, recordings), tmp / "out")
    shutil.rmtree(tmp / "in")
    return tmp / "out"


def opened(built: Path, tmp_path: Path) -> Dataset:
    shutil.copytree(built, tmp_path / "out")
    return open_dataset(str(tmp_path / "out"))


def found(dataset: Dataset, **options: Any) -> list[str]:
    using, _ = replay.readers(dataset.facts)
    return list(replay.findings(dataset.storage, dataset.facts, using, **options))


def rewrite(dataset: Dataset, recording_id: str, **changes: object) -> None:
    rows = list(dataset.catalogue())
    assert recording_id in {row.id for row in rows}
    changed = [dataclasses.replace(r, **changes) if r.id == recording_id else r for r in rows]  # type: ignore[arg-type]
    tables.write(dataset.storage, layout.CATALOGUE, CatalogueRow, changed)


def test_every_row_is_read_back_without_the_inputs(built: Path) -> None:
    dataset = open_dataset(str(built))
    using, notes = replay.readers(dataset.facts)
    rows = list(replay.replayed(dataset.storage, dataset.facts, using))
    assert notes == ()
    assert len(rows) == 8
    for item in rows:
        assert isinstance(item, Replayed)
        assert item.recording
        assert (item.recording.id, item.why, item.others) == (item.row.id, "", ())


def test_an_honest_dataset_has_no_findings(built: Path) -> None:
    dataset = open_dataset(str(built))
    assert {row.rule for row in dataset.catalogue()} >= {"allowed_by_review", "denied_by_review", "allowed"}
    assert found(dataset) == []


@pytest.mark.parametrize("most", [1, 10**9])
def test_evidence_is_read_in_groups_of_any_size(
    built: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(evidence_reader, "_MOST_CHARS", most)
    dataset = open_dataset(str(built))
    using, _ = replay.readers(dataset.facts)
    items = replay.replayed(dataset.storage, dataset.facts, using)
    ids = [item.row.id for item in items if isinstance(item, Replayed)]
    assert sorted(ids) == sorted(row.id for row in dataset.catalogue())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"license": "CC0-1.0"}, "license is 'CC0-1.0', its evidence gives 'CC-BY-NC-4.0'"),
        ({"license_family": "BY"}, "license_family is 'BY', its evidence gives 'BY-NC'"),
        ({"license_version": "3.0"}, "license_version is '3.0', its evidence gives '4.0'"),
        ({"license_claim": "CC0"}, "license_claim is 'CC0', its evidence gives"),
        ({"author": "Somebody else"}, "author is 'Somebody else', its evidence gives 'Author "),
        ({"ai_preference": "no-gen-ai"}, "ai_preference is 'no-gen-ai', its evidence gives ''"),
        ({"verdict": "allow", "rule": "allowed"}, "verdict allow (allowed), its evidence gives deny (lic"),
        ({"verdict": "allow", "rule": "allowed_by_review"}, "verdict allow (allowed_by_review), its evid"),
        ({"verdict": "allow", "rule": "same_file_as_denied"}, "verdict allow (same_file_as_denied), its "),
        ({"rule": "explicit"}, "verdict deny (explicit), its evidence gives deny (license_not_allowed)"),
    ],
)
def test_a_word_that_does_not_follow_from_the_evidence_is_named(
    built: Path, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    dataset = opened(built, tmp_path)
    rewrite(dataset, "folder:tone-003-wav", **changes)  # CC BY-NC
    finding, *_ = reversed(found(dataset))
    assert finding.startswith(f"folder:tone-003-wav: {said}")


def test_what_was_allowed_may_be_objected_to_later_but_not_by_the_policys_own_rules(
    built: Path, tmp_path: Path
) -> None:
    dataset = opened(built, tmp_path)
    rewrite(dataset, "folder:tone-001-wav", verdict="review", rule="authors_differ")
    assert found(dataset) == []
    rewrite(dataset, "folder:tone-001-wav", verdict="deny", rule="license_not_allowed")
    assert len(found(dataset)) == 1


def test_who_explains_can_be_replaced(built: Path) -> None:
    def nothing(row: CatalogueRow, decision: Decision) -> str | None:
        return None

    assert len(found(open_dataset(str(built)), explain=nothing)) == 2  # the two that a person answered


def test_a_stricter_policy_in_dataset_json_is_held_against_every_row(built: Path) -> None:
    dataset = open_dataset(str(built))
    facts = json.loads(json.dumps(dataset.facts))
    facts["manifest"]["policy"]["families"] = ["CC0"]
    findings = found(dataclasses.replace(dataset, facts=facts))
    assert any(
        ": verdict allow (allowed), its evidence gives deny (license_not_a" in each for each in findings
    )


def test_evidence_of_another_recording_is_a_finding(built: Path, tmp_path: Path) -> None:
    dataset = opened(built, tmp_path)
    evidence = {row.id: row.evidence for row in dataset.catalogue()}
    rewrite(dataset, "folder:tone-001-wav", evidence=evidence["folder:tone-002-wav"])
    (finding,) = found(dataset)
    assert finding.startswith("folder:tone-001-wav: cannot be read back from its evidence: folder: it is ")
    assert finding.endswith("it is the row of folder:tone-002-wav")


def test_a_row_that_no_source_reads_is_a_finding_unless_a_source_is_missing(built: Path) -> None:
    dataset = open_dataset(str(built))
    facts = json.loads(json.dumps(dataset.facts))
    facts["manifest"]["source"][0] |= {"plugin": "freesound", "config": {}}
    findings = found(dataclasses.replace(dataset, facts=facts))
    assert len(findings) == 8
    assert findings[0].endswith(
        "cannot be read back from its evidence: freesound: id 'None' is no integer > 0"
    )
    facts["manifest"]["source"].append({"plugin": "no.such", "version": 1, "config": {}})
    assert found(dataclasses.replace(dataset, facts=facts)) == []


def test_damaged_evidence_is_left_to_the_check_of_files(built: Path, tmp_path: Path) -> None:
    dataset = opened(built, tmp_path)
    for path in (tmp_path / "out" / "evidence").iterdir():
        data = bytearray(path.read_bytes())
        data[14] ^= 0xFF
        path.write_bytes(data)
    assert found(dataset) == []


def two_offers(tmp: Path, *sounds: dict[str, Any]) -> Path:
    """A dataset of one sound that two listings offer, the first of them stricter by its licence."""
    sources = []
    for n, said in enumerate(sounds):
        write_sounds(tmp / f"in{n}", [sound(2, **said)])
        sources.append(f'[[source]]\nplugin = "freesound"\npath = "{tmp / f"in{n}"}"\n')
    (tmp / "offers.toml").write_text(
        'name = "offers"\nnum_buckets = 1\nscreening = "off"\n' + "".join(sources)
    )
    build(manifest.load(tmp / "offers.toml"), tmp / "out")
    return tmp / "out"


NO_AI = {"license": CC0, "gen_ai_preference": "no-gen-ai"}


def test_what_another_offer_forbids_is_derived_from_its_evidence(tmp_path: Path) -> None:
    dataset = open_dataset(str(two_offers(tmp_path, {"license": BY}, NO_AI)))
    (row,) = dataset.catalogue()
    assert (row.rule, row.license_family) == ("other_offer_denied", "BY")
    assert found(dataset) == []
    rewrite(dataset, row.id, verdict="allow", rule="allowed")
    (finding,) = found(dataset)
    assert finding.startswith("freesound:2: allowed, and another offer of it says so: the uploader wants no")


@pytest.mark.parametrize("rule", ["other_offer_denied", "other_offer_unclear", "offers_conflict"])
def test_another_offer_that_nobody_made_is_a_finding(tmp_path: Path, rule: str) -> None:
    dataset = open_dataset(str(two_offers(tmp_path, {"license": BY}, {"license": CC0})))
    (row,) = dataset.catalogue()
    assert (row.rule, len(found(dataset))) == ("allowed", 0)
    verdict = "deny" if rule == "other_offer_denied" else "review"
    rewrite(dataset, row.id, verdict=verdict, rule=rule)
    assert found(dataset) == [f"freesound:2: {rule}, and no other offer of it in the evidence says so"]


def test_two_names_for_an_author_conflict_unless_both_are_credited_as_one(tmp_path: Path) -> None:
    out = two_offers(tmp_path, {"license": BY}, {"license": BY, "username": "zoe", "tags": []})
    dataset = open_dataset(str(out))
    (row,) = dataset.catalogue()
    assert row.rule == "offers_conflict"
    assert found(dataset) == []
    rewrite(dataset, row.id, verdict="allow", rule="allowed")
    (finding,) = found(dataset)
    assert finding.endswith("one offer of it names 'cyn', another 'zoe' (offers_conflict)")
    (out / "credits.jsonl").write_text('{"id": "freesound:2", "as": "Uma", "when": "2026-01-01"}\n')
    assert not [finding for finding in found(dataset) if "offer" in finding]
    rewrite(dataset, row.id, verdict=row.verdict, rule=row.rule)  # the credit came later
    assert not [finding for finding in found(dataset) if "offer" in finding]


def test_an_earlier_reading_decides_nothing(tmp_path: Path) -> None:
    early = NO_AI | {"retrieved_at": "2025-01-02T03:04:05Z"}
    dataset = open_dataset(str(two_offers(tmp_path, {"license": BY}, early)))
    (row,) = dataset.catalogue()
    rewrite(dataset, row.id, verdict="allow", rule="allowed")
    assert found(dataset) == []


def test_works_that_another_offer_forbids_are_denied_works_to_others(tmp_path: Path) -> None:
    title = {"name": "Rain on a tin roof", "duration": 0.4}
    for n, said in enumerate([{"license": BY}, NO_AI]):
        others = [sound(3, license=CC0, **title)] if n == 0 else []
        write_sounds(tmp_path / f"in{n}", [sound(2, **said, **title), *others])
    text = "".join(f'[[source]]\nplugin = "freesound"\npath = "{tmp_path / f"in{n}"}"\n' for n in (0, 1))
    (tmp_path / "two.toml").write_text(f'name = "two"\nnum_buckets = 1\nscreening = "off"\n{text}')
    build(manifest.load(tmp_path / "two.toml"), tmp_path / "out")
    dataset = open_dataset(str(tmp_path / "out"))
    assert {row.id: row.rule for row in dataset.catalogue()} == {
        "freesound:2": "other_offer_denied",
        "freesound:3": "same_title_as_denied",
    }
    assert found(dataset) == []


def test_evidence_without_a_row_is_a_finding_unless_a_source_is_missing(built: Path, tmp_path: Path) -> None:
    dataset = opened(built, tmp_path)
    rows = [row for row in dataset.catalogue() if row.id != "folder:tone-003-wav"]
    tables.write(dataset.storage, layout.CATALOGUE, CatalogueRow, rows)
    assert found(dataset) == ["folder:tone-003-wav: is in the evidence, and not in the catalogue"]
    facts = json.loads(json.dumps(dataset.facts))
    facts["manifest"]["source"].append({"plugin": "no.such", "version": 1, "config": {}})
    assert found(dataclasses.replace(dataset, facts=facts)) == []


def test_what_was_derived_again_is_counted(built: Path) -> None:
    tally: Counter[str] = Counter()
    assert found(open_dataset(str(built)), tally=tally) == []
    assert tally == {"replayed": 8}


def test_two_folders_with_equal_rows_are_told_apart(tmp_path: Path) -> None:
    text = 'name = "two"\nnum_buckets = 1\nscreening = "off"\n'
    for name in ("a", "b"):
        recordings = write_folder(tmp_path / name, 0)
        (recordings / "x.wav").write_bytes(tone_wav(200 if name == "a" else 300))
        write_rows(recordings, [["x.wav", "X", "Ana", BY, "", ""]])
        text += f'[[source]]\nplugin = "folder"\nname = "{name}"\npath = "{recordings}"\n'
    (tmp_path / "two.toml").write_text(text)
    build(manifest.load(tmp_path / "two.toml"), tmp_path / "out")
    dataset = open_dataset(str(tmp_path / "out"))
    assert len({row.evidence for row in dataset.catalogue()}) == 1
    using, _ = replay.readers(dataset.facts)
    items = list(replay.replayed(dataset.storage, dataset.facts, using))
    ids = [item.recording.id for item in items if isinstance(item, Replayed) and item.recording]
    assert ids == ["a:x-wav", "b:x-wav"]
    assert len(items) == 2
    assert found(dataset) == []


# ---------------------------------------------------------------------------------------------------- sources


def facts_of(plugin: str, version: int = 1, **config: object) -> replay.Facts:
    return {"manifest": {"source": [{"plugin": plugin, "version": version, "config": config}]}}


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The source of docs/adding_a_plugin.md; its dotted name."""
    text = (ROOT / "docs" / "adding_a_plugin.md").read_text()
    (body,) = re.findall(r"^```python my_sources/one_licence\.py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "replay_sources").mkdir()
    (tmp_path / "replay_sources" / "one.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield "replay_sources.one"
    for name in [name for name in sys.modules if name.startswith("replay_sources")]:
        del sys.modules[name]


def test_the_documented_source_is_replayed(example: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "hum.wav").write_bytes(b"RIFF")
    module = importlib.import_module(example)
    (offer,) = module.build(module.Config(path=str(tmp_path / "in"), author="A", license_url=BY)).offers()
    (reader,), notes = replay.readers(facts_of(example, author="A", license_url=BY), foreign=True)
    assert notes == ()
    assert reader.read(offer.raw) == dataclasses.replace(offer.recording, sha256="")
    with pytest.raises(ValueError, match="want file"):
        reader.read("{}")


def test_a_source_without_recording_is_a_note(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(importlib.import_module(example), "recording")
    using, notes = replay.readers(facts_of(example, author="A", license_url=BY), foreign=True)
    assert using == ()
    assert notes == (
        "cannot be replayed: dataset.json: source.0: the source replay_sources.one has no recording()",
    )


def test_foreign_code_is_not_imported_unasked(example: str) -> None:
    using, (note,) = replay.readers(facts_of(example, author="A", license_url=BY))
    assert using == ()
    assert note.endswith(
        "is not one of our sources, and its code is not run unasked (--trust-plugins runs it)"
    )
    assert "replay_sources.one" not in sys.modules


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (facts_of("folder", version=2), r"made by version 2 of folder, this is version 1"),
        (facts_of("foldr"), r"no source named 'foldr'; did you mean 'folder'\?"),
        (facts_of("folder", colour="red"), r"unknown key 'colour'"),
    ],
)
def test_a_source_that_is_another_one_here_is_a_note(facts: replay.Facts, said: str) -> None:
    using, (note,) = replay.readers(facts)
    assert using == ()
    assert re.search(said, note)


def test_a_config_is_rebuilt_without_its_locations() -> None:
    assert replay.config_from(folder.Config, {"name": "x", "metadata": ""}, where="t") == folder.Config(
        path="", name="x"
    )
    assert replay.config_from(freesound.Config, {}, where="t").path == ""


def test_a_location_with_a_default_keeps_it() -> None:
    assert replay.config_from(Optional, {"fields": {"a": "b"}}, where="t") == Optional(fields={"a": "b"})
    with pytest.raises(UsageError, match="fields"):
        replay.config_from(Optional, {}, where="t")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Optional:
    """For the test above."""

    fields: dict[str, str]
    path: Location | None = None


def test_every_rule_of_the_policy_is_known_as_its_own() -> None:
    named = set(re.findall(r'rule="(\w+)"', inspect.getsource(policy)))
    assert len(named) > 12
    assert named <= replay._OWN
