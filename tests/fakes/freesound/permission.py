"""The OAuth2 endpoints, the page that shows the code, and what is left of APIv1."""

from __future__ import annotations

import html

from tests.fakes.freesound import reply
from tests.fakes.freesound.oauth import BadGrant
from tests.fakes.freesound.reply import Reply
from tests.fakes.freesound.state import Call


def authorize(call: Call) -> Reply:
    """The user is logged in and answers at once, as `credentials.decision` says."""
    params, credentials = call.params, call.state.credentials
    place = credentials.authorize(
        params.get("client_id", ""), params.get("response_type", ""), params.get("state")
    )
    if place is None:
        return reply.html(
            400, "Error: invalid_request", "Invalid client_id or response_type parameter value."
        )
    return reply.redirect(call.state.origin + place if place.startswith("/") else place)


def granted(call: Call) -> Reply:
    """The out-of-band page, from which the user copies the code."""
    if "error" in call.params:
        return reply.html(200, "Permission denied", html.escape(call.params["error"]))
    code = html.escape(call.params.get("code", ""))
    return reply.html(200, "Permission granted", f'Your code: <span id="code">{code}</span>')


def access_token(call: Call) -> Reply:
    """Codes and refresh tokens for tokens; errors are OAuth2's, not the API's."""
    try:
        token = call.state.credentials.exchange(call.form())
    except BadGrant as error:
        return reply.as_json({"error": error.code}, error.status)
    return reply.as_json(token.as_json(), headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def apiv1(call: Call) -> Reply:
    """Gone for good."""
    return reply.as_json({"explanation": "APIv1 has reached its end of life. Please, use APIv2."}, 410)
