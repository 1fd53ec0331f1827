"""STIX 2.1 bundles: domain names, addresses, and indicators whose pattern lists them.

A pattern is used only if it says "any of these": comparisons with ``=``, ``IN`` or ``ISSUBSET``
joined by ``OR``. Whatever needs more than one thing at once (``AND``, ``FOLLOWEDBY``) or says no
(``NOT``, ``!=``) is set aside, because watching a part of it would watch something else.

References:
    OASIS STIX 2.1, sections 4.7 (indicator), 4.8 (infrastructure), 6.4, 6.8, 6.9 (domain name and
    address objects), 9 (patterning).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.cases.importers import Collector
    from remnant.watchlist import Role

__all__ = ["collect", "is_stix", "pattern_values"]

_OBSERVABLES: Final = ("domain-name", "ipv4-addr", "ipv6-addr")
_ROLES: Final[dict[str, Role]] = {
    "botnet": "c2",
    "command-and-control": "c2",
    "hosting-malware": "download",
    "staging": "download",
}
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')"
    r"|(?P<path>[a-z0-9-]+:[\w.*-]+(?:\[[\w*]+\]|'[^']*'|[\w.*-]+)*)"
    r"|(?P<word>[A-Z]+)"
    r"|(?P<sign>!=|<=|>=|[=<>()\[\],]))"
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)

_Token = tuple[str, str]


def is_stix(document: object) -> bool:
    """Return whether a JSON document is a STIX bundle, or a list of STIX objects."""
    if isinstance(document, dict):
        return document.get("type") == "bundle"
    return (
        isinstance(document, list)
        and len(document) > 0
        and all(isinstance(item, dict) and "type" in item and "id" in item for item in document)
    )


def collect(document: Any, collector: Collector) -> None:  # noqa: ANN401 - any JSON
    """Give every domain name and address of a bundle to the collector."""
    objects = document.get("objects", []) if isinstance(document, dict) else document
    if not isinstance(objects, list):
        collector.skip(str(objects), "objects", "objects is not an array")
        return
    roles = _roles(objects)
    for index, item in enumerate(objects):
        if not isinstance(item, dict):
            collector.skip(str(item), f"objects[{index}]", "not a STIX object")
            continue
        kind = item.get("type")
        role = roles.get(_text(item.get("id")))
        if kind in _OBSERVABLES:
            _observable(item, f"objects[{index}].value", collector, role)
        elif kind == "indicator":
            _indicator(item, f"objects[{index}].pattern", collector, role)
        elif kind == "url":
            value = _text(item.get("value"))
            collector.skip(value, f"objects[{index}].value", "a URL: DNS shows only its host")


def pattern_values(pattern: str) -> list[tuple[str, str]] | None:
    r"""Return the (object path, value) pairs of a pattern that says "any of these".

    ``None`` if the pattern says anything else, or is not a pattern.

    >>> pattern_values("[domain-name:value = 'a.example' OR domain-name:value IN ('b.example')]")
    [('domain-name:value', 'a.example'), ('domain-name:value', 'b.example')]
    >>> pattern_values("[domain-name:value = 'a.example' AND file:size = '1']") is None
    True
    """
    tokens = _tokens(pattern)
    if tokens is None:
        return None
    found: list[tuple[str, str]] = []
    position = 0
    while True:
        if tokens[position] != ("sign", "["):
            return None
        position = _comparisons(tokens, position + 1, found)
        if position < 0 or tokens[position] != ("sign", "]"):
            return None
        after = tokens[position + 1]
        if after == ("end", ""):
            return found
        if after != ("word", "OR"):
            return None
        position += 2


def _comparisons(tokens: list[_Token], position: int, found: list[tuple[str, str]]) -> int:
    """Read ``path = 'x' OR path IN ('x', 'y') OR …``; return the position after it, or -1."""
    while True:
        kind, path = tokens[position]
        if kind != "path":
            return -1
        operator = tokens[position + 1]
        position += 2
        if operator in {("sign", "="), ("word", "ISSUBSET")}:
            if tokens[position][0] != "string":
                return -1
            found.append((path, tokens[position][1]))
            position += 1
        elif operator == ("word", "IN") and tokens[position] == ("sign", "("):
            while True:
                if tokens[position + 1][0] != "string":
                    return -1
                found.append((path, tokens[position + 1][1]))
                position += 2
                if tokens[position] != ("sign", ","):
                    break
            if tokens[position] != ("sign", ")"):
                return -1
            position += 1
        else:
            return -1
        if tokens[position] != ("word", "OR"):
            return position
        position += 1


def _tokens(pattern: str) -> list[_Token] | None:
    """Return (kind, text) tokens, closed by several ``end``, or ``None`` for strange input."""
    tokens: list[_Token] = []
    position = 0
    pattern = pattern.rstrip()
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        if match is None:
            return None
        kind = match.lastgroup or ""
        text = match[kind]
        if kind == "string":
            text = _ESCAPE.sub(r"\1", text[1:-1])
        tokens.append((kind, text))
        position = match.end()
    return [*tokens, *[("end", "")] * 3]


def _observable(item: dict[str, Any], place: str, collector: Collector, role: Role | None) -> None:
    value = _text(item.get("value"))
    reason = _refused(item)
    if reason is not None:
        collector.skip(value, place, reason)
    else:
        collector.add(value, place, role=role)


def _indicator(item: dict[str, Any], place: str, collector: Collector, role: Role | None) -> None:
    pattern = _text(item.get("pattern"))
    reason = _refused(item)
    if reason is None and item.get("pattern_type", "stix") != "stix":
        reason = f"a pattern in another language: {_text(item.get('pattern_type'))[:40]}"
    values = pattern_values(pattern) if reason is None else None
    if values is None:
        collector.skip(pattern, place, reason or "the pattern says more than any of these names")
        return
    for path, value in values:
        kind, _, what = path.partition(":")
        if kind in _OBSERVABLES and what == "value":
            collector.add(value, place, role=role)
        else:
            collector.skip(value, place, f"{path[:60]} is neither a domain name nor an address")


def _refused(item: dict[str, Any]) -> str | None:
    if item.get("revoked") is True:
        return "its publisher revoked it"
    types = item.get("indicator_types")
    if isinstance(types, list) and "benign" in types:
        return "its publisher calls it benign"
    return None


def _roles(objects: list[Any]) -> dict[str, Role]:
    """Return the roles of objects that belong to an infrastructure, by identifier."""
    kinds: dict[str, Role] = {}
    for item in _of_type(objects, "infrastructure"):
        types = item.get("infrastructure_types")
        for word in types if isinstance(types, list) else []:
            if isinstance(word, str) and word in _ROLES:
                kinds.setdefault(_text(item.get("id")), _ROLES[word])
    roles: dict[str, Role] = {}
    for item in _of_type(objects, "relationship"):
        source, target = _text(item.get("source_ref")), _text(item.get("target_ref"))
        if item.get("relationship_type") == "consists-of" and source in kinds:
            roles.setdefault(target, kinds[source])
        elif item.get("relationship_type") == "indicates" and target in kinds:
            roles.setdefault(source, kinds[target])
    return roles


def _of_type(objects: list[Any], kind: str) -> Iterator[dict[str, Any]]:
    return (item for item in objects if isinstance(item, dict) and item.get("type") == kind)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
