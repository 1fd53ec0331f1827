"""What new rules would have matched in what is stored already, and what storing them does not do.

Rules are matched when a source is read. So a new rule counts what comes in from then on; what was
read before it has to be read again. Three things are stored whatever the rules say, and show what
a rule would find: names that were asked for in seized zones and are not on the list, passive DNS,
and sightings under rules that are to go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from remnant import schema
from remnant.cases.library import indicators_of
from remnant.cases.model import Case
from remnant.cases.rules import generated_count, generated_days
from remnant.errors import RemnantError
from remnant.store import Store
from remnant.watchlist import FAMILY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.store import View
    from remnant.web.site import Site

__all__ = ["AskedName", "Matches", "Record", "Removed", "matches"]

_SHOWN: Final = 50
_UNLISTED: Final = 5000
_LOOKED_UP: Final = 40
_RECORDS: Final = 5000
_GENERATED: Final = 200_000


class AskedName(BaseModel):
    """A name that was asked for in a seized zone while it was on no list."""

    name: str
    rule: str
    zone: str | None
    queries: int
    clients: int
    first: str
    last: str


class Record(BaseModel):
    """What passive DNS knows of a new rule; ``at_least``: there are more than were counted."""

    rule: str
    records: int
    names: int
    at_least: bool
    examples: list[str]


class Removed(BaseModel):
    """A rule that is to go: the sightings that stay stored under it."""

    rule: str
    queries: int
    clients: int


class Matches(BaseModel):
    """What new and removed rules have to do with what is stored.

    ``older_sources`` of ``sources`` were read with other rules than those that would be stored
    (null: not worked out, the case generates too many names).
    """

    unlisted: list[AskedName]
    unlisted_names: int
    unlisted_queries: int
    passive_dns: list[Record]
    looked_up: int
    new_rules: int
    removed: list[Removed]
    sources: int
    older_sources: int | None


def matches(site: Site, old: Case | None, new: Case) -> Matches:
    """Return what the new and the removed rules of a case would match.

    Args:
        site: settings and snapshots.
        old: the case as stored; ``None``: there is none.
        new: the case as edited.
    """
    before = {} if old is None else indicators_of(old)
    added = [text for text in indicators_of(new) if text not in before]
    gone = [text for text in before if text not in indicators_of(new)]
    asked: list[AskedName] = []
    removed: list[Removed] = []
    sources, older = 0, None
    if old is not None:
        with site.snapshots.view(new.name) as view:
            asked = list(_asked(view, added))
            removed = _removed(view, gone)
            sources, older = len(view.sources), _older(view, new)
    looked = [text for text in added if not text.startswith((FAMILY, "dga:"))][:_LOOKED_UP]
    return Matches(
        unlisted=asked[:_SHOWN],
        unlisted_names=len(asked),
        unlisted_queries=sum(row.queries for row in asked),
        passive_dns=_passive_dns(site, looked),
        looked_up=len(looked),
        new_rules=len(added),
        removed=removed,
        sources=sources,
        older_sources=older,
    )


def _asked(view: View, added: list[str]) -> Iterator[AskedName]:
    from remnant.estimate.traffic import unlisted

    if not added or not view.has(schema.UNLISTED):
        return
    known = set(added)
    for row in unlisted(view, limit=_UNLISTED):
        rule = _rule_of(str(row["name"]), known)
        if rule is not None and row["kind"] == "unlisted":
            yield AskedName.model_validate(row | {"rule": rule})


def _rule_of(name: str, rules: set[str]) -> str | None:
    """Return the most specific rule that matches a folded name."""
    if name in rules:
        return name
    rest = name
    while rest:
        if f"*.{rest}" in rules:
            return f"*.{rest}"
        # An escaped dot ends no label.
        at = rest.find(".")
        while at > 0 and (len(rest[:at]) - len(rest[:at].rstrip("\\"))) % 2:
            at = rest.find(".", at + 1)
        rest = rest[at + 1 :] if at >= 0 else ""
    return None


def _removed(view: View, gone: list[str]) -> list[Removed]:
    if not gone or not view.has(schema.SIGHTINGS):
        return []
    table: Any = view.table(schema.SIGHTINGS)
    found = (
        table.filter(table.indicator.isin(gone[:1000]))
        .group_by("indicator")
        .aggregate(queries=table.weight.sum(), clients=table.client.nunique())
        .to_pyarrow()
        .to_pylist()
    )
    found.sort(key=lambda row: (-row["queries"], row["indicator"]))
    return [
        Removed(rule=row["indicator"], queries=row["queries"], clients=row["clients"])
        for row in found[:_SHOWN]
    ]


def _older(view: View, new: Case) -> int | None:
    from remnant.cases.rules import compile_rules
    from remnant.watchlist import digest_of

    many = sum(generated_count(w.dga, generated_days(w)) for w in new.watches if w.dga is not None)
    if many > _GENERATED:
        return None
    digest = digest_of(compile_rules(new), new.name)
    return sum(source.watchlist != digest for source in view.sources)


def _passive_dns(site: Site, rules: list[str]) -> list[Record]:
    from remnant.infrastructure.passive_dns import Question, records

    found: list[Record] = []
    if not rules:
        return found
    with Store.open(site.settings) as store:
        for rule in rules:
            names: dict[str, None] = {}
            count = 0
            try:
                for rows in records(store, Question.parse(rule)):
                    count += len(rows)
                    names.update(dict.fromkeys(map(str, rows["rrname"].to_pylist())))
                    if count >= _RECORDS:
                        break
            except RemnantError:
                continue
            if count:
                found.append(
                    Record(
                        rule=rule,
                        records=count,
                        names=len(names),
                        at_least=count >= _RECORDS,
                        examples=sorted(names)[:5],
                    )
                )
    return found
