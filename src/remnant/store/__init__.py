"""The cellar: Parquet files, the ledger that lists them, and consistent snapshots of a case.

``Store.open(settings)`` reads, ``Store.open(settings, write=True)`` is the one writer.
``Store.view(case)`` is a snapshot that stays the same while others write.
"""

from remnant.store.change import Change
from remnant.store.records import Prefix, SourceRecord
from remnant.store.store import Store
from remnant.store.view import View

__all__ = ["Change", "Prefix", "SourceRecord", "Store", "View"]
