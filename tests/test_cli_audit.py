"""What commands write into the audit log: each of them, and the failures too."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import typer

from dnstap_writer import CLIENT_QUERY, START_TIME, message, query, stream
from infrastructure.registered import network
from remnant import cli_audit
from remnant.cli import app
from remnant.cli_audit import actions_of, changes, declared, person, reads, recorded
from remnant.settings import Settings
from remnant.web.access import totp
from remnant.web.access.access import Access
from remnant.web.access.actions import COMMAND_LINE, Action
from story.telling import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remnant.web.access.audit import Entry

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PASSWORD = b"correct horse battery\n"
LONG = {"demo", "sink run", "servers"}
"""Recorded too, and shown elsewhere: they run long, or need a resolver."""


def commands(of: typer.Typer = app, before: str = "") -> Iterator[tuple[str, Any]]:
    """The words of every command, and the function behind it."""
    for info in of.registered_commands:
        assert info.callback is not None
        yield f"{before}{info.name}", info.callback
    for group in of.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{before}{group.name} ")


def entries(place: Place) -> list[Entry]:
    """The lines of the audit log, oldest first."""
    access = Access(Settings(home=place.home))
    try:
        return list(reversed(access.log.entries()))
    finally:
        access.close()


def told(place: Place) -> list[tuple[str, str, str]]:
    return [(e.action, e.subject, e.outcome) for e in entries(place)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    import argon2

    from remnant.web.access import passwords

    quick = argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST)
    monkeypatch.setattr(passwords, "hasher", lambda: quick)
    monkeypatch.setattr(totp, "new_secret", lambda: SECRET)
    monkeypatch.delenv("SUDO_USER", raising=False)
    return Place(tmp_path)


def test_every_command_says_whether_and_what_it_records() -> None:
    found = dict(commands())
    assert len(found) > 40
    assert [words for words, command in found.items() if not declared(command)] == []


def test_every_command_that_changes_something_leaves_a_line_that_says_so(place: Place) -> None:
    folder = place.folder
    asked = (
        message(CLIENT_QUERY, query("c2.evil.example"), time=START_TIME + 3600.0 * hour)
        for hour in range(30)
    )
    (folder / "in.dnstap").write_bytes(stream(*asked))
    record = {"rrname": "c2.evil.example", "rrtype": "A", "rdata": "192.0.2.1", "count": 3}
    (folder / "records.jsonl").write_text(
        json.dumps(record | {"time_first": 1428364800, "time_last": 1428451200}) + "\n"
    )
    (folder / "net.json").write_text(json.dumps(network("192.0.2.0", "192.0.2.255")))
    new = ("case", "new", "taken", "--takedown", "2015-04-08", "--watch", "*.evil.example")
    at = "2015-04-12"
    lines: list[tuple[tuple[object, ...], bytes, str]] = [
        (new, b"", "taken"),
        (("ingest", "taken", folder / "in.dnstap"), b"", "in.dnstap"),
        (("pdns", "import", folder / "records.jsonl"), b"", "records.jsonl"),
        (("rdap", "import", folder / "net.json"), b"", "net.json"),
        (("enrich", "taken"), b"", "taken"),
        (("sensor", "retire", "ns1", "--at", at), b"", "ns1 at 2015-04-12"),
        (("sensor", "retire", "ns1", "--undo"), b"", "ns1"),
        (("report", "taken", "-o", folder / "r.html"), b"", "r.html"),
        (("account", "add", "boss", "--role", "operator"), PASSWORD, "boss"),
        (("account", "add", "olga", "--role", "operator"), PASSWORD, "olga"),
        (("account", "role", "olga", "analyst"), b"", "analyst"),
        (("account", "password", "olga"), PASSWORD, "olga"),
        (("account", "token", "make", "olga", "--label", "nightly"), b"", "olga: nightly"),
        (("account", "token", "revoke", "ID"), b"", "olga: nightly"),
        (("account", "disable", "olga"), b"", "olga"),
        (("account", "enable", "olga"), b"", "olga"),
        (("account", "add-factor", "olga"), b"CODE", "olga"),
        (("account", "reset-factor", "olga"), b"", "olga"),
        (("database", "copy", "--to", f"sqlite:///{folder / 'other'}"), b"", "other"),
        (("case", "import", folder / "again.toml", "--replace"), b"", "taken"),
        (("case", "delete", "taken", "--yes"), b"", "taken"),
    ]  # fmt: skip
    again = 'name = "taken"\ntitle = "t"\ntakedown = 2015-04-08T00:00:00Z\n'
    (folder / "again.toml").write_text(f"[case]\n{again}")
    known = dict(commands())
    before = 0
    ran = set()
    for line, stdin, subject in lines:
        words, typed = _made_ready(place, line, stdin)
        done = place.run(*words, stdin=typed)
        assert done.code == 0, (words, done.said)
        name = next(n for n in (" ".join(map(str, words[:k])) for k in (3, 2, 1)) if n in known)
        ran.add(name)
        found = entries(place)
        assert len(found) == before + 1, (words, [e.action for e in found])
        last = found[-1]
        assert last.action in actions_of(known[name]), words
        assert (last.account, last.address) == (COMMAND_LINE, person())
        assert subject in last.subject
        assert last.outcome == "done"
        before = len(found)
    assert ran == {name for name, command in known.items() if actions_of(command)} - LONG


def _made_ready(
    place: Place, line: tuple[object, ...], stdin: bytes
) -> tuple[tuple[object, ...], bytes]:
    """Put in what only the home knows: the id of the token, the code of the second factor."""
    access = Access(Settings(home=place.home))
    try:
        if "ID" in line:
            return (*line[:-1], access.tokens.of("olga")[0].id), stdin
        if stdin == b"CODE":
            step = totp.step_of(datetime.now(tz=UTC))
            return line, totp.code(base64.b32decode(SECRET), step).encode() + b"\n"
    finally:
        access.close()
    return line, stdin


def test_what_only_reads_leaves_no_line(place: Place) -> None:
    place.run("case", "new", "taken", "--takedown", "2015-04-08", "--watch", "*.evil.example")
    before = entries(place)
    for line in (("case", "list"), ("case", "show", "taken"), ("account", "list"),
                 ("settings", "show"), ("case", "check", "taken")):  # fmt: skip
        assert place.run(*line).code == 0
    assert place.run("servers", "taken").code in {0, 1}
    assert entries(place) == before


def test_what_failed_is_recorded_with_its_reason(place: Place) -> None:
    place.run("account", "add", "olga", "--role", "operator", stdin=PASSWORD)
    assert place.run("account", "disable", "nobody").code == 1
    assert place.run("case", "delete", "nothing", "--yes").code == 1
    assert place.run("account", "add", "x", "--role", "wizard", stdin=PASSWORD).code == 2
    assert [(action, subject) for action, subject, _ in told(place)[1:]] == [
        ("account closed", "nobody"),
        ("case deleted", "nothing"),
    ]
    assert all(outcome.startswith("failed: ") for _, _, outcome in told(place)[1:])


def test_a_deletion_that_nobody_confirmed_is_none(place: Place) -> None:
    place.run("case", "new", "taken", "--takedown", "2015-04-08", "--watch", "*.evil.example")
    assert place.run("case", "delete", "taken", stdin=b"n\n").code == 1
    assert [action for action, _, _ in told(place)] == ["case made"]


def test_a_failure_in_a_home_that_was_misspelt_makes_none(place: Place) -> None:
    assert place.run("case", "import", place.folder / "nothing.toml").code == 1
    assert not place.home.exists()


def test_who_it_was_is_the_systems_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert "somebody-else" not in person()
    monkeypatch.setenv("SUDO_USER", "\x1b[2Jolga")
    assert "(sudo of " in person()


def test_a_command_within_a_command_is_the_outer_ones_line(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[tuple[Action | None, str, str]] = []

    def write(record: cli_audit.Record, outcome: str) -> None:
        lines.append((record.action, record.subject, outcome))

    monkeypatch.setattr(cli_audit.Record, "write", write)

    @changes(Action.CASE_MADE, "name")
    def inner(name: str) -> None:
        recorded().about(f"{name}!")

    @changes(Action.DEMO_MADE, "name", "quick")
    def outer(name: str, *, quick: bool = False) -> None:
        inner(name)
        if quick:
            raise typer.Exit(3)

    outer("a")
    with pytest.raises(typer.Exit):
        outer("b", quick=True)

    @changes(Action.SINKHOLE_STARTED)
    def lasting() -> None:
        recorded().done(Action.SINKHOLE_STOPPED)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lasting()
    assert lines == [
        (Action.DEMO_MADE, "a!", "done"),
        (Action.DEMO_MADE, "b!", "failed (exit code 3)"),
        (Action.SINKHOLE_STARTED, "", "done"),
        (Action.SINKHOLE_STOPPED, "", "interrupted"),
    ]


def test_outside_of_a_command_nothing_is_recorded() -> None:
    recorded().about("nothing")
    recorded().done()
    assert actions_of(reads(lambda: None)) == ()
