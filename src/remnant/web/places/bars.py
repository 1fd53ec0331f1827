"""How long the bars of a table are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.web.places.rows import PlaceRow

__all__ = ["widths"]


def widths(rows: Sequence[PlaceRow], scale: str, everything: Sequence[PlaceRow]) -> list[float]:
    """Return the length of each row's bar, 0 to 100: clients a day, of the largest of all.

    The logarithmic scale is that of one more client: log(1 + n), so that none has no length.
    """
    top = max((row.clients_a_day or 0.0 for row in everything), default=0.0)
    if scale == "log":
        whole = math.log1p(top)
        return [
            round(100 * math.log1p(row.clients_a_day or 0.0) / whole, 1) if whole else 0.0
            for row in rows
        ]
    return [round(100 * (row.clients_a_day or 0.0) / top, 1) if top else 0.0 for row in rows]
