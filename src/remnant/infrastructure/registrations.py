"""Registration data of a site: imported from files, kept with its history, found again.

What was said of an object at one time stays beside what was said at others. The newest counts, the
older ones tell what was so before.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from remnant.enrich.addresses import parse
from remnant.enrich.ranges import Ranges, find, flatten, misplaced
from remnant.infrastructure.rdap import MOST_BYTES
from remnant.infrastructure.rdap import parse as parse_rdap
from remnant.infrastructure.registration import Registration
from remnant.store.observations import EVERYONE, Observation, Observations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from remnant.store import Store

__all__ = ["Dated", "FileResult", "Registrations", "import_files", "visible_to"]

_AHEAD: Final = timedelta(days=1)
_ENDINGS: Final = (".json", ".rdap", ".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Dated:
    """A registration, and when it was so (UTC)."""

    observed: datetime
    registration: Registration


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file.

    Attributes:
        path: the file.
        objects: objects that could be used.
        new: of these, those that were not known.
        refused: how many could not be used, by reason.
        dated_by: where the times are from: ``argument``, ``registry`` (the event "last update of
            RDAP database"), ``modification time`` of the file, or several, sorted.
    """

    path: str
    objects: int = 0
    new: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    dated_by: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "path": self.path,
            "objects": self.objects,
            "new": self.new,
            "known": self.objects - self.new,
            "refused": sum(self.refused.values()),
            "reasons": dict(sorted(self.refused.items())),
            "dated_by": list(self.dated_by),
        }


def visible_to(case: str, *, simulated: bool) -> tuple[str, ...]:
    """Return whose facts a case sees: its own, and those of no case unless it is simulated."""
    return (case,) if simulated else (case, EVERYONE)


def import_files(
    store: Store,
    paths: Sequence[Path],
    *,
    case: str = EVERYONE,
    at: datetime | None = None,
    now: datetime | None = None,
) -> Iterator[FileResult]:
    """Keep what files of RDAP responses say; yield what became of each file.

    The same file twice changes nothing, and the order of files does not matter. Each file is one
    commit.

    Args:
        store: opened for writing.
        paths: files, or folders with files that end in .json, .rdap, .jsonl or .ndjson.
        case: the case that the facts belong to; those of EVERYONE belong to none.
        at: when the responses were given; else what the registry states, else when the file was
            last changed.
        now: default: the time.

    Raises:
        OSError: a named file cannot be read.
    """
    now = now or datetime.now(tz=UTC)
    observations = Observations(store.ledger)
    for path in _files(paths):
        status = path.stat()
        if status.st_size > MOST_BYTES:
            yield FileResult(str(path), refused={"larger than 64 MiB": 1})
            continue
        changed = datetime.fromtimestamp(int(status.st_mtime), tz=UTC)
        said = parse_rdap(path.read_bytes(), named=_about(path), now=now)
        refused = dict(said.refused)
        found, words = [], set()
        for registration, dated in said.objects:
            observed = at or dated or changed
            if observed > now + _AHEAD:
                refused["dated in the future"] = refused.get("dated in the future", 0) + 1
                continue
            words.add("argument" if at else "registry" if dated else "modification time")
            found.append(
                Observation(
                    case, registration.kind, registration.key, observed, registration.body()
                )
            )
        new = observations.put(found)
        yield FileResult(str(path), len(found), new, refused, tuple(sorted(words)))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in _ENDINGS and file.is_file() and not file.is_symlink():
                yield file


def _about(path: Path) -> str:
    name = path.name
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


class Registrations:
    """What registries said, as one case sees it; everything is read once.

    Args:
        store: the store.
        case: name of the case.
        simulated: the case is simulated and sees only what was imported for it.
        until: what was said at it or later is not seen (UTC).
    """

    def __init__(
        self, store: Store, case: str, *, simulated: bool, until: datetime | None = None
    ) -> None:
        self._observations = Observations(store.ledger)
        self._cases = visible_to(case, simulated=simulated)
        self._until = until
        self._ranges: tuple[Any, list[Dated]] | None = None
        self._systems: dict[int, Dated] | None = None

    def domains(self, names: Iterable[str]) -> dict[str, list[Dated]]:
        """Return what was said of domains, the oldest first; those without are absent."""
        found: dict[str, list[Dated]] = {}
        for one in self._read("domain", list(names)):
            found.setdefault(one.registration.key, []).append(one)
        return found

    def networks(self, addresses: Sequence[str]) -> dict[str, Dated]:
        """Return the narrowest network that holds each address or prefix whole; of one, the newest.

        Args:
            addresses: addresses, or prefixes with their length.
        """
        segments, known = self._networks()
        if not known or not addresses:
            return {}
        parsed = parse(pa.array(addresses, pa.string()))
        at = find(segments, parsed.high, parsed.low)
        owner = np.where((at >= 0) & (parsed.length >= 0), segments.owner[at], -1).tolist()
        found = {a: known[row] for a, row in zip(addresses, owner, strict=True) if row >= 0}
        return {
            text: whole
            for text, one in found.items()
            if (whole := one if "/" not in text else self._covering(text, one)) is not None
        }

    def _covering(self, prefix: str, found: Dated) -> Dated | None:
        """Return the narrowest network that holds a prefix whole, not its first address alone."""
        if _width(found, prefix) is not None:
            return found
        wide = [(width, one) for one in self._networks()[1] if (width := _width(one, prefix))]
        return min(wide, key=lambda pair: pair[0])[1] if wide else None

    def read(self) -> None:
        """Read all that was said of networks and ASes now: the store may be closed then."""
        self._networks()
        self.system(0)

    def system(self, number: int) -> Dated | None:
        """Return the newest that was said of an AS."""
        if self._systems is None:
            self._systems = {}
            for one in self._read("autnum", None):
                first, last = int(one.registration.first), int(one.registration.last)
                if first == last:  # blocks of numbers are the registry's, not of who runs an AS
                    self._systems[first] = one
        return self._systems.get(number)

    def _networks(self) -> tuple[Any, list[Dated]]:
        if self._ranges is None:
            newest = {one.registration.key: one for one in self._read("network", None)}
            known = [one for one in newest.values() if one.registration.found]
            ends = (
                [
                    parse(pa.array([_plain(getattr(one.registration, end)) for one in known]))
                    for end in ("first", "last")
                ]
                if known
                else []
            )
            if not known:
                self._ranges = None, []
                return self._ranges
            ranges = Ranges(ends[0].high, ends[0].low, ends[1].high, ends[1].low)
            good = np.flatnonzero(~misplaced(ranges))
            self._ranges = (
                flatten(Ranges(*(part[good] for part in ranges))),
                [known[row] for row in good.tolist()],
            )
        return self._ranges

    def _read(self, kind: str, keys: list[str] | None) -> Iterator[Dated]:
        for one in self._observations.of(kind, self._cases, keys):
            if self._until is None or one.observed < self._until:
                yield Dated(one.observed, Registration.from_body(one.body))


def _plain(text: str) -> str:
    """Return an address without a zone."""
    return str(ipaddress.ip_address(text.partition("%")[0]))


def _width(one: Dated, prefix: str) -> int | None:
    """Return how many addresses a network has that holds a prefix whole; ``None``: it does not."""
    asked = ipaddress.ip_network(prefix, strict=False)
    first = ipaddress.ip_address(_plain(one.registration.first))
    last = ipaddress.ip_address(_plain(one.registration.last))
    if not first.version == last.version == asked.version:
        return None
    begin, end = int(first), int(last)
    holds = begin <= int(asked[0]) and int(asked[-1]) <= end
    return end - begin + 1 if holds else None
