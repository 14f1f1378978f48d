"""What filters would drop at other thresholds: tables, histograms, and the sounds next to each threshold.

Reads what was measured of every clip (measures.parquet), kept or not: no audio is decoded and nothing is
changed. Without FILTER every shipped filter is shown, configured or not; FILTER is one of them,
or the dotted path of another, which is then run. To use another threshold, set it in the manifest and run the
ingest again.

Exit code 7: no clip was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sao_data.dataset.tuning.results import NearClip, TriedThreshold, TunedKnob, TunedWords, Tuning

HELP = "what filters would drop at other thresholds, from what was measured"
_BAR = 40  # characters of the longest bar
_MOST_WORDS = 30  # shown of a filter over words; --json has all
_MOST_TITLE = 48


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="dataset directory or URL")
    parser.add_argument("filter", metavar="FILTER", nargs="?", default="", help="one filter only")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    import dataclasses

    from sao_data.commands.common import printable
    from sao_data.dataset.reader import open_dataset
    from sao_data.dataset.tuning.weighing import tune

    found = tune(open_dataset(args.dir), args.filter)
    if args.json:
        sys.stdout.write(json.dumps(dataclasses.asdict(found), sort_keys=True) + "\n")
        return 0
    for line in _lines(found):
        sys.stdout.write(f"{printable(line)}\n")
    return 0


def _lines(found: Tuning) -> Iterator[str]:
    hours = _hours(found.seconds)
    yield f"{found.num_clips:,} clips measured ({hours}), {found.num_kept:,} of them in the dataset"
    for knob in found.knobs:
        yield ""
        yield from _knob(knob, found)
    for words in found.words:
        yield ""
        yield from _words(words)
    yield from (f"note: {note}" for note in found.notes)


def _knob(knob: TunedKnob, found: Tuning) -> Iterator[str]:
    state = ", ".join(f"configured {value:g}" for value in knob.configured) or "not configured"
    name = f"{knob.filter}.{knob.field}"
    yield f"{name}  {state}, default {knob.default:g}; kept: {knob.keeps} that, {knob.unit}"
    if knob.num_without:
        yield f"  {knob.num_without:,} clips without a value, which it keeps"
    if not knob.num_clips:
        return
    yield f"  {'threshold':>12s} {'drops':>9s} {'share':>7s} {'time':>10s} {'share':>7s} {'of the kept':>12s}"
    yield from (_tried(each, found) for each in knob.tried)
    yield from _histogram(knob)
    yield from _near("just kept", knob.just_kept, knob)
    yield from _near("just dropped", knob.just_dropped, knob)


def _tried(each: TriedThreshold, found: Tuning) -> str:
    marks = (("configured", each.is_configured), ("default", each.is_default))
    said = ", ".join(word for word, holds in marks if holds)
    share, of_time = each.num_dropped / found.num_clips, each.seconds_dropped / max(found.seconds, 1e-9)
    numbers = f"{each.num_dropped:9,d} {share:7.1%} {_hours(each.seconds_dropped):>10s} {of_time:7.1%}"
    return f"  {each.threshold:12g} {numbers} {each.num_kept_dropped:12,d}  {said}".rstrip()


def _histogram(knob: TunedKnob) -> Iterator[str]:
    most = max(bar.num_clips for bar in knob.bars)
    for bar in knob.bars:
        length = bar.num_clips * _BAR * 8 // most  # in eighths of a character
        drawn = "█" * (length // 8) + ("", *"▏▎▍▌▋▊▉")[length % 8] or ("▏" if bar.num_clips else "")
        high = f"– {bar.high:<10g}" if bar.high > bar.low else " " * 12
        yield f"  {bar.low:>10g} {high} {bar.num_clips:>9,d} {drawn}".rstrip()


def _near(what: str, clips: tuple[NearClip, ...], knob: TunedKnob) -> Iterator[str]:
    if clips:
        yield f"  {what} at {knob.near:g}:"
    for clip in clips:
        title = clip.title if len(clip.title) <= _MOST_TITLE else f"{clip.title[: _MOST_TITLE - 1]}…"
        yield f"    {clip.value:10g}  {clip.id}  {title}  {clip.page}".rstrip()


def _words(words: TunedWords) -> Iterator[str]:
    state = "; ".join(json.dumps(each, ensure_ascii=False) for each in words.configured) or "not configured"
    yield f"{words.filter}: {len(words.words):,} different ({state})"
    yield f"  {'clips':>9s} {'kept':>9s} {'time':>10s}"
    for each in words.words[:_MOST_WORDS]:
        numbers = f"{each.num_clips:9,d} {each.num_kept:9,d} {_hours(each.seconds):>10s}"
        yield f"  {numbers}  {each.word or 'not known'}"
    if len(words.words) > _MOST_WORDS:
        yield f"  … and {len(words.words) - _MOST_WORDS:,} more; --json has all"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.2f} h" if seconds >= 360 else f"{seconds:,.1f} s"
