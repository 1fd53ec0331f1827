"""From an answer to HTML: the frame of every page, and the words and figures in it.

Jinja with autoescape; whatever a stranger can write also passes ``legible``, which shows control
and bidirectional characters as escapes. Scripts and styles are files of our own, so the policy
needs no exception for inline ones.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

import remnant
from remnant.report import wording
from remnant.report.palette import DARK, LIGHT, css
from remnant.report.sparkline import sparkline
from remnant.web.access.forms import csrf, csrf_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from remnant.web.problem import Problem
    from remnant.web.site import Asked

__all__ = ["POLICY", "STATIC", "asset", "render", "render_problem", "stylesheet", "to_html"]

STATIC: Final = Path(__file__).parent / "static"
POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""What a page may do."""


def render(asked: Asked, template: str, title: str, answer: BaseModel) -> Response:
    """Return a page: its template gets the answer's fields, ``asked`` and ``title``."""
    return HTMLResponse(to_html(asked, template, title, answer))


def to_html(asked: Asked, template: str, title: str, answer: BaseModel) -> str:
    """Return the text of a page."""
    fields = {name: getattr(answer, name) for name in type(answer).model_fields}
    return (
        environment()
        .get_template(f"{template}.html.j2")
        .render(asked=asked, viewer=asked.viewer, request=asked.request, title=title, **fields)
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
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("remnant.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "text": wording.legible,
        "num": wording.number,
        "share": wording.percent,
        "day": wording.day,
        "date": lambda time: f"{time:%Y-%m-%d}",
        "moment": wording.moment,
        "unit": wording.unit_word,
        "country": wording.country_name,
        "seen_by": lambda vantage: wording.VANTAGE_WORDS.get(vantage, (vantage, ""))[0],
        "part": lambda text: quote(str(text), safe=""),
    }
    env.globals |= {
        "asset": asset,
        "csrf": csrf,
        "csrf_value": csrf_value,
        "sparkline": sparkline,
        "version": remnant.__version__,
        "with_query": with_query,
    }
    return env


def with_query(request: Request, **changed: object) -> str:
    """Return the address of this page with some of its parameters changed; ``None`` drops one."""
    given = dict(request.query_params.multi_items())
    given |= {key: str(value) for key, value in changed.items() if value is not None}
    for key, value in changed.items():
        if value is None:
            given.pop(key, None)
    return f"{request.url.path}?{urlencode(given)}" if given else request.url.path


@cache
def stylesheet() -> bytes:
    """Return the style of all pages, with the colours of the reports."""
    text = (STATIC / "style.css").read_text(encoding="utf-8")
    head = (
        f":root{{color-scheme:light dark;{css(LIGHT)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{css(DARK)}}}}}\n"
    )
    return (head + text).encode()


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
