"""One view of a case for the kinds that are worked out one after the other."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from remnant.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.settings import Settings
    from remnant.store import View

__all__ = ["opened", "sharing"]


class _Shared:
    """The store and the view that the kinds of one case work on, one after the other."""

    def __init__(self) -> None:
        self.case: str | None = None
        self.store: Store | None = None
        self.view: View | None = None


_SHARED: Final = _Shared()


@contextlib.contextmanager
def opened(settings: Settings, case: str) -> Iterator[tuple[Store, View]]:
    """Yield the store and a view of a case: those that ``sharing`` holds, else new ones.

    Every kind that reads the store goes through this, so that what one kind has computed in a view
    (``View.kept``, ``View.known``) serves the next one.
    """
    if _SHARED.case == case and _SHARED.store is not None and _SHARED.view is not None:
        yield _SHARED.store, _SHARED.view
        return
    with Store.open(settings) as store:
        yield store, store.view(case)


@contextlib.contextmanager
def sharing(case: str, store: Store, view: View) -> Iterator[None]:
    """Let the kinds of a case work on this view; for a process with one thread."""
    before = (_SHARED.case, _SHARED.store, _SHARED.view)
    _SHARED.case, _SHARED.store, _SHARED.view = case, store, view
    try:
        yield
    finally:
        _SHARED.case, _SHARED.store, _SHARED.view = before
