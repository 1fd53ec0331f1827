from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from dnstap_writer import CLIENT_QUERY, START_TIME, message, query, stream
from remnant.web.name_path import name_part
from web.hostile import CASE, LONGEST, MARKUP, QUIET
from web.own_home import HTML, copied, own_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from story.telling import Place
    from web.own_home import Own

NAMES = f"/cases/{CASE}/names"


@pytest.fixture(scope="module")
def own(filled: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    folder = tmp_path_factory.mktemp("names")
    with own_home(filled, folder) as opened:
        # Times with a fraction of a second, as real ones have.
        odd = message(CLIENT_QUERY, query("c2.evil.example"), time=START_TIME + 0.7654)
        (folder / "odd.dnstap").write_bytes(stream(odd))
        opened.place.do("ingest", CASE, folder / "odd.dnstap")
        yield opened


def said(own: Own, *command: object) -> Any:
    outcome = own.place.run(*command, "--format", "json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def every(own: Own, path: str, limit: int = 500, **query: Any) -> list[dict[str, Any]]:
    """All rows, page by page."""
    rows: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        more: dict[str, Any] = {} if after is None else {"after": after}
        found = own.json(path, limit=limit, **query, **more)
        rows += found["rows"]
        after = found["after"]
        if after is None:
            return rows


def test_names_are_counted_as_the_command_counts_them(own: Own) -> None:
    asked = {row["name"]: (row["queries"], row["clients"], row["unit"])
             for row in said(own, "traffic", CASE, "--by", "name")}  # fmt: skip
    shown = {
        row["name"]: (row["queries"], row["clients"], row["unit"])
        for row in every(own, f"{NAMES}.json", asked=True)
        if row["kind"] != "below"
    }
    assert shown == asked
    assert len(shown) > 10


def test_a_rule_counts_what_it_hit_and_a_name_without_queries_is_listed(own: Own) -> None:
    rows = {row["name"]: row for row in every(own, f"{NAMES}.json")}
    below = [r for r in rows.values() if r["kind"] == "seen" and r["rule"] == "*.evil.example"]
    assert rows["*.evil.example"]["queries"] == sum(row["queries"] for row in below) > 0
    assert rows["gone.evil.example"]["queries"] == 0
    assert rows["gone.evil.example"]["first"] is None
    assert {row["state"] for row in below} == {"seized"}


def test_servers_are_those_of_the_command_in_its_order(own: Own) -> None:
    told = said(own, "servers", CASE)
    shown = every(own, f"/cases/{CASE}/servers.json", limit=2, kind="any")
    assert [row["value"] for row in shown] == [row["value"] for row in told]
    for page, command in zip(shown, told, strict=True):
        assert {k: page[k] for k in page if k in command} == {
            k: command[k] for k in page if k in command
        }
        assert page["ask_contact"] == command["ask"]["contact"]
    living = own.json(f"/cases/{CASE}/servers.json", kind="any", alive="true")
    assert [r["value"] for r in living["rows"]] == [r["value"] for r in told if r["alive"]]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "sort", ["queries", "clients", "first", "last", "name", "role", "state", "now"]
)
def test_pages_join_to_the_whole_list_whatever_the_order(
    own: Own, sort: str, reverse: bool
) -> None:
    order: dict[str, Any] = {"sort": sort, "reverse": str(reverse).lower()}
    whole = every(own, f"{NAMES}.json", **order)
    assert len({row["name"] for row in whole}) == len(whole) > 10
    assert every(own, f"{NAMES}.json", limit=4, **order) == whole


def test_pages_go_back_the_way_they_came(own: Own) -> None:
    first = own.json(f"{NAMES}.json", limit=4)
    second = own.json(f"{NAMES}.json", limit=4, after=first["after"])
    third = own.json(f"{NAMES}.json", limit=4, after=second["after"])
    assert first["before"] is None
    back = own.json(f"{NAMES}.json", limit=4, before=third["before"])
    assert back["rows"] == second["rows"]
    again = own.json(f"{NAMES}.json", limit=4, before=back["before"])
    assert again["rows"] == first["rows"]
    assert again["before"] is None


def test_names_are_chosen_by_text_state_role_and_kind(own: Own) -> None:
    whole = every(own, f"{NAMES}.json")
    cases: list[tuple[dict[str, str], Callable[[dict[str, Any]], bool]]] = [
        ({"q": "SCRIPT"}, lambda r: "script" in r["name"]),
        ({"q": "%"}, lambda r: "%" in r["name"]),
        ({"q": "_"}, lambda r: "_" in r["name"]),
        ({"state": "seized"}, lambda r: r["state"] == "seized"),
        ({"state": "live", "kind": "below"}, lambda r: r["name"] == "*.unseized.example"),
        ({"role": "dga"}, lambda r: r["role"] == "dga"),
        ({"asked": "false"}, lambda r: r["queries"] == 0),
        ({"now": "unknown"}, lambda r: r["now"] in {None, "unknown"}),
    ]
    for chosen, kept in cases:
        found = own.json(f"{NAMES}.json", limit=500, **chosen)
        assert found["rows"] == [row for row in whole if kept(row)], chosen
        assert found["total"] == len(found["rows"])


@pytest.mark.parametrize(
    "query",
    ["sort=nonsense", "limit=0", "limit=501", "after=x", "vantage=moon", "q=" + "a" * 300, "x=1"],
)
def test_what_is_no_choice_is_refused(own: Own, query: str) -> None:
    answer = own.client.get(f"{NAMES}.json?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["status"] == 422


def test_what_a_form_leaves_empty_chooses_nothing(own: Own) -> None:
    path = f"{NAMES}.json?q=&state=&now=&role=&kind=&vantage="
    assert own.client.get(path).json()["total"] == own.json(f"{NAMES}.json")["total"]


def test_every_hostile_name_has_a_page_and_is_only_text_there(own: Own) -> None:
    links = re.findall(rf'href="({NAMES}/[^"]+)"', own.page(NAMES, limit=500))
    rows = every(own, f"{NAMES}.json")
    assert {unquote(link).split("/", 4)[4] for link in links} == {
        unquote(name_part(row["name"])) for row in rows
    }
    odd = ("script", "onerror", LONGEST[:9], "\\000", "%2e", "a\\.b", "=1+1", "*.evil")
    chosen = [next(row for row in rows if text in row["name"]) for text in odd]
    assert LONGEST in {row["name"] for row in chosen}
    for row in chosen:
        path = f"{NAMES}/{name_part(row['name'])}"
        html = own.page(path)
        for text in MARKUP[:4]:
            assert text not in html
        for address in re.findall(r'(?:href|src|action)="([^"]*)"', html):
            assert address.startswith(("/", "#")), address
            assert not address.startswith("//")
        told = own.json(f"{path}.json")
        assert told["name"] == row["name"]
        assert told["known"] == row
        assert sum(day["queries"] or 0 for day in told["days"]) == row["queries"]


def test_a_quoted_slash_means_the_name_too(own: Own) -> None:
    name = next(row["name"] for row in every(own, f"{NAMES}.json", q="</title>"))
    for path in (name.replace("/", "%2F").replace("<", "%3C").replace(">", "%3E"), name_part(name)):
        answer = own.client.get(f"{NAMES}/{path.replace(' ', '%20')}", headers=HTML)
        assert answer.status_code == 200


def test_one_name_tells_states_custody_answers_and_networks(own: Own) -> None:
    told = own.json(f"{NAMES}/c2.evil.example.json")
    assert told["records"][0]["rdata"] == "5.6.7.8"
    assert [one["state"] for one in told["timeline"]]
    assert told["known"]["rule"] == "*.evil.example"
    assert told["custody"][-1]["state"] == "seized"
    assert sum(row["queries"] for row in told["networks"]) == told["known"]["queries"]
    csv = own.client.get(f"{NAMES}/c2.evil.example.csv")
    assert csv.headers["content-type"].startswith("text/csv")
    assert len(csv.text.splitlines()) == len(told["days"]) + 1
    for ending, kind in (("svg", "image/svg+xml"), ("png", "image/png"), ("csv", "text/csv")):
        answer = own.client.get(
            f"/cases/{CASE}/name-traffic.{ending}", params={"name": "c2.evil.example"}
        )
        assert answer.headers["content-type"].startswith(kind)
        assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "status"), [("nobody.example", 404), ("..%2F..%2Fetc", 422), ("a..b", 422)]
)
def test_a_name_that_is_not_known_is_said_to_be_so(own: Own, path: str, status: int) -> None:
    answer = own.client.get(f"{NAMES}/{path}", headers=HTML)
    assert answer.status_code == status


def test_a_case_without_traffic_lists_what_it_watches(own: Own) -> None:
    told = own.json(f"/cases/{QUIET}/names.json")
    assert [row["name"] for row in told["rows"]] == ["quiet.example"]
    assert told["vantage"] is None
    for path in ("names", "servers", "unlisted", "names/quiet.example"):
        assert own.page(f"/cases/{QUIET}/{path}")
    # Without records nothing is dead.
    shown = own.page(f"/cases/{QUIET}/servers")
    assert "not known which live" in shown
    assert "Of 1 the records say nothing then: whether it lives is not known." in shown


def test_earlier_tables_are_cleared_away(filled: Place, tmp_path: Path) -> None:
    from remnant.web.results.names import folder_of, names
    from web.conftest import settings_of

    settings = settings_of(copied(filled, tmp_path / "copy"))
    made = [names(settings, QUIET, internal=True)["folder"] for _ in range(5)]
    left = sorted(path.name for path in folder_of(settings, QUIET).iterdir())
    assert left == made[-3:]
