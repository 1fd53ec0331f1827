"""Is the evidence whole? Compares the segments that lie there with what the manifest says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Final

from remnant.capture.segment_frames import ROWS
from remnant.capture.stream import decompressed
from remnant.sinkhole.evidence_key import is_signed
from remnant.sinkhole.frames_of import frames_of
from remnant.sinkhole.segment import NAME
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Problem", "Report", "verify"]

_FIRST: Final = "0" * 64
_MARK: Final = b',"signature":"'
_CHUNK: Final = 1 << 20
_LINE: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was.

    Attributes:
        where: a line of the manifest, or the file of a segment below ``home``.
        what: what is wrong.
    """

    where: str
    what: str


@dataclass(slots=True)
class Report:
    """What ``verify`` found.

    Attributes:
        problems: in the order of the manifest; none: all is whole.
        segments: sealed segments whose bytes are those that were sealed.
        removed: segments that have a tombstone.
        open: segments that are not sealed yet.
        unsealed_bytes: how long these are, all together.
        rows: events in sealed segments and in those that are open.
        bytes: of the streams of the sealed segments.
        first: time of the first event.
        last: time of the last one.
        lines: lines of the manifest.
        last_hash: SHA-256 of the last of them; empty without a manifest.
        public_key: the key that the manifest names.
    """

    problems: list[Problem] = field(default_factory=list)
    segments: int = 0
    removed: int = 0
    open: int = 0
    unsealed_bytes: int = 0
    rows: int = 0
    bytes: int = 0
    first: datetime | None = None
    last: datetime | None = None
    lines: int = 0
    last_hash: str = ""
    public_key: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data, times in ISO 8601."""
        values = asdict(self)
        values["first"] = None if self.first is None else iso(self.first)
        values["last"] = None if self.last is None else iso(self.last)
        return {"ok": self.ok, **values}

    def _span(self, first: int | None, last: int | None) -> None:
        if first is not None and last is not None:
            begin, end = _time(first), _time(last)
            self.first = begin if self.first is None else min(self.first, begin)
            self.last = end if self.last is None else max(self.last, end)


@dataclass(slots=True)
class _Segment:
    case: str
    file: str
    sealed: dict[str, Any] | None = None
    removed: bool = False


def verify(home: Path, *, public_key: str | None = None) -> Report:
    """Compare every segment of a home folder with the manifest; nothing is changed.

    Args:
        home: the home folder.
        public_key: the key (64 hex digits) that must have signed; ``None``: the one that the
            manifest names, so that whoever made a new manifest with a new key is not noticed.
    """
    report = Report()
    folder = home / "sinkhole"
    known = _check_chain(folder / "manifest.jsonl", report, public_key)
    there = _files(folder)
    for name, segment in known.items():
        _check_segment(folder, segment, there.pop((segment.case, name), []), report)
    for (case, _), paths in there.items():
        for path in paths:
            where = f"sinkhole/{case}/{path.name}"
            if path.name.endswith(".zst"):
                report.problems.append(Problem(where, "the manifest does not know this segment"))
            else:
                _check_open(path, where, report)
    return report


def _check_chain(path: Path, report: Report, public: str | None) -> dict[str, _Segment]:
    """Check every line of the manifest, and return what it says of the segments."""
    segments: dict[str, _Segment] = {}
    previous = _FIRST
    for number, whole in enumerate(_lines(path)):
        where = f"sinkhole/{path.name}: line {number + 1}"
        if not whole.endswith(b"\n"):
            report.problems.append(Problem(where, "the last line is not complete"))
            break
        line = whole[:-1]
        body, mark, rest = line.rpartition(_MARK)
        try:
            facts = json.loads(line)
            said = facts["number"], facts["previous"], facts["kind"]
        except (ValueError, KeyError, TypeError, RecursionError):
            report.problems.append(Problem(where, "the line cannot be read"))
            previous = hashlib.sha256(line).hexdigest()
            continue
        if number == 0 and said[2] == "key":
            report.public_key = str(facts.get("public_key"))
            if public is not None and public.lower() != report.public_key:
                report.problems.append(Problem(where, "the manifest is of another key"))
        if said[:2] != (number, previous):
            report.problems.append(Problem(where, "the chain is broken before this line"))
        key = public or report.public_key
        signature = rest.removesuffix(b'"}').decode("ascii", "replace")
        if not mark or key is None or not is_signed(key, body + b"}", signature):
            report.problems.append(Problem(where, "the signature is wrong"))
        try:
            _take(facts, segments)
        except (KeyError, TypeError, AttributeError):
            report.problems.append(Problem(where, "the line says nothing that can be used"))
        previous = hashlib.sha256(line).hexdigest()
        report.lines, report.last_hash = number + 1, previous
    return segments


def _take(facts: dict[str, Any], segments: dict[str, _Segment]) -> None:
    kind = facts["kind"]
    if kind == "begin":
        segments[facts["segment"]] = _Segment(str(facts["case"]), str(facts["file"]))
    elif kind == "sealed":
        int(facts["bytes"])
        segments[facts["segment"]].sealed = facts
    elif kind == "removed":
        segments[facts["segment"]].removed = True


def _check_segment(folder: Path, segment: _Segment, paths: list[Path], report: Report) -> None:
    where = f"sinkhole/{segment.case}/{segment.file}"
    if segment.removed:
        report.removed += 1
        if paths:
            report.problems.append(Problem(where, "it has a tombstone and is still there"))
        return
    if not paths:
        report.problems.append(Problem(where, "the segment is missing and has no tombstone"))
        return
    if segment.sealed is None:
        for path in paths:
            _check_open(path, where, report)
        return
    facts = segment.sealed
    for path in paths:
        found = f"sinkhole/{path.relative_to(folder)}"
        length, digest = _digest(path, int(facts["bytes"]))
        if length < facts["bytes"]:
            what = f"it is shorter than what was sealed: {length} of {facts['bytes']} bytes"
            report.problems.append(Problem(found, what))
        elif digest != facts.get("sha256"):
            report.problems.append(Problem(found, "its bytes are not those that were sealed"))
        elif length > facts["bytes"] and path.name.endswith(".zst"):
            report.problems.append(Problem(found, "it is longer than what was sealed"))
        else:
            continue
        return
    report.segments += 1
    report.bytes += int(facts["bytes"])
    report.rows += int(facts.get("rows") or 0)
    report._span(facts.get("first_us"), facts.get("last_us"))  # noqa: SLF001 - its own module


def _check_open(path: Path, where: str, report: Report) -> None:
    """Count what is in a segment that is not sealed."""
    report.open += 1
    rows, first, last = 0, None, None
    try:
        with path.open("rb") as file:
            for frame, span in frames_of(file):
                report.unsealed_bytes += frame.end - frame.start
                if frame.kind == ROWS and span is not None:
                    rows += span.rows
                    first = span.first if first is None else min(first, span.first)
                    last = span.last if last is None else max(last, span.last)
    except OSError as error:
        report.problems.append(Problem(where, f"it cannot be read: {error.strerror}"))
    report.rows += rows
    report._span(first, last)  # noqa: SLF001 - its own module


def _digest(path: Path, limit: int) -> tuple[int, str]:
    """Return how long the stream of a file is, and the SHA-256 of its first ``limit`` bytes.

    Of what is longer, one byte more is counted.
    """
    digest = hashlib.sha256()
    length = 0
    try:
        with path.open("rb") as raw:
            stream: IO[bytes] = decompressed(raw)
            while length < limit:
                data = stream.read(min(_CHUNK, limit - length))
                if not data:
                    return length, digest.hexdigest()
                digest.update(data)
                length += len(data)
            return length + len(stream.read(1) or b""), digest.hexdigest()
    except (OSError, EOFError, ValueError, RuntimeError):
        return length, digest.hexdigest()


def _files(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """Return the files of segments, by case and name of the segment, in order."""
    found: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(folder.glob("*/*")):
        match = NAME.fullmatch(path.name)
        if match and path.is_file():
            found.setdefault((path.parent.name, match[3]), []).append(path)
    return found


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(_LINE):
                yield line
    except FileNotFoundError:
        return


def _time(value: int) -> datetime:
    return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)
