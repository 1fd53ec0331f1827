"""A home whose every text was written by somebody who wishes the reader ill."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import dns.name

from dnstap_writer import CLIENT_QUERY, START_TIME, message, query, stream
from story.telling import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASE: Final = "taken"
QUIET: Final = "quiet"
"""A case of which nothing was ever ingested."""

MARKUP: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'-alert(3)-'",
    "</title><svg onload=alert(4)>",
    "{{7*7}}${7*7}",
    "=1+1|cmd",
    "@SUM(1)",
)
"""What a page that takes text for more than text would run."""
UNSEEN: Final = ("\u202egnp.exe", "\x1b[2Jclear", "zero\u200bwidth", "line\nbreak", "nul\0byte")
"""What would change how the text around it looks."""
REVERSED: Final = "\u202eesrever" + " very long" * 60
LONGEST: Final = ".".join(("a" * 63, "b" * 63, "c" * 63, "d" * 48, "evil.example"))
"""A name of 255 bytes."""

CLIENTS: Final = ("198.51.100.7", "198.51.100.9", "203.0.113.5", "192.0.2.77", "2001:db8:7::1")
HOURS: Final = 72

_TABLE: Final = "\n".join(
    (
        "198.51.100.0\t198.51.100.255\t64500\tDE\t<script>alert(5)</script> Telecom",
        '203.0.113.0\t203.0.113.255\t64501\tUS\t"><img src=x onerror=alert(6)>',
        "192.0.2.0\t192.0.2.255\t64502\tFR\t=HYPERLINK(1) \u202eTEN",
        "2001:db8::\t2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\t64503\tJP\t" + "long name " * 20,
    )
)


TITLE: Final = 'Taken "><img src=x onerror=alert(7)> \u202enekaT'

_CASE: Final = f"""
[case]
name = "{CASE}"
title = {json.dumps(TITLE)}
takedown = 2015-04-09
[[watch]]
names = ["*.evil.example", "c2.other.example", "gone.evil.example"]
state = "seized"
source = "<script>alert(8)</script>"
[[watch]]
names = ["*.unseized.example"]
addresses = ["5.6.7.0/24"]
state = "live"
[[event]]
time = 2015-04-09T12:00:00Z
kind = "notice"
note = "</script><script>alert(9)</script> =1+1"
source = "javascript:alert(10)"
[[event]]
time = 2015-04-10
note = {json.dumps(REVERSED)}
[sinkhole]
addresses = ["192.0.2.53"]
operator = {json.dumps('"><script>alert(11)</script>')}
"""


def names() -> list[str]:
    """Return names that were asked for, in the text of zone files."""
    zone = dns.name.from_text("evil.example.")
    labels = [text.encode() for text in (*MARKUP, *UNSEEN)]
    labels += [b"\xff\xfe\x00\x01", b"a.b", b" ", b"\\", b"%2e%2e"]
    return [
        "c2.evil.example",
        "c2.other.example",
        "www.unseized.example",
        LONGEST,
        *(dns.name.Name((label, *zone.labels)).to_text(omit_final_dot=True) for label in labels),
    ]


def _questions() -> Iterator[bytes]:
    asked = [query(name, ident=number) for number, name in enumerate(names(), 1)]
    for hour in range(HOURS):
        for number, wire in enumerate(asked):
            if number and (hour + number) % 6:
                continue
            yield message(
                CLIENT_QUERY,
                wire,
                time=START_TIME + 3600.0 * hour + 7 * number,
                client=CLIENTS[(hour + number) % len(CLIENTS)],
                identity=b"<b>ns1</b>" if hour % 2 else b"ns1",
            )


def _records() -> Iterator[str]:
    span = {"time_first": 1_425_168_000, "time_last": 1_430_438_400}
    neighbours = ("hidden.test", "<script>alert(12)</script>.test", "later.test")
    for owner in ("c2.evil.example", "www.unseized.example", *neighbours):
        yield json.dumps({"rrname": owner, "rrtype": "A", "rdata": "5.6.7.8", "count": 99} | span)
    yield json.dumps(
        {"rrname": "evil.example", "rrtype": "NS", "rdata": "ns.<img src=x>.test", "count": 3}
        | span
    )


def fill(folder: Path) -> Place:
    """Make a home with the case, three days of hostile questions, and passive DNS."""
    place = Place(folder)
    (folder / f"{CASE}.toml").write_text(_CASE, encoding="utf-8")
    head = _CASE[: _CASE.index("[[watch]]")].replace(CASE, QUIET, 1)
    quiet = f'{head}[[watch]]\nnames = ["quiet.example"]\n'
    (folder / f"{QUIET}.toml").write_text(quiet, encoding="utf-8")
    (folder / "networks.tsv").write_text(_TABLE, encoding="utf-8")
    place.home.mkdir(parents=True, exist_ok=True)
    (place.home / "settings.toml").write_text(
        f"[reference]\ntables = [{json.dumps(str(folder / 'networks.tsv'))}]\n", encoding="utf-8"
    )
    for name in (CASE, QUIET):
        place.do("case", "import", folder / f"{name}.toml")
    (folder / "in.dnstap").write_bytes(stream(*_questions()))
    place.do("ingest", CASE, folder / "in.dnstap")
    place.do("pdns", "import", "-", stdin="\n".join(_records()).encode())
    return place
