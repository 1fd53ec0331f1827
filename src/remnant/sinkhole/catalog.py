"""A catalog zone: the list of all zones, as a zone that secondary servers follow.

References:
    RFC 9432 (catalog zones, version 2).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from remnant.names import text_to_wire
from remnant.sinkhole.zonefile import ZoneText, absolute

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["catalog_text"]

_REFRESH: Final = 3600
_RETRY: Final = 600
_EXPIRE: Final = 2_147_483_646
_MINIMUM: Final = 300


def catalog_text(zones: Iterable[str]) -> ZoneText:
    """Return the master file of a catalog of some zones, given as folded names.

    The label of a member follows from its name alone, so that a secondary never takes a member
    for a new one and drops what it knows of it.
    """
    head = '@ 0 IN NS invalid.\nversion 0 IN TXT "2"\n'
    labels = sorted((_label(zone), absolute(zone)) for zone in zones)
    members = "".join(f"{label}.zones 0 IN PTR {name}\n" for label, name in labels)
    return ZoneText(
        "@ 0 IN SOA invalid. invalid. ",
        f" {_REFRESH} {_RETRY} {_EXPIRE} {_MINIMUM}\n{head}{members}",
    )


def _label(zone: str) -> str:
    return hashlib.blake2b(text_to_wire(zone), digest_size=16).hexdigest()
