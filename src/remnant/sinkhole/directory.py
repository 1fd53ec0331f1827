"""Whose event it is: the cases that a name or one of the sinkhole's addresses belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from remnant.names import NameSyntaxError, text_to_wire, wire_to_text
from remnant.sinkhole.addresses import mapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.sinkhole.zones import Zone

__all__ = ["Directory", "Found"]


class Found(NamedTuple):
    """Whose an event is.

    Attributes:
        owner: index into ``Directory.memberships``.
        case: the first of its cases: whose reply an HTTP request gets.
        unlisted: the name is in a seized zone, and no case watches it.
    """

    owner: int
    case: str
    unlisted: bool


class Directory:
    """Finds the cases of names and addresses.

    A name in a seized zone belongs to the cases that have the zone. Everything else belongs to the
    cases whose names get the address that it came to; behind an address that no case states (one
    that was translated on the way), to all of them.

    Args:
        zones: what is served.
        memberships: sets of cases that are numbered already; new ones come after them.

    Attributes:
        memberships: what ``Found.owner`` points to.
    """

    def __init__(self, zones: Sequence[Zone], memberships: Sequence[tuple[str, ...]]) -> None:
        self.memberships = list(memberships)
        self._numbers = {cases: number for number, cases in enumerate(self.memberships)}
        self._zones = {text_to_wire(zone.name): zone for zone in zones}
        cases: dict[bytes, dict[str, None]] = {}
        everybody: dict[str, None] = {}
        for zone in zones:
            answering = zone.answering
            everybody |= dict.fromkeys(zone.cases)
            for text in (*answering.ipv4, *answering.ipv6):
                cases.setdefault(mapped(text), {})[answering.case] = None
        self._everybody = self._number(tuple(everybody))
        self._addresses = {address: self._number(tuple(found)) for address, found in cases.items()}

    def find(self, name: bytes, destination: bytes) -> Found:
        """Return whose an event is.

        Args:
            name: wire name, case as received; empty if there is none.
            destination: the 16 bytes of the address that it came to.
        """
        folded = name.lower()
        position = 0
        while position < len(folded) and folded[position]:
            zone = self._zones.get(folded[position:])
            if zone is not None:
                try:
                    listed = zone.watched(wire_to_text(folded))
                except NameSyntaxError:
                    listed = False
                return Found(self._number(tuple(zone.cases)), zone.answering.case, not listed)
            position += folded[position] + 1
        owner = self._addresses.get(destination, self._everybody)
        return Found(owner, self.memberships[owner][0], unlisted=False)

    def _number(self, cases: tuple[str, ...]) -> int:
        number = self._numbers.setdefault(cases, len(self.memberships))
        if number == len(self.memberships):
            self.memberships.append(cases)
        return number
