"""How good the estimators are: campaigns on simulated botnets whose truth they cannot read.

Each campaign is a module with one function ``campaign()``; ``every`` lists them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from campaigns.campaign import Campaign

__all__ = ["MODULES", "every"]

MODULES: Final[tuple[str, ...]] = (
    "online",
    "population",
    "churn_rates",
    "two_vantages",
    "bystanders",
    "caches",
    "dga_bots",
    "half_life",
    "verdicts",
    "breaks",
    "pooling",
    "events",
    "candidates",
    "flux",
)
"""The modules that are campaigns, in the order of the page."""


def every() -> list[Campaign]:
    """Return all campaigns, in the order of the page."""
    return [import_module(f"campaigns.{name}").campaign() for name in MODULES]
