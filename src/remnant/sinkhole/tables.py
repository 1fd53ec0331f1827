"""The served zones as arrays: what the fast path looks names up in, and answers with.

Every answer is the question, one *section* of resource records made here, and the OPT record. A
section is bytes in which at most three places are left for a pointer to the zone's name inside the
question (RFC 1035 section 4.1.4), because these lie elsewhere in each question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from remnant.names import text_to_wire
from remnant.sinkhole import records
from remnant.sinkhole.records import WATCHED, Records, Shared
from remnant.sinkhole.zones import names_above
from remnant.watchtable import Tables, build

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from remnant.sinkhole.records import RrSet
    from remnant.sinkhole.zones import Zone

__all__ = [
    "ANY",
    "APEX",
    "BELOW",
    "BETWEEN",
    "CAA",
    "EXACT",
    "MX",
    "PATCHES",
    "SERVER",
    "TXT",
    "ZONE",
    "Served",
    "compile_zones",
]

# What an entry of the table of names is.
EXACT: Final = 1
"""A watched name."""
BELOW: Final = 2
"""A watched name with everything below it."""
ZONE: Final = 4
"""The apex of a zone, and everything below it."""
APEX: Final = 8
"""The apex of a zone, itself only."""
SERVER: Final = 16
"""A name server inside its zone."""
BETWEEN: Final = 32
"""A name that exists only because of those below it."""

# The sections of a configuration: columns of ``Served.sections``.
A: Final = 0
"""Addresses of watched names, two columns: one for each time to live."""
AAAA: Final = 2
SERVER_A: Final = 4
SERVER_AAAA: Final = 5
ANY: Final = 6
MX: Final = 7
TXT: Final = 8
CAA: Final = 9
_COLUMNS: Final = 10

PATCHES: Final = 3
"""Places in a section that may be left for a pointer to the zone."""

_FIRST_PLACE: Final = 12
"""Where the name of a question begins."""


class Served(NamedTuple):
    """Arrays that the answering kernel takes as one argument.

    Attributes:
        names: the table of names.
        entry_flags: uint8[entries]: EXACT, BELOW, ZONE, APEX, SERVER, BETWEEN.
        entry_labels: int32[entries]: labels of the entry's name.
        entry_zone: int32[entries]: the zone of an entry with ZONE, else -1.
        zone_config: int32[zones]: row of ``sections`` and ``ttls``.
        zone_soa: int32[zones]: section with the SOA.
        zone_ns: int32[zones]: section with the name servers.
        zone_owner: int32[zones]: index into the memberships: the cases that have the zone.
        sections: int32[configurations, 10]: section of each kind, -1 for none.
        ttls: int32[configurations, 2]: time to live in each arm of the experiment, in seconds.
        section_bytes: uint8: the sections end to end.
        section_offsets: int64[sections + 1].
        section_records: int32[sections]: resource records in each.
        section_patches: int32[sections, 3]: where a pointer to the zone goes, -1 for none.
    """

    names: Tables
    entry_flags: npt.NDArray[np.uint8]
    entry_labels: npt.NDArray[np.int32]
    entry_zone: npt.NDArray[np.int32]
    zone_config: npt.NDArray[np.int32]
    zone_soa: npt.NDArray[np.int32]
    zone_ns: npt.NDArray[np.int32]
    zone_owner: npt.NDArray[np.int32]
    sections: npt.NDArray[np.int32]
    ttls: npt.NDArray[np.int32]
    section_bytes: npt.NDArray[np.uint8]
    section_offsets: npt.NDArray[np.int64]
    section_records: npt.NDArray[np.int32]
    section_patches: npt.NDArray[np.int32]


class _Section(NamedTuple):
    data: bytes
    records: int
    patches: tuple[int, ...] = ()


class _Sections:
    """Sections, each distinct one once."""

    def __init__(self) -> None:
        self._index: dict[_Section, int] = {}

    def add(self, section: _Section | None) -> int:
        """Return the number of a section; -1 for one without records."""
        if section is None or not section.records:
            return -1
        return self._index.setdefault(section, len(self._index))

    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        found = list(self._index)
        offsets = np.zeros(len(found) + 1, np.int64)
        np.cumsum([len(section.data) for section in found], out=offsets[1:])
        patches = np.full((len(found), PATCHES), -1, np.int32)
        for i, section in enumerate(found):
            patches[i, : len(section.patches)] = section.patches
        return (
            np.frombuffer(b"".join(section.data for section in found), np.uint8),
            offsets,
            np.array([section.records for section in found], np.int32),
            patches,
        )


def compile_zones(zones: Sequence[Zone]) -> tuple[Served, list[tuple[str, ...]]]:
    """Return the tables of these zones, and the sets of cases that ``zone_owner`` points to."""
    entries: dict[tuple[str, bool], int] = {}
    flags: list[int] = []

    def mark(name: str, flag: int, *, below: bool = False) -> int:
        entry = entries.setdefault((name, below), len(entries))
        if entry == len(flags):
            flags.append(0)
        flags[entry] |= flag
        return entry

    sections = _Sections()
    shared = Shared()
    common: list[tuple[int, int]] = []
    configs: dict[int, int] = {}
    rows: list[list[int]] = []
    ttls: list[tuple[int, int]] = []
    owners: dict[tuple[str, ...], int] = {}
    tops: dict[int, int] = {}
    columns: dict[str, list[int]] = {"config": [], "soa": [], "ns": [], "owner": []}
    for number, zone in enumerate(zones):
        made = shared.of(zone)
        config = configs.setdefault(id(made), len(configs))
        if config == len(rows):
            ttl = zone.answering.ttls
            rows.append([sections.add(section) for section in _of_config(made)])
            ttls.append((ttl[0], ttl[-1]))
            common.append((sections.add(_soa(made)), sections.add(_servers(made))))
        tops[mark(zone.name, ZONE, below=True)] = number
        mark(zone.name, APEX)
        for name in zone.exact:
            mark(name, EXACT)
        for name in zone.below:
            mark(name, BELOW, below=True)
        for name in zone.servers_inside:
            mark(name, SERVER)
        for name in zone.between():
            mark(name, BETWEEN)
        columns["config"].append(config)
        columns["soa"].append(common[config][0])
        columns["ns"].append(common[config][1])
        columns["owner"].append(owners.setdefault(tuple(zone.cases), len(owners)))
    names = {zone.name for zone in zones}
    for zone in zones:
        # A zone inside another one of ours: the names between the two exist.
        for name in _above(zone.name, names):
            mark(name, BETWEEN)
    wires = [text_to_wire(name) for name, _ in entries]
    served = Served(
        _names(entries, wires),
        np.array(flags, np.uint8),
        np.array([_depth(wire) for wire in wires], np.int32),
        np.array([tops.get(entry, -1) for entry in range(len(entries))], np.int32),
        np.array(columns["config"], np.int32),
        np.array(columns["soa"], np.int32),
        np.array(columns["ns"], np.int32),
        np.array(columns["owner"], np.int32),
        np.array(rows, np.int32).reshape(-1, _COLUMNS),
        np.array(ttls, np.int32).reshape(-1, 2),
        *sections.arrays(),
    )
    return served, list(owners)


def _above(name: str, zones: set[str]) -> list[str]:
    """Return the names between a zone and the nearest served one above it, if there is one."""
    found: list[str] = []
    for above in names_above(name):
        if above in zones:
            return found
        found.append(above)
    return []


def _names(entries: dict[tuple[str, bool], int], wires: list[bytes]) -> Tables:
    index: dict[bytes, int] = {}
    exact: list[int] = []
    below: list[int] = []
    for ((_, is_suffix), entry), wire in zip(entries.items(), wires, strict=True):
        name = index.setdefault(wire, len(index))
        if name == len(exact):
            exact.append(-1)
            below.append(-1)
        (below if is_suffix else exact)[name] = entry
    return build(list(index), np.array(exact, np.int32), np.array(below, np.int32), [])


def _depth(wire: bytes) -> int:
    position = count = 0
    while wire[position]:
        position += wire[position] + 1
        count += 1
    return count


def _section(found: RrSet | None) -> _Section | None:
    if found is None:
        return None
    return _Section(found.data, found.answers + found.authorities)


def _of_config(made: Records) -> list[_Section | None]:
    """Return the sections of one configuration in the order of the columns."""
    first, last = made.tables[0], made.tables[-1]
    return [
        _section(table.get(kind))
        for table, kind in (
            (first[WATCHED], records.A),
            (last[WATCHED], records.A),
            (first[WATCHED], records.AAAA),
            (last[WATCHED], records.AAAA),
            (first[records.SERVER], records.A),
            (first[records.SERVER], records.AAAA),
            (first[WATCHED], records.ANY),
            (first[WATCHED], records.MX),
            (first[WATCHED], records.TXT),
            (first[WATCHED], records.CAA),
        )
    ]


def _soa(made: Records) -> _Section:
    """Return the SOA record; where it depends on the zone's place, that place is left open."""
    here, there = made.soa(_FIRST_PLACE).data, made.soa(_FIRST_PLACE + 1).data
    # A pointer's second byte is the one that differs.
    places = [i - 1 for i, (one, other) in enumerate(zip(here, there, strict=True)) if one != other]
    return _Section(here, 1, tuple(places))


def _servers(made: Records) -> _Section | None:
    # Asked for at the apex only, where the pointer to the zone is the pointer to the question.
    return _section(made.tables[0][records.APEX].get(records.NS))
