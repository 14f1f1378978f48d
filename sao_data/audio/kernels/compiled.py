"""How the inner loops are compiled: for one signature each, in strict floating point, and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(signature: str) -> Callable[[F], F]:
    """Compile when the module is imported, or load what an earlier process compiled on such a processor.

    numba keeps it in `__pycache__` beside the source, or else in the user's cache folder; its files are
    replaced whole, so processes that compile at once do not disturb each other. It asks a file's own date
    only: what a kernel calls stands in its module. Sums are never reordered (no fastmath).
    """

    def decorate(function: F) -> F:
        try:
            return _jit(function, signature, cache=True)
        except (RuntimeError, OSError):  # no folder that can be written to, or a full disk
            return _jit(function, signature, cache=False)

    return decorate


def _jit(function: F, signature: str, *, cache: bool) -> F:
    made: F = numba.njit(signature, cache=cache, error_model="numpy")(function)
    return made
