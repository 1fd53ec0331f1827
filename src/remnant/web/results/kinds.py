"""The kinds of results, each a function from the stored case to plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from remnant.web.results.joined import joined
from remnant.web.results.overview import overview, verdict
from remnant.web.results.pulse import pulse

if TYPE_CHECKING:
    from remnant.settings import Settings

__all__ = ["KINDS", "Kind"]


class Kind(Protocol):
    """Works one result out.

    A kind that can be asked for another window takes ``since``, ``until`` and ``vantage`` too: text
    as on the command line, all optional.
    """

    def __call__(self, settings: Settings, case: str, *, internal: bool, **asked: str) -> Any:
        """Return plain data.

        Raises:
            RemnantError: it cannot be worked out, and why.
        """


KINDS: Final[dict[str, Kind]] = {"verdict": verdict, "overview": overview, "joined": joined, "pulse": pulse}
