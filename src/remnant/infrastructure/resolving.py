"""Asks the one resolver that the settings name where names lead now.

Nothing else is asked: no name server of the names, and no server of the list. How fast and how many
is bounded. Answers are kept as records of passive DNS, so that history grows with every run.

References:
    RFC 1035; RFC 7766 (truncated answers are asked for again over TCP).
"""

from __future__ import annotations

import ipaddress
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from remnant.errors import SettingsError
from remnant.infrastructure.responses import ANSWER
from remnant.names import NameSyntaxError, fold
from remnant.store.observations import EVERYONE, Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from remnant.settings import ResolveSettings

__all__ = ["SENSOR", "Answer", "Record", "Resolver", "ask", "cof", "facts"]

SENSOR: Final = "resolve"
"""The sensor of what was asked for."""

_TYPES: Final = ("A", "AAAA")
_KEPT: Final = ("A", "AAAA", "CNAME", "NS")
_MOST_RECORDS: Final = 1_000
_ALIASES: Final = 16


@dataclass(frozen=True, slots=True)
class Resolver:
    """Where to ask."""

    address: str
    port: int

    @classmethod
    def of(cls, settings: ResolveSettings) -> Resolver:
        """Return the resolver of the settings.

        Raises:
            SettingsError: none is named, or what is named is no address.
        """
        text = settings.server
        if text is None:
            raise SettingsError(
                "no resolver is named, and no other one is asked",
                where="resolve.server",
                expected="its address, such as 127.0.0.1 or [::1]:5353",
                hint="name a resolver that may see these names in settings.toml: "
                '[resolve] server = "127.0.0.1"',
            )
        host, port = text, "53"
        if text.startswith("["):
            host, _, rest = text[1:].partition("]")
            port = rest.removeprefix(":") or "53"
        elif text.count(":") == 1:
            host, _, port = text.partition(":")
        try:
            address = str(ipaddress.ip_address(host))
            number = int(port) if port.isascii() and port.isdecimal() else 0
        except ValueError:
            number = 0
        if not 0 < number < 1 << 16:
            raise SettingsError(
                "this is no address of a resolver",
                where="resolve.server",
                got=text,
                expected="an address, and perhaps a port: 127.0.0.1, 127.0.0.1:5353, [::1]:53",
            )
        return cls(address, number)

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an answer: folded owner, type, data in presentation form."""

    rrname: str
    rrtype: str
    rdata: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the resolver said of one name.

    Attributes:
        name: the name.
        time: when it was asked (UTC, whole seconds).
        rcode: NOERROR, NXDOMAIN ...; ``none`` where no answer came.
        records: of the name and its aliases.
        types: types of records that were asked for.
    """

    name: str
    time: datetime
    rcode: str
    records: tuple[Record, ...]
    types: tuple[str, ...] = _TYPES

    @property
    def addresses(self) -> int:
        """How many addresses the name led to."""
        return sum(record.rrtype in _TYPES for record in self.records)


def ask(
    names: Sequence[str],
    zones: Iterable[str],
    resolver: Resolver,
    settings: ResolveSettings,
    *,
    asked: Callable[[int], None] | None = None,
) -> Iterator[Answer]:
    """Yield what the resolver says of names, one after the other, at a bounded rate.

    Addresses are asked for of each name, name servers of each zone. After ``settings.most``
    questions it ends; three names in a row without any answer end it too.

    Args:
        names: folded names.
        zones: domains whose name servers are asked for.
        resolver: where.
        settings: how fast, how many, how long to wait.
        asked: is told the number of questions, for progress.
    """
    questions: list[tuple[str, tuple[str, ...]]] = [(name, _TYPES) for name in names]
    questions += [(zone, ("NS",)) for zone in zones]
    count = silent = 0
    due = time.monotonic()
    for name, types in questions:
        records: dict[Record, None] = {}
        codes = []
        now = datetime.now(tz=UTC).replace(microsecond=0)
        for kind in types:
            if count >= settings.most:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic()) + 1 / settings.per_second
            count += 1
            code, found = _one(name, kind, resolver, settings.timeout_s)
            codes.append(code)
            records.update(dict.fromkeys(found))
            if asked is not None:
                asked(count)
            if code == "NXDOMAIN":
                break  # of all types (RFC 8020)
        if not codes:
            return
        known = [code for code in codes if code != "none"]
        silent = 0 if known else silent + 1
        # A name exists if it has any type of record.
        code = "NOERROR" if "NOERROR" in known else known[0] if known else "none"
        yield Answer(name, now, code, tuple(records)[:_MOST_RECORDS], types)
        if silent == 3:
            return


def _one(name: str, kind: str, resolver: Resolver, timeout: float) -> tuple[str, list[Record]]:
    """Ask one question; return the response code, ``none`` without a response, and records."""
    import dns.exception  # noqa: PLC0415 - only where something is asked
    import dns.message  # noqa: PLC0415 - as above
    import dns.query  # noqa: PLC0415 - as above
    import dns.rcode  # noqa: PLC0415 - as above

    try:
        query = dns.message.make_query(f"{name}." if name != "." else ".", kind, use_edns=0)
        # What does not answer this question is passed over until the time is up.
        response, _ = dns.query.udp_with_fallback(
            query,
            resolver.address,
            timeout=timeout,
            port=resolver.port,
            ignore_unexpected=True,
            ignore_errors=True,
        )
    except (dns.exception.DNSException, OSError, EOFError, ValueError):
        return "none", []
    return dns.rcode.to_text(response.rcode()), list(_records(response, name))


def _records(response: Any, name: str) -> Iterator[Record]:  # noqa: ANN401 - dnspython
    """Yield the records of the name and of its aliases; others were not asked for."""
    import dns.rdatatype  # noqa: PLC0415 - see above

    found: dict[str, list[Record]] = {}
    count = 0
    for rrset in response.answer:
        kind = dns.rdatatype.to_text(rrset.rdtype)
        if kind not in _KEPT:
            continue
        for data in rrset:
            count += 1
            if count > _MOST_RECORDS:
                break
            try:
                owner, text = fold(rrset.name.to_text()), data.to_text()
                text = text if kind in _TYPES else fold(text)
            except NameSyntaxError:
                continue
            found.setdefault(owner, []).append(Record(owner, kind, text))
    here = name
    for _ in range(_ALIASES):
        records = found.pop(here, [])
        yield from records
        aliases = [record.rdata for record in records if record.rrtype == "CNAME"]
        if not aliases:
            return
        here = aliases[0]


def cof(answers: Iterable[Answer]) -> bytes:
    """Return records as passive DNS in the common output format, one a line."""
    lines = []
    for answer in answers:
        seconds = int(answer.time.timestamp())
        for record in answer.records:
            row = {
                "rrname": record.rrname,
                "rrtype": record.rrtype,
                "rdata": record.rdata,
                "time_first": seconds,
                "time_last": seconds,
                "count": 1,
            }
            lines.append(json.dumps(row) + "\n")
    return "".join(lines).encode()


def facts(answers: Iterable[Answer], resolver: Resolver) -> list[Observation]:
    """Return answers as facts: also what leads nowhere is worth knowing."""
    return [
        Observation(
            EVERYONE,
            ANSWER,
            answer.name,
            answer.time,
            json.dumps(
                {
                    "addresses": answer.addresses,
                    "rcode": answer.rcode,
                    "resolver": str(resolver),
                },
                sort_keys=True,
            ),
        )
        for answer in answers
        if answer.rcode == "NXDOMAIN" or (answer.rcode != "none" and answer.types == _TYPES)
    ]
