"""That a name does not exist, by the response codes that were observed.

NXDOMAIN says that a name is not there: it expired, was suspended, was never registered, or its zone
does not have it. Which of these, only registration data say. A day counts if every response of the
day that a sensor saw said so.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.infrastructure.registrations import visible_to
from remnant.infrastructure.states import Evidence
from remnant.schema import SIGHTINGS
from remnant.store.observations import Observations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.store import Store, View

__all__ = ["ANSWER", "MOST_RUNS", "NXDOMAIN", "observed", "resolved"]

ANSWER: Final = "answer"
"""The kind of a fact that says what a resolver answered."""

NXDOMAIN: Final = 3
"""The response code (RFC 1035 section 4.1.1, name error)."""

MOST_RUNS: Final = 200_000
"""Runs of days that are returned, those seen last."""

_VANTAGES: Final = ("resolver", "authority")
_DAY_S: Final = 86_400


def observed(view: View, names: Sequence[str]) -> dict[str, list[Evidence]]:
    """Return on which runs of days names did not exist, from the sightings of a case.

    Args:
        view: the case.
        names: folded names.
    """
    if not names or not view.has(SIGHTINGS):
        return {}
    import ibis  # noqa: PLC0415 - heavy

    table = view.table(SIGHTINGS)
    table = table.filter(table.vantage.isin(_VANTAGES), table.rcode.isin([0, NXDOMAIN]))
    wanted = ibis.memtable(pa.table({"name": pa.array(list(names), pa.string())}))
    table = table.semi_join(wanted, "name")
    table = table.mutate(day=table.time.epoch_seconds() // _DAY_S)
    found = table.group_by("name", "sensor", "day").aggregate(
        first=table.time.min(),
        last=table.time.max(),
        most=table.rcode.max(),
        least=table.rcode.min(),
        source=table.source.min(),
    )
    found = found.filter(found.least == NXDOMAIN).order_by("name", "sensor", "day")
    return _runs(found.to_pyarrow())


def _runs(days: pa.Table) -> dict[str, list[Evidence]]:
    """Return unbroken runs of days as evidence."""
    if not days.num_rows:
        return {}
    day = days["day"].to_numpy()
    name, sensor = (
        days[column].combine_chunks().dictionary_encode().indices.to_numpy()
        for column in ("name", "sensor")
    )
    new = (name[1:] != name[:-1]) | (sensor[1:] != sensor[:-1]) | (day[1:] - day[:-1] > 1)
    starts = np.flatnonzero(np.append(True, new))
    ends = np.append(starts[1:], days.num_rows) - 1
    if len(starts) > MOST_RUNS:
        chosen = np.sort(np.argsort(day[ends], kind="stable")[-MOST_RUNS:])
        starts, ends = starts[chosen], ends[chosen]
    first = days.take(starts)
    last = days.take(ends)
    found: dict[str, list[Evidence]] = defaultdict(list)
    columns: list[list[Any]] = [
        first["name"].to_pylist(),
        first["first"].to_pylist(),
        last["last"].to_pylist(),
        first["sensor"].to_pylist(),
        first["source"].to_pylist(),
    ]
    for owner, since, until, who, source in zip(*columns, strict=True):
        found[owner].append(
            Evidence(
                since.astimezone(UTC),
                until.astimezone(UTC),
                "absent",
                "NXDOMAIN",
                sensors=(who,),
                sources=(source,),
                by="response",
            )
        )
    return dict(found)


def resolved(
    store: Store, view: View, names: Sequence[str], until: datetime | None = None
) -> dict[str, list[Evidence]]:
    """Return when a resolver that was asked said that names do not exist, or lead nowhere.

    Args:
        store: the store.
        view: the case, which sees its own facts, and those of no case unless it is simulated.
        names: folded names.
        until: what was said at it or later is not seen.
    """
    found: dict[str, list[Evidence]] = defaultdict(list)
    cases = visible_to(view.case, simulated=view.simulated)
    for one in Observations(store.ledger).of(ANSWER, cases, list(names)):
        if until is not None and one.observed >= until:
            continue
        said = json.loads(one.body)
        if said["rcode"] == "NXDOMAIN":
            what = "NXDOMAIN"
        elif said["rcode"] == "NOERROR" and not said["addresses"]:
            what = "no address"
        else:
            continue
        found[one.key].append(
            Evidence(
                one.observed,
                one.observed,
                "absent",
                f"{what} from {said['resolver']}",
                sensors=("resolve",),
                by="response",
            )
        )
    return dict(found)
