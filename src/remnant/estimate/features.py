"""What each client does, in columns: one row for each client, computed by the query engine.

The columns are flags that ``bystanders`` weighs. Text in ``detail`` is a stranger's: it is only
matched against fixed patterns, never read as anything else, and what does not match is no fact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from remnant.estimate.traffic import sightings

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
_MOST_LISTED: Final = 5000
_ALL_HOURS: Final = 24
_DAY_S: Final = 86_400

_AGENT: Final = r'"(?:user_agent|agent|http_agent)": ?"([^"]*)'
_METHOD: Final = r'"(?:method|http_method)": ?"([A-Za-z]{1,16})"'
_PATH: Final = r'"(?:target|url|http_url)": ?"([^"?#]{0,64})'
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

    Columns: ``client``; ``sweep``, ``once``, ``bursts``; where the vantage sees connections
    ``ports``; where it sees requests ``asks`` (it sent any), ``says_scanner``, ``says_tool``,
    ``other_shape`` (only where half of those that ask send the same method and path), ``secured``,
    ``no_server_name``, and ``silent`` on ``sinkhole_tcp``.
    """
    daily = _daily(basis)
    found = daily.group_by("client").aggregate(
        days=daily.count(),
        span=daily.day.max() - daily.day.min() + 1,
        longest=daily.longest.max(),
        names=daily.names.max(),
        **{name: daily[name].sum() for name in _sums(basis.vantage)},
    )
    flags: dict[str, Any] = {
        "sweep": found.names >= _most_names(basis),
        "bursts": (found.days > 1) & (found.span >= 4 * found.days) & (found.longest <= BURST_S),
    }
    if basis.vantage in _SERVED:
        flags |= {
            "asks": found.asked > 0,
            "says_scanner": 2 * found.scanner > found.asked,
            "says_tool": 2 * found.tool > found.asked,
            "secured": found.tls > 0,
            "no_server_name": (found.tls > 0) & (found.named == 0),
        }
        shape = _usual_shape(basis)
        if shape is not None:
            flags["other_shape"] = (found.asked > 0) & (found.usual == 0)
    if basis.vantage == "sinkhole_tcp":
        flags["silent"] = found.sent == 0
    out = found.select("client", **flags)
    out = out.left_join(_often(basis, out), "client").drop("client_right")
    out = out.mutate(once=out.sweep & (out.most <= MOST_ASKED)).drop("most")
    if basis.vantage in _CONNECTED:
        seen = sightings(basis.view, basis.window, basis.vantage)
        ports = seen.group_by("client").aggregate(different=seen.service_port.nunique())
        out = out.left_join(ports, "client").drop("client_right")
        out = out.mutate(ports=out.different >= MANY_PORTS).drop("different")
    return out


def regular(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the clients that come at fixed times, day and night, every day (column ``client``).

    None where the family's own bots keep such times.
    """
    import ibis  # noqa: PLC0415 - heavy

    daily = _daily(basis)
    clocks = daily.group_by("client").aggregate(
        n=daily.n.sum(),
        days=daily.count(),
        span=daily.day.max() - daily.day.min() + 1,
    )
    timed = clocks.filter(clocks.n > REGULAR_GAPS, clocks.days >= REGULAR_DAYS)
    always = timed.filter(timed.days == timed.span)
    many = int(timed.count().to_pyarrow().as_py())
    if not many or not int(always.count().to_pyarrow().as_py()):
        return always.filter(ibis.literal(value=False)).select("client")
    # Client keys are keyed hashes: a remainder of theirs is a fair sample.
    every = max(1, many // _SAMPLE)
    sample = _equal_gaps(basis, timed.filter(timed.client % every == 0))
    told = sample.aggregate(n=sample.count(), timed=(100 * sample.equal >= TIMED * sample.n).sum()).to_pyarrow()
    row = told.to_pylist()[0]
    usual = (row["timed"] or 0) > max(1.0, USUAL * row["n"])
    if usual:
        return always.filter(ibis.literal(value=False)).select("client")
    gaps = _equal_gaps(basis, always)
    kept = gaps.filter(100 * gaps.equal >= REGULAR * gaps.n, gaps.n >= REGULAR_GAPS, gaps.hours == _ALL_HOURS)
    return kept.select("client")


def _daily(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return one row for each client and day, computed once."""
    key = ("visits", basis.window, basis.vantage)
    return basis.view.kept(key, lambda: _visits(basis))


def _visits(basis: Basis) -> Any:  # noqa: ANN401 - ibis is untyped
    seen = sightings(basis.view, basis.window, basis.vantage)
    seconds = seen.time.epoch_seconds()
    seen = seen.mutate(day=seconds // _DAY_S, at=seconds, static=_static(basis, seen))
    if basis.vantage in _SERVED:
        seen = _told(seen, _usual_shape(basis))
    by_name = seen.group_by("client", "day", "indicator", "static").aggregate(
        n=seen.count(),
        first=seen["at"].min(),
        last=seen["at"].max(),
        **{name: seen[name].sum() for name in _sums(basis.vantage)},
    )
    return by_name.group_by("client", "day").aggregate(
        n=by_name.n.sum(),
        names=by_name.static.sum(),
        longest=by_name["last"].max() - by_name["first"].min(),
        **{name: by_name[name].sum() for name in _sums(basis.vantage)},
    )


def _static(basis: Basis, seen: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return whether a sighting is of a listed name: bots ask for all generated ones, once."""
    import ibis  # noqa: PLC0415 - heavy

    if not any(watch.dga for watch in basis.case.watches):
        return ibis.literal(value=True)
    names = [name for watch in basis.case.watches for name in watch.names]
    if not names or len(names) > _MOST_LISTED:
        return ibis.literal(value=False)
    return seen.indicator.isin(names)


def _sums(vantage: str) -> tuple[str, ...]:
    return ("asked", "scanner", "tool", "tls", "named", "sent", "usual") * (vantage in _SERVED)


def _told(seen: Any, shape: str | None) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return the sightings with what their details say of the request."""
    import ibis  # noqa: PLC0415 - heavy

    detail = seen.detail.fill_null("")
    agent = detail.re_extract(_AGENT, 1).lower()
    asked = detail.contains('"method"') | detail.contains('"http_method"')
    tls = detail.contains('"ja3"') | detail.contains('"tls_')
    sent = detail.contains('"payload_') | tls | asked
    usual = ibis.literal(value=False) if shape is None else _shape(detail) == shape
    return seen.mutate(
        asked=asked,
        scanner=agent.re_search(_SCANNER),
        tool=agent.re_search(_TOOL),
        tls=tls,
        named=detail.contains('"sni"'),
        sent=sent,
        usual=usual,
    )


def _shape(detail: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    return detail.re_extract(_METHOD, 1).upper() + " " + detail.re_extract(_PATH, 1)


def _usual_shape(basis: Basis) -> str | None:
    """Return the method and path that at least half of those who ask send; null if there is none.

    No case says how its family asks: the clients themselves do.
    """
    import ibis  # noqa: PLC0415 - heavy

    def make() -> Any:  # noqa: ANN401 - ibis is untyped
        seen = sightings(basis.view, basis.window, basis.vantage)
        detail = seen.detail.fill_null("")
        rows = seen.select("client", shape=_shape(detail))
        rows = rows.filter(rows["shape"] != " ")
        counts = rows.group_by("shape").aggregate(clients=rows.client.nunique())
        return counts.order_by(ibis.desc("clients"), "shape").limit(1).mutate(
            everybody=rows.client.nunique().as_scalar()
        )

    found = basis.view.kept(("shape", basis.window, basis.vantage), make).to_pyarrow().to_pylist()
    if not found or 2 * found[0]["clients"] < found[0]["everybody"]:
        return None
    return str(found[0]["shape"])


def _most_names(basis: Basis) -> int:
    """Return how many names in a day are a sweep: more than there are where there are few."""
    seen = sightings(basis.view, basis.window, basis.vantage)
    names = seen.filter(_static(basis, seen)).indicator.nunique().to_pyarrow().as_py()
    return max(LEAST_NAMES, -int(-SWEPT * names // 1))


def _often(basis: Basis, found: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return how often each client that swept asked for the name that it asked for most."""
    seen = sightings(basis.view, basis.window, basis.vantage)
    seen = seen.semi_join(found.filter(found.sweep), "client")
    each = seen.group_by("client", "name").aggregate(n=seen.count())
    return each.group_by("client").aggregate(most=each.n.max())


def _equal_gaps(basis: Basis, chosen: Any) -> Any:  # noqa: ANN401 - ibis is untyped
    """Return client, n (gaps between its questions of one kind), equal (of those) and hours."""
    import ibis  # noqa: PLC0415 - heavy

    seen = sightings(basis.view, basis.window, basis.vantage).semi_join(chosen, "client")
    seen = seen.select("client", "indicator", "qtype", at=seen.time.epoch_seconds())
    order = ibis.window(group_by=["client", "indicator", "qtype"], order_by="at")
    gaps = seen.mutate(gap=seen["at"] - seen["at"].lag().over(order))
    gaps = gaps.filter(gaps.gap > 0)
    middle = gaps.group_by("client").aggregate(middle=gaps.gap.median().cast("int64"), n=gaps.count())
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
