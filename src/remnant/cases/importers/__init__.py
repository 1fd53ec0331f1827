"""Lists that others publish, one module per format; this file is what they have in common.

A format module takes decoded input and gives each value that it finds to a ``Collector``, with the
place where it stood. The collector decides what the value is: a name, an address, or something
that cannot be watched, which is set aside with a reason and never watched as something else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from remnant.cases import indicators
from remnant.cases.casefile import watched_name
from remnant.cases.model import MAX_NAMES, Watch
from remnant.errors import CaseError, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.watchlist import Role, State

__all__ = ["MAX_LISTED", "Collector", "SetAside"]

MAX_LISTED: Final = 10_000
"""Values set aside that are listed; all of them are counted."""

_URL: Final = re.compile(r"[a-z][a-z0-9+.-]{1,20}:/{1,2}|hxxps?[:\[(]", re.IGNORECASE)
_PORT: Final = re.compile(r"(.+):\d{1,5}", re.DOTALL)
_DEFANGED: Final = ("[.]", "(.)", "[dot]")


class SetAside(NamedTuple):
    """A value that is not watched.

    Attributes:
        place: a line number, or the path of the value in JSON.
        text: the value, printable, at most 200 characters.
        reason: why it is not watched.
    """

    place: str
    text: str
    reason: str


class _Entry(NamedTuple):
    role: Role
    state: State
    place: str


class Collector:
    """Gathers the values of one file.

    Args:
        where: the file's name, for messages.
        below: whether a name also stands for everything below it.
        role: role of values that do not say their own.
        state: state of values that do not say their own.
    """

    def __init__(self, where: str, *, below: bool, role: Role, state: State) -> None:
        self._where = where
        self._below = below
        self._role = role
        self._state = state
        self._names: dict[str, _Entry] = {}
        self._addresses: dict[str, _Entry] = {}
        self.values = 0
        self.duplicates = 0
        self.set_aside: list[SetAside] = []
        self.set_aside_count = 0

    def add(
        self,
        text: str,
        place: str,
        *,
        role: Role | None = None,
        state: State | None = None,
    ) -> None:
        """Take one value: a name or an address, or else set it aside; empty values are skipped.

        Raises:
            CaseError: the same indicator was found with another role or state, or there are more
                than ``MAX_NAMES``.
        """
        text = text.strip()
        if not text:
            return
        entry = _Entry(role or self._role, state or self._state, place)
        self.values += 1
        reason = _unwatchable(text)
        if reason is not None:
            self._aside(place, text, reason)
            return
        for written in _DEFANGED:
            text = text.replace(written, ".")
        if indicators.looks_like_address(text):
            self._take(self._addresses, text.strip("[]"), indicators.prefix, entry)
        elif "." not in text.removeprefix("*.").rstrip("."):
            self._aside(place, text, "a single word is not the name of a host")
        elif self._below and not text.startswith("*."):
            self._take(self._names, "*." + text, watched_name, entry)
        else:
            self._take(self._names, text, watched_name, entry)

    def skip(self, text: str, place: str, reason: str) -> None:
        """Set one value aside for a reason that only the format knows."""
        self.values += 1
        self._aside(place, text, reason)

    def watches(self, source: str | None) -> tuple[Watch, ...]:
        """Return what was gathered, one watch for each role and state, in order of appearance."""
        groups: dict[tuple[Role, State], tuple[list[str], list[str]]] = {}
        for position, entries in enumerate((self._names, self._addresses)):
            for text, entry in entries.items():
                groups.setdefault((entry.role, entry.state), ([], []))[position].append(text)
        return tuple(
            Watch(tuple(names), tuple(addresses), role=role, state=state, source=source)
            for (role, state), (names, addresses) in groups.items()
        )

    def _take(
        self,
        entries: dict[str, _Entry],
        text: str,
        normalise: Callable[[str], str],
        entry: _Entry,
    ) -> None:
        try:
            normal = normalise(text)
        except CaseError as error:
            self._aside(entry.place, text, error.what)
            return
        known = entries.get(normal)
        if known is not None:
            self.duplicates += 1
            if known[:2] != entry[:2]:
                raise CaseError(
                    f"the same indicator is stated with another role or state: {normal}",
                    where=f"{self._where}, {known.place} and {entry.place}",
                    got=f"{known.role} {known.state}, then {entry.role} {entry.state}",
                    expected="one role and one state",
                )
            return
        if len(self._names) + len(self._addresses) >= MAX_NAMES:
            raise CaseError(
                "the file holds too much to watch",
                where=self._where,
                expected=f"at most {MAX_NAMES:,} names and addresses",
            )
        entries[normal] = entry

    def _aside(self, place: str, text: str, reason: str) -> None:
        self.set_aside_count += 1
        if len(self.set_aside) < MAX_LISTED:
            self.set_aside.append(SetAside(place, printable(text), reason))


def _unwatchable(text: str) -> str | None:
    """Return why a text is neither a name nor an address, or ``None`` if it may be one."""
    if _URL.match(text):
        return "a URL: DNS shows only its host, which may serve others as well"
    if text.startswith(("/", "\\", "?")):
        return "a path: DNS does not show it"
    if "@" in text:
        return "an e-mail address"
    port = _PORT.fullmatch(text)
    if port is not None and port[1].strip("[]") != "" and not indicators.looks_like_address(text):
        if indicators.looks_like_address(port[1]):
            return "an address with a port: DNS does not show ports"
        return "a name with a port: DNS does not show ports"
    if "/" in text and not indicators.looks_like_address(text):
        return "a URL or path: DNS shows only its host, which may serve others as well"
    return None
