"""What each client does, in columns: one row for each client, computed by the query engine.

The columns are flags that ``bystanders`` weighs. Text in ``detail`` is a stranger's: it is only
matched against fixed patterns, never read as anything else, and what does not match is no fact.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from remnant.estimate.client_days import day_of, second_of, visits
from remnant.estimate.distinct import any_bit, bits, numbered
from remnant.estimate.traffic import sightings
from remnant.schema import SIGHTINGS
from remnant.windows import Window

if TYPE_CHECKING:
    from remnant.estimate.basis import Basis

__all__ = ["ACCESS", "features", "regular"]

ACCESS: Final = frozenset({"resolver", "sinkhole_http", "sinkhole_tcp", "flow", "report"})
"""Vantages at which a client is the address of a household or a machine, not of a resolver."""

_SERVED: Final = frozenset({"sinkhole_http", "sinkhole_tcp", "report"})
"""Vantages whose ``detail`` tells of a request."""

_CONNECTED: Final = frozenset({"sinkhole_http", "sinkhole_tcp", "flow"})

LEAST_NAMES: Final = 8
"""Names that must have been asked for, by anybody, before asking for all of them is a sign."""

SWEPT: Final = 0.8
"""Share of the names that a sweep asks for in one day."""

MOST_ASKED: Final = 2
"""Times that a name is asked for by who only looks (an A and an AAAA, say)."""

MANY_PORTS: Final = 5
BURST_S: Final = 900
"""Longest time that a burst lasts, in seconds."""

VISIT_DAYS: Final = 2
"""Days on which a visitor comes, at most."""

EDGE_DAYS: Final = 3
"""Days at each end of the window in which a visit cannot be told from a longer stay."""

LASTING_DAYS: Final = 10
LEAST_LASTING: Final = 10
"""Clients that must have stayed that long before a visit is told from the family's habit."""

REGULAR_DAYS: Final = 7
REGULAR_GAPS: Final = 100
LEAST_PERIOD_S: Final = 60
TOLERANCE: Final = 50
"""A gap counts as equal within this part of its median (2 %); bots scatter theirs by a tenth."""

REGULAR: Final = 95
"""Per cent of equal gaps of a machine that keeps time."""

TIMED: Final = 50
"""Per cent of equal gaps from which a bot's timer has no scatter."""

SLACK_S: Final = 2
"""A gap counts as equal within these seconds of its median, too."""

USUAL: Final = 0.1
"""Share of the clients with such timers above which they are the family's own."""

_SAMPLE: Final = 1000
_DAY_S: Final = 86_400
_MOST_LISTED: Final = 5000
_ALL_HOURS: Final = 24
_WITHIN: Final = (1 << 62) - 1
_ROWS_AT_ONCE: Final = 8_000_000

_AGENT: Final = r'"(?:user_agent|agent|http_agent)": ?"([^"]*)'
_METHOD: Final = r'"(?:method|http_method)": ?"([A-Za-z]{1,16})"'
_PATH: Final = r'"(?:target|url|http_url)": ?"([^"?#]{0,64})'
_ASKING: Final = ('"method"', '"http_method"')
_SECURED: Final = ('"ja3"', '"tls_')
_READ: Final = 1024
"""Characters of a detail that are read: the telling facts come first in it."""

_SCANNER: Final = (
    r"censys|shodan|zgrab|masscan|nmap|internet-?measurement|expanse|leakix|onyphe|binaryedge"
    r"|netsystemsresearch|projectdiscovery|nuclei|googlebot|bingbot|ahrefsbot|semrushbot|yandexbot"
    r"|urlscan|virustotal|dnsresearch"
)
_TOOL: Final = (
    r"^(curl|wget|python|go-http-client|java/|libwww-perl|okhttp|axios|node-fetch|httpie|aiohttp)"
)


def features(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return one row for each client of the question (an Ibis table).

    Columns: ``client``; ``sweep``, ``once``, ``bursts``, ``passing``; where the vantage sees
    connections ``ports``; where it sees requests ``asks`` (it sent any), ``says_scanner``,
    ``says_tool``, ``other_shape`` (only where half of those that ask send the same method and
    path), ``secured``,
    ``no_server_name``; on ``sinkhole_tcp`` ``silent``.
    """
    import ibis  # noqa: PLC0415 - heavy

    found = _visitors(basis)
    out = found.select(
        "client",
        bursts=(found.days > 1) & (found.span >= 4 * found.days) & (found.longest <= BURST_S),
        passing=_passing(basis, found),
    )
    swept = basis.view.kept(("sweeps", basis.window, basis.vantage), lambda: _sweeps(basis))
    out = out.left_join(swept, "client").drop("client_right")
    out = out.mutate(
        sweep=out.most.notnull(), once=ibis.coalesce(out.most <= MOST_ASKED, False)
    ).drop("most")
    if basis.vantage in _CONNECTED:
        out = out.left_join(_connections(basis), "client").drop("client_right")
    if basis.vantage in _SERVED:
        out = out.left_join(_requests(basis), "client").drop("client_right")
    return out


def _passing(basis: Basis, found: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return whether a client was there for a visit only (an Ibis column).

    It came on few days away from both ends of the window, or for minutes on some days and not at
    all on as many others. That says nothing in networks that change addresses, and nothing at all
    unless the family's machines that stay come on most days: else no column, but false.
    """
    import ibis  # noqa: PLC0415 - heavy

    stays = found.filter(found.span >= LASTING_DAYS)
    row = stays.aggregate(n=stays.count(), mostly=(2 * stays.days >= stays.span).sum())
    (told,) = row.to_pyarrow().to_pylist()
    if told["n"] < LEAST_LASTING or 2 * (told["mostly"] or 0) < told["n"]:
        return ibis.literal(value=False)
    first = int(basis.window.since.timestamp()) // _DAY_S + EDGE_DAYS
    last = (int(basis.window.until.timestamp()) - 1) // _DAY_S - EDGE_DAYS
    few = (found.days <= VISIT_DAYS) & (found["from"] >= first) & (found["to"] <= last)
    now_and_then = (found.days > 1) & (found.span >= 2 * found.days)
    return few | (now_and_then & (found.longest <= BURST_S))


def regular(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the clients that come at fixed times, day and night, every day (column ``client``).

    None where the family's own bots keep such times.
    """
    import ibis  # noqa: PLC0415 - heavy

    clocks = _visitors(basis)
    timed = clocks.filter(clocks.n > REGULAR_GAPS, clocks.days >= REGULAR_DAYS)
    always = timed.filter(timed.days == timed.span)
    counts = timed.aggregate(many=timed.count(), always=(timed.days == timed.span).sum())
    row = counts.to_pyarrow().to_pylist()[0]
    many = int(row["many"])
    nobody = always.filter(ibis.literal(value=False)).select("client")
    if not row["always"]:
        return nobody
    # Client keys are keyed hashes: a remainder of theirs is a fair sample.
    every = max(1, many // _SAMPLE)
    sampled = timed.client % every == 0
    chosen = timed.filter(sampled | (timed.days == timed.span))
    # Where they are few all are read at once.
    few = _rows(chosen) <= _ROWS_AT_ONCE
    found = _gaps(basis, "sampled", chosen if few else timed.filter(sampled))
    sample = found.filter(found.client % every == 0)
    told = sample.aggregate(
        n=sample.count(), timed=(100 * sample.equal >= TIMED * sample.n).sum()
    ).to_pyarrow()
    row = told.to_pylist()[0]
    if (row["timed"] or 0) > max(1.0, USUAL * row["n"]):
        return nobody
    if few:
        gaps = found.semi_join(always, "client")
    else:
        gaps = _gaps(basis, "always", _likely(basis, always))
    kept = gaps.filter(
        100 * gaps.equal >= REGULAR * gaps.n, gaps.n >= REGULAR_GAPS, gaps.hours == _ALL_HOURS
    )
    return kept.select("client")


def _visitors(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return one row for each client, computed once: when it came.

    Columns: ``client``, ``n`` (sightings), ``days``, ``from`` and ``to`` (its first and last day,
    since 1970-01-01), ``span`` (days from the first to the last), ``longest`` (seconds from the
    first to the last of a day) and ``most`` (sightings of a day).
    """
    key = ("visitors", basis.window, basis.vantage)
    return basis.view.kept(key, lambda: _came(visits(basis.view, basis.window, basis.vantage)))


def _came(daily: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    ends = {"from": daily.day.min(), "to": daily.day.max()}
    return daily.group_by("client").aggregate(
        **ends,
        n=daily.n.sum(),
        days=daily.count(),
        span=daily.day.max() - daily.day.min() + 1,
        longest=(daily["last"] - daily["first"]).max(),
        most=daily.n.max(),
    )


def _sweeps(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the clients that asked for nearly all names in a day.

    Columns: ``client``, and ``most``, how often it asked for the name that it asked for most.
    """
    import ibis  # noqa: PLC0415 - heavy

    came = _visitors(basis)
    none = came.filter(ibis.literal(value=False)).select("client", "most")
    most = came.aggregate(most=came.most.max()).to_pyarrow()["most"][0].as_py() or 0
    if most < LEAST_NAMES:
        return none
    asked = basis.view.kept(("indicators", basis.window, basis.vantage), lambda: _asked(basis))
    known = int(asked.count().to_pyarrow().as_py())
    # More than there are, where there are few.
    names = max(LEAST_NAMES, -int(-SWEPT * known // 1))
    # Who asked for so many names asked so many times.
    if most < names:
        return none
    daily = visits(basis.view, basis.window, basis.vantage)
    busy = daily.filter(daily.n >= names).select("client", "day")
    seen = sightings(basis.view, basis.window, basis.vantage)
    seen = seen.select("client", "indicator", day=day_of(seen.time))
    seen = seen.join(asked, "indicator").semi_join(busy, ["client", "day"])
    each = seen.group_by("client", "day", "block").aggregate(some=any_bit()(seen.bit))
    each = each.group_by("client", "day").aggregate(names=bits()(each.some).sum())
    swept = basis.view.kept(
        ("swept", basis.window, basis.vantage),
        lambda: each.filter(each.names >= names).select("client").distinct(),
    )
    if not swept.count().to_pyarrow().as_py():
        return none
    return _often(basis, swept)


def _static(basis: Basis, seen: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return whether a sighting is of a listed name: bots ask for all generated ones, once."""
    import ibis  # noqa: PLC0415 - heavy

    if not any(watch.dga for watch in basis.case.watches):
        return ibis.literal(value=True)
    names = [name for watch in basis.case.watches for name in watch.names]
    if not names or len(names) > _MOST_LISTED:
        return ibis.literal(value=False)
    return seen.indicator.isin(names)


def _connections(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return client, ``ports`` and, where no request is a sign, ``silent``."""
    seen = sightings(basis.view, basis.window, basis.vantage)
    # Grouped twice: to count distinct ports in one group is slow where clients are many.
    each = seen.group_by("client", "service_port").aggregate(told=seen.detail.count())
    found = each.group_by("client").aggregate(
        different=each.service_port.count(), told=each.told.sum()
    )
    flags = {"ports": found.different >= MANY_PORTS}
    if basis.vantage == "sinkhole_tcp":
        flags["silent"] = found.told == 0
    return found.select("client", **flags)


def _requests(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return client and what its requests tell, as flags.

    Of each client two requests are read, the first and the last in alphabetical order: with many
    requests they differ as much as any two do, and bots of one family have the same two.
    """
    told = basis.view.kept(("requests", basis.window, basis.vantage), lambda: _told(basis))
    shape = _usual_shape(told)
    flags: dict[str, Any] = {
        "asks": told.asks,
        "says_scanner": told.asks
        & told.first_agent.re_search(_SCANNER)
        & told.last_agent.re_search(_SCANNER),
        "says_tool": told.asks
        & told.first_agent.re_search(_TOOL)
        & told.last_agent.re_search(_TOOL),
        "secured": told.secured,
        "no_server_name": told.secured & ~told.named,
    }
    if shape is not None:
        flags["other_shape"] = told.asks & (told.first_shape != shape) & (told.last_shape != shape)
    return told.select("client", **flags)


def _told(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return agent and shape of each client's two requests."""
    seen = sightings(basis.view, basis.window, basis.vantage)
    seen = seen.filter(seen.detail.notnull()).select("client", "detail")
    ends = seen.group_by("client").aggregate(first=seen.detail.min(), last=seen.detail.max())
    first, last = (ends[name].substr(0, _READ) for name in ("first", "last"))
    return ends.select(
        "client",
        asks=_has(first, *_ASKING) | _has(last, *_ASKING),
        secured=_has(first, *_SECURED) | _has(last, *_SECURED),
        named=_has(first, '"sni"') | _has(last, '"sni"'),
        first_agent=first.re_extract(_AGENT, 1).lower(),
        last_agent=last.re_extract(_AGENT, 1).lower(),
        first_shape=_shape(first),
        last_shape=_shape(last),
    )


def _has(text: Any, *words: str) -> Any:  # noqa: ANN401 - ibis is untyped
    found = text.contains(words[0])
    for word in words[1:]:
        found |= text.contains(word)
    return found


def _shape(detail: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the method and the path of a request."""
    return detail.re_extract(_METHOD, 1).upper() + " " + detail.re_extract(_PATH, 1)


def _usual_shape(told: Any) -> str | None:  # noqa: ANN401 - ibis is untyped
    """Return the method and path that at least half of those who ask send; null if there is none.

    No case says how its family asks: the clients themselves do.
    """
    import ibis  # noqa: PLC0415 - heavy

    asking = told.filter(told.asks)
    counts = asking.group_by("last_shape").aggregate(clients=asking.count())
    top = counts.order_by(ibis.desc("clients"), "last_shape").limit(1).to_pyarrow().to_pylist()
    everybody = int(asking.count().to_pyarrow().as_py())
    if not top or 2 * top[0]["clients"] < everybody:
        return None
    return str(top[0]["last_shape"])


def _asked(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the names of which a sweep is told, numbered: ``indicator``, ``block``, ``bit``."""
    seen = sightings(basis.view, basis.window, basis.vantage)
    seen = seen.filter(_static(basis, seen))
    return numbered(seen.select("indicator").distinct(), "indicator")


def _often(basis: Basis, swept: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return how often each client that swept asked for the name that it asked for most."""
    seen = sightings(basis.view, basis.window, basis.vantage)
    seen = seen.semi_join(swept, "client")
    each = seen.group_by("client", "name").aggregate(n=seen.count())
    return each.group_by("client").aggregate(most=each.n.max())


def _gaps(basis: Basis, which: str, chosen: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the gaps of clients (rows of ``_visitors``), computed once: see ``_equal_gaps``.

    A median needs all gaps of a client at once, so a part of the clients is read at a time.
    """
    import ibis  # noqa: PLC0415 - heavy

    parts = -(-_rows(chosen) // _ROWS_AT_ONCE) or 1
    found = []
    for part in range(parts):
        mine = chosen.filter((chosen.client & _WITHIN) % parts == part) if parts > 1 else chosen
        key = ("gaps", which, part, basis.window, basis.vantage)
        found.append(
            basis.view.kept(key, functools.partial(_equal_gaps, basis, mine.select("client")))
        )
    return found[0] if parts == 1 else ibis.union(*found)


def _likely(basis: Basis, always: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the clients (rows of ``_visitors``) without those that cannot be regular.

    Of a client's gaps no more than one in twenty may differ from their median, so the gaps of some
    days alone can show that too many do. Days are read one part after the other, each for those
    that none before it told of; most clients are out at their first part.
    """
    left = always
    for number, part in enumerate(_parts_of(basis)):
        if _rows(left) <= _ROWS_AT_ONCE:
            break
        gaps = _gap_table(basis, part, left)
        middle = gaps.group_by("client").aggregate(
            middle=gaps.gap.median().cast("int64"), gaps=gaps.count()
        )
        both = gaps.join(middle, "client")
        # If the client is regular more than half of these gaps are near the median of all, and
        # then this one is too: what is near that is within twice the distance of this.
        near = (both.gap - both.middle).abs() <= both.middle // 20 + 2 * SLACK_S + 1
        seen = both.group_by("client").aggregate(gaps=both.gaps.max(), near=near.sum())
        known = seen.join(left.select("client", "n"), "client")
        out = known.filter(10 * known.gaps > known.n, 20 * (known.gaps - known.near) > known.n)
        rest = left.anti_join(out.select("client"), "client")
        key = ("likely", number, basis.window, basis.vantage)
        left = basis.view.kept(key, functools.partial(_itself, rest))
    return left


def _rows(clients: Any) -> int:  # noqa: ANN401 - ibis is untyped
    """Return how many sightings clients have together."""
    return int(clients.aggregate(n=clients.n.sum()).to_pyarrow()["n"][0].as_py() or 0)


def _itself(table: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    return table


def _parts_of(basis: Basis) -> list[Window]:
    """Return the window in parts of whole days with a bounded number of sightings."""
    found: list[Window] = []
    rows = 0
    for day, size in sorted(basis.view.rows_by_day(SIGHTINGS).items()):
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        span = Window(start, start + timedelta(days=1))
        if span.until <= basis.window.since or span.since >= basis.window.until:
            continue
        if found and rows + size <= _ROWS_AT_ONCE:
            found[-1] = Window(found[-1].since, span.until)
            rows += size
        else:
            found.append(span)
            rows = size
    ends = basis.window
    return [Window(max(p.since, ends.since), min(p.until, ends.until)) for p in found]


def _gap_table(basis: Basis, window: Window, chosen: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the gaps of clients in a window: client, ``at`` (its end) and ``gap``, in seconds."""
    import ibis  # noqa: PLC0415 - heavy

    seen = sightings(basis.view, window, basis.vantage).semi_join(chosen, "client")
    seen = seen.select("client", "indicator", "qtype", at=second_of(seen.time))
    order = ibis.window(group_by=["client", "indicator", "qtype"], order_by="at")
    gaps = seen.select("client", "at", gap=seen["at"] - seen["at"].lag().over(order))
    return gaps.filter(gaps.gap > 0)


def _equal_gaps(basis: Basis, chosen: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return client, n (gaps between its questions of one kind), equal (of those) and hours."""
    gaps = _gap_table(basis, basis.window, chosen)
    middle = gaps.group_by("client").aggregate(
        middle=gaps.gap.median().cast("int64"), n=gaps.count()
    )
    middle = middle.filter(middle.middle >= LEAST_PERIOD_S)
    both = gaps.join(middle, "client")
    # Whole numbers: engines agree about them.
    off = (both.gap - both.middle).abs()
    near = (TOLERANCE * off <= both.middle) | (off <= SLACK_S)
    return both.group_by("client").aggregate(
        equal=near.sum(),
        n=both.n.max(),
        hours=((both["at"] // 3600) % 24).nunique(),
    )
