"""Facts of a source: countries and names are cleaned, segments carry their range."""

from __future__ import annotations

import pyarrow as pa
import pytest

from remnant.enrich.addresses import parse
from remnant.enrich.content import SEGMENTS, Content, country_code, name_text, segments
from remnant.enrich.ranges import from_prefixes


@pytest.mark.parametrize(
    ("text", "code"),
    [("de", "DE"), (" US ", "US"), ("None", None), ("", None), ("EU", None), ("ZZ", None),
     ("D1", None), ("ÄÖ", None), (None, None), (7, None), (["DE"], None)],
)  # fmt: skip
def test_country_codes(text: object, code: str | None) -> None:
    assert country_code(text) == code


@pytest.mark.parametrize(
    ("text", "name"), [("  a \t b\n", "a b"), ("", None), (" ", None), (None, None), (7, None)]
)
def test_names(text: object, name: str | None) -> None:
    assert name_text(text) == name


def test_each_segment_carries_the_whole_range_that_owns_it() -> None:
    found = parse(pa.array(["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0"]))
    facts = pa.table(
        {
            "asn": pa.array([1, 2, 3], pa.int64()),
            "as_name": pa.array(["one", None, "all"]).dictionary_encode(),
            "country": pa.array([None, "DE", None], pa.string()).dictionary_encode(),
        }
    )
    table, misplaced = segments(Content("x", from_prefixes(*found), facts, 0))

    assert misplaced == 1
    assert table.schema == SEGMENTS
    assert table["asn"].to_pylist() == [1, 2, 1, None]
    assert table["as_name"].to_pylist() == ["one", None, "one", None]
    assert table["country"].to_pylist() == [None, "DE", None, None]
    assert table["first_low"].to_pylist()[0] == table["first_low"].to_pylist()[2]
    assert table["last_low"].to_pylist()[3] is None
