"""The cellar: Parquet files, the ledger that lists them, and consistent snapshots of a case.

``Store.open(settings)`` reads, ``Store.open(settings, write=True)`` is the one writer.
``Store.view(case)`` is a snapshot that stays the same while others write.
"""

from typing import TYPE_CHECKING, Any

from remnant.store.change import Change
from remnant.store.records import Prefix, SourceRecord
from remnant.store.store import Store

if TYPE_CHECKING:
    from remnant.store.view import View

__all__ = ["Change", "Prefix", "SourceRecord", "Store", "View"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    """Load ``View``, and with it the query engine, when somebody asks for it."""
    if name == "View":
        from remnant.store.view import View  # noqa: PLC0415 - see above

        return View
    raise AttributeError(name)
