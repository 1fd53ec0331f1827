r"""Names in addresses: any name, whatever bytes it holds, as one part of a path.

Bytes that mean something in a path, to a proxy or to the endings of twins (``.json``), are written
as the ``\DDD`` escapes of RFC 1035, which name the same byte. Then all is quoted.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from remnant.errors import RemnantError
from remnant.names import NameSyntaxError, fold

__all__ = ["STAR", "name_of", "name_part"]

STAR: Final = "\\042"
"""How the asterisk of a name that was asked for is written, so that it is no rule."""

_PLAIN: Final = re.compile(r"[^a-z0-9._\\*:-]")
_ESCAPED: Final = re.compile(r"\\([.\\])")
_ENDINGS: Final = (".json", ".csv")


def name_part(name: str) -> str:
    r"""Return a folded name (or an address, or a rule) as part of a path; of the root, nothing.

    >>> name_part("a/b.example"), name_part("x.json"), name_part(r"\.\.")
    ('a%5C047b.example', 'x.jso%5C110', '%5C046%5C046')
    """
    if name == ".":
        return ""
    text = _ESCAPED.sub(lambda found: f"\\{ord(found[1]):03d}", name)
    text = _PLAIN.sub(lambda found: "".join(f"\\{b:03d}" for b in found[0].encode()), text)
    if text.endswith(_ENDINGS):
        text = f"{text[:-1]}\\{ord(text[-1]):03d}"
    return quote(text, safe="*:")


def name_of(part: str) -> str:
    r"""Return the name that a path means: folded, ``*.`` before it where a rule is meant.

    Raises:
        RemnantError: it is no name.

    >>> name_of(r"A\047b.example"), name_of("*.Evil.example"), name_of("192.0.2.7")
    ('a/b.example', '*.evil.example', '192.0.2.7')
    """
    below = part.startswith("*.")
    try:
        name = fold(part.removeprefix("*."))
    except (NameSyntaxError, UnicodeError):
        raise RemnantError(
            "this is no name", got=part[:300], expected="a domain name, or *. and one"
        ) from None
    if below:
        return f"*.{name}"
    return STAR + name[1:] if name.startswith("*.") else name
