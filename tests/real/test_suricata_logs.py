"""EVE logs that a real Suricata writes of traffic made here, and a log of an old one."""

from __future__ import annotations

import json
import lzma
import shutil
import struct
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from remnant.capture.readers import READERS, recognise
from remnant.watchlist import Rule, Watchlist
from textlogs import counts, notes, read, rows, v4

if TYPE_CHECKING:
    from pathlib import Path

READER = READERS["suricata"]
START = 1428494400
CLIENT, SERVER, WATCHED = "192.0.2.17", "198.51.100.53", "203.0.113.7"
BY_ADDRESS = Watchlist.compile([Rule("demo", "address", "203.0.113.0/24")])
CONFIG = """%YAML 1.1
---
vars:
  address-groups: {{HOME_NET: "any", EXTERNAL_NET: "any"}}
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - dns: {{formats: [{formats}]}}
        - flow
app-layer:
  protocols:
    dns:
      udp: {{enabled: yes, detection-ports: {{dp: 53}}}}
      tcp: {{enabled: yes, detection-ports: {{dp: 53}}}}
"""


def packed(address: str) -> bytes:
    return bytes(int(part) for part in address.split("."))


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(protocol: int, source: str, target: str, payload: bytes) -> bytes:
    head = struct.pack(
        ">BBHHHBBH4s4s",
        *(0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, packed(source), packed(target)),
    )
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def udp(source: tuple[str, int], target: tuple[str, int], payload: bytes) -> bytes:
    head = struct.pack(">HHHH", source[1], target[1], 8 + len(payload), 0)
    return ip(17, source[0], target[0], head + payload)


def tcp(source: tuple[str, int], target: tuple[str, int], seq: int, ack: int, flags: int) -> bytes:
    head = struct.pack(">HHIIBBHHH", source[1], target[1], seq, ack, 0x50, flags, 65535, 0, 0)
    around = packed(source[0]) + packed(target[0]) + struct.pack(">BBH", 0, 6, len(head))
    head = head[:16] + struct.pack(">H", checksum(around + head)) + head[18:]
    return ip(6, source[0], target[0], head)


def capture(packets: list[tuple[float, bytes]]) -> bytes:
    """A pcap of raw IP packets."""
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for time, packet in packets:
        whole = int(time)
        data += struct.pack("<IIII", whole, round((time - whole) * 1e6), len(packet), len(packet))
        data += packet
    return data


QUESTIONS: list[tuple[str, str, str, list[str]]] = [
    ("Ns1.Evil.example.", "A", "NOERROR",
     ["Ns1.Evil.example. 60 IN CNAME host.example.", "host.example. 60 IN A 203.0.113.7",
      "host.example. 60 IN A 203.0.113.8"]),
    ("gone.evil.example.", "AAAA", "NXDOMAIN", []),
    ("evil.example.", "MX", "NOERROR", ["evil.example. 60 IN MX 10 Mail.evil.example."]),
    ("evil.example.", "TXT", "NOERROR", ['evil.example. 60 IN TXT "v=\\"1\\" x"']),
    ("evil.example.", "SOA", "NOERROR",
     ["evil.example. 60 IN SOA ns1.evil.example. h.evil.example. 1 2 3 4 5"]),
    ("_x._tcp.evil.example.", "SRV", "NOERROR",
     ["_x._tcp.evil.example. 60 IN SRV 1 2 443 Host.evil.example."]),
    ("evil.example.", "TYPE65280", "REFUSED", []),
    (".", "NS", "NOERROR", [". 60 IN NS a.root-servers.net."]),
    ("a\\.b\\255c\\092.evil.example.", "A", "NOERROR", []),
]  # fmt: skip


def packets() -> list[tuple[float, bytes]]:
    made: list[tuple[float, bytes]] = []
    for index, (name, rrtype, rcode, records) in enumerate(QUESTIONS):
        time = START + index
        ask = dns.message.make_query(name, rrtype)
        ask.id = 100 + index
        reply = dns.message.make_response(ask)
        reply.set_rcode(dns.rcode.from_text(rcode))
        reply.flags |= dns.flags.RA
        for text in records:
            owner, ttl, rrclass, kind, *data = text.split(" ", 4)
            reply.answer.append(dns.rrset.from_text(owner, int(ttl), rrclass, kind, *data))
        port = 40000 + index
        made += [
            (time, udp((CLIENT, port), (SERVER, 53), ask.to_wire())),
            (time + 0.01, udp((SERVER, 53), (CLIENT, port), reply.to_wire())),
        ]
    local = dns.message.make_query("printer.local.", "PTR").to_wire()
    made.append((START + 20, udp((CLIENT, 5353), ("224.0.0.251", 5353), local)))
    opener, watched = (CLIENT, 50000), (WATCHED, 443)
    made += [
        (START + 30.0, tcp(opener, watched, 1000, 0, 2)),
        (START + 30.1, tcp(watched, opener, 2000, 1001, 18)),
        (START + 30.2, tcp(opener, watched, 1001, 2001, 16)),
        (START + 30.3, tcp(opener, watched, 1001, 2001, 17)),
        (START + 30.4, tcp(watched, opener, 2001, 1002, 17)),
        (START + 30.5, tcp(opener, watched, 1002, 2002, 16)),
        (START + 31.0, tcp((CLIENT, 50001), (WATCHED, 80), 1000, 0, 2)),
        (START + 31.1, tcp((WATCHED, 80), (CLIENT, 50001), 0, 1001, 20)),
    ]
    return made


def suricata(folder: Path, pcap: bytes, formats: str = "detailed, grouped") -> bytes:
    """Return the EVE log that Suricata writes of a capture."""
    program = shutil.which("suricata")
    if program is None:
        pytest.skip("Suricata is not installed")
    (folder / "in.pcap").write_bytes(pcap)
    (folder / "suricata.yaml").write_text(CONFIG.format(formats=formats))
    done = subprocess.run(
        [
            *(program, "-c", "suricata.yaml", "-r", "in.pcap", "-l", "."),
            *("-S", "/dev/null", "-k", "none"),
        ],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "eve.json").read_bytes()


def answers(batches: Any) -> dict[tuple[str, int, str], int]:
    found: dict[tuple[str, int, str], int] = {}
    for batch in batches:
        for one in [] if batch.answers is None else batch.answers.to_pylist():
            key = one["rrname"], one["rrtype"], one["rdata"]
            found[key] = found.get(key, 0) + one["count"]
    return found


@pytest.mark.parametrize("formats", ["detailed, grouped", "detailed"])
def test_each_query_is_read_with_its_response(tmp_path: Path, formats: str) -> None:
    log = suricata(tmp_path, capture(packets()), formats)
    found = recognise(log)
    batches = read(READER, log)
    asked = [r for r in rows(batches) if r["vantage"] == "resolver"]

    assert found is not None
    assert found.name == "suricata"
    # Suricata's threads write in any order.
    assert sorted((r["client_port"], r["name"], r["qtype"], r["rcode"]) for r in asked) == [
        (40000, "ns1.evil.example", 1, 0),
        (40001, "gone.evil.example", 28, 3),
        (40002, "evil.example", 15, 0),
        (40003, "evil.example", 16, 0),
        (40004, "evil.example", 6, 0),
        (40005, "_x._tcp.evil.example", 33, 0),
        # With one form of answers only, Suricata leaves out types that it has no name for.
        *([(40006, "evil.example", 65280, 5)] if "grouped" in formats else []),
        (40007, ".", 2, 0),
        # A dot inside a label is printed as any other: that is lost in the log.
        (40008, "a.b\\255c\\\\.evil.example", 1, 0),
    ]
    assert {(r["address"], r["service_port"], r["response"]) for r in asked} == {
        (v4(CLIENT), 53, False)
    }
    assert min(r["time"] for r in asked) == datetime.fromtimestamp(START, UTC)
    assert sum(batch.query_messages for batch in batches) == len(asked)
    assert counts(batches)[1:] == [0, 0, 0]


def test_records_are_those_that_were_sent(tmp_path: Path) -> None:
    log = suricata(tmp_path, capture(packets()))

    # Suricata prints no preference of MX records.
    assert answers(read(READER, log)) == {
        ("ns1.evil.example", 5, "host.example"): 1,
        ("host.example", 1, "203.0.113.7"): 1,
        ("host.example", 1, "203.0.113.8"): 1,
        ("evil.example", 15, "mail.evil.example"): 1,
        ("evil.example", 16, '"v=\\"1\\" x"'): 1,
        ("evil.example", 6, "ns1.evil.example h.evil.example 1 2 3 4 5"): 1,
        ("_x._tcp.evil.example", 33, "1 2 443 host.evil.example"): 1,
        (".", 2, "a.root-servers.net"): 1,
    }


def test_watched_addresses_are_met_in_answers_and_by_flows(tmp_path: Path) -> None:
    log = suricata(tmp_path, capture(packets()))
    batches = read(READER, log, watchlist=BY_ADDRESS)
    found = sorted(
        (r["vantage"], r["name"], r["client_port"], r["service_port"], r["proof"])
        for r in rows(batches)
    )

    assert found == [
        ("flow", WATCHED, 50000, 443, "tcp"),
        # Refused: no handshake, so the source may be anybody's.
        ("flow", WATCHED, 50001, 80, "dns_udp"),
        ("resolver", "ns1.evil.example", 40000, 53, "dns_udp"),
    ]
    (handshake,) = [r for r in rows(batches) if r["client_port"] == 50000]
    assert json.loads(handshake["detail"])["packets"] == 4
    assert handshake["time"] == datetime.fromtimestamp(START + 30, UTC)


def test_the_traffic_of_an_authority(tmp_path: Path, real_data: Path) -> None:
    pcap = lzma.decompress((real_data / "pcap" / "dns.pcap.xz").read_bytes())
    log = suricata(tmp_path, pcap)
    events = [json.loads(line) for line in log.splitlines()]
    codes = [
        e["dns"]["rcode"] for e in events
        if e["event_type"] == "dns" and e["dns"]["type"] in ("answer", "response")
    ]  # fmt: skip
    batches = read(READER, log, now=datetime(2026, 12, 31, tzinfo=UTC))
    asked = rows(batches)
    parts = read(READER, log, chunk=10_000, now=datetime(2026, 12, 31, tzinfo=UTC))

    assert len(codes) == len(asked) == 999
    assert sum(batch.query_messages for batch in batches) == 999
    assert counts(batches)[:2] == [1999, 0]
    # Every query finds its response, though some are timed before it.
    assert sum(r["rcode"] == 0 for r in asked) == codes.count("NOERROR")
    assert sum(r["rcode"] == 3 for r in asked) == codes.count("NXDOMAIN")
    assert None not in {r["rcode"] for r in asked}
    assert answers(parts) == answers(batches)
    assert sorted(str(r) for r in rows(parts)) == sorted(map(str, asked))


def test_an_event_of_version_1(real_data: Path) -> None:
    log = (real_data / "suricata" / "eve-v1-mixed.json").read_bytes()
    found = recognise(log)
    batches = read(READER, log)
    (row,) = rows(batches)

    assert found is not None
    assert found.name == "suricata"
    assert counts(batches) == [1, 0, 2, 0]
    assert notes(batches) == ["2 events of other types than dns and flow were skipped"]
    assert (row["name"], row["qtype"], row["rcode"], row["address"], row["response"]) == (
        "test.test.local", 1, 0, v4("10.0.0.11"), True,
    )  # fmt: skip
    assert answers(batches) == {("test.test.local", 1, "10.0.0.12"): 1}
