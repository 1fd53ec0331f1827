"""MISP events as JSON: attributes and the attributes of objects.

Only attributes marked for detection (``to_ids``) are watched; the others are context, often benign.

References:
    draft-dulaunoy-misp-core-format (event, attribute, object; categories and types).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.cases.importers import Collector

__all__ = ["collect", "is_misp", "title_of"]

_NAMES: Final = frozenset({"domain", "hostname"})
_ADDRESSES: Final = frozenset({"ip-dst", "ip-src"})
_PAIR: Final = "domain|ip"
_LISTED: Final[dict[str, str]] = {
    "hostname|port": "a name with a port: DNS does not show ports",
    "ip-dst|port": "an address with a port: DNS does not show ports",
    "ip-src|port": "an address with a port: DNS does not show ports",
    "link": "a reference, not an indicator",
    "uri": "a path: DNS does not show it",
    "url": "a URL: DNS shows only its host, which may serve others as well",
}


def is_misp(document: object) -> bool:
    """Return whether a JSON document is a MISP event, or holds some."""
    return next(_events(document), None) is not None


def title_of(document: object) -> str | None:
    """Return what the first event calls itself, in one line, or ``None``."""
    for _, event in _events(document):
        info = event.get("info")
        if isinstance(info, str):
            line = " ".join("".join(c if c.isprintable() else " " for c in info[:500]).split())
            return line or None
    return None


def collect(document: object, collector: Collector) -> None:
    """Give every name and address of the events to the collector."""
    for path, event in _events(document):
        _attributes(event, path, collector)
        objects = event.get("Object")
        for index, item in enumerate(objects if isinstance(objects, list) else []):
            if isinstance(item, dict) and not _deleted(item):
                _attributes(item, f"{path}.Object[{index}]", collector)


def _attributes(holder: dict[str, Any], path: str, collector: Collector) -> None:
    attributes = holder.get("Attribute")
    for index, item in enumerate(attributes if isinstance(attributes, list) else []):
        place = f"{path}.Attribute[{index}]"
        if not isinstance(item, dict):
            collector.skip(str(item), place, "not an attribute")
            continue
        kind, value = item.get("type"), item.get("value")
        if not isinstance(kind, str) or not isinstance(value, str):
            collector.skip(str(value), place, "an attribute without type or value")
        elif kind in _LISTED:
            collector.skip(value, place, _LISTED[kind])
        elif kind in _NAMES or kind in _ADDRESSES or kind == _PAIR:
            if _deleted(item):
                collector.skip(value, place, "its publisher deleted it")
            elif str(item.get("to_ids", True)).lower() in {"false", "0"}:
                collector.skip(value, place, "not marked for detection (to_ids is false)")
            else:
                for part in value.split("|", 1) if kind == _PAIR else [value]:
                    collector.add(part, place)


def _deleted(item: dict[str, Any]) -> bool:
    return str(item.get("deleted")).lower() in {"true", "1"}


def _events(document: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the events of a document with their paths."""
    if isinstance(document, dict):
        if "response" in document:
            document = document["response"]
        else:
            event = document.get("Event")
            if isinstance(event, dict):
                yield "Event", event
            return
    if isinstance(document, list):
        for index, item in enumerate(document):
            event = item.get("Event") if isinstance(item, dict) else None
            if isinstance(event, dict):
                yield f"[{index}].Event", event
