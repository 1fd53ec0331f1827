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
    try:
        if len(text) > MOST_CURSOR:
            raise ValueError
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = json.loads(data)
        if not isinstance(found, list) or len(found) != len(kinds):
            raise ValueError
        for value, kind in zip(found, kinds, strict=True):
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError
            if isinstance(value, int) and abs(value) >= 1 << 63:
                raise ValueError
            if isinstance(value, str):
                value.encode()  # a lone surrogate is no text
    except (ValueError, binascii.Error, RecursionError):
        raise RemnantError(
            "this is no place in the list",
            got=text[:80],
            expected="what a page of the list said",
            hint="begin with the first page",
        ) from None
    return found
