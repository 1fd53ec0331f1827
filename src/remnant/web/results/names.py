"""The names of a case as tables on disk that a page reads a part of, and the servers behind them.

A case may watch two million names, and under a watched ``*.`` name strangers can make up as many
more as they like. So what is known of each name is worked out once, beside the server, and lies in
Parquet under ``dashboard-names`` in the home folder: a table for each vantage, one of what was
asked for beside the list, one of servers. What is returned says where they lie and what they hold.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from remnant.cases.library import Library
from remnant.errors import RemnantError
from remnant.web.name_path import STAR
from remnant.windows import iso, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from remnant.cases.model import Case
    from remnant.settings import Settings
    from remnant.store import Store, View
    from remnant.watchlist import Rule

__all__ = ["MOST_UNLISTED", "folder_of", "names"]

MOST_UNLISTED: Final = 100_000
"""Names beside the list that are kept of each kind, those with most queries."""

_KEPT: Final = 3
"""Earlier tables that stay for pages that still read them."""

_ROWS: Final = 50_000


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

    servers, problem = _servers(settings, store, view, case, folder)
    rules = compile_rules(case)
    listed = _listed(rules, library.watched_since(case.name), servers)
    _write(folder / "watched.parquet", _watched_schema(), listed.rows())
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
        "watched": len(listed.by_text),
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


class _Servers:
    """What is told of the whole list, and the state of each name."""

    def __init__(self) -> None:
        self.told: dict[str, Any] | None = None
        self.states: dict[str, str] = {}


def _servers(
    settings: Settings, store: Store, view: View, case: Case, folder: Path
) -> tuple[_Servers, str | None]:
    """Write the servers; return what is told of them, and why there are none."""
    import pyarrow as pa

    from remnant.enrich.reference import Reference
    from remnant.infrastructure.case_servers import case_servers
    from remnant.schema import TIME

    out = _Servers()
    own = Library(settings.home).path(case.name).with_name("prefixes.tsv")
    reference = Reference.load(settings, extra_tables=[own] if own.is_file() else [])
    schema = pa.schema(
        [
            ("number", pa.int64()),
            ("kind", pa.string()),
            ("value", pa.string()),
            ("state", pa.string()),
            ("whose", pa.string()),
            ("since", TIME),
            ("last_seen", TIME),
            ("alive", pa.bool_()),
            ("ask", pa.string()),
            ("text", pa.string()),
        ]
    )
    try:
        found = case_servers(store, view, case, reference)
    except RemnantError as error:
        _write(folder / "servers.parquet", schema, [])
        return out, error.text()
    counts: Counter[tuple[str, str]] = Counter()
    living: Counter[str] = Counter()

    def rows() -> Iterator[dict[str, Any]]:
        for number, one in enumerate(found.servers):
            plain = one.to_json()
            counts[one.kind, one.state] += 1
            living[one.kind] += one.alive
            if one.kind == "name":
                out.states[one.value] = one.state
            yield {
                "number": number,
                "kind": one.kind,
                "value": one.value,
                "state": one.state,
                "whose": one.whose or None,
                "since": one.since,
                "last_seen": one.last_seen,
                "alive": one.alive,
                "ask": " ".join(part for part in one.ask.who if part),
                "text": json.dumps(plain, ensure_ascii=True),
            }

    _write(folder / "servers.parquet", schema, rows())
    out.told = {
        "window": [iso(found.window.since), iso(found.window.until)],
        "alive_days": found.alive_days,
        "total": len(found.servers),
        "living": sum(living.values()),
        "living_by_kind": dict(living),
        "by_kind": _nested(counts),
        "left_out": list(found.left_out),
        "reference": not reference.is_empty,
    }
    return out, None


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for (kind, state), count in counts.most_common():
        out.setdefault(kind, {})[state] = count
    return out


class _Listed:
    """Rules that are names, one row for each text."""

    def __init__(self) -> None:
        self.by_text: dict[str, dict[str, Any]] = {}
        self.counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("role", "state", "now")
        }

    def rows(self) -> Iterable[dict[str, Any]]:
        return self.by_text.values()


def _listed(rules: Iterable[Rule], since: dict[str, datetime], servers: _Servers) -> _Listed:
    """Return the names that rules watch, with what the records say of each."""
    out = _Listed()
    for rule in rules:
        if rule.kind not in {"exact", "below"}:
            continue
        known = out.by_text.get(rule.text)
        if known is not None:  # a generated name that returns on other dates
            known["valid_until"] = rule.valid_until
            known["times"] += 1
            continue
        name = rule.text.removeprefix("*.")
        out.by_text[rule.text] = {
            "text": rule.text,
            "name": name,
            "kind": rule.kind,
            "role": rule.role,
            "state": rule.state,
            "since": rule.since,
            "until": rule.until,
            "valid_from": rule.valid_from,
            "valid_until": rule.valid_until,
            "times": 1,
            "source": rule.source,
            "zone": rule.zone,
            "watched_since": since.get(rule.text),
        }
        out.counts["role"][rule.role] += 1
        out.counts["state"][rule.state] += 1
        out.counts["now"][servers.states.get(name, "unknown")] += 1
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


def _write(path: Path, schema: Any, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as Parquet, a bounded number at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        left = iter(rows)
        while part := list(islice(left, _ROWS)):
            file.write_table(pa.Table.from_pylist(part, schema))


def _seen(view: View, vantage: str, folder: Path) -> int:
    """Write what was asked for at a vantage, by name and by ``*.`` rule; return how many names."""
    import ibis
    import pyarrow as pa
    import pyarrow.parquet as pq

    from remnant.estimate.coverage import default_window
    from remnant.estimate.traffic import sightings
    from remnant.store.engine import batches_of

    table = sightings(view, default_window(view), vantage)

    def counted(rows: Any) -> dict[str, Any]:
        return {
            "queries": rows.weight.sum().cast("int64"),
            "clients": rows.client.nunique(),
            "first": rows.time.min(),
            "last": rows.time.max(),
            "unit_low": rows.unit.min(),
            "unit_high": rows.unit.max(),
        }

    # Somebody may ask for a name that begins with an asterisk: it is not the rule of that text.
    literal = table.name.startswith("*.")
    name = ibis.ifelse(literal, ibis.literal(STAR).concat(table.name.substr(1)), table.name)
    by_name = table.group_by(name=name).aggregate(indicator=table.indicator.max(), **counted(table))
    below = table.filter(table.indicator.startswith("*."))
    by_rule = below.group_by("indicator").aggregate(**counted(below))
    by_rule = by_rule.mutate(name=by_rule.indicator).select(*by_name.columns)
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

    schema = pa.schema(
        [
            ("number", pa.int64()),
            *((name, pa.string()) for name in ("kind", "name", "zone", "vantage", "unit")),
            ("queries", pa.int64()),
            ("clients", pa.int64()),
            ("first", TIME),
            ("last", TIME),
        ]
    )
    rows: Iterable[dict[str, Any]] = []
    if view.has(UNLISTED):
        rows = unlisted(view, limit=MOST_UNLISTED)
    kept: Counter[str] = Counter()

    def numbered() -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows):
            kept[str(row["kind"])] += 1
            times = {key: parse_time(str(row[key])) for key in ("first", "last")}
            yield {"number": number, **row, **times}

    _write(folder / "unlisted.parquet", schema, numbered())
    told = {}
    for kind in ("unlisted", "outside"):
        queries, total = count_unlisted(view, outside=kind == "outside")
        told[kind] = {
            "queries": queries,
            "names": total,
            "all": kept[kind] < MOST_UNLISTED,
        }
    return told
