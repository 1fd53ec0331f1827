"""C-DNS written by the compactor of dns-stats, against the packets it was made from."""

from __future__ import annotations

import csv
import io
import lzma
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import dns.message
import dns.name
import dns.rdatatype
import pytest

from remnant.capture.cdns import CdnsReader
from remnant.capture.readers import recognise
from textlogs import counts, quarantine, read, rows, v4

if TYPE_CHECKING:
    from pathlib import Path

READER = CdnsReader()


class Packet(NamedTuple):
    """What tshark says of one message."""

    time: datetime
    response: bool
    ident: int
    client: str
    port: int
    name: str
    qtype: int
    rcode: int
    payload: bytes


@pytest.fixture(scope="module")
def gold(real_data: Path) -> bytes:
    return lzma.decompress((real_data / "cdns" / "gold.cbor.xz").read_bytes())


@pytest.fixture(scope="module")
def packets(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Packet]:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed (Debian: tshark)")
    plain = tmp_path_factory.mktemp("pcap") / "dns.pcap"
    plain.write_bytes(lzma.decompress((real_data / "pcap" / "dns.pcap.xz").read_bytes()))
    fields = [
        "frame.time_epoch", "dns.flags.response", "dns.id", "ip.src", "ip.dst", "udp.srcport",
        "udp.dstport", "dns.qry.name", "dns.qry.type", "dns.flags.rcode", "udp.payload",
    ]  # fmt: skip
    shown = subprocess.run(
        [tshark, "-n", "-r", str(plain), "-Y", "dns", "-T", "fields", "-E", "separator=/t"]
        + [word for field in fields for word in ("-e", field)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    return [_packet(*line) for line in csv.reader(io.StringIO(shown), delimiter="\t")]


def _packet(*shown: str) -> Packet:
    when, response, ident, source, target, sport, dport, name, qtype, rcode, payload = shown
    seconds, _, fraction = when.partition(".")
    answered = response in {"1", "True"}
    return Packet(
        datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(fraction[:6])),
        answered,
        int(ident, 16),
        target if answered else source,
        int(dport if answered else sport),
        "." if name == "<Root>" else name.lower(),
        int(qtype),
        int(rcode or 0),
        bytes.fromhex(payload),
    )


def test_every_query_of_the_packets_is_a_row(gold: bytes, packets: list[Packet]) -> None:
    batches = read(READER, gold)
    got = rows(batches)
    asked = [packet for packet in packets if not packet.response]
    rcodes = {(p.ident, p.port, p.client, p.name): p.rcode for p in packets if p.response}

    assert [(row["time"], row["name"], row["qtype"], row["client_port"]) for row in got] == [
        (p.time, p.name, p.qtype, p.port) for p in asked
    ]
    assert [row["address"] for row in got] == [v4(p.client) for p in asked]
    assert [row["rcode"] for row in got] == [
        rcodes[p.ident, p.port, p.client, p.name] for p in asked
    ]
    assert len(got) == 999


def test_the_counts_are_those_of_the_packets(gold: bytes, packets: list[Packet]) -> None:
    batches = read(READER, gold)

    assert getattr(recognise(gold[: 1 << 16]), "name", None) == "cdns"
    assert counts(batches) == [len(packets), 0, 0, 0]
    assert sum(batch.query_messages for batch in batches) == 999
    assert quarantine(batches) == []
    assert batches[-1].end == len(gold)
    counted = [one for batch in batches for one in batch.counts.to_pylist()]
    assert min(one["first_time"] for one in counted) == min(p.time for p in packets)
    assert max(one["last_time"] for one in counted) == max(p.time for p in packets)
    assert {one["lost"] for one in counted} == {0}


def test_the_records_are_those_of_the_packets(gold: bytes, packets: list[Packet]) -> None:
    # The file holds the authority and additional sections: its packets were referrals.
    wanted: Counter[tuple[str, int]] = Counter()
    for packet in packets:
        if not packet.response:
            continue
        message = dns.message.from_wire(packet.payload)
        for section in (message.answer, message.authority, message.additional):
            for rrset in section:
                owner = rrset.name.to_text(omit_final_dot=rrset.name != dns.name.root).lower()
                wanted[owner, int(rrset.rdtype)] += len(rrset)
    found: Counter[tuple[str, int]] = Counter()
    texts = set()
    for batch in read(READER, gold, answers="all"):
        if batch.answers is not None:
            for one in batch.answers.to_pylist():
                found[one["rrname"], one["rrtype"]] += one["count"]
                texts.add((one["rrtype"], one["rdata"]))

    assert found == wanted
    assert (int(dns.rdatatype.NS), "a0.org.afilias-nst.info") in texts


@pytest.mark.parametrize("chunk", [4096, 60_000])
def test_the_result_does_not_depend_on_how_the_bytes_come(gold: bytes, chunk: int) -> None:
    assert rows(read(READER, gold, chunk=chunk)) == rows(read(READER, gold))
