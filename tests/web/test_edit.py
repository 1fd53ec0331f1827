"""Editing a case by form, by text, by file and by program."""

from __future__ import annotations

import html
import json
import re
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from remnant.cases.library import Library
from remnant.web.access.security import routes_of

if TYPE_CHECKING:
    from web.conftest import Desk

PAGE = "/cases/quiet/edit"
RULE = {
    "tab": "form",
    "title": "Quiet",
    "takedown": "2015-04-09",
    "watch-0-names": "quiet.example\n*.louder.example",
    "watch-0-addresses": "192.0.2.0/24",
    "watch-0-role": "download",
    "watch-0-state": "seized",
    "watch-0-from": "2015-04-10",
    "watch-0-until": "2015-05-01",
    "watch-0-source": "court order",
    "event-0-time": "2015-04-11",
    "event-0-kind": "outage",
    "event-0-note": "a rack burned",
    "sinkhole-addresses": "192.0.2.53",
}


def digest(desk: Desk, name: str = "quiet") -> str:
    found = Library(desk.place.home).digest(name)
    assert found is not None
    return found


def said(page: str) -> str:
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    return re.sub(r" ([,:;.])", r"\1", text)


def test_what_the_form_says_is_stored_and_shown_again(desk: Desk) -> None:
    answer = desk.form(PAGE, RULE | {"do": "save", "base": digest(desk)})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{PAGE}?stored={digest(desk)}"
    case = Library(desk.place.home).get("quiet")
    (watch,) = case.watches
    assert case.title == "Quiet"
    assert watch.names == ("quiet.example", "*.louder.example")
    assert watch.addresses == ("192.0.2.0/24",)
    assert (watch.role, watch.state, watch.source) == ("download", "seized", "court order")
    assert watch.until is not None
    assert watch.until.isoformat() == "2015-05-02T00:00:00+00:00"
    assert case.events[0].note == "a rack burned"
    assert case.sinkhole is not None
    page = desk.client.get(answer.headers["location"]).text
    assert "Stored as version" in page
    assert "*.louder.example" in page
    again = desk.form(PAGE, RULE | {"do": "check", "base": digest(desk)})
    assert "the file stays as it is" in said(again.text)


def test_checking_stores_nothing_and_says_what_storing_would_do(desk: Desk) -> None:
    before = digest(desk)
    rules = RULE | {"watch-0-names": "quiet.example\nwww.google.com\nc2.evil.example"}
    answer = desk.form(PAGE, rules | {"do": "check", "base": before})
    assert answer.status_code == 200
    assert digest(desk) == before
    words = said(answer.text)
    assert "healthy machines ask for names of this site" in words
    assert "3 rules more: www.google.com, c2.evil.example, 192.0.2.0/24" in words
    assert "Passive DNS knows c2.evil.example: 1 record of 1 name" in words


def test_each_error_stands_beside_its_field_with_the_words_of_case_check(desk: Desk) -> None:
    wrong = RULE | {
        "takedown": "2015-02-31",
        "watch-0-names": "fine.example\na..b",
        "watch-0-from": "yesterday",
        "watch-1-names": "*.com",
        "event-0-time": "",
        "sinkhole-ttl": "soon",
    }
    answer = desk.form(PAGE, wrong | {"do": "save", "base": digest(desk)})
    assert answer.status_code == 422
    for field, words in (
        ("takedown", "2015-02-31"),
        ("watch-0-names", "a label is empty"),
        ("watch-1-names", "this would watch a whole public suffix"),
        ("event-0-time", "time is missing"),
        ("sinkhole-ttl", "soon"),
    ):
        place = answer.text.partition(f'id="said-{field}"')[2].partition("</div>")[0]
        assert words in said(place), field
        assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text), field
    assert "fine.example\na..b" in answer.text
    told = desk.place.run("case", "check", desk.place.folder / "quiet.toml")
    assert told.code == 0, "the stored file is untouched"


def test_rows_come_and_go_without_scripts_and_without_storing(desk: Desk) -> None:
    before = digest(desk)
    more = desk.form(PAGE, RULE | {"do": "add-watch", "base": before})
    assert 'name="watch-1-names"' in more.text
    less = desk.form(PAGE, RULE | {"do": "delete-watch-0", "base": before})
    assert 'name="watch-0-names"' not in less.text
    assert "nothing is stored yet" in less.text
    assert digest(desk) == before
    gone = {key: value for key, value in RULE.items() if not key.startswith("watch-0")}
    assert desk.form(PAGE, gone | {"do": "save", "base": before}).status_code == 303
    assert Library(desk.place.home).get("quiet").watches == ()


def test_text_keeps_its_comments_and_the_form_says_that_it_would_not(desk: Desk) -> None:
    text = (
        '# why: order 12/15\n[case]\nname = "quiet"\ntakedown = 2015-04-09\n'
        '[[watch]]\nnames = ["q.example"] # seized first\n'
    )
    data = {"tab": "text", "do": "save", "text": text.replace("\n", "\r\n")}
    assert desk.form(PAGE, data | {"base": digest(desk)}).status_code == 303
    assert Library(desk.place.home).text("quiet") == text
    assert "comments and the order of keys are lost" in desk.client.get(PAGE).text
    bad = desk.form(PAGE, data | {"text": text + "[[watch]]\nnmes = []\n", "base": digest(desk)})
    assert bad.status_code == 422
    assert "line 8" in said(bad.text)
    assert "did you mean names?" in said(bad.text)
    other = desk.form(PAGE, data | {"text": text.replace("quiet", "else"), "base": digest(desk)})
    assert "the text is that of another case" in other.text


def test_undo_and_undo_of_undo_are_versions_too(desk: Desk) -> None:
    first = digest(desk)
    desk.form(PAGE, RULE | {"do": "save", "base": first})
    second = digest(desk)
    page = desk.client.get(f"{PAGE}?stored={second}").text
    assert f'name="version" value="{first}"' in page
    back = desk.form(f"{PAGE}/restore", {"version": first, "base": second})
    assert back.status_code == 303
    assert digest(desk) == first
    assert desk.form(f"{PAGE}/restore", {"version": second, "base": first}).status_code == 303
    assert digest(desk) == second
    versions = [version.digest for version in Library(desk.place.home).versions("quiet")]
    assert versions == [first, second, first, second]
    page = desk.client.get(f"{PAGE}?tab=versions&version={first}").text
    assert "quiet.example" in said(page.partition("What restoring version")[2])
    unknown = desk.form(f"{PAGE}/restore", {"version": "0" * 16, "base": second})
    assert unknown.status_code == 404


def test_of_two_who_edit_at_once_neither_loses_anything(desk: Desk) -> None:
    base = digest(desk)
    theirs = RULE | {"watch-0-names": "theirs.example", "title": "Theirs"}
    assert desk.form(PAGE, theirs | {"do": "save", "base": base}).status_code == 303
    mine = RULE | {"watch-0-names": "mine.example", "title": "Mine"}
    answer = desk.form(PAGE, mine | {"do": "save", "base": base})
    assert answer.status_code == 409
    words = said(answer.text)
    assert '+ names = ["theirs.example"]' in words
    assert "mine.example" in answer.text
    assert Library(desk.place.home).get("quiet").title == "Theirs"
    restored = desk.form(f"{PAGE}/restore", {"version": base, "base": base})
    assert restored.status_code == 409
    assert desk.form(PAGE, mine | {"do": "overwrite", "base": base}).status_code == 303
    titles = [v.path.read_text() for v in Library(desk.place.home).versions("quiet")]
    assert ["Theirs" in text or "Mine" in text for text in titles] == [False, True, True]


def test_a_case_begins_in_the_browser_and_a_taken_name_is_refused(desk: Desk) -> None:
    answer = desk.form("/new", RULE | {"name": "fresh", "do": "save"})
    assert answer.headers["location"].startswith("/cases/fresh/edit?stored=")
    assert desk.form("/new", RULE | {"name": "fresh", "do": "save"}).status_code == 409
    for name in ("../x", "", "A"):
        answer = desk.form("/new", RULE | {"name": name, "do": "save"})
        assert answer.status_code == 422, name
    assert "fresh" in Library(desk.place.home).names()


def test_a_case_called_as_a_page_is_has_pages_like_any_other(desk: Desk) -> None:
    for name in ("new", "names", "edit", "map"):
        answer = desk.form("/new", RULE | {"name": name, "do": "save"})
        assert answer.headers["location"].startswith(f"/cases/{name}/edit?stored=")
        assert desk.client.get(f"/cases/{name}.json").json()["about"]["name"] == name
        for page in ("", "/edit", "/names", "/map", "/sensors", "/reports"):
            text = desk.client.get(f"/cases/{name}{page}", headers={"accept": "text/html"})
            assert text.status_code == 200, (name, page)
            assert f'href="/cases/{name}/names"' in text.text
    assert "New case" in desk.client.get("/new", headers={"accept": "text/html"}).text


def test_no_page_hides_those_of_a_case_account_or_report(desk: Desk) -> None:
    """A word of the site must not stand where another page of the same form has a name."""
    paths = {route.path for route in routes_of(desk.client.app)}  # type: ignore[arg-type]
    parts = [path.split("/") for path in paths]
    for one, other in product(parts, parts):
        if one == other or len(one) != len(other):
            continue
        pairs = list(zip(one, other, strict=True))
        if all(a == b or b in {"{case}", "{name}", "{id_}", "{sensor}"} for a, b in pairs):
            words = [a for a, b in pairs if a != b]
            assert all(word.startswith("{") for word in words), (one, other)


def test_a_built_in_case_becomes_a_copy_of_ones_own(desk: Desk) -> None:
    page = desk.client.get("/cases/zbot/edit").text
    assert "comes with the program" in page
    text = Library(desk.place.home).text("zbot") + "# mine\n"
    data = {"tab": "text", "do": "save", "text": text, "base": digest(desk, "zbot")}
    assert desk.form("/cases/zbot/edit", data).status_code == 303
    assert Library(desk.place.home).origin("zbot") == "stored"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("list.txt", b"a.new.example\nquiet.example\nhttp://bad.example/path\n"),
        ("list.csv", b"domain,role\na.new.example,c2\nquiet.example,c2\n"),
    ],
)
def test_a_file_adds_rules_to_the_form_before_anything_is_stored(
    desk: Desk, name: str, data: bytes
) -> None:
    before = digest(desk)
    answer = desk.form(
        PAGE, {"do": "import", "base": before, "role": "c2"}, files={"file": (name, data)}
    )
    assert answer.status_code == 200
    assert digest(desk) == before
    assert "a.new.example" in answer.text.partition('name="watch-1-names"')[2]
    assert "1 are watched already" in said(answer.text)
    at_once = {"do": "import", "at-once": "yes", "base": before, "role": "c2"}
    assert desk.form(PAGE, at_once, files={"file": (name, data)}).status_code == 303
    names = [n for watch in Library(desk.place.home).get("quiet").watches for n in watch.names]
    assert names == ["quiet.example", "a.new.example"]


@pytest.mark.parametrize("data", [b"", b"\0\xff\xfe", b"{", b"x" * (8 * 1024 * 1024 + 1)])
def test_a_file_that_cannot_be_used_is_no_end_of_the_page(desk: Desk, data: bytes) -> None:
    given = {"do": "import", "base": digest(desk), "role": "<script>", "format": "nonsense"}
    answer = desk.form(PAGE, given, files={"file": ('"><script>.txt', data)})
    assert answer.status_code == 422
    assert "<script>" not in answer.text


def test_a_file_that_somebody_broke_by_hand_is_mended_as_text(desk: Desk) -> None:
    path = desk.place.home / "cases" / "quiet" / "case.toml"
    path.unlink()
    path.write_text("[case\nname = 1", encoding="utf-8")
    page = desk.client.get(PAGE, headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "[case\nname = 1" in html.unescape(page.text)
    text = '[case]\nname = "quiet"\ntakedown = 2015-04-09\n'
    data = {"tab": "text", "do": "save", "text": text, "base": digest(desk)}
    assert desk.form(PAGE, data).status_code == 303


def test_forms_without_our_token_are_refused(desk: Desk) -> None:
    given = RULE | {"do": "save", "base": digest(desk), "csrf": "0" * 64}
    assert desk.form(PAGE, given).status_code == 403
    assert desk.client.put("/api/cases/quiet", json={"text": "x"}).status_code == 403


def test_a_form_of_nonsense_is_an_answer(desk: Desk) -> None:
    for given in (
        {"do": "delete-watch-999"},
        {"do": "x" * 5000, "watch-999-names": "a\0b\x7f\ud7ff", "watch-0-nonsense": "1"},
        {"tab": "text", "text": "a" * 999_999, "do": "save"},
        {"tab": "<script>", "takedown": "9" * 5000, "do": "save"},
        {f"watch-{n}-names": "a.example" for n in range(99)} | {"do": "check"},
        {"watch-0-names": "a.example\n" * 30_000, "do": "check"},
    ):
        assert desk.form(PAGE, given).status_code in {200, 409, 422}


def test_the_api_checks_stores_and_restores_as_the_page_does(desk: Desk) -> None:
    got: dict[str, Any] = desk.client.get("/cases/quiet/edit.json").json()
    draft, base = got["draft"], got["digest"]
    draft["watches"].append({"names": ["more.example"], "from": "2015-04-10"})
    look = desk.json("POST", "/api/cases/quiet/check", {"draft": draft}).json()
    assert look["is_valid"]
    assert look["changes"]["added"] == ["more.example"]
    saved = desk.json("PUT", "/api/cases/quiet", {"draft": draft, "base": base})
    assert saved.status_code == 200
    late = desk.json("PUT", "/api/cases/quiet", {"draft": draft | {"title": "x"}, "base": base})
    assert late.status_code == 409
    assert late.json()["error"]["status"] == 409
    back = {"version": base, "base": saved.json()["digest"]}
    assert desk.json("POST", "/api/cases/quiet/restore", back).json()["digest"] == base
    rows = desk.client.get("/api/cases/quiet/versions").json()
    assert [row["is_current"] for row in rows] == [True, False, False]
    text = desk.client.get(f"/api/cases/quiet/versions/{saved.json()['digest']}").json()
    assert "more.example" in text["text"]
    draft["watches"].append({"names": ["*.com"]})
    wrong = desk.json("POST", "/api/cases/quiet/check", {"draft": draft}).json()
    assert [one["field"] for one in wrong["wrong"]] == ["watch-2-names"]
    refused = desk.json("PUT", "/api/cases/quiet", {"draft": draft, "base": base})
    assert refused.status_code == 422
    assert refused.json()["error"]["where"] == "watch[2].names[0]"
    both = desk.json("PUT", "/api/cases/quiet", {"draft": draft, "text": "", "base": base})
    assert both.status_code == 422


def test_the_api_reads_a_file_of_indicators(desk: Desk) -> None:
    bundle = {
        "type": "bundle",
        "id": "bundle--11111111-1111-4111-8111-111111111111",
        "objects": [
            {
                "type": "indicator",
                "spec_version": "2.1",
                "id": "indicator--11111111-1111-4111-8111-111111111112",
                "pattern": "[domain-name:value = 'c2.stix.example']",
                "pattern_type": "stix",
                "valid_from": "2015-01-01T00:00:00Z",
            }
        ],
    }
    answer = desk.client.post(
        "/api/cases/stixed/import",
        files={"file": ("bundle.json", json.dumps(bundle).encode())},
        data={"takedown": "2015-04-08"},
        headers={"x-csrf-token": desk.token},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["draft"]["watches"][0]["names"] == ["c2.stix.example"]
    made = desk.json("PUT", "/api/cases/stixed", {"text": answer.json()["text"]})
    assert made.status_code == 200, made.text
