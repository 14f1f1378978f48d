"""The documents say what is true: generated parts are fresh, links resolve, commands parse, examples run."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import functools
import hashlib
import importlib
import importlib.util
import io
import json
import re
import shlex
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from accelerate.commands.launch import launch_command_parser

from sao_data import config, manifest, plugins, records, screening
from sao_data.attribution import sheets
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.flac import seek_points
from sao_data.audio.rejected import Reason
from sao_data.commands import arguments
from sao_data.commands import main as cli
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.latents.facts import LatentRow
from sao_data.licences.policy import Policy, Release
from sao_data.loading.samples import PromptConfig, StreamConfig
from sao_data.matching import metadata
from sao_data.matching.decontamination import EvaluationList
from sao_data.measures import MeasuredClip
from sao_data.rights import known_audio, takedowns
from sao_data.storage import evidence
from sao_data.storage.backend import open_storage
from sao_model import (
    checkpoint,
    codec,
    dit,
    generation,
    losses,
    preset,
    released,
    run,
    train_dit,
    train_vae,
)
from sao_model.adapters import settings
from sao_model.conditioners import seconds, t5
from sao_model.training import adversary, demos, ema, loop, optimiser, preflight, validation
from tests.datasets_made import BY, build, report_on, tone_wav
from tests.house.test_rooms import ORDER
from tests.made import flac_bytes, noise, to_pcm
from tests.paths import ROOT

FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HOLE = "…"

# Messages of Ray, pydantic and Python that a user of ours sees too.
FOREIGN = {
    "Input should be a valid integer (got 'x')",
    "No such option '--limit'",
    "ray job submit",
    "No module named 'sao_data'",
    "Could not find any running Ray instance",
    "Request failed with status code 413: Maximum request body size",
    "exceeds the maximum size of",
    "% full, available space",
    "utilization is over capacity",
    "killed due to the node running low on memory",
    "is too large (",
    "Can't get attribute",
    "unsupported pickle protocol",
}


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load_script(ROOT / "docs" / "generate.py")


def tracked() -> list[Path]:
    """Files under version control, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [path for name in listed.splitlines() if (path := ROOT / name).is_file()]


TRACKED = tracked()
DOCUMENTS = [path for path in TRACKED if path.suffix == ".md"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """Code blocks whose first word behind the fence is `language`."""
    return [body for info, body in FENCE.findall(read(name)) if info.split(" ")[0] == language]


# ------------------------------------------------------------------------------------------- generated parts


@pytest.mark.parametrize("name", generate.DOCUMENTS)
def test_generated_parts_are_fresh(name: str) -> None:
    assert generate.filled(read(name)) == read(name), "run .venv/bin/python docs/generate.py"


def test_every_part_has_its_place_and_every_place_a_part() -> None:
    used = [part for name in generate.DOCUMENTS for part in generate.part_names(read(name))]
    assert sorted(used) == sorted(generate.PARTS)


def test_a_field_that_nobody_explains_is_an_error() -> None:
    assert generate.meaning(Unexplained, "explained") == "in letters"
    with pytest.raises(KeyError, match="nowhere_told"):
        generate.meaning(Unexplained, "nowhere_told")


@dataclasses.dataclass
class Unexplained:
    """For the test above."""

    explained: str  # in letters
    nowhere_told: str


def test_no_meaning_is_written_for_what_does_not_exist() -> None:
    classes = [records.Shard, records.SampleRow, records.CatalogueRow, manifest.Manifest, Release, Policy]
    classes += [known_audio.KnownAudio, screening.AuditRow, takedowns.Tombstone, LatentRow]
    classes += [EvaluationList, MeasuredClip]
    classes += [h for h in typing.get_type_hints(manifest.Manifest).values() if dataclasses.is_dataclass(h)]
    classes += [h for h in typing.get_type_hints(Policy).values() if dataclasses.is_dataclass(h)]
    classes += [plugins.load(kind, name).Config for kind in plugins.KINDS for name in plugins.names(kind)]
    classes += [*model_configs(), PromptConfig, StreamConfig, loop.Pace, settings.Config]
    known = {arguments.key(cls): {field.name for field in dataclasses.fields(cls)} for cls in classes}
    known |= {"attribution_csv": set(sheets.COLUMNS), "dropped_csv": set(sheets.DROPPED_COLUMNS)}
    for table, fields in arguments.written().items():
        assert set(fields) <= known[table], table


def model_configs() -> list[type]:
    """The Config classes of training and generation; on the page they go by their modules' names."""
    modules = (
        adversary,
        codec,
        demos,
        dit,
        ema,
        generation,
        losses,
        optimiser,
        preflight,
        preset,
        seconds,
        t5,
        train_dit,
        train_vae,
        validation,
    )
    return [module.Config for module in modules]


# ------------------------------------------------------------------------------------------------- manifests


# data of the licence parser and of the screening, no manifests
DATA = ("licences.toml", "music_classes.toml")
MANIFESTS = sorted(p for p in (ROOT / "manifests").glob("*.toml") if p.name not in DATA)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_shipped_manifest_loads(path: Path) -> None:
    loaded = manifest.load(path)
    assert loaded.name == path.stem
    assert (
        "your mail address or page" in loaded.contact
    )  # as the report shows it: whom to ask, and what to write


TRAININGS = {"vae": train_vae.Config, "dit": train_dit.Config}


@pytest.mark.parametrize("path", sorted((ROOT / "manifests/training").glob("*.toml")), ids=lambda p: p.name)
def test_every_training_preset_loads_and_is_listed(path: Path) -> None:
    loaded = config.parse(TRAININGS[path.stem.split("_")[0]], config.read_toml(path), where=path.name)
    assert loaded.model in preset.presets()
    assert f"[training/{path.name}](training/{path.name})" in read("manifests/README.md")


@pytest.mark.parametrize("name", preset.presets())
def test_every_model_preset_loads_and_is_listed(name: str) -> None:
    assert preset.read(name).name == name
    assert f"[models/{name}.toml](models/{name}.toml)" in read("manifests/README.md")


def test_the_example_of_a_training_preset_loads(tmp_path: Path) -> None:
    (example,) = blocks("docs/training.md", "toml")
    (tmp_path / "example.toml").write_text(example)
    loaded = config.parse(train_vae.Config, config.read_toml(tmp_path / "example.toml"), where="example")
    assert (loaded.model, loaded.batch_size, loaded.stream.window_frames) == ("tiny", 4, 16_384)
    like = train_vae.Config().optimiser
    assert (loaded.optimiser.betas, loaded.optimiser.inv_gamma) == (like.betas, like.inv_gamma)


def test_the_paper_s_presets_are_the_paper_s_defaults() -> None:
    for name, cls in TRAININGS.items():
        path = ROOT / "manifests" / "training" / f"{name}.toml"
        loaded, default = config.parse(cls, config.read_toml(path), where=name), cls()
        for field in ("model", "batch_size", "optimiser", "ema", "stream"):
            assert getattr(loaded, field) == getattr(default, field), (name, field)


def test_every_file_of_a_run_is_documented(tmp_path: Path) -> None:
    listing = next(body for body in blocks("docs/training.md", "text") if "RUN/" in body)
    written = {
        run.LOOP,
        run.DATA,
        checkpoint.FILE,
        "training.safetensors",
        *(f"{part}.safetensors" for part in checkpoint.PARTS),
    }
    assert [name for name in sorted(written) if f"    {name} " not in listing] == []
    with_docstring = re.findall(r"^(RUN/\S+)", typing.cast("str", run.__doc__), re.MULTILINE)
    assert [name.split("step-")[0] for name in with_docstring if name.split("step-")[0] not in listing] == []


PARITY = ROOT.parent / "shared" / "data" / "parity" / "sat"


@pytest.mark.skipif(not PARITY.exists(), reason="needs ../shared/data/parity, which is not here")
def test_published_weights_become_a_checkpoint_as_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stable-audio-open-1.0").symlink_to(PARITY)
    monkeypatch.chdir(tmp_path)
    exec(blocks("docs/training.md", "python")[0], {})
    parts = checkpoint.describe("released").parts
    assert {part.terms for name, part in parts.items() if name != "text_encoder"} == {released.TERMS}


def test_manifest_examples_load(tmp_path: Path) -> None:
    examples = blocks("manifests/README.md", "toml")
    assert len(examples) == 3
    for number, text in enumerate(examples):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        loaded = manifest.load(path)
        assert loaded.source[0].config.path.startswith("/")


def test_every_key_of_a_manifest_is_documented() -> None:
    text = read("manifests/README.md")
    for field in dataclasses.fields(manifest.Manifest):
        assert f"`{field.name}`" in text or f"`[{field.name}]`" in text or f"`[[{field.name}]]`" in text, (
            field.name
        )
    for kind in plugins.KINDS:
        for name in plugins.names(kind):
            if kind == "embedders" and not generate.is_tagger(plugins.load(kind, name)):
                assert f"`[{name}]`" in read("docs/evaluation.md"), name
                continue
            assert f'`{"tagger" if kind == "embedders" else "plugin"} = "{name}"`' in text, name
    for path in (ROOT / "manifests").glob("*.toml"):
        assert f"[{path.name}]({path.name})" in text, path.name


# ------------------------------------------------------------------------------------ names in the documents


def test_every_reason_of_the_decoder_is_documented() -> None:
    text = read("docs/dataset.md")
    assert [reason for reason in typing.get_args(Reason) if f"`{reason}`" not in text] == []


def test_documented_reasons_stand_in_the_sources() -> None:
    table = read("docs/dataset.md").split("### Reasons", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row[2])]
    assert len(names) > 25
    assert [name for name in names if not any(f'"{name}"' in text for text in sources().values())] == []


RULE_MAKERS = (
    *("licences/policy", "stages/judge", "stages/decide", "matching/metadata", "matching/exact"),
    *(
        "matching/acoustic",
        "matching/decontamination",
        "screening/identify",
        "ingest/global_steps",
        "ingest/prior_terms",
    ),
)
# rules that are no keyword argument: of the comparisons, and constants
MATCHING = re.compile(
    r'"((?:same|sounds_like|authors|blocked|other_offer|offers)_\w+|allowed_\w+|denied_\w+|restricted_\w+|taken_down)"'
)


def test_every_rule_is_documented() -> None:
    code = "".join(sources()[f"sao_data/{name}.py"] for name in RULE_MAKERS)
    rules = set(re.findall(r'\brule="([a-z_]+)"', code)) | set(MATCHING.findall(code)) | metadata.FORBIDDEN
    page = read("docs/licences.md").split("| rule |", 1)[1].split("\n## ")[0]
    documented = set(re.findall(r"`([a-z_]+)`", page))
    assert len(rules) > 30
    assert rules - documented == set()
    rows = re.findall(r"^\| (`[^|]+`) \| (?:allow|deny|review)", page, re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]
    assert len(told) > 35
    assert [name for name in told if f'"{name}"' not in code] == []


def test_every_room_is_described() -> None:
    text = read("docs/design.md")
    rooms = {room for line in ORDER for room in line} - {"__init__", "__main__", "py"}
    assert [room for room in sorted(rooms) if f"`{room}`" not in text] == []


# -------------------------------------------------------------------------------------------- error messages


@functools.cache
def sources() -> dict[str, str]:
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in TRACKED
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ("sao_data", "sao_model", "pipelines")
    }


@functools.cache
def messages() -> str:
    """Every string in the sources, one a line; what is filled in at run time is a hole."""
    found = []
    for text in sources().values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.append("".join(p.value if isinstance(p, ast.Constant) else HOLE for p in node.values))
    return "\n".join(re.sub(rf"{HOLE}(?: ?{HOLE})+", HOLE, line.replace("\n", " ")) for line in found)


QUOTED = re.findall(r"\*\*`([^`]+)`", read("docs/troubleshooting.md"))


def test_the_messages_quoted_stand_in_the_sources() -> None:
    ours = [fragment for fragment in QUOTED if fragment not in FOREIGN]
    assert [text for text in ours if text.removesuffix(HOLE).rstrip() not in messages()] == []


def test_the_messages_quoted_are_many() -> None:
    assert len(QUOTED) > 50
    assert set(QUOTED) >= FOREIGN


# --------------------------------------------------------------------------------------------------- sources

SNIPPETS = [*blocks("docs/sources.md", "toml"), *blocks("README.md", "toml")]


@pytest.mark.parametrize("text", SNIPPETS)
def test_manifest_lines_of_the_sources_are_read(text: str, tmp_path: Path) -> None:
    head = "" if "name = " in text.split("[[", 1)[0] else 'name = "sources"\n'
    (tmp_path / "x.toml").write_text(head + text)
    for described in manifest.load(tmp_path / "x.toml").source:
        assert plugins.load("sources", described.plugin).build(described.config)


def test_every_source_is_on_a_screen_of_its_own() -> None:
    headings = re.findall(r"^## (.+)$", read("docs/sources.md"), re.MULTILINE)
    names = set(plugins.names("sources"))
    assert names - set(headings) == set()
    assert names - {"synthetic"} <= set(re.findall(r"^\| `(\w+)` \|", read("README.md"), re.MULTILINE))
    assert {name for text in SNIPPETS for name in re.findall(r'plugin = "(\w+)"', text)} == names


def test_reasons_that_sources_give_are_documented() -> None:
    made = re.compile(r'"(bad_[a-z]+|no_audio|not_offered|known_defect|remote_not_\w+)"')
    code = "".join(text for name, text in sources().items() if name.startswith("sao_data/sources/"))
    reasons = set(made.findall(code))
    assert len(reasons) > 8
    table = read("docs/dataset.md").split("### Reasons", 1)[1].split("\n## ", 1)[0]
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in table] == []


# ------------------------------------------------------------------------------------------ links and places


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_resolve(path: Path) -> None:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(<?([^)>\s]+)>?\)", text):
        if not target.startswith(("http://", "https://", "mailto:", "#")):
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_no_file_names_this_machine_or_a_package_index() -> None:
    # spelt in pieces, so that this file does not find itself; app_permissions is a page of Freesound
    forbidden = re.compile(
        r"(?<![\w.$}])/(?:work|root|home/(?!app_permissions)\w+)" + r"/[a-z.]"
        r"|\b(?:py" + r"pi\.org|files\.python" + r"hosted|--(?:extra-)?index" + r"-url)\b|artifact" + "ory",
    )
    found = []
    for path in TRACKED:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in forbidden.finditer(text)]
    assert found == []


# -------------------------------------------------------------------------------------------------- commands


class Captured(Exception):
    """Carries the parser out of a script's main."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def commands() -> Iterator[tuple[str, str]]:
    """(document, command) of every shell fence."""
    for path in DOCUMENTS:
        for language, body in FENCE.findall(path.read_text(encoding="utf-8")):
            if language in ("sh", "console", "bash"):
                lines = body.replace("\\\n", " ").splitlines()
                shown = (
                    [line[2:] for line in lines if line.startswith("$ ")] if language == "console" else lines
                )
                yield from ((path.relative_to(ROOT).as_posix(), line) for line in shown)


def own_words(line: str) -> list[str]:
    """The words of a command from ours on: what a job runs, without the interpreter."""
    words = shlex.split(line, comments=True)
    if words[:3] == ["ray", "job", "submit"] and "--" in words:
        words = words[words.index("--") + 1 :]
    if words[:2] == ["accelerate", "launch"]:
        at = next(number for number, word in enumerate(words) if word.endswith(".py"))
        launch_command_parser().parse_args(words[2 : at + 1])  # SystemExit if an option does not exist
        words = words[at:]
    if len(words) > 1 and Path(words[0]).name.startswith("python") and words[1].endswith(".py"):
        words = words[1:]
    return words


@pytest.mark.parametrize(("document", "line"), sorted(set(commands())))
def test_commands_have_the_options_shown(document: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = own_words(line)
    if not words:
        return
    if words[0] == "make":
        assert [w for w in words[1:] if "=" not in w and f"\n{w}:" not in read("Makefile")] == []
        return
    if Path(words[0]).name != "sao" and not words[0].endswith(".py"):
        return  # somebody else's command
    if words[0].startswith("benchmarks/"):  # sets the environment when it is imported
        assert words[1:] == []
        assert (ROOT / words[0]).exists()
        return
    main = cli.main if Path(words[0]).name == "sao" else load_script(ROOT / words[0]).main
    parse = argparse.ArgumentParser.parse_args

    def capture(parser: argparse.ArgumentParser, *_: object) -> None:
        raise Captured(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", capture)
    try:
        main([]) if words[0].endswith(("sao", "docs/generate.py")) else main()
    except Captured as caught:
        parse(caught.parser, words[1:])  # SystemExit if an option does not exist
    else:
        assert words[1:] in ([], ["--check"]), f"{document}: {line}"


# -------------------------------------------------------------------------------------------------- examples


def written_plugins(folder: Path) -> None:
    """The code blocks of adding_a_plugin.md, each in the file that its fence names."""
    for info, body in FENCE.findall(read("docs/adding_a_plugin.md")):
        if info.startswith("python "):
            path = folder / info.split(" ")[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A dataset built with the documented plugins, by the documented manifest; its folder."""
    folder = tmp_path_factory.mktemp("example")
    written_plugins(folder)
    (folder / "recordings").mkdir()
    quiet = np.zeros((44_100, 1), np.int16)
    quiet[::4410] = 30_000  # clicks: a high peak, little loudness
    buffer = io.BytesIO()
    soundfile.write(buffer, quiet, 44_100, format="WAV", subtype="PCM_16")
    (folder / "recordings" / "clicks.wav").write_bytes(buffer.getvalue())
    (folder / "recordings" / "hum.wav").write_bytes(tone_wav(200, seconds=1))
    (folder / "mine.toml").write_text(blocks("docs/adding_a_plugin.md", "toml")[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        importlib.invalidate_caches()
        build(manifest.load(folder / "mine.toml", ["num_buckets=2"]), folder / "out")
        yield folder
        for name in [name for name in sys.modules if name.startswith(("my_sources", "my_filters"))]:
            del sys.modules[name]


def test_documented_plugins_build_a_dataset(example: Path) -> None:
    dataset = open_dataset(str(example / "out"))
    outcome = {row.title: (row.kept, row.reason) for row in dataset.catalogue()}
    assert outcome == {"hum": (True, ""), "clicks": (False, "too_peaky")}
    assert next(row for row in dataset.catalogue() if row.kept).license == "CC-BY-4.0"
    assert verify(dataset) == []


def test_documented_plugins_are_what_the_contract_asks(example: Path) -> None:
    module = plugins.load("sources", "my_sources.one_licence")
    table = {"path": str(example / "recordings"), "author": "A", "license_url": BY}
    source = module.build(config.parse(module.Config, table, where="test"))
    for offer in source.offers():
        assert offer.recording.evidence == hashlib.sha256(offer.raw.encode()).hexdigest()
        assert offer.recording.id.startswith("one_licence:")


def test_every_file_of_a_dataset_is_documented(example: Path) -> None:
    listing = blocks("docs/dataset.md", "")[0]
    for path in (example / "out").iterdir():
        assert f"OUT/{path.name}" in listing, path.name
    facts = json.loads((example / "out" / "dataset.json").read_text())
    head = read("docs/dataset.md").split("## dataset.json", 1)[1].split("\n## ", 1)[0]
    assert [key for key in [*facts, *facts["counts"]] if f"`{key}`" not in head] == []


def test_root_digest_and_evidence_are_built_as_documented(example: Path) -> None:
    facts = json.loads((example / "out" / "dataset.json").read_text())
    tables = ("shards.parquet", "samples.parquet", "catalogue.parquet", "measures.parquet")
    folders = ("shards/", "evidence/")
    sealed = [name for name in facts["files"] if name in tables or name.startswith(folders)]
    text = json.dumps([facts["manifest"]], sort_keys=True, ensure_ascii=False)
    named = {name: facts["files"][name] for name in sealed}
    named["manifest"] = hashlib.sha256(text.encode()).hexdigest()
    leaves = [hashlib.sha256(f"{name}\n{named[name]}".encode()).hexdigest() for name in sorted(named)]
    assert facts["root_digest"] == tree_hash([bytes.fromhex(leaf) for leaf in leaves]).hex()
    rows = sorted(name[9:73] for name in sealed if name.startswith("evidence/"))
    assert facts["evidence"]["merkle_root"] == tree_hash([bytes.fromhex(leaf) for leaf in rows]).hex()
    dataset = open_dataset(str(example / "out"))
    kept = {
        digest
        for name in sealed
        if "evidence/" in name
        for digest in evidence.read_rows(dataset.storage, name)
    }
    assert {row.evidence for row in dataset.catalogue()} == kept


def tree_hash(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, written once more."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\1" + tree_hash(leaves[:half]) + tree_hash(leaves[half:])).digest()


def test_offers_add_up_as_documented(example: Path) -> None:
    facts, rows = json.loads((example / "out" / "dataset.json").read_text()), []
    rows = list(open_dataset(str(example / "out")).catalogue())
    kept = sum(row.kept for row in rows)
    repeats = sum(row.num_offers - 1 for row in rows)
    assert facts["counts"]["offered"] == kept + (len(rows) - kept) + repeats
    assert facts["counts"]["rejected"] == sum(facts["rejected_by_reason"].values())


def test_the_documented_training_data_gives_a_report(example: Path, tmp_path: Path) -> None:
    text = blocks("docs/attribution.md", "json")[0]
    dataset = open_dataset(str(example / "out"))
    data = json.loads(text) | {"root_digest": dataset.facts["root_digest"]}
    shard = dataset.shards()[0]
    data["shards"][0] |= {"name": shard.name, "sha256": shard.sha256, "seen": "AQ=="}
    (tmp_path / "training_data.json").write_text(json.dumps(data))
    info = report_on(dataset, open_storage(str(tmp_path / "report")), tmp_path)
    assert info.kept == 1
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert [name for name in names if f"`{name}`" not in read("docs/attribution.md")] == []


def test_reading_from_a_seek_point_gives_the_same_audio() -> None:
    audio = noise(1, seconds=32)
    flac = flac_bytes(audio)
    points = [dataclasses.asdict(point) for point in seek_points(Guarded(io.BytesIO(flac)))]
    names: dict[str, typing.Any] = {}
    exec(next(body for body in blocks("docs/dataset.md", "python") if "read_between" in body), names)
    found = names["read_between"](flac, points[1], points[3], points[0])
    assert np.array_equal(found, to_pcm(audio)[points[1]["frame"] : points[3]["frame"]])


# --------------------------------------------------------------------------------- hooks, templates, Makefile

FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
HOOKS = ROOT / ".pre-commit-config.yaml"
NAMED = re.compile(r"(?<![\w./])((?:docs|manifests|tests|benchmarks|pipelines)/[\w./-]*\w|[A-Z]{4,}\.md)")


@pytest.mark.parametrize("path", [HOOKS, *FORMS, *(ROOT / ".github").glob("*.md")], ids=lambda p: p.name)
def test_files_that_hooks_and_templates_name_are_there(path: Path) -> None:
    named = NAMED.findall(path.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_hooks_are_local_and_run_what_lint_runs() -> None:
    yaml = pytest.importorskip("yaml")
    repositories = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = repositories[0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    entries = {hook["entry"] for hook in hooks}
    lint = read("Makefile").split("\nlint:", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    assert len(lint) == 3
    assert {line.strip() for line in lint} <= entries
    assert ".venv/bin/python docs/generate.py --check" in entries


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_have_what_the_site_asks_of_them(path: Path) -> None:
    form = pytest.importorskip("yaml").safe_load(path.read_text(encoding="utf-8"))
    if path.name == "config.yml":
        assert form == {"blank_issues_enabled": True}
        return
    assert {"name", "description", "body"} <= form.keys()
    for field in form["body"]:
        assert field["type"] in ("markdown", "textarea", "dropdown")
        assert field["attributes"]["value" if field["type"] == "markdown" else "label"]
    asked = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(asked) == len(set(asked)) > 1


def test_what_the_fast_tests_leave_out_is_there() -> None:
    makefile = read("Makefile").replace("\\\n", " ")
    folders = re.findall(r"--ignore=(\S+)", makefile)
    assert [path for path in folders if not (ROOT / path).exists()] == []
