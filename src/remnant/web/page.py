"""How a page is declared: one function, three ways to read its answer.

    @page(router, "/cases/{case}/networks", title="Networks", roles=OWNERS, table="rows")
    def networks(asked: AskedBy, case: str, query: Annotated[Networks, Query()]) -> NetworksAnswer:

The function returns a pydantic model. The same answer is then served as HTML (the template of the
function's name), as JSON (``.json``, documented in OpenAPI with the model's schema) and, where
``table`` names the rows in it, as CSV (``.csv``). Pages hold no numbers that the JSON has not.
"""

from __future__ import annotations

import csv
import functools
import inspect
import io
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fastapi import APIRouter, Response
from pydantic import BaseModel, TypeAdapter

from remnant.web.access.audit import Action, audit
from remnant.web.access.gate import admits
from remnant.web.answers import Body, send
from remnant.web.frame import to_html
from remnant.web.problem import RESPONSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from remnant.web.access.viewer import Role
    from remnant.web.site import Asked

__all__ = ["cell", "page", "to_csv"]

Answer = TypeVar("Answer", bound=BaseModel)


_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def page(
    router: APIRouter,
    path: str,
    *,
    title: str,
    roles: frozenset[Role],
    table: str | None = None,
    template: str | None = None,
    kept: bool | None = None,
    live: bool | None = None,
    recorded: Action | None = None,
) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Serve what a function answers as HTML, JSON and, with ``table``, CSV.

    Args:
        router: of the page's module.
        path: of the HTML; the twins add ``.json`` and ``.csv``.
        title: what the page is called in its title bar and in the API's documentation.
        roles: who may see it.
        table: field of the answer with the rows of the CSV, models or mappings.
        template: default: the function's name.
        kept: the answer follows from the state of the case and from the viewer's role, so it may
            be kept for a few seconds (``web.answers``), and the open page keeps itself new. False
            for what must be seen at once (accounts, the list of reports) and for what is written
            down each time it is seen. Default: pages below ``/cases``.
        live: the open page keeps itself new. Default: where it is kept.
        recorded: what the audit log says each time it is seen, kept or not; with the case.
    """
    keeps = path.startswith("/cases") if kept is None else kept
    lives = keeps if live is None else live

    def declare(answer: Callable[..., Answer]) -> Callable[..., Answer]:
        name = answer.__name__
        model = inspect.get_annotations(answer, eval_str=True)["return"]
        about = inspect.getdoc(answer)
        written = TypeAdapter(model)

        def asked_for(given: dict[str, Any]) -> Answer:
            """Return the answer, shared by all twins and by all viewers who may see the same."""
            asked: Asked = given["asked"]
            if not keeps:
                return answer(**given)
            key = (name, asked.scope_of_view, asked.path_and_query)
            found: Answer = asked.site.answers.models.get(key, asked.state, lambda: answer(**given))
            return found

        def sent(given: dict[str, Any], twin: str, write: Callable[[], Body]) -> Response:
            asked: Asked = given["asked"]
            if recorded is not None:
                audit(asked.request, recorded, str(given.get("case", "")))
            if not keeps:
                return send(asked.request, write())
            key = (name, twin, asked.viewer, asked.path_and_query)
            return send(asked.request, asked.site.answers.bodies.get(key, asked.state, write))

        @admits(roles)
        @functools.wraps(answer)
        def html(**given: Any) -> Response:
            asked: Asked = given["asked"]

            def write() -> Body:
                found = asked_for(given)
                # Each visit has its own secret for forms: it comes in when the page is sent.
                asked.request.state.is_shared = True
                try:
                    text = to_html(asked, template or name, title, found, is_live=lives)
                finally:
                    asked.request.state.is_shared = False
                return Body.of(text.encode("utf-8", "backslashreplace"), "text/html; charset=utf-8")

            return sent(given, "html", write)

        @admits(roles)
        @functools.wraps(answer)
        def plain(**given: Any) -> Response:
            def write() -> Body:
                data = written.dump_json(asked_for(given), by_alias=True)
                return Body.of(data, "application/json")

            return sent(given, "json", write)

        @admits(roles)
        @functools.wraps(answer)
        def rows(**given: Any) -> Response:
            def write() -> Body:
                found = getattr(asked_for(given), str(table))
                file = "-".join([given["case"], name] if "case" in given else [name])
                text = to_csv(
                    row.model_dump() if isinstance(row, BaseModel) else row for row in found
                )
                return Body.of(
                    text.encode("utf-8", "backslashreplace"),
                    "text/csv; charset=utf-8",
                    {"content-disposition": f'attachment; filename="{file}.csv"'},
                )

            return sent(given, "csv", write)

        # The twins first: a path parameter of the page would take their endings.
        router.add_api_route(
            f"{path}.json",
            plain,
            response_model=model,
            name=f"{name}.json",
            operation_id=name,
            summary=title,
            description=about,
            responses=RESPONSES,
        )
        if table is not None:
            router.add_api_route(
                f"{path}.csv",
                rows,
                response_model=None,
                response_class=Response,
                name=f"{name}.csv",
                operation_id=f"{name}_csv",
                summary=f"{title}, as CSV",
                description=about,
                responses=RESPONSES | {200: {"content": {"text/csv": {}}}},
            )
        router.add_api_route(path, html, response_model=None, name=name, include_in_schema=False)
        return answer

    return declare


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV with a header; the first row says the columns."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number, row in enumerate(rows):
        if not number:
            writer.writerow(row)
        writer.writerow([cell(value) for value in row.values()])
    return out.getvalue()


def cell(value: object) -> object:
    """Return a value as it may stand in CSV: text that a spreadsheet would run is quoted.

    >>> cell("=1+1"), cell(-1.5), cell(None)
    ("'=1+1", -1.5, '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
