"""The names of a case as tables on disk that a page reads a part of, and the servers behind them.

A case may watch two million names, and under a watched ``*.`` name strangers can make up as many
more as they like. So what is known of each name is worked out once, beside the server, and lies in
Parquet under ``dashboard-names`` in the home folder: a table for each vantage, one of what was
asked for beside the list, one of servers. What is returned says where they lie and what they hold.
"""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from remnant.cases.library import Library
from remnant.errors import RemnantError
from remnant.web.name_path import STAR
from remnant.web.results.server_tables import write_rows, write_servers
from remnant.windows import iso, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from remnant.cases.model import Case
    from remnant.settings import Settings
    from remnant.store import Store, View
    from remnant.watchlist import Rule
    from remnant.web.results.server_tables import Servers

__all__ = ["MOST_UNLISTED", "folder_of", "names"]

MOST_UNLISTED: Final = 100_000
"""Names beside the list that are kept of each kind, those with most queries."""

_KEPT: Final = 3
"""Earlier tables that stay for pages that still read them."""


def folder_of(settings: Settings, case: str) -> Path:
    """Return where the tables of a case lie."""
    return settings.home / "dashboard-names" / case


def names(settings: Settings, case: str, *, internal: bool) -> Any:
    """Make the tables of a case; return where they lie and what they hold.

    Returns:
        ``folder`` (its name below ``folder_of``), ``vantages`` (in the order in which one is
        chosen), ``window``, ``simulated``,
        ``sightings`` (rows), ``watched`` (rules that are names), ``seen`` (by
        vantage: names asked for), ``counts`` (by column: how many watched names have each value),
        ``unlisted`` (by kind: queries, names and whether all names are kept), ``servers`` (what is
        said of the whole list), ``watchlist`` (how old it is)
        and ``problem`` (why states are not known, or null).
    """
    from remnant.web.results.kinds import opened  # it knows this kind, too

    del internal  # what strangers look up is no client's secret; who may see it the pages decide
    library = Library(settings.home)
    loaded = library.get(case)
    place = folder_of(settings, case)
    made = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%S%fZ")
    fresh = place / f".{made}.part"
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.mkdir(exist_ok=True, mode=0o700)
        fresh.mkdir(mode=0o700)
        with opened(settings, case) as (store, view):
            told = _tables(settings, store, view, library, loaded, fresh)
        fresh.rename(place / made)
    except OSError as error:
        raise RemnantError(
            "the tables of names cannot be kept",
            where=str(place),
            got=error.strerror or str(error),
            hint="the dashboard needs a home folder that it can write to, with room",
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    for old in sorted(path for path in place.iterdir() if path.is_dir())[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return {"folder": made, **told}


def _tables(
    settings: Settings, store: Store, view: View, library: Library, case: Case, folder: Path
) -> dict[str, Any]:
    from remnant.cases.rules import compile_rules
    from remnant.estimate.coverage import default_window, vantages
    from remnant.schema import SIGHTINGS

    servers, problem = write_servers(settings, store, view, case, folder)
    rules = compile_rules(case)
    listed = _listed(rules, library.watched_since(case.name), servers)
    write_rows(folder / "watched.parquet", _watched_schema(), listed.rows())
    seen = {}
    present = vantages(view)
    for vantage in present:
        seen[vantage] = _seen(view, vantage, folder)
        _join(settings, folder, vantage)
    if not present:
        _join(settings, folder, None)
    window = default_window(view) if present else None
    with store.ledger.reading() as connection:
        files = store.ledger.files(connection, case.name, SIGHTINGS.name, linked=False)
    return {
        "vantages": present,
        "window": None if window is None else [iso(window.since), iso(window.until)],
        "simulated": view.simulated,
        "sightings": sum(file.rows for file in files),
        "watched": len(listed.rules),
        "seen": seen,
        "counts": {name: dict(count.most_common()) for name, count in listed.counts.items()},
        "unlisted": _unlisted(view, folder),
        "servers": servers.told,
        "watchlist": _age(view, case, rules, settings),
        "problem": problem,
    }


def _age(view: View, case: Case, rules: list[Rule], settings: Settings) -> dict[str, Any]:
    """Return how old the watchlists are with which the sources were read."""
    from remnant.report.intake import watchlist_age

    age, _ = watchlist_age(view, case, rules, settings)
    return {
        "entries": age.entries,
        "sources": len(view.sources),
        "older_sources": age.older_sources,
        "added": [[text, iso(at)] for text, at in age.added],
        "added_total": age.added_total,
    }


class _Listed:
    """Rules that are names, one for each text; rows are made when they are written."""

    def __init__(self, since: dict[str, datetime]) -> None:
        self.rules: dict[str, Rule] = {}
        self.counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("role", "state", "now")
        }
        self._since = since
        self._again: dict[str, tuple[int | None, int]] = {}

    def add(self, rule: Rule, now: str) -> None:
        """Take a rule; ``now`` is what the records say of its name."""
        if rule.text in self.rules:  # a generated name that returns on other dates
            _, times = self._again.get(rule.text, (None, 1))
            self._again[rule.text] = (rule.valid_until, times + 1)
            return
        self.rules[rule.text] = rule
        self.counts["role"][rule.role] += 1
        self.counts["state"][rule.state] += 1
        self.counts["now"][now] += 1

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the table of what is watched."""
        for text, rule in self.rules.items():
            valid_until, times = self._again.get(text, (rule.valid_until, 1))
            yield {
                "text": text,
                "name": text.removeprefix("*."),
                "kind": rule.kind,
                "role": rule.role,
                "state": rule.state,
                "since": rule.since,
                "until": rule.until,
                "valid_from": rule.valid_from,
                "valid_until": valid_until,
                "times": times,
                "source": rule.source,
                "zone": rule.zone,
                "watched_since": self._since.get(text),
            }


def _listed(rules: Iterable[Rule], since: dict[str, datetime], servers: Servers) -> _Listed:
    """Return the names that rules watch, and how many have each role and state."""
    out = _Listed(since)
    for rule in rules:
        if rule.kind in {"exact", "below"}:
            out.add(rule, servers.states.get(rule.text.removeprefix("*."), "unknown"))
    return out


def _watched_schema() -> Any:
    import pyarrow as pa

    from remnant.schema import TIME

    words = {"text", "name", "kind", "role", "state", "source", "zone"}
    order = (
        *("text", "name", "kind", "role", "state", "since", "until", "valid_from", "valid_until"),
        *("times", "source", "zone", "watched_since"),
    )
    kinds = {"times": pa.int64()}
    return pa.schema(
        [(name, pa.string() if name in words else kinds.get(name, TIME)) for name in order]
    )


def _seen(view: View, vantage: str, folder: Path) -> int:
    """Write what was asked for at a vantage, by name and by ``*.`` rule; return how many names."""
    import ibis
    import pyarrow as pa
    import pyarrow.parquet as pq

    from remnant.estimate.coverage import default_window
    from remnant.estimate.distinct import distinct_clients
    from remnant.estimate.traffic import clients_by_name, sightings
    from remnant.store.engine import batches_of

    window = default_window(view)
    table = sightings(view, window, vantage)

    def counted(rows: Any) -> dict[str, Any]:
        return {
            "queries": rows.weight.sum().cast("int64"),
            "first": rows.time.min(),
            "last": rows.time.max(),
            "unit_low": rows.unit.min(),
            "unit_high": rows.unit.max(),
        }

    order = ("name", "indicator", "queries", "clients", "first", "last", "unit_low", "unit_high")
    by_name = table.group_by("name").aggregate(indicator=table.indicator.max(), **counted(table))
    by_name = by_name.join(clients_by_name(view, window, vantage), "name").select(*order)
    # Somebody may ask for a name that begins with an asterisk: it is not the rule of that text.
    literal = by_name.name.startswith("*.")
    escaped = ibis.literal(STAR).concat(by_name.name.substr(1))
    by_name = by_name.mutate(name=ibis.ifelse(literal, escaped, by_name.name)).select(*order)
    below = table.filter(table.indicator.startswith("*."))
    # Kept, because an engine puts all rows aside of what it reads twice in one question.
    clients = view.kept(
        ("clients by rule", window, vantage),
        lambda: distinct_clients(view, window, vantage, below, "indicator"),
    )
    by_rule = below.group_by("indicator").aggregate(**counted(below))
    by_rule = by_rule.join(clients, "indicator").mutate(name=ibis._.indicator).select(*order)
    schema = by_name.schema().to_pyarrow()
    number = 0
    with pq.ParquetWriter(folder / f"seen-{vantage}.parquet", schema, compression="zstd") as file:
        for batch in batches_of(by_name):
            number += batch.num_rows
            file.write_table(pa.Table.from_batches([batch]).cast(schema))
        for batch in batches_of(by_rule):
            file.write_table(pa.Table.from_batches([batch]).cast(schema))
    return number


def _join(settings: Settings, folder: Path, vantage: str | None) -> None:
    """Write the names of a vantage: those watched, asked for or not, and those only seen."""
    import ibis

    engine: Any = ibis.duckdb.connect(
        memory_limit=settings.store.memory_limit,
        threads=settings.store.threads,
        temp_directory=str(folder / "spill"),
        autoinstall_known_extensions=False,
    )
    try:
        watched = engine.read_parquet(str(folder / "watched.parquet"))
        if vantage is None:
            seen = engine.create_table("seen", schema=_seen_schema(), temp=True)
        else:
            seen = engine.read_parquet(str(folder / f"seen-{vantage}.parquet"))
        # Whose rule hit a name that is not written in the case says its role and state.
        rule = watched.select(
            rule_text="text", rule_role="role", rule_state="state", rule_source="source"
        )
        seen = seen.left_join(rule, seen.indicator == rule.rule_text)
        both = watched.outer_join(seen, watched.text == seen.name)
        seen_name = "name_right" if "name_right" in both.columns else "name"
        # What the records say is known of names, those below a "*." rule among them.
        states = engine.read_parquet(str(folder / "servers.parquet"))
        states = states.filter(states.kind == "name").select(
            state_of="value",
            now="state",
            whose="whose",
            now_since="since",
            last_dns="last_seen",
        )
        both = both.mutate(key=ibis.coalesce(both.name, both[seen_name]))
        both = both.left_join(states, both.key == states.state_of)
        out = both.select(
            text=ibis.coalesce(both.text, both[seen_name]),
            kind=ibis.coalesce(both.kind, "seen"),
            rule=ibis.coalesce(both.text, both.indicator),
            role=ibis.coalesce(both.role, both.rule_role),
            state=ibis.coalesce(both.state, both.rule_state),
            source=ibis.coalesce(both.source, both.rule_source),
            **{
                name: both[name]
                for name in (
                    *("since", "until", "valid_from", "valid_until", "times", "zone"),
                    *("watched_since", "now", "whose", "now_since", "last_dns"),
                )
            },
            queries=ibis.coalesce(both.queries, 0),
            clients=ibis.coalesce(both.clients, 0),
            first=both["first"],
            last=both["last"],
            unit=ibis.ifelse(both.unit_low == both.unit_high, both.unit_low, "mixed").nullif(
                ibis.ifelse(both.unit_low.isnull(), "mixed", "")
            ),
        )
        out = out.order_by(ibis.desc("queries"), "text")
        out.to_parquet(str(folder / f"names-{vantage or 'none'}.parquet"))
    finally:
        engine.disconnect()
        shutil.rmtree(folder / "spill", ignore_errors=True)
    if vantage is not None:
        (folder / f"seen-{vantage}.parquet").unlink()


def _seen_schema() -> dict[str, str]:
    time = "timestamp('UTC', 6)"
    return {
        "name": "string",
        "indicator": "string",
        "queries": "int64",
        "clients": "int64",
        "first": time,
        "last": time,
        "unit_low": "string",
        "unit_high": "string",
    }


def _unlisted(view: View, folder: Path) -> dict[str, Any]:
    """Write what was asked for beside the list; return by kind what is told of all of it."""
    import pyarrow as pa

    from remnant.estimate.traffic import count_unlisted, unlisted
    from remnant.schema import TIME, UNLISTED

    columns: list[Any] = [
        pa.field("number", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("kind", "name", "zone", "vantage", "unit")),
        pa.field("queries", pa.int64()),
        pa.field("clients", pa.int64()),
        pa.field("first", TIME),
        pa.field("last", TIME),
    ]
    schema = pa.schema(columns)
    rows: Iterable[dict[str, Any]] = []
    if view.has(UNLISTED):
        rows = unlisted(view, limit=MOST_UNLISTED)
    kept: Counter[str] = Counter()

    def numbered() -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows):
            kept[str(row["kind"])] += 1
            times = {key: parse_time(str(row[key])) for key in ("first", "last")}
            yield {"number": number, **row, **times}

    write_rows(folder / "unlisted.parquet", schema, numbered())
    told = {}
    for kind in ("unlisted", "outside"):
        queries, total = count_unlisted(view, outside=kind == "outside")
        told[kind] = {
            "queries": queries,
            "names": total,
            "all": kept[kind] < MOST_UNLISTED,
        }
    return told
