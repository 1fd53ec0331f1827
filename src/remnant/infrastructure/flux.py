"""Fast flux: names that hand out ever new addresses of many networks.

The score of a name is the least of three numbers from 0 to 1, times a factor for the TTL. *Spread*
compares the logarithm of the number of its ASes with that of its addresses (of which ``MOST_ASES``
count): 1 where each address is in an AS of its own, 0 in a single AS. *Turnover* says that single
addresses go away: it is 0 if the median persistence (the share of the name's time in which an
address was in use, of those that were seen often enough) is ``STAYS`` or more, and 1 if it is none.
*Speed* is the number of new addresses a day, from none (0) to ``FAST`` (1): a name that moves from
server to server now and then is not fast flux. The TTL lowers the score of names whose answers may
be kept for long; an unknown TTL lowers nothing. A name is called flux at ``FLUX`` or more.

Content delivery is told apart by few ASes, or by addresses that stay; a pool of volunteers by
addresses that stay. What cannot be told (few responses, a short time, addresses seen once or twice
only, networks that are not known) is said and not scored.

When it is wrong: content delivery that changes its addresses within days *and* stands in many
access networks looks like flux; flux on a handful of hosts, or in few ASes, does not; a sensor that
sees few lookups cannot tell a large pool from flux. A record in part outside the window counts
whole.

References:
    T. Holz, C. Gorecki, K. Rieck, F. Freiling: Measuring and Detecting Fast-Flux Service Networks.
    NDSS 2008 (``holz``). ICANN SSAC: SAC 025, 2008.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.cases.zones import zone_of
from remnant.infrastructure.flux_spans import HOUR_US, grouped, measured, spans_of, windowed
from remnant.infrastructure.likeness import likeness
from remnant.infrastructure.pivot import AAAA, NS, A
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.enrich.reference import Reference
    from remnant.windows import Window

__all__ = [
    "ADDRESS_COLUMNS",
    "COLUMNS",
    "FAST",
    "FEWEST_ADDRESSES",
    "FLUX",
    "HOLZ_THRESHOLD",
    "MOST_ASES",
    "SHOWN",
    "STAYS",
    "address_features",
    "features",
    "holz",
]

FLUX: Final = 0.5
"""A score from which on a name is called flux."""

MOST_ASES: Final = 64
"""So many addresses or more are expected in so many ASes."""

STAYS: Final = 0.8
"""A median persistence from which on addresses stay."""

FEWEST_ADDRESSES: Final = 10
"""Names with fewer addresses in the window are not called flux."""

FAST: Final = 2.0
"""Addresses a day that were never seen before: so many or more are full speed."""

FEWEST_RESPONSES: Final = 30
"""A name whose address records were seen less often is not judged."""

SHORTEST_H: Final = 12.0
"""A name that was seen for less time (hours) is not judged."""

FEWEST_SETTLED: Final = 8
"""Addresses of a name that must have been seen so often."""

HOLZ_THRESHOLD: Final = 142.38
_HOLZ_ADDRESS: Final = 1.32
_HOLZ_AS: Final = 18.54
_TTLS: Final = ((1800, 1.0), (7200, 0.6))
"""Greatest TTL (seconds) and factor, chosen; above the last: ``_TTL_LONG``."""

_TTL_LONG: Final = 0.2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

COLUMNS: Final = (
    "name", "state", "score", "why", "addresses", "networks", "ases", "countries", "new_a_day",
    "gained_a_day", "persistence", "lifetime_h", "ttl_low", "ttl_high", "servers",
    "server_addresses", "server_ases", "server_persistence", "double_flux", "holz", "dga_like",
    "responses", "first", "last", "sensors", "since", "until",
)  # fmt: skip
"""What a row of ``features`` holds."""

SHOWN: Final = (
    "name", "state", "score", "addresses", "ases", "gained_a_day", "persistence", "ttl_low",
    "double_flux", "dga_like", "why",
)  # fmt: skip
"""Of these, what a table for people shows."""

ADDRESS_COLUMNS: Final = (
    "address", "names", "zones", "flux_names", "asn", "as_name", "country", "responses",
    "lifetime_h", "first", "last", "sensors", "since", "until",
)  # fmt: skip
"""What a row of ``address_features`` holds."""


def holz(addresses: npt.ArrayLike, ases: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the classic linear score: flux above ``HOLZ_THRESHOLD``.

    Its authors count what two lookups, one TTL apart, returned. Over a longer window every large
    content delivery passes the threshold too; it stands here to compare with.
    """
    found: npt.NDArray[np.float64] = _HOLZ_ADDRESS * np.asarray(
        addresses, np.float64
    ) + _HOLZ_AS * np.asarray(ases, np.float64)
    return found


def features(
    answers: pa.Table,
    reference: Reference,
    *,
    window: Window | None = None,
    names: Sequence[str] | None = None,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """Return what the addresses of each name look like, the highest scores first.

    Args:
        answers: passive DNS, columns of ``schema.ANSWERS``; also the records of the name servers.
        reference: tells AS and country.
        window: leaves out records that were not seen in it; ``None``: from the first to the last.
        names: the names to look at; ``None``: all that own address records.
        most: rows at most.

    Returns:
        Rows with the columns COLUMNS. ``state`` is ``flux``, ``not_flux`` or ``cannot_tell`` (its
        score is null), ``why`` says the reason. ``new_a_day`` is the share of a day's addresses
        that were new on it, ``gained_a_day`` how many new ones came a day after the first,
        ``persistence`` from 0 (addresses go at once) to 1 (they stay), ``lifetime_h`` the median
        hours of an address. ``dga_like`` is ``likeness``.
    """
    table, begin, end = windowed(answers, window)
    if table.num_rows == 0:
        return []
    spans, places = spans_of(table, names, reference)
    if not spans.keys:
        return []
    found = measured(spans, places)
    judged = [_judged(found, i) for i in range(len(spans.keys))]
    scores = [-1.0 if score is None else score for _, score, _ in judged]
    order = sorted(
        range(len(judged)),
        key=lambda i: (-scores[i],
                       -int(found["addresses"][i]), spans.keys[i]),
    )[:most]  # fmt: skip
    chosen = [spans.keys[i] for i in order]
    sensors = _sensors(table, "rrname", chosen)
    served = _served(table, chosen, reference)
    like = likeness(chosen)
    rows = []
    for at, i in enumerate(order):
        name = spans.keys[i]
        state, score, why = judged[i]
        servers = served.get(name, {})
        rows.append(
            {
                "name": name,
                "state": state,
                "score": None if score is None else round(score, 3),
                "why": why,
                "addresses": int(found["addresses"][i]),
                "networks": int(found["networks"][i]),
                "ases": int(found["ases"][i]),
                "countries": int(found["countries"][i]),
                "new_a_day": _number(found["new_a_day"][i]),
                "gained_a_day": _number(found["gained_a_day"][i], 2),
                "persistence": _number(found["persistence"][i]),
                "lifetime_h": _number(found["lifetime_h"][i], 1),
                "ttl_low": _known(found["ttl_low"][i]),
                "ttl_high": _known(found["ttl_high"][i]),
                "servers": servers.get("servers"),
                "server_addresses": servers.get("addresses"),
                "server_ases": servers.get("ases"),
                "server_persistence": servers.get("persistence"),
                "double_flux": servers.get("flux"),
                "holz": round(float(holz(found["addresses"][i], found["ases"][i])), 1),
                "dga_like": _number(like[at]),
                "responses": int(found["responses"][i]),
                "first": _time(found["first"][i]),
                "last": _time(found["last"][i]),
                "sensors": sensors.get(name, []),
                "since": _time(begin),
                "until": _time(end),
            }
        )
    return rows


def address_features(
    answers: pa.Table,
    reference: Reference,
    *,
    window: Window | None = None,
    flux_names: Sequence[str] = (),
    most: int | None = None,
) -> list[dict[str, Any]]:
    """Return what leads to each address, those of most flux names and most names first.

    Args:
        answers: as for ``features``.
        reference: tells AS and country.
        window: as for ``features``.
        flux_names: names that ``features`` calls flux; their hosts are infected machines, as a
            rule, and not the operator's servers.
        most: rows at most.

    Returns:
        Rows with the columns ADDRESS_COLUMNS; ``lifetime_h`` is from the first to the last time
        at which any name led there.
    """
    table, begin, end = windowed(answers, window)
    if table.num_rows == 0:
        return []
    spans, places = spans_of(table, None, reference)
    count = len(places.texts)
    names = np.bincount(spans.address, minlength=count)
    fluxed = np.isin(np.array(spans.keys, dtype=object)[spans.key], list(flux_names))
    flux = np.bincount(spans.address[fluxed], minlength=count)
    responses = np.bincount(spans.address, spans.responses, minlength=count)
    first = np.full(count, np.iinfo(np.int64).max)
    last = np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(first, spans.address, spans.first)
    np.maximum.at(last, spans.address, spans.last)
    order = np.lexsort((np.arange(count), -names, -flux))[:most]
    sensors = _sensors(table, "rdata", [str(places.texts[i].as_py()) for i in order.tolist()])
    rows_of = np.argsort(spans.address, kind="stable")
    starts = np.searchsorted(spans.address[rows_of], np.arange(count + 1))
    rows = []
    for i in order.tolist():
        address = str(places.texts[i].as_py())
        owners = spans.key[rows_of[starts[i] : starts[i + 1]]][:_ZONES].tolist()
        facts = {key: places.facts[key][i].as_py() for key in ("asn", "as_name", "country")}
        rows.append(
            {
                "address": address,
                "names": int(names[i]),
                "zones": len({zone_of(spans.keys[owner]) for owner in owners}),
                "flux_names": int(flux[i]),
                **facts,
                "responses": int(responses[i]),
                "lifetime_h": round(float(last[i] - first[i]) / HOUR_US, 1),
                "first": _time(first[i]),
                "last": _time(last[i]),
                "sensors": sensors.get(address, []),
                "since": _time(begin),
                "until": _time(end),
            }
        )
    return rows


_ZONES: Final = 1000
"""Names of an address whose zones are counted, at most."""


def _judged(found: dict[str, npt.NDArray[Any]], i: int) -> tuple[str, float | None, str]:
    """Return state, score and reason of a key."""
    addresses, ases = int(found["addresses"][i]), int(found["ases"][i])
    hours = (found["last"][i] - found["first"][i]) / HOUR_US
    if found["responses"][i] < FEWEST_RESPONSES or hours < SHORTEST_H:
        return "cannot_tell", None, f"{found['responses'][i]:,} responses in {hours:.0f} hours"
    if addresses < FEWEST_ADDRESSES:
        return "not_flux", 0.0, f"{addresses} addresses"
    if 2 * found["placed"][i] < addresses:
        return "cannot_tell", None, "the networks of most addresses are not known"
    if found["settled"][i] < FEWEST_SETTLED:
        return "cannot_tell", None, "too few addresses were seen often enough"
    spread = min(1.0, np.log(max(ases, 1)) / np.log(min(addresses, MOST_ASES)))
    persistence = float(found["persistence"][i])
    turnover = max(0.0, 1.0 - persistence / STAYS)
    ttl = int(found["ttl_high"][i])
    factor = next((by for limit, by in _TTLS if ttl <= limit), _TTL_LONG)
    gained = float(found["gained_a_day"][i])
    score = float(min(spread, turnover, gained / FAST) * factor)
    told = "TTL not known" if ttl < 0 else f"TTL up to {ttl:,} s"
    why = (
        f"{addresses:,} addresses in {ases:,} ASes, {gained:.1f} new ones a day, "
        f"persistence {persistence:.2f}, {told}"
    )
    if score >= FLUX:
        return "flux", score, why
    if spread < FLUX:
        why += ": few ASes, as content delivery has"
    elif turnover < FLUX:
        why += ": addresses stay, as in content delivery or a pool"
    elif gained < FAST:
        why += ": it moves now and then"
    return "not_flux", score, why


def _served(
    table: pa.Table, names: Sequence[str], reference: Reference
) -> dict[str, dict[str, Any]]:
    """Return what the name servers of each name's zone look like."""
    zones = {name: zone_of(name) for name in names}
    wanted = pa.array(sorted({*zones.values(), *names}), pa.string())
    ns = table.filter(pa.array(table["rrtype"].to_numpy() == NS))
    ns = ns.filter(pc.is_in(ns["rrname"], value_set=wanted))
    if ns.num_rows == 0:
        return {}
    pairs = ns.group_by(["rrname", "rdata"]).aggregate([])
    counts: dict[str, int] = {}
    for owner in map(str, pairs["rrname"].to_pylist()):
        counts[owner] = counts.get(owner, 0) + 1
    kinds = table["rrtype"].to_numpy()
    hosts = table.filter(pa.array((kinds == A) | (kinds == AAAA)))
    hosts = hosts.filter(pc.is_in(hosts["rrname"], value_set=pc.unique(pairs["rdata"])))
    renamed = pairs.rename_columns(["zone", "rrname"])
    joined = hosts.drop_columns(["sensor", "source"]).join(renamed, "rrname", join_type="inner")
    places: dict[str, dict[str, Any]] = {}
    if joined.num_rows:
        spans, where = grouped(joined, joined["zone"], reference)
        found = measured(spans, where)
        for i, zone in enumerate(spans.keys):
            state, _, _ = _judged(found, i)
            places[zone] = {
                "addresses": int(found["addresses"][i]),
                "ases": int(found["ases"][i]),
                "persistence": _number(found["persistence"][i]),
                "flux": state == "flux" if state != "cannot_tell" else None,
            }
    by_name = {}
    for name in names:
        zone = name if name in counts else zones[name]
        if zone in counts:
            by_name[name] = {"servers": counts[zone], **places.get(zone, {})}
    return by_name


def _sensors(table: pa.Table, key: str, wanted: Sequence[str]) -> dict[str, list[str]]:
    """Return the sensors that saw each of some names or addresses, sorted."""
    table = table.filter(pc.is_in(table[key], value_set=pa.array(wanted, pa.string())))
    columns: dict[str, Any] = {"key": table[key], "sensor": table["sensor"].cast(pa.string())}
    pairs = pa.table(columns).group_by(["key", "sensor"]).aggregate([]).sort_by("sensor")
    found: dict[str, list[str]] = {}
    for name, sensor in zip(pairs["key"].to_pylist(), pairs["sensor"].to_pylist(), strict=True):
        found.setdefault(str(name), []).append(str(sensor))
    return found


def _time(micro: Any) -> str:  # noqa: ANN401 - NumPy
    return iso(_EPOCH + timedelta(microseconds=int(micro)))


def _number(value: Any, digits: int = 3) -> float | None:  # noqa: ANN401 - NumPy
    return None if np.isnan(value) else round(float(value), digits)


def _known(value: Any) -> int | None:  # noqa: ANN401 - NumPy
    return None if value < 0 else int(value)
