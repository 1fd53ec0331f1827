"""Whole simulated botnets: one run, what is estimated from its sightings, and its hidden truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.compute as pc

from campaigns.memory import MemoryView
from remnant import simulate
from remnant.cases.casefile import loads
from remnant.estimate.basis import Basis
from remnant.estimate.online import day_start, series
from remnant.schema import CLIENTS, COVERAGE, SIGHTINGS
from remnant.settings import Settings
from remnant.simulate.papers import case_text
from remnant.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from remnant.estimate import Estimate
    from remnant.simulate.scenario import Scenario
    from remnant.simulate.sightings import Observed

    Flags = NDArray[np.bool_]

__all__ = ["PARTS", "Told", "run"]

_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """One estimate beside its truth.

    Attributes:
        truth: what was really there.
        value, low, high: the estimate; NaN where it was refused, infinite for no finite limit.
        baseline: what would be published without it; NaN for nothing.
    """

    truth: float
    value: float
    low: float = np.nan
    high: float = np.nan
    baseline: float = np.nan


@dataclass(frozen=True, slots=True)
class _Run:
    made: Observed
    basis: Basis

    @property
    def view(self) -> Any:  # an ibis view, untyped
        return self.basis.view


def run(scenario: Scenario, scale: float, seed: int, parts: Sequence[str]) -> dict[str, Told]:
    """Simulate a botnet, estimate from what was seen, and return each quantity with its truth.

    The estimators are given sightings, clients, coverage and the case file; never the truth.

    Args:
        scenario: the botnet.
        scale: relative to the real one.
        seed: of the simulation.
        parts: names of ``PARTS``.
    """
    made = simulate.observed(scenario, scale=scale, seed=seed)
    wanted = sorted({vantage for part in parts for vantage in PARTS[part][0]})
    tables = {
        SIGHTINGS.name: _of(made.sightings, wanted),
        COVERAGE.name: _of(made.coverage, wanted),
        CLIENTS.name: made.clients,
    }
    view: Any = MemoryView("simulated", tables)
    case = loads(case_text(scenario, scale, seed), "simulated")
    window = Window(scenario.takedown, scenario.until)
    basis = Basis(view, case, Settings(), window, wanted[0])
    found: dict[str, Told] = {}
    try:
        for part in parts:
            vantages, measured = PARTS[part]
            found |= measured(_Run(made, basis.at(vantages[0])))
    finally:
        view.close()
    return found


def _of(rows: pa.Table, vantages: Sequence[str]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    words: Any = pa.array(vantages)
    return rows.filter(pc.is_in(rows["vantage"].cast(pa.string()), value_set=words))


def _estimates(module: str, basis: Basis) -> dict[str, Estimate]:
    made = import_module(f"remnant.estimate.{module}").estimates(basis)
    return {estimate.quantity: estimate for estimate in made}


def _beside(truth: float, estimate: Estimate, baseline: float = np.nan) -> Told:
    if estimate.value is None:
        return Told(truth, np.nan, np.nan, np.nan, baseline)
    low = -np.inf if estimate.low is None else estimate.low
    high = np.inf if estimate.high is None else estimate.high
    return Told(truth, estimate.value, low, high, baseline)


def _hosts(run: _Run) -> dict[str, Told]:
    made = _estimates("population", run.basis)
    return (
        _noise(run)
        | _online(run, made["infected_online"])
        | _alive(run, made["infected_population"])
        | _churn(run)
        | _decay(run)
    )


def _only_online(run: _Run) -> dict[str, Told]:
    return _online(run, _estimates("population", run.basis)["infected_online"])


def _online(run: _Run, estimate: Estimate) -> dict[str, Told]:
    truth = _mean(run, "activity", "hour", "beacon_bots", estimate)
    return {f"infected_online, {_place(run)}": _beside(truth, estimate)}


def _alive(run: _Run, estimate: Estimate) -> dict[str, Told]:
    truth = _mean(run, "activity_days", "day", "alive_bots", estimate)
    rows = run.view.table(SIGHTINGS)
    inside = (rows.time >= estimate.since) & (rows.time < estimate.until)
    seen = rows.filter(inside, rows.vantage == run.basis.vantage).client.nunique().to_pyarrow()
    return {"infected_population": _beside(truth, estimate, float(seen.as_py()))}


def _churn(run: _Run) -> dict[str, Told]:
    """The truth: the rates that the networks were given, weighted by the hosts that asked."""
    estimate = _estimates("churn", run.basis)["churn_rate"]
    networks = run.made.truth["churn"]
    rate = dict(
        zip(networks["asn"].to_pylist(), networks["changes_a_day"].to_pylist(), strict=True)
    )
    rows = run.made.truth["activity_networks"]
    kept = _inside(rows, "day", estimate) & _behind(rows, run)
    rates = np.array([rate[asn] for asn in rows["asn"].to_pylist()])[kept]
    weights = _column(rows, "beacon_bots")[kept]
    return {"churn_rate": _beside(float(np.average(rates, weights=weights)), estimate)}


def _decay(run: _Run) -> dict[str, Told]:
    """The truth: a straight line through the logarithm of the bots alive, over the same days."""
    basis = run.basis
    made = series(basis.view, basis.window, basis.vantage)
    trend = made.trend(level=basis.level)
    if trend is None:
        return {"decay_rate": Told(np.nan, np.nan)}
    since, until = day_start(trend.first), day_start(trend.last + 1)
    rows = run.made.truth["activity_days"]
    kept = _within(rows, "day", since, until) & _behind(rows, run)
    alive = _column(rows, "alive_bots")[kept]
    truth = -float(np.polyfit(np.arange(alive.size), np.log(alive), 1)[0])
    return {"decay_rate": Told(truth, trend.rate, trend.low, trend.high)}


def _noise(run: _Run) -> dict[str, Told]:
    """How many of the sources of noise are found, and how many of the others are kept."""
    from remnant.estimate.bystanders import excluded  # noqa: PLC0415 - loads the query engine

    basis = run.basis
    rows = run.view.table(SIGHTINGS)
    seen = rows.filter(rows.vantage == basis.vantage).select("client").distinct()
    here = set(seen.to_pyarrow()["client"].to_pylist())
    listed = {} if "noise" not in run.made.truth else run.made.truth["noise"].to_pydict()
    kinds = {"crawler", "sandbox", "researcher", "monitor"}
    pairs = zip(listed.get("address", ()), listed.get("kind", ()), strict=True)
    addresses = {address for address, kind in pairs if kind in kinds}
    clients = run.made.clients.select(["client", "address"]).to_pydict()
    pairs = zip(clients["client"], clients["address"], strict=True)
    noise = {client for client, address in pairs if address in addresses} & here
    out = set(excluded(basis).to_pyarrow()["client"].to_pylist()) & here
    victims = here - noise
    found = {"victims kept": Told(float(len(victims)), float(len(victims - out)))}
    if noise:
        found["noise found"] = Told(float(len(noise)), float(len(noise & out)))
    return found


def _caches(run: _Run) -> dict[str, Told]:
    """The truths: lookups of seized names that reached the caches; bots that asked or came."""
    found = _estimates("behind_caches", run.basis)
    lookups, hosts = found["lookups_behind_caches"], found["hosts_behind_caches"]
    rows = run.made.truth["caches"]
    kept = _inside(rows, "day", lookups)
    days = np.unique(_times(rows, "day")[kept]).size
    asked = float(_column(rows, "lookups")[kept].sum()) / max(1, days)
    active = _mean(run, "activity_days", "day", "beacon_bots", hosts)
    seen = float(_column(rows, "misses")[kept].sum()) / max(1, days)
    return {
        "lookups_behind_caches": _beside(asked, lookups, seen),
        "hosts_behind_caches": _beside(active, hosts),
    }


def _both(run: _Run) -> dict[str, Told]:
    """The truth: bots active a day in the networks from which the resolver has any."""
    estimate = _estimates("two_vantages", run.basis)["two_vantage_hosts"]
    rows = run.made.truth["activity_networks"]
    kept = _inside(rows, "day", estimate)
    behind = np.array(rows["behind"].to_pylist())
    asn, bots = _column(rows, "asn"), _column(rows, "beacon_bots")
    seen = np.unique(asn[kept & (behind == "observed") & (bots > 0)])
    chosen = kept & (behind == "all") & np.isin(asn, seen)
    days = np.unique(_times(rows, "day")[chosen]).size
    return {"two_vantage_hosts": _beside(float(bots[chosen].sum()) / max(1, days), estimate)}


def _mean(run: _Run, table: str, key: str, column: str, estimate: Estimate) -> float:
    rows = run.made.truth[table]
    kept = _inside(rows, key, estimate) & _behind(rows, run)
    return float(_column(rows, column)[kept].mean())


def _place(run: _Run) -> str:
    return "resolver" if run.basis.vantage == "resolver" else "sinkhole"


def _behind(rows: pa.Table, run: _Run) -> Flags:
    """Return the rows about the bots that the vantage can see."""
    who = "observed" if run.basis.vantage == "resolver" else "all"
    behind: Flags = np.array(rows["behind"].to_pylist()) == who
    return behind


def _inside(rows: pa.Table, key: str, estimate: Estimate) -> Flags:
    return _within(rows, key, estimate.since, estimate.until)


def _within(rows: pa.Table, key: str, since: datetime, until: datetime) -> Flags:
    times = _times(rows, key)
    first, end = (
        int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) for at in (since, until)
    )
    kept: Flags = (times >= first * 1_000_000) & (times < end * 1_000_000)
    return kept


def _times(rows: pa.Table, key: str) -> NDArray[np.int64]:
    """Return hours or days as microseconds since 1970-01-01 UTC."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if key == "day":
        return np.asarray(rows[key].cast(pa.int32())).astype(np.int64) * _DAY_US
    return np.asarray(rows[key].cast(pa.int64()))


def _column(rows: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(rows[name]).astype(np.float64)


PARTS: Final[dict[str, tuple[tuple[str, ...], Callable[[_Run], dict[str, Told]]]]] = {
    "hosts": (("sinkhole_http",), _hosts),
    "noise": (("sinkhole_http",), lambda run: _noise(run) | _only_online(run)),
    "resolver": (("resolver",), _only_online),
    "caches": (("sinkhole_dns", "sinkhole_http"), _caches),
    "both": (("resolver", "sinkhole_http"), _both),
}
"""What can be measured: the vantages that it needs, the asked one first, and how."""
