"""Where the files are that ship beside the code: in a checkout manifests/, in a wheel the copy of it."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # of the repository, in a checkout


def is_checkout() -> bool:
    """Does the code run from a checkout of the repository?"""
    return (ROOT / "pyproject.toml").exists()


def manifests_folder() -> Path:
    """The manifests: the repository's, or the copy inside an installed wheel."""
    return ROOT / "manifests" if is_checkout() else PACKAGE / "_manifests"
