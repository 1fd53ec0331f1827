"""The sinkhole's DNS policy as one kernel: the bytes of a UDP query in, those of the answer out.

``policy`` says the same in plain Python, and why; a test holds both against each other byte for
byte. Here nothing is allocated, every read is bounded by the message and every write by its size.

References:
    RFC 1035, RFC 2308 (negative answers), RFC 6891 (EDNS), RFC 7871 (client subnet), RFC 7873
    (cookies), RFC 5001 (NSID), RFC 8482 (ANY), RFC 8906 (how servers must not fail).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import int64

from remnant.sinkhole.cookie_kernel import CLIENT_BYTES, is_valid, write_cookie
from remnant.sinkhole.edns import PAYLOAD
from remnant.sinkhole.limiter import Limiter, admits
from remnant.sinkhole.records import SERVER_TTL
from remnant.sinkhole.tables import (
    AAAA as AAAA_SECTION,
)
from remnant.sinkhole.tables import (
    ANY as ANY_SECTION,
)
from remnant.sinkhole.tables import (
    APEX,
    BELOW,
    BETWEEN,
    EXACT,
    SERVER,
    SERVER_A,
    SERVER_AAAA,
    ZONE,
    Served,
)
from remnant.sinkhole.tables import (
    CAA as CAA_SECTION,
)
from remnant.sinkhole.tables import (
    MX as MX_SECTION,
)
from remnant.sinkhole.tables import (
    TXT as TXT_SECTION,
)
from remnant.watchtable import MAX_HITS, lookup_name
from remnant.wire import (
    AAAA,
    MAX_LABELS,
    OPT,
    A,
    client_subnet,
    inlined,
    kernel,
    labels,
    skip_name,
    u16,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = [
    "COOKIE_VALID",
    "ECS",
    "FACTS",
    "FOREIGN",
    "KIND",
    "LIMITED",
    "LISTED",
    "MALFORMED",
    "MAX_ANSWER",
    "NAME_BYTES",
    "NOT_A_QUERY",
    "OBSERVED",
    "QTYPE",
    "RCODE",
    "SILENT_RESPONSE",
    "SILENT_SHORT",
    "TTL",
    "ZONE_INDEX",
    "Identity",
    "Scratch",
    "answer",
    "new_scratch",
]

MAX_ANSWER: Final = PAYLOAD
"""Bytes of the longest answer over UDP: what passes every path without fragments."""

_PLAIN_SIZE: Final = 512
_MORE_THAN_QUERY: Final = 128
"""How much longer than its query an answer may be, for who has no cookie."""

# What a message was: ``facts[KIND]``.
SILENT_SHORT: Final = 0
SILENT_RESPONSE: Final = 1
MALFORMED: Final = 2
NOT_A_QUERY: Final = 3
FOREIGN: Final = 4
OBSERVED: Final = 5

# What ``answer`` writes: positions in an int64 array of FACTS numbers.
KIND: Final = 0
ZONE_INDEX: Final = 1
QTYPE: Final = 2
RCODE: Final = 3
TTL: Final = 4
LISTED: Final = 5
LIMITED: Final = 6
COOKIE_VALID: Final = 7
ECS: Final = 8
NAME_BYTES: Final = 9
FACTS: Final = 10

_HEADER: Final = 12
_NOERROR: Final = 0
_FORMERR: Final = 1
_NXDOMAIN: Final = 3
_NOTIMP: Final = 4
_REFUSED: Final = 5
_NOTAUTH: Final = 9
_BADVERS: Final = 16
_QR: Final = 0x8000
_AA: Final = 0x0400
_TC: Final = 0x0200
_KEPT: Final = 0x7910
"""Opcode, RD and CD of the query."""
_OPCODE: Final = 0x7800
_IN: Final = 1
_NS: Final = 2
_SOA: Final = 6
_MX: Final = 15
_TXT: Final = 16
_TSIG: Final = 250
_IXFR: Final = 251
_AXFR: Final = 252
_ANY: Final = 255
_CAA: Final = 257
_NSID_OPTION: Final = 3
_ECS_OPTION: Final = 8
_COOKIE_OPTION: Final = 10
_DO: Final = 0x8000
_LEAST_RECORD: Final = 11


class Identity(NamedTuple):
    """What one sinkhole has that others have not.

    Attributes:
        secret: uint64[2]: of the server cookies.
        nsid: uint8: how it identifies itself (RFC 5001); empty: not at all.
    """

    secret: npt.NDArray[np.uint64]
    nsid: npt.NDArray[np.uint8]


class Scratch(NamedTuple):
    """Arrays that one run of the kernel needs.

    Attributes:
        starts: int64[130]: where the labels of the question stand.
        hits: int32[MAX_HITS]: entries of the table of names.
        subnet: uint8[17]: the client subnet, as ``wire.client_subnet`` writes it.
        edns: int64: what the OPT record said; see the positions below.
    """

    starts: npt.NDArray[np.int64]
    hits: npt.NDArray[np.int32]
    subnet: npt.NDArray[np.uint8]
    edns: npt.NDArray[np.int64]


# Positions in ``Scratch.edns``.
_PRESENT: Final = 0
_SIZE: Final = 1
_VERSION: Final = 2
_FLAGS: Final = 3
_DATA: Final = 4
_DATA_END: Final = 5
_NSID: Final = 6
_ECS_AT: Final = 7
_ECS_BYTES: Final = 8
_COOKIE_AT: Final = 9
_COOKIE_BYTES: Final = 10
_SIGNED: Final = 11
_EDNS: Final = 12


def new_scratch() -> Scratch:
    """Return the arrays for one thread."""
    return Scratch(
        np.zeros(MAX_LABELS + 2, np.int64),
        np.zeros(MAX_HITS, np.int32),
        np.zeros(17, np.uint8),
        np.zeros(_EDNS, np.int64),
    )


@inlined
def _put16(out: Bytes, at: Int, value: Int) -> None:
    out[at] = (value >> 8) & 0xFF
    out[at + 1] = value & 0xFF


@kernel
def _header(query: Bytes, out: Bytes, flags: Int, questions: Int) -> Int:
    """Write a header without records; return where it ends."""
    out[0] = query[0]
    out[1] = query[1]
    _put16(out, 2, _QR | (u16(query, 2) & _KEPT) | flags)
    _put16(out, 4, questions)
    for i in range(6, _HEADER):
        out[i] = 0
    return _HEADER


@kernel
def _walk(query: Bytes, start: Int, stop: Int, edns: npt.NDArray[np.int64]) -> bool:
    """Step over the records after the question and find OPT; return whether all is in order."""
    for i in range(_EDNS):
        edns[i] = 0
    before = u16(query, 6) + u16(query, 8)
    count = before + u16(query, 10)
    position = start
    for i in range(count):
        if stop - position < _LEAST_RECORD:
            return False
        fixed = skip_name(query, position, stop)
        if fixed < 0 or fixed + 10 > stop:
            return False
        end = fixed + 10 + u16(query, fixed + 8)
        if end > stop:
            return False
        kind = u16(query, fixed)
        if kind == OPT:
            if i < before or edns[_PRESENT] or fixed != position + 1:
                return False
            edns[_PRESENT] = 1
            edns[_SIZE] = u16(query, fixed + 2)
            edns[_VERSION] = query[fixed + 5]
            edns[_FLAGS] = u16(query, fixed + 6)
            edns[_DATA] = fixed + 10
            edns[_DATA_END] = end
        elif kind == _TSIG:
            # RFC 8945 section 5.2: anywhere else it is an error.
            if i < before or i != count - 1:
                return False
            edns[_SIGNED] = 1
        position = end
    return bool(position == stop)


@kernel
def _subnet_is_right(query: Bytes, start: Int, size: Int) -> bool:
    """Return whether a client subnet option of a query says what RFC 7871 section 6 allows."""
    if size < 4:
        return False
    family = u16(query, start)
    bits = int64(query[start + 2])
    if family not in (1, 2):
        return True
    if query[start + 3] != 0:
        return False
    if bits > (32 if family == 1 else 128) or size - 4 != (bits + 7) // 8:
        return False
    return not (bits % 8 and int64(query[start + size - 1]) & (0xFF >> (bits % 8)))


@kernel
def _options(query: Bytes, edns: npt.NDArray[np.int64]) -> bool:
    """Find the options that matter; return whether all are in order."""
    position = edns[_DATA]
    stop = edns[_DATA_END]
    seen_subnet = False
    while position < stop:
        if position + 4 > stop:
            return False
        code = u16(query, position)
        size = u16(query, position + 2)
        data = position + 4
        position = data + size
        if position > stop:
            return False
        if code == _NSID_OPTION:
            edns[_NSID] = 1
        elif code == _COOKIE_OPTION and not edns[_COOKIE_BYTES]:
            if size != CLIENT_BYTES and not 16 <= size <= 40:
                return False
            edns[_COOKIE_AT] = data
            edns[_COOKIE_BYTES] = size
        elif code == _ECS_OPTION and not seen_subnet:
            if not _subnet_is_right(query, data, size):
                return False
            seen_subnet = True
            if u16(query, data) in (1, 2):
                edns[_ECS_AT] = data
                edns[_ECS_BYTES] = size
    return True


@kernel
def _write_opt(
    query: Bytes,
    out: Bytes,
    at: Int,
    rcode: Int,
    edns: npt.NDArray[np.int64],
    identity: Identity,
    address: Bytes,
    now: Int,
    with_options: bool,
) -> Int:
    """Write the OPT record of an answer and count it in the header; return where it ends."""
    out[at] = 0
    _put16(out, at + 1, OPT)
    _put16(out, at + 3, MAX_ANSWER)
    out[at + 5] = (rcode >> 4) & 0xFF
    out[at + 6] = 0
    _put16(out, at + 7, edns[_FLAGS] & _DO)
    length = at + 9
    at += 11
    if with_options:
        if edns[_NSID] and identity.nsid.size:
            _put16(out, at, _NSID_OPTION)
            _put16(out, at + 2, identity.nsid.size)
            at += 4
            for i in range(identity.nsid.size):
                out[at + i] = identity.nsid[i]
            at += identity.nsid.size
        if edns[_ECS_BYTES]:
            start = edns[_ECS_AT]
            size = edns[_ECS_BYTES]
            _put16(out, at, _ECS_OPTION)
            _put16(out, at + 2, size)
            at += 4
            for i in range(size):
                out[at + i] = query[start + i]
            out[at + 3] = 0
            at += size
        if edns[_COOKIE_BYTES]:
            _put16(out, at, _COOKIE_OPTION)
            at = write_cookie(identity.secret, query, edns[_COOKIE_AT], address, now, out, at + 4)
            _put16(out, at - 26, 24)
    _put16(out, length, at - length - 2)
    _put16(out, 10, 1)
    return at


@inlined
def _copied(query: Bytes, stop: Int, out: Bytes) -> Int:
    """Copy the question behind the header."""
    for i in range(_HEADER, stop):
        out[i] = query[i]
    return stop


@inlined
def _write_section(
    served: Served, section: Int, pointer: Int, out: Bytes, at: Int, counter: Int
) -> Int:
    """Write a section's records and their count; return where they end."""
    start = served.section_offsets[section]
    size = served.section_offsets[section + 1] - start
    for i in range(size):
        out[at + i] = served.section_bytes[start + i]
    for i in range(served.section_patches.shape[1]):
        place = int64(served.section_patches[section, i])
        if place < 0:
            break
        _put16(out, at + place, pointer)
    _put16(out, counter, served.section_records[section])
    return at + size


@inlined
def _section_of(
    served: Served, zone: Int, name_flags: Int, listed: bool, qtype: Int, arm: Int
) -> Int:
    """Return the section that answers a question for a name that exists, or -1 for no data."""
    config = served.zone_config[zone]
    own = listed or (name_flags & (APEX | SERVER)) != 0
    if qtype == A:
        if listed:
            return served.sections[config, arm]
        return served.sections[config, SERVER_A] if name_flags & SERVER else -1
    if qtype == AAAA:
        if listed:
            return served.sections[config, AAAA_SECTION + arm]
        return served.sections[config, SERVER_AAAA] if name_flags & SERVER else -1
    if qtype == _ANY:
        return served.sections[config, ANY_SECTION] if own else -1
    if name_flags & APEX:
        if qtype == _SOA:
            return served.zone_soa[zone]
        if qtype == _NS:
            return served.zone_ns[zone]
    if listed or name_flags & APEX:
        if qtype == _MX:
            return served.sections[config, MX_SECTION]
        if qtype == _TXT:
            return served.sections[config, TXT_SECTION]
        if qtype == _CAA:
            return served.sections[config, CAA_SECTION]
    return -1


@inlined
def answer(
    served: Served,
    identity: Identity,
    limiter: Limiter,
    scratch: Scratch,
    query: Bytes,
    size: Int,
    address: Bytes,
    now: Int,
    arm: Int,
    out: Bytes,
    facts: npt.NDArray[np.int64],
) -> Int:
    """Answer one UDP query; return how many bytes of ``out`` to send, 0 for silence.

    Args:
        served: the zones.
        identity: of this sinkhole.
        limiter: asked once for each answer to a client without a valid cookie.
        scratch: of this thread; ``scratch.subnet`` is filled if ``facts[ECS]``.
        query: holds the message, from its start.
        size: bytes of the message.
        address: uint8[16], the source, an IPv4 address as ``::ffff:a.b.c.d``.
        now: UTC microseconds.
        arm: 0 or 1: which of the two times to live.
        out: takes the answer, at least 2 * MAX_ANSWER bytes.
        facts: int64[FACTS]: what the message was.
    """
    for i in range(FACTS):
        facts[i] = 0
    facts[ZONE_INDEX] = -1
    facts[QTYPE] = -1
    facts[RCODE] = -1
    facts[TTL] = -1
    facts[KIND] = SILENT_SHORT
    if size < _HEADER:
        return 0
    flags = u16(query, 2)
    if flags & _QR:
        facts[KIND] = SILENT_RESPONSE
        return 0
    edns = scratch.edns
    seconds = now // 1_000_000
    if flags & _OPCODE:
        facts[KIND] = NOT_A_QUERY
        return _bare(query, out, limiter, address, now, _NOTIMP, facts)
    questions = u16(query, 4)
    if questions == 0 and u16(query, 6) == 0 and u16(query, 8) == 0:
        right = _walk(query, _HEADER, size, edns) and edns[_PRESENT] and edns[_VERSION] == 0
        if right and _options(query, edns) and edns[_COOKIE_BYTES]:
            facts[KIND] = NOT_A_QUERY
            facts[RCODE] = _NOERROR
            facts[COOKIE_VALID] = is_valid(
                identity.secret, query, edns[_COOKIE_AT], edns[_COOKIE_BYTES], address, seconds
            )
            # The cookie alone.
            edns[_NSID] = edns[_ECS_BYTES] = 0
            if not facts[COOKIE_VALID] and not admits(limiter, address, now):
                facts[LIMITED] = 1
            at = _header(query, out, _TC if facts[LIMITED] else 0, 0)
            return _write_opt(query, out, at, 0, edns, identity, address, seconds, True)
    if questions != 1:
        facts[KIND] = MALFORMED
        return _bare(query, out, limiter, address, now, _FORMERR, facts)
    starts = scratch.starts
    count = labels(query, _HEADER, size, starts)
    end = starts[count] + 1 if count >= 0 else size
    if count < 0 or end + 4 > size:
        facts[KIND] = MALFORMED
        return _bare(query, out, limiter, address, now, _FORMERR, facts)
    qtype = u16(query, end)
    facts[QTYPE] = qtype
    facts[NAME_BYTES] = end - _HEADER
    qclass = u16(query, end + 2)
    end += 4

    # Whose name it is, before anything else: errors in our zones are observations too.
    zone = int64(-1)
    zone_labels = int64(0)
    name_flags = int64(0)
    listed = False
    if qclass == _IN:
        found = lookup_name(served.names, query, starts, count, scratch.hits)
        for i in range(found):
            entry = scratch.hits[i]
            flag = int64(served.entry_flags[entry])
            if flag & (APEX | EXACT | SERVER | BETWEEN):
                name_flags |= flag
            if flag & (EXACT | BELOW):
                listed = True
            if flag & ZONE:
                zone = int64(served.entry_zone[entry])
                zone_labels = int64(served.entry_labels[entry])
                break
    if zone < 0:
        listed = False
    facts[KIND] = FOREIGN if zone < 0 else OBSERVED
    facts[ZONE_INDEX] = zone
    facts[LISTED] = listed

    # What the answer is: a code, flags and a section.
    rcode = _REFUSED
    header: Int = int64(0)
    section: Int = int64(-1)
    authority = False
    opt = False
    with_options = False
    right = _walk(query, end, size, edns)
    if not right:
        rcode = _FORMERR
    else:
        opt = edns[_PRESENT] != 0
        if edns[_SIGNED]:
            rcode = _NOTAUTH
        elif opt and edns[_VERSION] > 0:
            rcode = _BADVERS
        elif opt and not _options(query, edns):
            rcode = _FORMERR
        else:
            with_options = True
            if zone >= 0 and qtype not in (_AXFR, _IXFR):
                header = _AA
                if listed or name_flags & (APEX | SERVER | BETWEEN):
                    rcode = _NOERROR
                    section = int64(_section_of(served, zone, name_flags, listed, qtype, arm))
                else:
                    rcode = _NXDOMAIN
                if section < 0:
                    section = int64(served.zone_soa[zone])
                    authority = True
    facts[RCODE] = rcode
    if with_options and edns[_COOKIE_BYTES]:
        facts[COOKIE_VALID] = is_valid(
            identity.secret, query, edns[_COOKIE_AT], edns[_COOKIE_BYTES], address, seconds
        )
    if with_options and edns[_ECS_BYTES]:
        start = edns[_ECS_AT]
        facts[ECS] = client_subnet(query, start - 4, start + edns[_ECS_BYTES], scratch.subnet)

    if not facts[COOKIE_VALID] and not admits(limiter, address, now):
        facts[LIMITED] = 1
        facts[RCODE] = _NOERROR
        at = _copied(query, end, out)
        _header(query, out, _TC, 1)
        if opt:
            at = _write_opt(query, out, at, 0, edns, identity, address, seconds, with_options)
        return at
    limit = int64(_PLAIN_SIZE)
    if opt:
        limit = min(int64(MAX_ANSWER), max(limit, edns[_SIZE]))
    if not facts[COOKIE_VALID]:
        limit = min(limit, size + _MORE_THAN_QUERY)
    at = _copied(query, end, out)
    _header(query, out, header | (rcode & 15), 1)
    if section >= 0:
        pointer = 0xC000 | starts[count - zone_labels]
        at = _write_section(served, section, pointer, out, at, 8 if authority else 6)
    if opt:
        at = _write_opt(query, out, at, rcode, edns, identity, address, seconds, with_options)
    if at > limit:
        at = _copied(query, end, out)
        _header(query, out, header | _TC | (rcode & 15), 1)
        if opt:
            at = _write_opt(query, out, at, rcode, edns, identity, address, seconds, with_options)
    elif not authority and section >= 0 and qtype in (A, AAAA):
        config = served.zone_config[zone]
        facts[TTL] = served.ttls[config, arm] if listed else SERVER_TTL
    return at


@kernel
def _bare(
    query: Bytes,
    out: Bytes,
    limiter: Limiter,
    address: Bytes,
    now: Int,
    rcode: Int,
    facts: npt.NDArray[np.int64],
) -> Int:
    """Answer with a header alone, or not at all."""
    if not admits(limiter, address, now):
        facts[LIMITED] = 1
        return 0
    facts[RCODE] = rcode
    return _header(query, out, rcode, 0)
