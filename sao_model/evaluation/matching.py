"""Which sound answers which prompt, and which recording is whose reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sao_data.errors import UsageError
from sao_model.evaluation.generated import name_of
from sao_model.evaluation.protocol import EvaluationProtocol, Prompt
from sao_model.evaluation.sounds import SoundItem

_SHOWN = 5  # of what is missing, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedSounds:
    """Sounds with prompts and groups, and what is missing."""

    items: list[SoundItem]
    notes: tuple[str, ...]


def to_prompts(items: Sequence[SoundItem], prompts: Sequence[Prompt]) -> MatchedSounds:
    """Sounds answer a prompt by their file's name, or where their own prompt is the same text. Others stay in
    the set under their own prompt, without reference; prompts without a sound are counted."""
    if not prompts:
        return MatchedSounds(items=list(items), notes=())
    by_name = {name_of(each.key): each for each in prompts}
    by_text: dict[str, list[Prompt]] = {}
    for each in prompts:
        by_text.setdefault(each.text, []).append(each)
    free = {each.key for each in prompts} - {by_name[i.key].key for i in items if i.key in by_name}
    found, num_strange = [], 0
    for item in items:
        answered = by_name.get(item.key)
        if answered is None and item.prompt:
            answered = next((each for each in by_text.get(item.prompt, []) if each.key in free), None)
            free -= {answered.key} if answered else set()
        num_strange += answered is None
        found.append(
            replace(item, key=answered.key, prompt=answered.text, group=answered.group) if answered else item
        )
    notes = [f"{len(free)} of {len(prompts)} prompts have no sound"] if free else []
    if num_strange:
        notes.append(f"{num_strange} of {len(items)} sounds answer no prompt of the protocol: without pair")
    return MatchedSounds(items=found, notes=tuple(notes))


def to_groups(
    items: Sequence[SoundItem], prompts: Sequence[Prompt], protocol: EvaluationProtocol
) -> MatchedSounds:
    """The recordings that the prompts describe, under their ids; other files in the folder are not of it."""
    by_name = {item.key: item for item in items}
    ids = list(dict.fromkeys(each.group for each in prompts))
    found, missing = [], []
    for one in ids:
        names = [pattern.replace("{id}", one) for pattern in protocol.reference_names]
        item = next((by_name[name] for name in names if name in by_name), None)
        if item is None:
            missing.append(one)
        else:
            found.append(replace(item, key=one, group=one))
    if not found:
        wanted = " or ".join(protocol.reference_names).replace("{id}", ids[0])
        raise UsageError(
            f"--reference: none of the {len(ids)} recordings of {protocol.name} is there, e.g. {wanted}.wav; "
            "is it the right folder?"
        )
    notes = []
    if missing:
        some = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        notes.append(f"{len(missing)} of {len(ids)} recordings are not there: {some}")
    if protocol.expected_references and len(found) != protocol.expected_references:
        notes.append(f"{len(found)} recordings; the published numbers are of {protocol.expected_references}")
    return MatchedSounds(items=found, notes=tuple(notes))
