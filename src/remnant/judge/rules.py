"""The rules of the verdict, as data: the first whose condition holds decides.

``r`` is the decay rate per day of the hosts online, with the limits of its interval; ``r_min`` is
the slowest clean-up worth the name, ln 2 / ``judge.slowest_half_life_days``. Requiring an upper
limit below ``r_min`` before saying that clean-up does not work is a test of equivalence: little
data can never prove that nothing happens.

References:
    Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987), 657-680 (two one-sided
    tests: absence of an effect must be shown, not assumed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RULES", "RULES_VERSION", "STATES", "Facts", "Rule", "State", "decide"]

RULES_VERSION: Final = 2
"""Raised whenever a rule's id, condition, outcome or place changes."""

State = Literal["cannot_tell", "growing", "effective", "no_effective_cleanup", "working"]

STATES: Final[tuple[State, ...]] = (
    "effective",
    "working",
    "no_effective_cleanup",
    "growing",
    "cannot_tell",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at.

    Attributes:
        days: complete days after the takedown.
        minimum_days: ``judge.minimum_days``.
        failed: ids of the guards that failed.
        low: lower limit of r (1/day); null if no trend could be fitted.
        high: upper limit of r (1/day); null if no trend could be fitted.
        r_min: the slowest clean-up worth the name (1/day).
        no_period: the sources hold hits only, and no period is stated for any of them.
    """

    days: int
    minimum_days: int
    failed: tuple[str, ...]
    low: float | None
    high: float | None
    r_min: float
    no_period: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: stable name; renaming one is a breaking change.
        condition: when it holds, in words.
        holds: the same as a function of the facts.
        outcome: the state of the verdict.
        comment: why it stands here.
    """

    id: str
    condition: str
    holds: Callable[[Facts], bool]
    outcome: State
    comment: str


RULES: Final = (
    Rule(
        "no_period",
        "the sources hold hits only and no period is stated",
        lambda facts: facts.no_period,
        "cannot_tell",
        "An hour without a hit may be an hour in which nobody looked.",
    ),
    Rule(
        "too_few_days",
        "fewer complete days after the takedown than judge.minimum_days",
        lambda facts: facts.days < facts.minimum_days,
        "cannot_tell",
        "One week of data cannot show that nothing happens, nor that it does.",
    ),
    Rule(
        "no_trend",
        "no trend could be fitted",
        lambda facts: facts.low is None or facts.high is None,
        "cannot_tell",
        "Nearly no client was seen, so there is no rate to speak of.",
    ),
    Rule(
        "guard_failed",
        "a guard failed",
        lambda facts: bool(facts.failed),
        "cannot_tell",
        "Something other than clean-up changed what the sensors see.",
    ),
    Rule(
        "growing",
        "upper limit of r below 0",
        lambda facts: _high(facts) < 0.0,
        "growing",
        "The interval holds growth only.",
    ),
    Rule(
        "effective",
        "lower limit of r above r_min",
        lambda facts: _low(facts) > facts.r_min,
        "effective",
        "The interval holds fast enough falls only.",
    ),
    Rule(
        "no_effective_cleanup",
        "upper limit of r below r_min",
        lambda facts: _high(facts) < facts.r_min,
        "no_effective_cleanup",
        "Every fast enough fall is ruled out; a slow one may still be going on.",
    ),
    Rule(
        "working",
        "lower limit of r above 0",
        lambda facts: _low(facts) > 0.0,
        "working",
        "It falls, but whether fast enough is open.",
    ),
    Rule(
        "wide_interval",
        "otherwise",
        lambda _: True,
        "cannot_tell",
        "The interval holds too much: more days make it narrower.",
    ),
)


def decide(facts: Facts) -> Rule:
    """Return the first rule that holds.

    >>> decide(Facts(84, 14, (), 0.001, 0.003, 0.00385)).outcome
    'no_effective_cleanup'
    """
    return next(rule for rule in RULES if rule.holds(facts))


def _low(facts: Facts) -> float:
    assert facts.low is not None
    return facts.low


def _high(facts: Facts) -> float:
    assert facts.high is not None
    return facts.high
