"""What somebody typed into the form of a case, right or wrong, and the TOML that says the same.

Nothing is checked twice: a draft is written as TOML and read by ``cases.casefile``, so the form
has the same rules and the same messages as ``remnant case check``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from remnant.cases.dump import end_text, time_text
from remnant.errors import CaseError

if TYPE_CHECKING:
    from remnant.cases.model import Case

__all__ = [
    "MAX_ENTRIES",
    "MAX_ROWS",
    "MAX_TEXT",
    "Draft",
    "EventDraft",
    "SinkholeDraft",
    "WatchDraft",
    "draft_of",
    "fits",
    "from_form",
    "to_toml",
]

MAX_TEXT: Final = 1_000_000
"""Characters of a case file that a browser can edit; larger ones are imported as files."""
MAX_ROWS: Final = 60
"""Rules, and events, that the form shows; the text can say more."""
MAX_ENTRIES: Final = 20_000
"""Names and addresses of all rules in the form."""

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_FIELD: Final = re.compile(r"(watch|event)-(\d{1,3})-([a-z]{1,12})")
_NUMBER: Final = re.compile(r"\d{1,9}")
_LISTS: Final = ("names", "addresses", "families")
_FLAGS: Final = ("null_mx", "spf", "caa", "identify")

Line = Annotated[str, Field(max_length=2000)]
Lines = Annotated[list[Line], Field(max_length=MAX_ENTRIES)]


class _Typed(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class WatchDraft(_Typed):
    """One rule: indicators that share role, state, dates and source.

    ``from`` and ``until`` are dates (UTC, the last day included) or times with a zone.
    """

    names: Lines = []
    addresses: Lines = []
    families: Lines = []
    dga: Line = ""
    role: Line = ""
    state: Line = ""
    since: Annotated[Line, Field(alias="from")] = ""
    until: Line = ""
    zone: Line = ""
    source: Line = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed that could be watched."""
        return not (self.names or self.addresses or self.families or self.dga)


class EventDraft(_Typed):
    """Something that happened; ``time`` is a date (UTC) or a time with a zone."""

    time: Line = ""
    kind: Line = ""
    note: Line = ""
    source: Line = ""


class SinkholeDraft(_Typed):
    """What the sinkhole answers; see the reference of the case file."""

    addresses: Lines = []
    ttl: Line = ""
    ttl_arms: Line = ""
    nameservers: Lines = []
    contact: Line = ""
    operator: Line = ""
    help_url: Line = ""
    http: Line = ""
    null_mx: bool = False
    spf: bool = False
    caa: bool = False
    identify: bool = False


class Draft(_Typed):
    """A case as it was typed; it may be wrong."""

    name: Line
    title: Line = ""
    takedown: Line = ""
    watches: Annotated[list[WatchDraft], Field(max_length=1000)] = []
    events: Annotated[list[EventDraft], Field(max_length=10_000)] = []
    sinkhole: SinkholeDraft | None = None


def draft_of(case: Case) -> Draft:
    """Return a stored case as the form shows it."""
    sink = case.sinkhole
    return Draft(
        name=case.name,
        title=case.title,
        takedown=time_text(case.takedown),
        watches=[
            WatchDraft(
                names=list(watch.names),
                addresses=list(watch.addresses),
                families=list(watch.families),
                dga=watch.dga or "",
                role=watch.role,
                state=watch.state,
                since="" if watch.since is None else time_text(watch.since),
                until="" if watch.until is None else end_text(watch.until),
                zone=watch.zone or "",
                source=watch.source or "",
            )
            for watch in case.watches
        ],
        events=[
            EventDraft(
                time=time_text(event.time),
                kind=event.kind,
                note=event.note,
                source=event.source or "",
            )
            for event in case.events
        ],
        sinkhole=None
        if sink is None
        else SinkholeDraft(
            addresses=list(sink.addresses),
            ttl="" if sink.ttl_arms else str(sink.ttl),
            ttl_arms=", ".join(map(str, sink.ttl_arms)),
            nameservers=list(sink.nameservers),
            contact=sink.contact,
            operator=sink.operator,
            help_url=sink.help_url,
            http=sink.http,
            null_mx=sink.null_mx,
            spf=sink.spf,
            caa=sink.caa,
            identify=sink.identify,
        ),
    )


def fits(case: Case) -> bool:
    """Return whether the form can show a case whole."""
    entries = sum(len(w.names) + len(w.addresses) + len(w.families) for w in case.watches)
    rows = max(len(case.watches), len(case.events))
    return rows <= MAX_ROWS and entries <= MAX_ENTRIES


def from_form(name: str, given: Mapping[str, Any]) -> Draft:
    """Return the draft that the fields of the HTML form hold.

    Args:
        name: of the case.
        given: fields by name: ``title``, ``takedown``, ``watch-0-names``, ``sinkhole-ttl``, ...

    Raises:
        CaseError: more than the form can hold.
    """
    rows: dict[str, dict[int, dict[str, Any]]] = {"watch": {}, "event": {}}
    sink: dict[str, Any] = {}
    for key, value in given.items():
        if not isinstance(value, str):
            continue
        if len(value) > MAX_TEXT:
            raise _too_much()
        field = _FIELD.fullmatch(key)
        if field is not None:
            row = rows[field[1]].setdefault(int(field[2]), {})
            row[field[3]] = _lines(value) if field[3] in _LISTS else value.strip()[:2000]
        elif key.startswith("sinkhole-"):
            inside = key.removeprefix("sinkhole-").replace("-", "_")
            if inside in _FLAGS:
                sink[inside] = True
            else:
                is_list = inside in {"addresses", "nameservers"}
                sink[inside] = _lines(value) if is_list else value.strip()[:2000]
    known = {key: sink[key] for key in SinkholeDraft.model_fields if key in sink}
    draft = Draft(
        name=name,
        title=str(given.get("title", "")).strip()[:2000],
        takedown=str(given.get("takedown", "")).strip()[:2000],
        watches=[WatchDraft(**_of(WatchDraft, row)) for _, row in sorted(rows["watch"].items())],
        events=[EventDraft(**_of(EventDraft, row)) for _, row in sorted(rows["event"].items())],
        sinkhole=SinkholeDraft(**known) if any(known.values()) else None,
    )
    entries = sum(len(w.names) + len(w.addresses) + len(w.families) for w in draft.watches)
    if entries > MAX_ENTRIES or max(len(draft.watches), len(draft.events)) > MAX_ROWS:
        raise _too_much()
    return draft


def to_toml(draft: Draft) -> str:
    """Return the case file that says what was typed; reading it tells what is wrong."""
    lines = ["[case]", f"name = {_string(draft.name)}"]
    lines += _some(title=draft.title)
    lines += _times(takedown=draft.takedown)
    for watch in draft.watches:
        lines += ["", "[[watch]]"]
        lines += _some(
            dga=watch.dga, role=watch.role, state=watch.state, zone=watch.zone, source=watch.source
        )
        lines += _times(**{"from": watch.since, "until": watch.until})
        lines += _arrays(names=watch.names, addresses=watch.addresses, families=watch.families)
    for event in draft.events:
        lines += ["", "[[event]]", *_times(time=event.time)]
        lines += _some(kind=event.kind, note=event.note, source=event.source)
    if draft.sinkhole is not None:
        lines += ["", "[sinkhole]", *_sinkhole(draft.sinkhole)]
    return "\n".join(lines) + "\n"


def _sinkhole(sink: SinkholeDraft) -> Iterator[str]:
    yield from _arrays(addresses=sink.addresses, nameservers=sink.nameservers)
    if sink.ttl:
        yield f"ttl = {_number(sink.ttl)}"
    if sink.ttl_arms:
        arms = [part.strip() for part in sink.ttl_arms.split(",")]
        yield f"ttl_arms = [{', '.join(_number(arm) for arm in arms)}]"
    yield from _some(
        contact=sink.contact, operator=sink.operator, help_url=sink.help_url, http=sink.http
    )
    for key in _FLAGS:
        if getattr(sink, key):
            yield f"{key} = true"


def _of(model: type[BaseModel], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a row that the model knows; the others are nobody's."""
    names = {field.alias or name for name, field in model.model_fields.items()}
    return {key: value for key, value in row.items() if key in names}


def _lines(text: str) -> list[str]:
    found = [line.strip()[:2000] for line in text.splitlines() if line.strip()]
    if len(found) > MAX_ENTRIES:
        raise _too_much()
    return found


def _some(**texts: str) -> list[str]:
    return [f"{key} = {_string(text)}" for key, text in texts.items() if text]


def _arrays(**texts: Iterable[str]) -> list[str]:
    found = {key: ", ".join(map(_string, each)) for key, each in texts.items()}
    return [f"{key} = [{items}]" for key, items in found.items() if items]


def _times(**texts: str) -> list[str]:
    return [f"{key} = {_time(text)}" for key, text in texts.items() if text]


def _time(text: str) -> str:
    """Return a time as TOML writes it; what is none stands as a string, which is refused."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _string(text)
    if _DAY.fullmatch(text):
        return text
    try:
        whole = moment if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return _string(text)
    return whole.isoformat().replace("+00:00", "Z")


def _number(text: str) -> str:
    return str(int(text)) if text.isascii() and _NUMBER.fullmatch(text) else _string(text)


def _string(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode()
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")


def _too_much() -> CaseError:
    return CaseError(
        "this is more than the form can hold",
        expected=f"at most {MAX_ROWS} rules, {MAX_ROWS} events and {MAX_ENTRIES:,} entries",
        hint="edit the text, or: remnant case import FILE --replace",
    )
