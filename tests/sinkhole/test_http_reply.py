from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any, get_args

import pytest

from remnant.cases.model import HttpReply, SinkholeConfig
from remnant.sinkhole.http_reply import EMPTY, make

NASTY = '<script src="//x">&\'\r\nSet-Cookie: a=b\u202eé'


def head_of(reply: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = reply.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("kind", get_args(HttpReply))
@pytest.mark.parametrize("identify", [True, False])
def test_every_reply_says_its_length_closes_and_is_kept_by_nobody(
    kind: HttpReply, identify: bool
) -> None:
    reply = make(SinkholeConfig(http=kind, identify=identify, operator="CERT"), "BeeBone")
    first, fields, body = head_of(reply.whole)

    assert first.startswith(f"HTTP/1.1 {'200' if kind == 'notice' else kind} ")
    assert fields["Connection"] == "close"
    assert fields["Cache-Control"] == "no-store"
    assert fields.get("Content-Length") == (None if kind == "204" else str(len(body)))
    assert fields.get("X-Sinkhole") == ("CERT" if identify else None)
    assert not {"Server", "Location", "Set-Cookie", "Refresh"} & set(fields)
    assert "remnant" not in reply.whole.decode().lower()
    assert reply.head == reply.whole[: len(reply.head)]
    assert reply.to(b"HEAD") == reply.head
    assert reply.to(b"GET") == reply.to(b"head") == reply.whole
    if kind != "notice":
        assert body == b""


def test_a_reply_that_identifies_itself_without_an_operator_says_yes() -> None:
    assert b"X-Sinkhole: yes\r\n" in make(SinkholeConfig(identify=True), "x").whole


def test_what_a_case_says_cannot_break_out_of_the_header() -> None:
    reply = make(SinkholeConfig(identify=True, operator=NASTY * 20), "x").whole
    _, fields, _ = head_of(reply)

    assert "Set-Cookie" not in fields
    assert len(fields["X-Sinkhole"]) <= 800


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def page(**config: Any) -> Page:
    title = config.pop("title", "BeeBone")
    found = Page()
    found.feed(head_of(make(SinkholeConfig(http="notice", **config), title).whole)[2].decode())
    return found


def test_the_notice_tells_a_person_what_it_is_and_where_help_is() -> None:
    found = page(operator="CERT Example", help_url="https://help.example/clean")

    text = re.sub(r"\s+", " ", found.text)
    for part in ("probably infected", "BeeBone", "sinkhole", "CERT Example", "help.example"):
        assert part in text
    links = [attrs["href"] for tag, attrs in found.tags if tag == "a"]
    assert links == ["https://help.example/clean"]


def test_the_notice_stands_alone_and_runs_nothing() -> None:
    found = page(operator="x", help_url="https://help.example/")

    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "img", "iframe", "form", "link", "object", "embed"}
    assert not [a for _, attrs in found.tags for a in attrs if a.startswith("on") or a == "src"]


def test_what_a_case_says_is_text_on_the_page() -> None:
    found = page(title=NASTY, operator=NASTY, help_url="javascript:alert(1)")

    assert "script" not in {tag for tag, _ in found.tags}
    assert "a" not in {tag for tag, _ in found.tags}
    assert found.text.count('<script src="//x">') == 2


def test_hosts_of_no_case_get_what_a_case_gives_by_default() -> None:
    assert make(SinkholeConfig(), "x") == EMPTY
