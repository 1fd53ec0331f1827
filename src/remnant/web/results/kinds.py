"""The kinds of results, each a function from the stored case to plain data."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from remnant.cases.library import Library
from remnant.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.settings import Settings
    from remnant.store import View

__all__ = ["KINDS", "Kind", "opened", "sharing"]


class Kind(Protocol):
    """Works one result out."""

    def __call__(self, settings: Settings, case: str, *, internal: bool) -> Any:
        """Return plain data.

        A kind may take ``since``, ``until`` (ISO 8601) and ``vantage`` beside: they are given only
        where a page asks for them.

        Raises:
            RemnantError: it cannot be worked out, and why.
        """


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


def verdict(settings: Settings, case: str, *, internal: bool) -> Any:
    """Return the verdict as ``remnant judge --format json`` prints it."""
    from remnant.judge.verdict import judge

    del internal
    with opened(settings, case) as (_, view):
        return judge(view, Library(settings.home).get(case), settings).to_json()


def overview(settings: Settings, case: str, *, internal: bool) -> Any:
    """Return what the report shows of a case."""
    from remnant.report.content import gather

    with opened(settings, case) as (_, view):
        content = gather(
            view,
            Library(settings.home).get(case),
            settings,
            internal=internal,
            now=datetime.now(tz=UTC),
        )
    return asdict(content)


def mapped(settings: Settings, case: str, *, internal: bool) -> Any:
    """Return the map for its page."""
    from remnant.web.results.mapped import mapped as told

    return told(settings, case, internal=internal)


KINDS: Final[dict[str, Kind]] = {"verdict": verdict, "overview": overview, "map": mapped}
