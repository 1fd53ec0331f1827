"""How often the 95 % interval of the decay rate holds the truth, on simulated daily series.

Prints the table of docs/explanation/estimating.md: ``python bench/decay_coverage.py [REPEATS]``.
A series falls with a half-life of 340 days, with log-normal noise of 5 % a day and lag-1
correlation phi. "iid" is ordinary least squares on the logs, what is usually done.
"""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import stdtrit

from remnant.estimate.decay import fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Days = NDArray[np.int64]

RATE: Final = math.log(2) / 340
SIGMA: Final = 0.05
LENGTHS: Final = (14, 28, 56, 84, 120)
FIRST_DAY: Final = 16_533


def noise(rng: np.random.Generator, repeats: int, days: int, phi: float) -> Floats:
    """Return stationary AR(1) noise of unit variance, repeats x days."""
    made = rng.normal(size=(repeats, days))
    for day in range(1, days):
        made[:, day] = phi * made[:, day - 1] + math.sqrt(1 - phi**2) * made[:, day]
    return made


def iid_interval(days: Days, values: Floats) -> tuple[float, float]:
    """Return the 95 % interval of the rate by ordinary least squares on the logs."""
    time_ = days - days.mean()
    logs = np.log(values)
    squares = float(time_ @ time_)
    slope = float(time_ @ logs) / squares
    residual = logs - logs.mean() - slope * time_
    freedom = len(days) - 2
    half = float(stdtrit(freedom, 0.975)) * math.sqrt(
        float(residual @ residual) / freedom / squares
    )
    return -slope - half, -slope + half


def coverage(
    rng: np.random.Generator, repeats: int, length: int, phi: float, missing: float
) -> tuple[float, float, float]:
    """Return the coverage of our interval, of the iid one, and our median width in %/day."""
    held = naive = 0
    widths = []
    whole = np.arange(FIRST_DAY, FIRST_DAY + length)
    for made in noise(rng, repeats, length, phi):
        values = 2000 * np.exp(-RATE * np.arange(length) + SIGMA * made)
        kept = np.sort(rng.choice(length, round(length * (1 - missing)), replace=False))
        trend = fit(whole[kept], values[kept])
        assert trend is not None
        held += trend.low <= RATE <= trend.high
        low, high = iid_interval(whole[kept], values[kept])
        naive += low <= RATE <= high
        widths.append(100 * (trend.high - trend.low))
    return held / repeats, naive / repeats, float(np.median(widths))


def main() -> None:
    """Print the table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rng = np.random.default_rng(20150408)
    print(f"{repeats} series each; Remnant's coverage (iid's), median width in %/day")
    print("| phi | days missing | " + " | ".join(f"{length} d" for length in LENGTHS) + " |")
    print("|---|---|" + "---|" * len(LENGTHS))
    began, fits = time.process_time(), 0
    for phi in (0.0, 0.5, 0.8):
        for missing in (0.0, 0.15):
            cells = []
            for length in LENGTHS:
                ours, naive, width = coverage(rng, repeats, length, phi, missing)
                cells.append(f"{ours:.3f} ({naive:.2f}), {width:.2f}")
                fits += repeats
            print(f"| {phi} | {missing:.0%} | " + " | ".join(cells) + " |", flush=True)
    spent = time.process_time() - began
    print(f"{fits} fits, {1000 * spent / fits:.2f} ms of processor time each")


if __name__ == "__main__":
    main()
