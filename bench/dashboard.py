"""How long each page of the dashboard takes, beside a plain question to DuckDB over the same rows.

A store is filled with sightings in the store's own format, without traffic: days, clients, names
and networks as after a large takedown. Each page is then asked for by HTTP: *cold* is the first
time after the server has started; *new* is after something was stored, when the answer must be
worked out again; *same* is what the next person waits at the same state. The goal is a second.

    python bench/dashboard.py [SIGHTINGS] [--home DIR]      default 5,000,000
"""

from __future__ import annotations

import argparse
import ipaddress
import statistics
import tempfile
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from remnant.cases.casefile import loads
from remnant.cases.library import Library
from remnant.schema import CLIENTS, COVERAGE, SIGHTINGS, Table
from remnant.settings import Settings
from remnant.store import SourceRecord, Store
from remnant.store.files import conform
from remnant.web.app import create_app
from remnant.web.serving import Server, bound

CASE = "large"
DAYS = 100
NAMES = 300
NETWORKS = 400
CLIENTS_A_DAY = 50_000
START = datetime(2015, 4, 1, tzinfo=UTC)
GOAL_S = 1.0
TIMES = 5
PAGES = (
    "/cases",
    f"/cases/{CASE}",
    f"/cases/{CASE}?since=2015-05-01&until=2015-06-01",
    f"/cases/{CASE}/networks",
    f"/cases/{CASE}/countries/DE",
    f"/cases/{CASE}/networks/64500",
    f"/cases/{CASE}/names",
    f"/cases/{CASE}/servers",
    f"/cases/{CASE}/sensors",
    f"/cases/{CASE}/clients",
    f"/cases/{CASE}/compare",
    f"/cases/{CASE}/map",
    "/search?q=AS64500",
)
PLAIN = (
    (
        "queries and clients by day",
        "select date_trunc('day', time) d, sum(weight), count(distinct client) from s group by 1",
    ),
    (
        "queries and clients by network",
        "select asn, country, sum(weight), count(distinct client) from s group by 1, 2",
    ),
    (
        "queries and clients by name",
        "select name, sum(weight), count(distinct client) from s group by 1",
    ),
)


def main() -> None:
    """Fill a store, ask for the pages, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("sightings", type=int, nargs="?", default=5_000_000)
    arguments.add_argument("--home", type=Path, help="a folder to keep the store in")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="remnant-bench-") as temporary:
        folder = given.home or Path(temporary)
        settings = Settings(home=folder / "home", site_key=folder / "site.key")
        begun = time.monotonic()
        if not (settings.home / "state.sqlite").exists():
            fill(settings, given.sightings)
            print(f"{given.sightings:,} sightings stored in {time.monotonic() - begun:.0f} s")
        ask_pages(settings)
        ask_plainly(settings)


def fill(settings: Settings, total: int) -> None:
    """Store the sightings, a commit for each day, and make the roll-ups."""
    names = [f"c{number}.evil.example" for number in range(NAMES)]
    text = (
        f'[case]\nname = "{CASE}"\ntitle = "A large one"\ntakedown = 2015-04-08\n'
        f"[[watch]]\nnames = {names}\nstate = 'seized'\n"
    )
    Library(settings.home).save(loads(text, CASE), text=text)
    chance = np.random.default_rng(1)
    each = total // DAYS
    online = max(100, min(CLIENTS_A_DAY, each // 20))
    everybody = chance.integers(1 << 62, size=online * 3)
    with Store.open(settings, write=True) as store:
        for number in range(DAYS):
            day = START + timedelta(days=number)
            # The botnet gets smaller, and a part of the addresses changes from day to day.
            active = max(50, int(online * 0.995**number))
            first = number * (len(everybody) - online) // DAYS
            store_day(store, day, each, everybody[first : first + active], names, chance)


def store_day(
    store: Store, day: datetime, rows: int, clients: Any, names: list[str], chance: Any
) -> None:
    """Store one day of one sensor."""
    source = f"{day:%Y-%m-%d}"
    who = (chance.beta(1, 3, rows) * len(clients)).astype(np.int64)
    client = clients[who]
    network = np.minimum(client % NETWORKS, client % 37 * 11)
    micros = int(day.timestamp()) * 1_000_000
    second = np.sort(chance.integers(86_400_000_000, size=rows))
    name = (chance.beta(1, 5, rows) * NAMES).astype(np.int32)
    countries = [f"{chr(65 + c % 26)}{chr(65 + c * 7 % 26)}" for c in range(40)]
    countries[0] = "DE"
    data = {
        "time": pa.array(micros + second, pa.timestamp("us", "UTC")),
        "client": pa.array(client),
        "asn": pa.array(64500 + network),
        "country": words(network % 40, countries),
        "name": words(name, names),
        "indicator": words(name, names),
        **{
            column: words(np.zeros(rows, np.int32), [value])
            for column, value in (
                ("sensor", "tap"),
                ("vantage", "resolver"),
                ("unit", "ipv4"),
                ("proof", "dns_udp"),
                ("source", source),
            )
        },
        "weight": pa.array(np.ones(rows, np.int64)),
        "limited": pa.array(np.zeros(rows, bool)),
    }
    present = np.unique(client)
    place = np.minimum(present % NETWORKS, present % 37 * 11)
    size = len(present)
    address = [str(ipaddress.IPv4Address(int(value) % (1 << 32))) for value in present]
    dimension = {
        "client": pa.array(present),
        "address": pa.array(address),
        "asn": pa.array(64500 + place),
        "as_name": pa.array([f"Network {value}" for value in place]),
        "country": words(place % 40, countries),
        "first_time": pa.array(np.full(size, micros), pa.timestamp("us", "UTC")),
        "last_time": pa.array(np.full(size, micros + 3_600_000_000), pa.timestamp("us", "UTC")),
        "queries": pa.array(np.bincount(np.searchsorted(present, client), minlength=size)),
        **{
            column: pa.array([value] * size)
            for column, value in (
                ("unit", "ipv4"),
                ("sensor", "tap"),
                ("vantage", "resolver"),
                ("source", source),
            )
        },
    }
    hours = [day + timedelta(hours=hour) for hour in range(24)]
    coverage = {
        "source": pa.array([source] * 24),
        "sensor": pa.array(["tap"] * 24),
        "vantage": pa.array(["resolver"] * 24),
        "hour": pa.array(hours, pa.timestamp("us", "UTC")),
        "messages": pa.array([rows // 24] * 24),
        "matched": pa.array([rows // 24] * 24),
        "basis": pa.array(["traffic"] * 24),
        "first_time": pa.array(hours, pa.timestamp("us", "UTC")),
        "last_time": pa.array(
            [hour + timedelta(minutes=59) for hour in hours], pa.timestamp("us", "UTC")
        ),
        **{
            column: pa.array([0] * 24)
            for column in ("malformed", "skipped", "lost", "clock_faults")
        },
    }
    with store.change() as change:
        change.write(SIGHTINGS, CASE, source, shaped(SIGHTINGS, data), [source])
        change.write(CLIENTS, CASE, source, shaped(CLIENTS, dimension), [source])
        change.write(COVERAGE, CASE, None, shaped(COVERAGE, coverage), [source])
        now = datetime.now(tz=UTC)
        record = SourceRecord(
            source, CASE, source, "bench", "", None, "resolver", "w", source, rows, 0, True,
            rows, rows, rows, rows, 0, 0, 0, day, day + timedelta(hours=23.9), now, False,
        )  # fmt: skip
        change.put_source(record, None)
        change.commit()


def words(codes: Any, values: list[str]) -> Any:
    """Return words by their codes."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(values))


def shaped(table: Table, columns: dict[str, Any]) -> pa.Table:
    """Return rows with all columns of a stored table."""
    rows = len(next(iter(columns.values())))
    arrays = {}
    for field in table.arrow:
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        column = columns.get(field.name)
        arrays[field.name] = pa.nulls(rows, plain) if column is None else column.cast(plain)
    return conform(table, pa.table(arrays))


def ask_pages(settings: Settings) -> None:
    """Print what each page takes."""
    app = create_app(settings)
    place = bound("127.0.0.1", 0)
    address = f"http://127.0.0.1:{place.getsockname()[1]}"
    started = threading.Event()
    server = Server(app, on_start=started.set)
    thread = threading.Thread(target=server.answer_on, args=([place],))
    thread.start()
    started.wait()
    time.sleep(5)  # who starts a server does not open a page in the same second
    site = app.state.site
    try:
        print(f"{'page':<58}{'cold':>8}{'new':>8}{'same':>9}  s")
        for path in PAGES:
            cold, code = took(address + path)
            new, same = [], []
            for _ in range(TIMES):
                site.answers.clear()
                new.append(took(address + path)[0])
                same.append(took(address + path)[0])
            slow = "  slower than the goal" if max(cold, *new) > GOAL_S else ""
            print(
                f"{path:<58}{cold:>8.3f}{statistics.median(new):>8.3f}"
                f"{statistics.median(same):>9.4f}  {code}{slow}",
                flush=True,
            )
        for kind in ("verdict", "overview"):
            begun = time.monotonic()
            found = site.results.wait(CASE, kind, internal=True, seconds=1800)
            print(
                f"result {kind}: {time.monotonic() - begun:.1f} s more, {found.problem or 'made'}"
            )
    finally:
        server.should_exit = True
        thread.join()


def took(address: str) -> tuple[float, int]:
    """Return the seconds of one page, and its status."""
    begun = time.perf_counter()
    asked = urllib.request.Request(address, headers={"accept": "text/html"})  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - ours
            answer.read()
            code = answer.status
    except urllib.error.HTTPError as error:
        code = error.code
    return time.perf_counter() - begun, code


def ask_plainly(settings: Settings) -> None:
    """Print what the same figures take without roll-ups, from the files of all sightings."""
    files = str(settings.home / "store" / "sightings" / "**" / "*.parquet")
    with duckdb.connect() as connection:
        connection.read_parquet(files).create_view("s")
        for words_, query in PLAIN:
            times = []
            for _ in range(3):
                begun = time.perf_counter()
                connection.execute(query).fetchall()
                times.append(time.perf_counter() - begun)
            print(f"plain DuckDB, {words_:<42}{times[0]:>8.3f}{min(times[1:]):>8.3f}")


if __name__ == "__main__":
    main()
