"""Takes what the segments gained into the store, seals what is complete, and never counts twice.

The ledger alone says how far a segment is committed. So the keeper can end at any moment, in any
way: when it starts again, it asks.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from remnant.capture import ReadOptions
from remnant.capture.readers import READERS
from remnant.capture.segment import batch_of
from remnant.collate.clients import Clients
from remnant.collate.live import Growth, add_growth
from remnant.collate.plan import digest_of
from remnant.collate.pseudonym import SiteKey
from remnant.errors import RemnantError, StoreBusy, StoreError
from remnant.sinkhole.clock import now_us
from remnant.sinkhole.folders import Folders
from remnant.sinkhole.manifest import Manifest
from remnant.sinkhole.retention import expire
from remnant.sinkhole.seal import Sealed, compress, publish
from remnant.store import Store
from remnant.watchlist import Watchlist

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    import xxhash

    from remnant.capture.segment_frames import Frame
    from remnant.collate.clients import Lookup
    from remnant.settings import Settings
    from remnant.sinkhole.follow import Followed, Pending
    from remnant.store import SourceRecord
    from remnant.watchlist import Rule

__all__ = ["Keeper", "Round"]

_LOG: Final = logging.getLogger("remnant.sinkhole")

_FORMAT: Final = "segment"
_SEGMENT_BYTES: Final = 24 << 20
_ROUND_BYTES: Final = 24 << 20
"""Bytes of frames that one commit takes, of one segment and of all."""
_BATCH_BYTES: Final = 2 << 20
"""Bytes of frames from which on the next one is looked at apart: small ones are put together."""
_IDLE_S: Final = 10.0
"""Seconds after which frames without events are committed."""
_SETTLE_S: Final = 60.0
_EXPIRE_S: Final = 3600.0
_SAID_S: Final = 60.0
_RETRY_S: Final = 60.0
"""Seconds until a segment that could not be compressed is tried again."""
_MANY_CLIENTS: Final = 1_000_000
_ENDINGS: Final = 100


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did.

    Attributes:
        rows: events that were committed.
        frames: frames that were committed.
        busy: another process writes to the store: nothing could be committed.
        more: there is more to commit at once.
        sealed: segments that were sealed.
        alarm: why something could not be done; ``None``: all is well.
    """

    rows: int = 0
    frames: int = 0
    busy: bool = False
    more: bool = False
    sealed: int = 0
    alarm: str | None = None


class Keeper:
    """Commits segments of all cases; one for each home folder.

    Args:
        settings: of the home folder.
        rules_of: the compiled rules of a case, ``None`` where there is no such case.
        lookup: reference data, as for ``ingest_source``.
        clock: tells UTC microseconds.
    """

    def __init__(
        self,
        settings: Settings,
        rules_of: Callable[[str], Sequence[Rule] | None],
        *,
        lookup: Lookup | None = None,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._settings = settings
        self._rules_of = rules_of
        self._lookup = lookup
        self._clock = clock
        self._folders = Folders(settings.home / "sinkhole")
        self._watchlists: dict[str, Watchlist | None] = {}
        self._older: dict[tuple[str, str], Watchlist] = {}
        self._clients: Clients | None = None
        self._manifest: Manifest | None = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="seal")
        self._sealing: dict[Followed, Future[Sealed]] = {}
        self._committed_at = -_IDLE_S
        self._settled_at = self._expired_at = time.monotonic()
        self._said_at = -_SAID_S
        self._alarm: str | None = None
        self._reload = False

    def run(
        self,
        stop: threading.Event,
        interval: float = 1.0,
        told: Callable[[Round], None] | None = None,
    ) -> None:
        """Make a round each ``interval`` seconds until told to stop, and settle now and then.

        Args:
            stop: set from another thread, or a signal handler.
            interval: seconds from the start of one round to that of the next.
            told: called after each round.
        """
        while not stop.is_set():
            begun = time.monotonic()
            done = self.round()
            if told is not None:
                told(done)
            if begun - self._settled_at >= _SETTLE_S:
                self.settle()
            if begun - self._expired_at >= _EXPIRE_S:
                self._expired_at = begun
                self._guarded(self._expire)
            if not done.more or done.busy:
                stop.wait(max(0.0, interval - (time.monotonic() - begun)))

    def round(self) -> Round:
        """Commit what is complete, a bounded part of it, and seal what has ended."""
        self._alarm = None
        if self._reload:
            self._reload = False
            self.reload()
        done = Round()
        self._guarded(self._discover)
        try:
            done = self._commit()
        except StoreBusy:
            done = Round(busy=True)
        except (RemnantError, OSError) as error:
            self._fail(error)
        sealed = self._seal()
        return replace(done, sealed=sealed, alarm=self._said())

    def reload_soon(self) -> None:
        """Reload when the next round begins; safe in a signal handler, in the midst of a round."""
        self._reload = True

    def reload(self) -> None:
        """Ask for the rules of the cases again: segments that begin from now on need them."""
        for case, watchlist in self._watchlists.items():
            if watchlist is not None:
                self._older[case, digest_of(watchlist, case)] = watchlist
        self._watchlists = {}

    def settle(self) -> None:
        """Merge small files, and make the roll-ups of days that are over."""
        self._settled_at = time.monotonic()
        today = datetime.fromtimestamp(self._clock() // 1_000_000, UTC).date().isoformat()
        self._guarded(lambda: self._settle(today))

    def close(self) -> None:
        """Commit and seal what is left, and make all roll-ups that are due."""
        for _ in range(_ENDINGS):
            done = self.round()
            if done.busy:
                time.sleep(0.1)
            elif self._sealing:
                wait(self._sealing.values())
            elif done.alarm or not (done.more or done.frames or done.sealed):
                break
        self._guarded(lambda: self._settle(None))
        self._pool.shutdown()

    # Which segments there are.

    def _discover(self) -> None:
        if self._manifest is None:
            self._manifest = Manifest(self._settings)
        self._folders.look()
        for followed in self._folders.followed():
            if not followed.begun and self._watchlist(followed.case) is not None:
                head = followed.head
                self._manifest.begin(
                    head.segment,
                    followed.case,
                    followed.path.name,
                    {
                        "sensor": head.sensor,
                        "worker": head.worker,
                        "watchlist": head.watchlist,
                        "clock": head.clock,
                    },
                )
                followed.begun = True

    # Commits.

    def _commit(self) -> Round:
        waiting: list[tuple[Followed, Pending]] = []
        left = _ROUND_BYTES
        more = False
        for followed in self._folders.followed():
            if followed.broken or followed.ended or self._watchlist(followed.case) is None:
                continue
            if left <= 0:
                more = True
                break
            pending = self._pending(followed, min(left, _SEGMENT_BYTES))
            if pending is not None and pending.frames:
                waiting.append((followed, pending))
                left -= len(pending.data)
                more |= pending.rest
        self._check_abandoned({id(followed) for followed, _ in waiting})
        now = time.monotonic()
        due = any(pending.rows or pending.ended for _, pending in waiting)
        if not waiting or (not due and now - self._committed_at < _IDLE_S):
            return Round()
        store = Store.open(self._settings, write=True, sweep=False)
        try:
            rows, frames, moved = self._write(store, waiting)
        finally:
            store.close()
        self._committed_at = now
        self._folders.rotate([followed for followed, _ in waiting])
        return Round(rows=rows, frames=frames, more=more or moved)

    def _pending(self, followed: Followed, limit: int) -> Pending | None:
        try:
            return followed.pending(limit)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                self._folders.drop(followed)
            else:
                self._fail(error)
            return None

    def _write(
        self, store: Store, waiting: Sequence[tuple[Followed, Pending]]
    ) -> tuple[int, int, bool]:
        """Commit; return how many events and frames, and whether a segment goes on elsewhere."""
        key = SiteKey(store.site_key())
        clients = self._clients
        if clients is None or clients.clients().size > _MANY_CLIENTS:
            clients = self._clients = Clients(key, self._lookup)
        moved = False
        growths: list[Growth] = []
        done: list[tuple[Followed, Pending, xxhash.xxh3_128]] = []
        records = self._records(store, [followed for followed, _ in waiting])
        options = ReadOptions(now=datetime.fromtimestamp(self._clock() / 1_000_000, UTC))
        refused = self._simulated(store, {followed.case for followed, _ in waiting})
        for followed, pending in waiting:
            if followed.case in refused:
                self._alarm = f"{followed.case}: the case holds simulated sources"
                continue
            if not self._agree(followed, records.get(followed.id)):
                moved |= followed.broken is None
                continue
            digest = followed.digest_with(pending)
            growths.append(self._growth(followed, pending, digest, options))
            done.append((followed, pending, digest))
        if not growths:
            return 0, 0, moved
        with store.change() as change:
            written = add_growth(change, growths, clients, key)
            change.commit()
        for (followed, pending, digest), record in zip(done, written, strict=True):
            followed.advance(pending, digest, record)
        rows = sum(batch.query_messages for growth in growths for batch in growth.batches)
        return rows, sum(len(pending.frames) for _, pending, _ in done), moved

    def _growth(
        self,
        followed: Followed,
        pending: Pending,
        digest: xxhash.xxh3_128,
        options: ReadOptions,
    ) -> Growth:
        assert followed.watchlist is not None
        batches = [
            batch_of(
                frames,
                [],
                pending.start,
                pending.start + frames[-1].end,
                followed.head,
                followed.watchlist,
                options,
                lasting=True,
            )
            for frames in _some(pending.frames)
        ]
        return Growth(
            id=followed.id,
            case=followed.case,
            path=str(followed.path.resolve()),
            format=_FORMAT,
            vantage=READERS[_FORMAT].vantage,
            watchlist=followed.watchlist,
            before=None if followed.anew else followed.record,
            replace=followed.anew,
            batches=batches,
            end=pending.end,
            digest=digest.hexdigest(),
            head=followed.first_with(pending),
        )

    @staticmethod
    def _records(store: Store, wanted: Sequence[Followed]) -> dict[str, SourceRecord]:
        by_case: dict[str, list[str]] = {}
        for followed in wanted:
            by_case.setdefault(followed.case, []).append(followed.id)
        with store.ledger.reading() as connection:
            return {
                record.id: record
                for case, ids in by_case.items()
                for record in store.ledger.sources(connection, case, ids)
            }

    @staticmethod
    def _simulated(store: Store, cases: set[str]) -> set[str]:
        with store.ledger.reading() as connection:
            return {case for case in cases if store.ledger.simulated(connection, case)}

    def _agree(self, followed: Followed, record: SourceRecord | None) -> bool:
        """Return whether what is pending goes on where the ledger says; else get ready for it."""
        if followed.anew and record == followed.record:
            return True
        same = record == followed.record or (
            record is not None
            and followed.record is not None
            and (record.bytes, record.digest, record.watchlist)
            == (followed.record.bytes, followed.record.digest, followed.record.watchlist)
        )
        if followed.known and same and followed.watchlist is not None:
            return True
        position = followed.position
        if not followed.known or not same:
            followed.go_on_from(record)
            if followed.broken:
                self._alarm = f"{followed.path}: {followed.broken}"
                return False
        self._choose_watchlist(followed)
        return followed.position == position

    def _choose_watchlist(self, followed: Followed) -> None:
        """Go on with the watchlist that was used so far, or read all anew with the present one."""
        case = followed.case
        present = self._watchlist(case)
        assert present is not None
        chosen: Watchlist | None = present
        record = followed.record
        if record is not None and record.watchlist != digest_of(present, case):
            chosen = self._older.get((case, record.watchlist))
            if chosen is None:
                self.reload()
                present = self._watchlist(case)
                assert present is not None
                chosen = present
                if record.watchlist != digest_of(present, case):
                    followed.restart()
                    followed.anew = True
        assert chosen is not None
        followed.watchlist = chosen.extended(followed.head.rules())

    def _watchlist(self, case: str) -> Watchlist | None:
        if case not in self._watchlists:
            rules = self._rules_of(case)
            self._watchlists[case] = None if rules is None else Watchlist.compile(rules)
        return self._watchlists[case]

    # Segments that have ended.

    def _check_abandoned(self, waiting: set[int]) -> None:
        """Look for segments whose writers are gone and which have nothing to commit."""
        for followed in self._folders.followed():
            if followed.ended or followed.broken or id(followed) in waiting:
                continue
            if self._watchlist(followed.case) is None or not followed.is_abandoned():
                continue
            # What was written between the last look and the end of the writer.
            last = self._pending(followed, _SEGMENT_BYTES)
            if last is not None and not last.frames and followed.known:
                followed.ended = True
            elif last is not None and not last.frames and not followed.known:
                self._ask(followed)

    def _ask(self, followed: Followed) -> None:
        """Ask the ledger about a segment that has nothing to commit, as far as was seen."""
        store = Store.open(self._settings)
        try:
            record = self._records(store, [followed]).get(followed.id)
        finally:
            store.close()
        followed.go_on_from(record)

    def _seal(self) -> int:
        """Compress segments that have ended, one at a time, and publish those that are done."""
        sealed = 0
        for followed, future in list(self._sealing.items()):
            if future.done():
                del self._sealing[followed]
                followed.sealing = False
                self._guarded(lambda f=followed, s=future: self._publish(f, s))  # type: ignore[misc]
                sealed += self._folders.is_gone(followed)
        for followed in self._folders.followed():
            if followed.is_to_seal(time.monotonic()):
                if len(self._sealing) >= 2:
                    break
                followed.sealing = True
                self._sealing[followed] = self._pool.submit(
                    compress, followed.path, followed.position
                )
        return sealed

    def _publish(self, followed: Followed, future: Future[Sealed]) -> None:
        try:
            sealed = future.result()
        except FileNotFoundError:
            # Its case was deleted meanwhile.
            self._folders.drop(followed)
            return
        except OSError:
            followed.seal_after = time.monotonic() + _RETRY_S
            raise
        assert self._manifest is not None
        self._manifest.seal(followed.head.segment, sealed.facts)
        publish(sealed)
        self._folders.drop(followed)

    # The rest.

    def _settle(self, before: str | None) -> None:
        try:
            store = Store.open(self._settings, write=True)
        except StoreBusy:
            return
        try:
            store.settle(before=before)
        finally:
            store.close()

    def _expire(self) -> None:
        now = datetime.fromtimestamp(self._clock() / 1_000_000, UTC)
        expire(self._settings, now=now, manifest=self._manifest)

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except (RemnantError, OSError) as error:
            self._fail(error)

    def _said(self) -> str | None:
        """Return what went wrong in this round; the log says it now and then."""
        alarm = self._alarm
        if alarm is not None and time.monotonic() - self._said_at >= _SAID_S:
            self._said_at = time.monotonic()
            _LOG.error("sinkhole segments are not kept as they should be: %s", alarm)
        return alarm

    def _fail(self, error: Exception) -> None:
        if isinstance(error, StoreError) and error.where:
            self._alarm = f"{error.where}: {error.what}" + (f" ({error.got})" if error.got else "")
        else:
            self._alarm = str(error)


def _some(frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    """Yield the frames, some at a time."""
    begin = 0
    for i, frame in enumerate(frames):
        if frame.end - frames[begin].start >= _BATCH_BYTES or i == len(frames) - 1:
            yield frames[begin : i + 1]
            begin = i + 1
