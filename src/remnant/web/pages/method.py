"""How is this computed: a short page for each quantity and figure."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel

from remnant.web.access.viewer import EVERYONE
from remnant.web.methods import Method, find, methods
from remnant.web.page import page
from remnant.web.site import AskedBy

__all__ = ["router"]

router = APIRouter(tags=["methods"])

Topic = Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,48}$")]


class Methods(BaseModel):
    """Everything that is computed, with how."""

    methods: list[Method]


class MethodPage(BaseModel):
    """How one quantity or figure is computed, and titles of what is near to it."""

    method: Method
    also: dict[str, str]


@page(router, "/method", title="How it is computed", roles=EVERYONE, template="methods", kept=False)
def all_methods(asked: AskedBy) -> Methods:
    """Every quantity and figure, with how it is computed."""
    del asked
    return Methods(methods=list(methods().values()))


@page(router, "/method/{topic}", title="How is this computed?", roles=EVERYONE, kept=False)
def method(asked: AskedBy, topic: Topic) -> MethodPage:
    """How one quantity or figure is computed: unit, population, method, source, assumptions."""
    del asked
    found = find(topic)
    if found is None:
        raise HTTPException(404, "there is no such quantity")
    return MethodPage(method=found, also={name: methods()[name].title for name in found.also})
