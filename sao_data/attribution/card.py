"""README.md of a dataset: the card that the Hugging Face Hub shows, also for readers who only have the
folder.

The features are declared in its front matter: `datasets` would otherwise guess them from five samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from sao_data.attribution import words
from sao_data.attribution.features import SampleField, sample_features
from sao_data.attribution.figures.overview import chief_numbers
from sao_data.attribution.figures.tally import Statistics
from sao_data.attribution.info import DatasetInfo
from sao_data.attribution.plain import count, length, one_line, reason_in_words
from sao_data.attribution.text import escape
from sao_data.storage import layout

# Licence ids that the Hub knows (hub-docs, "Licenses"); everything else is "other".
_HUB_LICENSES = {"CC0-1.0": "cc0-1.0", **{f"CC-BY-{v}": f"cc-by-{v}" for v in ("2.0", "2.5", "3.0", "4.0")}}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def dataset_card(info: DatasetInfo, found: Statistics | None = None) -> str:
    """The card as Markdown with YAML front matter; with statistics, the chief ones."""
    series = sorted({shard.series for shard in info.shards})
    return (
        _environment()
        .get_template("card.md.j2")
        .render(
            info=info,
            front="\n".join(_front_matter(info, series)),
            series=[(name, split_name(name), sum(s.series == name for s in info.shards)) for name in series],
            first=info.shards[0].name if info.shards else "train-000000.tar",
            split=split_name(info.shards[0].series) if info.shards else "train",
            fields=sample_features(),
            features=_features_code(sample_features()),
            statement=words.statement(info),
            left_out=words.left_out(info),
            sampling_plus=words.sampling_plus(info),
            not_advice=words.NOT_ADVICE,
            found=found,
            numbers=chief_numbers(found) if found else (),
        )
    )


def split_name(series: str) -> str:
    """A series as `datasets` may call it: a split's name holds letters, digits, "_" and "." only."""
    return series.replace("-", "_")


def _front_matter(info: DatasetInfo, series: list[str]) -> Iterator[str]:
    """YAML, every string quoted as JSON (which YAML reads the same way)."""
    yield f"pretty_name: {_quoted(one_line(info.name))}"
    yield "license:"
    hub = {_HUB_LICENSES.get(tally.license, "other") for tally in info.kept_by_license}
    yield from (f"- {name}" for name in sorted(hub) or ["other"])
    yield "task_categories:\n- text-to-audio"
    yield f"size_categories:\n- {next((name for limit, name in _SIZES if info.num_samples < limit), 'n>1M')}"
    yield "tags:\n- audio\n- webdataset\n- attribution"
    if series:
        yield "configs:\n- config_name: default\n  data_files:"
    for name in series:
        # [0-9]: "train-*" would also take the shards of "train-sampling-plus"
        path = f"{layout.SHARD_FOLDER}/{name}-[0-9]*.tar"
        yield f"  - split: {split_name(name)}\n    path: {_quoted(path)}"
    yield "dataset_info:\n- config_name: default\n  features:"
    yield from ("  - name: __key__\n    dtype: string", "  - name: __url__\n    dtype: string")
    yield "  - name: flac\n    dtype: binary\n  - name: json\n    struct:"
    for field in sample_features():
        yield f"    - name: {field.name}\n      {'list' if field.is_list else 'dtype'}: {field.dtype}"


def _features_code(fields: tuple[SampleField, ...]) -> str:
    """The dict that declares the JSON to `datasets`, as Python source."""
    lines = []
    for field in fields:
        value = f'Value("{field.dtype}")'
        lines.append(f'    "{field.name}": {f"List({value})" if field.is_list else value},')
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return json.dumps(text)


@cache
def _environment() -> Environment:
    environment = Environment(  # Markdown, not HTML: foreign text passes `escape`
        loader=PackageLoader("sao_data.attribution"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(md=escape, plural=count, duration=length, reason_in_words=reason_in_words)
    environment.filters.update(
        md_long=lambda text: escape(text, 2000), code=lambda text: one_line(text).replace("`", "'")
    )
    environment.filters["n"] = lambda number: f"{number:,}"
    return environment
