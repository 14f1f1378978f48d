#!/usr/bin/env python3
"""Fill the generated parts of the documents from the code they describe, so that neither drifts.

    .venv/bin/python docs/generate.py           rewrite what is stale
    .venv/bin/python docs/generate.py --check   name what is stale; exit code 1 if there is any

A generated part lies between `<!-- generated: NAME -->` and `<!-- end generated -->`. The meaning of a field
is what docs/meanings.toml says of it, then the comment beside it; with neither, the comment beside a field of
the same name in the records. A field without a meaning is an error.
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sao_data import config, manifest, measures, plugins, records, screening
from sao_data.attribution import sheets
from sao_data.attribution.card import dataset_card
from sao_data.attribution.info import info_from
from sao_data.commands import arguments
from sao_data.latents.facts import LatentRow
from sao_data.licences import Policy, Release, decide, judge, parse
from sao_data.licences.table import table as licence_table
from sao_data.matching import decontamination
from sao_data.rights import known_audio, takedowns
from sao_data.storage import tables

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (
    "docs/dataset.md",
    "docs/licences.md",
    "docs/attribution.md",
    "docs/training.md",
    "docs/generating.md",
    "docs/latents.md",
    "docs/evaluation.md",
    "manifests/README.md",
)

Settings = dict[str, Any]  # what is configured -> its Config

_PART = re.compile(r"(<!-- generated: ([a-z0-9-]+) -->\n).*?(<!-- end generated -->)", re.DOTALL)
_LONG_CALL = re.compile(r"^(?=.{111})(\w+ = \w+\()(.*)\)$")  # as `ruff format` wraps it
_SHARED = (
    measures.Measures,
    measures.SourceMeasures,
    records.Sample,
    records.Recording,
    records.CatalogueRow,
)  # whose comments speak for their namesakes
_PLUGINS = (
    ("sources", "[[source]]", "plugin"),
    ("filters", "[[filter]]", "plugin"),
    ("captions", "[caption]", "plugin"),
    ("captioners", "[captioner]", "plugin"),
    ("embedders", "[screening]", "tagger"),
)
_ARROW = (("list<element: ", "list<"), ("list<item: ", "list<"), ("double", "float64"))


def main(arguments: list[str]) -> int:
    """Rewrite or check every document."""
    stale = [name for name in DOCUMENTS if filled(text := _read(name)) != text]
    for name in stale:
        if "--check" in arguments:
            sys.stdout.write(f"{name}: stale; run docs/generate.py\n")
        else:
            (ROOT / name).write_text(filled(_read(name)), encoding="utf-8")
            sys.stdout.write(f"{name}: rewritten\n")
    return 1 if stale and "--check" in arguments else 0


def filled(text: str) -> str:
    """A document with its generated parts made anew."""
    return _PART.sub(lambda match: f"{match[1]}\n{PARTS[match[2]]().strip()}\n\n{match[3]}", text)


def part_names(text: str) -> list[str]:
    """Names of the generated parts of a document."""
    return [match[2] for match in _PART.finditer(text)]


def columns(cls: type) -> str:
    """A Parquet table's columns."""
    fields = tables.schema(cls)
    rows = ((f"`{field.name}`", _arrow(str(field.type)), meaning(cls, field.name)) for field in fields)
    return _table(("column", "type", "meaning"), rows)


def keys(cls: type) -> str:
    """The keys of a JSON line."""
    hints = typing.get_type_hints(cls)
    rows = ((f"`{key}`", _type(hint), meaning(cls, key)) for key, hint in hints.items())
    return _table(("key", "type", "meaning"), rows)


def sample_keys() -> str:
    """The keys of the JSON beside each FLAC, in the order in which they are written."""
    hints = typing.get_type_hints(records.Sample)
    rows = ((f"`{key}`", _type(hints[key]), meaning(records.Sample, key)) for key in sorted(hints))
    return _table(("key", "type", "meaning"), rows)


def reading() -> str:
    """The code that the dataset card gives, which its own tests run."""
    shard = records.Shard(name="train-000000.tar", series="train", sha256="", num_samples=0, num_bytes=0)
    card = dataset_card(
        info_from([], [shard], name="demo", description="", version="", root_digest="", tool_version="")
    )
    section = card.split("## How to read it", 1)[1].split("\n## ", 1)[0]
    section = section[section.index("With `webdataset`:") :]
    return "\n".join(_LONG_CALL.sub(r"\1\n    \2\n)", line) for line in section.splitlines())


def manifest_fields() -> str:
    """Every key and table of a manifest but the plugins."""
    hints = typing.get_type_hints(manifest.Manifest)
    nested = {key: hint for key, hint in hints.items() if _is_table(hint)}
    lists = ("source", "filter", "decontaminate", "captioner")  # and the plugins
    simple = [key for key in hints if key not in nested and key not in lists]
    parts = ["### Top level", _settings(manifest.Manifest, simple)]
    for key, cls in nested.items():
        if key != "caption":
            parts += _manifest_table(manifest.Manifest, key, cls, key)
    parts += ["### `[[decontaminate]]`", meaning(manifest.Manifest, "decontaminate")]
    parts.append(_settings(decontamination.EvaluationList))
    return "\n\n".join(parts)


def _manifest_table(owner: type, key: str, cls: type, place: str) -> list[str]:
    """A table of the manifest, then the tables within it."""
    hints = typing.get_type_hints(cls, include_extras=True)
    tables_within = [name for name, hint in hints.items() if _is_table(hint)]
    simple = [name for name in hints if name not in tables_within]
    parts = [f"### `[{place}]`", meaning(owner, key), _settings(cls, simple)]
    for name in tables_within:
        parts += _manifest_table(cls, name, hints[name], f"{place}.{name}")
    return parts


def shipped_plugins() -> str:
    """Every shipped plugin with its Config."""
    parts = []
    for kind, heading, key in _PLUGINS:
        for name in plugins.names(kind):
            module = plugins.load(kind, name)
            if kind == "embedders" and not is_tagger(module):
                continue  # it stands in docs/evaluation.md
            first = (module.__doc__ or "").split("\n\n")[0].replace("\n", " ")
            parts += [f'### `{heading}` `{key} = "{name}"`', first, _settings(module.Config)]
    return "\n\n".join(parts)


def is_tagger(module: types.ModuleType) -> bool:
    """Does this embedder tell classes of sound, as the screening asks for?"""
    return hasattr(module.build(module.Config()), "tag")


def preferences() -> str:
    """What becomes of a recording by its uploader's preference and what the release is declared to be."""
    flags = [field.name for field in dataclasses.fields(Release)]
    wishes = ["", *licence_table().preference_wants, "no-gen-ai"]
    rows = []
    for values in itertools.product((True, False), repeat=len(flags)):
        release = Release(**dict(zip(flags, values, strict=True)))
        verdicts = (decide(_wishing(wish), Policy(), release).verdict for wish in wishes)
        rows.append([*("yes" if value else "no" for value in values), *verdicts])
    return _table(
        (*(f"`{flag}`" for flag in flags), *(f"`{wish}`" if wish else "unknown" for wish in wishes)), rows
    )


def families() -> str:
    """What the default policy makes of every Creative Commons text that the parser knows."""
    rows = []
    for unit in licence_table().units.values():
        version = unit.versions[-1] if unit.versions else ""
        licence = parse(f"https://creativecommons.org/{unit.category}/{unit.slug}/{version}/")
        found = judge(licence, Policy(), Release())
        versions = ", ".join(unit.versions)
        rows.append(
            (unit.name, licence.family, versions, f"`{licence.license_id}`", found.verdict, f"`{found.rule}`")
        )
    return _table(("licence", "family", "versions", "id of the last", "verdict", "rule"), rows)


def sheet(columns: tuple[str, ...], name: str) -> str:
    """Columns of one of the report's CSV files."""
    rows = ((f"`{column}`", _meaning_of_column(name, column)) for column in columns)
    return _table(("column", "meaning"), rows)


def trainings() -> str:
    """Every key and table of the two training presets, with the defaults of each."""
    from sao_data.loading.chunks import ChunkConfig
    from sao_data.loading.samples import PromptConfig, StreamConfig
    from sao_model import losses, train_dit, train_vae
    from sao_model.training import demos, ema, loop, optimiser, validation

    vae, dit = train_vae.Config(), train_dit.Config()
    parts = ["### Top level", _defaults({"train_vae": vae, "train_dit": dit})]
    for name in ("pace", "release", "optimiser", "ema", "stream", "validation", "demos"):
        values = {"train_vae": getattr(vae, name), "train_dit": getattr(dit, name)}
        parts += [f"### `[{name}]`", meaning(train_vae.Config, name), _defaults(values)]
    assert typing.get_type_hints(train_dit.Config)["stream"] is StreamConfig
    prompt: Settings = {"train_vae and train_dit": PromptConfig()}
    parts += ["### `[stream.prompt]`", meaning(StreamConfig, "prompt"), _defaults(prompt)]
    chunks: Settings = {"train_vae": vae.stream.chunks, "train_dit": dit.stream.chunks}
    assert isinstance(vae.stream.chunks, ChunkConfig)
    parts += ["### `[stream.chunks]`", meaning(StreamConfig, "chunks"), _defaults(chunks)]
    other = type(vae.adversary)
    alone: list[tuple[str, str, type, str, object]] = [
        ("train_dit", "adapter", train_dit.Config, "adapter", dit.adapter),
        ("train_dit", "preflight", train_dit.Config, "preflight", dit.preflight),
        ("train_dit", "scores", train_dit.Config, "scores", dit.scores),
        ("train_vae", "losses", train_vae.Config, "losses", vae.losses),
        ("train_vae", "adversary", train_vae.Config, "adversary", vae.adversary),
        ("train_vae", "adversary.discriminator", other, "discriminator", vae.adversary.discriminator),
        ("train_vae", "adversary.optimiser", other, "optimiser", vae.adversary.optimiser),
    ]
    for command, table, owner, field, value in alone:
        parts += [f"### `[{table}]`", meaning(owner, field), _defaults({command: value})]
    shared = (vae.pace, vae.optimiser, vae.ema, vae.losses, vae.validation, vae.demos)
    types = [loop.Pace, optimiser.Config, ema.Config, losses.Config, validation.Config, demos.Config]
    assert [type(each) for each in shared] == types
    return "\n\n".join(parts)


def model_presets() -> str:
    """Every key of a model file, with what the shipped ones say."""
    from sao_model import preset

    shipped: dict[str, Any] = {name: preset.read(name) for name in preset.presets()}
    parts = ["### Top level", _defaults(shipped)]
    for name in ("codec", "dit"):
        parts += [f"### `[{name}]`", meaning(preset.Config, name)]
        parts += [_defaults({key: getattr(shape, name) for key, shape in shipped.items()})]
    for name, plugin in (("prompt", "t5"), ("seconds_total", "seconds")):
        chosen = {key: getattr(shape, name) for key, shape in shipped.items()}
        assert {conditioner.plugin for conditioner in chosen.values()} == {plugin}
        head = "`[seconds_start]` and `[seconds_total]`" if plugin == "seconds" else f"`[{name}]`"
        parts += [f'### {head}, `plugin = "{plugin}"`', meaning(preset.Config, name)]
        parts += [_defaults({key: conditioner.config for key, conditioner in chosen.items()})]
    return "\n\n".join(parts)


def model_sizes() -> str:
    """Parameters of the shipped models, counted."""
    import torch

    from sao_model import checkpoint, preset
    from sao_model.model import StableAudioModel

    with torch.device("meta"):
        counted = {
            name: checkpoint.measure(StableAudioModel(preset.read(name))) for name in sorted(preset.presets())
        }
    rows = [
        [f"`{part}`", *(f"{parts[part].parameters:,d}" for parts in counted.values())]
        for part in checkpoint.PARTS
    ]
    sums = (sum(part.parameters for part in parts.values()) for parts in counted.values())
    rows.append(["total", *(f"{number:,d}" for number in sums)])
    return _table(("part", *(f"`{name}`" for name in counted)), rows)


def generation_fields() -> str:
    """Every field of a generation but its release, those of its tables by dotted keys."""
    from sao_model import generation

    hints = typing.get_type_hints(generation.Config)
    plain = [name for name, hint in hints.items() if not _is_table(hint)]
    rows = [*_setting_rows(generation.Config, plain)]
    for name in ("guidance", "edit"):
        rows += _setting_rows(hints[name], prefix=f"{name}.")
    return _table(("key", "type", "default", "meaning"), rows)


def evaluation_fields() -> str:
    """Every field of an evaluation, then those of its tables."""
    from sao_model.evaluation import settings

    hints = typing.get_type_hints(settings.Config, include_extras=True)
    plain = [name for name, hint in hints.items() if not _is_table(hint)]
    parts = ["### Top level", _settings(settings.Config, plain)]
    for name, hint in hints.items():
        if _is_table(hint):
            parts += [f"### `[{name}]`", (hint.__doc__ or "").split("\n")[0], _settings(hint)]
    return "\n\n".join(parts)


def protocol_fields() -> str:
    """Every key of a protocol file."""
    from sao_model.evaluation import protocol

    hints = typing.get_type_hints(protocol.EvaluationProtocol)
    plain = [name for name in hints if name not in ("columns", "published")]
    parts = [_settings(protocol.EvaluationProtocol, plain)]
    for place, cls in (("[columns]", protocol.Columns), ("[[published]]", protocol.PublishedNumber)):
        parts += [f"### `{place}`", cls.__doc__ or "", _settings(cls)]
    return "\n\n".join(parts)


def protocols() -> str:
    """The protocols that ship."""
    from sao_model.evaluation import protocol

    rows = []
    for name in protocol.names():
        each = protocol.read(name)
        prompts = f"{each.expected_prompts:,}" if each.expected_prompts else "its samples'"
        sounds = f"{each.expected_references:,}" if each.expected_references else "–"
        cut = f"{each.seconds:g} s" if each.seconds else "the model's window"
        rows.append((f"`{name}`", each.title, prompts, sounds, cut))
    return _table(("protocol", "what", "prompts", "recordings", "cut to"), rows)


def check_fields() -> str:
    """Every field of every check of a model."""
    from sao_model.verbs import evaluate

    parts = []
    for name in evaluate.CHECKS:
        cls = importlib.import_module(f"sao_model.evaluation.checks.{name}").Config
        hints = typing.get_type_hints(cls)
        parts += [f"#### `{name}`", _settings(cls, [key for key in hints if key != "clap"])]
    return "\n\n".join(parts)


def encoding_fields() -> str:
    """Every field of an encode."""
    from sao_model.encoding import settings

    return _settings(settings.Config)


PARTS: dict[str, Callable[[], str]] = {
    "shards": lambda: columns(records.Shard),
    "samples": lambda: columns(records.SampleRow),
    "catalogue": lambda: columns(records.CatalogueRow),
    "measures": lambda: columns(measures.MeasuredClip),
    "fingerprints": lambda: columns(known_audio.KnownAudio),
    "screening": lambda: columns(screening.AuditRow),
    "takedowns": lambda: keys(takedowns.Tombstone),
    "sample-json": sample_keys,
    "reading": reading,
    "manifest": manifest_fields,
    "plugins": shipped_plugins,
    "preferences": preferences,
    "families": families,
    "attribution-csv": lambda: sheet(sheets.COLUMNS, "attribution_csv"),
    "dropped-csv": lambda: sheet(sheets.DROPPED_COLUMNS, "dropped_csv"),
    "trainings": trainings,
    "latents": lambda: columns(LatentRow),
    "encoding": encoding_fields,
    "evaluation": evaluation_fields,
    "protocols": protocols,
    "protocol": protocol_fields,
    "generation": generation_fields,
    "checks": check_fields,
    "models": model_presets,
    "model-sizes": model_sizes,
}


def meaning(cls: type, field: str) -> str:
    """What a field means; KeyError, with both names, where nobody says."""
    if said := arguments.meaning(cls, field):
        return said
    for namesake in _SHARED:
        if borrowed := arguments.comments(namesake).get(field):
            return borrowed
    raise KeyError(f"{arguments.key(cls)}.{field}: no comment beside it, and nothing in docs/meanings.toml")


def _meaning_of_column(name: str, column: str) -> str:
    return arguments.written()[name].get(column) or meaning(records.CatalogueRow, column)


def _settings(cls: type, names: Iterable[str] | None = None) -> str:
    return _table(("key", "type", "default", "meaning"), _setting_rows(cls, names))


def _setting_rows(
    cls: type, names: Iterable[str] | None = None, prefix: str = ""
) -> Iterator[tuple[str, ...]]:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name in names or fields:
        yield f"`{prefix}{name}`", _type(hints[name]), _default(fields[name]), meaning(cls, name)


def _defaults(settings: Settings) -> str:
    """The fields of one Config class, or of several that share fields, one column of values for each."""
    hints: dict[str, Any] = {}
    owners: dict[str, type] = {}
    for value in settings.values():
        for name, hint in typing.get_type_hints(type(value)).items():
            if not _is_table(hint):
                hints.setdefault(name, hint)
                owners.setdefault(name, type(value))
    rows = (
        (
            f"`{name}`",
            _type(hint),
            *(_value(getattr(value, name, None)) for value in settings.values()),
            meaning(owners[name], name),
        )
        for name, hint in hints.items()
    )
    return _table(("key", "type", *settings, "meaning"), rows)


def _value(value: object) -> str:
    return "–" if value is None else f"`{json.dumps(value)}`"


def _is_table(hint: object) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _type(hint: Any) -> str:
    """A type in the words of TOML and JSON."""
    if config.is_location(hint):
        several = typing.get_origin(hint) in (tuple, list)
        return "list of paths or URLs" if several else "path or URL"
    if isinstance(hint, types.UnionType):  # X | None: left out where it is not given
        return _type(next(part for part in typing.get_args(hint) if part is not type(None)))
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f"`{json.dumps(value)}`" for value in typing.get_args(hint))
    if typing.get_origin(hint) in (tuple, list):
        inner = _type(typing.get_args(hint)[0])
        return "list of pairs of numbers" if inner == "list of numbers" else f"list of {inner}s"
    if typing.get_origin(hint) in (dict, Mapping):
        return f"table of {_type(typing.get_args(hint)[1])}s"
    return {str: "string", int: "integer", float: "number", bool: "true or false"}[hint]


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f"`{json.dumps(field.default_factory())}`"
    if field.default is dataclasses.MISSING:
        return "required"
    if field.default is None:
        return "–"
    return f"`{json.dumps(field.default)}`"


def _arrow(name: str) -> str:
    for old, new in _ARROW:
        name = name.replace(old, new)
    return name


def _wishing(wish: str) -> records.Recording:
    url = "https://creativecommons.org/publicdomain/zero/1.0/"
    return records.Recording(id="made:1", source="made", license_url=url, ai_preference=wish)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
