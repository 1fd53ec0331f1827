"""Whom to tell of clients: what imported registration data say, as for servers.

Nothing is looked up: where nothing was imported that covers a prefix, it is not known.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from remnant.errors import printable

if TYPE_CHECKING:
    from remnant.infrastructure.registrations import Registrations
    from remnant.infrastructure.whom import Ask
    from remnant.settings import Settings

__all__ = ["FIELDS", "told_about"]

_KEPT: Final[OrderedDict[tuple[str, str, bool, str | None], Registrations]] = OrderedDict()
_LOCK: Final = threading.Lock()
_MOST: Final = 4
_LONGEST: Final = 199


FIELDS: Final = ("contact", "contact_name", "contact_source", "contact_as_of")
"""Fields of a row that say whom to tell, the last ones of it, so that columns stay where they were.

``contact`` is a mail address, else a phone number; null where no imported record says one.
``contact_name`` is the network's name there, ``contact_source`` the record (a range of addresses,
or an AS), ``contact_as_of`` its time (UTC).
"""

Row = TypeVar("Row", bound=BaseModel)


def told_about(
    settings: Settings,
    case: str,
    rows: Sequence[Row],
    *,
    by: str | None = None,
    asn: int | None = None,
) -> list[Row]:
    """Return rows with whom to tell of each.

    Args:
        settings: of the home folder.
        case: the case that the rows belong to.
        rows: those that the viewer may see: who sees them may tell of them.
        by: field with the address or prefix; ``None``: rows are of whole ASes (``asn``).
        asn: the AS of all rows, where they do not say it.
    """
    from remnant.infrastructure.whom import networks, systems
    from remnant.store import Store

    if not rows:
        return []
    with Store.open(settings) as store, _LOCK:
        known = _registrations(store, settings, case)
        numbers = [asn if asn is not None else getattr(row, "asn", None) for row in rows]
        asks: dict[Any, Ask]
        keys: list[Any]
        if by is None:
            keys = numbers
            asks = {**systems(known, {n for n in numbers if n is not None})}
        else:
            keys = [getattr(row, by) for row in rows]
            places = [key for key in dict.fromkeys(keys) if key]
            of = {k: n for k, n in zip(keys, numbers, strict=True) if k and n is not None}
            asks = {**networks(known, places, of)}
    return [
        row.model_copy(update=_fields(asks[key])) if key in asks else row
        for row, key in zip(rows, keys, strict=True)
    ]


def _registrations(store: Any, settings: Settings, case: str) -> Registrations:
    """Return what is known, read once as long as nothing is imported."""
    from remnant.infrastructure.registrations import Registrations

    with store.ledger.reading() as connection:
        simulated = bool(store.ledger.simulated(connection, case))
    key = (settings.database_url, case, simulated, store.ledger.fact("observed"))
    found = _KEPT.get(key)
    if found is None:
        found = Registrations(store, case, simulated=simulated)
        found.read()
        for old in [k for k in _KEPT if k[:2] == key[:2]]:
            del _KEPT[old]
        _KEPT[key] = found
    _KEPT.move_to_end(key)
    while len(_KEPT) > _MOST:
        _KEPT.popitem(last=False)
    return found


def _fields(ask: Ask) -> dict[str, str | None]:
    """Return the fields of a row; words of strangers are bounded and have no control signs."""
    told = (ask.contact, ask.name, ask.record, ask.as_of)
    return {
        name: printable(text, _LONGEST) if text else None
        for name, text in zip(FIELDS, told, strict=True)
    }
