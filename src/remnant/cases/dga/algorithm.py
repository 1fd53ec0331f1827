"""What is said of one family of generated names, and for how long a list of names holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date

__all__ = ["ALWAYS", "DAILY", "FOUR_DAYS", "WEEKLY", "Algorithm", "Barrel", "Epoch"]

Barrel = Literal["uniform", "sampling", "random_cut", "permutation"]
"""How a bot goes through the list: from its start; a random part of it; from a random place on,
round; all of it in random order. The words are those of BotMeter (Wang et al., ICDCS 2016)."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """For how long one list of names holds.

    Attributes:
        days: the usual length in days; ``None`` where one list holds always.
        first: returns the first UTC day of the list that holds on a day; ``None`` for always.
    """

    days: int | None
    first: Callable[[date], date] | None


DAILY: Final = Epoch(1, lambda day: day)
ALWAYS: Final = Epoch(None, None)
WEEKLY: Final = Epoch(7, lambda day: day.replace(day=max(1, day.day // 7 * 7)))
"""The days 1-6, 7-13, 14-20, 21-27 and 28-31 of a month."""
FOUR_DAYS: Final = Epoch(4, lambda day: day.replace(day=max(1, day.day // 4 * 4)))
"""The days 1-3, 4-7, 8-11 ... 28-31 of a month."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One family: see ``dga.Family`` for the meaning of the fields.

    ``make`` returns the names that hold on one UTC day, in the order in which a bot makes them;
    ``epoch`` says for how long they hold.
    """

    name: str
    title: str
    per_day: int
    reference: str
    make: Callable[[date], Iterable[str]]
    epoch: Epoch = DAILY
    barrel: Barrel | None = None
    lookups: int | None = None
    barrel_source: str | None = None
    lookback_days: int = 0
    checked: bool = False

    @property
    def epoch_days(self) -> int | None:
        """Days for which one list usually holds; ``None``: always."""
        return self.epoch.days

    def begins(self, day: date) -> date | None:
        """Return the first UTC day of the list that holds on a day; ``None``: it always held."""
        return None if self.epoch.first is None else self.epoch.first(day)

    def generate(self, day: date) -> list[str]:
        """Return the folded names that hold on one UTC day, in the order of the bot."""
        return list(self.make(day))
