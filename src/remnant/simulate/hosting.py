"""An operator's infrastructure beside an innocent internet, as passive DNS, with its truth.

Some names of the operator are known (the seeds: indicators that were published), the others are
hidden: they are what a ranking should find. The innocent rest is made to mislead: shared hosting,
content delivery, parking, other sinkholes, addresses that had other tenants before and after,
poisoned answers, a compromised site among the seeds.

Everything is made up: names stand below reserved top-level domains, addresses in 198.18.0.0/15.
What was published about botnets gives the kinds of things here; all numbers are chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.errors import SimulationError
from remnant.schema import TIME
from remnant.simulate import innocent_hosting
from remnant.simulate.address_space import Space, holders
from remnant.simulate.command_servers import SINKHOLE, Known, Operator, Wanted
from remnant.simulate.made_names import MadeNames
from remnant.simulate.observed_records import Records
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.enrich.reference import Reference

__all__ = ["SINKHOLE", "Hosting", "Known", "hosting"]

_SINCE: Final = datetime(2015, 1, 1, tzinfo=UTC)
_SENSORS: Final = (("pdns-a", 0.7), ("pdns-b", 0.45))
_SPARE: Final = 8
_SOURCE: Final = "simulated-hosting"


@dataclass(frozen=True, slots=True)
class Hosting:
    """A made-up infrastructure.

    Attributes:
        answers: what the sensors saw: columns of ``schema.ANSWERS``.
        seeds: the names that are known, as folded texts.
        truth: every name and address of the operator, and the innocent ones that mislead:
            kind (name, address, name_server), value, operator (whether it is the operator's),
            hidden (it is, and neither a seed nor an address that a seed ever had), since, until
            (UTC; when it was in use), behind (dedicated, second_tier, shared_hosting, cdn,
            dynamic_dns, compromised, poisoned, reused), link (what joins it to the seeds: server,
            name_server, earlier, none; null: not the operator's).
        since, until: the period.
        takedown: when the seeds were seized.
        sinkholes: addresses of the case's own sinkhole.
        prefixes: rows of the prefix table: first, last, AS number, country, AS name.
        spare_names: made-up domains that nothing here uses.
    """

    answers: pa.Table
    seeds: tuple[str, ...]
    truth: pa.Table
    since: datetime
    until: datetime
    takedown: datetime
    sinkholes: tuple[str, ...]
    prefixes: tuple[tuple[str, str, int, str, str], ...]
    spare_names: tuple[str, ...]

    @property
    def hidden(self) -> tuple[str, ...]:
        """The names that a ranking should find, sorted."""
        rows = self.truth.filter(self.truth["hidden"]).to_pylist()
        return tuple(sorted(row["value"] for row in rows if row["kind"] == "name"))

    def reference(self) -> Reference:
        """Return reference data that knows the networks of the made-up internet."""
        from remnant.enrich import tables  # noqa: PLC0415 - only who enriches needs it
        from remnant.enrich.content import segments  # noqa: PLC0415
        from remnant.enrich.reference import Reference, Source  # noqa: PLC0415

        path = Path("prefixes.tsv")
        text = "\n".join("\t".join(map(str, row)) for row in self.prefixes) + "\n"
        content = tables.read(path, text.encode())
        table, misplaced = segments(content)
        source = Source(
            path=path,
            format=content.format,
            as_of=self.since.date(),
            dated_by="build date",
            bad=content.bad + misplaced,
            notes=(),
            table=table.combine_chunks(),
        )
        return Reference((source,), Reference.none().as_names)


def hosting(
    seed: int,
    *,
    hidden: int = 40,
    seeds: int | Sequence[Known] = 20,
    shared_share: float = 0.3,
    cdn_share: float = 0.05,
    dynamic_share: float = 0.05,
    second_tier: float = 0.25,
    unlinked: float = 0.05,
    own_name_servers: float = 0.4,
    servers: int = 14,
    server_days: float = 45.0,
    reused: float = 0.5,
    compromised: int = 2,
    poisoned: int = 10,
    neighbours: int = 2000,
    innocents: float = 1.0,
    days: int = 120,
    takedown_day: float = 90.0,
    since: datetime = _SINCE,
    sensors: Sequence[tuple[str, float]] = _SENSORS,
) -> Hosting:
    """Return an operator's infrastructure beside an innocent internet, in memory.

    Args:
        seed: the same seed and parameters give the same tables.
        hidden: the operator's names that nobody published.
        seeds: how many were published; or which.
        shared_share: share of the hidden names behind an address of shared hosting.
        cdn_share: share of them behind content delivery.
        dynamic_share: share of them that are dynamic-DNS hosts in access networks.
        second_tier: share of the others on servers that no seed ever used.
        unlinked: share of the hidden names that nothing joins to a seed but such an address.
        own_name_servers: share of the seeds and of the other hidden names whose domains use the
            operator's own name servers, not a registrar's.
        servers: dedicated servers of the operator that seeds use in the course of the period.
        server_days: mean time for which one is rented.
        reused: share of these whose address has innocent tenants before and after.
        compromised: seeds that are innocent sites on shared hosting, used for a while.
        poisoned: innocent names that some answers put at a server of the operator.
        neighbours: innocent names at each address of shared hosting.
        innocents: multiplies all innocent names.
        days: length of the period.
        takedown_day: when the seeds are seized, in days from the start.
        since: start of the period (UTC).
        sensors: name of each sensor of passive DNS, and the share of all responses it sees.

    Raises:
        SimulationError: a parameter out of range, or no room for so many servers.
    """
    shares = (shared_share, cdn_share, dynamic_share, second_tier, unlinked, own_name_servers)
    known = _known(seeds)
    if (
        min(*shares, reused) < 0
        or max(*shares, reused) > 1
        or shared_share + cdn_share + dynamic_share > 1
        or min(hidden, compromised, poisoned, neighbours, days, innocents) < 0
        or servers < 1
        or not 0 < takedown_day <= days
        or not known
    ):
        raise SimulationError(
            "these parameters describe no infrastructure",
            expected="shares from 0 to 1, some seeds, a server, a takedown within the period",
        )
    random = np.random.Generator(np.random.PCG64(seed))
    space = Space(holders(innocent_hosting.NETWORKS, random))
    records = Records()
    world = innocent_hosting.World.build(
        space, MadeNames(random), records, random, days, neighbours, innocents
    )
    wanted = Wanted(
        hidden=hidden,
        known=known,
        shared_share=shared_share,
        cdn_share=cdn_share,
        dynamic_share=dynamic_share,
        second_tier=second_tier,
        unlinked=unlinked,
        own_name_servers=own_name_servers,
        servers=servers,
        server_days=server_days,
        reused=reused,
        compromised=compromised,
        poisoned=poisoned,
        days=float(days),
        takedown=takedown_day,
    )
    operator = Operator(wanted, world, records, random)
    truth = operator.run()
    start = to_us(since)
    return Hosting(
        answers=records.seen(start, float(days), sensors, _SOURCE, random),
        seeds=operator.seeds,
        truth=_dated(truth, since),
        since=since,
        until=since + timedelta(days=days),
        takedown=since + timedelta(days=takedown_day),
        sinkholes=(SINKHOLE,),
        prefixes=tuple(space.rows()),
        spare_names=tuple(world.names.domains(_SPARE).to_pylist()),
    )


def _known(seeds: int | Sequence[Known]) -> tuple[Known, ...]:
    """Return the seeds; of those without a name, most are seized."""
    if not isinstance(seeds, int):
        return tuple(seeds)
    fates = ("sinkhole",) * 7 + ("parked", "expired", "live")
    return tuple(Known(None, fates[i % len(fates)]) for i in range(seeds))


def _dated(rows: list[dict[str, Any]], since: datetime) -> pa.Table:
    """Return the truth as a table, its days as times."""
    table: dict[str, Any] = {
        name: pa.array([row[name] for row in rows], kind)
        for name, kind in (
            ("kind", pa.string()),
            ("value", pa.string()),
            ("operator", pa.bool_()),
            ("hidden", pa.bool_()),
        )
    }
    for name in ("since", "until"):
        times = [since + timedelta(days=float(row[name])) for row in rows]
        table[name] = pa.array(times, TIME)
    for name in ("behind", "link"):
        table[name] = pa.array([row[name] for row in rows], pa.string())
    return pa.table(table)
