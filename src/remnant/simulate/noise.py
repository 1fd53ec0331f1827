"""What reaches the sinkhole beside bots: scanners, crawlers, sandboxes, researchers, monitors.

No published share of such noise was found; the shares are parameters (``surroundings.Noise``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from remnant.simulate.arrivals import DNS_UDP, HTTP, NONE, TCP, Arrivals
from remnant.simulate.networks import CLOUD_V4, CLOUDS
from remnant.simulate.population import DAY_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.simulate.surroundings import Noise

__all__ = ["KINDS", "NoiseDay", "code_of", "facts_of", "noise_of"]

KINDS: Final = ("scanner", "crawler", "sandbox", "researcher", "monitor", "spoofed")
_STYLES: Final = (
    # Method, target and user agent of bots, crawlers and monitors.
    ("GET", "/qzwxkd/?a", "Mozilla/4.0 (MSIE 7.0)"),
    ("GET", "/robots.txt", "Mozilla/5.0 (compatible; examplecrawler/1.0)"),
    ("HEAD", "/", "examplemonitor/2.1"),
)
_CRAWLER: Final = 1
_MONITOR: Final = 2
_MONITOR_US: Final = 300_000_000
_BURST_US: Final = 600_000_000
_SECOND_US: Final = 1_000_000
_V4_FIRST: Final = 10 << 24
_SPOOFABLE: Final = 254 << 16
_NOISE: Final = 7


class NoiseDay(NamedTuple):
    """The noise of a day.

    Attributes:
        dns, tcp: what arrives at the sinkhole's DNS, and its other services.
        unit, kind, events: every source of noise: its unit number, index into ``KINDS``, and how
            many events it made.
    """

    dns: Arrivals
    tcp: Arrivals
    unit: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int8]
    events: npt.NDArray[np.int64]


def noise_of(
    given: Noise,
    seed: int,
    day: int,
    since: int,
    names: npt.NDArray[np.int32],
    clients: int,
    events: int,
    ttl: int,
) -> NoiseDay:
    """Return the noise of a day.

    Args:
        given: the shares.
        seed: of the run.
        day: number of the day.
        since: from when on the sinkhole listens that day (UTC microseconds).
        names: the names that answer with the sinkhole that day.
        clients: the bots' clients at the sinkhole that day.
        events: their events there.
        ttl: what the sinkhole answers with.
    """
    random = np.random.Generator(np.random.PCG64([seed, _NOISE, day]))
    end = since // DAY_US * DAY_US + DAY_US
    weights = (
        given.scanners,
        given.crawlers,
        given.sandboxes,
        given.researchers,
        given.monitors,
        given.spoofed,
    )
    shares = np.array(weights) / max(1e-12, sum(weights))
    sources = random.poisson(given.clients * clients * shares)
    wanted = random.poisson(given.events * events * shares)
    dns: list[Arrivals] = []
    tcp: list[Arrivals] = []
    parts: list[tuple[int, npt.NDArray[np.int64]]] = []

    def times(count: int) -> npt.NDArray[np.int64]:
        return random.integers(since, end, count)

    def clouds(count: int, many: int) -> npt.NDArray[np.int64]:
        """Return the sources of events in cloud networks: at most so many addresses."""
        pool = CLOUD_V4 + 1 + random.integers(0, CLOUDS * 256 - 2, max(1, many))
        return pool[random.integers(0, pool.size, count)].astype(np.int64)

    def asks(
        when: npt.NDArray[np.int64], unit: npt.NDArray[np.int64], name: npt.NDArray[np.int32]
    ) -> Arrivals:
        return Arrivals.of(when, unit, name, proof=DNS_UDP, qtype=1, rcode=0, ttl=ttl)

    def keep(kind: int, *found: Arrivals) -> None:
        for rows in found:
            (dns if rows.proof.size and rows.proof[0] == DNS_UDP else tcp).append(rows)
            parts.append((kind, rows.unit))

    for kind, word in enumerate(KINDS):
        count, many = int(wanted[kind]), int(sources[kind])
        if shares[kind] <= 0 or not (count or many):
            continue
        count = max(count, many)
        if word == "scanner":
            # Most of them are anywhere in the world: other people's machines.
            unit = _anywhere(random, max(1, many))[random.integers(0, max(1, many), count)]
            keep(kind, Arrivals.of(times(count), unit, np.full(count, NONE, np.int32), proof=TCP))
            continue
        if not names.size:
            continue
        if word == "crawler":
            for _ in range(max(1, min(many, count // (2 * names.size)))):
                when = int(times(1)[0]) + np.arange(names.size) * _SECOND_US
                when = np.minimum(when, end - 1)
                unit = np.repeat(clouds(1, 1), names.size)
                later = np.minimum(when + 300_000, end - 1)
                keep(
                    kind,
                    asks(when, unit, names),
                    Arrivals.of(later, unit, names, proof=HTTP, style=_CRAWLER),
                )
        elif word == "sandbox":
            unit = clouds(count // 2 + 1, many)
            when, name = times(unit.size), random.choice(names, unit.size)
            later = np.minimum(when + random.integers(50_000, 900_000, unit.size), end - 1)
            keep(kind, asks(when, unit, name), Arrivals.of(later, unit, name, proof=HTTP))
        elif word == "researcher":
            unit = clouds(count, max(1, many))
            burst = int(times(1)[0])
            when = np.minimum(burst + random.integers(0, _BURST_US, count), end - 1)
            name = np.full(count, random.choice(names), np.int32)
            keep(kind, Arrivals.of(when, unit, name, proof=HTTP))
        elif word == "monitor":
            for i in range(max(1, min(many, count * _MONITOR_US // DAY_US))):
                # The same monitors on every day, at the same seconds.
                when = np.arange(since + 7_000_003 * (i + 1), end, _MONITOR_US)
                unit = np.full(when.size, CLOUD_V4 + 256 * (i % CLOUDS) + 200 + i // CLOUDS)
                name = np.full(when.size, names[i % names.size], np.int32)
                keep(kind, Arrivals.of(when, unit, name, proof=HTTP, style=_MONITOR))
        else:
            unit = _anywhere(random, count)
            keep(kind, asks(times(count), unit, random.choice(names, count)))
    empty = Arrivals.of(
        np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32), proof=TCP
    )
    key = np.concatenate([np.empty(0, np.int64), *(unit << 3 | kind for kind, unit in parts)])
    few, number = np.unique(key, return_counts=True)
    return NoiseDay(
        Arrivals.joined([empty, *dns]),
        Arrivals.joined([empty, *tcp]),
        few >> 3,
        (few & 7).astype(np.int8),
        number,
    )


def _anywhere(random: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    return _V4_FIRST + random.integers(0, _SPOOFABLE, count)


def code_of(rows: Arrivals) -> npt.NDArray[np.int64]:
    """Return a number for style and host of each request; ``NONE`` for what is none."""
    return np.where(
        rows.proof == HTTP, rows.name.astype(np.int64) * len(_STYLES) + rows.style, NONE
    )


def facts_of(code: int, names: Sequence[str]) -> dict[str, str]:
    """Return the facts about requests of a ``code_of``, as the sinkhole keeps them."""
    name, style = divmod(code, len(_STYLES))
    method, target, agent = _STYLES[style]
    return {
        "method": method,
        "target": target,
        "host": names[name],
        "user_agent": agent,
        "http_version": "1.1",
    }
