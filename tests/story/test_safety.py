"""Nothing that an infected machine sends reaches a terminal or a page unescaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from dnstap_writer import CLIENT_QUERY, START_TIME, message, stream
from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path

LABELS = (
    b"\x1b[2J\x1b]0;owned\x07",
    b"\x9b31m",
    b"<script>alert(1)</script>",
    b"=cmd|' /C calc'!A0",
    b"a\r\nb",
    b"\xe2\x80\xae\xff\x00",
    b"dot.in.label",
    b"[red]markup[/red]",
    b"`$(id)`",
    "\u202etxt".encode(),
)
HOSTILE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
VERBS = (
    ("traffic", "--by", "name"),
    ("traffic", "--by", "sensor"),
    ("clients",),
    ("judge",),
)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("attacked"))
    place.do("case", "new", "evil", "--takedown", "2015-04-08", "--watch", "*.evil.example")
    payloads = []
    for i, label in enumerate(LABELS):
        name = b"".join(bytes([len(part)]) + part for part in (label, b"evil", b"example")) + bytes(
            1
        )
        wire = i.to_bytes(2, "big") + bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + name + b"\0\1\0\1"
        payloads.append(
            message(
                CLIENT_QUERY,
                wire,
                time=START_TIME + 60.0 * i,
                identity=b"s\x1b[2J\n<b>",
                client=f"192.0.2.{i}",
            )
        )
    path = place.folder / "in\x1b[2J\n.dnstap"
    path.write_bytes(stream(*payloads))
    for form in ("table", "csv", "json"):
        said = place.do("ingest", "evil", path, "--format", form).said
        assert not HOSTILE.search(said), said
    return place


def test_every_hostile_label_was_counted(attacked: Place) -> None:
    rows = attacked.ask("traffic", "evil", "--by", "name")

    assert len({row["name"] for row in rows}) == len(rows) == len(LABELS)
    assert sum(row["queries"] for row in rows) == len(LABELS)


@pytest.mark.parametrize("form", ["table", "csv", "json"])
@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_no_format_shows_them_raw(verb: tuple[str, ...], form: str, attacked: Place) -> None:
    first, *rest = verb
    said = attacked.do(*first.split(), "evil", *rest, "--format", form).said

    assert not HOSTILE.search(said), said
    if form == "csv":
        for line in said.splitlines():
            assert not re.search(r'(^|,)"?[=+@]', line), line


def test_the_report_shows_text_and_no_markup(attacked: Place, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    attacked.do("report", "evil", "-o", page, "--internal")
    text = page.read_text(encoding="utf-8")

    assert "<script>alert" not in text
    assert not HOSTILE.search(text)


def test_a_hostile_case_file_is_shown_escaped(attacked: Place, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"good.example\nhttp://x\x1b[2J/y\n\x1b]0;x\x07.example\n\xff\xfe\n")
    for form in ("table", "csv", "json"):
        outcome = attacked.run(
            *("case", "import", path, "--name", f"from-{form}", "--takedown", "2015-04-08"),
            *("--format", form),
        )
        assert outcome.code in {0, 1}
        assert not HOSTILE.search(outcome.said), outcome.said


def test_hostile_words_on_the_command_line(attacked: Place) -> None:
    for words in (
        ["traffic", "\x1b[2J"],
        ["traffic", "evil", "--since", "\x1b[2J"],
        ["traffic", "evil", "--vantage", "\x1b[2J"],
        ["ingest", "evil", "/no/such\x1b[2J"],
        ["clients", "evil", "--network", "\x1b[2J"],
        ["sensor", "retire", "\x1b[2J", "--at", "2015-04-08"],
        ["case", "check", "../\x1b[2J"],
        ["case", "show", "../../etc/passwd"],
    ):
        outcome = attacked.run(*words)
        assert outcome.code in {1, 2}
        assert "\x1b" not in outcome.said, words
        assert "Traceback" not in outcome.said
