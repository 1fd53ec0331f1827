"""A made-up botnet: traffic in a real format, the case that watches it, and its hidden truth.

Everything is made from a scenario, a scale and a seed; the same three give the same bytes. No
address, AS number or victim is real: only space reserved for private use and documentation occurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final

from remnant.errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remnant.simulate.scenario import Scenario
    from remnant.simulate.sightings import Observed

__all__ = ["LARGEST_SCALE", "SimulationResult", "observed", "run", "scenarios"]

LARGEST_SCALE: Final = 8.0
"""Above it the networks no longer fit into 10.0.0.0/8."""


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What a run made.

    Attributes:
        scenario, scale, seed: what it was made from.
        case: name of the case in ``case_file``.
        out: the folder.
        traffic: folder with one folder of dnstap files per resolver, one of segments, and one of
            passive DNS.
        passive_dns: the last of these: the history of the servers behind the names.
        rdap: folder of registration data, a JSON file for each domain and network.
        case_file: the case to import.
        prefixes: the table that names the networks (iptoasn.com's columns).
        truth: folder that nobody but a test may read.
        messages: dnstap messages written.
        sightings: of them, client queries for watched names.
        events: events at the sinkhole, in segments.
        files: traffic files.
        written_bytes: their size, compressed.
    """

    scenario: str
    scale: float
    seed: int
    case: str
    out: Path
    traffic: Path
    passive_dns: Path
    rdap: Path
    case_file: Path
    prefixes: Path
    truth: Path
    messages: int
    sightings: int
    events: int
    files: int
    written_bytes: int


def scenarios() -> dict[str, Scenario]:
    """Return all scenarios by name."""
    from remnant.simulate.beebone import BEEBONE  # noqa: PLC0415 - the room stays light to import
    from remnant.simulate.kelihos import KELIHOS  # noqa: PLC0415
    from remnant.simulate.zbot import ZBOT  # noqa: PLC0415

    return {scenario.name: scenario for scenario in (BEEBONE, KELIHOS, ZBOT)}


def run(
    scenario: str | Scenario,
    out: Path,
    *,
    scale: float | None = None,
    seed: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationResult:
    """Make up the traffic of a scenario in a new or empty folder.

    Writes ``traffic/`` (``RESOLVER/DAY.dnstap.zst``, segments, passive DNS), ``rdap/``,
    ``case.toml``, ``prefixes.tsv``, ``truth/`` and, last, ``scenario.json``, whose presence says
    that the folder is complete.

    Args:
        scenario: name of a scenario, see ``scenarios``; or one of one's own.
        out: the folder; made when it does not exist.
        scale: size relative to the real botnet, for bots and innocent clients alike; ``None`` takes
            the scenario's default.
        seed: not negative; the same seed gives the same bytes.
        progress: called after each day with the days done and the days in all.

    Raises:
        SimulationError: an unknown scenario, a scale or seed out of range, or a folder that is not
            empty or cannot be written.
    """
    chosen, factor = _chosen(scenario, scale, seed)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SimulationError(
            "the place for the simulation is not an empty folder",
            where=str(out),
            hint="name a new folder, or empty this one first",
        )
    from remnant.simulate import days, papers  # noqa: PLC0415 - loads Numba

    try:
        out.mkdir(parents=True, exist_ok=True)
        totals = days.make(chosen, out, factor, seed, progress, papers.case_name(chosen))
        papers.write(chosen, out, factor, seed, totals)
    except OSError as error:
        raise SimulationError(
            "the simulation cannot be written", where=str(out), got=error
        ) from error
    return SimulationResult(
        scenario=chosen.name,
        scale=factor,
        seed=seed,
        case=papers.case_name(chosen),
        out=out,
        traffic=out / "traffic",
        passive_dns=out / "traffic" / "passive-dns",
        rdap=out / "rdap",
        case_file=out / "case.toml",
        prefixes=out / "prefixes.tsv",
        truth=out / "truth",
        messages=totals.messages,
        sightings=totals.sightings,
        events=totals.events,
        files=totals.files,
        written_bytes=totals.written_bytes,
    )


def observed(scenario: str | Scenario, *, scale: float | None = None, seed: int = 1) -> Observed:
    """Return what Remnant would hold of a run after ingesting it, and the truth, in memory.

    Args:
        scenario: name of a scenario, see ``scenarios``; or one of one's own.
        scale: as for ``run``.
        seed: as for ``run``: the same three give the same sightings.

    Raises:
        SimulationError: an unknown scenario, or a scale or seed out of range.
    """
    from remnant.simulate.sightings import observe  # noqa: PLC0415 - loads Numba

    return observe(*_chosen(scenario, scale, seed), seed)


def _chosen(scenario: str | Scenario, scale: float | None, seed: int) -> tuple[Scenario, float]:
    """Return scenario and scale, if they and the seed can be used."""
    chosen = _known(scenario) if isinstance(scenario, str) else scenario
    factor = chosen.default_scale if scale is None else scale
    if not (isfinite(factor) and 0 < factor <= LARGEST_SCALE):
        raise SimulationError(
            "this scale cannot be simulated",
            got=factor,
            expected=f"a number above 0, at most {LARGEST_SCALE:g}",
        )
    if not 0 <= seed < 1 << 63:
        raise SimulationError("this seed cannot be used", got=seed, expected="0 or more")
    return chosen, factor


def _known(name: str) -> Scenario:
    known = scenarios()
    if name not in known:
        raise SimulationError(
            "there is no such scenario", got=name, expected=", ".join(sorted(known))
        )
    return known[name]
