"""Reads registration data as RDAP servers give it: hostile JSON, bounded in every direction.

Understood are objects by themselves, arrays of them, search results, and one object a line. What
cannot be used is counted by reason, and never stops the rest.

References:
    RFC 9083 (objects, events, roles, errors), RFC 7095 (jCard), RFC 8056 (states), RFC 9537
    (redacted fields).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from remnant.errors import printable
from remnant.infrastructure.registration import ROLES, Contact, Kind, Registration
from remnant.names import NameSyntaxError, fold

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_BYTES", "MOST_OBJECTS", "Said", "parse"]

MOST_BYTES: Final = 64 << 20
"""Largest file that is read."""

MOST_OBJECTS: Final = 100_000
"""Objects of one file that are read; more are counted as refused."""

_LINE: Final = 4 << 20
_WORDS: Final = 64
_ENTITIES: Final = 200
_DEEP: Final = 5
_TEXT: Final = 200
_AHEAD: Final = timedelta(days=1)
_OLDEST, _NEWEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

_CLASSES: Final[dict[str, Kind]] = {
    "domain": "domain",
    "ip network": "network",
    "autnum": "autnum",
    "nameserver": "nameserver",
    "entity": "entity",
}
_RESULTS: Final = ("domainSearchResults", "nameserverSearchResults", "entitySearchResults")
_DATABASE: Final = "last update of rdap database"
_EMAIL: Final = re.compile(r"[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,190}")
_NOT_FOUND: Final = 404
_LAST_AS: Final = (1 << 32) - 1
_HIDDEN: Final = re.compile(r"(?i)\bredacted\b|^\s*data protected\b|^\s*not disclosed\b")


@dataclass(frozen=True, slots=True)
class Said:
    """What one file says.

    Attributes:
        objects: what the registries said, each with the time that the registry states for its
            database (UTC), ``None`` where it states none.
        refused: what could not be used: how many by reason.
    """

    objects: tuple[tuple[Registration, datetime | None], ...]
    refused: dict[str, int]


class _Unusable(Exception):
    """An object that cannot be used, and why."""


def parse(data: bytes, *, named: str | None = None, now: datetime | None = None) -> Said:
    """Return the registrations of a file.

    Args:
        data: its bytes.
        named: the name that the file is about, where an answer "not found" does not say so.
        now: what is dated later than a day after it is not believed.
    """
    refused: Counter[str] = Counter()
    if len(data) > MOST_BYTES:
        return Said((), {"larger than 64 MiB": 1})
    found: list[tuple[Registration, datetime | None]] = []
    latest = _NEWEST if now is None else now + _AHEAD
    for count, value in enumerate(_objects(data, refused)):
        if count >= MOST_OBJECTS:
            refused["more than 100,000 objects in a file"] += 1
            continue
        try:
            found.append((_registration(value, named), _dated(value, latest)))
        except _Unusable as error:
            refused[str(error)] += 1
    return Said(tuple(found), dict(refused))


def _objects(data: bytes, refused: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yield everything that may be an object of RDAP."""
    try:
        yield from _unfolded(_decoded(data), refused)
    except _Unusable as error:
        lines = data.splitlines()
        if len(lines) < 2 or not lines[0].lstrip().startswith(b"{"):
            refused[str(error)] += 1
            return
    else:
        return
    for line in lines:
        if not line.strip():
            continue
        try:
            yield from _unfolded(_decoded(line, _LINE), refused)
        except _Unusable as error:
            refused[str(error)] += 1


def _decoded(data: bytes, limit: int = MOST_BYTES) -> Any:  # noqa: ANN401 - JSON
    if len(data) > limit:
        raise _Unusable("a line longer than 4 MiB")
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=lambda _: None)
    except RecursionError:
        raise _Unusable("nested too deeply") from None
    except ValueError:  # also UTF-8 that is none, and numbers of thousands of digits
        raise _Unusable("not JSON") from None


def _unfolded(value: Any, refused: Counter[str]) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    values = value if isinstance(value, list) else [value]
    for one in values:
        if not isinstance(one, dict):
            refused["not an RDAP object"] += 1
            continue
        results = [one[name] for name in _RESULTS if isinstance(one.get(name), list)]
        if not results:
            yield one
        for each in (each for result in results for each in result):
            if isinstance(each, dict):
                yield each
            else:
                refused["not an RDAP object"] += 1


def _dated(value: dict[str, Any], latest: datetime) -> datetime | None:
    time = _events(value).get(_DATABASE)
    if time is not None and time > latest:
        raise _Unusable("dated in the future")
    return time


def _registration(value: dict[str, Any], named: str | None) -> Registration:
    if "errorCode" in value and "objectClassName" not in value:
        if value["errorCode"] != _NOT_FOUND:
            raise _Unusable("an error of the server")
        return Registration("domain", _asked_for(value, named), found=False)
    kind = _kind(value)
    first, last, key = _place(kind, value)
    events = _events(value)
    entities = list(_entities(value, "", _DEEP))[:_ENTITIES]
    registrar = next((e for e, of in entities if not of and "registrar" in _roles(e)), None)
    contacts = {c: None for entity, of in entities for c in _contacts(entity, of)}
    return Registration(
        kind,
        key,
        handle=_text(value.get("handle")),
        name=_text(value.get("name")),
        country=_country(value.get("country")),
        first=first,
        last=last,
        status=tuple(sorted({_status(word) for word in _texts(value.get("status"))})),
        registered=events.get("registration"),
        reregistered=_latest(events, "reregistration", "reinstantiation"),
        expires=events.get("expiration"),
        changed=events.get("last changed"),
        deleted=events.get("deletion"),
        name_servers=tuple(sorted(_name_servers(value)))[:_WORDS],
        registrar="" if registrar is None else _card(registrar).get("fn", ""),
        registrar_id="" if registrar is None else _public_id(registrar),
        contacts=tuple(sorted(contacts, key=_order))[:_WORDS],
        redacted=tuple(sorted(_redacted(value)))[:_WORDS],
    )


def _latest(events: dict[str, datetime], *actions: str) -> datetime | None:
    return max((events[action] for action in actions if action in events), default=None)


def _order(contact: Contact) -> tuple[int, str, str, str, str, str]:
    c = contact
    return ROLES.index(c.role), c.of, c.email, c.name, c.phone, c.handle


def _kind(value: dict[str, Any]) -> Kind:
    named = value.get("objectClassName")
    if isinstance(named, str) and named.lower() in _CLASSES:
        return _CLASSES[named.lower()]
    if named is None:  # old servers leave it out
        if "startAddress" in value:
            return "network"
        if "startAutnum" in value:
            return "autnum"
        if "ldhName" in value:
            return "domain"
    raise _Unusable("not an RDAP object")


def _place(kind: Kind, value: dict[str, Any]) -> tuple[str, str, str]:
    """Return first and last of an object that is a range, and the key of any object."""
    if kind == "network":
        return _network(value)
    if kind == "autnum":
        first, last = value.get("startAutnum"), value.get("endAutnum")
        numbers = [n for n in (first, last if last is not None else first) if type(n) is int]
        if len(numbers) < 2 or not 0 <= numbers[0] <= numbers[1] <= _LAST_AS:
            raise _Unusable("an AS without a number")
        low, high = map(str, numbers)
        return low, high, low if low == high else f"{low}-{high}"
    if kind == "entity":
        handle = _text(value.get("handle"))
        if not handle:
            raise _Unusable("an entity without a handle")
        return "", "", handle
    for field in ("ldhName", "unicodeName"):
        name = _folded(value.get(field))
        if name is not None:
            return "", "", name
    raise _Unusable("a name that is none")


def _network(value: dict[str, Any]) -> tuple[str, str, str]:
    ends = []
    for field in ("startAddress", "endAddress"):
        text = value.get(field)
        try:
            # Some registries write a prefix where an address belongs.
            ends.append(ipaddress.ip_address(str(text)[:64].partition("/")[0]))
        except ValueError:
            raise _Unusable("a network without addresses") from None
    first, last = ends
    if first.version != last.version or int(first) > int(last):
        raise _Unusable("a network without addresses")
    return str(first), str(last), f"{first}-{last}"


def _folded(value: object) -> str | None:
    if not isinstance(value, str) or not value or len(value) > 1024:
        return None
    try:
        return fold(value)
    except NameSyntaxError:
        return None


def _asked_for(value: dict[str, Any], named: str | None) -> str:
    """Return the name that is not registered: an error response has it in its links only."""
    links = value.get("links")
    for link in links[:_WORDS] if isinstance(links, list) else []:
        for field in ("value", "href"):
            url = link.get(field) if isinstance(link, dict) else None
            name = _of_url(url) if isinstance(url, str) and len(url) <= 2048 else None
            if name is not None:
                return name
    name = _folded(named)
    if name is None or "." not in name:
        raise _Unusable("'not found', and it does not say what")
    return name


def _of_url(url: str) -> str | None:
    try:
        head, _, name = urlsplit(url).path.rstrip("/").rpartition("/")
    except ValueError:
        return None
    return _folded(unquote(name)) if head.endswith("/domain") else None


def _events(value: dict[str, Any]) -> dict[str, datetime]:
    """Return the latest date of each event."""
    found: dict[str, datetime] = {}
    events = value.get("events")
    for event in events[:_WORDS] if isinstance(events, list) else []:
        if not isinstance(event, dict):
            continue
        action, time = event.get("eventAction"), _time(event.get("eventDate"))
        if isinstance(action, str) and time is not None:
            word = action[:_TEXT].lower()
            found[word] = max(time, found.get(word, time))
    return found


def _time(value: object) -> datetime | None:
    """Return a time of RFC 3339; one without a zone is taken for UTC."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        time = datetime.fromisoformat(value)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time.replace(microsecond=0) if _OLDEST <= time < _NEWEST else None


def _entities(value: dict[str, Any], of: str, deep: int) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the entities of an object, and of those, with the role of what they belong to."""
    entities = value.get("entities")
    if not isinstance(entities, list) or not deep:
        return
    for entity in entities[:_WORDS]:
        if isinstance(entity, dict):
            yield entity, of
            belongs = "registrar" if "registrar" in _roles(entity) else of
            yield from _entities(entity, belongs, deep - 1)


def _roles(entity: dict[str, Any]) -> list[str]:
    roles = entity.get("roles")
    words = roles[:_DEEP] if isinstance(roles, list) else roles
    return [word.lower() for word in _texts(words)]


def _contacts(entity: dict[str, Any], of: str) -> Iterator[Contact]:
    """Yield an entity as a contact, once for each role that is kept."""
    roles = [role for role in ROLES if role in _roles(entity)]
    if not roles:
        return
    card = _card(entity)
    for role in roles:
        contact = Contact(
            role,
            of,
            card.get("fn", "") or card.get("org", ""),
            card.get("email", ""),
            card.get("tel", ""),
            _text(entity.get("handle")),
        )
        if contact.email or contact.phone or contact.name or contact.handle:
            yield contact


def _card(entity: dict[str, Any]) -> dict[str, str]:
    """Return the first fn, org, email and tel of an entity's jCard."""
    card = entity.get("vcardArray")
    if not (isinstance(card, list) and len(card) == 2 and isinstance(card[1], list)):
        return {}
    found: dict[str, str] = {}
    for entry in card[1][:_ENTITIES]:
        if not (isinstance(entry, list) and len(entry) >= 4 and isinstance(entry[0], str)):
            continue
        name, value = entry[0].lower(), entry[3]
        if isinstance(value, list) and value:  # the parts of an organisation
            value = value[0]
        text = _text(value)
        if name == "tel":
            text = text.removeprefix("tel:")
        elif name == "email":
            text = text.removeprefix("mailto:")
            if not _EMAIL.fullmatch(text):
                continue
        if name in {"fn", "org", "email", "tel"} and text:
            found.setdefault(name, text)
    return found


def _public_id(entity: dict[str, Any]) -> str:
    identifiers = entity.get("publicIds")
    for one in identifiers[:_WORDS] if isinstance(identifiers, list) else []:
        if isinstance(one, dict) and "iana" in _text(one.get("type")).lower():
            return _text(one.get("identifier"))
    return ""


def _name_servers(value: dict[str, Any]) -> set[str]:
    servers = value.get("nameservers")
    names = {
        _folded(server.get("ldhName"))
        for server in (servers[:_WORDS] if isinstance(servers, list) else [])
        if isinstance(server, dict)
    }
    return {name for name in names if name is not None}


def _redacted(value: dict[str, Any]) -> set[str]:
    fields = value.get("redacted")
    names = set()
    for field in fields[:_WORDS] if isinstance(fields, list) else []:
        name = field.get("name") if isinstance(field, dict) else None
        if isinstance(name, dict):
            names.add(_text(name.get("type")) or _text(name.get("description")))
    return names - {""}


def _status(word: str) -> str:
    """Return a state as RDAP writes it, also where the server writes that of EPP.

    >>> _status("clientTransferProhibited"), _status("Client Hold")
    ('client transfer prohibited', 'client hold')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word).lower()


def _country(value: object) -> str:
    text = _text(value)
    return text.upper() if len(text) == 2 and text.isascii() and text.isalpha() else ""


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in map(_text, values[:_WORDS]) if text]


def _text(value: object) -> str:
    """Return text that is safe to keep and to show; what is hidden on purpose is no text."""
    if not isinstance(value, str):
        return ""
    text = printable(" ".join(value[: 2 * _TEXT].split()), _TEXT)
    return "" if _HIDDEN.search(text) else text
