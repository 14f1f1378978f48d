"""What training would draw from a dataset's words: prompts with their probability and length, the fields and
where they are from, and what rules left out of them.

With ID (a recording's id, title, page or file) the recording in full; without, the dataset in numbers: which
fields samples have, how often each rule took something and three examples, languages, the longest prompts,
and the share longer than the 128 tokens that T5 reads. Drawn with the defaults of `stream.prompt`.

Exit code 7: nothing in the dataset is called so.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sao_data.loading.prompt_survey import DatasetPrompts, RecordingPrompts
    from sao_data.loading.t5_length import TokenCounter

_NOT_DRAWN = "drawn only where stream.prompt.machine_captions says so"
_SHOWN = 160  # characters of a long prompt
HELP = "what training would draw from a dataset's words, and what was left out of them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="dataset directory or URL")
    parser.add_argument(
        "id", metavar="ID", nargs="?", default="", help="one recording: id, title, page, file"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    import dataclasses

    from sao_data.commands.common import printable
    from sao_data.dataset.reader import open_dataset
    from sao_data.loading import prompt_survey
    from sao_data.loading.prompts import PromptConfig
    from sao_data.loading.t5_length import token_counter

    dataset, counter, settings = open_dataset(args.dir), token_counter(), PromptConfig()
    found: RecordingPrompts | DatasetPrompts
    if args.id:
        found = shown = prompt_survey.of_recording(dataset, args.id, counter, settings)
        lines = _recording(shown, counter)
    else:
        found = survey = prompt_survey.of_dataset(dataset, counter, settings)
        lines = _dataset(survey, counter)
    if args.json:
        facts = {"tokens_by": counter.by, "tokens_estimated": counter.is_estimate} | dataclasses.asdict(found)
        sys.stdout.write(json.dumps(facts, sort_keys=True) + "\n")
        return 0
    for line in lines:
        sys.stdout.write(f"{printable(line)}\n")
    return 0


def _recording(shown: RecordingPrompts, counter: TokenCounter) -> Iterator[str]:
    yield f"recording   {shown.id} ({shown.key})"
    yield f"language    {f'{shown.language}, told by {shown.language_by}' if shown.language else 'not known'}"
    for field in shown.fields:
        yield f"{field.name:12s}{', '.join(field.values)}  (from {field.provenance})"
    if shown.machine_caption:
        yield f"machine     {shown.machine_caption}  (made by a machine: {shown.machine_caption_by})"
        yield f"            {_NOT_DRAWN}"
    if not shown.fields:
        yield "fields      none: its fixed prompt stands in"
    for item in shown.left_out:
        yield f"left out    {item.field}: {item.rule}: {item.text!r}"
    yield f"draws       seed, probability, tokens ({counter.by}), prompt"
    for draw in shown.draws:
        yield f"{draw.seed:6d}  {draw.probability:8.2g}  {draw.num_tokens:4d}  {draw.text}"
    yield from (f"note        {note}" for note in shown.notes)


def _dataset(survey: DatasetPrompts, counter: TokenCounter) -> Iterator[str]:
    from sao_data.loading.t5_length import MOST_TOKENS

    num = max(1, survey.num_samples)
    yield f"samples     {survey.num_samples}"
    for name, count in sorted(survey.fields.items(), key=lambda item: (-item[1], item[0])):
        yield f"field       {name:12s}{count:8d}  {count / num:6.1%}"
    for language, count in sorted(survey.languages.items(), key=lambda item: (-item[1], item[0])):
        yield f"language    {language or 'not known':12s}{count:8d}  {count / num:6.1%}"
    for by, count in sorted(survey.machine_captions.items(), key=lambda item: (-item[1], item[0])):
        yield f"machine     {count:20d}  {count / num:6.1%}  have a caption made by a machine: {by}"
        yield f"            {_NOT_DRAWN}"
    for rule, count in sorted(survey.rules.items(), key=lambda item: (-item[1], item[0])):
        yield f"rule        {rule:16s}took something from {count} recordings"
        yield from (f"              {e.field} of {e.id}: {e.text!r}" for e in survey.examples[rule])
    share = survey.num_too_long / max(1, survey.num_drawn)
    much = f"{share:.2%} of {survey.num_drawn} prompts"
    yield f"too long    {much} have over {MOST_TOKENS} tokens ({counter.by})"
    for tokens, recording_id, text in survey.longest:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        yield f"longest     {tokens:4d}  {recording_id}  {shown}"
    yield from (f"note        {note}" for note in survey.notes)
