"""Made-up domain names: words that can be said, below top-level domains that nobody can have.

References:
    RFC 2606, RFC 6761 (``example``, ``test``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from remnant.enrich.content import row_numbers
from remnant.errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["TOP_LEVEL", "MadeNames", "joined", "labels"]

TOP_LEVEL: Final = ("example", "test")
"""Reserved for ever: no name below them is anybody's."""

# No g and no ck: too many words that nobody wants to read in a report.
_CONSONANTS: Final = ("b", "d", "f", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr")
_VOWELS: Final = ("a", "e", "i", "o", "u")
_SYLLABLES: Final = tuple(c + v for c in _CONSONANTS for v in _VOWELS)
_ENDS: Final = ("", "n", "x", "l")
_WORDS: Final = len(_SYLLABLES) ** 3 * len(_ENDS)


def joined(*parts: Any) -> Any:  # noqa: ANN401 - Arrow
    """Return texts put together row by row; a plain text stands for itself in every row."""
    return pc.binary_join_element_wise(*parts, "")


class MadeNames:
    """Gives out words and domains, each once."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._left = random.permutation(_WORDS)

    def words(self, count: int) -> Any:  # noqa: ANN401 - Arrow
        """Return words of three syllables.

        Raises:
            SimulationError: there are no more.
        """
        if count > self._left.size:
            raise SimulationError("there are not so many made-up names", expected=f"{_WORDS:,}")
        numbers, self._left = self._left[:count], self._left[count:]
        parts = []
        for _ in range(3):
            numbers, digit = np.divmod(numbers, len(_SYLLABLES))
            parts.append(_chosen(_SYLLABLES, digit))
        return joined(*parts, _chosen(_ENDS, numbers))

    def domains(self, count: int) -> Any:  # noqa: ANN401 - Arrow
        """Return domains below ``TOP_LEVEL``."""
        tops = _chosen(TOP_LEVEL, self._random.integers(0, len(TOP_LEVEL), count))
        return joined(self.words(count), ".", tops)


def labels(count: int, random: np.random.Generator, length: int = 12) -> Any:  # noqa: ANN401
    """Return random labels of letters and digits, as a wildcard zone sees them."""
    signs = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789", np.uint8)
    drawn = signs[random.integers(0, signs.size, (count, length))]
    return pa.array(np.ascontiguousarray(drawn).view(f"S{length}").reshape(-1)).cast(pa.string())


def _chosen(texts: Sequence[str], which: npt.NDArray[np.int64]) -> Any:  # noqa: ANN401 - Arrow
    return pa.array(texts, pa.string()).take(row_numbers(which))
