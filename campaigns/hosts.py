"""Made-up hosts behind changing addresses: sessions, renumberings, beacons, and what is seen.

An event simulation that knows nothing of the estimators: hosts switch on and off, their addresses
change at points in time, beacons leave in a fixed rhythm, and only (address, day, hour) is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from remnant.estimate.recapture import GROUPS, Recaptures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["Botnet", "Seen", "botnets", "tally"]

_CHUNK_CELLS = 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Botnet:
    """One network of infected hosts.

    Attributes:
        hosts: infected at the start.
        days: days that are looked at.
        rate: address changes per household and day.
        change: when addresses change: at random times, every 24 h at the household's own time, or
            whenever a host is switched on (and at random times if it stays on).
        always_on: share of the hosts that are never switched off.
        daily: the share of days on which a part-time host is used is Beta(a, b).
        office: share of the part-time hosts that are off at weekends.
        away: share of the part-time hosts that are off for two weeks.
        household: hosts behind one address.
        pool: addresses of the network; null if none is ever given twice.
        beacon: hours between two beacons of a host that is on, 1/6 to 1.
        cleaned: hazard of being cleaned, per day.
        lost: share of the days without coverage.
    """

    hosts: int = 150
    days: int = 28
    rate: float = 0.3
    change: Literal["random", "period", "reconnect"] = "random"
    always_on: float = 0.3
    daily: tuple[float, float] = (4.0, 1.0)
    office: float = 0.2
    away: float = 0.02
    household: int = 1
    pool: int | None = None
    beacon: float = 0.25
    cleaned: float = 0.0
    lost: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the sensors saw of one botnet, and the truth, which no estimator is given.

    Attributes:
        counts: what an estimator gets.
        addresses: distinct addresses over all days.
        alive: hosts infected, mean over the covered days.
        online: hosts that sent a beacon in an hour, mean over the last seven covered days.
        rate: address changes per household and day that took place.
    """

    counts: Recaptures
    addresses: int
    alive: float
    online: float
    rate: float


def botnets(made: Botnet, rng: np.random.Generator, repeats: int) -> Iterator[Seen]:
    """Yield so many botnets, made in batches that fit the cache."""
    batch = max(1, _CHUNK_CELLS // (made.hosts * made.days))
    for start in range(0, repeats, batch):
        yield from _batch(made, rng, min(batch, repeats - start))


def _batch(made: Botnet, rng: np.random.Generator, repeats: int) -> list[Seen]:
    homes = -(-made.hosts // made.household)
    n = repeats * made.hosts
    number = np.arange(n)
    home = (number // made.hosts) * homes + (number % made.hosts) // made.household
    covered = _covered(made, rng, repeats)
    death = rng.exponential(1 / made.cleaned, n) if made.cleaned else np.full(n, np.inf)
    host, start, stop = _sessions(made, rng, n, death)
    phase = rng.uniform(0, made.beacon, n)
    owner, when = _changes(made, rng, repeats * homes, host, home, start)
    # Where the household's changes lie in time, among all changes of all households.
    horizon = 24.0 * made.days + 1.0
    order = np.argsort(owner * horizon + when, kind="stable")
    timeline = (owner * horizon + when)[order]
    base = home[host] * horizon
    low = np.searchsorted(timeline, base + np.maximum(start, 0.0), side="right")
    high = np.searchsorted(timeline, base + stop, side="left")
    pieces = np.maximum(high - low, 0) + 1
    piece = np.repeat(np.arange(len(host)), pieces)
    nth = np.arange(len(piece)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    at = low[piece] + nth
    edges = np.append(timeline, 0.0)
    own = base[piece]
    since = np.where(nth == 0, start[piece], edges[at - 1] - own)
    until = np.where(nth == pieces[piece] - 1, stop[piece], edges[at] - own)
    # An address is the household's n-th; no two households share one unless the pool is finite.
    address = at + home[host[piece]]
    on = _beacons(since, until, phase[host[piece]], made.beacon)
    shown = _beacons(start, stop, phase[host], made.beacon)
    online = _online(shown, host, made, covered, repeats)
    return _per_repeat(made, rng, repeats, covered, address, host[piece], on, online, death, when)


def _covered(made: Botnet, rng: np.random.Generator, repeats: int) -> Flags:
    """Return bool[repeats, days]; the first and the last day are never lost."""
    flags = rng.random((repeats, made.days)) >= made.lost
    flags[:, [0, -1]] = True
    return flags


def _sessions(
    made: Botnet, rng: np.random.Generator, n: int, death: Floats
) -> tuple[Ints, Floats, Floats]:
    """Return host, start and stop (hours since the first midnight) of pieces inside one day."""
    shape = (n, made.days)
    always = rng.random(n) < made.always_on
    used = rng.random(shape) < rng.beta(*made.daily, n)[:, None]
    weekday = (np.arange(made.days) + 3) % 7
    used &= ~((rng.random(n) < made.office)[:, None] & (weekday >= 5))
    leave = rng.uniform(-14, made.days, n)[:, None]
    gone = (rng.random(n) < made.away)[:, None]
    day = np.arange(made.days)
    used &= ~(gone & (day >= leave) & (day < leave + 14))
    # A habit: about the same time each day, for about as long; most are evening machines.
    begin = rng.normal(16.0, 3.5, n)[:, None] + rng.normal(0, 1.0, shape)
    length = rng.gamma(3.0, 2.0, n)[:, None] * rng.uniform(0.6, 1.4, shape)
    begin = np.clip(begin, 0.0, 23.9)
    end = np.minimum(begin + np.maximum(length, 0.25), begin + 23.0)
    begin = np.where(always[:, None], 0.0, begin)
    end = np.where(always[:, None], 24.0, end)
    used |= always[:, None]
    who, which = np.nonzero(used)
    start, stop = begin[used] + 24.0 * which, end[used] + 24.0 * which
    midnight = 24.0 * (which + 1)
    over = (stop > midnight) & (which + 1 < made.days)
    who = np.concatenate([who, who[over]])
    start = np.concatenate([start, midnight[over]])
    stop = np.concatenate([np.minimum(stop, midnight), stop[over]])
    stop = np.minimum(stop, 24.0 * death[who])
    kept = stop > start
    return who[kept], start[kept], stop[kept]


def _changes(
    made: Botnet,
    rng: np.random.Generator,
    homes: int,
    host: Ints,
    home: Ints,
    start: Floats,
) -> tuple[Ints, Floats]:
    """Return household and time (hours) of every change."""
    if made.change == "period":
        own = rng.uniform(0, 24.0, homes)
        when = (own[:, None] + 24.0 * np.arange(made.days)).ravel()
        return np.repeat(np.arange(homes), made.days), when
    count = rng.poisson(made.rate * made.days, homes)
    owner = np.repeat(np.arange(homes), count)
    when = rng.uniform(0, 24.0 * made.days, len(owner))
    if made.change == "reconnect":
        # Pieces that begin at midnight go on from the day before.
        on = start % 24.0 > 0
        owner = np.concatenate([owner, home[host[on]]])
        when = np.concatenate([when, start[on]])
    return owner, when


def _beacons(
    since: Floats, until: Floats, phase: Floats, period: float
) -> tuple[Floats, Floats, Flags]:
    """Return the first and the last beacon of each piece of a session, and whether it has any."""
    first = np.ceil((since - phase) / period) * period + phase
    last = np.ceil((until - phase) / period) * period + phase - period
    return first, last, last >= first - 1e-9


def _hours(first: Floats, last: Floats) -> Ints:
    """Return the hours from the first to the last beacon of a day as bits."""
    low = np.floor(first).astype(np.int64) % 24
    width = np.floor(last).astype(np.int64) - np.floor(first).astype(np.int64) + 1
    bits: Ints = ((np.int64(1) << width) - 1) << low
    return bits & 0xFFFFFF


def _online(
    shown: tuple[Floats, Floats, Flags], host: Ints, made: Botnet, covered: Flags, repeats: int
) -> Floats:
    first, last, any_ = shown
    key, mask = _merged(
        host[any_] * made.days + (first[any_] // 24).astype(np.int64),
        _hours(first[any_], last[any_]),
    )
    repeat, day = key // made.days // made.hosts, key % made.days
    # The last seven days that were looked at.
    week = covered & (covered[:, ::-1].cumsum(axis=1)[:, ::-1] <= 7)
    total = np.bincount(repeat, np.bitwise_count(mask) * week[repeat, day], minlength=repeats)
    online: Floats = total / (24.0 * week.sum(axis=1))
    return online


def _merged(key: Ints, mask: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(key, kind="stable")
    key, mask = key[order], mask[order]
    heads = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    return key[heads], np.bitwise_or.reduceat(mask, heads)


def _per_repeat(
    made: Botnet,
    rng: np.random.Generator,
    repeats: int,
    covered: Flags,
    address: Ints,
    host: Ints,
    on: tuple[Floats, Floats, Flags],
    online: Floats,
    death: Floats,
    when: Floats,
) -> list[Seen]:
    first, last = on[0][on[2]], on[1][on[2]]
    address, host = address[on[2]], host[on[2]]
    repeat = host // made.hosts
    if made.pool is not None:
        given = rng.integers(0, made.pool, int(address.max()) + 1)
        address = given[address] + repeat * made.pool
    day = (first // 24).astype(np.int64)
    kept = np.flatnonzero(covered[repeat, day])
    kept = kept[np.lexsort((day[kept], address[kept]))]
    address, day, repeat = address[kept], day[kept], repeat[kept]
    first, last = first[kept], last[kept]
    key = address * made.days + day
    heads = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    mask = np.bitwise_or.reduceat(_hours(first, last), heads)
    span = (np.maximum.reduceat(last, heads) - np.minimum.reduceat(first, heads)) / 24.0
    slots = np.rint((last - first) / made.beacon) + 1
    slots = np.add.reduceat(slots, heads)
    address, day, repeat = address[heads], day[heads], repeat[heads]
    counts = tally(address, day, mask, span, slots, repeat, covered)
    clients = [int(part.clients.sum()) for part in counts]
    homes = -(-made.hosts // made.household)
    alive = np.clip(death.reshape(repeats, -1, 1) - np.arange(made.days), 0.0, 1.0).sum(axis=1)
    alive = (alive * covered).sum(axis=1) / covered.sum(axis=1)
    changed = len(when) / (repeats * homes * made.days)
    truth = made.rate if made.change == "random" else changed
    return [
        Seen(part, clients[i], float(alive[i]), float(online[i]), truth)
        for i, part in enumerate(counts)
    ]


def tally(
    client: Ints,
    day: Ints,
    mask: Ints,
    span: Floats,
    slots: Floats,
    repeat: Ints,
    covered: Flags,
) -> list[Recaptures]:
    """Return the counts of each repeat from rows of client and day, sorted by both.

    Args:
        client: numbers of clients, different ones in each repeat.
        day: number of the day.
        mask: hours in which the client was seen, as bits.
        span: time from the first to the last sighting of the day, in days.
        slots: ten-minute slots with a sighting.
        repeat: which repeat the row belongs to.
        covered: bool[repeats, days], days that were looked at.
    """
    repeats, days = covered.shape
    part = client % GROUPS
    cell = repeat * GROUPS + part
    size = repeats * GROUPS

    per_day = cell * days + day
    hourly = np.stack(
        [np.bincount(per_day, (mask >> h) & 1, minlength=size * days) for h in range(24)], axis=-1
    ).reshape(repeats, GROUPS, days, 24)
    daily = np.bincount(per_day, minlength=size * days).astype(np.float64)
    spans = np.bincount(per_day, span, minlength=size * days)
    heads = np.flatnonzero(np.append(True, client[1:] != client[:-1]))
    came = np.bitwise_or.reduceat(np.int64(1) << day, heads).astype(np.int32)
    of = cell[heads]
    pairs = np.zeros((days, size))
    pairs[1:] = _summed(of, size, [came & (came >> k) for k in range(1, days)])
    triples = np.zeros((8, size))
    triples[1:] = _summed(of, size, [came & (came >> i) & (came >> 2 * i) for i in range(1, 8)])
    lags = np.zeros((48, size))
    short = mask.astype(np.int32)
    lags[1:24] += _summed(cell, size, [short & (short >> d) for d in range(1, 24)])
    for rows, days_apart in ((1, 1), (1, 2), (2, 2)):
        met = np.flatnonzero(
            (client[rows:] == client[:-rows]) & (day[rows:] - day[:-rows] == days_apart)
        )
        before, after = mask[met], mask[met + rows]
        shifts = range(-23, 24 if days_apart == 1 else 0)
        bits = [before & (after >> d if d >= 0 else after << -d) for d in shifts]
        first = 24 * days_apart - 23
        lags[first : first + len(bits)] += _summed(cell[met], size, bits)
    pairs, triples, lags = pairs.T, triples.T, lags.T
    clients = np.bincount(of, minlength=size).astype(np.float64)
    slot = np.bincount(cell, slots, minlength=size)
    around = short & (short >> 2)
    between = _summed(cell, size, [around, around & (short >> 1)]).T
    whole = np.repeat(covered[:, :, None], 24, axis=2)
    return [
        Recaptures(
            None,
            None,
            "ipv4",
            whole[r],
            clients.reshape(repeats, GROUPS)[r],
            slot.reshape(repeats, GROUPS)[r],
            hourly[r],
            daily.reshape(repeats, GROUPS, days)[r],
            spans.reshape(repeats, GROUPS, days)[r],
            pairs.reshape(repeats, GROUPS, days)[r],
            triples.reshape(repeats, GROUPS, 8)[r],
            lags.reshape(repeats, GROUPS, 48)[r],
            between.reshape(repeats, GROUPS, 2)[r],
        )
        for r in range(repeats)
    ]


def _summed(cell: Ints, size: int, rows: Sequence[NDArray[np.integer]]) -> Floats:
    """Return the bits set in each row, summed by cell: float64[rows, size]."""
    found = np.zeros((len(rows), size))
    if not len(cell):
        return found
    order = np.argsort(cell, kind="stable")
    heads = np.flatnonzero(np.append(True, np.diff(cell[order]) != 0))
    bits = np.stack([np.bitwise_count(row) for row in rows])[:, order]
    found[:, cell[order][heads]] = np.add.reduceat(bits, heads, axis=1, dtype=np.int32)
    return found
