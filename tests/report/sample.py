"""A made-up report, for tests and for looking at: no store, no estimate is needed."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from remnant.report.facts import (
    Content,
    Country,
    Day,
    Intake,
    Mark,
    Measure,
    NameRow,
    Network,
    Pulse,
    Sensor,
    SourceGroup,
    TrendPoint,
    VerdictFacts,
    WatchlistAge,
)
from remnant.report.suppress import Hidden
from remnant.windows import Window

START = datetime(2015, 3, 25, tzinfo=UTC)
TAKEDOWN = datetime(2015, 4, 8, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\u202eevil \x1b[2J [bold]🦠 & \"quoted\" 'x'"
LONG = ".".join(["a" * 63] * 3) + ".example"
CODES = ("IR", "PE", "US", "JP", "IN", "TW", "VN", "BR", "ID", "EG", "MX", "TH", "PK", "TR", "CO")


def wobble(index: int) -> float:
    """A fixed made-up noise in [-1, 1]."""
    return math.sin(index * 12.9898) * math.cos(index * 4.1414)


def make_days(count: int = 98, *, gaps: tuple[int, ...] = (30, 31, 32, 60)) -> tuple[Day, ...]:
    days = []
    for i in range(count):
        level = 36000 * 0.5 ** (max(0, i - 14) / 340)
        clients = round(level * (1 - 0.12 * (i % 7 in {4, 5})) * (1 + 0.05 * wobble(i)))
        gap = i in gaps
        dead = gap and i != 60
        days.append(
            Day(
                start=START + timedelta(days=i),
                queries=None if dead else clients * 23,
                clients=None if dead else clients,
                online=None if gap else clients / 3.1,
                coverage=0.0 if dead else (0.83 if i == 60 else 1.0),
                gap=gap,
            )
        )
    return tuple(days)


def make_trend(days: tuple[Day, ...]) -> tuple[TrendPoint, ...]:
    points = []
    for day in days:
        age = (day.start - TAKEDOWN).days
        if age < 0:
            continue
        value = 11300 * 0.5 ** (age / 340)
        width = 0.02 + 0.0006 * abs(age - 42)
        points.append(
            TrendPoint(
                day.start + timedelta(hours=12), value, value * (1 - width), value * (1 + width)
            )
        )
    return tuple(points)


def pulse(scale: float, steps: int = 14) -> Pulse:
    values = tuple(
        None if i == 5 else scale * 0.97**i * (1 + 0.06 * wobble(i)) for i in range(steps)
    )
    return Pulse(values, round(scale), round(scale * 0.97**steps), round(scale * 0.8))


def make_content(**changes: Any) -> Content:
    days = make_days()
    window = Window(START, START + timedelta(days=98))
    content = Content(
        case="demo-beebone",
        title="BeeBone (AAEH, VObfus, Changeup), SIMULATED at scale 0.05",
        takedown=TAKEDOWN,
        window=window,
        vantage="resolver",
        unit="mixed",
        simulated=True,
        internal=False,
        minimum_count=10,
        generated=datetime(2026, 11, 22, 17, 0, tzinfo=UTC),
        as_of=window.until,
        verdict=VerdictFacts(
            state="no_effective_cleanup",
            sentence=(
                "Between 8 April and 30 June 2015 the clients online at a time fell by 0.20 % a "
                "day (95 % interval 0.11 to 0.29 %), too slowly: at this rate half of them are "
                "still there after 347 days (239 to 630)."
            ),
            series="online hosts (mean of the day's hourly distinct clients)",
            rate_per_day=(0.0020, 0.0011, 0.0029),
            half_life_days=(347.0, 239.0, 630.0),
            can_tell_by=None,
            evidence=(
                {"id": "coverage", "state": "passed", "sentence": "Coverage did not change."},
                {"id": "sensors", "state": "passed", "sentence": "The same two sensors."},
                {"id": "canary", "state": "unavailable", "sentence": "No canary probes."},
                {"id": "watchlist", "state": "failed", "sentence": "Two names were added."},
                "84 complete days, 4 left out.",
            ),
        ),
        measures=(
            measure("online_hosts", 10120.0, 9800.0, 10450.0, "mixed"),
            measure("half_life", 347.0, 239.0, 630.0, "days"),
            measure("queries", 71234567.0, 71234567.0, 71234567.0, "queries"),
            measure("footprint", 312456.0, 312456.0, 312456.0, "mixed"),
            measure("active_clients", 33210.0, 32100.0, 34300.0, "mixed"),
            measure("decay_rate", 0.0020, 0.0011, 0.0029, "per day"),
            measure("infected_population", 41250.0, 38400.0, 44300.0, "hosts"),
            measure("infected_online", 10400.0, 10010.0, 10850.0, "hosts"),
            replace(
                measure("infected_population", 61250.0, 55000.0, 69000.0, "hosts"),
                vantage="sinkhole_http",
            ),
            measure("bystanders", 412.0, 412.0, 412.0, "mixed"),
        ),
        days=days,
        trend=make_trend(days),
        marks=(
            Mark(TAKEDOWN, "takedown", "BeeBone's names pointed at a sinkhole"),
            Mark(datetime(2015, 4, 10, tzinfo=UTC), "names_added", "two names added"),
            Mark(datetime(2015, 6, 4, tzinfo=UTC), "notice", "networks notified"),
            Mark(datetime(2015, 6, 6, tzinfo=UTC), "outage", "resolver-b rebooted"),
        ),
        countries=(
            *tuple(
                Country(code, 4000000 // (i + 1), 60000 // (i + 1), pulse(9000 / (i + 1)))
                for i, code in enumerate(CODES)
            ),
            Country(None, 52000, 800, pulse(90)),
            Country("LI", Hidden.LINKED, Hidden.SMALL, Pulse(mean=Hidden.SMALL)),
        ),
        networks=(
            *tuple(
                Network(
                    64512 + i,
                    f"Simulated {CODES[i % len(CODES)]} network {i}",
                    CODES[i % len(CODES)],
                    900000 // (i + 1),
                    14000 // (i + 1),
                    pulse(2000 / (i + 1)),
                )
                for i in range(20)
            ),
            Network(None, None, None, Hidden.LINKED, Hidden.SMALL, Pulse(mean=Hidden.SMALL)),
        ),
        names=(
            *tuple(
                NameRow(
                    f"ns1.timedate{i}.com",
                    5000000 // (i + 1),
                    30000 // (i + 1),
                    "seized",
                    "c2",
                    TAKEDOWN,
                )
                for i in range(14)
            ),
            NameRow("up.suroot.com", 800, 71, "live", "c2"),
            NameRow("old.example", 12, Hidden.SMALL),
        ),
        countries_total=112,
        networks_total=840,
        names_total=67,
        intake=Intake(
            sensors=(
                sensor("resolver-a", malformed=12),
                sensor("resolver-b", lost=310, clock_faults=4),
            ),
            sources=tuple(
                SourceGroup(
                    "dnstap",
                    name,
                    "resolver",
                    98,
                    180_000_000,
                    3_400_000,
                    START,
                    window.until,
                    window.until,
                )
                for name in ("resolver-a", "resolver-b")
            ),
            quarantine=(("truncated", 8), ("pointer_loop", 4)),
            gap_days=4,
            covered_days=94,
        ),
        watchlist=WatchlistAge(67, 3, (("ns9.chopbell.com", TAKEDOWN + timedelta(days=2)),), 1),
        vantages=("resolver", "sinkhole_dns"),
        reference_dates=("2015-04-01",),
        version="0.1.0",
        digest="9f86d081884c7d659a2feaa0c55ad015",
    )
    return replace(content, **changes)


def measure(quantity: str, value: float, low: float, high: float, unit: str) -> Measure:
    level = None if low == high else 0.95
    return Measure(
        quantity, value, low, high, level, unit, START, START + timedelta(days=98),
        "clients that asked resolver-a or resolver-b for a watched name",
        "mean of the last 7 complete days", 84, 0.99,
        ("every online machine asks at least once an hour",),
    )  # fmt: skip


def sensor(name: str, **counts: int) -> Sensor:
    values = {"malformed": 0, "skipped": 1200, "lost": 0, "clock_faults": 0} | counts
    return Sensor(
        sensor=name,
        vantage="resolver",
        hours=2280,
        first=START,
        last=START + timedelta(days=98),
        messages=3_300_000,
        matched=81_000,
        malformed=values["malformed"],
        skipped=values["skipped"],
        lost=values["lost"],
        clock_faults=values["clock_faults"],
    )


def hostile_content() -> Content:
    """Everything that a stranger can write is hostile here."""
    base = make_content()
    return replace(
        base,
        title=HOSTILE,
        marks=(Mark(TAKEDOWN, "takedown", HOSTILE),),
        networks=(Network(64500, HOSTILE * 20, "IR", 10**15, 10**12, pulse(1e12)),),
        names=(NameRow(LONG, 10, 10, "seized", "c2"), NameRow(HOSTILE, 11, 11, HOSTILE, HOSTILE)),
        countries=(Country("<b>", 11, 11, pulse(11)),),
        verdict=replace(
            base.verdict, sentence=HOSTILE, series=HOSTILE, evidence=({"sentence": HOSTILE},)
        ),
        watchlist=WatchlistAge(2, None, ((HOSTILE, TAKEDOWN),), 1),
        intake=replace(base.intake, sensors=(sensor(HOSTILE),), quarantine=((HOSTILE, 3),)),
    )


def empty_content() -> Content:
    """One day, nothing matched, no fit."""
    base = make_content()
    nothing = Day(START, 0, 0, 0.0, 1.0, gap=False)
    return replace(
        base,
        title="Nothing",
        simulated=False,
        window=Window(START, START + timedelta(days=1)),
        days=(nothing,),
        trend=(),
        marks=(),
        countries=(),
        networks=(),
        names=(),
        measures=(),
        countries_total=0,
        networks_total=0,
        names_total=0,
        verdict=VerdictFacts(
            "cannot_tell", "There is one day of data; 14 are needed.", "online hosts",
            (None, None, None), (None, None, None), "2015-05-20", (),
        ),
    )  # fmt: skip
