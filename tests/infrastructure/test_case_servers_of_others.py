"""The list of a stored case is that of all records it may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collate.made_up import settings_in
from infrastructure.test_passive_dns import NS, A, put
from remnant.cases.casefile import loads
from remnant.enrich.reference import Reference
from remnant.infrastructure.case_servers import case_servers
from remnant.infrastructure.passive_dns import UNASSIGNED
from remnant.infrastructure.pivot import TablePivots
from remnant.infrastructure.registrations import Registrations
from remnant.infrastructure.servers import servers
from remnant.schema import ANSWERS
from remnant.store import Store, runs
from remnant.store.runs import order_answers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASE = """
[case]
name = "demo"
takedown = 2015-04-10
[[watch]]
names = ["*.evil.example"]
"""
DAY = 86_400


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(runs, "FEW_ROWS", 20)
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


@pytest.mark.parametrize("ordered", [False, True])
def test_the_list_is_that_of_all_real_records(store: Store, ordered: bool) -> None:
    mine = [(0, "evil.example", NS, "ns1.host.example", "s1")]
    mine += [(DAY, f"c{n}.evil.example", A, f"203.0.113.{n}", "s1") for n in range(30)]
    others = [(2 * DAY, "ns1.host.example", A, "203.0.113.99", "s2")]
    others += [(n, f"x{n}.other.example", A, f"198.51.100.{n}", "s2") for n in range(30)]
    put(store, mine, cases=("demo",))
    put(store, others)
    put(store, [(DAY, "evil.example", A, "192.0.2.66", "s1")], cases=("toy",), simulated=True)
    if ordered:
        order_answers(store, "demo")
        order_answers(store, UNASSIGNED)
    case = loads(CASE, "case.toml")
    everything = store.everything(ANSWERS)
    real = [source.id for source in everything.sources if not source.simulated]
    table = everything.table
    rows = table.filter(table.source.isin(real)).to_pyarrow()

    found = case_servers(store, store.view("demo"), case, Reference.none())
    whole = servers(
        case,
        TablePivots(rows),
        Registrations(store, "demo", simulated=False),
        Reference.none(),
    )
    assert found.servers == whole.servers
    values = {one.value for one in found.servers}
    assert {"ns1.host.example", "203.0.113.29"} <= values
    assert not values & {"192.0.2.66", "198.51.100.3"}
