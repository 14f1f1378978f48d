"""Reject clips by the tags of their recording: one that is not wanted (`unwanted_tag`), none that is
(`no_wanted_tag`).

Tags are the source's own, before captions leave any out, compared without regard to case and with "-" as a
space, as captions split them: "Field-Recording" is "field recording". Words are not taken apart further.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.records import CaptionField, Clip, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which tags decide; without any, all clips are kept."""

    drop_any: tuple[str, ...] = ()  # clips with one of these are rejected
    keep_any: tuple[str, ...] = ()  # where given, clips without any of these are rejected

    def __post_init__(self) -> None:
        for name in ("drop_any", "keep_any"):
            if not all(_same(tag) for tag in getattr(self, name)):
                raise UsageError(f"filter tags: {name} has an empty tag; take it out")
        if both := _all(self.drop_any) & _all(self.keep_any):
            raise UsageError(f"filter tags: {min(both)!r} is in drop_any and in keep_any; take one out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """Looks at tags; what is not wanted decides first."""

    config: Config

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """Reject the clip for the first tag that is not wanted, or for want of one that is."""
        unwanted, wanted = _all(self.config.drop_any), _all(self.config.keep_any)
        for tag in recording.tags:
            if _same(tag) in unwanted:
                return "unwanted_tag", f"tagged {tag!r}, which is in drop_any"
        if wanted and wanted.isdisjoint(_all(recording.tags)):
            return (
                "no_wanted_tag",
                f"none of its {len(recording.tags)} tags is one of the {len(wanted)} in keep_any",
            )
        return None


def categories(fields: tuple[CaptionField, ...]) -> tuple[str, ...]:
    """The tags, as they are compared."""
    return tuple(sorted({_same(tag) for field in fields if field.name == "tags" for tag in field.values}))


def build(config: Config) -> Tags:
    """Make the filter."""
    return Tags(config=config)


def _same(tag: str) -> str:
    return " ".join(tag.replace("-", " ").casefold().split())


def _all(tags: Iterable[str]) -> set[str]:
    return {_same(tag) for tag in tags}
