"""What Remnant would hold of a run, as tables in memory: no file is written, none is read.

The same columns as ``remnant simulate`` writes become sightings here, so counts are the same as
after ``remnant ingest``. Only the pseudonyms of clients differ: they need no site key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.schema import CLIENTS, COVERAGE, PROOFS, SIGHTINGS, TIME, UNITS
from remnant.simulate import dnstap
from remnant.simulate.activity import unit_text
from remnant.simulate.addresses import IPV6_BIT
from remnant.simulate.arrivals import DNS_UDP, HTTP, NONE
from remnant.simulate.draws import mixed
from remnant.simulate.networks import registry
from remnant.simulate.noise import code_of, facts_of
from remnant.simulate.population import DAY_US, HOUR_US
from remnant.simulate.questions import NXDOMAIN, SINKHOLE_V4, SINKHOLE_V6
from remnant.simulate.rows import MARK_LOST
from remnant.simulate.segments import SENSOR
from remnant.simulate.world import World
from remnant.watchlist import SINKHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.simulate.arrivals import Arrivals
    from remnant.simulate.networks import Registry
    from remnant.simulate.scenario import Scenario
    from remnant.simulate.world import Day

__all__ = ["Observed", "observe"]

_SOURCE: Final = "simulated"
_CLIENT_SALT: Final = np.uint64(0xA0761D6478BD642F)
_ECS_SALT: Final = np.uint64(0xE7037ED1A0B428DB)
_VANTAGES: Final = ("resolver", "sinkhole_dns", "sinkhole_http", "sinkhole_tcp")
_SERVICE: Final = {"resolver": 53, "sinkhole_dns": 53, "sinkhole_http": 80, "sinkhole_tcp": 80}


@dataclass(frozen=True, slots=True)
class Observed:
    """A run as tables.

    Attributes:
        sightings: rows of ``schema.SIGHTINGS`` of all vantages, in time order within each day;
            ``case_bits`` and ``client_port`` are null.
        clients: one row per client: client, unit, address, prefix, asn, as_name, country, role.
        coverage: rows of ``schema.COVERAGE``.
        truth: the tables of the truth by name; see docs/reference/simulator.md.
    """

    sightings: pa.Table
    clients: pa.Table
    coverage: pa.Table
    truth: dict[str, pa.Table]


def observe(scenario: Scenario, scale: float, seed: int) -> Observed:
    """Return what ``simulate.observed`` promises."""
    world = World(scenario, scale, seed)
    entries = registry(scenario, world.networks)
    tables = _Tables(world, entries)
    parts = [SIGHTINGS.empty()]
    for day in world.days():
        parts += tables.day(day)
    whole = pa.concat_tables(parts).unify_dictionaries()
    return Observed(whole, tables.clients(), tables.coverage(), world.truth.tables())


class _Tables:
    """Makes the tables, day by day."""

    def __init__(self, world: World, entries: Registry) -> None:
        self._world = world
        self._asked = world.asked
        self._entries = entries
        self._asn = pa.array(entries.asn)
        self._country = pa.array(entries.country).dictionary_encode()
        self._names = pa.array(world.asked.names, pa.string())
        # What comes without a name hits the address of the sinkhole, or nothing listed.
        words = [*world.asked.indicator, SINKHOLE]
        self._indicators = pa.array(words, pa.string()).dictionary_encode()
        self._units = np.empty(0, np.int64)
        self._coverage: list[dict[str, Any]] = []

    def day(self, day: Day) -> list[pa.Table]:
        """Return the sightings of a day, one table per sensor and vantage."""
        found = []
        identities = [identity for identity, _ in self._world.scenario.resolvers]
        for index, table in enumerate(day.messages):
            found.append(self._resolver(day, index, identities[index], table))
        if day.listens is None:
            return found
        for vantage, rows in _by_vantage(day.dns, day.tcp):
            found.append(self._sinkhole(vantage, rows))
            self._cover(SENSOR, vantage, rows.time, rows.time, day.listens, stated=True)
        return found

    def _resolver(self, day: Day, index: int, identity: str, table: dnstap.Messages) -> pa.Table:
        mine = self._asked.of_case(table.name) & (table.mark <= MARK_LOST)
        rows = np.flatnonzero(mine)
        name, mark = table.name[rows], table.mark[rows]
        key = self._world.keys[index]
        fails, tcp = dnstap.fates(key, day.number, rows)
        gone = self._asked.table.answer[name, table.after[rows]] == NXDOMAIN
        rcode = np.where(fails, 2, np.where(gone, 3, 0)).astype(np.int16)
        asks = (table.habits[rows] & dnstap.ECS) != 0
        unit = table.unit[rows]
        self._cover(identity, "resolver", table.time, table.time[rows], day.start, stated=False)
        return self._sightings(
            identity,
            "resolver",
            time=table.time[rows],
            unit=unit,
            name=name,
            qtype=pa.array(table.qtype[rows]),
            rcode=pa.array(rcode, mask=mark == MARK_LOST),
            ecs=np.where(asks, unit & ~np.int64(0xFF), NONE),
            proof=np.where(tcp, PROOFS.index("dns_tcp"), DNS_UDP),
            detail=pa.nulls(rows.size, pa.string()),
        )

    def _sinkhole(self, vantage: str, rows: Arrivals) -> pa.Table:
        return self._sightings(
            SENSOR,
            vantage,
            time=rows.time,
            unit=rows.unit,
            name=rows.name,
            qtype=pa.array(rows.qtype.astype(np.uint16), mask=rows.qtype == NONE),
            rcode=pa.array(rows.rcode, mask=rows.rcode == NONE),
            ecs=rows.ecs,
            proof=rows.proof.astype(np.int64),
            detail=self._details(rows),
        )

    def _sightings(
        self,
        sensor: str,
        vantage: str,
        *,
        time: npt.NDArray[np.int64],
        unit: npt.NDArray[np.int64],
        name: npt.NDArray[np.int32],
        qtype: Any,  # noqa: ANN401 - Arrow
        rcode: Any,  # noqa: ANN401
        ecs: npt.NDArray[np.int64],
        proof: npt.NDArray[np.int64],
        detail: Any,  # noqa: ANN401
    ) -> pa.Table:
        count = time.size
        entry, _ = self._entries.of(unit)
        index: Any = pa.array(np.maximum(entry, 0), mask=entry < 0)
        six = (unit & IPV6_BIT) != 0
        named = name >= 0
        asked: Any = pa.array(np.maximum(name, 0))
        texts: Any = self._names.take(asked)
        if not named.all():
            which: Any = pa.array(six.astype(np.int8))
            sinks = pa.array([SINKHOLE_V4, SINKHOLE_V6]).take(which)
            texts = pc.if_else(pa.array(named), texts, sinks)
        rule: Any = pa.array(np.where(named, name, len(self._asked.names)))
        dns_tcp = proof == PROOFS.index("dns_tcp")
        overall = vantage in {"sinkhole_http", "sinkhole_tcp"}
        columns: dict[str, Any] = {
            "time": pa.array(time).cast(TIME),
            "sensor": _repeated(sensor, count),
            "vantage": _repeated(vantage, count),
            "client": pa.array(_client(unit)),
            "unit": _words(UNITS, six.astype(np.int32)),
            "ecs": pa.array(
                mixed(ecs.astype(np.uint64) ^ _ECS_SALT).astype(np.int64), mask=ecs == NONE
            ),
            "asn": self._asn.take(index),
            "country": self._country.take(index),
            "client_port": pa.nulls(count, pa.uint16()),
            "service_port": pa.array(np.full(count, _SERVICE[vantage], np.uint16)),
            "transport": _words(("udp", "tcp"), (dns_tcp | overall).astype(np.int32)),
            "name": texts,
            "case_bits": pa.nulls(count, pa.int64()),
            "qtype": qtype,
            "rcode": rcode,
            "indicator": self._indicators.take(rule),
            "proof": _words(PROOFS, proof.astype(np.int32)),
            "weight": pa.array(np.ones(count, np.int64)),
            "detail": detail,
            "limited": pa.array(np.zeros(count, np.bool_)),
            "source": _repeated(_SOURCE, count),
        }
        self._units = np.union1d(self._units, unit)
        return pa.table([columns[name] for name in SIGHTINGS.names], schema=SIGHTINGS.arrow)

    def _details(self, rows: Arrivals) -> Any:  # noqa: ANN401 - Arrow
        """Return what a segment's reader makes of what was answered and asked."""
        requests = rows.proof == HTTP
        codes = np.where(requests, 2 * code_of(rows) + 1, 2 * rows.ttl.astype(np.int64))
        few, index = np.unique(codes, return_inverse=True)
        texts = [_detail(code, self._asked.names) for code in few.tolist()]
        words: Any = pa.array(texts, pa.string())
        return words.take(pa.array(index.reshape(-1)))

    def _cover(
        self,
        sensor: str,
        vantage: str,
        times: npt.NDArray[np.int64],
        matched: npt.NDArray[np.int64],
        since: int,
        *,
        stated: bool,
    ) -> None:
        """Count the hours of a sensor's day from the first in which it works."""
        start = since // DAY_US * DAY_US
        hour = np.clip((times - start) // HOUR_US, 0, 23)
        messages = np.bincount(hour, minlength=24)
        hits = np.bincount(np.clip((matched - start) // HOUR_US, 0, 23), minlength=24)
        silent = self._world.silent[sensor]
        for number in range((since - start) // HOUR_US, 24):
            begin = start + number * HOUR_US
            count = int(messages[number])
            down = any(a < begin + HOUR_US and b > begin for a, b in silent)
            if not count and (down or not stated or since > begin):
                continue
            here = times[hour == number]
            self._coverage.append(
                {
                    "source": _SOURCE,
                    "sensor": sensor,
                    "vantage": vantage,
                    "hour": begin,
                    "messages": count,
                    "matched": int(hits[number]),
                    "malformed": 0,
                    "skipped": 0,
                    "lost": 0,
                    "first_time": int(here.min()) if count else None,
                    "last_time": int(here.max()) if count else None,
                    "clock_faults": 0,
                    "basis": "traffic" if count else "stated",
                }
            )

    def coverage(self) -> pa.Table:
        """Return rows of ``schema.COVERAGE``; only messages that are well formed are counted."""
        rows, schema = self._coverage, COVERAGE.arrow
        columns = []
        for field in schema:
            values: Any = [row[field.name] for row in rows]
            made: Any = pa.array(values, pa.int64()) if field.type == TIME else pa.array(values)
            columns.append(
                made.dictionary_encode()
                if pa.types.is_dictionary(field.type)
                else made.cast(field.type)
            )
        return pa.table(columns, schema=schema)

    def clients(self) -> pa.Table:
        """Return one row for each client that was seen."""
        units = self._units
        entry, prefix = self._entries.of(units)
        index: Any = pa.array(np.maximum(entry, 0), mask=entry < 0)
        places: Any = pa.array(np.maximum(prefix, 0), mask=prefix < 0)
        six = ((units & IPV6_BIT) != 0).astype(np.int32)
        columns: dict[str, Any] = {
            "client": pa.array(_client(units)),
            "unit": _words(UNITS, six),
            "address": pa.array([unit_text(unit) for unit in units.tolist()], pa.string()),
            "prefix": pa.array(self._entries.text).take(places),
            "asn": self._asn.take(index),
            "as_name": pa.array(self._entries.name).take(index),
            "country": self._country.take(index),
            "role": pa.nulls(units.size, CLIENTS.arrow.field("role").type),
        }
        return pa.table(columns)


def _by_vantage(dns: Arrivals, tcp: Arrivals) -> list[tuple[str, Arrivals]]:
    http = tcp.proof == HTTP
    return [
        ("sinkhole_dns", dns),
        ("sinkhole_http", tcp.take(http)),
        ("sinkhole_tcp", tcp.take(~http)),
    ]


def _detail(code: int, names: Sequence[str]) -> str | None:
    if code & 1:
        return json.dumps(facts_of(code >> 1, names), separators=(",", ":"))
    ttl = code >> 1
    return None if ttl < 0 else json.dumps({"ttl": ttl}, separators=(",", ":"))


def _client(units: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return a pseudonym of each counting unit: no two have the same."""
    return mixed(units.astype(np.uint64) ^ _CLIENT_SALT).astype(np.int64)


def _repeated(word: str, count: int) -> Any:  # noqa: ANN401 - Arrow
    return _words((word,), np.zeros(count, np.int32))


def _words(words: tuple[str, ...], index: npt.NDArray[np.int32]) -> Any:  # noqa: ANN401 - Arrow
    return pa.DictionaryArray.from_arrays(index, pa.array(words, pa.string()))
