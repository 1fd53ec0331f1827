"""What registries say of a domain, a network or an AS: the part of it that a takedown needs.

Kept are dates, states, name servers, and whom to write to. Contacts of persons (registrant,
administrative, billing) are not: nothing here needs them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal, get_args

from remnant.windows import iso

__all__ = ["KINDS", "ROLES", "Contact", "Kind", "Registration"]

Kind = Literal["domain", "network", "autnum", "nameserver", "entity"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ROLES: Final = ("abuse", "registrar", "noc", "technical")
"""Roles of contacts that are kept, the most useful first (RFC 9083 section 10.2.4)."""

_TIMES: Final = frozenset({"registered", "reregistered", "expires", "changed", "deleted"})


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to write to.

    Attributes:
        role: one of ROLES.
        of: the role of the entity that this one belongs to: ``registrar`` for the abuse contact
            of the registrar; empty for a contact of the object itself.
        name: organisation or desk; empty where not stated.
        email: empty where not stated or redacted.
        phone: as stated.
        handle: of the registry.
    """

    role: str
    of: str = ""
    name: str = ""
    email: str = ""
    phone: str = ""
    handle: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registry said of one object.

    Attributes:
        kind: what the object is.
        key: folded name; ``first-last`` address; AS number, or ``first-last``; handle.
        found: ``False`` where the registry said that it knows no such object.
        handle: of the registry.
        name: of a network or AS.
        country: ISO 3166-1 alpha-2 as the registry states it: of the holder, not of the machine.
        first: first address of a network, or first AS number, as text.
        last: the last one.
        status: words of RFC 8056 and RFC 9083 in lower case ("client hold").
        registered: when it was registered (UTC); ``None`` where not stated, as the next four.
        reregistered: when it was registered again.
        expires: until when it is paid.
        changed: when the registry's data last changed.
        deleted: when it was deleted.
        name_servers: folded names, sorted.
        registrar: name of the registrar.
        registrar_id: its IANA number.
        contacts: those of ROLES.
        redacted: what the registry says that it left out (RFC 9537).
    """

    kind: Kind
    key: str
    found: bool = True
    handle: str = ""
    name: str = ""
    country: str = ""
    first: str = ""
    last: str = ""
    status: tuple[str, ...] = ()
    registered: datetime | None = None
    reregistered: datetime | None = None
    expires: datetime | None = None
    changed: datetime | None = None
    deleted: datetime | None = None
    name_servers: tuple[str, ...] = ()
    registrar: str = ""
    registrar_id: str = ""
    contacts: tuple[Contact, ...] = ()
    redacted: tuple[str, ...] = ()

    @property
    def began(self) -> datetime | None:
        """When the present registration began."""
        times = [time for time in (self.registered, self.reregistered) if time is not None]
        return max(times, default=None)

    def contact(self, of: str = "") -> Contact | None:
        """Return whom to write to about abuse.

        Args:
            of: ``registrar`` for the registrar's desk; empty for that of the object's holder.
        """
        mine = [contact for contact in self.contacts if contact.of == of]
        if of:
            mine += [c for c in self.contacts if c.role == of and c.of == ""]
        ranked = sorted(mine, key=lambda c: (not c.email, _rank(c.role)))
        return next((c for c in ranked if c.email or c.phone), None)

    def body(self) -> str:
        """Return everything as JSON text: equal registrations give equal texts."""
        values = {
            name: value for name, value in asdict(self).items() if value not in ("", (), None)
        }
        for name in _TIMES & values.keys():
            values[name] = iso(values[name])
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    def to_json(self) -> dict[str, Any]:
        """Return plain data with every field; what is not stated is null or an empty list."""
        values = asdict(self)
        for name, value in values.items():
            if isinstance(value, datetime):
                values[name] = iso(value)
            elif isinstance(value, tuple):
                values[name] = list(value)
            elif value == "":
                values[name] = None
        return values

    @classmethod
    def from_body(cls, body: str) -> Registration:
        """Return what ``body`` wrote."""
        values: dict[str, Any] = json.loads(body)
        for name in _TIMES & values.keys():
            values[name] = datetime.fromisoformat(values[name])
        for field in fields(cls):
            if isinstance(values.get(field.name), list):
                values[field.name] = tuple(values[field.name])
        values["contacts"] = tuple(Contact(**one) for one in values.get("contacts", ()))
        return cls(**values)


def _rank(role: str) -> int:
    return ROLES.index(role) if role in ROLES else len(ROLES)
