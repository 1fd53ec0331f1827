"""Analysis is Ibis expressions that another engine can run: each must compile for Spark too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis

from estimate.fakeview import HOUR, START, coverage_row, settings, sighting, view_of
from remnant.cases.model import Case
from remnant.estimate.measures import measure
from remnant.estimate.traffic import by_key, by_time
from remnant.judge.verdict import judge
from remnant.windows import Window

if TYPE_CHECKING:
    import pytest

CASE = Case("test", "Test botnet", START)


def test_every_question_compiles_for_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    run = ibis.Table.to_pyarrow

    def also_for_spark(table: ibis.Table, **options: Any) -> Any:
        compiled.append(ibis.to_sql(table, dialect="pyspark"))
        return run(table, **options)

    sightings = [sighting(START + h * HOUR, h % 9) for h in range(24 * 16)]
    view = view_of(sightings, [coverage_row(START + h * HOUR) for h in range(24 * 16)])
    monkeypatch.setattr(ibis.Table, "to_pyarrow", also_for_spark)

    for step in ("hour", "day", "week"):
        by_time(view, step, Window(START + HOUR / 2, START + 90 * HOUR))
    for key in ("name", "network", "country", "sensor"):
        by_key(view, key, limit=5)
    measure(view, CASE, settings())
    judge(view, CASE, settings())

    assert len(compiled) > 20
    assert all("SELECT" in sql for sql in compiled)
