"""Pages of long lists: where one ends, the next begins, whatever was added in between.

A page is asked for by the key of the row before it (its *cursor*), never by a number of rows to
pass over: so each row comes exactly once, and the thousandth page costs what the first one does.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

from remnant.errors import RemnantError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MOST_CURSOR", "read_cursor", "write_cursor"]

MOST_CURSOR: Final = 3000
"""Characters of the longest cursor: a name may have 255 bytes, four characters each."""


def write_cursor(key: Sequence[str | int | None]) -> str:
    """Return the key of a row as a word that may stand in an address.

    >>> write_cursor([3, "a.example"])
    'WzMsImEuZXhhbXBsZSJd'
    """
    text = json.dumps(list(key), ensure_ascii=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str, kinds: Sequence[type | tuple[type, ...]]) -> list[Any]:
    """Return the key that a cursor holds.

    Args:
        text: what ``write_cursor`` returned; it comes from an address, so anything may stand there.
        kinds: what each part must be.

    Raises:
        RemnantError: it is no cursor of such keys.

    >>> read_cursor("WzMsImEuZXhhbXBsZSJd", [int, str])
    [3, 'a.example']
    """
    found = _decoded(text)
    if not isinstance(found, list) or len(found) != len(kinds) or not all(map(_fits, found, kinds)):
        raise RemnantError(
            "this is no place in the list",
            got=text[:80],
            expected="what a page of the list said",
            hint="begin with the first page",
        )
    return found


def _decoded(text: str) -> Any:
    """Return what a cursor holds, ``None`` where it holds nothing that can be read."""
    if len(text) > MOST_CURSOR:
        return None
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return json.loads(data)
    except (ValueError, binascii.Error, RecursionError):
        return None


def _fits(value: Any, kind: type | tuple[type, ...]) -> bool:
    if not isinstance(value, kind) or isinstance(value, bool):
        return False
    if isinstance(value, str):
        # Half of a surrogate pair is no text.
        return not any("\ud800" <= char <= "\udfff" for char in value)
    return not isinstance(value, int) or abs(value) < 1 << 63
