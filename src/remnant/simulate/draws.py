"""Random numbers for kernels: counter based, so a draw depends only on what it is for.

A *state* is a uint64. ``stream`` makes one from a seed and what the draws are for; each following
state is ``state + STEP``, and ``bits`` or ``unit`` turn it into a value. Bots can so be handled in
any order, and one more draw for one bot changes nothing for the next.

References:
    G. L. Steele, D. Lea, C. H. Flood: Fast splittable pseudorandom number generators. OOPSLA 2014.
"""

from __future__ import annotations

from math import cos, log, sqrt, tau
from typing import TYPE_CHECKING, Final

import numpy as np

from remnant.wire import Int, Word, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["STEP", "below", "bits", "mixed", "normal", "stream", "unit"]

STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_S30: Final = np.uint64(30)
_S27: Final = np.uint64(27)
_S31: Final = np.uint64(31)
_S33: Final = np.uint64(33)
_S11: Final = np.uint64(11)


@kernel
def bits(state: Word) -> Word:
    """Return the 64 random bits of a state (SplitMix64's output function)."""
    z = state
    z = (z ^ (z >> _S30)) * _FIRST
    z = (z ^ (z >> _S27)) * _SECOND
    return z ^ (z >> _S31)


@kernel
def unit(state: Word) -> float:
    """Return a uniform number in [0, 1)."""
    return np.int64(bits(state) >> _S11) * (1.0 / 9007199254740992.0)


@kernel
def below(state: Word, count: Int) -> Int:
    """Return a uniform whole number from 0 to ``count - 1`` (``count`` below 2 ** 31)."""
    return np.int64(((bits(state) >> _S33) * np.uint64(count)) >> _S31)


@kernel
def normal(state: Word) -> float:
    """Return a standard normal number (Box and Muller); uses this state and the next."""
    radius = sqrt(-2.0 * log(1.0 - unit(state)))
    return radius * cos(tau * unit(state + STEP))


@kernel
def stream(seed: Word, purpose: Int, first: Int, second: Int) -> Word:
    """Return the first state of the draws for one purpose and two whole numbers (day, bot)."""
    state = bits(seed + STEP * np.uint64(purpose + 1))
    state = bits(state + STEP * np.uint64(first + 1))
    return bits(state + STEP * np.uint64(second + 1))


def mixed(states: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return what ``bits`` gives for each state of an array."""
    z = (states ^ (states >> _S30)) * _FIRST
    z = (z ^ (z >> _S27)) * _SECOND
    found: npt.NDArray[np.uint64] = z ^ (z >> _S31)
    return found
