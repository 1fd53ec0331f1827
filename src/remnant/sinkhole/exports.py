"""A folder of files for another name server, and what an earlier export left in it.

``zones.tsv`` lists each zone, its file and its serial. Content that did not change keeps its bytes,
so that a server need not load it again and no secondary fetches it. A file is written beside its
place and renamed. The list is written last, and only then goes what an earlier list names and this
one does not.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remnant.errors import ExportError
from remnant.sinkhole.serials import MAX_SERIAL, is_newer, newest, next_serial
from remnant.sinkhole.zonefile import ZoneText, ZoneTexts, safe_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from remnant.sinkhole.zones import Zone

__all__ = ["LIST", "Export", "Placed", "write_file"]

LIST: Final = "zones.tsv"
"""The list of zones, their files and serials."""

_HEAD: Final = "# zone\tfile\tserial; written by remnant export, which reads it the next time\n"
_OURS: Final = re.compile(r"(?:zones|shared)/[a-z0-9_=-][a-z0-9_.=-]{0,250}\.zone")
_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_FILE_NAME: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_LONGEST_FILE: Final = 200
_SERIAL: Final = re.compile(rb"(?:\S+ \d+ IN SOA \S+ \S+|# serial) (\d{1,10})\s")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a zone stands in an export.

    Attributes:
        zone: folded name.
        file: its master file, relative to the folder, with ``/``.
        serial: of its SOA.
    """

    zone: str
    file: str
    serial: int


@dataclass(slots=True)
class Export:
    """One export into one folder.

    Args:
        folder: where to; it is made if it does not exist.
        now: UTC seconds, the serial of what is new.
        serial: of everything, where a person chose one.

    Attributes:
        placed: the zones written so far.
        written: how many files were new or changed.
        kept: how many stayed as they were.

    Raises:
        ExportError: the list of an earlier export cannot be read, or the serial is not newer than
            one that was used.
    """

    folder: Path
    now: int
    serial: int | None = None
    placed: list[Placed] = field(default_factory=list)
    written: int = 0
    kept: int = 0
    _earlier: dict[str, Placed] = field(default_factory=dict)
    _files: set[str] = field(default_factory=set)
    _newest: int | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._earlier = _read_list(self.folder / LIST)
        self._newest = newest(placed.serial for placed in self._earlier.values())

    def zones(self, zones: Sequence[Zone]) -> None:
        """Write the master files of zones: one each, or one for all that hold the same."""
        texts = ZoneTexts()
        keys = [_key(texts.of(zone)) for zone in zones]
        count = Counter(keys)
        members: dict[str, list[str]] = {}
        files = []
        for zone, key in zip(zones, keys, strict=True):
            shared = count[key] > 1
            files.append(f"shared/{key.hex()}.zone" if shared else _file_of(zone.name))
            members.setdefault(files[-1], []).append(zone.name)
        for zone, file in zip(zones, files, strict=True):
            names = members.pop(file, None)
            if names is not None:
                self.zone_file(file, names, texts.of(zone))

    def zone_file(self, file: str, names: Iterable[str], text: ZoneText) -> int:
        """Write one master file that serves some zones; return its serial.

        Args:
            file: relative to the folder.
            names: folded names of the zones.
            text: what they hold.
        """
        names = list(names)
        content = _read(self.folder / file)
        old = _serial_in(content)
        known = (self._earlier.get(safe_name(name)) for name in names)
        moved = any(earlier is not None and earlier.file != file for earlier in known)
        if old is not None:
            # A run that was interrupted wrote files that it had no time to list.
            self._newest = newest(filter(None, (self._newest, old)))
        same = old is not None and not moved and content == text.with_serial(old).encode("ascii")
        serial = self._chosen(old if same else None, self._newest)
        self.file(file, text.with_serial(serial))
        self._files.add(file)
        self.placed.extend(Placed(name, file, serial) for name in names)
        return serial

    def alone(self, file: str, text: ZoneText) -> int:
        """Write a file that is no zone of the sinkhole but has a serial; return the serial."""
        content = _read(self.folder / file)
        old = _serial_in(content)
        same = old is not None and content == text.with_serial(old).encode("ascii")
        serial = self._chosen(old if same else None, old)
        self.file(file, text.with_serial(serial))
        return serial

    def _chosen(self, unchanged: int | None, used: int | None) -> int:
        if self.serial is None:
            return next_serial(used, self.now) if unchanged is None else unchanged
        if used is not None and is_newer(used, self.serial):
            raise ExportError(
                "this serial is not newer than the one of an earlier export",
                where=str(self.folder),
                got=self.serial,
                expected=f"{next_serial(used, used)} or another that is newer (RFC 1982)",
                hint="leave out --serial, or export into an empty folder",
            )
        return self.serial

    def file(self, name: str, text: str) -> None:
        """Write a file of the export, if it is not there already with the same content."""
        if write_file(self.folder / name, text.encode()):
            self.written += 1
        else:
            self.kept += 1

    def finish(self) -> None:
        """Write the list of zones, then remove the master files that no zone has any more."""
        lines = (f"{safe_name(at.zone)}\t{at.file}\t{at.serial}\n" for at in self.placed)
        self.file(LIST, _HEAD + "".join(lines))
        for file in sorted({earlier.file for earlier in self._earlier.values()} - self._files):
            with contextlib.suppress(FileNotFoundError):
                (self.folder / file).unlink()


def _key(text: ZoneText) -> bytes:
    digest = hashlib.blake2b(text.before.encode("ascii"), digest_size=16)
    digest.update(b"\0")
    digest.update(text.after.encode("ascii"))
    return digest.digest()


def _file_of(zone: str) -> str:
    """Return a file name that no zone's name can turn into another path."""
    if len(zone) <= _LONGEST_FILE and _FILE_NAME.fullmatch(zone):
        return f"zones/{zone}.zone"
    return f"zones/={hashlib.blake2b(zone.encode(), digest_size=16).hexdigest()}.zone"


def _serial_in(content: bytes | None) -> int | None:
    """Return the serial in the first line of a file; ``None`` if there is none."""
    found = None if content is None else _SERIAL.match(content)
    return None if found is None else int(found[1]) & MAX_SERIAL


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_file(path: Path, content: bytes) -> bool:
    """Write a file under another name and rename it; return whether that was needed."""
    if _read(path) == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.new")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)  # noqa: PTH105 - what happens stands in one line
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _read_list(path: Path) -> dict[str, Placed]:
    """Return what an earlier export placed, by zone."""
    content = _read(path)
    if content is None:
        return {}
    found = {}
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if line.startswith("#") or not line:
            continue
        parts = line.split("\t")
        if len(parts) != 3 or not _OURS.fullmatch(parts[1]) or not _NUMBER.fullmatch(parts[2]):
            raise ExportError(
                "this is not a line of an earlier export",
                where=f"{path}:{number}",
                got=line,
                expected="a zone, its file and its serial",
                hint="export into another folder, or remove this file",
            )
        found[parts[0]] = Placed(parts[0], parts[1], int(parts[2]))
    return found
