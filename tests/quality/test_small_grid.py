"""A small grid of the campaigns: few repeats of some cells, so that a broken estimator shows.

The whole of it is ``make quality``.
"""

from __future__ import annotations

from typing import Final

import pytest

from campaigns import every
from campaigns.campaign import Campaign, Cell, Outcomes, generator, rows_of, score

CELLS: Final = [
    pytest.param(campaign, campaign.cells[i], id=f"{campaign.name}-{i}")
    for campaign in every()
    for i in campaign.small
]


@pytest.mark.parametrize(("campaign", "cell"), CELLS)
def test_goals_are_not_missed_by_far(campaign: Campaign, cell: Cell) -> None:
    repeats = max(2, cell.repeats // 100)
    found = cell.simulate(generator(campaign.name, cell.label), repeats)

    for row in rows_of(campaign, cell, found):
        assert row.outcomes.truth.size == repeats
        for goal in row.goals:
            reached = score(goal.metric, row.outcomes)
            assert goal.met(reached), f"{dict(row.label)}: {goal} got {reached}"


def test_every_campaign_has_cells_and_says_what_it_does() -> None:
    for campaign in every():
        assert campaign.cells
        assert campaign.text
        assert campaign.metrics
        labels = [tuple(cell.label.items()) for cell in campaign.cells]
        assert len(set(labels)) == len(labels)
        found = [cell.simulate for cell in campaign.cells]
        assert all(callable(simulate) for simulate in found)


def test_outcomes_keep_refusals_apart() -> None:
    """A row of refusals alone has no score, and meets no goal."""
    import numpy as np

    from campaigns.campaign import Goal

    none = Outcomes(truth=np.ones(3), value=np.full(3, np.nan))

    assert score("refused", none).value == 1.0
    assert not Goal("bias", at_most=1.0).met(score("bias", none))
