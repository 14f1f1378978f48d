"""What a networked source is handed: its own folder in the dataset, and the services that all workers share.

It holds addresses and proxies, never a secret: it is pickled into every unit of work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sao_data.storage.backend import Storage, open_storage


class PermitsLike(Protocol):
    """Who may ask the server now: a `Permits`, or the proxy of one on another node."""

    def ask(self) -> float:
        """0.0: one request may be sent now. Otherwise the seconds after which to ask again."""

    def report_refusal(self, detail: str) -> None:
        """Take in what the server said when it refused a request (the text of a 429)."""

    def next_at(self) -> float:
        """Seconds since 1970 at which the next request is possible."""

    def why(self) -> str:
        """What the next permit waits for: "60/minute", "2000/day"; '' if for nothing."""


class Credentials(Protocol):
    """Hands out secrets where a request needs them: a `Tokens`, or the proxy of one on another node."""

    def key(self) -> str:
        """The API key; UsageError, with the next step, if there is none."""

    def bearer(self) -> str:
        """A valid OAuth2 access token; UsageError if nobody is logged in."""

    def expired(self, token: str) -> str:
        """The server no longer takes this access token: another one, refreshed once for all who ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Where a source keeps what must outlive a run, and the services it asks."""

    url: str  # of the dataset directory
    folder: str  # relative to it: "work/sources/0-freesound_api"
    permits: PermitsLike
    tokens: Credentials | None = None  # None: only what needs no credential can be asked

    @property
    def storage(self) -> Storage:
        """The dataset's storage, opened anew so that a workspace can be sent anywhere."""
        return open_storage(self.url)

    def name(self, *parts: str) -> str:
        """The storage name of a file of this source: `name("pages", "ab12.json.gz")`."""
        return "/".join((self.folder, *parts))
