"""The servers behind a scenario's names: their history as files, and the truth about them.

The published names have the addresses that the scenario's traffic gives them, and a history before
it; names and servers that nobody published, and what is innocent around them, come from
``hosting``; fast flux from ``flux``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from remnant.cases.zones import zone_of
from remnant.simulate import flux
from remnant.simulate.hosting import Hosting, Known, hosting
from remnant.simulate.passive_dns import write_cof, write_log
from remnant.simulate.questions import c2_address
from remnant.simulate.registrations import write_registrations
from remnant.windows import to_us

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import numpy.typing as npt

    from remnant.simulate.networks import Networks
    from remnant.simulate.scenario import Scenario

__all__ = ["Written", "server_rows", "write_infrastructure"]

_BEFORE_DAYS: Final = 100
_HIDDEN: Final = 16
_INNOCENTS: Final = 0.05
_NEIGHBOURS: Final = 3000
_POOL: Final = 20_000
_FLUX_DAYS: Final = 12
_LOOKUPS_A_DAY: Final = {"kelihos": 60.0, "zbot": 60.0, "cdn": 60.0, "volunteer_pool": 60.0}
_FLUX_OF: Final = {"kelihos": ("kelihos", "kelihos"), "zbot": ("zbot", "zbot")}
_CONTROLS: Final = ("cdn", "volunteer_pool")
_C2_ASN: Final = 4_210_000_900


class Written(NamedTuple):
    """What was written: files, bytes, and records of passive DNS."""

    files: int
    bytes: int
    records: int
    prefixes: tuple[tuple[str, str, int, str, str], ...]


@dataclass(frozen=True, slots=True)
class _Flux:
    """The names of a scenario that hand out many addresses: records and truth."""

    answers: pa.Table
    truth: pa.Table


def write_infrastructure(scenario: Scenario, out: Path, seed: int, networks: Networks) -> Written:
    """Write ``traffic/passive-dns/``, ``rdap/`` and the truth of the servers of a scenario."""
    random = np.random.Generator(np.random.PCG64([seed, 0xF1]))
    since = scenario.since - timedelta(days=_BEFORE_DAYS)
    days = _BEFORE_DAYS + scenario.days
    takedown = (scenario.takedown - since) / timedelta(days=1)
    world = hosting(
        seed,
        hidden=_HIDDEN,
        seeds=_published(scenario),
        since=since,
        days=days,
        takedown_day=takedown,
        innocents=_INNOCENTS,
        neighbours=_NEIGHBOURS,
    )
    fluxed = _fluxed(scenario, world, networks, random)
    folder = out / "traffic" / "passive-dns"
    folder.mkdir(parents=True)
    size = write_cof(world.answers, folder / "history.cof.zst")
    size += write_log(fluxed.answers, folder / "flux.passivedns.zst")
    rdap = write_registrations(scenario, world, out / "rdap")
    pq.write_table(world.truth, out / "truth" / "infrastructure.parquet")
    pq.write_table(fluxed.truth, out / "truth" / "flux.parquet")
    records = world.answers.num_rows + fluxed.answers.num_rows
    return Written(2 + rdap, size, records, (*world.prefixes, *server_rows()))


def server_rows() -> tuple[tuple[str, str, int, str, str], ...]:
    """Return the networks that the scenarios' traffic names: C2 servers, sites, the sinkhole."""
    return (
        ("192.0.2.0", "192.0.2.255", _C2_ASN, "NL", "Simulated sinkhole operator"),
        ("198.51.100.0", "198.51.100.255", _C2_ASN + 1, "US", "Simulated web sites"),
        ("203.0.113.0", "203.0.113.255", _C2_ASN + 2, "RU", "Simulated server rental"),
    )


def _published(scenario: Scenario) -> list[Known]:
    """Return what the scenario says of its names, with the addresses that its traffic gives."""
    gone = ("expired", "parked", "registered")
    found = []
    suspended = 0
    for i, watched in enumerate(scenario.names):
        after: str = {"sinkhole": "sinkhole", "c2": "live"}.get(watched.after, "expired")
        if watched.after == "nxdomain" and zone_of(watched.name) != watched.name:
            # Of a domain that somebody has again the name itself still does not exist.
            suspended += 1
            after = gone[suspended % 3]
        at = c2_address(i)
        found.append(Known(watched.name, after, at, float(_BEFORE_DAYS) - 5.0))
    return found


def _fluxed(
    scenario: Scenario, world: Hosting, networks: Networks, random: np.random.Generator
) -> _Flux:
    pool, asn = _pool(networks, random)
    own = [row["value"] for row in world.truth.to_pylist() if row["kind"] == "name_server"]
    start = scenario.takedown - timedelta(days=_FLUX_DAYS // 2)
    styles = (*_FLUX_OF.get(scenario.name, ()), *_CONTROLS)
    names = world.spare_names[: len(styles)]
    parts, rows = [], []
    for i, (kind, name) in enumerate(zip(styles, names, strict=True)):
        style = flux.STYLES[kind]
        servers = own[2 * (i % 2) :][:2] if style.flux else []
        if style.servers:
            hosts = [f"ns{k + 1}.{name}" for k in range(style.servers)]
            # The second one is served by the operator's fixed name servers as well.
            servers = hosts + (own[:2] if i % 2 else [])
            chosen = (name, *hosts)
        else:
            chosen = (name,)
        for owner in chosen:
            handed = style if owner == name else flux.Style(style.name, True, 3, 1, 12.0, 300)
            seen = flux.lookups(
                handed, pool, asn, hours=_FLUX_DAYS * 24.0, a_day=_LOOKUPS_A_DAY[kind],
                random=random,
            )  # fmt: skip
            parts.append(
                flux.observations(
                    owner, seen, start_us=to_us(start), ttl=handed.ttl,
                    sensors=(("pdns-c", 1.0),), source="simulated-flux", random=random,
                    servers=servers if owner == name else (),
                )
            )  # fmt: skip
            rows.append(_fact(owner, style, seen, start))
    return _Flux(pa.concat_tables(parts), pa.Table.from_pylist(rows))


def _fact(owner: str, style: flux.Style, seen: flux.Lookups, start: datetime) -> dict[str, Any]:
    return {
        "name": owner,
        "style": style.name,
        "flux": style.flux,
        "since": start,
        "until": start + timedelta(days=_FLUX_DAYS),
        "addresses": int(np.unique(seen.address).size),
    }


def _pool(
    networks: Networks, random: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return addresses of households, more in larger networks, and their ASes."""
    which = random.choice(networks.weight.size, _POOL, p=networks.weight)
    inside = (random.random(_POOL) * (networks.pool[which] - 16)).astype(np.int64)
    return networks.first[which] + inside, networks.asn[which]
