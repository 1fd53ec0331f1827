"""How each quantity and figure is computed, as short pages: read from ``methods.toml`` once."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

__all__ = ["Method", "find", "methods"]

_FILE: Final = Path(__file__).with_name("methods.toml")


class Method(BaseModel):
    """How one quantity or figure is computed.

    ``population`` says who counts, ``assumes`` what must hold, ``wrong`` when it is wrong or
    refuses, ``sources`` the papers and standards, ``also`` other topics, ``aka`` other names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    title: str
    what: str
    unit: str
    population: str
    how: tuple[str, ...]
    sources: tuple[str, ...]
    assumes: tuple[str, ...]
    wrong: tuple[str, ...]
    formula: str = ""
    also: tuple[str, ...] = ()
    aka: tuple[str, ...] = ()


@cache
def methods() -> dict[str, Method]:
    """Return all methods by topic, in the order of the file."""
    found = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {topic: Method(topic=topic, **fields) for topic, fields in found.items()}


def find(name: str) -> Method | None:
    """Return the method of a topic, or of another name of it."""
    every = methods()
    return every.get(name) or next((m for m in every.values() if name in m.aka), None)
