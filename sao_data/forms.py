"""Forms of stored values, as annotations of record fields; checked where files are read back (tables,
documents), not where values are made.

pydantic asks an annotation for its part of a schema by the method below, so none of this imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A number from `ge` on."""

    ge: int

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return handler(source) | {"ge": self.ge}


@dataclass(frozen=True, slots=True)
class Form:
    """A text that is what a regular expression describes, from beginning to end."""

    pattern: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return handler(source) | {"pattern": self.pattern}


Count = Annotated[int, AtLeast(0)]
Positive = Annotated[int, AtLeast(1)]
Sha256 = Annotated[str, Form(r"^([0-9a-f]{64})?$")]  # hex; '' = not known
Digest = Annotated[str, Form(r"^[0-9a-f]{64}$")]
RecordingId = Annotated[str, Form(r"^[a-z][a-z0-9_]*:[A-Za-z0-9][A-Za-z0-9_-]*$")]
Key = Annotated[str, Form(r"^[a-z][a-z0-9_]*-[A-Za-z0-9_~-]+$")]  # ids.sample_key
ShardName = Annotated[str, Form(r"^[a-z0-9]+(-[a-z0-9]+)*-[0-9]{6,}[.]tar$")]
# Of a file below a dataset's directory: no step out of it, nothing hidden.
FileName = Annotated[str, Form(r"^[A-Za-z0-9][\w.~-]*(/[A-Za-z0-9][\w.~-]*)*$")]
