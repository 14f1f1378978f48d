"""Take works out of a dataset at somebody's request, and keep them out.

What is meant is the union of --author, --id and --licence. Without --apply nothing is changed: works,
seconds, shards, checkpoints that saw them (--checkpoints) and likely copies are shown. With --apply only the
shards concerned are rewritten, without the sources: no word and no sound of the works stays in shards,
tables, evidence or unfinished work, nor of the latents that were encoded from it (folders that were moved
cannot be reached: they are named). DIR/takedowns.jsonl remembers them by id, checksum and fingerprint, and
with --author the author by a hash (of the source's id; of the name where the source gives no ids), so that no
later ingest takes them, or works to come, in again. Works of the same author under another name go too.

--reason is published in takedowns.jsonl: a word or two, no names, numbers of people or mail addresses
("author's request", "court order").
Where only the name shall go, and the work may stay: --credit-only, which is `sao credit … --as withhold`.

Exit code 0: done, or done before. 7: nothing there is what was asked for.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sao_data.errors import UsageError
from sao_data.storage import layout

if TYPE_CHECKING:
    from sao_data.dataset.reader import Dataset
    from sao_data.loading.heard.exposed import Exposure
    from sao_data.records import CatalogueRow
    from sao_data.revision.rewrite import Rewritten
    from sao_data.revision.takedown import Copy, Request, TakedownEffect
    from sao_data.storage.backend import Storage

HELP = "take works out of a dataset and keep them out"

_NUM_SHOWN = 50  # works and copies in the text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dir", metavar="DIR", help="dataset directory or URL")
    add("--author", metavar="X", action="append", default=[], help='"freesound:77", "77", or a name in full')
    add("--id", metavar="ID", action="append", default=[], help="recording id, or a sample's name in a shard")
    add("--licence", metavar="L", action="append", default=[], help='"CC-BY-4.0", "BY-NC", or a deed\'s URL')
    add("--reason", metavar="TEXT", default="", help="why; it is published, so: no names")
    add("--apply", action="store_true", help="do it; without this only what would be done is shown")
    add("--credit-only", action="store_true", help="only take the authors' names out; the works stay")
    add("--checkpoints", metavar="DIR", action="append", default=[], help="where to look for checkpoints")


def run(args: argparse.Namespace) -> int:
    from sao_data.commands.verbs import credit
    from sao_data.dataset.reader import read_owner
    from sao_data.revision import rewrite
    from sao_data.revision.selection import Wanted
    from sao_data.revision.takedown import Request
    from sao_data.storage.backend import open_storage

    wanted = Wanted(authors=tuple(args.author), ids=tuple(args.id), licences=tuple(args.licence))
    if wanted == Wanted():
        raise UsageError("sao takedown: which works? give --author, --id or --licence")
    storage = open_storage(args.dir)
    if args.credit_only:
        return credit.change(storage, wanted, "withhold", apply=args.apply)
    if not args.reason.strip():
        raise UsageError('--reason is missing; give it without names: it is published ("author\'s request")')
    request = Request(wanted=wanted, reason=args.reason.strip(), when=credit.today())
    read_owner(storage)
    folders = [Path(folder) for folder in args.checkpoints]
    if not args.apply:
        _take(storage, request, folders, apply=False)
        return 0
    with rewrite.changing(storage) as finished:
        if finished:
            _say(f"finished what was begun before: version {finished.before} → {finished.after}")
        _take(storage, request, folders, apply=True)
    return 0


def _take(storage: Storage, request: Request, folders: list[Path], *, apply: bool) -> None:
    from sao_data.attribution.plain import count
    from sao_data.commands import latents_reached
    from sao_data.revision import takedown

    dataset = takedown.open_published(storage)
    if dataset is None:
        _unfinished(storage, request, apply=apply)
        return
    effect = takedown.examine(dataset, request)
    if not effect.rows:
        _say(f"already done: {count(len(effect.done), 'work')} taken down before; nothing was changed")
        if folders:
            _show_checkpoints(dataset, effect, folders)
        if apply:
            latents_reached.follow(storage)  # a run that was killed, or a folder that was away
        return
    _show(dataset, effect)
    exposed = _show_checkpoints(dataset, effect, folders)
    _show_copies(storage, request, effect.copies)
    if apply:
        _tell(takedown.apply(dataset, request, effect), effect, exposed)
        latents_reached.follow(storage)
        _say("left to do   copies elsewhere (exports, backups, downloads of others) hold them yet")
    else:
        latents_reached.show(storage)
        _say("nothing was changed; add --apply to do it")


def _unfinished(storage: Storage, request: Request, *, apply: bool) -> None:
    from sao_data.attribution.plain import count
    from sao_data.commands import latents_reached
    from sao_data.revision import takedown

    ids = takedown.apply_unfinished(storage, request, write=apply)
    _say(f"{storage.url} is not finished; {count(len(ids), 'work')} listed in its unfinished work meant")
    for key in ids[:_NUM_SHOWN]:
        _say(f"  {key}")
    if not apply:
        _say("nothing was changed; add --apply to do it")
        return
    _say("taken down: the next ingest leaves them out")
    latents_reached.follow(storage)
    if storage.names(layout.SHARD_FOLDER):
        _say(
            "left to do   shards/, evidence/ and tables of the version being rebuilt may hold them: "
            "run the ingest"
        )


def _show(dataset: Dataset, effect: TakedownEffect) -> None:
    from sao_data.attribution.plain import count

    rows = effect.rows
    kept = [row for row in rows if row.kept]
    _say(f"{dataset.facts['name']} {dataset.facts['version']} at {dataset.storage.url}")
    before = f", {len(effect.done):,} taken down before" if effect.done else ""
    _say(f"works        {len(kept):,} kept, {len(rows) - len(kept):,} merely listed{before}")
    seconds = sum(row.seconds or 0.0 for row in kept)
    _say(f"audio        {seconds:,.1f} s in {sum(row.num_clips for row in kept):,} samples")
    _say(f"shards       {len(effect.shards):,}{': ' if kept else ''}{_some(effect.shards)}")
    _say(f"evidence     {count(sum(bool(row.evidence) for row in rows), 'raw row')}")
    for row in rows[:_NUM_SHOWN]:
        _say(f"  {_work(row)}")
    if len(rows) > _NUM_SHOWN:
        _say(f"  … and {len(rows) - _NUM_SHOWN:,} more")


def _work(row: CatalogueRow) -> str:
    state = "kept  " if row.kept else "listed"
    who = f"{row.author or 'an unnamed author'}{f' ({row.source}:{row.author_id})' if row.author_id else ''}"
    return f'{state} {row.id}  "{row.title}" by {who}, {row.license or "no licence"}'


def _show_checkpoints(dataset: Dataset, effect: TakedownEffect, folders: list[Path]) -> list[Exposure]:
    from sao_data.loading.heard.exposed import exposures

    if not folders:
        _say("checkpoints  not looked for; give --checkpoints and a folder with trainings below it")
        return []
    found = exposures(dataset, {row.id for row in effect.rows} | effect.done, folders)
    _say(f"checkpoints  {len(found):,} saw them, or may have")
    for item in found:
        doubt = f" ({item.doubt})" if item.doubt else ""
        _say(f"  {item.path}, step {item.step:,}: {item.num_seen:,} of their samples{doubt}")
    return found


def _show_copies(storage: Storage, request: Request, copies: Sequence[Copy]) -> None:
    if not copies:
        return
    _say(f"copies       {len(copies):,} works of others, or under other ids, for a person to decide")
    for item in copies[:_NUM_SHOWN]:
        _say(f"  {item.id} by {item.author or 'an unnamed author'}: {item.how}")
    if len(copies) > _NUM_SHOWN:
        _say(f"  … and {len(copies) - _NUM_SHOWN:,} more")
    _say(
        "  once the works are taken down, the next ingest leaves out what is the same file or audio, and puts"
    )
    _say("  what sounds alike before a person (reviews.csv). To take them out now:")
    ids = " ".join(f"--id {item.id}" for item in copies)
    where, reason = shlex.quote(storage.url), shlex.quote(request.reason)
    _say(f"  sao takedown {where} {ids} --reason {reason} --apply")


def _tell(done: Rewritten | None, effect: TakedownEffect, exposed: list[Exposure]) -> None:
    from sao_data.attribution.plain import count

    assert done is not None
    _say(f"version      {done.before} → {done.after}")
    _say(
        f"rewritten    {len(done.written):,} shards, {len(done.deleted):,} deleted for want of other samples"
    )
    _say(f"taken down   {count(len(effect.rows), 'work')} (takedowns.jsonl): no ingest takes that in again")
    if exposed:
        _say("left to do   checkpoints above were trained on them: retrain, or say so where they are offered")


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_NUM_SHOWN]) + (" …" if len(names) > _NUM_SHOWN else "")


def _say(line: str) -> None:
    from sao_data.commands.common import printable

    sys.stdout.write(f"{printable(line)}\n")
