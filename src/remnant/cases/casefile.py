"""Reading a case file: TOML in, a ``Case`` out, or an error that says where and what.

The format is described in ``docs/reference/case-file.md``. Nothing in a case file is trusted: its
size and the number of its names are bounded, and names end up neither in paths nor unescaped on a
terminal.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from remnant.cases import dga, indicators
from remnant.cases.model import (
    DEFAULT_HTTP,
    DEFAULT_TTL,
    EVENT_KINDS,
    HTTP_REPLIES,
    MAX_EVENTS,
    MAX_FILE_BYTES,
    MAX_GENERATED,
    MAX_NAMES,
    MAX_SINK_ADDRESSES,
    MAX_SINK_SERVERS,
    MAX_TTL,
    ROLES,
    STATES,
    Case,
    Event,
    EventKind,
    SinkholeConfig,
    Watch,
)
from remnant.cases.tomltable import Source, TableReader
from remnant.cases.zones import suffix_kind
from remnant.errors import CaseError
from remnant.names import is_below
from remnant.watchlist import MAX_WORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from remnant.watchlist import Role

__all__ = [
    "Case",
    "Event",
    "EventKind",
    "SinkholeConfig",
    "Watch",
    "check_name",
    "count_duplicates",
    "load",
    "loads",
    "watched_name",
]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# At most 253 characters: in an SOA it is a name, of at most 255 bytes.
_CONTACT: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9._+-]{1,63}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+"
)
_HELP: Final = re.compile(r"https?://[\x21\x23-\x3b\x3d\x3f-\x7e]{1,500}")
_WORD: Final = re.compile(rf"(?![ ])[ !#-&(-+\--:<-{{}}~]{{1,{MAX_WORD}}}")
_NO_FAMILY: Final = frozenset(
    {"bot", "botnet", "dga", "infected", "malware", "sinkhole", "spam", "trojan", "unknown", "worm"}
)
"""Words that reports write as the infection of hosts of any botnet."""


def load(path: Path | str) -> Case:
    """Return the case that a file holds.

    Raises:
        CaseError: the file cannot be read, is too large, or says something that is wrong.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CaseError(
            "the case file cannot be read", where=str(path), got=error.strerror or str(error)
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise CaseError("the case file is too large", where=str(path), expected="at most 64 MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CaseError(
            "the case file is not UTF-8",
            where=f"{path}:{line}",
            got=data[error.start : error.start + 8].hex(" "),
            expected="TOML, which is always UTF-8",
            hint="save the file as UTF-8",
        ) from None
    return loads(text, str(path))


def loads(text: str, where: str) -> Case:
    """Return the case that a text holds; ``where`` is the file's name for messages.

    Raises:
        CaseError: the text says something that is wrong.
    """
    if len(text) > MAX_FILE_BYTES:
        raise CaseError("the case file is too large", where=where, expected="at most 64 MiB")
    source = Source(where, text)
    root = TableReader(_parse(text, where), "", source)
    head = root.table("case", required=True)
    assert head is not None
    name = check_name(head.text("name", required=True), head)
    title = head.text("title") or name
    takedown = head.time("takedown", required=True)
    head.finish()

    tables = root.tables("watch")
    watches, entries, generated = [], 0, 0
    for table in tables:
        stated = sum(len(table.strings(key)) for key in _NORMALISE)
        entries += stated
        if entries > MAX_NAMES:
            raise table.error(
                "", "the case watches too much", expected=f"at most {MAX_NAMES:,} entries in all"
            )
        generated += table.has("dga")
        if generated > MAX_GENERATED:
            raise table.error(
                "dga",
                "too many tables of generated names",
                expected=f"at most {MAX_GENERATED} in a case",
                hint="one table holds all days of a family that share a state",
            )
        watches.append(_watch(table))
    if len(root.tables("event")) > MAX_EVENTS:
        raise root.error("event", "too many events", expected=f"at most {MAX_EVENTS:,}")
    events = tuple(_event(table) for table in root.tables("event"))
    sink = root.table("sinkhole")
    sinkhole = None if sink is None else _sinkhole(sink)
    root.finish()

    def place(index: int, key: str, text: str) -> str:
        path = f"watch[{index}].{key}"
        for number, raw in enumerate(tables[index].strings(key) if key != "dga" else []):
            if _NORMALISE[key](raw) == text:
                return source.place(f"{path}[{number}]", raw)
        return source.place(path)

    kept = sum(len(w.names) + len(w.addresses) + len(w.families) for w in watches)
    inside = entries - kept
    across = count_duplicates(watches, place)
    return Case(name, title, takedown, tuple(watches), events, sinkhole, inside + across)


def check_name(name: str | None, table: TableReader | None = None) -> str:
    """Return a case's name if it can be one.

    Raises:
        CaseError: other characters than ``a-z``, ``0-9`` and ``-``, or too long.
    """
    if name is not None and _NAME.fullmatch(name):
        return name
    what = "this cannot be the name of a case"
    expected = "1 to 63 characters of a-z, 0-9 and -, the first not -"
    hint = "the name becomes a folder and part of addresses; title = says it for people"
    if table is not None:
        raise table.error("name", what, got=name, expected=expected, hint=hint)
    raise CaseError(what, got=name, expected=expected, hint=hint)


def count_duplicates(watches: Iterable[Watch], place: Callable[[int, str, str], str]) -> int:
    """Return how many indicators are stated again by a later watch.

    Args:
        watches: the watches in order.
        place: gives the words for an indicator's place in the message, from the index of its
            watch, the key it stands under (``names``, ``addresses``, ``families`` or ``dga``) and
            its text.

    Raises:
        CaseError: two watches state the same indicator with another role or state.
    """
    seen: dict[tuple[bool, str], int] = {}
    watches = tuple(watches)
    duplicates = 0
    families: dict[str, list[int]] = {}
    for index, watch in enumerate(watches):
        for key in ("names", "addresses", "families"):
            texts: tuple[str, ...] = getattr(watch, key)
            for text in texts:
                first = seen.setdefault((key == "families", text), index)
                if first != index:
                    duplicates += 1
                    _agree(watches, first, index, text, key, place)
        if watch.dga is not None:
            known = families.setdefault(watch.dga, [])
            again = [first for first in known if _overlap(watches[first], watch)]
            for first in again:
                _agree(watches, first, index, watch.dga, "dga", place)
            duplicates += bool(again)
            known.append(index)
    return duplicates


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        at = re.search(r" \(at line (\d+), column \d+\)$", said)
        raise CaseError(
            "this is not TOML",
            where=where if at is None else f"{where}:{at[1]}",
            got=said,
            hint="see docs/reference/case-file.md for the format",
        ) from None
    except RecursionError:
        raise CaseError(
            "tables or arrays are nested too deeply", where=where, expected="a case file"
        ) from None
    except (ValueError, OverflowError) as error:
        raise CaseError("a value cannot be read", where=where, got=str(error)) from None


def _watch(table: TableReader) -> Watch:
    names = _each(table, "names", watched_name)
    addresses = _each(table, "addresses", indicators.prefix)
    words = _each(table, "families", family_word)
    family = table.text("dga")
    default: Role = "c2" if family is None else "dga"
    role = table.word("role", ROLES, default)
    state = table.word("state", STATES, "unknown")
    since = table.time("from", required=family is not None)
    until = table.time("until", required=family is not None, inclusive=True)
    zone = table.text("zone")
    source = table.text("source")
    table.finish()
    if family is not None:
        if names or addresses or words:
            raise table.error("dga", "generated names have a [[watch]] table of their own")
        try:
            dga.family(family)
        except CaseError as error:
            raise table.error(
                "dga", error.what, got=family, expected=error.expected, hint=error.hint
            ) from None
    elif not names and not addresses and not words:
        raise table.error(
            "",
            "this table watches nothing",
            expected="names, addresses, families or dga with an entry",
        )
    if since is not None and until is not None and until <= since:
        raise table.error("until", "until is not after from", got=until, expected=f"after {since}")
    if zone is not None:
        zone = _zone(table, zone, names)
    return Watch(names, addresses, family, role, state, since, until, zone, source, words)


def _each(table: TableReader, key: str, normalise: Callable[[str], str]) -> tuple[str, ...]:
    """Return the distinct normalised entries of an array in order; errors name the entry."""
    found: dict[str, None] = {}
    for index, text in enumerate(table.strings(key)):
        try:
            found[normalise(text)] = None
        except CaseError as error:
            raise table.error(
                f"{key}[{index}]",
                error.what,
                got=text,
                expected=error.expected,
                hint=error.hint,
            ) from None
    return tuple(found)


def watched_name(text: str) -> str:
    """Return a normalised name that a case may watch.

    Raises:
        CaseError: not a name, or everything below a suffix where registries sell names.
    """
    name = indicators.name(text)
    if name.startswith("*.") and suffix_kind(name[2:]) == "registry":
        raise CaseError(
            "this would watch a whole public suffix",
            got=text,
            expected="a domain below it",
            hint=f"name the domain: *.evil.{name[2:]}",
        )
    return name


def family_word(text: str) -> str:
    """Return a normalised word by which victim reports call the botnet.

    Raises:
        CaseError: empty, too long, or with characters that separate words in reports.
    """
    word = text.strip().lower()
    if not _WORD.fullmatch(word):
        raise CaseError(
            "this cannot be a family word",
            got=text,
            expected=f"1 to {MAX_WORD} printable ASCII characters without , ; | and quotes",
            hint='one word for each entry, as the reports write it: families = ["beebone"]',
        )
    if word in _NO_FAMILY:
        raise CaseError(
            "this word says no family",
            got=text,
            expected="what reports call this one botnet",
            hint="reports put it on hosts of many botnets",
        )
    return word


_NORMALISE: Final[dict[str, Callable[[str], str]]] = {
    "names": watched_name,
    "addresses": indicators.prefix,
    "families": family_word,
}


def _zone(table: TableReader, text: str, names: tuple[str, ...]) -> str:
    try:
        zone = indicators.name(text)
    except CaseError as error:
        raise table.error("zone", error.what, got=text, expected=error.expected) from None
    if zone.startswith("*."):
        raise table.error("zone", "a zone has no star", got=text, expected=zone[2:])
    for name in names:
        if not is_below(indicators.bare(name), zone):
            raise table.error(
                "zone",
                "a name of this table is not in the zone",
                got=name,
                expected=f"names at or below {zone}",
                hint="give names of other zones a [[watch]] table of their own",
            )
    return zone


def _event(table: TableReader) -> Event:
    event = Event(
        time=table.time("time", required=True),
        kind=table.word("kind", EVENT_KINDS, "other"),
        note=table.text("note") or "",
        source=table.text("source"),
    )
    table.finish()
    return event


def _sinkhole(table: TableReader) -> SinkholeConfig:
    arms = tuple(table.integers("ttl_arms", 0, MAX_TTL))
    if arms and (len(set(arms)) != 2 or table.has("ttl")):
        raise table.error(
            "ttl_arms",
            "the experiment needs two different times, and no ttl beside them",
            got=list(arms),
            expected="ttl_arms = [60, 300]",
        )
    config = SinkholeConfig(
        addresses=_each(table, "addresses", indicators.address),
        ttl=table.integer("ttl", 0, MAX_TTL, min(arms, default=DEFAULT_TTL)),
        ttl_arms=tuple(sorted(arms)),
        nameservers=_each(table, "nameservers", _server),
        contact=table.text("contact") or "",
        null_mx=table.boolean("null_mx"),
        spf=table.boolean("spf"),
        caa=table.boolean("caa"),
        http=table.word("http", HTTP_REPLIES, DEFAULT_HTTP),
        operator=table.text("operator") or "",
        help_url=table.text("help_url") or "",
        identify=table.boolean("identify"),
    )
    if len(config.addresses) > MAX_SINK_ADDRESSES:
        raise table.error(
            "addresses",
            "too many addresses of the sinkhole",
            got=len(config.addresses),
            expected=f"at most {MAX_SINK_ADDRESSES}: larger answers help who floods others",
        )
    if len(config.nameservers) > MAX_SINK_SERVERS:
        raise table.error(
            "nameservers",
            "too many name servers",
            got=len(config.nameservers),
            expected=f"at most {MAX_SINK_SERVERS}",
        )
    if config.contact and not _CONTACT.fullmatch(config.contact):
        raise table.error(
            "contact",
            "this is not a mail address",
            got=config.contact,
            expected="abuse@example.org",
        )
    if config.help_url and not _HELP.fullmatch(config.help_url):
        raise table.error(
            "help_url",
            "this is not the address of a page",
            got=config.help_url,
            expected="https://www.example.org/help",
        )
    table.finish()
    return config


def _server(text: str) -> str:
    """Return the folded name of a name server.

    Raises:
        CaseError: not a name, or a star in it.
    """
    name = indicators.name(text)
    if name.startswith("*."):
        raise CaseError("a name server has no star", got=text, expected=name[2:])
    return name


def _overlap(first: Watch, second: Watch) -> bool:
    return _before(first.since, second.until) and _before(second.since, first.until)


def _before(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end


def _agree(
    watches: tuple[Watch, ...],
    first: int,
    second: int,
    text: str,
    key: str,
    place: Callable[[int, str, str], str],
) -> None:
    one, two = watches[first], watches[second]
    for word in ("role", "state"):
        if getattr(one, word) != getattr(two, word):
            raise CaseError(
                f"the same indicator is stated with another {word}: {text[:260]}",
                where=f"{place(first, key, text)} and {place(second, key, text)}",
                got=f"{getattr(one, word)}, then {getattr(two, word)}",
                expected=f"one {word}",
                hint="keep one of the two; the more specific of different rules wins by itself",
            )
