"""What the API's documentation says, taken from the OpenAPI document and the declared roles.

The page ``/api`` and ``docs/reference/api.md`` both show this, so neither can lag behind.
"""

from __future__ import annotations

import inspect
import json
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from remnant.web.access.gate import roles_of
from remnant.web.access.viewer import Role
from remnant.web.pages import routers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastapi import FastAPI

__all__ = ["Field", "Group", "Operation", "Parameter", "Reference", "Shape", "reference"]

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_SERVER: Final = "http://127.0.0.1:8060"
_DEEP: Final = 4
_EXAMPLES: Final = {"string": "…", "integer": 1, "number": 1.5, "boolean": True, "null": None}


class Parameter(BaseModel):
    """One parameter of an operation: of its path, its query, or a field of its form."""

    name: str
    place: str
    kind: str
    required: bool
    default: str | None
    meaning: str


class Answer(BaseModel):
    """One answer: status, what it means, and the shape of its body."""

    status: str
    meaning: str
    shape: str | None


class Operation(BaseModel):
    """One thing that the API does."""

    id: str
    method: str
    path: str
    title: str
    about: str
    roles: list[str]
    parameters: list[Parameter]
    body: str | None
    body_shape: str | None
    answers: list[Answer]
    curl: str


class Group(BaseModel):
    """The operations under one tag."""

    name: str
    operations: list[Operation]


class Field(BaseModel):
    """One field of a shape."""

    name: str
    kind: str
    shapes: list[str]
    required: bool
    meaning: str


class Shape(BaseModel):
    """One JSON object that the API takes or gives; ``words`` where it is one of a few texts."""

    name: str
    about: str
    fields: list[Field]
    words: list[str]


class Reference(BaseModel):
    """The whole API."""

    title: str
    version: str
    openapi: str
    groups: list[Group]
    shapes: list[Shape]


def reference(app: FastAPI) -> Reference:
    """Return the documentation of an application."""
    document = app.openapi()
    shapes = document.get("components", {}).get("schemas", {})
    admitted = dict(_admitted())
    groups: dict[str, list[Operation]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                told = item[method]
                roles = admitted.get((method.upper(), path), [])
                found = _operation(method, path, told, roles, shapes)
                groups.setdefault(told.get("tags", ["other"])[0], []).append(found)
    return Reference(
        title=document["info"]["title"],
        version=document["info"]["version"],
        openapi=document["openapi"],
        groups=[
            Group(name=name, operations=sorted(found, key=lambda each: (each.path, each.method)))
            for name, found in sorted(groups.items())
        ],
        shapes=[_shape(name, told) for name, told in sorted(shapes.items())],
    )


def _admitted() -> Iterator[tuple[tuple[str, str], list[str]]]:
    for router in routers():
        for route in router.routes:
            allowed = roles_of(getattr(route, "endpoint", None))
            words = [role.value for role in Role if role in allowed]
            for method in getattr(route, "methods", None) or ():
                yield (method, str(getattr(route, "path", ""))), words


def _operation(
    method: str,
    path: str,
    told: Mapping[str, Any],
    roles: list[str],
    shapes: Mapping[str, Any],
) -> Operation:
    parameters = [
        Parameter(
            name=each["name"],
            place=each["in"],
            kind=_kind(each.get("schema", {})),
            required=each.get("required", False),
            default=_default(each.get("schema", {})),
            meaning=_plain(each.get("description", "")),
        )
        for each in told.get("parameters", [])
    ]
    body, shape, example = None, None, None
    for body, content in told.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        shape = next(iter(_refs(schema)), None)
        if body == "multipart/form-data" and shape is not None:
            fields = _shape(shape, shapes[shape]).fields
            known = shapes[shape].get("properties", {})
            parameters += [
                Parameter(
                    name=field.name,
                    place="form",
                    kind=_kind(known[field.name]),
                    required=field.required,
                    default=_default(known[field.name]),
                    meaning=field.meaning,
                )
                for field in fields
            ]
            shape = None
        else:
            example = _example(schema, shapes)
    return Operation(
        id=told["operationId"],
        method=method.upper(),
        path=path,
        title=told.get("summary", told["operationId"]),
        about=_plain(told.get("description", "")),
        roles=roles,
        parameters=parameters,
        body=body,
        body_shape=shape,
        answers=[
            Answer(
                status=status,
                meaning=_plain(answer.get("description", "")),
                shape=next(
                    (
                        name
                        for content in answer.get("content", {}).values()
                        for name in _refs(content.get("schema", {}))
                    ),
                    None,
                ),
            )
            for status, answer in sorted(told["responses"].items())
        ],
        curl=_curl(method, path, parameters, body, example),
    )


def _curl(
    method: str, path: str, parameters: list[Parameter], body: str | None, example: object
) -> str:
    """Return a command that asks for an operation, with a token."""
    filled = re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), path)
    needed = [f"{each.name}=…" for each in parameters if each.place == "query" and each.required]
    address = _SERVER + filled + (f"?{'&'.join(needed)}" if needed else "")
    lines = [f"curl -H 'Authorization: Bearer TOKEN' '{address}'"]
    if method != "get":
        lines[0] = lines[0].replace("curl", f"curl -X {method.upper()}", 1)
    if body == "application/json":
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d {shlex.quote(json.dumps(example, ensure_ascii=False))}")
    elif body is not None:
        forms = [each for each in parameters if each.place == "form" and each.required]
        lines += [f"-F '{each.name}={'@FILE' if each.kind == 'file' else '…'}'" for each in forms]
    return " \\\n  ".join(lines)


def _shape(name: str, told: Mapping[str, Any]) -> Shape:
    needed = set(told.get("required", ()))
    return Shape(
        name=name,
        about=_plain(told.get("description", "")),
        fields=[
            Field(
                name=key,
                kind=_kind(schema),
                shapes=list(dict.fromkeys(_refs(schema))),
                required=key in needed,
                meaning=_plain(schema.get("description", "")),
            )
            for key, schema in told.get("properties", {}).items()
        ],
        words=[str(word) for word in told.get("enum", ())],
    )


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[key]))
    if "allOf" in schema:
        return _kind(schema["allOf"][0])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(str(word) for word in schema["enum"])
    kind = str(schema.get("type", "any"))
    if schema.get("contentMediaType") or schema.get("format") == "binary":
        return "file"
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    limits = [
        f"{words} {schema[key]}"
        for key, words in (
            ("minimum", "at least"),
            ("maximum", "at most"),
            ("maxLength", "at most"),
        )
        if key in schema
    ]
    known = {"date-time": "time", "date": "date"}.get(schema.get("format", ""), kind)
    return f"{known}, {', '.join(limits)}" if limits else known


def _refs(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield str(schema["$ref"]).rpartition("/")[2]
        for value in schema.values():
            yield from _refs(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _refs(value)


def _default(schema: Mapping[str, Any]) -> str | None:
    default = schema.get("default")
    return None if default in (None, "", []) else json.dumps(default).strip('"')


def _example(schema: Mapping[str, Any], shapes: Mapping[str, Any], deep: int = 0) -> Any:
    """Return a value of a schema's type, as short as it can be."""
    if "$ref" in schema:
        schema = shapes[str(schema["$ref"]).rpartition("/")[2]]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return _example(schema[key][0], shapes, deep)
    if "default" in schema and schema["default"] is not None:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    if kind == "array":
        return [] if deep >= _DEEP else [_example(schema.get("items", {}), shapes, deep + 1)]
    if kind == "object":
        if deep >= _DEEP:
            return {}
        needed = schema.get("required") or list(schema.get("properties", {}))[:2]
        return {key: _example(schema["properties"][key], shapes, deep + 1) for key in needed}
    return _EXAMPLES.get(kind, "…")


def _plain(text: str) -> str:
    """Return a docstring as running text: its first paragraphs, markup of code taken out."""
    return inspect.cleandoc(text).replace("``", "").strip()
