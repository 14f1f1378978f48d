"""One question to Freesound's search and its answer, kept so that it is never asked twice.

Pages are counted by ourselves: the API's own `next` link carries `+` raw, which comes back as a space, and
the Sampling+ works are silently gone from page 2 on.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from sao_data.fetch.web import Response
from sao_data.fetch.wire import NotFound, Overloaded, TransientError
from sao_data.sources._common.rows import Row
from sao_data.storage.backend import Storage

# Asked for together always: without the category, a speaker's opt-out is missed. No descriptors, no places.
FIELDS = (
    "id,url,name,tags,description,category,subcategory,category_code,category_is_user_provided,created,"
    "license,gen_ai_preference,type,channels,filesize,bitrate,bitdepth,duration,samplerate,username,pack,"
    "pack_name,download,previews,is_explicit,is_remix,was_remixed,md5,num_downloads,avg_rating,num_ratings"
)
PAGE_SIZE = 150  # the most the API gives
DUPLICATE = "\0duplicate key"  # stands for an object that has a key twice: whichever is meant, it is not read

_ATTEMPTS = 3  # for an answer of the wrong shape


class Api(Protocol):
    """What is needed of a `Web`."""

    def get_json(
        self, path_or_url: str, params: Sequence[tuple[str, str]] = (), *, auth: Literal["token"] = "token"
    ) -> Response: ...

    def download(
        self, url: str, partial: Path, *, expected_bytes: int | None, auth: Literal["oauth", "none"]
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search, as it is sent."""

    filter: str
    text: str = ""
    sort: str = "created_asc"
    page: int = 1
    page_size: int = PAGE_SIZE
    attempt: int = 0  # asked again on purpose: another question to the cache, the same to the server
    can_split: bool = False  # "too much" is an answer: less will be asked for

    def params(self) -> tuple[tuple[str, str], ...]:
        """In a fixed order: the query string is the name of the answer. No `filter` where there is none."""
        return (
            ("query", self.text),
            *([("filter", self.filter)] if self.filter else []),
            ("sort", self.sort),
            ("page", str(self.page)),
            ("page_size", str(self.page_size)),
            ("fields", FIELDS),
        )

    def name(self) -> str:
        """The name of its answer: sha256 of all that makes it."""
        return hashlib.sha256(json.dumps([self.params(), self.attempt]).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPage:
    """An answer: sounds as the server spelled them, None where the index knows one that the database lost."""

    count: int  # of all that match, as the server says
    results: tuple[Row | None, ...]
    request: str  # URL, no secrets
    retrieved_at: str


class ResponseCache:
    """Answers on disk, by the name of their question."""

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage, self._folder = storage, folder

    def find(self, query: Query) -> ResultPage | None:
        """The answer given earlier; None if there is none that can be read. Overloaded is an answer too."""
        try:
            packed = self._storage.read(self._name(query))
        except FileNotFoundError:
            return None
        try:
            said = json.loads(gzip.decompress(packed), object_pairs_hook=_object)
            page = page_of(said["body"], said["request"], said["retrieved_at"])
        except (gzip.BadGzipFile, EOFError, zlib.error, ValueError, TypeError, KeyError, RecursionError):
            return None
        if page is None:
            raise Overloaded("the search server gave up on this earlier")
        return page

    def keep(self, query: Query, request: str, retrieved_at: str, body: bytes) -> None:
        """Store an answer as it came, with what was asked and when; b"null" for one that was too much."""
        about = json.dumps({"request": request, "retrieved_at": retrieved_at})
        self._storage.write(
            self._name(query), gzip.compress(about[:-1].encode() + b', "body": ' + body + b"}", 6, mtime=0)
        )

    def forget(self, numbers: frozenset[int]) -> None:
        """Leave of these sounds nothing but id and date; the rest of an answer reads as before."""
        for name in self._storage.names(self._folder):
            said = json.loads(gzip.decompress(self._storage.read(name)), object_pairs_hook=_object)
            results = said["body"]["results"] if said["body"] else []
            there = [row for row in results if isinstance(row, dict) and row.get("id") in numbers]
            for row in there:
                bare = {"id": row["id"], "created": row.get("created")}
                row.clear()
                row.update(bare)
            if there:
                self._storage.write(name, gzip.compress(json.dumps(said).encode(), 6, mtime=0))

    def num(self) -> int:
        """How many answers there are."""
        return len(self._storage.names(self._folder))

    def _name(self, query: Query) -> str:
        return f"{self._folder}/{query.name()}.json.gz"


class Search:
    """Asks the server what the cache does not have."""

    def __init__(self, web: Api, cache: ResponseCache | None, *, not_before: str = "") -> None:
        self._web, self._cache = web, cache
        self._not_before = not_before  # ISO 8601 UTC: older answers are none

    def ask(self, query: Query) -> ResultPage:
        """The answer; Overloaded: ask for less at a time; other OSErrors are transient."""
        known = self._cache.find(query) if self._cache else None
        return known if known and known.retrieved_at >= self._not_before else self._asked(query)

    def _asked(self, query: Query) -> ResultPage:
        """The server's answer of now, which takes the place of an earlier one."""
        for _ in range(_ATTEMPTS):
            try:
                response = self._web.get_json("search/", query.params(), auth="token")
            except Overloaded:
                if self._cache and query.can_split:
                    self._cache.keep(query, "", "", b"null")
                raise
            except NotFound:
                continue  # beyond the last page, or a transient failure that looks so
            page = _page_in(response)
            if page is not None:
                if self._cache:
                    self._cache.keep(query, response.url, response.retrieved_at, response.body)
                return page
        if query.page > 1:  # the set has shrunk: nothing is there any more
            return ResultPage(count=0, results=(), request="", retrieved_at="")
        raise TransientError(
            f"freesound: {_ATTEMPTS} times no page of results came for a search; try again later"
        )


def page_of(body: object, request: str, retrieved_at: str) -> ResultPage | None:
    """Read the parsed body of a search; None for `null`; ValueError: it is no page of results."""
    if body is None:
        return None
    if not isinstance(body, dict):
        raise ValueError("a page of results is an object")
    count, results = body.get("count"), body.get("results")
    if not isinstance(results, list) or isinstance(count, bool) or not isinstance(count, int):
        raise ValueError("a page of results has a count and results")
    rows = tuple(map(_row, results))
    return ResultPage(count=count, results=rows, request=request, retrieved_at=retrieved_at)


def _row(value: object) -> Row | None:
    if value is None or isinstance(value, dict):
        return value
    return {DUPLICATE: f"no object: {value!r}"[:80]}


def ids_filter(numbers: Iterable[int]) -> str:
    """Those sounds and no others. The field is a string: equality works, ranges do not."""
    return f"id:({' OR '.join(map(str, numbers))})"


def created_filter(spans: Sequence[tuple[int, int]]) -> str:
    """Sounds created in any of these spans (first and last millisecond since 1970 UTC, both inclusive)."""
    ranges = [f"[{_stamp(first)} TO {_stamp(last)}]" for first, last in spans]
    return f"created:{ranges[0]}" if len(ranges) == 1 else f"created:({' OR '.join(ranges)})"


def milliseconds(created: object) -> int | None:
    """Milliseconds since 1970 of a date as the API writes it (no zone: UTC); None if it is none."""
    if not isinstance(created, str) or len(created) > 40:
        return None
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _page_in(response: Response) -> ResultPage | None:
    """The page in a reply; None if it has another shape."""
    try:
        body = json.loads(response.body, object_pairs_hook=_object)
        return page_of(body, response.url, response.retrieved_at)
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, object]]) -> Row:
    """A JSON object; one with a key twice is marked, so that no two readers understand it differently."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        return {DUPLICATE: next(name for name in names if names.count(name) > 1)}
    inner = (value[DUPLICATE] for value in row.values() if isinstance(value, dict) and DUPLICATE in value)
    within = next(inner, None)
    return row if within is None else {DUPLICATE: within}


def _stamp(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
