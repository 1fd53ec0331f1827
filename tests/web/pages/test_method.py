"""Each number has a page that says how it is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remnant.report import wording
from remnant.web.methods import find, methods
from web.hostile import CASE
from web.pages.test_overview import settle

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


def test_every_quantity_of_measure_has_a_page() -> None:
    assert set(wording._MEASURES) <= set(methods())


def test_every_estimate_and_figure_of_a_case_has_a_page(client: TestClient) -> None:
    settle(client, internal=True)
    told = client.get(f"/cases/{CASE}.json").json()
    results = client.app.state.site.results  # type: ignore[attr-defined]
    figures = results.wait(CASE, "overview", internal=True).value["figures"]
    asked = {row["quantity"] for row in told["estimates"]}
    asked |= {f"figure-{key}" for key in figures} | {"figure-views"}
    asked |= {tile["method"].rpartition("/")[2] for tile in told["tiles"]}
    for topic in sorted(asked):
        assert client.get(f"/method/{topic}").status_code == 200, topic


def test_a_page_says_all_that_must_be_known(client: TestClient) -> None:
    for topic, method in methods().items():
        assert method.unit, topic
        assert method.population, topic
        assert method.how, topic
        assert method.sources, topic
        assert method.assumes, topic
        assert method.wrong, topic
        assert set(method.also) <= set(methods()), topic
        assert find(topic) is method
    page = client.get("/method/half_life").text
    assert "ln 2 / r" in page
    assert "When it is wrong" in page


def test_other_names_lead_to_one_page_only() -> None:
    names = [name for method in methods().values() for name in method.aka]
    assert len(names) == len(set(names))
    assert not set(names) & set(methods())


def test_there_is_no_page_for_what_is_not_computed(client: TestClient) -> None:
    assert client.get("/method/nothing").status_code == 404
    assert client.get("/method/%3Cscript%3E").status_code == 422
