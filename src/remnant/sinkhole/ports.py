"""Lists and ranges of ports, as people write them: ``80,443,8000,10000-12000``."""

from __future__ import annotations

from typing import Final

from remnant.errors import RemnantError

__all__ = ["PortSyntaxError", "parse"]

_HIGHEST: Final = 65_535
_EXPECTED: Final = "ports from 1 to 65535 and ranges of them, such as 80,443,10000-12000"


class PortSyntaxError(RemnantError):
    """A text that is no list of ports."""


def parse(text: str) -> list[int]:
    """Return the ports of a list, ascending, each once.

    Raises:
        PortSyntaxError: a part is no port and no range, or lies outside 1 to 65535.

    >>> parse("443, 80, 8000-8003, 8003")
    [80, 443, 8000, 8001, 8002, 8003]
    """
    ports: set[int] = set()
    for part in text.split(","):
        low, dash, high = (piece.strip() for piece in part.strip().partition("-"))
        first = _port(low, part)
        last = _port(high, part) if dash else first
        if last < first:
            raise PortSyntaxError(
                "a range of ports runs backwards",
                got=part.strip(),
                expected=_EXPECTED,
                hint=f"write {last}-{first}",
            )
        ports.update(range(first, last + 1))
    return sorted(ports)


def _port(text: str, part: str) -> int:
    # isdecimal() alone is true for digits of other scripts.
    if not (text.isascii() and text.isdecimal()):
        raise PortSyntaxError(
            "not a port" if text else "a port is missing",
            got=part.strip() or "nothing between two commas",
            expected=_EXPECTED,
            hint="numbers only: names of services are not looked up",
        )
    digits = text.lstrip("0")
    if not digits or len(digits) > 5 or int(digits) > _HIGHEST:
        raise PortSyntaxError(
            "a port is out of range",
            got=part.strip(),
            expected=_EXPECTED,
            hint="65535 is the highest port of TCP, and nothing can listen on 0",
        )
    return int(digits)
