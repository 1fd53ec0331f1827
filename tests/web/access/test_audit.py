from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from remnant.errors import StoreError
from remnant.web.access import audit
from remnant.web.access.actions import COMMAND_LINE
from remnant.web.access.audit import Action
from remnant.web.access.tokens import Scope
from web.access.test_sessions import Clock
from web.guarded import ANALYST, OPERATOR, OWNER, PASSWORD, bare, guarding, make_people, send

if TYPE_CHECKING:
    from pathlib import Path

    from story.telling import Place
    from web.guarded import Guarded


def test_lines_are_bounded_and_escaped(site: Guarded) -> None:
    site.access.log.record("x" * 900, "y" * 900, Action.CASE_EDITED, "\x1b[2J\u202e<b>" + "z" * 900)
    [entry] = site.access.log.entries()
    assert len(entry.account) <= 64
    assert len(entry.address) <= 64
    assert len(entry.subject) <= 200
    assert entry.subject.startswith("\\x1b[2J\\u202e<b>")


def test_pages_of_the_log_neither_miss_nor_repeat_a_line(site: Guarded) -> None:
    for number in range(25):
        site.access.log.record(ANALYST, "", Action.REPORT_MADE, str(number))
    operator = site.signed_in(OPERATOR)
    seen: list[str] = []
    after = None
    for _ in range(10):
        query = f"?limit=10&account={ANALYST}" + (f"&after={after}" if after else "")
        page = operator.get(f"/audit.json{query}").json()
        seen += [entry["subject"] for entry in page["entries"]]
        # What is new does not move what is asked for.
        site.access.log.record(ANALYST, "", Action.REPORT_DOWNLOADED, "new")
        after = page["after"]
        if after is None:
            break
    assert seen == [str(number) for number in reversed(range(25))]


def test_the_log_is_read_by_account_and_action_and_as_csv(site: Guarded) -> None:
    site.access.log.record(ANALYST, "192.0.2.1", Action.REPORT_MADE, "=cmd|x")
    operator = site.signed_in(OPERATOR)
    found = operator.get("/audit.json?action=report+made").json()["entries"]
    assert [(e["account"], e["address"], e["subject"]) for e in found] == [
        (ANALYST, "192.0.2.1", "=cmd|x")
    ]
    assert operator.get("/audit.json?account=nobody").json()["entries"] == []
    lines = operator.get("/audit.csv?action=report+made").text.splitlines()
    assert lines[0] == "id,at,account,address,action,subject,outcome"
    assert lines[1].endswith("report made,'=cmd|x,done")
    page = operator.get("/audit?limit=1", headers={"accept": "text/html"}).text
    assert "Older entries" in page
    assert "after=" in page


@pytest.mark.parametrize(
    "query",
    ["after=0", "after=x", "after=WyJhIl0", "limit=0", "limit=1001", "other=1", "before=3"],
)
def test_a_wrong_question_is_answered_422(site: Guarded, query: str) -> None:
    assert site.signed_in(OPERATOR).get(f"/audit.json?{query}").status_code == 422


def test_lines_older_than_is_kept_are_gone(site: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(audit, "datetime", clock)
    log = site.access.log
    log.record(ANALYST, "", Action.REPORT_MADE, "old")
    clock.time += timedelta(days=364)
    assert [entry.subject for entry in log.entries()] == ["old"]
    clock.time += timedelta(days=2)
    assert log.entries() == []
    monkeypatch.setattr(log, "_pruned", float("-inf"))
    log.record(ANALYST, "", Action.REPORT_MADE, "new")
    monkeypatch.setattr(log, "_kept", timedelta(days=9_999))
    assert [entry.subject for entry in log.entries()] == ["new"]


def test_what_a_page_repeats_is_recorded_once_a_minute(
    site: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = site.access.log
    for _ in range(5):
        log.record(ANALYST, "", Action.CLIENTS_SEEN, "taken")
        log.record(ANALYST, "", Action.REPORT_MADE, "taken")
    log.record(OPERATOR, "", Action.CLIENTS_SEEN, "taken")
    assert [e.action for e in log.entries()].count("clients looked at") == 2
    assert [e.action for e in log.entries()].count("report made") == 5
    for number in range(5_000):
        log._is_new((str(number),))
    assert len(log._said) <= 1_000


def test_on_a_guarded_site_what_cannot_be_recorded_is_not_done(
    site: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("the accounts cannot be read or written")

    operator = site.signed_in(OPERATOR)
    anna = site.signed_in(ANALYST)
    monkeypatch.setattr(site.access.log, "record", full)
    assert operator.get("/audit.json").status_code == 200
    assert anna.get("/audit.json").status_code == 500


def test_this_machines_user_may_look_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app
    from web.guarded import send

    def full(*_: object) -> None:
        raise StoreError("the accounts cannot be read or written")

    app = create_app(bare(tmp_path), beside=False)
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as local:
        monkeypatch.setattr(app.state.access.log, "record", full)
        with caplog.at_level(logging.WARNING):
            answer = send(local, "/accounts", "/logout")
    assert answer.status_code == 303
    assert "not recorded: logout" in caplog.text


def test_accounts_tokens_and_failures_each_have_their_action(site: Guarded) -> None:
    operator, anna = site.signed_in(OPERATOR), site.signed_in(ANALYST)
    stranger = site.browser()
    assert send(stranger, "/login", "/login", name="eve", password="guess").status_code == 401
    send(operator, "/accounts", f"/accounts/{ANALYST}/role", role="network_owner", networks="AS1")
    send(operator, "/accounts", f"/accounts/{ANALYST}/role", role="analyst")
    send(anna, "/account", "/account/tokens", label="nightly", days="3", scope="read")
    (token,) = site.access.tokens.of(ANALYST)
    send(operator, "/accounts", f"/accounts/tokens/{token.id}/revoke")
    send(anna, "/account", "/account/password", current="wrong", new=PASSWORD, again=PASSWORD)
    entries = [e for e in reversed(site.access.log.entries()) if e.action != "login"]
    assert [(e.account, e.action, e.subject) for e in entries] == [
        ("", "login failed", "eve"),
        (OPERATOR, "role changed", "anna: network_owner of AS1, was analyst"),
        (OPERATOR, "role changed", "anna: analyst, was network_owner of AS1"),
        (ANALYST, "token made", "anna: nightly (read, 3 days)"),
        (OPERATOR, "token revoked", "anna: nightly"),
        (ANALYST, "login failed", "current password"),
    ]
    assert {e.address for e in entries} == {"testclient"}
    assert all(abs(e.at - datetime.now(tz=UTC)) < timedelta(minutes=5) for e in entries)


def test_who_looked_at_clients_and_who_edited_a_case_is_recorded(
    filled: Place, tmp_path: Path, quick_passwords: None
) -> None:
    from web.conftest import settings_of
    from web.own_home import copied

    settings = settings_of(copied(filled, tmp_path / "copy"))
    make_people(settings)
    with guarding(settings, beside=False) as site:
        owner, other, anna = (site.signed_in(name) for name in (OWNER, OPERATOR, ANALYST))
        for browser in (owner, other):
            # The second answer of each comes from what is kept; it is seen all the same.
            for _ in range(2):
                site.access.log._said.clear()
                assert browser.get("/cases/taken/clients.json").status_code == 200
        assert owner.get("/cases/taken/clients.csv").status_code == 200
        assert other.get("/cases/taken/clients.csv?network=AS64500").status_code == 200
        assert anna.get("/cases/taken/exports/clients.csv").status_code == 200
        sensor = anna.get("/cases/taken/sensors.json").json()["sensors"][0]["sensor"]
        page = "/cases/taken/sensors"
        send(anna, page, f"{page}/retire", sensor=sensor, at="2020-01-01")
        send(anna, page, f"{page}/retire", sensor=sensor, undo="true")
        page = "/cases/taken/reports"
        send(anna, page, page, kind="map-csv")
        made = anna.get(f"{page}.json").json()["reports"][0]["id"]
        send(anna, page, f"{page}/{made}/delete")
        text = anna.get("/api/cases/taken/text").json()
        token = site.access.tokens.make(ANALYST, "test", set(Scope), 1)
        answer = site.client.put(
            "/api/cases/taken",
            json={"text": text["text"] + "\n# more\n", "base": text["digest"]},
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 200, answer.text
        told = [
            (who, what, subject)
            for who, what, subject in site.actions()
            if what != "login" and who != COMMAND_LINE
        ]
        assert told == [
            *[(OWNER, "clients looked at", "taken")] * 2,
            *[(OPERATOR, "clients looked at", "taken")] * 2,
            (OWNER, "clients exported", "taken"),
            (OPERATOR, "clients exported", "taken of AS64500"),
            (ANALYST, "clients exported", "taken"),
            (ANALYST, "sensor retired", f"taken {sensor} at 2020-01-01T00:00:00Z"),
            (ANALYST, "sensor expected again", f"taken {sensor}"),
            (ANALYST, "report made", "taken map-csv"),
            (ANALYST, "report deleted", f"taken {made} (map-csv)"),
            (ANALYST, "case edited", f"taken {answer.json()['digest']}"),
        ]


def test_what_failed_is_recorded_with_the_reason(site: Guarded) -> None:
    operator = site.signed_in(OPERATOR)
    page = "/accounts"
    short = send(operator, page, page, name="new", password="short", again="short")
    assert short.status_code == 422
    (entry,) = [e for e in site.access.log.entries() if e.action == "account added"]
    assert (entry.account, entry.subject) == (OPERATOR, "POST /accounts")
    assert entry.outcome.startswith("refused (422): ")
    shown = operator.get(page.replace("accounts", "audit"), headers={"accept": "text/html"}).text
    assert "refused (422)" in shown
    send(operator, page, page, name="new", password=PASSWORD, again=PASSWORD)
    found = operator.get("/audit.json?action=account+added").json()["entries"]
    assert [e["outcome"].partition(":")[0] for e in found] == ["done", "refused (422)"]


def test_outcomes_are_bounded_escaped_and_go_with_their_lines(
    site: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlalchemy as sa

    from remnant.web.access.tables import AUDIT_OUTCOME

    clock = Clock()
    monkeypatch.setattr(audit, "datetime", clock)
    log = site.access.log
    for _ in range(3):  # a failure that repeats is one line a minute
        log.record(ANALYST, "", Action.REPORT_MADE, "taken", "\x1b[2J" + "<b>" * 900)
    (entry,) = log.entries()
    assert len(entry.outcome) <= 200
    assert entry.outcome.startswith("\\x1b[2J<b>")
    clock.time += timedelta(days=400)
    monkeypatch.setattr(log, "_pruned", float("-inf"))
    log.record(ANALYST, "", Action.REPORT_MADE, "new")
    with log._database.reading(AUDIT_OUTCOME) as connection:
        assert connection is not None
        assert connection.scalar(sa.select(sa.func.count()).select_from(AUDIT_OUTCOME)) == 0


def test_a_log_that_was_begun_without_outcomes_is_read_and_gets_them(site: Guarded) -> None:
    import sqlalchemy as sa

    from remnant.web.access.tables import AUDIT_OUTCOME, Database

    log = site.access.log
    log.record(ANALYST, "", Action.REPORT_MADE, "old")
    with log._database.writing() as connection:
        AUDIT_OUTCOME.drop(connection)
    database = Database(site.app.state.site.settings)
    try:
        older = audit.AuditLog(database, site.app.state.site.settings.web)
        assert [(e.subject, e.outcome) for e in older.entries()] == [("old", "done")]
        older.record(ANALYST, "", Action.REPORT_MADE, "new", "refused")
        assert [(e.subject, e.outcome) for e in older.entries()] == [
            ("new", "refused"),
            ("old", "done"),
        ]
        with database.reading(AUDIT_OUTCOME) as reading:
            assert reading is not None
            assert AUDIT_OUTCOME.name in sa.inspect(reading).get_table_names()
    finally:
        database.close()
