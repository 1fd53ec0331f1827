"""The page of a case: it says what the commands say, and hides what must be hidden."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

import pytest

from web.conftest import settings_of
from web.guarded import guarding
from web.hostile import CASE, QUIET, TITLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

    from story.telling import Place

KINDS = ("verdict", "overview", "joined", "pulse")
PATH = f"/cases/{CASE}"


def settle(client: TestClient, *, internal: bool) -> None:
    """Wait until all results of the case are known."""
    results: Any = client.app.state.site.results  # type: ignore[attr-defined]
    for kind in KINDS if internal else ("overview", "joined"):
        found = results.wait(CASE, kind, internal=internal)
        assert found.value is not None, (kind, found.problem)


@pytest.fixture(scope="module")
def known(client: TestClient) -> TestClient:
    """The operator's application, everything worked out."""
    settle(client, internal=True)
    return client


@pytest.fixture(scope="module")
def public(home: Place) -> Iterator[TestClient]:
    """Somebody who is not signed in, at a site that shows sums to everybody."""
    with guarding(settings_of(home), public=True) as site:
        settle(site.client, internal=False)
        yield site.client


def test_the_verdict_is_the_one_of_the_command(known: TestClient, home: Place) -> None:
    told = known.get(f"{PATH}.json").json()["verdict"]
    assert told == home.ask("judge", CASE)


def test_the_estimates_are_those_of_the_command(known: TestClient, home: Place) -> None:
    told = known.get(f"{PATH}.json").json()["estimates"]
    asked = home.ask("measure", CASE)
    assert len(told) == len(asked)
    for ours, theirs in zip(told, asked, strict=True):
        shared = ours.keys() & theirs.keys()
        assert {key: ours[key] for key in shared} == {key: theirs[key] for key in shared}


@pytest.mark.parametrize("step", ["hour", "day"])
def test_the_curves_are_the_traffic_of_the_command(
    known: TestClient, home: Place, step: str
) -> None:
    told = known.get(f"{PATH}/figures/requests.json?step={step}").json()["rows"]
    asked = home.ask("traffic", CASE, "--by", step)
    assert [(row["start"], row["requests"], row["coverage"]) for row in told] == [
        (row["start"], row["queries"], row["coverage"]) for row in asked
    ]


def test_weeks_add_up_to_the_requests_of_the_command(known: TestClient, home: Place) -> None:
    told = known.get(f"{PATH}/figures/requests.json?step=week").json()["rows"]
    asked = home.ask("traffic", CASE, "--by", "week")
    assert [(row["start"], row["requests"]) for row in told] == [
        (row["start"], row["queries"]) for row in asked
    ]
    # The data begin and end within a week: such a week is a gap, not a small one.
    assert all(row["gap"] for row in told)


def test_a_window_cuts_the_curves_and_says_that_the_verdict_is_of_the_whole(
    known: TestClient, home: Place
) -> None:
    window = {"since": "2015-04-09T06:00:00Z", "until": "2015-04-09T18:00:00Z"}
    told = known.get(f"{PATH}.json", params=window | {"step": "hour"}).json()
    asked = home.ask(
        "traffic", CASE, "--by", "hour", "--since", window["since"], "--until", window["until"]
    )
    assert [row["requests"] for row in told["curves"][1]["rows"]] == [r["queries"] for r in asked]
    assert told["window"]["free"]
    page = known.get(PATH, params=window).text
    assert "This verdict is of the whole window" in page
    assert "judge=true" in page


def test_csv_holds_the_rows_of_the_curves(known: TestClient) -> None:
    told = known.get(f"{PATH}.json").json()
    rows = list(csv.DictReader(io.StringIO(known.get(f"{PATH}.csv").text)))
    online, requests = (curve["rows"] for curve in told["curves"])
    assert [row["start"] for row in rows] == [row["start"] for row in online]
    assert [row["requests"] for row in rows] == [str(row["requests"]) for row in requests]
    assert [row["online"] for row in rows] == [
        "" if row["online"] is None else str(row["online"]) for row in online
    ]


def test_all_six_questions_are_answered_on_the_page(known: TestClient) -> None:
    page = known.get(PATH).text
    for question in ("still", "since", "working", "sure", "where", "joined"):
        assert f'id="answer-{question}"' in page
    told = {answer["key"]: answer for answer in known.get(f"{PATH}.json").json()["answers"]}
    # Three days tell no trend, and the page says so.
    assert told["working"]["short"] == "Cannot tell yet"
    assert told["still"]["short"] == "Yes, it still asks"


@pytest.mark.parametrize("path", [PATH, f"{PATH}/names", f"{PATH}/networks"])
def test_every_link_of_a_page_leads_somewhere(known: TestClient, path: str) -> None:
    page = known.get(path).text
    links = set(re.findall(r'<a[^>]* href="([^"]+)"', page))
    for link in links:
        address, _, place = link.replace("&amp;", "&").partition("#")
        if "." in address.rpartition("/")[2].partition("?")[0]:
            continue  # a file, drawn when it is asked for; tests of files ask for them
        there = known.get(address) if address else None
        assert there is None or there.status_code == 200, (link, there)
        assert not place or f'id="{place}"' in (there.text if there else page), link


def test_names_that_are_asked_for_lead_to_their_pages(
    known: TestClient, public: TestClient
) -> None:
    row = re.compile(r'<th scope="row" class="name mono">(<a href="[^"]*/names/[^"]*">)?')
    assert all(link for link in row.findall(known.get(PATH).text))
    assert not any(link for link in row.findall(public.get(PATH).text))


def test_what_strangers_wrote_stays_text(known: TestClient) -> None:
    page = known.get(PATH).text
    assert TITLE not in page
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert not re.search(r"<img|<svg onload|javascript:", page)
    assert not re.search(r'style="', page)


def test_a_case_without_traffic_says_so(client: TestClient) -> None:
    page = client.get(f"/cases/{QUIET}")
    assert page.status_code == 200
    assert "No traffic was read for this case yet" in page.text
    assert client.get(f"/cases/{QUIET}.json").json()["curves"] == []


def test_a_map_too_large_for_a_picture_leaves_the_page_whole(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from remnant.web.results.results import Result, Results

    get = Results.get
    joined = {
        "kinds": [{"what": "registered domains", "count": 10_008}],
        "seeds": 10_008, "hubs": 0, "living": 0, "alive_days": 14, "ranked": 0, "states": [],
        "facts": "all times", "picture": "",
    }  # fmt: skip

    def unpictured(self: Results, case: str, kind: str, **asked: Any) -> Result:
        found = get(self, case, kind, **asked)
        return replace(found, value=joined) if kind == "joined" else found

    monkeypatch.setattr(Results, "get", unpictured)
    page = client.get(f"{PATH}?log=false&step=day")
    assert page.status_code == 200
    assert "too much for a small picture" in page.text


def test_the_page_is_useful_while_results_are_worked_out(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remnant.web.results.results import Result, Results

    monkeypatch.setattr(Results, "get", lambda *_, **__: Result(is_working=True))
    # Another query is another answer: what is kept of the page is not asked for.
    page = client.get(f"{PATH}?log=false&judge=false").text
    assert "Being worked out" in page
    assert 'id="online"' in page
    assert "Estimates are being worked out" in page
    told = client.get(f"{PATH}.json?judge=false").json()
    assert told["verdict"] is None
    assert told["status"]["is_working"]
    assert len(told["curves"]) == 2


def test_the_public_chooses_no_window(public: TestClient) -> None:
    for query in ("since=2015-04-09", "until=2015-04-09", "step=hour", "vantage=resolver"):
        for path in (f"{PATH}.json", f"{PATH}/figures/online.json", f"{PATH}/figures/names.csv"):
            answer = public.get(f"{path}?{query}")
            assert answer.status_code == 403, (path, query, answer.text)
    assert public.get(f"{PATH}/compare.json").status_code in {401, 403}


def test_the_public_sees_no_small_count(public: TestClient, known: TestClient) -> None:
    told = public.get(f"{PATH}.json").json()
    exact = known.get(f"{PATH}.json").json()
    # Five clients in all: no number of clients may stand anywhere.
    assert {row["clients"] for row in told["countries"]} <= {"<10", "hidden"}
    assert {row["clients"] for row in told["names"]} <= {"<10", "hidden"}
    assert {row["clients"] for row in exact["names"]} - {"<10", "hidden"}
    online = next(curve for curve in told["curves"] if curve["key"] == "online")
    assert not [row for row in online["rows"] if isinstance(row["online"], float)]
    assert not [row for row in online["rows"] if isinstance(row["clients"], int)]
    hidden = {
        m["quantity"]: m["value"] for m in told["estimates"] if m["unit"] in {"ipv4", "mixed"}
    }
    assert set(hidden.values()) <= {None, 0.0}
    page = public.get(PATH).text
    assert 'id="online"' in page
    assert '<form class="choose"' not in page


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=" + "9" * 500,
        "step=minute",
        "vantage=%3Cscript%3E",
        "unknown=1",
        "since=2015-04-10&until=2015-04-09",
        "since=1990-01-01&until=1990-01-02",
        "vantage=flow",
    ],
)
def test_a_window_that_is_none_is_refused_and_never_fatal(client: TestClient, query: str) -> None:
    for path in (PATH, f"{PATH}.json", f"{PATH}/figures/online.png"):
        assert 400 <= client.get(f"{path}?{query}").status_code < 500
