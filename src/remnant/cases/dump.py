"""Writing a case file: a ``Case`` out as TOML that reads back as an equal case.

Used for cases that a program makes (imports, copies of built-in cases). A file that a person wrote
is kept as it was written, with its comments.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from remnant.cases.model import DEFAULT_HTTP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from remnant.cases.model import Case, Event, SinkholeConfig, Watch

__all__ = ["dumps", "end_text", "time_text"]

_DAY: Final = timedelta(days=1)
_WIDTH: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z0-9 _.*/:-]*")
_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}


def dumps(case: Case) -> str:
    """Return the TOML text of a case.

    Raises nothing for a case that ``casefile.loads`` or an import made: what is written can be
    read again, and is equal.
    """
    lines = [
        "[case]",
        f"name     = {_string(case.name)}",
        f"title    = {_string(case.title)}",
        f"takedown = {time_text(case.takedown)}",
    ]
    for watch in case.watches:
        lines += ["", "[[watch]]", *_watch(watch)]
    for event in case.events:
        lines += ["", "[[event]]", *_event(event)]
    if case.sinkhole is not None:
        lines += ["", "[sinkhole]", *_sinkhole(case.sinkhole)]
    return "\n".join(lines) + "\n"


def _watch(watch: Watch) -> Iterator[str]:
    if watch.dga is not None:
        yield f"dga    = {_string(watch.dga)}"
    yield f"role   = {_string(watch.role)}"
    yield f"state  = {_string(watch.state)}"
    if watch.since is not None:
        yield f"from   = {time_text(watch.since)}"
    if watch.until is not None:
        yield f"until  = {end_text(watch.until)}"
    if watch.zone is not None:
        yield f"zone   = {_string(watch.zone)}"
    if watch.source is not None:
        yield f"source = {_string(watch.source)}"
    yield from _array("names", watch.names)
    yield from _array("addresses", watch.addresses)
    yield from _array("families", watch.families)


def _event(event: Event) -> Iterator[str]:
    yield f"time = {time_text(event.time)}"
    yield f"kind = {_string(event.kind)}"
    if event.note:
        yield f"note = {_string(event.note)}"
    if event.source is not None:
        yield f"source = {_string(event.source)}"


def _sinkhole(config: SinkholeConfig) -> Iterator[str]:
    yield from _array("addresses", config.addresses)
    if config.ttl_arms:
        yield f"ttl_arms = [{', '.join(map(str, config.ttl_arms))}]"
    else:
        yield f"ttl = {config.ttl}"
    yield from _array("nameservers", config.nameservers)
    for key in ("contact", "operator", "help_url"):
        if getattr(config, key):
            yield f"{key} = {_string(getattr(config, key))}"
    for key in ("null_mx", "spf", "caa", "identify"):
        if getattr(config, key):
            yield f"{key} = true"
    if config.http != DEFAULT_HTTP:
        yield f"http = {_string(config.http)}"


def _array(key: str, texts: Iterable[str]) -> Iterator[str]:
    items = [_string(text) for text in texts]
    if not items:
        return
    line = f"{key} = [{', '.join(items)}]"
    if len(line) <= _WIDTH:
        yield line
        return
    yield f"{key} = ["
    for item in items:
        yield f"  {item},"
    yield "]"


def _string(text: str) -> str:
    """Return a TOML basic string: quoted, escapes for what may not stand there as it is."""
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    out = []
    for char in text:
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif ord(char) < 0x20 or ord(char) == 0x7F:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def time_text(time: datetime) -> str:
    """Return a time as TOML: a plain date at midnight UTC."""
    time = time.astimezone(UTC)
    if time == _midnight(time):
        return time.date().isoformat()
    return time.isoformat().replace("+00:00", "Z")


def end_text(time: datetime) -> str:
    """Return an exclusive end as TOML: at midnight UTC the date of the day before it."""
    time = time.astimezone(UTC)
    if time == _midnight(time):
        return (time - _DAY).date().isoformat()
    return time_text(time)


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)
