"""From an answer to HTML: the frame of every page, and the words and figures in it.

Jinja with autoescape; whatever a stranger can write also passes ``legible``, which shows control
and bidirectional characters as escapes. Scripts and styles are files of our own, so the policy
needs no exception for inline ones.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

import remnant
from remnant.report import frame, wording
from remnant.report.facts import Pulse
from remnant.report.sparkline import sparkline
from remnant.web.access.forms import csrf, csrf_value
from remnant.web.name_path import name_part
from remnant.web.places import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from remnant.web.problem import Problem
    from remnant.web.site import Asked

__all__ = [
    "POLICY",
    "STATIC",
    "asset",
    "render",
    "render_problem",
    "static_file",
    "stylesheet",
    "to_html",
]

STATIC: Final = Path(__file__).parent / "static"
POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""What a page may do."""

_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T\d\d:\d\d:\d\d(?:\.\d+)?Z")


def render(asked: Asked, template: str, title: str, answer: BaseModel) -> Response:
    """Return a page: its template gets the answer's fields, ``asked`` and ``title``."""
    return HTMLResponse(to_html(asked, template, title, answer))


def to_html(
    asked: Asked, template: str, title: str, answer: BaseModel, *, is_live: bool = False
) -> str:
    """Return the text of a page; one that ``is_live`` keeps itself as new as the data."""
    fields = {name: getattr(answer, name) for name in type(answer).model_fields}
    return (
        environment()
        .get_template(f"{template}.html.j2")
        .render(
            asked=asked,
            viewer=asked.viewer,
            request=asked.request,
            title=title,
            is_live=is_live,
            **fields,
        )
    )


def render_problem(
    request: Request, problem: Problem, headers: Mapping[str, str] | None
) -> Response:
    """Return the page of an error; it needs nothing but the request."""
    text = (
        environment()
        .get_template("problem.html.j2")
        .render(request=request, viewer=getattr(request.state, "viewer", None), problem=problem)
    )
    return HTMLResponse(text, status_code=problem.status, headers=dict(headers or {}))


@cache
def environment() -> jinja2.Environment:
    """Return the templates, with the words of reports."""
    env = frame.environment("remnant.web")
    env.filters |= {
        "text_lines": lambda text: "\n".join(map(wording.legible, text.splitlines())),
        "last_day": lambda end: wording.day(end - timedelta(microseconds=1) if end else None),
        "amount": wording.amount,
        "half_life": words.half_life,
        "rank": words.rank,
        "change": words.change,
        "clean_up": words.clean_up,
        "pick": words.pick,
        "short": words.short,
        "seen_by_option": lambda vantage: (
            vantage,
            wording.VANTAGE_WORDS.get(vantage, (vantage, ""))[0],
        ),
        "part": lambda text: quote(str(text), safe=""),
        "name_part": name_part,
        "dated": lambda text: _TIME.sub(r"\1", str(text)),
    }
    env.globals |= {
        "asset": asset,
        "csrf": csrf,
        "csrf_value": csrf_value,
        "small_curve": lambda values: sparkline(Pulse(values=tuple(values))),
        "version": remnant.__version__,
        "vega_version": version("vl-convert-python"),
        "with_query": with_query,
    }
    return env


def with_query(request: Request, **changed: object) -> str:
    """Return the address of this page with some of its parameters changed; ``None`` drops one."""
    given = [pair for pair in request.query_params.multi_items() if pair[0] not in changed]
    given += [(key, str(value)) for key, value in changed.items() if value is not None]
    return f"{request.url.path}?{urlencode(given)}" if given else request.url.path


@cache
def stylesheet() -> bytes:
    """Return the style of all pages: that of reports, and what is added to it here."""
    return (frame.style() + "\n" + (STATIC / "style.css").read_text(encoding="utf-8")).encode()


def static_file(name: str) -> tuple[bytes, bytes] | None:
    """Return a static file as it is and as gzip packs it; null: there is none of that name.

    A page of the map asks for two dozen of them: each is read and packed once.
    """
    return _files().get(name)


@cache
def _files() -> dict[str, tuple[bytes, bytes]]:
    found = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.is_file()}
    found["style.css"] = stylesheet()
    return {name: (data, gzip.compress(data, 9, mtime=0)) for name, data in found.items()}


@cache
def asset(name: str) -> str:
    """Return the address of a static file; it changes with the content, so it may be kept.

    It changes with that of any of them: a script asks for its modules beside itself.
    """
    if not (STATIC / name).is_file():
        raise FileNotFoundError(name)
    return f"/static/{_digest()}/{name}"


@cache
def _digest() -> str:
    whole = hashlib.sha256(stylesheet())
    for path in sorted(STATIC.iterdir()):
        whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()[:12]


def safe(svg: str) -> Markup:
    """Mark an SVG of our own making as safe to stand in a page."""
    return Markup(svg)  # noqa: S704 - made by Vega or by us, text escaped there
