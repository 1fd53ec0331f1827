"""How many texts differ, closely enough to choose by."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.collate.differing import distinct_about


@pytest.mark.parametrize("different", [1, 1_000, 80_000, 100_000])
def test_the_number_is_within_a_hundredth(different: int) -> None:
    texts = pa.array([f"h{k % different}.zone.example" for k in range(100_000)])
    # Parts of an array, as batches bring them.
    column = pa.chunked_array([texts[:10], texts[10:70_000], texts[70_000:]])
    assert distinct_about(column) == pytest.approx(different, rel=0.01)


@given(st.lists(st.text(max_size=20), max_size=50))
def test_any_texts_are_told_apart(texts: list[str]) -> None:
    found = distinct_about(pa.chunked_array([pa.array(texts, pa.string())]))
    assert found == pytest.approx(len(set(texts)), abs=1)


def test_an_empty_column_has_none() -> None:
    assert distinct_about(pa.chunked_array([], pa.string())) == 0
