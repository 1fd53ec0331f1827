"""The two lines around a break: how large it is, how fast the curve falls before and after it.

The noise is AR(1), its memory integrated out as in ``break_evidence``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from remnant.estimate.break_evidence import MEMORIES, degrees_lost
from remnant.estimate.decay import FLOOR
from remnant.estimate.loglinear import fresh_noise, whitened
from remnant.estimate.mixtures import Mixture

if TYPE_CHECKING:
    from remnant.estimate.loglinear import LogSeries

__all__ = ["Lines", "lines_at"]


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The two lines around a break.

    Attributes:
        jump: change of the level at the first day after it, on the log scale; a fall is negative.
        before: fall per day before it.
        after: fall per day after it.
        sigma: standard deviation of a day's noise beside them, on the log scale.
        phi: its mean lag-1 correlation.
    """

    jump: Mixture
    before: Mixture
    after: Mixture
    sigma: float
    phi: float


def lines_at(series: LogSeries, place: int, width: int = 1) -> Lines:
    """Return both lines around a break at this row, with scale and memory of the noise.

    Args:
        series: the days around it.
        place: first row of the new piece.
        width: days that the change takes.
    """
    root = np.sqrt(series.weight)
    center = series.response.mean()
    response = root * (series.response - center)
    since = (series.days - series.days[place]).astype(np.float64)
    rows = np.arange(len(since)) - place
    late = rows >= 0
    reached = np.clip((rows + 1) / width, 0.0, 1.0)
    design = root * np.stack([np.ones(len(since)), since, reached, late * since])
    freedom = max(len(since) - 4 - degrees_lost(series), 1)
    solutions, errors, scales, likely = [], [], [], []
    # The first column of a slope counts up; a fall is what is reported.
    asked = np.array([[0, 0, 1, 0], [0, -1, 0, 0], [0, -1, 0, -1]], dtype=np.float64)
    for phi in MEMORIES.tolist():
        white = whitened(np.vstack([design, response]), series.days, phi)
        information = white[:4] @ white[:4].T
        inverse = np.linalg.inv(information)
        solution = inverse @ white[:4] @ white[4]
        rest = white[4] - solution @ white[:4]
        squares = float(rest @ rest) + FLOOR**2 * len(since)
        scales.append(squares / freedom)
        solutions.append(asked @ solution)
        errors.append(np.sqrt(np.diagonal(asked @ inverse @ asked.T) * scales[-1]))
        likely.append(
            -0.5 * float(np.log(fresh_noise(series.days, phi)).sum())
            - 0.5 * float(np.linalg.slogdet(information)[1])
            - 0.5 * freedom * float(np.log(squares))
        )
    weights = np.exp(np.array(likely) - max(likely))
    weights /= weights.sum()
    jump, before, after = (
        Mixture(
            np.array([solution[k] for solution in solutions]),
            np.array([error[k] for error in errors]),
            weights,
            freedom,
        )
        for k in range(3)
    )
    sigma = float(np.sqrt(weights @ np.array(scales)))
    return Lines(jump, before, after, sigma, float(weights @ MEMORIES))
