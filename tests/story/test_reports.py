"""``remnant report`` as a person uses it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from dnstap_writer import CLIENT_QUERY, START_TIME, message, query, stream
from story.telling import CASE, DAYS, Place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def unmatched(tmp_path: Path) -> Place:
    """A case whose sources hold nothing that it watches."""
    place = Place(tmp_path / "unmatched")
    place.do("case", "new", "evil", "--takedown", "2015-04-08", "--watch", "*.evil.example")
    path = tmp_path / "in.dnstap"
    path.write_bytes(
        stream(
            *(
                message(CLIENT_QUERY, query("www.good.example"), time=START_TIME + 3600.0 * hour)
                for hour in range(48)
            )
        )
    )
    place.do("ingest", "evil", path)
    return place


def test_a_report_is_one_file_and_its_figures_lie_beside_it(whole: Place, tmp_path: Path) -> None:
    page, figures = tmp_path / "new" / "report.html", tmp_path / "figures"
    said = whole.do("report", CASE, "-o", page, "--figures", figures)
    text = page.read_text(encoding="utf-8")

    assert said.out == ""
    assert str(page) in said.err
    assert "SIMULATED" in text
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text)
    assert "<svg" in text
    kinds: dict[str, set[str]] = {}
    for path in figures.iterdir():
        assert path.stat().st_size > 0
        kinds.setdefault(path.suffix, set()).add(path.stem)
    assert set(kinds) == {".svg", ".png", ".csv"}
    assert kinds[".svg"] == kinds[".png"]
    maps = {f"{CASE}-map", f"{CASE}-map-traffic"}
    assert maps <= kinds[".svg"]
    assert kinds[".svg"] - maps <= kinds[".csv"]
    assert f"{CASE}-map" in kinds[".csv"]


def test_small_counts_are_hidden_unless_internal(small: Place, tmp_path: Path) -> None:
    public, internal = tmp_path / "p.html", tmp_path / "i.html"
    small.do("report", CASE, "-o", public)
    small.do("report", CASE, "-o", internal, "--internal")
    text, inside = (path.read_text(encoding="utf-8") for path in (public, internal))
    rare = {
        row["as_name"]
        for row in small.ask("traffic", CASE, "--by", "network")
        if row["clients"] < 5 and row["as_name"]
    }

    assert rare & clients_of(text).keys()
    assert {clients_of(text)[name] for name in rare & clients_of(text).keys()} == {"&lt;10"}
    assert {clients_of(inside)[name] for name in rare & clients_of(inside).keys()} <= set("01234")
    assert "INTERNAL" in inside
    assert "INTERNAL" not in text
    for row in small.ask("clients", CASE):
        assert not re.search(rf"(?<![\d.]){re.escape(row['address'])}(?![\d.])", text)


def clients_of(page: str) -> dict[str, str]:
    """Return what the report's table of networks says, by name."""
    cell = r'<tr><th scope="row"[^>]*><bdi>AS\d+ ([^<]+)</bdi></th>(?:<td class="opt">.*?</td>)?'
    return dict(re.findall(cell + r'<td class="n">([^<]*)</td>', page))


def test_a_report_of_one_day(small: Place, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    small.do("report", CASE, "-o", page, "--since", DAYS[1], "--until", DAYS[2])

    assert "cannot" in page.read_text(encoding="utf-8").lower()


def test_a_case_without_any_match(unmatched: Place, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    unmatched.do("report", "evil", "-o", page)
    assert page.stat().st_size > 5_000

    rows = unmatched.ask("traffic", "evil")
    assert [(row["queries"], row["clients"], row["coverage"]) for row in rows] == [(0, 0, 1)] * 2
    assert unmatched.ask("clients", "evil") == []
    assert unmatched.ask("judge", "evil")["state"] == "cannot_tell"
    assert {row["quantity"]: row["value"] for row in unmatched.ask("measure", "evil")}
    for by in ("name", "network", "country", "week", "hour", "sensor"):
        unmatched.ask("traffic", "evil", "--by", by)
        unmatched.do("traffic", "evil", "--by", by)


def test_a_report_that_cannot_be_written_leaves_the_old_one(small: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    outcome = small.run("report", CASE, "-o", tmp_path / "file" / "r.html")
    assert outcome.code == 1
    assert str(tmp_path / "file") in outcome.err
    assert "Traceback" not in outcome.err

    outcome = small.run("report", CASE, "-o", tmp_path)
    assert outcome.code == 1
    assert str(tmp_path) in outcome.err
