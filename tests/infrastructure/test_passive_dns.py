"""Look-ups find what a plain search over the records finds, whatever cases they stand in."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from collate.made_up import made, settings_in
from remnant.capture import Batch, ReadOptions
from remnant.capture.answers import answer_rows
from remnant.capture.stream import ByteStream
from remnant.collate.ingest import ingest_source
from remnant.errors import RemnantError
from remnant.infrastructure.passive_dns import COLUMNS, UNASSIGNED, lookup
from remnant.names import text_to_wire
from remnant.schema import COVERAGE_COUNTS, QUARANTINE, QUERIES
from remnant.store import Store
from remnant.watchlist import Rule, Watchlist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from remnant.capture import AnswersMode

START = datetime(2015, 4, 8, tzinfo=UTC)
A, NS, CNAME, AAAA = 1, 2, 5, 28


class CofReader:
    """Lines ``seconds name type data sensor`` are records."""

    name = "made-up"
    title = "made-up records"
    vantage = "resolver"
    hits_only = True

    def __init__(self, *, simulated: bool = False) -> None:
        self._notes = ("simulated",) if simulated else ()

    def sniff(self, head: bytes) -> bool:
        return bool(head)

    def read(
        self, stream: ByteStream, watchlist: Watchlist, options: ReadOptions
    ) -> Iterator[Batch]:
        while stream.more():
            pass
        fields = [text.split(" ") for text in stream.view.tobytes().decode().splitlines()]
        stream.advance(stream.view.size)
        names = [text_to_wire(f[1]) for f in fields]
        texts = [f[3].replace("_", " ").encode() for f in fields]
        sensors = sorted({f[4] for f in fields})
        time = np.array([int(f[0]) for f in fields], np.int64) * 1_000_000
        time += int(START.timestamp()) * 1_000_000
        empty: Any = {"messages": len(fields), "malformed": 0, "skipped": 0, "matched": 0}
        empty |= {"lost": 0, "clock_faults": 0, "vantage": "resolver", "sensor": None}
        yield Batch(
            end=stream.offset,
            queries=made([], QUERIES.arrow),
            counts=made([empty], COVERAGE_COUNTS.arrow),
            quarantine=made([], QUARANTINE.arrow),
            records=len(fields),
            query_messages=0,
            notes=self._notes,
            answers=answer_rows(
                watchlist,
                options.answers,
                names=np.frombuffer(b"".join(names), np.uint8).copy(),
                name_offsets=np.cumsum([0, *map(len, names)], dtype=np.int64),
                rrtype=np.array([int(f[2]) for f in fields], np.int32),
                rdata=np.frombuffer(b"".join(texts), np.uint8).copy(),
                rdata_offsets=np.cumsum([0, *map(len, texts)], dtype=np.int64),
                first=time,
                last=time + 5_000_000,
                count=np.full(len(fields), 3, np.int64),
                sensor=np.array([sensors.index(f[4]) for f in fields], np.int32),
                sensors=sensors,
            ),
        )


RECORDS: list[tuple[int, str, int, str, str]] = [
    (0, "evil.test", A, "192.0.2.1", "s1"),
    (10, "evil.test", A, "192.0.2.1", "s1"),
    (20, "evil.test", A, "192.0.2.1", "s2"),
    (30, "www.evil.test", CNAME, "cdn.test", "s1"),
    (40, "notevil.test", A, "192.0.2.1", "s1"),
    (50, r"a\.evil.test", A, "192.0.2.2", "s1"),
    (60, r"a\\.evil.test", A, "192.0.2.3", "s1"),
    (70, "v6.test", AAAA, "2001:db8::1", "s1"),
    (80, "v6.test", AAAA, "2001:db8:0:1::1", "s1"),
    (90, "v6.test", AAAA, "2001:db80::1", "s1"),
    (100, "v6.test", AAAA, "2001:0:1::1", "s1"),
    (110, "mapped.test", AAAA, "::ffff:192.0.2.1", "s1"),
    (120, "broken.test", A, r"\#_3_C00002", "s1"),
    (130, "text.test", 16, '"192.0.2.1"', "s1"),
    (140, "far.test", A, "192.0.20.1", "s1"),
    (150, "far.test", A, "10.192.0.2", "s1"),
    (160, ".", NS, "a.root.test", "s1"),
    (170, "odd.test", 65_400, r"\#_0", "s1"),
]
ALL = Watchlist.compile([])


def put(
    store: Store,
    records: list[tuple[int, str, int, str, str]],
    *,
    watchlist: Watchlist = ALL,
    mode: AnswersMode = "all",
    cases: tuple[str, ...] = (UNASSIGNED,),
    simulated: bool = False,
    sensor: str | None = None,
) -> None:
    data = "".join(" ".join(map(str, record)) + "\n" for record in records).encode()
    with ByteStream(BytesIO(data), "made-up") as stream:
        options = ReadOptions(now=datetime(2026, 1, 1, tzinfo=UTC), answers=mode)
        (state, *_) = [
            result.state
            for result in ingest_source(
                stream, CofReader(simulated=simulated), store, watchlist, options, cases=cases,
                sensor=sensor,
            )
        ]  # fmt: skip
    assert state == "new"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    settings = settings_in(tmp_path_factory.mktemp("full"))
    with Store.open(settings, write=True) as store:
        put(store, RECORDS)
    with Store.open(settings) as store:
        yield store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(settings_in(tmp_path), write=True)
    yield opened
    opened.close()


def found(store: Store, what: str, **more: Any) -> list[tuple[str, str]]:
    return [(row["rrname"], row["rdata"]) for row in lookup(store, what, **more)]


def test_a_name_with_its_counts_and_times(full: Store) -> None:
    first, second = lookup(full, "EVIL.test.")
    assert tuple(first) == COLUMNS
    assert first == {
        "rrname": "evil.test",
        "rrtype": "A",
        "rdata": "192.0.2.1",
        "time_first": "2015-04-08T00:00:20Z",
        "time_last": "2015-04-08T00:00:25Z",
        "count": 3,
        "sensor_id": "s2",
        "ttl_low": None,
        "ttl_high": None,
        "simulated": False,
    }
    assert (second["count"], second["time_first"], second["time_last"], second["sensor_id"]) == (
        6, "2015-04-08T00:00:00Z", "2015-04-08T00:00:15Z", "s1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("*.evil.test", [r"a\\.evil.test", "www.evil.test", "evil.test", "evil.test"]),
        ("*.EVIL.test", [r"a\\.evil.test", "www.evil.test", "evil.test", "evil.test"]),
        (r"a\.evil.test", [r"a\.evil.test"]),
        (r"*.a\046evil.test", [r"a\.evil.test"]),
        ("vil.test", []),
        ("*.nothing.invalid", []),
        (".", ["."]),
        ("%", []),
        ("*.e_il.test", []),
    ],
)
def test_names(full: Store, what: str, names: list[str]) -> None:
    assert [name for name, _ in found(full, what)] == names


def test_everything_is_below_the_root(full: Store) -> None:
    records = {(name, data.replace("_", " ")) for _, name, _, data, _ in RECORDS}
    assert set(found(full, "*.")) == records


@pytest.mark.parametrize(
    "what",
    [
        "192.0.2.1", "192.0.2.0/24", "192.0.2.77/24", "192.0.2.2/31", "192.0.0.0/19", "0.0.0.0/0",
        "192.0.2.1/32", "128.0.0.0/1", "10.0.0.0/8", "203.0.113.0/24",
        "2001:db8::1", "2001:db8::/32", "2001:DB8::/33", "2001:db8:0:1::/64", "2001:db80::/28",
        "2001::/16", "2001:0::/32", "2001:0:1::/48", "::/0", "2000::/3", "2001:db8::/127",
        "fe80::/10", "::ffff:192.0.2.1", "::ffff:192.0.2.0/120", "::ffff:0:0/96", "::ffff:0:0/95",
        "::/64",
    ],
)  # fmt: skip
def test_addresses_and_networks(full: Store, what: str) -> None:
    network: Any = ipaddress.ip_network(what, strict=False)
    expected = set()
    for _, name, kind, data, _ in RECORDS:
        if kind not in {A, AAAA} or data.startswith("\\"):
            continue
        address: Any = ipaddress.ip_address(data)
        mapped = getattr(address, "ipv4_mapped", None)
        in_six = ipaddress.ip_address(f"::ffff:{address}") if address.version == 4 else address
        in_four = address if address.version == 4 else mapped
        if network.version == 4:
            hit = in_four is not None and in_four in network
        elif network.prefixlen >= 96 and network.network_address.ipv4_mapped is not None:
            # The same IPv4 network in other words.
            hit = in_six in network
        else:
            hit = address.version == 6 and address in network
        if hit:
            expected.add((name, data))

    assert set(found(full, what)) == expected


def test_types_without_a_word_are_numbers(full: Store) -> None:
    (row,) = lookup(full, "odd.test")
    assert (row["rrtype"], row["rdata"]) == ("TYPE65400", r"\# 0")


def test_the_latest_come_first_and_no_more_than_asked_for(full: Store) -> None:
    everything = lookup(full, "*.")
    times = [row["time_last"] for row in everything]
    assert times == sorted(times, reverse=True)
    assert lookup(full, "*.", limit=4) == everything[:4]
    assert len(everything) == 17


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [
        (None, None, 2),
        (25, None, 1),  # seen last at 25
        (26, None, 0),
        (15, 20, 1),
        (16, 20, 0),
        (None, 0, 0),
        (None, 1, 1),
        (None, 21, 2),
        (5, 8, 1),  # seen before and after: it was there
    ],
)
def test_a_window_leaves_out_what_was_not_seen_in_it(
    full: Store, since: int | None, until: int | None, count: int
) -> None:
    window = {
        key: START + timedelta(seconds=value)
        for key, value in (("since", since), ("until", until))
        if value is not None
    }
    assert len(found(full, "evil.test", **window)) == count


@pytest.mark.parametrize(
    "what", ["", "a..b", "x" * 64 + ".test", "192.0.2.0/33", "2001:db8::/129", "\\", "*.a..b"]
)
def test_what_is_no_name_and_no_address_is_told(full: Store, what: str) -> None:
    with pytest.raises(RemnantError, match="neither a name"):
        lookup(full, what)


def test_an_empty_store_finds_nothing(tmp_path: Path) -> None:
    with Store.open(settings_in(tmp_path)) as store:
        assert lookup(store, "evil.test") == []
        assert lookup(store, "2001:db8::/32") == []


# Sources and cases

TWO = Watchlist.compile([Rule("one", "below", "*.evil.test"), Rule("two", "below", "*.test")])


def test_a_source_that_serves_two_cases_counts_once(store: Store) -> None:
    put(store, RECORDS[:4], watchlist=TWO, mode="watched", cases=("one", "two"))

    assert [row["count"] for row in lookup(store, "evil.test")] == [3, 6]
    assert len(lookup(store, "*.test")) == 3


def test_the_case_that_saw_more_of_a_source_counts(store: Store) -> None:
    put(store, RECORDS, watchlist=TWO, mode="watched", cases=("one",))
    put(store, RECORDS, cases=(UNASSIGNED,))

    assert [row["count"] for row in lookup(store, "evil.test")] == [3, 6]
    assert len(lookup(store, "*.")) == 17


def test_other_sources_add_up(store: Store) -> None:
    put(store, RECORDS[:4], watchlist=TWO, mode="watched", cases=("one", "two"))
    put(store, [(500, "evil.test", A, "192.0.2.1", "s1")])
    put(store, [(600, "evil.test", A, "192.0.2.1", "s1")], watchlist=TWO, cases=("two",))

    first, second = lookup(store, "evil.test")
    assert (first["sensor_id"], first["count"]) == ("s1", 12)
    assert (first["time_first"], first["time_last"]) == (
        "2015-04-08T00:00:00Z", "2015-04-08T00:10:05Z",
    )  # fmt: skip
    assert (second["sensor_id"], second["count"]) == ("s2", 3)


def test_simulated_records_are_rows_of_their_own(store: Store) -> None:
    put(store, [(0, "evil.test", A, "192.0.2.1", "s1")])
    put(
        store,
        [(9, "evil.test", A, "192.0.2.1", "s1")],
        watchlist=TWO,
        cases=("one",),
        simulated=True,
    )

    assert [(row["simulated"], row["count"]) for row in lookup(store, "evil.test")] == [
        (True, 3), (False, 3),
    ]  # fmt: skip


def test_look_ups_are_exact_over_many_records_and_sources(store: Store) -> None:
    chance = np.random.default_rng(5)
    everything = []
    for part in range(3):
        records = [
            (int(t), f"h{n}.net{n % 4}.test", A, f"198.51.{n % 7}.{d}", f"s{n % 2}")
            for t, n, d in chance.integers([0, 0, 0], [9000, 60, 9], (700, 3)).tolist()
        ]
        everything += records
        cases = ("one", "two") if part == 0 else (UNASSIGNED,)
        put(store, records, watchlist=ALL if part else TWO, cases=cases)

    truth: dict[tuple[str, str, str], int] = {}
    for _, name, _, data, sensor in everything:
        truth[name, data, sensor] = truth.get((name, data, sensor), 0) + 3
    kept: dict[str, Callable[[tuple[str, str, str]], bool]] = {
        "*.net1.test": lambda key: key[0].endswith(".net1.test"),
        "198.51.4.0/23": lambda key: key[1].startswith(("198.51.4.", "198.51.5.")),
        "h7.net3.test": lambda key: key[0] == "h7.net3.test",
    }
    for what, keep in kept.items():
        rows = lookup(store, what, limit=10_000)
        counts = {(row["rrname"], row["rdata"], row["sensor_id"]): row["count"] for row in rows}
        assert len(counts) == len(rows)
        assert counts == {key: count for key, count in truth.items() if keep(key)}
