from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = b"correct horse battery\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    import argon2

    from remnant.web.access import passwords

    quick = argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST)
    monkeypatch.setattr(passwords, "hasher", lambda: quick)
    return Place(tmp_path)


def listed(place: Place, *what: str) -> list[dict[str, Any]]:
    done = place.run("account", *what, "--format", "json")
    assert done.code == 0, done.said
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def test_accounts_are_made_changed_and_closed(place: Place) -> None:
    assert listed(place, "list") == []
    assert place.run("account", "add", "olga", "--role", "operator", stdin=PASSWORD).code == 0
    added = place.run(
        "account", "add", "isp", "--role", "network-owner", "--network", "AS64500",
        "--network", "192.0.2.0/24", stdin=PASSWORD,
    )  # fmt: skip
    assert added.code == 0, added.said
    assert place.run("account", "role", "isp", "analyst").code == 0
    assert place.run("account", "disable", "isp").code == 0

    rows = {row["name"]: row for row in listed(place, "list")}
    assert rows["olga"]["role"] == "operator"
    assert (rows["isp"]["role"], rows["isp"]["networks"]) == ("analyst", "")
    assert rows["isp"]["state"] == "closed"
    assert place.run("account", "enable", "isp").code == 0
    assert {row["state"] for row in listed(place, "list")} == {"open"}


def test_a_password_is_never_an_argument_and_never_printed(place: Place) -> None:
    done = place.run("account", "add", "olga", "--role", "operator", stdin=PASSWORD)
    assert "correct" not in done.said
    assert place.run("account", "add", "olga", "--password", "x" * 20).code == 2
    again = place.run("account", "password", "olga", stdin=b"short\n")
    assert again.code == 1
    assert "12 to 256 characters" in again.err
    assert place.run("account", "password", "olga", stdin=b"quite another one\r\n").code == 0


def test_the_password_from_a_pipe_signs_in(place: Place) -> None:
    from remnant.settings import Settings
    from remnant.web.access.access import Access

    place.run("account", "add", "olga", "--role", "operator", stdin=PASSWORD)
    access = Access(Settings(home=place.home))
    assert access.accounts.check("olga", "correct horse battery") is not None
    access.close()


def test_a_token_is_printed_once_and_alone_on_the_line(place: Place) -> None:
    from remnant.settings import Settings
    from remnant.web.access.access import Access

    place.run("account", "add", "olga", "--role", "operator", stdin=PASSWORD)
    made = place.run(
        "account", "token", "make", "olga", "--label", "nightly", "--scope", "read",
        "--scope", "edit", "--days", "7",
    )  # fmt: skip
    secret = made.out.strip()
    assert made.out == f"{secret}\n"
    [row] = listed(place, "token", "list")
    assert row["scopes"] == "read edit"
    assert secret not in json.dumps(row)
    access = Access(Settings(home=place.home))
    assert access.tokens.find(secret) is not None
    assert place.run("account", "token", "revoke", row["id"]).code == 0
    assert access.tokens.find(secret) is None
    access.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "x", "--role", "king"),
        ("add", "x", "--role", "network_owner"),
        ("add", "../x", "--role", "analyst"),
        ("role", "nobody", "analyst"),
        ("password", "nobody"),
        ("disable", "nobody"),
        ("disable", "olga"),
        ("role", "olga", "analyst"),
        ("token", "make", "nobody", "--label", "x"),
        ("token", "make", "olga", "--label", "x", "--scope", "all"),
        ("token", "make", "olga", "--label", "x", "--days", "999"),
        ("token", "revoke", "000000"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_refused_with_a_message(place: Place, arguments: tuple[str, ...]) -> None:
    place.run("account", "add", "olga", "--role", "operator", stdin=PASSWORD)
    before = listed(place, "list")
    done = place.run("account", *arguments, stdin=PASSWORD)
    assert done.code in {1, 2}
    assert done.err
    assert "Traceback" not in done.said
    assert listed(place, "list") == before


def test_what_the_command_line_did_stands_in_the_audit_log(place: Place) -> None:
    from remnant.settings import Settings
    from remnant.web.access.access import Access

    place.run("account", "add", "olga", "--role", "operator", stdin=PASSWORD)
    place.run("account", "token", "make", "olga", "--label", "nightly")
    access = Access(Settings(home=place.home))
    assert [(e.account, e.action, e.subject) for e in access.log.entries()] == [
        ("command line", "token made", "olga: nightly (read, 90 days)"),
        ("command line", "account added", "olga: operator"),
    ]
    access.close()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_serving_elsewhere_without_an_operator_is_refused_before_anything_listens(
    place: Place, listen: str
) -> None:
    done = place.run("serve", "--listen", listen)
    assert done.code == 1
    assert "remnant account add NAME --role operator" in done.err
    assert "Serving" not in done.said
