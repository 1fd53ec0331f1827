"""Who comes in, where the accounts stand on a PostgreSQL server, and in older databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from remnant.errors import AccessError
from remnant.store import Store
from remnant.web.access.access import Access
from remnant.web.access.audit import Action
from remnant.web.access.limits import LoginLimits
from remnant.web.access.tables import Database
from remnant.web.access.tokens import Scope
from remnant.web.access.viewer import Role
from store.test_store import DAY, put
from web.guarded import ANALYST, OPERATOR, OWNER, PASSWORD, bare, guarding, make_people, send

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.settings import Settings
    from web.guarded import Guarded


@pytest.fixture
def on_server(postgres: str, tmp_path: Path, quick_passwords: None) -> Settings:
    """Settings of a home whose accounts stand on a server, with one of every role."""
    settings = replace(bare(tmp_path), database=postgres)
    make_people(settings)
    return settings


@pytest.fixture
def served(on_server: Settings) -> Iterator[Guarded]:
    with guarding(on_server) as running:
        yield running


def test_people_sign_in_work_and_leave_their_traces(served: Guarded) -> None:
    operator, analyst = served.signed_in(OPERATOR), served.signed_in(ANALYST)
    assert analyst.get("/audit.json").status_code == 403
    made = send(operator, "/accounts", "/accounts", name="new", password=PASSWORD, again=PASSWORD)
    assert made.status_code == 303
    assert send(operator, "/accounts", "/accounts/new/role", role="operator").status_code == 303
    listed = operator.get("/accounts.json").json()["accounts"]
    assert [one["name"] for one in listed] == [ANALYST, OWNER, "new", OPERATOR]
    secret = served.access.tokens.make(ANALYST, "nightly", {Scope.READ}, 1)
    bearer = {"authorization": f"Bearer {secret}"}
    assert served.client.get("/cases.json", headers=bearer).status_code == 200
    assert send(operator, "/accounts", f"/accounts/{ANALYST}/state", disabled="true").is_redirect
    assert served.client.get("/cases.json", headers=bearer).status_code == 401
    assert analyst.get("/cases.json").status_code == 401
    assert [what for _, what, _ in served.actions()] == [
        "login", "login", "denied", "account added", "role changed", "account closed",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["a%00b", "%ED%A0%80", "x" * 60, "%F0%9F%98%80"])
def test_text_that_the_server_cannot_hold_is_no_failure_of_ours(served: Guarded, text: str) -> None:
    operator = served.signed_in(OPERATOR)
    assert operator.get(f"/audit.json?account={text}").status_code in {200, 422}
    assert operator.get(f"/audit.json?action={text[:40]}").status_code in {200, 422}
    assert send(operator, "/accounts", f"/accounts/{text}/role", role="analyst").status_code == 404
    page = served.browser()
    assert send(page, "/login", "/login", name="a\0b", password="\0").status_code == 401


def test_data_that_come_after_the_dashboard_was_opened_are_shown(
    served: Guarded, on_server: Settings
) -> None:
    snapshots = served.app.state.site.snapshots
    assert snapshots.extent("demo").read_at is None
    with Store.open(on_server, write=True) as store:
        put(store, [{"time": DAY, "client": 1}])
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: snapshots.extent("demo"), range(3)):
            assert found.last == DAY
    with snapshots.view("demo") as view:
        assert [one.id for one in view.sources] == ["s1"]


def test_two_operators_cannot_close_each_other(on_server: Settings) -> None:
    access = Access(on_server)
    access.accounts.set_role(ANALYST, Role.OPERATOR)
    gate = threading.Barrier(2)

    def close(name: str) -> bool:
        gate.wait()
        try:
            access.accounts.disable(name, disabled=True)
        except AccessError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(close, (OPERATOR, ANALYST))) == [False, True]
    assert access.accounts.has_operator()
    access.close()


def test_one_name_is_taken_once(on_server: Settings) -> None:
    access = Access(on_server)
    gate = threading.Barrier(4)

    def add(_: int) -> bool:
        gate.wait()
        try:
            access.accounts.add("new", PASSWORD, Role.ANALYST)
        except AccessError as error:
            assert "already" in str(error)  # noqa: PT017 - the others are refused, not broken
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(add, range(4))) == 1
    access.close()


def test_servers_of_one_database_count_passwords_together(on_server: Settings) -> None:
    now = datetime.now(tz=UTC)
    servers = [Database(on_server) for _ in range(4)]
    limits = [LoginLimits(one, 5, lambda: now) for one in servers]
    with ThreadPoolExecutor(20) as pool:
        waits = list(pool.map(lambda n: limits[n % 4].begin(OPERATOR, "192.0.2.1"), range(40)))
    assert waits.count(0.0) == 5
    for one in servers:
        one.close()


def test_an_older_database_gets_the_tables_that_it_lacks(peopled: Settings) -> None:
    access = Access(peopled)
    with access._database.writing() as connection:
        connection.execute(sa.text("DROP TABLE login_try"))
    access.close()
    access = Access(peopled)
    assert [one.name for one in access.accounts.all()] == [ANALYST, OWNER, OPERATOR]
    assert access.limits.begin(OPERATOR, "192.0.2.1") == 0.0
    access.log.record(OPERATOR, "", Action.LOGIN, "")
    access.close()
