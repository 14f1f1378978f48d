"""Paths of audio files within a folder: which are audio, which may be opened, and the ids made from them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import PurePosixPath, PureWindowsPath

SUFFIXES = frozenset((
    ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp2",
    ".mp3", ".mp4", ".mpc", ".oga", ".ogg", ".opus", ".ra", ".rf64", ".snd", ".spx", ".tta", ".voc", ".w64",
    ".wav", ".wave", ".webm", ".wma", ".wv",
))  # fmt: skip

_PLAIN = re.compile(r"(?:[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*/)*[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*\.[A-Za-z0-9]+")
_MOST_ID = 80  # characters that records.check_id allows after the colon


def own_id(relative: str) -> str:
    """The part of an id after the colon, made from the relative path alone; equal only for equal paths."""
    slug = relative.replace("/", "__").replace(".", "-")
    plain = _PLAIN.fullmatch(relative) and os.path.splitext(relative)[1].lower() in SUFFIXES
    if plain and len(slug) <= _MOST_ID:
        return slug
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", relative.replace("/", "__")).strip("-_")
    mark = hashlib.sha256(relative.encode()).hexdigest()[:10]
    return f"{slug[: _MOST_ID - 11]}-{mark}".lstrip("-")


def problem(name: str) -> str:
    """Why a file name must not be opened; '' if its words name something within the folder."""
    if not name.strip("./ "):
        return "no file_name"
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or name.startswith("\\"):
        return f"{name[:200]!r} is an absolute path; want one relative to the folder"
    if ".." in re.split(r"[/\\]", name):
        return f"{name[:200]!r} leaves the folder"
    if (
        not name.isprintable()
        or any(len(part.encode()) > 255 for part in name.split("/"))
        or len(name) > 1000
    ):
        return f"{name[:200]!r} cannot be a file name here"
    return ""
