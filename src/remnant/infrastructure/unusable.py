"""Records that no map may be built on: addresses nobody can have, poisoned times, odd names.

Whoever owns a name decides what it resolves to, and anybody can fill a sensor with made-up records.
A name at 127.0.0.1 is joined to no other name there; a record from 1970 says nothing of its time.

References:
    RFC 6890 and the IANA registries of special-purpose addresses; RFC 5771, RFC 4291 (multicast);
    RFC 1123 section 2.1 (host names); RFC 7505 (null MX).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.enrich.addresses import parse
from remnant.enrich.ranges import Segments, find, flatten, from_prefixes
from remnant.infrastructure.pivot import ADDRESSES, CNAME
from remnant.windows import to_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["EARLIEST", "SPECIAL", "special_use", "unusable"]

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""No passive DNS is older; a record that says so has a wrong clock, or is made up."""

_AHEAD: Final = timedelta(days=1)


SPECIAL: Final = (
    ("0.0.0.0/8", "this network", False),
    ("10.0.0.0/8", "private", True),
    ("100.64.0.0/10", "carrier NAT", True),
    ("127.0.0.0/8", "loopback", False),
    ("169.254.0.0/16", "link-local", False),
    ("172.16.0.0/12", "private", True),
    ("192.0.0.0/24", "protocol assignments", False),
    ("192.0.2.0/24", "documentation", True),
    ("192.88.99.0/24", "6to4 relays", False),
    ("192.168.0.0/16", "private", True),
    ("198.18.0.0/15", "benchmarks", True),
    ("198.51.100.0/24", "documentation", True),
    ("203.0.113.0/24", "documentation", True),
    ("224.0.0.0/4", "multicast", False),
    ("240.0.0.0/4", "reserved, or broadcast", False),
    ("::/96", "unspecified, loopback, or IPv4-compatible", False),
    ("64:ff9b:1::/48", "local translation", False),
    ("100::/64", "discard", False),
    ("2001:db8::/32", "documentation", True),
    ("3fff::/20", "documentation", True),
    ("fc00::/7", "private (unique local)", True),
    ("fe80::/10", "link-local", False),
    ("fec0::/10", "site-local", False),
    ("ff00::/8", "multicast", False),
)
"""Networks of no public host: prefix, what it is for, and whether made-up hosts may be there.

A simulated case has its hosts in space for documentation, benchmarks or private use, and brings a
table of prefixes that gives them AS numbers. Such an address is used where reference data name an
AS for it; those of the other networks never are.
"""


def special_use(addresses: Any, known: npt.NDArray[np.bool_]) -> Any:  # noqa: ANN401 - Arrow
    """Return why each address can be that of no host, as text; null where it can.

    Args:
        addresses: n addresses as text; other text gives null.
        known: bool[n]: reference data name an AS for it.
    """
    segments, words, allowed = _special()
    parsed = parse(addresses)
    at = find(segments, parsed.high, parsed.low)
    owner = np.where(at >= 0, segments.owner[at], -1)
    bad = (parsed.length == _BITS) & (owner >= 0)
    bad &= ~(allowed[owner] & known)
    reasons: Any = words.take(pa.array(np.where(bad, owner, 0), mask=~bad))
    return reasons


def unusable(
    records: pa.Table,
    *,
    now: datetime,
    known: npt.NDArray[np.bool_],
    spared: pa.Array[Any],
) -> Any:  # noqa: ANN401 - Arrow
    """Return why each record must not be used, as text; null where it may.

    Args:
        records: n rows of ``pivot.RECORDS``.
        now: times more than a day after it are in the future.
        known: bool[n]: reference data name an AS for the address of the record.
        spared: names and addresses that are not looked at: the seeds, and the case's sinkhole.
    """
    first, last = (
        np.asarray(records[column].cast(pa.int64()).to_numpy(), np.int64)
        for column in ("time_first", "time_last")
    )
    is_address = np.isin(records["rrtype"].to_numpy(), ADDRESSES)
    owner, data = _array(records["rrname"]), _array(records["rdata"])
    parsed = parse(data).length == _BITS
    special = special_use(data, known | _true(pc.is_in(data, value_set=spared)))
    wrong: list[tuple[str, npt.NDArray[np.bool_]]] = [
        ("first seen after it was last seen", first > last),
        ("seen before 2000", first < to_us(EARLIEST)),
        ("seen in the future", last > to_us(now + _AHEAD)),
        ("owner is no host name", _odd(owner, spared)),
        ("address record without an address", is_address & ~parsed),
        ("points to the root (null MX)", ~is_address & _true(pc.equal(data, pa.scalar(".")))),
        ("points to no host name", ~is_address & _odd(data, spared)),
        (
            "alias of itself",
            (records["rrtype"].to_numpy() == CNAME) & _true(pc.equal(owner, data)),
        ),
    ]
    reasons: Any = pc.if_else(pa.array(is_address), special, pa.scalar(None, pa.string()))
    for reason, rows in reversed(wrong):
        reasons = pc.if_else(pa.array(rows), pa.scalar(reason), reasons)
    return reasons


_BITS: Final = 128
_HOST: Final = r"^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$"
_LONGEST: Final = 253
"""Characters of the longest name: 255 bytes on the wire without its first length and the root."""


def _odd(names: Any, spared: Any) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - Arrow
    """Return which names no host has: over-long, or with other bytes than those of host names."""
    fits = _true(pc.match_substring_regex(names, _HOST))
    fits &= pc.utf8_length(names).to_numpy(zero_copy_only=False) <= _LONGEST
    return ~fits & ~_true(pc.is_in(names, value_set=spared))


def _true(column: Any) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - Arrow
    found: npt.NDArray[np.bool_] = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
    return found


def _array(column: Any) -> Any:  # noqa: ANN401 - Arrow
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


@cache
def _special() -> tuple[Segments, Any, npt.NDArray[np.bool_]]:
    prefixes: Sequence[str] = [prefix for prefix, _, _ in SPECIAL]
    parsed = parse(pa.array(prefixes, pa.string()))
    ranges = from_prefixes(parsed.high, parsed.low, parsed.length)
    words = [f"address of no public host ({use})" for _, use, _ in SPECIAL]
    return (
        flatten(ranges),
        pa.array(words, pa.string()),
        np.array([made_up for _, _, made_up in SPECIAL], np.bool_),
    )
