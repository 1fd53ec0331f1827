"""Mnemonics of types, classes and response codes as numbers, in a table that kernels search.

References:
    IANA, Domain Name System Parameters, Resource Record TYPEs, DNS RCODEs; RFC 3597
    (``TYPE65280``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import int64, uint64

from remnant.capture.text_fields import parse_uint
from remnant.wire import kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.wire import Bytes, Int, Word

__all__ = ["TYPES", "parse_class", "parse_rcode", "parse_type"]

TYPES: Final = {
    "RESERVED0": 0,
    "A": 1, "NS": 2, "MD": 3, "MF": 4, "CNAME": 5, "SOA": 6, "MB": 7, "MG": 8, "MR": 9,
    "NULL": 10, "WKS": 11, "PTR": 12, "HINFO": 13, "MINFO": 14, "MX": 15, "TXT": 16, "RP": 17,
    "AFSDB": 18, "X25": 19, "ISDN": 20, "RT": 21, "NSAP": 22, "NSAP-PTR": 23, "SIG": 24,
    "KEY": 25, "PX": 26, "GPOS": 27, "AAAA": 28, "LOC": 29, "NXT": 30, "EID": 31, "NIMLOC": 32,
    "NB": 32, "SRV": 33, "ATMA": 34, "NAPTR": 35, "KX": 36, "CERT": 37, "A6": 38, "DNAME": 39,
    "SINK": 40, "OPT": 41, "APL": 42, "DS": 43, "SSHFP": 44, "IPSECKEY": 45, "RRSIG": 46,
    "NSEC": 47, "DNSKEY": 48, "DHCID": 49, "NSEC3": 50, "NSEC3PARAM": 51, "TLSA": 52,
    "SMIMEA": 53, "HIP": 55, "NINFO": 56, "RKEY": 57, "TALINK": 58, "CDS": 59, "CDNSKEY": 60,
    "OPENPGPKEY": 61, "CSYNC": 62, "ZONEMD": 63, "SVCB": 64, "HTTPS": 65, "DSYNC": 66,
    "HHIT": 67, "BRID": 68, "SPF": 99, "UINFO": 100, "UID": 101, "GID": 102, "UNSPEC": 103,
    "NID": 104, "L32": 105, "L64": 106, "LP": 107, "EUI48": 108, "EUI64": 109, "NXNAME": 128,
    "TKEY": 249, "TSIG": 250, "IXFR": 251, "AXFR": 252, "MAILB": 253, "MAILA": 254, "ANY": 255,
    "*": 255, "URI": 256, "CAA": 257, "AVC": 258, "DOA": 259, "AMTRELAY": 260, "RESINFO": 261,
    "WALLET": 262, "CLA": 263, "IPN": 264, "TA": 32768, "DLV": 32769,
}  # fmt: skip
"""Mnemonics by IANA; also ``NB`` (RFC 1002), Zeek's ``*`` and BIND's ``RESERVED0``."""

_CLASSES: Final = {
    "RESERVED0": 0, "IN": 1, "CH": 3, "CHAOS": 3, "HS": 4, "HESIOD": 4, "NONE": 254, "ANY": 255,
}  # fmt: skip
_RCODES: Final = {
    "NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "NOTIMPL": 4,
    "REFUSED": 5, "YXDOMAIN": 6, "YXRRSET": 7, "NXRRSET": 8, "NOTAUTH": 9, "NOTZONE": 10,
    "DSOTYPENI": 11, "BADVERS": 16, "BADSIG": 16, "BADKEY": 17, "BADTIME": 18, "BADMODE": 19,
    "BADNAME": 20, "BADALG": 21, "BADTRUNC": 22, "BADCOOKIE": 23,
}  # fmt: skip
"""By IANA; also Unbound's ``NOTIMPL``."""

_LONGEST: Final = 16
_CASE_BIT: Final = 32


def _packed(words: dict[str, int]) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], ...]:
    """Return the first and second 8 bytes of each word, sorted, and the numbers."""
    rows = sorted(
        (
            *(int(part) for part in np.frombuffer(word.encode().ljust(_LONGEST, b"\0"), "<u8")),
            number,
        )
        for word, number in words.items()
    )
    return (
        np.array([row[0] for row in rows], np.uint64),
        np.array([row[1] for row in rows], np.uint64),
        np.array([row[2] for row in rows], np.uint64),
    )


_HASH: Final = uint64(0x9E3779B97F4A7C15)
_TYPE_SLOT_BITS: Final = 9
_TYPE_SHIFT: Final = uint64(64 - _TYPE_SLOT_BITS)


def _slots(low: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return a hash table of the words by their first 8 bytes; -1 is an empty slot."""
    slots = np.full(1 << _TYPE_SLOT_BITS, -1, np.int64)
    for row, word in enumerate(low.tolist()):
        slot = (word * int(_HASH) & 0xFFFFFFFFFFFFFFFF) >> int(_TYPE_SHIFT)
        while slots[slot] >= 0:
            slot = (slot + 1) % slots.size
        slots[slot] = row
    return slots


_TYPE_LOW, _TYPE_HIGH, _TYPE_NUMBER = _packed(TYPES)
_TYPE_SLOTS: Final = _slots(_TYPE_LOW)
_CLASS_LOW, _CLASS_HIGH, _CLASS_NUMBER = _packed(_CLASSES)
_RCODE_LOW, _RCODE_HIGH, _RCODE_NUMBER = _packed(_RCODES)
_MAX_RCODE: Final = 4095
_S8: Final = uint64(8)
_S0: Final = uint64(0)


@kernel
def _half(view: Bytes, start: Int, stop: Int) -> Word:
    """Pack up to 8 bytes, letters in upper case."""
    value = _S0
    shift = _S0
    for i in range(start, min(start + 8, stop)):
        byte = int64(view[i])
        if 97 <= byte <= 122:
            byte -= _CASE_BIT
        value |= uint64(byte) << shift
        shift += _S8
    return value


@kernel
def _number_after(view: Bytes, start: Int, stop: Int, prefix: Int) -> Int:
    value = parse_uint(view, start + prefix, stop)
    return value if value <= 65535 else -1


@kernel
def parse_type(view: Bytes, start: Int, stop: Int) -> Int:
    """Return the number of a query type (``AAAA``, ``TYPE65``, Zeek's ``query-65``), or -1."""
    size = stop - start
    if size < 1 or size > _LONGEST:
        return -1
    if view[start] == 65:
        if size == 1:
            return 1
        if size == 4 and view[start + 1] == view[start + 2] == view[start + 3] == 65:
            return 28
    low = _half(view, start, stop)
    high = _half(view, start + 8, stop)
    slot = int64((low * _HASH) >> _TYPE_SHIFT)
    while _TYPE_SLOTS[slot] >= 0:
        row = _TYPE_SLOTS[slot]
        if _TYPE_LOW[row] == low and _TYPE_HIGH[row] == high:
            return int64(_TYPE_NUMBER[row])
        slot = (slot + 1) & (_TYPE_SLOTS.size - 1)
    if size > 4 and _half(view, start, start + 4) == _TYPE_WORD:
        return _number_after(view, start, stop, 4)
    if size > 6 and _half(view, start, start + 6) == _QUERY_WORD:
        return _number_after(view, start, stop, 6)
    return -1


@kernel
def parse_class(view: Bytes, start: Int, stop: Int) -> Int:
    """Return the number of a class (``IN``, ``CH``, ``CLASS32769``), or -1."""
    size = stop - start
    if size < 1 or size > _LONGEST:
        return -1
    if size == 2 and view[start] == 73 and view[start + 1] == 78:
        return 1
    low = _half(view, start, stop)
    high = _half(view, start + 8, stop)
    for i in range(_CLASS_LOW.size):
        if _CLASS_LOW[i] == low and _CLASS_HIGH[i] == high:
            return int64(_CLASS_NUMBER[i])
    if size > 5 and _half(view, start, start + 5) == _CLASS_WORD:
        return _number_after(view, start, stop, 5)
    return -1


@kernel
def parse_rcode(view: Bytes, start: Int, stop: Int) -> Int:
    """Return the number of a response code (``NXDOMAIN``, ``RCODE24``, ``24``), or -1."""
    size = stop - start
    if size < 1 or size > _LONGEST:
        return -1
    low = _half(view, start, stop)
    high = _half(view, start + 8, stop)
    for i in range(_RCODE_LOW.size):
        if _RCODE_LOW[i] == low and _RCODE_HIGH[i] == high:
            return int64(_RCODE_NUMBER[i])
    prefix = 0
    if size > 5 and _half(view, start, start + 5) == _RCODE_WORD:
        prefix = 5
    elif size > 8 and _half(view, start, start + 8) == _RESERVED_WORD:
        prefix = 8
    value = parse_uint(view, start + prefix, stop)
    return value if value <= _MAX_RCODE else -1


def _word(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(text.encode(), "little"))


_TYPE_WORD: Final = _word("TYPE")
_QUERY_WORD: Final = _word("QUERY-")
_CLASS_WORD: Final = _word("CLASS")
_RCODE_WORD: Final = _word("RCODE")
_RESERVED_WORD: Final = _word("RESERVED")
