"""Hits of a watchlist become rows of cases: dates, the most specific rule, annotations."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from collate.made_up import START, ingest, line, settings_in, stored, watching
from remnant.collate.clients import ANNOTATIONS, Clients
from remnant.collate.pseudonym import SiteKey
from remnant.schema import CLIENTS, SIGHTINGS
from remnant.store import Store
from remnant.watchlist import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

DAY = 86_400_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


def indicators(store: Store, case: str = "demo") -> list[str]:
    rows = stored(store, SIGHTINGS, case).sort_by("time")
    return [str(text) for text in rows["indicator"]]


def test_the_most_specific_rule_of_each_case_wins(store: Store) -> None:
    watchlist = watching(
        "*.bad.example",
        "www.bad.example",
        Rule("other", "below", "*.bad.example"),
    )
    ingest(store, line(1, "192.0.2.1", "www.bad.example") * 2, watchlist=watchlist)

    assert indicators(store) == ["www.bad.example"] * 2
    assert indicators(store, "other") == ["*.bad.example"] * 2


def test_a_rule_counts_between_its_dates_only(store: Store) -> None:
    start = START * 1_000_000
    watchlist = watching(
        Rule("demo", "exact", "www.bad.example", valid_from=start, valid_until=start + DAY),
        Rule("demo", "exact", "www.bad.example", valid_from=start + 2 * DAY),
        Rule("demo", "below", "*.bad.example", valid_from=start + DAY, valid_until=start + 3 * DAY),
    )
    times = [-0.001, 0, 86_399.999, 86_400, 2 * 86_400, 5 * 86_400]
    data = b"".join(line(time, "192.0.2.1", "www.bad.example") for time in times)

    ingest(store, data, watchlist=watchlist)

    exact, below = "www.bad.example", "*.bad.example"
    assert indicators(store) == [exact, exact, below, exact, exact]


def test_each_client_is_looked_up_once(store: Store) -> None:
    asked: list[str] = []

    def lookup(addresses: npt.NDArray[np.uint8]) -> pa.Table:
        texts = [str(ipaddress.IPv6Address(a.tobytes())) for a in addresses]
        asked.extend(texts)
        n = len(texts)
        values: dict[str, list[Any]] = {
            "prefix": ["192.0.2.0/24"] * n,
            "asn": [64500] * n,
            "as_name": ["Example"] * n,
            "country": ["NL"] * n,
            "role": [None] * n,
            "as_of": ["2015-04-01"] * n,
        }
        table = pa.table(values)
        types = pa.schema([CLIENTS.arrow.field(name) for name in values])
        return pa.table([table[f.name].cast(f.type) for f in types], names=types.names)

    lines = [line(i, ["192.0.2.1", "2001:db8::1", "2001:db8::2"][i % 3]) for i in range(90)]
    ingest(store, b"".join(lines), chunk=200, lookup=lookup)

    assert sorted(asked) == ["2001:db8::", "::ffff:c000:201"]
    assert set(stored(store, SIGHTINGS)["asn"].to_pylist()) == {64500}
    assert set(stored(store, SIGHTINGS)["country"].to_pylist()) == {"NL"}
    (row, _) = stored(store, CLIENTS).to_pylist()
    assert [row[name] for name in ANNOTATIONS] == [
        "192.0.2.0/24",
        64500,
        "Example",
        "NL",
        None,
        "2015-04-01",
    ]


def test_many_clients_keep_their_numbers() -> None:
    clients = Clients(SiteKey(bytes(16)), None)
    rng = np.random.default_rng(7)
    addresses = np.zeros((20_000, 16), np.uint8)
    addresses[:, :8] = rng.integers(0, 4, (20_000, 8))
    addresses[:, 0] = 0x2A

    codes = np.concatenate([clients.codes(part) for part in np.array_split(addresses, 9)])

    distinct = np.unique(addresses, axis=0)
    assert clients.clients().size == len(distinct) == codes.max() + 1
    texts = clients.columns(pa.array(np.arange(len(distinct))), ("address",))["address"].to_pylist()
    for row in range(0, 20_000, 997):
        network = ipaddress.IPv6Address(addresses[row].tobytes())
        assert texts[codes[row]] == f"{network}/64"
