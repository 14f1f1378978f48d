"""The page's server: Gradio, the sounds, their pictures and the report, all from here; nothing is fetched
from elsewhere, and the browser is told not to.
"""

from __future__ import annotations

import functools
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from sao_model.preset import Config as Shape
from sao_model.ui import address, cards, history, page
from sao_model.ui.heard import Heard
from sao_model.ui.maker import Maker

_POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' data: blob:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)  # Gradio needs the unsafe ones
_SECONDS_TO_CLOSE = 2


def serve(shape: Shape, maker: Maker, heard: Heard, listening: socket.socket, report: Path | None) -> None:
    """Answer until a signal comes; then end what is being made, and let the signal do what it does."""
    app = application(shape, maker, heard, report, only_loopback=address.is_loopback(listening))
    settings = uvicorn.Config(
        app, log_level="critical", lifespan="on", timeout_graceful_shutdown=_SECONDS_TO_CLOSE
    )
    server = _Server(settings, address.url(listening))
    try:
        server.run(sockets=[listening])
    finally:
        maker.close()


def application(
    shape: Shape, maker: Maker, heard: Heard, report: Path | None, *, only_loopback: bool
) -> Callable[..., Any]:
    """Everything under one address."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_route(cards.PICTURES + "/{name:path}", functools.partial(_picture, maker.out))
    app.mount(cards.SOUNDS, StaticFiles(directory=maker.out))
    if report is not None:
        app.mount(cards.REPORT, StaticFiles(directory=report, html=True))
    blocks = page.build(shape, maker, heard)
    blocks.queue(default_concurrency_limit=None, api_open=False)
    gr.mount_gradio_app(
        app, blocks, path="/", allowed_paths=[str(maker.out / history.ORIGINALS)], show_error=True,
        ssr_mode=False, pwa=False, mcp_server=False, footer_links=[], theme=page.theme(), css=page.CSS,
        head=page.HEAD,
    )  # fmt: skip
    closed = _with_policy(app)
    # A page elsewhere whose name is made to lead here (DNS rebinding) comes with its own name.
    return (
        TrustedHostMiddleware(closed, allowed_hosts=[*address.LOOPBACK, "[::1]"]) if only_loopback else closed
    )


class _Server(uvicorn.Server):  # type: ignore[misc]  # untyped where the extra is not installed
    """Says its address once it answers."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(f"{self._url}\n")
        sys.stdout.flush()


def _picture(out: Path, request: Request) -> Response:
    """NAME.svg or NAME.png of the sound NAME."""
    name, _, kind = str(request.path_params["name"]).rpartition(".")
    path = history.sound(out, name)
    if path is None or kind not in ("svg", "png"):
        return Response(status_code=404)
    data = _drawn(path, path.stat().st_mtime_ns, kind)
    media = {"svg": "image/svg+xml", "png": "image/png"}[kind]
    return Response(data, media_type=media, headers={"Cache-Control": "max-age=86400"})


@functools.lru_cache(maxsize=256)
def _drawn(path: Path, _written: int, kind: str) -> bytes:
    return cards.waveform(path) if kind == "svg" else cards.mel(path)


def _with_policy(app: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with the policy on every answer."""

    async def answered(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [
                    (b"content-security-policy", _POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"same-origin"),
                ]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await app(scope, receive, sent)

    return answered
