"""The API is what its document says: schemathesis asks it whatever the document allows, and more.

A longer campaign: REMNANT_API_EXAMPLES=2000.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from web.conftest import desk_over
from web.hostile import CASE
from web.own_home import copied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient

    from story.telling import Place
    from web.conftest import Desk

EXAMPLES: Final = int(os.environ.get("REMNANT_API_EXAMPLES", "2"))
_STREAM: Final = re.compile(r"(^|/)(events|live|stream)$")


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in ("get", "post", "put", "patch", "delete"):
            if method in item:
                yield method, path, item[method]


def test_the_document_is_openapi_3_1_and_valid(document: dict[str, Any]) -> None:
    import jsonschema_rs

    assert document["openapi"].startswith("3.1")
    for name, shape in document["components"]["schemas"].items():
        jsonschema_rs.Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        )
        assert jsonschema_rs.meta.is_valid(shape), name
    for _, path, told in operations(document):
        inside = set(re.findall(r"\{(\w+)\}", path))
        named = {each["name"] for each in told.get("parameters", ()) if each["in"] == "path"}
        assert inside == named, path


def test_operations_have_stable_names_that_differ(document: dict[str, Any]) -> None:
    names = [told["operationId"] for _, _, told in operations(document)]
    assert len(set(names)) == len(names)
    for name in names:
        # Not the ones that are made from path and function, which change when either does.
        assert re.fullmatch(r"[a-z][a-z0-9_]{2,40}", name), name
        assert not name.endswith(("_get", "_post", "_put", "_delete")), name
        assert "__" not in name, name


def test_every_operation_documents_its_errors_in_one_shape(document: dict[str, Any]) -> None:
    for method, path, told in operations(document):
        for status in ("401", "403", "404", "422"):
            shape = told["responses"][status]["content"]["application/json"]["schema"]
            assert shape == {"$ref": "#/components/schemas/Error"}, f"{method} {path} {status}"


def test_every_operation_says_what_it_does_and_where_it_belongs(document: dict[str, Any]) -> None:
    for method, path, told in operations(document):
        assert told.get("summary"), f"{method} {path}"
        assert told.get("description"), f"{method} {path}"
        assert told.get("tags"), f"{method} {path}"


def test_lists_that_go_on_are_paged_by_key(client: TestClient, document: dict[str, Any]) -> None:
    """Where an answer says where to go on, following it shows each row once, in short pages."""
    paged = []
    for method, path, told in operations(document):
        named = {each["name"]: each for each in told.get("parameters", ())}
        if method != "get" or not path.endswith(".json") or not {"after", "limit"} <= set(named):
            continue
        least = named["limit"]["schema"].get("minimum", 1)
        seen: list[str] = []
        given: dict[str, Any] = {"limit": max(2, least)}
        for _ in range(40):
            answer = client.get(path.replace("{case}", CASE), params=given)
            assert answer.status_code == 200, answer.text
            body = answer.json()
            assert "after" in body, f"{path}: {sorted(body)}"
            rows = body.get("rows", body.get("sources"))
            rows = rows if isinstance(rows, list) else next(iter((rows or {"": []}).values()))
            assert len(rows) <= given["limit"], path
            seen += map(repr, rows)
            if body["after"] is None:
                break
            given["after"] = body["after"]
        assert len(seen) == len(set(seen)), path
        paged.append(path)
    assert len(paged) >= 3


def test_errors_have_one_shape_wherever_they_arise(client: TestClient) -> None:
    for path, status in (
        ("/nowhere", 404),
        ("/cases/there-is-none.json", 404),
        ("/cases/taken/edit.json?tab=nonsense", 422),
        ("/cases/taken/edit.json?unknown=1", 422),
        ("/api/cases/taken/versions/zz", 422),
    ):
        answer = client.get(path)
        assert answer.status_code == status, path
        error = answer.json()["error"]
        assert error["status"] == status
        assert set(error) == {"status", "what", "where", "got", "expected", "hint"}


def test_the_page_of_the_api_has_every_operation_and_shape(
    client: TestClient, document: dict[str, Any]
) -> None:
    page = client.get("/api", headers={"accept": "text/html"}).text
    for _, path, told in operations(document):
        assert f'id="op-{told["operationId"]}"' in page
        assert path in page
    for name in document["components"]["schemas"]:
        assert f'id="shape-{name}"' in page
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)


def _parts(files: Any) -> Any:
    return files.items() if isinstance(files, dict) else files


def _part(name: str, value: Any) -> tuple[str, Any]:
    """Return a part of a form with a body that can be sent."""
    if not isinstance(value, tuple):
        value = (None, value)
    body = value[1] if isinstance(value[1], bytes) else str(value[1]).encode("utf-8", "replace")
    return name, (value[0], body, *value[2:])


@pytest.fixture
def busy(filled: Place, tmp_path: Path) -> Iterator[Desk]:
    """A desk whose results are worked out beside it: what is asked changes cases all the time."""
    with desk_over(copied(filled, tmp_path / "own"), beside=True) as made:
        yield made


@pytest.mark.filterwarnings("ignore")  # of the libraries that make the requests up
def test_whatever_is_asked_the_answer_is_one_that_the_document_knows(busy: Desk) -> None:
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Unsatisfiable
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.result import Ok
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi import checks

    desk = busy
    document = desk.client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    wanted = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    bounded = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES < 100,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    tried = []
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        streams = "text/event-stream" in str(operation.definition.raw.get("responses", ""))
        if streams or _STREAM.search(operation.path):
            continue
        of_case = {"case": CASE} if "{case}" in operation.path else None
        ways = [(GenerationMode.POSITIVE, of_case), (GenerationMode.NEGATIVE, of_case)]
        for mode, known in ways if of_case is None else [*ways, (GenerationMode.NEGATIVE, None)]:

            @bounded
            @given(case=operation.as_strategy(generation_mode=mode, path_parameters=known))
            def asks(case: Any) -> None:
                asked = case.as_transport_kwargs(base_url="http://127.0.0.1")
                headers = dict(asked.pop("headers", None) or {})
                headers["x-csrf-token"] = desk.token
                headers.pop("host", None)
                asked.pop("cookies", None)
                if asked.get("files"):
                    asked["files"] = [_part(*part) for part in _parts(asked["files"])]
                request = desk.client.build_request(headers=headers, **asked)
                request.read()
                answer = desk.client.send(request)
                # What is not worked out yet is said so, and documented.
                is_early = answer.status_code == 503 and "being worked out" in answer.text
                case.validate_response(answer, checks=wanted[is_early:])

            try:
                asks()
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE  # there is nothing to get wrong
            except Exception as error:
                error.add_note(f"{operation.label}, {mode}, {known}")
                raise
            tried.append(operation.label)
    assert len(set(tried)) >= 10
