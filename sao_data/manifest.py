"""A manifest: one TOML file that says what a dataset is made of. Format: manifests/README.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sao_data import config, plugins
from sao_data.audio import AudioConfig, chromaprint
from sao_data.audio.segments import Cut
from sao_data.errors import UsageError
from sao_data.licences import Policy, Release
from sao_data.licences.policy import is_checksum
from sao_data.matching.decontamination import EvaluationList
from sao_data.matching.exact import Dedupe
from sao_data.matching.metadata import Matching
from sao_data.rights.embedded_tags import Rights
from sao_data.screening import Screening
from sao_data.storage.series import Split

_DECLARE = ("folder", "catalogue")  # sources whose rows may leave out what the manifest says for all of them
_LISTS = "decontaminate"
_PLUGIN_TABLES = {"source": "sources", "filter": "filters", "caption": "captions", "captioner": "captioners"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plugin as configured: its name and its own Config."""

    plugin: str
    version: int  # the module's VERSION (1 if it has none): raised when the same config gives another result
    config: Any  # the plugin's frozen Config


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkConfig:
    """How the work is done; none of it changes the dataset."""

    keep: bool = False  # keep each bucket's audio blob after its shards are written
    # transferred files after their clips are packed: kept, or only their hashes (in the catalogue)
    keep_originals: Literal[True, "hash_only"] = "hash_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a finished dataset is still a failure."""

    max_reject_share: float = (
        1.0  # of what was offered; above it: exit 3. Licence and preference do not count.
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    """The part of Manifest that is not plugins, as pydantic checks it."""

    name: str
    description: str = ""
    contact: str = ""  # who answers take-down requests: mail address or URL; shown on report and card
    num_buckets: int = 16  # bucket b becomes shard b of each series
    limit: int = 0  # take only the first N recordings of each source; 0 = all
    release: Release = field(default_factory=Release)
    policy: Policy = field(default_factory=Policy)
    audio: AudioConfig = field(default_factory=AudioConfig)
    cut: Cut = field(default_factory=Cut)
    dedupe: Dedupe = field(default_factory=Dedupe)
    matching: Matching = field(default_factory=Matching)
    screening: Screening = field(default_factory=Screening)
    rights: Rights = field(default_factory=Rights)
    split: Split = field(default_factory=Split)
    limits: Limits = field(default_factory=Limits)
    work: WorkConfig = field(default_factory=WorkConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(_Plain):
    """Everything that decides the bytes of a dataset (and `work`, which does not)."""

    decontaminate: tuple[EvaluationList, ...] = field(default=(), metadata=config.WHEN_SET)
    source: tuple[Plugin, ...] = ()
    filter: tuple[Plugin, ...] = ()
    caption: Plugin = field(default_factory=lambda: _plugin("captions", {"plugin": "metadata"}, "caption"))
    captioner: Plugin | None = field(default=None, metadata=config.WHEN_SET)  # None: no machine is asked

    def described(self) -> dict[str, Any]:
        """The manifest as dataset.json keeps it: no locations, nothing that only steers the work."""
        plain = config.canonical(self)
        assert isinstance(plain, dict)
        return {key: value for key, value in plain.items() if key != "work"}


def load(path: Path, assignments: list[str] | None = None, *, cwd: Path | None = None) -> Manifest:
    """Read a manifest and apply `--set` assignments; UsageError says where, what and what was meant."""
    table = config.read_toml(path)
    given = path.absolute().parent
    for kind_key in ("source", "filter"):
        for item in _items(table, kind_key, str(path)):
            _resolve(kind_key, item, given, str(path))
    _resolve_captioner(table, given, str(path))
    _resolve_lists(table, given, str(path))
    _spell_out(table)
    config.resolve_locations(Screening, _screening(table, str(path)), given)
    set_keys = config.apply_set(table, assignments or [])
    _spell_out(table)
    if set_keys:
        _resolve_set(table, cwd or Path.cwd(), str(path))
    return _build(table, where=str(path))


def _build(table: config.Table, *, where: str) -> Manifest:
    simple = {key: value for key, value in table.items() if key not in (*_PLUGIN_TABLES, _LISTS)}
    known = {name for name in Manifest.__dataclass_fields__}
    config.check_keys(Manifest, {key: None for key in table if key not in known}, where=where)
    if "name" not in simple:
        raise UsageError(
            f'{where}: name is missing; every manifest names its dataset, e.g. name = "my_sounds"'
        )
    built: dict[str, Any] = {}
    for key in ("source", "filter"):
        items = _items(table, key, where)
        if key == "source":
            _check_names(items, where)
        built[key] = tuple(
            _plugin(_PLUGIN_TABLES[key], _signed(item, simple), f"{where}: {key}.{n}")
            for n, item in enumerate(items)
        )
    built[_LISTS] = tuple(
        config.parse(EvaluationList, item, where=f"{where}: {_LISTS}.{n}")
        for n, item in enumerate(_items(table, _LISTS, where))
    )
    for key in ("caption", "captioner"):
        if key in table:
            built[key] = _plugin(
                _PLUGIN_TABLES[key], _table(table[key], f"{where}: {key}"), f"{where}: {key}"
            )
    if not built["source"]:
        raise UsageError(f"{where}: no [[source]]; a dataset needs at least one")
    manifest = config.parse(_Plain, simple, where=where)
    _check(manifest, where)
    _check_measured(built["filter"], manifest.audio, where)
    values = {name: getattr(manifest, name) for name in _Plain.__dataclass_fields__}
    return Manifest(**values, **built)


def _check(manifest: _Plain, where: str) -> None:
    if (
        not manifest.name
        or not all(c.isalnum() or c in "-_." for c in manifest.name)
        or manifest.name[0] == "."
    ):
        raise UsageError(f"{where}: name {manifest.name!r}: letters, digits, '-', '_' and '.' only")
    if not 1 <= manifest.num_buckets <= 999_999:
        raise UsageError(f"{where}: num_buckets {manifest.num_buckets}: want 1 to 999999")
    if manifest.limit < 0:
        raise UsageError(f"{where}: limit {manifest.limit}: want 0 (all) or more")
    if not 0.0 <= manifest.limits.max_reject_share <= 1.0:
        raise UsageError(f"{where}: limits.max_reject_share {manifest.limits.max_reject_share}: want 0 to 1")
    _check_blocks(manifest.policy, where)


def _check_measured(filters: tuple[Plugin, ...], audio: AudioConfig, where: str) -> None:
    """A filter over what is not measured would keep everything, unseen."""
    for number, item in enumerate(filters):
        if getattr(plugins.load("filters", item.plugin), "NEEDS_SPEECH", False) and not audio.speech:
            raise UsageError(
                f"{where}: filter.{number}: {item.plugin} looks at the share of speech, which is not "
                "measured; set audio.speech=true (it needs the extra `speech`)"
            )


def _check_blocks(policy: Policy, where: str) -> None:
    """A fingerprint that cannot be compared would block nothing, unseen."""
    for number, text in enumerate(policy.block_fingerprints):
        if problem := "" if is_checksum(text) else chromaprint.problem(text):
            raise UsageError(
                f"{where}: policy.block_fingerprints.{number}: {text[:60]!r} is no md5 or sha256 (32 or 64 "
                f"hexadecimal digits), and no text as `fpcalc` prints it: {problem}"
            )


def _check_names(items: list[config.Table], where: str) -> None:
    """Two sources of a kind that make ids from a name must each be given one, or their works would mix."""
    seen: set[str] = set()
    for number, item in enumerate(items):
        plugin = item.get("plugin")
        if isinstance(plugin, str) and "name" not in item:
            fields = plugins.load("sources", plugin, where=where).Config.__dataclass_fields__
            if plugin in seen and "name" in fields:
                raise UsageError(
                    f'{where}: source.{number}: a second {plugin} without a name; give it one (name = "…"): '
                    "ids are made from it"
                )
            seen.add(plugin)


def _plugin(kind: str, table: config.Table, where: str) -> Plugin:
    rest = dict(table)
    name = rest.pop("plugin", None)
    if not isinstance(name, str):
        shipped = ", ".join(plugins.names(kind))
        raise UsageError(
            f'{where}: plugin is missing; say which, e.g. plugin = "{plugins.names(kind)[0]}" ({shipped})'
        )
    module = plugins.load(kind, name, where=where)
    made = config.parse(module.Config, rest, where=where)
    return Plugin(plugin=name, version=getattr(module, "VERSION", 1), config=made)


def _signed(item: config.Table, manifest: config.Table) -> config.Table:
    """A source whose manifest declares licence or author for it: the manifest's contact says so."""
    declares = item.get("plugin") in _DECLARE and any(
        item.get(key) for key in ("license", "license_url", "author")
    )
    contact = manifest.get("contact")
    return {"declared_by": contact, **item} if declares and contact else item


def _items(table: config.Table, key: str, where: str) -> list[config.Table]:
    items = table.get(key, [])
    if not isinstance(items, list):
        raise UsageError(f"{where}: {key}: write [[{key}]] (two brackets): there can be several")
    return [_table(item, f"{where}: {key}") for item in items]


def _table(value: object, where: str) -> config.Table:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: want a table, got {value!r}")
    return value


def _resolve(key: str, item: config.Table, base: Path, where: str) -> None:
    name = item.get("plugin")
    if isinstance(name, str):
        module = plugins.load(_PLUGIN_TABLES[key], name, where=f"{where}: {key}")
        config.resolve_locations(module.Config, item, base)


def _resolve_captioner(table: config.Table, base: Path, where: str) -> None:
    if "captioner" in table:
        _resolve("captioner", _table(table["captioner"], f"{where}: captioner"), base, where)


def _resolve_lists(table: config.Table, base: Path, where: str) -> None:
    for item in _items(table, _LISTS, where):
        config.resolve_locations(EvaluationList, item, base)


def _spell_out(table: config.Table) -> None:
    """`screening = "off"` is short for its provider."""
    if isinstance(table.get("screening"), str):
        table["screening"] = {"provider": table["screening"]}


def _screening(table: config.Table, where: str) -> config.Table:
    return _table(table.get("screening", {}), f"{where}: screening")


def _resolve_set(table: config.Table, cwd: Path, where: str) -> None:
    """What --set left relative was written on the command line: relative to the working directory."""
    config.resolve_locations(Screening, _screening(table, where), cwd)
    _resolve_captioner(table, cwd, where)
    _resolve_lists(table, cwd, where)
    for key in ("source", "filter"):
        for item in _items(table, key, where):
            _resolve(key, item, cwd, where)
