"""Bots of a domain generation algorithm, from the stored sightings of a case that watches one.

Which names of a day were registered is what their answers said on that day at this vantage. What
could be seen follows from the vantage: a sinkhole sees the names that it owns, an authority all
names below the suffixes that it answered for, a resolver everything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remnant import schema
from remnant.cases import dga
from remnant.cases.rules import generated_days
from remnant.estimate import cached_items as items
from remnant.estimate.barrels import BARRELS, Round, asked, meets
from remnant.estimate.coverage import vantages
from remnant.estimate.dga_population import Bots, Seen, in_bursts, of_unit, over_epochs
from remnant.windows import Window, to_us

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remnant.estimate import Estimate
    from remnant.estimate.barrels import Barrel
    from remnant.estimate.basis import Basis

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["NEGATIVE_TTL", "QUANTITIES", "estimates"]

QUANTITIES: Final[dict[str, str]] = {
    "dga_bots": "bots a day that asked for a generated name which this vantage can see",
    "sinkhole_share": "share of the bots that meet a registered name of the day",
    "dga_bots_whole": "bots a day, those included that asked for no name seen here",
}
"""Every quantity that ``estimates`` returns, in order, for each family of the case."""

NEGATIVE_TTL: Final = 900
"""Seconds for which "no such name" is taken to be kept, where the rows do not say."""

_DAY_S: Final = 86_400
_DAYS: Final = 7
_BURST: Final = 3.0
_KNOWN: Final[dict[str, tuple[Barrel, int]]] = {"newgoz": ("random_cut", 1000)}
_ASSUMED: Final = (
    "each bot has one activation a day (else divide by activations a day)",
    "resolvers keep answers for the TTL, make no answer up from NSEC (RFC 8198), and nothing "
    "before them caches",
    "names that nobody asked for here were not registered; clocks of the bots are right",
)
_BLIND: Final = (
    "names below other suffixes are not seen here: one that is registered there ends rounds early, "
    "so this is a lower bound"
)
_SHARED: Final = "lower bound: bots behind one address (NAT) count once"
_ONCE: Final = (
    "upper bound: each bot is taken to ask once for a registered name; how often it comes back to "
    "it could be seen at the resolver vantage alone"
)


@dataclass(frozen=True, slots=True)
class _Again:
    """How often a bot asks for one registered name on one day.

    Attributes:
        vantage: where it was seen; null where it is taken to be once.
        mean, square: of the lookups of one client for one name, and of their square.
    """

    vantage: str | None
    mean: float
    square: float


@dataclass(frozen=True, slots=True, eq=False)
class _Day:
    """One day of one family: the round, the chances, and which names can be seen here."""

    start: int
    names: list[str]
    made: Round
    visible: Ints

    @property
    def chances(self) -> Floats:
        """P(asked for) of the counted names; float64[counted]."""
        return asked(self.made)[self.counted]

    @property
    def counted(self) -> Ints:
        """The names whose lookups tell the bots: those not registered, if any can be seen.

        A bot asks for these once in an activation; to a registered one it comes back.
        """
        free = np.setdiff1d(self.visible, self.made.registered)
        return free if free.size else self.visible


def estimates(basis: Basis) -> list[Estimate]:
    """Return the quantities of ``QUANTITIES`` for each watched family.

    An empty list where the case watches none, or the vantage sees no DNS.
    """
    families = dict.fromkeys(watch.dga for watch in basis.case.watches if watch.dga is not None)
    if basis.vantage not in {"resolver", *items.HIDDEN}:
        return []
    return [found for family in families for found in _of_family(basis, family)]


def _of_family(basis: Basis, family: str) -> list[Estimate]:
    population = f"bots that ask for the generated names of {family} (vantage {basis.vantage})"

    def refused(why: str, *quantities: str) -> list[Estimate]:
        return [
            basis.refused(quantity, why, unit=_unit(quantity), population=population)
            for quantity in quantities or QUANTITIES
        ]

    barrel, lookups = _barrel(family)
    if barrel is None:
        return refused(f"the order in which bots of {family} ask for their names is not known")
    starts = _complete_days(basis, family)
    if not starts:
        return refused("no complete day on which names of this family were due")
    names = {start: list(dict.fromkeys(_names(family, start))) for start in starts}
    rows = _rows(basis, names)
    days = _days(rows, names, barrel, lookups, basis.vantage)
    total = int(rows.count().to_pyarrow().as_py())
    if not total:
        return refused("nobody asked for a generated name on its day")
    shares = np.array([meets(day.made, day.made.registered) for day in days])
    if basis.vantage == "resolver":
        owned, again = False, _Again(None, 1.0, 1.0)
        bots = whole = _at_resolver(basis, rows, days)
        method = (
            "clients that asked for at least two names of the day, mean over days; clients that "
            "are resolvers: visible lookups / uncached time, by chance of being asked for"
        )
    else:
        if not any(day.visible.size for day in days):
            return refused("no answer says which of the names can be seen here")
        owned = any(np.isin(day.counted, day.made.registered).any() for day in days)
        again = _again(basis, names, rows) if owned else _Again(None, 1.0, 1.0)
        values, variances = _units(basis, rows, days)
        # Lookups in clusters of m: as many bots fewer, and the square mean of m more noise.
        values, variances = values / again.mean, variances * again.square / again.mean**3
        whole = over_epochs(values, variances, level=basis.level)
        reach = np.array([meets(day.made, day.visible) for day in days])
        bots = over_epochs(values * reach, variances * reach**2, level=basis.level)
        method = "visible lookups / uncached time, by chance of being asked for, mean over days"
        if again.vantage is not None:
            method += f"; {again.mean:.1f} lookups of a bot for a name, as seen at {again.vantage}"
    # At a sinkhole no name is denied: what is registered elsewhere is not its business to know.
    blind = basis.vantage == "authority" and any(d.visible.size < d.made.names for d in days)
    guessed = owned and again.vantage is None
    window = Window(
        datetime.fromtimestamp(starts[0], UTC), datetime.fromtimestamp(starts[-1] + _DAY_S, UTC)
    )
    found: list[Estimate] = []
    share = float(shares.mean()) if shares.any() else math.nan
    answers = (bots, Bots(share, 0.0, share, share), whole)
    for quantity, answer in zip(QUANTITIES, answers, strict=True):
        if not math.isfinite(answer.value) and quantity == "sinkhole_share":
            found += refused("no name of these days was registered", quantity)
            continue
        if not math.isfinite(answer.value):
            found += refused("nothing could be seen: no visible name is asked for", quantity)
            continue
        bots_told = quantity != "sinkhole_share"
        low: float | None = answer.low
        high = answer.high if math.isfinite(answer.high) and not (blind and bots_told) else None
        why = _BLIND if blind and bots_told else None
        if guessed and bots_told:
            low, why = None, _ONCE if why is None else f"{why}; {_ONCE}"
        elif bots_told and (basis.vantage == "resolver" or again.vantage is not None):
            # Hosts were told apart by their addresses, here or where the lookups of one were seen.
            one_each = "" if high is None else f"; with one behind each it would be {high:,.0f}"
            high, why = None, _SHARED + one_each
        found.append(
            basis.concluded(
                quantity,
                answer.value,
                (low, high),
                refusal=why,
                window=window,
                unit=_unit(quantity),
                population=population,
                n=total,
                method="exact, from the registered names" if _unit(quantity) == "share" else method,
                assumptions=(
                    f"barrel {barrel}, {days[-1].made.names:,} names a day, at most "
                    f"{days[-1].made.lookups:,} lookups of an activation; last {len(days)} "
                    "complete days",
                    *_ASSUMED,
                ),
            )
        )
    return found


def _unit(quantity: str) -> str:
    return "share" if quantity == "sinkhole_share" else "bots"


def _barrel(family: str) -> tuple[Barrel | None, int | None]:
    """Return the order and the most lookups of an activation, null where not known."""
    made = dga.family(family)
    known = _KNOWN.get(family, (None, None))
    barrel = getattr(made, "barrel", None) or known[0]
    lookups = getattr(made, "lookups", None) or known[1]
    return (barrel, lookups) if barrel in BARRELS else (None, None)


def _names(family: str, start: int) -> list[str]:
    return dga.generate(family, datetime.fromtimestamp(start, UTC).date())


def _complete_days(basis: Basis, family: str) -> list[int]:
    """Return the last complete days on which names are due, as seconds since 1970-01-01 UTC."""
    spans = items.covered_spans(basis)
    since, until = to_us(basis.window.since) // 1_000_000, to_us(basis.window.until) // 1_000_000
    due = {
        day.toordinal() - 719_163
        for watch in basis.case.watches
        if watch.dga == family
        for day in generated_days(watch, basis.window.since, basis.window.until)
    }
    complete = [
        day * _DAY_S
        for day in sorted(due)
        if since <= day * _DAY_S
        and (day + 1) * _DAY_S <= until
        and bool(((spans[:, 0] <= day * _DAY_S) & (spans[:, 1] >= (day + 1) * _DAY_S)).any())
    ]
    return complete[-_DAYS:]


def _rows(basis: Basis, names: dict[int, list[str]]) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the sightings of generated names on their own day, with day and position."""
    import ibis  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415 - heavy

    listed = ibis.memtable(
        pa.table(
            {
                "start": pa.array(np.repeat(list(names), [len(v) for v in names.values()])),
                "name": pa.array([name for made in names.values() for name in made], pa.string()),
                "position": pa.array(np.concatenate([np.arange(len(v)) for v in names.values()])),
            }
        )
    )
    config = basis.case.sinkhole
    default = None if config is None or config.ttl_arms else config.ttl
    seen = basis.accepted()
    seen = seen.filter(seen.qtype.notnull(), ~seen.limited)
    at = items.seconds(seen)
    negative = ibis.ifelse(seen.rcode == 3, NEGATIVE_TTL, default)
    seen = seen.select(
        "client",
        "name",
        "qtype",
        "rcode",
        scope=seen.ecs.fill_null(0),
        at=at,
        start=(at / _DAY_S).floor().cast("int64") * _DAY_S,
        ttl=ibis.coalesce(items.stated_ttl(seen, None), negative),
    )
    return seen.inner_join(listed, ["start", "name"])


def _days(
    rows: Any,  # noqa: ANN401 - ibis is untyped
    names: dict[int, list[str]],
    barrel: Barrel,
    lookups: int | None,
    vantage: str,
) -> list[_Day]:
    """Return the days with the names that were registered, and those that can be seen."""
    addresses = rows.qtype.isin([1, 28])
    table = (
        rows.group_by(["start", "position"])
        .aggregate(
            answered=((rows.rcode == 0) & addresses).fill_null(False).max(),
            denied=(rows.rcode == 3).fill_null(False).max(),
        )
        .to_pyarrow()
    )
    got = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    days = []
    for start, made in names.items():
        here = got["start"] == start
        position = got["position"][here].astype(np.int64)
        answered = position[got["answered"][here].astype(bool)]
        suffixes = np.array([name.rpartition(".")[2] for name in made])
        denied = np.unique(suffixes[position[got["denied"][here].astype(bool)]])
        visible = np.isin(suffixes, denied)
        visible[answered] = True
        if vantage == "resolver":
            visible[:] = True
        most = min(lookups or len(made), len(made))
        days.append(
            _Day(start, made, Round.of(barrel, len(made), most, answered), np.flatnonzero(visible))
        )
    return days


def _again(
    basis: Basis,
    names: dict[int, list[str]],
    rows: Any,  # noqa: ANN401 - ibis is untyped
) -> _Again:
    """Return how often bots come back to a name that answered, from where hosts are seen.

    A bot that found a registered name keeps to it; behind a cache these lookups look like those of
    other bots.
    """
    import ibis  # noqa: PLC0415 - heavy

    if "resolver" not in vantages(basis.view):
        return _Again(None, 1.0, 1.0)
    owned = rows.filter((rows.rcode == 0).fill_null(False)).select("name").distinct()
    hosts = _rows(basis.at("resolver"), names).semi_join(owned, "name")
    hosts = hosts.filter(hosts.qtype == 1)
    item = ["client", "name", "start"]
    before = hosts.at.lag().over(ibis.window(group_by=item, order_by="at"))
    hosts = hosts.mutate(before=before)
    hosts = hosts.filter((hosts.at - hosts.before >= items.RETRY_S).fill_null(True))
    each = hosts.group_by(item).aggregate(n=hosts.count())
    told = each.aggregate(
        pairs=each.count(),
        mean=each.n.cast("float64").mean(),
        square=(each.n * each.n).cast("float64").mean(),
    )
    row = told.to_pyarrow().to_pylist()[0]
    if not row["pairs"]:
        return _Again(None, 1.0, 1.0)
    return _Again("resolver", float(row["mean"]), float(row["square"]))


def _units(
    basis: Basis,
    rows: Any,  # noqa: ANN401 - ibis is untyped
    days: list[_Day],
) -> tuple[Floats, Floats]:
    """Return bots and variance of every resolver and day; float64[resolvers, days] each."""
    import ibis  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415 - heavy

    chances = ibis.memtable(
        pa.table(
            {
                "start": pa.array(
                    np.repeat([d.start for d in days], [d.counted.size for d in days])
                ),
                "position": pa.array(np.concatenate([d.counted for d in days])),
                "chance": pa.array(np.concatenate([d.chances for d in days]), pa.float64()),
            }
        )
    )
    rows = rows.inner_join(chances, ["start", "position"]).filter(ibis._.chance > 0)
    item = ["client", "scope", "name", "qtype", "start"]
    order = ibis.window(group_by=item, order_by="at")
    rows = rows.mutate(before=rows.at.lag().over(order))
    rows = rows.filter((rows.at - rows.before >= items.RETRY_S).fill_null(True))
    end = (rows.start + _DAY_S).cast("float64")
    following = ibis.coalesce(rows.at.lead().over(order), end)
    until = ibis.least(rows.at + rows.ttl.fill_null(0), following, end)
    rows = rows.mutate(
        until=until,
        first=((rows.at - rows.start) / 3600).floor().cast("int64"),
        last=((until - rows.start) / 3600).floor().cast("int64").clip(upper=23),
    )
    rows = rows.mutate(step=ibis.range(0, rows.last - rows.first + 1).unnest())
    hour = rows.first + rows.step
    low = ibis.greatest(rows.at, (rows.start + hour * 3600).cast("float64"))
    high = ibis.least(rows.until, (rows.start + (hour + 1) * 3600).cast("float64"))
    # One type of each name stands for the lookup: a bot that asks for A and AAAA asks once.
    rows = rows.mutate(
        hour=hour,
        shown=(rows.step == 0).cast("int64"),
        held=rows.chance * ibis.greatest(high - low, 0.0),
    )
    sums = rows.group_by(["client", "scope", "qtype", "start", "hour"]).aggregate(
        shown=rows.shown.sum(), held=rows.held.sum()
    )
    kinds = sums.group_by("qtype").aggregate(n=sums.shown.sum()).to_pyarrow().to_pylist()
    if not kinds:
        return np.zeros((0, len(days))), np.zeros((0, len(days)))
    usual = max(kinds, key=lambda row: (row["n"], -row["qtype"]))["qtype"]
    sums = sums.filter(sums.qtype == usual)
    rank = ibis.dense_rank().over(ibis.window(order_by=["client", "scope"]))
    table = sums.select("start", "hour", "shown", "held", resolver=rank).to_pyarrow()
    got = {name: table[name].to_numpy() for name in table.column_names}
    place = {day.start: number for number, day in enumerate(days)}
    day = np.array([place[int(start)] for start in got["start"]], dtype=np.int64)
    size = int(got["resolver"].max()) + 1
    shown, held = np.zeros((size, len(days), 24)), np.zeros((size, len(days), 24))
    where = (got["resolver"].astype(np.int64), day, got["hour"].astype(np.int64))
    np.add.at(shown, where, got["shown"])
    np.add.at(held, where, got["held"])
    full = np.array([one.chances.sum() for one in days])
    return _bots(shown, held, full, days, basis.level)


def _bots(
    shown: Floats, held: Floats, full: Floats, days: list[_Day], level: float
) -> tuple[Floats, Floats]:
    """Return bots and variance from lookups and cached chances by resolver, day and hour."""
    exposed = np.maximum(full[None, :, None] * 3600.0 - held, 0.0)
    rates = shown.sum((0, 1)) / np.maximum(exposed.sum((0, 1)), 1e-9)
    bursts = shown.sum() > 100 and rates.max() > _BURST * rates.mean()
    values, variances = np.zeros(shown.shape[:2]), np.zeros(shown.shape[:2])
    for r, d in np.ndindex(values.shape):
        hourly = [
            Seen(float(v), float(x), float(full[d]) * 3600.0)
            for v, x in zip(shown[r, d], exposed[r, d], strict=True)
        ]
        if bursts:
            found = in_bursts(hourly, days[d].made, float(_DAY_S), level=level)
        else:
            day = Seen(
                float(shown[r, d].sum()), float(exposed[r, d].sum()), float(full[d]) * _DAY_S
            )
            found = of_unit(day, days[d].made, float(_DAY_S), level=level)
        values[r, d], variances[r, d] = found.value, found.variance
    return values, variances


def _at_resolver(basis: Basis, rows: Any, days: list[_Day]) -> Bots:  # noqa: ANN401
    """Return hosts that asked for two names of a day, and the bots behind clients that resolve."""
    clients = basis.view.table(schema.CLIENTS)
    roles = clients.filter(clients.role.isin(["resolver", "public_resolver"]))
    roles = roles.select("client").distinct()
    hosts = rows.anti_join(roles, "client")
    per_client = hosts.group_by(["start", "client"]).aggregate(names=hosts.position.nunique())
    per_client = per_client.filter(per_client.names >= 2)
    table = per_client.group_by("start").aggregate(n=per_client.count()).to_pyarrow().to_pylist()
    counted = {row["start"]: row["n"] for row in table}
    seen = np.array([[float(counted.get(day.start, 0)) for day in days]])
    values, variances = _units(basis, rows.semi_join(roles, "client"), days)
    return over_epochs(
        np.vstack([seen, values]), np.vstack([np.zeros_like(seen), variances]), level=basis.level
    )
