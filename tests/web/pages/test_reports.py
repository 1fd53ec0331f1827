from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from remnant.web.making.made import ENDINGS, Made, Shelf, Wish
from remnant.web.making.making import MOST_WAITING, Making
from remnant.web.making.work import make
from web.browsing import until
from web.conftest import settings_of
from web.guarded import ANALYST, OWNER
from web.hostile import CASE, QUIET
from web.own_home import HTML, own_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from story.telling import Place
    from web.guarded import Guarded
    from web.own_home import Own

REPORTS = f"/cases/{CASE}/reports"


@pytest.fixture(scope="module")
def own(filled: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    with own_home(filled, tmp_path_factory.mktemp("reports")) as opened:
        yield opened


@pytest.fixture(scope="module")
def shelf(own: Own) -> Shelf:
    return Shelf(own.place.home)


def made(own: Own, shelf: Shelf, wish: Wish, case: str = CASE) -> Made:
    """Make a file in this process."""
    return make(settings_of(own.place), shelf, shelf.begin(case, wish, "anna"))


@pytest.fixture(scope="module")
def public(own: Own, shelf: Shelf) -> Made:
    return made(own, shelf, Wish("report"))


def row_of(own: Own, id_: str, case: str = CASE) -> dict[str, Any]:
    rows = own.json(f"/cases/{case}/reports.json")["reports"]
    return next(row for row in rows if row["id"] == id_)


def test_a_report_is_listed_with_what_it_holds(own: Own, public: Made) -> None:
    row = row_of(own, public.id)
    assert (row["state"], row["internal"], row["by"]) == ("done", False, "anna")
    assert row["vantage"] == "resolver"
    answer = own.client.get(row["file"])
    assert answer.status_code == 200
    assert len(answer.content) == row["bytes"]
    assert row["digest"] in answer.text
    assert row["since"] < row["until"]


def test_a_report_is_saved_or_shown_but_never_a_page_of_this_server(own: Own, public: Made) -> None:
    saved = own.client.get(f"{REPORTS}/{public.id}/file")
    assert saved.headers["content-disposition"].startswith("attachment")
    shown = own.client.get(f"{REPORTS}/{public.id}/shown")
    for answer in (saved, shown):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'")
        assert "script-src" not in policy
        assert "'self'" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    assert shown.headers["content-type"].startswith("text/html")


def test_scripts_of_an_interactive_report_run_without_the_rights_of_this_server(
    own: Own, shelf: Shelf, public: Made
) -> None:
    wish = Wish("report", interactive=True)
    told = shelf.begin(CASE, wish, "anna")
    shelf.to_write(told).write_bytes(shelf.path(public).read_bytes())
    shelf.put(Made(**{**_fields(told), "state": "done"}))
    policy = own.client.get(f"{REPORTS}/{told.id}/shown").headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in policy
    shelf.remove(told)


def _fields(one: Made) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Made.__dataclass_fields__}


@pytest.mark.parametrize(
    "path",
    [
        "..%2F..%2Fsettings.toml/file",
        "%2e%2e/file",
        "../../settings.toml",
        "..%5c..%5csettings/file",
        "20150101t000000-0000000/file",
        "20150101t000000-00000000/file",
        "20150101t000000-00000000%00/file",
        "elsewhere/file",
        "x" * 61 + "/file",
        "%2Fetc%2Fpasswd/shown",
    ],
)
def test_no_request_leads_to_another_file(own: Own, path: str) -> None:
    answer = own.client.get(f"{REPORTS}/{path}")
    assert answer.status_code in {404, 422}
    assert "error" in answer.json()


def test_a_record_cannot_point_elsewhere(own: Own, shelf: Shelf) -> None:
    told = shelf.begin(CASE, Wish("report"), "anna")
    record = own.place.home / "reports" / CASE / f"{told.id}.json"
    lying = json.loads(record.read_text()) | {"id": "../../settings", "case": "..", "state": "done"}
    lying["wish"] = {"kind": "../../toml"}
    record.write_text(json.dumps(lying))
    assert own.client.get(f"{REPORTS}/{told.id}/file").status_code == 404
    lying["wish"] = {"kind": "report"}
    record.write_text(json.dumps(lying))
    target = own.place.home / "reports" / CASE / f"{told.id}.html"
    target.symlink_to(own.place.home / "settings.toml")
    assert own.client.get(f"{REPORTS}/{told.id}/file").status_code == 404
    target.unlink()
    for text in ("", "[]", "{", "[" * 50_000, '{"wish": 3}'):
        record.write_text(text)
        assert own.client.get(f"{REPORTS}.json").status_code == 200
    record.unlink()


def test_a_file_of_another_case_is_not_found_here(own: Own, public: Made) -> None:
    assert own.client.get(f"/cases/{QUIET}/reports/{public.id}/file").status_code == 404


def test_a_report_of_a_command_is_listed_and_said_not_to_tell_what_it_is(own: Own) -> None:
    path = own.place.home / "reports" / f"{CASE}.html"
    path.write_text("<!doctype html><title>made by a command</title>")
    row = row_of(own, "elsewhere")
    assert (row["internal"], row["by"]) == (None, "a command")
    assert own.client.get(row["file"]).text == path.read_text()
    answer = own.send(REPORTS, f"{REPORTS}/elsewhere/delete")
    assert answer.status_code == 303
    assert not path.exists()


def test_figures_and_maps_are_files_that_open(own: Own, shelf: Shelf) -> None:
    done = made(own, shelf, Wish("map-csv"))
    assert done.problem is None
    with zipfile.ZipFile(shelf.path(done)) as file:
        assert sorted(file.namelist()) == [f"{CASE}-edges.csv", f"{CASE}-nodes.csv"]
    done = made(own, shelf, Wish("map-graphml"))
    assert b"<graphml" in shelf.path(done).read_bytes()
    answer = own.client.get(f"{REPORTS}/{done.id}/shown")
    assert answer.status_code == 409
    shelf.remove(done)
    assert own.client.get(f"{REPORTS}/{done.id}/file").status_code == 404


def test_what_cannot_be_made_says_why(own: Own, shelf: Shelf) -> None:
    failed = made(own, shelf, Wish("report"), QUIET)
    assert failed.state == "failed"
    assert "nothing was ingested" in str(failed.problem)
    assert "nothing was ingested" in own.page(f"/cases/{QUIET}/reports")
    outside = made(own, shelf, Wish("report", since="1999-01-01", until="1999-01-02"))
    assert "outside the data" in str(outside.problem)
    assert own.client.get(f"{REPORTS}/{outside.id}/file").status_code == 404


def test_a_report_asked_for_by_form_is_made_beside_the_server(own: Own) -> None:
    before = {one["id"] for one in own.json(f"{REPORTS}.json")["reports"]}
    answer = own.send(REPORTS, REPORTS, kind="map-csv", internal="true")
    assert (answer.status_code, answer.headers["location"]) == (303, REPORTS)
    (row,) = (one for one in own.json(f"{REPORTS}.json")["reports"] if one["id"] not in before)
    assert row["internal"] is True
    until(lambda: row_of(own, row["id"])["state"] not in {"waiting", "working"}, seconds=300)
    assert row_of(own, row["id"])["state"] == "done"
    assert own.send(REPORTS, f"{REPORTS}/{row['id']}/delete").status_code == 303
    assert row["id"] not in {one["id"] for one in own.json(f"{REPORTS}.json")["reports"]}


def test_without_scripts_the_list_is_loaded_again_while_something_is_made(
    own: Own, shelf: Shelf
) -> None:
    assert "http-equiv" not in own.page(REPORTS)
    told = shelf.begin(CASE, Wish("map-csv"), "anna")
    assert row_of(own, told.id)["state"] == "waiting"
    assert '<noscript><meta http-equiv="refresh"' in own.page(REPORTS)
    shelf.remove(told)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "passwd"},
        {"since": "someday"},
        {"since": "2015-04-10", "until": "2015-04-09"},
        {"vantage": "moon"},
        {"until": "9" * 50},
    ],
)
def test_what_is_no_wish_is_refused(own: Own, fields: dict[str, str]) -> None:
    before = len(own.json(f"{REPORTS}.json")["reports"])
    assert own.send(REPORTS, REPORTS, **fields).status_code == 422
    assert len(own.json(f"{REPORTS}.json")["reports"]) == before


def test_only_so_many_files_wait_and_a_stopped_server_is_told(own: Own, shelf: Shelf) -> None:
    making = Making(settings_of(own.place))
    making._thread = object()  # type: ignore[assignment]  # nobody works
    wishes = [making.ask(QUIET, Wish("report"), "anna") for _ in range(MOST_WAITING)]
    with pytest.raises(Exception, match="wait already"):
        making.ask(QUIET, Wish("report"), "anna")
    for one in wishes:
        making.remove(one)
    gone = shelf.begin(QUIET, Wish("report"), "anna")
    shelf.put(Made(**{**_fields(gone), "server": 2**22 + 1}))
    assert shelf.get(QUIET, gone.id).state == "stopped"
    shelf.remove(gone)


def test_a_file_that_takes_too_long_is_given_up(own: Own, shelf: Shelf) -> None:
    making = Making(settings_of(own.place), seconds=0.05)
    told = making.ask(CASE, Wish("report"), "anna")
    until(lambda: not shelf.get(CASE, told.id).is_open)
    assert "given up" in str(shelf.get(CASE, told.id).problem)
    making.close()
    shelf.remove(told)


def test_exports_hold_the_rows_of_the_commands(own: Own) -> None:
    base = f"/cases/{CASE}/exports"
    for path, command in (
        ("traffic.csv?by=name", ("traffic", CASE, "--by", "name")),
        ("traffic.csv?by=day", ("traffic", CASE)),
        ("traffic.csv?by=network", ("traffic", CASE, "--by", "network")),
        ("clients.csv", ("clients", CASE)),
        ("servers.csv", ("servers", CASE)),
        ("unlisted.csv", ("traffic", CASE, "--by", "name", "--unlisted")),
    ):
        answer = own.client.get(f"{base}/{path}")
        assert answer.headers["content-disposition"].startswith("attachment")
        told = own.place.do(*command, "--format", "csv").out
        assert answer.text == told, path
    rows = list(csv.reader(io.StringIO(own.client.get(f"{base}/traffic.csv?by=name").text)))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/cases/{QUIET}/exports/traffic.csv", 404),
        (f"/cases/{CASE}/exports/traffic.csv?by=moon", 422),
        (f"/cases/{CASE}/exports/traffic.csv?since=someday", 422),
        (f"/cases/{CASE}/exports/traffic.csv?since=1999-01-01&until=1999-01-02", 404),
        ("/cases/there-is-none/exports/clients.csv", 404),
    ],
)
def test_an_export_that_cannot_be_written_says_so_first(own: Own, path: str, status: int) -> None:
    for _ in range(4):  # more than may be written at once: a failed one lets the next one in
        assert own.client.get(path).status_code == status


def test_only_analysts_see_reports_names_and_sensors(site: Guarded) -> None:
    paths = [REPORTS, f"{REPORTS}.json", f"{REPORTS}/elsewhere/file", f"/cases/{CASE}/names",
             f"/cases/{CASE}/names/a.example", f"/cases/{CASE}/servers", f"/cases/{CASE}/unlisted",
             f"/cases/{CASE}/sensors", f"/cases/{CASE}/exports/clients.csv"]  # fmt: skip
    owner, analyst = site.signed_in(OWNER), site.signed_in(ANALYST)
    for path in paths:
        headers = {"accept": "application/json"}
        assert site.browser().get(path, headers=headers).status_code in {401, 403}, path
        assert owner.get(path, headers=headers).status_code == 403, path
        # Let in; there is no such case in this home.
        assert analyst.get(path, headers=headers).status_code not in {401, 403}, path
    for path in (REPORTS, f"{REPORTS}/elsewhere/delete", f"/cases/{CASE}/sensors/retire"):
        assert owner.post(path, data={"sensor": "a"}, headers=HTML).status_code == 403


def test_every_kind_has_an_ending() -> None:
    from remnant.web.pages.reports import _TYPES, _WORDS

    assert set(_WORDS) == set(ENDINGS)
    assert set(_TYPES) == set(ENDINGS.values())
