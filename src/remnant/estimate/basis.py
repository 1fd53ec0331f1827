"""What every estimator of a case starts from: its view, its window, its vantage, who counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from remnant.estimate import Estimate
from remnant.estimate.coverage import of_window
from remnant.estimate.traffic import sightings

if TYPE_CHECKING:
    from remnant.cases.model import Case
    from remnant.settings import Settings
    from remnant.store import View
    from remnant.windows import Window

__all__ = ["Basis"]


@dataclass(frozen=True, slots=True)
class Basis:
    """One question about a case.

    Attributes:
        view: the snapshot that is read.
        case: what is watched, the takedown, and the events.
        settings: the level of every interval among them.
        window: the half-open UTC window that the question is about.
        vantage: where the sightings were made; vantages are never added together.
        scored: over which window it is told who is no victim; null for the question's own. A
            question about a part of a window keeps that of the whole.
    """

    view: View
    case: Case
    settings: Settings
    window: Window
    vantage: str
    scored: Window | None = None

    @property
    def level(self) -> float:
        """Confidence level of every interval."""
        return self.settings.estimate.level

    def at(self, vantage: str) -> Basis:
        """Return the same question at another vantage."""
        return replace(self, vantage=vantage)

    def within(self, window: Window) -> Basis:
        """Return the same question about another window."""
        return replace(self, window=window, scored=self.scored or self.window)

    def accepted(self) -> Any:  # noqa: ANN401 - ibis is untyped
        """Return the sightings (an Ibis table, columns of ``schema.SIGHTINGS``) that count.

        Those of the window at the vantage, without the clients that are no victims and without
        generated names that somebody else uses.
        """
        from remnant.estimate.bystanders import excluded  # noqa: PLC0415 - it needs a basis

        seen = sightings(self.view, self.window, self.vantage)
        if any(watch.dga is not None for watch in self.case.watches):
            from remnant.estimate import collisions  # noqa: PLC0415 - for few cases

            view = self.view
            collided = view.kept("collided names", lambda: collisions.names(view).select("name"))
            seen = seen.anti_join(collided, "name")
        return seen.anti_join(excluded(self), "client")

    def coverage(self, window: Window | None = None) -> float | None:
        """Return the coverage of a window (default: the question's) at the vantage, 0 to 1."""
        return of_window(self.view, window or self.window, self.vantage)

    def concluded(
        self,
        quantity: str,
        value: float,
        limits: tuple[float | None, float | None],
        *,
        unit: str,
        population: str,
        n: int,
        method: str,
        assumptions: tuple[str, ...] = (),
        window: Window | None = None,
        refusal: str | None = None,
        asn: int | None = None,
        country: str | None = None,
    ) -> Estimate:
        """Return an estimate of this question; see ``Estimate`` for the fields.

        ``limits`` are (low, high) at ``level``, null for no finite one; ``window`` is that of the
        estimate where it is not the question's.
        """
        span = window or self.window
        return Estimate(
            quantity=quantity,
            value=value,
            low=limits[0],
            high=limits[1],
            level=self.level,
            unit=unit,
            since=span.since,
            until=span.until,
            population=population,
            n=n,
            method=method,
            assumptions=assumptions,
            coverage=self.coverage(span),
            refusal=refusal,
            asn=asn,
            country=country,
            vantage=self.vantage,
        )

    def refused(
        self,
        quantity: str,
        why: str,
        *,
        unit: str,
        population: str,
        window: Window | None = None,
        n: int = 0,
        asn: int | None = None,
        country: str | None = None,
    ) -> Estimate:
        """Return the estimate that has no value, and says why."""
        span = window or self.window
        return Estimate(
            quantity=quantity,
            value=None,
            low=None,
            high=None,
            level=None,
            unit=unit,
            since=span.since,
            until=span.until,
            population=population,
            n=n,
            method="none",
            coverage=self.coverage(span),
            refusal=why,
            asn=asn,
            country=country,
            vantage=self.vantage,
        )
