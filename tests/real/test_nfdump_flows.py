"""Flows that the real nfpcapd and nfdump make of packets written here."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import struct
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from remnant.capture.nfdump import NfdumpReader
from remnant.capture.readers import recognise
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, notes, packed, read, rows

if TYPE_CHECKING:
    from pathlib import Path

READER = NfdumpReader()
WATCHED = Watchlist.compile(
    [Rule("demo", "address", "198.51.100.53/32"), Rule("demo", "address", "2001:db8:5::/48")]
)
START = int(datetime(2015, 4, 8, 12, tzinfo=UTC).timestamp())
SYN, ACK, FIN, RST, PSH = 2, 16, 1, 4, 8
BOT, FORGED, SERVER = "192.0.2.17", "192.0.2.99", "198.51.100.53"


def frame(source: str, target: str, proto: int, body: bytes) -> bytes:
    """An Ethernet frame; checksums are zero, which a flow does not need."""
    one, two = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if one.version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, proto, 0)
        return b"\x02" * 12 + b"\x08\x00" + head + one.packed + two.packed + body
    head = struct.pack("!IHBB", 6 << 28, len(body), proto, 64)
    return b"\x02" * 12 + b"\x86\xdd" + head + one.packed + two.packed + body


def tcp(source: str, sport: int, target: str, dport: int, flags: int, data: bytes = b"") -> bytes:
    head = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 5 << 4, flags, 65535, 0, 0)
    return frame(source, target, 6, head + data)


def udp(source: str, sport: int, target: str, dport: int) -> bytes:
    return frame(source, target, 17, struct.pack("!HHHH", sport, dport, 12, 0) + b"data")


PACKETS = [
    # A whole connection of an infected host.
    tcp(BOT, 51388, SERVER, 443, SYN),
    tcp(SERVER, 443, BOT, 51388, SYN | ACK),
    tcp(BOT, 51388, SERVER, 443, ACK),
    tcp(BOT, 51388, SERVER, 443, PSH | ACK, b"hello"),
    tcp(SERVER, 443, BOT, 51388, FIN | ACK),
    tcp(BOT, 51388, SERVER, 443, FIN | ACK),
    # A SYN under a forged address, and what its owner does with the answer.
    tcp(FORGED, 6000, SERVER, 443, SYN),
    tcp(SERVER, 443, FORGED, 6000, SYN | ACK),
    tcp(FORGED, 6000, SERVER, 443, RST),
    udp(BOT, 4000, SERVER, 16464),
    udp("2001:db8::17", 4000, "2001:db8:5::1", 16464),
    frame(BOT, SERVER, 1, b"\x08\x00\x00\x00\x00\x01\x00\x01data"),
    udp(BOT, 4000, "203.0.113.1", 53),
]


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nfpcapd, nfdump = shutil.which("nfpcapd"), shutil.which("nfdump")
    if nfpcapd is None or nfdump is None:
        pytest.skip("nfpcapd or nfdump is not installed (Debian: nfdump)")
    folder = tmp_path_factory.mktemp("flows")
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for index, packet in enumerate(PACKETS):
        data += struct.pack("<IIII", START, 1000 * index, len(packet), len(packet)) + packet
    (folder / "made.pcap").write_bytes(data)
    (folder / "flows").mkdir()
    subprocess.run(
        [nfpcapd, "-r", folder / "made.pcap", "-l", folder / "flows"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return folder / "flows"


def printed(flows: Path, *options: str, zone: str = "UTC") -> bytes:
    done = subprocess.run(
        ["nfdump", "-R", str(flows), "-o", "csv", *options],
        check=True,
        capture_output=True,
        timeout=60,
        env=os.environ | {"TZ": zone},
    )
    return done.stdout


def seen(data: bytes, **options: object) -> dict[tuple[bytes, str | None], tuple[str, str]]:
    """(source, transport) of each flow to a watched address: destination and proof."""
    batches = read(READER, data, watchlist=WATCHED, **options)  # type: ignore[arg-type]
    return {
        (row["address"], row["transport"]): (row["name"], row["proof"]) for row in rows(batches)
    }


def address(text: str) -> bytes:
    return packed(ipaddress.ip_address(text))


def test_flows_in_one_direction(flows: Path) -> None:
    data = printed(flows)
    reader = recognise(data)

    assert reader is not None
    assert reader.name == "nfdump"
    assert seen(data) == {
        (address(BOT), "tcp"): (SERVER, "none"),
        (address(FORGED), "tcp"): (SERVER, "none"),
        (address(BOT), "udp"): (SERVER, "none"),
        (address("2001:db8::17"), "udp"): ("2001:db8:5::1", "none"),
        (address(BOT), None): (SERVER, "none"),
    }
    # Eight flows: two answers and one to another place hit nothing; the summary has three lines.
    assert counts(read(READER, data)) == [8, 0, 3, 0]


def test_flags_of_flows_put_together_do_not_tell_the_forged_address_from_the_bot(
    flows: Path,
) -> None:
    batches = read(READER, printed(flows, "-B"), watchlist=WATCHED)
    details = {
        row["address"]: json.loads(row["detail"])
        for row in rows(batches)
        if row["transport"] == "tcp"
    }

    # The forged address only ever sent SYN and RST: these are the flags of the server's answer.
    assert "A" in details[address(FORGED)]["flags"]
    assert "A" in details[address(BOT)]["flags"]
    assert {row["proof"] for row in rows(batches)} == {"none"}


def test_times_are_those_of_the_zone_it_ran_in(flows: Path) -> None:
    data = printed(flows, zone="America/New_York")
    zoned = read(READER, data, watchlist=WATCHED, timezone=ZoneInfo("America/New_York"))
    plain = read(READER, data, watchlist=WATCHED)

    assert {row["time"].timestamp() for row in rows(zoned)} == {START}
    assert {row["time"].hour for row in rows(plain)} == {8}
    assert notes(zoned) == []
    assert any("read as UTC" in note for note in notes(plain))


def test_a_filter_that_matches_nothing(flows: Path) -> None:
    data = printed(flows, "dst port 1")

    assert READER.sniff(data)
    batches = read(READER, data)
    messages, malformed, skipped, _ = counts(batches)
    assert (messages, malformed) == (0, 0)
    assert skipped >= 1
