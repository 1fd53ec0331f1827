"""Numbers with intervals: sightings and coverage become estimates.

Counts are observations and carry their coverage. What is concluded from them is an ``Estimate``:
no bare number leaves this room. Vantages are never added together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remnant.windows import iso

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Estimate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One quantity, what is claimed about it, and on what ground.

    Attributes:
        quantity: which quantity, one word of ``docs/reference/estimates.md``.
        value: the point estimate; null if it could not be computed (``refusal`` says why).
        low: lower limit; null if there is no finite one.
        high: upper limit; null if there is no finite one.
        level: confidence level of (low, high); null for a count, which is exact for what was seen.
        unit: what one is (``ipv4``, ``ipv6_64``, ``mixed``, ``queries``, ``per day``, ``days``).
        since: start of the window (UTC).
        until: exclusive end of the window (UTC).
        population: who counts, in words, with the vantage.
        n: observations that it rests on: days for series, else query messages.
        method: how it was computed.
        assumptions: what must hold for the interval to mean what it says.
        coverage: sensor-hours with traffic / sensor-hours expected in the window, 0 to 1; null if
            the sources state no period.
        refusal: why there is no value, or no limit although there is a value.
        asn: the one AS that it holds for; null for the whole case.
        country: the one country that it holds for, ISO 3166-1 alpha-2; null for the whole case.
        vantage: where the sightings that it rests on were made; several are joined by ``+``.
    """

    quantity: str
    value: float | None
    low: float | None
    high: float | None
    level: float | None
    unit: str
    since: datetime
    until: datetime
    population: str
    n: int
    method: str
    assumptions: tuple[str, ...] = ()
    coverage: float | None = None
    refusal: str | None = None
    asn: int | None = None
    country: str | None = None
    vantage: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the JSON object of the contract; times are ISO 8601 with ``Z``.

        A refusal stands first among the assumptions, so that it is read where the value is null.
        """
        told = self.assumptions if self.refusal is None else (self.refusal, *self.assumptions)
        return {
            "quantity": self.quantity,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "level": self.level,
            "unit": self.unit,
            "since": iso(self.since),
            "until": iso(self.until),
            "population": self.population,
            "method": self.method,
            "n": self.n,
            "coverage": self.coverage,
            "assumptions": list(told),
            "asn": self.asn,
            "country": self.country,
            "vantage": self.vantage,
        }
