"""The sinkhole as an operator runs it: started, asked by everybody's tools, looked at, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from story.sinking import CASE, PATIENCE, START_S, Sink, names_seen, question, sinking, until
from story.telling import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

WATCHED = "ns1.timedate1.com"


def audited(place: Place) -> list[tuple[str, str, str]]:
    """Action, subject and outcome of the audit log, oldest first."""
    from remnant.settings import Settings
    from remnant.web.access.access import Access

    access = Access(Settings(home=place.home))
    try:
        found = reversed(access.log.entries())
        return [(entry.action, entry.subject, entry.outcome) for entry in found]
    finally:
        access.close()


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    with sinking(
        Place(tmp_path_factory.mktemp("sink")),
        "beebone",
        "--answer",
        "192.0.2.53",
        "--nsid",
        "node-1",
    ) as it:
        yield it


def test_dig_is_answered(sink: Sink) -> None:
    text = sink.dig(WATCHED.title(), "A")

    assert "status: NOERROR" in text
    assert "flags: qr aa rd;" in text
    assert "60\tIN\tA\t192.0.2.53" in text
    assert "COOKIE: " in text
    assert "(good)" in text
    assert "status: NXDOMAIN" in sink.dig("other.timedate1.com")
    assert "SOA" in sink.dig("timedate1.com", "SOA", "+tcp")
    assert "status: REFUSED" in sink.dig("example.com")
    assert "status: REFUSED" in sink.dig("version.bind", "CH", "TXT")
    assert "node-1" in sink.dig(WATCHED, "+nsid")
    assert "CLIENT-SUBNET: 203.0.113.0/24/0" in sink.dig(WATCHED, "+subnet=203.0.113.0/24")


def test_kdig_is_answered_over_tcp_with_many_queries_at_once(sink: Sink) -> None:
    text = sink.run(
        "kdig", "@127.0.0.1", "-p", sink.port, "+tcp", "+keepopen", WATCHED, "A", WATCHED, "MX"
    )

    assert text.count("status: NOERROR") == 2
    assert "192.0.2.53" in text


def test_curl_gets_the_constant_reply(sink: Sink) -> None:
    text = sink.run("curl", "-si", "-m", 60, f"http://127.0.0.1:{sink.port}/gate.php?id=1",
                    "-H", f"Host: {WATCHED}", "-A", "beebone-test")  # fmt: skip

    assert text.startswith("HTTP/1.1 204 No Content")
    assert "gate" not in text


def test_openssl_completes_the_handshake_for_any_name(sink: Sink) -> None:
    text = sink.run("openssl", "s_client", "-connect", f"127.0.0.1:{sink.port}",
                    "-servername", WATCHED, stdin=b"")  # fmt: skip

    assert f"CN = {WATCHED}" in text or f"CN={WATCHED}" in text
    assert "Cipher is" in text


def test_what_was_asked_is_in_the_store_while_the_sinkhole_runs(sink: Sink) -> None:
    sink.dig("ns1.datetoday1.com")
    until(lambda: "ns1.datetoday1.com" in names_seen(sink.place, "--vantage", "sinkhole_dns"))
    view = sink.place.ask("traffic", "beebone", "--by", "hour", "--vantage", "sinkhole_dns")

    assert view
    committed = sink.get("/metrics")
    assert 'remnant_sinkhole_commits_total{process="keeper"}' in committed


@pytest.mark.speed
def test_the_age_of_what_is_committed(sink: Sink) -> None:
    """From the answer to the commit, without the time that a reader needs to start."""
    from remnant.schema import SIGHTINGS
    from remnant.settings import load
    from remnant.store import Store

    def rows() -> int:
        os.environ["REMNANT_SITE_KEY"] = sink.place.environment["REMNANT_SITE_KEY"]
        with Store.open(load(sink.place.home)) as store, store.ledger.reading() as connection:
            files = store.ledger.files(connection, "beebone", SIGHTINGS.name)
        return sum(file.rows for file in files)

    worst = 0.0
    for _ in range(3):
        before = rows()
        sink.dig(WATCHED)
        asked = time.monotonic()
        while rows() == before:
            assert time.monotonic() - asked < PATIENCE
            time.sleep(0.02)
        worst = max(worst, time.monotonic() - asked)

    assert worst < 2


def test_names_beside_the_list_are_kept_apart(sink: Sink) -> None:
    sink.dig("brand-new.timedate1.com")
    until(lambda: "brand-new.timedate1.com" in names_seen(sink.place, "--unlisted"))

    assert "brand-new.timedate1.com" not in names_seen(sink.place, "--vantage", "sinkhole_dns")


def test_every_proof_class_is_kept_with_its_facts(sink: Sink) -> None:
    with socket.create_connection(("127.0.0.1", sink.port), PATIENCE) as raw:
        raw.sendall(b"\x01\x02")
    sink.run("openssl", "s_client", "-connect", f"127.0.0.1:{sink.port}",
             "-servername", WATCHED, stdin=b"")  # fmt: skip
    sink.run("curl", "-s", "-m", 60, f"http://127.0.0.1:{sink.port}/", "-H", f"Host: {WATCHED}")
    until(lambda: WATCHED in names_seen(sink.place, "--vantage", "sinkhole_http"))
    rows = sink.place.ask("clients", "beebone", "--vantage", "sinkhole_http")

    assert [(row["address"], row["proof"]) for row in rows] == [("127.0.0.1", "http")]
    assert rows[0]["queries"] >= 1


def test_metrics_and_health(sink: Sink) -> None:
    text = sink.get("/metrics")

    assert "# TYPE remnant_sinkhole_answered_total counter" in text
    # Another test may have ended a process before.
    assert re.search(r"^remnant_sinkhole_restarts_total \d+$", text, re.MULTILINE)
    until(lambda: not sink.problems())
    assert json.loads(sink.get("/health")) == {"status": "ok", "problems": []}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        sink.get("/etc/passwd")


def test_its_home_knows_what_it_counts_before_it_is_stored(sink: Sink) -> None:
    from remnant.sinkhole.published import running

    sink.dig(WATCHED)
    until(lambda: running(sink.place.home, "beebone")[0].events > 0)
    (told,) = running(sink.place.home, "beebone")
    assert told.sensor == "sinkhole"
    assert told.last_event is not None
    assert told.last_event <= told.written
    assert all(count <= sink.total(name) for name, count in told.lost.items())
    # Told once a second: what it says was true a moment ago.
    assert told.events <= sink.total("rows")


def test_a_process_that_dies_is_started_again(sink: Sink) -> None:
    parent = sink.process.pid
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    children = [int(word) for word in listed.split()]
    for child in children:
        assert b"cli_sink_child" in Path(f"/proc/{child}/cmdline").read_bytes()
    os.kill(children[-1], signal.SIGKILL)
    sink.wait_for("died")
    until(lambda: not sink.problems())

    assert "192.0.2.53" in sink.dig(WATCHED, "+tcp")
    assert "192.0.2.53" in sink.dig(WATCHED)


def test_a_case_is_read_again_on_sighup_and_a_bad_one_keeps_the_old(tmp_path: Path) -> None:
    place = Place(tmp_path)
    file = tmp_path / "case.toml"

    def store(names: str, *more: str) -> None:
        file.write_text(CASE.format(names=names))
        place.do("case", "import", file, *more)

    store('"one.example.com"')
    with sinking(place, "--all", "--workers", 1) as sink:
        assert "192.0.2.77" in sink.dig("one.example.com")
        assert "REFUSED" in sink.dig("two.example.org")
        store('"one.example.com", "two.example.org"', "--replace")
        sink.process.send_signal(signal.SIGHUP)
        sink.wait_for("reloaded", START_S)
        assert "192.0.2.77" in sink.dig("two.example.org")

        stored = next((place.home / "cases").rglob("case.toml"))
        good = stored.read_text()
        stored.write_text("[case]\nname = 5\n")
        sink.process.send_signal(signal.SIGHUP)
        refused = sink.wait_for("reload_refused", START_S)
        assert "name" in refused["error"]
        assert "192.0.2.77" in sink.dig("two.example.org")
        stored.write_text(good)

        page = sink.run(
            "curl", "-s", "-m", 60, f"http://127.0.0.1:{sink.port}/", "-H", "Host: one.example.com"
        )
        assert "infected" in page
        assert "CERT &lt;Example&gt;" in page
        assert sink.stop() == 0
    assert names_seen(place, "--vantage", "sinkhole_dns", case="mine")["two.example.org"] >= 1
    report = json.loads(place.do("sink", "verify", "--format", "json").out)
    assert report["ok"]
    assert report["open"] == 0


def load(port: int, stop: threading.Event, answered: list[int], first: int) -> None:
    """Ask for numbered names of one zone, and note which were answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(0.2)
        number = first
        while not stop.is_set():
            batch = range(number, number + 16)
            with contextlib.suppress(OSError):
                for i in batch:
                    sock.send(question(f"q{i}.many.example.com", i & 0xFFFF))
                for _ in batch:
                    got = sock.recv(512)
                    label = got[13 : 13 + got[12]].decode()
                    answered.append(int(label[1:]))
            number += 16


KILLS = int(os.environ.get("REMNANT_SINK_KILLS", "3"))


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    place = Place(tmp_path)
    file = tmp_path / "case.toml"
    file.write_text(CASE.format(names='"*.many.example.com"'))
    place.do("case", "import", file)
    answered: list[int] = []
    safe: list[int] = []
    for round_number in range(KILLS):
        sink = Sink(place, "mine", "--rate-limit", "off", "--workers", 1)
        stop, begun = threading.Event(), len(answered)
        asker = threading.Thread(
            target=load, args=(sink.port, stop, answered, round_number * 10_000_000)
        )
        asker.start()
        until(lambda sink=sink: sink.total("committed_rows") > 1000)  # type: ignore[misc]
        time.sleep(0.37 * (round_number % 5))
        # What is answered now comes before what is answered later, and rows are written in order.
        here = len(answered)
        later = sink.total("observed") + 1000
        until(lambda sink=sink, later=later: sink.total("rows") > later)  # type: ignore[misc]
        sink.kill()
        stop.set()
        asker.join()
        safe += answered[begun:here]
    with sinking(place, "mine", "--workers", 1) as sink:
        assert sink.stop() == 0
    lines = audited(place)
    assert [line for line in lines if line[0].startswith("sinkhole")] == [
        *[("sinkhole started", "mine", "done")] * (KILLS + 1),
        ("sinkhole stopped", "mine", "done"),  # those that were killed could not say so
    ]
    rows = place.ask("traffic", "mine", "--by", "name", "--vantage", "sinkhole_dns")
    counted = {row["name"]: row["queries"] for row in rows}

    assert len(safe) > 1000 * KILLS
    assert [number for number in safe if f"q{number}.many.example.com" not in counted] == []
    assert set(counted.values()) == {1}
    assert json.loads(place.do("sink", "verify", "--format", "json").out)["ok"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("beebone",), "--answer 192.0.2.53"),
        (("nothing-of-the-kind", "--answer", "192.0.2.1"), "nothing-of-the-kind"),
        (("beebone", "--answer", "here"), "not an address"),
        (("beebone", "--answer", "192.0.2.1", "--listen", "192.0.2.1:5300"), "cannot listen"),
        (("beebone", "--answer", "192.0.2.1", "--listen", "x:5"), "no place to listen"),
        (("beebone", "--answer", "192.0.2.1", "--rate-limit", "fast"), "or off"),
        (("beebone", "--answer", "192.0.2.1", "--ports", "0-5"), "0"),
        ((), "CASE"),
        (("--all",), "no case is stored"),
    ],
)
def test_what_cannot_be_done_is_said(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    outcome = Place(tmp_path).run("sink", *words)

    assert outcome.code in {0 if not words else 1, 1, 2}
    assert said in outcome.said
