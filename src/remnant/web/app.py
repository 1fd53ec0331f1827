"""The application: pages, API, static files, and what every answer carries."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Final

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.middleware.gzip import GZipMiddleware

import remnant
from remnant.web import ahead, problem
from remnant.web.access.access import Access
from remnant.web.access.forms import genuine
from remnant.web.access.frontier import Frontier
from remnant.web.access.gate import admit, admits
from remnant.web.access.security import with_security
from remnant.web.access.viewer import ANYBODY
from remnant.web.frame import POLICY, static_file
from remnant.web.layers import Changes, Headers
from remnant.web.pages import routers
from remnant.web.results.results import Results
from remnant.web.shelf import Shelf
from remnant.web.site import Site
from remnant.web.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remnant.settings import Settings

__all__ = ["create_app"]

_YEAR_S: Final = 31_536_000
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def operation_name(route: APIRoute) -> str:
    """Return what an operation is called in the API's document: programs rely on it."""
    return route.name.replace(".", "_")


def create_app(settings: Settings, *, guarded: bool = False, beside: bool = True) -> FastAPI:
    """Return the application.

    Args:
        settings: of the home folder.
        guarded: demand accounts; otherwise whoever reaches the server is its operator, so it must
            listen on this machine alone.
        beside: work results out in a process of their own once the server runs; otherwise each
            page waits for what it needs.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        site: Site = app.state.site
        site.live.start(site)
        site.results.on_made = site.live.wake
        if beside:
            site.results.start()
            ahead.start()
        try:
            yield
        finally:
            await site.live.close()
            if (making := getattr(app.state, "making", None)) is not None:
                making.close()
            site.results.close()
            site.snapshots.close()
            app.state.access.close()

    app = FastAPI(
        title="Remnant",
        version=remnant.__version__,
        summary="What is left of a botnet after its takedown.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        generate_unique_id_function=operation_name,
        dependencies=[Depends(admit), Depends(genuine)],
    )
    app.state.secret = secrets.token_bytes(32)
    app.state.access = Access(settings, guarded=guarded)
    snapshots = Snapshots(settings)
    app.state.site = Site(
        settings, Shelf(settings.home), snapshots, Results(settings, snapshots), guarded
    )
    for router in routers():
        app.include_router(router)

    @app.get("/", include_in_schema=False)
    @admits(ANYBODY)
    def start() -> Response:
        return RedirectResponse("/cases")

    @app.get("/static/{digest}/{name}", include_in_schema=False)
    @admits(ANYBODY)
    async def static(digest: str, name: str, request: Request) -> Response:
        del digest  # only tells one state of the file from another
        kind = _TYPES.get(f".{name.rpartition('.')[2]}")
        if kind is None or (file := static_file(name)) is None:
            raise HTTPException(404, "there is no such file")
        plain, packed = file
        headers = {
            "cache-control": f"public, max-age={_YEAR_S}, immutable",
            "vary": "Accept-Encoding",
        }
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(plain, media_type=kind, headers=headers)
        headers["content-encoding"] = "gzip"
        return Response(packed, media_type=kind, headers=headers)

    @app.get("/openapi.json", include_in_schema=False)
    @admits(ANYBODY)
    def openapi() -> JSONResponse:
        return JSONResponse(with_security(app, app.openapi()))

    problem.install(app, _HEADERS)
    app.add_middleware(Frontier, settings=settings.web, guarded=guarded)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)

    app.add_middleware(Headers, always=_HEADERS)
    app.add_middleware(Changes, answers=app.state.site.answers)
    return app
