from __future__ import annotations

import tomllib
from ipaddress import ip_address
from typing import TYPE_CHECKING

from remnant.simulate.beebone import BEEBONE
from remnant.simulate.papers import case_text

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.simulate import SimulationResult
    from simulate.slow_decoder import Frame


def test_the_case_file_says_that_it_is_simulated() -> None:
    case = tomllib.loads(case_text(BEEBONE, 0.05, 1))

    assert case["case"]["name"] == "demo-beebone"
    assert case["case"]["title"].startswith("BeeBone (SIMULATED at 0.05 of its published size")
    assert case["case"]["takedown"] == BEEBONE.takedown
    assert {watch["state"] for watch in case["watch"]} == {"seized", "suspended", "live"}
    assert case["sinkhole"]["addresses"] == ["192.0.2.53", "2001:db8::53"]


def test_the_case_file_loads_and_watches_every_name(short: SimulationResult) -> None:
    from remnant.cases.casefile import load

    case = load(short.case_file)

    assert case.name == "demo-short"
    watched = {name for watch in case.watches for name in getattr(watch, "names", ())}
    exact = {n.name for n in BEEBONE.names if not n.name.endswith(".thepicturehut.net")}
    assert exact | {"*.thepicturehut.net"} == watched


def test_the_prefix_table_covers_every_client(
    short: SimulationResult, read: dict[Path, list[Frame]]
) -> None:
    lines = [line.split("\t") for line in short.prefixes.read_text().splitlines()]
    spans = [(ip_address(line[0]), ip_address(line[1])) for line in lines]

    assert all(len(line) == 5 and line[2].isdecimal() for line in lines)
    clients = {f.client for frames in read.values() for f in frames if f.type in {5, 6}}
    v4 = sorted((int(a), int(b)) for a, b in spans if a.version == 4)
    v6 = sorted((int(a), int(b)) for a, b in spans if a.version == 6)
    for client in clients:
        address = ip_address(client)
        family = v4 if address.version == 4 else v6
        assert any(a <= int(address) <= b for a, b in family)
