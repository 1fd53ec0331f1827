"""How long segments are kept: deleted ones leave a signed tombstone in the manifest."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from remnant.sinkhole.manifest import Entry, Manifest
from remnant.sinkhole.segment import NAME
from remnant.store.files import explained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.settings import Settings

__all__ = ["expire", "remove_case"]

_BEGAN: Final = "%Y%m%dT%H%M%SZ"


def expire(settings: Settings, *, now: datetime, manifest: Manifest | None = None) -> int:
    """Delete sealed segments whose last event is older than the setting says; return how many.

    Raises:
        StoreError: a segment or the manifest cannot be changed.
    """
    manifest = manifest or Manifest(settings)
    manifest.refresh()
    limit = now - timedelta(days=settings.sinkhole.keep_days)
    folder = settings.home / "sinkhole"
    removed = 0
    for name, entry in list(manifest.segments.items()):
        if entry.removed is not None:
            continue
        if entry.sealed is not None and _last(entry) < limit:
            manifest.remove(name, "expired")
            _unlink(folder, name, entry)
            removed += 1
    return removed


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


def _unlink(folder: Path, name: str, entry: Entry) -> None:
    for path in _files(folder / entry.case, name):
        with explained(path):
            path.unlink(missing_ok=True)


def _files(folder: Path, name: str) -> Iterator[Path]:
    for path in folder.glob(f"*-{name}.rseg*"):
        if NAME.fullmatch(path.name):
            yield path
