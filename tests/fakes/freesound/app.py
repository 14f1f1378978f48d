"""From a request to a reply: record, timeline, faults, routing, authentication, throttling, in that order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from tests.fakes.freesound import faults, media, permission, reply, resources, search
from tests.fakes.freesound.record import Request, fingerprint
from tests.fakes.freesound.reply import ApiError, Reply
from tests.fakes.freesound.state import Call, State

_REALM = 'Bearer realm="api"'
_NO_CREDENTIALS = "Authentication credentials were not provided."


@dataclass(frozen=True, slots=True)
class Route:
    """Paths (of the decoded URL), who may come, and the function that answers."""

    endpoint: str
    pattern: str
    view: Callable[[Call], Reply]
    access: str = "key"  # "key": API key or OAuth2; "oauth2": OAuth2 over https; "open": anyone
    methods: tuple[str, ...] = ("GET", "HEAD")


API_ROUTES = (
    Route("search", r"/apiv2/search/(?:text/)?", search.search),
    Route("sound", r"/apiv2/sounds/(\d+)/", resources.sound),
    Route("analysis", r"/apiv2/sounds/(\d+)/analysis/", resources.analysis),
    Route("similar", r"/apiv2/sounds/(\d+)/similar/", resources.similar),
    Route("comments", r"/apiv2/sounds/(\d+)/comments/", resources.comments),
    Route("download", r"/apiv2/sounds/(\d+)/download/", media.download, "oauth2"),
    Route("user", r"/apiv2/users/([^/]+)/", resources.user),
    Route("user_sounds", r"/apiv2/users/([^/]+)/sounds/", resources.user_sounds),
    Route("user_packs", r"/apiv2/users/([^/]+)/packs/", resources.user_packs),
    Route("pack", r"/apiv2/packs/(\d+)/", resources.pack),
    Route("pack_sounds", r"/apiv2/packs/(\d+)/sounds/", resources.pack_sounds),
    Route("pack_download", r"/apiv2/packs/(\d+)/download/", media.download_pack, "oauth2"),
    Route("me", r"/apiv2/me/", resources.me, "oauth2"),
    Route("bookmarks", r"/apiv2/me/bookmark_categories/", resources.bookmark_categories, "oauth2"),
    Route(
        "bookmark_sounds", r"/apiv2/me/bookmark_categories/(\d+)/sounds/", resources.bookmark_sounds, "oauth2"
    ),
    Route("authorize", r"/apiv2/oauth2/(?:logout_and_)?authorize/", permission.authorize, "open"),
    Route("access_token", r"/apiv2/oauth2/access_token/", permission.access_token, "open", ("POST",)),
    Route("permission_granted", r"/home/app_permissions/permission_granted/", permission.granted, "open"),
    Route("apiv1", r"/api/.*", permission.apiv1, "open"),
)
CDN_ROUTES = (
    Route("preview", r"/previews/(\d+)/(\d+)_(\d+)-(hq|lq)\.(mp3|ogg)", media.preview, "open"),
    Route("cdn_original", r"/sounds/(\d+)/(\d+)\.(\w+)", media.cdn_original, "open"),
)


def _add_slash(call: Call) -> Reply:
    return reply.redirect(quote(call.path) + "/" + ("?" + call.raw_query if call.raw_query else ""), 301)


_ANY = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_UNKNOWN = Route("unknown", "", lambda call: reply.html(404, "Not Found", "Page not found"), "open", _ANY)
_SLASH = Route("redirect", "", _add_slash, "open", _ANY)


def handle(state: State, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Answer one request; ConnectionResetError means that the connection breaks without an answer."""
    parts = urlsplit(url)
    is_cdn = parts.netloc != "" and f"{parts.scheme}://{parts.netloc}" == state.cdn
    route, groups = _route(unquote(parts.path, errors="replace"), is_cdn)
    call = _call(state, method, parts, headers, body, route, groups)
    entry = _entry(call, "cdn" if is_cdn else "api")
    call.number = state.record.arrive(entry)
    state.timeline.run(route.endpoint, call.number, call.now)
    call.rule = state.faults.pick(route.endpoint, call.number, call.path, call.resource)
    entry.fault = call.rule.kind if call.rule else ""
    answer = None
    try:
        answer = _answer(call, route)
    finally:
        state.record.answered(entry, answer.status if answer else 0)
    return answer


def _route(path: str, is_cdn: bool) -> tuple[Route, tuple[str, ...]]:
    routes = CDN_ROUTES if is_cdn else API_ROUTES
    for route in routes:
        if match := re.fullmatch(route.pattern, path, re.DOTALL):
            return route, match.groups()
    misses_slash = any(re.fullmatch(route.pattern, path + "/", re.DOTALL) for route in routes)
    return (_SLASH if misses_slash else _UNKNOWN), ()


def _call(
    state: State,
    method: str,
    parts: SplitResult,
    headers: Mapping[str, str],
    body: bytes,
    route: Route,
    groups: tuple[str, ...],
) -> Call:
    lower = {name.lower(): value for name, value in headers.items()}
    return Call(
        state=state,
        method=method.upper(),
        path=unquote(parts.path, errors="replace"),
        raw_query=parts.query,
        params=dict(parse_qsl(parts.query, keep_blank_values=True, errors="replace")),
        headers=lower,
        body=body,
        is_secure="https" in (parts.scheme, lower.get("x-forwarded-proto")),
        endpoint=route.endpoint,
        number=0,
        groups=groups,
        now=state.clock(),
    )


def _entry(call: Call, host: str) -> Request:
    header, key = call.headers.get("authorization", ""), call.params.get("token", "")
    kinds = {"token": "token", "bearer": "bearer", "": "query token" if key else ""}
    return Request(
        number=0,
        time=call.now,
        method=call.method,
        path=call.path,
        query=call.params | ({"token": "***"} if key else {}),
        raw_query=re.sub(r"(^|&)token=[^&]*", r"\1token=***", call.raw_query),
        host=host,
        endpoint=call.endpoint,
        auth=kinds.get(header.partition(" ")[0].lower(), "other"),
        fingerprint=fingerprint(header.partition(" ")[2] or key),
        user_agent=call.headers.get("user-agent", ""),
        range=call.headers.get("range", ""),
        thing=call.groups[1 if host == "cdn" else 0] if call.groups else "",
    )


def _answer(call: Call, route: Route) -> Reply:
    rule, state = call.rule, call.state
    if rule is not None and rule.kind in faults.FRONT:
        return faults.in_front(rule, state.sleep)
    try:
        answer = _api(call, route)
    except ApiError as error:
        answer = reply.as_json({"detail": error.detail}, error.status, error.headers)
    if rule is not None and rule.kind in faults.BODY:
        answer = faults.in_body(rule, answer, call.resource, state.sleep)
    return answer._replace(body=b"") if call.method == "HEAD" else answer


def _api(call: Call, route: Route) -> Reply:
    if route.access != "open":
        _authenticate(call, key_is_enough=route.access == "key")
        _throttle(call)
        if route.access == "oauth2" and call.state.require_https and not call.is_secure:
            raise ApiError(403, "This resource requires a secure connection (https)")
    if call.rule is not None and call.rule.kind in faults.API and call.rule.kind != "expired_bearer":
        return faults.in_api(call.rule, call.client.level if call.client else 1)
    if call.method not in route.methods:
        raise ApiError(
            405, f'Method "{call.method}" not allowed.', {"Allow": ", ".join((*route.methods, "OPTIONS"))}
        )
    with call.state.world.lock:
        return route.view(call)


def _authenticate(call: Call, *, key_is_enough: bool) -> None:
    """Header first; the query's token counts only where there is no Authorization header at all."""
    header = call.headers.get("authorization", "").split()
    keyword = header[0].lower() if header else ""
    if keyword == "bearer" and len(header) == 2:
        _bearer(call, header[1])
    elif keyword == "token" and key_is_enough:
        if len(header) == 1:
            raise _unauthorized("Invalid token header. No credentials provided.")
        if len(header) > 2:
            raise _unauthorized("Invalid token header. Token string should not contain spaces.")
        _key(call, header[1])
    elif not header and call.params.get("token") and key_is_enough:
        _key(call, call.params["token"])
    else:
        raise _unauthorized(_NO_CREDENTIALS)
    assert call.client is not None
    if not call.client.owner_is_active:
        raise _unauthorized("User inactive or deleted")
    if call.client.status != "OK":
        raise _unauthorized("Suspended token or token pending for approval")


def _bearer(call: Call, access: str) -> None:
    credentials = call.state.credentials
    if call.rule is not None and call.rule.kind == "expired_bearer":
        credentials.expire(access)
    token, why = credentials.bearer(access)
    if token is None:
        cause = f'{_REALM},error="invalid_token",error_description="{why}"'
        raise ApiError(401, _NO_CREDENTIALS, {"WWW-Authenticate": cause})
    call.client, call.user = credentials.client(token.client_id), token.user


def _key(call: Call, key: str) -> None:
    call.client = call.state.credentials.by_key(key)
    if call.client is None:
        raise _unauthorized("Invalid token")


def _throttle(call: Call) -> None:
    assert call.client is not None
    why = call.state.throttle.refusal(call.client.client_id, call.client.level, call.now)
    if why is not None:
        raise ApiError(429, why)


def _unauthorized(detail: str) -> ApiError:
    return ApiError(401, detail, {"WWW-Authenticate": _REALM})
