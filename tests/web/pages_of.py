"""Which pages an application has, found from its routes."""

from __future__ import annotations

import html
import re
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from web.hostile import CASE, QUIET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

VALUES: Final[dict[str, tuple[str, ...]]] = {
    "case": (CASE, QUIET),
    "code": ("DE", "unknown"),
    "asn": ("64500",),
    "prefix": ("198.51.100.0/24",),
}
"""What stands for a parameter in the path of a page."""

MORE: Final = ("/cases/there-is-none", "/search?q=%3Cscript%3Ealert(13)%3C/script%3E")
"""Pages that no route names."""

_FILE: Final = re.compile(r"\.(json|csv|svg|png|pdf|zip|toml|txt|html|js)(\?|$)")
_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_PARAMETER_ANY: Final = re.compile(r"\{(\w+)(:\w+)?\}")
_HREF: Final = re.compile(r'<a\b[^>]*?\shref="([^"]*)')
_ESCAPED: Final = re.compile("%3C|%5C0", re.IGNORECASE)
_STREAM: Final = re.compile(r"(^|/)(events|live|stream)(/|$)")


def routes(app: FastAPI) -> Iterator[Any]:
    """Yield every route that answers to GET, also those of included routers."""
    waiting: list[Any] = list(app.routes)
    while waiting:
        route = waiting.pop(0)
        included = getattr(route, "original_router", None)
        if included is not None:
            waiting[:0] = included.routes
        elif "GET" in (getattr(route, "methods", None) or ()):
            yield route


def templates(app: FastAPI) -> list[str]:
    """Return the paths that may be pages, with parameters in braces."""
    paths = dict.fromkeys(str(route.path) for route in routes(app))
    return [
        path
        for path in paths
        if not _FILE.search(path) and not _STREAM.search(path) and not path.startswith("/static/")
    ]


def filled(path: str, values: Mapping[str, tuple[str, ...]] | None = None) -> Iterator[str]:
    """Yield a path with its parameters filled in; none where nothing is known to stand there."""
    known = {**VALUES, **(values or {})}
    names = _PARAMETER.findall(path)
    if not set(names) <= set(known):
        return
    for chosen in product(*(known[name] for name in names)):
        left = iter(chosen)
        yield _PARAMETER.sub(lambda _: next(left), path)  # noqa: B023 - used at once


def links(page: str) -> list[str]:
    """Return the addresses on this server that a page links to, without fragments."""
    found = (html.unescape(href).partition("#")[0] for href in _HREF.findall(page))
    return [href for href in dict.fromkeys(found) if href.startswith("/") and href[1:2] != "/"]


def pages(client: TestClient) -> list[str]:
    """Return the paths that answer with a page of HTML.

    What stands for a parameter that ``VALUES`` does not know is taken from the links of the other
    pages: two of each kind, those that carry markup first.
    """
    app: FastAPI = client.app  # type: ignore[assignment]
    found: list[str] = []
    linked: dict[str, None] = {}
    unknown = []
    for template in templates(app):
        asked = list(filled(template))
        if not asked:
            unknown.append(template)
        for path in asked:
            page = _page(client, path)
            if page is not None:
                found.append(path)
                linked |= dict.fromkeys(links(page))
    for template in unknown:
        shape = _PARAMETER_ANY.sub(lambda m: ".+" if m[2] == ":path" else "[^/?]+", template)
        fitting = [link for link in linked if re.fullmatch(shape, link.partition("?")[0])]
        fitting.sort(key=lambda link: not _ESCAPED.search(link))
        found += [link for link in fitting[:2] if _page(client, link) is not None]
    return list(dict.fromkeys(found))


def _page(client: TestClient, path: str) -> str | None:
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code < 500, f"{path}: {answer.status_code}"
    kind = answer.headers.get("content-type", "")
    if answer.status_code != 200 or not kind.startswith("text/html"):
        return None
    # Parts of pages, and files that are shown in frames, are no pages.
    return answer.text if "<main" in answer.text else None
