"""How long segments are kept: deleted ones leave a signed tombstone in the manifest."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from remnant.sinkhole.follow import is_unlocked
from remnant.sinkhole.manifest import Entry, Manifest
from remnant.sinkhole.segment import NAME, SUFFIX
from remnant.store.files import explained

if TYPE_CHECKING:
    from remnant.settings import Settings

__all__ = ["count_segments", "expire", "is_served", "remove_case"]

_BEGAN: Final = "%Y%m%dT%H%M%SZ"


def expire(settings: Settings, *, now: datetime, manifest: Manifest | None = None) -> int:
    """Delete sealed segments whose last event is older than the setting says; return how many.

    Raises:
        StoreError: a segment or the manifest cannot be changed.
    """
    manifest = manifest or Manifest(settings)
    manifest.refresh()
    limit = now - timedelta(days=settings.sinkhole.keep_days)
    removed = 0
    for path in sorted((settings.home / "sinkhole").glob("*/*")):
        match = NAME.fullmatch(path.name)
        entry = manifest.segments.get(match[3]) if match else None
        if match is None or entry is None or entry.case != path.parent.name:
            continue
        if entry.removed is None:
            if entry.sealed is None or _last(entry) >= limit:
                continue
            manifest.remove(match[3], "expired")
            removed += 1
        # One whose tombstone was written by a process that was killed then goes too.
        with explained(path):
            path.unlink(missing_ok=True)
    return removed


def count_segments(settings: Settings, case: str) -> int:
    """Return how many segments the sinkhole kept for a case."""
    folder = settings.home / "sinkhole" / case
    if not folder.is_dir():
        return 0
    return sum(NAME.fullmatch(path.name) is not None for path in folder.iterdir())


def is_served(settings: Settings, case: str) -> bool:
    """Return whether a sinkhole that runs keeps what it sees for a case."""
    folder = settings.home / "sinkhole" / case
    return any(
        path.exists() and not is_unlocked(path)
        for path in folder.glob(f"*{SUFFIX}")
        if NAME.fullmatch(path.name)
    )


def remove_case(settings: Settings, case: str) -> int:
    """Delete all segments of a case, sealed or not; return how many.

    Raises:
        StoreError: a segment or the manifest cannot be changed.
    """
    folder = settings.home / "sinkhole" / case
    if not folder.is_dir():
        return 0
    manifest = Manifest(settings)
    removed = 0
    for path in sorted(folder.iterdir()):
        match = NAME.fullmatch(path.name)
        if match:
            # One that was begun a moment ago may not stand in the manifest yet.
            manifest.begin(match[3], case, path.name, {})
            manifest.remove(match[3], "case deleted")
            removed += 1
        with explained(path):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return removed


def _last(entry: Entry) -> datetime:
    """Return the time of the last event, or when the segment began if there is none."""
    last = (entry.sealed or {}).get("last_us")
    if isinstance(last, int):
        return datetime.fromtimestamp(last / 1_000_000, UTC)
    began = entry.file.partition("-")[0]
    return datetime.strptime(began, _BEGAN).replace(tzinfo=UTC)
