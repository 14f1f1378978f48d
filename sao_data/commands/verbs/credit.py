"""Credit works by another name, or name nobody: for authors who ask for it.

CC BY 4.0, section 3(a)(3), and CC BY 3.0, 4(a), give authors the right to have their name taken out of
copies. The works stay; their audio is not touched, only the words in shards, tables and reports. With
`withhold`, name, author's page, copyright notice and wished-for credit go, and the work's page if its address
spells the name. What authors wrote themselves (titles, descriptions, tags) stays as it is; so do the raw rows
in evidence/, because they prove the licence, and the source's number of the author in the catalogue.

Without --apply nothing is changed. The request is kept in DIR/credits.jsonl, so that every later ingest
credits these works, and with --author all works to come, in the same way.

Exit code 0: done, or it was so already. 7: nothing there is what was asked for.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sao_data.errors import UsageError

if TYPE_CHECKING:
    from sao_data.revision.credit_change import CreditEffect
    from sao_data.revision.rewrite import Rewritten
    from sao_data.revision.selection import Wanted
    from sao_data.storage.backend import Storage

HELP = "credit works by another name, or withhold their authors' names"

_NUM_SHOWN = 20  # works in the text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dir", metavar="DIR", help="dataset directory or URL")
    add("--author", metavar="X", action="append", default=[], help='"freesound:77", "77", or a name in full')
    add("--id", metavar="ID", action="append", default=[], help="recording id, or a sample's name in a shard")
    add("--as", dest="name", metavar="NAME", required=True, help="the name to credit, or: withhold")
    add("--apply", action="store_true", help="do it; without this only what would be done is shown")


def run(args: argparse.Namespace) -> int:
    from sao_data.revision.selection import Wanted
    from sao_data.storage.backend import open_storage

    wanted = Wanted(authors=tuple(args.author), ids=tuple(args.id))
    if not wanted.authors and not wanted.ids:
        raise UsageError("sao credit: whose? give --author or --id")
    return change(open_storage(args.dir), wanted, args.name, apply=args.apply)


def change(storage: Storage, wanted: Wanted, given: str, *, apply: bool) -> int:
    """Show what another credit means; with `apply`, give it."""
    from sao_data.dataset.reader import read_owner
    from sao_data.revision import credit_change, rewrite

    name = credit_change.name_of(given)
    read_owner(storage)
    if not apply:
        _change(storage, wanted, name, apply=False)
        return 0
    with rewrite.changing(storage) as finished:
        if finished:
            _say(f"finished what was begun before: version {finished.before} → {finished.after}")
        _change(storage, wanted, name, apply=True)
    return 0


def _change(storage: Storage, wanted: Wanted, name: str, *, apply: bool) -> None:
    from sao_data.attribution.plain import count
    from sao_data.commands import latents_reached
    from sao_data.revision import credit_change
    from sao_data.revision.takedown import open_published

    dataset, when = open_published(storage), today()
    if dataset is None:
        ids = credit_change.apply_unfinished(storage, wanted, name, when, write=apply)
        _say(
            f"{storage.url} is not finished: {count(len(ids), 'work')} in it {_are(name)} by the next ingest"
        )
    else:
        effect = credit_change.examine(dataset, wanted, name, when)
        _show(effect, name)
        if apply:
            _tell(credit_change.apply(dataset, effect))
            latents_reached.follow(storage)
    if not apply:
        _say("nothing was changed; add --apply to do it")


def today() -> str:
    """The date that requests are kept under (UTC)."""
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()


def _show(effect: CreditEffect, name: str) -> None:
    kept = sum(row.kept for row in effect.rows)
    _say(f"works        {kept:,} kept, {len(effect.rows) - kept:,} merely listed {_are(name)}")
    _say(f"             {len(effect.rows) - len(effect.changes):,} of them are so already")
    shards = sorted({shard for row, _ in effect.changes for shard in row.shards})
    _say(f"shards       {len(shards):,}{': ' if shards else ''}{', '.join(shards[:_NUM_SHOWN])}")
    for before, _ in effect.changes[:_NUM_SHOWN]:
        _say(f'  {before.id}  "{before.title}" by {before.author or "an unnamed author"}')
    if len(effect.changes) > _NUM_SHOWN:
        _say(f"  … and {len(effect.changes) - _NUM_SHOWN:,} more")


def _tell(done: Rewritten | None) -> None:
    from sao_data.attribution.plain import count

    if done is None:
        _say("already done: nothing was changed")
        return
    _say(f"version      {done.before} → {done.after}")
    _say(f"rewritten    {count(len(done.written), 'shard')} (their audio is byte for byte as it was)")
    _say("left to do   copies of the dataset elsewhere still say what they said: replace them")


def _are(name: str) -> str:
    return f"(to be credited to {name!r})" if name else "(to be credited to nobody)"


def _say(line: str) -> None:
    from sao_data.commands.common import printable

    sys.stdout.write(f"{printable(line)}\n")
