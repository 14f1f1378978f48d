"""Whose are the samples of a shard? Told by the shard alone, wherever it was carried: author, title, licence,
source and credit stand in every sample.

  sao provenance out/demo/shards/train-000000.tar            every sample, a line each
  sao provenance shard.tar#freesound-000012345               all that is known of one
  sao provenance s3://bucket/sao/shards/train-000000.tar     in an object store

A shard that still lies in its dataset is held against it: version, index, evidence.

Exit code 1: a sample is not as its dataset says. 7: no sample of that name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sao_data.showing.provenance import SampleProvenance, ShardHome

HELP = "whose the samples of a shard are"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shard", metavar="SHARD[#KEY]", help="a shard's path or URL, and a sample in it")
    parser.add_argument("--json", action="store_true", help="a JSON object for each sample")


def run(args: argparse.Namespace) -> int:
    from sao_data.commands.common import printable
    from sao_data.showing import provenance

    location, _, key = args.shard.partition("#")
    key = key.removesuffix(".flac").removesuffix(".json")
    home = provenance.home(location)
    is_wrong = False
    for found in provenance.samples(location, key):
        remarks = list(home.remarks(found)) if home else []
        is_wrong |= bool(remarks)
        if args.json:
            lines = iter([json.dumps(_plain(found, home, remarks), sort_keys=True, ensure_ascii=False)])
        else:
            lines = _all(found, home, remarks) if key else _line(found, remarks)
        for line in lines:
            sys.stdout.write(f"{printable(line)}\n")
    return int(is_wrong)


def _line(found: SampleProvenance, remarks: list[str]) -> Iterator[str]:
    yield f"{found.key}  {found.sample.license or found.sample.license_family}  {found.sample.credit}"
    yield from (f"  ! {remark}" for remark in remarks)


def _all(found: SampleProvenance, home: ShardHome | None, remarks: list[str]) -> Iterator[str]:
    sample = found.sample
    licence = f"{sample.license or 'none'} ({sample.license_family}), from {sample.license_claim!r}"
    facts = [
        ("sample", found.key),
        ("recording", sample.id),
        ("title", sample.title or "not stated"),
        ("author", " ".join(part for part in (sample.author or "not stated", sample.author_url) if part)),
        ("page", sample.page_url or "not stated"),
        ("licence", licence),
        ("licence text", sample.license_url or "not stated"),
        ("preference", sample.ai_preference or "unknown"),
        ("notice", sample.copyright_notice or "none"),
        ("changes", " ".join(sample.changes) or "none"),
        ("credit", sample.credit),
        ("read", sample.retrieved_at or "not recorded"),
        ("original", f"sha256 {sample.original_sha256} ({sample.original_type}, {sample.rendition})"),
        ("clip", f"{sample.clip}, from frame {sample.start_frame}, {sample.num_frames} frames"),
        ("audio", f"sha256 {found.flac_sha256 or 'not beside it'}"),
        ("dataset", f"{sample.dataset}, series {sample.series}"),
    ]
    if home:
        facts += _at_home(found, home)
    yield from (f"{name:14s}{value}" for name, value in facts)
    yield from (f"! {remark}" for remark in remarks)


def _at_home(found: SampleProvenance, home: ShardHome) -> Iterator[tuple[str, str]]:
    from sao_data.dataset import explain

    said = home.dataset.facts
    yield "version", f"{said['version']} (root {said['root_digest']}), {home.shard.name} {home.shard.sha256}"
    work = home.work(found)
    yield "decision", f"{work.verdict} by rule {work.rule}"
    yield "evidence", f"sha256 {work.evidence or 'none'}"
    if raw := explain.raw_row(home.dataset, work):
        yield "raw row", raw


def _plain(found: SampleProvenance, home: ShardHome | None, remarks: list[str]) -> dict[str, object]:
    said = home.dataset.facts if home else {}
    return {
        "key": found.key,
        **asdict(found.sample),
        "flac_sha256": found.flac_sha256,
        "json_sha256": found.json_sha256,
        "version": said.get("version", ""),
        "root_digest": said.get("root_digest", ""),
        "remarks": remarks,
    }
