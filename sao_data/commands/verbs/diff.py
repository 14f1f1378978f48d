"""What changed between two versions of a dataset: recordings by kind of change, shards, settings.

kinds of change (a recording of both versions may have several):
  added              in B, was not offered in A
  regained           in B, was left out of A
  dropped            was in A, left out of B
  opted_out          dropped, under a stricter preference of its uploader than in A
  removed            was in A, is no longer offered in B
  relicensed         in both, under another licence or version
  preference_changed in both, the uploader's preference is another
  recredited         in both, author, title, page or another part of the credit is another
  reaudio            in both, with other audio
  recut              in both, other clips, or other changes made to the audio
  rerouted           in both, in other shards
  rejudged           left out of both, for another reason
  offered            newly offered in B, and left out
  unlisted           was left out of A, is no longer offered in B
  restated           nothing of the above, but another fact of its catalogue row
--fail-on also takes `any`: whatever changed of a recording or a shard.

Exit code 0: compared. 1: there is a change of a kind that --fail-on names.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sao_data.errors import UsageError

if TYPE_CHECKING:
    from sao_data.dataset.diff import Difference, Version

HELP = "what changed between two versions of a dataset"

_NUM_SHOWN = 20  # groups and settings in the text; --json has all of them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("a", metavar="A", help="dataset directory or URL: the older version")
    add("b", metavar="B", help="dataset directory or URL: the newer version")
    add("--by", choices=("reason", "author", "licence", "source"), help="group the changes as well")
    add("--fail-on", metavar="KIND[,KIND…]", default="", help="exit 1 if there is a change of these kinds")
    add("--examples", metavar="N", type=int, default=5, help="ids shown of each kind (default: 5)")
    add("--json", action="store_true", help="write one JSON object instead of text")
    add("--page", metavar="FILE", help="write it as a page, too, e.g. difference.html")


def run(args: argparse.Namespace) -> int:
    from sao_data.commands.common import printable
    from sao_data.dataset.diff import compare
    from sao_data.dataset.reader import open_dataset

    wanted = _kinds(args.fail_on)
    if args.examples < 0:
        raise UsageError(f"--examples {args.examples}: want 0 or more")
    a, b = open_dataset(args.a), open_dataset(args.b)
    found = compare(a, b, by=args.by, num_examples=args.examples)
    failing = found.failing(wanted)
    if args.page:
        _write_page(args.page, found, args.by)
    if args.json:
        sys.stdout.write(json.dumps(_plain(found, args.by, failing), indent=2, sort_keys=True) + "\n")
    else:
        for line in _lines(found, args.by):
            sys.stdout.write(f"{printable(line)}\n")
        if failing:
            sys.stdout.write(f"failed: there are changes of the kind {', '.join(failing)}\n")
    return 1 if failing else 0


def _write_page(where: str, found: Difference, by: str | None) -> None:
    from sao_data.commands.common import note
    from sao_data.showing import diff_page
    from sao_data.storage.backend import open_storage

    folder, slash, name = where.rpartition("/")
    if not name:
        raise UsageError(f"--page {where}: want a file, e.g. {where}difference.html")
    open_storage(folder or slash or ".").write(name, diff_page.page(found, by))
    note(f"written to {where}")


def _kinds(text: str) -> list[str]:
    """The kinds named by --fail-on; UsageError with the nearest one for a name that is none."""
    from sao_data.dataset.diff import KINDS

    known = [*KINDS, "any"]
    wanted = [kind.strip() for kind in text.split(",") if kind.strip()]
    for kind in wanted:
        if kind not in known:
            near = difflib.get_close_matches(kind, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"--fail-on: no kind of change {kind!r}{hint} (there are: {', '.join(known)})")
    return wanted


def _lines(found: Difference, by: str | None) -> Iterator[str]:
    yield _version_line("A", found.a)
    yield _version_line("B", found.b)
    if found.is_same_version:
        yield f"the same version: {found.a.root_digest}"
        return
    yield "shards    " + ", ".join(f"{num:,} {state}" for state, num in found.shards.items())
    for setting in found.settings[:_NUM_SHOWN]:
        yield f"setting   {setting.key}: {setting.a or 'not there'} → {setting.b or 'not there'}"
    yield from _more(len(found.settings), "settings")
    yield ""
    yield from _table(found)
    if by and found.groups:
        yield from ("", f"by {by}")
        for group in found.groups[:_NUM_SHOWN]:
            kinds = ", ".join(f"{num:,} {kind}" for kind, num in sorted(group.kinds.items()))
            yield f"  {group.name}: {kinds}"
        yield from _more(len(found.groups), "groups")


def _table(found: Difference) -> Iterator[str]:
    """Kinds with counts and durations, then examples of each."""
    from sao_data.attribution.plain import length
    from sao_data.dataset.diff import KINDS

    tallies = {kind: tally for kind, tally in found.kinds.items() if tally.recordings}
    for kind, tally in tallies.items():
        audio = length(tally.seconds) if tally.milliseconds else ""
        yield f"{kind:18s} {tally.recordings:>9,}  {audio:>15s}  {KINDS[kind]}"
    yield f"{'unchanged':18s} {found.unchanged:>9,}"
    for kind, tally in tallies.items():
        if tally.examples:
            yield from ("", kind)
            yield from (f"  {example.id}  {example.detail}" for example in tally.examples)
        more = tally.recordings - len(tally.examples)
        if more and tally.examples:
            yield f"  … and {more:,} more"


def _version_line(letter: str, version: Version) -> str:
    from sao_data.attribution.plain import length

    return (
        f"{letter}  {version.name} {version.version}: {version.kept:,} of {version.offered:,} offered, "
        f"{length(version.seconds)}, {version.shards:,} shards ({version.url})"
    )


def _more(num: int, what: str) -> Iterator[str]:
    if num > _NUM_SHOWN:
        yield f"  … and {num - _NUM_SHOWN:,} more {what}; --json has all"


def _plain(found: Difference, by: str | None, failing: list[str]) -> dict[str, object]:
    """The machine's form: every kind stands in it, those without changes too."""
    import dataclasses

    return {
        "a": dataclasses.asdict(found.a),
        "b": dataclasses.asdict(found.b),
        "same_version": found.is_same_version,
        "shards": found.shards,
        "settings": [dataclasses.asdict(setting) for setting in found.settings],
        "kinds": {
            kind: {
                "recordings": tally.recordings,
                "seconds": tally.seconds,
                "examples": [dataclasses.asdict(example) for example in tally.examples],
            }
            for kind, tally in found.kinds.items()
        },
        "unchanged": found.unchanged,
        "by": by,
        "groups": [{"name": group.name, "kinds": dict(group.kinds)} for group in found.groups],
        "failing": failing,
    }
