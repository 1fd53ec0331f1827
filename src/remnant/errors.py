"""Every error that Remnant raises on purpose.

    RemnantError
    ├── CaseError            a case file or an import says something that cannot be watched
    │   └── CaseChanged      the case was stored by somebody else since it was read
    ├── FormatError          input that no reader can use
    │   ├── UnknownFormat    no reader recognises the bytes
    │   └── DamagedInput     the container itself (compression, framing) is broken
    ├── SettingsError        a setting is unknown or has a bad value
    ├── StoreError           the store cannot be read or written
    │   ├── SchemaMismatch   a stored file is newer than this version understands
    │   ├── StoreBusy        another process is writing
    │   └── KeyMismatch      the site key is not the one that the store was made with
    ├── ReferenceDataError   a prefix table or database cannot be used
    ├── NoData               the question has no data to answer it
    ├── AccessError          an account, a token or a network of theirs cannot be as asked
    ├── ExportError          zones or a policy for other servers cannot be written as asked
    └── SimulationError      a scenario cannot be made

Malformed traffic is not an error: it is counted and quarantined.
"""

from __future__ import annotations

__all__ = [
    "AccessError",
    "CaseChanged",
    "CaseError",
    "DamagedInput",
    "ExportError",
    "FormatError",
    "KeyMismatch",
    "NoData",
    "ReferenceDataError",
    "RemnantError",
    "SchemaMismatch",
    "SettingsError",
    "SimulationError",
    "StoreBusy",
    "StoreError",
    "UnknownFormat",
]


class RemnantError(Exception):
    """Something failed that a person can act on.

    Args:
        what: what failed, as a short sentence without a full stop.
        where: the file, line, key, offset or address it concerns.
        got: what was found there (shown escaped and cut to 200 characters).
        expected: what would have been right.
        hint: what to do next.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: object = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.got = None if got is None else printable(str(got))
        self.expected = expected
        self.hint = hint
        super().__init__(self.text())

    def sentence(self) -> str:
        """Return what failed and what to do next in one line, for a page."""
        what = self.what[:1].upper() + self.what[1:]
        return f"{what}." if self.hint is None else f"{what} ({self.hint})."

    def text(self) -> str:
        """Return the whole message: what failed, where, got, expected, then the hint."""
        head = self.what if self.where is None else f"{printable(self.where, 400)}: {self.what}"
        lines = [head]
        if self.got is not None:
            lines.append(f"  got:      {self.got}")
        if self.expected is not None:
            lines.append(f"  expected: {self.expected}")
        if self.hint is not None:
            lines.append(f"  hint:     {self.hint}")
        return "\n".join(lines)


def printable(text: str, limit: int = 200) -> str:
    r"""Return hostile text made safe for a terminal: escapes for what is not printable, bounded.

    >>> printable("evil\x1b[2J.example")
    'evil\\x1b[2J.example'
    """
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[:limit] + "…"


class CaseError(RemnantError):
    """A case file or an import says something that cannot be watched."""


class CaseChanged(CaseError):
    """The case was stored by somebody else since it was read."""


class FormatError(RemnantError):
    """Input that no reader can use."""


class UnknownFormat(FormatError):
    """No reader recognises the bytes."""


class DamagedInput(FormatError):
    """The container itself (compression, framing) is broken."""


class SettingsError(RemnantError):
    """A setting is unknown or has a bad value."""


class StoreError(RemnantError):
    """The store cannot be read or written."""


class SchemaMismatch(StoreError):
    """A stored file is newer than this version understands."""


class StoreBusy(StoreError):
    """Another process is writing to the store."""


class KeyMismatch(StoreError):
    """The site key is not the one that the store was made with."""


class ReferenceDataError(RemnantError):
    """A prefix table or database cannot be used."""


class NoData(RemnantError):
    """The question has no data to answer it."""


class AccessError(RemnantError):
    """An account, a token or a network of theirs cannot be as asked."""


class ExportError(RemnantError):
    """Zones or a policy for other servers cannot be written as asked."""


class SimulationError(RemnantError):
    """A scenario cannot be made."""
