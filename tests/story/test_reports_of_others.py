"""Victim reports and flows, from the files to the verdict: hits cover nothing until it is said."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from capture.reports import LOOKUP, REQUEST, report
from story.telling import Place, strict_json

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2024, 3, 1, tzinfo=UTC)
DAYS = 40
CASE = f"""
[case]
name = "beebone"
takedown = {START.date()}

[[watch]]
names = ["*.evil.example"]

[[watch]]
families = ["beebone", "vobfus"]

[[watch]]
addresses = ["198.51.100.53"]
"""


def stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


def day_of_report(day: int, clients: int) -> bytes:
    """One day's report: so many clients in every hour, of many that come and go."""
    rows = [
        REQUEST
        | {
            "timestamp": stamp(START + timedelta(days=day, hours=hour, seconds=7 * k)),
            "src_ip": f"192.0.{k % 4}.{(17 * day + 5 * hour + k) % 250 + 1}",
        }
        for hour in range(24)
        for k in range(clients)
    ]
    return report("event4_sinkhole_http", *rows)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of forty days that halve every five, with none on days without a hit."""
    folder = tmp_path_factory.mktemp("reports")
    for day in range(DAYS):
        clients = round(40 * 0.5 ** (day / 5))
        if clients:
            name = f"{START + timedelta(days=day):%Y-%m-%d}"
            (folder / f"{name}-event4_sinkhole_http.csv").write_bytes(day_of_report(day, clients))
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place")
    (tmp_path / "case.toml").write_text(CASE)
    place.do("case", "import", tmp_path / "case.toml")
    return place


def ingest(place: Place, *arguments: object) -> list[dict[str, Any]]:
    done = place.do("ingest", "beebone", *arguments, "--format", "json")
    sources: list[dict[str, Any]] = strict_json(done.out)["sources"]
    return sources


def states(sources: list[dict[str, Any]]) -> set[str]:
    return {source["state"] for source in sources}


def test_from_the_reports_to_the_verdict(own: Place, reports: Path, tmp_path: Path) -> None:
    sources = ingest(own, reports)
    assert states(sources) == {"new"}
    assert {source["format"] for source in sources} == {"shadowserver"}
    assert all(any("--period" in note for note in source["notes"]) for source in sources)

    # Without a period the counts are there, the gaps are gaps, and no verdict is given.
    days = own.ask("traffic", "beebone", "--by", "day")
    assert days[0]["queries"] == 24 * 40
    assert {row["coverage"] for row in days} == {None}
    verdict = own.ask("judge", "beebone")
    assert (verdict["state"], verdict["rule"]) == ("cannot_tell", "no_period")
    assert "--period FROM/UNTIL" in verdict["sentence"]
    assert verdict["can_tell_by"] is None

    # The same files again, with the period that they are complete for.
    until = (START + timedelta(days=DAYS - 1)).date()
    period = f"{START.date()}/{until}"
    assert states(ingest(own, reports, "--period", period)) == {"reread"}
    assert states(ingest(own, reports, "--period", period)) == {"known"}
    assert states(ingest(own, reports)) == {"known"}

    days = own.ask("traffic", "beebone", "--by", "day")
    assert len(days) == DAYS
    assert {row["coverage"] for row in days} == {1.0}
    # A day without a report is a zero now, and not a gap.
    assert days[-1]["queries"] == 0
    verdict = own.ask("judge", "beebone")
    assert (verdict["state"], verdict["vantage"]) == ("effective", "report")
    assert "stated" in {item["id"] for item in verdict["evidence"]}
    life = verdict["half_life_days"]
    assert life["low"] <= 5 <= life["high"] or math.isclose(life["value"], 5, rel_tol=0.2)
    hosts = {row["quantity"]: row for row in own.ask("measure", "beebone")}["online_hosts"]
    assert hosts["coverage"] == 1.0

    listed = own.ask("clients", "beebone", "--since", str(START.date()))
    assert {row["proof"] for row in listed} == {"http"}
    own.do("report", "beebone", "-o", tmp_path / "report.html")
    assert "named in reports of others" in (tmp_path / "report.html").read_text("utf-8")


def test_a_period_that_ends_before_the_reports_do_leaves_a_gap(own: Place, reports: Path) -> None:
    ingest(own, reports, "--period", f"{START.date()}/2024-03-10T12:00:00Z")
    days = own.ask("traffic", "beebone", "--by", "day")

    assert [row["coverage"] for row in days[8:11]] == [1.0, 0.5, 0.0]
    assert own.ask("judge", "beebone")["rule"] == "too_few_days"


@pytest.mark.parametrize(
    ("period", "said"),
    [
        ("2024-03-01", "FROM/UNTIL"),
        ("2024-03-02/2024-03-01", "the window is empty"),
        ("2024-03-01T00:00:00/2024-03-02", "has no zone"),
        ("1999-03-01/2024-03-02", "ten years"),
    ],
)
def test_a_period_that_is_none_is_refused(
    own: Place, reports: Path, period: str, said: str
) -> None:
    outcome = own.run("ingest", "beebone", reports, "--period", period)

    assert outcome.code != 0
    assert said in outcome.said


def test_a_report_of_resolvers_and_one_without_a_hit(own: Place, tmp_path: Path) -> None:
    (tmp_path / "dns.csv").write_bytes(report("event4_sinkhole_dns", LOOKUP))
    (tmp_path / "none.csv").write_bytes(report("event4_sinkhole_http"))
    done = own.do(
        "ingest", "beebone", tmp_path / "dns.csv", tmp_path / "none.csv", "--period",
        "2024-06-15/2024-06-16",
    )  # fmt: skip

    assert "mostly resolvers" in done.err
    (day, other) = own.ask("traffic", "beebone", "--by", "day")
    # One lookup that the report counts three times.
    assert (day["queries"], other["queries"], other["coverage"]) == (3, 0, 1.0)


def connection(hour: int, source: str, target: str, state: str) -> str:
    time = (START + timedelta(hours=hour)).timestamp()
    return json.dumps(
        {
            "ts": time + 5,
            "uid": "C1",
            "id.orig_h": source,
            "id.orig_p": 4000,
            "id.resp_h": target,
            "id.resp_p": 443,
            "proto": "tcp",
            "conn_state": state,
        }
    )


def test_flows_to_a_watched_address(own: Place, tmp_path: Path) -> None:
    lines = []
    for hour in range(24 * 30):
        lines += [connection(hour, f"192.0.2.{k}", "198.51.100.53", "SF") for k in range(1, 41)]
        lines += [connection(hour, "192.0.2.77", "203.0.113.1", "SF")] * 20
        lines += [connection(hour, "198.51.100.53", "192.0.2.1", "SF")]
    (tmp_path / "conn.log").write_text("\n".join(lines) + "\n")
    (source,) = ingest(own, tmp_path / "conn.log")

    assert (source["format"], source["matched"]) == ("zeek-conn", 24 * 30 * 40)
    (row,) = own.ask("traffic", "beebone", "--by", "name")
    assert (row["name"], row["vantage"], row["clients"]) == ("198.51.100.53", "flow", 40)
    assert {r["coverage"] for r in own.ask("traffic", "beebone", "--by", "day")} == {1.0}
    assert {row["proof"] for row in own.ask("clients", "beebone")} == {"tcp"}
    assert own.ask("judge", "beebone")["state"] == "no_effective_cleanup"
    own.do("report", "beebone", "-o", tmp_path / "report.html")
