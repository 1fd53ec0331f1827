"""What networks are called: kept beside the views, because the names outlive a change of store."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from remnant import schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remnant.store import View

__all__ = ["AsNames", "as_names"]

_KEPT_S: Final = 600.0
_MOST_CASES: Final = 64


class AsNames:
    """Names of the networks of cases. Safe to use from many threads.

    A name is asked for once in ten minutes, not once for each state of the store: clients come in
    all the time, new networks seldom.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, dict[int, str | None]]] = {}

    def of(self, view: View, asns: Iterable[int], where: str) -> dict[int, str | None]:
        """Return the name of each of these networks; null where the reference data has none.

        Args:
            view: the case.
            asns: the numbers.
            where: the home of the store.
        """
        wanted = set(asns)
        key = f"{where}\0{view.case}"
        now = time.monotonic()
        with self._lock:
            made, known = self._known.get(key, (now, {}))
            if now - made > _KEPT_S:
                made, known = now, {}
            missing = wanted - known.keys()
            if missing:
                found = _read(view, missing)
                known = known | {asn: found.get(asn) for asn in missing}
                while len(self._known) >= _MOST_CASES and key not in self._known:
                    del self._known[next(iter(self._known))]
                self._known[key] = (made, known)
            return known


as_names: Final = AsNames()
"""The names of this process."""


def _read(view: View, asns: set[int]) -> dict[int, str | None]:
    table = view.table(schema.CLIENTS)
    named = table.filter(table.as_name.notnull())
    if len(asns) < 50:
        named = named.filter(named.asn.isin(sorted(asns)))
    rows = named.group_by("asn").aggregate(as_name=named.as_name.max()).to_pyarrow().to_pylist()
    return {row["asn"]: row["as_name"] for row in rows}
