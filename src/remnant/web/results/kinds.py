"""The kinds of results, each a function from the stored case to plain data."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from remnant.cases.library import Library
from remnant.store import Store

if TYPE_CHECKING:
    from remnant.settings import Settings

__all__ = ["KINDS", "Kind"]


class Kind(Protocol):
    """Works one result out."""

    def __call__(self, settings: Settings, case: str, *, internal: bool) -> Any:
        """Return plain data.

        Raises:
            RemnantError: it cannot be worked out, and why.
        """


def verdict(settings: Settings, case: str, *, internal: bool) -> Any:
    """Return the verdict as ``remnant judge --format json`` prints it."""
    from remnant.judge.verdict import judge

    del internal
    with Store.open(settings) as store:
        return judge(store.view(case), Library(settings.home).get(case), settings).to_json()


def overview(settings: Settings, case: str, *, internal: bool) -> Any:
    """Return what the report shows of a case."""
    from remnant.report.content import gather

    with Store.open(settings) as store:
        content = gather(
            store.view(case),
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
