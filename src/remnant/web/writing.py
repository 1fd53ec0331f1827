"""The store opened for writing by a page: it waits for its turn, but not for long."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from remnant.errors import StoreBusy
from remnant.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.settings import Settings

__all__ = ["writing"]

_MOST_S: Final = 10.0
"""Seconds that a person waits for a page at most, whatever ``store.wait_s`` says."""
_ASK_AGAIN_S: Final = 0.02


@contextlib.contextmanager
def writing(settings: Settings) -> Iterator[Store]:
    """Hold the store opened for writing; another process may write meanwhile, so wait for it.

    Raises:
        StoreBusy: the other one still writes.
    """
    begun = time.monotonic()
    longest = min(settings.store.wait_s, _MOST_S)
    while True:
        try:
            store = Store.open(settings, write=True, sweep=False)
            break
        except StoreBusy:
            if time.monotonic() - begun >= longest:
                raise
        time.sleep(_ASK_AGAIN_S)
    with store:
        yield store
