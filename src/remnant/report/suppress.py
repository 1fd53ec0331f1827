"""Small counts are hidden in what is published, and so is what would give them away.

A count from 1 to ``minimum - 1`` is *small*. Hiding it alone is not enough: with the total beside
it, one subtraction brings it back. So further counts are hidden, smallest first, until the total
leaves every small count its whole range, and the total itself is hidden when nothing else helps.

References:
    Cox, "Suppression Methodology and Statistical Disclosure Control", Journal of the American
    Statistical Association 75 (1980): complementary suppression and the feasibility interval.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["Count", "Hidden", "feasible", "shown", "suppress", "suppress_groups"]


class Hidden(Enum):
    """Why a count is not shown: it is small, or it would give a small one away."""

    SMALL = "small"
    LINKED = "linked"


Count: TypeAlias = int | Hidden | None
"""A count as published: null where nothing was measured."""


def shown(count: Count) -> int | None:
    """Return the number, or ``None`` where there is none or where it is hidden."""
    return None if isinstance(count, Hidden) else count


def suppress(
    counts: Sequence[int | None], minimum: int, *, total_known: bool = True
) -> tuple[list[Count], bool]:
    """Return the counts with small ones hidden, and whether their total may be shown.

    Args:
        counts: the counts of one table column whose sum readers may know; null where not measured.
        minimum: the smallest count that is shown; 0 or 1 hides nothing. Zero is always shown.
        total_known: whether a reader can know the sum (else only small counts are hidden).

    Returns:
        The counts as published in the same order, and False when the total must be hidden too.

    >>> suppress([50, 3], 10)
    ([<Hidden.LINKED: 'linked'>, <Hidden.SMALL: 'small'>], True)
    """
    out: list[Count] = [
        Hidden.SMALL if count is not None and 0 < count < minimum else count for count in counts
    ]
    if not total_known or Hidden.SMALL not in out:
        return out, True
    # Smallest first; ties by position, so that the same table always hides the same cells.
    rest = sorted(
        (i for i, count in enumerate(out) if isinstance(count, int) and count > 0),
        key=lambda i: (counts[i] or 0, i),
    )
    while not _protected(counts, out, minimum):
        if not rest:
            return out, False
        out[rest.pop(0)] = Hidden.LINKED
    return out, True


def feasible(
    counts: Sequence[int | None], published: Sequence[Count], minimum: int
) -> list[tuple[int, int]]:
    """Return, per hidden count, the lowest and highest value that a reader can infer.

    The reader knows the total, the shown counts, and that small ones lie in [1, minimum - 1] and
    linked ones at or above ``minimum``.
    """
    hidden = [i for i, count in enumerate(published) if isinstance(count, Hidden)]
    left = sum(counts[i] or 0 for i in hidden)
    low = {i: 1 if published[i] is Hidden.SMALL else minimum for i in hidden}
    high = {i: minimum - 1 if published[i] is Hidden.SMALL else left for i in hidden}
    all_low, all_high = sum(low.values()), sum(high.values())
    return [
        (
            max(low[i], left - (all_high - high[i])),
            min(high[i], left - (all_low - low[i])),
        )
        for i in hidden
    ]


def suppress_groups(
    counts: Sequence[int | None], groups: Sequence[Hashable], closed: set[Hashable], minimum: int
) -> list[Count]:
    """Return the counts of a finer table with small ones hidden within each group.

    Args:
        counts: one count per row of the finer table (a network).
        groups: the row of the coarser table that each belongs to (its country).
        closed: groups whose own count is hidden: no row of such a group is shown.
        minimum: the smallest count that is shown.
    """
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    out: list[Count] = list(counts)
    for group, indexes in members.items():
        column, total = suppress([counts[i] for i in indexes], minimum)
        for i, count in zip(indexes, column, strict=True):
            hide = group in closed or not total
            out[i] = Hidden.LINKED if hide and isinstance(count, int) and count > 0 else count
    return out


def _protected(counts: Sequence[int | None], published: Sequence[Count], minimum: int) -> bool:
    """Return whether every small count keeps its whole range [1, minimum - 1]."""
    hidden = [count for count in published if isinstance(count, Hidden)]
    ranges = feasible(counts, published, minimum)
    return all(
        bounds == (1, minimum - 1)
        for count, bounds in zip(hidden, ranges, strict=True)
        if count is Hidden.SMALL
    )
