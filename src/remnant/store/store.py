"""The store: one writer at a time, any number of readers."""

from __future__ import annotations

import contextlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from remnant.errors import KeyMismatch, StoreError
from remnant.schema import COVERAGE, Table
from remnant.store.change import Change
from remnant.store.compact import compact
from remnant.store.files import Folder, by_name, explained
from remnant.store.key import create_key, fingerprint, load_key
from remnant.store.ledger import Ledger, is_missing
from remnant.store.lock import WriterLock
from remnant.store.observations import Observations
from remnant.store.rollup import settle_activity
from remnant.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    import pyarrow as pa

    from remnant.settings import Settings
    from remnant.store.ordered import OrderedAnswers
    from remnant.store.view import Everything, View

__all__ = ["GRACE", "Store"]

GRACE: Final = timedelta(hours=1)
"""How long replaced files stay, for readers that hold an older view."""


class Store:
    """Everything that was ingested. Use ``Store.open``; it is a context manager.

    Attributes:
        folder: the Parquet files.
        ledger: what lists them.
    """

    def __init__(self, settings: Settings, *, write: bool, sweep: bool = True) -> None:
        self._settings = settings
        self._lock: WriterLock | None = None
        self._views: list[View | Everything] = []
        self.folder = Folder(settings.home / "store")
        url = settings.database or f"sqlite:///{settings.home / 'state.sqlite'}"
        if not write:
            self.ledger = Ledger("sqlite://" if is_missing(url) else url, create=is_missing(url))
            return
        with explained(settings.home):
            self.folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = WriterLock(self.folder.root / "writer.lock")
        try:
            self.ledger = Ledger(url, create=True)
            self._identify()
            if sweep:
                self._sweep()
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def open(cls, settings: Settings, *, write: bool = False, sweep: bool = True) -> Self:
        """Open the store of the home folder; a writer makes it if there is none.

        Args:
            settings: of the home folder.
            write: open it for writing.
            sweep: remove what earlier writers left; a writer that comes each second need not.

        Raises:
            StoreBusy: another process writes (readers are never refused).
            StoreError: it cannot be read or written.
            SchemaMismatch: a newer version wrote it.
        """
        return cls(settings, write=write, sweep=sweep)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._lock is not None:
                self.settle()
        finally:
            self.close()

    def close(self) -> None:
        """Let the next writer in; views of this store cannot be used after that."""
        for view in self._views:
            view.close()
        self._views = []
        self.ledger.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # Reading.

    def view(self, case: str) -> View:
        """Return a snapshot of a case; of an unknown case it is empty."""
        from remnant.store.view import View  # noqa: PLC0415 - loads the query engine

        view = View(case, self.folder, self.ledger, self._settings)
        self._views.append(view)
        return view

    def everything(self, table: Table) -> Everything:
        """Return a snapshot of one table over all cases."""
        from remnant.store.view import Everything  # noqa: PLC0415 - loads the query engine

        found = Everything(table, self.folder, self.ledger, self._settings)
        self._views.append(found)
        return found

    def answers(self) -> OrderedAnswers:
        """Return the answers of all cases, to be read by key."""
        from remnant.store.ordered import OrderedAnswers  # noqa: PLC0415 - loads Numba

        return OrderedAnswers(self.folder, self.ledger)

    def stamp(self, case: str) -> str:
        """Return a short text that changes whenever what is stored for a case changes."""
        return self.ledger.stamp(case)

    def sensors(self, case: str) -> list[dict[str, Any]]:
        """Return one row per sensor and vantage of a case.

        Each has sensor, vantage, first and last (starts of the first and the last hour with
        messages, or stated to be complete, ISO 8601), hours (such ones), messages, retired
        (ISO 8601 or ``None``).
        """
        view = self.view(case)
        coverage = view.table(COVERAGE)
        stated = coverage.basis.fill_null("traffic") == "stated"
        delivered = coverage.filter(coverage.hour.notnull(), stated | (coverage.messages > 0))
        found = (
            delivered.group_by(["sensor", "vantage"])
            .agg(
                first=delivered.hour.min(),
                last=delivered.hour.max(),
                hours=delivered.hour.nunique(),
                messages=delivered.messages.sum(),
            )
            .order_by(["sensor", "vantage"])
            .to_pyarrow()
            .to_pylist()
        )
        retired = {sensor: iso(at) for sensor, at in view.retired.items()}
        return [
            {
                **row,
                "first": iso(row["first"]),
                "last": iso(row["last"]),
                "messages": int(row["messages"]),
                "retired": retired.get(row["sensor"]),
            }
            for row in found
        ]

    # Writing.

    def change(self, *, same_rows: bool = False) -> Change:
        """Return an empty change; see ``Change``."""
        if self._lock is None:
            raise StoreError("the store was opened for reading")
        return Change(self.folder, self.ledger, same_rows=same_rows)

    def site_key(self) -> bytes:
        """Return the secret that makes pseudonyms; a new store gets a new one.

        Raises:
            KeyMismatch: the key is not there any more, or is not the one the store was made with.
        """
        path = self._settings.site_key
        known = self.ledger.fact("key")
        with explained(path):
            secret = load_key(path)
            if secret is None:
                if known is not None:
                    raise KeyMismatch(
                        "the site key of this store is not there",
                        where=str(path),
                        expected=f"the key with the fingerprint {known}",
                        hint="restore it; if it was destroyed on purpose, what is stored can still "
                        "be read, and new traffic needs a new --home",
                    )
                secret = create_key(path)
        found = fingerprint(secret)
        if known is None:
            if self._lock is None:
                raise StoreError("the store was opened for reading")
            self.ledger.set_fact("key", found)
        elif known != found:
            raise KeyMismatch(
                "the store was made with another site key",
                where=str(path),
                got=f"a key with the fingerprint {found}",
                expected=f"the key with the fingerprint {known}",
                hint="restore the right key; with two keys one client would count as two",
            )
        return secret

    def transform(
        self, case: str, edits: Mapping[Table | str, Callable[[pa.Table], pa.Table]]
    ) -> int:
        """Rewrite every file of some tables of a case in one commit; return how many.

        Args:
            case: name of the case.
            edits: for each table (in this order) what makes of a file's rows the new rows.
        """
        count = 0
        with self.change() as change:
            for key, edit in edits.items():
                name = key if isinstance(key, str) else key.name
                by_name(name)
                with self.ledger.reading() as connection:
                    files = self.ledger.files(connection, case, name)
                for file in files:
                    change.rewrite(file, edit)
                count += len(files)
            change.commit()
        return count

    def retire_sensor(self, name: str, at: datetime | None) -> None:
        """Expect nothing from a sensor from this time on; ``None`` takes that back."""
        self._writable()
        with self.ledger.writing() as connection:
            self.ledger.set_retired(connection, {name: at})

    def delete_case(self, case: str) -> int:
        """Remove everything that was brought for a case; return how many files that were.

        The files go at once, also those that a reader may hold.
        """
        self._writable()
        with self.ledger.writing() as connection:
            paths = self.ledger.forget_case(connection, case)
        Observations(self.ledger).forget(case)
        self.folder.remove(paths)
        return len(paths)

    def settle(self, *, before: str | None = None) -> None:
        """Merge small files and make the roll-ups that are due; leaving the store does it too.

        Args:
            before: a day (``YYYY-MM-DD``) from which on roll-ups wait: it still changes all the
                time.
        """
        self._writable()
        for case in self.ledger.cases():
            compact(self, case)
            settle_activity(self, case, before=before)

    def _writable(self) -> None:
        if self._lock is None:
            raise StoreError("the store was opened for reading")

    def _identify(self) -> None:
        """Make sure that ledger and files belong together: orphans are about to be removed."""
        marker = self.folder.root / "id"
        known = self.ledger.fact("store")
        with explained(marker):
            found = marker.read_text(encoding="ascii").strip() if marker.exists() else None
            if known is None and found is None and not any(self.folder.present()):
                known = uuid.uuid4().hex
                self.ledger.set_fact("store", known)
            if found is None and known is not None and not any(self.folder.present()):
                marker.write_text(known + "\n", encoding="ascii")
                return
        if known is None or known != found:
            raise StoreError(
                "the ledger does not belong to the files in the store",
                where=str(self.folder.root),
                got=f"ledger {known}",
                expected=f"ledger {found}",
                hint="restore state.sqlite, or the database that the settings name; "
                "nothing was changed",
            )

    def _sweep(self) -> None:
        """Remove what killed writers left, and files whose time of grace is over."""
        self.folder.sweep()
        old = self.ledger.replaced_before(datetime.now(tz=UTC) - GRACE)
        if old:
            with self.ledger.writing() as connection:
                self.ledger.forget_files(connection, old)
        listed = self.ledger.all_paths()
        with contextlib.suppress(StoreError):  # what cannot be removed now is removed next time
            self.folder.remove([path for path in self.folder.present() if path not in listed])
