"""What a sample's JSON holds, as data: read from records.Sample, so that no description goes out of date."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass

from sao_data.records import Sample

_DTYPES: dict[object, str] = {str: "string", int: "int64", float: "float64", bool: "bool"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleField:
    """One key of the JSON beside each FLAC."""

    name: str
    dtype: str  # of the value, or of each item: string, int64, float64, bool
    is_list: bool = False


def sample_features() -> tuple[SampleField, ...]:
    """The keys of a sample's JSON with their types, sorted as they are written."""
    hints = typing.get_type_hints(Sample)
    return tuple(
        _field(field.name, hints[field.name]) for field in sorted(dataclasses.fields(Sample), key=_name)
    )


def _name(field: dataclasses.Field[object]) -> str:
    return field.name


def _field(name: str, hint: object) -> SampleField:
    if typing.get_origin(hint) in (list, tuple):
        return SampleField(name=name, dtype=_DTYPES[typing.get_args(hint)[0]], is_list=True)
    return SampleField(name=name, dtype=_DTYPES[hint])
