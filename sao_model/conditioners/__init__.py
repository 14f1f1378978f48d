"""Conditioners: one file each, with `Config` and `build(config)`; they turn what is asked for into tokens."""

from __future__ import annotations

import difflib
import pkgutil
from types import ModuleType

from sao_data import plugins
from sao_data.errors import UsageError


def names() -> tuple[str, ...]:
    """The conditioners that ship with the package, sorted."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def load(name: str, *, where: str) -> ModuleType:
    """Import the conditioner `name`; UsageError with the nearest name if there is none."""
    if "." in name:
        return plugins.load("conditioners", name, where=where)
    if name in names():
        return plugins.load("conditioners", f"{__name__}.{name}", where=where)
    near = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"{where}: no conditioner named {name!r}{hint} (there are: {', '.join(names())})")
