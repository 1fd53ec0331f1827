"""The application: pages, API, static files, and what every answer carries."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.middleware.gzip import GZipMiddleware

import remnant
from remnant.cases.library import Library
from remnant.web import problem
from remnant.web.access.gate import admit, admits
from remnant.web.access.viewer import EVERYONE
from remnant.web.frame import POLICY, STATIC, stylesheet
from remnant.web.pages import routers
from remnant.web.results.results import Results
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
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def create_app(settings: Settings, *, guarded: bool = False) -> FastAPI:
    """Return the application.

    Args:
        settings: of the home folder.
        guarded: demand accounts; otherwise whoever reaches the server is its operator, so it must
            listen on this machine alone.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.site.snapshots.close()

    app = FastAPI(
        title="Remnant",
        version=remnant.__version__,
        summary="What is left of a botnet after its takedown.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=lifespan,
        dependencies=[Depends(admit)],
    )
    snapshots = Snapshots(settings)
    app.state.site = Site(
        settings, Library(settings.home), snapshots, Results(settings, snapshots), guarded
    )
    for router in routers():
        app.include_router(router)

    @app.get("/", include_in_schema=False)
    @admits(EVERYONE)
    def start() -> Response:
        return RedirectResponse("/cases")

    @app.get("/static/{digest}/{name}", include_in_schema=False)
    @admits(EVERYONE)
    def static(digest: str, name: str) -> Response:
        del digest  # only tells one state of the file from another
        kind = _TYPES.get(f".{name.rpartition('.')[2]}")
        known = {path.name: path for path in STATIC.iterdir()}
        if kind is None or name not in known:
            raise HTTPException(404, "there is no such file")
        data = stylesheet() if name == "style.css" else known[name].read_bytes()
        kept = {"cache-control": f"public, max-age={_YEAR_S}, immutable"}
        return Response(data, media_type=kind, headers=kept)

    problem.install(app)
    app.add_middleware(GZipMiddleware, minimum_size=1000)

    @app.middleware("http")
    async def carry(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("cache-control", "no-store")
        return response

    return app
