from __future__ import annotations

from typing import TYPE_CHECKING

import argon2
import pytest

from remnant.errors import AccessError, StoreBusy
from remnant.web.access import passwords
from remnant.web.access.access import Access
from remnant.web.access.viewer import Role
from web.guarded import ANALYST, NETWORKS, OPERATOR, OWNER, PASSWORD, bare, make_people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.settings import Settings

NEW = "another long password"


@pytest.fixture
def access(peopled: Settings) -> Iterator[Access]:
    found = Access(peopled, guarded=True)
    yield found
    found.close()


def test_before_the_first_account_nothing_is_written(tmp_path: Path) -> None:
    access = Access(bare(tmp_path))
    assert access.accounts.all() == []
    assert access.sessions.find("x") is None
    assert access.tokens.find("x") is None
    assert access.log.entries() == []
    assert not (tmp_path / "home").exists()
    access.close()


def test_the_database_with_passwords_is_for_no_other_user_of_the_machine(
    access: Access, tmp_path: Path
) -> None:
    assert (tmp_path / "home" / "state.sqlite").stat().st_mode & 0o007 == 0


def test_a_ledger_that_was_there_before_is_closed_to_others_and_still_read(
    tmp_path: Path, quick_passwords: None
) -> None:
    from remnant.store import Store

    settings = bare(tmp_path)
    with Store.open(settings, write=True) as store:
        store.ledger.set_fact("probe", "1")
    (tmp_path / "home" / "state.sqlite").chmod(0o664)
    make_people(settings)
    assert (tmp_path / "home" / "state.sqlite").stat().st_mode & 0o777 == 0o660
    with Store.open(settings) as store:
        assert store.ledger.fact("probe") == "1"


def test_a_ledger_is_made_beside_accounts_that_were_there_before(
    access: Access, tmp_path: Path
) -> None:
    from remnant.store import Store

    with Store.open(bare(tmp_path)) as store:
        assert store.ledger.cases() == []
    with Store.open(bare(tmp_path), write=True) as store:
        store.ledger.set_fact("probe", "1")
    assert len(access.accounts.all()) == 3


def test_an_account_is_found_by_its_password_alone(access: Access) -> None:
    found = access.accounts.check(OWNER, PASSWORD)
    assert found is not None
    assert found.viewer.networks == ("AS64500", "2001:db8:7::/48")
    assert found.role is Role.OWNER
    for name, password in (
        (OWNER, PASSWORD + " "), (OWNER, ""), (OWNER, PASSWORD + "x" * 5_000),
        ("nobody", PASSWORD), ("", ""), ("x" * 5_000, PASSWORD), ("OLGA", PASSWORD),
    ):  # fmt: skip
        assert access.accounts.check(name, password) is None


def test_the_same_password_typed_on_another_keyboard_is_the_same(access: Access) -> None:
    access.accounts.set_password(ANALYST, "cafe\u0301 au lait noir")
    assert access.accounts.check(ANALYST, "caf\u00e9 au lait noir") is not None


def test_passwords_are_kept_as_argon2id_of_rfc_9106(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests may have made it cheaper for this process.
    strong = argon2.PasswordHasher.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)
    monkeypatch.setattr("remnant.web.access.passwords.hasher", lambda: strong)
    access = Access(bare(tmp_path))
    access.accounts.add(OPERATOR, PASSWORD, Role.OPERATOR)
    with access._database.reading() as connection:
        assert connection is not None
        import sqlalchemy as sa

        stored = connection.scalar(sa.text("SELECT password FROM account"))
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PASSWORD.encode() not in (tmp_path / "home" / "state.sqlite").read_bytes()
    access.close()


def test_a_hash_of_old_parameters_is_made_anew_at_the_next_sign_in(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlalchemy as sa

    def stored() -> str:
        with access._database.reading() as connection:
            assert connection is not None
            query = sa.text("SELECT password FROM account WHERE name = :name")
            return str(connection.scalar(query, {"name": ANALYST}))

    before = stored()
    stronger = argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: stronger)
    assert access.accounts.check(ANALYST, "wrong") is None
    assert stored() == before
    assert access.accounts.check(ANALYST, PASSWORD) is not None
    assert "t=2" in stored()
    assert access.accounts.check(ANALYST, PASSWORD) is not None


def test_an_unknown_name_costs_a_comparison_as_a_known_one_does(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    real = passwords.is_right

    def is_right(given: str, hashed: str) -> bool:
        compared.append(hashed)
        return real(given, hashed)

    monkeypatch.setattr(passwords, "is_right", is_right)
    access.accounts.disable(ANALYST, disabled=True)
    for name in (OPERATOR, "nobody", ANALYST, "x" * 9_999):
        access.accounts.check(name, "wrong password")
    assert len(compared) == 4
    # The same work each: parameters stand in the hash.
    assert len({hashed.split("$")[3] for hashed in compared}) == 1


def test_too_many_passwords_at_once_are_put_off(
    monkeypatch: pytest.MonkeyPatch, quick_passwords: None
) -> None:
    import threading

    monkeypatch.setattr(passwords, "_QUEUE", threading.BoundedSemaphore(1))
    passwords._QUEUE.acquire()
    with pytest.raises(StoreBusy):
        passwords.is_right("x", passwords.nobodys())


@pytest.mark.parametrize(
    "password", ["", "short", "a" * 40, "abcabcabcabcabc", "Anna is the best", "x" * 300]
)
def test_weak_passwords_are_refused(access: Access, password: str) -> None:
    with pytest.raises(AccessError) as refused:
        access.accounts.set_password(ANALYST, password)
    assert password not in str(refused.value) or not password


@pytest.mark.parametrize(
    "name", ["", "Olga", "a b", "../x", "<b>", "x" * 64, "-x", "local", "command line", "a\n", "é"]
)
def test_what_cannot_be_a_name_is_refused(access: Access, name: str) -> None:
    with pytest.raises(AccessError):
        access.accounts.add(name, NEW, Role.ANALYST)


def test_a_name_is_taken_once(access: Access) -> None:
    with pytest.raises(AccessError, match="already"):
        access.accounts.add(OPERATOR, NEW, Role.ANALYST)


def test_a_network_owner_has_networks_and_nobody_else(access: Access) -> None:
    with pytest.raises(AccessError, match="needs networks"):
        access.accounts.add("other", NEW, Role.OWNER)
    with pytest.raises(AccessError, match="no network"):
        access.accounts.add("other", NEW, Role.OWNER, ["192.0.2.1/24"])
    for role in (Role.PUBLIC, Role.NOBODY):
        with pytest.raises(AccessError, match="cannot have this role"):
            access.accounts.add("other", NEW, role)
    access.accounts.set_role(OWNER, Role.ANALYST, NETWORKS)
    assert access.accounts.get(OWNER).networks == ()


def test_the_last_operator_stays_one(access: Access) -> None:
    with pytest.raises(AccessError, match="last operator"):
        access.accounts.disable(OPERATOR, disabled=True)
    with pytest.raises(AccessError, match="last operator"):
        access.accounts.set_role(OPERATOR, Role.ANALYST)
    assert access.accounts.get(OPERATOR).role is Role.OPERATOR
    assert not access.accounts.get(OPERATOR).disabled

    access.accounts.set_role(ANALYST, Role.OPERATOR)
    access.accounts.disable(OPERATOR, disabled=True)
    assert access.accounts.has_operator()


def test_a_closed_account_signs_in_no_more_and_its_sessions_and_tokens_end(access: Access) -> None:
    from remnant.web.access.tokens import Scope

    session = access.sessions.start(ANALYST, "192.0.2.1")
    token = access.tokens.make(ANALYST, "x", {Scope.READ}, 1)
    access.accounts.disable(ANALYST, disabled=True)

    assert access.accounts.check(ANALYST, PASSWORD) is None
    access.accounts.disable(ANALYST, disabled=False)
    assert access.sessions.find(session) is None
    assert access.tokens.find(token) is None
    assert access.accounts.check(ANALYST, PASSWORD) is not None


def test_another_password_ends_all_sessions(access: Access) -> None:
    mine, others = access.sessions.start(ANALYST, ""), access.sessions.start(OPERATOR, "")
    access.accounts.set_password(ANALYST, NEW)

    assert access.sessions.find(mine) is None
    assert access.sessions.find(others) is not None
    assert access.accounts.check(ANALYST, PASSWORD) is None
    assert access.accounts.check(ANALYST, NEW) is not None


def test_changes_to_an_account_that_is_not_there_say_so(access: Access) -> None:
    for change in (
        lambda: access.accounts.set_password("nobody", NEW),
        lambda: access.accounts.set_role("nobody", Role.ANALYST),
        lambda: access.accounts.disable("nobody", disabled=True),
        lambda: access.accounts.get("nobody"),
    ):
        with pytest.raises(AccessError, match="there is no account"):
            change()
