"""Forms of stored values, as annotations of record fields; checked where files are read back (tables,
stored), not where values are made."""

from __future__ import annotations

from typing import Annotated

from pydantic import NonNegativeInt, StringConstraints

Count = NonNegativeInt
Sha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]  # hex; '' = not known
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
RecordingId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*:[A-Za-z0-9][A-Za-z0-9_-]*$")]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*-[A-Za-z0-9_~-]+$")]  # ids.sample_key
ShardName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*-[0-9]{6,}[.]tar$")]
# Of a file below a dataset's directory: no step out of it, nothing hidden.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.~-]*(/[A-Za-z0-9][\w.~-]*)*$")]
