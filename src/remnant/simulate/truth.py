"""The hidden truth of a run: what was really there, counted from the same columns as the traffic.

One observation is one query message from a client for a watched name, whatever its case. Nothing in
Remnant reads these files; tests do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from remnant.schema import TIME
from remnant.simulate.activity import Activity
from remnant.simulate.addresses import IPV6_BIT
from remnant.simulate.order import distinct, hour_counts
from remnant.simulate.population import DAY_US, NEVER
from remnant.windows import to_us

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from remnant.simulate.networks import Networks
    from remnant.simulate.population import Bots, Households
    from remnant.simulate.questions import Questions
    from remnant.simulate.scenario import Scenario

__all__ = ["Truth"]

_HOUR_US: Final = 3_600_000_000
_WORD: Final = pa.dictionary(pa.int32(), pa.string())


def _schema(columns: dict[str, pa.DataType]) -> pa.Schema:
    return pa.schema(columns)


_DAILY: Final = _schema(
    {
        "day": pa.date32(),
        "resolver": pa.string(),
        "queries": pa.int64(),
        "clients": pa.int64(),
        "clients_ipv4": pa.int64(),
        "clients_ipv6_64": pa.int64(),
        "alive_bots": pa.int64(),
        "online_bots": pa.int64(),
    }
)
_HOURLY: Final = _schema(
    {
        "hour": TIME,
        "resolver": pa.string(),
        "queries": pa.int64(),
        "clients": pa.int64(),
        "online_bots": pa.int64(),
    }
)
_NAMES: Final = _schema(
    {
        "day": pa.date32(),
        "name": _WORD,
        "queries": pa.int64(),
        "clients": pa.int64(),
    }
)
_NETWORKS: Final = _schema(
    {
        "day": pa.date32(),
        "asn": pa.int64(),
        "country": _WORD,
        "queries": pa.int64(),
        "clients": pa.int64(),
    }
)
_FILES: Final = _schema(
    {
        "day": pa.date32(),
        "resolver": pa.string(),
        "path": pa.string(),
        "messages": pa.int64(),
        "client_queries": pa.int64(),
        "client_responses": pa.int64(),
        "skipped": pa.int64(),
        "short": pa.int64(),
        "cut": pa.int64(),
        "loop": pa.int64(),
        "label": pa.int64(),
    }
)


class Truth:
    """Collects the truth day by day and writes it at the end.

    The resolver ``all`` stands for all observed resolvers together.

    Attributes:
        queries: client queries for watched names so far.
        activity: the further truth.
    """

    def __init__(
        self,
        scenario: Scenario,
        networks: Networks,
        bots: Bots,
        households: Households,
        questions: Questions,
    ) -> None:
        self._scenario = scenario
        self._networks = networks
        self._bots = bots
        self._questions = questions
        hidden = households.hidden[bots.household]
        # Bots behind a resolver that nobody observes have number -2.
        self._resolver_of_bot = np.where(hidden, -2, networks.resolver[bots.network])
        self.activity = Activity(scenario, networks, bots, households)
        self._rows: dict[str, list[dict[str, Any]]] = {"daily": [], "hourly": [], "files": []}
        self._parts: dict[str, list[pa.Table]] = {"names": [], "networks": []}
        self.queries = 0

    def add_day(
        self,
        start: int,
        *,
        time: npt.NDArray[np.int64],
        unit: npt.NDArray[np.int64],
        name: npt.NDArray[np.int32],
        network: npt.NDArray[np.int64],
        hours: npt.NDArray[np.uint64],
    ) -> None:
        """Count a day's observations, given as columns; ``hours`` says which bots ran when."""
        day = start // DAY_US
        resolver = self._networks.resolver[network]
        hour = (time - start) // _HOUR_US
        self.queries += time.size
        self.activity.add_vantage(start, "resolver", unit)
        for index, word in [*enumerate(r for r, _ in self._scenario.resolvers), (-1, "all")]:
            here = slice(None) if index < 0 else resolver == index
            mine = self._resolver_of_bot >= 0 if index < 0 else self._resolver_of_bot == index
            clients_seen = distinct(unit[here])
            v6 = int((clients_seen & IPV6_BIT != 0).sum())
            born, gone = self._bots.birth[mine], self._bots.clean[mine]
            running = hours[mine]
            self._rows["daily"].append(
                {
                    "day": day,
                    "resolver": word,
                    "queries": unit[here].size,
                    "clients": clients_seen.size,
                    "clients_ipv4": clients_seen.size - v6,
                    "clients_ipv6_64": v6,
                    "alive_bots": int(((born < start + DAY_US) & (gone > start)).sum()),
                    "online_bots": int((running != 0).sum()),
                }
            )
            queries = np.bincount(hour[here], minlength=24)
            pairs = distinct(hour[here] << 41 | unit[here])
            clients = np.bincount(pairs >> 41, minlength=24)
            online = hour_counts(running)
            for h in range(24):
                self._rows["hourly"].append(
                    {
                        "hour": start + h * _HOUR_US,
                        "resolver": word,
                        "queries": int(queries[h]),
                        "clients": int(clients[h]),
                        "online_bots": int(online[h]),
                    }
                )
        which, queries, clients = _counts(name.astype(np.int64), unit)
        words = pa.DictionaryArray.from_arrays(
            pa.array(which, pa.int32()), pa.array(self._questions.names)
        )
        self._parts["names"].append(_part(_NAMES, day, words, queries=queries, clients=clients))
        which, queries, clients = _counts(network, unit)
        codes = pa.DictionaryArray.from_arrays(
            pa.array(self._networks.country[which], pa.int32()),
            pa.array([country.code for country in self._scenario.countries]),
        )
        asn = pa.array(self._networks.asn[which])
        self._parts["networks"].append(
            _part(_NETWORKS, day, asn, codes, queries=queries, clients=clients)
        )

    def add_file(self, start: int, resolver: str, path: str, counts: dict[str, int]) -> None:
        """Note what was written to a file."""
        self._rows["files"].append(
            {"day": start // DAY_US, "resolver": resolver, "path": path, **counts}
        )

    def write(self, folder: Path) -> None:
        """Write the Parquet files of the truth."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self.tables().items():
            pq.write_table(table, folder / f"{name}.parquet")

    def tables(self) -> dict[str, pa.Table]:
        """Return every table of the truth by its name."""
        found: dict[str, pa.Table] = {}
        for name, schema in (("daily", _DAILY), ("hourly", _HOURLY), ("files", _FILES)):
            rows = self._rows[name]
            columns = {field.name: [row[field.name] for row in rows] for field in schema}
            found[name] = pa.table(columns, schema)
        for name, schema in (("names", _NAMES), ("networks", _NETWORKS)):
            parts = self._parts[name]
            found[name] = pa.concat_tables(parts).unify_dictionaries().cast(schema)
        found["bots"] = self._bot_table()
        return found | self.activity.tables()

    def _bot_table(self) -> pa.Table:
        bots = self._bots
        country = self._networks.country[bots.network]
        words = [*(word for word, _ in self._scenario.resolvers), "unobserved", "unobserved"]
        churn = [churn.name for churn in self._scenario.churn]
        return pa.table(
            {
                "bot": pa.array(np.arange(len(bots))),
                "birth": pa.array(bots.birth, TIME),
                # Null: not cleaned within the period.
                "clean": pa.array(
                    bots.clean,
                    TIME,
                    mask=(bots.clean >= to_us(self._scenario.until)) | (bots.clean == NEVER),
                ),
                "asn": pa.array(self._networks.asn[bots.network]),
                "country": pa.array([self._scenario.countries[c].code for c in country.tolist()]),
                "resolver": pa.array([words[r] for r in self._resolver_of_bot.tolist()]),
                "household": pa.array(bots.household),
                "churn": pa.array([churn[c] for c in self._networks.churn[bots.network].tolist()]),
                "always_on": pa.array(bots.always_on),
                "online_chance": pa.array(bots.online),
                "dga": pa.array(bots.dga),
                "clock_skew_us": pa.array(bots.skew),
            }
        )


def _counts(
    key: npt.NDArray[np.int64], unit: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the keys that occur, their rows, and their distinct units."""
    queries = np.bincount(key)
    clients = np.bincount(distinct(key << 41 | unit) >> 41)
    which = np.flatnonzero(queries)
    return which, queries[which], clients[which]


def _part(
    schema: pa.Schema,
    day: int,
    *keys: pa.Array[Any],
    queries: npt.NDArray[np.int64],
    clients: npt.NDArray[np.int64],
) -> pa.Table:
    days = pa.array(np.full(queries.size, day, np.int32), pa.date32())
    return pa.table([days, *keys, pa.array(queries), pa.array(clients)], names=schema.names)
