"""The hidden truth about activity: who lived, ran and beaconed, caches, noise, and vantages."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.schema import TIME
from remnant.simulate.addresses import IPV6_BIT
from remnant.simulate.arrivals import DNS_UDP, HTTP
from remnant.simulate.networks import V6_TOP
from remnant.simulate.noise import KINDS
from remnant.simulate.order import distinct, hour_counts
from remnant.simulate.population import DAY_US, HOUR_US

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.arrivals import Arrivals
    from remnant.simulate.networks import Networks
    from remnant.simulate.population import Bots, Households
    from remnant.simulate.recursion import Lookups, Recursion, Visible
    from remnant.simulate.scenario import Scenario

__all__ = ["BEHIND", "Activity", "unit_text"]

BEHIND: Final = ("observed", "unobserved", "all")
"""Which bots a row is about: those behind an observed resolver, the others, or both."""

_WORD: Final = pa.dictionary(pa.int32(), pa.string())


class Activity:
    """Collects it day by day; ``tables`` returns it."""

    def __init__(
        self, scenario: Scenario, networks: Networks, bots: Bots, households: Households
    ) -> None:
        self._scenario = scenario
        self._networks = networks
        self._bots = bots
        hidden = households.hidden[bots.household]
        self._groups = (~hidden, hidden, np.ones(hidden.size, np.bool_))
        self._parts: dict[str, list[pa.Table]] = {
            name: []
            for name in ("activity", "activity_days", "activity_networks", "caches", "noise")
        }
        self._vantages: list[dict[str, Any]] = []
        self._dga: list[dict[str, Any]] = []

    def add_day(
        self,
        start: int,
        hours: npt.NDArray[np.uint64],
        beacons: npt.NDArray[np.uint64],
        searches: npt.NDArray[np.int32],
        lookups: npt.NDArray[np.int32],
        dns: Arrivals,
        tcp: Arrivals,
    ) -> None:
        """Count a day."""
        day = start // DAY_US
        birth, clean = self._bots.birth, self._bots.clean
        alive = (birth < start + DAY_US) & (clean > start)
        chosen = np.flatnonzero(alive | (hours != 0) | (beacons != 0))
        birth, clean = birth[chosen], clean[chosen]
        ran, asked = hours[chosen], beacons[chosen]
        for index, word in enumerate(BEHIND):
            mine = self._groups[index][chosen]
            self._add_hours(start, word, birth[mine], clean[mine], ran[mine], asked[mine])
            group = self._groups[index]
            counts = {
                "alive_bots": np.array([int((alive & group).sum())]),
                "online_bots": np.array([int(((hours != 0) & group).sum())]),
                "beacon_bots": np.array([int(((beacons != 0) & group).sum())]),
            }
            self._parts["activity_days"].append(_table(day, word, counts))
            self._add_networks(day, word, alive & group, hours, beacons)
            if searches.any():
                self._dga.append(
                    {
                        "day": day,
                        "behind": word,
                        "activations": int(searches[group].sum()),
                        "bots": int((searches[group] > 0).sum()),
                        "lookups": int(lookups[group].sum()),
                    }
                )
        for vantage, rows, proof in (
            ("sinkhole_dns", dns, DNS_UDP),
            ("sinkhole_http", tcp, HTTP),
            ("sinkhole_tcp", tcp, None),
        ):
            here = rows.proof == proof if proof is not None else rows.proof != HTTP
            self.add_vantage(start, vantage, rows.unit[here])

    def add_vantage(self, start: int, vantage: str, units: npt.NDArray[np.int64]) -> None:
        """Count what a vantage sees on a day: noise among it."""
        self._vantages.append(
            {
                "day": start // DAY_US,
                "vantage": vantage,
                "queries": units.size,
                "clients": distinct(units).size,
            }
        )

    def add_caches(
        self, start: int, lookups: Lookups, visible: Visible, recursion: Recursion
    ) -> None:
        """Count what each cache was asked on a day, and asked the sinkhole."""
        if not visible.cache.size:
            return
        asks = np.bincount(visible.cache)
        caches = np.flatnonzero(asks)
        number = np.empty(asks.size, np.int64)
        number[caches] = np.arange(caches.size)
        index = number[visible.cache]
        site = np.zeros(caches.size, np.int64)
        site[index] = lookups.site
        shared = site < recursion.sites.first.size
        safe = np.where(shared, site, 0)
        kinds = np.where(shared, np.where(recursion.sites.subnet[safe], 2, 1), 3)
        kinds[site < len(self._scenario.resolvers)] = 0
        self._parts["caches"].append(
            _table(
                start // DAY_US,
                None,
                {
                    "cache": caches,
                    "site": site,
                    "kind": pa.DictionaryArray.from_arrays(
                        pa.array(kinds, pa.int32()), pa.array(["observed", "isp", "farm", "own"])
                    ),
                    "lookups": asks[caches],
                    "misses": np.bincount(index, visible.asked).astype(np.int64),
                },
            )
        )

    def add_noise(
        self,
        start: int,
        units: npt.NDArray[np.int64],
        kinds: npt.NDArray[np.int8],
        events: npt.NDArray[np.int64],
    ) -> None:
        """Note every source of noise of a day."""
        self._parts["noise"].append(
            _table(
                start // DAY_US,
                None,
                {
                    "unit": pa.array(units),
                    "kind": pa.DictionaryArray.from_arrays(
                        pa.array(kinds, pa.int32()), pa.array(KINDS)
                    ),
                    "events": events,
                },
            )
        )

    def tables(self) -> dict[str, pa.Table]:
        """Return every table by its name."""
        found: dict[str, pa.Table] = {}
        for name, parts in self._parts.items():
            if parts:
                found[name] = pa.concat_tables(parts).unify_dictionaries()
        if "noise" in found:
            noise = found["noise"]
            units: list[Any] = noise["unit"].to_pylist()
            texts = [unit_text(unit) for unit in units]
            found["noise"] = noise.append_column("address", pa.array(texts))
        for name, rows in (("vantages", self._vantages), ("dga", self._dga)):
            if rows:
                table = pa.Table.from_pylist(rows)
                found[name] = table.set_column(
                    0, "day", table["day"].cast(pa.int32()).cast(pa.date32())
                )
        rates = np.array([churn.changes_a_day for churn in self._scenario.churn])
        networks = self._networks
        found["churn"] = pa.table(
            {
                "asn": pa.array(networks.asn),
                "country": pa.array(
                    [self._scenario.countries[c].code for c in networks.country.tolist()]
                ),
                "changes_a_day": pa.array(rates[networks.churn]),
                "forced": pa.array(
                    [self._scenario.churn[c].forced for c in networks.churn.tolist()]
                ),
                "carrier_nat": pa.array(networks.carrier_nat),
                "pool": pa.array(networks.pool),
            }
        )
        return found

    def _add_hours(
        self,
        start: int,
        word: str,
        birth: npt.NDArray[np.int64],
        clean: npt.NDArray[np.int64],
        ran: npt.NDArray[np.uint64],
        asked: npt.NDArray[np.uint64],
    ) -> None:
        begins = start + np.arange(24) * HOUR_US
        born, gone = np.sort(birth), np.sort(clean)
        columns: dict[str, Any] = {
            "hour": pa.array(begins).cast(TIME),
            "behind": _repeated(word, 24),
            # Born before the hour ends, not cleaned before it begins.
            "alive_bots": np.searchsorted(born, begins + HOUR_US)
            - np.searchsorted(gone, begins, side="right"),
            "online_bots": hour_counts(ran),
            "beacon_bots": hour_counts(asked),
        }
        self._parts["activity"].append(pa.table(columns))

    def _add_networks(
        self,
        day: int,
        word: str,
        alive: npt.NDArray[np.bool_],
        hours: npt.NDArray[np.uint64],
        beacons: npt.NDArray[np.uint64],
    ) -> None:
        network, size = self._bots.network, len(self._networks)
        mine = network[alive]
        counts = np.bincount(mine, minlength=size)
        where = np.flatnonzero(counts)
        codes = [country.code for country in self._scenario.countries]
        self._parts["activity_networks"].append(
            _table(
                day,
                word,
                {
                    "asn": self._networks.asn[where],
                    "country": pa.DictionaryArray.from_arrays(
                        pa.array(self._networks.country[where], pa.int32()), pa.array(codes)
                    ),
                    "alive_bots": counts[where],
                    "online_bots": np.bincount(mine[hours[alive] != 0], minlength=size)[where],
                    "beacon_bots": np.bincount(mine[beacons[alive] != 0], minlength=size)[where],
                },
            )
        )


def unit_text(unit: int) -> str:
    """Return a unit number as text: an IPv4 address, or an IPv6 /64."""
    if unit & IPV6_BIT:
        return f"{IPv6Address((V6_TOP << 96) | ((unit & 0xFFFFFFFF) << 64))}/64"
    return str(IPv4Address(unit))


def _repeated(word: str, count: int) -> Any:  # noqa: ANN401 - Arrow
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([word]))


def _table(day: int, behind: str | None, columns: dict[str, Any]) -> pa.Table:
    count = len(next(iter(columns.values())))
    head: dict[str, Any] = {"day": pa.array(np.full(count, day, np.int32), pa.date32())}
    if behind is not None:
        head["behind"] = _repeated(behind, count)
    return pa.table(head | columns)
