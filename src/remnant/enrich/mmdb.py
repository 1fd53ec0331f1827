"""Databases in MaxMind's format, read whole: GeoLite2, DB-IP Lite, IPinfo Lite, iptoasn and others.

A look-up through the library costs microseconds for each address. Here the search tree is walked
once by a bounded kernel, and each distinct record is decoded once, by the library.

References:
    MaxMind DB file format specification, version 2.0.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numba import uint64

from remnant.enrich.addresses import MAPPED
from remnant.enrich.content import MAX_ASN, Content, country_code, name_text, row_numbers
from remnant.enrich.ranges import from_prefixes
from remnant.errors import ReferenceDataError
from remnant.wire import compiled

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from remnant.wire import Bytes, Int

__all__ = ["MARKER", "METADATA_LIMIT", "read"]

MARKER: Final = b"\xab\xcd\xefMaxMind.com"
"""Stands before the metadata."""

METADATA_LIMIT: Final = 128 << 10
"""The marker is in this many bytes at the end of the file."""

_ASN_KEYS: Final = ("autonomous_system_number", "asn", "as_number")
_NAME_KEYS: Final = (
    "autonomous_system_organization",
    "as_name",
    "as_organization",
    "as_description",
)
_AS_TEXT: Final = re.compile(r"(?i)(?:AS)?([0-9]{1,10})")

_LOOP: Final = -1
_ZERO: Final = uint64(0)
_ONE: Final = uint64(1)
_S32: Final = uint64(32)


class _Tree(NamedTuple):
    """The search tree, as the kernel takes it."""

    buffer: Bytes
    nodes: int
    record_bits: int
    address_bits: int


class _Leaves(NamedTuple):
    """The networks of a tree that have a record."""

    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    length: npt.NDArray[np.int32]
    pointer: npt.NDArray[np.int64]


def read(path: Path, data: bytes) -> Content:
    """Return what a database says.

    Records are recognised by the field names of the free databases: an AS number and name, and a
    country (``country.iso_code``, ``country_code``, or a two-letter ``country``).

    Args:
        path: the file, opened by the library to decode records.
        data: its bytes.

    Raises:
        ReferenceDataError: the file is damaged, or no record has a field that is known.
    """
    import maxminddb  # noqa: PLC0415 - only where a database is read

    damage = (maxminddb.InvalidDatabaseError, OSError, ValueError, TypeError, RecursionError)
    try:
        reader = maxminddb.open_database(path)
    except damage as error:
        raise _damaged(path, str(error)) from None
    with reader:
        try:
            metadata = reader.metadata()
        except damage as error:
            raise _damaged(path, str(error)) from None
        tree = _tree(path, data, metadata)
        leaves = _walk_tree(path, tree)
        pointers, first, codes = np.unique(leaves.pointer, return_index=True, return_inverse=True)
        asns: list[int | None] = []
        names: list[str | None] = []
        countries: list[str | None] = []
        bad = 0
        for row in first.tolist():
            try:
                record = reader.get(_address(int(leaves.high[row]), int(leaves.low[row])))
            except (maxminddb.InvalidDatabaseError, ValueError, TypeError, RecursionError):
                record = None
                bad += 1
            asn, name, country = _facts(record)
            asns.append(asn)
            names.append(name)
            countries.append(country)
    if len(pointers) and not any(fact is not None for fact in (*asns, *countries)):
        raise ReferenceDataError(
            "no record of the database has a field that is known",
            where=str(path),
            got=_shown(metadata.database_type),
            expected="an AS number or a country (GeoLite2, DB-IP Lite, IPinfo Lite, iptoasn)",
        )
    facts = pa.table(
        {
            "asn": pa.array(asns, pa.int64()),
            "as_name": pa.array(names, pa.string()).dictionary_encode(),
            "country": pa.array(countries, pa.string()).dictionary_encode(),
        }
    ).take(row_numbers(codes.reshape(-1)))
    return Content(
        format=f"MMDB {_shown(metadata.database_type)}",
        ranges=from_prefixes(leaves.high, leaves.low, leaves.length),
        facts=facts,
        bad=bad,
        built=_day(metadata.build_epoch),
    )


def _tree(path: Path, data: bytes, metadata: Any) -> _Tree:  # noqa: ANN401 - the library's class
    nodes, record_bits = metadata.node_count, metadata.record_size
    version = metadata.ip_version
    if record_bits not in {24, 28, 32} or version not in {4, 6} or nodes < 1:
        raise _damaged(path, f"{nodes} nodes of 2 x {record_bits} bits, IP version {version}")
    if nodes * record_bits // 4 + 16 > len(data):
        raise _damaged(path, "the search tree is cut off")
    buffer = np.frombuffer(data, np.uint8)[: nodes * record_bits // 4]
    return _Tree(buffer, nodes, record_bits, 128 if version == 6 else 32)


def _walk_tree(path: Path, tree: _Tree) -> _Leaves:
    nothing = _leaves(0)
    count = _walk(tree, nothing, False)
    if count == _LOOP:
        raise _damaged(path, "the search tree is deeper than an address or has loops")
    leaves = _leaves(count)
    _walk(tree, leaves, True)
    return leaves


def _leaves(count: int) -> _Leaves:
    return _Leaves(
        np.empty(count, np.uint64),
        np.empty(count, np.uint64),
        np.empty(count, np.int32),
        np.empty(count, np.int64),
    )


def _address(high: int, low: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if high == 0 and low >> 32 == 0xFFFF:
        return ipaddress.IPv4Address(low & 0xFFFFFFFF)
    return ipaddress.IPv6Address((high << 64) | low)


def _facts(record: object) -> tuple[int | None, str | None, str | None]:
    """Return AS number, AS name and country of a record, each null where it says nothing usable."""
    if not isinstance(record, dict):
        return None, None, None
    asn = next((number for key in _ASN_KEYS if (number := _asn(record.get(key)))), None)
    name = next((text for key in _NAME_KEYS if (text := name_text(record.get(key)))), None)
    country = record.get("country")
    if isinstance(country, dict):
        country = country.get("iso_code")
    code = country_code(record.get("country_code")) or country_code(country)
    return asn, name if asn is not None else None, code


def _asn(value: object) -> int | None:
    if isinstance(value, str):
        match = _AS_TEXT.fullmatch(value)
        value = int(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_ASN:
        return None
    return value


def _day(epoch: int) -> dt.date | None:
    try:
        return dt.datetime.fromtimestamp(epoch, tz=dt.UTC).date()
    except (OverflowError, OSError, ValueError, TypeError):
        return None


def _shown(text: object) -> str:
    return name_text(text) or "of no stated type"


def _damaged(path: Path, why: str) -> ReferenceDataError:
    return ReferenceDataError(
        "the database cannot be read",
        where=str(path),
        got=why,
        expected="a file in MaxMind's MMDB format",
        hint="download it again",
    )


@compiled
def _record(tree: _Tree, node: Int, right: Int) -> Int:
    """Return the left or right record of a node."""
    buffer = tree.buffer
    if tree.record_bits == 24:
        at = node * 6 + right * 3
        return np.int64(buffer[at]) << 16 | np.int64(buffer[at + 1]) << 8 | np.int64(buffer[at + 2])
    if tree.record_bits == 28:
        at = node * 7
        middle = np.int64(buffer[at + 3])
        top = (middle & 15) if right else (middle >> 4)
        at += right * 4
        return (
            top << 24
            | np.int64(buffer[at]) << 16
            | np.int64(buffer[at + 1]) << 8
            | np.int64(buffer[at + 2])
        )
    at = node * 8 + right * 4
    return (
        np.int64(buffer[at]) << 24
        | np.int64(buffer[at + 1]) << 16
        | np.int64(buffer[at + 2]) << 8
        | np.int64(buffer[at + 3])
    )


@compiled
def _walk(tree: _Tree, leaves: _Leaves, fill: bool) -> Int:
    """Return how many networks have a record, and store them if asked; -1 if it never ends.

    IPv4 lies at ``::/96`` in an IPv6 tree; nodes that lead there a second time (``::ffff:0:0/96``,
    6to4, Teredo) are aliases and left out.
    """
    bits = tree.address_bits
    ipv4_start = np.int64(-1)
    if bits == 128:
        ipv4_start = np.int64(0)
        for _ in range(96):
            if ipv4_start >= tree.nodes:
                break
            ipv4_start = _record(tree, ipv4_start, 0)
    # Nodes still to visit: at most one for each bit of depth.
    stack_node = np.zeros(bits + 2, np.int64)
    stack_high = np.zeros(bits + 2, np.uint64)
    stack_low = np.zeros(bits + 2, np.uint64)
    stack_depth = np.zeros(bits + 2, np.int64)
    waiting = 1
    visits = np.int64(0)
    count = np.int64(0)
    while waiting > 0:
        waiting -= 1
        node, depth = stack_node[waiting], stack_depth[waiting]
        high, low = stack_high[waiting], stack_low[waiting]
        if node == tree.nodes:
            continue
        if node > tree.nodes:
            if fill:
                if bits == 32:
                    leaves.high[count], leaves.low[count] = _ZERO, MAPPED | low
                    leaves.length[count] = depth + 96
                elif high == _ZERO and low >> _S32 == _ZERO and depth >= 96:
                    leaves.high[count], leaves.low[count] = _ZERO, MAPPED | low
                    leaves.length[count] = depth
                else:
                    leaves.high[count], leaves.low[count] = high, low
                    leaves.length[count] = depth
                leaves.pointer[count] = node
            count += 1
            continue
        if node == ipv4_start and not (high == _ZERO and low == _ZERO and depth == 96):
            continue
        visits += 1
        if depth >= bits or visits > 4 * tree.nodes:
            return np.int64(_LOOP)
        shift = uint64((bits - 1 - depth) & 63)
        right_high, right_low = high, low
        if bits - 1 - depth >= 64:
            right_high = high | (_ONE << shift)
        else:
            right_low = low | (_ONE << shift)
        # Right is put down first, so that left comes next and networks come out sorted.
        stack_node[waiting] = _record(tree, node, 1)
        stack_high[waiting], stack_low[waiting] = right_high, right_low
        stack_depth[waiting] = depth + 1
        waiting += 1
        stack_node[waiting] = _record(tree, node, 0)
        stack_high[waiting], stack_low[waiting] = high, low
        stack_depth[waiting] = depth + 1
        waiting += 1
    return count
