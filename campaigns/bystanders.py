"""Who is not a victim: victims called bystanders, and bystanders found, by kind."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from campaigns.memory import MemoryView
from remnant.cases.model import Case
from remnant.estimate.basis import Basis
from remnant.estimate.bystanders import excluded
from remnant.schema import CLIENTS, SIGHTINGS
from remnant.settings import Settings
from remnant.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rng = np.random.Generator
    Floats = NDArray[np.float64]

__all__ = ["campaign", "simulate"]

_DAYS: Final = 14
_DAY_S: Final = 86_400
_NAMES: Final = 30
_ACCESS: Final = 64500
_CLOUD: Final = 14061
_START: Final = 1_428_451_200  # 2015-04-08
_BOT: Final = '{"method": "POST", "target": "/gate.php?id=%d", "user_agent": "Mozilla/4.0"}'
_LOOK: Final = '{"method": "GET", "target": "/", "user_agent": "Mozilla/5.0 (X11; Linux)"}'
_CURL: Final = '{"method": "GET", "target": "/", "user_agent": "curl/7.88.1"}'
_SCAN: Final = '{"method": "GET", "target": "/", "user_agent": "Mozilla/5.0 zgrab/0.x"}'

Visits = tuple["Floats", "NDArray[np.int64]", str, int]
"""Times in seconds of the window, names, what the requests say, and the network."""


def _beacons(rng: Rng, period: float, jitter: float) -> Floats:
    """Return times of a machine that is never switched off."""
    steps = period * (1 + jitter * rng.uniform(-1, 1, int(_DAYS * _DAY_S / period * 1.3) + 8))
    times: Floats = rng.uniform(0, period) + np.cumsum(steps)
    return times[times < _DAYS * _DAY_S]


def _victim(rng: Rng, *, awake: bool, jitter: float, sweeps: float = 0.0) -> Visits:
    """Return the visits of an infected machine: one name a time, by turns; retries in bursts."""
    times = _beacons(rng, float(rng.choice([1200.0, 1800.0, 3600.0])), jitter)
    if not awake:
        on, length = rng.uniform(5, 12), rng.uniform(3, 11)
        hour = times / 3600 % 24
        kept = (
            (hour >= on)
            & (hour < on + length)
            & (rng.random(_DAYS) > 0.15)[(times // _DAY_S).astype(np.int64)]
        )
        times = times[kept]
    names = rng.integers(0, 3, times.size) + int(rng.integers(0, _NAMES - 3))
    if rng.random() < sweeps and times.size:
        # The name it uses does not answer for an hour, and it tries all others.
        start = float(rng.choice(times))
        times = np.concatenate([times, start + np.arange(_NAMES) * 5.0])
        names = np.concatenate([names, np.arange(_NAMES)])
    # One victim in fifty is a server in a cloud.
    return (
        np.asarray(times, np.float64),
        names,
        _BOT % rng.integers(1, 1 << 30),
        _CLOUD if rng.random() < 0.02 else _ACCESS,
    )


def _crawler(rng: Rng) -> Visits:
    start = rng.uniform(0, (_DAYS - 1) * _DAY_S)
    times: Floats = np.asarray(start + np.arange(_NAMES) * rng.uniform(1, 30), np.float64)
    return times, np.arange(_NAMES, dtype=np.int64), _LOOK, _ACCESS


def _scanner(rng: Rng) -> Visits:
    times = np.sort(rng.uniform(0, _DAYS * _DAY_S, int(rng.integers(1, 20))))
    return times, rng.integers(0, _NAMES, times.size), _SCAN, _ACCESS


def _monitor(rng: Rng) -> Visits:
    times: Floats = np.arange(rng.uniform(0, 300), _DAYS * _DAY_S, 900.0)
    times = times + rng.normal(0, 0.5, times.size)  # what a scheduler adds
    return times, np.full(times.size, int(rng.integers(0, _NAMES))), _LOOK, _CLOUD


def _monitor_at_home(rng: Rng) -> Visits:
    times, names, detail, _ = _monitor(rng)
    return times, names, detail, _ACCESS


def _researcher(rng: Rng) -> Visits:
    times = rng.uniform(0, (_DAYS - 1) * _DAY_S) + np.sort(rng.uniform(0, 7200, 25))
    return times, rng.integers(0, _NAMES, times.size), _CURL, _ACCESS


def _sandbox(rng: Rng) -> Visits:
    """Return runs of the malware itself for some minutes, in a cloud, on a few days."""
    runs = rng.choice(_DAYS, 3, replace=False) * _DAY_S + rng.uniform(0, _DAY_S / 2)
    times: Floats = np.sort((runs[:, None] + np.sort(rng.uniform(0, 300, (3, 4)))).reshape(-1))
    return times, rng.integers(0, 3, times.size), _BOT % rng.integers(1, 1 << 30), _CLOUD


def _researcher_in_a_cloud(rng: Rng) -> Visits:
    """Return one evening of the malware's own requests, from a rented server."""
    times = rng.uniform(0, (_DAYS - 1) * _DAY_S) + np.sort(rng.uniform(0, 7200, 25))
    return times, rng.integers(0, 3, times.size), _BOT % rng.integers(1, 1 << 30), _CLOUD


def _server(rng: Rng) -> Visits:
    """Return an infected server, never switched off, infected or cleaned within the window."""
    times, names, detail, _ = _victim(rng, awake=True, jitter=0.1)
    start, stop = np.sort(rng.uniform(-_DAYS, 2 * _DAYS, 2)) * _DAY_S
    kept = (times >= start) & (times < max(stop, start + 0.5 * _DAY_S))
    if not kept.any():
        kept[:] = True
    return times[kept], names[kept], detail, _CLOUD


_VICTIMS: Final[dict[str, Callable[[Rng], Visits]]] = {"victims, all short-lived servers": _server}
_KINDS: Final[dict[str, Callable[[Rng], Visits]]] = {
    "crawler": _crawler,
    "scanner": _scanner,
    "monitor in a cloud": _monitor,
    "monitor at home": _monitor_at_home,
    "researcher": _researcher,
    "sandbox": _sandbox,
    "researcher in a cloud": _researcher_in_a_cloud,
}
_WORLDS: Final[dict[str, dict[str, Any]]] = {
    "jitter 10 %": {"jitter": 0.1},
    "no jitter": {"jitter": 0.0},
    "jitter 10 %, some try all names": {"jitter": 0.1, "sweeps": 0.05},
}
_PART: Final = 400
"""Victims of one botnet; bystanders are added to them one in twenty."""


def simulate(
    vantage: str, world: str, kind: str | None, rng: np.random.Generator, repeats: int
) -> Outcomes:
    """Return one call for each client of a kind: victims where ``kind`` is null.

    A botnet has 400 victims, a third of them never switched off, and 20 bystanders of one kind (of
    each kind some where victims are scored); a trial of few repeats has a smaller one. There are
    as many botnets as ``repeats`` clients need. A call is right where a victim is kept or a
    bystander is found.
    """
    part = _PART if repeats >= 100 else _PART // 4
    calls: list[NDArray[np.float64]] = []
    found = 0
    while found < repeats:
        visits = [
            _victim(rng, awake=bool(rng.random() < 1 / 3), **_WORLDS[world]) for _ in range(part)
        ]
        made = list(_KINDS.values()) if kind is None else [(_KINDS | _VICTIMS)[kind]]
        visits += [made[n % len(made)](rng) for n in range(part // 20)]
        out = _asked(vantage, visits)
        victims = kind is None or kind in _VICTIMS
        scored = ~out[:part] if kind is None else ~out[part:] if victims else out[part:]
        calls.append(scored.astype(np.float64))
        found += len(scored)
    joined = np.concatenate(calls)[:repeats]
    return Outcomes(truth=np.ones(repeats), value=np.ones(repeats), calls=joined)


def _asked(vantage: str, visits: list[Visits]) -> NDArray[np.bool_]:
    """Return whether each client was excluded."""
    sizes = [times.size for times, _, _, _ in visits]
    client = np.repeat(np.arange(len(visits)), sizes)
    name = np.concatenate([names for _, names, _, _ in visits])
    time = np.concatenate([times for times, _, _, _ in visits]) + _START
    index: Any = pa.array(client)
    details = [detail if vantage == "sinkhole_http" else None for _, _, detail, _ in visits]
    texts = pa.array([f"n{n}.example" for n in range(_NAMES)]).take(pa.array(name))
    stamps = pa.array((time * 1e6).astype(np.int64)).cast(pa.timestamp("us", "UTC"))
    n = len(client)
    sightings = pa.table(
        {
            "time": stamps,
            "vantage": pa.array([vantage] * n),
            "sensor": pa.array(["one"] * n),
            "unit": pa.array(["ipv4"] * n),
            "client": index,
            "name": texts,
            "indicator": texts,
            "qtype": pa.array(np.ones(n, np.uint16)),
            "service_port": pa.array(np.full(n, 80, np.uint16)),
            "weight": pa.array(np.ones(n, np.int64)),
            "detail": pa.array(details, pa.string()).take(index),
        }
    )
    # No sums of the day: who asked how often is counted from the sightings.
    clients = pa.table(
        {
            "client": pa.array(range(len(visits)), pa.int64()),
            "address": pa.array([f"198.51.{n >> 8}.{n & 255}" for n in range(len(visits))]),
            "asn": pa.array([asn for _, _, _, asn in visits], pa.int64()),
        }
    )
    window = Window(
        datetime.fromtimestamp(_START, tz=UTC),
        datetime.fromtimestamp(_START + _DAYS * _DAY_S, tz=UTC),
    )
    case = Case("made-up", "Made up", window.since)
    view = MemoryView(case.name, {SIGHTINGS.name: sightings, CLIENTS.name: clients})
    basis = Basis(view, case, Settings(), window, vantage)  # type: ignore[arg-type]
    keys = excluded(basis).to_pyarrow()["client"].to_numpy()
    view.close()
    return np.isin(np.arange(len(visits)), keys)


_FEW: Final = (Goal("right", at_least=0.995, source="half a victim in a hundred may be left out"),)


def campaign() -> Campaign:
    """Return the campaign."""
    cells = [
        Cell(
            {"seen by": vantage, "botnet": world, "scored": "victims"},
            6000,
            partial(simulate, vantage, world, None),
            _FEW,
        )
        for vantage in ("resolver", "sinkhole_http")
        for world in _WORLDS
    ]
    cells += [
        Cell(
            {"seen by": vantage, "botnet": "jitter 10 %", "scored": kind},
            100,
            partial(_found, vantage, kind),
            (),
        )
        for vantage in ("resolver", "sinkhole_http")
        for kind in _KINDS
    ]
    cells += [
        Cell(
            {"seen by": vantage, "botnet": "jitter 10 %", "scored": kind},
            1000,
            partial(_found, vantage, kind),
            (Goal("right", at_least=0.9, source="one such server in ten may be left out"),),
        )
        for vantage in ("resolver", "sinkhole_http")
        for kind in _VICTIMS
    ]
    return Campaign(
        name="bystanders",
        title="Who is not a victim",
        text=(
            "Botnets of 400 victims over 14 days: a third of them are never switched off, the "
            "others are on for some hours of most days; they come every 20, 30 or 60 minutes with "
            "a jitter of 10 % or none; one in fifty is a server in a cloud. One bystander for "
            "twenty victims is among them. A call is right where a victim is kept, or a bystander "
            "is found."
        ),
        metrics=("right",),
        cells=tuple(cells),
        anchor="none: no published share or test of such traffic at sinkholes is known.",
        notes=(
            "There is no goal for bystanders: what cannot be told from a victim stays one. "
            "Sandboxes and researchers that run the malware itself are told by a visit of theirs "
            "in a network of servers, which stay; what that costs is in the rows of servers that "
            "were infected, or are cleaned, within the two weeks. At a resolver there are no "
            "requests to tell a scanner or a researcher by, and a monitor at home keeps the times "
            "of a machine that is never switched off."
        ),
        small=(0,),
    )


def _found(vantage: str, kind: str, rng: np.random.Generator, repeats: int) -> Outcomes:
    return simulate(vantage, "jitter 10 %", kind, rng, repeats)
