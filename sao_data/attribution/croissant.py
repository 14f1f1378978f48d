"""croissant.json: the dataset in the Croissant 1.1 vocabulary (JSON-LD), one FileObject for each shard.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

from collections.abc import Iterable

from sao_data.attribution.features import SampleField, sample_features
from sao_data.attribution.info import DatasetInfo
from sao_data.attribution.plain import safe_url
from sao_data.attribution.words import NOT_ADVICE, left_out, sampling_plus, statement
from sao_data.storage import layout

Json = dict[str, object]

_TYPES = {"string": "sc:Text", "int64": "sc:Integer", "float64": "sc:Float", "bool": "sc:Boolean"}
_MEMBERS = (("flac", "audio/flac"), ("json", "application/json"))


def croissant(info: DatasetInfo, sample_fields: Iterable[SampleField] | None = None) -> Json:
    """Describe shards and samples; the fields are those of records.Sample unless others are given."""
    sample_fields = sample_features() if sample_fields is None else sample_fields
    described: Json = {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": info.name,
        "description": " ".join(part for part in (info.description, statement(info), left_out(info)) if part),
        "version": info.version,
        "license": [tally.url or tally.license or tally.name for tally in info.kept_by_license],
        "citeAs": f"{info.name}, version {info.version}, root digest {info.root_digest}",
        "isLiveDataset": False,
        "creditText": "Every work is credited in attribution/ATTRIBUTION.md and in its sample's JSON.",
        "rai:dataCollectionMissingData": list(info.warnings),
        "rai:dataPreprocessingProtocol": list(info.policy),
        "rai:dataLimitations": [line for line in (*info.release, sampling_plus(info), NOT_ADVICE) if line],
        "distribution": [*_shards(info), *_file_sets(info)],
        "recordSet": [_record_set(sample_fields)],
    }
    if contact := info.contact:
        described["rai:dataReleaseMaintenancePlan"] = f"Take-down requests: {safe_url(contact) or contact}"
    return described


def _shards(info: DatasetInfo) -> list[Json]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": shard.name,
            "name": shard.name,
            "description": f"{shard.num_samples} samples of the series {shard.series}",
            "contentUrl": f"{layout.SHARD_FOLDER}/{shard.name}",
            "contentSize": f"{shard.num_bytes} B",
            "encodingFormat": "application/x-tar",
            "sha256": shard.sha256,
        }
        for shard in info.shards
    ]


def _file_sets(info: DatasetInfo) -> list[Json]:
    inside = [{"@id": shard.name} for shard in info.shards]
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"{ending}-members",
            "name": f"{ending}-members",
            "containedIn": inside,
            "encodingFormat": media_type,
            "includes": f"*.{ending}",
        }
        for ending, media_type in _MEMBERS
    ]


def _record_set(fields: Iterable[SampleField]) -> Json:
    """One record for each sample: its two members joined by the key that is their name without ending."""
    key = _field("key", "sc:Text", _member_key("flac")) | {"references": _member_key("json")}
    audio = _field("flac", "sc:AudioObject", _source("flac", {"fileProperty": "content"}))
    described = [key, audio]
    for field in fields:
        entry = _field(field.name, _TYPES[field.dtype], _source("json", {"jsonPath": f"$.{field.name}"}))
        if field.is_list:
            entry |= {"isArray": True, "arrayShape": "-1"}
        described.append(entry)
    return {"@type": "cr:RecordSet", "@id": "samples", "name": "samples", "field": described}


def _source(ending: str, extract: Json) -> Json:
    return {"fileSet": {"@id": f"{ending}-members"}, "extract": extract}


def _member_key(ending: str) -> Json:
    return _source(ending, {"fileProperty": "filename"}) | {"transform": {"regex": rf"^(.+)\.{ending}$"}}


def _field(name: str, data_type: str, source: Json) -> Json:
    return {
        "@type": "cr:Field",
        "@id": f"samples/{name}",
        "name": name,
        "dataType": data_type,
        "source": source,
    }


def _context() -> Json:
    """The context that the specification gives (its appendix 1)."""
    names = (
        "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field",
        "fileProperty", "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath",
        "key", "md5", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace",
        "samplingRate", "separator", "source", "subField", "transform",
    )  # fmt: skip
    context: Json = {name: f"cr:{name}" for name in names}
    context |= {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "conformsTo": "dct:conformsTo",
        "cr": "http://mlcommons.org/croissant/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "rai": "http://mlcommons.org/croissant/RAI/",
        "sc": "https://schema.org/",
    }
    return context
