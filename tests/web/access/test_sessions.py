from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from remnant.errors import AccessError
from remnant.web.access import sessions, tokens
from remnant.web.access.access import Access
from remnant.web.access.tokens import Scope
from web.guarded import ANALYST, OPERATOR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.settings import Settings


class Clock:
    """Stands for the class of times in the modules under test."""

    def __init__(self) -> None:
        self.time = datetime.now(tz=UTC)

    def now(self, tz: Any = None) -> datetime:  # noqa: ARG002 - as datetime.now
        return self.time

    def pass_hours(self, hours: float) -> None:
        self.time += timedelta(hours=hours)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (sessions, tokens):
        monkeypatch.setattr(module, "datetime", clock)
    return clock


@pytest.fixture
def access(peopled: Settings, clock: Clock) -> Iterator[Access]:
    found = Access(peopled, guarded=True)
    yield found
    found.close()


def test_a_session_lasts_while_it_is_used_and_at_most_its_hours(
    access: Access, clock: Clock
) -> None:
    secret = access.sessions.start(ANALYST, "192.0.2.1")
    for _ in range(7):
        clock.pass_hours(1.6)
        assert access.sessions.find(secret) is not None
    clock.pass_hours(1.0)
    assert access.sessions.find(secret) is None


def test_a_session_that_nobody_uses_ends_sooner(access: Access, clock: Clock) -> None:
    secret = access.sessions.start(ANALYST, "192.0.2.1")
    clock.pass_hours(2.01)
    assert access.sessions.find(secret) is None
    assert access.sessions.of(ANALYST) == []


def test_sessions_that_are_over_are_forgotten(access: Access, clock: Clock) -> None:
    import sqlalchemy as sa

    for _ in range(3):
        access.sessions.start(ANALYST, "192.0.2.1")
    clock.pass_hours(3)
    access.sessions.start(ANALYST, "192.0.2.1")
    with access._database.reading() as connection:
        assert connection is not None
        assert connection.scalar(sa.text("SELECT count(*) FROM web_session")) == 1


def test_secrets_are_long_and_not_in_the_database(access: Access, tmp_path: Path) -> None:
    made = {access.sessions.start(ANALYST, "") for _ in range(20)}
    made |= {access.tokens.make(ANALYST, f"t{n}", {Scope.READ}, 1) for n in range(20)}
    stored = (tmp_path / "home" / "state.sqlite").read_bytes()
    assert len(made) == 40
    for secret in made:
        assert len(secret.removeprefix("remnant_")) >= 43, "256 bits"
        assert secret.removeprefix("remnant_").encode() not in stored


@pytest.mark.parametrize("secret", ["", "x", "x" * 100_000, "\ud800", "'; DROP TABLE account; --"])
def test_what_is_no_secret_finds_nothing(access: Access, secret: str) -> None:
    assert access.sessions.find(secret) is None
    assert access.tokens.find(secret) is None
    assert len(access.accounts.all()) == 3


def test_the_digest_of_a_session_is_not_its_secret(access: Access) -> None:
    access.sessions.start(ANALYST, "")
    [session] = access.sessions.of(ANALYST)
    assert access.sessions.find(session.digest) is None


def test_one_can_end_ones_other_sessions(access: Access) -> None:
    first, second = (access.sessions.start(ANALYST, "") for _ in range(2))
    access.sessions.end_all(ANALYST, but=second)
    assert access.sessions.find(first) is None
    assert access.sessions.find(second) is not None
    access.sessions.end(second)
    assert access.sessions.find(second) is None


def test_a_token_ends_on_its_day(access: Access, clock: Clock) -> None:
    secret = access.tokens.make(ANALYST, "nightly", {Scope.READ, Scope.EDIT}, 30)
    found = access.tokens.find(secret)
    assert found is not None
    assert found[0].name == ANALYST
    assert found[1] == {Scope.READ, Scope.EDIT}
    [token] = access.tokens.of(ANALYST)
    assert token.last_used == clock.time

    clock.pass_hours(24 * 30)
    assert access.tokens.find(secret) is None
    assert access.tokens.of(ANALYST)[0].is_over


def test_a_token_is_revoked_by_its_owner_or_by_an_operator(access: Access) -> None:
    secret = access.tokens.make(ANALYST, "nightly", {Scope.READ}, 30)
    [token] = access.tokens.of()
    with pytest.raises(AccessError, match="no such token"):
        access.tokens.revoke(token.id, account=OPERATOR)
    assert access.tokens.find(secret) is not None
    access.tokens.revoke(token.id, account=ANALYST)
    assert access.tokens.find(secret) is None


@pytest.mark.parametrize(
    ("account", "label", "scopes", "days"),
    [
        ("nobody", "x", {Scope.READ}, 1),
        (ANALYST, " ", {Scope.READ}, 1),
        (ANALYST, "x" * 81, {Scope.READ}, 1),
        (ANALYST, "x\0y", {Scope.READ}, 1),
        (ANALYST, "x", set(), 1),
        (ANALYST, "x", {Scope.READ}, 0),
        (ANALYST, "x", {Scope.READ}, 367),
    ],
)
def test_tokens_that_cannot_be_are_refused(
    access: Access, account: str, label: str, scopes: set[Scope], days: int
) -> None:
    with pytest.raises(AccessError):
        access.tokens.make(account, label, scopes, days)


def test_an_account_has_a_bounded_number_of_tokens(access: Access) -> None:
    for number in range(50):
        access.tokens.make(ANALYST, f"t{number}", {Scope.READ}, 1)
    with pytest.raises(AccessError, match="too many"):
        access.tokens.make(ANALYST, "one more", {Scope.READ}, 1)
