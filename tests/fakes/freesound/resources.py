"""Sounds, users, packs and the caller's own account, one function per route."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np

from tests.fakes.freesound import dates, descriptors, match, reply
from tests.fakes.freesound.chance import mix
from tests.fakes.freesound.objects import FIELDS, pack_object, user_object
from tests.fakes.freesound.reply import ApiError, Reply
from tests.fakes.freesound.search import MAX_PAGE_SIZE, PAGE_SIZE, whole
from tests.fakes.freesound.state import Call
from tests.fakes.freesound.stock import Column
from tests.fakes.freesound.things import Pack, Sound, User


def sound(call: Call) -> Reply:
    """sounds/ID/: every field but the descriptors, unless `fields` says otherwise."""
    found = _sound(call, "No Sound matches the given query.")
    return reply.as_json(call.objects([found], ",".join(FIELDS), is_detail=True)[0])


def analysis(call: Call) -> Reply:
    """sounds/ID/analysis/: the descriptors, flat."""
    found = _sound(call, "Not found")
    if found.category_code is None:
        raise ApiError(404, "Not found")
    return reply.as_json({name: descriptors.value(found, name) for name in descriptors.NAMES})


def similar(call: Call) -> Reply:
    """sounds/ID/similar/: others with one of its tags, nearest first, with their distance."""
    found, world = _sound(call, "Not found"), call.state.world
    mask = match.select(world, (), (), call.now)
    rows = [int(row) for row in np.flatnonzero(mask)[:2000] if set(world.at(int(row)).tags) & set(found.tags)]
    sounds = [each for each in map(world.at, rows) if each.id != found.id]
    sounds.sort(key=lambda each: _distance(found, each))

    def near(part: Sequence[Sound]) -> list[Any]:
        objects = call.objects(list(part))
        return [
            {**(o or {}), "distance_to_target": _distance(found, s)}
            for o, s in zip(objects, part, strict=True)
        ]

    return _page(call, sounds, near)


def comments(call: Call) -> Reply:
    """sounds/ID/comments/."""
    found, world = _sound(call, "Not found"), call.state.world
    writers = list(world.users())

    def shown(part: Sequence[int]) -> list[Any]:
        return [
            {
                "username": writers[mix(found.id, number) % len(writers)].name,
                "comment": f"Nice sound, number {number}!",
                "created": dates.shown(found.created_ms + 86_400_000 * (number + 1)) + "Z",
            }
            for number in part
        ]

    return _page(call, range(found.num_comments), shown)


def user(call: Call) -> Reply:
    """users/NAME/."""
    found = _user(call)
    return reply.as_json(user_object(call.view(), found, _num_sounds(call, found), len(_packs(call, found))))


def user_sounds(call: Call) -> Reply:
    """users/NAME/sounds/, newest first."""
    return _sounds_page(call, call.state.world.column("user_id") == _user(call).id)


def user_packs(call: Call) -> Reply:
    """users/NAME/packs/."""
    packs = _packs(call, _user(call))
    return _page(call, packs, lambda part: [_pack_object(call, each) for each in part])


def pack(call: Call) -> Reply:
    """packs/ID/."""
    return reply.as_json(_pack_object(call, find_pack(call)))


def pack_sounds(call: Call) -> Reply:
    """packs/ID/sounds/."""
    return _sounds_page(call, call.state.world.column("pack_id") == find_pack(call).id)


def me(call: Call) -> Reply:
    """me/: the owner of the bearer token."""
    found = call.state.world.ensure_user(call.user)
    obj = user_object(call.view(), found, _num_sounds(call, found), len(_packs(call, found)))
    more = {
        "email": f"user{found.id}@example.org",
        "unique_id": found.id,
        "bookmark_categories": f"{call.state.origin}/apiv2/me/bookmark_categories/",
    }
    return reply.as_json(obj | more)


def bookmark_categories(call: Call) -> Reply:
    """me/bookmark_categories/."""
    mine = list(_bookmarks(call).items())
    base = f"{call.state.origin}/apiv2/me/bookmark_categories"

    def shown(part: Sequence[int]) -> list[Any]:
        return [
            {
                "id": number + 1,
                "url": f"https://freesound.org/home/bookmarks/category/{number + 1}/",
                "name": mine[number][0],
                "num_sounds": len(mine[number][1]),
                "sounds": f"{base}/{number + 1}/sounds/",
            }
            for number in part
        ]

    return _page(call, range(len(mine)), shown)


def bookmark_sounds(call: Call) -> Reply:
    """me/bookmark_categories/ID/sounds/."""
    categories = list(_bookmarks(call).values())
    number = int(call.groups[0])
    if not 1 <= number <= len(categories):
        raise ApiError(404, "Not found")
    return _sounds_page(call, np.isin(call.state.world.column("id"), categories[number - 1]))


def find_pack(call: Call) -> Pack:
    """The pack in the path."""
    found = call.state.world.pack(int(call.groups[0]))
    if found is None:
        raise ApiError(404, "Not found")
    return found


def pack_rows(call: Call, found: Pack) -> list[Sound]:
    """The sounds of a pack that still exist."""
    world = call.state.world
    rows = np.flatnonzero((world.column("pack_id") == found.id) & world.column("in_db"))
    return [world.at(int(row)) for row in rows]


def _sound(call: Call, otherwise: str) -> Sound:
    found = call.state.world.sound(int(call.groups[0]))
    if found is None:
        raise ApiError(404, otherwise)
    return found


def _user(call: Call) -> User:
    found = call.state.world.user_named(call.groups[0])
    if found is None:
        raise ApiError(404, "Not found")
    return found


def _num_sounds(call: Call, found: User) -> int:
    world = call.state.world
    return int(np.sum((world.column("user_id") == found.id) & world.column("in_db")))


def _packs(call: Call, found: User) -> list[Pack]:
    world = call.state.world
    mine = (world.column("user_id") == found.id) & world.column("in_db")
    ids = {int(each) for each in np.unique(world.column("pack_id")[mine]) if each}
    ids |= {each.id for each in world.packs.values() if each.user_id == found.id}
    return [each for each in map(world.pack, sorted(ids)) if each is not None]


def _pack_object(call: Call, found: Pack) -> dict[str, Any]:
    return pack_object(call.view(), found, len(pack_rows(call, found)))


def _bookmarks(call: Call) -> dict[str, list[int]]:
    return call.state.world.bookmarks.get(call.state.world.ensure_user(call.user).id, {})


def _sounds_page(call: Call, mask: Column) -> Reply:
    world = call.state.world
    rows = np.flatnonzero(mask & world.column("in_db"))
    rows = rows[np.argsort(-world.column("created_ms")[rows], kind="stable")]
    return _page(call, rows, lambda part: call.objects([world.at(int(row)) for row in part]))


def _page(call: Call, items: Any, shown: Callable[[Any], list[Any]]) -> Reply:
    """A page of a list endpoint: other errors and other links than search's."""
    text = call.params.get("page", "1")
    size = whole(call.params.get("page_size"), PAGE_SIZE)
    size = PAGE_SIZE if size < 1 else min(size, MAX_PAGE_SIZE)
    num_pages = max(1, -(-len(items) // size))
    page = num_pages if text == "last" else whole(text, 0)
    if not 1 <= page <= num_pages:
        raise ApiError(404, "Invalid page.")
    return reply.as_json(
        {
            "count": len(items),
            "next": _link(call, page + 1) if page < num_pages else None,
            "previous": _link(call, page - 1) if page > 1 else None,
            "results": shown(items[(page - 1) * size : page * size]),
        }
    )


def _link(call: Call, page: int) -> str:
    """The request's own URL with another page: names sorted, properly quoted, token and all."""
    params = dict(parse_qsl(call.raw_query, keep_blank_values=True))
    params.pop("page", None)
    if page > 1:
        params["page"] = str(page)
    query = urlencode(sorted(params.items()))
    return f"{call.origin}{call.path}" + (f"?{query}" if query else "")


def _distance(one: Sound, other: Sound) -> float:
    return round(mix(one.id ^ other.id) / 2**64, 4) if one.id != other.id else 0.0
