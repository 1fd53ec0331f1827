"""The stream that open pages listen to."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from remnant.web.access.gate import admits, still_admitted
from remnant.web.access.limits import network_of
from remnant.web.access.viewer import EVERYONE
from remnant.web.live import Full
from remnant.web.problem import RESPONSES
from remnant.web.site import AskedBy

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["router"]

router = APIRouter(tags=["live"])

_MOST_CASES: Final = 32


class Listening(BaseModel):
    """What to hear of."""

    model_config = ConfigDict(extra="forbid")

    case: Annotated[
        list[Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9-]*$")]],
        Field(min_length=1, max_length=_MOST_CASES),
    ] = [""]


class _Stream(StreamingResponse):
    """A stream that ends as soon as the browser has gone, also when there is nothing to send."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send until either side ends it."""
        async with anyio.create_task_group() as both:

            async def until_gone() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                both.cancel_scope.cancel()

            both.start_soon(until_gone)
            with contextlib.suppress(OSError):  # the browser has gone
                await self.stream_response(send)
            both.cancel_scope.cancel()


@router.get(
    "/live",
    name="live",
    summary="What is new, as server-sent events",
    response_class=StreamingResponse,
    responses=RESPONSES | {200: {"content": {"text/event-stream": {}}}},
)
@admits(EVERYONE, by_itself=True)
async def live(asked: AskedBy, listening: Annotated[Listening, Query()]) -> Any:
    """Tell what changes of cases; an empty name stands for all of them.

    Event ``changed`` has the case, its state (a short text), the time of its newest message and
    when something was last stored; ``gone``: the case was deleted; ``ended``: sign in again. The
    first events tell how it is now, unless ``Last-Event-ID`` says that this is known.
    """
    site, request, viewer = asked.site, asked.request, asked.viewer
    cases = set(listening.case)
    for case in cases - {""}:
        if site.library.origin(case) is None:
            raise HTTPException(404, "there is no such case")
    client = request.client.host if request.client is not None else ""
    try:
        who = viewer.name if viewer.is_known else network_of(client)
        stream = site.live.join(who, cases, is_known=viewer.is_known)
    except Full:
        raise HTTPException(
            429, "too many pages listen at once; this one shows what was when it was opened"
        ) from None
    events = site.live.events(
        stream,
        seen=request.headers.get("last-event-id", "")[:64] or None,
        internal=viewer.is_internal,
        is_admitted=lambda: still_admitted(request),
    )
    return _Stream(
        events,
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )
