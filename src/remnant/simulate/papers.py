"""What goes with the traffic: the case file, the prefix table, and how it was all made."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from remnant.simulate.networks import prefix_rows
from remnant.simulate.questions import SINKHOLE_V4, SINKHOLE_V6
from remnant.windows import iso

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.simulate.days import Totals
    from remnant.simulate.scenario import Scenario

__all__ = ["case_name", "case_text", "write"]

_STATES: Final = {"sinkhole": "seized", "nxdomain": "suspended", "c2": "live"}


def case_name(scenario: Scenario) -> str:
    """Return the name of a scenario's case."""
    return f"demo-{scenario.name}"


def case_text(scenario: Scenario, scale: float, seed: int) -> str:
    """Return the case file (TOML) that watches a scenario's names.

    Its title carries scale and seed, so that every page and report of the case states them.
    """
    made = f"SIMULATED at {scale:g} of its published size, seed {seed}: made-up traffic"
    parts = [
        "# Made by the simulator: traffic, clients and networks of this case are invented.",
        "[case]",
        f"name     = {_quoted(case_name(scenario))}",
        f"title    = {_quoted(f'{scenario.title} ({made})')}",
        f"takedown = {iso(scenario.takedown)}",
    ]
    source = f"source = {_quoted(scenario.names_source)}"
    for outcome, state in _STATES.items():
        names = [name.name for name in scenario.names if name.after == outcome]
        whole = [f"*.{zone}" for zone in scenario.below] if state == "seized" else []
        exact = [
            name for name in names if not any(name.endswith("." + zone) for zone in scenario.below)
        ]
        if not (exact or whole):
            continue
        parts += ["", "[[watch]]", "names = ["]
        parts += [f"  {_quoted(name)}," for name in (*exact, *whole)]
        parts += ["]", 'role  = "c2"', f'state = "{state}"']
        if state != "live":
            parts.append(f"from  = {scenario.takedown.date().isoformat()}")
        parts.append(source)
    if scenario.dga is not None:
        first = scenario.curve[0][0] if scenario.curve else scenario.since
        last = scenario.until - timedelta(days=1)
        parts += ["", "[[watch]]", f"dga    = {_quoted(scenario.dga.family)}", 'state  = "unknown"']
        parts += [f"from   = {first.date().isoformat()}", f"until  = {last.date().isoformat()}"]
    for event in scenario.events:
        parts += ["", "[[event]]", f"time = {iso(event.time)}", f"kind = {_quoted(event.kind)}"]
        parts.append(f"note = {_quoted(event.note)}")
    addresses = f'["{SINKHOLE_V4}", "{SINKHOLE_V6}"]'
    parts += ["", "[sinkhole]", f"addresses = {addresses}", f"ttl = {scenario.sinkhole_ttl}", ""]
    return "\n".join(parts)


def write(scenario: Scenario, out: Path, scale: float, seed: int, totals: Totals) -> None:
    """Write ``case.toml``, ``prefixes.tsv`` and, last, ``scenario.json``."""
    (out / "case.toml").write_text(case_text(scenario, scale, seed), encoding="utf-8")
    known = [*prefix_rows(scenario, totals.networks), *totals.servers.prefixes]
    rows = ("\t".join(map(str, row)) for row in known)
    (out / "prefixes.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    made = {
        "simulated": True,
        "scenario": scenario.name,
        "scale": scale,
        "seed": seed,
        "case": case_name(scenario),
        "messages": totals.messages,
        "sightings": totals.sightings,
        "events": totals.events,
        "files": totals.files,
        "passive_dns_records": totals.servers.records,
        "parameters": asdict(scenario),
    }
    text = json.dumps(made, indent=2, default=_json)
    (out / "scenario.json").write_text(text + "\n", encoding="utf-8")


def _quoted(text: str) -> str:
    """Return a TOML basic string; JSON's escapes are all valid in TOML."""
    return json.dumps(text, ensure_ascii=True)


def _json(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(type(value).__name__)
