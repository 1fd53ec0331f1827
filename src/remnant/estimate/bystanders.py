"""Who is not a victim: visitors scored by what they do, each point with its reason.

Crawlers, scanners, sandboxes, researchers, monitors and public resolvers come to seized names as
well. Each sign of one has a weight; a client whose weights reach ``THRESHOLD`` is a *bystander*: it
stays in every observed count and is left out where hosts are estimated. Whoever has fewer stays a
victim. The weights are natural log-odds set by judgement, not learned: with one bystander among a
hundred clients, a sum of 7 makes odds of 11 to 1, if the signs are independent.

A sign that many clients show is a habit of the family or a matter of the sensor, and tells
nothing: each sign is silent where more than its ``usual`` share of the clients show it. What bots
of one family do alike is therefore never a sign, whatever it is.

References:
    No published share of such traffic in sinkhole data is known; Stone-Gross et al., Your Botnet is
    My Botnet, CCS 2009, set researchers and virtual machines apart by identifiers that names alone
    do not give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from remnant import schema
from remnant.enrich.visitors import KINDS, clouds, listed
from remnant.estimate.client_days import by_day
from remnant.estimate.features import ACCESS, features, regular
from remnant.estimate.traffic import unit_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis

__all__ = [
    "QUANTITIES",
    "SIGNS",
    "THRESHOLD",
    "Sign",
    "by_kind",
    "bystanders",
    "estimates",
    "excluded",
    "scored",
    "table",
]

QUANTITIES: Final[dict[str, str]] = {
    "bystanders": "clients that are no victims, as far as their traffic shows: in every count, in "
    "no estimate of hosts",
}
"""Every quantity that ``estimates`` returns, in order."""

THRESHOLD: Final = 70
"""Sum of the weights from which a client is a bystander, in tenths of natural log-odds."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that bystanders do and victims seldom.

    Attributes:
        id: column of the features that says whether a client shows it.
        kind: what it points to.
        weight: points that it adds: tenths of natural log-odds.
        words: the reason, for people.
        usual: the share of the clients that could show it above which it tells nothing; 1 where it
            is a fact about the address, which no habit can explain.
        among: column that says which clients could show it; null for all.
    """

    id: str
    kind: str
    weight: int
    words: str
    usual: float = 0.1
    among: str | None = None


SIGNS: Final = (
    *(
        Sign(f"listed_{kind}", kind, 80, f"its address is on a list of kind {kind}", 1.0)
        for kind in KINDS
    ),
    Sign("public_resolver", "resolver", 80, "its address is a public resolver's", 1.0),
    Sign("other_sinkhole", "sinkhole", 80, "its address is a known sinkhole's", 1.0),
    Sign("says_scanner", "scanner", 80, "it names itself as a scanner or crawler", 0.5, "asks"),
    Sign("period", "monitor", 50, "it comes at fixed times, day and night, every day", 1.0),
    Sign("security", "sandbox", 50, "its network is a security company's", 1.0),
    Sign("other_shape", "researcher", 45, "it never sent a request as the others do", 0.5, "asks"),
    Sign("silent", "scanner", 45, "it connected and never sent anything", 0.5),
    Sign("sweep", "crawler", 40, "it asked for nearly all names in a day"),
    Sign("ports", "scanner", 40, "it came to five or more ports"),
    Sign("once", "crawler", 30, "it asked for no name more than twice", 1.0),
    Sign("says_tool", "researcher", 30, "it names itself as a tool of people", 0.1, "asks"),
    Sign("fleeting", "sandbox", 45, "it was there for a visit, and servers stay", 0.5),
    Sign("cloud", "scanner", 25, "servers are rented out in its network", 0.5),
    Sign("bursts", "sandbox", 20, "it came for minutes, on few days"),
    Sign("no_server_name", "scanner", 15, "its TLS named no server", 0.1, "secured"),
)
"""Every sign, the most telling first: the first that a client shows decides its kind."""


def scored(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the clients that show any sign: client, kind, score, reason (an Ibis table).

    Computed once for each window and vantage of a view.
    """
    window = basis.scored or basis.window
    key = ("scored", window, basis.vantage)
    return basis.view.kept(key, lambda: _scored(basis.within(window)))


def bystanders(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the clients that are no victims: client, kind, score, reason (an Ibis table)."""
    found = scored(basis)
    return found.filter(found.score >= THRESHOLD)


def excluded(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the keys of the clients that are no victims (an Ibis table with one column)."""
    return bystanders(basis).select("client")


def by_kind(basis: Basis) -> dict[str, int]:
    """Return how many clients of each kind are no victims, most first."""
    found = bystanders(basis)
    rows = found.group_by("kind").aggregate(n=found.count()).to_pyarrow().to_pylist()
    return {row["kind"]: row["n"] for row in sorted(rows, key=lambda r: (-r["n"], r["kind"]))}


def table(basis: Basis, limit: int | None = None) -> Iterator[dict[str, object]]:
    """Yield the clients that show signs, for people: those with the highest scores first.

    Yields:
        Rows with ``address`` (null when no longer stored), ``kind``, ``score``, ``excluded``
        (whether the score reaches ``THRESHOLD``), ``reason``, ``asn``, ``as_name``, ``country``
        and ``vantage``.
    """
    import ibis  # noqa: PLC0415 - heavy

    from remnant.store.engine import rows_of  # noqa: PLC0415 - loads the query engine

    known = basis.view.table(schema.CLIENTS).group_by("client")
    names = ("address", "asn", "as_name", "country")
    places = known.aggregate(**{name: ibis._[name].max() for name in names})
    found = scored(basis).left_join(places, "client")
    found = found.order_by(ibis.desc("score"), "kind", "client")
    for row in rows_of(found if limit is None else found.limit(limit)):
        yield {
            "address": row["address"],
            "kind": row["kind"],
            "score": row["score"],
            "excluded": row["score"] >= THRESHOLD,
            "reason": row["reason"],
            **{name: row[name] for name in names[1:]},
            "vantage": basis.vantage,
        }


def estimates(basis: Basis) -> list[Estimate]:
    """Return how many clients are left out of the estimates of hosts: an observed count."""
    from remnant.estimate import Estimate  # noqa: PLC0415 - this room's own

    kinds = by_kind(basis)
    total = float(sum(kinds.values()))
    told = ", ".join(f"{kind} {count:,}" for kind, count in kinds.items()) or "none"
    window = basis.scored or basis.window
    return [
        Estimate(
            quantity="bystanders",
            value=total,
            low=total,
            high=total,
            level=None,
            unit=unit_of(basis.view, basis.vantage),
            since=window.since,
            until=window.until,
            population=f"clients that are no victims (vantage {basis.vantage})",
            n=int(total),
            method=f"clients whose signs sum up to {THRESHOLD} points or more; by kind: {told}",
            assumptions=(
                "signs are independent and their weights right: they were set by judgement",
                "who shows too few signs counts as a victim",
            ),
            coverage=basis.coverage(window),
            vantage=basis.vantage,
        )
    ]


def _scored(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    import ibis  # noqa: PLC0415 - heavy

    hosts = basis.vantage in ACCESS
    found = _placed(basis, features(basis) if hosts else _clients(basis), hosts=hosts)
    if hosts:
        tight = regular(basis)
        found = found.left_join(tight.mutate(period=ibis.literal(value=True)), "client")
        found = found.drop("client_right")
    # Counted below, then read again: the joins above are made once.
    found = basis.view.kept(("signs", basis.window, basis.vantage), lambda: found)
    signs = [sign for sign in SIGNS if sign.id in found.columns]
    signs = _telling(found, signs)
    if not signs:
        signs = [SIGNS[0]]
        found = found.mutate(**{SIGNS[0].id: ibis.literal(value=False)})
    shows = {sign.id: found[sign.id].fill_null(False) for sign in signs}
    points = sum((shows[sign.id].cast("int64") * sign.weight for sign in signs), 0)
    kind = ibis.cases(*((shows[sign.id], sign.kind) for sign in signs), else_="")
    words = ibis.literal("")
    for sign in signs:
        words += ibis.ifelse(shows[sign.id], f"; {sign.words}", "")
    out = found.select("client", kind=kind, score=points, reason=words.substr(2))
    return out.filter(out.score > 0)


def _telling(found: Any, signs: list[Sign]) -> list[Sign]:  # noqa: ANN401 - ibis is untyped
    """Return the signs that few enough clients show."""
    if not signs:
        return []
    counts = {"clients": found.count()}
    for sign in signs:
        counts[sign.id] = found[sign.id].sum()
        if sign.among is not None:
            counts[sign.among] = found[sign.among].sum()
    row = found.aggregate(**counts).to_pyarrow().to_pylist()[0]
    return [
        sign
        for sign in signs
        if (row[sign.id] or 0) <= max(1.0, sign.usual * (row[sign.among or "clients"] or 0))
    ]


def _clients(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    return by_day(basis.view, basis.window, basis.vantage).select("client").distinct()


def _placed(basis: Basis, found: Any, *, hosts: bool) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the features with what is known of each client's address."""
    import ibis  # noqa: PLC0415 - heavy

    # Alike at every vantage: an address is what it is.
    lists = basis.view.known("addresses on lists", lambda: _on_lists(basis))
    if lists.num_rows:
        memory = ibis.memtable(lists)
        found = found.left_join(memory, "client").drop("client_right")
        found = found.mutate(
            **{f"listed_{kind}": found.listed == code for code, kind in enumerate(KINDS)}
        ).drop("listed")
    if not hosts:
        # There a client is a resolver that asks for many: what it is says nothing about them.
        return found
    facts = basis.view.kept("facts about addresses", lambda: _facts(basis))
    found = found.left_join(facts, "client").drop("client_right")
    # In an access network that is an address that changed. A rented server keeps its own.
    return found.mutate(fleeting=found.passing & found.cloud).drop("passing")


def _facts(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return what the network and role of each address say, as flags."""
    known = basis.view.table(schema.CLIENTS)
    known = known.group_by("client").aggregate(
        asn=known.asn.max(), as_name=known.as_name.max(), role=known.role.max()
    )
    name = known.as_name.lower()
    return known.select(
        "client",
        public_resolver=known.role == "public_resolver",
        other_sinkhole=known.role == "sinkhole",
        security=name.re_search(_SECURITY),
        cloud=known.asn.isin(clouds()) | name.re_search(_HOSTING),
    )


_SECURITY: Final = (
    r"\b(kaspersky|bitdefender|trend ?micro|symantec|mcafee|fireeye|mandiant|crowdstrike|sophos"
    r"|fortinet|palo alto networks|checkpoint|eset|avast|f-secure|virustotal|shadowserver"
    r"|team cymru|cyber ?security|malware|antivirus)\b"
)
_HOSTING: Final = r"\b(hosting|datacenter|data center|cloud|vps|dedicated servers?)\b"


def _on_lists(basis: Basis) -> pa.Table:
    """Return client and ``listed`` (index into ``KINDS``) of those whose address is on a list."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    from remnant.store.engine import batches_of  # noqa: PLC0415 - loads the query engine

    ranges = listed(basis.settings.reference.visitors)
    known = basis.view.table(schema.CLIENTS)
    pairs = known.group_by("client").aggregate(address=known.address.max())
    clients: list[Any] = []
    codes: list[Any] = []
    for batch in batches_of(pairs):
        found = ranges.kinds_of(pa.chunked_array([batch["address"]]))
        hit = found >= 0
        clients.append(batch["client"].filter(pa.array(hit)))
        codes.append(pa.array(found[hit], pa.int64()))
    columns: list[Any] = [pa.chunked_array(part, pa.int64()) for part in (clients, codes)]
    return pa.Table.from_arrays(columns, names=["client", "listed"])
