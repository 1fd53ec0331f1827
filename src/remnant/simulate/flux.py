"""Names that change their addresses, and names that only look so: observations of their lookups.

A *slot* is a place in the set of addresses that a name hands out; its host is replaced after the
slot's own lifetime. An answer holds some of the slots, chosen at random.

Published: Kelihos used a TTL of zero and hundreds of A records, 3,407 addresses in some hours of
9 August 2013 (eCrime 2013; a list of that day). GameOver Zeus used TTLs of some minutes and name
servers on infected hosts ("double flux"). All other numbers are chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from remnant.schema import ANSWERS, TIME
from remnant.simulate.address_space import address_texts
from remnant.simulate.observed_records import NS, A

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["STYLES", "Lookups", "Style", "lookups", "observations", "style_of"]

_HOUR_US: Final = 3_600_000_000
_DAY_H: Final = 24.0


@dataclass(frozen=True, slots=True)
class Style:
    """How a name hands its addresses out.

    Attributes:
        name: what it is called in the truth.
        flux: whether it is fast flux.
        slots: addresses at a time.
        answer: addresses of one answer.
        lifetime_h: mean hours until a slot has another host.
        ttl: seconds.
        ases: ASes from which its hosts are; 0: from wherever the pool's hosts are.
        servers: name servers that are such hosts themselves (double flux); 0: none.
    """

    name: str
    flux: bool
    slots: int
    answer: int
    lifetime_h: float
    ttl: int
    ases: int = 0
    servers: int = 0


_STABLE_H: Final = 24.0 * 200

STYLES: Final = {
    style.name: style
    for style in (
        Style("kelihos", True, 300, 10, 3.0, 0),
        Style("zbot", True, 40, 8, 12.0, 180, servers=5),
        Style("slow_flux", True, 12, 3, 48.0, 600),
        Style("cdn", False, 80, 4, _STABLE_H, 60, ases=2),
        Style("wide_cdn", False, 150, 4, _STABLE_H, 30, ases=25),
        Style("rotating_cdn", False, 60, 4, 24.0, 60, ases=3),
        Style("rotating_wide_cdn", False, 60, 4, 24.0, 60, ases=25),
        Style("narrow_flux", True, 40, 8, 12.0, 180, ases=3),
        Style("volunteer_pool", False, 800, 4, _STABLE_H, 130),
        Style("dynamic_dns", False, 1, 1, 24.0, 60, ases=1),
        Style("round_robin", False, 4, 4, _STABLE_H, 300, ases=1),
    )
}
"""Two kinds of fast flux as they were published, a slower one, one within three ASes, and innocent
names that change addresses or have many: content delivery in few networks, in caches at many access
networks, with new addresses each day, and the last two at once; a pool of volunteers (as for time
servers); a host at home; a site with four servers."""


class Lookups(NamedTuple):
    """Addresses that lookups of one name were answered with, a row per address and lookup.

    Attributes:
        hour: time of the lookup, hours from the start.
        address: IPv4 address.
    """

    hour: npt.NDArray[np.float64]
    address: npt.NDArray[np.int64]


def style_of(name: str, random: np.random.Generator) -> Style:
    """Return a style with sizes and lifetime drawn around those of ``STYLES``: 0.5 to 2 times."""
    style = STYLES[name]
    if style.slots == 1:
        return style
    by = np.exp2(random.uniform(-1.0, 1.0, 3))
    slots = max(style.answer, round(style.slots * by[0]))
    ases = style.ases and max(1, round(style.ases * by[2]))
    return replace(style, slots=slots, lifetime_h=style.lifetime_h * by[1], ases=ases)


def lookups(
    style: Style,
    pool: npt.NDArray[np.int64],
    asn: npt.NDArray[np.int64],
    *,
    hours: float,
    a_day: float,
    random: np.random.Generator,
) -> Lookups:
    """Return what the lookups of one name saw.

    Args:
        style: how it hands addresses out.
        pool: addresses that its hosts can have.
        asn: of each of them.
        hours: length of the time.
        a_day: mean lookups a day.
        random: draws everything.
    """
    if style.ases:
        kept = random.choice(np.unique(asn), min(style.ases, np.unique(asn).size), replace=False)
        pool = pool[np.isin(asn, kept)]
    hour = np.sort(random.uniform(0.0, hours, random.poisson(a_day * hours / _DAY_H)))
    slots, answer = style.slots, min(style.answer, style.slots)
    # An answer holds slots next to each other of a random order: no two are the same.
    first = random.integers(0, slots, hour.size)
    slot = (first[:, None] + np.arange(answer)) % slots
    life = style.lifetime_h * np.clip(random.exponential(1.0, slots), 0.1, 4.0)
    phase = random.uniform(0.0, 1.0, slots)
    turn = np.floor(hour[:, None] / life[slot] + phase[slot]).astype(np.int64)
    most = int(turn.max(initial=0)) + 1
    _, which = np.unique((slot * most + turn).reshape(-1), return_inverse=True)
    hosts = int(which.max(initial=-1)) + 1
    chosen = random.choice(pool, hosts, replace=hosts > pool.size)
    return Lookups(np.repeat(hour, answer), chosen[which])


def observations(
    name: str,
    seen: Lookups,
    *,
    start_us: int,
    ttl: int,
    sensors: Sequence[tuple[str, float]],
    source: str,
    random: np.random.Generator,
    servers: Sequence[str] = (),
    step_h: float = _DAY_H,
) -> pa.Table:
    """Return the lookups as passive DNS, a row per address, sensor and step: ``schema.ANSWERS``.

    Args:
        name: the owner.
        seen: what its lookups saw.
        start_us: hour 0 (UTC microseconds).
        ttl: of the records (seconds).
        sensors: name of each sensor and the share of lookups that it sees.
        source: ledger id.
        random: draws who sees what.
        servers: its name servers, seen once each step.
        step_h: hours after which a sensor writes its records out.
    """
    parts = []
    for sensor, share in sensors:
        here = random.random(seen.hour.size) < share
        hour, address = seen.hour[here], seen.address[here]
        step = np.floor(hour / step_h).astype(np.int64)
        order = np.lexsort((hour, address, step))
        hour, address, step = hour[order], address[order], step[order]
        new = np.ones(hour.size, np.bool_)
        new[1:] = (address[1:] != address[:-1]) | (step[1:] != step[:-1])
        begin = np.flatnonzero(new)
        end = np.append(begin[1:], hour.size) - 1
        count = end - begin + 1 if begin.size else np.zeros(0, np.int64)
        last = hour[end] if begin.size else hour
        parts.append(
            _rows(name, A, address_texts(address[begin]), hour[begin], last, count, ttl, sensor)
        )
        if servers:
            steps = np.unique(step)
            for server in servers:
                data = pa.array([server] * steps.size, pa.string())
                at = (steps + 0.5) * step_h
                ones = np.ones(steps.size, np.int64)
                parts.append(_rows(name, NS, data, at, at, ones, ttl, sensor))
    return _table(parts, start_us, source)


def _rows(
    name: str,
    rrtype: int,
    data: Any,  # noqa: ANN401 - Arrow
    first: npt.NDArray[Any],
    last: npt.NDArray[Any],
    count: npt.NDArray[np.int64],
    ttl: int,
    sensor: str,
) -> pa.Table:
    size = len(data)
    return pa.table(
        {
            "rrname": pa.array([name] * size, pa.string()),
            "rrtype": pa.array(np.full(size, rrtype, np.uint16)),
            "rdata": data,
            "first": pa.array(first),
            "last": pa.array(last),
            "count": pa.array(count.astype(np.int64)),
            "ttl": pa.array(np.full(size, ttl, np.int64)),
            "sensor": pa.array([sensor] * size, pa.string()),
        }
    )


def _table(parts: list[pa.Table], start_us: int, source: str) -> pa.Table:
    rows = pa.concat_tables(parts)

    def times(column: str) -> Any:  # noqa: ANN401 - Arrow
        return pa.array(start_us + (rows[column].to_numpy() * _HOUR_US).astype(np.int64)).cast(TIME)

    columns = {
        "rrname": rows["rrname"],
        "rrtype": rows["rrtype"],
        "rdata": rows["rdata"],
        "time_first": times("first"),
        "time_last": times("last"),
        "count": rows["count"],
        "sensor": rows["sensor"].dictionary_encode(),
        "source": pa.array([source] * rows.num_rows, pa.string()).dictionary_encode(),
        "ttl_low": rows["ttl"],
        "ttl_high": rows["ttl"],
    }
    return pa.table({name: columns[name] for name in ANSWERS.names}).cast(ANSWERS.arrow)
