"""search/: parameters, order, pages, and the links that the server rebuilds from what it understood."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from tests.fakes.freesound import chance, match, query, reply
from tests.fakes.freesound.faults import OVERLOADED
from tests.fakes.freesound.reply import ApiError, Reply
from tests.fakes.freesound.state import Call, State
from tests.fakes.freesound.stock import Column
from tests.fakes.freesound.world import Rows, World

PAGE_SIZE, MAX_PAGE_SIZE = 15, 150
_SORTS = {
    "duration": ("duration",),
    "created": ("created_ms",),
    "downloads": ("num_downloads",),
    "rating": ("avg_rating", "num_ratings"),
}
_CACHED = 8  # searches whose rows are kept


def search(call: Call) -> Reply:
    """Answer search/ and search/text/."""
    if "filter" in call.params and not call.params["filter"].strip():
        raise ApiError(400, "Invalid filter.")
    page, size = whole(call.params.get("page"), 1), whole(call.params.get("page_size"), PAGE_SIZE)
    if page < 1 or size < 1:
        raise ApiError(404, "Not found")
    size = min(size, MAX_PAGE_SIZE)
    rows = _rows(call, (page - 1) * size)
    num_pages = -(-len(rows) // size)
    if len(rows) and page > num_pages:
        raise ApiError(404, "Not found")
    shown = rows[(page - 1) * size : page * size]
    return reply.as_json(
        {
            "count": _count(call, len(rows)),
            "previous": _link(call, page - 1, size) if page > 1 and len(rows) else None,
            "next": _link(call, page + 1, size) if page < num_pages else None,
            "results": _results(call, shown),
        }
    )


def whole(text: str | None, otherwise: int) -> int:
    """A parameter that is silently replaced when it is no integer."""
    try:
        return int(text or "")
    except ValueError:
        return otherwise


def _rows(call: Call, offset: int) -> Rows:
    """Rows that match, in order; the filter and the query are unquoted a second time, as the server does."""
    state = call.state
    text, asked = unquote(call.params.get("filter", "")), unquote(call.params.get("query", ""))
    words = query.words(asked) if asked.replace('"', "").strip() else ()
    salt = call.number if state.quirks.shuffle_ties else 0
    grouped = call.params.get("group_by_pack") == "1"
    now = int(call.now) if "NOW" in text else 0
    key = (state.world.version, text, words, _sort(call), salt, grouped, now)
    try:
        clauses = query.parse(text)
        cost = 1 + len(clauses) + len(words)
        if state.quirks.overload_limit and offset * cost > state.quirks.overload_limit:
            raise ApiError(500, OVERLOADED)
        if key not in state.searches:
            mask = match.select(state.world, clauses, words, call.now)
            rows = _ordered(state, mask, _sort(call), salt)
            while len(state.searches) >= _CACHED:
                state.searches.pop(next(iter(state.searches)))
            state.searches[key] = _first_of_packs(state.world, rows) if grouped else rows
    except query.BadFilter as error:
        advice = "(please check that your filter syntax and field names are correct)"
        raise ApiError(400, f"Search server error: {error} {advice}") from error
    return state.searches[key]


def _sort(call: Call) -> str:
    """The `sort` that is in force: one the server knows, or "score"."""
    asked = call.params.get("sort", "")
    name, _, way = asked.rpartition("_")
    return asked if (name in _SORTS and way in ("asc", "desc")) or _targets(asked) else "score"


def _targets(asked: str) -> list[tuple[str, float]]:
    """The targets of sort=duration:2,filesize:1000."""
    targets = []
    for part in asked.split(","):
        name, _, text = part.partition(":")
        if name not in match.NUMBERS or not text.replace(".", "", 1).isdigit():
            return []
        targets.append((name, float(text)))
    return targets


def _ordered(state: State, mask: Column, sort: str, salt: int) -> Rows:
    world = state.world
    if targets := _targets(sort):
        rows = np.flatnonzero(mask)
        return rows[np.lexsort([world.ties(salt)[rows], _distances(world, rows, targets)])]
    key = ("order", world.version, sort, salt)
    if key not in state.orders:
        state.orders.clear()
        state.orders[key] = _order(world, sort, salt)
    order = state.orders[key]
    return order[np.flatnonzero(mask[order])]


def _order(world: World, sort: str, salt: int) -> Rows:
    """All rows in one order; sorted once, since a walk by date asks with another filter each time."""
    if sort == "score":  # without a query all scores are equal
        return np.argsort(world.ties(salt), kind="stable")
    name, _, way = sort.rpartition("_")
    sign = -1 if way == "desc" else 1
    keys = [world.column(column) * sign for column in reversed(_SORTS[name])]
    return np.lexsort((world.ties(salt), *keys))


def _distances(world: World, rows: Rows, targets: list[tuple[str, float]]) -> Column:
    parts = [np.abs(world.column(name)[rows] - value) / (1 + abs(value)) for name, value in targets]
    return np.asarray(np.sum(parts, axis=0))


def _first_of_packs(world: World, rows: Rows) -> Rows:
    packs = world.column("pack_id")[rows]
    _, first = np.unique(packs, return_index=True)
    keep = np.asarray(packs == 0, dtype=bool)
    keep[first] = True
    return rows[np.flatnonzero(keep)]


def _count(call: Call, count: int) -> int:
    drift = call.state.quirks.count_drift
    if not drift:
        return count
    return max(
        0, count + chance.number(call.state.quirks.seed, "count", call.number) % (2 * drift + 1) - drift
    )


def _results(call: Call, rows: Rows) -> list[dict[str, Any] | None]:
    world, quirks = call.state.world, call.state.quirks
    in_db = world.column("in_db")
    sounds = [world.at(int(row)) if in_db[row] else None for row in rows]
    if quirks.null_results:
        lost = [chance.share(quirks.seed, "null", call.number, row) < quirks.null_results for row in rows]
        sounds = [None if gone else sound for gone, sound in zip(lost, sounds, strict=True)]
    objects = call.objects(sounds)
    if targets := _targets(_sort(call)):
        for obj, distance in zip(objects, _distances(world, rows, targets), strict=True):
            if obj is not None:
                obj["distance_to_target"] = float(distance)
    if call.params.get("group_by_pack") == "1":
        for obj, row in zip(objects, rows, strict=True):
            if obj is not None:
                obj |= _same_pack(call, int(row))
    return objects


def _same_pack(call: Call, row: int) -> dict[str, Any]:
    world = call.state.world
    sound = world.at(row)
    num = int(np.sum((world.column("pack_id") == sound.pack_id) & world.column("in_index")))
    if not sound.pack_id or num < 2:
        return {}
    filter_text = f'pack_grouping:"{match.pack_grouping(world, sound)}"'
    link = _link(call, 1, PAGE_SIZE, filter_text=filter_text, grouped="0")
    return {"n_from_same_pack": num, "more_from_same_pack": link}


def _link(call: Call, page: int, size: int, *, filter_text: str = "", grouped: str = "") -> str:
    """A link in the server's own form: fixed order, stray "?&", only what it knows (no token)."""
    params = call.params
    parts = [f"query={_quoted(call, params.get('query', ''))}"]
    if filter_text or params.get("filter"):
        parts.append(f"filter={_quoted(call, filter_text or params['filter'])}")
    if _sort(call) != "score":
        parts.append(f"sort={_sort(call)}")
    parts += [f"weights={_quoted(call, params.get('weights', ''))}", f"page={page}"]
    if size != PAGE_SIZE:
        parts.append(f"page_size={size}")
    if params.get("fields"):
        parts.append(f"fields={_quoted(call, params['fields'])}")
    if grouped or params.get("group_by_pack") == "1":
        parts.append(f"group_by_pack={grouped or '1'}")
    return f"{call.state.origin}/apiv2/search/?&" + "&".join(parts)


def _quoted(call: Call, text: str) -> str:
    """The defect: `+` is thought safe, and comes back as a space."""
    return quote(text, safe=",:[]*()'+" if call.state.quirks.raw_plus_in_next else ",:[]*()'")
