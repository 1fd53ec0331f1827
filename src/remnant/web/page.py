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
from pydantic import BaseModel

from remnant.web.access.gate import admits
from remnant.web.frame import render
from remnant.web.problem import RESPONSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from remnant.web.access.viewer import Role

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
) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Serve what a function answers as HTML, JSON and, with ``table``, CSV.

    Args:
        router: of the page's module.
        path: of the HTML; the twins add ``.json`` and ``.csv``.
        title: what the page is called in its title bar and in the API's documentation.
        roles: who may see it.
        table: field of the answer with the rows of the CSV, models or mappings.
        template: default: the function's name.
    """

    def declare(answer: Callable[..., Answer]) -> Callable[..., Answer]:
        name = answer.__name__
        model = inspect.get_annotations(answer, eval_str=True)["return"]
        about = inspect.getdoc(answer)

        @admits(roles)
        @functools.wraps(answer)
        def html(**given: Any) -> Response:
            return render(given["asked"], template or name, title, answer(**given))

        @admits(roles)
        @functools.wraps(answer)
        def plain(**given: Any) -> Answer:
            return answer(**given)

        @admits(roles)
        @functools.wraps(answer)
        def rows(**given: Any) -> Response:
            found = getattr(answer(**given), str(table))
            file = "-".join([given["case"], name] if "case" in given else [name])
            return Response(
                to_csv(row.model_dump() if isinstance(row, BaseModel) else row for row in found),
                media_type="text/csv; charset=utf-8",
                headers={"content-disposition": f'attachment; filename="{file}.csv"'},
            )

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
