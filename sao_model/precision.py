"""What stays in float32 under autocast: parts whose result bfloat16's 8 bits would spoil."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

_HALVES = (torch.bfloat16, torch.float16)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def in_float32(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run `function` with autocast off, its tensors raised to float32; without autocast, just run it.

    A model that was cast as a whole keeps its precision: that is what it was asked for.
    """

    @functools.wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        given = (*args, *kwargs.values())
        kind = next(each for each in given if isinstance(each, Tensor)).device.type
        if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
            return function(*args, **kwargs)
        with torch.autocast(kind, enabled=False):
            raised: Any = [_raised(each) for each in args]
            named: Any = {name: _raised(each) for name, each in kwargs.items()}
            return function(*raised, **named)

    return run


def _raised(given: object) -> object:
    return given.float() if isinstance(given, Tensor) and given.dtype in _HALVES else given
