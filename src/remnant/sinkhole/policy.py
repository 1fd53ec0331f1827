"""What the sinkhole answers to a DNS message: a pure function from bytes to bytes, or to silence.

Names of the seized zones have the sinkhole's addresses if a case watches them; everything else of
those zones is answered as an authoritative server does, and all other names are refused. Nothing is
looked up, no state is kept, and no answer is much larger than its query unless the client has shown
that its address is genuine.

References:
    RFC 1034 and 1035 (DNS), RFC 2308 (negative answers), RFC 6891 (EDNS), RFC 7871 (client subnet),
    RFC 7873 and 9018 (cookies), RFC 8482 (ANY), RFC 8906 (what a server must answer), RFC 8945
    (TSIG), RFC 9619 (one question).
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from remnant.names import text_to_wire
from remnant.sinkhole.cookies import CLIENT_BYTES, ServerCookies
from remnant.sinkhole.edns import (
    CLIENT_SUBNET,
    COOKIE,
    NSID,
    PAYLOAD,
    opt_record,
    option,
    read_options,
)
from remnant.sinkhole.query import HEADER_BYTES, read_name, read_records
from remnant.sinkhole.records import APEX, BELOW, BETWEEN, SERVER, WATCHED, Records, RrSet, Shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remnant.sinkhole.zones import Zone

__all__ = ["MAX_GAIN", "MAX_NSID", "Answer", "Kind", "Policy", "name_kinds"]

MAX_GAIN: Final = 128
"""Bytes by which an answer over UDP may be larger than its query, without a valid cookie."""

MAX_NSID: Final = 64
"""Bytes of the longest NSID: with it, a question and an OPT record fit in 512 bytes."""

_PLAIN_UDP: Final = 512
"""Bytes of an answer over UDP to a query without EDNS."""

NOERROR: Final = 0
FORMERR: Final = 1
NXDOMAIN: Final = 3
NOTIMP: Final = 4
REFUSED: Final = 5
NOTAUTH: Final = 9
BADVERS: Final = 16

_IN: Final = 1
_IXFR: Final = 251
_AXFR: Final = 252
_TRANSFERS: Final = frozenset({_IXFR, _AXFR})

_QR: Final = 0x80
_OPCODE: Final = 0x78
_AA: Final = 0x04
_TC: Final = 0x02
_RD: Final = 0x01
_CD: Final = 0x10
_TABLE: Final = WATCHED | APEX | SERVER


class Kind(IntEnum):
    """What a message is to the sinkhole."""

    SILENT_SHORT = 0
    """No header: no answer."""
    SILENT_RESPONSE = 1
    """A response: no answer, lest two servers talk for ever."""
    MALFORMED = 2
    """Its question cannot be read, or it has several."""
    NOT_A_QUERY = 3
    """Another operation, or a cookie without a question."""
    FOREIGN = 4
    """Not in a seized zone, or not of class IN."""
    OBSERVED = 5
    """In a seized zone: an observation, whatever the answer."""


class Answer(NamedTuple):
    """What is sent, and what is to be written down.

    Attributes:
        response: the message; ``None`` for silence.
        kind: what the query is.
        zone: index of its zone, -1 if none.
        qtype: of the question, -1 if none was read.
        rcode: as sent, with its upper bits; -1 for silence.
        ttl: of the addresses that were given, in seconds; -1 if none.
        name: the question's name, uncompressed, case as received; empty if none was read.
        ecs: the client's network, 17 bytes as ``wire.client_subnet`` writes them.
        cookie_valid: the query carries a cookie of ours for this address.
        limited: the answer was held back.
        listed: a case watches the name.
    """

    response: bytes | None
    kind: Kind
    zone: int
    qtype: int
    rcode: int
    ttl: int
    name: bytes
    ecs: bytes | None
    cookie_valid: bool
    limited: bool
    listed: bool


class Policy:
    """Answers queries for some seized zones.

    Args:
        zones: what is served.
        nsid: the name of this server, told to who asks; empty: none. At most 64 bytes.
        secret: 16 bytes for cookies.
    """

    def __init__(self, zones: Sequence[Zone], *, nsid: bytes = b"", secret: bytes) -> None:
        if len(nsid) > MAX_NSID:
            raise ValueError(f"an NSID has at most {MAX_NSID} bytes")
        self._cookies = ServerCookies(secret)
        self._nsid = option(NSID, nsid) if nsid else b""
        shared = Shared()
        self._zones = {
            text_to_wire(zone.name): (index, shared.of(zone)) for index, zone in enumerate(zones)
        }
        self._kinds = name_kinds(zones)

    def answer(
        self,
        query: bytes,
        address: bytes,
        *,
        now: int,
        tcp: bool,
        arm: int = 0,
        limited: bool = False,
    ) -> Answer:
        """Return the answer to a message.

        Args:
            query: the message, without the length that goes before it over TCP.
            address: the source, 16 bytes, IPv4 as ::ffff:a.b.c.d.
            now: the time (UTC seconds).
            tcp: it came over TCP: the source is genuine, and no answer is too long.
            arm: which of the case's times to live the answer gets; a case has one or two.
            limited: the source has asked too much: it is told to come back over TCP, unless a
                cookie shows that it is genuine.
        """
        if len(query) < HEADER_BYTES:
            return _SHORT
        if query[2] & _QR:
            return _RESPONSE
        limited = limited and not tcp
        if query[2] & _OPCODE:
            return _header_only(query, NOTIMP, Kind.NOT_A_QUERY, limited)
        if query[4] or query[5] != 1:
            return self._without_question(query, address, now, limited)
        starts = read_name(query, HEADER_BYTES)
        end = starts[-1] + 5 if starts else 0
        if starts is None or end > len(query):
            return _header_only(query, FORMERR, Kind.MALFORMED, limited)

        name = query[HEADER_BYTES : end - 4]
        qtype = query[end - 4] << 8 | query[end - 3]
        internet = query[end - 1] == _IN and not query[end - 2]
        place = self._place(name, starts) if internet else _NOWHERE
        kind = Kind.FOREIGN if place.records is None else Kind.OBSERVED
        listed = bool(place.kinds & WATCHED)
        edns = self._edns(query, end, address, now)
        if limited and not edns.valid:
            response = _message(query, end, _TC, NOERROR, _NOTHING, edns.record(NOERROR))
            return Answer(
                response,
                kind,
                place.zone,
                qtype,
                NOERROR,
                -1,
                name,
                edns.network,
                edns.valid,
                True,
                listed,
            )

        flags, found, rcode = 0, _NOTHING, edns.rcode
        if place.records is None or qtype in _TRANSFERS:
            rcode = rcode or REFUSED
        elif not rcode:
            flags = _AA
            tables = place.records.tables
            table = tables[arm if arm < len(tables) else 0][place.kinds & _TABLE]
            here = table.get(qtype)
            if here is None:
                rcode = NOERROR if place.kinds else NXDOMAIN
                here = place.records.soa(place.apex)
            found = here
        opt = edns.record(rcode)
        response = _message(query, end, flags, rcode, found, opt)
        if not tcp and len(response) > edns.limit:
            found = _NOTHING
            response = _message(query, end, flags | _TC, rcode, found, opt)
        return Answer(
            response,
            kind,
            place.zone,
            qtype,
            rcode,
            found.ttl,
            name,
            edns.network,
            edns.valid,
            False,
            listed,
        )

    def _place(self, name: bytes, starts: list[int]) -> _Place:
        """Find a question's name in the zones; ``starts`` is where its labels begin."""
        folded = name.lower()
        known = self._kinds
        kinds = known.get(folded, 0)
        for start in starts:
            above = folded[start - HEADER_BYTES :]
            here = known.get(above, 0)
            if here & BELOW:
                kinds |= WATCHED
            if here & APEX:
                zone, records = self._zones[above]
                return _Place(zone, records, kinds, start)
        return _NOWHERE

    def _edns(self, query: bytes, end: int, address: bytes, now: int) -> _Edns:
        """Read what follows the question, which ends at ``end``."""
        plain = min(_PLAIN_UDP, len(query) + MAX_GAIN)
        before = (query[6] << 8 | query[7]) + (query[8] << 8 | query[9])
        rest = read_records(query, end, before, query[10] << 8 | query[11])
        if rest is None:
            return _Edns(FORMERR, plain)
        code = NOTAUTH if rest.signed else NOERROR
        if not rest.opt:
            return _Edns(code, plain)
        payload, version, do = rest.fixed(query)
        if not code and version:
            code = BADVERS
        if code or not rest.options:
            limit = min(PAYLOAD, max(_PLAIN_UDP, payload), len(query) + MAX_GAIN)
            return _Edns(code, limit, True, do)
        options = read_options(rest.options)
        if options is None:
            return _Edns(FORMERR, plain, True, do)
        sent = self._nsid if options.nsid else b""
        if options.subnet is not None:
            sent += option(CLIENT_SUBNET, options.subnet)
        valid = False
        if options.cookie is not None:
            cookie, valid = self._cookie(options.cookie, address, now)
            sent += cookie
        limit = min(PAYLOAD, max(_PLAIN_UDP, payload))
        if not valid:
            limit = min(limit, len(query) + MAX_GAIN)
        return _Edns(NOERROR, limit, True, do, sent, options.network, valid)

    def _cookie(self, cookie: bytes, address: bytes, now: int) -> tuple[bytes, bool]:
        """Return (the option for the answer, whether the query's cookie is one of ours)."""
        client = cookie[:CLIENT_BYTES]
        valid = self._cookies.valid(cookie, address, now)
        return option(COOKIE, client + self._cookies.fresh(client, address, now)), valid

    def _without_question(self, query: bytes, address: bytes, now: int, limited: bool) -> Answer:
        """Answer a message without a question, or with several.

        Only a client that wants a cookie may leave the question out (RFC 7873 section 5.4).
        """
        rest = None
        if not any(query[4:10]):
            rest = read_records(query, HEADER_BYTES, 0, query[10] << 8 | query[11])
        if rest is not None and rest.opt:
            _, version, do = rest.fixed(query)
            options = None if version else read_options(rest.options)
            if options is not None and options.cookie is not None:
                cookie, valid = self._cookie(options.cookie, address, now)
                limited = limited and not valid
                opt = opt_record(0, do, cookie)
                flags = _TC if limited else 0
                response = _header(query, flags, NOERROR, b"\0\0\0\0\0\0\0\1") + opt
                return _SHORT._replace(
                    response=response,
                    kind=Kind.NOT_A_QUERY,
                    rcode=NOERROR,
                    cookie_valid=valid,
                    limited=limited,
                )
        return _header_only(query, FORMERR, Kind.MALFORMED, limited)


class _Place(NamedTuple):
    """Where a name is: its zone, what is answered there, what it is, where the zone's name is."""

    zone: int
    records: Records | None
    kinds: int
    apex: int


class _Edns(NamedTuple):
    """What follows a question, and what the answer's OPT record says.

    Attributes:
        rcode: what is wrong with it, ``NOERROR`` if nothing.
        limit: bytes that the answer may have over UDP.
        present: the query has an OPT record, so the answer has one.
        do: 0x80 if the query sets DO.
        options: for the answer.
        network: the client's network (see ``Answer.ecs``).
        valid: the query carries a cookie of ours.
    """

    rcode: int
    limit: int
    present: bool = False
    do: int = 0
    options: bytes = b""
    network: bytes | None = None
    valid: bool = False

    def record(self, rcode: int) -> bytes:
        """Return the OPT record of an answer with this code; nothing if the query has none."""
        return opt_record(rcode >> 4, self.do, self.options) if self.present else b""


def name_kinds(zones: Sequence[Zone]) -> dict[bytes, int]:
    """Return what each name that exists in the zones is: its wire name, folded, to bits.

    A name counts in the deepest zone that encloses it, whichever zone lists it. Between a zone and
    a name in it, or another zone of ours below it, every name exists: else resolvers would take
    everything below for missing (RFC 8020).

    Returns:
        The bits of ``records``. Names that are watched because of ``BELOW`` above them are not
        listed, unless they are something else as well.
    """
    kinds: dict[bytes, int] = {}

    def mark(name: str, bits: int) -> None:
        wire = text_to_wire(name)
        kinds[wire] = kinds.get(wire, 0) | bits

    for zone in zones:
        mark(zone.name, APEX)
        for name in zone.exact:
            mark(name, WATCHED)
        for name in zone.below:
            mark(name, WATCHED | BELOW)
        for name in zone.servers_inside:
            mark(name, SERVER)
    for wire in list(kinds):
        above = list(_above(wire))
        tops = [depth for depth, top in enumerate(above) if kinds.get(top, 0) & APEX]
        for between in above[: tops[-1]] if tops else ():
            kinds[between] = kinds.get(between, 0) | BETWEEN
    return kinds


def _above(name: bytes) -> Iterator[bytes]:
    """Yield the names above a wire name, without the root."""
    while True:
        name = name[1 + name[0] :]
        if name in {b"", b"\0"}:
            return
        yield name


def _header(query: bytes, flags: int, rcode: int, counts: bytes) -> bytes:
    """Return the header of an answer: the query's ID, operation, RD and CD stay."""
    upper = _QR | flags | query[2] & (_OPCODE | _RD)
    return query[:2] + bytes((upper, query[3] & _CD | rcode & 15)) + counts


def _header_only(query: bytes, rcode: int, kind: Kind, limited: bool) -> Answer:
    """Answer a message of which nothing can be repeated; where that is too much, be silent."""
    if limited:
        return _SHORT._replace(kind=kind, limited=True)
    return _SHORT._replace(response=_header(query, 0, rcode, bytes(8)), kind=kind, rcode=rcode)


def _message(query: bytes, end: int, flags: int, rcode: int, found: RrSet, opt: bytes) -> bytes:
    """Return an answer with the query's question, which ends at ``end``."""
    counts = bytes((0, 1, 0, found.answers, 0, found.authorities, 0, 1 if opt else 0))
    return _header(query, flags, rcode, counts) + query[HEADER_BYTES:end] + found.data + opt


_SHORT: Final = Answer(None, Kind.SILENT_SHORT, -1, -1, -1, -1, b"", None, False, False, False)
_RESPONSE: Final = _SHORT._replace(kind=Kind.SILENT_RESPONSE)
_NOWHERE: Final = _Place(-1, None, 0, 0)
_NOTHING: Final = RrSet(0, 0, b"", -1)
