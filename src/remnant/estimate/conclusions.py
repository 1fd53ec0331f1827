"""What is concluded from the counts: every estimator that a question can be put to, in one list.

Counts are of the one vantage that was chosen. A conclusion is made wherever it can be: hosts where
a client is a host, what caches hide where a client is a resolver. Each names its vantage, and they
are never added together.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.estimate import Estimate
    from remnant.estimate.basis import Basis

__all__ = ["CACHES", "HOSTS", "PARTS", "Part", "conclusions", "of_places", "quantities"]

HOSTS: Final = ("resolver", "sinkhole_http", "sinkhole_tcp", "flow")
"""Vantages at which a client is, as a rule, a host or a household."""

CACHES: Final = ("sinkhole_dns", "authority")
"""Vantages at which a client is, as a rule, a resolver with a cache."""


@dataclass(frozen=True, slots=True)
class Part:
    """One estimator.

    Attributes:
        module: of this package; it has ``QUANTITIES`` and ``estimates(basis)``, or ``by_network``
            and ``by_country`` of a basis, or all of them.
        where: at the chosen vantage only (``chosen``), wherever a client is a host (``hosts``) or a
            resolver (``caches``), at all of these (``any``), or once, over all vantages (``once``).
    """

    module: str
    where: Literal["chosen", "hosts", "caches", "any", "once"]

    def at(self, chosen: str, present: Sequence[str]) -> list[str]:
        """Return the vantages at which the question is put, the chosen one first."""
        if self.where in {"chosen", "once"}:
            return [chosen]
        kinds = {"hosts": HOSTS, "caches": CACHES, "any": HOSTS + CACHES}
        kind = kinds[self.where]
        others = [vantage for vantage in present if vantage not in _lesser(present)]
        return [vantage for vantage in dict.fromkeys((chosen, *others)) if vantage in kind]


def _lesser(present: Sequence[str]) -> set[str]:
    """Return the vantages at which nothing is concluded unless somebody chooses them.

    Beside requests, connections without any are those of others than bots.
    """
    return {"sinkhole_tcp"} if "sinkhole_http" in present else set()


PARTS: Final[tuple[Part, ...]] = (
    Part("population", "hosts"),
    Part("churn", "hosts"),
    Part("bystanders", "hosts"),
    Part("two_vantages", "once"),
    Part("behind_caches", "caches"),
    Part("dga_sightings", "any"),
    Part("recent", "chosen"),
    Part("pooling", "chosen"),
)
"""All of them, in the order in which they are shown."""


def quantities() -> dict[str, str]:
    """Return every quantity that is concluded, and what it is."""
    found: dict[str, str] = {}
    for part in PARTS:
        found |= getattr(_load(part), "QUANTITIES", {})
    return found


def conclusions(basis: Basis, present: Sequence[str]) -> list[Estimate]:
    """Return all conclusions about a case.

    Args:
        basis: the question, at the chosen vantage.
        present: the vantages at which it may be put as well; the chosen one alone where a person
            chose it.
    """
    found: list[Estimate] = []
    for part in PARTS:
        made = getattr(_load(part), "estimates", None)
        if made is not None:
            for vantage in part.at(basis.vantage, present):
                found += made(basis.at(vantage))
    return found


def of_places(basis: Basis, by: Literal["network", "country"]) -> list[Estimate]:
    """Return the conclusions about each network or country at the question's vantage."""
    found: list[Estimate] = []
    for part in PARTS:
        made = getattr(_load(part), f"by_{by}", None)
        if made is not None and part.at(basis.vantage, ()):
            found += made(basis)
    return found


def _load(part: Part) -> Any:  # noqa: ANN401 - a module
    """Return the module of an estimator: each loads its libraries when it is used."""
    return import_module(f"remnant.estimate.{part.module}")
